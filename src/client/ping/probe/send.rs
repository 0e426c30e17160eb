//! The last thing in a turn: pings leave.

use super::{Probe, Turn};
use crate::client::requests::Fate;
use crate::client::script::Number;
use crate::reactor::attempt::Attempt;
use crate::reactor::kernel::Kernel;

impl<K: Kernel> Probe<K> {
    /// Sends what has been begun and not sent. It is the last thing in a turn, so that nothing
    /// stands between sending and the wait for the reply.
    pub(crate) fn send(&mut self, turn: &mut Turn<'_, K>) {
        for _ in 0..self.unsent.len() {
            let Some((seq, id)) = self.unsent.pop_front() else {
                break;
            };
            match self.send_one(seq, id, turn) {
                Attempt::Done(()) => {}
                Attempt::Blocked => self.unsent.push_back((seq, id)),
                Attempt::Failed(error) => self.fail_conn(id, error.into(), turn),
            }
        }
    }

    /// Sends a ping, after what its connection still has of the one before.
    fn send_one(&mut self, seq: u64, id: usize, turn: &mut Turn<'_, K>) -> Attempt<()> {
        let waits = matches!(self.requests.get(seq), Some((_, Fate::Waiting)));
        let (true, Some(conn)) = (waits, self.conns.get_mut(id)) else {
            return Attempt::Done(());
        };
        match conn.send_rest() {
            Attempt::Done(()) => {}
            not_now => return not_now,
        }
        let message = self.script.request(Number::new(0, seq));
        // The turn began a while ago, and the kernel may have the reply before the call returns: so
        // the clock is read once more, as the last thing before the call.
        let sent_at = turn.kernel.now();
        let outcome = conn.send(message);
        if !matches!(outcome, Attempt::Blocked) {
            conn.owed += 1;
            let ping = self.requests.get_mut(seq);
            let mut carriers = ping.into_iter().flat_map(|ping| &mut ping.carriers);
            if let Some(carrier) = carriers.find(|carrier| carrier.conn == id) {
                carrier.sent_at = Some(sent_at);
            }
        }
        outcome
    }

    /// Sends the rest of pings that a stream took in part.
    pub(crate) fn send_rests(&mut self, turn: &mut Turn<'_, K>) {
        let mut failed = Vec::new();
        for conn in self.conns.iter_mut() {
            if let Attempt::Failed(error) = conn.send_rest() {
                failed.push((conn.id, error));
            }
        }
        for (id, error) in failed {
            self.fail_conn(id, error.into(), turn);
        }
    }
}
