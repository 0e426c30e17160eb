//! Connections: their two ends, and the calls on them, as Linux does them.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use pingpong::inside::reactor::attempt::would_block;
use pingpong::inside::reactor::kernel::Flags;

use super::epoll::Watch;
use super::hosts::{Call, Event, Fault, Id, MS, Net, S};

/// When TCP sends again what was lost.
const RETRANSMIT_NS: u64 = 200 * MS;
/// When it asks again for a connection; and when it gives up, tcp(7).
const SYN_AGAIN_NS: u64 = S;
const SYN_GIVES_UP_NS: u64 = 127 * S;

#[derive(Debug)]
pub struct Listener {
    pub host: usize,
    pub local: SocketAddr,
    pub watch: Watch,
    pub backlog: VecDeque<usize>,
    pub backlog_max: usize,
    pub is_open: bool,
}

/// One end of a connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are told apart by no state machine"
)]
pub struct Stream {
    pub host: usize,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub watch: Watch,
    pub peer: Option<usize>,
    /// The end of a scripted peer.
    pub is_scripted: bool,
    pub is_open: bool,
    pub connected: Option<Result<(), io::ErrorKind>>,
    pub inbox: VecDeque<u8>,
    pub has_fin: bool,
    pub is_shut: bool,
    /// It was torn down; whether that has been told.
    pub reset: Option<bool>,
    /// How much may still be written.
    pub room_bytes: usize,
    pub wants_room: bool,
    /// Nothing that is sent from here comes before this.
    pub arrival_ns: u64,
    /// Messages that a scripted peer had, and the beginning of the next.
    pub messages: usize,
    pub partial: Vec<u8>,
}

impl Stream {
    pub fn flags(&self) -> Flags {
        let is_gone = self.reset.is_some();
        let has_failed = matches!(self.connected, Some(Err(_))) || is_gone;
        if self.connected.is_none() && !is_gone {
            return Flags::default();
        }
        Flags {
            readable: !self.inbox.is_empty() || self.has_fin || has_failed,
            writable: self.room_bytes > 0 || has_failed,
            error: self.reset == Some(false) || matches!(self.connected, Some(Err(_))),
            read_closed: self.has_fin || has_failed,
            write_closed: (self.has_fin && self.is_shut) || has_failed,
            priority: false,
        }
    }
}

impl Net {
    pub fn add_listener(&mut self, host: usize, local: SocketAddr, backlog_max: usize) -> usize {
        self.hosts[host].open += 1;
        self.listeners.push(Listener {
            host,
            local,
            watch: Watch::default(),
            backlog: VecDeque::new(),
            backlog_max,
            is_open: true,
        });
        self.listeners.len() - 1
    }

    fn add_stream(&mut self, host: usize, local: SocketAddr, remote: SocketAddr) -> usize {
        let room_bytes = self.hosts[host].machine.stream_bytes;
        self.streams.push(Stream {
            host,
            local,
            remote,
            watch: Watch::default(),
            peer: None,
            is_scripted: false,
            is_open: true,
            connected: None,
            inbox: VecDeque::new(),
            has_fin: false,
            is_shut: false,
            reset: None,
            room_bytes,
            wants_room: false,
            arrival_ns: 0,
            messages: 0,
            partial: Vec::new(),
        });
        self.streams.len() - 1
    }

    /// Sends something to the other end of a connection, behind what was sent before.
    pub fn carry(&mut self, stream: usize, at_ns: u64, event: impl FnOnce(usize) -> Event) {
        let Some(peer) = self.streams[stream].peer else {
            return;
        };
        let (from, to) = (self.streams[stream].host, self.streams[peer].host);
        let mut arrival_ns = at_ns + self.delay_ns(from, to);
        if self.strikes(from, |host| host.link.loss_one_in) {
            arrival_ns += RETRANSMIT_NS;
        }
        let stream = &mut self.streams[stream];
        stream.arrival_ns = stream.arrival_ns.max(arrival_ns);
        let arrival_ns = stream.arrival_ns;
        self.post(to, arrival_ns, event(peer));
    }

    /// connect(2)
    pub fn connect(&mut self, host: usize, to: SocketAddr) -> io::Result<usize> {
        let began_ns = self.hosts[host].clock_ns;
        self.enter(host, Call::Sure);
        let where_to = self.host_of(to.ip()).filter(|_| self.has_route);
        let Some(where_to) = where_to else {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        };
        let local = self.next_local(host, to);
        let client = self.add_stream(host, local, to);
        self.hosts[host].truth.connects(client, began_ns);
        let now_ns = self.hosts[host].clock_ns;
        self.hosts[host].clock_ns += self.hosts[host].machine.connect_ns;
        self.say(host, format_args!("connect {client} to {to}"));
        if self.silent.contains(&to) {
            let outcome = Err(io::ErrorKind::TimedOut);
            let stream = client;
            self.post(
                host,
                now_ns + SYN_GIVES_UP_NS,
                Event::Connected { stream, outcome },
            );
        } else {
            match self.delay_ns(host, where_to) {
                // As on a loopback: the other side's kernel works within this very call.
                0 => self.syn(where_to, now_ns, client, to),
                delay_ns => self.post(where_to, now_ns + delay_ns, Event::Syn { client, to }),
            }
        }
        Ok(client)
    }

    /// Somebody asks this host for a connection.
    pub fn syn(&mut self, host: usize, at_ns: u64, client: usize, to: SocketAddr) {
        let asker = &self.streams[client];
        let (back, from, remote) = (asker.host, asker.local, asker.is_open);
        if !remote {
            return;
        }
        let mut answer_ns = at_ns + self.delay_ns(host, back);
        let outcome = if let Some(actor) = &self.hosts[host].actor {
            let (after, failure) = (actor.connect)(to);
            answer_ns += super::epoll::ns(after);
            failure.map_or(Ok(None), Err)
        } else {
            let is_it = |listener: &Listener| {
                let is_bound =
                    listener.local.ip() == to.ip() || listener.local.ip().is_unspecified();
                listener.is_open
                    && listener.host == host
                    && is_bound
                    && listener.local.port() == to.port()
            };
            let listener = self.listeners.iter().position(is_it);
            listener.map(Some).ok_or(io::ErrorKind::ConnectionRefused)
        };
        let listener = match outcome {
            Ok(listener) => listener,
            Err(kind) => {
                let (stream, outcome) = (client, Err(kind));
                return self.post(back, answer_ns, Event::Connected { stream, outcome });
            }
        };
        if let Some(listener) = listener {
            let listener = &self.listeners[listener];
            if listener.backlog.len() >= listener.backlog_max {
                return self.post(host, at_ns + SYN_AGAIN_NS, Event::Syn { client, to });
            }
        }
        let end = self.add_stream(host, to, from);
        let stream = &mut self.streams[end];
        stream.peer = Some(client);
        stream.connected = Some(Ok(()));
        stream.is_scripted = listener.is_none();
        stream.arrival_ns = answer_ns;
        if let Some(listener) = listener {
            self.hosts[host].open += 1;
            self.listeners[listener].backlog.push_back(end);
            self.edge(Id::Listener(listener), at_ns);
        }
        let (stream, outcome) = (client, Ok(end));
        self.post(back, answer_ns, Event::Connected { stream, outcome });
    }

    pub fn connected(&mut self, id: usize, at_ns: u64, outcome: Result<usize, io::ErrorKind>) {
        let stream = &mut self.streams[id];
        stream.peer = outcome.ok();
        if !stream.is_open {
            return self.carry(id, at_ns, |stream| Event::Reset { stream });
        }
        stream.connected = Some(outcome.map(|_| ()));
        let host = stream.host;
        self.hosts[host].truth.connected(id, at_ns);
        self.say_at(
            host,
            at_ns,
            format_args!("stream {id} is connected: {outcome:?}"),
        );
        self.edge(Id::Stream(id), at_ns);
    }

    /// What connect(2) left in `SO_ERROR`, or that it has not ended.
    pub fn ask_connected(&mut self, id: usize) -> io::Result<()> {
        let host = self.streams[id].host;
        self.enter(host, Call::Sure);
        let outcome = self.streams[id].connected.ok_or_else(would_block)?;
        let host = &mut self.hosts[host];
        let at = (host.woken_ns, host.clock_ns);
        host.truth.told(id, at, outcome.is_ok());
        outcome.map_err(io::Error::from)
    }

    /// accept(2)
    pub fn accept(&mut self, listener: usize) -> io::Result<(usize, SocketAddr)> {
        let fault = self.enter(self.listeners[listener].host, Call::Accept);
        match fault {
            Some(Fault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Fault::WouldBlock) => {
                self.late_edge(Id::Listener(listener));
                return Err(would_block());
            }
            _ => {}
        }
        let waiting = self.listeners[listener].backlog.pop_front();
        let stream = waiting.ok_or_else(would_block)?;
        Ok((stream, self.streams[stream].remote))
    }

    pub fn data(&mut self, id: usize, at_ns: u64, bytes: Vec<u8>) {
        let stream = &mut self.streams[id];
        if stream.reset.is_some() {
            return;
        }
        if !stream.is_open {
            return self.carry(id, at_ns, |stream| Event::Reset { stream });
        }
        if stream.is_scripted {
            return self.act_on_stream(id, at_ns, &bytes);
        }
        let host = stream.host;
        if self.strikes(host, |host| host.link.reset_one_in) {
            self.stats.resets += 1;
            self.carry(id, at_ns, |stream| Event::Reset { stream });
            return self.reset(id, at_ns);
        }
        self.streams[id].inbox.extend(bytes);
        self.edge(Id::Stream(id), at_ns);
    }

    pub fn credit(&mut self, id: usize, at_ns: u64, bytes: usize) {
        let stream = &mut self.streams[id];
        stream.room_bytes += bytes;
        let enough = self.hosts[stream.host].machine.stream_bytes / 3;
        if stream.wants_room && stream.room_bytes > enough {
            stream.wants_room = false;
            self.edge(Id::Stream(id), at_ns);
        }
    }

    pub fn fin(&mut self, id: usize, at_ns: u64) {
        self.streams[id].has_fin = true;
        self.edge(Id::Stream(id), at_ns);
    }

    pub fn reset(&mut self, id: usize, at_ns: u64) {
        let stream = &mut self.streams[id];
        stream.reset.get_or_insert(false);
        self.edge(Id::Stream(id), at_ns);
    }
}
