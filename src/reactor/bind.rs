//! Opening the sockets, with the options that neither std nor mio sets.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use log::debug;
use mio::net::TcpListener;
use rustix::net::sockopt::{set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
use socket2::{Domain, Protocol, Socket, Type};

use super::batch_udp::BatchUdp;

/// Keepalive, tcp(7): how long a connection is silent until the kernel asks whether the peer is
/// still there, how long it waits for an answer, and how often it asks. A dead peer is found after
/// four minutes, before the default `--idle-timeout`, where the kernel's own values take more than
/// two hours. One that lives answers a packet every two minutes: few enough for a battery, often
/// enough for the state of most firewalls on the way.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(120);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// See [`KEEPALIVE_IDLE`].
pub const KEEPALIVE_PROBES: u32 = 8;

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

/// Opens a TCP listener. An option that the kernel refuses is done without, unless it was asked
/// for.
///
/// # Errors
/// As socket(2), bind(2) and listen(2); `SO_REUSEPORT` was asked for and is not to be had.
pub fn tcp_listener(address: SocketAddr, options: BindOptions) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the last run's connections to leave TIME_WAIT. On UDP the same
    // option would let another process take the port over, so there it stays off.
    do_without("SO_REUSEADDR", socket.set_reuse_address(true));
    // Connections inherit all that follow. Replies are written in one piece, so Nagle has nothing
    // to gather.
    do_without("TCP_NODELAY", socket.set_tcp_nodelay(true));
    // A byte sent as urgent stays in its place in the stream, as a message's byte that it is.
    do_without("SO_OOBINLINE", socket.set_out_of_band_inline(true));
    // A peer that has vanished is found also where no idle timeout asks for it. TCP_USER_TIMEOUT
    // stays off: it would end a peer that lives and does not read.
    do_without("SO_KEEPALIVE", socket.set_keepalive(true));
    let probes = set_tcp_keepcnt(&socket, KEEPALIVE_PROBES);
    do_without("TCP_KEEPCNT", probes.map_err(Into::into));
    let idle = set_tcp_keepidle(&socket, KEEPALIVE_IDLE);
    do_without("TCP_KEEPIDLE", idle.map_err(Into::into));
    let interval = set_tcp_keepintvl(&socket, KEEPALIVE_INTERVAL);
    do_without("TCP_KEEPINTVL", interval.map_err(Into::into));
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

/// Whether an IPv6 wildcard can be had that takes IPv4 traffic too; false where that cannot be
/// found out.
#[must_use]
pub fn has_dual_stack() -> bool {
    Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).is_ok_and(|socket| {
        // Refused or not, what counts is what holds then.
        let _ = socket.set_only_v6(false);
        socket.only_v6().is_ok_and(|only_v6| !only_v6)
    })
}

fn bind(socket: &Socket, address: SocketAddr, options: BindOptions) -> io::Result<()> {
    if address.is_ipv6() {
        do_without("IPV6_V6ONLY", socket.set_only_v6(!options.dual_stack));
    }
    if options.reuse_port {
        socket
            .set_reuse_port(true)
            .map_err(|error| io::Error::other(format!("{error}; leave --reuse-port out")))?;
    }
    socket.bind(&address.into())
}

/// Takes note of an option that this kernel, or who watches over it, does not let anybody set.
fn do_without(option: &str, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        debug!("setsockopt {option}: {error}; going on without");
    }
}
