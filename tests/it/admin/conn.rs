//! One connection on a wire of the test's own, with a clock of the test's own.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pingpong::inside::admin::conn::{HttpConn, IDLE_TIMEOUT, LINGER_TIMEOUT, REQUEST_TIMEOUT};
use pingpong::inside::admin::http::Page;
use pingpong::inside::reactor::kernel::{Readiness, Stream};

#[derive(Debug, Default)]
struct Wire {
    to_read: VecDeque<Vec<u8>>,
    written: Vec<u8>,
    /// How many bytes a write takes, at most.
    takes: usize,
    is_shut: bool,
}

#[derive(Debug)]
struct End(Rc<RefCell<Wire>>);

impl Stream for End {
    fn connected(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(bytes) = self.0.borrow_mut().to_read.pop_front() else {
            return Err(rustix::io::Errno::AGAIN.into());
        };
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        let len = bytes.len().min(wire.takes);
        wire.takes -= len;
        wire.written.extend_from_slice(&bytes[..len]);
        match len {
            0 => Err(rustix::io::Errno::AGAIN.into()),
            len => Ok(len),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().is_shut = true;
        Ok(())
    }
}

struct Tried {
    wire: Rc<RefCell<Wire>>,
    conn: HttpConn<End>,
    start: Instant,
}

impl Tried {
    fn new() -> Self {
        let wire = Rc::new(RefCell::new(Wire {
            takes: usize::MAX,
            ..Wire::default()
        }));
        let start = Instant::now();
        Self {
            conn: HttpConn::new(End(Rc::clone(&wire)), start),
            wire,
            start,
        }
    }

    /// So much comes, after so many seconds; how many answers are made of it.
    fn comes(&mut self, bytes: &[u8], after_s: u64) -> usize {
        self.wire.borrow_mut().to_read.push_back(bytes.to_vec());
        self.works(after_s)
    }

    fn works(&mut self, after_s: u64) -> usize {
        self.conn.raise(Readiness::ALL);
        let now = self.start + Duration::from_secs(after_s);
        let mut answers = 0;
        while self.conn.has_work() {
            let has_answered = self.conn.work(now, false, |_| Page::text("200 OK", "ok"));
            answers += usize::from(has_answered);
        }
        answers
    }

    /// When it ends unless something comes, in whole seconds.
    fn ends_after(&self) -> Duration {
        self.conn.deadline() - self.start
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Who drips has no more time than who says nothing; who has its answer has time until the next
/// request begins, and then for that one anew.
#[test]
fn how_long_each_thing_may_take() {
    let mut it = Tried::new();
    assert_eq!(it.ends_after(), REQUEST_TIMEOUT);
    it.comes(b"GET", 1);
    it.comes(b" /", 4);
    assert_eq!(it.ends_after(), REQUEST_TIMEOUT, "dripping gains no time");
    assert_eq!(it.comes(b" HTTP/1.1\r\n\r\n", 4), 1);
    assert_eq!(it.ends_after(), s(4) + IDLE_TIMEOUT);
    it.comes(b"G", 100);
    assert_eq!(it.ends_after(), s(100) + REQUEST_TIMEOUT);
    assert_eq!(
        it.comes(&[b"ET / HTTP/1.1\r\n\r\n", &b"GET "[..]].concat(), 101),
        1
    );
    assert_eq!(
        it.ends_after(),
        s(101) + REQUEST_TIMEOUT,
        "the next has begun"
    );
}

/// An answer that is not taken is waited for, and no further request is read meanwhile.
#[test]
fn who_does_not_read_is_not_read_from() {
    let mut it = Tried::new();
    it.wire.borrow_mut().takes = 10;
    assert_eq!(it.comes(REQUEST, 1), 1);
    assert_eq!(it.comes(REQUEST, 2), 0);
    assert_eq!(it.wire.borrow().to_read.len(), 1);
    assert_eq!(
        it.ends_after(),
        REQUEST_TIMEOUT,
        "it had that long from its begin"
    );
    it.wire.borrow_mut().takes = usize::MAX;
    assert_eq!(it.works(3), 1);
    let written = String::from_utf8(it.wire.borrow().written.clone()).unwrap();
    assert_eq!(written.matches("HTTP/1.1 200 OK\r\n").count(), 2);
    assert_eq!(written.matches("\r\n\r\nok").count(), 2);
}

/// One answer a visit, however many are asked for at once: the others come first.
#[test]
fn one_answer_a_visit() {
    let mut it = Tried::new();
    it.wire.borrow_mut().to_read.push_back(REQUEST.repeat(3));
    it.conn.raise(Readiness::ALL);
    for _ in 0..3 {
        assert!(it.conn.has_work());
        assert!(
            it.conn
                .work(it.start, false, |_| Page::text("200 OK", "ok"))
        );
    }
    assert!(!it.conn.work(it.start, false, |_| unreachable!()));
    assert!(!it.conn.has_work() && it.conn.is_idle());
}

/// The last answer is followed by the end, and the rest is thrown away for a moment.
#[test]
fn who_is_told_to_go_is_listened_to_for_a_moment() {
    let mut it = Tried::new();
    assert_eq!(it.comes(b"nonsense\r\n\r\n", 1), 1);
    assert!(it.wire.borrow().is_shut && !it.conn.is_closed());
    assert_eq!(it.ends_after(), s(1) + LINGER_TIMEOUT);
    assert_eq!(it.comes(REQUEST, 1), 0);
    assert_eq!(it.comes(b"", 1), 0);
    assert!(it.conn.is_closed());
}
