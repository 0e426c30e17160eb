//! What the operator set, and how much one turn of the loop does.

use std::time::Duration;

use super::admission::Allowed;
use super::connection::{FRESH_READ_BYTES, SHARE_BYTES, WINDOW_BYTES};
use crate::protocol::stream::Rules;
use crate::reactor::deadlines::TICK;
use crate::reactor::kernel::SLOT_MAX_BYTES;

/// How long one phase of a turn goes on while it has work left, and then the one piece of work that
/// it is in. There are four of them, so everybody's next turn comes within a few milliseconds,
/// however many are busy.
pub const PHASE_MAX: Duration = Duration::from_micros(500);

/// How long a connection whose FIN is out is read from and discarded: 2 s at most, and a deadline
/// may pass a tick late.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2).saturating_sub(TICK);

/// What the operator set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Further connections wait in the backlog.
    pub max_connections: usize,
    /// Whose connections and datagrams are served, but for Unix sockets'.
    pub allowed: Allowed,
    /// How many connections one client may have: an IPv4 address, or an IPv6 network of 64 bits.
    pub max_per_client: Option<usize>,
    /// About messages.
    pub rules: Rules,
    /// How long a connection may go without progress; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// The longest that a graceful stop takes.
    pub drain_timeout: Duration,
    /// Replies a second to datagrams that are not pings; 0 for no limit.
    pub other_rate_per_s: u32,
    /// How long to spin before sleeping.
    pub busy_poll: Duration,
    /// How often a service manager is told that the loop turns.
    pub watchdog_interval: Option<Duration>,
}

impl Default for Settings {
    /// What the command line has where nothing is given, but for connections without a limit.
    fn default() -> Self {
        Self {
            max_connections: usize::MAX,
            allowed: Allowed::default(),
            max_per_client: None,
            rules: Rules {
                max_message_bytes: 65536,
                strict: false,
            },
            idle_timeout: Some(Duration::from_secs(5 * 60)),
            drain_timeout: Duration::from_secs(5),
            other_rate_per_s: 1000,
            busy_poll: Duration::ZERO,
            watchdog_interval: None,
        }
    }
}

/// How large the buffers are, and how much is done at a time: what is measured and set at compile
/// time. A test sets smaller ones, so that a few bytes reach every edge.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// How much one read of a connection fetches, and one visit of who has had its share.
    pub window_bytes: usize,
    /// How much a visit of a connection reads at most, where others wait, until it has had its
    /// share.
    pub fresh_read_bytes: usize,
    /// How much may be moved for one connection before all others that are ready go first.
    pub share_bytes: usize,
    /// The longest datagram, or super-packet of them, that is received whole.
    pub slot_bytes: usize,
    /// How long one phase of a turn goes on.
    pub phase_max: Duration,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            window_bytes: WINDOW_BYTES,
            fresh_read_bytes: FRESH_READ_BYTES,
            share_bytes: SHARE_BYTES,
            slot_bytes: SLOT_MAX_BYTES,
            phase_max: PHASE_MAX,
        }
    }
}
