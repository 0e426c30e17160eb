//! What must hold at every call, and in the end.

use pingpong::inside::reactor::kernel::Transmit;
use pingpong::inside::server::{Exit, LINGER_TIMEOUT};

use super::calls::ns;
use super::peer::{Ending, Reading, Role};
use super::reference::Reference;
use super::socket::Reset;
use super::world::World;

impl World {
    /// What is written is what the rule demands for what has been read, at its place.
    pub fn check_reply(&mut self, conn: usize, bytes: &[u8]) {
        let socket = &self.conns[conn];
        let owed = socket
            .reference
            .expected
            .get(socket.outgoing.len()..)
            .unwrap_or_default();
        if bytes.is_empty() {
            self.violated(format_args!("a write of no bytes"));
        } else if socket.is_shut {
            self.violated(format_args!("a write to Conn({conn}) after its FIN"));
        } else if !owed.starts_with(bytes) {
            let (got, owed) = (bytes.escape_ascii(), owed.escape_ascii());
            let what = format!("a reply on Conn({conn}) that nobody asked for: \"{got}\"");
            let what = format!("{what}; the rule demands \"{owed}\"");
            self.violated(format_args!("{what}"));
        }
    }

    pub fn check_shut(&mut self, conn: usize) {
        let socket = &self.conns[conn];
        let owed_len = socket.owed_len();
        let may = socket.reference.is_bad || self.stop_told_ns.is_some();
        if socket.is_shut || !may {
            self.violated(format_args!("a FIN for Conn({conn}) without a reason"));
        } else if owed_len > 0 {
            self.violated(format_args!("FIN before {owed_len} bytes of replies"));
        }
    }

    /// A connection is closed for a reason only.
    pub fn check_close(&mut self, conn: usize) {
        let is_late = self.is_over || self.is_overdue(conn) || self.is_drain_over();
        let due_ns = self.due_ns(conn);
        let socket = &mut self.conns[conn];
        if socket.is_hurt || socket.reset != Reset::None {
            return;
        }
        let is_served = socket.is_fin_read && socket.owed_len() == 0;
        if is_served {
            return;
        }
        socket.is_excused = true;
        let is_on_its_way = socket.is_fin_read || socket.reference.is_bad;
        if !self.is_over && self.stop_told_ns.is_none() && !is_on_its_way {
            self.stats.timed_out += 1;
        }
        let is_heard = self.is_over || socket.looked_ns >= due_ns;
        let has_left_message = socket.has_left_message && socket.owed_len() == 0;
        let is_unheard = has_left_message && !is_on_its_way && !socket.is_shut && !self.is_over;
        if !is_late {
            self.violated(format_args!(
                "Conn({conn}) was closed: no fault, no end of its stream, no deadline"
            ));
        } else if !is_heard {
            self.violated(format_args!(
                "Conn({conn}) was closed at its deadline, and nobody had looked since that passed"
            ));
        } else if is_unheard && self.stop_told_ns.is_none() {
            self.violated(format_args!(
                "Conn({conn}) was closed at its deadline with a whole message unread"
            ));
        }
    }

    /// When the deadline passed by which a connection may be closed: its own, or the drain's.
    fn due_ns(&self, conn: usize) -> u64 {
        let config = &self.plan.config;
        let socket = &self.conns[conn];
        let own_ns = if socket.is_shut {
            Some(socket.shut_ns + ns(LINGER_TIMEOUT))
        } else {
            config.idle_timeout.map(|it| socket.progress_ns + ns(it))
        };
        let drain_ns = self
            .stop_told_ns
            .map(|told| told + ns(config.drain_timeout));
        own_ns.into_iter().chain(drain_ns).min().unwrap_or(u64::MAX)
    }

    /// Every datagram that leaves is owed, and in a form that the kernel takes.
    pub fn check_departure(&mut self, port: usize, transmit: &Transmit<'_>) -> usize {
        let socket = &self.ports[port];
        let segments = transmit.bytes.chunks(transmit.segment_bytes.max(1));
        let count = segments.len();
        let mut is_used = vec![false; socket.owed.len()];
        let is_owed = segments.clone().all(|bytes| {
            let mut owed = socket.owed.iter().zip(&mut is_used);
            let owed = owed.find(|(owed, is_used)| !**is_used && owed.is_paid_by(transmit, bytes));
            owed.map(|(_, is_used)| *is_used = true).is_some()
        });
        let (most, destination) = (
            socket.gso_segments.max(1),
            transmit.destination.socket_addr().unwrap(),
        );
        if !is_owed || count == 0 {
            let bytes = transmit.bytes.escape_ascii().to_string();
            self.violated(format_args!(
                "a datagram to {destination} from {:?} that is not owed: \"{bytes}\"",
                transmit.source
            ));
        }
        if count > most {
            self.violated(format_args!("{count} segments where {most} are the most"));
        }
        count
    }

    /// What had been received when the stop came is answered before the socket is closed.
    pub fn check_port_close(&mut self, port: usize) {
        let socket = &self.ports[port];
        let (seen, due) = (socket.received_packets, socket.due_at_stop);
        if !self.is_over && !self.is_half_drain_over() && seen < due {
            self.violated(format_args!(
                "a port was closed with {} datagrams unread",
                due - seen
            ));
        }
    }

    /// Faults are over and nothing moves: everybody must have what they deserve.
    pub fn check_settled(&mut self) {
        if self.is_faulty() {
            return;
        }
        for number in 0..self.peers.len() {
            if let Some(what) = self.unsettled(number) {
                let kind = self.peers[number].kind;
                self.violated(format_args!("peer {number}, a {kind}, {what}"));
            }
        }
    }

    fn unsettled(&self, number: usize) -> Option<&'static str> {
        let Role::Stream(peer) = &self.peers[number].role else {
            return None;
        };
        let socket = &self.conns[peer.conn?];
        let is_own_doing =
            peer.reading == Reading::Never || matches!(peer.ending, Ending::Reset | Ending::Close);
        if socket.is_hurt || socket.is_excused || is_own_doing || self.is_waiting(peer.conn?) {
            return None;
        }
        let rules = self.plan.config.rules;
        let mut reference = Reference::new(rules.max_message_bytes, rules.strict);
        reference.feed(&peer.script[..peer.sent_len]);
        if socket.has_fin {
            reference.end();
        }
        if peer.sent_len < peer.script.len() && !reference.is_bad {
            return Some("could not send all that it has to say");
        }
        if socket.outgoing[..socket.taken_len] != reference.expected {
            return Some("lacks replies");
        }
        if socket.has_fin && socket.is_open {
            return Some("is done, and still has its connection");
        }
        None
    }

    fn is_waiting(&self, conn: usize) -> bool {
        let mut backlogs = self.listeners.iter().map(|listener| &listener.backlog);
        backlogs.any(|backlog| backlog.contains(&conn))
    }

    /// What the kernel has dropped is to be asked for now.
    pub fn note_report(&mut self) {
        for socket in self.ports.iter_mut().filter(|socket| socket.is_open) {
            socket.lost_at_report = socket.lost;
        }
    }

    pub fn note_stop(&mut self) {
        if self.stop_told_ns.is_some() {
            self.later_stops += usize::from(self.stats.waits > self.stop_told_wait);
            return;
        }
        self.stop_told_wait = self.stats.waits;
        self.stop_told_ns = Some(self.turn_ns);
        if self.is_faulty() {
            return;
        }
        for socket in &mut self.conns {
            socket.due_at_stop = socket.incoming.len();
        }
        for socket in &mut self.ports {
            socket.due_at_stop = socket.received_packets + socket.queue.len();
        }
    }

    fn is_drain_over(&self) -> bool {
        let drain_ns = ns(self.plan.config.drain_timeout);
        self.stop_told_ns
            .is_some_and(|told| self.turn_ns >= told + drain_ns)
    }

    fn is_half_drain_over(&self) -> bool {
        let drain_ns = ns(self.plan.config.drain_timeout);
        self.stop_told_ns
            .is_some_and(|told| self.turn_ns >= told + drain_ns / 2)
    }

    /// What had been received before the stop was answered, unless the client did not take its
    /// replies in time.
    pub fn check_drained(&mut self, conn: usize) {
        let socket = &self.conns[conn];
        let (read, due) = (socket.read_len, socket.due_at_stop);
        let is_other = socket.is_hurt
            || socket.is_excused
            || socket.reference.is_bad
            || socket.reset != Reset::None;
        if read < due && !is_other && !self.is_half_drain_over() {
            self.violated(format_args!(
                "Conn({conn}) had {} bytes to answer when the stop came, and they were not",
                due - read
            ));
        }
    }

    /// The server has come to its end, or has passed it.
    pub fn check_end(&mut self, exit: Option<Exit>) {
        if exit.is_none() && self.is_drain_over() {
            // Everybody is heard once more at each of its two deadlines.
            self.turns_after_drain += 1;
            if self.turns_after_drain > 4 * self.conns.len() + 4 {
                self.violated(format_args!("the drain takes longer than it may"));
            }
        }
        let stops = self.later_stops;
        if (exit == Some(Exit::Aborted)) != (stops > 0) {
            self.violated(format_args!("{exit:?} after {stops} stops in later turns"));
        }
    }
}
