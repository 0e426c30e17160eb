//! What a run has measured.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::ledger::Stamp;
use super::schedule::Schedule;
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

/// The longest time that is told apart from longer ones.
const LATENCY_MAX: Nanos = 3600 * SECOND;
/// Histograms keep so many decimal digits: 0.1 % off at most.
const PRECISION_DIGITS: u8 = 3;

/// A lane that had to be given up, by reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneEnd {
    /// It could not be connected.
    NotConnected,
    /// The peer closed or reset it before the run was over.
    ClosedEarly,
    /// It brought a byte that is not the reply's: nothing behind it can be told any more.
    WrongReply,
}

/// Counts and histograms of one run.
#[derive(Debug)]
pub struct Figures {
    /// What is measured: requests meant to leave from here, until there.
    window: (Nanos, Nanos),
    /// There is a timetable, and so a difference between intended and sent.
    is_open_loop: bool,
    /// Requests of the window that left.
    pub requests: u64,
    /// Their replies.
    pub replies: u64,
    /// Requests that left while the window was open.
    pub requests_in_time: u64,
    /// Replies that came while the window was open.
    pub replies_in_time: u64,
    /// Requests that the timetable meant for the window.
    pub due: u64,
    /// From the intended time to the reply.
    pub latency: Histogram<u64>,
    /// From the time of sending to the reply.
    pub uncorrected: Histogram<u64>,
    /// From the intended time to the time of sending.
    pub send_delay: Histogram<u64>,
    /// Replies with a wrong byte, or that nobody had asked for.
    pub wrong: u64,
    /// Requests without a reply.
    pub lost: u64,
    /// Requests whose reply was still awaited when the run was broken off.
    pub abandoned: u64,
    /// Replies that came again.
    pub duplicated: u64,
    /// Replies that came behind the reply of a later request.
    pub reordered: u64,
    /// Replies to requests that had been given up.
    pub late: u64,
    /// Datagrams from somebody else.
    pub strangers: u64,
    /// Lanes that did not come about.
    pub not_connected: u64,
    /// Lanes that the peer closed.
    pub closed_early: u64,
    /// Datagrams that the kernel refused.
    pub send_errors: u64,
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

impl Figures {
    /// Nothing yet.
    ///
    /// # Errors
    /// There is no memory for the histograms.
    pub fn new() -> io::Result<Self> {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_MAX, PRECISION_DIGITS).map_err(io::Error::other)
        };
        Ok(Self {
            window: (Nanos::MAX, Nanos::MAX),
            is_open_loop: false,
            requests: 0,
            replies: 0,
            requests_in_time: 0,
            replies_in_time: 0,
            due: 0,
            latency: histogram()?,
            uncorrected: histogram()?,
            send_delay: histogram()?,
            wrong: 0,
            lost: 0,
            abandoned: 0,
            duplicated: 0,
            reordered: 0,
            late: 0,
            strangers: 0,
            not_connected: 0,
            closed_early: 0,
            send_errors: 0,
            offload: Offload::default(),
            first_error: None,
        })
    }

    /// What is to be measured. What came before stays out of the histograms; errors count from the
    /// first connection on.
    pub fn open_window(&mut self, window: (Nanos, Nanos), is_open_loop: bool) {
        self.window = window;
        self.is_open_loop = is_open_loop;
    }

    /// The run ends here, earlier than was meant.
    pub fn close_window(&mut self, now: Nanos) {
        self.window.1 = self.window.1.min(now.max(self.window.0));
    }

    /// How long the window was open.
    #[must_use]
    pub fn measured(&self) -> Nanos {
        self.window.1.saturating_sub(self.window.0)
    }

    /// The timetable calls for a request.
    pub fn called(&mut self, intended: Nanos) {
        self.due += u64::from(intended >= self.window.0);
    }

    /// The run is over, and the loop has not come to hand out all that was due until then.
    pub fn never_called(&mut self, schedule: &Schedule, next: u64, until: Nanos) {
        let first = next.max(schedule.before(self.window.0));
        self.due += schedule.before(until).saturating_sub(first);
    }

    /// A request leaves.
    pub fn sent(&mut self, stamp: Stamp) {
        let (begins, ends) = self.window;
        self.requests_in_time += u64::from((begins..ends).contains(&stamp.sent));
        if stamp.intended >= begins {
            self.requests += 1;
            if self.is_open_loop {
                self.send_delay
                    .saturating_record(stamp.sent.saturating_sub(stamp.intended));
            }
        }
    }

    /// Its reply is here.
    pub fn answered(&mut self, stamp: Stamp, now: Nanos) {
        let (begins, ends) = self.window;
        self.replies_in_time += u64::from((begins..ends).contains(&now));
        if stamp.intended >= begins {
            self.replies += 1;
            self.latency
                .saturating_record(now.saturating_sub(stamp.intended));
            if self.is_open_loop {
                self.uncorrected
                    .saturating_record(now.saturating_sub(stamp.sent));
            }
        }
    }

    /// Something is wrong; the first time it is kept in words.
    pub fn note(&mut self, words: impl FnOnce() -> String) {
        self.first_error.get_or_insert_with(words);
    }

    /// What went wrong in an earlier run went wrong in this one's sight.
    pub fn take_over_errors(&mut self, earlier: &Self, loss_is_wrong: bool) {
        self.wrong += earlier.wrong;
        self.closed_early += earlier.closed_early;
        if loss_is_wrong {
            self.lost += earlier.lost;
        }
        if let Some(words) = &earlier.first_error {
            self.first_error = Some(words.clone());
        }
    }

    /// A lane had to be given up.
    pub fn lane_ended(&mut self, end: LaneEnd) {
        match end {
            LaneEnd::NotConnected => self.not_connected += 1,
            LaneEnd::ClosedEarly => self.closed_early += 1,
            LaneEnd::WrongReply => self.wrong += 1,
        }
    }

    /// The latency as it was from the time of sending: in a closed loop there is no other.
    #[must_use]
    pub fn from_send(&self) -> &Histogram<u64> {
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
