//! Server, ping, load and scripted peers in one simulated network, in virtual time.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`hosts`] | the network: hosts with clocks of their own, and what is on its way between them |
//! | [`epoll`], [`streams`], [`calls`], [`packets`] | a host's kernel: waits, connections, datagrams |
//! | [`kernel`] | the seam to the programs |
//! | [`driver`] | which program's turn it is |
//! | [`actor`] | a host whose every answer is scripted |
//! | [`truth`] | what a host really did |
//! | [`plan`], [`draw`], [`check`] | server and pings: how they run, by seeds, and what must be true |
//! | [`load`] | server and load client, the same |

#![allow(
    unreachable_pub,
    reason = "pub says what the other files of this module may use"
)]
#![allow(
    clippy::print_stdout,
    reason = "a test shows its figures, and its trace"
)]

mod actor;
mod calls;
mod check;
mod draw;
mod driver;
mod epoll;
mod fleet;
mod hosts;
mod kernel;
#[cfg(feature = "load")]
mod load;
mod packets;
mod plan;
mod seeds;
mod streams;
mod truth;

pub(crate) use actor::{Act, Connect, Script, World};
