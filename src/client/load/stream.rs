//! A TCP connection: requests in one write, replies in one read, and no buffer of its own.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use memchr::memchr;

use super::conn::{Conn, Opening, Quota, Shared, WINDOW_BYTES, Worked};
use super::in_words;
use super::report::plural;
use super::schedule::Nanos;
use super::stats::{ConnEnd, Stamp};
use crate::client::script::Number;
use crate::reactor::attempt::Attempt;
use crate::reactor::kernel::{Kernel, Readiness, Stream};
use crate::reactor::latch::Latched;
use crate::slices::part;
use crate::state::{Event, State};

/// How much of a wrong reply is shown.
const SHOWN_BYTES: usize = 64;

/// A place in a row of messages of one length.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    message: u64,
    offset: usize,
}

impl Cursor {
    fn advance(&mut self, by: usize, message_bytes: usize) {
        let offset = self.offset + by;
        self.message += (offset / message_bytes) as u64;
        self.offset = offset % message_bytes;
    }
}

/// A connection.
#[derive(Debug)]
pub struct StreamConn<S> {
    stream: Latched<S>,
    state: State,
    number: usize,
    peer: SocketAddr,
    waiting_max: usize,
    /// How many lines of greeting are still to come.
    skip_lines: u32,
    was_ready: bool,
    /// A right reply has come, and no wrong one.
    is_answered: bool,
    /// How many requests have begun to leave, since it was connected.
    begun: u64,
    /// The byte that is written next.
    outgoing: Cursor,
    /// The byte that is awaited next.
    awaited: Cursor,
    /// The requests that wait for their replies, in order.
    stamps: VecDeque<Stamp>,
}

impl<K: Kernel> Conn<K> for StreamConn<K::Stream> {
    const RELIABLE: bool = true;

    fn open(kernel: &mut K, opening: Opening) -> io::Result<Self> {
        let mut stream = kernel.connect(opening.peer)?;
        kernel.register_stream(&mut stream, opening.token)?;
        Ok(Self {
            stream: Latched::new(stream),
            state: State::Connecting,
            number: opening.number,
            peer: opening.peer,
            waiting_max: opening.waiting_max,
            skip_lines: opening.skip_lines,
            was_ready: false,
            is_answered: false,
            begun: 0,
            outgoing: Cursor::default(),
            awaited: Cursor::default(),
            stamps: VecDeque::with_capacity(opening.waiting_max),
        })
    }

    fn raise(&mut self, ready: Readiness) {
        self.stream.raise(ready);
    }

    fn state(&self) -> State {
        self.state
    }

    fn was_ready(&self) -> bool {
        self.was_ready
    }

    fn waiting(&self) -> usize {
        self.stamps.len()
    }

    fn was_answered(&self) -> bool {
        self.is_answered
    }

    fn work(
        &mut self,
        shared: &mut Shared,
        quota: &mut Quota,
        clock: &impl Fn() -> Nanos,
    ) -> Worked {
        if self.state == State::Connecting {
            self.connect(shared);
        }
        if self.state == State::Open {
            self.receive(shared, clock);
        }
        if self.is_open_to_requests() {
            self.was_ready = true;
            self.send(shared, quota, clock);
        }
        Worked {
            more: self.state == State::Open && self.stream.is_readable(),
            began_to_wait: false,
        }
    }

    fn opening_expired(&mut self, shared: &mut Shared) {
        let missing = match self.state {
            State::Connecting => "no connection in time",
            _ => "no greeting in time",
        };
        let peer = self.peer;
        shared
            .stats
            .conn_ended(ConnEnd::NotConnected, || format!("{peer}: {missing}"));
        self.step(Event::Expired);
    }

    /// Replies come in order: without the first there is none behind it.
    fn give_up(&mut self, before: Nanos, tell: impl FnMut(Stamp)) {
        if self.stamps.front().is_some_and(|it| it.sent < before) {
            self.step(Event::Expired);
            self.stamps.drain(..).for_each(tell);
        }
    }
}

impl<S: Stream> StreamConn<S> {
    fn is_open_to_requests(&self) -> bool {
        self.state == State::Open && self.skip_lines == 0
    }

    fn connect(&mut self, shared: &mut Shared) {
        match self.stream.try_write(Stream::connected) {
            Attempt::Done(()) => self.step(Event::Connected),
            Attempt::Blocked => {}
            Attempt::Failed(error) => {
                let peer = self.peer;
                shared.stats.conn_ended(ConnEnd::NotConnected, || {
                    format!("{peer}: cannot connect: {}", in_words(&error))
                });
                self.step(Event::Failed);
            }
        }
    }

    /// Reads once, and holds what came against what was to come.
    fn receive(&mut self, shared: &mut Shared, clock: &impl Fn() -> Nanos) {
        if !self.stream.is_readable() {
            return;
        }
        match self.stream.read(&mut shared.window) {
            Attempt::Done(0) => {
                self.ended(shared, "closed by the peer");
                self.step(Event::PeerClosed);
                self.step(Event::Flushed);
            }
            Attempt::Done(len) => {
                let skipped_len = self.skip_greeting(part(&shared.window, ..len));
                self.check(shared, skipped_len, len, clock());
            }
            Attempt::Blocked => {}
            Attempt::Failed(error) => self.fail(shared, &error),
        }
    }

    /// Says how many of the bytes are greeting.
    fn skip_greeting(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while self.skip_lines > 0 {
            let Some(end) = memchr(b'\n', rest) else {
                return bytes.len();
            };
            self.skip_lines -= 1;
            rest = part(rest, end + 1..);
        }
        bytes.len() - rest.len()
    }

    fn check(&mut self, shared: &mut Shared, from: usize, to: usize, now: Nanos) {
        let Shared {
            script,
            window,
            stats,
            waiting,
            ..
        } = shared;
        let reply_bytes = script.reply_bytes();
        let mut rest = part(window, from..to);
        while !rest.is_empty() {
            let number = Number::new(self.number, self.awaited.message);
            let expected = &script.reply(number)[self.awaited.offset..];
            let len = expected.len().min(rest.len());
            let (Some(stamp), true) = (self.stamps.front(), rest[..len] == expected[..len]) else {
                let from = to - rest.len();
                return self.wrong(shared, from, to);
            };
            rest = &rest[len..];
            self.awaited.offset += len;
            if self.awaited.offset == reply_bytes {
                stats.answered(*stamp, now);
                self.is_answered = true;
                *waiting -= 1;
                self.stamps.pop_front();
                self.awaited = Cursor {
                    message: self.awaited.message + 1,
                    offset: 0,
                };
            }
        }
    }

    /// A byte is not what it has to be. What comes behind it cannot be told apart any more.
    fn wrong(&mut self, shared: &mut Shared, from: usize, to: usize) {
        let received = shared.window[from..to.min(from + SHOWN_BYTES)].escape_ascii();
        let peer = self.peer;
        self.is_answered = false;
        let words = if let Some(stamp) = self.stamps.pop_front() {
            shared.waiting -= 1;
            shared.stats.lost(stamp);
            let number = Number::new(self.number, self.awaited.message);
            let expected = &shared.script.reply(number)[self.awaited.offset..];
            let expected = expected[..expected.len().min(SHOWN_BYTES)].escape_ascii();
            format!("{peer}: wrong reply: expected \"{expected}\", got \"{received}\"")
        } else {
            format!("{peer}: a reply that nobody asked for: \"{received}\"")
        };
        shared.stats.conn_ended(ConnEnd::WrongReply, || words);
        self.lose_the_rest(shared);
        self.step(Event::Failed);
    }

    /// Sends what the quota allows, in one write where the kernel takes it.
    fn send(&mut self, shared: &mut Shared, quota: &mut Quota, clock: &impl Fn() -> Nanos) {
        let room = quota.room(shared, self.stamps.len(), self.waiting_max);
        if room > 0 {
            let now = clock();
            for _ in 0..room {
                self.stamps.push_back(quota.take(shared, now));
            }
            self.begun += room as u64;
        }
        while self.outgoing.message < self.begun && self.stream.is_writable() {
            self.encode(shared);
            let bytes = shared.outgoing.get(self.outgoing.offset..);
            match self.stream.write(bytes.unwrap_or_default()) {
                Attempt::Done(len) => self.outgoing.advance(len, shared.script.request_bytes()),
                Attempt::Blocked => {}
                Attempt::Failed(error) => return self.fail(shared, &error),
            }
        }
    }

    /// Writes out the requests that leave next, the half-sent one from its beginning.
    fn encode(&self, shared: &mut Shared) {
        shared.outgoing.clear();
        for message in self.outgoing.message..self.begun {
            let room = WINDOW_BYTES.saturating_sub(shared.outgoing.len());
            if !shared.outgoing.is_empty() && room < shared.script.request_bytes() {
                break;
            }
            let number = Number::new(self.number, message);
            shared
                .outgoing
                .extend_from_slice(shared.script.request(number));
        }
    }

    fn fail(&mut self, shared: &mut Shared, error: &io::Error) {
        self.ended(shared, &error.to_string());
        self.step(Event::Failed);
    }

    /// The connection is over, while requests wait or more were to come.
    fn ended(&mut self, shared: &mut Shared, why: &str) {
        let (peer, unanswered) = (self.peer, self.stamps.len());
        let end = if self.was_ready {
            ConnEnd::ClosedEarly
        } else {
            ConnEnd::NotConnected
        };
        shared.stats.conn_ended(end, || {
            let unanswered = plural(unanswered as u64, "request");
            format!("{peer}: {why}, {unanswered} unanswered")
        });
        self.lose_the_rest(shared);
    }

    fn lose_the_rest(&mut self, shared: &mut Shared) {
        shared.waiting -= self.stamps.len();
        for stamp in self.stamps.drain(..) {
            shared.stats.lost(stamp);
        }
    }

    /// The only place in which a connection's state changes.
    fn step(&mut self, event: Event) {
        self.state.step(event, &self.peer);
    }
}
