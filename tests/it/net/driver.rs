//! Who runs next: of all hosts with a program, the one whose wait ends first.
//!
//! Every packet that comes before that is on its host by then, so each turn finds all that a kernel
//! would have had. A turn runs to its end at once; what it takes, its own clock knows.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use pingpong::inside::client::ping::Pinger;
use pingpong::inside::reactor::program::Program;
use pingpong::inside::server::{Exit, Server};

use super::epoll::ns;
use super::hosts::S;
use super::kernel::NetKernel;

/// Whatever runs is over by then.
const PATIENCE_NS: u64 = 3600 * S;

/// So many turns at one time mean that it spins.
const SPIN_TURNS: usize = 100_000;

/// A program that is driven turn by turn.
pub trait Driven {
    /// As [`Program::sleep`].
    fn pause(&mut self) -> Option<Duration>;

    /// As [`Program::turn`]; says whether that was the last.
    fn go(&mut self) -> bool;

    /// What the program does when its loop is over.
    fn end(&mut self) {}
}

impl<R: Write, W: Write> Driven for Pinger<NetKernel, R, W> {
    fn pause(&mut self) -> Option<Duration> {
        self.sleep()
    }

    fn go(&mut self) -> bool {
        self.turn().unwrap().is_some()
    }

    /// The summary. It turns once more before, and finds that all is over.
    fn end(&mut self) {
        self.ping().unwrap();
    }
}

/// How the server ended, and what it counted.
pub type Ended = Rc<RefCell<Option<(Exit, BTreeMap<String, u64>)>>>;

/// The server, with a place for how it ended.
pub struct Serving {
    pub server: Server<NetKernel>,
    pub ended: Ended,
}

impl Driven for Serving {
    fn pause(&mut self) -> Option<Duration> {
        self.server.sleep()
    }

    fn go(&mut self) -> bool {
        let exit = self.server.turn().unwrap();
        if let Some(exit) = exit {
            let mut counts = BTreeMap::new();
            self.server.counters().each(|name, _, count| {
                *counts.entry(name.to_owned()).or_default() += count;
            });
            *self.ended.borrow_mut() = Some((exit, counts));
        }
        exit.is_some()
    }
}

struct Running {
    kernel: NetKernel,
    /// `None` once it has ended.
    program: Option<Box<dyn Driven>>,
    /// When its sleep ends, if nothing happens.
    timeout_ns: Option<u64>,
}

/// The hosts' programs.
pub struct Driver {
    kernel: NetKernel,
    running: Vec<Running>,
    pub turns: usize,
}

impl Driver {
    pub fn new(kernel: &NetKernel) -> Self {
        Self {
            kernel: kernel.clone(),
            running: Vec::new(),
            turns: 0,
        }
    }

    /// A program begins on the host of this kernel.
    pub fn start(&mut self, kernel: &NetKernel, mut program: Box<dyn Driven>) {
        let timeout_ns = timeout_ns(kernel, program.as_mut());
        self.running.push(Running {
            kernel: kernel.clone(),
            program: Some(program),
            timeout_ns,
        });
    }

    /// Whether the program that was started as the `number`th has ended.
    pub fn is_over(&self, number: usize) -> bool {
        self.running[number].program.is_none()
    }

    /// Goes on until `is_done` says so, or all programs have ended.
    pub fn run(&mut self, is_done: impl Fn(&Self) -> bool) -> Result<(), String> {
        let (mut at_ns, mut turns_then) = (0, 0);
        while !is_done(self) && self.running.iter().any(|it| it.program.is_some()) {
            let next = self.step()?;
            if next > at_ns {
                (at_ns, turns_then) = (next, self.turns);
            }
            if self.turns > turns_then + SPIN_TURNS {
                return Err(format!("it spins at {at_ns} ns"));
            }
            if next > PATIENCE_NS {
                return Err("it goes on for ever".into());
            }
        }
        Ok(())
    }

    /// The next thing happens, a packet before a turn at the same time; and says when.
    fn step(&mut self) -> Result<u64, String> {
        let event = {
            let net = self.kernel.net.borrow();
            (0..net.hosts.len())
                .filter_map(|host| Some((net.next_event_ns(host)?, host)))
                .min()
        };
        let turns = self.running.iter().enumerate();
        let turn = turns
            .filter_map(|(number, it)| Some((it.wakes_ns()?, number)))
            .min();
        match (event, turn) {
            (Some((at_ns, host)), turn) if turn.is_none_or(|(wakes_ns, _)| at_ns <= wakes_ns) => {
                self.kernel.net.borrow_mut().happen(host, at_ns);
                Ok(at_ns)
            }
            (_, Some((at_ns, number))) => {
                self.turn(number, at_ns);
                Ok(at_ns)
            }
            _ => Err("nobody will ever do anything again".into()),
        }
    }

    fn turn(&mut self, number: usize, at_ns: u64) {
        self.turns += 1;
        let running = &mut self.running[number];
        let Some(program) = &mut running.program else {
            return;
        };
        let kernel = &running.kernel;
        let decide = |at_ns| kernel.net.borrow_mut().hosts[kernel.host].decided_ns = Some(at_ns);
        decide(at_ns);
        if program.go() {
            decide(kernel.clock_ns());
            program.end();
            running.program = None;
        } else {
            running.timeout_ns = timeout_ns(kernel, program.as_mut());
        }
    }
}

impl Running {
    fn wakes_ns(&self) -> Option<u64> {
        self.program.as_ref()?;
        let host = &self.kernel.net.borrow().hosts[self.kernel.host];
        let ready_ns = host.ready_ns.map(|at_ns| at_ns.max(host.clock_ns));
        ready_ns.into_iter().chain(self.timeout_ns).min()
    }
}

fn timeout_ns(kernel: &NetKernel, program: &mut dyn Driven) -> Option<u64> {
    let pause = program.pause()?;
    Some(kernel.clock_ns() + ns(pause))
}

/// What was written, and when.
type Written = (u64, Vec<u8>);

/// What a program writes, and when, by its host's clock.
#[derive(Clone)]
pub struct Page {
    kernel: NetKernel,
    written: Rc<RefCell<Vec<Written>>>,
}

impl Page {
    pub fn new(kernel: &NetKernel) -> Self {
        Self {
            kernel: kernel.clone(),
            written: Rc::default(),
        }
    }

    /// The last line, of JSON.
    pub fn summary(&self) -> Option<serde_json::Value> {
        let lines = self.lines();
        serde_json::from_str(&lines.last()?.1).ok()
    }

    /// Each line, with the time at which its end was written.
    pub fn lines(&self) -> Vec<(u64, String)> {
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        for (at_ns, bytes) in self.written.borrow().iter() {
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(piece);
                if line.ends_with(b"\n") {
                    lines.push((
                        *at_ns,
                        String::from_utf8(std::mem::take(&mut line)).unwrap(),
                    ));
                }
            }
        }
        lines
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let at_ns = self.kernel.clock_ns();
        self.written.borrow_mut().push((at_ns, bytes.to_vec()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
