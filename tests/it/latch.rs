//! Latches on a descriptor that does what it is told: what sets one, and what clears it.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use pingpong::inside::reactor::attempt::Attempt;
use pingpong::inside::reactor::kernel::{Flags, Readiness, Stream};
use pingpong::inside::reactor::latch::Latched;
use rustix::io::Errno;

/// What its next reads and writes say.
#[derive(Debug)]
struct Told(VecDeque<Result<usize, Errno>>);

impl Told {
    fn next(&mut self) -> io::Result<usize> {
        Ok(self
            .0
            .pop_front()
            .expect("one call more than was foreseen")?)
    }
}

impl Stream for Told {
    fn connected(&mut self) -> io::Result<()> {
        unreachable!()
    }

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.next()
    }

    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        self.next()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        unreachable!()
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        unreachable!()
    }
}

fn latched(outcomes: &[Result<usize, Errno>]) -> Latched<Told> {
    Latched::new(Told(outcomes.iter().copied().collect()))
}

/// Both latches: of reading, of writing.
fn of(it: &Latched<Told>) -> (bool, bool) {
    (it.is_readable(), it.is_writable())
}

fn read(it: &mut Latched<Told>) -> String {
    words(&it.read(&mut [0; 10]))
}

fn write(it: &mut Latched<Told>) -> String {
    words(&it.write(b"0123456789"))
}

fn words(attempt: &Attempt<usize>) -> String {
    match attempt {
        Attempt::Done(len) => len.to_string(),
        Attempt::Blocked => "blocked".into(),
        Attempt::Failed(error) => error.raw_os_error().unwrap().to_string(),
    }
}

const NOTHING: Readiness = Readiness {
    readable: false,
    writable: false,
    more_than_data: false,
};

#[test]
fn both_are_set_at_first_and_each_is_cleared_by_its_own_calls() {
    let mut it = latched(&[Err(Errno::AGAIN), Err(Errno::AGAIN)]);
    assert_eq!(of(&it), (true, true));
    assert_eq!(read(&mut it), "blocked");
    assert_eq!(of(&it), (false, true));
    assert_eq!(write(&mut it), "blocked");
    assert_eq!(of(&it), (false, false));
    it.raise(NOTHING);
    assert_eq!(of(&it), (false, false));
    it.raise(Readiness {
        writable: true,
        ..NOTHING
    });
    assert_eq!(of(&it), (false, true));
    it.raise(Readiness {
        readable: true,
        ..NOTHING
    });
    assert_eq!(of(&it), (true, true));
}

#[test]
fn an_event_takes_nothing_away() {
    let mut it = latched(&[]);
    it.raise(NOTHING);
    assert_eq!(of(&it), (true, true));
}

/// It has emptied the kernel's buffer; a full one has perhaps not, and a short write proves nothing.
#[test]
fn a_short_read_clears() {
    let mut it = latched(&[Ok(10), Ok(9), Ok(9), Ok(10)]);
    assert_eq!(read(&mut it), "10");
    assert_eq!(of(&it), (true, true));
    assert_eq!(write(&mut it), "9");
    assert_eq!(of(&it), (true, true));
    assert_eq!(read(&mut it), "9");
    assert_eq!(of(&it), (false, true));
    assert_eq!(write(&mut it), "10");
    assert_eq!(of(&it), (false, true));
}

/// With the peer's end or urgent data announced, only "would block" clears; and then it is over.
#[test]
fn a_short_read_proves_nothing_where_more_than_data_is_there() {
    let mut it = latched(&[Ok(1), Ok(1), Err(Errno::AGAIN), Ok(1)]);
    it.raise(Readiness {
        more_than_data: true,
        ..NOTHING
    });
    // A later event does not take the word back.
    it.raise(NOTHING);
    for _ in 0..2 {
        assert_eq!(read(&mut it), "1");
        assert_eq!(of(&it), (true, true));
    }
    assert_eq!(read(&mut it), "blocked");
    assert_eq!(of(&it), (false, true));
    it.raise(Readiness {
        readable: true,
        ..NOTHING
    });
    assert_eq!(read(&mut it), "1");
    assert_eq!(of(&it), (false, true));
}

/// A write that would block does not make a short read prove something.
#[test]
fn a_write_says_nothing_about_reads() {
    let mut it = latched(&[Err(Errno::AGAIN), Ok(1)]);
    it.raise(Readiness::ALL);
    assert_eq!(write(&mut it), "blocked");
    assert_eq!(read(&mut it), "1");
    assert_eq!(of(&it), (true, false));
}

#[test]
fn a_failure_clears_nothing_and_an_interruption_is_none() {
    let mut it = latched(&[
        Err(Errno::INTR),
        Err(Errno::INTR),
        Err(Errno::CONNRESET),
        Err(Errno::INTR),
        Err(Errno::PIPE),
    ]);
    assert_eq!(read(&mut it), Errno::CONNRESET.raw_os_error().to_string());
    assert_eq!(write(&mut it), Errno::PIPE.raw_os_error().to_string());
    assert_eq!(of(&it), (true, true));
}

/// What epoll says, and what that means.
#[test]
fn each_flag_has_its_meaning() {
    let none = Flags::default();
    assert_eq!(Readiness::from(none), NOTHING);
    let all = Readiness {
        readable: true,
        writable: true,
        more_than_data: true,
    };
    assert_eq!(Readiness::ALL, all);
    for (flags, means) in [
        (
            Flags {
                readable: true,
                ..none
            },
            (true, false, false),
        ),
        (
            Flags {
                writable: true,
                ..none
            },
            (false, true, false),
        ),
        (
            Flags {
                error: true,
                ..none
            },
            (true, true, true),
        ),
        (
            Flags {
                read_closed: true,
                ..none
            },
            (true, false, true),
        ),
        (
            Flags {
                write_closed: true,
                ..none
            },
            (false, true, false),
        ),
        (
            Flags {
                priority: true,
                ..none
            },
            (false, false, true),
        ),
    ] {
        let it = Readiness::from(flags);
        let it = (it.readable, it.writable, it.more_than_data);
        assert_eq!(it, means, "{flags:?}");
    }
}
