//! Why a connection or a socket fails.

use std::io;

use crate::reactor::attempt::{is_exhaustion, is_reset};

/// Why it cannot go on.
#[derive(Debug)]
pub(super) enum Failure {
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
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Other(error) => Some(error.to_string()),
            Self::Refused | Self::Reset | Self::Closed | Self::EndlessLine => None,
        }
    }

    /// Another address of the same name may do better.
    pub(super) fn is_about_the_address(&self) -> bool {
        match self {
            Self::Refused => true,
            Self::Other(error) => !is_exhaustion(error),
            Self::Reset | Self::Closed | Self::EndlessLine => false,
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
