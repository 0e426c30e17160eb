//! What a user can ask `pingpong ping` for.

use std::time::{Duration, SystemTime};

use crate::client::require::Requirement;
use crate::client::script::{DATAGRAM_MAX_BYTES, FRAME_BYTES};
use crate::client::target::{Family, Target};

/// The longest payload: with it, the message just fits into a UDP datagram over IPv4.
pub const PAYLOAD_MAX_BYTES: usize = DATAGRAM_MAX_BYTES - FRAME_BYTES;

/// How to ping.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line are just that"
)]
pub struct PingPlan {
    /// Ping over TCP.
    pub tcp: bool,
    /// Ping over UDP.
    pub udp: bool,
    /// How many pings over each; with a deadline, how many replies. `None`: no end.
    pub count: Option<u64>,
    /// From one ping to the next; zero: the next as soon as the last was answered, a flood.
    pub interval: Duration,
    /// How long a ping waits for its reply, connecting included; `None`: however long it takes.
    pub timeout: Option<Duration>,
    /// How long all of it may take.
    pub deadline: Option<Duration>,
    /// How long each ping's payload is.
    pub payload_bytes: usize,
    /// Each ping comes from a new port.
    pub rotate_port: bool,
    /// Tell, when the next ping is due, that the last has no reply yet.
    pub tells_waiting: bool,
}

/// What `pingpong ping` was asked for.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a command line are just that"
)]
pub struct PingOptions {
    /// Whom to ping.
    pub target: Target,
    /// Which of its addresses will do.
    pub family: Family,
    /// How to ping.
    pub plan: PingPlan,
    /// Tell only the summary.
    pub quiet: bool,
    /// Tell in dots and backspaces, on a terminal.
    pub flood: bool,
    /// Tell in JSON.
    pub json: bool,
    /// The time of day before each line.
    pub timestamps: bool,
    /// What must hold of the figures.
    pub require: Vec<Requirement>,
}

/// How pings are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A line each.
    Lines,
    /// A JSON object a line each.
    Json,
    /// A dot for each ping and a backspace for each reply: what stands there is what is missing.
    Dots,
    /// Not at all.
    Quiet,
}

/// How to tell.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How pings are told.
    pub style: Style,
    /// The beginning and the summary are JSON objects too.
    pub json: bool,
    /// The time of day before each line: `-D`.
    pub timestamps: bool,
    /// The port at this end: `--rotate-port`.
    pub ports: bool,
    /// The time of day.
    pub clock: fn() -> SystemTime,
}

impl Manner {
    /// The time of day in microseconds since 1970.
    pub(super) fn unix_us(&self) -> u64 {
        let since = (self.clock)().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
    }
}
