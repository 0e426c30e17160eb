//! The values of options.

use std::fmt::Display;
use std::ops::RangeInclusive;
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

/// The next argument, understood by its type; `takes` says what that is.
///
/// # Errors
/// It is missing, or not understood.
pub fn value<T: FromStr<Err: Display>>(
    parser: &mut lexopt::Parser,
    option: &str,
    takes: &str,
) -> Result<T, UsageError> {
    let text = text(parser, option, takes)?;
    text.parse().map_err(|error| {
        let space = if text.is_empty() { "" } else { " " };
        UsageError::new(format!("{option}{space}{text}: {error}"))
    })
}

/// The next argument, as a whole number within bounds.
///
/// # Errors
/// It is missing, no number, or out of bounds.
pub fn number<T: FromStr + PartialOrd + Display>(
    parser: &mut lexopt::Parser,
    option: &str,
    bounds: RangeInclusive<T>,
) -> Result<T, UsageError> {
    let (low, high) = (bounds.start(), bounds.end());
    let takes = format!("a whole number from {low} to {high}");
    understood(parser, option, &takes, |text| {
        text.parse().ok().filter(|number| bounds.contains(number))
    })
}

/// The next argument, as a number of bytes within bounds, which may end in k or M.
///
/// # Errors
/// It is missing, no size, or out of bounds.
pub fn size(
    parser: &mut lexopt::Parser,
    option: &str,
    bounds: RangeInclusive<usize>,
) -> Result<usize, UsageError> {
    let (low, high) = (bounds.start(), bounds.end());
    let takes = format!("a whole number from {low} to {high}, also with k or M, as in 4k");
    understood(parser, option, &takes, |text| {
        parse_size(text).filter(|bytes| bounds.contains(bytes))
    })
}

/// The next argument, as a duration.
///
/// # Errors
/// It is missing, or no duration.
pub fn duration(parser: &mut lexopt::Parser, option: &str) -> Result<Duration, UsageError> {
    let takes = "a number with us, ms, s, m, h or d, such as 500ms, 1.5s or 1m30s; a year at most";
    understood(parser, option, takes, parse_duration)
}

/// The next argument, as bytes: `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN` stand for what they do in
/// most languages.
///
/// # Errors
/// It is missing, empty, or has a backslash with something else behind it.
pub fn bytes(parser: &mut lexopt::Parser, option: &str) -> Result<Vec<u8>, UsageError> {
    let takes = r"a text with the escapes \r \n \t \0 \\ \xNN";
    understood(parser, option, takes, |text| {
        unescape(text).filter(|bytes| !bytes.is_empty())
    })
}

fn understood<T>(
    parser: &mut lexopt::Parser,
    option: &str,
    takes: &str,
    understand: impl FnOnce(&str) -> Option<T>,
) -> Result<T, UsageError> {
    let text = text(parser, option, takes)?;
    understand(&text).ok_or_else(|| UsageError::new(format!("{option} {text}: it takes {takes}")))
}

fn text(parser: &mut lexopt::Parser, option: &str, takes: &str) -> Result<String, UsageError> {
    let value = parser.value().map_err(|_| {
        UsageError::new(format!("{option}: its value is missing; it takes {takes}"))
    })?;
    value.into_string().map_err(|value| {
        let value = value.to_string_lossy();
        UsageError::new(format!("{option} {value}: that is not UTF-8"))
    })
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
