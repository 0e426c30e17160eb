//! A connection that gets ready and is lost within the same visit: the peer has accepted and torn it
//! down.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use pingpong::inside::client::load::conn::{Conn, Opening, Quota, Shared, Worked};
use pingpong::inside::client::load::schedule::Nanos;
use pingpong::inside::client::load::stats::{Ended, Stamp};
use pingpong::inside::client::load::watch::Unwatched;
use pingpong::inside::client::load::{Load, LoadPlan, Run};
use pingpong::inside::client::script::Script;
use pingpong::inside::reactor::kernel::{Kernel, Readiness};
use pingpong::inside::reactor::os::Os;
use pingpong::inside::state::State;

struct Fleeting(State);

impl<K: Kernel> Conn<K> for Fleeting {
    const RELIABLE: bool = true;

    fn open(_: &mut K, _: Opening) -> io::Result<Self> {
        Ok(Self(State::Connecting))
    }

    fn raise(&mut self, _: Readiness) {}

    fn state(&self) -> State {
        self.0
    }

    fn was_ready(&self) -> bool {
        self.0 == State::Closed
    }

    fn was_answered(&self) -> bool {
        false
    }

    fn waiting(&self) -> usize {
        0
    }

    fn work(&mut self, _: &mut Shared, _: &mut Quota, _: &impl Fn() -> Nanos) -> Worked {
        self.0 = State::Closed;
        Worked::default()
    }

    fn opening_expired(&mut self, _: &mut Shared) {}

    fn give_up(&mut self, _: Nanos, _: impl FnMut(Stamp)) {}
}

#[test]
fn it_is_no_longer_one_of_those_that_open() {
    let plan = LoadPlan {
        script: Script::pings(64),
        addresses: vec![(Ipv4Addr::LOCALHOST, 1).into()],
        connections: 3,
        pipeline: 1,
        skip_lines: 0,
        timeout: Duration::from_secs(60),
        rate_max_per_s: None,
    };
    let kernel = Os::without_signals().unwrap();
    let mut load = Load::<Os, Fleeting, _>::new(kernel, plan, Unwatched).unwrap();
    let run = Run {
        rate_per_s: None,
        warmup: Duration::ZERO,
        duration: Duration::from_secs(60),
        catch_up: true,
        ..Run::default()
    };
    assert_eq!(load.measure(run).unwrap().ended, Ended::NoConnection);
    assert_eq!(load.opened().ready, 0);
}
