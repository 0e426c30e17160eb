//! The tables of options: each is well made, and all that is made of it agrees with it.

mod environment;
#[cfg(all(feature = "load", feature = "ping"))]
mod generated;

use std::collections::BTreeSet;
use std::ffi::OsString;

use pingpong::inside::cli::table::{Set, Table, opt};
use pingpong::inside::cli::{self, Command, UsageError};

use crate::support::{assert_golden, read_project_file};

/// A row of a command's table.
struct Row {
    command: &'static str,
    name: &'static str,
    short: Option<char>,
    long: &'static str,
    value_name: Option<&'static str>,
    default: &'static str,
    help: &'static str,
    variable: Option<String>,
    takes_value: bool,
    repeats: bool,
    prints: bool,
}

fn rows_of<G>(table: &'static Table<G>) -> Vec<Row> {
    let row = |opt: &'static cli::table::Opt<G>| Row {
        command: table.command,
        name: opt.name,
        short: opt.short(),
        long: opt.long(),
        value_name: opt.value_name(),
        default: opt.default,
        help: opt.help,
        variable: opt.variable(),
        takes_value: matches!(opt.set, Set::Value(_) | Set::Each(_)),
        repeats: matches!(opt.set, Set::Each(_)),
        prints: matches!(opt.set, Set::Print(_)),
    };
    table.options().map(row).collect()
}

/// The tables of this build.
fn tables() -> Vec<Vec<Row>> {
    vec![
        rows_of(&cli::serve::TABLE),
        #[cfg(feature = "ping")]
        rows_of(&cli::ping::TABLE),
        #[cfg(feature = "load")]
        rows_of(&cli::load::TABLE),
    ]
}

fn rows() -> impl Iterator<Item = Row> {
    tables().into_iter().flatten()
}

fn helps() -> Vec<(&'static str, String)> {
    vec![
        ("", cli::help()),
        ("serve", cli::serve::TABLE.help()),
        #[cfg(feature = "ping")]
        ("ping", cli::ping::TABLE.help()),
        #[cfg(feature = "load")]
        ("load", cli::load::TABLE.help()),
    ]
}

/// What a command makes of some words, behind which a client's target stands.
fn parsed(command: &str, words: &[&str]) -> Result<Command, UsageError> {
    let target = (command != "serve").then_some("h");
    let words = [command].into_iter().chain(words.iter().copied());
    cli::parse(words.chain(target).map(OsString::from), [])
}

/// The same, to be compared.
fn shown(command: &str, words: &[&str]) -> String {
    format!("{:?}", parsed(command, words))
}

impl Row {
    /// The words that give it, by its long name, with a value that is not the default.
    fn given(&self) -> Vec<String> {
        let value = self.value_name.map(sample);
        [Some(format!("--{}", self.long)), value.map(Into::into)]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// A value that is no option's default.
fn sample(value_name: &str) -> &'static str {
    match value_name {
        "ADDR" => "127.0.0.1:7",
        "BYTES" => "2k",
        "CIDR" => "192.0.2.0/24",
        "DUR" => "7s",
        "FILE" => "file.hgrm",
        "GOAL" => "p99=7ms",
        "MODE" => "0640",
        "N" => "7",
        "COND" => "max<7s",
        "TEXT" => "text",
        other => panic!("no sample of {other}"),
    }
}

#[test]
fn rows_are_well_made() {
    for row in rows() {
        let name = row.name;
        let letter = row.short.map(|short| format!("-{short}, "));
        let value = row.value_name.map(|value| format!(" {value}"));
        let written = [letter, Some(format!("--{}", row.long)), value];
        assert_eq!(name, written.into_iter().flatten().collect::<String>());
        assert!(row.long.len() > 1, "{name}");
        let is_plain = |letter: char| letter.is_ascii_lowercase() || "-46".contains(letter);
        assert!(row.long.chars().all(is_plain), "{name}");
        assert_eq!(row.value_name.is_some(), row.takes_value, "{name}");
        assert!(row.takes_value || row.default.is_empty(), "{name}");
        assert!(!row.help.is_empty() && !row.help.contains("  "), "{name}");
        assert!(!row.help.ends_with(['.', ' ']), "{name}");
        let told = row.help.contains("repeatable");
        assert_eq!(told, row.repeats, "{name} tells of itself");
    }
}

#[test]
fn no_name_stands_for_two_options() {
    for table in tables() {
        let mut names = BTreeSet::new();
        for row in table {
            let short = row.short.map(|short| format!("-{short}"));
            for name in [Some(format!("--{}", row.long)), short]
                .into_iter()
                .flatten()
            {
                assert!(names.insert(name.clone()), "{} {name}", row.command);
            }
        }
    }
}

#[test]
fn help_fits_a_terminal_and_lists_every_option() {
    for (command, help) in helps() {
        for line in help.lines() {
            assert!(line.len() <= 80, "{command}: {line}");
            assert_eq!(line.trim_end(), line, "{command}");
        }
        assert!(help.ends_with('\n') && !help.ends_with("\n\n"));
        assert!(!help.contains("\n\n\n"), "{command}");
        let listed: Vec<_> = help
            .lines()
            .filter(|line| line.trim_start().starts_with('-'))
            .filter_map(|line| line.trim_start().split("  ").next())
            .collect();
        let known: Vec<_> = rows().filter(|row| row.command == command).collect();
        for (row, listed) in known.iter().zip(&listed) {
            assert_eq!(row.name, *listed, "{command}");
        }
        assert!(
            command.is_empty() || known.len() == listed.len(),
            "{listed:?}"
        );
    }
}

/// Up to the last column, and not beyond it.
#[test]
fn help_is_wrapped_where_the_terminal_ends() {
    const HELP: &str = "a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g h i";
    let widest = |name| {
        let options: &[_] = Box::leak(Box::new([opt(name, "", HELP, Set::Switch(|()| {}))]));
        let table = Table {
            command: "command",
            usage: "",
            about: "",
            intro: "",
            sections: Box::leak(Box::new([("Section", options)])),
            notes: &[],
            argument: |(), _| Ok(()),
            advice: |_, _| None,
        };
        table.help().lines().map(str::len).max()
    };
    // Two letters a step: one of the two has a line that ends in the last column.
    assert_eq!(widest("--even-option N"), Some(80));
    assert_eq!(widest("--odd-option N"), Some(79));
}

/// A long name and a letter are one option, whichever way its value is written.
#[test]
fn every_option_is_understood_by_each_of_its_names() {
    for row in rows() {
        let words = row.given();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let by_long = shown(row.command, &words);
        if let [name, value] = *words {
            let joined = format!("{name}={value}");
            assert_eq!(shown(row.command, &[&joined]), by_long);
        }
        if let Some(short) = row.short {
            let letter = format!("-{short}");
            let by_letter = shown(row.command, &[&[letter.as_str()], &words[1..]].concat());
            assert_eq!(by_letter, by_long, "{} {}", row.command, row.name);
        }
        let needs_another = ["--send", "--expect"].contains(&words[0]);
        let is_the_default_anyhow =
            row.command != "serve" && ["tcp", "numeric"].contains(&row.long);
        let changes = by_long != shown(row.command, &[]) && by_long.starts_with("Ok");
        assert!(
            changes || needs_another || is_the_default_anyhow,
            "{} {}: {by_long}",
            row.command,
            row.name
        );
    }
}

#[test]
fn a_missing_value_is_told_with_what_it_would_be() {
    for row in rows().filter(|row| row.takes_value) {
        let names = [
            Some(format!("--{}", row.long)),
            row.short.map(|it| format!("-{it}")),
        ];
        for name in names.into_iter().flatten() {
            let words = [row.command, &name].map(OsString::from);
            let wrong = cli::parse(words, []).unwrap_err().to_string();
            let what = format!("{name}: its value is missing; it takes ");
            assert!(wrong.starts_with(&what), "{wrong}");
        }
    }
    for row in rows().filter(|row| !row.takes_value) {
        let wrong = shown(row.command, &[&format!("--{}=1", row.long)]);
        assert!(
            row.prints || wrong.contains("unexpected argument"),
            "{wrong}"
        );
    }
}

/// A default that is a value is the value that counts. The others are words.
#[test]
fn defaults_are_what_help_says() {
    let mut words = BTreeSet::new();
    for row in rows().filter(|row| !row.default.is_empty()) {
        let (default, _) = row.default.split_once(';').unwrap_or((row.default, ""));
        let given = shown(row.command, &[&format!("--{}", row.long), default]);
        if given != shown(row.command, &[]) {
            words.insert(format!("{} {}", row.command, row.long));
        }
    }
    let known = [
        "load timeout",
        "ping interval",
        #[cfg(feature = "admin")]
        "serve admin",
        "serve allow",
        "serve max-connections",
        "serve max-per-client",
        "serve udp-buffer",
    ];
    let known = known.map(ToOwned::to_owned).into_iter();
    let built = known.filter(|it| rows().any(|row| it.starts_with(row.command)));
    // The interval is one that counts unless it floods.
    assert_eq!(words, built.filter(|it| it != "ping interval").collect());
}

#[test]
fn typing_errors_are_recognised_across_letters_and_names() {
    for (command, word, meant) in [
        ("serve", "--idle-timeuot", "--idle-timeout"),
        ("serve", "--v", "-v"),
        ("serve", "-strict", "--strict"),
        ("serve", "-max-message", "--max-message"),
        ("serve", "-drian-timeout", "--drain-timeout"),
        ("serve", "--quite", "--quiet"),
        #[cfg(feature = "ping")]
        ("ping", "--c", "-c"),
        #[cfg(feature = "ping")]
        ("ping", "-tiemout", "--timeout"),
        #[cfg(feature = "ping")]
        ("ping", "--ipv5", "--ipv4"),
        #[cfg(feature = "load")]
        ("load", "--connection", "--connections"),
    ] {
        let wrong = parsed(command, &[word]).unwrap_err().to_string();
        let hint = format!("; did you mean {meant}?");
        assert!(wrong.ends_with(&hint), "{word}: {wrong}");
    }
    let wrong = parsed("serve", &["-x"]).unwrap_err().to_string();
    assert_eq!(wrong, "there is no option -x");
}

/// The README's table.
#[test]
fn the_readme_lists_every_option() {
    let mut table = String::from("| option | default | meaning |\n| --- | --- | --- |\n");
    for row in rows_of(&cli::serve::TABLE) {
        let Row { name, default, .. } = row;
        let name = name.replace(", ", "`, `");
        table += &format!("| `{name}` | {default} | {} |\n", row.help);
    }
    let (begin, end) = (
        "<!-- options of serve: made by a test -->\n",
        "<!-- end -->\n",
    );
    let readme = read_project_file("README.md");
    let (before, rest) = readme.split_once(begin).expect("its begin");
    let (_, after) = rest.split_once(end).expect("its end");
    assert_golden("README.md", &format!("{before}{begin}{table}{end}{after}"));
}

#[test]
fn a_client_that_was_left_out_is_told() {
    for (client, is_built) in [
        ("ping", cfg!(feature = "ping")),
        ("load", cfg!(feature = "load")),
    ] {
        let told = format!("this build has no {client} client");
        let wrong = parsed(client, &[]).map(drop).map_err(|it| it.to_string());
        assert_eq!(wrong, if is_built { Ok(()) } else { Err(told) });
        assert_eq!(
            cli::help().contains(&format!("pingpong {client}")),
            is_built
        );
        let on_it = cli::parse(["help", client].map(OsString::from), []);
        assert_eq!(on_it.is_ok(), is_built);
    }
}
