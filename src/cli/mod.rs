//! The command line: what was asked for, or what is wrong with how it was asked.

#[cfg(feature = "load")]
pub mod load;
#[cfg(feature = "ping")]
pub mod ping;
pub mod serve;
pub mod table;
pub mod value;

#[cfg(any(feature = "load", feature = "ping"))]
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;

use lexopt::{Arg, Parser};
use log::LevelFilter;

#[cfg(feature = "load")]
use crate::client::load::options::LoadOptions;
#[cfg(feature = "ping")]
use crate::client::ping::PingOptions;
#[cfg(any(feature = "load", feature = "ping"))]
use crate::client::target::Target;
use serve::ServeOptions;
use table::columns;

/// What to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Serve until a signal comes.
    Serve(ServeOptions),
    /// Load a server and measure what it does.
    #[cfg(feature = "load")]
    Load(Box<LoadOptions>),
    /// Ping a server.
    #[cfg(feature = "ping")]
    Ping(PingOptions),
    /// Print a text, and that is all.
    Print(String),
}

/// A wrong command line: what is wrong, in one line, and whose help says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError {
    what: String,
    command: Option<&'static str>,
}

impl UsageError {
    /// What is wrong.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            command: None,
        }
    }

    fn in_command(self, command: &'static str) -> Self {
        Self {
            command: Some(command),
            ..self
        }
    }

    /// The command that prints the help which belongs to it.
    #[must_use]
    pub fn help(&self) -> String {
        self.command.map_or_else(
            || "pingpong --help".into(),
            |command| format!("pingpong {command} --help"),
        )
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Names and values of environment variables.
pub type Environment = [(OsString, OsString)];

/// A command of this build, as [`HELP`](help) lists it.
struct Entry {
    command: &'static str,
    usage: &'static str,
    about: &'static str,
    help: fn() -> String,
    parse: fn(Parser, &Environment) -> Result<Command, UsageError>,
}

macro_rules! entry {
    ($command:ident, $parse:expr) => {
        Entry {
            command: $command::TABLE.command,
            usage: $command::TABLE.usage,
            about: $command::TABLE.about,
            help: || $command::TABLE.help(),
            parse: $parse,
        }
    };
}

/// Where help on commands has its second column.
const COLUMN: usize = "-V, --version".len();

static COMMANDS: &[Entry] = &[
    entry!(serve, serve::parse),
    #[cfg(feature = "ping")]
    entry!(ping, |parser, _| ping::parse(parser)),
    #[cfg(feature = "load")]
    entry!(load, |parser, _| load::parse(parser)),
];

/// What other builds have beside `serve`.
const CLIENTS: [&str; 2] = ["ping", "load"];

/// The text of `pingpong --version`.
pub const VERSION: &str = concat!("pingpong ", env!("CARGO_PKG_VERSION"), "\n");

/// The text of `pingpong --help`.
pub fn help() -> String {
    let usage = |it: &Entry| format!("pingpong {} {}", it.command, it.usage);
    let usages: Vec<_> = COMMANDS.iter().map(usage).collect();
    let own = COMMANDS.iter().map(|it| (it.command, it.about));
    let help = ("help COMMAND", "the options of a command");
    let version = ("version", "the version");
    let common = [("-h, --help", "this text"), ("-V, --version", version.1)];
    let with_ping = ["", "  pingpong ping localhost\n"][usize::from(cfg!(feature = "ping"))];
    format!(
        "pingpong answers ping/pong over TCP and UDP on one port.\n\n\
         Usage: {}\n\nCommands:\n{}\nOptions:\n{}\n\
         Try it:\n  pingpong serve &\n{with_ping}",
        usages.join("\n       "),
        columns(own.chain([help, version]), COLUMN),
        columns(common.into_iter(), COLUMN),
    )
}

/// Understands the arguments, without the program's name, and the environment.
///
/// # Errors
/// What is wrong with them.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Command, UsageError> {
    let mut parser = Parser::from_args(args);
    let command = match parser.next()? {
        None => return Err(UsageError::new("a command is missing, such as serve")),
        Some(Arg::Value(command)) => command.to_string_lossy().into_owned(),
        Some(option) => {
            let name = written(&option);
            let known = ["-h", "--help", "-V", "--version"].into_iter();
            return print(&name).ok_or_else(|| unknown("option", &name, &name, known));
        }
    };
    if let Some(entry) = entry(&command) {
        let environment: Vec<_> = environment.into_iter().collect();
        let parsed = (entry.parse)(parser, &environment);
        return parsed.map_err(|wrong| wrong.in_command(entry.command));
    }
    match command.as_str() {
        "help" => help_on(parser),
        "version" => Ok(Command::Print(VERSION.into())),
        client if CLIENTS.contains(&client) => Err(UsageError::new(format!(
            "this build has no {client} client"
        ))),
        other => {
            let others = ["help", "version"].into_iter().chain(CLIENTS);
            let known = COMMANDS.iter().map(|it| it.command).chain(others);
            Err(unknown("command", other, other, known))
        }
    }
}

fn entry(command: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.command == command)
}

/// What an option asks for that stands where a command does.
fn print(option: &str) -> Option<Command> {
    match option {
        "-h" | "--help" => Some(Command::Print(help())),
        "-V" | "--version" => Some(Command::Print(VERSION.into())),
        _ => None,
    }
}

fn help_on(mut parser: Parser) -> Result<Command, UsageError> {
    let Some(arg) = parser.next()? else {
        return Ok(Command::Print(help()));
    };
    let word = written(&arg);
    let on_command = || Some(Command::Print((entry(&word)?.help)()));
    let printed = print(&word).or_else(on_command);
    printed.ok_or_else(|| UsageError::new(format!("there is no help on {word}")))
}

/// A client's target. `tcp://` or `udp://` before it, as a server's log writes it, asks for that
/// transport.
#[cfg(any(feature = "load", feature = "ping"))]
fn target(text: &OsStr, tcp: &mut bool, udp: &mut bool) -> Result<Target, UsageError> {
    let text = text.to_string_lossy();
    let rest = match text.split_once("://") {
        Some(("tcp", rest)) => {
            *tcp = true;
            rest
        }
        Some(("udp", rest)) => {
            *udp = true;
            rest
        }
        _ => &text,
    };
    rest.parse()
        .map_err(|error| UsageError::new(format!("{text}: {error}")))
}

fn written(arg: &Arg<'_>) -> String {
    match arg {
        Arg::Short(letter) => format!("-{letter}"),
        Arg::Long(name) => format!("--{name}"),
        Arg::Value(value) => value.to_string_lossy().into_owned(),
    }
}

/// How many letters a word may differ by and still be taken for a typing error.
const TYPOS_MAX: usize = 3;

/// That something is not known, and what was perhaps meant. `whole` is the word that `given` is
/// the beginning of, as `-c` is of `-count`.
fn unknown<'a>(
    what: &str,
    given: &str,
    whole: &str,
    known: impl Iterator<Item = &'a str>,
) -> UsageError {
    let bare = |it: &str| it.trim_start_matches('-').to_owned();
    let typos = |it: &str| {
        let differ = bare(it) != bare(whole);
        usize::from(differ) * strsim::osa_distance(whole, it)
    };
    let likely = known
        .map(|it| (typos(it), it))
        .filter(|(typos, it)| *typos <= TYPOS_MAX && typos * 2 < it.len())
        .min();
    let hint = likely.map_or_else(String::new, |(_, meant)| format!("; did you mean {meant}?"));
    UsageError::new(format!("there is no {what} {given}{hint}"))
}

/// How much to log, as the flags `-v`, `-vv` and `-q` say; `None` where none was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verbosity(i8);

impl Verbosity {
    /// One `-v` more.
    pub fn more(&mut self) {
        self.0 = self.0.max(0).saturating_add(1);
    }

    /// `-q`.
    pub fn quiet(&mut self) {
        self.0 = -1;
    }

    /// The level to log at.
    #[must_use]
    pub fn level(self) -> Option<LevelFilter> {
        match self.0 {
            ..=-1 => Some(LevelFilter::Error),
            0 => None,
            1 => Some(LevelFilter::Debug),
            2.. => Some(LevelFilter::Trace),
        }
    }
}
