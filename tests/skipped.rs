//! Not a test: cargo runs this target behind the others, and it lists what they could not run here.
//!
//! With `SKIPS_ALLOWED=FILE` it exits with 1 if a test was skipped whose name is not the first word
//! of a line of that file. CI sets it.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A runner that asks which tests there are (cargo-nextest) is told of none.
    if std::env::args().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    let file = folder.join(format!("skipped.{parent}"));
    let text = fs::read_to_string(&file).unwrap_or_default();
    let skipped: BTreeSet<_> = text.lines().collect();
    forget_notes_of_the_gone(folder);
    let _ = fs::remove_file(file);

    println!("\nskipped here: {}", skipped.len());
    for line in &skipped {
        println!("  {line}");
    }
    let unexpected = unexpected(&skipped);
    for line in &unexpected {
        println!("must not be skipped: {line}");
    }
    println!();
    ExitCode::from(u8::from(!unexpected.is_empty()))
}

/// Notes of runs that never came as far as this.
fn forget_notes_of_the_gone(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("skipped."));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What was skipped and is not allowed to be; nothing where nobody asked.
fn unexpected<'a>(skipped: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let Some(path) = std::env::var_os("SKIPS_ALLOWED") else {
        return Vec::new();
    };
    let Ok(allowed) = fs::read_to_string(path) else {
        return vec!["anything: the file of SKIPS_ALLOWED cannot be read"];
    };
    let names: BTreeSet<_> = allowed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let name = |line: &str| line.split(": ").next().map(ToOwned::to_owned);
    let mut unexpected = skipped.iter().copied().collect::<Vec<_>>();
    unexpected.retain(|line| name(line).is_none_or(|name| !names.contains(name.as_str())));
    unexpected
}
