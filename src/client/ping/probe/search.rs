//! Which of a name's addresses the pings go to: the first that answers.
//!
//! While none has, a ping can have several carriers: where an address is silent, the next is tried
//! beside it, and where one refuses, at once.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Carrier, Probe, Turn};
use crate::client::candidates::PATIENCE;
use crate::client::ping::failure::Failure;
use crate::client::ping::lines::Lines;
use crate::client::ping::plan::PingPlan;
use crate::reactor::kernel::Kernel;

/// How long one of so many addresses has to itself: short enough that each gets its chance while the
/// first ping waits.
pub(super) fn patience(plan: &PingPlan, addresses: usize) -> Duration {
    let first_waits = plan.timeout.into_iter().chain(plan.deadline).min();
    let addresses = u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    first_waits.map_or(PATIENCE, |wait| PATIENCE.min(wait / addresses))
}

impl<K: Kernel> Probe<K> {
    /// The address that is tried, or in use.
    pub(crate) fn address(&self) -> SocketAddr {
        self.candidates.current()
    }

    /// Has the first line name the address in use, if there is but one.
    pub(crate) fn name_address(&self, lines: &mut Lines) {
        if !self.candidates.is_searching() {
            lines.name_address(self.address());
        }
    }

    /// Tries the next address beside those that have said nothing so far, with the newest ping that
    /// waits.
    pub(crate) fn try_next_address(&mut self, turn: &mut Turn<'_, K>) {
        let Some(due_at) = self.next_try_at.filter(|at| *at <= turn.now) else {
            return;
        };
        self.next_try_at = Some((due_at + self.patience).max(turn.now));
        self.candidates.try_next();
        let newest = self.requests.iter_waiting().last();
        if let Some((seq, _)) = newest
            && !self.is_carried_to(seq, self.candidates.current())
        {
            // The others that carry it may do better.
            let _ = self.carry_all(&[seq], turn);
        }
    }

    /// Has pings carried to the address that is tried, or to the next ones where that fails at once.
    ///
    /// # Errors
    /// No address is left that has not been tried, or none would do better.
    pub(super) fn carry_all(
        &mut self,
        pings: &[u64],
        turn: &mut Turn<'_, K>,
    ) -> Result<(), Failure> {
        loop {
            match pings.iter().try_for_each(|seq| self.carry(*seq, turn)) {
                Err(failure) if failure.is_about_the_address() && self.candidates.try_next() => {}
                outcome => return outcome,
            }
        }
    }

    fn carry(&mut self, seq: u64, turn: &mut Turn<'_, K>) -> Result<(), Failure> {
        let address = self.candidates.current();
        let id = match self.conns.current_to(address) {
            Some(id) if !self.rotates => id,
            _ => self.open(address, turn)?,
        };
        let (Some(ping), Some(conn)) = (self.requests.get_mut(seq), self.conns.get_mut(id)) else {
            return Ok(());
        };
        if ping.is_on(id) {
            return Ok(());
        }
        ping.carriers.push(Carrier {
            conn: id,
            sent_at: None,
        });
        conn.waiting += 1;
        if self.rotates {
            conn.retire();
        }
        self.unsent.push_back((seq, id));
        Ok(())
    }

    fn open(&mut self, address: SocketAddr, turn: &mut Turn<'_, K>) -> Result<usize, Failure> {
        if let Some(oldest) = self.conns.make_room() {
            let waiting: Vec<_> = self.waiting_on(oldest).collect();
            for seq in waiting {
                self.time_out(seq, turn);
            }
            self.conns.remove(oldest);
        }
        self.conns.open(turn.kernel, address)
    }

    /// What an address refuses goes to the next one, and is over if nothing carries it any more.
    pub(super) fn go_elsewhere(&mut self, id: usize, failure: Failure, turn: &mut Turn<'_, K>) {
        let told = self.told_of_conn(Some(id), (&failure).into());
        let pings: Vec<_> = self.waiting_on(id).collect();
        self.conns.remove(id);
        let outcome = if self.candidates.try_next() {
            self.carry_all(&pings, turn)
        } else {
            Err(failure)
        };
        let Err(failure) = outcome else { return };
        for seq in pings {
            if !self.is_carried(seq) {
                self.fail_ping(seq, &failure, &told, turn);
            }
        }
    }

    /// The address at the other end has answered, so the pings stay with it: those that are on their
    /// way to another one as well.
    pub(super) fn settle(&mut self, id: usize, turn: &mut Turn<'_, K>) {
        let Some(peer) = self.conns.get(id).map(|conn| conn.peer) else {
            return;
        };
        if !self.candidates.is_searching() {
            return;
        }
        self.candidates.settle(peer);
        self.next_try_at = None;
        turn.lines.name_address(peer);
        self.conns.keep_only(peer);
        let waiting: Vec<_> = self.requests.iter_waiting().map(|(seq, _)| seq).collect();
        for seq in waiting {
            if !self.is_carried(seq)
                && let Err(failure) = self.carry_all(&[seq], turn)
            {
                let told = self.told_of_conn(None, (&failure).into());
                self.fail_ping(seq, &failure, &told, turn);
            }
        }
    }

    fn is_carried(&self, seq: u64) -> bool {
        let carriers = self.carriers(seq);
        carriers
            .iter()
            .any(|carrier| self.conns.get(carrier.conn).is_some())
    }

    fn is_carried_to(&self, seq: u64, address: SocketAddr) -> bool {
        let carriers = self.carriers(seq);
        let mut conns = carriers
            .iter()
            .filter_map(|carrier| self.conns.get(carrier.conn));
        conns.any(|conn| conn.peer == address)
    }
}
