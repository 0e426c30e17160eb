//! The ping that a client sends, and the pong that must come back.
//!
//! A message is `ping`, the payload and LF. The payload bears the ping's number, so that a late
//! reply, a duplicate or one to another ping can be told: ` 17 abcdef...`. A payload that is too
//! short for the whole number bears its last digits, as ICMP's sequence numbers wrap too; one
//! without room for a digit bears none.

use crate::protocol::turn_into_pong;

/// The longest payload: with it, the message just fits into a UDP datagram over IPv4 (65,535 less
/// both headers).
pub const PAYLOAD_MAX_BYTES: usize = 65_507 - FRAME_BYTES;

/// What stands around the payload: `ping` and LF.
const FRAME_BYTES: usize = WORD.len() + 1;

const WORD: &[u8; 4] = b"ping";

/// As many digits as a number of 64 bits always has room in.
const DIGITS_MAX: usize = 19;

/// What fills the payload behind the number.
const FILLER: std::ops::RangeInclusive<u8> = b'a'..=b'z';

/// How a client's pings look.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    payload_bytes: usize,
    /// Numbers are told apart up to this.
    modulus: u64,
}

impl Template {
    /// Pings with a payload of so many bytes, at most [`PAYLOAD_MAX_BYTES`].
    #[must_use]
    pub fn new(payload_bytes: usize) -> Self {
        let digits = payload_bytes.saturating_sub(1).min(DIGITS_MAX);
        Self {
            payload_bytes: payload_bytes.min(PAYLOAD_MAX_BYTES),
            modulus: (0..digits).fold(1, |modulus, _| modulus * 10),
        }
    }

    /// How long each message is, and each reply.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        self.payload_bytes + FRAME_BYTES
    }

    /// Two pings whose numbers differ by a multiple of this are the same bytes.
    #[must_use]
    pub const fn modulus(&self) -> u64 {
        self.modulus
    }

    /// Writes the ping with this number, in place of what `message` held.
    pub fn write_ping(&self, number: u64, message: &mut Vec<u8>) {
        message.clear();
        message.extend_from_slice(WORD);
        if self.modulus > 1 {
            message.extend_from_slice(format!(" {}", number % self.modulus).as_bytes());
        }
        let end = WORD.len() + self.payload_bytes;
        if message.len() < end {
            message.push(b' ');
        }
        let filled = message.len();
        message.extend(FILLER.cycle().take(end - filled));
        message.push(b'\n');
    }

    /// Writes the pong that belongs to the ping with this number, in place of what `message` held.
    pub fn write_pong(&self, number: u64, message: &mut Vec<u8>) {
        self.write_ping(number, message);
        turn_into_pong(message);
    }

    /// The number that a reply claims to bear, as far as it can be read. Whether all its bytes are
    /// right is for a comparison with [`Template::write_pong`] to say.
    #[must_use]
    pub fn number(&self, reply: &[u8]) -> Option<u64> {
        if self.modulus == 1 {
            return Some(0);
        }
        let digits = reply.get(WORD.len() + 1..)?;
        let len = digits
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(digits.len());
        let number = std::str::from_utf8(digits.get(..len)?).ok()?.parse().ok()?;
        (number < self.modulus).then_some(number)
    }
}
