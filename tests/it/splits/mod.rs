//! Connections over a wire that cuts wherever it can: every split of what comes in, every short
//! write, and an edge only when the kernel owes one. The replies are always the model's.

mod wire;

use std::net::SocketAddr;

use pingpong::inside::protocol::stream::Rules;
use pingpong::inside::reactor::kernel::Readiness;
use pingpong::inside::server::connection::{Connection, FRESH_READ_BYTES, WINDOW_BYTES, Workbench};
use pingpong::inside::state::State;

use crate::model;
use wire::{Wire, WireEnd};

const LIMITED: Rules = Rules {
    max_message_bytes: 12,
    strict: false,
};
const STRICT: Rules = Rules {
    strict: true,
    ..LIMITED
};

/// What a client sends before it closes, and what the server was told to allow.
const CONVERSATIONS: &[(&[u8], Rules)] = &[
    (b"ping\nping\n", LIMITED),
    (b"ping\r\nhello\n", LIMITED),
    (b"ping 1\nhello", LIMITED),
    (b"\n\r\n\nping", LIMITED),
    (b"pong\nPING\r\n", LIMITED),
    (b"ping\r\n\r\r\nx", LIMITED),
    // As long as allowed, and one more, with what follows: an over-long line is the last one.
    (b"ping 89012\n", LIMITED),
    (b"ping 890123\n", LIMITED),
    (b"\nping 8901234", LIMITED),
    (b"ping\nhello\nping\n", STRICT),
    (b"hello", STRICT),
];

fn bench(rules: Rules) -> Workbench {
    Workbench::new(WINDOW_BYTES, rules)
}

/// What is kept comes in whole pages.
fn in_pages(bytes: usize) -> usize {
    bytes.next_multiple_of(4096)
}

/// A connection, its wire, and what it works on.
struct Talk<'a> {
    connection: Connection<WireEnd>,
    wire: Wire,
    bench: &'a mut Workbench,
}

impl<'a> Talk<'a> {
    /// Just accepted, and served at once.
    fn new(bench: &'a mut Workbench, room_bytes: usize, write_max_bytes: usize) -> Self {
        let (wire, end) = Wire::new(room_bytes, write_max_bytes);
        let peer: SocketAddr = ([192, 0, 2, 1], 5000).into();
        let mut talk = Self {
            connection: Connection::new(end, peer.into()),
            wire,
            bench,
        };
        talk.work();
        talk
    }

    /// Turns of the loop, until nothing is left to do.
    fn work(&mut self) {
        while self.connection.work(self.bench, WINDOW_BYTES).more {}
    }

    fn raise(&mut self, edge: Option<Readiness>) {
        if let Some(ready) = edge {
            self.connection.raise(ready);
            self.work();
        }
    }

    fn arrive(&mut self, bytes: &[u8]) {
        let edge = self.wire.arrive(bytes);
        self.raise(edge);
    }

    fn close(&mut self) {
        let edge = self.wire.close();
        self.raise(Some(edge));
    }

    fn make_room(&mut self, bytes: usize) {
        let edge = self.wire.make_room(bytes);
        self.raise(edge);
    }

    /// Everything has been sent and heard.
    fn assert_over(&self, stream: &[u8], how: &str) {
        let told = model::converse(
            stream,
            true,
            self.bench.rules.max_message_bytes,
            self.bench.rules.strict,
        );
        let shown = stream.escape_ascii();
        let sent = self.wire.sent();
        assert_eq!(
            sent.escape_ascii().to_string(),
            told.replies.escape_ascii().to_string(),
            "{shown}, {how}"
        );
        assert_eq!(self.connection.state(), State::Closed, "{shown}, {how}");
        assert_eq!(self.wire.write_closed(), told.refused, "{shown}, {how}");
        assert_eq!(self.connection.kept_bytes(self.bench), 0, "{shown}, {how}");
    }
}

/// Every way to cut a stream, as the lengths of its pieces: one bit for each place between two
/// bytes.
fn cuts(stream: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let places = stream.len() - 1;
    (0..1u32 << places).map(move |bits| {
        let mut pieces = Vec::new();
        let mut start = 0;
        for place in (0..places).filter(|place| bits >> place & 1 == 1) {
            pieces.push(&stream[start..=place]);
            start = place + 1;
        }
        pieces.push(&stream[start..]);
        pieces
    })
}

#[test]
fn every_split() {
    for (stream, rules) in CONVERSATIONS {
        let mut bench = bench(*rules);
        for pieces in cuts(stream) {
            let mut talk = Talk::new(&mut bench, usize::MAX, usize::MAX);
            for piece in &pieces {
                talk.arrive(piece);
            }
            talk.close();
            talk.assert_over(stream, &format!("{pieces:?}"));
        }
    }
}

/// The end of the stream comes in one event with the last bytes, as TCP likes to do it.
#[test]
fn every_split_with_the_end_in_the_last_piece() {
    for (stream, rules) in CONVERSATIONS {
        let mut bench = bench(*rules);
        for pieces in cuts(stream) {
            let mut talk = Talk::new(&mut bench, usize::MAX, usize::MAX);
            let (last, first) = pieces.split_last().unwrap();
            for piece in first {
                talk.arrive(piece);
            }
            let _ = talk.wire.arrive(last);
            talk.close();
            talk.assert_over(stream, &format!("{pieces:?} with the end"));
        }
    }
}

/// What is there when the connection is accepted needs no event.
#[test]
fn what_came_before_the_accept_is_served_with_it() {
    for (stream, rules) in CONVERSATIONS {
        let mut bench = bench(*rules);
        for at in 0..=stream.len() {
            let (before, after) = stream.split_at(at);
            let (wire, end) = Wire::new(usize::MAX, usize::MAX);
            assert_eq!(wire.arrive(before), None);
            let peer: SocketAddr = ([192, 0, 2, 1], 5000).into();
            let mut talk = Talk {
                connection: Connection::new(end, peer.into()),
                wire,
                bench: &mut bench,
            };
            talk.work();
            talk.arrive(after);
            talk.close();
            talk.assert_over(stream, &format!("{at} bytes before the accept"));
        }
    }
}

/// The kernel takes the replies in every number of pieces, with "would block" between any two of
/// them.
#[test]
fn every_short_write() {
    for (stream, rules) in CONVERSATIONS {
        let mut bench = bench(*rules);
        for write_max_bytes in 1..=stream.len() {
            for room_bytes in 0..=stream.len() * 2 {
                let mut talk = Talk::new(&mut bench, room_bytes, write_max_bytes);
                talk.arrive(stream);
                talk.close();
                while talk.connection.state() != State::Closed {
                    let before = talk.wire.sent().len();
                    talk.make_room(1);
                    assert_eq!(
                        talk.wire.sent().len(),
                        before + 1,
                        "a byte of room, no byte sent"
                    );
                }
                let how = format!("room for {room_bytes}, {write_max_bytes} at once");
                talk.assert_over(stream, &how);
            }
        }
    }
}

/// In turn, so many bytes come and room is made for so many.
#[test]
fn pieces_both_ways() {
    for (stream, rules) in CONVERSATIONS {
        let mut bench = bench(*rules);
        for in_bytes in 1..=stream.len() {
            for out_bytes in 1..=stream.len() {
                let mut talk = Talk::new(&mut bench, 0, usize::MAX);
                for piece in stream.chunks(in_bytes) {
                    talk.arrive(piece);
                    talk.make_room(out_bytes);
                }
                talk.close();
                talk.make_room(10_000);
                talk.assert_over(stream, &format!("{in_bytes} in, {out_bytes} out"));
            }
        }
    }
}

/// A read stops before an urgent byte, tcp(7). That short read does not mean that there is no more.
#[test]
fn urgent_data_anywhere() {
    for (stream, rules) in CONVERSATIONS {
        let mut bench = bench(*rules);
        for urgent in 1..=stream.len() {
            for first in 0..urgent {
                let mut talk = Talk::new(&mut bench, usize::MAX, usize::MAX);
                talk.arrive(&stream[..first]);
                let edge = talk.wire.arrive_urgent(&stream[first..urgent]);
                let _ = talk.wire.arrive(&stream[urgent..]);
                talk.raise(Some(edge));
                assert_eq!(talk.wire.unread_len(), 0, "stalled at the mark");
                talk.close();
                talk.assert_over(stream, &format!("byte {urgent} urgent after {first}"));
            }
        }
    }
}

/// A drain at every place: what had come by then is answered, and nothing after it.
#[test]
fn a_drain_anywhere() {
    for (stream, rules) in CONVERSATIONS {
        let mut bench = bench(*rules);
        for at in 0..=stream.len() {
            let mut talk = Talk::new(&mut bench, usize::MAX, usize::MAX);
            // Received by the kernel, but its event is still to be fetched.
            let _ = talk.wire.arrive(&stream[..at]);
            talk.connection.drain();
            talk.work();
            let told = model::converse(&stream[..at], false, rules.max_message_bytes, rules.strict);
            assert_eq!(talk.wire.sent(), told.replies, "{}", stream.escape_ascii());
            assert_eq!(talk.connection.state(), State::Lingering);
            assert!(talk.wire.write_closed());
            talk.arrive(b"ping\n");
            talk.close();
            assert_eq!(talk.wire.sent(), told.replies, "answered after its FIN");
            assert_eq!(talk.connection.state(), State::Closed);
        }
    }
}

/// Whoever sends on and on is read from no more when the time for that is over.
#[test]
fn a_drain_cut_short() {
    let mut bench = bench(LIMITED);
    let mut talk = Talk::new(&mut bench, usize::MAX, usize::MAX);
    let _ = talk.wire.arrive(&b"ping\n".repeat(100_000));
    talk.connection.drain();
    assert!(talk.connection.work(talk.bench, WINDOW_BYTES).more);
    let read_len = 500_000 - talk.wire.unread_len();
    talk.connection.drained();
    talk.work();
    assert_eq!(talk.connection.state(), State::Lingering);
    assert_eq!(talk.wire.sent(), b"pong\n".repeat(read_len / 5));
}

/// A client that does not read is not read from, and costs no more than the documented 256 KiB.
#[test]
fn back_pressure() {
    for line in ["\n", "\r\n", "ping\n", "hello\n"] {
        let rules = Rules {
            max_message_bytes: 65536,
            strict: false,
        };
        let mut bench = bench(rules);
        let mut talk = Talk::new(&mut bench, 0, usize::MAX);
        let flood = line.repeat(4 * 1024 * 1024 / line.len());
        let (partial, lines) = flood.split_at(65_000);
        talk.arrive("x".repeat(partial.len()).as_bytes());
        talk.arrive(lines.as_bytes());
        assert!(
            talk.wire.unread_len() >= lines.len() - WINDOW_BYTES,
            "{line:?}"
        );
        assert!(
            talk.connection.kept_bytes(talk.bench) <= 256 * 1024,
            "{line:?}"
        );
        let calls = talk.wire.calls();
        talk.arrive(b"\n");
        assert_eq!(
            talk.wire.calls(),
            calls,
            "it reads on without room: {line:?}"
        );
        talk.make_room(usize::MAX / 2);
        assert_eq!(talk.wire.unread_len(), 0, "{line:?}");
        assert_eq!(
            talk.connection.kept_bytes(talk.bench),
            0,
            "an idle connection owns no buffer"
        );
    }
}

/// The buffer goes as soon as the last reply has left, and comes back with half a message.
#[test]
fn an_idle_connection_owns_no_buffer() {
    let mut bench = bench(LIMITED);
    let mut talk = Talk::new(&mut bench, 7, usize::MAX);
    talk.arrive(b"ping\nping\n");
    assert!(talk.connection.kept_bytes(talk.bench) > 0);
    talk.make_room(100);
    assert_eq!(talk.wire.sent(), b"pong\npong\n");
    assert_eq!(talk.connection.kept_bytes(talk.bench), 0);
    talk.arrive(b"pin");
    assert!(talk.connection.kept_bytes(talk.bench) > 0);
    talk.arrive(b"g\n");
    assert_eq!(talk.connection.kept_bytes(talk.bench), 0);
}

/// A line that comes byte by byte costs no more memory than the longest message.
#[test]
fn a_partial_line_is_bounded() {
    let rules = Rules {
        max_message_bytes: 1000,
        strict: false,
    };
    let mut bench = bench(rules);
    let mut talk = Talk::new(&mut bench, usize::MAX, usize::MAX);
    for _ in 0..rules.max_message_bytes {
        talk.arrive(b"x");
        assert!(talk.connection.kept_bytes(talk.bench) <= in_pages(rules.max_message_bytes));
    }
    assert_eq!(talk.wire.sent(), b"");
    talk.arrive(b"x");
    assert_eq!(talk.wire.sent(), b"error message longer than 1000 bytes\n");
    assert_eq!(talk.connection.kept_bytes(talk.bench), 0);
}

/// One visit reads as much as it may and no more, however much there is, and tells what it moved.
#[test]
fn a_visit_is_bounded() {
    let rules = Rules {
        max_message_bytes: 65536,
        strict: false,
    };
    let flood = "ping\n".repeat(200_000);
    for read_max_bytes in [5, FRESH_READ_BYTES, WINDOW_BYTES, 2 * WINDOW_BYTES] {
        let mut bench = bench(rules);
        let mut talk = Talk::new(&mut bench, usize::MAX, usize::MAX);
        let edge = talk.wire.arrive(flood.as_bytes()).unwrap();
        talk.connection.raise(edge);
        let mut more = true;
        while more {
            let (unread, sent) = (talk.wire.unread_len(), talk.wire.sent().len());
            let work = talk.connection.work(talk.bench, read_max_bytes);
            let read = unread - talk.wire.unread_len();
            assert_eq!(read, read_max_bytes.min(unread));
            assert_eq!(
                work.traffic.moved_bytes(),
                read + talk.wire.sent().len() - sent
            );
            assert!(work.progress || unread == 0);
            more = work.more;
        }
        assert_eq!(talk.wire.sent(), flood.replace('i', "o").as_bytes());
    }
}
