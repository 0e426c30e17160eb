//! What was received in a turn: replies, whatever carried them.

use std::ops::Range;

use memchr::memchr;

use super::failure::Failure;
use crate::reactor::attempt::Attempt;
use crate::reactor::kernel::{Datagrams, RecvSlots, SLOT_MAX_BYTES, Stream};
use crate::reactor::latch::Latched;

/// How many bytes of one connection are read in one turn of the loop, at most one read more. Until
/// then it is read to its end, so that no ping is sent on a connection that the peer has closed.
const TURN_BUDGET_BYTES: usize = 64 * 1024;

/// How many times a datagram socket is received from in one turn of the loop, at most.
const RECEIVES_PER_TURN: usize = 16;

/// Where all links receive to, one after the other.
#[derive(Debug, Default)]
pub struct Bench {
    slots: RecvSlots,
    text: Vec<u8>,
    replies: Vec<Range<usize>>,
}

impl Bench {
    /// How many replies the last link brought.
    pub fn replies(&self) -> usize {
        self.replies.len()
    }

    /// One of them: a line with its ending, or a datagram.
    pub fn reply(&self, index: usize) -> &[u8] {
        self.replies
            .get(index)
            .and_then(|range| self.text.get(range.clone()))
            .unwrap_or_default()
    }

    /// Nothing is there any more.
    pub fn clear(&mut self) {
        self.text.clear();
        self.replies.clear();
    }

    /// Reads a stream, after the beginning of a line, and leaves the beginning of the next there.
    ///
    /// # Errors
    /// The stream is at its end, for good or bad. What came before that is on the bench.
    pub fn read<S: Stream>(
        &mut self,
        stream: &mut Latched<S>,
        partial: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        self.clear();
        self.text.append(partial);
        let outcome = self.fill(stream);
        self.split_lines(partial);
        outcome
    }

    fn fill<S: Stream>(&mut self, stream: &mut Latched<S>) -> Result<(), Failure> {
        let bytes = &mut self.slots.bytes;
        let window = bytes.get_mut(..SLOT_MAX_BYTES).unwrap_or_default();
        let end = self.text.len() + TURN_BUDGET_BYTES;
        while stream.is_readable() && self.text.len() < end {
            match stream.read(window) {
                Attempt::Done(0) => return Err(Failure::Closed),
                Attempt::Done(len) => self
                    .text
                    .extend_from_slice(window.get(..len).unwrap_or_default()),
                Attempt::Blocked => {}
                Attempt::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn split_lines(&mut self, partial: &mut Vec<u8>) {
        let mut start = 0;
        while let Some(at) = memchr(b'\n', self.text.get(start..).unwrap_or_default()) {
            let end = start + at + 1;
            self.replies.push(start..end);
            start = end;
        }
        partial.extend_from_slice(self.text.get(start..).unwrap_or_default());
    }

    /// Receives datagrams.
    ///
    /// # Errors
    /// The socket has failed, or the network tells of a datagram that nobody took.
    pub fn receive<D: Datagrams>(&mut self, socket: &mut Latched<D>) -> Result<(), Failure> {
        self.clear();
        for _ in 0..RECEIVES_PER_TURN {
            if !socket.is_readable() {
                break;
            }
            match socket.receive(&mut self.slots) {
                Attempt::Done(count) => self.take_datagrams(count),
                Attempt::Blocked => {}
                Attempt::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn take_datagrams(&mut self, count: usize) {
        let chunks = self.slots.bytes.chunks_exact(SLOT_MAX_BYTES);
        for (meta, slot) in self.slots.info.iter().zip(chunks).take(count) {
            let bytes = slot.get(..meta.len_bytes).unwrap_or_default();
            for datagram in bytes.chunks(meta.segment_bytes.max(1)) {
                let start = self.text.len();
                self.text.extend_from_slice(datagram);
                self.replies.push(start..self.text.len());
            }
        }
    }
}
