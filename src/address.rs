//! Addresses as people write them: `HOST:PORT`, `:PORT`, `PORT`, `[v6]:PORT`,
//! `[v6%interface]:PORT`, `unix:/path`.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use nix::net::if_::if_nametoindex;

/// The port that is meant where none is named.
pub const DEFAULT_PORT: u16 = 8888;

/// What an address of a Unix socket begins with.
const UNIX: &str = "unix:";

/// Where to listen, as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Over TCP and UDP.
    Inet(HostPort),
    /// At a path: a Unix socket for streams, and one for datagrams beside it.
    Unix(PathBuf),
}

impl Address {
    /// Every address of this host, at a port.
    #[must_use]
    pub const fn any(port: u16) -> Self {
        Self::Inet(HostPort::any(port))
    }

    /// Its host and port, if it has some.
    #[must_use]
    pub const fn inet(&self) -> Option<&HostPort> {
        match self {
            Self::Inet(host_port) => Some(host_port),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(host_port) => host_port.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX) {
            Some("") => Err(format!(
                "the path is missing, as in {UNIX}/run/pingpong.sock"
            )),
            Some(path) if path.starts_with("//") => Err(format!(
                "a path has no host: {UNIX}/{}",
                path.trim_start_matches('/')
            )),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Inet),
        }
    }
}

/// A host and a port, not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an IP address; `None` where only a port was given.
    pub host: Option<String>,
    /// 0 stands for one that the system chooses.
    pub port: u16,
}

impl HostPort {
    /// Every address of this host, at a port.
    #[must_use]
    pub const fn any(port: u16) -> Self {
        Self { host: None, port }
    }

    /// The addresses that the host's name stands for, each once. It may ask name servers, and wait
    /// for them.
    ///
    /// # Errors
    /// The name has no address, or it could not be looked up; `InvalidInput`: an IPv6 address needs
    /// an interface, or names one that this host does not have.
    pub fn resolve(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        if let Some(address) = ipv6_literal(host, self.port)? {
            return Ok(vec![address.into()]);
        }
        let mut addresses = Vec::new();
        for address in (host, self.port).to_socket_addrs()? {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

/// `v6` or `v6%interface`, the interface by its name or number; `None` for any other host.
fn ipv6_literal(host: &str, port: u16) -> io::Result<Option<SocketAddrV6>> {
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
    let (ip, interface) = match host.split_once('%') {
        Some((ip, interface)) => (ip, Some(interface)),
        None => (host, None),
    };
    let Ok(ip) = ip.parse::<Ipv6Addr>() else {
        return Ok(None);
    };
    let scope_id = match interface {
        None if ip.is_unicast_link_local() => return Err(wrong(interface_is_missing(ip))),
        None => 0,
        Some(name) => if_nametoindex(name)
            .or_else(|error| name.parse().map_err(|_| error))
            .map_err(|_| wrong(format!("this host has no network interface '{name}'")))?,
    };
    Ok(Some(SocketAddrV6::new(ip, port, 0, scope_id)))
}

/// Each link has a network of these addresses of its own, RFC 4007.
pub(crate) fn interface_is_missing(ip: Ipv6Addr) -> String {
    format!("a link-local address needs its interface, as in [{ip}%eth0]:{DEFAULT_PORT}")
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_deref().unwrap_or_default();
        let (open, close) = if host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        write!(f, "{open}{host}{close}:{}", self.port)
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A dash is the next option's, whose address was forgotten.
        if text.is_empty() || text.starts_with('-') {
            return Err(format!(
                "the address is missing, such as :{DEFAULT_PORT} or 127.0.0.1:{DEFAULT_PORT}"
            ));
        }
        if let Some((_, address)) = text.split_once("://") {
            return Err(format!("an address has no scheme: {address}"));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest
                .split_once("]:")
                .ok_or("an address in brackets goes on with ]:PORT, as in [::1]:8888")?;
            if host.is_empty() {
                return Err("between the brackets stands an IPv6 address, as in [::1]:8888".into());
            }
            return Ok(Self {
                host: Some(host.into()),
                port: parse_port(port)?,
            });
        }
        match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => Err(format!(
                "an IPv6 address stands in brackets: [{text}]:{DEFAULT_PORT}"
            )),
            Some(("", port)) => Ok(Self::any(parse_port(port)?)),
            Some((host, port)) => Ok(Self {
                host: Some(host.into()),
                port: parse_port(port)?,
            }),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Self::any(parse_port(text)?))
            }
            None => Err(format!("the port is missing: {text}:{DEFAULT_PORT}")),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Err(format!("the port is missing, such as {DEFAULT_PORT}"));
    }
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| is_plain);
    port.ok_or_else(|| format!("'{text}' is no port: it is a number from 0 to 65535"))
}
