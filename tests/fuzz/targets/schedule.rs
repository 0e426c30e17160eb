//! The server on the simulated kernel: the fuzzer's bytes are the choices that a seed makes
//! otherwise - settings, peers, faults, order of events. Every check of the simulator holds.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "shared with the tests"
)]
#[path = "../../it/sim/mod.rs"]
mod sim;

fuzz_target!(|data: &[u8]| {
    if let Some(violation) = sim::violation_of(data) {
        panic!("{violation}");
    }
});
