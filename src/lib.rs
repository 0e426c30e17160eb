//! One thread, one readiness loop: ping/pong over TCP and UDP on one port.
//!
//! A [`Server`] is opened with a [`Config`], serves on the thread that calls [`Server::serve`], and is
//! stopped from another one:
//!
//! ```
//! use pingpong::{Config, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = Config::default();
//! config.listen.addresses = vec!["127.0.0.1:0".parse()?];
//! let mut server = Server::bind(&config)?;
//! let stopper = server.stopper()?;
//! let serving = std::thread::spawn(move || server.serve());
//! stopper.stop()?;
//! serving.join().map_err(|_| "it panicked")??;
//! # Ok(())
//! # }
//! ```
//!
//! [`protocol`] is the rule of the game: bytes in, bytes out. [`kernel`] is the seam behind which all
//! IO happens: a server runs on whatever implements it. `src/inside.rs` has the map of the source.
//!
//! What never happens here: no thread but one; no `unsafe`; nothing in the loop that blocks, looks
//! up a name or opens a file; no state of a connection but through one function; no IO but behind
//! the seam.
#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod inside;

pub use inside::address::Address;
pub use inside::listen::Listen;
pub use inside::protocol;
pub use inside::protocol::stream::Rules;
pub use inside::reactor::kernel;
pub use inside::reactor::program::Program;
pub use inside::reactor::stopper::Stopper;
pub use inside::server::{Exit, Server, Settings};
pub use inside::start::Config;
pub use inside::start_error::StartError;
pub use inside::transport::{Endpoint, Transport};

#[cfg(feature = "admin")]
use inside::admin;
#[cfg(any(feature = "load", feature = "ping"))]
use inside::client;
use inside::{
    address, inherited, limits, listen, logging, outlet, reactor, reasons, server, signals, slices,
    start, start_error, state, transport, units,
};
