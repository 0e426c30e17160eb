//! What a test does where this host cannot run it: it says so, by name and reason.

use std::fs::OpenOptions;
use std::io::Write;
use std::panic::Location;
use std::path::Path;

/// Notes that the test that calls this cannot run here, and why; the test returns then, and passes.
///
/// The harness keeps what a passing test prints to itself. So each note is a line of a file, which
/// the last test target (`tests/skipped.rs`) prints when all have run. The file is named after the
/// process that started this one: cargo, which starts that target too.
#[track_caller]
pub(crate) fn skip(why: &str) {
    let thread = std::thread::current();
    // The harness names a test's thread after the test, unless there is only one thread.
    let name = match thread.name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => Location::caller().to_string(),
    };
    eprintln!("skipped: {name}: {why}");
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("skipped.{parent}"));
    // One short write to a file that is opened to append: notes of other processes stay whole.
    let opened = OpenOptions::new().create(true).append(true).open(file);
    if let Err(error) = opened.and_then(|mut file| writeln!(file, "{name}: {why}")) {
        eprintln!("and it cannot be noted: {error}");
    }
}
