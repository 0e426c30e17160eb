//! What the operator set, and how much one turn of the loop does.

use std::time::Duration;

use super::connection::{TURN_BUDGET_BYTES, WINDOW_BYTES};
use crate::protocol::stream::Rules;
use crate::reactor::deadlines::TICK;
use crate::reactor::kernel::ARRIVAL_MAX_BYTES;

/// How many connections one listener accepts in one turn of the loop, at most.
pub const ACCEPTS_PER_TURN: usize = 64;

/// How many connections are closed in one turn because their deadline has passed, at most:
/// thousands may have gone silent at once. Those that are left are due already, so the next wait
/// does not sleep.
pub const EXPIRIES_PER_TURN: usize = 256;

/// How long a connection whose FIN is out is read from and discarded: 2 s at most, and a deadline
/// may pass a tick late.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2).saturating_sub(TICK);

/// What the operator set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Further connections wait in the backlog.
    pub max_connections: usize,
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
}

/// How large the buffers are, and how much one turn of the loop does: what is measured and set at
/// compile time. A test sets smaller ones, so that a few bytes reach every edge.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// How much one read of a connection fetches.
    pub window_bytes: usize,
    /// How many bytes of one connection are read in one turn, at most one read more.
    pub turn_budget_bytes: usize,
    /// The longest datagram, or super-packet of them, that is received whole.
    pub arrival_bytes: usize,
    /// How many connections one listener accepts in one turn.
    pub accepts_per_turn: usize,
    /// How many connections are closed in one turn because their deadline has passed.
    pub expiries_per_turn: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            window_bytes: WINDOW_BYTES,
            turn_budget_bytes: TURN_BUDGET_BYTES,
            arrival_bytes: ARRIVAL_MAX_BYTES,
            accepts_per_turn: ACCEPTS_PER_TURN,
            expiries_per_turn: EXPIRIES_PER_TURN,
        }
    }
}
