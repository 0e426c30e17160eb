//! Floods of all kinds: each gets what it is due, and quiet clients next to it are served.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::model;
use crate::support::client::{ask, assert_same, connect, read_to_end, replies_to, udp};
use crate::support::server::Server;
use crate::support::until;

/// How many pings a quiet client gets answered while a flood goes on, and how often each flood
/// comes meanwhile, at least.
const QUIET_PINGS: usize = 300;
const ROUNDS: usize = 3;

/// Stops the floods when it goes, also because the quiet client has failed: else they would never
/// end.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs floods beside a quiet client.
fn beside(server: SocketAddr, floods: &[&(dyn Fn() + Sync)]) {
    let stop = AtomicBool::new(false);
    let rounds: Vec<_> = floods.iter().map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        let _stop_floods = StopOnDrop(&stop);
        for (flood, rounds) in floods.iter().zip(&rounds) {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    flood();
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let quiet = connect(server);
        let mut pings = 0;
        until("the floods have come", || {
            for _ in 0..QUIET_PINGS / 10 {
                ask(&quiet, b"ping\n", b"pong\n");
            }
            pings += QUIET_PINGS / 10;
            pings >= QUIET_PINGS
                && rounds
                    .iter()
                    .all(|rounds| rounds.load(Ordering::Relaxed) >= ROUNDS)
        });
    });
}

/// Random bytes, but the same ones each time (xorshift).
fn garbage(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..len).map(|_| next().to_le_bytes()[0]).collect()
}

/// Any bytes get what the model says, over several connections at once.
#[test]
fn garbage_gets_what_it_is_due() {
    let server = Server::start(&["--max-message", "900"]);
    std::thread::scope(|scope| {
        for seed in 1..=8 {
            let server = server.tcp[0];
            scope.spawn(move || {
                let bytes = garbage(seed, 100_000);
                let told = model::converse(&bytes, true, 900, false);
                let client = connect(server);
                let mut writer = client.try_clone().unwrap();
                std::thread::scope(|scope| {
                    scope.spawn(move || {
                        writer.write_all(&bytes).unwrap();
                        writer.shutdown(Shutdown::Write).unwrap();
                    });
                    assert_same(&read_to_end(&client), &told.replies);
                });
            });
        }
    });
    server.wait_for_report("all have gone", |it| it.count("connections") == 0);
}

#[test]
fn garbage_datagrams_get_no_longer_replies() {
    let server = Server::start(&["--other-rate", "0"]);
    let client = udp([127, 0, 0, 1]);
    let bytes = garbage(9, 100_000);
    let mut rest = &bytes[..];
    for len in (0..400).step_by(3) {
        let (datagram, after) = rest.split_at(len);
        rest = after;
        let expected = model::reply(datagram).filter(|reply| reply.len() <= len);
        let replies = replies_to(&client, server.udp[0], &[datagram]);
        assert_eq!(
            replies,
            expected.into_iter().collect::<Vec<_>>(),
            "{len} bytes"
        );
    }
}

#[test]
fn beside_flat_out_pipeliners() {
    let server = Server::start(&[]);
    let at = server.tcp[0];
    let flood = || {
        let mut client = connect(at);
        let burst = b"ping\n".repeat(20_000);
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&burst).unwrap());
            let mut replies = vec![0; burst.len()];
            client.read_exact(&mut replies).unwrap();
            assert_same(&replies, &b"pong\n".repeat(20_000));
        });
    };
    beside(at, &[&flood, &flood]);
}

#[test]
fn beside_a_flood_of_datagrams() {
    let server = Server::start(&[]);
    let socket = udp([127, 0, 0, 1]);
    let flood = || {
        for datagram in [&b"ping"[..], b"hello\n", b"", b"pong", &[0xff; 1000]] {
            // Full buffers lose datagrams; that is all that may happen.
            let _ = socket.send_to(datagram, server.udp[0]);
        }
    };
    beside(server.tcp[0], &[&flood, &flood]);
    assert!(server.report().count("messages_total{transport=\"udp\"}") > 0);
    assert_eq!(
        replies_to(&udp([127, 0, 0, 1]), server.udp[0], &[b"ping"]),
        [b"pong"]
    );
}

#[test]
fn beside_a_flood_of_connections() {
    let server = Server::start(&[]);
    let at = server.tcp[0];
    let polite = || {
        let client = connect(at);
        ask(&client, b"ping\n", b"pong\n");
    };
    let rude = || drop(connect(at));
    beside(at, &[&polite, &rude]);
    let it = server.wait_for_report("all have gone", |it| it.count("connections") == 0);
    assert!(it.count("connections_accepted_total") > 2);
    assert_eq!(it.closed("error"), 0);
}
