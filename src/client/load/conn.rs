//! A connection, or over UDP a socket, with requests of its own that are counted one by one; and
//! what all of them share.

use std::io;
use std::net::SocketAddr;

use super::schedule::{Nanos, Schedule};
use super::stats::{Stamp, Stats};
use crate::client::script::Script;
use crate::reactor::kernel::{Kernel, Readiness, RecvSlots, Token};
use crate::state::State;

/// How much one read fetches, and how much one write is offered, unless one message is longer.
pub const WINDOW_BYTES: usize = 64 * 1024;

/// What makes connections send.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Nothing does.
    Quiet,
    /// Room for another request in its pipeline.
    ClosedLoop,
    /// The timetable, and room.
    OpenLoop(Schedule),
}

/// What a connection needs for a turn of work and shares with all others.
#[derive(Debug)]
pub struct Shared {
    /// What to send, and what has to come back.
    pub script: Script,
    /// What makes connections send.
    pub mode: Mode,
    /// What happened.
    pub stats: Stats,
    /// How many requests may still be sent, on all connections.
    pub left: u64,
    /// How many requests wait for their replies, on all connections.
    pub waiting: usize,
    /// How many requests of the timetable are due and have not left, on all connections.
    pub behind: u64,
    /// What streams are read into.
    pub window: Box<[u8]>,
    /// What is written from.
    pub outgoing: Vec<u8>,
    /// What datagrams are received into.
    pub slots: RecvSlots,
}

impl Shared {
    /// Buffers, of which the kernel backs only what is used.
    ///
    /// # Errors
    /// There is no memory for the histograms.
    pub fn new(script: Script) -> io::Result<Self> {
        Ok(Self {
            outgoing: Vec::with_capacity(WINDOW_BYTES.max(script.request_bytes())),
            script,
            mode: Mode::Quiet,
            stats: Stats::new()?,
            left: u64::MAX,
            waiting: 0,
            behind: 0,
            window: vec![0; WINDOW_BYTES].into_boxed_slice(),
            slots: RecvSlots::default(),
        })
    }
}

/// Which of the run's requests are one connection's own. It outlives a connection that is lost: the
/// next one goes on with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quota {
    /// The place on the timetable.
    place: usize,
    /// How many of its requests the timetable has called for.
    due: u64,
    /// How many of them have left.
    begun: u64,
}

impl Quota {
    /// A timetable begins.
    #[must_use]
    pub const fn new(place: usize) -> Self {
        Self {
            place,
            due: 0,
            begun: 0,
        }
    }

    /// The timetable calls for one more request.
    pub fn call(&mut self) {
        self.due += 1;
    }

    /// How many requests the timetable has called for that have not left.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.due.saturating_sub(self.begun)
    }

    /// How many requests may leave now, while `waiting` wait of at most `waiting_max`.
    #[must_use]
    pub fn room(&self, shared: &Shared, waiting: usize, waiting_max: usize) -> usize {
        let called_for = match shared.mode {
            Mode::Quiet => 0,
            Mode::ClosedLoop => shared.left,
            Mode::OpenLoop(_) => self.unsent(),
        };
        let room = waiting_max.saturating_sub(waiting);
        room.min(usize::try_from(called_for).unwrap_or(usize::MAX))
    }

    /// The next request leaves now. When was it meant to?
    pub fn take(&mut self, shared: &mut Shared, now: Nanos) -> Stamp {
        let intended = match shared.mode {
            Mode::OpenLoop(schedule) => {
                debug_assert!(shared.behind > 0, "nobody called for it");
                shared.behind = shared.behind.saturating_sub(1);
                schedule.at_lane(self.place, self.begun).min(now)
            }
            Mode::Quiet | Mode::ClosedLoop => now,
        };
        shared.left = shared.left.saturating_sub(1);
        self.begun += 1;
        shared.waiting += 1;
        let stamp = Stamp {
            intended,
            sent: now,
        };
        shared.stats.sent(stamp);
        stamp
    }
}

/// What a turn's work came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worked {
    /// There may be more to do.
    pub more: bool,
    /// The first of its requests began to wait: the deadline for replies begins anew.
    pub began_to_wait: bool,
}

/// A connection, on some kernel.
pub trait Conn<K: Kernel>: Sized {
    /// Replies to all that was sent are owed: a stream loses nothing.
    const RELIABLE: bool;

    /// Begins to connect, and asks for events.
    ///
    /// # Errors
    /// The kernel refused.
    fn open(kernel: &mut K, opening: Opening) -> io::Result<Self>;

    /// Takes note of an event.
    fn raise(&mut self, ready: Readiness);

    /// Where it stands.
    fn state(&self) -> State;

    /// It has been connected, and the peer has listened; it may have ended since.
    fn was_ready(&self) -> bool;

    /// It is connected, and the peer listens.
    fn is_ready(&self) -> bool {
        self.state() == State::Open && self.was_ready()
    }

    /// It has brought a right reply.
    fn was_answered(&self) -> bool;

    /// How many of its requests wait for their replies.
    fn waiting(&self) -> usize;

    /// Does what the latches allow. `clock` is read once for each batch of replies, right behind
    /// the call that brought it, and once for each batch of requests, ahead of the call that sends
    /// it. One reading for a whole turn would make each latency longer by the work for all before.
    fn work(
        &mut self,
        shared: &mut Shared,
        quota: &mut Quota,
        clock: &impl Fn() -> Nanos,
    ) -> Worked;

    /// It has taken too long to get ready.
    fn opening_expired(&mut self, shared: &mut Shared);

    /// Requests sent before `before` have no more reply to hope for: tells each. A stream ends with
    /// them, and tells all of its own.
    fn give_up(&mut self, before: Nanos, tell: impl FnMut(Stamp));
}

/// How to open a connection.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Which of all it is.
    pub number: usize,
    /// What names it in events.
    pub token: Token,
    /// To whom.
    pub peer: SocketAddr,
    /// Find out whether anybody answers there before the run begins; streams always do.
    pub asks_first: bool,
    /// How many of its requests it has to remember, at least.
    pub remembered: usize,
    /// How many of its requests may wait for replies.
    pub waiting_max: usize,
    /// How many lines the peer says before it listens.
    pub skip_lines: u32,
    /// A reply over UDP that takes longer is late, and its request lost.
    pub timeout: Nanos,
}
