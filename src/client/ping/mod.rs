//! `pingpong ping`: a ping every now and then, and what became of each.
//!
//! One [turn](Program::turn) waits, reads the clock, and then works in phases: what came is judged
//! and told, what did not come in time is told, results are written, and last the pings that are
//! due are sent. Sending comes last, and reading the clock first, so that a round-trip time covers
//! two system calls and the sleep between them, and no work of this program's.
//!
//! | part | what it does |
//! | --- | --- |
//! | `probe` | all pings over one transport: when they are due, what carries them, which address answers |
//! | `conn`, `inbox` | a connection or a datagram socket, and what it brought |
//! | `stats`, `summary` | what it all came to |
//! | `told`, `lines`, `json`, `text` | how it is told |
//! | [`run`] | from the command line to the exit status |

mod conn;
mod failure;
mod inbox;
mod json;
mod lines;
mod plan;
mod probe;
pub mod run;
mod stats;
mod summary;
mod text;
mod told;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::output::Output;
use super::script::FRAME_BYTES;
use crate::reactor::deadlines::RETRY_AFTER;
use crate::reactor::kernel::{Kernel, Signal};
use crate::reactor::program::Program;
use crate::transport::Transport;
use inbox::Inbox;
use lines::{Header, Lines};
pub use plan::{Manner, PAYLOAD_MAX_BYTES, PingOptions, PingPlan, Style};
pub use probe::{IDLE_LINKS_MAX, LINKS_MAX};
use probe::{PROBE_BITS, Probe, Turn};
pub use stats::{PingStats, Spread};

/// In a flood, how long a reply is waited for before the next ping leaves all the same.
pub const FLOOD_PATIENCE: Duration = Duration::from_millis(10);

/// How long the pings in flight may still come back once the user has ended it all.
pub const LAST_CHANCE: Duration = Duration::from_millis(200);

/// Pings that are in flight at the end count as sent once they are this old: a peer that is silent
/// for so long is worth telling. What will become of a younger one nobody knows.
pub const COUNTED_AGE: Duration = Duration::from_secs(1);

/// How long, once all pings are done, results are kept for a reader who takes nothing: who asked for
/// an end in time gets it. A reader who is slow is waited for.
pub const READER_PATIENCE: Duration = Duration::from_secs(1);

/// Side by side, UDP's pings are due this much after TCP's, so that neither waits for the other's
/// turn at the server; or half an interval after, if that is less.
pub const STAGGER: Duration = Duration::from_millis(10);

/// The ping client, on any kernel. Results go to `results`, the figures so far to `status`.
pub struct Pinger<K: Kernel, R, S> {
    kernel: K,
    probes: Vec<Probe<K>>,
    inbox: Inbox,
    lines: Lines,
    host: String,
    results: Output<R>,
    status: Output<S>,
    deadline: Option<Instant>,
    /// When it ends, whatever is in flight then: somebody has said so, or the deadline has passed.
    ends_at: Option<Instant>,
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
        let probes = &mut self.probes;
        self.kernel.wait(timeout, |token, ready| {
            let probe = token.0 & ((1 << PROBE_BITS) - 1);
            if let Some(probe) = probes.get_mut(probe) {
                probe.raise(token.0 >> PROBE_BITS, ready);
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
            Signal::Stop if self.ends_at.is_some() => self.ends_at = Some(self.now),
            Signal::Stop => self.stop_at(self.now + LAST_CHANCE),
            // All others come to servers alone.
            _ => {}
        }
        None
    }

    fn work(&mut self) -> Option<()> {
        self.each_probe(Probe::receive);
        if self.time_is_up() {
            self.probes.iter_mut().for_each(Probe::raise_all);
            self.each_probe(Probe::receive);
        }
        self.each_probe(Probe::expire);
        if self.deadline.is_some_and(|at| at <= self.now) {
            self.each_probe(Probe::expire_all);
            self.stop_at(self.now);
        }
        self.write();
        self.each_probe(Probe::begin);
        self.each_probe(Probe::try_next_address);
        self.each_probe(Probe::send_rests);
        self.each_probe(Probe::send);
        self.is_over().then_some(())
    }
}

impl<K: Kernel, R: Write, S: Write> Pinger<K, R, S> {
    /// A client that pings the first of `addresses` that answers, and calls it `host`.
    pub fn new(
        kernel: K,
        plan: PingPlan,
        manner: Manner,
        (host, addresses): (String, Vec<SocketAddr>),
        (results, status): (R, S),
    ) -> Self {
        let now = kernel.now();
        let transports = [(plan.tcp, Transport::Tcp), (plan.udp, Transport::Udp)];
        let asked = transports.into_iter().filter(|(is_asked, _)| *is_asked);
        let transports: Vec<_> = asked.map(|(_, transport)| transport).collect();
        let mut results = Output::new(results);
        if manner.json {
            let target = (host.as_str(), addresses.as_slice());
            results.push(&json::start(&manner, target, &transports, &plan));
        }
        let header = (!manner.json).then(|| header(&host, &transports, &plan));
        let mut lines = Lines::new(manner, header);
        let stagger = STAGGER.min(plan.interval / 2);
        let mut first_at = now;
        let mut probes = Vec::new();
        for number in transports.into_iter().zip(0..) {
            let probe = Probe::new(number, plan, addresses.clone(), first_at);
            probe.name_address(&mut lines);
            probes.push(probe);
            first_at += stagger;
        }
        Self {
            kernel,
            probes,
            inbox: Inbox::default(),
            lines,
            host,
            results,
            status: Output::new(status),
            deadline: plan.deadline.map(|deadline| now + deadline),
            ends_at: None,
            now,
        }
    }

    /// Pings until there is nothing more to do, tells the summary, and says whether replies came
    /// over every transport.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    pub fn ping(&mut self) -> io::Result<bool> {
        self.run()?;
        self.summarize();
        self.write_all()?;
        Ok(self.probes.iter().all(|probe| probe.stats().received > 0))
    }

    fn each_probe(&mut self, mut work: impl FnMut(&mut Probe<K>, &mut Turn<'_, K>)) {
        for probe in &mut self.probes {
            let mut turn = Turn {
                kernel: &mut self.kernel,
                inbox: &mut self.inbox,
                lines: &mut self.lines,
                now: self.now,
            };
            work(probe, &mut turn);
        }
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        let now = self.now;
        if self.lines.is_urgent() {
            return Some(now);
        }
        let is_flushed = self.results.is_flushed() && self.status.is_flushed();
        let retry = (!is_flushed).then(|| now + RETRY_AFTER);
        let ends = [retry, self.ends_at, self.deadline].into_iter().flatten();
        let probes = self.probes.iter_mut();
        let probes = probes.filter_map(|probe| probe.next_deadline(now));
        probes.chain(ends).min()
    }

    /// A ping, or all of them, have waited long enough.
    fn time_is_up(&mut self) -> bool {
        let now = self.now;
        let of_all = self.ends_at.into_iter().chain(self.deadline);
        let of_pings = self.probes.iter_mut().filter_map(Probe::next_expiry);
        of_pings.chain(of_all).any(|at| at <= now)
    }

    fn stop_at(&mut self, at: Instant) {
        self.probes.iter_mut().for_each(Probe::stop);
        self.ends_at = Some(at);
    }

    fn tell_so_far(&mut self) {
        let text = summary::so_far(&stats(&self.probes));
        self.status.push(&text);
    }

    fn is_over(&self) -> bool {
        let is_ended = self.ends_at.is_some_and(|at| at <= self.now);
        is_ended || self.results.is_broken() || self.probes.iter().all(Probe::is_over)
    }

    /// Writes what the readers take.
    fn write(&mut self) {
        self.results.push(&self.lines.take());
        self.results.flush();
        self.status.flush();
    }

    fn summarize(&mut self) {
        for probe in &mut self.probes {
            probe.count_in_flight(self.now);
        }
        if let Some(probe) = self.probes.first() {
            self.lines.name_address(probe.address());
        }
        let stats = stats(&self.probes);
        let manner = self.lines.manner();
        let text = if manner.json {
            json::summary(manner, &self.host, &stats)
        } else {
            summary::text(&self.host, &stats)
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
                Some(_) | None => {}
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

    /// What the pings over each transport came to.
    pub fn stats(&self) -> Vec<(Transport, &PingStats)> {
        stats(&self.probes)
    }

    /// Why results could not be written; a reader that has gone away is no failure.
    pub fn take_output_failure(&mut self) -> Option<io::Error> {
        self.results.take_failure()
    }
}

fn stats<K: Kernel>(probes: &[Probe<K>]) -> Vec<(Transport, &PingStats)> {
    probes
        .iter()
        .map(|probe| (probe.transport(), probe.stats()))
        .collect()
}

/// The first line, as ping(8) has it: the payload's length, and in brackets the whole message's.
fn header(host: &str, transports: &[Transport], plan: &PingPlan) -> Header {
    let transports: Vec<_> = transports.iter().map(|it| it.name()).collect();
    let payload_bytes = plan.payload_bytes;
    let message_bytes = payload_bytes + FRAME_BYTES;
    Header {
        host: host.to_owned(),
        what: format!("{} {payload_bytes}({message_bytes})", transports.join("+")),
    }
}
