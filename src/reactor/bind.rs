//! Opening the sockets, with the options that neither std nor mio sets.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use super::batch_udp::BatchUdp;

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
    // A restart must not wait for the last run's connections to leave TIME_WAIT. On UDP the same
    // option would let another process take the port over, so there it stays off.
    socket.set_reuse_address(true)?;
    // Connections inherit these two. Replies are written in one piece, so Nagle has nothing to
    // gather.
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
pub fn datagrams(address: SocketAddr, options: BindOptions) -> io::Result<BatchUdp> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM.nonblocking(),
        Some(Protocol::UDP),
    )?;
    bind(&socket, address, options)?;
    BatchUdp::new(socket)
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
