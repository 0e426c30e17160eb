//! The server that ships, on a simulated kernel.

#![allow(
    unreachable_pub,
    reason = "pub says what the other files of this module may use"
)]
#![allow(
    clippy::print_stdout,
    reason = "a test shows its figures, and its trace"
)]

#[cfg(test)]
mod by_hand;
mod calls;
mod checks;
#[cfg(test)]
mod crowd;
mod epoll;
#[cfg(test)]
mod exhaustive;
mod faults;
#[cfg(test)]
mod gathering;
#[cfg(test)]
mod kept;
mod kernel;
mod moves;
#[cfg(test)]
mod one_turn;
mod packets;
mod peer;
mod plan;
#[cfg(test)]
mod program;
#[cfg(test)]
mod puppet;
mod reference;
#[cfg(test)]
mod replaced;
pub mod rng;
mod schedule;
#[cfg(test)]
pub mod seeds;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod shipped;
mod socket;
#[cfg(test)]
mod strace;
#[cfg(test)]
mod told_to_stop;
#[cfg(test)]
mod truth;
#[cfg(test)]
mod truth_udp;
mod waits;
mod world;

/// What goes wrong in the schedule that these bytes choose; with its trace.
#[cfg(not(test))]
pub fn violation_of(bytes: &[u8]) -> Option<String> {
    let plan = plan::Plan::drawn_from(rng::Rng::of_bytes(bytes));
    schedule::run(plan.clone(), false).violation?;
    let outcome = schedule::run(plan, true);
    Some(format!(
        "{}\n{}",
        outcome.trace.join("\n"),
        outcome.violation?
    ))
}
