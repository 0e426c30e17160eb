//! A command's options, each told once: a row of a table. Parser, help, environment, did-you-mean
//! come from it here; the README's tables, man pages and completions come from it in the tests.

use std::ffi::OsStr;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;

use lexopt::{Arg, Parser};

use super::value::Value;
use super::{Environment, UsageError, VERSION, unknown, written};

/// How wide help is, at most.
const WIDTH: usize = 80;
/// What the names of environment variables begin with.
const PREFIX: &str = "PINGPONG_";

/// What an option does to what has been given so far.
pub enum Set<G: 'static> {
    /// It takes no value.
    Switch(fn(&mut G)),
    /// It takes a value, and the last one counts.
    Value(fn(&mut G, Value) -> Result<(), UsageError>),
    /// It takes a value, and may be given several times: each adds one.
    Each(fn(&mut G, Value) -> Result<(), UsageError>),
    /// It prints a text, and the rest does not matter.
    Print(fn(&Table<G>) -> String),
}

/// An option.
pub struct Opt<G: 'static> {
    /// As help writes it: `-c, --count N`, `--strict`.
    pub name: &'static str,
    /// What counts where it is not given, as help shows it; empty if there is nothing to show.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What it does.
    pub set: Set<G>,
}

/// A row: name, default, help, and what it does.
pub const fn opt<G>(
    name: &'static str,
    default: &'static str,
    help: &'static str,
    set: Set<G>,
) -> Opt<G> {
    Opt {
        name,
        default,
        help,
        set,
    }
}

impl<G> Opt<G> {
    /// `-c`, `--count`, and the value's name, if it has them.
    fn words(&self) -> impl Iterator<Item = &'static str> {
        self.name.split([',', ' ']).filter(|word| !word.is_empty())
    }

    /// The letter, without its dash.
    pub fn short(&self) -> Option<char> {
        let (short, _) = self.name.split_once(", ")?;
        short.chars().nth(1)
    }

    /// The long name, without its dashes.
    pub fn long(&self) -> &'static str {
        let mut names = self.words().filter_map(|word| word.strip_prefix("--"));
        names.next().unwrap_or_default()
    }

    /// What its value is called, if it takes one.
    pub fn value_name(&self) -> Option<&'static str> {
        self.words().find(|word| !word.starts_with('-'))
    }

    /// Help and default in one text.
    pub fn text(&self) -> String {
        match self.default {
            "" => self.help.into(),
            default => format!("{} [{default}]", self.help),
        }
    }

    /// The environment variable that gives it. Options with a letter are for people who type, and
    /// have none.
    pub fn variable(&self) -> Option<String> {
        let name = self.long().to_ascii_uppercase().replace('-', "_");
        self.short().is_none().then(|| format!("{PREFIX}{name}"))
    }
}

/// A command and its options.
pub struct Table<G: 'static> {
    /// What it is called.
    pub command: &'static str,
    /// What follows its name.
    pub usage: &'static str,
    /// What it does, for the list of commands.
    pub about: &'static str,
    /// What help says before the options; its first line is a sentence for itself.
    pub intro: &'static str,
    /// The options, by sections.
    pub sections: &'static [(&'static str, &'static [Opt<G>])],
    /// What help says after them: paragraphs, some below a line of their own that ends with `:`.
    pub notes: &'static [&'static str],
    /// What to do with an argument that is no option.
    pub argument: fn(&mut G, &OsStr) -> Result<(), UsageError>,
    /// Advice for who writes an option that is not known.
    pub advice: fn(&str, &mut Parser) -> Option<UsageError>,
}

impl<G> Table<G> {
    #[rustfmt::skip]
    const COMMON: &'static [Opt<G>] = &[
        opt("-h, --help", "", "this text", Set::Print(Self::help)),
        opt("-V, --version", "", "the version", Set::Print(|_| VERSION.into())),
    ];

    /// All options, those of every command too.
    pub fn options(&self) -> impl Iterator<Item = &'static Opt<G>> {
        let own = self.sections.iter().flat_map(|(_, options)| *options);
        own.chain(Self::COMMON)
    }

    /// The text of `--help`.
    pub fn help(&self) -> String {
        let line = |opt: &Opt<G>| {
            let indent = if opt.short().is_some() { "" } else { "    " };
            (format!("{indent}{}", opt.name), opt.text())
        };
        let own = self.sections.iter().flat_map(|(_, options)| *options);
        let column = own.map(|opt| line(opt).0.len()).max().unwrap_or_default();
        let (sentence, intro) = self.intro.split_once('\n').unwrap_or((self.intro, ""));
        let (command, usage) = (self.command, self.usage);
        let mut text = format!("{sentence}\n\nUsage: pingpong {command} {usage}\n{intro}");
        for (title, options) in self.sections {
            text += &format!("\n{title}:\n{}", columns(options.iter().map(line), column));
        }
        let common = columns(Self::COMMON.iter().map(line), column);
        text + &common + "\n" + &self.notes.concat()
    }

    /// Understands what follows the command, and after it the environment, where it is not
    /// overruled. A text: that is to be printed, and nothing else to be done.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(
        &self,
        given: &mut G,
        mut parser: Parser,
        environment: &Environment,
    ) -> Result<Option<String>, UsageError> {
        let mut seen = Vec::new();
        while let Some(arg) = parser.next()? {
            if let Arg::Value(text) = arg {
                (self.argument)(given, &text)?;
                continue;
            }
            let name = written(&arg);
            let Some(opt) = self.options().find(|opt| opt.words().any(|it| it == name)) else {
                let advice = (self.advice)(&name, &mut parser);
                return Err(advice.unwrap_or_else(|| self.unknown_option(&name, &mut parser)));
            };
            match opt.set {
                Set::Switch(set) => set(given),
                Set::Value(set) | Set::Each(set) => {
                    set(given, Value::new(name, parser.value().ok()))?;
                }
                Set::Print(text) => return Ok(Some(text(self))),
            }
            seen.push(opt.long());
        }
        let unseen = self.options().filter(|opt| !seen.contains(&opt.long()));
        for (opt, name) in unseen.filter_map(|opt| Some((opt, opt.variable()?))) {
            if let Some((_, text)) = environment.iter().find(|(it, _)| *it == *name) {
                opt.set_by(given, &name, text)?;
            }
        }
        Ok(None)
    }

    /// Of `-wrod` the parser has taken but the letter.
    fn unknown_option(&self, name: &str, parser: &mut Parser) -> UsageError {
        let rest = parser.optional_value().unwrap_or_default();
        let whole = format!("{name}{}", rest.to_string_lossy());
        self.unknown("option", name, &whole)
    }

    /// That something is not known, and the option that was perhaps meant.
    pub fn unknown(&self, what: &str, given: &str, whole: &str) -> UsageError {
        let names = self.options().flat_map(Opt::words);
        unknown(what, given, whole, names.filter(|it| it.starts_with('-')))
    }
}

impl<G> Opt<G> {
    /// Does what its environment variable says.
    fn set_by(&self, given: &mut G, variable: &str, text: &OsStr) -> Result<(), UsageError> {
        let value = |text: &OsStr| Value::new(variable.into(), Some(text.into()));
        match self.set {
            Set::Switch(set) if value(text).switch()? => set(given),
            Set::Switch(_) | Set::Print(_) => {}
            Set::Value(set) => set(given, value(text))?,
            Set::Each(set) => {
                let mut each = text.as_bytes().split(|byte| *byte == b',');
                each.try_for_each(|text| set(given, value(OsStr::from_bytes(text))))?;
            }
        }
        Ok(())
    }
}

/// Names and texts in two columns, the text beginning behind a name of `column` letters.
pub(super) fn columns(
    rows: impl Iterator<Item = (impl Display, impl Display)>,
    column: usize,
) -> String {
    let mut lines = String::new();
    for (name, text) in rows {
        let (name, text) = (name.to_string(), text.to_string());
        let mut line = format!("  {name:column$} ");
        for word in text.split(' ') {
            if line.len() + 1 + word.len() > WIDTH {
                lines += &line;
                lines.push('\n');
                line = format!("  {:column$} ", "");
            }
            line = line + " " + word;
        }
        lines = lines + &line + "\n";
    }
    lines
}
