//! How many descriptors this process may have.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::reactor::KEYS_MAX;

/// Descriptors that are taken to be open where /proc does not tell: the three standard ones, and
/// some that a parent may have left open.
const ASSUMED_OPEN: usize = 12;

/// Descriptors that a server needs for a moment: a socket that asks whether an address is local.
pub const FOR_A_MOMENT: usize = 1;

/// Where there are few descriptors, no more than this part of them is kept for a program that replaces
/// this one: that matters only while all connections are taken.
const FOR_SUCCESSOR: usize = 64;

/// The limit on open descriptors (RLIMIT_NOFILE, getrlimit(2)), and what of it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// How many there may be.
    pub limit: usize,
    /// How many are open already; `None` where that cannot be found out.
    pub open: Option<usize>,
}

/// Raises the limit to the most that is allowed, and counts what is open.
#[must_use]
pub fn raised_nofile() -> Descriptors {
    let limit = getrlimit(Resource::Nofile);
    // Raising it can only be refused where it is raised already.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Descriptors {
        limit,
        open: open_below(limit),
    }
}

impl Descriptors {
    /// How many are taken once `more` are open too.
    #[must_use]
    pub fn taken_with(self, more: usize) -> usize {
        self.open.unwrap_or(ASSUMED_OPEN).saturating_add(more)
    }

    /// How many are kept for a program that replaces this one: a copy of each socket, and the pairs by
    /// which it tells that it has begun and that it serves.
    #[must_use]
    pub fn kept_for_successor(self, sockets: usize) -> usize {
        let needed = if cfg!(feature = "upgrade") {
            sockets + 4 - FOR_A_MOMENT
        } else {
            0
        };
        needed.min(self.limit / FOR_SUCCESSOR)
    }

    /// How many connections there is room for beside `more` other descriptors.
    #[must_use]
    pub fn room_beside(self, more: usize) -> usize {
        self.limit
            .saturating_sub(self.taken_with(more))
            .min(KEYS_MAX)
    }
}

/// How many descriptors with numbers below the limit are open: those above it, which a parent with
/// a higher limit may have left, take nothing away.
fn open_below(limit: usize) -> Option<usize> {
    let entries = match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries,
        Err(error) => return is_at_the_limit(&error).then_some(limit),
    };
    let number = |entry: io::Result<std::fs::DirEntry>| {
        entry.ok()?.file_name().to_str()?.parse::<usize>().ok()
    };
    let count = entries
        .filter_map(number)
        .filter(|number| *number < limit)
        .count();
    // The folder itself is open while it is read.
    Some(count.saturating_sub(1))
}

fn is_at_the_limit(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::MFILE)
}
