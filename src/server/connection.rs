//! One connection: how a byte gets from the kernel, through the rule of the game, back to the
//! kernel.

use std::io;

use log::{Level, debug, log_enabled, trace};

use super::counters::{CloseReason, Traffic};
use super::kept::{Kept, Place, Shelf};
use super::peer::Peer;
use crate::protocol::stream::{Answered, BadLine, Batch, Rules, ends_a_line};
use crate::reactor::attempt::{Attempt, is_reset};
use crate::reactor::kernel::{Readiness, Stream};
use crate::reactor::latch::Latched;
use crate::slices::part;
use crate::state::{Event, State};
use crate::transport::Transport;

/// How much one read fetches, and one visit of a connection reads. Its replies can be five times as
/// long and have to be kept where the client does not take them: 160 KiB of replies and a partial
/// line of 64 KiB stay below the 256 KiB that a connection may cost.
pub const WINDOW_BYTES: usize = 32 * 1024;

/// How much may be read and written for one connection in a round before it stands behind all those
/// that have become ready since: what a visit moves for who has had its share.
pub const SHARE_BYTES: usize = 2 * 32 * 1024;

/// How much a visit reads until then, where others wait: far more than a ping, and of the dearest
/// input, empty lines, a thirtieth of a millisecond's work.
pub const FRESH_READ_BYTES: usize = 4 * 1024;

/// How much of a message the log shows.
pub const LOGGED_BYTES: usize = 64;

/// What a connection needs for a turn of work and shares with all others.
#[derive(Debug)]
pub struct Workbench {
    /// The buffer that everything is read into, answered in and written from.
    pub batch: Batch,
    /// What the operator set.
    pub rules: Rules,
    /// What has to outlive a visit.
    shelf: Shelf,
}

impl Workbench {
    /// A bench for reads of at most `window_bytes`.
    pub fn new(window_bytes: usize, rules: Rules) -> Self {
        Self {
            batch: Batch::new(window_bytes, rules.max_message_bytes),
            rules,
            shelf: Shelf::default(),
        }
    }
}

/// An accepted connection. An idle one owns no buffer.
#[derive(Debug)]
pub struct Connection<S> {
    stream: Latched<S>,
    peer: Peer,
    state: State,
    reason: Option<CloseReason>,
    kept: Option<Place>,
}

/// 15,000 idle connections have to fit into next to no memory; a debug build of mio keeps more.
#[cfg(all(not(debug_assertions), target_pointer_width = "64"))]
const _: () = assert!(size_of::<Option<Connection<crate::reactor::sockets::OsStream>>>() <= 40);

/// What a visit's work came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// A whole message came or a byte of a reply was taken: the idle timeout begins anew.
    pub progress: bool,
    /// As much was read as may be in one visit, and there may be more to do.
    pub more: bool,
    /// What was carried.
    pub traffic: Traffic,
}

impl<S: Stream> Connection<S> {
    /// A connection that was just accepted.
    pub fn new(stream: S, peer: Peer) -> Self {
        debug!("{peer} connected");
        Self {
            stream: Latched::new(stream),
            peer,
            state: State::Open,
            reason: None,
            kept: None,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// What carries its messages.
    pub fn transport(&self) -> Transport {
        match self.peer.ip() {
            Some(_) => Transport::Tcp,
            None => Transport::Unix,
        }
    }

    /// Takes note of an event.
    pub fn raise(&mut self, ready: Readiness) {
        self.stream.raise(ready);
    }

    /// How many bytes it owns beside itself.
    pub fn kept_bytes(&self, bench: &Workbench) -> usize {
        bench.shelf.get(self.kept).map_or(0, Kept::room_bytes)
    }

    /// Logs its end, and says why it came. Dropping it closes it.
    pub fn close(self, bench: &mut Workbench) -> CloseReason {
        bench.shelf.discard(self.kept);
        let reason = self.reason.unwrap_or(CloseReason::Error);
        debug!("{} closed: {}", self.peer, reason.name());
        reason
    }

    /// The server begins to stop: what has been received is answered, then the connection ends.
    /// What is in the kernel by now may have come with an event that is still to be fetched, so a
    /// read is due.
    pub fn drain(&mut self) {
        self.step(Event::Drain, CloseReason::Drained);
        self.stream.raise(Readiness::ALL);
    }

    /// Enough has been read for a stop.
    pub fn drained(&mut self) {
        if self.state == State::Draining {
            self.step(Event::LastRead, CloseReason::Drained);
        }
    }

    /// A deadline has passed. A connection that was on its way out keeps the reason for that.
    pub fn expire(&mut self, reason: CloseReason) {
        self.step(Event::Expired, reason);
    }

    /// Does what the latches allow, and reads `read_max_bytes` of it at most.
    pub fn work(&mut self, bench: &mut Workbench, read_max_bytes: usize) -> Work {
        let mut work = Work::default();
        let mut left_bytes = read_max_bytes;
        loop {
            let go_on = match self.state {
                State::Connecting | State::Closed => false,
                _ if self.has_replies(bench) => self.send_kept(bench, &mut work),
                State::Open | State::Draining => self.receive(bench, &mut work, &mut left_bytes),
                State::Finishing | State::Flushing => self.flushed(bench),
                State::Lingering => self.discard(bench, &mut work, &mut left_bytes),
            };
            if !go_on || left_bytes == 0 {
                work.more = go_on;
                return work;
            }
        }
    }

    /// Reads once and answers what came. Says whether there may be more to do.
    fn receive(&mut self, bench: &mut Workbench, work: &mut Work, left_bytes: &mut usize) -> bool {
        if !self.stream.is_readable() {
            self.drained();
            return self.state == State::Flushing;
        }
        match self.read(bench, work, left_bytes) {
            Attempt::Done(0) => self.end_of_stream(bench, work),
            Attempt::Done(len) => self.take_in(bench, len, work),
            Attempt::Blocked => {}
            Attempt::Failed(error) => self.fail(&error),
        }
        true
    }

    /// Reads once into the window, no more than is left of the visit.
    fn read(
        &mut self,
        bench: &mut Workbench,
        work: &mut Work,
        left_bytes: &mut usize,
    ) -> Attempt<usize> {
        let window = bench.batch.window();
        let asked_len = window.len().min(*left_bytes);
        let outcome = self.stream.read(&mut window[..asked_len]);
        if let Attempt::Done(len) = outcome {
            *left_bytes -= len;
            work.traffic.received_bytes += len as u64;
        }
        outcome
    }

    /// The window's first `len` bytes are new. Bytes that only lengthen a partial line are put
    /// behind it, so that a line which comes byte by byte costs no more than its length.
    fn take_in(&mut self, bench: &mut Workbench, len: usize, work: &mut Work) {
        let max_message_bytes = bench.rules.max_message_bytes;
        let fresh = bench.batch.fresh(len);
        if let Some(kept) = bench.shelf.get(self.kept)
            && kept.partial().len() + len <= max_message_bytes
            && !ends_a_line(fresh)
        {
            let outcome = bench.shelf.lengthen(self.kept, fresh, max_message_bytes);
            return outcome.unwrap_or_else(|error| self.fail(&error));
        }
        self.begin(bench, len);
        let answered = bench.batch.answer(bench.rules, log_message(self.peer));
        self.reply(bench, answered, work);
    }

    /// The peer has sent its last; what it left without an ending is a message too.
    fn end_of_stream(&mut self, bench: &mut Workbench, work: &mut Work) {
        self.begin(bench, 0);
        let answered = bench.batch.answer_last(bench.rules, log_message(self.peer));
        self.reply(bench, answered, work);
        if matches!(self.state, State::Open | State::Draining) {
            self.step(Event::PeerClosed, CloseReason::PeerClosed);
        }
    }

    fn begin(&mut self, bench: &mut Workbench, fresh_len: usize) {
        let kept = self.kept.take();
        let partial = bench.shelf.get(kept).map_or(&[][..], Kept::partial);
        bench.batch.begin(partial, fresh_len);
        bench.shelf.discard(kept);
    }

    /// Sends the batch's replies, keeps what the peer does not take, and its partial line.
    fn reply(&mut self, bench: &mut Workbench, answered: Answered, work: &mut Work) {
        work.traffic.messages += answered.messages;
        work.traffic.replies += answered.replies;
        work.progress |= answered.messages > 0;
        if let Some(bad) = answered.bad {
            self.step(Event::LastRead, bad.into());
        }
        let sent_len = self.send(bench.batch.replies(), work);
        if self.state == State::Closed {
            return;
        }
        let unsent = &bench.batch.replies()[sent_len..];
        match bench.shelf.keep(unsent, bench.batch.partial()) {
            Ok(kept) => self.kept = kept,
            Err(error) => self.fail(&error),
        }
    }

    /// Writes until all is sent or the kernel takes no more, and says how much it took.
    fn send(&mut self, replies: &[u8], work: &mut Work) -> usize {
        let mut rest = replies;
        while !rest.is_empty() && self.stream.is_writable() {
            match self.stream.write(rest) {
                Attempt::Done(len) => {
                    work.traffic.sent_bytes += len as u64;
                    work.progress = true;
                    rest = part(rest, len..);
                }
                Attempt::Blocked => {}
                Attempt::Failed(error) => {
                    self.fail(&error);
                    break;
                }
            }
        }
        replies.len() - rest.len()
    }

    fn has_replies(&self, bench: &Workbench) -> bool {
        let kept = bench.shelf.get(self.kept);
        kept.is_some_and(|kept| !kept.replies().is_empty())
    }

    /// Sends what was kept. Says whether that is done, and there may be more to do.
    fn send_kept(&mut self, bench: &mut Workbench, work: &mut Work) -> bool {
        let shelf = &mut bench.shelf;
        let replies = shelf.get(self.kept).map_or(&[][..], Kept::replies);
        let sent_len = self.send(replies, work);
        if self.state == State::Closed {
            return false;
        }
        match shelf.take_sent(self.kept, sent_len) {
            Ok(kept) => self.kept = kept,
            Err(error) => {
                self.kept = None;
                self.fail(&error);
            }
        }
        !self.has_replies(bench)
    }

    /// Nothing is left to send: FIN, or the end where the peer's FIN was there first.
    fn flushed(&mut self, bench: &mut Workbench) -> bool {
        bench.shelf.discard(self.kept.take());
        self.step(Event::Flushed, CloseReason::PeerClosed);
        if self.state == State::Lingering
            && let Err(error) = self.stream.io().shutdown_write()
        {
            self.fail(&error);
        }
        true
    }

    /// Reads and throws away, until the peer has closed.
    fn discard(&mut self, bench: &mut Workbench, work: &mut Work, left_bytes: &mut usize) -> bool {
        if !self.stream.is_readable() {
            return false;
        }
        match self.read(bench, work, left_bytes) {
            Attempt::Done(0) => self.step(Event::PeerClosed, CloseReason::PeerClosed),
            Attempt::Done(_) | Attempt::Blocked => {}
            Attempt::Failed(error) => self.fail(&error),
        }
        true
    }

    fn fail(&mut self, error: &io::Error) {
        debug!("{}: {error}", self.peer);
        let reason = if is_reset(error) {
            CloseReason::Reset
        } else {
            CloseReason::Error
        };
        self.step(Event::Failed, reason);
    }

    /// The only place in which a connection's state changes. The first reason to end stays the
    /// reason.
    fn step(&mut self, event: Event, reason: CloseReason) {
        self.reason.get_or_insert(reason);
        self.state.step(event, &self.peer);
    }
}

impl From<BadLine> for CloseReason {
    fn from(bad: BadLine) -> Self {
        match bad {
            BadLine::TooLong => Self::MessageTooLong,
            BadLine::NotAPing => Self::NotAPing,
        }
    }
}

/// Shows each message to the log, at trace; asks once a batch whether anybody looks.
fn log_message(peer: Peer) -> impl FnMut(&[u8]) {
    let watched = log_enabled!(Level::Trace);
    move |message| {
        if watched {
            let shown = message
                .get(..LOGGED_BYTES)
                .unwrap_or(message)
                .escape_ascii();
            trace!("{peer} message of {} bytes: {shown}", message.len());
        }
    }
}
