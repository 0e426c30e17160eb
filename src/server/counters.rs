//! What has happened so far: everything that the server does not do aloud is counted here.

use crate::protocol::datagram::DropReason;
use crate::reactor::acceptor::AcceptError;
use crate::reasons::reasons;
use crate::transport::Transport;

reasons! {
    /// Why a connection ended: the first cause, whatever followed from it.
    CloseReason {
        /// The peer closed its side, and had all its replies.
        PeerClosed = "peer_closed",
        /// The peer, or the path to it, reset the connection.
        Reset = "reset",
        /// A system call on it failed otherwise.
        Error = "error",
        /// No complete message and no reply byte taken for `--idle-timeout`.
        IdleTimeout = "idle_timeout",
        /// A message longer than `--max-message`.
        MessageTooLong = "message_too_long",
        /// A message that is no ping, under `--strict`.
        NotAPing = "not_a_ping",
        /// The server stopped, and the peer had its replies.
        Drained = "drained",
        /// The server stopped, and `--drain-timeout` was over before the peer had its replies.
        DrainTimeout = "drain_timeout",
    }
}

reasons! {
    /// Why a connection was closed as soon as it was accepted.
    RefusedReason {
        /// From outside of the networks of `--allow`.
        Allow = "allow",
        /// Its client has `--max-per-client` connections already.
        PerClient = "per_client",
    }
}

/// What one transport carried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Messages received, answered or not.
    pub messages: u64,
    /// Replies made; of datagrams those that the kernel took.
    pub replies: u64,
    /// Payload bytes received.
    pub received_bytes: u64,
    /// Payload bytes given to the kernel.
    pub sent_bytes: u64,
}

impl Traffic {
    /// Takes in what was carried besides.
    pub fn add(&mut self, more: &Self) {
        self.messages += more.messages;
        self.replies += more.replies;
        self.received_bytes += more.received_bytes;
        self.sent_bytes += more.sent_bytes;
    }

    /// All of its bytes.
    #[must_use]
    pub fn moved_bytes(&self) -> usize {
        usize::try_from(self.received_bytes + self.sent_bytes).unwrap_or(usize::MAX)
    }
}

/// A counter's name, and where it stands.
type Column = (&'static str, fn(&Traffic) -> u64);

/// All counters since the start. They only grow.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// TCP's traffic.
    pub tcp: Traffic,
    /// UDP's traffic.
    pub udp: Traffic,
    /// Unix sockets' traffic, of streams and datagrams.
    pub unix: Traffic,
    /// Times that receiving datagrams failed.
    pub receive_errors: u64,
    /// Turns of the loop.
    pub loop_turns: u64,
    closed: [u64; CloseReason::ALL.len()],
    refused: [u64; RefusedReason::ALL.len()],
    accept_errors: [u64; AcceptError::ALL.len()],
    dropped: [u64; DropReason::ALL.len()],
}

impl Counters {
    /// Counts a connection's end.
    pub fn count_closed(&mut self, reason: CloseReason) {
        self.closed[reason as usize] += 1;
    }

    /// Counts a connection that was not let in.
    pub fn count_refused(&mut self, reason: RefusedReason) {
        self.refused[reason as usize] += 1;
    }

    /// Counts a failed accept.
    pub fn count_accept_error(&mut self, reason: AcceptError) {
        self.accept_errors[reason as usize] += 1;
    }

    /// Counts datagrams that got no reply.
    pub fn count_dropped(&mut self, reason: DropReason, datagrams: u64) {
        self.dropped[reason as usize] += datagrams;
    }

    /// Gives each counter to `tell`: its name, its label and that label's value where it has one,
    /// its count.
    pub fn each(&self, mut tell: impl FnMut(&str, Option<(&str, &str)>, u64)) {
        tell("connections_accepted_total", None, self.accepted);
        for (reason, count) in CloseReason::ALL.iter().zip(self.closed) {
            tell(
                "connections_closed_total",
                Some(("reason", reason.name())),
                count,
            );
        }
        for (reason, count) in RefusedReason::ALL.iter().zip(self.refused) {
            tell(
                "connections_refused_total",
                Some(("reason", reason.name())),
                count,
            );
        }
        for (reason, count) in AcceptError::ALL.iter().zip(self.accept_errors) {
            tell(
                "accept_errors_total",
                Some(("reason", reason.name())),
                count,
            );
        }
        let columns: [Column; 4] = [
            ("messages_total", |traffic| traffic.messages),
            ("replies_total", |traffic| traffic.replies),
            ("received_bytes_total", |traffic| traffic.received_bytes),
            ("sent_bytes_total", |traffic| traffic.sent_bytes),
        ];
        for (name, column) in columns {
            for transport in Transport::ALL {
                tell(
                    name,
                    Some(("transport", transport.name())),
                    column(self.traffic(transport)),
                );
            }
        }
        for (reason, count) in DropReason::ALL.iter().zip(self.dropped) {
            tell(
                "datagrams_dropped_total",
                Some(("reason", reason.name())),
                count,
            );
        }
        tell("receive_errors_total", None, self.receive_errors);
        tell("loop_turns_total", None, self.loop_turns);
    }

    fn traffic(&self, transport: Transport) -> &Traffic {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
            Transport::Unix => &self.unix,
        }
    }

    /// A transport's traffic, to count in.
    pub fn traffic_mut(&mut self, transport: Transport) -> &mut Traffic {
        match transport {
            Transport::Tcp => &mut self.tcp,
            Transport::Udp => &mut self.udp,
            Transport::Unix => &mut self.unix,
        }
    }
}
