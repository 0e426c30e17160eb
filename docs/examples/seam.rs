//! A kernel of your own behind the seam: here one client, whose bytes are in memory, and a clock that
//! goes on when somebody waits. `cargo run --example seam`

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use pingpong::kernel::{
    Datagrams, Kernel, Listener, Readiness, RecvSlots, Signal, Stream, Token, Transmit,
};
use pingpong::{Endpoint, Exit, Program, Server, Settings};

/// What the client sends, and what it gets.
#[derive(Debug, Default)]
struct Client {
    is_connected: bool,
    sends: Vec<u8>,
    gets: Vec<u8>,
    has_closed: bool,
}

/// The kernel, and each socket on it.
#[derive(Clone, Debug)]
struct Memory(Rc<RefCell<Client>>, Instant);

/// There are none.
#[derive(Debug)]
struct NoDatagrams(Infallible);

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8888);

fn would_block<T>() -> io::Result<T> {
    Err(ErrorKind::WouldBlock.into())
}

impl Kernel for Memory {
    type Listener = Self;
    type Stream = Self;
    type Datagrams = NoDatagrams;

    fn now(&self) -> Instant {
        self.1
    }

    /// Latches begin set, so nothing has to be told: there is nothing new while somebody waits.
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        _: impl FnMut(Token, Readiness),
    ) -> io::Result<()> {
        self.1 += timeout.unwrap_or_default();
        Ok(())
    }

    fn register_listener(&mut self, _: &mut Self, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn register_stream(&mut self, _: &mut Self, _: Token) -> io::Result<()> {
        Ok(())
    }

    fn register_datagrams(&mut self, socket: &mut NoDatagrams, _: Token) -> io::Result<()> {
        match socket.0 {}
    }

    fn connect(&mut self, _: SocketAddr) -> io::Result<Self> {
        Err(ErrorKind::Unsupported.into())
    }

    fn open_datagrams(&mut self, _: SocketAddr) -> io::Result<NoDatagrams> {
        Err(ErrorKind::Unsupported.into())
    }

    /// The operator stops the server once the client has closed.
    fn next_signal(&mut self) -> Option<Signal> {
        let has_closed = std::mem::take(&mut self.0.borrow_mut().has_closed);
        has_closed.then_some(Signal::Stop)
    }

    fn is_local(&self, _: SocketAddr) -> bool {
        true
    }
}

impl Listener for Memory {
    type Stream = Self;

    fn accept(&mut self) -> io::Result<(Self, Option<SocketAddr>)> {
        if std::mem::replace(&mut self.0.borrow_mut().is_connected, true) {
            return would_block();
        }
        Ok((
            self.clone(),
            Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000))),
        ))
    }
}

impl Stream for Memory {
    fn connected(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Three bytes at a time, and then the end.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let client = &mut *self.0.borrow_mut();
        let len = client.sends.len().min(3).min(buffer.len());
        buffer[..len].copy_from_slice(&client.sends[..len]);
        client.sends.drain(..len);
        client.has_closed = len == 0;
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().gets.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SERVER)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Datagrams for NoDatagrams {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self.0 {}
    }

    fn receive(&mut self, _: &mut RecvSlots, _: usize) -> io::Result<usize> {
        match self.0 {}
    }

    fn send(&mut self, _: &Transmit<'_>) -> io::Result<()> {
        match self.0 {}
    }

    fn max_segments(&self) -> usize {
        match self.0 {}
    }

    fn kernel_drops(&mut self) -> Option<u32> {
        match self.0 {}
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let client = Rc::new(RefCell::new(Client {
        sends: b"ping 1\nhello\nPING 2\r\n".to_vec(),
        ..Client::default()
    }));
    let kernel = Memory(Rc::clone(&client), Instant::now());
    let listener = kernel.clone();
    let mut server = Server::new(
        kernel,
        Settings::default(),
        vec![(listener, Endpoint::Tcp(SERVER))],
        vec![],
    )?;
    let exit = server.run()?;
    assert_eq!(exit, Exit::Drained);
    assert_eq!(client.borrow().gets, b"pong 1\npong\nPONG 2\r\n");
    Ok(())
}
