//! The values of options.

use std::ffi::OsString;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::UsageError;

/// The longest duration that an option takes: a year, far from where clocks overflow.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// The next argument, understood by its type.
///
/// # Errors
/// It is missing, or not understood.
pub fn value<T: FromStr<Err: Display>>(
    parser: &mut lexopt::Parser,
    option: &str,
) -> Result<T, UsageError> {
    let text = text(parser.value()?)?;
    text.parse()
        .map_err(|error| UsageError(format!("{option} {text}: {error}")))
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
    let text = text(parser.value()?)?;
    text.parse()
        .ok()
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            let (low, high) = bounds.into_inner();
            UsageError(format!(
                "{option} {text}: it takes a whole number from {low} to {high}"
            ))
        })
}

/// The next argument, as a duration.
///
/// # Errors
/// It is missing, or no duration.
pub fn duration(parser: &mut lexopt::Parser, option: &str) -> Result<Duration, UsageError> {
    let text = text(parser.value()?)?;
    parse_duration(&text).ok_or_else(|| {
        UsageError(format!(
            "{option} {text}: it takes a number with us, ms, s, m or h, such as 500ms or 1.5s; \
             a year at most"
        ))
    })
}

fn text(value: OsString) -> Result<String, UsageError> {
    value
        .into_string()
        .map_err(|value| UsageError(format!("{} is not UTF-8", value.to_string_lossy())))
}

/// The next argument, as bytes: `\r`, `\n`, `\t`, `\0`, `\\` and `\xNN` stand for what they do in
/// most languages.
///
/// # Errors
/// It is missing, empty, or has a backslash with something else behind it.
pub fn bytes(parser: &mut lexopt::Parser, option: &str) -> Result<Vec<u8>, UsageError> {
    let text = text(parser.value()?)?;
    unescape(&text)
        .filter(|bytes| !bytes.is_empty())
        .ok_or_else(|| {
            UsageError(format!(
                "{option} {text}: it takes a text with the escapes \\r \\n \\t \\0 \\\\ \\xNN"
            ))
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

/// Understands a number with `us`, `ms`, `s`, `m` or `h`; a bare number is seconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit_s = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let is_plain = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = number.parse::<f64>().ok().filter(|_| is_plain)? * unit_s;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= DURATION_MAX)
}
