//! All tests in one binary, so that there is one link. Each module is named after what it tests;
//! `model` and `support` help them.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is not as expected, and says what it skipped"
)]

mod acceptor;
#[cfg(feature = "admin")]
mod admin;
mod batch_udp;
mod batches;
mod bucket;
mod constants;
mod counters;
mod deadlines;
mod embed;
mod latch;
mod listening;
#[cfg(feature = "load")]
mod load;
mod log_limit;
mod log_room;
mod model;
#[cfg(feature = "ping")]
mod net;
mod options;
mod os_kernel;
mod outage;
mod outlet;
mod peer_and_room;
#[cfg(feature = "ping")]
mod ping;
mod probes;
mod protocol;
#[cfg(feature = "ping")]
mod require;
mod run_queue;
mod serve;
mod sim;
mod splits;
mod start_error;
mod state;
#[cfg_attr(
    not(feature = "ping"),
    allow(dead_code, reason = "some of it helps the clients' tests alone")
)]
mod support;
mod tidy;
mod tools;
