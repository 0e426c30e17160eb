//! How far `pingpong ping` is from the truth: its median round-trip time beside that of a loop of
//! blocking calls, against the same server, by turns. `cargo bench --bench ping`.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops at the first thing that is not as expected"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pingpong");

/// The very bytes that ping sends at first.
const PING: &[u8; 61] = b"ping 0000000000000001 abcdefghijklmnopqrstuvwxyzabcdefghijkl\n";

/// Rounds of so many pings at such intervals.
const CASES: [(usize, u32, Duration); 2] = [
    (15, 3000, Duration::ZERO),
    (20, 100, Duration::from_millis(10)),
];

fn main() {
    let (mut server, target) = start_server();
    for transport in ["tcp", "udp"] {
        for (rounds, pings, interval) in CASES {
            compare(transport, &target, rounds, pings, interval);
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

fn start_server() -> (Child, String) {
    let mut server = Command::new(PROGRAM)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let target = lines.find_map(|line| {
        let line = line.unwrap();
        line.split_once("udp://").map(|(_, at)| at.to_owned())
    });
    (server, target.unwrap())
}

fn compare(transport: &str, target: &str, rounds: usize, pings: u32, interval: Duration) {
    let mut blocking = Vec::new();
    let mut ours = Vec::new();
    let mut differences = Vec::new();
    for round in 0..rounds {
        let ours_first = (round % 2 == 0).then(|| ping(transport, target, pings, interval));
        let theirs = block(transport, target, pings, interval);
        let mine = ours_first.unwrap_or_else(|| ping(transport, target, pings, interval));
        blocking.push(theirs);
        ours.push(mine);
        differences.push(mine - theirs);
    }
    println!(
        "{transport}, {rounds} rounds of {pings}, interval {interval:?}: blocking loop {:.2} us, \
         ping {:.2} us, median of the differences {:+.2} us",
        median(&mut blocking),
        median(&mut ours),
        median(&mut differences)
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median that ping shows, in microseconds.
fn ping(transport: &str, target: &str, pings: u32, interval: Duration) -> f64 {
    let output = Command::new(PROGRAM)
        .args(["ping", "--json", "-q", &format!("--{transport}")])
        .args(["-c", &pings.to_string()])
        .args(["-i", &interval.as_secs_f64().to_string(), target])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, behind) = text.split_once("\"p50_us\":").unwrap();
    behind.split(',').next().unwrap().parse().unwrap()
}

/// The median of a loop of blocking calls, in microseconds.
fn block(transport: &str, target: &str, pings: u32, interval: Duration) -> f64 {
    let mut exchange: Box<dyn FnMut()> = if transport == "tcp" {
        let mut stream = TcpStream::connect(target).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut reply = [0; PING.len()];
        Box::new(move || {
            stream.write_all(PING).unwrap();
            stream.read_exact(&mut reply).unwrap();
        })
    } else {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(target).unwrap();
        let mut reply = [0; PING.len()];
        Box::new(move || {
            socket.send(PING).unwrap();
            socket.recv(&mut reply).unwrap();
        })
    };
    let mut times_us: Vec<_> = (0..pings)
        .map(|_| {
            let sent_at = Instant::now();
            exchange();
            let time = sent_at.elapsed();
            std::thread::sleep(interval.saturating_sub(time));
            time.as_secs_f64() * 1e6
        })
        .collect();
    median(&mut times_us)
}
