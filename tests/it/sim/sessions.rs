//! The same sessions with the server on the simulated kernel, and with the program on the real one:
//! what the peer sees of both is compared.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::peer::{Ending, Peer};
use super::plan::Plan;
use super::program::{PATIENCE, Program};
use super::schedule::run_world;
use crate::support::{PROGRAM, command};

const INPUTS: [&[u8]; 14] = [
    b"ping\n",
    b"PiNg",
    b"ping\r",
    b"ping\r\n",
    b"pong\n",
    b"\n",
    b"\r\n",
    b"hi\n\xff\n",
    b"a\nb",
    b"ping\npong\nping",
    b"too long\nping\n",
    b"ping\ntoo long",
    b"12345\n",
    b"1234\n",
];

/// What a peer saw: the replies, and whether the server ended the stream while the peer's side was
/// open.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    replies: Vec<u8>,
    is_ended: bool,
}

fn simulated(input: &[u8], cuts: u64, ending: Ending) -> Seen {
    let mut plan = Plan::calm(5, vec![Peer::scripted(input, cuts, ending)]);
    // It is looked at before anybody loses patience.
    plan.config.idle_timeout = None;
    let world = run_world(plan, false);
    assert_eq!(world.violation, None);
    let conn = &world.conns[0];
    Seen {
        replies: conn.outgoing[..conn.taken_len].to_vec(),
        is_ended: conn.reference.is_bad,
    }
}

/// The program has to say as much as the simulated server said, and then: its end, or that it goes
/// on.
fn real(program: &Program, input: &[u8], cuts: u64, ending: Ending, expected: usize) -> Seen {
    let mut stream = TcpStream::connect(program.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut start = 0;
    for end in (1..=input.len()).filter(|end| cuts >> (end - 1) & 1 == 1 || *end == input.len()) {
        // A refused line may have ended the stream before the rest is out.
        let _ = stream.write_all(&input[start..end]);
        start = end;
    }
    let mut replies = vec![0; expected];
    if ending == Ending::HalfClose {
        let _ = stream.shutdown(Shutdown::Write);
    }
    stream.read_exact(&mut replies).unwrap();
    let is_ended = if ending == Ending::HalfClose {
        let more = stream.read_to_end(&mut replies).unwrap();
        assert_eq!(more, 0, "more replies than on the simulated kernel");
        replies.starts_with(b"error") || replies.windows(6).any(|word| word == b"\nerror")
    } else {
        // Whatever partial line there is ends, and one more message with it.
        let _ = stream.write_all(b"\npin\n");
        let mut next = [0; 1];
        stream.read(&mut next).unwrap() == 0
    };
    Seen { replies, is_ended }
}

#[test]
fn peers_see_the_same_on_both_kernels() {
    let program = Program::start(command(PROGRAM)).unwrap();
    let mut sessions = 0;
    for input in INPUTS {
        for ending in [Ending::HalfClose, Ending::Stay] {
            for cuts in [0, 0b1, 0b100, 0b10_1010, u64::MAX] {
                let simulated = simulated(input, cuts, ending);
                let real = real(&program, input, cuts, ending, simulated.replies.len());
                let input = input.escape_ascii();
                assert_eq!(simulated, real, "\"{input}\", cut at {cuts:b}, {ending:?}");
                sessions += 1;
            }
        }
    }
    program.stop("after the sessions");
    println!("{sessions} sessions");
}
