//! Durations, sizes and bytes as people write them. Pure.

use std::time::Duration;

/// The longest duration that an option takes: a year, far from where clocks overflow.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// The units of a duration, the longest first.
const UNITS_NS: [(&str, u64); 6] = [
    ("d", 86_400 * S_NS),
    ("h", 3600 * S_NS),
    ("m", 60 * S_NS),
    ("s", S_NS),
    ("ms", S_NS / 1000),
    ("us", S_NS / 1_000_000),
];
const S_NS: u64 = 1_000_000_000;

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

/// Understands a whole number, which may be written as a part of `k` (1000) or `M` (1000 of those), as in
/// `2.5k`.
#[must_use]
pub fn parse_rate(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix('k') {
        Some(number) => (number, 1_000),
        None => text
            .strip_suffix('M')
            .map_or((text, 1), |number| (number, 1_000_000)),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.is_empty() || !is_plain(whole) || !is_plain(part) {
        return None;
    }
    // A part that is not whole of the unit is none of a request either.
    let parts = 10_u64.checked_pow(u32::try_from(part.len()).ok()?)?;
    let scaled = part.parse::<u64>().ok()?.checked_mul(unit)?;
    let part = (scaled % parts == 0).then_some(scaled / parts)?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(part)
}

/// Understands a number with `us`, `ms`, `s`, `m`, `h` or `d`, or several of them from the longest
/// unit to the shortest, as in `1m30s`; a bare number is seconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    if let Some(bare) = decimal(text, S_NS) {
        return Some(bare).filter(fits);
    }
    let mut total = Duration::ZERO;
    let (mut rest, mut shorter) = (text, UNITS_NS.iter());
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, unit_on) = rest.split_at(unit_at);
        let is_over = |letter: char| !letter.is_ascii_alphabetic();
        let (unit, after) = unit_on.split_at(unit_on.find(is_over).unwrap_or(unit_on.len()));
        let (_, unit_ns) = shorter.find(|(name, _)| *name == unit)?;
        total = total.checked_add(decimal(number, *unit_ns)?)?;
        rest = after;
    }
    Some(total).filter(|total| !text.is_empty() && fits(total))
}

fn fits(duration: &Duration) -> bool {
    *duration <= DURATION_MAX
}

/// A number of units as people write it: `5`, `1.5`, `.2`. What is less than a nanosecond is left out.
fn decimal(text: &str, unit_ns: u64) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    let whole_ns = digits(whole)?.checked_mul(unit_ns)?;
    let is_plain = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = fraction.get(..FRACTION_DIGITS_MAX).unwrap_or(fraction);
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction_ns = u128::from(digits(fraction)?) * u128::from(unit_ns) / scale;
    let ns = whole_ns.checked_add(u64::try_from(fraction_ns).ok()?)?;
    is_plain.then_some(Duration::from_nanos(ns))
}

/// Of a day, this many tell a nanosecond.
const FRACTION_DIGITS_MAX: usize = 15;

/// Nothing but digits, and 0 where there are none.
fn digits(text: &str) -> Option<u64> {
    text.bytes().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
