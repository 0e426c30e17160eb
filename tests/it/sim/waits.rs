//! What must hold at every wait: the turn that is over has done its work and no more, and the sleep
//! that begins is one that will end.

use std::time::Duration;

use pingpong::inside::reactor::acceptor::FAILURES_MAX;
use pingpong::inside::reactor::deadlines::{RETRY_AFTER, TICK};
use pingpong::inside::reactor::outage::OVER_AFTER;
use pingpong::inside::server::LINGER_TIMEOUT;
use pingpong::inside::server::datagrams::RECEIVES_PER_TURN;
use rustix::io::Errno;

use super::calls::ns;
use super::socket::Reset;
use super::world::World;

/// How many waits in a row may neither sleep nor find anything to do: each of two listeners and two
/// ports may have its pause end in a turn of its own, and be refused in the next, and a listener is
/// refused for so often until it pauses.
const IDLE_WAITS_MAX: usize = 8 + 2 * FAILURES_MAX as usize;

/// The phases of a turn: datagrams, accepts, connections, deadlines, the drain.
const PHASES: u64 = 5;

/// What a visit costs beside its bytes, as the run queue has it.
const VISIT_BYTES: usize = 64;

impl World {
    /// The turn that is over did a bounded amount of work, and all that was due.
    pub fn check_turn(&mut self) {
        let turns_max = self.turns_max();
        for number in 0..self.conns.len() {
            let socket = &mut self.conns[number];
            if !socket.is_told || !socket.is_open || socket.owed_len() > 0 {
                socket.told_turns = 0;
                continue;
            }
            socket.told_turns += 1;
            if socket.told_turns > turns_max {
                self.violated(format_args!(
                    "an event told of bytes on Conn({number}) {turns_max} turns ago, and nobody \
                     tried to read them"
                ));
            }
        }
        for number in 0..self.ports.len() {
            let socket = &mut self.ports[number];
            let receives = std::mem::take(&mut socket.receives_in_turn);
            let owed = std::mem::take(&mut socket.owed);
            // Once for itself, and once more where a drain ends in this turn.
            if receives > 2 * RECEIVES_PER_TURN {
                self.violated(format_args!("{receives} receives in one turn"));
            }
            if let Some(owed) = owed.iter().find(|owed| !owed.is_optional) {
                let (to, bytes) = (owed.destination, owed.bytes.escape_ascii());
                self.violated(format_args!("no reply \"{bytes}\" to {to}"));
            }
        }
        self.check_turn_length();
    }

    /// One accept is made in any case; a further one only where the phase's time is not over, by the
    /// clock that the server has read.
    pub fn check_accept(&mut self) {
        let began_ns = *self.accepts_began_ns.get_or_insert(self.turn_ns);
        let is_first = began_ns == self.turn_ns;
        if !is_first && self.turn_ns - began_ns >= ns(self.plan.sizes.phase_max) {
            self.violated(format_args!("accepts go on when their time is over"));
        }
    }

    /// How many turns may pass until a connection's turn comes: in each somebody is served, and
    /// nobody twice once it has had its share.
    fn turns_max(&self) -> usize {
        let visits_to_share = self.plan.sizes.share_bytes / VISIT_BYTES + 2;
        (self.conns.len() + 1) * visits_to_share
    }

    /// The sum of a turn's work, whoever it was for: each phase goes on until its time is over, and
    /// then for the piece of work that it is in. Datagrams have a bound of their own.
    fn check_turn_length(&mut self) {
        self.accepts_began_ns = None;
        let Some(began_ns) = self.turn_began_ns.take() else {
            return;
        };
        let sizes = self.plan.sizes;
        let worked_ns = self.now_ns - began_ns - self.stood_still_ns - self.datagrams_ns;
        self.datagrams_ns = 0;
        // The longest piece reads a message byte by byte and writes five bytes for each, one by one.
        let piece_bytes = sizes
            .window_bytes
            .max(self.plan.config.rules.max_message_bytes)
            + 64;
        let piece_ns = 8 * piece_bytes as u64 * (1000 + self.plan.kernel.ns_per_byte);
        let most_ns = PHASES * (ns(sizes.phase_max) + piece_ns);
        if worked_ns > most_ns {
            self.violated(format_args!(
                "a turn of {worked_ns} ns, where {most_ns} are the most"
            ));
        }
    }

    /// The server may sleep for so long.
    pub fn check_wait(&mut self, timeout: Option<Duration>) {
        let spins_until_ns = self.worked_ns + ns(self.plan.config.busy_poll);
        let is_to_spin = self.turn_ns < spins_until_ns;
        let is_idle = self.done() == self.done_before && !is_to_spin;
        if timeout == Some(Duration::ZERO) {
            self.idle_waits = if is_idle { self.idle_waits + 1 } else { 0 };
            if self.idle_waits > IDLE_WAITS_MAX {
                self.violated(format_args!(
                    "the loop spins: it does nothing, and sleeps not"
                ));
            }
            return;
        }
        self.idle_waits = 0;
        if is_to_spin {
            self.violated(format_args!("the server sleeps where it is to spin"));
        }
        let wakes_ns = timeout.map_or(u64::MAX, |timeout| self.turn_ns.saturating_add(ns(timeout)));
        self.check_deadlines(wakes_ns);
        self.check_reason(wakes_ns);
        if self.ready.is_empty() && self.late.is_empty() && self.signals.is_empty() {
            self.check_nothing_is_left(wakes_ns);
        }
    }

    fn check_deadlines(&mut self, wakes_ns: u64) {
        for number in 0..self.conns.len() {
            let socket = &self.conns[number];
            let timeout = match self.plan.config.idle_timeout {
                _ if socket.is_shut => Some(LINGER_TIMEOUT),
                timeout => timeout,
            };
            let Some(timeout) = timeout.filter(|_| socket.is_open) else {
                continue;
            };
            let latest = socket.maybe_progress_ns + ns(timeout) + ns(TICK);
            if latest <= self.turn_ns {
                self.violated(format_args!("Conn({number}) is open after its deadline"));
            } else if wakes_ns > latest {
                self.violated(format_args!(
                    "the server sleeps past the deadline of Conn({number})"
                ));
            }
        }
        let drain_ns = ns(self.plan.config.drain_timeout);
        if self
            .stop_told_ns
            .is_some_and(|told| wakes_ns > told + drain_ns)
        {
            self.violated(format_args!("the server sleeps past the end of its drain"));
        }
    }

    /// Nobody wakes for nothing: there is a deadline that may pass by then, or a call to make
    /// again.
    fn check_reason(&mut self, wakes_ns: u64) {
        let retries = self.listeners.iter().any(|socket| socket.is_refusing)
            || self.ports.iter().any(|socket| socket.is_failing);
        let linger_ns = Some(ns(LINGER_TIMEOUT));
        let idle_ns = self.plan.config.idle_timeout.map(ns);
        let mut conns = self.conns.iter().filter(|socket| socket.is_open);
        let is_due = conns.any(|socket| {
            let (since, timeout) = if socket.is_shut {
                (socket.shut_ns, linger_ns)
            } else {
                (socket.progress_ns, idle_ns)
            };
            timeout.is_some_and(|timeout| since + timeout <= wakes_ns)
        });
        let ends = self.stop_told_ns.is_some() && wakes_ns < u64::MAX;
        let mut failures = self.failures_ns.iter();
        let tells_end = failures.any(|at| at + ns(OVER_AFTER) == wakes_ns);
        if wakes_ns < u64::MAX && !retries && !is_due && !ends && !tells_end {
            self.violated(format_args!("the server is to wake up, and for nothing"));
        }
    }

    /// No event is on its way: whatever can be done must have been done, or nobody ever does it.
    fn check_nothing_is_left(&mut self, wakes_ns: u64) {
        for number in 0..self.conns.len() {
            if let Some(what) = self.left_undone(number) {
                self.violated(format_args!("Conn({number}) stalls: {what}"));
            }
        }
        let retries = wakes_ns <= self.turn_ns + ns(RETRY_AFTER);
        let has_room = self.open_conns() < self.plan.config.max_connections;
        for socket in &self.listeners {
            let is_waited_for = socket.is_refusing && retries;
            if socket.is_open && !socket.backlog.is_empty() && has_room && !is_waited_for {
                self.violated(format_args!("connections wait, and nobody accepts them"));
                break;
            }
        }
        for socket in &self.ports {
            let is_waited_for = socket.is_failing && retries;
            if socket.is_open && !socket.queue.is_empty() && !is_waited_for {
                self.violated(format_args!("datagrams wait, and nobody receives them"));
                break;
            }
        }
        let holds_a_port = self.ports.iter().any(|socket| socket.is_open);
        if self.stop_told_ns.is_some() && self.open_conns() == 0 && !holds_a_port {
            self.violated(format_args!("the drain is done, and the server sleeps"));
        }
    }

    fn left_undone(&self, conn: usize) -> Option<&'static str> {
        let socket = &self.conns[conn];
        if !socket.is_open {
            return None;
        }
        if matches!(socket.reset, Reset::Pending(_)) {
            return Some("it was reset, and nobody looks");
        }
        if socket.owed_len() > 0 {
            let can_send = socket.is_roomy() || (socket.room() > 0 && !socket.wants_room);
            return can_send.then_some("there is room for its replies, and nobody sends them");
        }
        if socket.has_news() {
            return Some("it can be read from, and nobody reads");
        }
        if socket.is_fin_read {
            return Some("both sides are done, and nobody closes it");
        }
        if socket.reference.is_bad && !socket.is_shut {
            return Some("its line was refused, and no FIN follows");
        }
        if self.stop_told_ns.is_some() && !socket.is_shut {
            return Some("the server drains, it has all its replies, and no FIN follows");
        }
        None
    }

    /// The waits are paid for: by events, by work, by faults, by time.
    pub fn check_waits(&mut self) {
        let ticks = usize::try_from(self.now_ns / ns(TICK)).unwrap_or(usize::MAX);
        // Two listeners and two ports may each make a call again every tenth of a second, in two
        // turns; an accept that fails for one connection is made again so often, perhaps in as many.
        let is_guessed = self.plan.kernel.refusal == Errno::PERM;
        let tries = if is_guessed {
            2 * FAILURES_MAX as usize
        } else {
            0
        };
        let spins = usize::try_from(self.plan.config.busy_poll.as_micros()).unwrap_or(0);
        let most = 16 + spins + (2 + spins) * self.done() + (8 + tries) * (ticks + 1);
        let waits = self.stats.waits;
        if waits > most {
            self.violated(format_args!("{waits} waits, {most} at most"));
        }
    }
}
