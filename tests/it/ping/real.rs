//! The real program as a child, and real sockets whose server does what a test wants.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::server::freeze_asleep;
use crate::support::{PROGRAM, command};

/// How long anything may take. It is a guard: no test waits for it unless it fails.
pub(crate) const GUARD: Duration = Duration::from_secs(20);

/// A child that does not outlive its test.
pub(crate) struct Program {
    child: Child,
    pub(crate) stdout: Option<BufReader<ChildStdout>>,
    pub(crate) stderr: Option<BufReader<ChildStderr>>,
}

/// How a child ended, and what it had to say.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = command(PROGRAM)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdout: child.stdout.take().map(BufReader::new),
            stderr: child.stderr.take().map(BufReader::new),
            child,
        }
    }

    /// The next line that it shows.
    pub(crate) fn line(&mut self) -> String {
        next_line(self.stdout.as_mut().unwrap())
    }

    /// The next line on its standard error.
    pub(crate) fn error_line(&mut self) -> String {
        next_line(self.stderr.as_mut().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Stops it (SIGSTOP) once it sleeps, and returns when it stands still.
    pub(crate) fn freeze_asleep(&self) {
        freeze_asleep(&self.child);
    }

    /// Waits for its end, and reads the rest of what it says.
    pub(crate) fn end(mut self) -> Ended {
        let stdout = rest(self.stdout.take());
        let stderr = rest(self.stderr.take());
        let status = self.wait();
        Ended {
            status: status.code(),
            stdout: stdout.recv_timeout(GUARD).unwrap(),
            stderr: stderr.recv_timeout(GUARD).unwrap(),
        }
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + GUARD;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The next line, waited for, but not for ever; less than that at the end of the stream.
fn next_line<R: Read + AsFd>(reader: &mut BufReader<R>) -> String {
    let guard = Timespec::try_from(GUARD).unwrap();
    let mut line = Vec::new();
    loop {
        if reader.buffer().is_empty() {
            let mut fds = [PollFd::new(reader.get_ref(), PollFlags::IN)];
            let count = poll(&mut fds, Some(&guard)).unwrap();
            assert!(count > 0, "it says no more: {}", line.escape_ascii());
        }
        let buffer = reader.fill_buf().unwrap();
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let len = end.map_or(buffer.len(), |at| at + 1);
        line.extend_from_slice(&buffer[..len]);
        reader.consume(len);
        if end.is_some() || len == 0 {
            return String::from_utf8(line).unwrap();
        }
    }
}

fn rest(reader: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut reader) = reader {
            reader.read_to_string(&mut text).unwrap();
        }
        // The test may be over.
        let _ = sender.send(text);
    });
    receiver
}

/// Runs `pingpong ping` to its end.
pub(crate) fn ping(args: &[&str]) -> Ended {
    Program::start(&[&["ping"], args].concat()).end()
}

/// The real server, at a port that the system chose.
pub(crate) struct Serve {
    pub(crate) program: Program,
    pub(crate) at: SocketAddr,
}

impl Serve {
    pub(crate) fn start(listen: &str, options: &[&str]) -> Self {
        let mut program = Program::start(&[&["serve", "--listen", listen], options].concat());
        loop {
            let line = program.error_line();
            assert!(!line.is_empty(), "the server ended");
            // It comes last.
            if let Some((_, at)) = line.trim_end().split_once("udp://") {
                let at = at.parse().unwrap();
                return Self { program, at };
            }
        }
    }

    pub(crate) fn target(&self) -> String {
        self.at.to_string()
    }
}

/// A TCP server that does this with each connection, until the test's process ends.
pub(crate) fn tcp_server(behave: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let behave = std::sync::Arc::new(behave);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let behave = behave.clone();
            thread::spawn(move || behave(stream));
        }
    });
    target
}

/// A UDP server that does this with each datagram, until the test's process ends.
pub(crate) fn udp_server(
    mut behave: impl FnMut(&UdpSocket, SocketAddr, &[u8]) + Send + 'static,
) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = socket.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((len, source)) = socket.recv_from(&mut buffer) {
            behave(&socket, source, &buffer[..len]);
        }
    });
    target
}

/// The next line of a connection; `None` at its end.
pub(crate) fn read_line(stream: &TcpStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    // Never more than the line: the next call goes on behind it.
    let mut byte = [0];
    while !line.ends_with(b"\n") {
        let mut reader = stream;
        reader.read_exact(&mut byte).ok()?;
        line.extend_from_slice(&byte);
    }
    Some(line)
}
