//! What there is to tell of a ping: as the words of a line, or as the members of a JSON object.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::failure::Failure;
use super::json::{as_text, as_us};
use super::text::{rounded_ms, time_of_reply};
use crate::transport::Transport;

/// How much of a wrong reply is shown.
const SHOWN_BYTES: usize = 64;

/// What became of a ping, or of what came without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its reply came.
    Reply,
    /// Its reply came after it had been told as lost.
    Late,
    /// Its reply came again.
    Duplicate,
    /// Its reply did not come in time.
    NoReply,
    /// Its reply has not come yet, and the next is due: `-O`.
    Waiting,
    /// It did not leave in time: there was no connection.
    NoConnection,
    /// All was over before its own time was.
    Deadline,
    /// Nobody listens there.
    Refused,
    /// The connection was torn down before the reply.
    Reset,
    /// The connection was closed before the reply, or within it.
    Closed,
    /// Something came that is no reply to any ping.
    Wrong,
    /// Something came from somebody else.
    Foreign,
    /// The kernel could not send or receive.
    Error,
}

impl Outcome {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::NoReply => "timeout",
            Self::Waiting => "waiting",
            Self::NoConnection => "connect_timeout",
            Self::Deadline => "deadline",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Wrong => "wrong",
            Self::Foreign => "foreign",
            Self::Error => "error",
        }
    }

    const fn is_reply(self) -> bool {
        matches!(self, Self::Reply | Self::Late | Self::Duplicate)
    }

    /// What to do about the dot that stands for the ping.
    pub(super) const fn dots(self) -> &'static str {
        match self {
            Self::Reply | Self::Late => "\u{8} \u{8}",
            Self::Duplicate
            | Self::NoReply
            | Self::Waiting
            | Self::NoConnection
            | Self::Deadline => "",
            Self::Foreign => "E",
            Self::Refused | Self::Reset | Self::Closed | Self::Wrong | Self::Error => "\u{8}E",
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

/// All that is known of it; in JSON, what is not known is left out.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Told<'a> {
    #[serde(skip)]
    pub(super) outcome: Outcome,
    #[serde(serialize_with = "as_text")]
    pub(super) transport: Transport,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seq: Option<u64>,
    /// Who answered, or did not.
    #[serde(serialize_with = "as_text")]
    pub(super) peer: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) local_port: Option<u16>,
    /// How long the reply is, or what there is of it.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) received_bytes: usize,
    /// How long connecting took, for the first reply on a connection.
    #[serde(rename = "connect_us", serialize_with = "as_us")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connect: Option<Duration>,
    /// The round-trip time, or how long was waited.
    #[serde(rename = "time_us", serialize_with = "as_us")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<Duration>,
    /// What came in place of the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) received: Option<Shown<'a>>,
    /// What the kernel says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

impl Told<'_> {
    /// A line for people.
    pub(super) fn text(&self, with_port: bool) -> String {
        let mut which = self.transport.name().to_owned();
        if let Some(seq) = self.seq {
            which += &format!(" seq={seq}");
        }
        if let Some(port) = self.local_port.filter(|_| with_port) {
            which += &format!(" port={port}");
        }
        let (peer, what) = (self.peer, self.what());
        if self.outcome.is_reply() {
            format!("{} bytes from {peer}: {which}{what}\n", self.received_bytes)
        } else {
            format!("From {peer}: {which} {what}\n")
        }
    }

    /// What a line says after the number.
    fn what(&self) -> String {
        let bytes = self.received_bytes;
        let waited_ms = rounded_ms(self.time.unwrap_or_default());
        let received = self.received.unwrap_or(Shown(&[]));
        match self.outcome {
            Outcome::Reply => self.times(),
            Outcome::Late => self.times() + " (late)",
            Outcome::Duplicate => self.times() + " (DUP!)",
            Outcome::NoReply => format!("timed out: no reply within {waited_ms} ms"),
            Outcome::Waiting => format!("no answer yet, after {waited_ms} ms"),
            Outcome::NoConnection => format!("timed out: no connection within {waited_ms} ms"),
            Outcome::Deadline => format!("no reply by the deadline, after {waited_ms} ms"),
            Outcome::Refused if self.transport == Transport::Udp => {
                "refused: the port is unreachable".into()
            }
            Outcome::Refused => "connection refused".into(),
            Outcome::Reset => "connection reset before the reply".into(),
            Outcome::Closed if bytes > 0 => {
                format!("connection closed after {bytes} bytes of the reply")
            }
            Outcome::Closed => "connection closed before the reply".into(),
            Outcome::Wrong => format!("wrong reply of {bytes} bytes: {received}"),
            Outcome::Foreign => {
                format!("foreign reply of {bytes} bytes, not from the target: {received}")
            }
            Outcome::Error => self.error.clone().unwrap_or_default(),
        }
    }

    fn times(&self) -> String {
        let mut text = String::new();
        for (name, time) in [("connect", self.connect), ("time", self.time)] {
            if let Some(time) = time {
                text += &format!(" {name}={} ms", time_of_reply(time));
            }
        }
        text
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(bytes: &usize) -> bool {
    *bytes == 0
}

/// What came in place of a reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.0.get(..SHOWN_BYTES).unwrap_or(self.0);
        let more = if head.len() < self.0.len() { "..." } else { "" };
        write!(f, "{}{more}", head.escape_ascii())
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
