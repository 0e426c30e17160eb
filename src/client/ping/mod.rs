//! `pingpong ping`: a ping every now and then, and what became of each.
//!
//! One [turn](Program::turn) waits, reads the clock, and then works in phases: what came is judged
//! and told, what did not come in time is told, results are written, and last the pings that are
//! due are sent. Sending comes last, and reading the clock first, so that a round-trip time covers
//! two system calls and the sleep between them, and no work of this program's.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`lane`] | all pings over one transport: when they are due, which link carries them |
//! | [`window`] | the last pings, and which of them a reply belongs to |
//! | [`link`], [`mod@bench`] | a connection or a datagram socket, and what it brought |
//! | [`figures`], [`summary`] | what it all came to |
//! | [`report`], [`text`] | how it is told |
//! | [`run`] | from the command line to the exit status |

pub mod bench;
pub mod failure;
pub mod figures;
pub mod lane;
pub mod link;
pub mod report;
pub mod run;
pub mod summary;
pub mod text;
pub mod window;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::output::Output;
use crate::reactor::deadlines::RETRY_AFTER;
use crate::reactor::kernel::{Kernel, Signal};
use crate::reactor::program::Program;
use crate::transport::Transport;
use bench::Bench;
use figures::Figures;
use lane::links::LANE_BITS;
use lane::{Lane, Turn};
use report::{Manner, Report};

/// In a flood, how long a reply is waited for before the next ping leaves all the same.
pub const FLOOD_PATIENCE: Duration = Duration::from_millis(10);

/// How long the pings in flight may still come back once the user has ended it all. Those that do
/// not are not counted as sent: nobody knows what became of them.
pub const LAST_CHANCE: Duration = Duration::from_millis(200);

/// How long, once all pings are done, results are kept for a reader who takes nothing: who asked for
/// an end in time gets it. A reader who is slow is waited for.
pub const READER_PATIENCE: Duration = Duration::from_secs(1);

/// Side by side, UDP's pings are due this much after TCP's, so that neither waits for the other's
/// turn at the server; or half an interval after, if that is less.
pub const STAGGER: Duration = Duration::from_millis(10);

/// What the user asked for.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Ping over TCP.
    pub tcp: bool,
    /// Ping over UDP.
    pub udp: bool,
    /// How many pings over each; with a deadline, how many replies. `None`: no end.
    pub count: Option<u64>,
    /// From one ping to the next; zero: the next as soon as the last was answered, a flood.
    pub interval: Duration,
    /// How long a ping waits for its reply, connecting included; `None`: however long it takes.
    pub timeout: Option<Duration>,
    /// How long all of it may take.
    pub deadline: Option<Duration>,
    /// How long each ping's payload is.
    pub payload_bytes: usize,
    /// Each ping comes from a new port.
    pub rotate_port: bool,
}

/// Why it ends before its pings do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The user said so: what is in flight until then counts.
    Stopped(Instant),
    /// At once.
    Now,
}

/// The ping client, on any kernel. Results go to `results`, the figures so far to `status`.
pub struct Pinger<K: Kernel, R, S> {
    kernel: K,
    lanes: Vec<Lane<K>>,
    bench: Bench,
    report: Report,
    host: String,
    results: Output<R>,
    status: Output<S>,
    deadline: Option<Instant>,
    ending: Option<Ending>,
    /// When the turn began.
    now: Instant,
}

impl<K: Kernel, R: Write, S: Write> Program for Pinger<K, R, S> {
    type Kernel = K;
    type Exit = ();

    fn kernel(&mut self) -> &mut K {
        &mut self.kernel
    }

    fn sleep(&mut self) -> Option<Duration> {
        self.next_deadline()
            .map(|at| at.saturating_duration_since(self.now))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let lanes = &mut self.lanes;
        self.kernel.wait(timeout, |token, ready| {
            let lane = token.0 & ((1 << LANE_BITS) - 1);
            if let Some(lane) = lanes.get_mut(lane) {
                lane.raise(token.0 >> LANE_BITS, ready);
            }
        })
    }

    /// This is the time at which everything arrived that this turn finds.
    fn begin(&mut self, now: Instant) {
        self.now = now;
    }

    fn obey(&mut self, signal: Signal) -> Option<()> {
        match signal {
            Signal::Report => self.tell_so_far(),
            // They come to servers alone.
            Signal::HangUp | Signal::Unused(_) => {}
            Signal::Stop if self.ending.is_some() => self.ending = Some(Ending::Now),
            Signal::Stop => {
                self.lanes.iter_mut().for_each(Lane::stop);
                self.ending = Some(Ending::Stopped(self.now + LAST_CHANCE));
            }
        }
        None
    }

    fn work(&mut self) -> Option<()> {
        self.each_lane(Lane::receive);
        if self.time_is_up() {
            self.lanes.iter_mut().for_each(Lane::raise_all);
            self.each_lane(Lane::receive);
        }
        self.each_lane(Lane::expire);
        if self.deadline.is_some_and(|at| at <= self.now) {
            self.each_lane(Lane::expire_all);
            self.lanes.iter_mut().for_each(Lane::stop);
            self.ending = Some(Ending::Now);
        }
        self.write();
        self.each_lane(Lane::begin);
        self.each_lane(Lane::send_rests);
        self.each_lane(Lane::send);
        self.is_over().then_some(())
    }
}

impl<K: Kernel, R: Write, S: Write> Pinger<K, R, S> {
    /// A client that pings the first of `addresses` that works, and calls it `host`.
    pub fn new(
        kernel: K,
        config: Config,
        manner: Manner,
        (host, addresses): (String, Vec<SocketAddr>),
        (results, status): (R, S),
    ) -> Self {
        let now = kernel.now();
        let transports = [(config.tcp, Transport::Tcp), (config.udp, Transport::Udp)];
        let stagger = STAGGER.min(config.interval / 2);
        let mut first_at = now;
        let mut lanes = Vec::new();
        for (_, transport) in transports.into_iter().filter(|(asked, _)| *asked) {
            let addresses = addresses.clone();
            lanes.push(Lane::new(
                transport,
                lanes.len(),
                config,
                addresses,
                first_at,
            ));
            first_at += stagger;
        }
        let mut results = Output::new(results);
        if !manner.json {
            results.push(&header(&host, &addresses, &lanes, config.payload_bytes));
        }
        Self {
            kernel,
            lanes,
            bench: Bench::default(),
            report: Report::new(manner),
            host,
            results,
            status: Output::new(status),
            deadline: config.deadline.map(|deadline| now + deadline),
            ending: None,
            now,
        }
    }

    /// Pings until there is nothing more to do, tells the summary, and says whether any reply came.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    pub fn ping(&mut self) -> io::Result<bool> {
        self.run()?;
        self.summarize();
        self.write_all()?;
        Ok(self.lanes.iter().any(|lane| lane.figures().received > 0))
    }

    fn each_lane(&mut self, mut work: impl FnMut(&mut Lane<K>, &mut Turn<'_, K>)) {
        let Self {
            kernel,
            lanes,
            bench,
            report,
            now,
            ..
        } = self;
        for lane in lanes {
            let mut turn = Turn {
                kernel,
                bench,
                report,
                now: *now,
            };
            work(lane, &mut turn);
        }
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let now = self.now;
        if self.report.is_urgent() {
            return Some(now);
        }
        let is_flushed = self.results.is_flushed() && self.status.is_flushed();
        let retry = (!is_flushed).then(|| now + RETRY_AFTER);
        let ending = match self.ending {
            Some(Ending::Stopped(at)) => Some(at),
            Some(Ending::Now) => Some(now),
            None => None,
        };
        let lanes = self
            .lanes
            .iter_mut()
            .filter_map(|lane| lane.next_deadline(now));
        lanes.chain(retry).chain(ending).chain(self.deadline).min()
    }

    /// A ping, or all of them, have waited long enough.
    fn time_is_up(&mut self) -> bool {
        let of_all = match self.ending {
            Some(Ending::Stopped(at)) => Some(at),
            _ => self.deadline,
        };
        let now = self.now;
        let of_pings = self.lanes.iter_mut().filter_map(Lane::next_expiry);
        of_pings.chain(of_all).any(|at| at <= now)
    }

    fn tell_so_far(&mut self) {
        let text = summary::so_far(&figures(&self.lanes));
        self.status.push(&text);
    }

    fn is_over(&self) -> bool {
        let is_ended = match self.ending {
            Some(Ending::Stopped(at)) => at <= self.now,
            Some(Ending::Now) => true,
            None => false,
        };
        is_ended || self.results.is_broken() || self.lanes.iter().all(Lane::is_over)
    }

    /// Writes what the readers take.
    fn write(&mut self) {
        self.results.push(&self.report.take());
        self.results.flush();
        self.status.flush();
    }

    fn summarize(&mut self) {
        self.lanes.iter_mut().for_each(Lane::withdraw_waiting);
        let figures = figures(&self.lanes);
        let text = if self.report.manner().json {
            summary::json(&self.host, &figures)
        } else {
            summary::text(&self.host, &figures)
        };
        self.write();
        self.results.push_last(&text);
        let left_out = self.results.left_out();
        if left_out > 0 {
            self.status.push(&format!(
                "pingpong: {left_out} texts were left out: nobody read them in time\n"
            ));
        }
    }

    /// The loop is over: now the reader is waited for, unless nothing is taken any more or a signal
    /// says that nobody will read.
    fn write_all(&mut self) -> io::Result<()> {
        let mut took_at = self.kernel.now();
        self.write();
        while !self.results.is_flushed() {
            self.kernel.wait(Some(RETRY_AFTER), |_, _| {})?;
            match self.kernel.next_signal() {
                Some(Signal::Stop) => break,
                Some(Signal::Report) => self.tell_so_far(),
                Some(Signal::HangUp | Signal::Unused(_)) | None => {}
            }
            let waited_bytes = self.results.waiting_bytes();
            self.write();
            let now = self.kernel.now();
            if self.results.waiting_bytes() < waited_bytes {
                took_at = now;
            }
            if now.saturating_duration_since(took_at) >= READER_PATIENCE {
                break;
            }
        }
        self.tell_unread();
        Ok(())
    }

    fn tell_unread(&mut self) {
        let unread_bytes = self.results.waiting_bytes();
        if unread_bytes > 0 {
            self.status.push(&format!(
                "pingpong: the last {unread_bytes} bytes were left out: nobody read them in time\n"
            ));
            self.status.flush();
        }
    }

    /// Why results could not be written; a reader that has gone away is no failure.
    pub fn take_output_failure(&mut self) -> Option<io::Error> {
        self.results.take_failure()
    }
}

fn figures<K: Kernel>(lanes: &[Lane<K>]) -> Vec<(Transport, &Figures)> {
    lanes
        .iter()
        .map(|lane| (lane.transport(), lane.figures()))
        .collect()
}

/// The first line, as ping(8) has it: the payload's length, and in brackets the whole message's.
fn header<K: Kernel>(
    host: &str,
    addresses: &[SocketAddr],
    lanes: &[Lane<K>],
    payload_bytes: usize,
) -> String {
    let address = addresses
        .first()
        .map_or_else(String::new, SocketAddr::to_string);
    let transports: Vec<_> = lanes.iter().map(|lane| lane.transport().name()).collect();
    let message_bytes = crate::client::message::Template::new(payload_bytes).len_bytes();
    format!(
        "PING {host} ({address}) {} {payload_bytes}({message_bytes}) bytes of data.\n",
        transports.join("+")
    )
}
