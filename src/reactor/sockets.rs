//! The real kernel's sockets. TCP's and Unix's differ in how they are opened
//! and named; what is done with them afterwards are the same calls.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::Socket;

use super::attempt::{is_would_block, still_connecting};
use super::batch_udp::BatchUdp;
use super::bind;
use super::kernel::{Datagrams, Listener, RecvSlots, Stream, Transmit};
use super::unix::{SocketFile, UnixDatagrams};

/// A listening socket.
#[derive(Debug)]
pub struct OsListener {
    socket: Socket,
    /// The file of a Unix socket that was opened here, which goes when this does.
    file: Option<SocketFile>,
    /// Connections that were in the backlog when it came here have not inherited its options.
    sets_options: bool,
}

impl OsListener {
    /// A socket that listens and does not block.
    pub(super) fn new(socket: Socket) -> Self {
        Self {
            socket,
            file: None,
            sets_options: false,
        }
    }

    /// The same, for a Unix socket, with the file that it made.
    pub(super) fn with_file(mut self, file: SocketFile) -> Self {
        self.file = Some(file);
        self
    }

    /// The same, with options set for each connection.
    pub(super) fn setting_options(mut self, sets_options: bool) -> Self {
        self.sets_options = sets_options;
        self
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// As getsockname(2); a Unix socket has no IP address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet_name(&self.socket)
    }

    /// What the poll watches.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// It has made a file.
    #[cfg(feature = "upgrade")]
    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Who comes after this process has the file now.
    pub(super) fn keep_file(&mut self) {
        if let Some(file) = &mut self.file {
            file.keep();
        }
    }
}

impl AsFd for OsListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Listener for OsListener {
    type Stream = OsStream;

    fn accept(&mut self) -> io::Result<(OsStream, Option<SocketAddr>)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (fd, peer) = acceptfrom_with(&self.socket, flags)?;
        let socket = Socket::from(fd);
        if self.sets_options {
            bind::set_stream_options(&socket);
        }
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        Ok((OsStream(socket), peer))
    }
}

/// A connection.
#[derive(Debug)]
pub struct OsStream(Socket);

impl OsStream {
    /// Begins to connect. Nagle has nothing to gather: what is sent is written in one piece.
    pub(super) fn connect(peer: SocketAddr) -> io::Result<Self> {
        let socket = bind::tcp_socket(peer)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&peer.into()) {
            Err(error) if !is_on_its_way(&error) => Err(error),
            _ => Ok(Self(socket)),
        }
    }

    /// What the poll watches.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for OsStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// connect(2): EINPROGRESS; EAGAIN for a Unix socket.
fn is_on_its_way(error: &io::Error) -> bool {
    is_would_block(error)
        || rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::INPROGRESS)
}

impl Stream for OsStream {
    fn connected(&mut self) -> io::Result<()> {
        if let Some(error) = self.0.take_error()? {
            return Err(error);
        }
        self.0.peer_addr().map(drop).map_err(still_connecting)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        inet_name(&self.0)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

/// A datagram socket.
#[derive(Debug)]
pub enum OsDatagrams {
    /// UDP.
    Udp(BatchUdp),
    /// A Unix socket.
    Unix(Box<UnixDatagrams>),
}

impl OsDatagrams {
    /// What the poll watches.
    pub(super) fn raw_fd(&self) -> RawFd {
        match self {
            Self::Udp(udp) => udp.raw_fd(),
            Self::Unix(unix) => unix.raw_fd(),
        }
    }
}

impl Datagrams for OsDatagrams {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(udp) => udp.local_addr(),
            Self::Unix(unix) => unix.local_addr(),
        }
    }

    fn receive(&mut self, slots: &mut RecvSlots, most: usize) -> io::Result<usize> {
        match self {
            Self::Udp(udp) => udp.receive(slots, most),
            Self::Unix(unix) => unix.receive(slots, most),
        }
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self {
            Self::Udp(udp) => udp.send(transmit),
            Self::Unix(unix) => unix.send(transmit),
        }
    }

    fn max_segments(&self) -> usize {
        match self {
            Self::Udp(udp) => udp.max_segments(),
            Self::Unix(unix) => unix.max_segments(),
        }
    }

    fn kernel_drops(&mut self) -> Option<u32> {
        match self {
            Self::Udp(udp) => udp.kernel_drops(),
            Self::Unix(unix) => unix.kernel_drops(),
        }
    }
}

/// The IP address that a socket is bound to.
pub(super) fn inet_name(socket: &Socket) -> io::Result<SocketAddr> {
    let name = socket.local_addr()?;
    name.as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
}
