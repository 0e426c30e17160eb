//! Sockets as the kernel keeps them.

use std::collections::VecDeque;
use std::net::SocketAddr;

use pingpong::inside::reactor::kernel::{DstIp, Flags, Token};
use rustix::io::Errno;

use super::reference::Reference;

/// Names a socket for as long as a schedule lasts. What the server holds may be closed long before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Listener(usize),
    Port(usize),
    Conn(usize),
}

/// What epoll knows of a descriptor.
#[derive(Debug, Default)]
pub struct Watch {
    /// `None`: not registered, or closed.
    pub token: Option<Token>,
    /// On the ready list.
    pub is_queued: bool,
}

#[derive(Debug)]
pub struct ListenSocket {
    pub watch: Watch,
    pub is_open: bool,
    pub backlog: VecDeque<usize>,
    /// The last accept failed, and left what it was to take where it was.
    pub is_refusing: bool,
}

/// A reset: what the next call that fails because of it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    None,
    Pending(Errno),
    Told,
}

/// A connection, both ends of it.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the connection"
)]
pub struct Conn {
    pub peer: usize,
    pub address: SocketAddr,
    pub watch: Watch,
    /// The server has its descriptor.
    pub is_open: bool,
    /// All that the peer has sent, of which the server has read so much.
    pub incoming: Vec<u8>,
    pub read_len: usize,
    /// All that the server has sent, of which the peer has taken so much.
    pub outgoing: Vec<u8>,
    pub taken_len: usize,
    pub receive_buffer_bytes: usize,
    pub send_buffer_bytes: usize,
    /// The peer's FIN has come; the server has read it.
    pub has_fin: bool,
    pub is_fin_read: bool,
    pub reset: Reset,
    /// The peer is gone altogether: what is sent to it is answered by a reset.
    pub is_peer_gone: bool,
    /// A write found no room: the kernel tells when there is some.
    pub wants_room: bool,
    /// The server's FIN is out.
    pub is_shut: bool,
    /// Where the urgent mark stands in `incoming`, until it has been read past.
    pub urgent_at: Option<usize>,

    // What the checks need.
    pub reference: Reference,
    /// A fault was injected that ends a connection.
    pub is_hurt: bool,
    /// The server closed it and had to: at its deadline, or at the end of a drain.
    pub is_excused: bool,
    /// Replies that the peer had not taken were destroyed.
    pub is_cut: bool,
    /// The latest time at which the timeout certainly began anew, and at which it may have.
    pub progress_ns: u64,
    pub maybe_progress_ns: u64,
    /// The server has not asked for the time since: its timeout cannot have begun yet.
    pub is_progress_untimed: bool,
    pub shut_ns: u64,
    /// An event told of something to read, and nobody has tried; for so many turns.
    pub is_told: bool,
    pub told_turns: usize,
    /// When the server last asked for what there is, and whether a whole message was left then.
    pub looked_ns: u64,
    pub has_left_message: bool,
    /// When the bytes came that have no reply yet.
    pub asked_ns: Option<u64>,
    /// How long each had to wait for its reply.
    pub latencies_ns: Vec<u64>,
    /// What the kernel held for the server when the stop came, counted from the start of the
    /// stream.
    pub due_at_stop: usize,
}

impl Conn {
    /// A whole message came, or the kernel took a byte of a reply.
    pub fn note_progress(&mut self, now_ns: u64) {
        self.progress_ns = now_ns;
        self.maybe_progress_ns = now_ns;
        self.is_progress_untimed = true;
    }

    pub fn unread_len(&self) -> usize {
        self.incoming.len() - self.read_len
    }

    pub fn untaken_len(&self) -> usize {
        self.outgoing.len() - self.taken_len
    }

    pub fn room(&self) -> usize {
        self.send_buffer_bytes.saturating_sub(self.untaken_len())
    }

    /// Room for the peer to send.
    pub fn peer_room(&self) -> usize {
        self.receive_buffer_bytes.saturating_sub(self.unread_len())
    }

    /// The kernel calls a socket writable only when a third of its buffer is free.
    pub fn is_roomy(&self) -> bool {
        self.room() * 3 >= self.send_buffer_bytes
    }

    /// Replies that the server owes.
    pub fn owed_len(&self) -> usize {
        self.reference
            .expected
            .len()
            .saturating_sub(self.outgoing.len())
    }

    /// A read would not block.
    pub fn is_readable(&self) -> bool {
        self.unread_len() > 0 || self.has_fin || self.reset != Reset::None
    }

    /// A read would tell something new.
    pub fn has_news(&self) -> bool {
        self.unread_len() > 0
            || (self.has_fin && !self.is_fin_read)
            || matches!(self.reset, Reset::Pending(_))
    }

    /// What epoll_wait(2) says of it: tcp_poll() in Linux's net/ipv4/tcp.c, in mio's words.
    pub fn flags(&self) -> Flags {
        let is_reset = self.reset != Reset::None;
        let is_in = self.is_readable();
        let is_out = self.is_shut || self.is_roomy() || is_reset;
        let is_error = matches!(self.reset, Reset::Pending(_));
        let is_hung_up = is_reset || (self.has_fin && self.is_shut);
        let is_read_hung_up = self.has_fin || is_reset;
        let is_urgent = self.urgent_at.is_some();
        Flags {
            readable: is_in || is_urgent,
            writable: is_out,
            error: is_error,
            read_closed: is_hung_up || (is_in && is_read_hung_up),
            write_closed: is_hung_up || (is_out && is_error),
            priority: is_urgent,
        }
    }
}

/// A datagram on its way to the server, or a super-packet of several.
#[derive(Debug)]
pub struct Packet {
    pub source: SocketAddr,
    pub dst_ip: Option<DstIp>,
    pub bytes: Vec<u8>,
    pub segment_bytes: usize,
}

/// A reply that the server owes.
#[derive(Debug)]
pub struct OwedReply {
    pub destination: SocketAddr,
    pub source: Option<DstIp>,
    pub bytes: Vec<u8>,
    /// It may be left out: the bucket is between full and empty.
    pub is_optional: bool,
}

#[derive(Debug)]
pub struct PortSocket {
    pub watch: Watch,
    pub is_open: bool,
    pub bound: SocketAddr,
    pub queue: VecDeque<Packet>,
    pub queue_max: usize,
    /// Packets for which the queue had no room.
    pub lost: u32,
    /// How many of them there were when the server last asked, and when it last should have.
    pub lost_told: u32,
    pub lost_at_report: u32,
    pub gso_segments: usize,
    /// The last receive failed.
    pub is_failing: bool,
    pub receives_in_turn: usize,
    pub owed: Vec<OwedReply>,
    pub received: u64,
    pub sent: u64,
    pub received_packets: usize,
    /// How many packets had come for the server when the stop came.
    pub due_at_stop: usize,
}

impl PortSocket {
    /// Interest is in reading alone.
    pub fn flags(&self) -> Flags {
        Flags {
            readable: !self.queue.is_empty(),
            ..Flags::default()
        }
    }
}
