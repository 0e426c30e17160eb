//! Which address of a name answers. Pure.
//!
//! Not every address of a name need be served: localhost is often two. As long as none has
//! answered, the next one is tried when one refuses, or says nothing for [`PATIENCE`] (in the spirit
//! of RFC 8305); once one has, it stays with that.

use std::net::SocketAddr;
use std::time::Duration;

/// How long one of several addresses has to answer before the next is tried beside it: RFC 8305
/// section 5 calls it the Connection Attempt Delay, and recommends this.
pub const PATIENCE: Duration = Duration::from_millis(250);

/// The addresses of one name, in the order in which to try them.
#[derive(Clone, Debug)]
pub struct Candidates {
    addresses: Vec<SocketAddr>,
    /// Which of them is tried, or in use.
    current: usize,
    is_settled: bool,
}

impl Candidates {
    /// None of them has been tried. There has to be at least one.
    #[must_use]
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        debug_assert!(!addresses.is_empty());
        Self {
            is_settled: addresses.len() < 2,
            addresses,
            current: 0,
        }
    }

    /// The address that is tried, or in use.
    #[must_use]
    pub fn current(&self) -> SocketAddr {
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        self.addresses.get(self.current).copied().unwrap_or(nobody)
    }

    /// There are several, and none of them has answered.
    #[must_use]
    pub fn is_searching(&self) -> bool {
        !self.is_settled
    }

    /// This one has answered: from now on it is the one.
    pub fn settle(&mut self, address: SocketAddr) {
        if self.is_searching()
            && let Some(place) = self.addresses.iter().position(|it| *it == address)
        {
            self.current = place;
            self.is_settled = true;
        }
    }

    /// Goes over to the next address, and says whether there was one that had not been tried;
    /// behind the last comes the first again.
    pub fn try_next(&mut self) -> bool {
        if !self.is_searching() {
            return false;
        }
        self.current = (self.current + 1) % self.addresses.len();
        self.current != 0
    }
}
