//! Durations, sizes and bytes as people write them. Pure.

use std::time::Duration;

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
