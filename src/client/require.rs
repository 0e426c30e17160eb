//! `--require`: what must hold of the figures, for scripts and CI.

use std::fmt;
use std::str::FromStr;

use crate::units::parse_duration;

/// What kind of figure it is, and so what a bound looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A time, in nanoseconds: `5ms`.
    Time,
    /// A part of all, in percent: `1%`.
    Percent,
    /// A number, which may end in k or M (a thousand, a million).
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtMost,
    AtLeast,
    Below,
    Above,
    Equal,
}

/// The longer signs first, as they begin with the shorter ones.
const SIGNS: [(&str, Comparison); 5] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Below),
    (">", Comparison::Above),
    ("=", Comparison::Equal),
];

/// A condition: a figure, a comparison and a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    text: String,
    figure: String,
    comparison: Comparison,
    bound: f64,
    kind: Kind,
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = SIGNS.iter().find_map(|(sign, comparison)| {
            let (figure, bound) = text.split_once(sign)?;
            Some((figure.trim(), *comparison, bound.trim()))
        });
        let (figure, comparison, bound) =
            found.ok_or("a condition has a figure, <, <=, =, >= or >, and a bound: p99<5ms")?;
        let (kind, bound) = understood(bound)
            .ok_or_else(|| format!("'{bound}' is no bound: a time (5ms), a part (1%), a number"))?;
        Ok(Self {
            text: text.into(),
            figure: figure.into(),
            comparison,
            bound,
            kind,
        })
    }
}

/// A bound by its look: a time has a unit, a part a percent sign.
fn understood(text: &str) -> Option<(Kind, f64)> {
    if let Some(part) = text.strip_suffix('%') {
        return Some((Kind::Percent, plain(part)?));
    }
    let (digits, unit) = match text.strip_suffix('k') {
        Some(digits) => (digits, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |it| (it, 1e6)),
    };
    if let Some(number) = plain(digits) {
        return Some((Kind::Count, number * unit));
    }
    Some((Kind::Time, parse_duration(text)?.as_secs_f64() * 1e9))
}

fn plain(digits: &str) -> Option<f64> {
    let is_plain = digits.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    digits.parse().ok().filter(|_| is_plain)
}

impl Requirement {
    /// The figure that it is about.
    #[must_use]
    pub fn figure(&self) -> &str {
        &self.figure
    }

    /// That there is such a figure, and that its bound is of the right kind.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, known: impl Fn(&str) -> Option<Kind>, names: &str) -> Result<(), String> {
        let figure = &self.figure;
        match known(figure) {
            None => Err(format!("there is no figure {figure}: it is one of {names}")),
            Some(kind) if kind == self.kind => Ok(()),
            Some(Kind::Time) => Err(format!("{figure} is a time, such as 5ms")),
            Some(Kind::Percent) => Err(format!("{figure} is a part of all, such as 1%")),
            Some(Kind::Count) => Err(format!("{figure} is a number, such as 10 or 10k")),
        }
    }

    /// Whether it holds. A figure that is not known holds nothing.
    ///
    /// # Errors
    /// That it does not, in words.
    pub fn holds(&self, value: Option<f64>, whose: &str) -> Result<(), String> {
        let Some(value) = value else {
            return Err(format!(
                "{self} is not so{whose}: {} is not known",
                self.figure
            ));
        };
        let holds = match self.comparison {
            Comparison::AtMost => value <= self.bound,
            Comparison::AtLeast => value >= self.bound,
            Comparison::Below => value < self.bound,
            Comparison::Above => value > self.bound,
            Comparison::Equal => {
                (value - self.bound).abs() < f64::EPSILON * self.bound.abs().max(1.0)
            }
        };
        if holds {
            return Ok(());
        }
        let shown = match self.kind {
            Kind::Time => format!("{:.3} ms", value / 1e6),
            Kind::Percent => format!("{value:.4}%"),
            Kind::Count => format!("{value}"),
        };
        Err(format!("{self} is not so{whose}: it is {shown}"))
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A part of all, in percent; `None` of nothing.
#[must_use]
pub fn percent(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| count(part) * 100.0 / count(all))
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
#[must_use]
pub fn count(count: u64) -> f64 {
    count as f64
}
