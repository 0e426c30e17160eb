//! The program itself, as a child of the test.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest that anything may take: far more than it needs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Serves on a port of the system's choice.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
}

impl Program {
    /// Starts it by a command that ends with its name; `None` where it did not come to listen, and
    /// ended as it must then.
    pub fn start(mut command: Command) -> Option<Self> {
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--max-message", "5"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("udp://")?.1.parse().unwrap()));
        let Some(address) = address else {
            assert_eq!(child.wait().unwrap().code(), Some(1));
            return None;
        };
        // Somebody has to read the log: a full pipe costs lines, and a closed one too.
        std::thread::spawn(move || log.for_each(drop));
        Some(Self { child, address })
    }

    /// Stops it, which must be a clean stop.
    pub fn stop(mut self, what: &str) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0), "{what}");
                return;
            }
            assert!(Instant::now() < deadline, "{what}: it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Over already, unless a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
