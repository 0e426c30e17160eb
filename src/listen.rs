//! Opening the server's sockets, before the loop starts.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use log::{debug, warn};

use crate::address::{Address, DEFAULT_PORT, HostPort};
use crate::reactor::bind::{self, BindOptions};
use crate::reactor::kernel::Datagrams;
use crate::reactor::sockets::OsDatagrams;
use crate::reactor::sockets::OsListener;
use crate::reactor::unix;
pub use crate::start_error::StartError;
use crate::transport::Endpoint;

/// How many ports are tried for port 0: the one that is free for TCP may be taken for UDP.
const FREE_PORT_TRIES: usize = 16;

/// Which sockets to open.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
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
    /// The UDP sockets' receive buffer; `None` leaves it to the kernel.
    pub udp_buffer_bytes: Option<usize>,
    /// The addresses need not be on an interface yet.
    pub freebind: bool,
    /// The permissions of Unix sockets, as in chmod(2).
    pub unix_mode: u32,
}

impl Default for Listen {
    /// What the command line has where nothing is given.
    fn default() -> Self {
        Self {
            addresses: vec![Address::any(DEFAULT_PORT)],
            tcp: true,
            udp: true,
            reuse_port: false,
            backlog: 4096,
            udp_buffer_bytes: None,
            freebind: false,
            unix_mode: 0o666,
        }
    }
}

/// The server's sockets, each with the address that it is bound to.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For connections.
    pub listeners: Vec<(OsListener, Endpoint)>,
    /// For datagrams.
    pub datagrams: Vec<(OsDatagrams, Endpoint)>,
}

impl Sockets {
    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.datagrams.is_empty()
    }

    fn append(&mut self, mut more: Self) {
        self.listeners.append(&mut more.listeners);
        self.datagrams.append(&mut more.datagrams);
    }

    /// The address of a socket of either kind that has what `at` asks for.
    fn overlapping(&self, at: SocketAddr) -> Option<SocketAddr> {
        let taken = self.endpoints().filter_map(Endpoint::socket_addr);
        taken.into_iter().find(|taken| overlap(*taken, at))
    }

    /// Where each socket is.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let listeners = self.listeners.iter().map(|(_, at)| at);
        listeners.chain(self.datagrams.iter().map(|(_, at)| at))
    }
}

/// A socket that could not be opened.
struct NotOpened {
    url: String,
    at: SocketAddr,
    error: io::Error,
}

/// Opens every socket.
///
/// # Errors
/// A name that is not known, or an address that cannot be had.
pub fn open(listen: &Listen) -> Result<Sockets, StartError> {
    let mut served: Vec<(&HostPort, Sockets)> = Vec::new();
    let mut sockets = Sockets::default();
    for address in &listen.addresses {
        match address {
            Address::Inet(address) => {
                let opened = open_address(listen, address, &served)?;
                served.push((address, opened));
            }
            Address::Unix(path) => sockets.append(open_unix(listen, path)?),
        }
    }
    for (_, opened) in served {
        sockets.append(opened);
    }
    Ok(sockets)
}

/// Opens the listeners for the pages of `--admin`: TCP, or a Unix socket for streams.
///
/// # Errors
/// As [`open`].
#[cfg(feature = "admin")]
pub fn open_admin(listen: &Listen, address: &Address) -> Result<Sockets, StartError> {
    let listen = Listen {
        addresses: vec![address.clone()],
        tcp: true,
        udp: false,
        ..listen.clone()
    };
    match address {
        Address::Inet(_) => open(&listen),
        Address::Unix(path) => open_unix_streams(&listen, path),
    }
}

fn open_unix_streams(listen: &Listen, path: &Path) -> Result<Sockets, StartError> {
    let listener = unix::listener(path, listen.unix_mode, listen.backlog)
        .map_err(|error| StartError::unix_not_opened(path, &error))?;
    Ok(Sockets {
        listeners: vec![(listener, Endpoint::Unix(path.to_owned()))],
        datagrams: Vec::new(),
    })
}

/// The socket for streams is at the path itself, and that for datagrams beside it.
fn open_unix(listen: &Listen, path: &Path) -> Result<Sockets, StartError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(unix::DATAGRAM_SUFFIX);
    let beside = PathBuf::from(beside);
    let mut sockets = open_unix_streams(listen, path)?;
    let datagrams = unix::datagrams(&beside, listen.unix_mode)
        .map_err(|error| StartError::unix_not_opened(&beside, &error))?;
    let datagrams = OsDatagrams::Unix(Box::new(datagrams));
    sockets.datagrams.push((datagrams, Endpoint::Unix(beside)));
    Ok(sockets)
}

fn open_address(
    listen: &Listen,
    address: &HostPort,
    served: &[(&HostPort, Sockets)],
) -> Result<Sockets, StartError> {
    let candidates =
        candidates(address).map_err(|error| StartError::no_such_host(address, &error))?;
    let mut tries = 0;
    loop {
        tries += 1;
        match open_candidates(listen, address, &candidates) {
            Err(failure)
                if failure.error.kind() == io::ErrorKind::AddrInUse
                    && address.port == 0
                    && tries < FREE_PORT_TRIES => {}
            Err(failure) => return Err(explain(listen, address, served, &failure)),
            Ok(sockets) => return Ok(sockets),
        }
    }
}

/// Where an address is in use, it may be this very command line that uses it.
fn explain(
    listen: &Listen,
    address: &HostPort,
    served: &[(&HostPort, Sockets)],
    NotOpened { url, at, error }: &NotOpened,
) -> StartError {
    let taken = served.iter().find_map(|(other, sockets)| {
        let taken = sockets.overlapping(*at)?;
        (error.kind() == io::ErrorKind::AddrInUse).then_some((other, taken))
    });
    let Some((other, taken)) = taken else {
        return StartError::not_opened(url, *at, error, listen.reuse_port);
    };
    let why = if *other == address {
        format!("--listen {address} is given twice: once is enough")
    } else if taken.ip() == at.ip() {
        format!("--listen {other} is the same address: leave one of the two out")
    } else if taken.ip().is_unspecified() {
        format!("--listen {other} includes it: leave --listen {address} out")
    } else {
        format!("it includes --listen {other}: leave that out")
    };
    StartError::told(format!("cannot listen on {url}: {why}"))
}

/// Whether two sockets cannot be bound beside each other: one port, and one address or a wildcard
/// that has it in it. `[::]` has all of IPv4 too, if it could be told to.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let has = |wildcard: IpAddr, ip: IpAddr| {
        wildcard.is_unspecified() && (wildcard.is_ipv6() || ip.is_ipv4())
    };
    one.port() == other.port()
        && (one == other || has(one.ip(), other.ip()) || has(other.ip(), one.ip()))
}

/// The addresses to bind. Nothing but a port stands for the IPv6 wildcard, which takes IPv4 traffic
/// too, or the IPv4 one where this host has no IPv6.
fn candidates(address: &HostPort) -> io::Result<Vec<SocketAddr>> {
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
    address: &HostPort,
    candidates: &[SocketAddr],
) -> Result<Sockets, NotOpened> {
    let mut sockets = Sockets::default();
    let mut missing = Vec::new();
    let mut port = address.port;
    for candidate in candidates {
        let mut at = *candidate;
        at.set_port(port);
        match open_both(listen, at) {
            Ok((bound, opened)) => {
                port = bound.port();
                sockets.append(opened);
            }
            // Served already: a name for both a wildcard and an address, or an IPv6 wildcard that
            // could not be asked whether it takes IPv4 traffic too.
            Err(failure)
                if failure.error.kind() == io::ErrorKind::AddrInUse
                    && sockets.overlapping(failure.at).is_some() => {}
            Err(failure) if is_missing(&failure.error) => missing.push(failure),
            Err(failure) => return Err(failure),
        }
        // The IPv4 wildcard is for where the IPv6 one is missing, or takes IPv6 alone.
        if address.host.is_none() && !sockets.is_empty() && bind::has_dual_stack() {
            break;
        }
    }
    if sockets.is_empty()
        && let Some(failure) = missing.pop()
    {
        return Err(failure);
    }
    for NotOpened { url, error, .. } in missing {
        match address.host {
            Some(_) => warn!("not listening on {url}: {error}"),
            None => debug!("not listening on {url}: {error}"),
        }
    }
    Ok(sockets)
}

/// This host has no such address, or no such protocol, or does not let this process have it: a
/// policy that refuses IPv6 does so by EACCES or EPERM.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::PermissionDenied
    ) || rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::AFNOSUPPORT)
}

/// Opens what is asked for at one address: all of it, or nothing.
fn open_both(listen: &Listen, mut at: SocketAddr) -> Result<(SocketAddr, Sockets), NotOpened> {
    let mut sockets = Sockets::default();
    let has_ipv4_of_its_own = listen
        .addresses
        .iter()
        .filter_map(Address::inet)
        .any(|other| takes_ipv4_wildcard(other, at.port()));
    let options = BindOptions {
        dual_stack: !has_ipv4_of_its_own,
        reuse_port: listen.reuse_port,
        freebind: listen.freebind,
        backlog: listen.backlog,
        receive_buffer_bytes: listen.udp_buffer_bytes,
    };
    let not_opened = |transport: &str, at| {
        let url = format!("{transport}://{at}");
        move |error| NotOpened { url, at, error }
    };
    if listen.tcp {
        let listener = bind::tcp_listener(at, options).map_err(not_opened("tcp", at))?;
        at = listener.local_addr().map_err(not_opened("tcp", at))?;
        sockets.listeners.push((listener, Endpoint::Tcp(at)));
    }
    if listen.udp {
        let datagrams = bind::datagrams(at, options).map_err(not_opened("udp", at))?;
        at = datagrams.local_addr().map_err(not_opened("udp", at))?;
        sockets
            .datagrams
            .push((OsDatagrams::Udp(datagrams), Endpoint::Udp(at)));
    }
    Ok((at, sockets))
}

/// `--listen 0.0.0.0:PORT` beside `--listen [::]:PORT` has the IPv4 traffic for itself.
fn takes_ipv4_wildcard(address: &HostPort, port: u16) -> bool {
    address.port == port
        && address
            .host
            .as_deref()
            .is_some_and(|host| host.parse() == Ok(Ipv4Addr::UNSPECIFIED))
}
