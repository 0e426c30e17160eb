//! The real program under strace(1): what it asks of the kernel.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::inside::strace;

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// What strace has written.
pub(crate) struct Trace(PathBuf);

impl Trace {
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The program with these words, and these of its calls written down; `None`, and a word about it,
/// where strace may not trace.
pub(crate) fn traced(calls: &str, words: &[&str]) -> Option<(Command, Trace)> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("trace-{}-{number}", std::process::id());
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let filter = format!("trace={calls}");
    let mut command = strace(&["-o", file.to_str().unwrap(), "-e", &filter])?;
    command.args(words);
    Some((command, Trace(file)))
}

/// The program with these words, and a fault in strace's own words.
pub(crate) fn with_fault(fault: &str, words: &[&str]) -> Option<Command> {
    let mut command = strace(&["-e", &format!("inject={fault}")])?;
    command.args(words);
    Some(command)
}
