//! Servers that are not ours, as they come from their packages. What is not installed is skipped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{GUARD, Ran, finish, ran, spawn};
use crate::support::{command, skip};

/// A server on a free port of its own.
struct Other {
    child: Child,
    address: SocketAddr,
}

impl Other {
    /// `args` gets the port. It says `None` where the program is not installed.
    fn start(name: &str, args: impl Fn(u16) -> Vec<String>) -> Option<Self> {
        // The port can be taken by somebody else in between; then it does not start, and the next
        // is tried.
        for _ in 0..5 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let started = command(name)
                .args(args(address.port()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let Ok(child) = started else {
                skip(&format!("{name} is not installed"));
                return None;
            };
            let mut other = Self { child, address };
            if other.is_up() {
                return Some(other);
            }
        }
        panic!("{name} does not start");
    }

    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + GUARD;
        while self.child.try_wait().unwrap().is_none() && Instant::now() < deadline {
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    fn load(&self, send: &str, expect: &str, args: &str) -> Ran {
        let target = self.address.to_string();
        let fixed = ["load", "--json", "-c", "5", "-d", "300ms", "--send", send];
        let args: Vec<_> = args.split_whitespace().collect();
        let rest = ["--expect", expect, target.as_str()];
        ran(&finish(spawn(&[&fixed[..], &args[..], &rest[..]].concat())))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn all_right(ran: &Ran) {
    assert_eq!(ran.code, 0, "{} {}", ran.json, ran.stderr);
    assert!(ran.count("replies") > 0);
}

#[test]
fn redis() {
    let args = |port: u16| {
        let args = format!("--port {port} --bind 127.0.0.1 --appendonly no --save");
        let args = args.split(' ').map(str::to_owned);
        args.chain([String::new()]).collect()
    };
    let Some(redis) = Other::start("redis-server", args) else {
        return;
    };
    for args in ["", "-p 16", "--rate 500"] {
        all_right(&redis.load(r"PING\r\n", r"+PONG\r\n", args));
    }
    let wrong = redis.load(r"PING\r\n", r"+PING\r\n", "");
    assert_eq!(wrong.code, 1);
    assert!(wrong.count("wrong") >= 5, "{}", wrong.json);
    assert!(wrong.stderr.contains(r"+PONG\r\n"), "{}", wrong.stderr);
}

#[test]
fn memcached() {
    let args = |port: u16| {
        let args = format!("-u nobody -l 127.0.0.1 -U 0 -p {port}");
        args.split(' ').map(str::to_owned).collect()
    };
    let Some(memcached) = Other::start("memcached", args) else {
        return;
    };
    for args in ["", "-p 16"] {
        all_right(&memcached.load(r"mn\r\n", r"MN\r\n", args));
    }
}

#[test]
fn nats() {
    let args = |port: u16| {
        let args = format!("-a 127.0.0.1 -p {port}");
        args.split(' ').map(str::to_owned).collect()
    };
    let Some(nats) = Other::start("nats-server", args) else {
        return;
    };
    for args in ["--skip-lines 1", "--skip-lines 1 -p 16"] {
        all_right(&nats.load(r"PING\r\n", r"PONG\r\n", args));
    }
}
