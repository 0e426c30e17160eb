//! A kernel that has the same to say at each wait, and takes whatever it is given: next to nothing, so
//! that what is counted is the server.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use pingpong::inside::reactor::kernel::{
    Datagrams, Kernel, Listener, Readiness, RecvMeta, RecvSlots, Signal, Stream, Token, Transmit,
};

/// What has come since the last wait, and what went out in all.
#[derive(Debug)]
pub struct Wire {
    stream_input: Vec<u8>,
    datagrams: Vec<Vec<u8>>,
    has_connection: Cell<bool>,
    has_input: Cell<bool>,
    /// How many of the datagrams have been received since the last wait.
    received: Cell<usize>,
    /// Bytes that were written to connections, and sent in datagrams.
    pub taken_bytes: Cell<usize>,
}

/// A listener, a connection or a datagram socket.
#[derive(Debug)]
pub struct End(Rc<Wire>);

/// The kernel, of which each source is ready at each wait.
pub struct Stub {
    wire: Rc<Wire>,
    now: Instant,
    tokens: Vec<Token>,
}

impl Stub {
    /// A kernel, a listener and a datagram socket. If `stream_input` is not empty, there is one
    /// connection, which reads it once after each wait; the datagram socket receives `datagrams` then,
    /// each from a port of its own.
    #[must_use]
    pub fn new(stream_input: Vec<u8>, datagrams: Vec<Vec<u8>>) -> (Self, End, (End, SocketAddr)) {
        let wire = Rc::new(Wire {
            has_connection: Cell::new(!stream_input.is_empty()),
            has_input: Cell::new(false),
            received: Cell::new(0),
            taken_bytes: Cell::new(0),
            stream_input,
            datagrams,
        });
        let stub = Self {
            wire: wire.clone(),
            now: Instant::now(),
            tokens: Vec::new(),
        };
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 8888));
        (stub, End(wire.clone()), (End(wire), local))
    }

    /// The wire, to look at from outside.
    #[must_use]
    pub fn wire(&self) -> Rc<Wire> {
        self.wire.clone()
    }
}

fn would_block<T>() -> io::Result<T> {
    Err(ErrorKind::WouldBlock.into())
}

impl Kernel for Stub {
    type Listener = End;
    type Stream = End;
    type Datagrams = End;

    fn now(&self) -> Instant {
        self.now
    }

    fn wait(
        &mut self,
        _: Option<Duration>,
        mut raise: impl FnMut(Token, Readiness),
    ) -> io::Result<()> {
        self.wire.has_input.set(true);
        self.wire.received.set(0);
        let ready = Readiness {
            readable: true,
            writable: true,
            more_than_data: false,
        };
        self.tokens.iter().for_each(|token| raise(*token, ready));
        Ok(())
    }

    fn register_listener(&mut self, _: &mut End, token: Token) -> io::Result<()> {
        self.tokens.push(token);
        Ok(())
    }

    fn register_stream(&mut self, _: &mut End, token: Token) -> io::Result<()> {
        self.tokens.push(token);
        Ok(())
    }

    fn register_datagrams(&mut self, _: &mut End, token: Token) -> io::Result<()> {
        self.tokens.push(token);
        Ok(())
    }

    fn connect(&mut self, _: SocketAddr) -> io::Result<End> {
        would_block()
    }

    fn open_datagrams(&mut self, _: SocketAddr) -> io::Result<End> {
        would_block()
    }

    fn next_signal(&mut self) -> Option<Signal> {
        None
    }

    fn is_local(&self, _: SocketAddr) -> bool {
        false
    }
}

impl Listener for End {
    type Stream = Self;

    fn accept(&mut self) -> io::Result<(Self, Option<SocketAddr>)> {
        if self.0.has_connection.take() {
            let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
            Ok((Self(self.0.clone()), Some(peer)))
        } else {
            would_block()
        }
    }
}

impl Stream for End {
    fn connected(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.0.has_input.take() {
            return would_block();
        }
        let input = &self.0.stream_input;
        buffer[..input.len()].copy_from_slice(input);
        Ok(input.len())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.taken_bytes.update(|taken| taken + bytes.len());
        Ok(bytes.len())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 8888)))
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Datagrams for End {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Stream::local_addr(self)
    }

    fn receive(&mut self, slots: &mut RecvSlots, most: usize) -> io::Result<usize> {
        let before = self.0.received.get();
        let datagrams = &self.0.datagrams[before..];
        if datagrams.is_empty() {
            return would_block();
        }
        let datagrams = &datagrams[..datagrams.len().min(most)];
        self.0.received.set(before + datagrams.len());
        let room = slots.bytes.chunks_exact_mut(slots.slot_bytes);
        let info = slots.info.iter_mut();
        let ports = 40_000 + u16::try_from(before).unwrap_or(0)..;
        for (((datagram, slot), info), port) in datagrams.iter().zip(room).zip(info).zip(ports) {
            slot[..datagram.len()].copy_from_slice(datagram);
            *info = RecvMeta {
                source: SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into(),
                dst_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST).into()),
                len_bytes: datagram.len(),
                segment_bytes: datagram.len(),
                is_cut: false,
            };
        }
        Ok(datagrams.len())
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> io::Result<()> {
        let len = transmit.bytes.len();
        self.0.taken_bytes.update(|taken| taken + len);
        Ok(())
    }

    fn max_segments(&self) -> usize {
        64
    }

    fn kernel_drops(&mut self) -> Option<u32> {
        None
    }
}
