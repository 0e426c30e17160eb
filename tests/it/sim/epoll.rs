//! epoll(7) with edge triggering: who stands on the ready list, and what a wait tells of them.

use std::time::Duration;

use pingpong::inside::reactor::kernel::{Flags, Readiness, Signal, Token};

use super::faults::{Call, Fault};
use super::plan::MS;
use super::socket::{Id, Watch};
use super::world::{PATIENCE_NS, World, say};

impl World {
    pub fn watch(&mut self, id: Id) -> &mut Watch {
        match id {
            Id::Listener(number) => &mut self.listeners[number].watch,
            Id::Port(number) => &mut self.ports[number].watch,
            Id::Conn(number) => &mut self.conns[number].watch,
        }
    }

    fn flags(&self, id: Id) -> Flags {
        match id {
            Id::Listener(number) => Flags {
                readable: !self.listeners[number].backlog.is_empty(),
                ..Flags::default()
            },
            Id::Port(number) => self.ports[number].flags(),
            Id::Conn(number) => self.conns[number].flags(),
        }
    }

    /// Registers a descriptor; what is ready already is an edge.
    pub fn register(&mut self, id: Id, token: Token) {
        self.watch(id).token = Some(token);
        if !self.tokens.contains(&token) {
            self.tokens.push(token);
        }
        if self.flags(id) != Flags::default() {
            self.edge(id);
        }
    }

    /// Something has changed: the descriptor goes onto the ready list, unless it stands there.
    pub fn edge(&mut self, id: Id) {
        let watch = self.watch(id);
        if watch.token.is_some() && !watch.is_queued {
            watch.is_queued = true;
            self.ready.push(id);
        }
    }

    /// An edge that the next wait does not see yet: what the last call missed by a hair.
    pub fn late_edge(&mut self, id: Id) {
        self.late.push(id);
    }

    /// A descriptor is closed: its events go with it.
    pub fn forget(&mut self, id: Id) {
        *self.watch(id) = Watch::default();
        self.ready.retain(|ready| *ready != id);
        self.late.retain(|late| *late != id);
    }

    /// `epoll_wait`(2).
    pub fn wait(&mut self, timeout: Option<Duration>, mut raise: impl FnMut(Token, Readiness)) {
        self.check_turn();
        self.check_wait(timeout);
        self.stats.waits += 1;
        self.done_before = self.done();
        let until = timeout.map(|timeout| {
            let ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX / 4);
            self.now_ns + ns
        });
        let fault = self.enter(Call::Wait);
        for id in std::mem::take(&mut self.late) {
            self.edge(id);
        }
        if fault == Some(Fault::Interrupted) {
            // By a stop of the process, perhaps: the clock goes on, and no event is told.
            if self.rng.one_in(2) {
                self.stand_still();
            }
        } else {
            self.sleep(until);
            self.deliver(&mut raise);
        }
        self.turn_began_ns = None;
    }

    /// What has been done so far, by whomever.
    pub fn done(&self) -> usize {
        self.stats.events + self.stats.successes + self.stats.faults
    }

    /// Lets time pass until there is an event, a signal, or the time is up.
    fn sleep(&mut self, until: Option<u64>) {
        loop {
            self.move_who_is_due();
            if !self.ready.is_empty() || !self.signals.is_empty() || self.violation.is_some() {
                return;
            }
            let peers = self.peers.iter().filter_map(|peer| peer.next_ns);
            let signals = self.signals_to_come.iter().map(|(ns, _)| *ns);
            let next = peers.chain(signals).min();
            let is_quiet = next.is_none() && self.stop_told_ns.is_none();
            match (next, until) {
                _ if is_quiet && (until.is_none() || self.now_ns > PATIENCE_NS) => {
                    self.check_settled();
                    say!(
                        self,
                        "nothing moves any more: the operator stops the server"
                    );
                    self.signals.push_back(Signal::Stop);
                }
                (Some(next), until) if until.is_none_or(|until| next < until) => {
                    self.now_ns = self.now_ns.max(next);
                }
                (_, Some(until)) => {
                    let sleeps = until > self.now_ns;
                    self.now_ns = self.now_ns.max(until);
                    if sleeps
                        && self.is_faulty()
                        && self.rng.one_in(self.plan.kernel.oversleeps_one_in)
                    {
                        self.now_ns += self.rng.below(30) as u64 * MS;
                    }
                    say!(self, "nothing happens until the server's timeout");
                    return;
                }
                _ => {
                    self.violated(format_args!("the server waits for ever, while it drains"));
                    return;
                }
            }
        }
    }

    pub fn move_who_is_due(&mut self) {
        for number in 0..self.peers.len() {
            while self.peers[number]
                .next_ns
                .is_some_and(|at| at <= self.now_ns)
            {
                self.move_peer(number);
            }
        }
        let now_ns = self.now_ns;
        let signals = &mut self.signals;
        self.signals_to_come.retain(|(at, signal)| {
            let is_due = *at <= now_ns;
            if is_due {
                signals.push_back(*signal);
            }
            !is_due
        });
    }

    /// Gives out what stands on the ready list, with the flags that are true by now.
    fn deliver(&mut self, raise: &mut impl FnMut(Token, Readiness)) {
        let kernel = self.plan.kernel.delivery(self.is_faulty());
        let mut batch = std::mem::take(&mut self.ready);
        if kernel.shuffles {
            for place in (1..batch.len()).rev() {
                batch.swap(place, self.rng.below(place + 1));
            }
        }
        for (place, id) in batch.into_iter().enumerate() {
            let is_late = place > 0 && self.rng.one_in(kernel.late_one_in);
            if place >= kernel.events_per_wait || is_late {
                self.ready.push(id);
                continue;
            }
            self.watch(id).is_queued = false;
            let flags = self.flags(id);
            if flags == Flags::default() {
                continue;
            }
            let told = match self.rng.one_in(kernel.split_one_in) {
                // An error can come alone, and nothing more follows.
                true if flags.error => Flags {
                    error: true,
                    write_closed: true,
                    ..Flags::default()
                },
                true => {
                    self.edge(id);
                    self.part_of(flags)
                }
                false => flags,
            };
            self.raise(id, told, raise);
        }
        if !self.tokens.is_empty() && self.rng.one_in(kernel.spurious_one_in) {
            let token = self.rng.pick(&self.tokens);
            let flags = self.any_flags();
            say!(self, "event: {flags:?} for token {}, spurious", token.0);
            self.stats.events += 1;
            raise(token, flags.into());
        }
    }

    fn raise(&mut self, id: Id, flags: Flags, raise: &mut impl FnMut(Token, Readiness)) {
        let Some(token) = self.watch(id).token else {
            return;
        };
        say!(self, "event: {}{id:?}", words(flags));
        self.stats.events += 1;
        let readiness = Readiness::from(flags);
        if let Id::Conn(number) = id
            && readiness.readable
        {
            let conn = &mut self.conns[number];
            conn.is_told |= conn.has_news();
        }
        raise(token, readiness);
    }

    /// A part of what there is to tell; the rest comes with the next wait.
    fn part_of(&mut self, flags: Flags) -> Flags {
        let none = Flags::default();
        if self.rng.one_in(2) {
            Flags {
                readable: flags.readable,
                ..none
            }
        } else {
            Flags {
                writable: flags.writable,
                ..none
            }
        }
    }

    fn any_flags(&mut self) -> Flags {
        let bits = self.rng.below(64);
        Flags {
            readable: bits & 1 != 0,
            writable: bits & 2 != 0,
            error: bits & 4 != 0,
            read_closed: bits & 8 != 0,
            write_closed: bits & 16 != 0,
            priority: bits & 32 != 0,
        }
    }
}

/// Flags as strace would write them.
fn words(flags: Flags) -> String {
    let names = [
        (flags.readable, "in "),
        (flags.writable, "out "),
        (flags.error, "error "),
        (flags.read_closed, "read-closed "),
        (flags.write_closed, "write-closed "),
        (flags.priority, "urgent "),
    ];
    let words = names.iter().filter(|(is_set, _)| *is_set);
    words.map(|(_, word)| *word).collect()
}
