//! Peers that do what they are told, one on each kernel.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::net::{SendFlags, send};

use super::peer::{Ending, Reading, Role, StreamPeer};
use super::world::World;

/// A peer that does what it is told.
pub trait Puppet {
    fn connect(&mut self);
    fn sends(&mut self, bytes: &[u8], is_urgent: bool);
    fn takes(&mut self);
    fn ends(&mut self, ending: Ending);
    /// "end" or "reset".
    fn end(&mut self) -> &'static str;
}

pub struct RealPeer {
    pub address: SocketAddr,
    pub stream: Option<TcpStream>,
}

impl RealPeer {
    fn stream(&mut self) -> &mut TcpStream {
        self.stream.as_mut().unwrap()
    }
}

impl Puppet for RealPeer {
    fn connect(&mut self) {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        self.stream = Some(stream);
    }

    fn sends(&mut self, bytes: &[u8], is_urgent: bool) {
        if is_urgent {
            send(self.stream(), bytes, SendFlags::OOB).unwrap();
        } else {
            self.stream().write_all(bytes).unwrap();
        }
    }

    fn takes(&mut self) {
        self.stream().set_nonblocking(true).unwrap();
        let deadline = Instant::now() + Duration::from_millis(200);
        let mut buffer = vec![0; 1 << 16];
        while Instant::now() < deadline {
            let _ = self.stream().read(&mut buffer);
        }
        self.stream().set_nonblocking(false).unwrap();
    }

    fn ends(&mut self, ending: Ending) {
        if ending == Ending::Reset {
            let linger = Some(Duration::ZERO);
            socket2::SockRef::from(&*self.stream())
                .set_linger(linger)
                .unwrap();
        }
        if ending == Ending::HalfClose {
            self.stream().shutdown(Shutdown::Write).unwrap();
        } else {
            self.stream = None;
        }
    }

    fn end(&mut self) -> &'static str {
        match self.stream().read_to_end(&mut Vec::new()) {
            Ok(_) => "end",
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => "reset",
            Err(_) => "neither",
        }
    }
}

pub struct SimPeer(pub Rc<RefCell<World>>);

impl SimPeer {
    /// Lets the peer move once, after it was told what to do.
    fn move_it(&mut self, tell: impl FnOnce(&mut StreamPeer)) {
        let world = &mut *self.0.borrow_mut();
        if let Role::Stream(peer) = &mut world.peers[0].role {
            tell(peer);
        }
        world.move_peer(0);
        world.peers[0].next_ns = None;
        world.violation = None;
    }
}

impl Puppet for SimPeer {
    fn connect(&mut self) {
        self.move_it(|_| ());
    }

    fn sends(&mut self, bytes: &[u8], is_urgent: bool) {
        self.move_it(|peer| {
            peer.urgent_at = is_urgent.then_some(peer.script.len() + bytes.len() - 1);
            peer.script.extend(bytes);
        });
    }

    fn takes(&mut self) {
        self.move_it(|peer| peer.reading = Reading::Eager);
    }

    fn ends(&mut self, ending: Ending) {
        self.move_it(|peer| peer.ending = ending);
    }

    fn end(&mut self) -> &'static str {
        let world = self.0.borrow();
        if world.conns[0].is_cut {
            "reset"
        } else {
            "end"
        }
    }
}
