//! Edges, and what a wait tells of them: epoll(7) with edge triggering.

use std::net::SocketAddr;
use std::time::Duration;

use pingpong::inside::reactor::kernel::{Flags, Readiness, Token};

use super::hosts::{Call, Event, Fault, Id, Net, US};

/// How a descriptor is watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    pub token: Option<Token>,
    is_queued: bool,
}

pub fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

impl Net {
    pub fn owner(&self, id: Id) -> usize {
        match id {
            Id::Listener(number) => self.listeners[number].host,
            Id::Stream(number) => self.streams[number].host,
            Id::Port(number) => self.ports[number].host,
        }
    }

    fn watch(&mut self, id: Id) -> &mut Watch {
        match id {
            Id::Listener(number) => &mut self.listeners[number].watch,
            Id::Stream(number) => &mut self.streams[number].watch,
            Id::Port(number) => &mut self.ports[number].watch,
        }
    }

    fn flags(&self, id: Id) -> Flags {
        match id {
            Id::Listener(number) => Flags {
                readable: !self.listeners[number].backlog.is_empty(),
                ..Flags::default()
            },
            Id::Stream(number) => self.streams[number].flags(),
            Id::Port(number) => self.ports[number].flags(),
        }
    }

    /// Registers a descriptor; what is ready already is an edge.
    pub fn register(&mut self, id: Id, token: Token) {
        let host = self.owner(id);
        self.enter(host, Call::Sure);
        self.watch(id).token = Some(token);
        if self.flags(id) != Flags::default() {
            let clock_ns = self.hosts[host].clock_ns;
            self.edge(id, clock_ns);
        }
    }

    /// Something has changed: the descriptor goes onto the ready list, unless it stands there.
    pub fn edge(&mut self, id: Id, at_ns: u64) {
        let watch = self.watch(id);
        if watch.token.is_none() || watch.is_queued {
            return;
        }
        watch.is_queued = true;
        let owner = self.owner(id);
        let host = &mut self.hosts[owner];
        host.ready.push_back(id);
        host.ready_ns.get_or_insert(at_ns);
    }

    /// A call was told that nothing is there, by a hair: the edge follows.
    pub fn late_edge(&mut self, id: Id) {
        let host = self.owner(id);
        let at_ns = self.hosts[host].clock_ns + self.rng.below(200) as u64 * US;
        self.post(host, at_ns, Event::Edge(id));
    }

    /// A descriptor is closed: its events go with it.
    pub fn forget(&mut self, id: Id) {
        *self.watch(id) = Watch::default();
        let host = self.owner(id);
        let host = &mut self.hosts[host];
        host.ready.retain(|ready| *ready != id);
        if host.ready.is_empty() && host.signals.is_empty() {
            host.ready_ns = None;
        }
        host.open -= 1;
    }

    /// `epoll_wait`(2). It ends when the driver has said, or else when this host, which is then the
    /// only one that runs a program, has an event.
    pub fn wait(
        &mut self,
        host: usize,
        timeout: Option<Duration>,
        mut raise: impl FnMut(Token, Readiness),
    ) {
        self.stats.waits += 1;
        match self.hosts[host].decided_ns.take() {
            Some(until_ns) => {
                let clock_ns = &mut self.hosts[host].clock_ns;
                *clock_ns = until_ns.max(*clock_ns);
            }
            None => self.sleep(host, timeout),
        }
        let fault = self.enter(host, Call::Wait);
        if fault != Some(Fault::Interrupted) {
            self.deliver(host, &mut raise);
        }
        let host = &mut self.hosts[host];
        host.woken_ns = host.clock_ns;
        if let Some(ready_ns) = &mut host.ready_ns {
            *ready_ns = host.clock_ns;
        }
    }

    /// Lets the world go on until this host has an event, a signal, or has slept enough.
    fn sleep(&mut self, host: usize, timeout: Option<Duration>) {
        let until_ns = timeout.map(|timeout| self.hosts[host].clock_ns + ns(timeout));
        loop {
            self.settle(host);
            if !self.hosts[host].ready.is_empty() || !self.hosts[host].signals.is_empty() {
                return;
            }
            let next = (0..self.hosts.len())
                .filter_map(|host| Some((self.next_event_ns(host)?, host)))
                .min();
            let next = next.filter(|(at, _)| until_ns.is_none_or(|until| *at <= until));
            let clock_ns = &mut self.hosts[host].clock_ns;
            match (next, until_ns) {
                (Some((at_ns, where_to)), _) => {
                    *clock_ns = at_ns.max(*clock_ns);
                    self.happen(where_to, at_ns);
                }
                (None, Some(until_ns)) => {
                    *clock_ns = until_ns.max(*clock_ns);
                    return;
                }
                (None, None) => panic!("it would sleep for ever"),
            }
        }
    }

    /// Gives out what stands on the ready list, with the flags that are true by now.
    fn deliver(&mut self, host: usize, raise: &mut impl FnMut(Token, Readiness)) {
        for _ in 0..self.hosts[host].machine.events_per_wait {
            let Some(id) = self.hosts[host].ready.pop_front() else {
                break;
            };
            let flags = self.flags(id);
            let watch = self.watch(id);
            watch.is_queued = false;
            if let Some(token) = watch.token
                && flags != Flags::default()
            {
                raise(token, flags.into());
            }
        }
        if self.hosts[host].ready.is_empty() {
            self.hosts[host].ready_ns = None;
        }
    }

    /// A new descriptor's local address: each comes from another port.
    pub fn next_local(&mut self, host: usize, peer: SocketAddr) -> SocketAddr {
        let socket = &mut self.hosts[host];
        socket.opened += 1;
        socket.open += 1;
        let is_like = |ip: &&std::net::IpAddr| ip.is_ipv4() == peer.is_ipv4();
        let ip = socket.ips.iter().find(is_like).copied();
        let ip = ip.unwrap_or_else(|| std::net::Ipv4Addr::LOCALHOST.into());
        let port = 50_000 + u16::try_from(socket.opened % 10_000).unwrap();
        SocketAddr::new(ip, port)
    }
}
