//! Man pages and shell completions, made of the tables. They lie in `deploy/`, so that who installs
//! the program needs none of the crates that make them.

use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use pingpong::inside::cli::table::Table;
use pingpong::inside::cli::{load, ping, serve};

use super::{Row, rows_of};
use crate::support::assert_golden;

const ABOUT: &str = "answer ping/pong over TCP and UDP on one port";

fn argument(row: &Row) -> Arg {
    let action = match (row.repeats, row.takes_value) {
        (true, _) => ArgAction::Append,
        (false, true) => ArgAction::Set,
        (false, false) => ArgAction::SetTrue,
    };
    let mut argument = Arg::new(row.long).long(row.long).action(action);
    if let Some(short) = row.short {
        argument = argument.short(short);
    }
    if let Some(value_name) = row.value_name {
        argument = argument
            .value_name(value_name)
            .value_hint(match value_name {
                "FILE" => ValueHint::FilePath,
                "ADDR" => ValueHint::Hostname,
                _ => ValueHint::Other,
            });
    }
    argument
}

fn command<G>(table: &'static Table<G>) -> Command {
    let mut command = plain(table.command).about(table.about);
    for (row, opt) in rows_of(table).iter().zip(table.options()) {
        command = command.arg(argument(row).help(opt.text()));
    }
    if table.usage.contains("TARGET") {
        let target = Arg::new("TARGET")
            .required(true)
            .value_hint(ValueHint::Hostname);
        command = command.arg(target.help("whom to talk to"));
    }
    command
}

/// A command that clap adds nothing to.
fn plain(name: &'static str) -> Command {
    Command::new(name)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .disable_version_flag(true)
}

fn program() -> Command {
    let switch = |long, short, help| Arg::new(long).long(long).short(short).help(help);
    plain("pingpong")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .arg(switch("help", 'h', "the commands").action(ArgAction::SetTrue))
        .arg(switch("version", 'V', "the version").action(ArgAction::SetTrue))
        .subcommand(command(&serve::TABLE))
        .subcommand(command(&ping::TABLE))
        .subcommand(command(&load::TABLE))
}

#[test]
fn completions_are_up_to_date() {
    let word = Arg::new("COMMAND").value_parser(["serve", "ping", "load"]);
    let help = plain("help").about("the options of a command").arg(word);
    let version = plain("version").about("the version");
    let mut program = program().subcommands([help, version]);
    for (shell, file) in [
        (Shell::Bash, "pingpong.bash"),
        (Shell::Zsh, "_pingpong"),
        (Shell::Fish, "pingpong.fish"),
    ] {
        let mut script = Vec::new();
        generate(shell, &mut program, "pingpong", &mut script);
        let script = String::from_utf8(script).unwrap();
        for row in super::rows() {
            let long = format!("--{}", row.long);
            let fish = format!("-l {}", row.long);
            assert!(
                script.contains(&long) || script.contains(&fish),
                "{file}: {long}"
            );
        }
        assert_golden(&format!("deploy/completions/{file}"), &script);
    }
}

/// The parts that clap_mangen makes, and between them what help says besides.
fn page(man: &Man, parts: &[&str], rest: &str) -> String {
    let mut roff = Vec::new();
    man.render_title(&mut roff).unwrap();
    man.render_name_section(&mut roff).unwrap();
    man.render_synopsis_section(&mut roff).unwrap();
    man.render_description_section(&mut roff).unwrap();
    for part in parts {
        match *part {
            "options" => man.render_options_section(&mut roff).unwrap(),
            _ => man.render_subcommands_section(&mut roff).unwrap(),
        }
    }
    String::from_utf8(roff).unwrap() + rest
}

/// The paragraphs behind the options: each with a heading is a section, the others are notes.
fn sections(notes: &str) -> String {
    let mut roff = String::new();
    for paragraph in notes.trim_end().split("\n\n") {
        let headed = paragraph
            .split_once(":\n")
            .filter(|(it, _)| !it.contains('\n'));
        let (title, text) = headed.unwrap_or(("Notes", paragraph));
        roff += &format!(".SH {}\n.nf\n", title.to_uppercase());
        for line in text.lines() {
            // What stands first in a line must not be taken for a request.
            let line = line.strip_prefix("  ").unwrap_or(line);
            let line = line
                .replace('\\', "\\e")
                .replace('-', "\\-")
                .replace('\'', "\\(aq");
            roff += &format!("\\&{line}\n");
        }
        roff += ".fi\n";
    }
    roff
}

fn man_of<G>(table: &'static Table<G>) -> (Man, String) {
    let name = format!("pingpong {}", table.command);
    let (sentence, intro) = table.intro.split_once('\n').unwrap_or((table.intro, ""));
    let described = command(table)
        .display_name(name.replace(' ', "-"))
        .bin_name(name.clone())
        .version(env!("CARGO_PKG_VERSION"))
        .long_about(format!("{sentence}\n{intro}"))
        .override_usage(format!("{name} {}", table.usage));
    let source = concat!("pingpong ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(described).source(source).manual("pingpong");
    (man, sections(&table.notes.concat()))
}

#[test]
fn man_pages_are_up_to_date() {
    let usage = [
        format!("pingpong serve {}", serve::TABLE.usage),
        format!("pingpong ping {}", ping::TABLE.usage),
        format!("pingpong load {}", load::TABLE.usage),
    ];
    let man = Man::new(program().override_usage(usage.join("\n"))).manual("pingpong");
    let rest =
        ".SH SEE ALSO\n\\fBpingpong help\\fR \\fICOMMAND\\fR shows the same in the terminal.\n";
    assert_golden(
        "deploy/man/pingpong.1",
        &page(&man, &["options", "commands"], rest),
    );
    for (command, (man, rest)) in [
        ("serve", man_of(&serve::TABLE)),
        ("ping", man_of(&ping::TABLE)),
        ("load", man_of(&load::TABLE)),
    ] {
        let page = page(&man, &["options"], &rest);
        for row in super::rows().filter(|row| row.command == command) {
            let long = format!("\\-\\-{}", row.long.replace('-', "\\-"));
            assert!(page.contains(&long), "{command}: {long}");
        }
        assert_golden(&format!("deploy/man/pingpong-{command}.1"), &page);
    }
}
