//! One thread, one readiness loop: ping/pong over TCP and UDP on one port.
//!
//! The map, in reading order:
//!
//! 1. [`protocol`]: the rule of the game. Bytes in, bytes out.
//! 2. [`state`]: the states of a connection, and the one function that moves between them.
//! 3. [`reactor`]: readiness. Latches, run queue, deadlines, and the seam to the kernel. It knows no
//!    ping.
//! 4. [`server`]: accepts, connections and datagrams, and the loop that ties them together.
//! 5. `client`: the other side of the wire, on the same parts; with the Cargo features `ping` and `load`.
//! 6. [`listen`], [`limits`], [`address`], [`signals`], [`cli`]: what is done once, before the loop.
//! 7. [`logging`] and [`outlet`]: what is said, and how it is written without waiting.
//!
//! What never happens here: no thread but one; no `unsafe`; nothing in the loop that blocks, looks
//! up a name or opens a file; no state of a connection but through [`state::State::on`]; no IO but
//! behind [`reactor::kernel`].
#![forbid(unsafe_code)]

pub use server::{Exit, Server};
pub use start::Config;

pub mod address;
pub mod cli;
#[cfg(any(feature = "load", feature = "ping"))]
pub mod client;
pub mod limits;
pub mod listen;
pub mod logging;
pub mod outlet;
pub mod protocol;
pub mod reactor;
pub mod server;
pub mod signals;
pub mod start;
mod start_error;
pub mod state;
pub mod transport;
