//! Numbers as ping(8) and printf(3) write them.

use std::time::Duration;

use super::stats::nanoseconds;

/// Milliseconds with three digits behind the point.
pub(super) fn milliseconds(ns: u64) -> String {
    let us = rounded_us(ns);
    format!("{}.{:03}", us / 1000, us % 1000)
}

/// Several of them, as ping(8) writes a spread: `0.045/0.050/0.060`.
pub(super) fn slashed(times_ns: &[u64]) -> String {
    let times: Vec<_> = times_ns.iter().map(|ns| milliseconds(*ns)).collect();
    times.join("/")
}

/// Whole milliseconds.
pub(super) fn rounded_ms(time: Duration) -> u64 {
    (nanoseconds(time).saturating_add(500_000)) / 1_000_000
}

/// Milliseconds with three leading digits, as ping(8) writes the time of a reply.
pub(super) fn time_of_reply(time: Duration) -> String {
    let ns = nanoseconds(time);
    let us = rounded_us(ns);
    match us {
        99_950.. => format!("{}", (us + 500) / 1000),
        9_995.. => format!("{}.{:01}", (us + 50) / 1000, (us + 50) % 1000 / 100),
        1_000.. => format!("{}.{:02}", (us + 5) / 1000, (us + 5) % 1000 / 10),
        _ => milliseconds(ns),
    }
}

const fn rounded_us(ns: u64) -> u64 {
    ns.saturating_add(500) / 1000
}

/// How many percent `part` is of `whole`, as printf(3) writes it under `%g`: six leading digits, no
/// idle zeros.
#[expect(
    clippy::cast_precision_loss,
    reason = "six digits are shown, and a double holds fifteen"
)]
pub(super) fn percent(part: u64, whole: u64) -> String {
    /// Where `%g` goes over to an exponent.
    const SMALLEST_PLAIN: i32 = -4;
    const LEADING_DIGITS: i32 = 6;
    let value = part as f64 * 100.0 / whole.max(1) as f64;
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && exponent < SMALLEST_PLAIN {
        return format!("{}e-{:02}", without_idle_zeros(mantissa), -exponent);
    }
    let decimals = usize::try_from(LEADING_DIGITS - 1 - exponent).unwrap_or(0);
    without_idle_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_idle_zeros(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{percent, time_of_reply};

    #[test]
    fn percent_is_what_printf_writes_under_g() {
        let cases = [
            (0, 7, "0"),
            (7, 7, "100"),
            (1, 3, "33.3333"),
            (2, 3, "66.6667"),
            (1, 7, "14.2857"),
            (1, 1000, "0.1"),
            (1, 30_000, "0.00333333"),
            (1, 3_000_000, "3.33333e-05"),
            (999_999, 1_000_000, "99.9999"),
            (9_999_999, 10_000_000, "100"),
            (0, 0, "0"),
        ];
        for (part, whole, text) in cases {
            assert_eq!(percent(part, whole), text, "{part} of {whole}");
        }
    }

    #[test]
    fn times_have_three_leading_digits() {
        let cases = [
            (45_400, "0.045"),
            (999_499, "0.999"),
            (1_234_567, "1.24"),
            (9_994_000, "9.99"),
            (9_996_000, "10.0"),
            (99_949_000, "99.9"),
            (99_950_000, "100"),
            (1_500_000_000, "1500"),
        ];
        for (ns, text) in cases {
            let time = Duration::from_nanos(ns);
            assert_eq!(time_of_reply(time), text, "{ns}");
        }
    }
}
