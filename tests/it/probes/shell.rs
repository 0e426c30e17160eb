//! Started by a bare shell that goes its way, as where there is no service manager: docs/operations.md
//! has the commands.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::client::{ask, connect};
use crate::support::place::listens_at;
use crate::support::{Folder, PROGRAM, command, until};

/// A process that nobody here is the parent of.
struct Orphan(Pid);

impl Orphan {
    /// Has a shell start a command in the background and end; `$1` is the program.
    fn left_by(shell: &str, folder: &Folder) -> Self {
        let script = format!("cd \"$2\"; {shell} & echo $!");
        let mut command = command("sh");
        command.args(["-c", &script, "sh", PROGRAM]);
        command.arg(folder.path(""));
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let told = command.output().unwrap();
        let pid = String::from_utf8(told.stdout).unwrap();
        Self(Pid::from_raw(pid.trim().parse().unwrap()).unwrap())
    }

    fn pid(&self) -> u32 {
        u32::try_from(self.0.as_raw_nonzero().get()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.0, signal).unwrap();
    }

    fn fd(&self, number: u32) -> String {
        let link = format!("/proc/{}/fd/{number}", self.pid());
        let target = fs::read_link(link).unwrap();
        target.to_str().unwrap().to_owned()
    }

    /// It serves, outlives a hang-up, and ends when it is asked to.
    fn serves_and_stops(self) {
        let at = listens_at(self.pid());
        ask(&connect(at), b"ping\n", b"pong\n");
        self.signal(Signal::HUP);
        ask(&connect(at), b"ping\n", b"pong\n");
        self.signal(Signal::TERM);
        until("it has ended", || self.has_ended());
    }

    /// Who is process 1 here may be slow to reap.
    fn has_ended(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        test_kill_process(self.0).is_err() || stat.contains(") Z ")
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = kill_process(self.0, Signal::KILL);
        }
    }
}

fn log_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn with_a_log_file_in_a_session_of_its_own() {
    let folder = Folder::new();
    let shell = "setsid \"$1\" serve --listen 127.0.0.1:0 </dev/null >>log 2>&1";
    let orphan = Orphan::left_by(shell, &folder);
    orphan.serves_and_stops();
    let log = log_of(&folder.path("log"));
    assert!(log.ends_with(" INFO  stopped\n"), "{log}");
}

#[test]
fn by_nohup() {
    let folder = Folder::new();
    let shell = "nohup \"$1\" serve --listen 127.0.0.1:0 >/dev/null 2>log";
    Orphan::left_by(shell, &folder).serves_and_stops();
    // The signal that it was told to ignore is not even heard of.
    let log = log_of(&folder.path("log"));
    assert!(!log.contains("SIGHUP"), "{log}");
}

/// No socket is ever taken for a standard stream: what is closed is /dev/null then.
#[test]
fn with_all_standard_streams_closed() {
    let folder = Folder::new();
    let shell = "\"$1\" serve --listen 127.0.0.1:0 <&- >&- 2>&-";
    let orphan = Orphan::left_by(shell, &folder);
    listens_at(orphan.pid());
    for number in 0..=2 {
        assert_eq!(orphan.fd(number), "/dev/null");
    }
    orphan.serves_and_stops();
}
