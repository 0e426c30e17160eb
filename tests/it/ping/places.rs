//! Whatever standard output is: pings go on in time, the end comes in time, and what there is room for
//! is written.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pingpong::inside::client::ping::{Pinger, READER_PATIENCE};
use pingpong::inside::reactor::attempt::would_block;
use pingpong::inside::reactor::kernel::Kernel;

use super::harness::{AT_ONCE, GOOD, Sink, addresses, config, lines, ms};
use super::real::udp_server;
use crate::net::World;
use crate::support::place::{
    HIDE_PROC, Pty, as_nobody, full_datagrams, full_pipe, full_stream, in_a_mount_namespace,
    is_root,
};
use crate::support::server::{Reaped, run, wait_for_exit};
use crate::support::{PROGRAM, command};

/// Pings for a second into what takes nothing: each ping leaves in time, and the end comes with it,
/// as good as the replies were.
fn assert_pings_in_time(mut wrapper: Command, stdout: impl Into<Stdio>) {
    let pings = Arc::new(AtomicUsize::new(0));
    let counted = pings.clone();
    let target = udp_server(move |socket, source, ping| {
        counted.fetch_add(1, Ordering::Relaxed);
        let pong = super::harness::pong_bytes(ping);
        socket.send_to(&pong, source).unwrap();
    });
    wrapper
        .arg(PROGRAM)
        .args(["ping", "--udp", "-i", "0.02", "-w", "1", &target])
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped());
    let began = Instant::now();
    let mut child = Reaped(wrapper.spawn().unwrap());
    let status = wait_for_exit(&mut child.0);
    let took = began.elapsed();
    let mut told = String::new();
    let mut stderr = child.0.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(
        told.ends_with(" bytes were left out: nobody read them in time\n"),
        "{told}"
    );
    // All that a busy machine can do is to make it later.
    assert!(took >= Duration::from_secs(1) + READER_PATIENCE, "{took:?}");
    let pings = pings.load(Ordering::Relaxed);
    assert!((10..=51).contains(&pings), "{pings} pings");
}

fn plain() -> Command {
    command("env")
}

#[test]
fn a_full_pipe() {
    let (_reader, writer) = full_pipe();
    assert_pings_in_time(plain(), writer);
}

#[test]
fn a_full_socket() {
    let (_reader, writer) = full_stream();
    assert_pings_in_time(plain(), writer);
    let (_reader, writer) = full_datagrams();
    assert_pings_in_time(plain(), writer);
}

fn full_terminal() -> (Pty, OwnedFd) {
    let pty = Pty::new();
    pty.fill();
    let slave = pty.slave();
    (pty, slave)
}

#[test]
fn a_full_terminal() {
    let (_pty, slave) = full_terminal();
    assert_pings_in_time(plain(), slave);
}

#[test]
fn a_full_terminal_of_somebody_else() {
    if !is_root() {
        return;
    }
    let Some(nobody) = as_nobody() else { return };
    let (pty, slave) = full_terminal();
    let _pty = pty.of_its_owner_alone();
    assert_pings_in_time(nobody, slave);
}

#[test]
fn a_full_terminal_without_proc() {
    let Some(namespace) = in_a_mount_namespace(HIDE_PROC) else {
        return;
    };
    let (_pty, slave) = full_terminal();
    assert_pings_in_time(namespace, slave);
}

fn ping_once(stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let target = udp_server(|socket, source, ping| {
        let pong = super::harness::pong_bytes(ping);
        socket.send_to(&pong, source).unwrap();
    });
    let mut command = command(PROGRAM);
    let mut child = Reaped(
        command
            .args(["ping", "--udp", "-c", "1", &target])
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let status = wait_for_exit(&mut child.0);
    let mut told = String::new();
    let mut stderr = child.0.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    (status.code(), told)
}

#[test]
fn output_that_cannot_be_written_is_told() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let told = "pingpong: cannot write the output: No space left on device (os error 28)\n";
    assert_eq!(ping_once(full), (Some(2), told.to_owned()));
}

/// Help and version too.
#[test]
fn help_that_cannot_be_written_is_told() {
    let mut shell = command("sh");
    shell.args(["-c", "exec \"$0\" --help >/dev/full"]);
    shell.arg(PROGRAM);
    let (code, _, stderr) = run(shell);
    assert_eq!(code, Some(1));
    assert!(
        stderr.starts_with("pingpong: cannot write the output: No space"),
        "{stderr}"
    );
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let (reader, writer) = full_pipe();
    drop(reader);
    assert_eq!(ping_once(writer).1, "");
    let (reader, writer) = full_stream();
    drop(reader);
    assert_eq!(ping_once(writer).1, "");
}

/// Last words find no room either: the exit status is what its parent waits for.
#[test]
fn standard_error_that_nobody_reads_keeps_no_exit_status() {
    let (_reader, writer) = full_pipe();
    let mut command = command(PROGRAM);
    command.args(["ping", "--no-such-option"]).stderr(writer);
    let mut child = Reaped(command.spawn().unwrap());
    assert_eq!(wait_for_exit(&mut child.0).code(), Some(2));
}

/// A reader that takes so much at a time, and has no room in between.
struct Slow {
    taken: Sink,
    bytes: usize,
    is_full: bool,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_full = !self.is_full;
        if self.bytes == 0 || !self.is_full {
            return Err(would_block());
        }
        self.taken.write(&bytes[..bytes.len().min(self.bytes)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the reader had, what was told, and how much virtual time it took.
fn read_by(bytes: usize) -> (String, String, Duration) {
    let world = World::new(AT_ONCE, GOOD);
    let began = world.now();
    let (taken, status) = (Sink::default(), Sink::default());
    let reader = Slow {
        taken: taken.clone(),
        bytes,
        is_full: false,
    };
    let mut pinger = Pinger::new(
        world.clone(),
        config(),
        lines(),
        ("host".into(), addresses()),
        (reader, status.clone()),
    );
    assert!(pinger.ping().unwrap());
    assert!(pinger.take_output_failure().is_none());
    let took = world.now() - began;
    (taken.text(), status.text(), took)
}

/// Three pings, one a second, take two seconds and a little.
#[test]
fn a_slow_reader_is_waited_for_and_an_idle_one_is_not() {
    assert_eq!(READER_PATIENCE, ms(1000));
    let (all, told, took) = read_by(usize::MAX);
    assert!(all.ends_with(" ms\n") && told.is_empty());
    assert!((ms(2000)..ms(2200)).contains(&took), "{took:?}");

    let (read, told, took) = read_by(5);
    assert_eq!((read, told), (all.clone(), String::new()));
    assert!(took > ms(2000) + 2 * READER_PATIENCE, "{took:?}");

    let (read, told, took) = read_by(0);
    assert_eq!(read, "");
    let expected = format!(
        "pingpong: the last {} bytes were left out: nobody read them in time\n",
        all.len()
    );
    assert_eq!(told, expected);
    let end = ms(2000) + READER_PATIENCE;
    assert!((end..end + ms(200)).contains(&took), "{took:?}");
}
