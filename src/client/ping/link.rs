//! A link carries pings to the target: a connection, or a datagram socket.
//!
//! Both sides of a connection run the same [machine](crate::state): the server's begins in Open, a
//! link in Connecting. A datagram socket has nothing to wait for, and is Open at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::bench::Bench;
use super::failure::Failure;
use crate::reactor::attempt::Attempt;
use crate::reactor::kernel::{Datagrams, Kernel, Readiness, Stream, Token, Transmit};
use crate::reactor::latch::Latched;
use crate::state::{Event, State};
use crate::transport::Transport;

#[derive(Debug)]
enum Wire<K: Kernel> {
    Stream(Latched<K::Stream>),
    Datagrams(Latched<K::Datagrams>),
}

/// How sending a ping went.
#[derive(Debug)]
pub enum Sending {
    /// The kernel has it, or as much of it as a stream took.
    Done,
    /// Not now.
    Blocked,
    /// The link cannot send it.
    Failed(Failure),
}

/// A connection or a datagram socket, on its way to the target or there.
#[derive(Debug)]
pub struct Link<K: Kernel> {
    /// Never given to another link.
    pub id: usize,
    /// Whom it leads to.
    pub peer: SocketAddr,
    /// The port at this end.
    pub port: u16,
    /// How many pings wait for a reply on it.
    pub waiting: usize,
    /// How many replies it has not brought yet, those to pings that have timed out among them.
    pub owed: usize,
    /// How long connecting took, until the first reply has told.
    pub connect: Option<Duration>,
    wire: Wire<K>,
    state: State,
    began_at: Instant,
    /// No new pings: another link carries them.
    retired: bool,
    /// The line that has begun and not ended.
    partial: Vec<u8>,
    /// The rest of a ping that the stream took only a part of.
    unsent: Vec<u8>,
}

impl<K: Kernel> Link<K> {
    /// Begins to connect.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open(
        kernel: &mut K,
        transport: Transport,
        peer: SocketAddr,
        (id, token): (usize, Token),
    ) -> Result<Self, Failure> {
        let began_at = kernel.now();
        let (wire, local) = match transport {
            Transport::Tcp => {
                let mut stream = kernel.connect(peer)?;
                kernel.register_stream(&mut stream, token)?;
                let local = stream.local_addr()?;
                (Wire::Stream(Latched::new(stream)), local)
            }
            Transport::Udp => {
                let mut socket = kernel.open_datagrams(any_port_like(peer))?;
                socket.connect(peer)?;
                kernel.register_datagrams(&mut socket, token)?;
                let local = socket.local_addr()?;
                (Wire::Datagrams(Latched::new(socket)), local)
            }
        };
        let mut link = Self {
            id,
            peer,
            port: local.port(),
            waiting: 0,
            owed: 0,
            connect: None,
            wire,
            state: State::Connecting,
            began_at,
            retired: false,
            partial: Vec::new(),
            unsent: Vec::new(),
        };
        if transport == Transport::Udp {
            link.step(Event::Connected);
        }
        Ok(link)
    }

    /// Takes note of an event.
    pub fn raise(&mut self, ready: Readiness) {
        match &mut self.wire {
            Wire::Stream(stream) => stream.raise(ready),
            Wire::Datagrams(socket) => socket.raise(ready),
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// It takes new pings.
    pub fn is_current(&self) -> bool {
        !self.retired && matches!(self.state, State::Connecting | State::Open)
    }

    /// Nothing is expected from it.
    pub fn is_idle(&self) -> bool {
        self.owed + self.waiting == 0
    }

    /// New pings take another link. This one is still read from, for late replies and duplicates; a
    /// connection ends in order, with a FIN, as soon as it owes no reply.
    pub fn retire(&mut self) {
        self.retired = true;
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

    /// Looks whether the connection has come about; if it just has, says how long that took.
    ///
    /// # Errors
    /// It never will.
    pub fn check_connected(&mut self, now: Instant) -> Result<Option<Duration>, Failure> {
        let (Wire::Stream(stream), State::Connecting) = (&mut self.wire, self.state) else {
            return Ok(None);
        };
        if !stream.is_writable() {
            return Ok(None);
        }
        match stream.try_write(Stream::connected) {
            Attempt::Blocked => Ok(None),
            Attempt::Done(()) => {
                self.step(Event::Connected);
                self.connect = Some(now.saturating_duration_since(self.began_at));
                Ok(self.connect)
            }
            Attempt::Failed(error) => {
                self.step(Event::Failed);
                Err(error.into())
            }
        }
    }

    /// Gives one ping to the kernel.
    pub fn send(&mut self, ping: &[u8]) -> Sending {
        match &mut self.wire {
            Wire::Stream(stream) => match stream.write(ping) {
                Attempt::Done(len) => {
                    self.unsent
                        .extend_from_slice(ping.get(len..).unwrap_or_default());
                    Sending::Done
                }
                Attempt::Blocked => Sending::Blocked,
                Attempt::Failed(error) => self.fail(error),
            },
            Wire::Datagrams(socket) => match send_datagram(socket, self.peer, ping) {
                Attempt::Done(()) => Sending::Done,
                Attempt::Blocked => Sending::Blocked,
                Attempt::Failed(error) => self.fail(error),
            },
        }
    }

    fn fail(&mut self, error: io::Error) -> Sending {
        self.step(Event::Failed);
        Sending::Failed(error.into())
    }

    /// Sends the rest of a ping, if any is left, and says whether the next one may follow.
    ///
    /// # Errors
    /// The connection has failed.
    pub fn send_rest(&mut self) -> Result<bool, Failure> {
        if let Wire::Stream(stream) = &mut self.wire {
            while !self.unsent.is_empty() && stream.is_writable() {
                match stream.write(&self.unsent) {
                    Attempt::Done(len) => drop(self.unsent.drain(..len)),
                    Attempt::Blocked => {}
                    Attempt::Failed(error) => {
                        self.step(Event::Failed);
                        return Err(error.into());
                    }
                }
            }
        }
        let is_writable = match &self.wire {
            Wire::Stream(stream) => stream.is_writable(),
            Wire::Datagrams(socket) => socket.is_writable(),
        };
        Ok(self.unsent.is_empty() && is_writable && self.state == State::Open)
    }

    /// The budget was spent, and there may be more to receive.
    pub fn has_more(&self) -> bool {
        let is_readable = match &self.wire {
            Wire::Stream(stream) => stream.is_readable(),
            Wire::Datagrams(socket) => socket.is_readable(),
        };
        is_readable && !matches!(self.state, State::Connecting | State::Closed)
    }

    /// Receives what is there onto the bench, within the budget. A reply is never longer than
    /// `reply_max_bytes`. What came before a failure is on the bench too.
    ///
    /// # Errors
    /// The link has come to its end.
    pub fn receive(&mut self, bench: &mut Bench, reply_max_bytes: usize) -> Result<(), Failure> {
        bench.clear();
        if matches!(self.state, State::Connecting | State::Closed) {
            return Ok(());
        }
        let outcome = match &mut self.wire {
            Wire::Stream(stream) => bench.read(stream, &mut self.partial),
            Wire::Datagrams(socket) => bench.receive(socket),
        };
        let outcome = if outcome.is_ok() && self.partial.len() > reply_max_bytes {
            Err(Failure::EndlessLine)
        } else {
            outcome
        };
        match &outcome {
            Ok(()) => {}
            Err(Failure::Closed) if self.state == State::Open => {
                self.step(Event::PeerClosed);
                self.step(Event::Flushed);
            }
            Err(Failure::Closed) => self.step(Event::PeerClosed),
            // A datagram socket hears of one datagram that nobody took, and goes on.
            Err(Failure::Refused) if matches!(self.wire, Wire::Datagrams(_)) => {}
            Err(_) => self.step(Event::Failed),
        }
        outcome
    }

    /// The beginning of the line that did not end.
    pub fn take_partial(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.partial)
    }

    /// The only place in which a link's state changes.
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

/// Sends a datagram. What the network said of an earlier one is told by the next call, whichever it
/// is: then it is no answer to this one, which is given to the kernel once more.
fn send_datagram<D: Datagrams>(
    socket: &mut Latched<D>,
    peer: SocketAddr,
    bytes: &[u8],
) -> Attempt<()> {
    let transmit = Transmit {
        destination: peer,
        source: None,
        bytes,
        segment_bytes: bytes.len(),
    };
    match socket.try_write(|socket| socket.send(&transmit)) {
        Attempt::Failed(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            socket.try_write(|socket| socket.send(&transmit))
        }
        outcome => outcome,
    }
}
