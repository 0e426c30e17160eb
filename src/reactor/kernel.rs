//! The seam: all that this program asks of a kernel.
//!
//! The server is generic over [`Kernel`], so the very code that ships also runs on a simulated one
//! with virtual time. Calls keep the meaning of their system calls, errors included: non-blocking,
//! and an event for each change from not ready to ready (edge-triggered, epoll(7)).

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use super::batch::{
    Correspondent, DstIp, RecvMeta, RecvSlots, SLOT_MAX_BYTES, SLOTS_PER_CALL, Transmit,
};

/// Names a source of events; it comes back with each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub usize);

/// What an event says of its source. All of it is a hint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
    /// There is the peer's end, an error or urgent data, perhaps behind plain data.
    pub more_than_data: bool,
}

impl Readiness {
    /// Try everything, trust nothing: what an error event says, and a good guess where no event
    /// told.
    pub const ALL: Self = Self {
        readable: true,
        writable: true,
        more_than_data: true,
    };
}

/// What epoll says in an event, as mio tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are the kernel's own bits"
)]
pub struct Flags {
    /// EPOLLIN or EPOLLPRI.
    pub readable: bool,
    /// EPOLLOUT.
    pub writable: bool,
    /// EPOLLERR.
    pub error: bool,
    /// EPOLLHUP, or EPOLLRDHUP beside EPOLLIN.
    pub read_closed: bool,
    /// EPOLLHUP, or EPOLLERR beside EPOLLOUT or alone.
    pub write_closed: bool,
    /// EPOLLPRI.
    pub priority: bool,
}

impl From<Flags> for Readiness {
    /// An error can come with neither direction set, and a reset with data still to be read: then
    /// all is tried.
    fn from(flags: Flags) -> Self {
        if flags.error {
            return Self::ALL;
        }
        Self {
            readable: flags.readable || flags.read_closed,
            writable: flags.writable || flags.write_closed,
            more_than_data: flags.read_closed || flags.priority,
        }
    }
}

/// The signals that mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: stop.
    Stop,
    /// SIGHUP to a server on a terminal, which has gone: stop. Both the shell and the kernel tell
    /// of that, so a second one asks for nothing more.
    HangUp,
    /// SIGUSR1 to a server, SIGQUIT to a client: tell the figures so far.
    Report,
    /// SIGUSR2 to a server: replace it by the program that lies at its path.
    Upgrade,
    /// The program that was started for that serves, as this process.
    Replaced(u32),
    /// The program that was started for that has ended.
    NotReplaced,
    /// One that has no meaning here, and must not end the process: its name.
    Unused(&'static str),
}

/// What the service manager is told of this program: sd_notify(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It serves.
    Ready,
    /// It stops.
    Stopping,
    /// Its loop turns.
    Alive,
    /// It is about to be replaced.
    Reloading,
    /// It has been, by this process.
    ReplacedBy(u32),
}

/// What the kernel knows of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessFigures {
    /// When it began, in seconds since 1970.
    pub started_unix_s: Option<f64>,
    /// CPU time so far, of user and system.
    pub cpu: Duration,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
}

/// A socket that the program which replaces this one inherits.
#[derive(Debug)]
pub enum HandedOver<'a, L, D> {
    /// A listener.
    Listener(&'a L),
    /// A datagram socket.
    Datagrams(&'a D),
    /// A listener for what runs or watches the program.
    Admin(&'a L),
}

/// A kernel: time, events, signals.
pub trait Kernel {
    /// A listening socket.
    type Listener: Listener<Stream = Self::Stream>;
    /// A connection.
    type Stream: Stream;
    /// A datagram socket.
    type Datagrams: Datagrams;

    /// The time, on a clock that never goes back.
    fn now(&self) -> Instant;

    /// Sleeps until something happens or `timeout` has passed (`None`: however long it takes), then
    /// gives each event to `raise`. A signal may end the sleep early, with no event.
    ///
    /// # Errors
    /// Only if the kernel can no longer wait at all.
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        raise: impl FnMut(Token, Readiness),
    ) -> io::Result<()>;

    /// Asks for events of a listener until it is closed.
    ///
    /// # Errors
    /// The kernel has no room for it: epoll_ctl(2) ENOMEM, ENOSPC.
    fn register_listener(&mut self, listener: &mut Self::Listener, token: Token) -> io::Result<()>;

    /// Asks for events of a connection, in every direction, until it is closed.
    ///
    /// # Errors
    /// As for [`Kernel::register_listener`].
    fn register_stream(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()>;

    /// Asks for events of a datagram socket until it is closed: of the readable kind, and of the
    /// writable one where somebody waits for room.
    ///
    /// # Errors
    /// As for [`Kernel::register_listener`].
    fn register_datagrams(
        &mut self,
        datagrams: &mut Self::Datagrams,
        token: Token,
    ) -> io::Result<()>;

    /// Begins to connect; the stream becomes writable when that has ended, one way or the other,
    /// and [`Stream::connected`] tells which.
    ///
    /// # Errors
    /// As socket(2) and connect(2), other than that it goes on in the background.
    fn connect(&mut self, peer: SocketAddr) -> io::Result<Self::Stream>;

    /// Opens a datagram socket; port 0 lets the kernel choose. Where the kernel can, it passes on
    /// what the network says of a datagram that was sent (port unreachable): [`Datagrams::receive`]
    /// tells it, as an error.
    ///
    /// # Errors
    /// As socket(2) and bind(2).
    fn open_datagrams(&mut self, local: SocketAddr) -> io::Result<Self::Datagrams>;

    /// The next signal that has come and was not told yet.
    fn next_signal(&mut self) -> Option<Signal>;

    /// A listener is another process's from now on: it asks for no more events, before it is closed.
    /// With closing alone they would go on, as the socket itself is still open, epoll(7).
    fn forget_listener(&mut self, _listener: &mut Self::Listener) {}

    /// The same of a datagram socket.
    fn forget_datagrams(&mut self, _datagrams: &mut Self::Datagrams) {}

    /// Starts the program as it lies at its path now, with the same arguments and these sockets, and
    /// returns its process. [`Signal::Replaced`] or [`Signal::NotReplaced`] tells what becomes of it.
    ///
    /// # Errors
    /// It could not be started.
    fn start_successor(
        &mut self,
        _sockets: &[HandedOver<'_, Self::Listener, Self::Datagrams>],
    ) -> io::Result<u32> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Ends the program that was started, unless it serves already; [`Signal::NotReplaced`] follows.
    fn end_successor(&mut self) {}

    /// What it knows of this process. Opens nothing.
    fn process_figures(&mut self) -> ProcessFigures {
        ProcessFigures::default()
    }

    /// Tells the service manager, if there is one, and never waits for it.
    fn notify(&mut self, _notice: Notice) {}

    /// Whether an address belongs to this host; true where that cannot be found out.
    fn is_local(&self, address: SocketAddr) -> bool;
}

/// A listening socket.
pub trait Listener: Debug {
    /// What it accepts.
    type Stream: Stream;

    /// Takes one connection from the backlog, with the peer's address as accept(2) gave it: a
    /// connection that is already reset has no other, and who comes over a Unix socket has none.
    ///
    /// # Errors
    /// As accept(2): most are about the one connection, some about resources, none is a reason to
    /// stop.
    fn accept(&mut self) -> io::Result<(Self::Stream, Option<SocketAddr>)>;
}

/// A connection. Dropping it closes it.
pub trait Stream: Debug {
    /// Whether the connection that [`Kernel::connect`] began is there.
    ///
    /// # Errors
    /// Would block while it is still on its way; else why it failed, as connect(2) in `SO_ERROR`.
    fn connected(&mut self) -> io::Result<()>;

    /// read(2): 0 is the end of the stream.
    ///
    /// # Errors
    /// As read(2).
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// send(2), without SIGPIPE.
    ///
    /// # Errors
    /// As send(2).
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// The address at this end.
    ///
    /// # Errors
    /// As getsockname(2); a Unix socket has no IP address.
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// shutdown(2) for writing: sends FIN after all that was written.
    ///
    /// # Errors
    /// As shutdown(2).
    fn shutdown_write(&mut self) -> io::Result<()>;
}

/// A datagram socket.
pub trait Datagrams: Debug {
    /// The address that it is bound to.
    ///
    /// # Errors
    /// As getsockname(2).
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Receives as many as are there, `most` at most (from 1 to [`SLOTS_PER_CALL`]), and returns
    /// how many slots were filled.
    ///
    /// # Errors
    /// As recvmmsg(2); or what the network says of one datagram that was sent, ip(7): `IP_RECVERR`.
    fn receive(&mut self, slots: &mut RecvSlots, most: usize) -> io::Result<usize>;

    /// Sends one transmit.
    ///
    /// # Errors
    /// As sendmsg(2), of this transmit; what is said of earlier ones, [`Datagrams::receive`] tells.
    fn send(&mut self, transmit: &Transmit<'_>) -> io::Result<()>;

    /// How many datagrams one transmit may hold: 1 where the kernel has no GSO.
    fn max_segments(&self) -> usize;

    /// How many datagrams the kernel has dropped since the socket was opened, before anybody could
    /// receive them, modulo 2^32; `None` where that cannot be known.
    fn kernel_drops(&mut self) -> Option<u32>;
}
