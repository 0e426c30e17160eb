//! Messages on a stream: any bytes in any pieces have the replies that the model gives to the
//! whole.

use pingpong::inside::protocol::stream::{Answered, BadLine, Batch, Rules};
use pingpong::inside::server::connection::WINDOW_BYTES;
use proptest::prelude::*;

use super::TABLE;
use crate::model::{self, Conversation};
use crate::support::cases;

const RULES: Rules = Rules {
    max_message_bytes: 65536,
    strict: false,
};

/// Feeds a stream to a batch in pieces, each as one read, the way that a connection does.
fn feed<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    ends: bool,
    window_bytes: usize,
    rules: Rules,
) -> Conversation {
    let mut batch = Batch::new(window_bytes, rules.max_message_bytes);
    let mut told = model::converse(b"", false, 1, false);
    let mut messages = Vec::new();
    let mut take = |answered: Answered, replies: &[u8]| {
        told.replies.extend_from_slice(replies);
        told.reply_count += answered.replies;
        told.refused = answered.bad.is_some();
        answered.messages
    };
    let mut counted = 0;
    let mut partial = Vec::new();
    for piece in pieces {
        batch.window()[..piece.len()].copy_from_slice(piece);
        batch.begin(&partial, piece.len());
        let answered = batch.answer(rules, |message| messages.push(message.to_vec()));
        counted += take(answered, batch.replies());
        partial = batch.partial().to_vec();
        if answered.bad.is_some() {
            assert!(partial.is_empty(), "what follows a bad line is not kept");
            told.messages = messages;
            assert_eq!(counted, told.messages.len() as u64);
            return told;
        }
    }
    if ends {
        batch.begin(&partial, 0);
        let answered = batch.answer_last(rules, |message| messages.push(message.to_vec()));
        counted += take(answered, batch.replies());
        assert!(batch.partial().is_empty());
    }
    told.messages = messages;
    assert_eq!(counted, told.messages.len() as u64);
    told
}

fn feed_whole(stream: &[u8], ends: bool, rules: Rules) -> Conversation {
    feed([stream], ends, stream.len().max(1), rules)
}

#[test]
fn every_row_of_the_table() {
    for (message, reply) in TABLE {
        // Rows with a line's end inside are rows about datagrams.
        if message.iter().rev().skip(1).any(|byte| *byte == b'\n') {
            continue;
        }
        let ends = !message.ends_with(b"\n");
        let told = feed_whole(message, ends, RULES);
        let shown = message.escape_ascii();
        assert_eq!(told.replies, reply.unwrap_or_default(), "{shown}");
        assert_eq!(told.reply_count, u64::from(reply.is_some()), "{shown}");
        assert_eq!(told.messages, [message.to_vec()], "{shown}");
    }
}

#[test]
fn an_empty_line_is_a_message_and_an_empty_stream_is_none() {
    assert_eq!(feed_whole(b"\n", false, RULES).replies, b"pong\n");
    assert_eq!(feed_whole(b"\r\n", false, RULES).replies, b"pong\r\n");
    assert_eq!(feed_whole(b"\r", true, RULES).replies, b"pong");
    assert_eq!(feed_whole(b"", true, RULES).replies, b"");
    assert_eq!(feed_whole(b"ping\n", true, RULES).replies, b"pong\n");
}

/// A message as long as the limit is answered, one byte more is refused, whichever way it ends. An
/// ending counts.
#[test]
fn the_limit_is_exact() {
    let max_message_bytes = 20;
    let rules = Rules {
        max_message_bytes,
        strict: false,
    };
    for ending in ["\n", "\r\n", ""] {
        for len in [
            max_message_bytes - 1,
            max_message_bytes,
            max_message_bytes + 1,
        ] {
            let body_len = len - ending.len();
            let line = format!("ping{}{ending}", "x".repeat(body_len - 4));
            let stream = format!("PING\n{line}");
            let told = feed_whole(stream.as_bytes(), true, rules);
            let expected = if len > max_message_bytes {
                "PONG\nerror message longer than 20 bytes\n".to_owned()
            } else {
                format!("PONG\n{}", line.replacen('i', "o", 1))
            };
            assert_eq!(told.replies, expected.as_bytes(), "{len} bytes, {ending:?}");
            assert_eq!(told.refused, len > max_message_bytes);
        }
    }
}

/// It is refused as soon as it is too long, not only when it ends: it may never end.
#[test]
fn a_line_that_does_not_end_is_refused_in_time() {
    let rules = Rules {
        max_message_bytes: 5,
        strict: false,
    };
    assert!(!feed_whole(b"12345", false, rules).refused);
    assert!(feed_whole(b"123456", false, rules).refused);
}

#[test]
fn strict_answers_pings_only() {
    let strict = Rules {
        strict: true,
        ..RULES
    };
    let told = feed_whole(b"ping 1\npong\nPING\r\nhello\nping 2\n", false, strict);
    assert_eq!(told.replies, b"pong 1\nPONG\r\nerror not a ping\n");
    assert_eq!((told.messages.len(), told.reply_count), (4, 2));
    let told = feed_whole(b"hello", true, strict);
    assert_eq!(told.replies, b"error not a ping\n");
}

#[test]
fn a_bad_line_says_which_kind() {
    let kind = |stream: &[u8], rules: Rules| {
        let mut batch = Batch::new(64, rules.max_message_bytes);
        batch.window()[..stream.len()].copy_from_slice(stream);
        batch.begin(&[], stream.len());
        batch.answer(rules, |_| {}).bad
    };
    let small = Rules {
        max_message_bytes: 6,
        strict: true,
    };
    assert_eq!(kind(b"ping\n", small), None);
    assert_eq!(kind(b"hello\n", small), Some(BadLine::NotAPing));
    assert_eq!(kind(b"ping 1\n", small), Some(BadLine::TooLong));
}

/// The worst growth: every byte of a full window its own message, five bytes of reply for each;
/// after a partial line, and with an error line behind it all.
#[test]
fn the_worst_growth_fits() {
    for window_bytes in [1, 2, 3, 4, 5, 31, 64, 1000] {
        for max_message_bytes in [1, 2, 3, 5, 64, 1000, 65536] {
            let rules = Rules {
                max_message_bytes,
                strict: false,
            };
            for unit in ["\n", "\r\n", "x\n", "\n\n\r\n"] {
                for partial_len in [0, 1, max_message_bytes / 2, max_message_bytes - 1] {
                    for bad_len in [0, 1, 2, max_message_bytes + 1] {
                        let partial = "x".repeat(partial_len);
                        let bad = "y".repeat(bad_len.min(window_bytes));
                        let filler = unit.repeat(window_bytes);
                        let window = format!("{}{bad}", &filler[..window_bytes - bad.len()]);
                        grow(&partial, &window, rules);
                    }
                }
            }
        }
    }
}

/// The same in the sizes that a server has.
#[test]
fn the_worst_growth_fits_into_a_servers_batch() {
    for line in ["\n", "\r\n"] {
        let window = line.repeat(WINDOW_BYTES / line.len());
        grow("", &window, RULES);
        grow(&"x".repeat(RULES.max_message_bytes), &window, RULES);
        grow(&"x".repeat(RULES.max_message_bytes - 1), &window, RULES);
    }
}

fn grow(partial: &str, window: &str, rules: Rules) {
    let mut batch = Batch::new(window.len(), rules.max_message_bytes);
    batch.window().copy_from_slice(window.as_bytes());
    batch.begin(partial.as_bytes(), window.len());
    batch.answer(rules, |_| {});
    let stream = format!("{partial}{window}");
    let told = model::converse(
        stream.as_bytes(),
        false,
        rules.max_message_bytes,
        rules.strict,
    );
    assert!(
        batch.replies() == told.replies,
        "a window of {} bytes after a partial line of {}, {rules:?}",
        window.len(),
        partial.len()
    );
}

/// Streams in which something happens: words and endings rather than noise, and some noise.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        4 => Just(b"ping".to_vec()),
        2 => Just(b"PoNg".to_vec()),
        2 => Just(b"PING 7".to_vec()),
        2 => Just(b"hello".to_vec()),
        1 => Just(b"pin".to_vec()),
        6 => Just(b"\n".to_vec()),
        4 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn any_bytes_in_any_pieces(
        stream in streams(),
        ends in any::<bool>(),
        lens in prop::collection::vec(1usize..40, 1..8),
        max_message_bytes in prop_oneof![1usize..12, 12usize..400],
        strict in any::<bool>(),
    ) {
        let rules = Rules { max_message_bytes, strict };
        let mut rest = &stream[..];
        let mut pieces = Vec::new();
        for len in lens.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*len).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let expected = model::converse(&stream, ends, max_message_bytes, strict);
        let told = feed(pieces, ends, 40, rules);
        if expected.refused {
            // How much of a line that is too long was seen depends on the pieces; all else does
            // not.
            let sound = expected.messages.len() - 1;
            prop_assert_eq!(&told.messages[..sound], &expected.messages[..sound]);
            prop_assert_eq!(told.messages.len(), expected.messages.len());
        } else {
            prop_assert_eq!(&told.messages, &expected.messages);
        }
        prop_assert_eq!(told.refused, expected.refused);
        prop_assert_eq!(told.reply_count, expected.reply_count);
        prop_assert_eq!(told.replies.escape_ascii().to_string(),
            expected.replies.escape_ascii().to_string());
    }
}
