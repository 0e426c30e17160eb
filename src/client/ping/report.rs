//! What is told of each ping: a line for people, or a JSON object.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::failure::Failure;
use super::figures::nanoseconds;
use super::text::{microseconds, milliseconds, quoted, time_of_reply};
use crate::transport::Transport;

/// How much of a wrong reply is shown.
const SHOWN_BYTES: usize = 64;

/// How pings are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A line each.
    Lines,
    /// A JSON object a line each.
    Json,
    /// A dot for each ping and a backspace for each reply: what stands there is what is missing.
    Dots,
    /// Not at all.
    Quiet,
}

/// How to tell.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How pings are told.
    pub style: Style,
    /// The summary is a JSON object too, and there is no header.
    pub json: bool,
    /// The time of day before each line: `-D`.
    pub timestamps: bool,
    /// The port at this end: `--rotate-port`.
    pub ports: bool,
    /// The time of day, for `timestamps`.
    pub clock: fn() -> SystemTime,
}

/// What became of a ping, or of what came without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its reply came.
    Reply,
    /// Its reply came after it had been told as lost.
    Late,
    /// Its reply came again.
    Duplicate,
    /// Its reply did not come in time.
    NoReply,
    /// It did not leave in time: there was no connection.
    NoConnection,
    /// Nobody listens there.
    Refused,
    /// The connection was torn down before the reply.
    Reset,
    /// The connection was closed before the reply, or within it.
    Closed,
    /// Something came that is no reply to any ping.
    Wrong,
    /// The kernel could not send or receive.
    Error,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::NoReply => "timeout",
            Self::NoConnection => "connect_timeout",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Wrong => "wrong",
            Self::Error => "error",
        }
    }
}

impl From<&Failure> for Outcome {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Refused => Self::Refused,
            Failure::Reset => Self::Reset,
            Failure::Closed => Self::Closed,
            Failure::EndlessLine => Self::Wrong,
            Failure::Other(_) => Self::Error,
        }
    }
}

/// All that is known of it.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// Over which transport.
    pub transport: Transport,
    /// What became of it.
    pub outcome: Outcome,
    /// Who answered, or did not.
    pub peer: SocketAddr,
    /// The port at this end, where there is one.
    pub port: Option<u16>,
    /// Which ping, where that is known.
    pub seq: Option<u64>,
    /// How long the reply is, or what there is of it.
    pub bytes: usize,
    /// The round-trip time, or how long was waited.
    pub time: Option<Duration>,
    /// How long connecting took, for the first reply on a connection.
    pub connect: Option<Duration>,
    /// What came in place of the reply.
    pub wrong: Option<&'a [u8]>,
    /// What the kernel says.
    pub error: Option<String>,
}

/// Tells pings: the text waits until the loop takes it.
#[derive(Debug)]
pub struct Report {
    manner: Manner,
    text: String,
    /// There is more than dots: it is to be shown now, and not with the next reply.
    is_urgent: bool,
}

impl Report {
    /// A report in this manner.
    #[must_use]
    pub fn new(manner: Manner) -> Self {
        Self {
            manner,
            text: String::new(),
            is_urgent: false,
        }
    }

    /// The manner.
    #[must_use]
    pub fn manner(&self) -> &Manner {
        &self.manner
    }

    /// Hands over the text so far.
    pub fn take(&mut self) -> String {
        self.is_urgent = false;
        std::mem::take(&mut self.text)
    }

    /// Something was told since, other than that a ping was begun.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    /// A ping was begun.
    pub fn begin(&mut self) {
        if self.manner.style == Style::Dots {
            self.text.push('.');
        }
    }

    /// Tells one.
    pub fn tell(&mut self, told: &Told<'_>) {
        self.is_urgent = true;
        match self.manner.style {
            Style::Lines => self.line(told),
            Style::Json => self.json(told),
            Style::Dots => self.text.push_str(match told.outcome {
                Outcome::Reply | Outcome::Late => "\u{8} \u{8}",
                Outcome::Duplicate | Outcome::NoReply | Outcome::NoConnection => "",
                _ => "\u{8}E",
            }),
            Style::Quiet => {}
        }
    }

    fn line(&mut self, told: &Told<'_>) {
        let Told {
            transport,
            peer,
            bytes,
            ..
        } = told;
        if self.manner.timestamps {
            self.text += &format!("[{}] ", self.unix_time());
        }
        let name = transport.name();
        let seq = told
            .seq
            .map_or_else(String::new, |seq| format!(" seq={seq}"));
        let port = told
            .port
            .filter(|_| self.manner.ports)
            .map_or_else(String::new, |port| format!(" port={port}"));
        let what = what(told);
        self.text += &match told.outcome {
            Outcome::Reply | Outcome::Late | Outcome::Duplicate => {
                format!("{bytes} bytes from {peer}: {name}{seq}{port}{what}\n")
            }
            _ => format!("From {peer}: {name}{seq}{port} {what}\n"),
        };
    }

    fn json(&mut self, told: &Told<'_>) {
        let mut object = format!("{{\"type\":\"{}\"", told.outcome.name());
        if self.manner.timestamps {
            object += &format!(",\"unix_time_s\":{}", self.unix_time());
        }
        object += &format!(",\"transport\":\"{}\"", told.transport.name());
        object += &told
            .seq
            .map_or_else(String::new, |seq| format!(",\"seq\":{seq}"));
        object += &format!(",\"peer\":\"{}\"", told.peer);
        if let Some(port) = told.port {
            object += &format!(",\"local_port\":{port}");
        }
        if told.bytes > 0 {
            object += &format!(",\"received_bytes\":{}", told.bytes);
        }
        for (key, time) in [("connect_us", told.connect), ("time_us", told.time)] {
            if let Some(time) = time {
                object += &format!(",\"{key}\":{}", microseconds(nanoseconds(time)));
            }
        }
        if let Some(wrong) = told.wrong {
            object += &format!(",\"received\":{}", quoted(&shown(wrong)));
        }
        if let Some(error) = &told.error {
            object += &format!(",\"error\":{}", quoted(error));
        }
        self.text += &object;
        self.text += "}\n";
    }

    /// The time of day as ping(8) has it: seconds since 1970, with microseconds.
    fn unix_time(&self) -> String {
        let since = (self.manner.clock)()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        format!("{}.{:06}", since.as_secs(), since.subsec_micros())
    }
}

/// What a line says after the number.
fn what(told: &Told<'_>) -> String {
    let time_ns = told.time.map_or(0, nanoseconds);
    let waited = told.time.unwrap_or_default();
    match told.outcome {
        Outcome::Reply | Outcome::Late | Outcome::Duplicate => {
            let connect = told.connect.map_or_else(String::new, |connect| {
                format!(" connect={} ms", time_of_reply(nanoseconds(connect)))
            });
            let remark = match told.outcome {
                Outcome::Late => " (late)",
                Outcome::Duplicate => " (DUP!)",
                _ => "",
            };
            format!("{connect} time={} ms{remark}", time_of_reply(time_ns))
        }
        Outcome::NoReply => format!("timed out: no reply within {} ms", rounded_ms(waited)),
        Outcome::NoConnection => {
            format!("timed out: no connection within {} ms", rounded_ms(waited))
        }
        Outcome::Refused if told.transport == Transport::Udp => {
            "refused: the port is unreachable".into()
        }
        Outcome::Refused => "connection refused".into(),
        Outcome::Reset => "connection reset before the reply".into(),
        Outcome::Closed if told.bytes > 0 => {
            format!("connection closed after {} bytes of the reply", told.bytes)
        }
        Outcome::Closed => "connection closed before the reply".into(),
        Outcome::Wrong => {
            let wrong = told.wrong.unwrap_or_default();
            format!("wrong reply of {} bytes: {}", wrong.len(), shown(wrong))
        }
        Outcome::Error => told.error.clone().unwrap_or_default(),
    }
}

fn rounded_ms(time: Duration) -> u128 {
    (time.as_micros() + 500) / 1000
}

fn shown(wrong: &[u8]) -> String {
    let head = wrong.get(..SHOWN_BYTES).unwrap_or(wrong);
    let more = if head.len() < wrong.len() { "..." } else { "" };
    format!("{}{more}", head.escape_ascii())
}

/// A spread as ping(8) writes one: `0.045/0.050/0.060` and so on, in milliseconds.
#[must_use]
pub fn slashed(times_ns: &[u64]) -> String {
    let times: Vec<_> = times_ns.iter().map(|ns| milliseconds(*ns)).collect();
    times.join("/")
}
