//! What a token names.

use crate::reactor::kernel::Token;

/// What a token names. The lowest two bits tell the kind, the others its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Listener(usize),
    Datagrams(usize),
    Connection(usize),
    /// A place of the pages' side.
    Admin(usize),
}

impl Source {
    pub(super) const fn token(self) -> Token {
        Token(match self {
            Self::Listener(index) => index << 2,
            Self::Datagrams(index) => index << 2 | 1,
            Self::Connection(key) => key << 2 | 2,
            Self::Admin(place) => place << 2 | 3,
        })
    }

    pub(super) const fn of(token: Token) -> Self {
        let index = token.0 >> 2;
        match token.0 & 3 {
            0 => Self::Listener(index),
            1 => Self::Datagrams(index),
            2 => Self::Connection(index),
            _ => Self::Admin(index),
        }
    }
}
