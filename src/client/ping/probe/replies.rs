//! What comes back: replies of all kinds, and the ends of connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Probe, Turn};
use crate::client::ping::conn::PingConn;
use crate::client::ping::failure::Failure;
use crate::client::ping::lines::Lines;
use crate::client::ping::told::{Outcome, Shown, Told};
use crate::client::requests::Fate;
use crate::reactor::kernel::Kernel;
use crate::state::State;
use crate::transport::Transport;

/// A line that is longer than its pong would be is wrong; but so much of it is read, to be told.
const WRONG_REPLY_BYTES: usize = 1024;

impl<K: Kernel> Probe<K> {
    /// Receives what came, and tells it.
    pub(crate) fn receive(&mut self, turn: &mut Turn<'_, K>) {
        let mut next_id = 0;
        while let Some(conn) = self.conns.first_from(next_id) {
            let id = conn.id;
            next_id = id + 1;
            match conn.check_connected(turn.now) {
                Ok(None) => {}
                Ok(Some(connect)) => self.connected(id, connect, turn),
                Err(failure) => self.fail_conn(id, failure, turn),
            }
            self.receive_from(id, turn);
        }
    }

    fn connected(&mut self, id: usize, connect: Duration, turn: &mut Turn<'_, K>) {
        self.stats.connect.record(connect);
        self.settle(id, turn);
        if let Some(conn) = self.conns.get_mut(id)
            && !conn.is_current()
        {
            conn.retire();
        }
    }

    fn receive_from(&mut self, id: usize, turn: &mut Turn<'_, K>) {
        let reply_max_bytes = self.script.reply_bytes().max(WRONG_REPLY_BYTES);
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let outcome = conn.receive(turn.inbox, reply_max_bytes);
        for index in 0..turn.inbox.len() {
            self.take_reply(id, index, turn);
            if self.conns.get(id).is_none() {
                return;
            }
        }
        if let Err(failure) = outcome {
            self.fail_conn(id, failure, turn);
        }
    }

    /// Tells one reply. The time of its arrival is when the turn began: the clock was read as soon
    /// as the wait had returned, before anything was done, so neither reading, nor judging, nor
    /// telling counts. What arrived since, while the turn was at work, is told a few microseconds
    /// too early.
    fn take_reply(&mut self, id: usize, index: usize, turn: &mut Turn<'_, K>) {
        let (reply, source) = turn.inbox.reply(index);
        if let (Some(source), Some(conn)) = (source, self.conns.get(id))
            && !conn.is_from_peer(source)
        {
            return self.take_foreign_reply(source, id, index, turn);
        }
        let number = self.script.last_digits(reply);
        let Some(seq) = number.and_then(|digits| self.find(id, digits)) else {
            return self.take_wrong_reply(id, index, turn);
        };
        let received_bytes = reply.len();
        let Some(sent_at) = self.sent_at(seq, id) else {
            return;
        };
        let answered = self.requests.answer(seq);
        let outcome = match answered.map(|(fate, _)| fate) {
            Some(Fate::Waiting) => Outcome::Reply,
            Some(Fate::GivenUp) => Outcome::Late,
            Some(Fate::Answered) | None => Outcome::Duplicate,
        };
        if outcome == Outcome::Reply {
            self.release(seq);
        }
        self.settle(id, turn);
        let time = turn.now.saturating_duration_since(sent_at);
        let connect = self.conns.get_mut(id).and_then(|conn| conn.connect.take());
        turn.lines.tell(&Told {
            seq: Some(seq),
            received_bytes,
            time: Some(time),
            connect,
            ..self.told_of_conn(Some(id), outcome)
        });
        if outcome == Outcome::Duplicate {
            self.stats.duplicates += 1;
            return;
        }
        self.stats.reply(time);
        self.stats.late += u64::from(outcome == Outcome::Late);
        self.conns.repay(id);
        self.answered(seq, id, turn.now);
    }

    /// The ping that a reply with these last digits belongs to, of those that were sent on its
    /// connection or socket. Where several have the same digits: on a connection replies come in the
    /// order of their pings, so it is the first that has had none; of datagrams it is the one that
    /// has waited longest, else the newest.
    fn find(&self, id: usize, digits: u64) -> Option<u64> {
        let newest = self.requests.next().checked_sub(1)?;
        let modulus = self.script.modulus();
        let mut next = match modulus {
            Some(modulus) => newest.checked_sub((newest % modulus + modulus - digits) % modulus),
            None => Some(digits),
        };
        let mut found = None;
        while let Some(seq) = next
            && let Some((ping, fate)) = self.requests.get(seq)
        {
            let is_expected = match self.transport {
                Transport::Tcp => fate != Fate::Answered,
                Transport::Udp | Transport::Unix => fate == Fate::Waiting,
            };
            let is_sent = ping.carrier(id).is_some_and(|it| it.sent_at.is_some());
            if is_sent && (is_expected || found.is_none()) {
                found = Some(seq);
            }
            next = modulus.and_then(|modulus| seq.checked_sub(modulus));
        }
        found
    }

    fn sent_at(&self, seq: u64, id: usize) -> Option<Instant> {
        let (ping, _) = self.requests.get(seq)?;
        ping.carrier(id)?.sent_at
    }

    /// A ping was answered: in a flood, the next one is due; and what carried this ping alone has
    /// done its work.
    fn answered(&mut self, seq: u64, id: usize, now: Instant) {
        if self.plan.interval.is_zero() && seq + 1 == self.requests.next() {
            self.next_at = self.next_at.map(|_| now);
        }
        if self.rotates
            && let Some(conn) = self.conns.get_mut(id)
        {
            conn.retire();
        }
        if self.is_enough() {
            self.stop();
        }
    }

    /// What nobody asked for came from somebody else: it is an answer to nothing.
    fn take_foreign_reply(
        &mut self,
        source: SocketAddr,
        id: usize,
        index: usize,
        turn: &mut Turn<'_, K>,
    ) {
        let (reply, _) = turn.inbox.reply(index);
        let claimed = self.script.claimed_digits(reply);
        let told = self.told_of_conn(Some(id), Outcome::Foreign);
        self.stats.errors += 1;
        turn.lines.name_address(told.peer);
        turn.lines.tell(&Told {
            peer: source,
            seq: claimed.and_then(|digits| self.find(id, digits)),
            received: Some(Shown(reply)),
            received_bytes: reply.len(),
            ..told
        });
    }

    /// What was not asked for. It ends the ping that it claims to answer, else the one that has
    /// waited longest; and a stream that sends such things is not trusted with another ping.
    fn take_wrong_reply(&mut self, id: usize, index: usize, turn: &mut Turn<'_, K>) {
        let (reply, _) = turn.inbox.reply(index);
        let claimed = self.script.claimed_digits(reply);
        let claimed = claimed.and_then(|digits| self.find(id, digits));
        let waits = |seq: &u64| matches!(self.requests.get(*seq), Some((_, Fate::Waiting)));
        let seq = claimed.filter(waits).or_else(|| self.waiting_on(id).next());
        let is_idle = self.conns.get(id).is_some_and(PingConn::is_idle);
        self.tell_wrong(id, seq, reply, turn.lines);
        match self.transport {
            // It could go on for ever.
            Transport::Tcp if is_idle => self.conns.remove(id),
            Transport::Tcp => {
                if let Some(conn) = self.conns.get_mut(id) {
                    conn.retire();
                }
            }
            Transport::Udp | Transport::Unix => {}
        }
    }

    fn tell_wrong(&mut self, id: usize, seq: Option<u64>, reply: &[u8], lines: &mut Lines) {
        self.stats.errors += 1;
        lines.tell(&Told {
            seq,
            received: Some(Shown(reply)),
            received_bytes: reply.len(),
            ..self.told_of_conn(Some(id), Outcome::Wrong)
        });
        self.conns.repay(id);
        if let Some(seq) = seq {
            self.end(seq);
        }
    }

    /// A connection cannot go on, and its pings cannot either, unless the name has another address
    /// to try. A datagram socket goes on, and what the network says is the answer to the ping that
    /// has waited longest.
    pub(super) fn fail_conn(&mut self, id: usize, failure: Failure, turn: &mut Turn<'_, K>) {
        if self.candidates.is_searching() {
            return self.go_elsewhere(id, failure, turn);
        }
        let Some(conn) = self.conns.get_mut(id) else {
            return;
        };
        let partial = conn.take_partial();
        let goes_on = conn.state() != State::Closed;
        let (failure, received_bytes) = if matches!(failure, Failure::EndlessLine) {
            // It is the reply to the ping that has waited longest; the others lose their connection.
            let seq = self.waiting_on(id).next();
            self.tell_wrong(id, seq, &partial, turn.lines);
            (Failure::Closed, 0)
        } else {
            (failure, partial.len())
        };
        let told = Told {
            received_bytes,
            ..self.told_of_conn(Some(id), (&failure).into())
        };
        let failed: Vec<_> = self
            .waiting_on(id)
            .take(if goes_on { 1 } else { usize::MAX })
            .collect();
        for seq in &failed {
            self.fail_ping(*seq, &failure, &told, turn);
        }
        // What a socket says again and again, and to nobody, could go on for ever.
        let is_about_nothing = failed.is_empty() && matches!(failure, Failure::Other(_));
        if !goes_on || is_about_nothing {
            self.conns.remove(id);
        }
    }
}
