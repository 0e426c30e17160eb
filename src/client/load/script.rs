//! What is sent and what has to come back, byte for byte. Pure.
//!
//! Every request of a run is as long as every other, and so is every reply. Which bytes a
//! connection has to send or to receive next is then a matter of counting: no request is stored
//! while it waits for room, no reply while it waits for its other half.

use std::ops::Range;

/// How many digits a full number has. Sixteen of four bits each: the lane above, the request below.
pub const NUMBER_DIGITS: usize = 16;

/// How many lanes a number can tell apart, and how many requests of each.
pub const LANES_MAX: usize = 1 << LANE_BITS;
const LANE_BITS: u32 = 20;
const REQUEST_BITS: u32 = u64::BITS - LANE_BITS;

/// The shortest ping: the word and the end of its line.
pub const PING_MIN_BYTES: usize = PING.len() + 1;
/// The shortest ping that carries a full number, which datagrams need.
pub const NUMBERED_PING_MIN_BYTES: usize = PING.len() + 1 + NUMBER_DIGITS + 1;

const PING: &[u8] = b"ping";
/// What fills a long ping. No two places near each other are alike, so a byte that moved is seen.
const FILL: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

/// The number of a request: which lane it belongs to, and which of that lane's requests it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(u64);

impl Number {
    /// Of a lane's request.
    #[must_use]
    pub const fn new(lane: usize, request: u64) -> Self {
        Self((lane as u64) << REQUEST_BITS | (request & (u64::MAX >> LANE_BITS)))
    }

    /// Which of its lane's requests it is.
    #[must_use]
    pub const fn request(self) -> u64 {
        self.0 & (u64::MAX >> LANE_BITS)
    }

    /// As sixteen hexadecimal digits.
    #[must_use]
    pub fn digits(self) -> [u8; NUMBER_DIGITS] {
        let mut digits = [0; NUMBER_DIGITS];
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit = DIGITS[(self.0 >> (4 * place) & 0xf) as usize];
        }
        digits
    }

    /// Reads sixteen hexadecimal digits back.
    #[must_use]
    pub fn read(digits: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(digits).ok()?;
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A message with a place for a number in it.
#[derive(Clone, Debug)]
struct Template {
    bytes: Vec<u8>,
    /// Where the number's last digits stand; empty where there is none.
    digits: Range<usize>,
}

impl Template {
    fn fixed(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            digits: 0..0,
        }
    }

    /// `word`, a space, as much of the number as there is room for, filling, LF.
    fn line(word: &[u8], len_bytes: usize) -> Self {
        let mut bytes = word.to_vec();
        bytes.push(b' ');
        let digits_at = bytes.len();
        let room = len_bytes.saturating_sub(digits_at + 1);
        bytes.resize(digits_at + room.min(NUMBER_DIGITS), b'0');
        let digits = digits_at..bytes.len();
        let fill = b" ".iter().chain(FILL.iter().cycle());
        bytes.extend(fill.take(room.saturating_sub(NUMBER_DIGITS)));
        bytes.truncate(len_bytes.saturating_sub(1));
        bytes.push(b'\n');
        Self { bytes, digits }
    }

    fn write(&mut self, number: Number) -> &[u8] {
        if !self.digits.is_empty() {
            let digits = number.digits();
            let room = self.digits.len();
            self.bytes[self.digits.clone()].copy_from_slice(&digits[NUMBER_DIGITS - room..]);
        }
        &self.bytes
    }
}

/// What is sent and what has to come back.
#[derive(Clone, Debug)]
pub struct Script {
    request: Template,
    reply: Template,
}

impl Script {
    /// Pings of a length, each with its number as far as there is room for it.
    #[must_use]
    pub fn pings(len_bytes: usize) -> Self {
        let len_bytes = len_bytes.max(PING_MIN_BYTES);
        Self {
            request: Template::line(PING, len_bytes),
            reply: Template::line(b"pong", len_bytes),
        }
    }

    /// The same request again and again, and the same reply to it. Neither may be empty.
    #[must_use]
    pub fn fixed(request: &[u8], reply: &[u8]) -> Self {
        debug_assert!(!request.is_empty() && !reply.is_empty());
        Self {
            request: Template::fixed(request),
            reply: Template::fixed(reply),
        }
    }

    /// How long a request is.
    #[must_use]
    pub fn request_bytes(&self) -> usize {
        self.request.bytes.len()
    }

    /// How long a reply is.
    #[must_use]
    pub fn reply_bytes(&self) -> usize {
        self.reply.bytes.len()
    }

    /// A request.
    pub fn request(&mut self, number: Number) -> &[u8] {
        self.request.write(number)
    }

    /// What has to come back for a request.
    pub fn reply(&mut self, number: Number) -> &[u8] {
        self.reply.write(number)
    }

    /// The number of the request that `reply` belongs to; `None` if it is not, byte for byte, the
    /// reply to any request.
    pub fn number_of(&mut self, reply: &[u8]) -> Option<Number> {
        let number = Number::read(reply.get(self.reply.digits.clone())?)?;
        (self.reply(number) == reply).then_some(number)
    }
}
