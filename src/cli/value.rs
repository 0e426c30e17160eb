//! The values of options.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
#[cfg(feature = "load")]
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::UsageError;
#[cfg(any(feature = "load", feature = "ping"))]
use crate::client::require::{Kind, Requirement};
use crate::units::{parse_duration, parse_size};
#[cfg(feature = "load")]
use crate::units::{parse_rate, unescape};

/// Puts a value, once understood, in its place.
pub(super) fn set<T>(place: &mut T, value: Result<T, UsageError>) -> Result<(), UsageError> {
    *place = value?;
    Ok(())
}

/// What was given for an option, and is not understood yet.
pub struct Value {
    /// The option as it was written, or the environment variable.
    name: String,
    text: Option<OsString>,
}

impl Value {
    /// `None`: there is none.
    pub(super) const fn new(name: String, text: Option<OsString>) -> Self {
        Self { name, text }
    }

    /// Understood by its type; `takes` says what that is.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, takes: &str) -> Result<T, UsageError> {
        self.text(takes)?.parse().map_err(|error| self.wrong(error))
    }

    /// A whole number within bounds.
    pub(super) fn number<T>(&self, bounds: RangeInclusive<T>) -> Result<T, UsageError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let takes = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        let parse = |text: &str| text.parse().ok();
        self.understood(&takes, |text| parse(text).filter(|it| bounds.contains(it)))
    }

    /// A rate within bounds, which may end in k or M: a thousand, a million.
    #[cfg(feature = "load")]
    pub(super) fn rate(&self, bounds: RangeInclusive<u64>) -> Result<u64, UsageError> {
        let (low, high) = (bounds.start(), bounds.end());
        let takes = format!("a whole number from {low} to {high}, also with k or M, as in 2.5k");
        self.understood(&takes, |text| {
            parse_rate(text).filter(|it| bounds.contains(it))
        })
    }

    /// A number of bytes within bounds, which may end in k or M.
    pub(super) fn size(&self, bounds: RangeInclusive<usize>) -> Result<usize, UsageError> {
        let (low, high) = (bounds.start(), bounds.end());
        let takes = format!("a whole number from {low} to {high}, also with k or M, as in 4k");
        self.understood(&takes, |text| {
            parse_size(text).filter(|it| bounds.contains(it))
        })
    }

    /// A condition of `--require`, about a figure that is known.
    #[cfg(any(feature = "load", feature = "ping"))]
    pub(super) fn condition(
        &self,
        known: impl Fn(&str) -> Option<Kind>,
        names: &str,
    ) -> Result<Requirement, UsageError> {
        let condition: Requirement = self.parsed("a condition such as p99<5ms")?;
        let checked = condition.check(known, names);
        checked.map_err(|error| self.wrong(error))?;
        Ok(condition)
    }

    /// A network: one address is one too.
    pub(super) fn network(&self) -> Result<IpNet, UsageError> {
        let takes = "a network such as 192.0.2.0/24 or 2001:db8::/32, or an address";
        let parse = |text: &str| {
            let network = text.parse().ok();
            network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        };
        match self.understood(takes, parse)? {
            IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
                Err(self.wrong("an IPv4 network is written as such, as in 192.0.2.0/24"))
            }
            network => Ok(network),
        }
    }

    /// Permissions, in octal.
    pub(super) fn mode(&self) -> Result<u32, UsageError> {
        let takes = "permissions as chmod(1) has them, in octal from 0 to 0777";
        self.understood(takes, |text| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_plain);
            mode.filter(|mode| *mode <= 0o777)
        })
    }

    /// A duration.
    pub(super) fn duration(&self) -> Result<Duration, UsageError> {
        let takes =
            "a number with us, ms, s, m, h or d, such as 500ms, 1.5s or 1m30s; a year at most";
        self.understood(takes, parse_duration)
    }

    /// A duration, of which 0 stands for no end.
    pub(super) fn limit(&self) -> Result<Option<Duration>, UsageError> {
        let limit = self.duration()?;
        Ok((!limit.is_zero()).then_some(limit))
    }

    /// A duration that is longer than nothing.
    #[cfg(feature = "load")]
    pub(super) fn positive(&self) -> Result<Duration, UsageError> {
        let too_short = || UsageError::new(format!("{} must be longer than nothing", self.name));
        self.limit()?.ok_or_else(too_short)
    }

    /// Bytes: `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN` stand for what they do in most languages.
    #[cfg(feature = "load")]
    pub(super) fn bytes(&self) -> Result<Vec<u8>, UsageError> {
        let takes = r"a text with the escapes \r \n \t \0 \\ \xNN";
        self.understood(takes, |text| unescape(text).filter(|it| !it.is_empty()))
    }

    /// The name of a file.
    #[cfg(feature = "load")]
    pub(super) fn path(&self) -> Result<PathBuf, UsageError> {
        self.given("the name of a file").map(Into::into)
    }

    /// 1 or 0.
    pub(super) fn switch(&self) -> Result<bool, UsageError> {
        self.understood("1 for on, or 0 for off", |text| {
            matches!(text, "0" | "1").then_some(text == "1")
        })
    }

    fn understood<T>(
        &self,
        takes: &str,
        understand: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, UsageError> {
        understand(self.text(takes)?).ok_or_else(|| self.wrong(format!("it takes {takes}")))
    }

    fn text(&self, takes: &str) -> Result<&str, UsageError> {
        let text = self.given(takes)?.to_str();
        text.ok_or_else(|| self.wrong("that is not UTF-8"))
    }

    fn given(&self, takes: &str) -> Result<&OsStr, UsageError> {
        let missing = || self.wrong(format!("its value is missing; it takes {takes}"));
        self.text.as_deref().ok_or_else(missing)
    }

    /// An option is written with a space before its value, a variable with an equals sign.
    fn wrong(&self, what: impl Display) -> UsageError {
        let text = self.text.as_deref().unwrap_or_default().to_string_lossy();
        let is_option = self.name.starts_with('-');
        let between = if is_option { " " } else { "=" };
        let between = if text.is_empty() { "" } else { between };
        UsageError::new(format!("{}{between}{text}: {what}", self.name))
    }
}
