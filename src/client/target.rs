//! The peer that a client is pointed at: `HOST`, `HOST:PORT`, `:PORT`, `PORT`, `[v6]` or
//! `[v6]:PORT`.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::address::{Address, DEFAULT_PORT};

/// The host that is meant where only a port is named.
const DEFAULT_HOST: &str = "localhost";

/// A host and a port, not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Address);

impl Target {
    /// Every address of the target, in the order in which to try them. It may ask name servers, and
    /// wait.
    ///
    /// # Errors
    /// The name has no address, or it could not be looked up.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        self.0
            .resolve(self.0.host.as_deref().unwrap_or(DEFAULT_HOST))
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_port = text.bytes().all(|byte| byte.is_ascii_digit());
        let is_bare_v6 = text.starts_with('[') && text.ends_with(']');
        let address: Address = if is_bare_v6 || !(is_port || text.contains(':')) {
            format!("{text}:{DEFAULT_PORT}").parse()?
        } else {
            text.parse()?
        };
        match address {
            Address {
                host: Some(host), ..
            } if host.is_empty() => Err("the host is missing".into()),
            Address { port: 0, .. } => Err("nobody can be reached at port 0".into()),
            address => Ok(Self(address)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.host {
            None => write!(f, "{DEFAULT_HOST}{}", self.0),
            Some(_) => self.0.fmt(f),
        }
    }
}
