//! How connections come to be, and what is done when one is over.

use std::time::Duration;

use super::candidates::Candidates;
use super::conn::{Conn, Opening};
use super::stats::ConnEnd;
use super::watch::Watch;
use super::{Kernel, Lane, Load, OPENING, Phase, Quota, REOPENING, in_words, nanos};
use crate::reactor::kernel::Token;

/// How many connections are on their way at the same time: few enough for any server's backlog.
const OPENING_AT_ONCE: usize = 64;

/// How many requests a datagram socket remembers for each that may wait, so that duplicates are
/// known again.
const REMEMBERED_PER_WAITING: usize = 16;
/// How many requests all of them together remember beyond those that may wait: 24 MiB.
const REMEMBERED_FOR_RATE_MAX: usize = 1 << 20;

impl<K: Kernel, C: Conn<K>, W: Watch> Load<K, C, W> {
    /// Opens as many connections as may be on their way at once; until it is known where somebody
    /// answers, one.
    pub(super) fn open_more(&mut self) {
        while self.lanes.len() < self.plan.connections
            && self.opening < OPENING_AT_ONCE
            && (!self.candidates.is_searching() || self.lanes.is_empty())
        {
            let key = self.lanes.len();
            self.lanes.push(Lane {
                quota: Quota::default(),
                conn: None,
                is_opening: false,
            });
            self.open(key);
        }
    }

    /// Begins to connect.
    pub(super) fn open(&mut self, key: usize) {
        let peer = self.candidates.current();
        let opening = Opening {
            number: key,
            token: Token(key),
            peer,
            asks_first: self.candidates.is_searching(),
            remembered: self.remembered(),
            waiting_max: self.plan.pipeline,
            skip_lines: self.plan.skip_lines,
            timeout: nanos(self.plan.timeout),
        };
        match C::open(&mut self.kernel, opening) {
            Ok(conn) => {
                self.live += 1;
                let is_opening = !conn.is_ready();
                if is_opening {
                    self.opening += 1;
                    self.deadlines.restart(OPENING, key, self.now);
                }
                let lane = &mut self.lanes[key];
                (lane.conn, lane.is_opening) = (Some(conn), is_opening);
                self.serve(key);
            }
            Err(error) => {
                self.shared.stats.conn_ended(ConnEnd::NotConnected, || {
                    format!("{peer}: {}", in_words(&error))
                });
                self.not_opened(key);
            }
        }
    }

    /// How many requests a datagram socket remembers. In an open loop none waits for another, so
    /// they are as many as one sends before the first of them is given up.
    fn remembered(&self) -> usize {
        let connections = self.plan.connections.max(1);
        let for_rate = self.plan.rate_max_per_s.map_or(0, |rate_per_s| {
            let of_one = rate_per_s / connections as u64 + 1;
            let seconds = self.plan.timeout.as_secs() + 1;
            usize::try_from(of_one.saturating_mul(2 * seconds)).unwrap_or(usize::MAX)
        });
        let for_rate = for_rate.min(REMEMBERED_FOR_RATE_MAX / connections);
        let pipeline = self.plan.pipeline;
        let for_duplicates = pipeline * REMEMBERED_PER_WAITING;
        for_rate.max(for_duplicates.min(pipeline.max(REMEMBERED_FOR_RATE_MAX / connections)))
    }

    /// A connection is ready, so somebody answers: this is the address, and what was said about
    /// others is of no interest.
    pub(super) fn became_ready(&mut self, key: usize) {
        self.no_longer_opens(key);
        self.deadlines.cancel(key);
        if self.candidates.is_searching() {
            self.candidates.settle(self.candidates.current());
            self.shared.stats.not_connected = 0;
            self.shared.stats.first_error = None;
        }
    }

    fn no_longer_opens(&mut self, key: usize) {
        let lane = self.lanes.get_mut(key);
        let was_opening = lane.is_some_and(|lane| std::mem::take(&mut lane.is_opening));
        self.opening -= usize::from(was_opening);
    }

    /// A connection is over: it is taken away, and opened again while there is a run.
    pub(super) fn lose(&mut self, key: usize) {
        self.deadlines.cancel(key);
        // One can get ready and be lost within the same visit.
        self.no_longer_opens(key);
        let Some(conn) = self.lanes.get_mut(key).and_then(|lane| lane.conn.take()) else {
            return;
        };
        self.live -= 1;
        if !conn.was_ready() {
            return self.not_opened(key);
        }
        // One that has brought nothing right may be refused for good: trying at once, and again,
        // would be all that is done.
        let pause = if conn.was_answered() {
            Duration::ZERO
        } else {
            super::RETRY_AFTER
        };
        match self.phase {
            Phase::Connecting | Phase::WarmUp | Phase::Window if pause.is_zero() => self.open(key),
            Phase::Idle => {}
            _ => self.deadlines.restart(REOPENING, key, self.now),
        }
    }

    /// A connection did not come about. While none has, there may be another address to try; one
    /// that was lost before is tried again.
    fn not_opened(&mut self, key: usize) {
        if self.phase != Phase::Connecting {
            return self.deadlines.restart(REOPENING, key, self.now);
        }
        if !self.candidates.is_searching() {
            return;
        }
        if self.candidates.try_next() {
            self.lanes.clear();
        } else if !C::RELIABLE {
            // Silence proves nothing about datagrams.
            self.candidates = Candidates::new(vec![self.candidates.current()]);
            self.shared.stats.not_connected = 0;
            self.shared.stats.first_error = None;
            self.lanes.clear();
        }
    }
}
