//! A lane: all pings over one transport, when they are due and what becomes of them.

pub mod links;
mod replies;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use super::bench::Bench;
use super::failure::Failure;
use super::figures::Figures;
use super::link::Sending;
use super::report::{Outcome, Report, Told};
use super::window::{Fate, Ping, Window};
use super::{Config, FLOOD_PATIENCE};
use crate::client::message::Template;
use crate::reactor::kernel::{Kernel, Readiness};
use crate::state::State;
use crate::transport::Transport;
use links::Links;

/// What a lane needs for a turn of work.
pub struct Turn<'a, K: Kernel> {
    /// The kernel.
    pub kernel: &'a mut K,
    /// Where to receive to.
    pub bench: &'a mut Bench,
    /// Who is told.
    pub report: &'a mut Report,
    /// When the turn began.
    pub now: Instant,
}

/// All pings over one transport.
pub struct Lane<K: Kernel> {
    transport: Transport,
    config: Config,
    template: Template,
    links: Links<K>,
    window: Window,
    /// Pings that were begun and not sent, oldest first.
    unsent: VecDeque<u64>,
    figures: Figures,
    /// When the next ping is due; `None`: there is none.
    next_at: Option<Instant>,
    /// The ping that is being sent.
    message: Vec<u8>,
}

impl<K: Kernel> Lane<K> {
    /// A lane whose first ping is due at `first_at`.
    pub fn new(
        transport: Transport,
        number: usize,
        config: Config,
        addresses: Vec<SocketAddr>,
        first_at: Instant,
    ) -> Self {
        let template = Template::new(config.payload_bytes);
        Self {
            transport,
            config,
            template,
            links: Links::new(transport, number, addresses),
            window: Window::new(template),
            unsent: VecDeque::new(),
            figures: Figures::default(),
            next_at: Some(first_at),
            message: Vec::new(),
        }
    }

    /// Over which transport.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// What the pings came to.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Takes note of an event.
    pub fn raise(&mut self, id: usize, ready: Readiness) {
        if let Some(link) = self.links.get(id) {
            link.raise(ready);
        }
    }

    /// Whatever events have told: all that has come by now is looked for.
    pub fn raise_all(&mut self) {
        for link in self.links.iter_mut() {
            link.raise(Readiness::ALL);
        }
    }

    /// No ping will be begun, and none waits.
    pub fn is_over(&self) -> bool {
        self.next_at.is_none() && self.window.waiting() == 0
    }

    /// Begins no more pings.
    pub fn stop(&mut self) {
        self.next_at = None;
    }

    /// Pings that are in flight when the user ends it all are neither answered nor lost: they count
    /// as not sent.
    pub fn withdraw_waiting(&mut self) {
        self.figures.sent -= self.window.waiting() as u64;
    }

    /// The next thing to be done by the clock; at once where a link has more to be read.
    pub fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.links.any_has_more() {
            return Some(now);
        }
        self.next_expiry().into_iter().chain(self.next_at).min()
    }

    /// When the time of the oldest ping is up.
    pub fn next_expiry(&mut self) -> Option<Instant> {
        let oldest = self.window.oldest_waiting();
        oldest.and_then(|ping| Some(ping.begun_at + self.config.timeout?))
    }

    /// Tells whose time is up.
    pub fn expire(&mut self, turn: &mut Turn<'_, K>) {
        let Some(timeout) = self.config.timeout else {
            return;
        };
        while let Some(ping) = self.window.expired(timeout, turn.now) {
            self.time_out(&ping, turn);
        }
    }

    /// The time of every ping is up.
    pub fn expire_all(&mut self, turn: &mut Turn<'_, K>) {
        while let Some(ping) = self.window.oldest_waiting() {
            self.time_out(&ping, turn);
        }
    }

    /// A connection that lets a ping wait so long is not trusted with another: the path may be
    /// gone, and only a new connection can find another one.
    fn time_out(&mut self, ping: &Ping, turn: &mut Turn<'_, K>) {
        // One that could not even be sent waits for a connection, or for a peer that does not read.
        let link = self.links.get(ping.link);
        let is_connected = link.is_some_and(|link| link.state() != State::Connecting);
        let outcome = match ping.sent_at {
            None if !is_connected => Outcome::NoConnection,
            _ => Outcome::NoReply,
        };
        let mut told = self.told(ping, outcome);
        told.time = Some(turn.now.saturating_duration_since(ping.begun_at));
        turn.report.tell(&told);
        self.end(ping);
        let is_silent = outcome == Outcome::NoConnection || self.transport == Transport::Udp;
        let goes_on_elsewhere = is_silent && self.links.is_searching();
        if goes_on_elsewhere {
            self.links.try_next_address();
        }
        if goes_on_elsewhere || self.transport == Transport::Tcp || self.config.rotate_port {
            self.links.retire(ping.link);
        }
    }

    /// A ping waits no longer, and has no reply.
    fn end(&mut self, ping: &Ping) {
        self.window.settle(ping.seq, Fate::Ended);
        self.links.leave(ping.link);
    }

    /// Begins the ping that is due.
    pub fn begin(&mut self, turn: &mut Turn<'_, K>) {
        let Some(due_at) = self.next_at.filter(|at| *at <= turn.now) else {
            return;
        };
        if let Some(oldest) = self.window.next_forgotten()
            && oldest.fate == Fate::Waiting
        {
            self.time_out(&oldest, turn);
        }
        let link = self.link_for_next_ping(turn);
        let id = match &link {
            Ok(id) => *id,
            Err(_) => self.links.no_link(),
        };
        let seq = self.window.begin(id, turn.now);
        self.figures.begin(turn.now);
        turn.report.begin();
        self.schedule(due_at, turn.now);
        match link {
            Ok(_) => {
                self.unsent.push_back(seq);
                self.links.join(id, 1);
            }
            Err(failure) => self.fail_link(id, &failure, turn),
        }
    }

    /// When the ping after this one is due. One that comes late is not made up for: the gap stays.
    fn schedule(&mut self, due_at: Instant, now: Instant) {
        let next = match self.config.interval {
            interval if interval.is_zero() => now + FLOOD_PATIENCE,
            interval if due_at + interval > now => due_at + interval,
            interval => now + interval,
        };
        self.next_at = (!self.is_enough()).then_some(next);
    }

    /// What `-c` asks for is done: pings, or replies where there is a deadline to get them by, as
    /// in ping(8).
    fn is_enough(&self) -> bool {
        let done = match self.config.deadline {
            None => self.figures.sent,
            Some(_) => self.figures.received,
        };
        self.config.count.is_some_and(|count| done >= count)
    }

    fn link_for_next_ping(&mut self, turn: &mut Turn<'_, K>) -> Result<usize, Failure> {
        if let Some(id) = self.links.current()
            && !self.config.rotate_port
        {
            return Ok(id);
        }
        self.links.retire_current();
        if let Some(oldest) = self.links.make_room() {
            let waiting: Vec<_> = self.window.waiting_on(oldest).collect();
            for ping in waiting {
                self.time_out(&ping, turn);
            }
            self.links.remove(oldest);
        }
        self.links.open(turn.kernel)
    }

    /// Sends what has been begun and not sent. It is the last thing in a turn, so that nothing
    /// stands between sending and the wait for the reply.
    pub fn send(&mut self, turn: &mut Turn<'_, K>) {
        for _ in 0..self.unsent.len() {
            let ping = self.unsent.pop_front().and_then(|seq| self.window.get(seq));
            let Some(ping) = ping.copied().filter(|ping| ping.fate == Fate::Waiting) else {
                continue;
            };
            match self.send_one(&ping, turn) {
                Sending::Done => {}
                Sending::Blocked => self.unsent.push_back(ping.seq),
                Sending::Failed(failure) => self.fail_link(ping.link, &failure, turn),
            }
        }
    }

    /// Sends a ping, after what its link still has of the one before.
    fn send_one(&mut self, ping: &Ping, turn: &mut Turn<'_, K>) -> Sending {
        let Self {
            links,
            template,
            message,
            window,
            ..
        } = self;
        let Some(link) = links.get(ping.link) else {
            return Sending::Done;
        };
        match link.send_rest() {
            Ok(true) => {}
            Ok(false) => return Sending::Blocked,
            Err(failure) => return Sending::Failed(failure),
        }
        template.write_ping(ping.seq, message);
        // The turn began a while ago, and the kernel may have the reply before the call returns: so
        // the clock is read once more, as the last thing before the call.
        let sent_at = turn.kernel.now();
        let sending = link.send(message);
        if !matches!(sending, Sending::Blocked) {
            link.owed += 1;
            window.sent(ping.seq, sent_at);
        }
        sending
    }

    /// Sends the rest of pings that a stream took in part.
    pub fn send_rests(&mut self, turn: &mut Turn<'_, K>) {
        let mut failed = Vec::new();
        for link in self.links.iter_mut() {
            if let Err(failure) = link.send_rest() {
                failed.push((link.id, failure));
            }
        }
        for (id, failure) in failed {
            self.fail_link(id, &failure, turn);
        }
    }

    fn told(&self, ping: &Ping, outcome: Outcome) -> Told<'static> {
        Told {
            seq: Some(ping.seq),
            ..self.told_of_link(ping.link, outcome)
        }
    }

    fn told_of_link(&self, id: usize, outcome: Outcome) -> Told<'static> {
        let (peer, port) = self.links.ends(id);
        Told {
            transport: self.transport,
            outcome,
            peer,
            port,
            seq: None,
            bytes: 0,
            time: None,
            connect: None,
            wrong: None,
            error: None,
        }
    }
}
