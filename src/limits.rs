//! How many descriptors this process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::reactor::KEYS_MAX;

/// Descriptors for what is not a connection: the three standard ones, the poll, the signals' pair,
/// one to look up an address, and some that a parent may have left open.
const RESERVED_DESCRIPTORS: u64 = 16;

/// Raises the limit on open descriptors (RLIMIT_NOFILE, getrlimit(2)) to the most that is allowed,
/// and says how many connections that leaves beside `sockets` of the server's own.
#[must_use]
pub fn connections_within_nofile(sockets: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // Raising it can only be refused where it is raised already.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let reserved = RESERVED_DESCRIPTORS + sockets as u64;
    usize::try_from(descriptors.saturating_sub(reserved))
        .unwrap_or(KEYS_MAX)
        .clamp(1, KEYS_MAX)
}
