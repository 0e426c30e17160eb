//! What goes with datagrams through the seam: who sent them, where to, and how many came at once.

use std::net::{IpAddr, SocketAddr};

use crate::transport::Transport;

/// How many datagrams, or super-packets of them, are received with one call.
pub const SLOTS_PER_CALL: usize = 16;

/// The longest that a received super-packet can be, in bytes: udp(7), `UDP_GRO`.
pub const SLOT_MAX_BYTES: usize = 65536;

/// Where datagrams are received to: one slot for each of [`SLOTS_PER_CALL`].
///
/// The kernel touches only the pages that it fills, so this costs what the largest burst needed.
#[derive(Debug)]
pub struct RecvSlots {
    /// The slots, one behind the other.
    pub bytes: Box<[u8]>,
    /// The length of each slot. What does not fit into one is cut off.
    pub slot_bytes: usize,
    /// What each slot holds.
    pub info: [RecvMeta; SLOTS_PER_CALL],
}

impl Default for RecvSlots {
    /// Slots for the longest super-packet.
    fn default() -> Self {
        Self::with_slots(SLOT_MAX_BYTES)
    }
}

impl RecvSlots {
    /// Slots of so many bytes each.
    #[must_use]
    pub fn with_slots(slot_bytes: usize) -> Self {
        Self {
            bytes: vec![0; SLOTS_PER_CALL * slot_bytes].into_boxed_slice(),
            slot_bytes,
            info: [RecvMeta::default(); SLOTS_PER_CALL],
        }
    }
}

/// The local address that a datagram was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DstIp {
    /// The address. IPv4 comes in its mapped form where the socket is one for IPv6.
    pub ip: IpAddr,
    /// The index of its interface, where an address says nothing without (link-local, RFC 4007);
    /// else 0.
    pub scope_id: u32,
    /// A broadcast or multicast address, as the kernel's routes have it.
    pub is_shared: bool,
}

impl From<IpAddr> for DstIp {
    /// An address that is this host's alone and needs no scope.
    fn from(ip: IpAddr) -> Self {
        Self {
            ip,
            scope_id: 0,
            is_shared: false,
        }
    }
}

/// Who sent a datagram, and who gets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correspondent {
    /// A UDP socket. A link-local address has its scope.
    Inet(SocketAddr),
    /// The Unix socket whose datagram was received to the slot of this index. The name, which is
    /// long, stays with the socket that received it, until it receives again.
    Slot(u8),
    /// A Unix socket without a name: no reply can reach it, unix(7).
    Unnamed,
}

impl Correspondent {
    /// What carries its datagrams.
    #[must_use]
    pub const fn transport(self) -> Transport {
        match self {
            Self::Inet(_) => Transport::Udp,
            Self::Slot(_) | Self::Unnamed => Transport::Unix,
        }
    }

    /// Its IP address and port, if it has one.
    #[must_use]
    pub const fn socket_addr(self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(address),
            Self::Slot(_) | Self::Unnamed => None,
        }
    }
}

impl From<SocketAddr> for Correspondent {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

/// A datagram, or several of one length from one peer, received as a super-packet (GRO).
#[derive(Clone, Copy, Debug)]
pub struct RecvMeta {
    /// Who sent it, as far as can be known.
    pub source: Correspondent,
    /// The local address that it was sent to, where that is not the one that the socket is bound
    /// to.
    pub dst_ip: Option<DstIp>,
    /// All of its bytes.
    pub len_bytes: usize,
    /// The length of each datagram in it; the last may be shorter. As long as all of it if there is
    /// one.
    pub segment_bytes: usize,
    /// There was more of it than a slot holds. UDP's never is longer.
    pub is_cut: bool,
}

impl Default for RecvMeta {
    fn default() -> Self {
        Self {
            source: Correspondent::Unnamed,
            dst_ip: None,
            len_bytes: 0,
            segment_bytes: 0,
            is_cut: false,
        }
    }
}

/// A datagram to send, or several of one length to one peer (GSO).
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// Who gets it.
    pub destination: Correspondent,
    /// The local address that it leaves from; `None` lets the kernel choose.
    pub source: Option<DstIp>,
    /// All of its bytes.
    pub bytes: &'a [u8],
    /// The length of each datagram in it; the last may be shorter.
    pub segment_bytes: usize,
}
