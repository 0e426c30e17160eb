//! What must be true of the project's files, and no compiler says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 400;

/// Files that are longer than [`LINES_MAX`], each with the reason and a limit of its own.
const LONGER: &[(&str, usize, &str)] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder, as paths from the project's top, with their text.
fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(!files.is_empty());
    files
}

#[test]
fn no_file_is_two_files() {
    for (name, text) in ["src", "tests"].into_iter().flat_map(rust_files) {
        let exception = LONGER.iter().find(|(longer, _, _)| *longer == name);
        let max = exception.map_or(LINES_MAX, |(_, max, _)| *max);
        let lines = text.lines().count();
        assert!(
            lines <= max,
            "{name} has {lines} lines; which two files are in it?"
        );
        assert!(
            exception.is_none() || lines > LINES_MAX,
            "{name} is no exception any more"
        );
    }
    for (name, _, _) in LONGER {
        assert!(root().join(name).exists(), "{name} is gone");
    }
}

/// The three ways in which a call can end are told apart in one place.
#[test]
fn would_block_and_interrupted_are_named_in_one_file() {
    let mut named_in = BTreeSet::new();
    for (name, text) in rust_files("src") {
        if ["WouldBlock", "Interrupted"]
            .iter()
            .any(|word| text.contains(word))
        {
            named_in.insert(name);
        }
    }
    assert_eq!(
        named_in,
        BTreeSet::from(["src/reactor/attempt.rs".to_owned()])
    );
}

/// Nothing is written to standard output or error but through what does not wait; and poll(2), which
/// says less than it seems to, is asked there alone.
#[test]
fn standard_output_and_error_are_written_to_in_one_place() {
    let harmless = ["fstat(", "is_terminal()", "Outlet::new(", "tcgetwinsize("];
    for (name, text) in rust_files("src") {
        let streams = text
            .lines()
            .filter(|line| line.contains("io::stdout()") || line.contains("io::stderr()"));
        for line in streams {
            assert!(
                harmless.iter().any(|word| line.contains(word)),
                "{name}: {line}"
            );
        }
        assert!(
            name == "src/outlet.rs" || !text.contains("PollFd"),
            "{name} asks poll(2)"
        );
    }
}

#[test]
fn nothing_else_lies_at_the_top() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "README.md",
        "src",
        "tests",
        "docs",
        "benches",
        "deploy",
        "target",
    ];
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let has_a_place =
            known.contains(&name.as_str()) || name.starts_with("LICENSE") || name.starts_with('.');
        assert!(has_a_place, "{name} has no place at the top");
    }
}
