//! The rule of the game, and nothing else: bytes in, bytes out.
//!
//! What starts with `ping`, in any mix of case, comes back with its `i` turned into `o`. What
//! starts with `pong` is never answered. Anything else is answered `pong`. A message's ending (LF,
//! CRLF or none) is the ending of its reply. Messages are bytes, not text.
//!
//! [`stream`] finds messages in a byte stream and answers them in place; [`datagram`] decides who
//! gets a datagram back. Nothing in here knows a socket, a clock or a log.
//!
//! ```
//! use pingpong::protocol::stream::{Batch, Rules};
//!
//! let rules = Rules { max_message_bytes: 65536, strict: false };
//! let mut batch = Batch::new(32 * 1024, rules.max_message_bytes);
//! let read = b"PING 42\r\npong\nhello\npin";
//! batch.window()[..read.len()].copy_from_slice(read);
//! batch.begin(b"", read.len());
//! let answered = batch.answer(rules, |_message| {});
//!
//! assert_eq!(batch.replies(), b"PONG 42\r\npong\n");
//! assert_eq!(batch.partial(), b"pin");
//! assert_eq!((answered.messages, answered.replies), (3, 2));
//! ```

pub mod datagram;
pub mod stream;

/// What a message is to this game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Starts with `ping`: answered by the same bytes with `o` for `i`.
    Ping,
    /// Starts with `pong`: a reply, and replies are never replied to.
    Pong,
    /// Anything else: answered by `pong` and the message's own ending.
    Other,
}

/// The reply to a message that is neither a ping nor a pong, without its ending.
pub const PONG: &[u8; 4] = b"pong";

/// The longest reply to a message of [`Kind::Other`]: `pong\r\n`.
pub const OTHER_REPLY_MAX_BYTES: usize = PONG.len() + 2;

/// The bit in which ASCII capitals differ from small letters, in each of four bytes.
const CASE_BITS: u32 = u32::from_ne_bytes([0x20; 4]);
const PING_WORD: u32 = u32::from_ne_bytes(*b"ping");
const PONG_WORD: u32 = u32::from_ne_bytes(*PONG);

/// Tells what a message is by its first four bytes. Its ending may be on it or not: no ending can
/// be taken for a letter.
#[must_use]
pub fn kind(message: &[u8]) -> Kind {
    // Setting the case bit maps exactly `P` and `p` to `p`, and so on: no other byte becomes a
    // letter of these two words.
    match message
        .first_chunk()
        .map(|head| u32::from_ne_bytes(*head) | CASE_BITS)
    {
        Some(PING_WORD) => Kind::Ping,
        Some(PONG_WORD) => Kind::Pong,
        _ => Kind::Other,
    }
}

/// Turns a message of [`Kind::Ping`] into its reply, in place.
pub fn turn_into_pong(ping: &mut [u8]) {
    if let Some(i) = ping.get_mut(1) {
        *i ^= b'i' ^ b'o';
    }
}

/// The ending of a message: CRLF, LF or nothing.
#[must_use]
pub fn ending(message: &[u8]) -> &'static [u8] {
    match message {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    }
}
