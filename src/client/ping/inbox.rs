//! What one connection or socket brought in one turn.

use std::net::SocketAddr;
use std::ops::Range;

use memchr::memchr_iter;

use super::failure::Failure;
use crate::reactor::attempt::Attempt;
use crate::reactor::kernel::{Datagrams, RecvSlots, SLOT_MAX_BYTES, Stream};
use crate::reactor::latch::Latched;
use crate::slices::part;

/// How many bytes of one connection are read in one turn of the loop, at most one read more. Until
/// then it is read to its end, so that no ping is sent on a connection that the peer has closed.
const TURN_BUDGET_BYTES: usize = 64 * 1024;

/// How many times a datagram socket is received from in one turn of the loop, at most.
const RECEIVES_PER_TURN: usize = 16;

/// Where everything is received to, one connection or socket after the other.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    slots: RecvSlots,
    bytes: Vec<u8>,
    replies: Vec<Arrived>,
}

#[derive(Debug)]
struct Arrived {
    place: Range<usize>,
    /// Who sent it, of a datagram.
    source: Option<SocketAddr>,
}

impl Inbox {
    /// How many replies came.
    pub(super) fn len(&self) -> usize {
        self.replies.len()
    }

    /// One of them: a line with its ending, or a datagram and who sent it.
    pub(super) fn reply(&self, index: usize) -> (&[u8], Option<SocketAddr>) {
        let Some(reply) = self.replies.get(index) else {
            return (&[], None);
        };
        let bytes = part(&self.bytes, reply.place.clone());
        (bytes, reply.source)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.replies.clear();
    }

    /// Reads a stream, after the beginning of a line, and leaves the beginning of the next there.
    ///
    /// # Errors
    /// The stream is at its end, for good or bad. What came before that is in the inbox.
    pub(super) fn read<S: Stream>(
        &mut self,
        stream: &mut Latched<S>,
        partial: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        self.bytes.append(partial);
        let outcome = self.fill(stream);
        let mut start = 0;
        for at in memchr_iter(b'\n', &self.bytes) {
            let place = start..at + 1;
            start = place.end;
            self.replies.push(Arrived {
                place,
                source: None,
            });
        }
        partial.extend_from_slice(part(&self.bytes, start..));
        outcome
    }

    fn fill<S: Stream>(&mut self, stream: &mut Latched<S>) -> Result<(), Failure> {
        let window = self.slots.bytes.get_mut(..SLOT_MAX_BYTES);
        let window = window.unwrap_or_default();
        let end = self.bytes.len() + TURN_BUDGET_BYTES;
        while stream.is_readable() && self.bytes.len() < end {
            match stream.read(window) {
                Attempt::Done(0) => return Err(Failure::Closed),
                Attempt::Done(len) => {
                    let read = part(window, ..len);
                    self.bytes.extend_from_slice(read);
                }
                Attempt::Blocked => {}
                Attempt::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Receives datagrams.
    ///
    /// # Errors
    /// The socket has failed, or the network tells of a datagram that nobody took. What came before
    /// that is in the inbox.
    pub(super) fn receive<D: Datagrams>(&mut self, socket: &mut Latched<D>) -> Result<(), Failure> {
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
        let slots = self.slots.bytes.chunks_exact(self.slots.slot_bytes);
        for (meta, slot) in self.slots.info.iter().zip(slots).take(count) {
            let bytes = part(slot, ..meta.len_bytes);
            let segments = bytes.chunks(meta.segment_bytes.max(1));
            // An empty datagram is one, too.
            let empty = bytes.is_empty().then_some(bytes);
            for datagram in segments.chain(empty) {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(datagram);
                self.replies.push(Arrived {
                    place: start..self.bytes.len(),
                    source: meta.source.socket_addr(),
                });
            }
        }
    }
}
