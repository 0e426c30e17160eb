//! A host without a program: what it does about each message is a script.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use pingpong::inside::reactor::kernel::Signal;

use super::epoll::ns;
use super::hosts::{Event, Faults, Link, Machine, Net};
use super::kernel::NetKernel;
use crate::sim::rng::Rng;

/// What the peer does at some time after it was asked.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// These bytes arrive.
    Send(Vec<u8>),
    /// These bytes arrive from somebody else.
    SendFrom(SocketAddr, Vec<u8>),
    /// Its end of the connection arrives.
    Close,
    /// An error arrives: a reset, or that the port is unreachable.
    Fail(io::ErrorKind),
}

/// What the peer does about the `n`th message on one socket; times are counted from its coming.
pub(crate) type Script = fn(n: usize, message: &[u8]) -> Vec<(Duration, Act)>;

/// How long connecting takes, or how it fails.
pub(crate) type Connect = fn(peer: SocketAddr) -> (Duration, Option<io::ErrorKind>);

pub struct Actor {
    pub connect: Connect,
    pub script: Script,
    /// One address has a script of its own.
    other: Option<(SocketAddr, Script)>,
    /// How many messages came from each datagram socket.
    messages: BTreeMap<usize, usize>,
}

impl Actor {
    pub fn new(connect: Connect, script: Script) -> Self {
        Self {
            connect,
            script,
            other: None,
            messages: BTreeMap::new(),
        }
    }

    fn script_at(&self, address: SocketAddr) -> Script {
        match self.other {
            Some((other, script)) if other == address => script,
            _ => self.script,
        }
    }
}

impl Net {
    pub fn act_on_stream(&mut self, id: usize, at_ns: u64, bytes: &[u8]) {
        let stream = &mut self.streams[id];
        stream.partial.extend_from_slice(bytes);
        if !stream.partial.ends_with(b"\n") {
            return;
        }
        let message = std::mem::take(&mut stream.partial);
        stream.messages += 1;
        let (number, host) = (stream.messages, stream.host);
        let (Some(actor), Some(peer)) = (&self.hosts[host].actor, stream.peer) else {
            return;
        };
        let back = self.streams[peer].host;
        let script = actor.script_at(self.streams[id].local);
        for (after, act) in script(number, &message) {
            let at_ns = at_ns + ns(after) + self.delay_ns(host, back);
            let stream = peer;
            let event = match act {
                Act::Send(bytes) => Event::Data { stream, bytes },
                Act::Close => Event::Fin { stream },
                Act::Fail(_) => Event::Reset { stream },
                Act::SendFrom(..) => continue,
            };
            self.post(back, at_ns, event);
        }
    }

    /// Of a socket, as its owner numbers them, and the address that it was sent to.
    pub fn act_on_datagram(
        &mut self,
        host: usize,
        at_ns: u64,
        (from, to): (usize, SocketAddr),
        message: &[u8],
    ) {
        let Some(actor) = &mut self.hosts[host].actor else {
            return;
        };
        let number = actor.messages.entry(from).or_default();
        *number += 1;
        let number = *number;
        let acts = actor.script_at(to)(number, message);
        let (back, local) = (self.ports[from].host, self.ports[from].local);
        for (after, act) in acts {
            let at_ns = at_ns + ns(after) + self.delay_ns(host, back);
            let event = match act {
                Act::Send(bytes) => Event::Datagram {
                    from,
                    source: to,
                    to: local,
                    bytes,
                },
                Act::SendFrom(source, bytes) => Event::Datagram {
                    from,
                    source,
                    to: local,
                    bytes,
                },
                Act::Fail(kind) => Event::Unreachable { port: from, kind },
                Act::Close => continue,
            };
            self.post(back, at_ns, event);
        }
    }
}

/// One program in an ideal world, and everybody else is a script.
pub(crate) type World = NetKernel;

impl NetKernel {
    /// The kernel of the program's host: no call takes any time, and nothing goes wrong.
    pub(crate) fn new(connect: Connect, script: Script) -> Self {
        let mut net = Net::new(Rng::new(0));
        let (link, faults) = (Link::default(), Faults::default());
        let host = net.add(Vec::new(), Machine::IDEAL, link, faults);
        let peer = net.add(Vec::new(), Machine::IDEAL, link, faults);
        net.hosts[peer].actor = Some(Actor::new(connect, script));
        net.elsewhere = Some(peer);
        Self::of(net, host)
    }

    /// A signal comes so long after now.
    pub(crate) fn signal(&self, after: Duration, signal: Signal) {
        let net = &mut *self.net.borrow_mut();
        let at_ns = net.hosts[self.host].clock_ns + ns(after);
        net.post(self.host, at_ns, Event::Signal(signal));
    }

    /// Datagrams that are sent there find no open port.
    pub(crate) fn close(&self, address: SocketAddr) {
        self.net.borrow_mut().closed.push(address);
    }

    /// Whatever is sent to this address is lost, and nobody connects there.
    pub(crate) fn mute(&self, address: SocketAddr) {
        self.net.borrow_mut().silent.push(address);
    }

    /// From now on one address answers like this, and the others as before.
    pub(crate) fn answer(&self, script: Script, address: SocketAddr) {
        for host in &mut self.net.borrow_mut().hosts {
            if let Some(actor) = &mut host.actor {
                actor.other = Some((address, script));
            }
        }
    }

    /// From now on each call that connects takes so long.
    pub(crate) fn each_connect_takes(&self, time: Duration) {
        self.net.borrow_mut().hosts[self.host].machine.connect_ns = ns(time);
    }

    /// Time passes while the client does not run.
    pub(crate) fn stall(&self, time: Duration) {
        self.net.borrow_mut().hosts[self.host].clock_ns += ns(time);
    }

    /// From now on each receiving call that finds something takes so long.
    pub(crate) fn each_read_takes(&self, time: Duration) {
        self.net.borrow_mut().hosts[self.host].machine.find_ns = ns(time);
    }

    /// How much time has passed.
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.net.borrow().hosts[self.host].clock_ns)
    }

    /// No socket can be connected any more.
    pub(crate) fn lose_route(&self) {
        self.net.borrow_mut().has_route = false;
    }

    /// How many connections were ended with a FIN.
    pub(crate) fn shut_down(&self) -> usize {
        self.net.borrow().hosts[self.host].shut_down
    }

    /// How many sockets were opened.
    pub(crate) fn opened(&self) -> usize {
        self.net.borrow().hosts[self.host].opened
    }

    /// How many sockets are open.
    pub(crate) fn open(&self) -> usize {
        self.net.borrow().hosts[self.host].open
    }
}
