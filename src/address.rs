//! Addresses as people write them: `HOST:PORT`, `:PORT`, `PORT`, `[v6]:PORT`.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// The port that is meant where none is named.
pub const DEFAULT_PORT: u16 = 8888;

/// A host and a port, not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address; `None` where only a port was given.
    pub host: Option<String>,
    /// 0 stands for one that the system chooses.
    pub port: u16,
}

impl Address {
    /// Every address of this host, at a port.
    #[must_use]
    pub const fn any(port: u16) -> Self {
        Self { host: None, port }
    }

    /// The addresses that the host's name stands for, each once. It may ask name servers, and wait
    /// for them.
    ///
    /// # Errors
    /// The name has no address, or it could not be looked up.
    pub fn resolve(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for address in (host, self.port).to_socket_addrs()? {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }
}

impl fmt::Display for Address {
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

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("unix:") {
            return Err("Unix sockets are not served by this version".into());
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
    text.parse()
        .map_err(|_| format!("'{text}' is no port: it is a number from 0 to 65535"))
}
