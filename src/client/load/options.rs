//! What a user can ask `pingpong load` for.

use std::path::PathBuf;
use std::time::Duration;

use super::search::Goal;
use crate::client::require::Requirement;
use crate::client::script::Script;
use crate::client::target::Target;
use crate::transport::Transport;

/// How long a reply may take, over TCP and over UDP.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
const UDP_TIMEOUT: Duration = Duration::from_secs(1);

/// What `pingpong load` was asked for.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Whom to load.
    pub target: Target,
    /// How many connections, or over UDP sockets.
    pub connections: usize,
    /// How many requests may wait on each.
    pub pipeline: usize,
    /// How long to measure.
    pub duration: Duration,
    /// In a closed loop: how many requests to measure, at most.
    pub requests_max: Option<u64>,
    /// How long to run before that.
    pub warmup: Duration,
    /// The open loop's rate; `None`: a closed loop.
    pub rate_per_s: Option<u64>,
    /// What the highest rate is searched for.
    pub find_max: Option<Goal>,
    /// Over UDP.
    pub udp: bool,
    /// What is sent and what has to come back.
    pub script: Script,
    /// How many lines the peer says before it listens.
    pub skip_lines: u32,
    /// How long a connection may take to come, and a reply.
    pub timeout: Option<Duration>,
    /// Print JSON.
    pub json: bool,
    /// Where the percentile distribution goes.
    pub hdr: Option<PathBuf>,
    /// What must hold of the figures.
    pub require: Vec<Requirement>,
}

impl LoadOptions {
    /// Over what.
    #[must_use]
    pub fn transport(&self) -> Transport {
        if self.udp {
            Transport::Udp
        } else {
            Transport::Tcp
        }
    }

    /// How long a connection may take to come, and a reply.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let default = if self.udp { UDP_TIMEOUT } else { TCP_TIMEOUT };
        self.timeout.unwrap_or(default)
    }
}
