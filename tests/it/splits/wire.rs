//! A connection's kernel side in memory, as stingy as a kernel may be: it raises an edge for new
//! data only after it has said that there was none, and it never says a thing twice.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use pingpong::inside::reactor::kernel::{Readiness, Stream};

/// The end that a [`Connection`](pingpong::inside::server::connection::Connection) holds.
#[derive(Debug)]
pub(crate) struct WireEnd(Rc<RefCell<Socket>>);

/// The other end, and what lies between.
#[derive(Clone, Debug)]
pub(crate) struct Wire(Rc<RefCell<Socket>>);

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that a kernel knows"
)]
struct Socket {
    received: VecDeque<u8>,
    /// The urgent mark: a read stops before this many bytes, tcp(7).
    mark_in: Option<usize>,
    peer_closed: bool,
    /// A read has said that there is nothing more: by "would block", or by less than was asked for.
    told_empty: bool,
    sent: Vec<u8>,
    /// How much more the peer's window and the send buffer take.
    room_bytes: usize,
    /// The longest write that is taken in one piece.
    write_max_bytes: usize,
    /// A write has said that there is no room.
    told_full: bool,
    write_closed: bool,
    /// Calls so far, as a bound on how often the same thing is tried.
    calls: usize,
}

impl Wire {
    /// A new connection: nothing has come, and so much can be written.
    pub(crate) fn new(room_bytes: usize, write_max_bytes: usize) -> (Self, WireEnd) {
        let socket = Rc::new(RefCell::new(Socket {
            received: VecDeque::new(),
            mark_in: None,
            peer_closed: false,
            told_empty: false,
            sent: Vec::new(),
            room_bytes,
            write_max_bytes,
            told_full: false,
            write_closed: false,
            calls: 0,
        }));
        (Self(socket.clone()), WireEnd(socket))
    }

    /// Bytes come in. The edge that they raise, if the kernel owes one.
    pub(crate) fn arrive(&self, bytes: &[u8]) -> Option<Readiness> {
        let mut socket = self.0.borrow_mut();
        socket.received.extend(bytes);
        std::mem::take(&mut socket.told_empty).then_some(Readiness {
            readable: true,
            ..Readiness::default()
        })
    }

    /// Bytes come in, the last one urgent: the next read stops before it. Urgent data always raises
    /// an edge.
    pub(crate) fn arrive_urgent(&self, bytes: &[u8]) -> Readiness {
        let _ = self.arrive(bytes);
        let mut socket = self.0.borrow_mut();
        socket.mark_in = Some(socket.received.len() - 1);
        Readiness {
            readable: true,
            more_than_data: true,
            ..Readiness::default()
        }
    }

    /// The peer's FIN. It always raises an edge of its own.
    pub(crate) fn close(&self) -> Readiness {
        let mut socket = self.0.borrow_mut();
        socket.peer_closed = true;
        socket.told_empty = false;
        Readiness {
            readable: true,
            more_than_data: true,
            ..Readiness::default()
        }
    }

    /// The peer takes so many bytes. The edge that this raises, if the kernel owes one.
    pub(crate) fn make_room(&self, bytes: usize) -> Option<Readiness> {
        let mut socket = self.0.borrow_mut();
        socket.room_bytes += bytes;
        std::mem::take(&mut socket.told_full).then_some(Readiness {
            writable: true,
            ..Readiness::default()
        })
    }

    pub(crate) fn sent(&self) -> Vec<u8> {
        self.0.borrow().sent.clone()
    }

    pub(crate) fn unread_len(&self) -> usize {
        self.0.borrow().received.len()
    }

    pub(crate) fn write_closed(&self) -> bool {
        self.0.borrow().write_closed
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.borrow().calls
    }
}

impl Stream for WireEnd {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 8888)))
    }

    fn connected(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        socket.calls += 1;
        let mut len = buffer.len().min(socket.received.len());
        // A read that begins at the mark goes past it.
        let mark = socket.mark_in.filter(|mark| *mark > 0);
        let stops_at_mark = mark.is_some_and(|mark| mark <= len);
        len = mark.map_or(len, |mark| mark.min(len));
        for (slot, byte) in buffer.iter_mut().zip(socket.received.drain(..len)) {
            *slot = byte;
        }
        socket.mark_in = mark.map(|mark| mark - len);
        socket.told_empty |= len < buffer.len() && !stops_at_mark;
        if len == 0 && !socket.peer_closed {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.0.borrow_mut();
        socket.calls += 1;
        assert!(!socket.write_closed, "written to after the FIN");
        if socket.room_bytes == 0 {
            socket.told_full = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = bytes
            .len()
            .min(socket.room_bytes)
            .min(socket.write_max_bytes);
        socket.room_bytes -= len;
        socket.sent.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.borrow_mut().write_closed = true;
        Ok(())
    }
}
