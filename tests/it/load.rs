//! `pingpong load`: its pure parts, servers that misbehave, servers of others, and its output.

mod command_line;
mod datagrams;
mod files;
mod fleeting;
mod latency;
mod others;
mod output;
mod places;
mod pure;
mod requests;
mod requests_max;
mod search;
mod session;
mod stats;
mod streams;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{PROGRAM, command};

/// The longest that anything here may take: far more than it does.
const GUARD: Duration = Duration::from_secs(60);

/// Waits for a program's end.
fn finish(mut child: Child) -> Output {
    let deadline = Instant::now() + GUARD;
    // Read while it runs, so that it never waits for a full pipe.
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let out = thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).map(|_| bytes).unwrap()
    });
    let err = thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).map(|_| bytes).unwrap()
    });
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it has not ended within {GUARD:?}");
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: out.join().unwrap(),
        stderr: err.join().unwrap(),
    }
}

fn spawn(args: &[&str]) -> Child {
    command(PROGRAM)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A run's exit code, its JSON and what it said on standard error.
struct Ran {
    code: i32,
    json: Value,
    stderr: String,
}

impl Ran {
    /// A count of the report, by its key.
    #[track_caller]
    fn count(&self, key: &str) -> u64 {
        self.json[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key} in {}", self.json))
    }

    #[track_caller]
    fn micros(&self, distribution: &str, key: &str) -> f64 {
        self.json[distribution][key]
            .as_f64()
            .unwrap_or_else(|| panic!("{distribution}.{key} in {}", self.json))
    }
}

/// Runs `pingpong load --json` against an address.
fn load(target: SocketAddr, args: &str) -> Ran {
    let target = target.to_string();
    let args: Vec<_> = args.split_whitespace().collect();
    let ran = ran(&finish(spawn(
        &[&["load", "--json"], &args[..], &[target.as_str()]].concat(),
    )));
    // Whatever happened: nothing that was due is unaccounted for. (A search adds the losses of
    // all its steps.)
    if ran.json["find_max"].is_null() {
        let fates = ["replies", "lost", "unsent", "abandoned"].map(|key| ran.count(key));
        assert_eq!(fates.iter().sum::<u64>(), ran.count("due"), "{}", ran.json);
    }
    ran
}

fn ran(output: &Output) -> Ran {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    Ran {
        code: output.status.code().unwrap(),
        json: serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}")),
        stderr,
    }
}

/// A TCP server on a thread for each connection. The threads end with the test's process.
fn tcp_server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, serve) = (stream.unwrap(), serve.clone());
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Gives each line to `answer`, with its number, until the peer closes or `answer` has had enough.
fn each_line(stream: TcpStream, mut answer: impl FnMut(usize, Vec<u8>, &mut TcpStream) -> bool) {
    let mut writer = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream);
    for number in 0.. {
        let mut line = Vec::new();
        match lines.read_until(b'\n', &mut line) {
            Ok(1..) if answer(number, line, &mut writer) => {}
            _ => return,
        }
    }
}

fn pong(mut ping: Vec<u8>) -> Vec<u8> {
    assert!(ping.starts_with(b"ping"), "{}", ping.escape_ascii());
    ping[1] = b'o';
    ping
}

/// Sends what the peer may not want to hear any more.
fn say(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).is_ok()
}

/// A UDP server on a thread: `answer` gets each datagram and its number, and sends what it likes.
fn udp_server(
    mut answer: impl FnMut(usize, Vec<u8>, SocketAddr, &UdpSocket) + Send + 'static,
) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        for number in 0.. {
            let (len, peer) = socket.recv_from(&mut buffer).unwrap();
            answer(number, buffer[..len].to_vec(), peer, &socket);
        }
    });
    address
}

/// A server of ours, ended with the test.
struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    fn start() -> Self {
        let mut child = command(PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it did not start");
            if let Some((_, address)) = line.trim().split_once("tcp://") {
                break address.parse().unwrap();
            }
        };
        // The log is read to its end, as it would wait for nobody but be cut.
        thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        Self { child, address }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
