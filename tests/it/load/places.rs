//! Whatever standard output and error are: progress is left out rather than waited for, and the report
//! waits for its reader, but not for ever.

use std::fs::OpenOptions;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{PROGRAM, Served};
use crate::support::command;
use crate::support::place::{
    HIDE_PROC, Pty, as_nobody, drain, full_pipe, in_a_mount_namespace, is_root,
};
use crate::support::server::{Reaped, wait_for_exit};
use crate::support::until;

fn plain() -> Command {
    command("env")
}

fn load(mut wrapper: Command, served: &Served) -> Command {
    wrapper
        .args([PROGRAM, "load", "-c", "1", "-d", "600ms"])
        .arg(served.address.to_string())
        .stdin(Stdio::null());
    wrapper
}

/// Progress has no room on this terminal, and the run goes on without it.
fn assert_runs_without_progress(wrapper: Command, pty: &Pty) {
    pty.fill();
    let served = Served::start();
    let mut command = load(wrapper, &served);
    let mut child = Reaped(
        command
            .stdout(Stdio::piped())
            .stderr(pty.slave())
            .spawn()
            .unwrap(),
    );
    assert_eq!(wait_for_exit(&mut child.0).code(), Some(0));
    let mut report = String::new();
    let mut stdout = child.0.stdout.take().unwrap();
    stdout.read_to_string(&mut report).unwrap();
    assert!(report.contains("errors       none"), "{report}");
}

#[test]
fn a_full_terminal() {
    assert_runs_without_progress(plain(), &Pty::new());
}

#[test]
fn a_full_terminal_of_somebody_else() {
    if !is_root() {
        return;
    }
    let Some(nobody) = as_nobody() else { return };
    assert_runs_without_progress(nobody, &Pty::new().of_its_owner_alone());
}

#[test]
fn a_full_terminal_without_proc() {
    let Some(namespace) = in_a_mount_namespace(HIDE_PROC) else {
        return;
    };
    assert_runs_without_progress(namespace, &Pty::new());
}

/// On a terminal that has no size, as a serial line has none, it is shown as on one of 80 columns.
#[test]
fn progress_is_shown_on_a_terminal_that_is_read() {
    let (pty, served) = (Pty::new(), Served::start());
    let mut command = load(plain(), &served);
    let child = command.stdout(Stdio::null()).stderr(pty.slave()).spawn();
    let mut child = Reaped(child.unwrap());
    let mut shown = Vec::new();
    let mut code = None;
    until("it has ended", || {
        shown.extend(pty.drain());
        code = child.0.try_wait().unwrap();
        code.is_some()
    });
    shown.extend(pty.drain());
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!(code.unwrap().code(), Some(0), "{shown}");
    let frames: Vec<_> = shown.split("\r\u{1b}[2K").collect();
    assert!(frames.len() > 2, "{shown:?}");
    assert!(frames[1].starts_with("load ["), "{shown:?}");
    // One that is wider than the terminal would go on below, out of reach of the next.
    assert!(
        frames.iter().all(|frame| frame.chars().count() < 80),
        "{shown:?}"
    );
    assert!(shown.contains("s left"), "{shown:?}");
    // At the end the line is empty.
    assert!(!frames[frames.len() - 1].contains("load"), "{shown:?}");
}

/// A pager that waits for a key: longer than a ping waits.
#[test]
fn the_report_waits_for_its_reader() {
    let served = Served::start();
    let (reader, writer) = full_pipe();
    let mut command = load(plain(), &served);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
    let mut child = Reaped(child.unwrap());
    drop(command);
    thread::sleep(Duration::from_millis(2500));
    assert!(child.0.try_wait().unwrap().is_none(), "it has not waited");
    let mut report = Vec::new();
    until("it has ended", || {
        report.extend(drain(&reader));
        child.0.try_wait().unwrap().is_some()
    });
    report.extend(drain(&reader));
    assert_eq!(wait_for_exit(&mut child.0).code(), Some(0));
    let report = String::from_utf8(report).unwrap();
    assert!(report.contains("errors       none"), "{report}");
}

/// Whoever does not want to wait says so.
#[test]
fn a_signal_ends_the_wait_for_a_reader() {
    let served = Served::start();
    let (_reader, writer) = full_pipe();
    let mut command = load(plain(), &served);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn();
    let mut child = Reaped(child.unwrap());
    // It has begun to listen to signals; the first may come while it still runs, and ends that.
    thread::sleep(Duration::from_millis(1500));
    until("it ends", || {
        kill_process(Pid::from_child(&child.0), Signal::INT).unwrap();
        child.0.try_wait().unwrap().is_some()
    });
    let mut told = String::new();
    let mut stderr = child.0.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    let status = wait_for_exit(&mut child.0);
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(
        told.ends_with("pingpong: cannot write the output: nobody reads it\n"),
        "{told}"
    );
}

#[test]
fn a_report_that_cannot_be_written_is_told() {
    let served = Served::start();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = load(plain(), &served);
    let child = command.stdout(full).stderr(Stdio::piped()).spawn();
    let mut child = Reaped(child.unwrap());
    assert_eq!(wait_for_exit(&mut child.0).code(), Some(1));
    let mut told = String::new();
    let mut stderr = child.0.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!(
        told,
        "pingpong: cannot write the output: No space left on device (os error 28)\n"
    );
}
