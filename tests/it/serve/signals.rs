//! Signals that mean something else than an order to stop, and what a parent may leave of them.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::GUARD;
use crate::support::client::{ask, connect, stuff};
use crate::support::server::{Reaped, Server, pingpong, run, wait_for_exit};
use crate::support::{command, skip};

/// The server behind env(1) with one of its options about signals; `None` where it has them not.
fn with_signals(options: &[&str]) -> Option<Command> {
    let mut probe = command("env");
    probe.args(options).arg("true");
    if run(probe).0 != Some(0) {
        skip(&format!("env(1) does not know {options:?}"));
        return None;
    }
    let mut env = command("env");
    env.args(options)
        .arg(pingpong(&[]).get_program())
        .env_remove("RUST_LOG");
    Some(env)
}

fn serve_with_signals(options: &[&str], more: &[&str]) -> Option<Server> {
    let mut env = with_signals(options)?;
    env.args(["serve", "--listen", "127.0.0.1:0"]).args(more);
    Some(Server::spawn(env))
}

fn is_alive(server: &Server) {
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
}

/// The line of /proc/PID/status: a mask in hexadecimal, the first signal its lowest bit.
fn mask(server: &Server, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    u64::from_str_radix(line.unwrap().trim_start_matches(':').trim(), 16).unwrap()
}

/// Environments send these as a matter of course.
#[test]
fn what_is_no_order_to_stop_does_not_stop_it() {
    let mut server = Server::start(&[]);
    for signal in [
        Signal::HUP,
        Signal::PIPE,
        Signal::WINCH,
        Signal::XFSZ,
        Signal::CHILD,
        Signal::URG,
        Signal::CONT,
        Signal::TTOU,
    ] {
        server.signal(signal);
        is_alive(&server);
    }
    let line = server.wait_for_line("SIGHUP: nothing to do");
    assert!(line.contains(" INFO "), "{line}");
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit(), Some(0));
}

#[test]
fn blocked_signals_are_unblocked() {
    for stop in [Signal::TERM, Signal::INT] {
        // It starts only if SIGUSR1 gets through: that is how it is asked whether it has.
        let Some(mut server) = serve_with_signals(&["--block-signal"], &[]) else {
            return;
        };
        // But for SIGTTOU: a log line must not stop it where `stty tostop` is set.
        assert_eq!(mask(&server, "SigBlk"), 1 << (Signal::TTOU.as_raw() - 1));
        server.signal(Signal::HUP);
        server.wait_for_line("SIGHUP: nothing to do");
        server.signal(stop);
        assert_eq!(server.wait_for_exit(), Some(0));
    }
}

#[test]
fn ignored_signals_stop_it_all_the_same() {
    for stop in [Signal::TERM, Signal::INT] {
        // It starts only if SIGUSR1 gets through.
        let ignore = ["--ignore-signal=TERM,INT,USR1,USR2,XFSZ"];
        let Some(mut server) = serve_with_signals(&ignore, &[]) else {
            return;
        };
        server.signal(stop);
        assert_eq!(server.wait_for_exit(), Some(0));
    }
}

/// A server whose standard error is a terminal.
struct OnTerminal {
    child: Reaped,
    lines: Receiver<String>,
    /// The terminal lives as long as somebody has it open.
    _terminal: File,
}

impl OnTerminal {
    fn start(mut command: Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let mut options = OpenOptions::new();
        let terminal = options
            .read(true)
            .write(true)
            .open(path.to_str().unwrap())
            .unwrap();
        command
            .stdin(Stdio::null())
            .stderr(terminal.try_clone().unwrap());
        let child = Reaped(command.spawn().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(File::from(master)).lines();
            lines.try_for_each(|line| sender.send(line.unwrap_or_default()))
        });
        Self {
            child,
            lines,
            _terminal: terminal,
        }
    }

    fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(GUARD).expect(text);
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }
}

fn serve_on_terminal() -> (OnTerminal, std::net::SocketAddr) {
    let server = OnTerminal::start(pingpong(&["serve", "--listen", "127.0.0.1:0", "--no-udp"]));
    let line = server.wait_for("listening on tcp://");
    let at = line.trim().rsplit("//").next().unwrap().parse().unwrap();
    (server, at)
}

/// The terminal has gone. Both the shell and the kernel say so, and that is not a second order.
#[test]
fn a_hang_up_of_the_terminal_drains() {
    let (mut server, at) = serve_on_terminal();
    let stuck = connect(at);
    stuff(&stuck, &b"ping\n".repeat(1000));
    server.signal(Signal::HUP);
    server.wait_for("stopping: 1 connections to drain");
    server.signal(Signal::HUP);
    // It obeys in order: when this has been done, it has seen the hang-up.
    server.signal(Signal::USR1);
    server.wait_for("loop_turns_total");
    assert_eq!(server.child.0.try_wait().unwrap(), None);
    drop(stuck);
    assert_eq!(wait_for_exit(&mut server.child.0).code(), Some(0));
}

/// As under nohup(1), whose standard error may still be a terminal.
#[test]
fn a_hang_up_that_was_ignored_stays_ignored() {
    let Some(mut command) = with_signals(&["--ignore-signal=HUP"]) else {
        return;
    };
    command.args(["serve", "--listen", "127.0.0.1:0", "--no-udp"]);
    let mut server = OnTerminal::start(command);
    server.wait_for("listening on tcp://");
    server.signal(Signal::HUP);
    server.signal(Signal::USR1);
    server.wait_for("loop_turns_total");
    server.signal(Signal::TERM);
    // The first order to stop, not the second.
    assert_eq!(wait_for_exit(&mut server.child.0).code(), Some(0));

    let Some(server) = serve_with_signals(&["--ignore-signal=HUP"], &[]) else {
        return;
    };
    server.signal(Signal::HUP);
    server.report();
    assert!(!server.lines().iter().any(|line| line.contains("SIGHUP")));
}

/// A log file that reaches its limit loses lines, and that is all.
#[test]
fn a_log_file_at_its_limit_does_not_end_it() {
    let path = std::env::temp_dir().join(format!("pingpong-{}.log", std::process::id()));
    let mut shell = command("sh");
    // A block is half a kilobyte: room for where it listens, and for little more.
    let script = "ulimit -f 1; exec \"$0\" serve -vv --listen 127.0.0.1:0 --no-udp 2>\"$1\"";
    shell
        .args(["-c", script])
        .arg(pingpong(&[]).get_program())
        .arg(&path)
        .env_remove("RUST_LOG");
    let mut child = Reaped(shell.spawn().unwrap());
    let mut at = None;
    crate::support::until("it listens", || {
        let log = std::fs::read_to_string(&path).unwrap_or_default();
        let line = log.lines().find_map(|line| line.split_once("tcp://"));
        at = line.and_then(|(_, at)| at.parse().ok());
        at.is_some()
    });
    let client = connect(at.unwrap());
    for _ in 0..100 {
        ask(&client, b"ping\n", b"pong\n");
    }
    let len = std::fs::metadata(&path).unwrap().len();
    let _ = std::fs::remove_file(&path);
    assert_eq!(len, 512, "the limit was not reached");
    assert_eq!(child.0.try_wait().unwrap(), None);
}

/// Clients have signals of their own: blocked or ignored ones are theirs again, a server's mean
/// nothing to them.
#[test]
fn clients_have_their_own() {
    let server = Server::start(&[]);
    let target = server.tcp[0].to_string();
    let commands: &[&[&str]] = &[
        #[cfg(feature = "ping")]
        &["ping", "-i", "1h"],
        #[cfg(feature = "load")]
        &["load", "-c", "1", "-d", "1h", "--rate", "100"],
    ];
    for command in commands {
        for (options, stop) in [
            ("--block-signal", Signal::INT),
            ("--ignore-signal=INT,TERM,QUIT", Signal::TERM),
        ] {
            let Some(mut env) = with_signals(&[options]) else {
                return;
            };
            env.args(*command).arg(&target);
            let (mut child, so_far) = started_client(env);
            assert!(so_far.recv_timeout(GUARD).is_ok(), "{command:?}");
            kill_process(Pid::from_child(&child.0), stop).unwrap();
            // Whether a reply had come by then is another matter.
            let code = wait_for_exit(&mut child.0).code();
            assert!(matches!(code, Some(0 | 1)), "{command:?}: {code:?}");
        }
        let mut plain = pingpong(command);
        plain.arg(&target);
        let (mut child, _) = started_client(plain);
        kill_process(Pid::from_child(&child.0), Signal::USR1).unwrap();
        let status = wait_for_exit(&mut child.0);
        assert_eq!(status.signal(), Some(Signal::USR1.as_raw()), "{command:?}");
    }
}

/// A client that has begun to serve its signals, and each line that SIGQUIT has it say.
fn started_client(mut command: Command) -> (Reaped, Receiver<String>) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = Reaped(command.spawn().unwrap());
    let stderr = BufReader::new(child.0.stderr.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = stderr.lines().map_while(Result::ok);
        lines.try_for_each(|line| sender.send(line))
    });
    let pid = Pid::from_child(&child.0);
    // Until it handles the signal, it must not come: SIGQUIT ends who does not.
    let caught = |bit: u64| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.0.id())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
        };
        of("SigCgt:") & bit != 0
    };
    let quit = 1 << (Signal::QUIT.as_raw() - 1);
    crate::support::until("the client handles SIGQUIT", || caught(quit));
    kill_process(pid, Signal::QUIT).unwrap();
    (child, lines)
}
