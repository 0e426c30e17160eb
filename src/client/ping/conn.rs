//! What carries pings to the target: a connection, or a datagram socket.
//!
//! Both sides of a connection run the same [machine](crate::state): the server's begins in Open,
//! this one in Connecting. A datagram socket has nothing to wait for, and is Open at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::inbox::Inbox;
use crate::reactor::attempt::Attempt;
use crate::reactor::kernel::{Datagrams, Kernel, Readiness, Stream, Token, Transmit};
use crate::reactor::latch::Latched;
use crate::slices::part;
use crate::state::{Event, State};
use crate::transport::Transport;

#[derive(Debug)]
enum Wire<K: Kernel> {
    Stream(Latched<K::Stream>),
    Datagrams(Latched<K::Datagrams>),
}

/// A connection or a datagram socket, on its way to the target or there.
#[derive(Debug)]
pub(super) struct PingConn<K: Kernel> {
    /// Never given to another one.
    pub(super) id: usize,
    /// Whom it leads to.
    pub(super) peer: SocketAddr,
    /// The port at this end.
    pub(super) port: u16,
    /// How many pings wait for a reply on it.
    pub(super) waiting: usize,
    /// How many replies it has not brought yet, those to pings that have timed out among them.
    pub(super) owed: usize,
    /// How long connecting took, until the first reply has told.
    pub(super) connect: Option<Duration>,
    wire: Wire<K>,
    state: State,
    /// When connecting began.
    began_at: Instant,
    /// The kernel has told something of it, or may have.
    has_news: bool,
    is_retired: bool,
    /// The line that has begun and not ended.
    partial: Vec<u8>,
    /// The rest of a ping that the stream took only a part of.
    unsent: Vec<u8>,
}

impl<K: Kernel> PingConn<K> {
    /// Begins to connect.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn open(
        kernel: &mut K,
        transport: Transport,
        peer: SocketAddr,
        (id, token): (usize, Token),
    ) -> io::Result<Self> {
        let began_at = kernel.now();
        let (wire, state, local) = match transport {
            Transport::Tcp => {
                let mut stream = kernel.connect(peer)?;
                kernel.register_stream(&mut stream, token)?;
                let local = stream.local_addr()?;
                (Wire::Stream(Latched::new(stream)), State::Connecting, local)
            }
            Transport::Udp | Transport::Unix => {
                let mut socket = kernel.open_datagrams(any_port_like(peer))?;
                kernel.register_datagrams(&mut socket, token)?;
                let local = socket.local_addr()?;
                (Wire::Datagrams(Latched::new(socket)), State::Open, local)
            }
        };
        Ok(Self {
            id,
            peer,
            port: local.port(),
            waiting: 0,
            owed: 0,
            connect: None,
            wire,
            state,
            began_at,
            has_news: false,
            is_retired: false,
            partial: Vec::new(),
            unsent: Vec::new(),
        })
    }

    /// Takes note of an event.
    pub(super) fn raise(&mut self, ready: Readiness) {
        self.has_news = true;
        match &mut self.wire {
            Wire::Stream(stream) => stream.raise(ready),
            Wire::Datagrams(socket) => socket.raise(ready),
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// It takes new pings.
    pub(super) fn is_current(&self) -> bool {
        !self.is_retired && matches!(self.state, State::Connecting | State::Open)
    }

    /// Nothing is expected from it.
    pub(super) fn is_idle(&self) -> bool {
        self.owed + self.waiting == 0
    }

    /// Whether its peer has sent this. Who pings the unspecified address reaches this very host, and
    /// is answered from an address that it has (ip(7)).
    pub(super) fn is_from_peer(&self, source: SocketAddr) -> bool {
        let is_same_host = self.peer.ip().is_unspecified() || source.ip() == self.peer.ip();
        is_same_host && source.port() == self.peer.port()
    }

    /// It takes no new pings, and is still read from, for late replies and duplicates; a connection
    /// ends in order, with a FIN, as soon as it owes no reply.
    pub(super) fn retire(&mut self) {
        self.is_retired = true;
        if self.state != State::Open || !self.is_idle() || !self.unsent.is_empty() {
            return;
        }
        if let Wire::Stream(stream) = &mut self.wire {
            let outcome = stream.io().shutdown_write();
            self.step(Event::Shut);
            if outcome.is_err() {
                self.step(Event::Failed);
            }
        }
    }

    /// Looks whether the connection has come about; if it just has, says how long that took, until
    /// `now`, when the turn began. What this very turn has opened waits for the next: its end would
    /// be read off the clock before its beginning.
    ///
    /// # Errors
    /// It never will.
    pub(super) fn check_connected(&mut self, now: Instant) -> Result<Option<Duration>, Failure> {
        let (Wire::Stream(stream), State::Connecting) = (&mut self.wire, self.state) else {
            return Ok(None);
        };
        let connect = now.checked_duration_since(self.began_at);
        let Some(connect) = connect.filter(|_| self.has_news && stream.is_writable()) else {
            return Ok(None);
        };
        match stream.try_write(Stream::connected) {
            Attempt::Blocked => Ok(None),
            Attempt::Done(()) => {
                self.step(Event::Connected);
                self.connect = Some(connect);
                Ok(self.connect)
            }
            Attempt::Failed(error) => {
                self.step(Event::Failed);
                Err(error.into())
            }
        }
    }

    /// Gives one ping to the kernel, or as much of it as a stream takes.
    pub(super) fn send(&mut self, ping: &[u8]) -> Attempt<()> {
        let outcome = match &mut self.wire {
            Wire::Stream(stream) => match stream.write(ping) {
                Attempt::Done(len) => {
                    let rest = part(ping, len..);
                    self.unsent.extend_from_slice(rest);
                    Attempt::Done(())
                }
                Attempt::Blocked => Attempt::Blocked,
                Attempt::Failed(error) => Attempt::Failed(error),
            },
            Wire::Datagrams(socket) => {
                let transmit = Transmit {
                    destination: self.peer.into(),
                    source: None,
                    bytes: ping,
                    segment_bytes: ping.len(),
                };
                socket.try_write(|socket| socket.send(&transmit))
            }
        };
        if matches!(outcome, Attempt::Failed(_)) {
            self.step(Event::Failed);
        }
        outcome
    }

    /// Sends the rest of a ping, if any is left. Done says that the next one may follow.
    pub(super) fn send_rest(&mut self) -> Attempt<()> {
        let is_writable = match &mut self.wire {
            Wire::Datagrams(socket) => socket.is_writable(),
            Wire::Stream(stream) => {
                while !self.unsent.is_empty() && stream.is_writable() {
                    match stream.write(&self.unsent) {
                        Attempt::Done(len) => drop(self.unsent.drain(..len)),
                        Attempt::Blocked => {}
                        Attempt::Failed(error) => {
                            self.step(Event::Failed);
                            return Attempt::Failed(error);
                        }
                    }
                }
                stream.is_writable()
            }
        };
        if self.unsent.is_empty() && is_writable && self.state == State::Open {
            Attempt::Done(())
        } else {
            Attempt::Blocked
        }
    }

    /// The budget was spent, and there may be more to receive.
    pub(super) fn has_more(&self) -> bool {
        let is_readable = match &self.wire {
            Wire::Stream(stream) => stream.is_readable(),
            Wire::Datagrams(socket) => socket.is_readable(),
        };
        is_readable && !matches!(self.state, State::Connecting | State::Closed)
    }

    /// Receives what is there, within the budget. A reply is never longer than `reply_max_bytes`.
    /// What came before a failure is in the inbox too.
    ///
    /// # Errors
    /// It has come to its end; or, of a datagram socket, what the network says of a datagram that
    /// was sent: that is no end.
    pub(super) fn receive(
        &mut self,
        inbox: &mut Inbox,
        reply_max_bytes: usize,
    ) -> Result<(), Failure> {
        inbox.clear();
        if matches!(self.state, State::Connecting | State::Closed) {
            return Ok(());
        }
        let stream = match &mut self.wire {
            Wire::Datagrams(socket) => return inbox.receive(socket),
            Wire::Stream(stream) => stream,
        };
        let mut outcome = inbox.read(stream, &mut self.partial);
        if outcome.is_ok() && self.partial.len() > reply_max_bytes {
            outcome = Err(Failure::EndlessLine);
        }
        match &outcome {
            Ok(()) => {}
            Err(Failure::Closed) if self.state == State::Open => {
                self.step(Event::PeerClosed);
                self.step(Event::Flushed);
            }
            Err(Failure::Closed) => self.step(Event::PeerClosed),
            Err(_) => self.step(Event::Failed),
        }
        outcome
    }

    /// The beginning of the line that did not end.
    pub(super) fn take_partial(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }

    /// The only place in which its state changes.
    fn step(&mut self, event: Event) {
        self.state.step(event, &self.peer);
    }
}

const fn any_port_like(peer: SocketAddr) -> SocketAddr {
    let ip = match peer {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}
