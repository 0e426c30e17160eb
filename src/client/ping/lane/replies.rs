//! What comes back on a lane: replies of all kinds, and the ends of links.

use std::time::{Duration, Instant};

use super::{Lane, Turn};
use crate::client::ping::failure::Failure;
use crate::client::ping::figures::nanoseconds;
use crate::client::ping::link::Link;
use crate::client::ping::report::{Outcome, Report};
use crate::client::ping::window::{Fate, Ping, Verdict};
use crate::reactor::kernel::Kernel;
use crate::state::State;
use crate::transport::Transport;

/// A line that is longer than its pong would be is wrong; but so much of it is read, to be told.
const WRONG_REPLY_BYTES: usize = 1024;

impl<K: Kernel> Lane<K> {
    /// Receives what came, and tells it.
    pub fn receive(&mut self, turn: &mut Turn<'_, K>) {
        let mut place = 0;
        while let Some(link) = self.links.at(place) {
            let id = link.id;
            match link.check_connected(turn.now) {
                Ok(None) => {}
                Ok(Some(connect)) => self.connected(id, connect),
                Err(failure) => self.fail_link(id, &failure, turn),
            }
            self.receive_from(id, turn);
            place += usize::from(self.links.get(id).is_some());
        }
    }

    fn connected(&mut self, id: usize, connect: Duration) {
        self.links.settle();
        self.figures.connect.record(nanoseconds(connect));
        if let Some(link) = self.links.get(id)
            && !link.is_current()
        {
            link.retire();
        }
    }

    fn receive_from(&mut self, id: usize, turn: &mut Turn<'_, K>) {
        let reply_max_bytes = self.template.len_bytes().max(WRONG_REPLY_BYTES);
        let Some(link) = self.links.get(id) else {
            return;
        };
        let outcome = link.receive(turn.bench, reply_max_bytes);
        for index in 0..turn.bench.replies() {
            self.take_reply(id, index, turn);
            if self.links.get(id).is_none() {
                return;
            }
        }
        if let Err(failure) = outcome {
            self.fail_link(id, &failure, turn);
        }
    }

    /// Tells one reply. The time of its arrival is when the turn began: the clock was read as soon
    /// as the wait had returned, before anything was done, so neither reading, nor judging, nor
    /// telling counts. What arrived since, while the turn was at work, is told a few microseconds
    /// too early.
    fn take_reply(&mut self, id: usize, index: usize, turn: &mut Turn<'_, K>) {
        let reply = turn.bench.reply(index);
        let (ping, outcome) = match self.window.judge(reply) {
            Verdict::Wrong => return self.take_wrong_reply(id, index, turn),
            Verdict::Reply(ping) => (ping, Outcome::Reply),
            Verdict::Late(ping) => (ping, Outcome::Late),
            Verdict::Duplicate(ping) => (ping, Outcome::Duplicate),
        };
        self.links.settle();
        let sent_at = ping.sent_at.unwrap_or(ping.begun_at);
        let time = turn.now.saturating_duration_since(sent_at);
        let mut told = self.told(&ping, outcome);
        told.bytes = reply.len();
        told.time = Some(time);
        told.connect = self.links.get(id).and_then(|link| link.connect.take());
        turn.report.tell(&told);
        if outcome == Outcome::Duplicate {
            self.figures.duplicates += 1;
            return;
        }
        self.figures.reply(time);
        self.figures.late += u64::from(outcome == Outcome::Late);
        self.links.repay(id);
        if outcome == Outcome::Reply {
            self.links.leave(ping.link);
        }
        self.answered(&ping, turn.now);
    }

    /// A ping was answered: in a flood, the next one is due; with `--rotate-port`, its link has
    /// done its work.
    fn answered(&mut self, ping: &Ping, now: Instant) {
        if self.config.interval.is_zero() && self.window.is_newest(ping) {
            self.next_at = self.next_at.map(|_| now);
        }
        if self.config.rotate_port {
            self.links.retire(ping.link);
        }
        if self.is_enough() {
            self.stop();
        }
    }

    /// What was not asked for. It ends the ping that it claims to answer, else the one that has
    /// waited longest; and a stream that sends such things is not trusted with another ping.
    fn take_wrong_reply(&mut self, id: usize, index: usize, turn: &mut Turn<'_, K>) {
        let reply = turn.bench.reply(index);
        let claimed = self.window.candidate(reply);
        let ping = claimed
            .filter(|ping| ping.fate == Fate::Waiting)
            .or_else(|| self.window.waiting_on(id).next());
        let is_idle = self.links.get(id).is_some_and(|link| link.is_idle());
        self.tell_wrong(id, ping, reply, turn.report);
        match self.transport {
            // It could go on for ever.
            Transport::Tcp if is_idle => self.links.remove(id),
            Transport::Tcp => self.links.retire(id),
            Transport::Udp => {}
        }
    }

    fn tell_wrong(&mut self, id: usize, ping: Option<Ping>, reply: &[u8], report: &mut Report) {
        self.figures.errors += 1;
        let mut told = match &ping {
            Some(ping) => self.told(ping, Outcome::Wrong),
            None => self.told_of_link(id, Outcome::Wrong),
        };
        told.wrong = Some(reply);
        told.bytes = reply.len();
        report.tell(&told);
        self.links.repay(id);
        if let Some(ping) = ping {
            self.end(&ping);
        }
    }

    /// A link cannot go on, and its pings cannot either, unless the name has another address to
    /// try. A datagram socket goes on after a refusal; it is the answer to the ping that has waited
    /// longest.
    pub(super) fn fail_link(&mut self, id: usize, failure: &Failure, turn: &mut Turn<'_, K>) {
        let may_be_the_address = matches!(failure, Failure::Refused | Failure::Other(_));
        if may_be_the_address && self.links.try_next_address() {
            return self.move_pings(id, turn);
        }
        let partial = self.links.get(id).map(Link::take_partial);
        let partial = partial.unwrap_or_default();
        if matches!(failure, Failure::EndlessLine) {
            // It is the reply to the ping that has waited longest; the others lose their connection.
            let ping = self.window.waiting_on(id).next();
            self.tell_wrong(id, ping, &partial, turn.report);
            return self.fail_pings(id, &Failure::Closed, &[], turn);
        }
        self.fail_pings(id, failure, &partial, turn);
    }

    /// The pings of a link that fails are told and counted, and the link is gone, if that is so.
    fn fail_pings(&mut self, id: usize, failure: &Failure, partial: &[u8], turn: &mut Turn<'_, K>) {
        let goes_on = self
            .links
            .get(id)
            .is_some_and(|link| link.state() != State::Closed);
        let count = if goes_on { 1 } else { usize::MAX };
        let failed: Vec<_> = self.window.waiting_on(id).take(count).collect();
        for ping in failed {
            self.figures.errors += 1;
            let mut told = self.told(&ping, failure.into());
            told.bytes = partial.len();
            told.error = failure.text();
            turn.report.tell(&told);
            self.end(&ping);
        }
        if !goes_on || self.links.is_searching() {
            self.links.remove(id);
        }
    }

    /// The pings of a link go over to one to the next address.
    fn move_pings(&mut self, from: usize, turn: &mut Turn<'_, K>) {
        let waiting: Vec<_> = self.window.waiting_on(from).collect();
        self.links.remove(from);
        let to = match self.links.open(turn.kernel) {
            Ok(to) => to,
            Err(failure) => return self.fail_link(from, &failure, turn),
        };
        self.links.join(to, waiting.len());
        for ping in waiting {
            // What was not sent is in the queue already.
            if self.window.move_to(ping.seq, to) {
                self.unsent.push_back(ping.seq);
            }
        }
    }
}
