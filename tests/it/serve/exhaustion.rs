//! No descriptors left: the server neither spins nor stalls, and goes on by itself.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::client::{ask, connect, expect, replies_to, udp};
use crate::support::server::{Server, pingpong};

/// Serves with descriptors limited as ulimit(1posix) is told.
fn start_limited(ulimit: &str, options: &[&str]) -> Server {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("ulimit {ulimit}; exec \"$0\" \"$@\"")])
        .arg(pingpong(&[]).get_program())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(options)
        .env_remove("RUST_LOG");
    Server::spawn(shell)
}

#[test]
fn connections_wait_until_descriptors_are_freed() {
    const CLIENTS: usize = 40;
    let server = start_limited("-n 24", &["--max-connections", "1000"]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(server.tcp[0])).collect();
    for mut client in &clients {
        client.write_all(b"ping\n").unwrap();
    }
    server.wait_for_line("connections wait in the backlog");
    let full = server.wait_for_report("it is full", |it| it.count("connections") > 5);
    let taken = usize::try_from(full.count("connections")).unwrap();
    assert!(taken < 24);
    assert!(full.count("accept_errors_total{reason=\"exhausted\"}") > 0);

    // It tries again now and then, as another process may have freed what is short: ten times a
    // second.
    let (ticks, start) = (server.cpu_ticks(), Instant::now());
    std::thread::sleep(Duration::from_secs(1));
    let later = server.report();
    let turns = later.count("loop_turns_total") - full.count("loop_turns_total");
    let tenths = u64::try_from(start.elapsed().as_millis()).unwrap() / 100;
    assert!(
        turns <= tenths * 2 + 10,
        "{turns} turns in {tenths} tenths of a second"
    );
    assert!(server.cpu_ticks() - ticks <= 20, "it spins");

    // Who was accepted is served meanwhile, and so are datagrams.
    ask(&clients[0], b"hello\n", b"pong\npong\n");
    assert_eq!(
        replies_to(&udp([127, 0, 0, 1]), server.udp[0], &[b"ping"]),
        [b"pong"]
    );

    // Each that goes makes room for one that waits. Nobody is forgotten.
    for (index, client) in clients.drain(..).enumerate() {
        if index > 0 {
            expect(&client, b"pong\n");
        }
    }
    let it = server.wait_for_report("all have gone", |it| it.count("connections") == 0);
    assert_eq!(it.count("connections_accepted_total"), CLIENTS as u64);
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
}

/// Left to itself, the server keeps within what RLIMIT_NOFILE leaves, and there is no exhaustion at
/// all.
#[test]
fn by_default_the_limit_fits_the_descriptors() {
    let server = start_limited("-n 24", &[]);
    let clients: Vec<_> = (0..30).map(|_| connect(server.tcp[0])).collect();
    ask(&clients[0], b"ping\n", b"pong\n");
    let it = server.report();
    assert!(it.count("connections") > 0 && it.count("connections") < 24);
    for mut client in clients {
        client.write_all(b"ping\n").unwrap();
        expect(&client, b"pong\n");
    }
    let it = server.report();
    assert_eq!(it.count("accept_errors_total{reason=\"exhausted\"}"), 0);
}

/// The soft limit is there to protect programs that use select(2); this one takes what it may have.
#[test]
fn the_soft_limit_is_raised() {
    let server = start_limited("-Hn 200; ulimit -Sn 24", &[]);
    let clients: Vec<_> = (0..100).map(|_| connect(server.tcp[0])).collect();
    for client in &clients {
        ask(client, b"ping\n", b"pong\n");
    }
    assert_eq!(server.report().count("connections"), 100);
}
