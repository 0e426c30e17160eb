//! A kernel with virtual time and one server, whose every reply is scripted.

mod sockets;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pingpong::inside::reactor::attempt::would_block;
use pingpong::inside::reactor::kernel::{Kernel, Listener, Readiness, Signal, Token};

/// What the server does at some time after it was asked.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// These bytes arrive.
    Send(Vec<u8>),
    /// These bytes arrive from somebody else.
    SendFrom(SocketAddr, Vec<u8>),
    /// Its end of the connection arrives.
    Close,
    /// An error arrives: a reset, or that the port is unreachable.
    Fail(io::ErrorKind),
}

/// What the server does about the `n`th message on one socket; times are counted from its sending.
pub(crate) type Script = fn(n: usize, message: &[u8]) -> Vec<(Duration, Act)>;

/// How long connecting takes, or how it fails.
pub(crate) type Connect = fn(peer: SocketAddr) -> (Duration, Option<io::ErrorKind>);

#[derive(Default)]
struct Socket {
    token: Option<Token>,
    peer: Option<SocketAddr>,
    connected: Option<Result<(), io::ErrorKind>>,
    inbox: VecDeque<Act>,
    messages: usize,
    sent: Vec<u8>,
}

struct State {
    /// How long each receiving call that finds something takes the client.
    read_time: Duration,
    now: Instant,
    sockets: BTreeMap<usize, Socket>,
    /// What happens when, to which socket; `None`: it is connected.
    agenda: BTreeMap<(Instant, usize), (usize, Option<Act>)>,
    planned: usize,
    signals: VecDeque<(Instant, Signal)>,
    opened: usize,
    shut_down: usize,
    refused: Option<usize>,
    mute: Option<SocketAddr>,
    answering: Option<(SocketAddr, Script)>,
    connect_time: Duration,
    has_route: bool,
    start: Instant,
    script: Script,
    connect: Connect,
}

/// The kernel.
#[derive(Clone)]
pub(crate) struct World(Rc<RefCell<State>>);

/// A socket's handle: dropping it closes the socket.
pub(crate) struct Handle {
    world: World,
    id: usize,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {}", self.id)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.world.0.borrow_mut().sockets.remove(&self.id);
    }
}

/// No client listens.
#[derive(Debug)]
pub(crate) enum NoListener {}

impl World {
    pub(crate) fn new(connect: Connect, script: Script) -> Self {
        let now = Instant::now();
        Self(Rc::new(RefCell::new(State {
            now,
            start: now,
            read_time: Duration::ZERO,
            shut_down: 0,
            refused: None,
            mute: None,
            answering: None,
            connect_time: Duration::ZERO,
            has_route: true,
            sockets: BTreeMap::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            signals: VecDeque::new(),
            opened: 0,
            script,
            connect,
        })))
    }

    /// A signal comes so long after now.
    pub(crate) fn signal(&self, after: Duration, signal: Signal) {
        let mut state = self.0.borrow_mut();
        let at = state.now + after;
        state.signals.push_back((at, signal));
    }

    /// Whatever is sent on this socket finds no open port.
    pub(crate) fn refuse_socket(&self, number: usize) {
        self.0.borrow_mut().refused = Some(number);
    }

    /// Whatever is sent to this address is lost from now on.
    pub(crate) fn mute(&self, address: Option<SocketAddr>) {
        self.0.borrow_mut().mute = address;
    }

    /// From now on one address answers like this, and the others as before.
    pub(crate) fn answer(&self, script: Script, address: SocketAddr) {
        self.0.borrow_mut().answering = Some((address, script));
    }

    /// From now on each call that connects takes so long, and the connection is there with it.
    pub(crate) fn each_connect_takes(&self, time: Duration) {
        self.0.borrow_mut().connect_time = time;
    }

    /// Time passes while the client does not run.
    pub(crate) fn stall(&self, time: Duration) {
        self.0.borrow_mut().now += time;
    }

    /// From now on each receiving call that finds something takes so long.
    pub(crate) fn each_read_takes(&self, time: Duration) {
        self.0.borrow_mut().read_time = time;
    }

    /// How much time has passed.
    pub(crate) fn elapsed(&self) -> Duration {
        let state = self.0.borrow();
        state.now - state.start
    }

    /// No socket can be connected any more.
    pub(crate) fn lose_route(&self) {
        self.0.borrow_mut().has_route = false;
    }

    /// How many connections were ended with a FIN.
    pub(crate) fn shut_down(&self) -> usize {
        self.0.borrow().shut_down
    }

    /// How many sockets were opened.
    pub(crate) fn opened(&self) -> usize {
        self.0.borrow().opened
    }

    /// How many sockets are open.
    pub(crate) fn open(&self) -> usize {
        self.0.borrow().sockets.len()
    }

    fn new_socket(&self, socket: Socket) -> Handle {
        let mut state = self.0.borrow_mut();
        state.opened += 1;
        let id = state.opened;
        state.sockets.insert(id, socket);
        Handle {
            world: self.clone(),
            id,
        }
    }

    fn plan(&self, id: usize, after: Duration, act: Option<Act>) {
        let mut state = self.0.borrow_mut();
        state.planned += 1;
        let key = (state.now + after, state.planned);
        state.agenda.insert(key, (id, act));
    }
}

impl Handle {
    fn with<R>(&self, work: impl FnOnce(&mut Socket) -> R) -> R {
        let mut state = self.world.0.borrow_mut();
        work(state.sockets.get_mut(&self.id).expect("it is open"))
    }

    fn next_act(&self) -> io::Result<Act> {
        let act = self.with(|socket| socket.inbox.pop_front());
        let read_time = self.world.0.borrow().read_time;
        self.world
            .stall(act.as_ref().map_or(Duration::ZERO, |_| read_time));
        act.ok_or_else(would_block)
    }

    fn take_message(&self, message: &[u8]) {
        let number = self.with(|socket| {
            socket.messages += 1;
            socket.messages
        });
        let peer = self.with(|socket| socket.peer);
        let mute = self.world.0.borrow().mute;
        if mute.is_some() && mute == peer {
            return;
        }
        let refused = self.world.0.borrow().refused;
        if refused == Some(self.id) {
            let act = Act::Fail(io::ErrorKind::ConnectionRefused);
            return self.world.plan(self.id, Duration::ZERO, Some(act));
        }
        let script = match self.world.0.borrow().answering {
            Some((address, script)) if Some(address) == peer => script,
            _ => self.world.0.borrow().script,
        };
        for (after, act) in script(number, message) {
            self.world.plan(self.id, after, Some(act));
        }
    }
}

impl State {
    /// Lets the next thing happen, if it does so until `until`.
    fn happen(&mut self, until: Option<Instant>) -> Option<(Token, Readiness)> {
        loop {
            let (&(at, _), _) = self.agenda.first_key_value()?;
            if until.is_some_and(|until| at > until) {
                return None;
            }
            let (_, (id, act)) = self.agenda.pop_first()?;
            // What comes to a socket that was closed comes to nobody.
            let Some(socket) = self.sockets.get_mut(&id) else {
                continue;
            };
            self.now = self.now.max(at);
            if let Some(act) = act {
                socket.inbox.push_back(act);
            } else {
                let peer = socket.peer.expect("it was connected to someone");
                socket.connected = Some((self.connect)(peer).1.map_or(Ok(()), Err));
            }
            return Some((socket.token?, Readiness::ALL));
        }
    }
}

impl Kernel for World {
    type Listener = NoListener;
    type Stream = Handle;
    type Datagrams = Handle;

    fn now(&self) -> Instant {
        self.0.borrow().now
    }

    fn wait(
        &mut self,
        timeout: Option<Duration>,
        mut raise: impl FnMut(Token, Readiness),
    ) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let end = timeout.map(|timeout| state.now + timeout);
        let signal = state.signals.front().map(|(at, _)| *at);
        let until = end.into_iter().chain(signal).min();
        assert!(
            until.is_some() || !state.agenda.is_empty(),
            "it would sleep for ever"
        );
        match state.happen(until) {
            Some((token, ready)) => raise(token, ready),
            None => state.now = until.map_or(state.now, |until| until.max(state.now)),
        }
        // What happens at the same moment comes with the same wait.
        let now = state.now;
        while let Some((token, ready)) = state.happen(Some(now)) {
            raise(token, ready);
        }
        Ok(())
    }

    fn register_listener(&mut self, listener: &mut NoListener, _token: Token) -> io::Result<()> {
        match *listener {}
    }

    fn register_stream(&mut self, stream: &mut Handle, token: Token) -> io::Result<()> {
        stream.with(|socket| socket.token = Some(token));
        Ok(())
    }

    fn register_datagrams(&mut self, datagrams: &mut Handle, token: Token) -> io::Result<()> {
        self.register_stream(datagrams, token)
    }

    fn connect(&mut self, peer: SocketAddr) -> io::Result<Handle> {
        if !self.0.borrow().has_route {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let handle = self.new_socket(Socket {
            peer: Some(peer),
            ..Socket::default()
        });
        let connect = self.0.borrow().connect;
        self.plan(handle.id, connect(peer).0, None);
        let connect_time = self.0.borrow().connect_time;
        if !connect_time.is_zero() {
            self.stall(connect_time);
            handle.with(|socket| socket.connected = Some(connect(peer).1.map_or(Ok(()), Err)));
        }
        Ok(handle)
    }

    fn open_datagrams(&mut self, _local: SocketAddr) -> io::Result<Handle> {
        Ok(self.new_socket(Socket::default()))
    }

    fn next_signal(&mut self) -> Option<Signal> {
        let mut state = self.0.borrow_mut();
        let now = state.now;
        let is_due = state.signals.front().is_some_and(|(at, _)| *at <= now);
        is_due.then(|| state.signals.pop_front())?.map(|(_, it)| it)
    }

    fn is_local(&self, _address: SocketAddr) -> bool {
        false
    }
}

impl Listener for NoListener {
    type Stream = Handle;

    fn accept(&mut self) -> io::Result<(Handle, SocketAddr)> {
        match *self {}
    }
}
