//! The rule of the game once more, as slowly and plainly as it can be said: what the fast one is
//! compared with. It copies every byte, knows no buffers, and shares no code with the program.

/// What a server says to a whole stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) replies: Vec<u8>,
    /// Every message, in order, the bad one included.
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) reply_count: u64,
    /// The server ended it with an error line.
    pub(crate) refused: bool,
}

/// The reply to one message, its ending included on both sides; `None` to a pong.
pub(crate) fn reply(message: &[u8]) -> Option<Vec<u8>> {
    let first_four = message.get(..4).map(<[u8]>::to_ascii_lowercase);
    match first_four.as_deref() {
        Some(b"ping") => {
            let mut pong = message.to_vec();
            pong[1] = if message[1] == b'I' { b'O' } else { b'o' };
            Some(pong)
        }
        Some(b"pong") => None,
        _ if message.ends_with(b"\r\n") => Some(b"pong\r\n".to_vec()),
        _ if message.ends_with(b"\n") => Some(b"pong\n".to_vec()),
        _ => Some(b"pong".to_vec()),
    }
}

fn is_game(message: &[u8]) -> bool {
    let head = message.get(..4).map(<[u8]>::to_ascii_lowercase);
    head == Some(b"ping".to_vec()) || head == Some(b"pong".to_vec())
}

/// The conversation about a stream that ends after `stream`, or has only come so far.
pub(crate) fn converse(
    stream: &[u8],
    ends: bool,
    max_message_bytes: usize,
    strict: bool,
) -> Conversation {
    let mut told = Conversation {
        replies: Vec::new(),
        messages: Vec::new(),
        reply_count: 0,
        refused: false,
    };
    for message in stream.split_inclusive(|byte| *byte == b'\n') {
        let is_whole = message.ends_with(b"\n");
        let is_too_long = message.len() > max_message_bytes;
        if !is_whole && !ends && !is_too_long {
            break;
        }
        told.messages.push(message.to_vec());
        let error = if is_too_long {
            format!("error message longer than {max_message_bytes} bytes\n")
        } else if strict && !is_game(message) {
            "error not a ping\n".into()
        } else {
            if let Some(reply) = reply(message) {
                told.replies.extend(reply);
                told.reply_count += 1;
            }
            continue;
        };
        told.replies.extend(error.into_bytes());
        told.refused = true;
        break;
    }
    told
}
