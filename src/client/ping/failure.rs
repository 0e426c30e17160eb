//! Why a link fails.

use std::io;

use crate::reactor::attempt::is_reset;

/// Why a link cannot go on.
#[derive(Debug)]
pub enum Failure {
    /// Nobody listens there.
    Refused,
    /// The peer tore the connection down.
    Reset,
    /// The peer closed the connection, perhaps within a reply.
    Closed,
    /// More came without a line's end than any reply is long.
    EndlessLine,
    /// The kernel says why.
    Other(io::Error),
}

impl Failure {
    /// What the kernel says, where that is all there is to say.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Other(error) => Some(error.to_string()),
            Self::Refused | Self::Reset | Self::Closed | Self::EndlessLine => None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ if is_reset(&error) => Self::Reset,
            _ => Self::Other(error),
        }
    }
}
