//! Latches: what is known of a descriptor's readiness.
//!
//! One latch for each direction: "a call may have something to do". It is set at birth, by the kernel's
//! event, and by who knows better than the events (a stop, a deadline that is about to end somebody). It
//! is cleared by the kernel's "would block", and by a short read that proves that there is no more. A
//! latch that is set for nothing costs one call that says "would block"; one that is cleared too early
//! costs the connection its life, as an edge comes only once.

use std::io;

use super::attempt::{Attempt, attempt};
use super::kernel::{Datagrams, Readiness, RecvSlots, SLOTS_PER_CALL, Stream};

/// A source of events and its latches.
#[derive(Debug)]
pub struct Latched<T> {
    io: T,
    readable: bool,
    writable: bool,
    /// An event has said that more than plain data is there: the peer's end, an error, urgent data.
    /// Then a short read does not mean that there is no more.
    short_read_proves_nothing: bool,
}

impl<T> Latched<T> {
    /// Both latches are set: the kernel has not said "would block" yet.
    pub fn new(io: T) -> Self {
        Self {
            io,
            readable: true,
            writable: true,
            short_read_proves_nothing: false,
        }
    }

    /// Takes note of an event.
    pub fn raise(&mut self, ready: Readiness) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
        self.short_read_proves_nothing |= ready.more_than_data;
    }

    /// A read is worth a try.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// A write is worth a try.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// The source itself, to look at.
    pub fn get(&self) -> &T {
        &self.io
    }

    /// The source itself, for what can neither block nor raise an event.
    pub fn io(&mut self) -> &mut T {
        &mut self.io
    }

    /// Makes a call of the reading kind.
    pub fn try_read<R>(&mut self, mut call: impl FnMut(&mut T) -> io::Result<R>) -> Attempt<R> {
        let outcome = attempt(|| call(&mut self.io));
        if matches!(outcome, Attempt::Blocked) {
            self.readable = false;
            self.short_read_proves_nothing = false;
        }
        outcome
    }

    /// Makes a call of the writing kind.
    pub fn try_write<R>(&mut self, mut call: impl FnMut(&mut T) -> io::Result<R>) -> Attempt<R> {
        let outcome = attempt(|| call(&mut self.io));
        if matches!(outcome, Attempt::Blocked) {
            self.writable = false;
        }
        outcome
    }
}

impl<S: Stream> Latched<S> {
    /// Reads once. Done with 0 is the end of the stream, as `buffer` must not be empty.
    ///
    /// A read that got less than it asked for has emptied the kernel's buffer, so it says "would
    /// block" without a second call: a third of the system calls of a ping. Two things can stand
    /// behind a short read all the same, and each announces itself in the event: the peer's FIN
    /// (EPOLLRDHUP, which comes merged with the data's event), and what follows TCP's urgent mark
    /// (EPOLLPRI), at which tcp(7) lets a read stop. Data that comes after the event was fetched
    /// raises a new one.
    pub fn read(&mut self, buffer: &mut [u8]) -> Attempt<usize> {
        let asked_len = buffer.len();
        let outcome = self.try_read(|stream| stream.read(buffer));
        if let Attempt::Done(len) = outcome
            && len < asked_len
            && !self.short_read_proves_nothing
        {
            self.readable = false;
        }
        outcome
    }

    /// Writes once, as much as the kernel takes. A short write proves nothing: the next one says
    /// whether it would block.
    pub fn write(&mut self, bytes: &[u8]) -> Attempt<usize> {
        self.try_write(|stream| stream.write(bytes))
    }
}

impl<D: Datagrams> Latched<D> {
    /// Receives once, into every slot.
    pub fn receive(&mut self, slots: &mut RecvSlots) -> Attempt<usize> {
        self.receive_some(slots, SLOTS_PER_CALL)
    }

    /// Receives once. Fewer filled slots than were asked for have emptied the socket: recvmmsg(2) stops
    /// early for nothing else but an error, which has announced itself in the event.
    pub fn receive_some(&mut self, slots: &mut RecvSlots, most: usize) -> Attempt<usize> {
        let outcome = self.try_read(|socket| socket.receive(slots, most));
        if let Attempt::Done(count) = outcome
            && count < most
            && !self.short_read_proves_nothing
        {
            self.readable = false;
        }
        outcome
    }
}
