//! What several modules need: property tests' settings, golden files, and the real program as a
//! child.

pub(crate) mod client;
pub(crate) mod inside;
pub(crate) mod netns;
pub(crate) mod place;
pub(crate) mod server;
mod signals;
mod skip;
pub(crate) mod traced;

use std::net::{Ipv6Addr, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngSeed};

pub(crate) use skip::skip;

/// Where the program is.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_pingpong");

/// How long anything may take. It is a guard: no test waits for it unless it fails.
pub(crate) const GUARD: Duration = Duration::from_secs(10);

/// Settings for so many cases, the same ones each time: what is green once stays so. Another
/// `PROPTEST_RNG_SEED` tries others.
pub(crate) fn cases(cases: u32) -> Config {
    let given = Config::default();
    let rng_seed = match given.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0x0070_696e_6770_6f6e),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    Config {
        cases,
        rng_seed,
        failure_persistence: None,
        ..given
    }
}

/// A command that starts with all signals at their defaults, whatever started the tests, and with
/// no word from the environment about logs or options.
pub(crate) fn command(program: &str) -> Command {
    signals::make_default_in_children();
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG");
    for (name, _) in std::env::vars_os() {
        if name.as_bytes().starts_with(b"PINGPONG_") {
            command.env_remove(name);
        }
    }
    // What systemd tells whom it starts is not about this one.
    for name in [
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "JOURNAL_STREAM",
    ] {
        command.env_remove(name);
    }
    command
}

/// A file of the project, wherever the test runs.
pub(crate) fn read_project_file(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Compares a file of the project with what it has to hold.
pub(crate) fn assert_golden(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is not what the program says; `REGENERATE=1 cargo test` writes it anew, \
         then read the difference.\nIt holds:\n{found}\nand should hold:\n{expected}"
    );
}

/// A new folder of a test's own, which goes when it does. Its path is short: a Unix socket's has 107
/// bytes at most.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pingpong-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits until a condition holds, asking now and then.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + GUARD;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a signal is ignored in this process, and so in its children unless they change that.
pub(crate) fn is_ignored_here(signal: rustix::process::Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap();
    mask & (1 << (signal.as_raw() - 1)) != 0
}

/// Whether this host has IPv6; says so where it has not.
#[track_caller]
pub(crate) fn has_ipv6() -> bool {
    let there = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !there {
        skip("this host has no ::1");
    }
    there
}
