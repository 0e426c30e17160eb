//! The values of options.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::ops::RangeInclusive;
#[cfg(feature = "load")]
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::UsageError;

/// The longest duration that an option takes: a year, far from where clocks overflow.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// The units of a duration in seconds, the longest first.
const UNITS_S: [(&str, f64); 6] = [
    ("d", 86_400.0),
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
];

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

    /// A number of bytes within bounds, which may end in k or M.
    pub(super) fn size(&self, bounds: RangeInclusive<usize>) -> Result<usize, UsageError> {
        let (low, high) = (bounds.start(), bounds.end());
        let takes = format!("a whole number from {low} to {high}, also with k or M, as in 4k");
        self.understood(&takes, |text| {
            parse_size(text).filter(|it| bounds.contains(it))
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

/// Replaces the escapes; `None` where one is not known.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'0' => 0,
                b'\\' => b'\\',
                b'x' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(bytes)
}

fn hex_digit(letter: u8) -> Option<u8> {
    u8::try_from(char::from(letter).to_digit(16)?).ok()
}

/// Understands a whole number of bytes, which may end in `k` (1024) or `M` (1024 of those).
#[must_use]
pub fn parse_size(text: &str) -> Option<usize> {
    let (digits, unit_bytes) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1024),
        None => text
            .strip_suffix('M')
            .map_or((text, 1), |digits| (digits, 1024 * 1024)),
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse::<usize>().ok().filter(|_| is_plain)?;
    number.checked_mul(unit_bytes)
}

/// Understands a number with `us`, `ms`, `s`, `m`, `h` or `d`, or several of them from the longest
/// unit to the shortest, as in `1m30s`; a bare number is seconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = match decimal(text) {
        Some(bare_s) => return Duration::try_from_secs_f64(bare_s).ok().filter(fits),
        None => Duration::ZERO,
    };
    let (mut rest, mut shorter) = (text, UNITS_S.iter());
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, unit_on) = rest.split_at(unit_at);
        let is_over = |letter: char| !letter.is_ascii_alphabetic();
        let (unit, after) = unit_on.split_at(unit_on.find(is_over).unwrap_or(unit_on.len()));
        let (_, unit_s) = shorter.find(|(name, _)| *name == unit)?;
        let part = Duration::try_from_secs_f64(decimal(number)? * unit_s).ok()?;
        total = total.checked_add(part)?;
        rest = after;
    }
    Some(total).filter(|total| !text.is_empty() && fits(total))
}

fn fits(duration: &Duration) -> bool {
    *duration <= DURATION_MAX
}

/// A number as people write it: `5`, `1.5`, `.2`.
fn decimal(text: &str) -> Option<f64> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_plain)
}
