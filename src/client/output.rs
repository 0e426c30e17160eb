//! Results on standard output, without ever waiting for who reads them.

use std::io::{self, Write};

use crate::outlet::PIPE_PIECE_MAX_BYTES;
use crate::reactor::attempt::{Attempt, attempt, is_reset};

/// How much text waits for its reader, at most; further lines are left out, and counted.
pub const WAITING_MAX_BYTES: usize = 256 * 1024;

/// Text on its way out.
#[derive(Debug)]
pub struct Output<W> {
    writer: W,
    waiting: Vec<u8>,
    left_out: u64,
    failure: Option<io::Error>,
}

impl<W: Write> Output<W> {
    /// An output to a writer that says so where it would block.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            waiting: Vec::new(),
            left_out: 0,
            failure: None,
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
            let piece = rest.get(..PIPE_PIECE_MAX_BYTES).unwrap_or(rest);
            match attempt(|| self.writer.write(piece)) {
                Attempt::Done(0) | Attempt::Blocked => break,
                Attempt::Done(len) => sent_len += len,
                Attempt::Failed(error) => {
                    self.failure = Some(error);
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

    /// How many bytes wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.len()
    }

    /// Nothing more can be written: the reader is gone, or the write failed.
    pub fn is_broken(&self) -> bool {
        self.failure.is_some()
    }

    /// Why nothing more can be written, unless it is only that the reader has had enough.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take().filter(|error| !is_reset(error))
    }

    /// How many texts were left out because too much waited.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}
