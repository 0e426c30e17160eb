//! All pings over one transport: when they are due, what carries them, and what becomes of them.

mod conns;
mod replies;
mod search;
mod send;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::inbox::Inbox;
use super::lines::Lines;
use super::plan::PingPlan;
use super::stats::PingStats;
use super::told::{Outcome, Told};
use super::{COUNTED_AGE, FLOOD_PATIENCE};
use crate::client::candidates::Candidates;
use crate::client::requests::{Fate, Requests};
use crate::client::script::{FRAME_BYTES, Script};
use crate::reactor::kernel::{Kernel, Readiness};
use crate::state::State;
use crate::transport::Transport;
use conns::Conns;
pub(super) use conns::PROBE_BITS;
pub use conns::{IDLE_LINKS_MAX, LINKS_MAX};

/// How many pings are remembered, to tell late replies and duplicates from wrong ones. A ping that
/// still waits for its reply when so many came after it waits no longer.
const REMEMBERED_MAX: usize = 1024;

/// What a probe needs for a turn of work.
pub(super) struct Turn<'a, K: Kernel> {
    pub(super) kernel: &'a mut K,
    pub(super) inbox: &'a mut Inbox,
    pub(super) lines: &'a mut Lines,
    /// When the turn began.
    pub(super) now: Instant,
}

struct Ping {
    /// When it was due; its time-out counts from here, so it covers connecting too.
    begun_at: Instant,
    /// What carries it: one connection or socket, and several while no address has answered.
    carriers: Vec<Carrier>,
}

impl Ping {
    fn carrier(&self, conn: usize) -> Option<&Carrier> {
        self.carriers.iter().find(|carrier| carrier.conn == conn)
    }

    fn is_on(&self, conn: usize) -> bool {
        self.carrier(conn).is_some()
    }
}

#[derive(Clone, Copy)]
struct Carrier {
    conn: usize,
    /// When the ping's first byte was given to the kernel; round-trip times count from here.
    sent_at: Option<Instant>,
}

/// All pings over one transport.
pub(super) struct Probe<K: Kernel> {
    transport: Transport,
    plan: PingPlan,
    script: Script,
    conns: Conns<K>,
    candidates: Candidates,
    /// How long an address is silent until the next one is tried beside it.
    patience: Duration,
    /// When that is.
    next_try_at: Option<Instant>,
    /// Each ping has a port of its own.
    rotates: bool,
    requests: Requests<Ping>,
    /// Pings that were begun and not sent, the oldest first, and what carries them.
    unsent: VecDeque<(u64, usize)>,
    stats: PingStats,
    /// When the next ping is due; `None`: there is none.
    next_at: Option<Instant>,
}

impl<K: Kernel> Probe<K> {
    /// A probe whose first ping is due at `first_at`.
    pub(super) fn new(
        (transport, number): (Transport, usize),
        plan: PingPlan,
        addresses: Vec<SocketAddr>,
        first_at: Instant,
    ) -> Self {
        let script = Script::pings(plan.payload_bytes + FRAME_BYTES);
        // Without a number in them, only their ports tell the replies to datagrams apart.
        let has_no_number = script.modulus() == Some(1);
        Self {
            transport,
            rotates: plan.rotate_port || (transport == Transport::Udp && has_no_number),
            conns: Conns::new(transport, number),
            patience: search::patience(&plan, addresses.len()),
            candidates: Candidates::new(addresses),
            next_try_at: None,
            requests: Requests::new(1, REMEMBERED_MAX),
            unsent: VecDeque::new(),
            stats: PingStats::default(),
            next_at: Some(first_at),
            plan,
            script,
        }
    }

    pub(super) fn transport(&self) -> Transport {
        self.transport
    }

    /// What the pings came to.
    pub(super) fn stats(&self) -> &PingStats {
        &self.stats
    }

    /// Takes note of an event.
    pub(super) fn raise(&mut self, id: usize, ready: Readiness) {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.raise(ready);
        }
    }

    /// Whatever events have told: all that has come by now is looked for.
    pub(super) fn raise_all(&mut self) {
        for conn in self.conns.iter_mut() {
            conn.raise(Readiness::ALL);
        }
    }

    /// No ping will be begun, and none waits.
    pub(super) fn is_over(&self) -> bool {
        self.next_at.is_none() && self.requests.waiting() == 0
    }

    /// Begins no more pings.
    pub(super) fn stop(&mut self) {
        self.next_at = None;
    }

    /// It has ended with pings on their way. Those of a certain age count as sent; what will become
    /// of the younger ones nobody knows, and they count as never begun.
    pub(super) fn count_in_flight(&mut self, now: Instant) {
        let is_young = |ping: &Ping| now.saturating_duration_since(ping.begun_at) < COUNTED_AGE;
        let waiting = self.requests.iter_waiting();
        let young = waiting.filter(|(_, ping)| is_young(ping)).count();
        self.stats.in_flight = (self.requests.waiting() - young) as u64;
        self.stats.sent -= young as u64;
        let mut newest_first = (1..self.requests.next()).rev().take(REMEMBERED_MAX);
        let last_counted = newest_first.find_map(|seq| {
            let (ping, fate) = self.requests.get(seq)?;
            (fate != Fate::Waiting || !is_young(ping)).then_some(ping.begun_at)
        });
        self.stats.end_span(last_counted);
    }

    /// The next thing to be done by the clock; at once where there is more to be read.
    pub(super) fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.conns.any_has_more() {
            return Some(now);
        }
        let by_clock = [self.next_expiry(), self.next_at, self.next_try_at];
        by_clock.into_iter().flatten().min()
    }

    /// When the time of the oldest ping is up.
    pub(super) fn next_expiry(&mut self) -> Option<Instant> {
        let (_, ping) = self.requests.oldest_waiting()?;
        Some(ping.begun_at + self.plan.timeout?)
    }

    /// Tells whose time is up. The timeouts are all of one length, so the oldest comes first.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_, K>) {
        while self.next_expiry().is_some_and(|at| at <= turn.now)
            && let Some((seq, _)) = self.requests.oldest_waiting()
        {
            self.time_out(seq, turn);
        }
    }

    /// The time of all pings together is up.
    pub(super) fn expire_all(&mut self, turn: &mut Turn<'_, K>) {
        while let Some((seq, _)) = self.requests.oldest_waiting() {
            self.tell_unanswered(seq, Outcome::Deadline, turn);
        }
    }

    /// A connection that lets a ping wait so long is not trusted with another: the path may be
    /// gone, and only a new connection can find another one.
    fn time_out(&mut self, seq: u64, turn: &mut Turn<'_, K>) {
        let carriers = self.carriers(seq);
        // One that could not even be sent waits for a connection, or for a peer that does not read.
        let has_left = carriers.iter().any(|carrier| {
            let conn = self.conns.get(carrier.conn);
            let is_connected = conn.is_some_and(|conn| conn.state() != State::Connecting);
            carrier.sent_at.is_some() || is_connected
        });
        let outcome = if has_left {
            Outcome::NoReply
        } else {
            Outcome::NoConnection
        };
        self.tell_unanswered(seq, outcome, turn);
        if self.transport == Transport::Tcp || self.candidates.is_searching() {
            for carrier in carriers {
                if let Some(conn) = self.conns.get_mut(carrier.conn) {
                    conn.retire();
                }
            }
        }
    }

    fn tell_unanswered(&mut self, seq: u64, outcome: Outcome, turn: &mut Turn<'_, K>) {
        let begun_at = self.requests.get(seq).map(|(ping, _)| ping.begun_at);
        let mut told = self.told(seq, outcome);
        told.time = begun_at.map(|begun_at| turn.now.saturating_duration_since(begun_at));
        turn.lines.tell(&told);
        self.end(seq);
    }

    /// A ping waits no longer, and has no reply.
    fn end(&mut self, seq: u64) {
        if self.requests.give_up(seq) {
            self.release(seq);
        }
    }

    /// What carries a ping does so no longer.
    fn release(&mut self, seq: u64) {
        for carrier in self.carriers(seq) {
            self.conns.leave(carrier.conn);
        }
        if self.requests.waiting() == 0 {
            self.next_try_at = None;
        }
    }

    fn carriers(&self, seq: u64) -> Vec<Carrier> {
        let ping = self.requests.get(seq);
        ping.map_or_else(Vec::new, |(ping, _)| ping.carriers.clone())
    }

    /// The pings that wait for their reply on one connection or socket, the oldest first.
    fn waiting_on(&self, conn: usize) -> impl Iterator<Item = u64> {
        let waiting = self.requests.iter_waiting();
        waiting
            .filter(move |(_, ping)| ping.is_on(conn))
            .map(|(seq, _)| seq)
    }

    /// Begins the ping that is due.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_, K>) {
        let Some(due_at) = self.next_at.filter(|at| *at <= turn.now) else {
            return;
        };
        if let Some((oldest, _)) = self.requests.overtaken() {
            self.time_out(oldest, turn);
        }
        if self.plan.tells_waiting {
            self.tell_waiting(turn);
        }
        let seq = self.requests.push(Ping {
            begun_at: turn.now,
            carriers: Vec::new(),
        });
        self.stats.begin(turn.now);
        turn.lines.begin();
        self.schedule(due_at, turn.now);
        if self.candidates.is_searching() && self.next_try_at.is_none() {
            self.next_try_at = Some(turn.now + self.patience);
        }
        if let Err(failure) = self.carry_all(&[seq], turn) {
            let told = self.told_of_conn(None, (&failure).into());
            self.fail_ping(seq, &failure, &told, turn);
        }
    }

    /// The last ping is still waited for.
    fn tell_waiting(&mut self, turn: &mut Turn<'_, K>) {
        let last = self.requests.next() - 1;
        if let Some((ping, Fate::Waiting)) = self.requests.get(last) {
            let waited = turn.now.saturating_duration_since(ping.begun_at);
            let mut told = self.told(last, Outcome::Waiting);
            told.time = Some(waited);
            turn.lines.tell(&told);
        }
    }

    /// When the ping after this one is due. One that comes late is not made up for: the gap stays.
    fn schedule(&mut self, due_at: Instant, now: Instant) {
        let next = match self.plan.interval {
            interval if interval.is_zero() => now + FLOOD_PATIENCE,
            interval if due_at + interval > now => due_at + interval,
            interval => now + interval,
        };
        self.next_at = (!self.is_enough()).then_some(next);
    }

    /// What `-c` asks for is done: pings, or replies where there is a deadline to get them by, as
    /// in ping(8).
    fn is_enough(&self) -> bool {
        let done = match self.plan.deadline {
            None => self.stats.sent,
            Some(_) => self.stats.received,
        };
        self.plan.count.is_some_and(|count| done >= count)
    }

    /// A ping could not be carried at all, or no further.
    fn fail_ping(
        &mut self,
        seq: u64,
        failure: &Failure,
        told: &Told<'static>,
        turn: &mut Turn<'_, K>,
    ) {
        self.stats.errors += 1;
        turn.lines.tell(&Told {
            seq: Some(seq),
            error: failure.text(),
            ..told.clone()
        });
        self.end(seq);
    }

    /// What there is to tell of a ping, or of what carries it.
    fn told(&self, seq: u64, outcome: Outcome) -> Told<'static> {
        let carriers = self.carriers(seq);
        let mut conns = carriers.iter().map(|carrier| carrier.conn);
        let conn = conns.find(|conn| self.conns.get(*conn).is_some());
        Told {
            seq: Some(seq),
            ..self.told_of_conn(conn, outcome)
        }
    }

    fn told_of_conn(&self, id: Option<usize>, outcome: Outcome) -> Told<'static> {
        let conn = id.and_then(|id| self.conns.get(id));
        let peer = conn.map_or_else(|| self.candidates.current(), |conn| conn.peer);
        Told {
            outcome,
            transport: self.transport,
            seq: None,
            peer,
            local_port: conn.map(|conn| conn.port),
            received_bytes: 0,
            connect: None,
            time: None,
            received: None,
            error: None,
        }
    }
}
