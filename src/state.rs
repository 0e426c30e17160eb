//! The states of a connection, and the only function that moves it from one to another. It serves
//! both ends: what accepts begins in Open, what connects in Connecting.
//!
//! ```text
//! Connecting ─ connected ──▶ Open        Connecting ─ drain ─▶ Closed
//!
//! Open ───── drain ─────▶ Draining ── last read ──▶ Flushing ─ flushed ─▶ Lingering
//!  │ ├─ last read ───────────┼───────────────────────▲                    ▲  │
//!  │ ├─ shut ────────────────┼────────────────────────────────────────────┘  │
//!  │ └─ peer closed ─────────┴─ peer closed ▶ Finishing ── flushed ──▶ Closed ◀─ peer closed
//!                                                  any live state ─ expired, failed ─▶ Closed
//! ```
//!
//! Back-pressure is no state: a connection reads only while it has nothing left to send, and that
//! can be seen from its buffer. Nothing in here knows a socket or a clock.

use std::fmt;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The kernel is on its way to the peer.
    Connecting,
    /// It is read from and written to.
    Open,
    /// This end is about to stop: what has arrived by now is still read.
    Draining,
    /// The peer has sent its last: what remains is to send what it is due.
    Finishing,
    /// We have read our last: what remains is to send what the peer is due.
    Flushing,
    /// Our FIN is out: read and discard until the peer's end, as closing with unread input sends a
    /// reset that can destroy what was sent last.
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
    /// This end begins to stop.
    Drain,
    /// No more is read: what came is enough, or bad.
    LastRead,
    /// Nothing is left to send.
    Flushed,
    /// No more is read, and nothing is left to send.
    Shut,
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

    /// The state after `event`.
    ///
    /// # Errors
    /// It cannot happen here: a bug in the caller.
    pub const fn on(self, event: Event) -> Result<Self, Impossible> {
        match (self, event) {
            (Self::Connecting, Event::Connected) => Ok(Self::Open),
            (Self::Connecting, Event::Drain) => Ok(Self::Closed),
            (Self::Open, Event::Drain) => Ok(Self::Draining),
            (Self::Open | Self::Draining, Event::LastRead) => Ok(Self::Flushing),
            (Self::Open | Self::Draining, Event::PeerClosed) => Ok(Self::Finishing),
            (Self::Open, Event::Shut) => Ok(Self::Lingering),
            (Self::Finishing, Event::Flushed) => Ok(Self::Closed),
            (Self::Flushing, Event::Flushed) => Ok(Self::Lingering),
            (Self::Lingering, Event::PeerClosed) => Ok(Self::Closed),

            // Whoever is on the way out already needs no drain to tell it.
            (Self::Finishing | Self::Flushing | Self::Lingering, Event::Drain) => Ok(self),

            (
                Self::Connecting
                | Self::Open
                | Self::Draining
                | Self::Finishing
                | Self::Flushing
                | Self::Lingering,
                Event::Expired | Event::Failed,
            ) => Ok(Self::Closed),

            (
                Self::Connecting,
                Event::PeerClosed | Event::LastRead | Event::Flushed | Event::Shut,
            )
            | (Self::Open, Event::Connected | Event::Flushed)
            | (Self::Draining, Event::Connected | Event::Drain | Event::Flushed | Event::Shut)
            | (
                Self::Finishing | Self::Flushing,
                Event::Connected | Event::PeerClosed | Event::LastRead | Event::Shut,
            )
            | (
                Self::Lingering,
                Event::Connected | Event::LastRead | Event::Flushed | Event::Shut,
            )
            | (
                Self::Closed,
                Event::Connected
                | Event::PeerClosed
                | Event::Drain
                | Event::LastRead
                | Event::Flushed
                | Event::Shut
                | Event::Expired
                | Event::Failed,
            ) => Err(Impossible { state: self, event }),
        }
    }

    /// Takes the step that `event` means for the connection to `peer`. One that is impossible stops
    /// a debug build; in any other it is logged, and ends that connection alone.
    pub fn step(&mut self, event: Event, peer: &dyn fmt::Display) {
        *self = self.on(event).unwrap_or_else(|impossible| {
            log::error!("{peer}: {impossible}: please report this bug");
            debug_assert!(false, "{peer}: {impossible}");
            Self::Closed
        });
    }
}

/// An event that cannot happen to a connection where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// Where it stands.
    pub state: State,
    /// What cannot happen there.
    pub event: Event,
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in state {}", self.event, self.state)
    }
}

impl std::error::Error for Impossible {}

impl Event {
    /// Every event.
    pub const ALL: [Self; 8] = [
        Self::Connected,
        Self::PeerClosed,
        Self::Drain,
        Self::LastRead,
        Self::Flushed,
        Self::Shut,
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
            Self::Drain => "drain",
            Self::LastRead => "last read",
            Self::Flushed => "flushed",
            Self::Shut => "shut",
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
                .filter(|event| from.on(**event) == Ok(to) && from != to)
                .map(ToString::to_string)
                .collect();
            if !events.is_empty() {
                text += &format!("    {from} --> {to}: {}\n", events.join(" | "));
            }
        }
    }
    text + &format!("    {} --> [*]\n", State::Closed)
}
