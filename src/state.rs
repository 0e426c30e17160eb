//! The states of a connection, and the only function that moves it from one to another.
//!
//! ```text
//! Connecting ─ connected ▶ Open        Connecting ─ drain ▶ Closed
//!
//! Open ───── drain ─────▶ Draining ─── drained ───▶ Flushing ─ flushed ▶ Lingering
//!  │ └─ bad line ─────────────┼──────── bad line ──────▲                     │
//!  └─── peer closed ──────────┴─ peer closed ▶ Finishing ─── flushed ──▶ Closed ◀─ peer closed
//!                                                    any live state ─ expired, failed ─▶ Closed
//! ```
//!
//! Back-pressure is no state: a connection reads only while it has nothing left to send, and that
//! can be seen from its buffer. Nothing in here knows a socket, a clock or a log.

use std::fmt;

/// Where a connection stands. A server's begins as [`Open`](State::Open), a client's as
/// [`Connecting`](State::Connecting).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The kernel is on its way to the peer.
    Connecting,
    /// Messages are read and answered.
    Open,
    /// The server stops: what has been received is still read and answered.
    Draining,
    /// The peer has sent its last: what remains is to send it its replies.
    Finishing,
    /// We have read our last: what remains is to send the replies.
    Flushing,
    /// Our FIN is out: read and discard until the peer's end, as closing with unread input sends a
    /// reset that can destroy the last replies.
    Lingering,
    /// Over. The descriptor goes in the same turn of the loop.
    Closed,
}

/// What can happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer has accepted.
    Connected,
    /// The end of the peer's stream has been read.
    PeerClosed,
    /// A message that ends its connection: too long, or no ping under `--strict`.
    BadLine,
    /// The server begins to stop.
    Drain,
    /// What had been received when the drain began has been read and answered.
    Drained,
    /// Nothing is left to send, and no whole message is left unanswered.
    Flushed,
    /// A deadline has passed.
    Expired,
    /// A system call on this connection failed for good.
    Failed,
}

impl State {
    /// Every state, in the order of a connection's life.
    pub const ALL: [Self; 7] = [
        Self::Connecting,
        Self::Open,
        Self::Draining,
        Self::Finishing,
        Self::Flushing,
        Self::Lingering,
        Self::Closed,
    ];

    /// The state after `event`; `None` if it cannot happen here, which is a bug in the caller.
    #[must_use]
    pub const fn on(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Connecting, Event::Connected) => Some(Self::Open),
            (Self::Connecting, Event::Drain) => Some(Self::Closed),
            (Self::Open, Event::Drain) => Some(Self::Draining),
            (Self::Draining, Event::Drained) => Some(Self::Flushing),
            (Self::Open | Self::Draining, Event::BadLine) => Some(Self::Flushing),
            (Self::Open | Self::Draining, Event::PeerClosed) => Some(Self::Finishing),
            (Self::Finishing, Event::Flushed) => Some(Self::Closed),
            (Self::Flushing, Event::Flushed) => Some(Self::Lingering),
            (Self::Lingering, Event::PeerClosed) => Some(Self::Closed),

            // Whoever is on the way out already needs no drain to tell it.
            (Self::Finishing | Self::Flushing | Self::Lingering, Event::Drain) => Some(self),

            (
                Self::Connecting
                | Self::Open
                | Self::Draining
                | Self::Finishing
                | Self::Flushing
                | Self::Lingering,
                Event::Expired | Event::Failed,
            ) => Some(Self::Closed),

            (
                Self::Connecting,
                Event::PeerClosed | Event::BadLine | Event::Drained | Event::Flushed,
            )
            | (Self::Open, Event::Connected | Event::Drained | Event::Flushed)
            | (Self::Draining, Event::Connected | Event::Drain | Event::Flushed)
            | (
                Self::Finishing | Self::Flushing,
                Event::Connected | Event::PeerClosed | Event::BadLine | Event::Drained,
            )
            | (
                Self::Lingering,
                Event::Connected | Event::BadLine | Event::Drained | Event::Flushed,
            )
            | (
                Self::Closed,
                Event::Connected
                | Event::PeerClosed
                | Event::BadLine
                | Event::Drain
                | Event::Drained
                | Event::Flushed
                | Event::Expired
                | Event::Failed,
            ) => None,
        }
    }

    /// The state after `event`, for who has nothing to say about one that cannot happen: it stops a
    /// debug build, and ends the connection in any other.
    #[must_use]
    pub fn after(self, event: Event) -> Self {
        let next = self.on(event);
        debug_assert!(next.is_some(), "{event} in state {self}");
        next.unwrap_or(Self::Closed)
    }
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 8] = [
        Self::Connected,
        Self::PeerClosed,
        Self::BadLine,
        Self::Drain,
        Self::Drained,
        Self::Flushed,
        Self::Expired,
        Self::Failed,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "connected",
            Self::PeerClosed => "peer closed",
            Self::BadLine => "bad line",
            Self::Drain => "drain",
            Self::Drained => "drained",
            Self::Flushed => "flushed",
            Self::Expired => "expired",
            Self::Failed => "failed",
        })
    }
}

/// The machine as a Mermaid state diagram, made from [`State::on`] itself. `docs/state-machine.md`
/// holds this text, and a test compares the two.
#[must_use]
pub fn diagram() -> String {
    let mut text = format!(
        "stateDiagram-v2\n    [*] --> {}: accepted\n    [*] --> {}: connect\n",
        State::Open,
        State::Connecting
    );
    for from in State::ALL {
        for to in State::ALL {
            let events: Vec<_> = Event::ALL
                .iter()
                .filter(|event| from.on(**event) == Some(to) && from != to)
                .map(ToString::to_string)
                .collect();
            if !events.is_empty() {
                text += &format!("    {from} --> {to}: {}\n", events.join(" | "));
            }
        }
    }
    text + &format!("    {} --> [*]\n", State::Closed)
}
