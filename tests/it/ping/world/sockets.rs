//! The calls on its sockets.

use std::io;
use std::net::SocketAddr;

use pingpong::inside::reactor::attempt::would_block;
use pingpong::inside::reactor::kernel::{
    Datagrams, RecvMeta, RecvSlots, SLOT_MAX_BYTES, Stream, Transmit,
};

use super::{Act, Handle};

impl Stream for Handle {
    fn connected(&mut self) -> io::Result<()> {
        match self.with(|socket| socket.connected) {
            None => Err(would_block()),
            Some(outcome) => outcome.map_err(io::Error::from),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.next_act()? {
            Act::Send(bytes) => {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
            // The end stays the end.
            Act::Close => {
                self.with(|socket| socket.inbox.push_front(Act::Close));
                Ok(0)
            }
            Act::Fail(kind) => Err(kind.into()),
            Act::SendFrom(..) => unreachable!("a connection has one peer"),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let message = self.with(|socket| {
            socket.sent.extend_from_slice(bytes);
            let is_whole = socket.sent.ends_with(b"\n");
            is_whole.then(|| std::mem::take(&mut socket.sent))
        });
        if let Some(message) = message {
            self.take_message(&message);
        }
        Ok(bytes.len())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        let port = 50_000 + u16::try_from(self.id).unwrap();
        Ok(([127, 0, 0, 1], port).into())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.world.0.borrow_mut().shut_down += 1;
        Ok(())
    }
}

impl Datagrams for Handle {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Stream::local_addr(self)
    }

    fn receive(&mut self, slots: &mut RecvSlots, _most: usize) -> io::Result<usize> {
        let peer = self.with(|socket| socket.peer);
        let act = match self.next_act()? {
            Act::Send(bytes) => Act::SendFrom(peer.unwrap(), bytes),
            act => act,
        };
        match act {
            Act::Send(_) => unreachable!("it has a source"),
            Act::SendFrom(source, bytes) => {
                slots.bytes[..SLOT_MAX_BYTES][..bytes.len()].copy_from_slice(&bytes);
                slots.info[0] = RecvMeta {
                    source,
                    len_bytes: bytes.len(),
                    segment_bytes: bytes.len(),
                    ..RecvMeta::default()
                };
                Ok(1)
            }
            Act::Close => Ok(0),
            Act::Fail(kind) => Err(kind.into()),
        }
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.with(|socket| socket.peer = Some(transmit.destination));
        self.take_message(transmit.bytes);
        Ok(())
    }

    fn max_segments(&self) -> usize {
        1
    }

    fn kernel_drops(&mut self) -> Option<u32> {
        None
    }
}
