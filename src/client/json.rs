//! As much JSON as a report needs: objects of numbers, texts and objects, written in order.

use std::fmt::{Display, Write};

/// An object that grows member by member.
#[derive(Clone, Debug, Default)]
pub struct Object(String);

impl Object {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a whole number or a truth value: what JSON writes as Rust does.
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Plain>) -> Self {
        let Plain(text) = value.into();
        self.member(key, &text)
    }

    /// Adds a number with three decimals.
    #[must_use]
    pub fn decimal(self, key: &str, value: f64) -> Self {
        if value.is_finite() {
            self.member(key, &format!("{value:.3}"))
        } else {
            self.member(key, "null")
        }
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, key: &str, value: &str) -> Self {
        let value = quoted(value);
        self.member(key, &value)
    }

    /// Adds an object.
    #[must_use]
    pub fn object(self, key: &str, value: &Self) -> Self {
        self.member(key, &value.written())
    }

    /// Adds a list of objects.
    #[must_use]
    pub fn list(self, key: &str, values: &[Self]) -> Self {
        let values: Vec<_> = values.iter().map(Self::written).collect();
        self.member(key, &format!("[{}]", values.join(",")))
    }

    /// The object as text, on one line.
    #[must_use]
    pub fn written(&self) -> String {
        format!("{{{}}}", self.0)
    }

    fn member(mut self, key: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0 += &format!("{}:{value}", quoted(key));
        self
    }
}

/// A value that JSON writes as Rust does.
#[derive(Clone, Debug)]
pub struct Plain(String);

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl From<$type> for Plain {
            fn from(value: $type) -> Self {
                Self(value.to_string())
            }
        }
    )*};
}
plain!(u64, usize, u32, bool);

impl<T: Into<Self>> From<Option<T>> for Plain {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(|| Self("null".into()), Into::into)
    }
}

/// A JSON string: RFC 8259 section 7.
fn quoted(text: &(impl Display + ?Sized)) -> String {
    let mut quoted = String::from("\"");
    for letter in text.to_string().chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            // Writing into a string cannot fail.
            ..' ' => drop(write!(quoted, "\\u{:04x}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
