//! The rule of the game: the table row by row, then anything at all against the plain model.

mod datagram;
mod stream;

use pingpong::inside::protocol::{Kind, ending, kind, turn_into_pong};
use proptest::prelude::*;

use crate::model;
use crate::support::cases;

/// The table: a message, its reply. The stream's tests and the datagrams' both go through it.
pub(crate) const TABLE: &[(&[u8], Option<&[u8]>)] = &[
    // Starts with ping, in any mix of case: same bytes, i to o, I to O; same ending.
    (b"ping", Some(b"pong")),
    (b"ping\n", Some(b"pong\n")),
    (b"ping\r\n", Some(b"pong\r\n")),
    (b"PING\r\n", Some(b"PONG\r\n")),
    (b"Ping\n", Some(b"Pong\n")),
    (b"pInG\n", Some(b"pOnG\n")),
    (b"PiNg\n", Some(b"PoNg\n")),
    (b"ping 42 1732287600\n", Some(b"pong 42 1732287600\n")),
    (b"pingping\n", Some(b"pongping\n")),
    (b"ping ping\n", Some(b"pong ping\n")),
    (b"pingi\n", Some(b"pongi\n")),
    (b"ping\r", Some(b"pong\r")),
    (b"ping\r\r\n", Some(b"pong\r\r\n")),
    (b"ping\r \n", Some(b"pong\r \n")),
    (b"ping\0\xff\xc3\x28\n", Some(b"pong\0\xff\xc3\x28\n")),
    // Starts with pong: none.
    (b"pong", None),
    (b"pong\n", None),
    (b"PONG\r\n", None),
    (b"pOnGping\n", None),
    (b"pong 1\r\n", None),
    // Anything else: pong and the message's own ending.
    (b"hello pdudo\n", Some(b"pong\n")),
    (b"hello\r\n", Some(b"pong\r\n")),
    (b"hello", Some(b"pong")),
    (b" ping\n", Some(b"pong\n")),
    (b"pin\n\n", Some(b"pong\n")),
    (b"pinq\n", Some(b"pong\n")),
    (b"0ing\n", Some(b"pong\n")),
    (b"PIN\r\n", Some(b"pong\r\n")),
    (b"\0\0\0\0\0\n", Some(b"pong\n")),
    (b"\xff\xfe\xfd\xfc\r\n", Some(b"pong\r\n")),
    (b"pink\n\r\n", Some(b"pong\r\n")),
];

#[test]
fn the_model_keeps_to_the_table() {
    for (message, reply) in TABLE {
        let shown = message.escape_ascii();
        assert_eq!(model::reply(message).as_deref(), *reply, "{shown}");
    }
}

/// A byte that differs from a letter in the case bit alone is a letter's capital, and no other byte
/// is taken for one: all 256 bytes in each of the four places.
#[test]
fn only_letters_make_a_ping() {
    for place in 0..4 {
        for byte in 0..=u8::MAX {
            for (word, is_kind) in [(*b"ping", Kind::Ping), (*b"pong", Kind::Pong)] {
                let mut message = word;
                message[place] = byte;
                let expected = match &message.to_ascii_lowercase()[..] {
                    b"ping" => Kind::Ping,
                    b"pong" => Kind::Pong,
                    _ => Kind::Other,
                };
                assert_eq!(kind(&message), expected, "{}", message.escape_ascii());
                if byte.eq_ignore_ascii_case(&word[place]) {
                    assert_eq!(expected, is_kind);
                }
            }
        }
    }
}

#[test]
fn an_ending_is_crlf_lf_or_nothing() {
    let rows: [(&[u8], &[u8]); 8] = [
        (b"", b""),
        (b"\n", b"\n"),
        (b"\r", b""),
        (b"\r\n", b"\r\n"),
        (b"\n\r", b""),
        (b"a\n\n", b"\n"),
        (b"a\r\r\n", b"\r\n"),
        (b"a\r\n ", b""),
    ];
    for (message, expected) in rows {
        assert_eq!(ending(message), expected, "{}", message.escape_ascii());
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Whatever it is turned from, a pong is a pong: never answered, so that no two servers talk
    /// for ever.
    #[test]
    fn no_reply_is_replied_to(
        head in "[pP][iI][nN][gG]",
        tail in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut message = [head.as_bytes(), &tail].concat();
        let ping = message.clone();
        turn_into_pong(&mut message);
        prop_assert_eq!(Some(message.clone()), model::reply(&ping));
        prop_assert_eq!(kind(&message), Kind::Pong);
        prop_assert_eq!(message.len(), ping.len());
    }
}
