//! The real kernel: mio's poll, its sockets, quinn-udp's batches, signal-hook's signals.

use std::ffi::c_int;
use std::io::{self, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::event::{Event, Source};
use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use signal_hook::consts::signal::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;

use super::attempt::{is_interrupted, still_connecting};
use super::bind::{self, BindOptions};
use super::kernel::{
    ARRIVAL_MAX_BYTES, ARRIVALS_PER_CALL, Arrival, Arrivals, Datagrams, Departure, Kernel,
    Listener, Readiness, Signal, Stream, Token,
};

/// How many events one wait fetches at most; the rest come with the next.
const EVENTS_PER_WAIT: usize = 1024;

/// The signals' own token: the one that no other source may have.
pub const SIGNALS: Token = Token(usize::MAX);

/// The kernel that this process runs on.
pub struct Os {
    poll: Poll,
    events: Events,
    signals: Signals,
    /// An event said that signals came; they have not all been told yet.
    signalled: bool,
}

impl Os {
    /// Opens the poll, and takes over a server's signals: SIGTERM, SIGINT and SIGUSR1. SIGQUIT stays what it
    /// is: the way to a core dump of one that hangs.
    ///
    /// # Errors
    /// `epoll_create1(2)`, `socketpair(2)` or `sigaction(2)` failed.
    pub fn new() -> io::Result<Self> {
        Self::with_signals([SIGTERM, SIGINT, SIGUSR1])
    }

    /// Opens the poll, and takes over a client's signals: SIGTERM, SIGINT and, as ping(8) does, SIGQUIT.
    ///
    /// # Errors
    /// As for [`Os::new`].
    pub fn for_client() -> io::Result<Self> {
        Self::with_signals([SIGTERM, SIGINT, SIGQUIT])
    }

    fn with_signals(taken_over: [c_int; 3]) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut signals = Signals::new(taken_over)?;
        poll.registry()
            .register(&mut signals, mio::Token(SIGNALS.0), Interest::READABLE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            signals,
            signalled: false,
        })
    }

    /// Once and for both directions: what is registered is never changed.
    fn register(&self, source: &mut impl Source, token: Token) -> io::Result<()> {
        let every_direction = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.poll
            .registry()
            .register(source, mio::Token(token.0), every_direction)
    }
}

/// An error can come with neither direction set, and a reset with data still to be read: then all is tried.
fn readiness(event: &Event) -> Readiness {
    if event.is_error() {
        return Readiness::ALL;
    }
    Readiness {
        readable: event.is_readable() || event.is_read_closed(),
        writable: event.is_writable() || event.is_write_closed(),
        more_than_data: event.is_read_closed() || event.is_priority(),
    }
}

impl Kernel for Os {
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Datagrams = OsDatagrams;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        mut raise: impl FnMut(Token, Readiness),
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if is_interrupted(&error) => return Ok(()),
            outcome => outcome?,
        }
        for event in &self.events {
            match Token(event.token().0) {
                SIGNALS => self.signalled = true,
                token => raise(token, readiness(event)),
            }
        }
        Ok(())
    }

    fn register_listener(&mut self, listener: &mut TcpListener, token: Token) -> io::Result<()> {
        self.register(listener, token)
    }

    fn register_stream(&mut self, stream: &mut TcpStream, token: Token) -> io::Result<()> {
        self.register(stream, token)
    }

    fn register_datagrams(&mut self, datagrams: &mut OsDatagrams, token: Token) -> io::Result<()> {
        self.register(&mut datagrams.socket, token)
    }

    fn connect(&mut self, peer: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(peer)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn open_datagrams(&mut self, local: SocketAddr) -> io::Result<OsDatagrams> {
        bind::datagrams(local, BindOptions::default())
    }

    fn next_signal(&mut self) -> Option<Signal> {
        if !self.signalled {
            return None;
        }
        let signal = self.signals.pending().find_map(|number| match number {
            SIGTERM | SIGINT => Some(Signal::Stop),
            SIGUSR1 | SIGQUIT => Some(Signal::Report),
            _ => None,
        });
        self.signalled = signal.is_some();
        signal
    }

    /// bind(2) refuses, with EADDRNOTAVAIL, exactly the addresses that this host has not.
    fn is_local(&self, address: SocketAddr) -> bool {
        let mut any_port = SocketAddr::new(address.ip().to_canonical(), 0);
        if let (SocketAddr::V6(any_port), SocketAddr::V6(address)) = (&mut any_port, address) {
            any_port.set_scope_id(address.scope_id());
        }
        match std::net::UdpSocket::bind(any_port) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::AddrNotAvailable,
        }
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        Self::accept(self)
    }
}

impl Stream for TcpStream {
    fn connected(&mut self) -> io::Result<()> {
        if let Some(error) = self.take_error()? {
            return Err(error);
        }
        self.peer_addr().map(drop).map_err(still_connecting)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(self, buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A UDP socket that receives and sends in batches.
#[derive(Debug)]
pub struct OsDatagrams {
    pub(super) socket: UdpSocket,
    pub(super) offload: UdpSocketState,
    /// Whom it is connected to.
    pub(super) peer: Option<SocketAddr>,
}

impl Datagrams for OsDatagrams {
    fn connect(&mut self, peer: SocketAddr) -> io::Result<()> {
        self.socket.connect(peer)?;
        self.peer = Some(peer);
        Ok(())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn receive(&mut self, arrivals: &mut Arrivals) -> io::Result<usize> {
        let mut slots = arrivals.bytes.chunks_exact_mut(ARRIVAL_MAX_BYTES);
        let mut buffers: [_; ARRIVALS_PER_CALL] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        let mut metas = [RecvMeta::default(); ARRIVALS_PER_CALL];
        let count = self
            .offload
            .recv(UdpSockRef::from(&self.socket), &mut buffers, &mut metas)?;
        for (info, meta) in arrivals.info.iter_mut().zip(&metas).take(count) {
            *info = Arrival {
                source: meta.addr,
                hit: meta.dst_ip,
                len_bytes: meta.len,
                segment_bytes: meta.stride,
            };
        }
        Ok(count)
    }

    fn send(&mut self, departure: &Departure<'_>) -> io::Result<()> {
        // A connected socket has its route at hand; with a destination, the kernel looks it up anew.
        if self.peer == Some(departure.destination)
            && departure.source.is_none()
            && departure.bytes.len() <= departure.segment_bytes
        {
            return self.socket.send(departure.bytes).map(drop);
        }
        let transmit = Transmit {
            destination: departure.destination,
            ecn: None,
            contents: departure.bytes,
            segment_size: Some(departure.segment_bytes),
            src_ip: departure.source,
        };
        self.offload
            .try_send(UdpSockRef::from(&self.socket), &transmit)
    }

    fn max_segments(&self) -> usize {
        self.offload.max_gso_segments()
    }
}
