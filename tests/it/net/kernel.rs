//! The kernel of one host, behind the seam: handles that share one [`Net`].

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pingpong::inside::reactor::kernel::{
    Datagrams, Kernel, Listener, Readiness, RecvSlots, Signal, Stream, Token, Transmit,
};

use super::hosts::{Event, Id, Net};

#[derive(Clone)]
pub(crate) struct NetKernel {
    pub net: Rc<RefCell<Net>>,
    pub host: usize,
}

/// A handle on a socket: dropping it closes the socket. (It finds the network borrowed only while a
/// panic unwinds.)
pub(crate) struct Handle {
    net: Rc<RefCell<Net>>,
    id: Id,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Ok(mut net) = self.net.try_borrow_mut() {
            match self.id {
                Id::Listener(id) => net.close_listener(id),
                Id::Stream(id) => net.close_stream(id),
                Id::Port(id) => net.close_port(id),
            }
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

macro_rules! handles {
    ($($name:ident)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name(Handle, usize);
    )*};
}
handles!(NetListener NetStream NetDatagrams);

impl NetKernel {
    /// The kernel of one host of a network that nobody else has yet.
    pub fn of(net: Net, host: usize) -> Self {
        let net = Rc::new(RefCell::new(net));
        Self { net, host }
    }

    /// Another host's.
    pub fn at(&self, host: usize) -> Self {
        let net = self.net.clone();
        Self { net, host }
    }

    fn handle(&self, id: Id) -> Handle {
        let net = self.net.clone();
        Handle { net, id }
    }

    pub fn listen(&self, local: SocketAddr, backlog_max: usize) -> NetListener {
        let id = self
            .net
            .borrow_mut()
            .add_listener(self.host, local, backlog_max);
        NetListener(self.handle(Id::Listener(id)), id)
    }

    pub fn bind(&self, local: SocketAddr) -> NetDatagrams {
        let net = &mut *self.net.borrow_mut();
        net.hosts[self.host].open += 1;
        let id = net.add_port(self.host, local);
        NetDatagrams(self.handle(Id::Port(id)), id)
    }
}

impl Kernel for NetKernel {
    type Listener = NetListener;
    type Stream = NetStream;
    type Datagrams = NetDatagrams;

    fn now(&self) -> Instant {
        let net = &mut *self.net.borrow_mut();
        let host = &mut net.hosts[self.host];
        host.clock_ns += host.machine.clock_ns;
        let ns = host.clock_ns;
        net.instant(ns)
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        raise: impl FnMut(Token, Readiness),
    ) -> io::Result<()> {
        self.net.borrow_mut().wait(self.host, timeout, raise);
        Ok(())
    }

    fn register_listener(&mut self, listener: &mut NetListener, token: Token) -> io::Result<()> {
        self.net.borrow_mut().register(listener.0.id, token);
        Ok(())
    }

    fn register_stream(&mut self, stream: &mut NetStream, token: Token) -> io::Result<()> {
        self.net.borrow_mut().register(stream.0.id, token);
        Ok(())
    }

    fn register_datagrams(&mut self, socket: &mut NetDatagrams, token: Token) -> io::Result<()> {
        self.net.borrow_mut().register(socket.0.id, token);
        Ok(())
    }

    fn connect(&mut self, peer: SocketAddr) -> io::Result<NetStream> {
        let id = self.net.borrow_mut().connect(self.host, peer)?;
        Ok(NetStream(self.handle(Id::Stream(id)), id))
    }

    fn open_datagrams(&mut self, local: SocketAddr) -> io::Result<NetDatagrams> {
        let id = self.net.borrow_mut().open_port(self.host, local);
        Ok(NetDatagrams(self.handle(Id::Port(id)), id))
    }

    fn next_signal(&mut self) -> Option<Signal> {
        self.net.borrow_mut().hosts[self.host].signals.pop_front()
    }

    fn is_local(&self, address: SocketAddr) -> bool {
        let net = self.net.borrow();
        net.hosts[self.host].ips.contains(&address.ip())
    }
}

impl Listener for NetListener {
    type Stream = NetStream;

    fn accept(&mut self) -> io::Result<(NetStream, Option<SocketAddr>)> {
        let (id, address) = self.0.net.borrow_mut().accept(self.1)?;
        let (net, socket) = (self.0.net.clone(), Id::Stream(id));
        Ok((NetStream(Handle { net, id: socket }, id), Some(address)))
    }
}

impl Stream for NetStream {
    fn connected(&mut self) -> io::Result<()> {
        self.0.net.borrow_mut().ask_connected(self.1)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.net.borrow_mut().read(self.1, buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.net.borrow_mut().write(self.1, bytes)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.net.borrow().streams[self.1].local)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.net.borrow_mut().shut(self.1)
    }
}

impl Datagrams for NetDatagrams {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.net.borrow().ports[self.1].local)
    }

    fn receive(&mut self, slots: &mut RecvSlots, most: usize) -> io::Result<usize> {
        self.0.net.borrow_mut().receive(self.1, slots, most)
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.net.borrow_mut().send(self.1, transmit)
    }

    fn max_segments(&self) -> usize {
        let net = self.0.net.borrow();
        let host = net.ports[self.1].host;
        net.hosts[host].machine.gso_segments
    }

    fn kernel_drops(&mut self) -> Option<u32> {
        Some(self.0.net.borrow().ports[self.1].drops)
    }
}

impl NetKernel {
    /// A signal from the operator of this host, at that time of its world.
    pub fn signal_at(&self, at_ns: u64, signal: Signal) {
        let event = Event::Signal(signal);
        self.net.borrow_mut().post(self.host, at_ns, event);
    }

    /// What this host's clock shows, without asking it.
    pub fn clock_ns(&self) -> u64 {
        self.net.borrow().hosts[self.host].clock_ns
    }
}
