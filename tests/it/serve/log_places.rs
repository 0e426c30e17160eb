//! Whatever standard error is, the server serves, and goes on to log when there is room again.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::client::{ask, connect, replies_to, udp};
use crate::support::place::{
    FAKE_PROC, HIDE_PROC, Pty, as_nobody, drain, full_datagrams, full_pipe, full_stream,
    in_a_mount_namespace, is_root, listens_at,
};
use crate::support::server::Reaped;
use crate::support::until;
use crate::support::{PROGRAM, command};
use crate::tools::is_installed;

const SERVE: [&str; 4] = ["serve", "--listen", "127.0.0.1:0", "-vv"];

/// Far more than any terminal or pipe has room for.
const PINGS: usize = 1500;

/// The program by itself.
fn plain() -> Command {
    command("env")
}

/// A server whose standard error is this.
struct Placed {
    child: Reaped,
    options: &'static [&'static str],
    at: SocketAddr,
}

impl Placed {
    /// `wrapper` runs the command that is its arguments, in its own place.
    fn start(wrapper: Command, stderr: impl Into<Stdio>) -> Self {
        Self::start_with(&[], wrapper, stderr)
    }

    fn start_with(
        options: &'static [&str],
        mut wrapper: Command,
        stderr: impl Into<Stdio>,
    ) -> Self {
        wrapper
            .arg(PROGRAM)
            .args(SERVE)
            .args(options)
            .env_remove("RUST_LOG")
            .stderr(stderr);
        let child = Reaped(wrapper.spawn().unwrap());
        let at = listens_at(child.0.id());
        Self { child, options, at }
    }

    fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Each ping is a line.
    fn assert_serves(&self) {
        let client = connect(self.at);
        for _ in 0..PINGS {
            ask(&client, b"ping\n", b"pong\n");
        }
        if !self.options.contains(&"--no-udp") {
            let replies = replies_to(&udp([127, 0, 0, 1]), self.at, &[b"ping"]);
            assert_eq!(replies, [b"pong"]);
        }
    }

    /// Loses lines, and tells it where `read` looks, once that makes room.
    fn assert_serves_and_tells(&self, read: impl Fn() -> Vec<u8>) {
        self.assert_serves();
        let client = connect(self.at);
        let mut text = Vec::new();
        until("the loss is told", || {
            text.extend(read());
            ask(&client, b"ping\n", b"pong\n");
            String::from_utf8_lossy(&text).contains(" log lines were left out")
        });
        // What it was filled with has no line end; what follows on a line that was cut has a line
        // of its own.
        let text = String::from_utf8(text).unwrap();
        for line in text.trim_start_matches('.').lines() {
            let is_line = line.starts_with("20") && line.matches("Z ").count() == 1;
            assert!(
                is_line || line.len() < "2000-00-00T00:00:00Z ".len(),
                "{line:?} in {text:?}"
            );
        }
    }
}

#[test]
fn a_full_pipe() {
    let (reader, writer) = full_pipe();
    Placed::start(plain(), writer).assert_serves_and_tells(|| drain(&reader));
}

/// There pwritev2(2) is unknown, as to a kernel before 4.6; the pipe is opened anew.
#[test]
fn a_full_pipe_under_qemu() {
    let qemu = "qemu-x86_64-static";
    if !cfg!(target_arch = "x86_64") || !is_installed(qemu) {
        return;
    }
    let (reader, writer) = full_pipe();
    Placed::start_with(&["--no-udp"], command(qemu), writer)
        .assert_serves_and_tells(|| drain(&reader));
}

/// Nobody may not open root's pipe anew.
#[test]
fn a_full_pipe_of_somebody_else() {
    let Some(nobody) = as_nobody() else { return };
    let (reader, writer) = full_pipe();
    Placed::start(nobody, writer).assert_serves_and_tells(|| drain(&reader));
}

#[test]
fn a_full_stream_socket() {
    let (reader, writer) = full_stream();
    Placed::start(plain(), writer).assert_serves_and_tells(|| drain(&reader));
}

#[test]
fn a_full_datagram_socket() {
    let (reader, writer) = full_datagrams();
    Placed::start(plain(), writer).assert_serves_and_tells(|| drain(&reader));
}

#[test]
fn a_socket_that_nobody_listens_at() {
    let (reader, writer) = UnixDatagram::pair().unwrap();
    drop(reader);
    Placed::start(plain(), OwnedFd::from(writer)).assert_serves();
    let (reader, writer) = full_stream();
    drop(reader);
    Placed::start(plain(), writer).assert_serves();
}

#[test]
fn a_terminal_that_nobody_reads() {
    let pty = Pty::new();
    Placed::start(plain(), pty.slave()).assert_serves_and_tells(|| pty.drain());
}

/// Its owner alone may open it, and that is not who runs the server: as after `su`.
#[test]
fn a_terminal_of_somebody_else() {
    if !is_root() {
        return;
    }
    let Some(nobody) = as_nobody() else { return };
    let pty = Pty::new().of_its_owner_alone();
    Placed::start(nobody, pty.slave()).assert_serves_and_tells(|| pty.drain());
}

/// The same in a session that the terminal controls, as it is after `su`: there is /dev/tty.
#[test]
fn a_controlling_terminal_of_somebody_else() {
    if !is_root() {
        return;
    }
    let Some(nobody) = as_nobody() else { return };
    let pty = Pty::new().of_its_owner_alone();
    let mut session = command("setsid");
    session
        .arg("--ctty")
        .arg(nobody.get_program())
        .args(nobody.get_args())
        .stdin(pty.slave());
    let server = Placed::start(session, pty.slave());
    let files = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
    let has_tty = files
        .filter_map(|file| std::fs::read_link(file.unwrap().path()).ok())
        .any(|path| path.ends_with("dev/tty"));
    assert!(has_tty, "it does not write to /dev/tty");
    server.assert_serves_and_tells(|| pty.drain());
}

/// The terminal that controls the server is another one, and stays clean.
#[test]
fn a_terminal_beside_the_controlling_one() {
    if !is_root() {
        return;
    }
    let Some(nobody) = as_nobody() else { return };
    let [pty, other] = [(); 2].map(|()| Pty::new().of_its_owner_alone());
    let mut session = command("setsid");
    session
        .arg("--ctty")
        .arg(nobody.get_program())
        .args(nobody.get_args())
        .stdin(other.slave());
    let server = Placed::start(session, pty.slave());
    server.assert_serves_and_tells(|| pty.drain());
    assert_eq!(other.drain(), b"");
}

/// What /proc calls its standard error is another file.
#[test]
fn a_terminal_with_another_proc() {
    let Some(namespace) = in_a_mount_namespace(FAKE_PROC) else {
        return;
    };
    let pty = Pty::new();
    Placed::start(namespace, pty.slave()).assert_serves_and_tells(|| pty.drain());
}

#[test]
fn a_terminal_without_proc() {
    let Some(namespace) = in_a_mount_namespace(HIDE_PROC) else {
        return;
    };
    let pty = Pty::new();
    Placed::start(namespace, pty.slave()).assert_serves_and_tells(|| pty.drain());
}

#[test]
fn a_pipe_without_proc() {
    let Some(namespace) = in_a_mount_namespace(HIDE_PROC) else {
        return;
    };
    let (reader, writer) = full_pipe();
    Placed::start(namespace, writer).assert_serves_and_tells(|| drain(&reader));
}

/// The terminal goes away, as when a connection over ssh is lost.
#[test]
fn a_terminal_that_is_gone() {
    let pty = Pty::new();
    let server = Placed::start(plain(), pty.slave());
    drop(pty);
    server.assert_serves();
}

#[test]
fn a_device_that_is_full() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    Placed::start(plain(), full).assert_serves();
}

/// A disk that is full, and then is not. A line that had half of its room has no other behind it.
#[test]
fn a_disk_that_is_full() {
    let setup = "mount -t tmpfs -o size=16k none /mnt; exec 2>>/mnt/log";
    let Some(namespace) = in_a_mount_namespace(setup) else {
        return;
    };
    let server = Placed::start(namespace, Stdio::null());
    let path = format!("/proc/{}/root/mnt/log", server.pid());
    let log = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    server.assert_serves();
    assert_eq!(log.metadata().unwrap().len(), 16 * 1024);
    log.set_len(0).unwrap();
    server.assert_serves_and_tells(|| take(&log));
}

/// Reads a log from its beginning, and empties it.
fn take(mut log: &File) -> Vec<u8> {
    let mut text = Vec::new();
    log.rewind().unwrap();
    log.read_to_end(&mut text).unwrap();
    log.set_len(0).unwrap();
    text
}

/// A file that may be no longer (RLIMIT_FSIZE, as `ulimit -f` sets it).
#[test]
fn a_file_at_its_limit() {
    let name = format!("pingpong-log-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = File::create(&path).unwrap();
    let log = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut limited = command("sh");
    // The signal that comes with the limit is not the log's business.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"]);
    let server = Placed::start(limited, file);
    server.assert_serves();
    let len = log.metadata().unwrap().len();
    assert!([4096, 8192].contains(&len), "{len} bytes");
}

/// Nobody reads for a while, and then somebody does all the time: lines are lost for both reasons,
/// and all are told and counted, to the number.
#[test]
fn a_full_pipe_and_a_storm() {
    let (reader, writer) = full_pipe();
    let server = Placed::start(plain(), writer);
    let client = connect(server.at);
    let pings = Cell::new(0);
    let burst = |count| {
        ask(&client, &b"ping\n".repeat(count), &b"pong\n".repeat(count));
        pings.set(pings.get() + count as u64);
    };
    // There is no room for any, nor for the three lines before them: two sockets, one connection.
    burst(3000);
    drain(&reader);
    let text = RefCell::new(String::new());
    let read = || {
        text.borrow_mut()
            .push_str(&String::from_utf8(drain(&reader)).unwrap());
    };
    for _ in 0..20 {
        // A pipe has room for so many.
        burst(200);
        read();
    }
    until("all is told", || {
        burst(1);
        read();
        let text = text.borrow();
        let messages = text.matches(" message of 5 bytes").count() as u64;
        messages + told(&text) == pings.get() + 3
    });
    kill_process(Pid::from_child(&server.child.0), Signal::USR1).unwrap();
    until("the counters are there", || {
        read();
        text.borrow().contains("reason=\"full_pipe\"")
    });
    let text = text.borrow();
    let lost = ["storm", "full_pipe"].map(|reason| {
        let name = format!("log_lines_lost_total{{reason=\"{reason}\"}} ");
        let (_, rest) = text.split_once(&name).unwrap();
        rest.lines().next().unwrap().parse::<u64>().unwrap()
    });
    assert!(lost[0] > 0, "no storm in {} pings", pings.get());
    assert_eq!((lost[1], lost[0] + lost[1]), (3003, told(&text)));
}

/// How many lines have been told as lost.
fn told(text: &str) -> u64 {
    let notices = text
        .lines()
        .filter_map(|line| line.strip_suffix(" log lines were left out"));
    notices
        .map(|head| head.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}
