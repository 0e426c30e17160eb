//! Small cases, all of them: enumerated and counted, not drawn.

use std::net::IpAddr;

use super::faults::{Call, Fault, Faults};
use super::peer::{DatagramPeer, Ending, Peer, Role};
use super::plan::{MS, Plan};
use super::schedule::{Outcome, run};

/// The long enumerations run with `EXHAUSTIVE=1`; the ordinary test run makes the short ones.
fn is_long() -> bool {
    super::seeds::env("EXHAUSTIVE").is_some()
}

/// Counts the cases, and fails with the trace of the first that goes wrong.
#[derive(Default)]
struct Cases(u64);

impl Cases {
    fn run(&mut self, plan: &Plan, what: &str) -> Outcome {
        self.0 += 1;
        let outcome = run(plan.clone(), false);
        if let Some(violation) = outcome.violation {
            let outcome = run(plan.clone(), true);
            println!("{}", outcome.trace.join("\n"));
            panic!(
                "case {} ({what}, {:?}): {violation}",
                self.0, plan.kernel.faults
            );
        }
        outcome
    }

    /// The plan without a fault, and then with every fault at every call that it makes.
    fn with_each_fault(&mut self, plan: &Plan, what: &str) {
        let calm = self.run(plan, what);
        for (number, fault) in each_fault(&calm.calls, 0) {
            let mut plan = plan.clone();
            plan.kernel.faults = Faults::At(vec![(number, fault)]);
            self.run(&plan, what);
        }
    }
}

/// Every fault of every call after the first so many, with the number of the call.
fn each_fault(calls: &[Call], after: usize) -> Vec<(usize, Fault)> {
    let calls = calls.iter().enumerate().skip(after);
    calls
        .flat_map(|(place, call)| call.all_faults().map(move |fault| (place + 1, fault)))
        .collect()
}

const INPUTS: [&[u8]; 9] = [
    b"ping\n",
    b"ping",
    b"a\r\n\nb",
    b"pong\nx",
    b"\n\n\n\n",
    b"PING\r\n",
    b"toolong",
    b"tool\ng\n",
    b"ping\npin",
];

/// Every split of short inputs, with every fault at every call, for every way to end.
#[test]
fn every_split_and_every_fault() {
    let longest = if is_long() { usize::MAX } else { 5 };
    let mut cases = Cases::default();
    for input in INPUTS.iter().filter(|input| input.len() <= longest) {
        for ending in [
            Ending::HalfClose,
            Ending::Stay,
            Ending::Close,
            Ending::Reset,
        ] {
            for cuts in 0..1 << (input.len() - 1) {
                for room in [2, 64] {
                    let peer = Peer::scripted(input, cuts, ending);
                    let mut plan = Plan::calm(5, vec![peer]);
                    plan.kernel.receive_buffer_bytes = 64;
                    plan.kernel.send_buffer_bytes = room;
                    let text = input.escape_ascii();
                    let what = format!("\"{text}\", cuts {cuts:b}, {ending:?}, room {room}");
                    cases.with_each_fault(&plan, &what);
                }
            }
        }
    }
    println!("{} cases", cases.0);
    assert!(cases.0 > 20_000, "{} cases are not all", cases.0);
}

/// A bit of everything: two who read slowly, one who is refused, one who resets, datagrams singly
/// and together.
fn mixed() -> Plan {
    let datagrams = |packets: &[(&[u8], usize)]| {
        let role = Role::Datagrams(DatagramPeer {
            source: "127.0.0.1:40000".parse().unwrap(),
            dst_ip: Some(IpAddr::from([127, 0, 0, 2]).into()),
            packets: packets
                .iter()
                .map(|(bytes, len)| (bytes.to_vec(), *len))
                .collect(),
            sent: 0,
        });
        Peer::new("datagrams", role, MS, 0)
    };
    let mut plan = Plan::calm(
        6,
        vec![
            Peer::scripted(b"ping\nhi\n", 0b1000, Ending::HalfClose),
            Peer::scripted(b"way too long\n", 0, Ending::Stay),
            Peer::scripted(b"x\n", 0, Ending::Reset),
            datagrams(&[
                (b"ping", 4),
                (b"ping", 4),
                (b"hello", 5),
                (b"pingpingpi", 4),
            ]),
            datagrams(&[(b"pong", 4), (b"ping\r\n", 6)]),
        ],
    );
    plan.kernel.send_buffer_bytes = 8;
    plan.kernel.descriptors = 4;
    plan
}

/// The n-th call fails, for every n and with every error that it can fail with.
#[test]
fn every_call_fails_once() {
    let mut cases = Cases::default();
    cases.with_each_fault(&mixed(), "mixed");
    // While it stops, too.
    for stop_us in 0..40 {
        let mut plan = mixed();
        plan.stop_ns = Some(stop_us * 50_000);
        cases.with_each_fault(&plan, &format!("stopped after {} us", stop_us * 50));
    }
    println!("{} cases", cases.0);
    assert!(cases.0 > 5_000, "{} cases are not all", cases.0);
}

/// Any two calls fail.
#[test]
fn every_two_calls_fail() {
    let mut cases = Cases::default();
    let first_calls = cases.run(&mixed(), "mixed").calls;
    let step = if is_long() { 1 } else { 29 };
    for (number, fault) in each_fault(&first_calls, 0).into_iter().step_by(step) {
        let mut plan = mixed();
        plan.kernel.faults = Faults::At(vec![(number, fault)]);
        let calls = cases.run(&plan, "one").calls;
        for later in each_fault(&calls, number) {
            plan.kernel.faults = Faults::At(vec![(number, fault), later]);
            cases.run(&plan, "two");
        }
    }
    println!("{} cases", cases.0);
    assert!(cases.0 > 1_000, "{} cases are not all", cases.0);
}

/// A peer's moves fall between any calls: its bytes, its FIN, its reset, in all places.
#[test]
fn every_race() {
    let mut cases = Cases::default();
    for ending in [
        Ending::HalfClose,
        Ending::Close,
        Ending::Reset,
        Ending::Stay,
    ] {
        for script in [&b"ping\nx\n"[..], b"ping", b"toolong\n"] {
            for stop_ns in [None, Some(5 * MS)] {
                let mut peer = Peer::scripted(script, 0b100_0010, ending);
                peer.pace_ns = 5 * MS;
                let mut plan = Plan::calm(5, vec![peer]);
                plan.stop_ns = stop_ns;
                let calls = cases.run(&plan, "calm").stats.calls.min(24);
                for one in 0..calls {
                    for two in one..calls {
                        for three in two..calls {
                            plan.kernel.races_at = vec![one, two, three];
                            cases.run(&plan, "a race");
                        }
                    }
                }
            }
        }
    }
    println!("{} cases", cases.0);
    assert!(cases.0 > 5_000, "{} cases are not all", cases.0);
}
