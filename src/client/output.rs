//! Results on standard output, without ever waiting for who reads them.

use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::reactor::attempt::{Attempt, attempt, would_block};

/// How much text waits for its reader, at most; further lines are left out, and counted.
pub const WAITING_MAX_BYTES: usize = 256 * 1024;

/// How much is written at once: what poll(2) promises room for on a pipe (`PIPE_BUF` on Linux).
const PIECE_MAX_BYTES: usize = 4096;

/// Text on its way out.
#[derive(Debug)]
pub struct Output<W> {
    writer: W,
    waiting: Vec<u8>,
    left_out: u64,
    broken: bool,
}

impl<W: Write> Output<W> {
    /// An output to a writer that says so where it would block.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            waiting: Vec::new(),
            left_out: 0,
            broken: false,
        }
    }

    /// Puts a text behind what waits: all of it, or none where too much waits already.
    pub fn push(&mut self, text: &str) {
        if self.waiting.len() + text.len() > WAITING_MAX_BYTES {
            self.left_out += 1;
        } else {
            self.waiting.extend_from_slice(text.as_bytes());
        }
    }

    /// Puts a text behind what waits, however much that is: the one that nobody may miss.
    pub fn push_last(&mut self, text: &str) {
        self.waiting.extend_from_slice(text.as_bytes());
    }

    /// Writes what the reader takes.
    pub fn flush(&mut self) {
        let mut sent_len = 0;
        while let Some(rest) = self.waiting.get(sent_len..).filter(|it| !it.is_empty()) {
            let piece = rest.get(..PIECE_MAX_BYTES).unwrap_or(rest);
            match attempt(|| self.writer.write(piece)) {
                Attempt::Done(len) => sent_len += len,
                Attempt::Blocked => break,
                Attempt::Failed(_) => {
                    self.broken = true;
                    sent_len = self.waiting.len();
                }
            }
        }
        self.waiting.drain(..sent_len);
    }

    /// Nothing waits to be written.
    pub fn is_flushed(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Nobody reads any more.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// How many texts were left out because too much waited.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// A descriptor that is asked with poll(2) before each write.
///
/// Making it non-blocking would do that too, but for every process that shares it: the flag belongs
/// to the open file, not to the descriptor (fcntl(2), O_NONBLOCK).
#[derive(Debug)]
pub struct PollFirst<F>(pub F);

impl<F: AsFd> Write for PollFirst<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut fds = [PollFd::new(&self.0, PollFlags::OUT)];
        poll(&mut fds, Some(&Timespec::default()))?;
        // A reader that has gone away is an event too; the write says so.
        if fds.iter().all(|fd| fd.revents().is_empty()) {
            return Err(would_block());
        }
        Ok(rustix::io::write(&self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
