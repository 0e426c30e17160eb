//! The tools that people have: each talks to the server as it comes from its package. What is not
//! installed is skipped with a message.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use crate::support::server::{Reaped, Server, run, wait_for_exit};
use crate::support::{GUARD, command, has_ipv6, skip};

/// A conversation that they all have: what is typed, and what is seen after it.
const TYPED: &[(&str, &str)] = &[
    ("hello pdudo\n", "pong\n"),
    ("ping\n", "pong\n"),
    ("PING 42 abc\n", "PONG 42 abc\n"),
];

/// An interactive tool, running.
struct Tool {
    name: String,
    child: Reaped,
    output: Receiver<u8>,
    seen: String,
}

impl Tool {
    fn start(name: &str, args: &[&str]) -> Self {
        let mut child = Reaped(
            command(name)
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let stdout = child.0.stdout.take().unwrap();
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stdout)
                .bytes()
                .map_while(Result::ok)
                .try_for_each(|byte| sender.send(byte))
        });
        Self {
            name: format!("{name} {}", args.join(" ")),
            child,
            output,
            seen: String::new(),
        }
    }

    fn types(&mut self, text: &str) {
        let stdin = self.child.0.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until `text` has been seen, and forgets all up to its end.
    fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + GUARD;
        while !self.seen.ends_with(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(byte) = self.output.recv_timeout(left) else {
                panic!("{}: {:?} instead of {text:?}", self.name, self.seen);
            };
            self.seen.push(char::from(byte));
        }
        self.seen.clear();
    }

    /// Reads to the end of its output.
    fn shows_no_more(&mut self) {
        if let Ok(byte) = self.output.recv_timeout(GUARD) {
            panic!("{}: {:?} after all", self.name, char::from(byte));
        }
    }
}

/// A program by its name, or by its path where it stands in no `PATH`.
pub(crate) fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|dir| dir.join(name).exists());
    if !there {
        skip(&format!("{name} is not installed"));
    }
    there
}

/// A server for each family that this host has.
fn servers() -> Vec<Server> {
    let mut servers = vec![Server::start(&[])];
    if has_ipv6() {
        servers.push(Server::start_at(&["[::1]:0"], &[]));
    }
    servers
}

fn host_and_port(at: SocketAddr) -> [String; 2] {
    [at.ip().to_string(), at.port().to_string()]
}

/// Types each line once the reply to the one before it is there.
fn talk(tool: &mut Tool) {
    for (typed, shown) in TYPED {
        tool.types(typed);
        tool.shows(shown);
    }
}

#[test]
fn nc() {
    if !is_installed("nc") {
        return;
    }
    for server in servers() {
        let [host, port] = host_and_port(server.tcp[0]);
        // -N sends FIN at the end of what is typed: a burst, its replies, the end.
        let mut tcp = Tool::start("nc", &["-N", &host, &port]);
        talk(&mut tcp);
        tcp.types("ping 1\nhello\nping 2");
        drop(tcp.child.0.stdin.take());
        tcp.shows("pong 1\npong\npong 2");
        tcp.shows_no_more();
        assert!(wait_for_exit(&mut tcp.child.0).success());
        talk(&mut Tool::start("nc", &["-u", &host, &port]));
    }
}

#[test]
fn ncat() {
    if !is_installed("ncat") {
        return;
    }
    for server in servers() {
        let [host, port] = host_and_port(server.tcp[0]);
        let mut tcp = Tool::start("ncat", &[&host, &port]);
        talk(&mut tcp);
        tcp.types("ping 1\nping 2");
        drop(tcp.child.0.stdin.take());
        tcp.shows("pong 1\npong 2");
        tcp.shows_no_more();
        assert!(wait_for_exit(&mut tcp.child.0).success());
        talk(&mut Tool::start("ncat", &["-u", &host, &port]));
    }
}

#[test]
fn socat() {
    if !is_installed("socat") {
        return;
    }
    for server in servers() {
        let at = server.tcp[0];
        let mut tcp = Tool::start("socat", &["-", &format!("TCP:{at}")]);
        talk(&mut tcp);
        tcp.types("ping 1\nping 2");
        drop(tcp.child.0.stdin.take());
        tcp.shows("pong 1\npong 2");
        tcp.shows_no_more();
        assert!(wait_for_exit(&mut tcp.child.0).success());
        talk(&mut Tool::start("socat", &["-", &format!("UDP:{at}")]));
    }
}

#[test]
fn telnet() {
    if !is_installed("telnet") {
        return;
    }
    for server in servers() {
        let [host, port] = host_and_port(server.tcp[0]);
        let mut tool = Tool::start("telnet", &[&host, &port]);
        tool.shows("Escape character is '^]'.\n");
        talk(&mut tool);
    }
}

/// Runs a plugin that asks once; 0 is OK to a monitoring system.
fn check(plugin: &str, at: SocketAddr, send: &str, expect: &str, expected_code: i32) {
    let [host, port] = host_and_port(at);
    let mut command = command(plugin);
    command.args([
        "-H", &host, "-p", &port, "-E", "-s", send, "-e", expect, "-t", "10",
    ]);
    let (code, stdout, _) = run(command);
    assert_eq!(
        code,
        Some(expected_code),
        "{plugin} -s {send} -e {expect}: {stdout}"
    );
}

fn plugin(name: &str) -> Option<String> {
    let path = format!("/usr/lib/nagios/plugins/{name}");
    let there = Path::new(&path).exists();
    if !there {
        skip(&format!("{name} is not installed"));
    }
    there.then_some(path)
}

#[test]
fn check_tcp() {
    let Some(plugin) = plugin("check_tcp") else {
        return;
    };
    for server in servers() {
        check(&plugin, server.tcp[0], "ping\\n", "pong", 0);
        check(&plugin, server.tcp[0], "hello pdudo\\n", "pong", 0);
        // The plugin does look: a reply that it did not expect is a warning.
        check(&plugin, server.tcp[0], "ping 1\\n", "pong 2", 1);
    }
}

#[test]
fn check_udp() {
    let Some(plugin) = plugin("check_udp") else {
        return;
    };
    for server in servers() {
        check(&plugin, server.udp[0], "ping", "pong", 0);
        check(&plugin, server.udp[0], "hello pdudo", "pong", 0);
    }
}

/// One port for every tool, whichever family and transport it comes with.
#[test]
fn all_at_one_wildcard_port() {
    if !is_installed("nc") || !has_ipv6() {
        return;
    }
    let server = Server::start_at(&[":0"], &[]);
    for ip in [
        Ipv4Addr::LOCALHOST.to_string(),
        Ipv6Addr::LOCALHOST.to_string(),
    ] {
        let port = server.port().to_string();
        talk(&mut Tool::start("nc", &[&ip, &port]));
        talk(&mut Tool::start("nc", &["-u", &ip, &port]));
    }
}
