//! The client in virtual time, with all that it shows.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use pingpong::inside::client::ping::{Manner, PingPlan, Pinger, Style};
use pingpong::inside::protocol::turn_into_pong;

use crate::net::{Act, Connect, Script, World};

pub(crate) const fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Connects in 70 us.
pub(crate) const AT_ONCE: Connect = |_| (us(70), None);

/// Answers in 50 us.
pub(crate) const GOOD: Script = |_, message| vec![(us(50), pong(message))];

pub(crate) const SILENT: Script = |_, _| vec![];

pub(crate) fn pong_bytes(message: &[u8]) -> Vec<u8> {
    let mut reply = message.to_vec();
    turn_into_pong(&mut reply);
    reply
}

pub(crate) fn pong(message: &[u8]) -> Act {
    Act::Send(pong_bytes(message))
}

/// Pings of four bytes of payload, which show well.
pub(crate) fn config() -> PingPlan {
    PingPlan {
        tcp: true,
        udp: false,
        count: Some(3),
        interval: ms(1000),
        timeout: Some(ms(1000)),
        deadline: None,
        payload_bytes: 4,
        rotate_port: false,
        tells_waiting: false,
    }
}

pub(crate) fn udp() -> PingPlan {
    PingPlan {
        tcp: false,
        udp: true,
        ..config()
    }
}

pub(crate) fn lines() -> Manner {
    Manner {
        style: Style::Lines,
        json: false,
        timestamps: false,
        ports: false,
        clock: || SystemTime::UNIX_EPOCH + us(1_234_567_000_042),
    }
}

#[derive(Clone, Default)]
pub(crate) struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

pub(crate) struct Ran {
    pub(crate) results: String,
    pub(crate) status: String,
    pub(crate) answered: bool,
}

pub(crate) fn addresses() -> Vec<SocketAddr> {
    vec!["10.0.0.1:8888".parse().unwrap()]
}

pub(crate) fn run_at(
    world: &World,
    config: PingPlan,
    manner: Manner,
    addresses: Vec<SocketAddr>,
) -> Ran {
    let (results, status) = (Sink::default(), Sink::default());
    let mut pinger = Pinger::new(
        world.clone(),
        config,
        manner,
        ("host".into(), addresses),
        (results.clone(), status.clone()),
    );
    let answered = pinger.ping().unwrap();
    Ran {
        results: results.text(),
        status: status.text(),
        answered,
    }
}

pub(crate) fn run(connect: Connect, script: Script, config: PingPlan) -> Ran {
    run_at(&World::new(connect, script), config, lines(), addresses())
}

#[track_caller]
pub(crate) fn shows(ran: &Ran, expected: &str) {
    assert_eq!(ran.results, expected, "\n{}", ran.results);
}
