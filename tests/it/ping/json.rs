//! A strict reader of JSON (RFC 8259): it takes nothing that a parser might refuse.

use std::collections::BTreeMap;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Object(BTreeMap<String, Json>),
    List(Vec<Json>),
    Truth(bool),
    Null,
    Text(String),
    /// As it was written.
    Number(String),
}

impl Json {
    /// Reads a text that is one object and nothing else.
    pub(crate) fn read(text: &str) -> Self {
        let mut rest = text;
        let value = value(&mut rest);
        assert_eq!(rest, "", "in {text}");
        assert!(matches!(value, Self::Object(_)), "{text}");
        value
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(key),
            other => panic!("{other:?} has no members"),
        }
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Self::Text(text)) => text,
            other => panic!("{key} is {other:?}"),
        }
    }

    pub(crate) fn number(&self, key: &str) -> f64 {
        self.digits(key).parse().unwrap()
    }

    pub(crate) fn count(&self, key: &str) -> u64 {
        self.digits(key).parse().unwrap()
    }

    fn digits(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Self::Number(digits)) => digits,
            other => panic!("{key} is {other:?}"),
        }
    }
}

fn value(rest: &mut &str) -> Json {
    match rest.chars().next() {
        Some('{') => object(rest),
        Some('"') => Json::Text(string(rest)),
        Some('[') => list(rest),
        Some('t') => {
            take(rest, "true");
            Json::Truth(true)
        }
        Some('n') => {
            take(rest, "null");
            Json::Null
        }
        Some('f') => {
            take(rest, "false");
            Json::Truth(false)
        }
        _ => number(rest),
    }
}

fn take(rest: &mut &str, wanted: &str) {
    *rest = rest
        .strip_prefix(wanted)
        .unwrap_or_else(|| panic!("no {wanted} at {rest}"));
}

fn object(rest: &mut &str) -> Json {
    let mut members = BTreeMap::new();
    take(rest, "{");
    loop {
        let key = string(rest);
        take(rest, ":");
        let earlier = members.insert(key.clone(), value(rest));
        assert_eq!(earlier, None, "{key} twice");
        if rest.starts_with('}') {
            take(rest, "}");
            return Json::Object(members);
        }
        take(rest, ",");
    }
}

fn list(rest: &mut &str) -> Json {
    let mut values = Vec::new();
    take(rest, "[");
    loop {
        values.push(value(rest));
        if rest.starts_with(']') {
            take(rest, "]");
            return Json::List(values);
        }
        take(rest, ",");
    }
}

fn string(rest: &mut &str) -> String {
    take(rest, "\"");
    let mut text = String::new();
    let mut letters = rest.chars();
    loop {
        match letters.next().expect("a string ends") {
            '"' => break,
            '\\' => match letters.next().expect("something is escaped") {
                plain @ ('"' | '\\') => text.push(plain),
                'u' => {
                    let digits: String = letters.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).unwrap();
                    text.push(char::from_u32(code).unwrap());
                }
                other => panic!("\\{other} in a string"),
            },
            control @ '\0'..' ' => panic!("{control:?} in a string"),
            plain => text.push(plain),
        }
    }
    *rest = letters.as_str();
    text
}

/// A number without a sign or an exponent: nothing here has one.
fn number(rest: &mut &str) -> Json {
    let len = rest
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(rest.len());
    let (digits, behind) = rest.split_at(len);
    let whole = digits.split('.').next().unwrap();
    assert!(whole == "0" || !whole.starts_with('0'), "{digits}");
    assert!(!whole.is_empty() && !digits.ends_with('.'), "{digits}");
    *rest = behind;
    Json::Number(digits.into())
}
