//! One listener's accepts that fail, on a listener that does what it is told: which failures pause
//! it, for how long, and how each is counted.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use pingpong::inside::reactor::acceptor::{Acceptor, FAILURES_MAX};
use pingpong::inside::reactor::deadlines::RETRY_AFTER;
use pingpong::inside::reactor::kernel::{Listener, Readiness, Stream};
use pingpong::inside::reactor::outage::OVER_AFTER;
use pingpong::inside::server::counters::Counters;
use pingpong::inside::transport::Endpoint;
use rustix::io::Errno;

/// A connection that nobody uses.
#[derive(Debug)]
struct Unused;

impl Stream for Unused {
    fn connected(&mut self) -> io::Result<()> {
        unreachable!()
    }

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        unreachable!()
    }

    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        unreachable!()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        unreachable!()
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        unreachable!()
    }
}

/// What its next accepts say; would block when they are used up.
#[derive(Debug)]
struct Told(VecDeque<Option<Errno>>);

impl Listener for Told {
    type Stream = Unused;

    fn accept(&mut self) -> io::Result<(Unused, Option<SocketAddr>)> {
        match self.0.pop_front() {
            Some(None) => Ok((Unused, None)),
            Some(Some(errno)) => Err(errno.into()),
            None => Err(Errno::AGAIN.into()),
        }
    }
}

struct Tried {
    acceptor: Acceptor<Told>,
    counters: Counters,
    start: Instant,
}

impl Tried {
    fn new(outcomes: impl IntoIterator<Item = Option<Errno>>) -> Self {
        Self {
            acceptor: Acceptor::new(
                Told(outcomes.into_iter().collect()),
                Endpoint::Tcp(SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 8888))),
            ),
            counters: Counters::default(),
            start: Instant::now(),
        }
    }

    /// Says whether there was a connection.
    fn accept(&mut self) -> bool {
        let accepted = self.acceptor.accept(self.start);
        accepted
            .inspect_err(|reason| self.counters.count_accept_error(*reason))
            .is_ok_and(|accepted| accepted.is_some())
    }

    /// How many tries it takes until it pauses, if it does before the outcomes are used up.
    fn tries_until_paused(&mut self) -> Option<u32> {
        let mut tries = 0;
        while self.acceptor.is_ready() {
            self.accept();
            tries += 1;
        }
        self.acceptor.next_deadline().map(|_| tries)
    }

    fn failed(&self) -> Vec<(String, u64)> {
        let mut failed = Vec::new();
        self.counters.each(|name, label, count| {
            if let ("accept_errors_total", Some((_, reason)), 1..) = (name, label, count) {
                failed.push((reason.to_owned(), count));
            }
        });
        failed
    }
}

#[test]
fn an_empty_backlog_is_no_failure() {
    let mut tried = Tried::new([]);
    assert!(tried.acceptor.is_ready());
    assert!(!tried.accept());
    assert!(!tried.acceptor.is_ready());
    assert_eq!(tried.acceptor.next_deadline(), None);
    tried.acceptor.raise(Readiness::ALL);
    assert!(tried.acceptor.is_ready());
    assert_eq!(tried.failed(), []);
}

/// Each error by how it is counted, and after how many of it the acceptor pauses: accept(2).
#[test]
fn which_failures_pause_at_once() {
    let about_one = [
        Errno::CONNABORTED,
        Errno::PERM,
        Errno::PROTO,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::NONET,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::TIMEDOUT,
    ];
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    let others = [Errno::INVAL, Errno::IO, Errno::BADF, Errno::CONNRESET];
    let rows = about_one.map(|errno| (errno, "connection", FAILURES_MAX));
    let rows = rows.into_iter();
    let rows = rows.chain(exhausted.map(|errno| (errno, "exhausted", 1)));
    for (errno, reason, tries) in rows.chain(others.map(|errno| (errno, "other", 1))) {
        let mut tried = Tried::new([Some(errno); 40]);
        assert_eq!(tried.tries_until_paused(), Some(tries), "{errno}");
        assert_eq!(tried.failed(), [(reason.to_owned(), tries.into())]);
        let until = tried.start + RETRY_AFTER;
        assert_eq!(tried.acceptor.next_deadline(), Some(until), "{errno}");
        // An edge does not end the pause, as the connections that wait raise none.
        tried.acceptor.raise(Readiness::ALL);
        assert!(!tried.acceptor.is_ready(), "{errno}");
    }
}

/// It is the run that counts: a host under a port scan loses a connection now and then for ever.
#[test]
fn one_that_is_accepted_ends_the_run() {
    let failures = FAILURES_MAX as usize - 1;
    let run = [vec![Some(Errno::CONNABORTED); failures], vec![None]].concat();
    let mut tried = Tried::new(run.repeat(5));
    assert_eq!(tried.tries_until_paused(), None);
    assert_eq!(
        tried.failed(),
        [("connection".to_owned(), 5 * failures as u64)]
    );
}

/// Behind a pause the count begins anew.
#[test]
fn each_run_is_as_long() {
    let mut tried = Tried::new([Some(Errno::PERM); 100]);
    for _ in 0..4 {
        assert_eq!(tried.tries_until_paused(), Some(FAILURES_MAX));
        tried.acceptor.keep_deadlines(tried.start + RETRY_AFTER);
    }
}

#[test]
fn a_pause_ends_in_time_or_by_what_was_freed() {
    let mut tried = Tried::new([Some(Errno::MFILE), Some(Errno::MFILE), None]);
    assert!(!tried.accept());
    tried.acceptor.resume();
    assert!(tried.acceptor.is_ready());
    // The outage goes on all the same, and its end is a deadline.
    let over = tried.start + OVER_AFTER;
    assert_eq!(tried.acceptor.next_deadline(), Some(over));

    assert!(!tried.accept());
    let until = tried.start + RETRY_AFTER;
    tried
        .acceptor
        .keep_deadlines(until - std::time::Duration::from_nanos(1));
    assert!(!tried.acceptor.is_ready());
    tried.acceptor.keep_deadlines(until);
    assert!(tried.acceptor.is_ready());
    assert!(tried.accept());
    assert_eq!(tried.acceptor.next_deadline(), Some(over));
    tried.acceptor.keep_deadlines(over);
    assert_eq!(tried.acceptor.next_deadline(), None);
}
