//! How many instructions the rule and the server's turn take: benches/instructions/run.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench stops at the first thing that is not as expected"
)]

use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use pingpong::inside::protocol::stream::{Batch, Rules};
use pingpong::inside::reactor::program::Program;
use pingpong::inside::server::{Server, Settings};
use pingpong::inside::transport::Endpoint;
use pingpong_instructions::{Stub, Wire};

/// Above what was recorded, in a hundred: what another minor version of the compiler may cost.
const ALLOWED_PERCENT: u64 = 2;

/// A case fails where it takes more instructions than were recorded, and a little.
fn at_most(recorded: u64) -> LibraryBenchmarkConfig {
    let most = recorded + recorded * ALLOWED_PERCENT / 100;
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, most)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

const RULES: Rules = Rules {
    max_message_bytes: 65536,
    strict: false,
};

/// What one read of the rule's cases brings.
const INPUT_BYTES: usize = 16 * 1024;

fn ping(len_bytes: usize) -> Vec<u8> {
    let mut ping = vec![b'x'; len_bytes];
    ping[..5].copy_from_slice(b"ping ");
    ping[len_bytes - 1] = b'\n';
    ping
}

/// A batch whose window is full of such lines.
fn batch_of(line: &[u8]) -> (Batch, usize) {
    let input = line.repeat(INPUT_BYTES / line.len());
    let mut batch = Batch::new(64 * 1024, RULES.max_message_bytes);
    batch.window()[..input.len()].copy_from_slice(&input);
    (batch, input.len())
}

// The numbers are instructions, written here by `benches/instructions/run --record`. One that rises
// needs a reason in the commit that changes it.
#[library_benchmark]
#[bench::pings_of_5_bytes(args = (b"ping\n"), setup = batch_of, config = at_most(102132))]
#[bench::pings_of_64_bytes(args = (&ping(64)), setup = batch_of, config = at_most(29005))]
#[bench::bare_line_feeds(args = (b"\n"), setup = batch_of, config = at_most(3342689))]
#[bench::other_lines(args = (b"hello pdudo\n"), setup = batch_of, config = at_most(291269))]
fn rule((mut batch, len_bytes): (Batch, usize)) -> Batch {
    batch.begin(&[], len_bytes);
    let answered = batch.answer(RULES, |_| {});
    assert!(black_box(answered).messages > 0);
    batch
}

/// Turns that are counted together, so that the seldom one among them weighs little.
const TURNS: usize = 100;

struct Serving {
    server: Server<Stub>,
    wire: Rc<Wire>,
    replies_bytes: usize,
}

fn serving(stream_input: Vec<u8>, datagrams: Vec<Vec<u8>>) -> Serving {
    let replies_bytes = stream_input.len() + datagrams.iter().map(Vec::len).sum::<usize>();
    let config = Settings {
        max_connections: 1000,
        rules: RULES,
        idle_timeout: Some(Duration::from_secs(300)),
        drain_timeout: Duration::from_secs(5),
        other_rate_per_s: 1000,
        busy_poll: Duration::ZERO,
        ..Settings::default()
    };
    let (stub, listener, datagrams) = Stub::new(stream_input, datagrams);
    let wire = stub.wire();
    let (socket, at) = datagrams;
    let listeners = vec![(listener, Endpoint::Tcp(at))];
    let datagrams = vec![(socket, Endpoint::Udp(at))];
    let mut server = Server::new(stub, config, listeners, datagrams).unwrap();
    // The connection is accepted, and what is made once is made.
    for _ in 0..3 {
        server.turn().unwrap();
    }
    wire.taken_bytes.set(0);
    Serving {
        server,
        wire,
        replies_bytes,
    }
}

fn stream(pings: usize) -> Serving {
    serving(ping(64).repeat(pings), Vec::new())
}

fn datagrams(pings: usize) -> Serving {
    serving(Vec::new(), vec![ping(64); pings])
}

// The first is what a turn costs by itself, with what the stub does.
#[library_benchmark]
#[bench::of_nothing(args = (0), setup = datagrams, config = at_most(70316))]
#[bench::of_one_ping_over_tcp(args = (1), setup = stream, config = at_most(171516))]
#[bench::of_a_burst_of_64_pings_over_tcp(args = (64), setup = stream, config = at_most(922116))]
#[bench::of_one_datagram(args = (1), setup = datagrams, config = at_most(111216))]
#[bench::of_a_batch_of_16_datagrams(args = (16), setup = datagrams, config = at_most(653016))]
fn turns(mut serving: Serving) -> Serving {
    for _ in 0..TURNS {
        serving.server.turn().unwrap();
    }
    assert_eq!(
        serving.wire.taken_bytes.get(),
        TURNS * serving.replies_bytes
    );
    serving
}

library_benchmark_group!(name = counts, benchmarks = [rule, turns]);
main!(library_benchmark_groups = counts);
