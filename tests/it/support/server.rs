//! The real program as a child: started, listened to, asked for its counters, and gone when the
//! test is.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{GUARD, PROGRAM, command, until};

/// `pingpong serve`, running.
pub(crate) struct Server {
    child: Reaped,
    log: Arc<Log>,
    /// What it listens on, in the order in which it says so.
    pub(crate) tcp: Vec<SocketAddr>,
    pub(crate) udp: Vec<SocketAddr>,
    /// Where its pages are.
    pub(crate) admin: Option<SocketAddr>,
    /// For streams, then for datagrams.
    pub(crate) unix: Vec<PathBuf>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    changed: Condvar,
}

/// The counters that SIGUSR1 logs, by name and label. One that is zero is not there.
pub(crate) struct Report(HashMap<String, u64>);

impl Report {
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn dropped(&self, reason: &str) -> u64 {
        self.count(&format!("datagrams_dropped_total{{reason=\"{reason}\"}}"))
    }

    pub(crate) fn closed(&self, reason: &str) -> u64 {
        self.count(&format!("connections_closed_total{{reason=\"{reason}\"}}"))
    }
}

/// The command, without what the environment may say about logs.
pub(crate) fn pingpong(args: &[&str]) -> Command {
    let mut command = command(PROGRAM);
    command.args(args);
    command
}

impl Server {
    /// Serves on a free port of 127.0.0.1.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_at(&["127.0.0.1:0"], options)
    }

    /// Serves at these addresses.
    pub(crate) fn start_at(addresses: &[&str], options: &[&str]) -> Self {
        let mut args = vec!["serve"];
        for address in addresses {
            args.extend(["--listen", address]);
        }
        args.extend(options);
        Self::spawn(pingpong(&args))
    }

    /// Starts a command that serves, and waits until it is reachable. It must log: its port is in
    /// there.
    pub(crate) fn spawn(command: Command) -> Self {
        let mut server = Self::spawn_unasked(command);
        // It has told about all of its sockets when it answers this.
        server.report();
        for line in server.lines() {
            let Some((_, url)) = line.split_once("listening on ") else {
                continue;
            };
            match url.split_once(':') {
                Some(("tcp", at)) => server.tcp.push(at[2..].parse().unwrap()),
                Some(("udp", at)) => server.udp.push(at[2..].parse().unwrap()),
                Some(("http", at)) => server.admin = at[2..].parse().ok(),
                Some(("unix", path)) => server.unix.push(path.into()),
                _ => panic!("no URL: {line}"),
            }
        }
        server
    }

    /// The same, for a command that passes no signals on: nothing is known but that it listens.
    pub(crate) fn spawn_unasked(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = Reaped(command.spawn().unwrap());
        let stderr = child.0.stderr.take().unwrap();
        let log = Arc::new(Log::default());
        std::thread::spawn({
            let log = log.clone();
            move || log.follow(stderr)
        });
        let server = Self {
            child,
            log,
            tcp: Vec::new(),
            udp: Vec::new(),
            admin: None,
            unix: Vec::new(),
        };
        server.wait_for_line("listening on ");
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.tcp.first().or(self.udp.first()).unwrap().port()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }

    /// What it has logged so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log.lines().clone()
    }

    /// Waits for a line that holds `text`, and returns it.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        self.log.wait_for(0, text).1
    }

    /// Asks for the counters.
    pub(crate) fn report(&self) -> Report {
        let from = self.log.lines().len();
        self.signal(Signal::USR1);
        // The last of them, and never zero.
        let (to, _) = self.log.wait_for(from, " loop_turns_total ");
        let lines = self.lines();
        let counts = lines[from..=to].iter().filter_map(|line| {
            let mut words = line.split_whitespace().skip(2);
            let (name, count) = (words.next()?, words.next()?);
            Some((name.to_owned(), count.parse().ok()?))
        });
        Report(counts.collect())
    }

    /// Waits until the counters are as they should be. Asks seldom: the log has its limit.
    pub(crate) fn wait_for_report(&self, what: &str, holds: impl Fn(&Report) -> bool) -> Report {
        let deadline = Instant::now() + GUARD;
        loop {
            let report = self.report();
            if holds(&report) {
                return report;
            }
            assert!(Instant::now() < deadline, "{what}: {:?}", report.0);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_none()
    }

    /// Waits for its end, and returns the exit code.
    pub(crate) fn wait_for_exit(&mut self) -> Option<i32> {
        wait_for_exit(&mut self.child.0).code()
    }

    /// Stops it (SIGSTOP), and returns once it stands still.
    pub(crate) fn freeze(&self) {
        freeze(&self.child.0);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Its CPU time so far, in clock ticks (100 a second): proc_pid_stat(5).
    pub(crate) fn cpu_ticks(&self) -> u64 {
        [13, 14]
            .map(|field| self.stat(field).parse::<u64>().unwrap())
            .iter()
            .sum()
    }

    fn stat(&self, field: usize) -> String {
        stat(self.pid(), field)
    }

    /// Anonymous memory that it has touched, in KiB: what is its own, and not the program's file.
    pub(crate) fn anonymous_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("RssAnon:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.lines();
            let last = &lines[lines.len().saturating_sub(40)..];
            eprintln!("the server's last words:\n{}", last.join("\n"));
        }
    }
}

impl Log {
    /// The lines, also for the last words of a test that has just failed while it looked at them.
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            self.lines().push(line);
            self.changed.notify_all();
        }
    }

    /// Waits for a line at or after `from` that holds `text`; its index and the line.
    fn wait_for(&self, from: usize, text: &str) -> (usize, String) {
        let deadline = Instant::now() + GUARD;
        let mut lines = self.lines();
        loop {
            let mut fresh = lines.iter().enumerate().skip(from);
            if let Some((index, line)) = fresh.find(|(_, line)| line.contains(text)) {
                return (index, line.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain for a line with {text:?}: {lines:#?}"
            );
            lines = self.changed.wait_timeout(lines, left).unwrap().0;
        }
    }
}

/// A child that does not outlive its test, whatever becomes of that.
pub(crate) struct Reaped(pub(crate) Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Stops a child (SIGSTOP), and returns once it stands still.
pub(crate) fn freeze(child: &Child) {
    kill_process(Pid::from_child(child), Signal::STOP).unwrap();
    until("the child stands still", || stat(child.id(), 2) == "T");
}

/// Stops a child that has nothing to do and sleeps, so that it is the sleep that is interrupted.
pub(crate) fn freeze_asleep(child: &Child) {
    until("the child sleeps", || stat(child.id(), 2) == "S");
    freeze(child);
}

/// A field of proc_pid_stat(5), counted from 0.
fn stat(pid: u32, field: usize) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.split_whitespace().nth(field).unwrap().to_owned()
}

/// Waits for a child's end, but not for ever.
pub(crate) fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the child has ended", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

/// Runs a command that ends by itself: exit code, standard output, standard error.
pub(crate) fn run(mut command: Command) -> (Option<i32>, String, String) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = Reaped(command.spawn().unwrap());
    let mut stdout = child.0.stdout.take().unwrap();
    let mut stderr = child.0.stderr.take().unwrap();
    let status = wait_for_exit(&mut child.0);
    let mut texts = [String::new(), String::new()];
    stdout.read_to_string(&mut texts[0]).unwrap();
    stderr.read_to_string(&mut texts[1]).unwrap();
    let [stdout, stderr] = texts;
    (status.code(), stdout, stderr)
}
