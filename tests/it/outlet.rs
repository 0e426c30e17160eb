//! The one way to write to standard output and error: what it is for which descriptor, and that it
//! never waits, on anything that takes no more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use pingpong::inside::outlet::{
    COMPLAINT_PATIENCE, Outlet, PIPE_PIECE_MAX_BYTES, RESULT_PATIENCE, Way,
};
use rustix::fs::{OFlags, fcntl_getfl};

use crate::support::GUARD;
use crate::support::place::{Pty, drain, full_datagrams, full_pipe, full_stream};

/// Does it on a thread, so that what waits for ever is found out.
fn within_guard<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver
        .recv_timeout(GUARD)
        .unwrap_or_else(|_| panic!("it waits: {what}"))
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = io::pipe().unwrap();
    (reader.into(), writer.into())
}

/// A text that tells what is missing from it.
fn text(lines: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for number in 0..lines {
        writeln!(text, "line {number}").unwrap();
    }
    text
}

/// Writes more than there is room for, again after a reader has made some, and once more: nothing
/// waits, nothing is lost or told twice, and the open file that others share blocks as before.
fn write_to_the_brim(writer: OwnedFd, way: Way, reader: OwnedFd) {
    let what = format!("{way:?}");
    within_guard(&what.clone(), move || {
        let mut outlet = Outlet::with_way(writer.try_clone().unwrap(), way);
        let text = text(200_000);
        let (mut written, mut read) = (0, Vec::new());
        for round in 0..3 {
            let now = outlet.write_now(&text[written..]);
            assert!(now.failure.is_none(), "{what}: {:?}", now.failure);
            assert!(now.len > 0, "{what}: nothing in round {round}");
            written += now.len;
            assert!(written < text.len(), "{what}: it is never full");
            let again = outlet.write_now(&text[written..]);
            assert_eq!(again.len, 0, "{what}: in round {round}");
            read.extend(drain(&reader));
        }
        // A terminal puts a CR before each LF.
        read.retain(|byte| *byte != b'\r');
        assert!(
            read == text[..written],
            "{what}: it is not what was written"
        );
        assert!(!fcntl_getfl(&writer).unwrap().contains(OFlags::NONBLOCK));
    });
}

#[test]
fn a_pipe_is_never_waited_for() {
    for choose in [
        |fd: &OwnedFd| Way::of(fd.as_fd()),
        |fd: &OwnedFd| Way::of_pipe_without_nowait(fd.as_fd()),
        |_: &OwnedFd| Way::Ask(PIPE_PIECE_MAX_BYTES),
    ] {
        let (reader, writer) = pipe();
        let way = choose(&writer);
        write_to_the_brim(writer, way, reader);
    }
}

#[test]
fn a_stream_socket_is_never_waited_for() {
    let (reader, writer) = UnixStream::pair().unwrap();
    let writer = OwnedFd::from(writer);
    let way = Way::of(writer.as_fd());
    assert!(matches!(way, Way::Send), "{way:?}");
    write_to_the_brim(writer, way, reader.into());
}

#[test]
fn a_terminal_is_never_waited_for() {
    for choose in [
        |fd: &OwnedFd| Way::of(fd.as_fd()),
        |_: &OwnedFd| Way::Ask(1),
    ] {
        let pty = Pty::new();
        let writer = pty.slave();
        let way = choose(&writer);
        let reader = pty.master.try_clone().unwrap().into();
        write_to_the_brim(writer, way, reader);
    }
}

/// Each datagram is a piece of its own.
#[test]
fn a_datagram_socket_is_never_waited_for() {
    let (reader, writer) = UnixDatagram::pair().unwrap();
    let writer = OwnedFd::from(writer);
    let sent = within_guard("datagrams", move || {
        let mut outlet = Outlet::new(writer);
        let all = std::iter::repeat_with(|| outlet.write_now(b"a line\n").len);
        all.take(10_000).filter(|len| *len == 7).count()
    });
    assert!((1..10_000).contains(&sent), "{sent}");
    assert_eq!(drain(&reader), b"a line\n".repeat(sent));
}

#[test]
fn what_is_full_already_takes_nothing() {
    for (what, (_reader, writer)) in [
        ("pipe", full_pipe()),
        ("stream", full_stream()),
        ("datagrams", full_datagrams()),
    ] {
        let written = within_guard(what, move || Outlet::new(writer).write_now(b"a line\n"));
        assert_eq!(written.len, 0, "{what}");
        assert!(written.failure.is_none(), "{what}: {:?}", written.failure);
    }
}

/// Another open file, so that O_NONBLOCK stays with it.
#[test]
fn a_terminal_is_opened_anew_but_its_master_is_not() {
    let pty = Pty::new();
    let way = Way::of(pty.slave().as_fd());
    let Way::Own(own) = way else {
        panic!("{way:?}");
    };
    assert!(fcntl_getfl(&own).unwrap().contains(OFlags::NONBLOCK));
    (&own).write_all(b"same\n").unwrap();
    assert_eq!(drain(&pty.master), b"same\r\n");
    // That would be the master of a terminal that nobody else has.
    let way = Way::of(pty.master.as_fd());
    assert!(matches!(way, Way::Ask(1)), "{way:?}");
}

#[test]
fn a_file_is_just_written_to() {
    for path in ["/dev/null", "/dev/full"] {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let way = Way::of(file.as_fd());
        assert!(matches!(way, Way::Plain), "{path}: {way:?}");
    }
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let failure = Outlet::new(full).write_now(b"a line\n").failure.unwrap();
    assert_eq!(failure.kind(), io::ErrorKind::StorageFull);
}

/// A reader that is gone is told as that, in every way.
#[test]
fn a_reader_that_is_gone_is_an_error() {
    for way in [
        |fd: &OwnedFd| Way::of(fd.as_fd()),
        |fd: &OwnedFd| Way::of_pipe_without_nowait(fd.as_fd()),
        |_: &OwnedFd| Way::Ask(PIPE_PIECE_MAX_BYTES),
    ] {
        let (reader, writer) = pipe();
        let mut outlet = Outlet::with_way(writer.try_clone().unwrap(), way(&writer));
        drop(reader);
        let failure = outlet.write_now(b"a line\n").failure.unwrap();
        assert_eq!(failure.kind(), io::ErrorKind::BrokenPipe);
    }
    let (reader, writer) = UnixStream::pair().unwrap();
    drop(reader);
    let failure = Outlet::new(writer).write_now(b"a line\n").failure.unwrap();
    assert_eq!(failure.kind(), io::ErrorKind::BrokenPipe);
    let pty = Pty::new();
    let slave = pty.slave();
    for way in [Way::of(slave.as_fd()), Way::Ask(1)] {
        let mut outlet = Outlet::with_way(slave.try_clone().unwrap(), way);
        let master = pty.master.try_clone().unwrap();
        assert_eq!(outlet.write_now(b"x").len, 1);
        drop(master);
    }
    let mut outlet = Outlet::new(slave);
    drop(pty);
    assert!(outlet.write_now(b"a line\n").failure.is_some());
}

#[test]
fn nobody_waits_longer_than_is_documented() {
    assert_eq!(PIPE_PIECE_MAX_BYTES, 4096);
    assert_eq!(RESULT_PATIENCE, Duration::from_secs(60));
    assert_eq!(COMPLAINT_PATIENCE, Duration::from_secs(1));
}

/// A slow reader gets everything; one that takes nothing is not waited for longer than was said.
#[test]
fn a_reader_is_waited_for_as_long_as_was_said() {
    let (reader, writer) = full_pipe();
    let began = Instant::now();
    let patience = Duration::from_millis(300);
    let (writer, failure) = within_guard("nobody reads", move || {
        let mut outlet = Outlet::new(writer.try_clone().unwrap());
        let failure = outlet.write_all_within(b"a line\n", patience).unwrap_err();
        (writer, failure)
    });
    assert_eq!(failure.kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed() >= patience, "{:?}", began.elapsed());
    drain(&reader);
    let text = text(60_000);
    let expected = text.clone();
    let slow = thread::spawn(move || {
        let mut reader = File::from(reader);
        let mut read = Vec::new();
        let mut piece = [0; 16384];
        while let Ok(len @ 1..) = reader.read(&mut piece) {
            read.extend_from_slice(&piece[..len]);
            thread::sleep(Duration::from_millis(50));
        }
        read
    });
    // In all it takes longer than that, but never is nothing taken.
    let (began, patience) = (Instant::now(), Duration::from_secs(1));
    Outlet::new(writer)
        .write_all_within(&text, patience)
        .unwrap();
    assert!(began.elapsed() > patience, "{:?}", began.elapsed());
    assert!(slow.join().unwrap() == expected);
}
