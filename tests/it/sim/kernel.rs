//! The simulated kernel behind the seam: handles that share one [`World`].

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pingpong::inside::reactor::kernel::{
    Datagrams, HandedOver, Kernel, Listener, Notice, Readiness, RecvSlots, Signal, Stream, Token,
    Transmit,
};

use super::socket::Id;
use super::world::{World, say};

#[derive(Clone)]
pub struct SimKernel(pub Rc<RefCell<World>>);

/// A handle on a socket; dropping it closes that. (It finds its world borrowed only while a panic
/// unwinds.)
pub struct Handle {
    kernel: SimKernel,
    id: usize,
}

pub struct SimListener(Handle);
pub struct SimStream(Handle);
pub struct SimDatagrams(Handle);

impl SimKernel {
    pub fn listener(&self, id: usize) -> SimListener {
        SimListener(self.handle(id))
    }

    pub fn datagrams(&self, id: usize) -> SimDatagrams {
        SimDatagrams(self.handle(id))
    }

    fn handle(&self, id: usize) -> Handle {
        Handle {
            kernel: self.clone(),
            id,
        }
    }
}

impl Kernel for SimKernel {
    type Listener = SimListener;
    type Stream = SimStream;
    type Datagrams = SimDatagrams;

    fn now(&self) -> Instant {
        let world = &mut *self.0.borrow_mut();
        world.read_clock();
        world.base + Duration::from_nanos(world.now_ns)
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        raise: impl FnMut(Token, Readiness),
    ) -> io::Result<()> {
        self.0.borrow_mut().wait(timeout, raise);
        Ok(())
    }

    fn register_listener(&mut self, listener: &mut SimListener, token: Token) -> io::Result<()> {
        let id = Id::Listener(listener.0.id);
        self.0.borrow_mut().register(id, token);
        Ok(())
    }

    fn register_stream(&mut self, stream: &mut SimStream, token: Token) -> io::Result<()> {
        self.0.borrow_mut().register_conn(stream.0.id, token)
    }

    fn register_datagrams(&mut self, socket: &mut SimDatagrams, token: Token) -> io::Result<()> {
        let id = Id::Port(socket.0.id);
        self.0.borrow_mut().register(id, token);
        Ok(())
    }

    fn connect(&mut self, _: SocketAddr) -> io::Result<SimStream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn open_datagrams(&mut self, _: SocketAddr) -> io::Result<SimDatagrams> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn next_signal(&mut self) -> Option<Signal> {
        let world = &mut *self.0.borrow_mut();
        let signal = world.signals.pop_front()?;
        say!(world, "the server takes the signal {signal:?}");
        world.stats.successes += 1;
        match signal {
            Signal::Stop => world.note_stop(),
            Signal::Report => world.note_report(),
            _ => {}
        }
        Some(signal)
    }

    fn start_successor(
        &mut self,
        sockets: &[HandedOver<'_, SimListener, SimDatagrams>],
    ) -> io::Result<u32> {
        let world = &mut *self.0.borrow_mut();
        say!(world, "a successor starts, with {} sockets", sockets.len());
        world.successors.push((sockets.len(), None));
        world.start_error.map_or(Ok(7), |error| Err(error.into()))
    }

    fn end_successor(&mut self) {
        let world = &mut *self.0.borrow_mut();
        let now_ns = world.now_ns;
        if let Some((_, ended_ns)) = world.successors.last_mut() {
            *ended_ns = Some(now_ns);
        }
    }

    fn notify(&mut self, notice: Notice) {
        self.0.borrow_mut().notices.push(notice);
    }

    fn is_local(&self, address: SocketAddr) -> bool {
        address.ip().to_canonical().is_loopback()
    }
}

impl Listener for SimListener {
    type Stream = SimStream;

    fn accept(&mut self) -> io::Result<(SimStream, Option<SocketAddr>)> {
        let (conn, address) = self.0.kernel.0.borrow_mut().accept(self.0.id)?;
        Ok((SimStream(self.0.kernel.handle(conn)), Some(address)))
    }
}

impl Stream for SimStream {
    fn connected(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.kernel.0.borrow_mut().read(self.0.id, buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.kernel.0.borrow_mut().write(self.0.id, bytes)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.kernel.0.borrow_mut().shut(self.0.id)
    }
}

impl Datagrams for SimDatagrams {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn receive(&mut self, slots: &mut RecvSlots, most: usize) -> io::Result<usize> {
        self.0.kernel.0.borrow_mut().receive(self.0.id, slots, most)
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.kernel.0.borrow_mut().send(self.0.id, transmit)
    }

    fn max_segments(&self) -> usize {
        self.0.kernel.0.borrow().ports[self.0.id].gso_segments
    }

    fn kernel_drops(&mut self) -> Option<u32> {
        let port = &mut self.0.kernel.0.borrow_mut().ports[self.0.id];
        port.lost_told = port.lost;
        Some(port.lost)
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        if let Ok(mut world) = self.0.kernel.0.try_borrow_mut() {
            world.close_listener(self.0.id);
        }
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        if let Ok(mut world) = self.0.kernel.0.try_borrow_mut() {
            world.close_conn(self.0.id);
        }
    }
}

impl Drop for SimDatagrams {
    fn drop(&mut self) {
        if let Ok(mut world) = self.0.kernel.0.try_borrow_mut() {
            world.close_port(self.0.id);
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

macro_rules! debug_as_handle {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
debug_as_handle!(SimListener SimStream SimDatagrams);
