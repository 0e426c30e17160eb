//! Server, ping and scripted peers in one simulated network, in virtual time.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`hosts`] | the network: hosts with clocks of their own, and what is on its way between them |
//! | [`epoll`], [`streams`], [`packets`] | a host's kernel: waits, connections, datagrams |
//! | [`kernel`] | the seam to the programs |
//! | [`actor`] | a host whose every answer is scripted |
//! | [`truth`] | what a host really did |

#![allow(
    unreachable_pub,
    reason = "pub says what the other files of this module may use"
)]
#![allow(
    clippy::print_stdout,
    reason = "a test shows its figures, and its trace"
)]

mod actor;
mod check;
mod driver;
mod epoll;
mod fleet;
mod hosts;
mod kernel;
#[cfg(feature = "load")]
mod load_seeds;
#[cfg(feature = "load")]
mod loads;
mod packets;
mod plan;
mod seeds;
mod streams;
mod truth;

pub(crate) use actor::{Act, Connect, Script, World};
