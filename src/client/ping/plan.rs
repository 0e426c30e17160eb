//! What a user can ask `pingpong ping` for.

use std::time::Duration;

use crate::client::script::{DATAGRAM_MAX_BYTES, FRAME_BYTES};

/// The longest payload: with it, the message just fits into a UDP datagram over IPv4.
pub const PAYLOAD_MAX_BYTES: usize = DATAGRAM_MAX_BYTES - FRAME_BYTES;

/// How to ping.
#[derive(Clone, Copy, Debug)]
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
}

/// The same, by the name that the command line knows it by.
pub type Config = PingPlan;
