//! What must be true of the project's files, and no compiler says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::read_project_file;

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
    let harmless = ["is_terminal()", "Outlet::new(", "tcgetwinsize("];
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

/// Every word that looks like a long option.
fn long_options(text: &str) -> BTreeSet<String> {
    let is_part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    text.split(|letter: char| !is_part(letter))
        .filter(|word| {
            word.strip_prefix("--")
                .is_some_and(|name| name.starts_with(char::is_alphabetic))
        })
        .map(ToOwned::to_owned)
        .collect()
}

/// The README's section about the options of `serve`: from a heading that has the word, and best
/// that name too, to the next one of its rank or above.
fn options_section(readme: &str) -> Option<String> {
    let rank = |line: &str| {
        let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
        ((1..=6).contains(&hashes) && line[hashes..].starts_with(' ')).then_some(hashes)
    };
    let is_about = |line: &str, words: &[&str]| {
        let line = line.to_lowercase();
        rank(&line).is_some() && words.iter().all(|word| line.contains(word))
    };
    let find = |words: &[&str]| readme.lines().position(|line| is_about(line, words));
    let start = find(&["option", "serve"]).or_else(|| find(&["option"]))?;
    let own_rank = rank(readme.lines().nth(start)?)?;
    let rest = readme.lines().skip(start + 1);
    let is_inside = |line: &&str| rank(line).is_none_or(|rank| rank > own_rank);
    Some(rest.take_while(is_inside).collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_section_about_options_is_found() {
    let readme = "# a\n--x\n## Options of serve\n--y\n### Limits\n--z #\n## b\n--w\n# Options\n--v";
    let section = options_section(readme).unwrap();
    assert_eq!(section, "--y\n### Limits\n--z #");
    let found: Vec<_> = long_options(&section).into_iter().collect();
    assert_eq!(found, ["--y", "--z"]);
    assert_eq!(options_section("# a\n--x"), None);
}

#[test]
fn the_readme_lists_every_option_and_no_other() {
    let readme = read_project_file("README.md");
    let section = options_section(&readme).expect("README.md: no heading says 'options'");
    let in_help = long_options(pingpong::inside::cli::serve::HELP);
    let missing: Vec<_> = in_help
        .difference(&long_options(&readme))
        .cloned()
        .collect();
    let unknown: Vec<_> = long_options(&section)
        .difference(&in_help)
        .cloned()
        .collect();
    assert!(missing.is_empty(), "README.md says nothing of {missing:?}");
    assert!(
        unknown.is_empty(),
        "README.md speaks of {unknown:?}, which --help does not know"
    );
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
