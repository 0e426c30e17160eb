//! The one door to all of it, for the program and its tests: no promise to anybody else.
//!
//! The map, in reading order:
//!
//! 1. [`protocol`]: the rule of the game. Bytes in, bytes out.
//! 2. [`state`]: the states of a connection, and the one function that moves between them.
//! 3. [`reactor`]: readiness. Latches, run queue, deadlines, the skeleton of a turn, and the seam to
//!    the kernel. It knows no ping.
//! 4. [`server`]: accepts, connections and datagrams, in the phases of a turn.
//! 5. `client`: the other side of the wire, on the same parts; with the Cargo features `ping` and
//!    `load`.
//! 6. [`start`], [`listen`], [`inherited`], [`limits`], [`address`], [`units`], [`signals`], [`cli`]: what is done
//!    once, before the loop.
//! 7. [`logging`] and [`outlet`]: what is said, and how it is written without waiting.

#[path = "address.rs"]
pub mod address;
#[cfg(feature = "admin")]
#[path = "admin/mod.rs"]
pub mod admin;
#[path = "cli/mod.rs"]
pub mod cli;
#[cfg(any(feature = "load", feature = "ping"))]
#[path = "client/mod.rs"]
pub mod client;
#[path = "inherited.rs"]
pub mod inherited;
#[path = "limits.rs"]
pub mod limits;
#[path = "listen.rs"]
pub mod listen;
#[path = "logging/mod.rs"]
pub mod logging;
#[path = "outlet.rs"]
pub mod outlet;
#[path = "protocol/mod.rs"]
pub mod protocol;
#[path = "reactor/mod.rs"]
pub mod reactor;
#[path = "reasons.rs"]
pub(crate) mod reasons;
#[path = "server/mod.rs"]
pub mod server;
#[path = "signals.rs"]
pub mod signals;
#[path = "slices.rs"]
pub(crate) mod slices;
#[path = "start.rs"]
pub mod start;
#[path = "start_error.rs"]
pub mod start_error;
#[path = "state.rs"]
pub mod state;
#[path = "transport.rs"]
pub mod transport;
#[path = "units.rs"]
pub mod units;
