//! What a run has measured.
//!
//! One window of time decides for all of it. A request belongs to it if it was due in it (in a
//! closed loop: if it left in it), and then so do its reply, its latency and its loss, whenever they
//! come. Rates are of what left and what came while the window was open.

use std::io;
use std::time::Duration;

use super::latency::Latencies;
use super::schedule::{Nanos, SECOND};

/// What a run cost the client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// How long it lasted.
    pub wall: Duration,
    /// How long the process was on a CPU.
    pub cpu: Duration,
    /// How long it was ready to run and waited for a CPU; `None` where the kernel does not tell.
    pub waited_for_cpu: Option<Duration>,
}

/// When a request was meant to leave, and when it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// By the timetable; in a closed loop, the time of sending.
    pub intended: Nanos,
    /// When it was handed to the kernel.
    pub sent: Nanos,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnEnd {
    /// It could not be connected.
    NotConnected,
    /// The peer closed or reset it.
    ClosedEarly,
    /// It brought a byte that is not the reply's: nothing behind it can be told any more.
    WrongReply,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// Its time was over.
    #[default]
    Complete,
    /// A signal broke it off.
    BrokenOff,
    /// There was nobody to ask.
    NoConnection,
}

impl Ended {
    /// As reports have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::BrokenOff => "interrupted",
            Self::NoConnection => "no_connection",
        }
    }
}

/// Counts and latencies of one run.
#[derive(Debug)]
pub struct Stats {
    /// Whose requests are measured: those that were due from here, until there.
    window: (Nanos, Nanos),
    /// When the window closes: with `window`, or earlier where a signal breaks the run off.
    closes_at: Nanos,
    /// There is a timetable, and so a difference between intended and sent.
    is_open_loop: bool,
    /// How it ended.
    pub ended: Ended,
    /// Requests that the timetable meant for the window; in a closed loop those that left in it.
    pub due: u64,
    /// Those of them that left.
    pub requests: u64,
    /// Their replies. With `lost`, `unsent` and `abandoned` they are all that was due.
    pub replies: u64,
    /// Those that have no reply.
    pub lost: u64,
    /// Those whose reply was still awaited when the run was broken off.
    pub abandoned: u64,
    /// Requests that left while the window was open.
    pub sent_in_window: u64,
    /// Replies that came while the window was open.
    pub came_in_window: u64,
    /// From the intended time to the reply.
    pub latency: Latencies,
    /// From the time of sending to the reply.
    pub uncorrected: Latencies,
    /// From the intended time to the time of sending.
    pub send_delay: Latencies,
    /// Replies with a wrong byte, or that nobody had asked for.
    pub wrong: u64,
    /// Replies that came again.
    pub duplicated: u64,
    /// Replies that came behind the reply of a later request.
    pub reordered: u64,
    /// Replies to requests that had been given up.
    pub late: u64,
    /// Datagrams from somebody else.
    pub foreign: u64,
    /// Connections that did not come about.
    pub not_connected: u64,
    /// Connections that the peer closed; each was opened again.
    pub closed_early: u64,
    /// Datagrams that the kernel refused to send.
    pub send_errors: u64,
    /// Times that the network said that nobody listens there.
    pub refused: u64,
    /// How datagrams travelled.
    pub offload: Offload,
    /// The first error of all, in words.
    pub first_error: Option<String>,
}

/// How datagrams travelled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offload {
    /// Packets as they went into the kernel.
    pub sends: u64,
    /// Those of them that held more than one datagram (GSO).
    pub super_sends: u64,
    /// The datagrams in them.
    pub sent: u64,
    /// Packets as they came out of the kernel.
    pub receives: u64,
    /// Those of them that held more than one datagram (GRO).
    pub super_receives: u64,
    /// The datagrams in them.
    pub received: u64,
}

impl Stats {
    /// Nothing yet.
    ///
    /// # Errors
    /// There is no memory for the histograms.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            window: (Nanos::MAX, Nanos::MAX),
            closes_at: Nanos::MAX,
            is_open_loop: false,
            ended: Ended::Complete,
            due: 0,
            requests: 0,
            replies: 0,
            lost: 0,
            abandoned: 0,
            sent_in_window: 0,
            came_in_window: 0,
            latency: Latencies::new()?,
            uncorrected: Latencies::new()?,
            send_delay: Latencies::new()?,
            wrong: 0,
            duplicated: 0,
            reordered: 0,
            late: 0,
            foreign: 0,
            not_connected: 0,
            closed_early: 0,
            send_errors: 0,
            refused: 0,
            offload: Offload::default(),
            first_error: None,
        })
    }

    /// What is to be measured.
    pub fn open_window(&mut self, window: (Nanos, Nanos), is_open_loop: bool) {
        self.window = window;
        self.closes_at = window.1;
        self.is_open_loop = is_open_loop;
    }

    /// The window closes, perhaps earlier than was meant; `due` of the timetable's requests were due
    /// in it.
    pub fn close_window(&mut self, now: Nanos, due: Option<u64>) {
        let (begins, ends) = self.window();
        self.closes_at = ends.min(now.max(begins));
        self.due = due.unwrap_or(self.requests).max(self.requests);
    }

    /// From when on, and until when it counts.
    #[must_use]
    pub fn window(&self) -> (Nanos, Nanos) {
        (self.window.0, self.closes_at)
    }

    fn is_open_at(&self, time: Nanos) -> bool {
        let (begins, ends) = self.window();
        (begins..ends).contains(&time)
    }

    /// How long the window was open.
    #[must_use]
    pub fn measured(&self) -> Nanos {
        let (begins, ends) = self.window();
        ends.saturating_sub(begins)
    }

    /// Requests that were due and could not be sent.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.due.saturating_sub(self.requests)
    }

    /// Requests that were due and had no reply: each took longer than any that had one.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.due.max(self.requests).saturating_sub(self.replies)
    }

    fn is_measured(&self, stamp: Stamp) -> bool {
        (self.window.0..self.window.1).contains(&stamp.intended)
    }

    /// A request leaves.
    pub fn sent(&mut self, stamp: Stamp) {
        self.sent_in_window += u64::from(self.is_open_at(stamp.sent));
        if self.is_measured(stamp) {
            self.requests += 1;
            if self.is_open_loop {
                self.send_delay
                    .record(stamp.sent.saturating_sub(stamp.intended));
            }
        }
    }

    /// Its reply is here.
    pub fn answered(&mut self, stamp: Stamp, now: Nanos) {
        self.came_in_window += u64::from(self.is_open_at(now));
        if self.is_measured(stamp) {
            self.replies += 1;
            self.latency.record(now.saturating_sub(stamp.intended));
            if self.is_open_loop {
                self.uncorrected.record(now.saturating_sub(stamp.sent));
            }
        }
    }

    /// There will be none.
    pub fn lost(&mut self, stamp: Stamp) {
        self.lost += u64::from(self.is_measured(stamp));
    }

    /// Nobody waits for it any longer, so nobody knows.
    pub fn abandoned(&mut self, stamp: Stamp) {
        self.abandoned += u64::from(self.is_measured(stamp));
    }

    /// Something is wrong; the first time it is kept in words.
    pub fn note(&mut self, words: impl FnOnce() -> String) {
        self.first_error.get_or_insert_with(words);
    }

    /// What went wrong in an earlier run went wrong in this one's sight.
    pub fn take_over_errors(&mut self, earlier: &Self, loss_is_wrong: bool) {
        self.wrong += earlier.wrong;
        self.closed_early += earlier.closed_early;
        self.not_connected += earlier.not_connected;
        if loss_is_wrong {
            self.lost += earlier.lost;
        }
        if let Some(words) = &earlier.first_error {
            self.first_error = Some(words.clone());
        }
    }

    /// A connection is over, for a reason that is kept in words if it is the first.
    pub fn conn_ended(&mut self, end: ConnEnd, words: impl FnOnce() -> String) {
        match end {
            ConnEnd::NotConnected => self.not_connected += 1,
            ConnEnd::ClosedEarly => self.closed_early += 1,
            ConnEnd::WrongReply => self.wrong += 1,
        }
        self.note(words);
    }

    /// The latency as it was from the time of sending: in a closed loop there is no other.
    #[must_use]
    pub fn from_send(&self) -> &Latencies {
        if self.is_open_loop {
            &self.uncorrected
        } else {
            &self.latency
        }
    }

    /// So many a second, measured over the window.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    pub fn per_second(&self, count: u64) -> f64 {
        match self.measured() {
            0 => 0.0,
            measured => count as f64 * SECOND as f64 / measured as f64,
        }
    }

    /// Nothing wrong came, everything came that a stream owes, and something came at all.
    #[must_use]
    pub fn is_all_right(&self, loss_is_wrong: bool) -> bool {
        self.replies > 0
            && self.wrong == 0
            && self.not_connected == 0
            && self.closed_early == 0
            && !(loss_is_wrong && self.lost > 0)
    }
}
