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

/// What stands around a ping's payload: the word and LF.
pub const FRAME_BYTES: usize = PING.len() + 1;

/// The longest ping over UDP: what a packet over IPv4 can carry (65,535 less both headers).
pub const DATAGRAM_MAX_BYTES: usize = 65_507;

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
        let (high, low) = digits.split_at_mut(NUMBER_DIGITS / 2);
        high.copy_from_slice(&eight_digits(self.0 >> u32::BITS).to_be_bytes());
        low.copy_from_slice(&eight_digits(self.0 & u64::from(u32::MAX)).to_be_bytes());
        digits
    }

    /// Reads sixteen hexadecimal digits back. What is none makes some number or other: who reads
    /// from a stranger writes the number again, and compares.
    #[must_use]
    fn read(digits: &[u8]) -> Option<Self> {
        let (high, low) = digits.split_first_chunk()?;
        let low = low.first_chunk()?;
        let read = |digits: &[u8; 8]| of_eight_digits(u64::from_be_bytes(*digits));
        Some(Self(read(high) << u32::BITS | read(low)))
    }
}

const ONE_IN_EACH: u64 = 0x0101_0101_0101_0101;

/// Eight hexadecimal digits at once, each in a byte: 32 bits are spread to four in each byte, then
/// those above nine are found by the carry that six more makes, and moved up to the letters.
const fn eight_digits(bits: u64) -> u64 {
    let spread = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (spread + 6 * ONE_IN_EACH) >> 4 & ONE_IN_EACH;
    spread + b'0' as u64 * ONE_IN_EACH + (b'a' - b'9' - 1) as u64 * letters
}

/// The same backwards: a letter is told by its seventh bit, and stands for nine more than its
/// lowest four.
const fn of_eight_digits(digits: u64) -> u64 {
    let letters = digits >> 6 & ONE_IN_EACH;
    let spread = (digits & (0xf * ONE_IN_EACH)) + 9 * letters;
    let spread = (spread | spread >> 4) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread | spread >> 8) & 0x0000_ffff_0000_ffff;
    (spread | spread >> 16) & 0xffff_ffff
}

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

    /// Requests whose numbers differ by a multiple of this are the same bytes; `None` where each is
    /// different.
    #[must_use]
    pub fn modulus(&self) -> Option<u64> {
        let digits = u32::try_from(self.reply.digits.len()).unwrap_or(u32::MAX);
        16_u64.checked_pow(digits)
    }

    /// The last digits of the number in a reply that is, byte for byte, one to a request with these
    /// digits: the number modulo [`Script::modulus`]. `None` for any other reply, and where messages
    /// have no room for a digit, 0.
    pub fn last_digits(&mut self, reply: &[u8]) -> Option<u64> {
        let number = self.claimed_digits(reply)?;
        (self.reply(Number(number)) == reply).then_some(number)
    }

    /// The last digits of the number in a reply, whatever else is wrong with it. `None` where they
    /// cannot be read.
    #[must_use]
    pub fn claimed_digits(&self, reply: &[u8]) -> Option<u64> {
        let digits = reply.get(self.reply.digits.clone())?;
        match std::str::from_utf8(digits).ok()? {
            "" => Some(0),
            text => u64::from_str_radix(text, 16).ok(),
        }
    }

    /// The number of the request that `reply` belongs to; `None` if it is not, byte for byte, the
    /// reply to any request.
    pub fn number_of(&mut self, reply: &[u8]) -> Option<Number> {
        let number = Number::read(reply.get(self.reply.digits.clone())?)?;
        (self.reply(number) == reply).then_some(number)
    }
}
