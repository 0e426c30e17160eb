//! Readiness: what a single thread needs to serve many descriptors. It knows no ping.
//!
//! The kernel tells when a descriptor *becomes* ready, once (edge-triggered). So an event only sets
//! a [latch]; the work is done later, in phases and under budgets, and a latch stays set
//! until a call proves that there is no more. What has spent its budget waits on the [run
//! queue](run_queue). The [deadlines] say how long to sleep. A [program] ties these together: its turn
//! is the same for the server and the clients. The [kernel] is a trait: this is the
//! seam behind which all IO happens, and [`os`] is the one that talks to a real one.

pub mod acceptor;
pub mod attempt;
pub mod batch;
pub mod batch_udp;
pub mod bind;
pub mod bucket;
pub mod deadlines;
mod drop_count;
pub mod kernel;
pub mod latch;
pub mod os;
pub mod outage;
#[cfg(feature = "admin")]
mod process;
pub mod program;
pub mod run_queue;
pub mod sockets;
pub mod stopper;
#[cfg(feature = "upgrade")]
pub mod successor;
pub mod supervisor;
pub mod unix;

// Names of sockets that the program which replaces this one inherits, sd_listen_fds_with_names(3).

/// The name of the pair's end among the sockets that are handed over.
pub const READY: &str = "pingpong-ready";

/// The name of a Unix socket whose file is this program's to remove.
pub const OWN_FILE: &str = "pingpong-file";

/// The name of a listener for the pages of `--admin`.
pub const ADMIN: &str = "admin";

/// The name of one that is a Unix socket, whose file is this program's to remove.
pub const ADMIN_FILE: &str = "admin-file";

/// The name of any other socket.
pub const OTHER: &str = "pingpong";

/// The most keys that the tables of the reactor can tell apart.
pub const KEYS_MAX: usize = u32::MAX as usize - 1;

/// A key in four bytes, as the tables keep it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whoever gives out keys keeps to KEYS_MAX"
)]
fn short(key: usize) -> u32 {
    debug_assert!(key < KEYS_MAX);
    key as u32
}
