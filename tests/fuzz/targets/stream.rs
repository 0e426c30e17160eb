//! Lines on a stream: any bytes in any pieces get the replies that the plain rule gives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pingpong::inside::protocol::stream::{Batch, Rules};

#[allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared with the tests"
)]
#[path = "../../it/sim/reference.rs"]
mod reference;

const WINDOW_BYTES: usize = 16;

// The first byte sets the rules, the second the length of a piece; the rest is the stream.
fuzz_target!(|data: &[u8]| {
    let [rules, piece, stream @ ..] = data else {
        return;
    };
    let rules = Rules {
        max_message_bytes: usize::from(rules >> 1) + 1,
        strict: rules & 1 == 1,
    };
    let piece = usize::from(*piece) % WINDOW_BYTES + 1;
    let mut plain = reference::Reference::new(rules.max_message_bytes, rules.strict);
    let mut batch = Batch::new(WINDOW_BYTES, rules.max_message_bytes);
    let (mut partial, mut replies) = (Vec::new(), Vec::new());
    let mut is_bad = false;
    for piece in stream.chunks(piece) {
        batch.window()[..piece.len()].copy_from_slice(piece);
        batch.begin(&partial, piece.len());
        is_bad = batch.answer(rules, |_| ()).bad.is_some();
        replies.extend_from_slice(batch.replies());
        partial = batch.partial().to_vec();
        plain.feed(piece);
        assert_eq!(is_bad, plain.is_bad);
        assert!(partial.len() <= rules.max_message_bytes);
        if is_bad {
            break;
        }
    }
    if !is_bad {
        batch.begin(&partial, 0);
        batch.answer_last(rules, |_| ());
        replies.extend_from_slice(batch.replies());
        plain.end();
    }
    assert_eq!(replies, plain.expected);
});
