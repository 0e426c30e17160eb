//! Messages on a byte stream: lines, answered in the buffer that they were read into.
//!
//! ```text
//! ┌───────────┬──────────────┬─────────────┐
//! │ head room │ partial line │ read window │
//! └───────────┴──────────────┴─────────────┘
//!             ├─ replies ─┼─ unanswered ─┤
//! ```
//!
//! A pong is as long as its ping, so the usual batch is answered where it stands: the border
//! between replies and unanswered bytes moves to the right, and no byte is copied. A reply that is
//! shorter than its message, or none, opens a gap; a longer one needs one, and takes it from the
//! head room.

use std::ops::Range;

use memchr::memchr;

use super::{Kind, OTHER_REPLY_MAX_BYTES, PONG, ending, kind, turn_into_pong};
use crate::slices::part;

/// Whether a line ends in these bytes.
#[must_use]
pub fn ends_a_line(bytes: &[u8]) -> bool {
    memchr(b'\n', bytes).is_some()
}

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
}

/// The longest error line: the text, and as many digits as a `usize` can have.
const ERROR_LINE_MAX_BYTES: usize = 64;

impl Batch {
    /// A batch for reads of at most `window_bytes`, after partial lines of at most
    /// `max_message_bytes`.
    ///
    /// Its memory is `5 * window_bytes + max_message_bytes` and a little: the worst input is a
    /// window full of empty lines, each of one byte, each answered by the five of `pong\n`.
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

    /// Starts a batch of a partial line and the `fresh_len` bytes that followed it.
    pub fn begin(&mut self, partial: &[u8], fresh_len: usize) {
        let start = self.window_start - partial.len();
        self.bytes[start..self.window_start].copy_from_slice(partial);
        self.replies = start..start;
        self.unanswered = start..self.window_start + fresh_len;
    }

    /// Answers every whole line, until one is bad; `seen` is shown each message before it is
    /// answered.
    pub fn answer(&mut self, rules: Rules, mut seen: impl FnMut(&[u8])) -> Answered {
        let mut answered = Answered::default();
        loop {
            self.answer_pings(rules, &mut seen, &mut answered);
            let Some(at) = memchr(b'\n', self.partial()) else {
                break;
            };
            let end = self.unanswered.start + at + 1;
            self.answer_one(end, rules, &mut seen, &mut answered);
        }
        if self.unanswered.len() > rules.max_message_bytes {
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

    /// Answers the pings in front for as long as their replies go where they stand: the usual batch
    /// from its begin to its end, in a loop that keeps to registers.
    fn answer_pings(
        &mut self,
        rules: Rules,
        seen: &mut impl FnMut(&[u8]),
        answered: &mut Answered,
    ) {
        if self.replies.end != self.unanswered.start {
            return;
        }
        let unanswered = &mut self.bytes[self.unanswered.clone()];
        let mut done = 0;
        let mut pings = 0;
        while let Some(first) = unanswered.get(done..)
            && kind(first) == Kind::Ping
            && let Some(len) = ping_len(first)
            && len <= rules.max_message_bytes
        {
            // Pipelined pings are mostly of one length. Guessing it lets the processor begin with
            // the next while it still looks for this one's end.
            while let Some(ping) = unanswered.get_mut(done..)
                && kind(ping) == Kind::Ping
                && ping_len(ping) == Some(len)
            {
                seen(part(ping, ..len));
                turn_into_pong(ping);
                done += len;
                pings += 1;
            }
        }
        self.unanswered.start += done;
        self.replies.end = self.unanswered.start;
        answered.messages += pings;
        answered.replies += pings;
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

    /// The last thing that a client hears: why. What it sent after that is gone, and so not
    /// answered.
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

/// The length of the ping in front, its LF included; `None` if that has not come yet.
///
/// Pipelined pings are often a few bytes long, and for those a call of memchr costs more than all
/// the rest of their answer: the eight bytes after `ping` are looked at in one word.
fn ping_len(bytes: &[u8]) -> Option<usize> {
    const WORD: usize = PONG.len();
    let (_, tail) = bytes.split_at_checked(WORD)?;
    let near = tail
        .first_chunk()
        .and_then(|word| first_line_feed(u64::from_le_bytes(*word)));
    near.or_else(|| memchr(b'\n', tail)).map(|at| WORD + at + 1)
}

/// Which of a word's bytes, from the lowest on, is the first LF. A byte that is zero is the lowest
/// to borrow when one is subtracted from each:
/// <https://graphics.stanford.edu/~seander/bithacks.html>, "Determine if a word has a zero byte".
fn first_line_feed(word: u64) -> Option<usize> {
    const LOW_BITS: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);
    let zero_if_lf = word ^ u64::from_ne_bytes([b'\n'; 8]);
    let marks = zero_if_lf.wrapping_sub(LOW_BITS) & !zero_if_lf & HIGH_BITS;
    (marks != 0).then_some(marks.trailing_zeros() as usize / 8)
}
