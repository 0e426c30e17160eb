//! One HTTP connection: requests in, answers out, one at a time.

use std::time::{Duration, Instant};

use super::http::{self, HEAD_MAX_BYTES, Page, Read, Request};
use crate::reactor::attempt::Attempt;
use crate::reactor::kernel::{Readiness, Stream};
use crate::reactor::latch::Latched;
use crate::slices::part;

/// How long a request may take from its first byte, or from the begin of the connection, until its
/// answer has left: who drips or does not read is gone then.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may say nothing between two requests: longer than it is from one scrape to
/// the next.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(150);

/// How long one that was told to go is listened to, so that its answer is not lost to a reset.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// How much is read at once.
const READ_BYTES: usize = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It waits for a request, or its rest.
    Asking,
    /// It has its last answer, and then it ends.
    Leaving,
    /// The end is out; what comes is thrown away.
    Lingering,
    Closed,
}

/// A connection.
#[derive(Debug)]
pub struct HttpConn<S> {
    stream: Latched<S>,
    state: State,
    /// Requests that were not answered yet: a head and one read, at most.
    input: Vec<u8>,
    /// What has not left yet of an answer.
    output: Vec<u8>,
    deadline: Instant,
    has_work: bool,
}

impl<S: Stream> HttpConn<S> {
    /// A connection that was just accepted.
    pub fn new(stream: S, now: Instant) -> Self {
        Self {
            stream: Latched::new(stream),
            state: State::Asking,
            input: Vec::new(),
            output: Vec::new(),
            deadline: now + REQUEST_TIMEOUT,
            has_work: true,
        }
    }

    /// Takes note of an event.
    pub fn raise(&mut self, ready: Readiness) {
        self.stream.raise(ready);
        self.has_work = true;
    }

    /// It may have something to do.
    pub fn has_work(&self) -> bool {
        self.has_work
    }

    /// When it ends, unless it makes progress.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// It has ended.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// It is between two requests.
    pub fn is_idle(&self) -> bool {
        self.state == State::Asking && self.input.is_empty() && self.output.is_empty()
    }

    /// Does what the latches allow, up to one answer. Says whether there was one: then there may be
    /// more to do.
    pub fn work(
        &mut self,
        now: Instant,
        is_closing: bool,
        mut answer: impl FnMut(&Request<'_>) -> Page,
    ) -> bool {
        self.has_work = false;
        loop {
            let go_on = match self.state {
                State::Closed => false,
                _ if !self.output.is_empty() => self.send(now),
                State::Leaving => self.leave(now),
                State::Lingering => self.receive(now),
                State::Asking => {
                    if self.answer(is_closing, &mut answer) {
                        self.send(now);
                        self.has_work = self.state != State::Closed;
                        return true;
                    }
                    self.receive(now)
                }
            };
            if !go_on {
                return false;
            }
        }
    }

    /// Answers the first request, if it is whole. Says whether there was one.
    fn answer(&mut self, is_closing: bool, answer: &mut impl FnMut(&Request<'_>) -> Page) -> bool {
        let mut output = Vec::new();
        let (len, stays) = match http::read(&self.input) {
            Read::Partial => return false,
            Read::Refused(page) => {
                http::write(&page, true, false, &mut output);
                (self.input.len(), false)
            }
            Read::Whole {
                len,
                wants_body,
                stays,
                request,
            } => {
                let stays = stays && !is_closing;
                http::write(&answer(&request), wants_body, stays, &mut output);
                (len, stays)
            }
        };
        self.output = output;
        self.input.drain(..len);
        if !stays {
            self.state = State::Leaving;
        }
        true
    }

    /// Sends what waits. Says whether all of it has left.
    fn send(&mut self, now: Instant) -> bool {
        while !self.output.is_empty() && self.stream.is_writable() {
            match self.stream.write(&self.output) {
                Attempt::Done(len) => drop(self.output.drain(..len)),
                Attempt::Blocked => {}
                Attempt::Failed(_) => self.state = State::Closed,
            }
            if self.is_closed() {
                return false;
            }
        }
        let is_sent = self.output.is_empty();
        if is_sent {
            self.output = Vec::new();
            // The next request may have begun already.
            self.deadline = now + self.timeout();
        }
        is_sent
    }

    fn timeout(&self) -> Duration {
        if self.input.is_empty() {
            IDLE_TIMEOUT
        } else {
            REQUEST_TIMEOUT
        }
    }

    /// The end of the stream goes out, behind all that was sent.
    fn leave(&mut self, now: Instant) -> bool {
        self.state = State::Lingering;
        self.deadline = now + LINGER_TIMEOUT;
        if self.stream.io().shutdown_write().is_err() {
            self.state = State::Closed;
        }
        true
    }

    /// Reads once. Says whether something came.
    fn receive(&mut self, now: Instant) -> bool {
        if !self.stream.is_readable() {
            return false;
        }
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Attempt::Done(len @ 1..) => {
                self.take_in(part(&bytes, ..len), now);
                true
            }
            Attempt::Blocked => false,
            // Whoever has ended its side has its answers already, or has not asked.
            Attempt::Done(0) | Attempt::Failed(_) => {
                self.state = State::Closed;
                false
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8], now: Instant) {
        if self.state == State::Lingering {
            return;
        }
        if self.input.is_empty() {
            self.deadline = self.deadline.min(now + REQUEST_TIMEOUT);
        }
        self.input.extend_from_slice(bytes);
    }
}

/// A head and what is read with its end.
const _: () = assert!(HEAD_MAX_BYTES >= READ_BYTES);
