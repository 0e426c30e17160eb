//! The command line: what was asked for, or what is wrong with how it was asked.

#[cfg(feature = "load")]
pub mod load;
pub mod ping;
pub mod serve;
pub mod value;

use std::ffi::{OsStr, OsString};
use std::fmt;

use lexopt::Arg;
use log::LevelFilter;

use crate::client::target::Target;
#[cfg(feature = "load")]
use load::LoadOptions;
use ping::PingOptions;
use serve::ServeOptions;

/// What to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// Serve until a signal comes.
    Serve(ServeOptions),
    /// Load a server and measure what it does.
    #[cfg(feature = "load")]
    Load(Box<LoadOptions>),
    /// Ping a server.
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

/// A line that only a build with the load client has.
#[cfg(feature = "load")]
macro_rules! with_load {
    ($line:literal) => {
        $line
    };
}
#[cfg(not(feature = "load"))]
macro_rules! with_load {
    ($line:literal) => {
        ""
    };
}

/// The text of `pingpong --help`.
pub const HELP: &str = concat!(
    "\
pingpong answers ping/pong over TCP and UDP on one port.

Usage: pingpong serve [options]
       pingpong ping [options] TARGET
",
    with_load!("       pingpong load [options] TARGET\n"),
    "
Commands:
  serve          answer pings, on port 8888 of every address unless told otherwise
  ping           send pings, and show how long each takes
",
    with_load!("  load           load a server, check every reply, measure latency\n"),
    "  help COMMAND   the options of a command, as COMMAND --help
  version        the version

Options:
  -h, --help     this text
  -V, --version  the version

Try it:
  pingpong serve &
  pingpong ping localhost
"
);

/// The text of `pingpong --version`.
pub const VERSION: &str = concat!("pingpong ", env!("CARGO_PKG_VERSION"), "\n");

/// Understands the arguments, without the program's name.
///
/// # Errors
/// What is wrong with them.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = lexopt::Parser::from_args(args);
    match parser.next()? {
        None => Err(UsageError::new("a command is missing, such as serve")),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Print(HELP.into())),
        Some(Arg::Short('V') | Arg::Long("version")) => Ok(Command::Print(VERSION.into())),
        Some(Arg::Value(command)) => match command.to_str() {
            Some("serve") => serve::parse(parser).map_err(|wrong| wrong.in_command("serve")),
            Some("ping") => ping::parse(parser).map_err(|wrong| wrong.in_command("ping")),
            #[cfg(feature = "load")]
            Some("load") => load::parse(parser).map_err(|wrong| wrong.in_command("load")),
            #[cfg(not(feature = "load"))]
            Some("load") => Err(UsageError::new("this build has no load client")),
            Some("help") => help(parser),
            Some("version") => Ok(Command::Print(VERSION.into())),
            _ => Err(unknown(
                "command",
                &command.to_string_lossy(),
                &["serve", "ping", "load", "help", "version"],
            )),
        },
        Some(option) => Err(unknown_option(&option, &["--help", "--version"])),
    }
}

fn help(mut parser: lexopt::Parser) -> Result<Command, UsageError> {
    match parser.next()? {
        None => Ok(Command::Print(HELP.into())),
        Some(Arg::Value(command)) if command == "serve" => Ok(Command::Print(serve::HELP.into())),
        #[cfg(feature = "load")]
        Some(Arg::Value(command)) if command == "load" => Ok(Command::Print(load::HELP.into())),
        Some(Arg::Value(command)) if command == "ping" => Ok(Command::Print(ping::HELP.into())),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Print(HELP.into())),
        Some(Arg::Short('V') | Arg::Long("version")) => Ok(Command::Print(VERSION.into())),
        Some(other) => Err(UsageError::new(format!(
            "there is no help on {}",
            written(&other)
        ))),
    }
}

/// A client's target. `tcp://` or `udp://` before it, as a server's log writes it, asks for that
/// transport.
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

/// An option that is not known, and the one that was perhaps meant.
fn unknown_option(option: &Arg<'_>, known: &[&str]) -> UsageError {
    let what = if matches!(option, Arg::Value(_)) {
        "argument"
    } else {
        "option"
    };
    unknown(what, &written(option), known)
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

fn unknown(what: &str, given: &str, known: &[&str]) -> UsageError {
    let likely = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .filter(|(typos, candidate)| *typos <= TYPOS_MAX && typos * 2 < candidate.len())
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
