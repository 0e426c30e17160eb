//! Opening the sockets, with the options that neither std nor mio sets.

use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, UdpSocket};
use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{UdpSockRef, UdpSocketState};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::os::OsDatagrams;

/// How to open a socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct BindOptions {
    /// An IPv6 wildcard takes IPv4 traffic too.
    pub dual_stack: bool,
    /// Several processes share the port: `SO_REUSEPORT`, socket(7).
    pub reuse_port: bool,
    /// How many connections wait for accept, at most; the kernel cuts it to `net.core.somaxconn`.
    pub backlog: i32,
}

/// Opens a TCP listener.
///
/// # Errors
/// As socket(2), bind(2) and listen(2).
pub fn tcp_listener(address: SocketAddr, options: BindOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the last run's connections to leave TIME_WAIT. On UDP the same option
    // would let another process take the port over, so there it stays off.
    socket.set_reuse_address(true)?;
    // Connections inherit these two. Replies are written in one piece, so Nagle has nothing to gather.
    socket.set_tcp_nodelay(true)?;
    // A byte sent as urgent stays in its place in the stream, as a message's byte that it is.
    socket.set_out_of_band_inline(true)?;
    bind(&socket, address, options)?;
    socket.listen(options.backlog)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Opens a UDP socket, with GRO and GSO where the kernel has them.
///
/// # Errors
/// As socket(2), bind(2) and setsockopt(2).
pub fn datagrams(address: SocketAddr, options: BindOptions) -> io::Result<OsDatagrams> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM.nonblocking(),
        Some(Protocol::UDP),
    )?;
    bind(&socket, address, options)?;
    let offload = UdpSocketState::new(UdpSockRef::from(&socket))?;
    undo_what_only_quic_wants(&socket, address)?;
    Ok(OsDatagrams {
        socket: UdpSocket::from_std(socket.into()),
        offload,
        peer: None,
    })
}

fn bind(socket: &Socket, address: SocketAddr, options: BindOptions) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_only_v6(!options.dual_stack)?;
    }
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())
}

/// quinn-udp forbids fragments, so that QUIC can probe a path's MTU: a pong as long as its fragmented
/// ping could not leave. And it asks for a timestamp and the TOS byte with each datagram, which nobody reads.
fn undo_what_only_quic_wants(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT)?;
    setsockopt(socket, sockopt::ReceiveTimestampns, &false)?;
    if address.is_ipv6() {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::WANT)?;
        setsockopt(socket, sockopt::Ipv6DontFrag, &false)?;
        socket.set_recv_tclass_v6(false)?;
    }
    // Refused on an IPv6 socket without IPv4, where it was not set either.
    let _ = socket.set_recv_tos_v4(false);
    Ok(())
}
