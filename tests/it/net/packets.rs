//! Datagrams: lost, doubled and out of order on their way, and the calls on their sockets.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use pingpong::inside::reactor::attempt::would_block;
use pingpong::inside::reactor::kernel::{DstIp, Flags, RecvMeta, RecvSlots, Transmit};

use super::epoll::Watch;
use super::hosts::{Call, Event, Fault, Id, Net, US};

/// How much later a packet comes, at most, that others overtake.
const REORDER_MAX_US: usize = 20_000;

/// The longest super-packet that is made of several, in bytes.
pub const COALESCED_MAX_BYTES: usize = 4096;

/// Datagrams of one length from one peer, as one; the last may be shorter.
#[derive(Debug)]
struct Packet {
    source: SocketAddr,
    to: SocketAddr,
    segment_bytes: usize,
    bytes: Vec<u8>,
}

#[derive(Debug)]
pub struct Port {
    pub host: usize,
    pub local: SocketAddr,
    pub watch: Watch,
    pub is_open: bool,
    inbox: VecDeque<Packet>,
    /// What the network has said of an earlier datagram.
    errors: VecDeque<io::ErrorKind>,
    pub drops: u32,
    /// A client's, whose requests and replies are recorded.
    pub is_client: bool,
}

impl Port {
    pub fn flags(&self) -> Flags {
        let error = !self.errors.is_empty();
        Flags {
            readable: !self.inbox.is_empty() || error,
            writable: true,
            error,
            ..Flags::default()
        }
    }
}

impl Net {
    /// A datagram socket that is bound there.
    pub fn add_port(&mut self, host: usize, local: SocketAddr) -> usize {
        self.ports.push(Port {
            host,
            local,
            watch: Watch::default(),
            is_open: true,
            is_client: false,
            inbox: VecDeque::new(),
            errors: VecDeque::new(),
            drops: 0,
        });
        self.ports.len() - 1
    }

    /// bind(2), to a port of this kernel's choice.
    pub fn open_port(&mut self, host: usize, like: SocketAddr) -> usize {
        self.enter(host, Call::Sure);
        let local = self.next_local(host, like);
        let id = self.add_port(host, local);
        self.ports[id].is_client = true;
        id
    }

    /// sendmsg(2)
    pub fn send(&mut self, id: usize, transmit: &Transmit<'_>) -> io::Result<()> {
        let host = self.ports[id].host;
        let began_ns = self.hosts[host].clock_ns;
        let fault = self.enter(host, Call::Send);
        let to = transmit.destination.socket_addr().unwrap();
        if self.host_of(to.ip()).is_none() || !self.has_route {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        match fault {
            Some(Fault::Interrupted) => {
                self.hosts[host].truth.interrupted(Id::Port(id), began_ns);
                return Err(io::ErrorKind::Interrupted.into());
            }
            Some(Fault::WouldBlock) => {
                self.hosts[host].truth.refused(Id::Port(id));
                self.late_edge(Id::Port(id));
                return Err(would_block());
            }
            _ => {}
        }
        let segments = transmit.bytes.chunks(transmit.segment_bytes.max(1));
        assert!(segments.len() <= self.hosts[host].machine.gso_segments);
        let local = self.ports[id].local;
        let from = transmit.source.map_or(local.ip(), |source| source.ip);
        let source = SocketAddr::new(from, local.port());
        for segment in segments {
            if self.ports[id].is_client {
                self.hosts[host].truth.sent(id, segment, began_ns);
            }
            self.throw(id, (source, to), segment);
        }
        self.say(
            host,
            format_args!("send {id} to {to}: {}", transmit.bytes.len()),
        );
        Ok(())
    }

    /// A datagram leaves, and comes once, twice or never.
    fn throw(&mut self, id: usize, (source, to): (SocketAddr, SocketAddr), bytes: &[u8]) {
        let host = self.ports[id].host;
        let Some(where_to) = self.host_of(to.ip()) else {
            return;
        };
        let is_lost = [host, where_to]
            .map(|host| self.strikes(host, |host| host.link.loss_one_in))
            .contains(&true);
        if is_lost || self.silent.contains(&to) {
            self.stats.losses += 1;
            return;
        }
        let is_doubled = [host, where_to]
            .map(|host| self.strikes(host, |host| host.link.duplicate_one_in))
            .contains(&true);
        self.stats.duplicates += usize::from(is_doubled);
        for _ in 0..=usize::from(is_doubled) {
            let mut at_ns = self.hosts[host].clock_ns + self.delay_ns(host, where_to);
            if self.strikes(host, |host| host.link.reorder_one_in) {
                at_ns += self.rng.below(REORDER_MAX_US) as u64 * US;
            }
            let (from, bytes) = (id, bytes.to_vec());
            let event = Event::Datagram {
                from,
                source,
                to,
                bytes,
            };
            self.post(where_to, at_ns, event);
        }
    }

    /// A datagram has come to a host.
    pub fn datagram(
        &mut self,
        host: usize,
        at_ns: u64,
        from: usize,
        (source, to): (SocketAddr, SocketAddr),
        bytes: Vec<u8>,
    ) {
        let is_closed = self.closed.contains(&to);
        if self.hosts[host].actor.is_some() && !is_closed {
            return self.act_on_datagram(host, at_ns, (from, to), &bytes);
        }
        let is_it = |port: &Port| {
            let is_bound = port.local.ip() == to.ip() || port.local.ip().is_unspecified();
            let is_here = port.is_open && port.host == host && !is_closed;
            is_here && is_bound && port.local.port() == to.port()
        };
        let Some(id) = self.ports.iter().position(is_it) else {
            let back = self.ports[from].host;
            let at_ns = at_ns + self.delay_ns(host, back);
            let (port, kind) = (from, io::ErrorKind::ConnectionRefused);
            return self.post(back, at_ns, Event::Unreachable { port, kind });
        };
        let machine = self.hosts[host].machine;
        let port = &mut self.ports[id];
        let len = bytes.len();
        if let Some(last) = port.inbox.back_mut()
            && machine.coalesces
            && (last.source, last.to) == (source, to)
            && last.bytes.len() % last.segment_bytes.max(1) == 0
            && (1..=last.segment_bytes).contains(&len)
            && last.bytes.len() + len <= COALESCED_MAX_BYTES
        {
            last.bytes.extend(bytes);
        } else if port.inbox.len() >= machine.queue_max {
            port.drops += 1;
            self.hosts[host].drops += 1;
            return;
        } else {
            port.inbox.push_back(Packet {
                source,
                to,
                segment_bytes: len,
                bytes,
            });
        }
        self.edge(Id::Port(id), at_ns);
    }

    pub fn unreachable(&mut self, port: usize, at_ns: u64, kind: io::ErrorKind) {
        let socket = &mut self.ports[port];
        // Who has not asked for it (IP_RECVERR) is not told, ip(7).
        if socket.is_open && socket.is_client {
            socket.errors.push_back(kind);
            self.edge(Id::Port(port), at_ns);
        }
    }

    /// recvmmsg(2)
    pub fn receive(&mut self, id: usize, slots: &mut RecvSlots, most: usize) -> io::Result<usize> {
        let host = self.ports[id].host;
        let fault = self.enter(host, Call::Read);
        if let Some(kind) = self.ports[id].errors.pop_front() {
            return Err(kind.into());
        }
        let mut most = most.min(self.ports[id].inbox.len());
        match fault {
            Some(Fault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Fault::WouldBlock) => {
                self.late_edge(Id::Port(id));
                return Err(would_block());
            }
            Some(Fault::Short) if most > 1 => {
                most = 1;
                self.late_edge(Id::Port(id));
            }
            _ => {}
        }
        if most == 0 {
            return Err(would_block());
        }
        self.hosts[host].clock_ns += self.hosts[host].machine.find_ns;
        let at = (self.hosts[host].woken_ns, self.hosts[host].clock_ns);
        let is_wild = self.ports[id].local.ip().is_unspecified();
        let is_client = self.ports[id].is_client;
        let packets = self.ports[id].inbox.drain(..most);
        let places = slots.bytes.chunks_exact_mut(slots.slot_bytes);
        for ((packet, place), info) in packets.zip(places).zip(&mut slots.info) {
            let len_bytes = packet.bytes.len().min(place.len());
            place[..len_bytes].copy_from_slice(&packet.bytes[..len_bytes]);
            *info = RecvMeta {
                source: packet.source.into(),
                dst_ip: is_wild.then(|| DstIp::from(packet.to.ip())),
                len_bytes,
                segment_bytes: packet.segment_bytes,
                is_cut: false,
            };
            let datagrams = packet.bytes.chunks(packet.segment_bytes.max(1));
            for datagram in datagrams.filter(|_| is_client) {
                self.hosts[host].truth.received(id, datagram, at);
            }
        }
        self.say(host, format_args!("receive {id}: {most}"));
        Ok(most)
    }

    pub fn close_port(&mut self, id: usize) {
        self.forget(Id::Port(id));
        self.ports[id].is_open = false;
    }
}
