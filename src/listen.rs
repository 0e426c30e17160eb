//! Opening the server's sockets, before the loop starts.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use log::warn;
use mio::net::TcpListener;

use crate::address::Address;
use crate::reactor::batch_udp::BatchUdp;
use crate::reactor::bind::{self, BindOptions};
use crate::reactor::kernel::Datagrams;

/// How many ports are tried for port 0: the one that is free for TCP may be taken for UDP.
const FREE_PORT_TRIES: usize = 16;

/// Which sockets to open.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where.
    pub addresses: Vec<Address>,
    /// Serve TCP.
    pub tcp: bool,
    /// Serve UDP.
    pub udp: bool,
    /// Several processes share the port.
    pub reuse_port: bool,
    /// How many connections wait for accept.
    pub backlog: i32,
}

/// The server's sockets, each with the address that it is bound to.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For TCP.
    pub listeners: Vec<(TcpListener, SocketAddr)>,
    /// For UDP.
    pub datagrams: Vec<(BatchUdp, SocketAddr)>,
}

impl Sockets {
    fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.datagrams.is_empty()
    }

    /// Each socket as a URL.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        let tcp = self.listeners.iter().map(|(_, at)| format!("tcp://{at}"));
        let udp = self.datagrams.iter().map(|(_, at)| format!("udp://{at}"));
        tcp.chain(udp)
    }
}

/// Why the server could not start: what, and what to do about it.
#[derive(Debug)]
pub struct StartError(String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StartError {
    fn unknown_host(address: &Address, error: &io::Error) -> Self {
        Self(format!(
            "cannot look up {address}: {error}; check the name, or give an IP address with --listen"
        ))
    }

    /// What could not be done, and the system's reason.
    #[must_use]
    pub fn new(what: &str, error: &io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; stop the program that has it, choose another port with --listen, \
                 or share it with --reuse-port"
            }
            io::ErrorKind::PermissionDenied => {
                "; ports below 1024 are for root or CAP_NET_BIND_SERVICE: \
                 choose another with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "; this host has no such address: choose another with --listen"
            }
            _ => "",
        };
        Self(format!("{what}: {error}{advice}"))
    }
}

/// Opens every socket.
///
/// # Errors
/// A name that is not known, or an address that cannot be had.
pub fn open(listen: &Listen) -> Result<Sockets, StartError> {
    let mut sockets = Sockets::default();
    for address in &listen.addresses {
        let mut opened = open_address(listen, address)?;
        sockets.listeners.append(&mut opened.listeners);
        sockets.datagrams.append(&mut opened.datagrams);
    }
    Ok(sockets)
}

fn open_address(listen: &Listen, address: &Address) -> Result<Sockets, StartError> {
    let candidates =
        candidates(address).map_err(|error| StartError::unknown_host(address, &error))?;
    let mut tries = 0;
    loop {
        tries += 1;
        match open_candidates(listen, address, &candidates) {
            Err((_, error))
                if error.kind() == io::ErrorKind::AddrInUse
                    && address.port == 0
                    && tries < FREE_PORT_TRIES => {}
            Err((url, error)) => {
                return Err(StartError::new(&format!("cannot listen on {url}"), &error));
            }
            Ok(sockets) => return Ok(sockets),
        }
    }
}

/// The addresses to bind. Nothing but a port stands for the IPv6 wildcard, which takes IPv4 traffic
/// too, or the IPv4 one where this host has no IPv6.
fn candidates(address: &Address) -> io::Result<Vec<SocketAddr>> {
    match &address.host {
        Some(host) => address.resolve(host),
        None => Ok([
            IpAddr::from(Ipv6Addr::UNSPECIFIED),
            IpAddr::from(Ipv4Addr::UNSPECIFIED),
        ]
        .map(|ip| SocketAddr::new(ip, address.port))
        .to_vec()),
    }
}

/// Opens both transports of every candidate, all at one port. A name may stand for an address that
/// this host has not (::1 where IPv6 is off); one that works is enough.
fn open_candidates(
    listen: &Listen,
    address: &Address,
    candidates: &[SocketAddr],
) -> Result<Sockets, (String, io::Error)> {
    let mut sockets = Sockets::default();
    let mut missing = None;
    let mut port = address.port;
    for candidate in candidates {
        let mut at = *candidate;
        at.set_port(port);
        match open_both(listen, at, &mut sockets) {
            Ok(bound) => port = bound.port(),
            Err((url, error)) if is_missing(&error) => missing = Some((url, error)),
            Err(failure) => return Err(failure),
        }
        // The IPv4 wildcard is for where the IPv6 one is missing.
        if address.host.is_none() && !sockets.is_empty() {
            return Ok(sockets);
        }
    }
    match missing {
        Some(failure) if sockets.is_empty() => Err(failure),
        Some((url, error)) => {
            warn!("not listening on {url}: {error}");
            Ok(sockets)
        }
        None => Ok(sockets),
    }
}

/// This host has no such address, or no such protocol at all.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::AFNOSUPPORT)
}

fn open_both(
    listen: &Listen,
    mut at: SocketAddr,
    sockets: &mut Sockets,
) -> Result<SocketAddr, (String, io::Error)> {
    let options = BindOptions {
        dual_stack: !listen
            .addresses
            .iter()
            .any(|other| takes_ipv4_wildcard(other, at.port())),
        reuse_port: listen.reuse_port,
        backlog: listen.backlog,
    };
    if listen.tcp {
        let listener =
            bind::tcp_listener(at, options).map_err(|error| (format!("tcp://{at}"), error))?;
        at = listener
            .local_addr()
            .map_err(|error| (format!("tcp://{at}"), error))?;
        sockets.listeners.push((listener, at));
    }
    if listen.udp {
        let datagrams =
            bind::datagrams(at, options).map_err(|error| (format!("udp://{at}"), error))?;
        at = datagrams
            .local_addr()
            .map_err(|error| (format!("udp://{at}"), error))?;
        sockets.datagrams.push((datagrams, at));
    }
    Ok(at)
}

/// `--listen 0.0.0.0:PORT` beside `--listen [::]:PORT` has the IPv4 traffic for itself.
fn takes_ipv4_wildcard(address: &Address, port: u16) -> bool {
    address.port == port
        && address
            .host
            .as_deref()
            .is_some_and(|host| host.parse() == Ok(Ipv4Addr::UNSPECIFIED))
}
