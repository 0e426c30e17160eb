//! Who is at the other end, small enough to keep for fifteen thousand of them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A peer's address in 22 bytes; `SocketAddr` takes 32. Kept from accept on, as getpeername(2) no
/// longer knows the peer of a connection that was reset, and the log must.
///
/// Numbers are kept as bytes: four that want to be aligned would cost each connection eight.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// IPv4 in its mapped form.
    ip: Ipv6Addr,
    scope_id: [u8; 4],
    port: [u8; 2],
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        let (ip, scope_id) = match address {
            SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(v6) => (*v6.ip(), v6.scope_id()),
        };
        Self {
            ip,
            scope_id: scope_id.to_ne_bytes(),
            port: address.port().to_ne_bytes(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = u16::from_ne_bytes(self.port);
        match self.ip.to_canonical() {
            IpAddr::V4(v4) => SocketAddr::from((v4, port)).fmt(f),
            IpAddr::V6(v6) => {
                SocketAddrV6::new(v6, port, 0, u32::from_ne_bytes(self.scope_id)).fmt(f)
            }
        }
    }
}
