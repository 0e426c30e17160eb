//! What the peers do, and what that does to the sockets.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::io::Errno;

use super::peer::{Ending, Reading, Role, StreamPeer};
use super::plan::MS;
use super::reference::Reference;
use super::socket::{Conn, Id, Packet, Reset, Watch};
use super::world::{World, say};

/// How often a peer asks for a connection, and how long it waits in between, when the backlog is
/// full.
const CONNECT_TRIES: u64 = 20;
const CONNECT_AGAIN_NS: u64 = 10 * MS;

impl World {
    pub fn move_peer(&mut self, number: usize) {
        self.peers[number].next_ns = None;
        let connected = match &self.peers[number].role {
            Role::Datagrams(_) => return self.send_packet(number),
            Role::Stream(peer) if peer.is_refused => return,
            Role::Stream(peer) => peer.conn,
        };
        match connected {
            None => self.connect(number),
            Some(conn) => {
                self.take(number, conn);
                self.send_bytes(number, conn);
                self.end(number, conn);
            }
        }
        if self.can_move(number) {
            let peer = &mut self.peers[number];
            peer.next_ns = Some(self.now_ns + peer.pace_ns);
        }
    }

    /// The server has done something that this peer notices.
    pub fn wake_peer(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        let at = self.now_ns + peer.delay_ns;
        peer.next_ns = Some(peer.next_ns.map_or(at, |next| next.min(at)));
    }

    fn peer(&mut self, number: usize) -> &mut StreamPeer {
        match &mut self.peers[number].role {
            Role::Stream(peer) => peer,
            Role::Datagrams(_) => unreachable!("datagrams do not come this way"),
        }
    }

    fn connect(&mut self, number: usize) {
        let listener = number % self.listeners.len();
        let socket = &self.listeners[listener];
        if !socket.is_open || self.now_ns > CONNECT_TRIES * CONNECT_AGAIN_NS + 100 * MS {
            say!(self, "peer {number} is refused");
            self.peer(number).is_refused = true;
            return;
        }
        if socket.backlog.len() >= self.plan.kernel.backlog {
            self.peers[number].next_ns = Some(self.now_ns + CONNECT_AGAIN_NS);
            return;
        }
        let conn = self.conns.len();
        let kind = self.peers[number].kind;
        say!(self, "peer {number}, a {kind}, connects: Conn({conn})");
        self.conns.push(self.new_conn(number));
        self.peer(number).conn = Some(conn);
        self.listeners[listener].backlog.push_back(conn);
        self.edge(Id::Listener(listener));
    }

    fn new_conn(&self, peer: usize) -> Conn {
        let port = 40_000 + u16::try_from(peer).unwrap_or(0);
        let rules = self.plan.config.rules;
        Conn {
            peer,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            watch: Watch::default(),
            is_open: false,
            incoming: Vec::new(),
            read_len: 0,
            outgoing: Vec::new(),
            taken_len: 0,
            receive_buffer_bytes: self.plan.kernel.receive_buffer_bytes,
            send_buffer_bytes: self.plan.kernel.send_buffer_bytes,
            has_fin: false,
            is_fin_read: false,
            reset: Reset::None,
            is_peer_gone: false,
            wants_room: false,
            is_shut: false,
            urgent_at: None,
            reference: Reference::new(rules.max_message_bytes, rules.strict),
            is_hurt: false,
            is_excused: false,
            is_cut: false,
            progress_ns: 0,
            maybe_progress_ns: 0,
            is_progress_untimed: false,
            shut_ns: 0,
            is_told: false,
            told_turns: 0,
            looked_ns: 0,
            has_left_message: false,
            asked_ns: None,
            latencies_ns: Vec::new(),
            due_at_stop: 0,
        }
    }

    fn take(&mut self, number: usize, conn: usize) {
        let reading = self.peer(number).reading;
        let socket = &mut self.conns[conn];
        let len = match reading {
            _ if socket.is_cut => 0,
            Reading::Eager => socket.untaken_len(),
            Reading::Slow(most) => socket.untaken_len().min(most),
            Reading::Never => 0,
        };
        if len == 0 {
            return;
        }
        socket.taken_len += len;
        let has_room_again = socket.wants_room && socket.is_roomy();
        say!(self, "peer {number} takes {len} reply bytes");
        if has_room_again {
            self.conns[conn].wants_room = false;
            self.edge(Id::Conn(conn));
        }
    }

    /// The server has closed, and was not told to: nothing that is sent now arrives.
    fn is_closed(&self, conn: usize) -> bool {
        let socket = &self.conns[conn];
        !socket.is_open && !self.is_in_backlog(conn)
    }

    fn is_in_backlog(&self, conn: usize) -> bool {
        self.listeners
            .iter()
            .any(|listener| listener.backlog.contains(&conn))
    }

    fn send_bytes(&mut self, number: usize, conn: usize) {
        let len = self.sendable_len(number, conn);
        if len == 0 {
            return;
        }
        let is_closed = self.is_closed(conn);
        let start = self.conns[conn].incoming.len();
        let peer = self.peer(number);
        let range = peer.sent_len..peer.sent_len + len;
        peer.sent_len += len;
        if is_closed {
            peer.has_ended = true;
            say!(self, "peer {number} sends to a closed socket: reset");
            return self.cut(conn);
        }
        let bytes = peer.script[range.clone()].to_vec();
        let urgent_at = peer.urgent_at.filter(|at| range.contains(at));
        let shown = bytes.escape_ascii();
        say!(self, "peer {number} sends {len} bytes: \"{shown}\"");
        let now_ns = self.now_ns;
        let socket = &mut self.conns[conn];
        socket.incoming.extend(bytes);
        socket.asked_ns.get_or_insert(now_ns);
        if let Some(at) = urgent_at {
            socket.urgent_at = Some(start + at - range.start);
            say!(self, "... with the urgent mark at byte {at}");
        }
        self.edge(Id::Conn(conn));
    }

    /// What the peer can send by now.
    fn sendable_len(&self, number: usize, conn: usize) -> usize {
        let Role::Stream(peer) = &self.peers[number].role else {
            return 0;
        };
        let socket = &self.conns[conn];
        let rest = &peer.script[peer.sent_len..];
        if peer.has_ended || socket.reset != Reset::None {
            return 0;
        }
        let has_replies =
            socket.unread_len() == 0 && socket.owed_len() == 0 && socket.untaken_len() == 0;
        let len = match rest.iter().position(|byte| *byte == b'\n') {
            _ if !peer.waits => rest.len(),
            _ if !has_replies => 0,
            Some(at) => at + 1,
            None => rest.len(),
        };
        let cuts = peer
            .cuts
            .checked_shr(u32::try_from(peer.sent_len).unwrap_or(64));
        let to_cut = match cuts.unwrap_or(0) {
            0 => usize::MAX,
            cuts => cuts.trailing_zeros() as usize + 1,
        };
        len.min(peer.chunk).min(to_cut).min(socket.peer_room())
    }

    /// Whether the peer would end now, if it moved.
    fn would_end(&self, number: usize, conn: usize) -> bool {
        let Role::Stream(peer) = &self.peers[number].role else {
            return false;
        };
        let socket = &self.conns[conn];
        let is_server_done = socket.is_shut || self.is_closed(conn);
        let is_told = is_server_done && socket.untaken_len() == 0;
        let is_all_sent = peer.sent_len == peer.script.len();
        !peer.has_ended
            && socket.reset == Reset::None
            && match peer.ending {
                Ending::HalfClose | Ending::Close | Ending::Reset => is_all_sent || is_told,
                Ending::Stay => is_told,
                Ending::Ignore => false,
            }
    }

    fn end(&mut self, number: usize, conn: usize) {
        if !self.would_end(number, conn) {
            return;
        }
        let peer = self.peer(number);
        peer.has_ended = true;
        let ending = peer.ending;
        let has_unread = self.conns[conn].untaken_len() > 0;
        match ending {
            Ending::Reset => return self.reset_by_peer(number, conn),
            Ending::Close if has_unread => return self.reset_by_peer(number, conn),
            Ending::Close => self.conns[conn].is_peer_gone = true,
            _ => {}
        }
        say!(self, "peer {number} sends FIN");
        self.conns[conn].has_fin = true;
        self.edge(Id::Conn(conn));
    }

    fn reset_by_peer(&mut self, number: usize, conn: usize) {
        say!(self, "peer {number} resets");
        let errno = if self.conns[conn].has_fin {
            Errno::PIPE
        } else {
            Errno::CONNRESET
        };
        self.conns[conn].reset = Reset::Pending(errno);
        self.cut(conn);
        self.edge(Id::Conn(conn));
    }

    /// A reset destroys what the peer has not taken.
    pub fn cut(&mut self, conn: usize) {
        self.conns[conn].is_cut = true;
    }

    fn can_move(&self, number: usize) -> bool {
        let Role::Stream(peer) = &self.peers[number].role else {
            return false;
        };
        let Some(conn) = peer.conn else {
            return false;
        };
        let socket = &self.conns[conn];
        let can_take = socket.untaken_len() > 0 && peer.reading != Reading::Never && !socket.is_cut;
        can_take || self.sendable_len(number, conn) > 0 || self.would_end(number, conn)
    }

    fn send_packet(&mut self, number: usize) {
        let Role::Datagrams(peer) = &mut self.peers[number].role else {
            return;
        };
        let Some((bytes, segment_bytes)) = peer.packets.get(peer.sent).cloned() else {
            return;
        };
        peer.sent += 1;
        let is_last = peer.sent == peer.packets.len();
        let (source, dst_ip) = (peer.source, peer.dst_ip);
        let shown = bytes.escape_ascii();
        say!(
            self,
            "{source} sends \"{shown}\" in segments of {segment_bytes}"
        );
        let port = number % self.ports.len();
        let socket = &mut self.ports[port];
        if socket.queue.len() < socket.queue_max && socket.is_open {
            socket.queue.push_back(Packet {
                source,
                dst_ip,
                bytes,
                segment_bytes,
            });
            self.edge(Id::Port(port));
        } else {
            socket.lost += 1;
            say!(self, "... which is lost: the buffer is full");
        }
        let peer = &mut self.peers[number];
        peer.next_ns = (!is_last).then_some(self.now_ns + peer.pace_ns);
    }
}
