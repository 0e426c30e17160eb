//! The real kernel: mio's poll and its sockets, signal-hook's signals.

use std::ffi::c_int;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::{Event, Source};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
#[cfg(feature = "upgrade")]
use signal_hook::consts::signal::SIGCHLD;
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook_mio::v1_0::Signals;

use super::attempt::is_interrupted;
use super::bind;
use super::kernel::{Flags, Kernel, Notice, Readiness, Signal, Token};
#[cfg(feature = "admin")]
use super::process::Process;
use super::sockets::{OsDatagrams, OsListener, OsStream};
use super::stopper::{Asked, Stopper};
#[cfg(feature = "upgrade")]
use super::successor::{self, Succession};
use super::supervisor::Supervisor;
use crate::signals::is_hang_up_ignored;

/// How many events one wait fetches at most; the rest come with the next.
const EVENTS_PER_WAIT: usize = 1024;

/// The signals' own token: the one that no other source may have.
pub const SIGNALS: Token = Token(usize::MAX);

/// The timer's own token, as far from any other source's.
const TIMER: Token = Token(usize::MAX - 1);

/// The token of who asks from another thread to stop.
const STOPPER: Token = Token(usize::MAX - 2);

/// The token of the program that is to replace this one.
const SUCCESSOR: Token = Token(usize::MAX - 3);

/// The kernel that this process runs on.
pub struct Os {
    poll: Poll,
    events: Events,
    /// `None`: the process that it is a part of keeps its own.
    signals: Option<Signals>,
    /// Asks from another thread to stop.
    stopper: Option<Arc<Asked>>,
    /// What SIGHUP means: standard error was a terminal at the start. One that has gone is none
    /// any more.
    hang_up: Signal,
    /// An event said that signals came; they have not all been told yet.
    signalled: bool,
    /// A server never waits for room to send: its replies are not queued.
    datagram_interest: Interest,
    /// Ends sleeps where a millisecond is too coarse.
    timer: Option<OwnedFd>,
    /// The service manager.
    supervisor: Option<Supervisor>,
    #[cfg(feature = "upgrade")]
    succession: Option<Succession>,
    /// `None`: nobody asks for its figures.
    #[cfg(feature = "admin")]
    process: Option<Process>,
}

impl Os {
    /// Opens the poll, and takes over a server's signals: SIGTERM, SIGINT, SIGUSR1, SIGUSR2 and,
    /// unless it was ignored, SIGHUP. SIGQUIT stays what it is: the way to a core dump of one that
    /// hangs.
    ///
    /// # Errors
    /// `epoll_create1(2)`, `socketpair(2)` or `sigaction(2)` failed.
    pub fn new() -> io::Result<Self> {
        let always = [SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP];
        let but_hang_up = always.iter().filter(|signal| **signal != SIGHUP);
        if is_hang_up_ignored() {
            Self::with_signals(but_hang_up)
        } else {
            Self::with_signals(&always)
        }
    }

    /// Opens the poll, and takes over a client's signals: SIGTERM, SIGINT and, as ping(8) does,
    /// SIGQUIT.
    ///
    /// # Errors
    /// As for [`Os::new`].
    pub fn for_client() -> io::Result<Self> {
        Self::with_signals(&[SIGTERM, SIGINT, SIGQUIT])
    }

    fn with_signals<'a>(taken_over: impl IntoIterator<Item = &'a c_int>) -> io::Result<Self> {
        let mut os = Self::without_signals()?;
        let mut signals = Signals::new(taken_over)?;
        os.register(&mut signals, SIGNALS, Interest::READABLE)?;
        os.signals = Some(signals);
        Ok(os)
    }

    /// Opens the poll, and leaves all signals to the process that it is a part of.
    ///
    /// # Errors
    /// As epoll_create1(2).
    pub fn without_signals() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            signals: None,
            stopper: None,
            hang_up: if io::stderr().is_terminal() {
                Signal::HangUp
            } else {
                Signal::Unused("SIGHUP")
            },
            signalled: false,
            timer: None,
            supervisor: None,
            #[cfg(feature = "upgrade")]
            succession: None,
            #[cfg(feature = "admin")]
            process: None,
            datagram_interest: Interest::READABLE,
        })
    }

    /// The same, with a service manager to tell.
    #[must_use]
    pub fn told_to(mut self, supervisor: Option<Supervisor>) -> Self {
        self.supervisor = supervisor;
        self
    }

    /// Opens what the figures of this process are read from.
    #[cfg(feature = "admin")]
    pub fn open_figures(&mut self) {
        self.process = Some(Process::open());
    }

    /// The same, for who can be replaced by another program while it runs.
    #[cfg(feature = "upgrade")]
    #[must_use]
    pub fn replaceable(mut self) -> Self {
        self.succession = Some(Succession::of_this_process());
        self
    }

    /// The same, for who waits for room when a datagram could not be sent. It costs a wake-up for
    /// each that is: Linux tells a datagram socket that it is writable whenever one has left it.
    #[must_use]
    pub fn telling_room(mut self) -> Self {
        self.datagram_interest = Interest::READABLE | Interest::WRITABLE;
        self
    }

    /// The same, with sleeps that end on time. epoll_wait(2) counts in milliseconds, and waits for
    /// the end of the last: enough for timeouts, far too coarse for a timetable. It costs a call
    /// for each sleep.
    ///
    /// # Errors
    /// As timerfd_create(2) and epoll_ctl(2).
    pub fn with_fine_timer(mut self) -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        self.register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        self.timer = Some(timer);
        Ok(self)
    }

    /// What stops the program from another thread.
    ///
    /// # Errors
    /// As eventfd(2).
    pub fn stopper(&mut self) -> io::Result<Stopper> {
        let asked = match &self.stopper {
            Some(asked) => Arc::clone(asked),
            None => Arc::new(Asked::new(self.poll.registry(), STOPPER)?),
        };
        self.stopper = Some(Arc::clone(&asked));
        Ok(Stopper::new(asked))
    }

    /// Has the timer end a sleep. Each time that it goes off is an edge of its own, so nobody has
    /// to read it.
    fn sleep_by_timer(&self, timeout: Duration) -> io::Result<bool> {
        let Some(timer) = &self.timer else {
            return Ok(false);
        };
        // Zero would stop the timer.
        let timeout = timeout.max(Duration::from_nanos(1));
        let timer_spec = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(timeout).map_err(io::Error::other)?,
        };
        timerfd_settime(timer, TimerfdTimerFlags::empty(), &timer_spec)?;
        Ok(true)
    }

    /// Once: what is registered is never changed.
    fn register(
        &self,
        source: &mut impl Source,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        self.poll
            .registry()
            .register(source, mio::Token(token.0), interest)
    }

    /// What fails here is not registered.
    fn deregister(&self, fd: RawFd) {
        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
    }
}

fn flags(event: &Event) -> Flags {
    Flags {
        readable: event.is_readable(),
        writable: event.is_writable(),
        error: event.is_error(),
        read_closed: event.is_read_closed(),
        write_closed: event.is_write_closed(),
        priority: event.is_priority(),
    }
}

impl Kernel for Os {
    type Listener = OsListener;
    type Stream = OsStream;
    type Datagrams = OsDatagrams;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        mut raise: impl FnMut(Token, Readiness),
    ) -> io::Result<()> {
        let timeout = match timeout {
            Some(sleep) if !sleep.is_zero() && self.sleep_by_timer(sleep)? => None,
            timeout => timeout,
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if is_interrupted(&error) => return Ok(()),
            outcome => outcome?,
        }
        for event in &self.events {
            match Token(event.token().0) {
                SIGNALS | STOPPER | SUCCESSOR => self.signalled = true,
                TIMER => {}
                token => raise(token, flags(event).into()),
            }
        }
        Ok(())
    }

    fn register_listener(&mut self, listener: &mut OsListener, token: Token) -> io::Result<()> {
        let mut source = SourceFd(&listener.raw_fd());
        self.register(&mut source, token, Interest::READABLE)
    }

    fn register_stream(&mut self, stream: &mut OsStream, token: Token) -> io::Result<()> {
        let every_direction = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        self.register(&mut SourceFd(&stream.raw_fd()), token, every_direction)
    }

    fn register_datagrams(&mut self, datagrams: &mut OsDatagrams, token: Token) -> io::Result<()> {
        let mut source = SourceFd(&datagrams.raw_fd());
        self.register(&mut source, token, self.datagram_interest)
    }

    fn forget_listener(&mut self, listener: &mut OsListener) {
        self.deregister(listener.raw_fd());
        listener.keep_file();
    }

    fn forget_datagrams(&mut self, datagrams: &mut OsDatagrams) {
        self.deregister(datagrams.raw_fd());
        if let OsDatagrams::Unix(unix) = datagrams {
            unix.keep_file();
        }
    }

    fn connect(&mut self, peer: SocketAddr) -> io::Result<OsStream> {
        OsStream::connect(peer)
    }

    fn open_datagrams(&mut self, local: SocketAddr) -> io::Result<OsDatagrams> {
        bind::client_datagrams(local).map(OsDatagrams::Udp)
    }

    fn next_signal(&mut self) -> Option<Signal> {
        if !self.signalled {
            return None;
        }
        let mut pending = self.signals.iter_mut().flat_map(Signals::pending);
        let signal = pending.find_map(|number| match number {
            SIGTERM | SIGINT => Some(Signal::Stop),
            SIGUSR1 | SIGQUIT => Some(Signal::Report),
            SIGHUP => Some(self.hang_up),
            #[cfg(feature = "upgrade")]
            SIGUSR2 => Some(Signal::Upgrade),
            #[cfg(not(feature = "upgrade"))]
            SIGUSR2 => Some(Signal::Unused("SIGUSR2")),
            #[cfg(feature = "upgrade")]
            SIGCHLD => self.succession.as_mut()?.child_ended(),
            _ => None,
        });
        let signal = signal.or_else(|| self.stopper.as_deref()?.take());
        #[cfg(feature = "upgrade")]
        let signal = signal.or_else(|| self.succession.as_mut()?.news());
        self.signalled = signal.is_some();
        signal
    }

    #[cfg(feature = "upgrade")]
    fn start_successor(
        &mut self,
        sockets: &[super::kernel::HandedOver<'_, OsListener, OsDatagrams>],
    ) -> io::Result<u32> {
        let unknown = || io::Error::from(io::ErrorKind::Unsupported);
        // Not before there can be a child.
        let signals = self.signals.as_ref().ok_or_else(unknown)?;
        signals.add_signal(SIGCHLD)?;
        let handed: io::Result<Vec<_>> = sockets.iter().map(successor::handed_over).collect();
        let succession = self.succession.as_mut().ok_or_else(unknown)?;
        let (pid, pair) = succession.start(handed?)?;
        self.register(&mut SourceFd(&pair), SUCCESSOR, Interest::READABLE)?;
        Ok(pid)
    }

    #[cfg(feature = "upgrade")]
    fn end_successor(&mut self) {
        if let Some(succession) = &mut self.succession {
            succession.end();
        }
    }

    #[cfg(feature = "admin")]
    fn process_figures(&mut self) -> super::kernel::ProcessFigures {
        self.process
            .as_ref()
            .map_or_else(Default::default, Process::figures)
    }

    fn notify(&mut self, notice: Notice) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.tell(notice);
        }
    }

    /// As bind(2) has it, and more: with net.ipv4.ip_nonlocal_bind=1 it takes any address.
    fn is_local(&self, address: SocketAddr) -> bool {
        bind::is_local(address)
    }
}
