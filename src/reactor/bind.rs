//! Opening the sockets, with the options that neither std nor mio sets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use log::{debug, warn};
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, set_ip_mtu_discover, set_socket_recv_buffer_size,
    set_socket_recv_buffer_size_force, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::batch_udp::{BatchUdp, Nature};
use super::drop_count::DropCount;
use super::sockets::OsListener;

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
    /// The address need not be on an interface yet: `IP_FREEBIND`, ip(7).
    pub freebind: bool,
    /// How many connections wait for accept, at most; the kernel cuts it to `net.core.somaxconn`.
    pub backlog: i32,
    /// The datagram sockets' receive buffer; `None` leaves it to the kernel.
    pub receive_buffer_bytes: Option<usize>,
}

/// Where nothing is sent to: a connect(2) of UDP asks for a route and no more.
const PROBE_PORT: u16 = 9;

/// Opens a TCP listener. An option that the kernel refuses is done without, unless it was asked
/// for.
///
/// # Errors
/// As socket(2), bind(2) and listen(2); an option that was asked for is not to be had.
pub fn tcp_listener(address: SocketAddr, options: BindOptions) -> io::Result<OsListener> {
    let socket = tcp_socket(address)?;
    // A restart must not wait for the last run's connections to leave TIME_WAIT. On UDP the same
    // option would let another process take the port over, so there it stays off.
    do_without("SO_REUSEADDR", socket.set_reuse_address(true));
    // Connections inherit all of these.
    set_stream_options(&socket);
    bind(&socket, address, options)?;
    socket.listen(options.backlog)?;
    Ok(OsListener::new(socket))
}

/// A TCP socket that does not block.
pub(super) fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )
}

/// What every connection over TCP has where the kernel lets it.
pub(super) fn set_stream_options(socket: &Socket) {
    // Replies are written in one piece, so Nagle has nothing to gather.
    do_without("TCP_NODELAY", socket.set_tcp_nodelay(true));
    // A byte sent as urgent stays in its place in the stream, as a message's byte that it is.
    do_without("SO_OOBINLINE", socket.set_out_of_band_inline(true));
    // A peer that has vanished is found also where no idle timeout asks for it. TCP_USER_TIMEOUT
    // stays off: it would end a peer that lives and does not read.
    do_without("SO_KEEPALIVE", socket.set_keepalive(true));
    let probes = set_tcp_keepcnt(socket, KEEPALIVE_PROBES);
    do_without("TCP_KEEPCNT", probes.map_err(Into::into));
    let idle = set_tcp_keepidle(socket, KEEPALIVE_IDLE);
    do_without("TCP_KEEPIDLE", idle.map_err(Into::into));
    let interval = set_tcp_keepintvl(socket, KEEPALIVE_INTERVAL);
    do_without("TCP_KEEPINTVL", interval.map_err(Into::into));
}

/// A TCP listener that somebody else has opened. What waits in its backlog has the options that it
/// had when it came.
#[must_use]
pub fn adopt_tcp(socket: Socket) -> OsListener {
    let had_options = socket.tcp_nodelay().unwrap_or(false);
    set_stream_options(&socket);
    OsListener::new(socket).setting_options(!had_options)
}

/// A UDP socket that somebody else has opened and bound to `address`.
///
/// # Errors
/// As [`datagrams`].
pub fn adopt_udp(
    socket: Socket,
    address: SocketAddr,
    options: BindOptions,
) -> io::Result<BatchUdp> {
    let options = BindOptions {
        dual_stack: address.is_ipv6() && !socket.only_v6().unwrap_or(true),
        ..options
    };
    prepare_udp(&socket, address, options)?;
    Ok(batch_udp(socket, address))
}

/// Opens a UDP socket for a server, with GRO and GSO where the kernel has them.
///
/// Only what a promise needs is an error: on a wildcard, the address that each datagram was sent
/// to, as a reply leaves from there. All else is told at debug and done without.
///
/// # Errors
/// As socket(2), bind(2) and setsockopt(2).
pub fn datagrams(address: SocketAddr, options: BindOptions) -> io::Result<BatchUdp> {
    let socket = open_udp(address)?;
    prepare_udp(&socket, address, options)?;
    bind(&socket, address, options)?;
    Ok(batch_udp(socket, address))
}

/// What a server's UDP socket has.
fn prepare_udp(socket: &Socket, address: SocketAddr, options: BindOptions) -> io::Result<()> {
    let is_wildcard = address.ip().to_canonical().is_unspecified();
    let takes_v4 = address.ip().to_canonical().is_ipv4() || (is_wildcard && options.dual_stack);
    if is_wildcard {
        ask_for_hits(socket, address, takes_v4)?;
    }
    set_options(socket, takes_v4);
    if let Some(bytes) = options.receive_buffer_bytes {
        set_receive_buffer(socket, address, bytes);
    }
    Ok(())
}

/// A socket that is bound.
fn batch_udp(socket: Socket, address: SocketAddr) -> BatchUdp {
    if address.is_ipv6() && address.ip().to_canonical().is_unspecified() {
        // Replies leave from an address that is routed to this host and on none of its interfaces
        // (AnyIP). Not before bind(2), which would then take any address.
        do_without("IPV6_FREEBIND", socket.set_freebind_v6(true));
    }
    let drop_count = drop_count(&socket, address.is_ipv6());
    let nature = Nature {
        has_gso: has_gso(&socket),
        hears_errors: false,
        shared: Some(address.ip()).filter(|ip| is_shared(*ip)),
    };
    BatchUdp::new(socket, nature, drop_count)
}

/// The kernel's own table tells at once what it drops. Where that is not to be seen (no /proc, or that of
/// another network), the kernel is asked to tell it with the next datagram.
fn drop_count(socket: &Socket, is_ipv6: bool) -> Option<DropCount> {
    let counted = DropCount::new(socket, is_ipv6).and_then(|mut count| {
        let is_known = count.read().is_some();
        is_known
            .then_some(count)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    });
    if let Err(error) = &counted {
        debug!("the kernel's drops are told by the next datagram: {error}");
        let asked = setsockopt(socket, sockopt::RxqOvfl, &1);
        do_without("SO_RXQ_OVFL", asked.map_err(Into::into));
    }
    counted.ok()
}

/// Opens a UDP socket for a client, which knows whom it asks from where.
///
/// # Errors
/// As socket(2) and bind(2).
pub fn client_datagrams(address: SocketAddr) -> io::Result<BatchUdp> {
    let socket = open_udp(address)?;
    set_options(&socket, address.is_ipv4());
    bind(&socket, address, BindOptions::default())?;
    let nature = Nature {
        has_gso: has_gso(&socket),
        hears_errors: hear_errors(&socket, address),
        shared: None,
    };
    Ok(BatchUdp::new(socket, nature, None))
}

fn open_udp(address: SocketAddr) -> io::Result<Socket> {
    Socket::new(
        Domain::for_address(address),
        Type::DGRAM.nonblocking(),
        Some(Protocol::UDP),
    )
}

/// Has the kernel tell with each datagram where it was sent to.
fn ask_for_hits(socket: &Socket, address: SocketAddr, takes_v4: bool) -> io::Result<()> {
    let needed = |option: &str, error: nix::Error| {
        let why = "so no reply could leave from the address that was asked";
        io::Error::other(format!(
            "{option}: {error}, {why}; give each address of its own with --listen"
        ))
    };
    let ask_v4 = || setsockopt(socket, sockopt::Ipv4PacketInfo, &true);
    if address.is_ipv4() {
        return ask_v4().map_err(|error| needed("IP_PKTINFO", error));
    }
    setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)
        .map_err(|error| needed("IPV6_RECVPKTINFO", error))?;
    if takes_v4 {
        // IPv4 in the IPv6 form has the address too, but not whether it is a broadcast one.
        do_without("IP_PKTINFO", ask_v4().map_err(Into::into));
    }
    Ok(())
}

/// What every datagram socket has where the kernel lets it.
fn set_options(socket: &Socket, takes_v4: bool) {
    let gro = setsockopt(socket, sockopt::UdpGroSegment, &true);
    do_without("UDP_GRO", gro.map_err(Into::into));
    if takes_v4 {
        // Without DF, as its ping may have come: a router with a narrower link cuts it up, where
        // otherwise it would be lost if the router's word about it is (RFC 2923 section 2.1).
        let may_be_cut = set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT);
        do_without("IP_MTU_DISCOVER", may_be_cut.map_err(Into::into));
    }
}

/// Has the kernel keep what the network says of datagrams that were sent, which it otherwise tells
/// connected sockets only: ip(7). Says whether it does.
fn hear_errors(socket: &Socket, address: SocketAddr) -> bool {
    let (option, outcome) = match address {
        SocketAddr::V4(_) => (
            "IP_RECVERR",
            setsockopt(socket, sockopt::Ipv4RecvErr, &true),
        ),
        SocketAddr::V6(_) => (
            "IPV6_RECVERR",
            setsockopt(socket, sockopt::Ipv6RecvErr, &true),
        ),
    };
    let hears_errors = outcome.is_ok();
    do_without(option, outcome.map_err(Into::into));
    hears_errors
}

/// Whether UDP_SEGMENT is known: udp(7).
fn has_gso(socket: &Socket) -> bool {
    let known = getsockopt(socket, sockopt::UdpGsoSegment);
    let has_gso = known.is_ok();
    if let Err(error) = known {
        debug!("getsockopt UDP_SEGMENT: {error}; going on without");
    }
    has_gso
}

/// As large as asked, and that is told where it is not. The kernel gives twice that, for its own
/// needs: socket(7).
fn set_receive_buffer(socket: &Socket, address: SocketAddr, bytes: usize) {
    let forced = set_socket_recv_buffer_size_force(socket, bytes);
    let outcome = forced.or_else(|_| set_socket_recv_buffer_size(socket, bytes));
    let got = socket.recv_buffer_size().unwrap_or_default() / 2;
    if let Err(error) = outcome {
        warn!("udp://{address}: receive buffer of {got} bytes instead of {bytes}: {error}");
    } else if got < bytes {
        warn!(
            "udp://{address}: receive buffer of {got} bytes instead of {bytes}: \
             net.core.rmem_max allows no more"
        );
    }
}

/// Whether this is the address of many hosts. Only a route tells of a subnet's broadcast address:
/// connect(2) refuses it with EACCES.
fn is_shared(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) if v4.is_unspecified() => false,
        IpAddr::V4(v4) => {
            let any = (Ipv4Addr::UNSPECIFIED, 0);
            let probe = UdpSocket::bind(any).and_then(|probe| probe.connect((v4, PROBE_PORT)));
            v4.is_multicast()
                || probe.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        }
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// Whether an address is this host's own; true where that cannot be found out.
///
/// bind(2) takes no other, but for what net.ipv4.ip_nonlocal_bind and its IPv6 twin let it. What
/// they do not change: an IPv4 route from an address exists only if that is this host's own, and of
/// all IPv6 addresses that this host has, the one to ask itself from is itself (RFC 6724, rule 1).
pub fn is_local(address: SocketAddr) -> bool {
    let found = match (address.ip().to_canonical(), address) {
        (IpAddr::V6(ip), SocketAddr::V6(v6)) => {
            let peer = SocketAddrV6::new(ip, PROBE_PORT, 0, v6.scope_id());
            UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).map(|probe| {
                let local = probe.connect(peer).and_then(|()| probe.local_addr());
                local.is_ok_and(|local| local.ip() == IpAddr::V6(ip))
            })
        }
        (ip, _) => UdpSocket::bind((ip, 0)).map(|probe| probe.connect((ip, PROBE_PORT)).is_ok()),
    };
    match found {
        Ok(is_local) => is_local,
        Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
    }
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
    if options.freebind {
        let outcome = match address {
            SocketAddr::V4(_) => socket.set_freebind_v4(true),
            SocketAddr::V6(_) => socket.set_freebind_v6(true),
        };
        outcome.map_err(|error| io::Error::other(format!("{error}; leave --freebind out")))?;
    }
    socket.bind(&address.into())
}

/// Takes note of an option that this kernel, or who watches over it, does not let anybody set.
fn do_without(option: &str, outcome: io::Result<()>) {
    if let Err(error) = outcome {
        debug!("setsockopt {option}: {error}; going on without");
    }
}
