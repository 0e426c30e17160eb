//! Whom a client talks to: `HOST`, `HOST:PORT`, `:PORT`, `PORT`, `[v6]:PORT`.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::address::{DEFAULT_PORT, HostPort};

/// How many addresses of one name are tried, at most.
pub const ADDRESSES_MAX: usize = 8;

/// The host that is meant where none is named.
const LOCALHOST: &str = "localhost";

/// Which addresses of a name will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Whatever there is, in the order in which the system's resolver prefers it.
    #[default]
    Any,
    /// IPv4 only: `-4`.
    V4,
    /// IPv6 only: `-6`.
    V6,
}

impl Family {
    const fn takes(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Any => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// A host and a port, not looked up yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// Never 0: nobody listens there.
    pub port: u16,
}

impl Target {
    /// The addresses that the host's name stands for, in the order to try them; at least one. It
    /// may ask name servers, and wait for them.
    ///
    /// # Errors
    /// The name is not known, or has no address of this family.
    pub fn resolve(&self, family: Family) -> io::Result<Vec<SocketAddr>> {
        let mut addresses = HostPort::any(self.port).resolve(&self.host)?;
        addresses.retain(|address| family.takes(address));
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() {
            return Err(io::Error::other(format!(
                "it has no {} address",
                family.name()
            )));
        }
        Ok(addresses)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = Some(self.host.clone());
        HostPort {
            host,
            port: self.port,
        }
        .fmt(f)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("unix:") {
            let instead = "socat - UNIX-CONNECT:/path";
            return Err(format!(
                "Unix sockets are no targets of this version; {instead} is"
            ));
        }
        let HostPort { host, port } = match bare_host(text) {
            Some(host) => HostPort {
                host: Some(host.to_owned()),
                port: DEFAULT_PORT,
            },
            None => text.parse()?,
        };
        let host = host.unwrap_or_else(|| LOCALHOST.to_owned());
        match (host.as_str(), port) {
            ("", _) => Err("the host is missing".into()),
            (_, 0) => Err("nobody can listen on port 0".into()),
            _ => Ok(Self { host, port }),
        }
    }
}

/// A target that is nothing but a host: `HOST`, `v6` or `[v6]`.
fn bare_host(text: &str) -> Option<&str> {
    if let Some(inside) = text.strip_prefix('[') {
        return inside.strip_suffix(']');
    }
    // What follows a % names the interface of a link-local address.
    let is_v6 = text
        .split('%')
        .next()
        .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    let is_name = !text.contains(':') && text.bytes().any(|byte| !byte.is_ascii_digit());
    (is_v6 || is_name).then_some(text)
}
