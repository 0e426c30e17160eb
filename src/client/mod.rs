//! The other side of the wire: clients, made of the very parts that the server is built from.
//!
//! The map, in reading order:
//!
//! 1. [`target`]: whom to talk to. Names are looked up once, before the loop.
//! 2. [`candidates`]: which of a name's addresses answers.
//! 3. [`script`]: what is sent, and what has to come back, byte for byte.
//! 4. [`requests`]: which request a reply belongs to.
//! 5. [`output`]: results on standard output, without ever waiting for who reads them.
//! 6. [`require`]: what must hold of the figures.
//! 7. `ping`: `pingpong ping`, with the Cargo feature of that name.
//! 8. `load`: `pingpong load`, with the Cargo feature of that name.

pub mod candidates;
#[cfg(feature = "load")]
pub mod load;
pub mod output;
#[cfg(feature = "ping")]
pub mod ping;
#[cfg(feature = "load")]
mod replacement;
pub mod requests;
pub mod require;
pub mod script;
pub mod target;
