//! Who is at the other end, small enough to keep for fifteen thousand of them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::reactor::kernel::Correspondent;

/// A peer's address in 23 bytes; `SocketAddr` takes 32. Kept from accept on, as getpeername(2) no
/// longer knows the peer of a connection that was reset, and the log must.
///
/// Numbers are kept as bytes: four that want to be aligned would cost each connection eight.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// It has an address: it did not come over a Unix socket.
    is_inet: bool,
    /// IPv4 in its mapped form.
    ip: Ipv6Addr,
    scope_id: [u8; 4],
    port: [u8; 2],
}

impl Peer {
    /// Its IP address, where it has one: IPv4 as such, not in its IPv6 form.
    pub fn ip(self) -> Option<IpAddr> {
        self.is_inet.then(|| self.ip.to_canonical())
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        let (ip, scope_id) = match address {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
        };
        Self {
            is_inet: true,
            ip,
            scope_id: scope_id.to_ne_bytes(),
            port: address.port().to_ne_bytes(),
        }
    }
}

impl From<Option<SocketAddr>> for Peer {
    /// `None`: it came over a Unix socket.
    fn from(address: Option<SocketAddr>) -> Self {
        address.map_or(
            Self {
                is_inet: false,
                ip: Ipv6Addr::UNSPECIFIED,
                scope_id: [0; 4],
                port: [0; 2],
            },
            Self::from,
        )
    }
}

impl From<Correspondent> for Peer {
    fn from(correspondent: Correspondent) -> Self {
        match correspondent {
            Correspondent::Inet(address) => address.into(),
            Correspondent::Slot(_) | Correspondent::Unnamed => None.into(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = u16::from_ne_bytes(self.port);
        match self.ip() {
            None => f.write_str("unix"),
            Some(IpAddr::V4(v4)) => SocketAddr::from((v4, port)).fmt(f),
            Some(IpAddr::V6(v6)) => {
                SocketAddrV6::new(v6, port, 0, u32::from_ne_bytes(self.scope_id)).fmt(f)
            }
        }
    }
}
