//! The other side of the wire: clients, made of the very parts that the server is built from.
//!
//! The map, in reading order:
//!
//! 1. [`target`]: whom to talk to. Names are looked up once, before the loop.
//! 2. [`message`]: the ping that is sent, and what its pong must be, byte for byte.
//! 3. [`histogram`]: times in bounded memory.
//! 4. [`output`]: results on standard output, without ever waiting for who reads them.
//! 5. [`json`]: results as JSON.
//! 6. [`ping`]: `pingpong ping`.
//! 7. `load`: `pingpong load`, with the Cargo feature of that name.

pub mod candidates;
pub mod histogram;
pub mod json;
#[cfg(feature = "load")]
pub mod load;
pub mod message;
pub mod output;
pub mod ping;
pub mod requests;
pub mod script;
pub mod target;
