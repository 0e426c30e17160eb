//! Results on their way out.

use std::io::{self, Write};

use pingpong::inside::client::output::{Output, WAITING_MAX_BYTES};
use pingpong::inside::reactor::attempt::would_block;

/// A reader that has room for so much, or is gone.
struct Pipe {
    room: Option<usize>,
    taken: Vec<u8>,
}

impl Write for &mut Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room.ok_or(io::ErrorKind::BrokenPipe)?;
        if room == 0 {
            return Err(would_block());
        }
        let len = bytes.len().min(room);
        self.taken.extend_from_slice(&bytes[..len]);
        self.room = Some(room - len);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pipe(room: Option<usize>) -> Pipe {
    Pipe {
        room,
        taken: Vec::new(),
    }
}

#[test]
fn what_the_reader_does_not_take_waits() {
    let mut pipe = pipe(Some(7));
    let mut output = Output::new(&mut pipe);
    output.push("hello ");
    output.push("world");
    output.flush();
    output.flush();
    assert!(!output.is_flushed());
    assert!(!output.is_broken());
    assert_eq!(pipe.taken, b"hello w");
}

#[test]
fn no_more_waits_than_the_limit_but_for_the_last_text() {
    let mut pipe = pipe(Some(usize::MAX));
    let mut output = Output::new(&mut pipe);
    output.push(&"x".repeat(WAITING_MAX_BYTES - 1));
    output.push("yy");
    output.push("z");
    output.push("y");
    assert_eq!(output.left_out(), 2);
    output.push_last("!");
    output.flush();
    assert!(output.is_flushed());
    assert_eq!(pipe.taken.len(), WAITING_MAX_BYTES + 1);
    assert!(pipe.taken.ends_with(b"xz!"));
}

#[test]
fn a_reader_that_is_gone_is_noticed() {
    let mut pipe = pipe(None);
    let mut output = Output::new(&mut pipe);
    output.push("hello");
    output.flush();
    assert!(output.is_broken());
    assert!(output.is_flushed());
}
