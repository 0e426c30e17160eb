//! What carries messages, and where the server's sockets are.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Lines on a TCP connection.
    Tcp,
    /// UDP datagrams.
    Udp,
    /// Lines on a connection of a Unix socket, or its datagrams.
    Unix,
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Unix];

    /// Its name in metrics, logs, URLs and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a socket of the server is. As text it is a URL: `tcp://[::]:8888`, `unix:/run/pingpong`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP listener's address.
    Tcp(SocketAddr),
    /// A UDP socket's address.
    Udp(SocketAddr),
    /// The path of a Unix socket, for streams or for datagrams.
    Unix(PathBuf),
}

impl Endpoint {
    /// What carries messages there.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self {
            Self::Tcp(_) => Transport::Tcp,
            Self::Udp(_) => Transport::Udp,
            Self::Unix(_) => Transport::Unix,
        }
    }

    /// Its IP address and port, if it has one.
    #[must_use]
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(at) | Self::Udp(at) => Some(*at),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(at) => write!(f, "tcp://{at}"),
            Self::Udp(at) => write!(f, "udp://{at}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
