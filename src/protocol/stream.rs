//! Messages on a byte stream: lines, answered in the buffer that they were read into.
//!
//! ```text
//!            replies           unanswered
//!          ┌─────────┐     ┌───────────────┐
//! ─────────┴─────────┴─────┴───────────────┴──────────
//! 0     head room    │     │  partial line │ read window
//! ```
//!
//! A pong is as long as its ping, so the usual batch is answered where it stands: the border between
//! replies and unanswered bytes moves to the right, and no byte is copied. A reply that is shorter
//! than its message, or none, opens a gap; a longer one needs one, and takes it from the head room.

use std::ops::Range;

use memchr::memchr;

use super::{Kind, OTHER_REPLY_MAX_BYTES, PONG, ending, kind, turn_into_pong};

/// What the operator may set about messages.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The longest message on a stream, its ending included, in bytes.
    pub max_message_bytes: usize,
    /// Answer pings only.
    pub strict: bool,
}

/// A line that ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLine {
    /// Longer than [`Rules::max_message_bytes`].
    TooLong,
    /// Neither ping nor pong, under [`Rules::strict`].
    NotAPing,
}

/// What [`Batch::answer`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Whole messages found.
    pub messages: u64,
    /// Those of them that got a reply. The error line after a bad line is not one.
    pub replies: u64,
    /// The line after which nothing more is answered. Its error line is the last of the replies.
    pub bad: Option<BadLine>,
}

/// One read's worth of a stream, with the partial line before it and the replies to it.
#[derive(Debug)]
pub struct Batch {
    bytes: Box<[u8]>,
    /// Where the kernel puts what it read. Everything before it is head room and partial line.
    window_start: usize,
    replies: Range<usize>,
    unanswered: Range<usize>,
    /// No line ends between the start of `unanswered` and here.
    scanned: usize,
}

/// The longest error line: the text, and as many digits as a `usize` can have.
const ERROR_LINE_MAX_BYTES: usize = 64;

impl Batch {
    /// A batch for reads of at most `window_bytes`, after partial lines of at most `max_message_bytes`.
    ///
    /// Its memory is `5 * window_bytes + max_message_bytes` and a little: the worst input is a window full of
    /// empty lines, each of one byte, each answered by the five of `pong\n`.
    #[must_use]
    pub fn new(window_bytes: usize, max_message_bytes: usize) -> Self {
        let growth_bytes = window_bytes * (OTHER_REPLY_MAX_BYTES - 2);
        let window_start =
            growth_bytes + OTHER_REPLY_MAX_BYTES + ERROR_LINE_MAX_BYTES + max_message_bytes;
        Self {
            bytes: vec![0; window_start + window_bytes].into_boxed_slice(),
            window_start,
            replies: 0..0,
            unanswered: 0..0,
            scanned: 0,
        }
    }

    /// Where to read the next bytes of the stream to.
    pub fn window(&mut self) -> &mut [u8] {
        &mut self.bytes[self.window_start..]
    }

    /// The first `len` bytes of the window: what was just read.
    #[must_use]
    pub fn fresh(&self, len: usize) -> &[u8] {
        &self.bytes[self.window_start..][..len]
    }

    /// Starts a batch of a partial line, in which no line ends, and the `fresh_len` bytes that followed it.
    pub fn begin(&mut self, partial: &[u8], fresh_len: usize) {
        let start = self.window_start - partial.len();
        self.bytes[start..self.window_start].copy_from_slice(partial);
        self.replies = start..start;
        self.unanswered = start..self.window_start + fresh_len;
        self.scanned = self.window_start;
    }

    /// Answers every whole line, until one is bad; `seen` is shown each message before it is answered.
    pub fn answer(&mut self, rules: Rules, mut seen: impl FnMut(&[u8])) -> Answered {
        let mut answered = Answered::default();
        while answered.bad.is_none()
            && let Some(at) = memchr(b'\n', &self.bytes[self.scanned..self.unanswered.end])
        {
            let end = self.scanned + at + 1;
            self.answer_one(end, rules, &mut seen, &mut answered);
        }
        if answered.bad.is_none() && self.unanswered.len() > rules.max_message_bytes {
            // Too long already: it is refused without waiting for its end, which may never come.
            self.answer_one(self.unanswered.end, rules, &mut seen, &mut answered);
        }
        answered
    }

    /// Answers what stands before the end of the stream without an ending, if anything does.
    pub fn answer_last(&mut self, rules: Rules, mut seen: impl FnMut(&[u8])) -> Answered {
        let mut answered = Answered::default();
        if !self.unanswered.is_empty() {
            self.answer_one(self.unanswered.end, rules, &mut seen, &mut answered);
        }
        answered
    }

    /// The replies, in the order of their messages.
    #[must_use]
    pub fn replies(&self) -> &[u8] {
        &self.bytes[self.replies.clone()]
    }

    /// The line that has begun and not ended.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        &self.bytes[self.unanswered.clone()]
    }

    /// Takes the message that ends before `end` off the unanswered bytes and answers it.
    fn answer_one(
        &mut self,
        end: usize,
        rules: Rules,
        seen: &mut impl FnMut(&[u8]),
        answered: &mut Answered,
    ) {
        let line = self.unanswered.start..end;
        self.unanswered.start = end;
        self.scanned = end;
        let message = &mut self.bytes[line.clone()];
        answered.messages += 1;
        seen(message);
        if message.len() > rules.max_message_bytes {
            return self.refuse(BadLine::TooLong, rules, answered);
        }
        match kind(message) {
            Kind::Ping => {
                turn_into_pong(message);
                self.reply_in_place(line);
            }
            Kind::Pong => return,
            Kind::Other if rules.strict => return self.refuse(BadLine::NotAPing, rules, answered),
            Kind::Other => {
                let ending = ending(message);
                self.reply(&[PONG, ending]);
            }
        }
        answered.replies += 1;
    }

    fn reply_in_place(&mut self, line: Range<usize>) {
        let len = line.len();
        if line.start != self.replies.end {
            self.bytes.copy_within(line, self.replies.end);
        }
        self.replies.end += len;
    }

    fn reply(&mut self, parts: &[&[u8]]) {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if self.replies.end + len > self.unanswered.start {
            // Into the head room, once a batch: `new` made it large enough for the worst of them.
            self.bytes.copy_within(self.replies.clone(), 0);
            self.replies = 0..self.replies.len();
        }
        for part in parts {
            self.bytes[self.replies.end..][..part.len()].copy_from_slice(part);
            self.replies.end += part.len();
        }
    }

    /// The last thing that a client hears: why. What it sent after that is not answered.
    fn refuse(&mut self, bad: BadLine, rules: Rules, answered: &mut Answered) {
        self.unanswered.start = self.unanswered.end;
        match bad {
            BadLine::TooLong => {
                let text = format!(
                    "error message longer than {} bytes\n",
                    rules.max_message_bytes
                );
                self.reply(&[text.as_bytes()]);
            }
            BadLine::NotAPing => self.reply(&[b"error not a ping\n"]),
        }
        answered.bad = Some(bad);
    }
}
