//! The system calls on streams, as Linux does them.

use std::io;
use std::net::SocketAddr;

use pingpong::inside::server::LINGER_TIMEOUT;
use rustix::io::Errno;

use super::faults::{Call, Fault};
use super::socket::{Id, Reset};
use super::world::{World, say};

pub fn ns(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

impl World {
    /// accept(2)
    pub fn accept(&mut self, listener: usize) -> io::Result<(usize, SocketAddr)> {
        self.check_accept();
        let fault = self.enter(Call::Accept);
        let is_refused = self.now_ns < self.plan.kernel.refuses_until_ns;
        let is_out = self.open_descriptors() >= self.plan.kernel.descriptors;
        let socket = &mut self.listeners[listener];
        match fault {
            Some(Fault::Interrupted) => return Err(Errno::INTR.into()),
            Some(Fault::WouldBlock) => {
                if !socket.backlog.is_empty() {
                    self.late_edge(Id::Listener(listener));
                }
                return Err(Errno::AGAIN.into());
            }
            // These take the connection with them.
            Some(Fault::Fails(errno @ (Errno::CONNABORTED | Errno::PERM))) => {
                self.failures_ns.push(self.turn_ns);
                if let Some(conn) = socket.backlog.pop_front() {
                    self.conns[conn].is_hurt = true;
                    self.cut(conn);
                    self.stats.successes += 1;
                }
                return Err(errno.into());
            }
            Some(Fault::Fails(errno)) => {
                socket.is_refusing = true;
                self.failures_ns.push(self.turn_ns);
                return Err(errno.into());
            }
            _ => {}
        }
        // A descriptor is looked for first: EMFILE comes even where nobody waits.
        let refusal = if is_out {
            Some(Errno::MFILE)
        } else {
            is_refused.then_some(self.plan.kernel.refusal)
        };
        if let Some(errno) = refusal {
            socket.is_refusing = true;
            self.failures_ns.push(self.turn_ns);
            say!(self, "accept: {errno}");
            return Err(errno.into());
        }
        socket.is_refusing = false;
        let Some(conn) = socket.backlog.pop_front() else {
            return Err(Errno::AGAIN.into());
        };
        self.stats.accepted += 1;
        self.stats.successes += 1;
        let now_ns = self.now_ns;
        let socket = &mut self.conns[conn];
        socket.is_open = true;
        socket.note_progress(now_ns);
        let address = socket.address;
        say!(self, "accept: Conn({conn})");
        Ok((conn, address))
    }

    /// `epoll_ctl`(2) for a connection
    pub fn register_conn(
        &mut self,
        conn: usize,
        token: pingpong::inside::reactor::kernel::Token,
    ) -> io::Result<()> {
        if let Some(fault) = self.enter(Call::Register) {
            self.conns[conn].is_hurt = true;
            self.failures_ns.push(self.turn_ns);
            return Err(fault.to_error());
        }
        self.register(Id::Conn(conn), token);
        Ok(())
    }

    /// recvfrom(2)
    pub fn read(&mut self, conn: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let fault = self.enter(Call::Read);
        let outcome = self.try_read(conn, buffer, fault);
        self.note_look(conn, fault);
        match &outcome {
            Ok(len) => {
                self.stats.successes += 1;
                self.now_ns += *len as u64 * self.plan.kernel.ns_per_byte;
                let shown = buffer[..*len].escape_ascii();
                say!(self, "read Conn({conn}): {len} \"{shown}\"");
            }
            Err(error) => say!(self, "read Conn({conn}): {error}"),
        }
        outcome
    }

    /// What the server knows of what there is, after a call that asked for it.
    fn note_look(&mut self, conn: usize, fault: Option<Fault>) {
        let socket = &mut self.conns[conn];
        socket.looked_ns = self.now_ns;
        let left = &socket.incoming[socket.read_len..];
        // Who is told that nothing is there, when there is, cannot know better.
        socket.has_left_message = fault != Some(Fault::WouldBlock) && left.contains(&b'\n');
    }

    fn try_read(
        &mut self,
        conn: usize,
        buffer: &mut [u8],
        fault: Option<Fault>,
    ) -> io::Result<usize> {
        let now_ns = self.now_ns;
        let socket = &mut self.conns[conn];
        socket.is_told = false;
        let mut most = buffer.len();
        match fault {
            // Who has read the end reads it again: that never blocks.
            Some(Fault::WouldBlock) if socket.is_fin_read => {}
            Some(Fault::WouldBlock) => {
                if socket.has_news() {
                    self.late_edge(Id::Conn(conn));
                }
                return Err(Errno::AGAIN.into());
            }
            Some(Fault::Interrupted) => return Err(Errno::INTR.into()),
            Some(Fault::Fails(errno)) => {
                socket.is_hurt = true;
                return Err(errno.into());
            }
            Some(Fault::Short) => {
                // The rest of it is only just coming in, which is a change.
                most = most.min(1);
                self.late_edge(Id::Conn(conn));
            }
            None => {}
        }
        if buffer.is_empty() {
            self.violated(format_args!("a read into no buffer"));
        }
        let socket = &mut self.conns[conn];
        let start = socket.read_len;
        let mut len = socket.unread_len().min(most);
        // A read stops at the urgent mark, tcp(7).
        if let Some(mark) = socket.urgent_at
            && mark < start + len
        {
            if mark > start {
                len = mark - start;
            } else {
                socket.urgent_at = None;
            }
        }
        if len > 0 {
            buffer[..len].copy_from_slice(&socket.incoming[start..start + len]);
            socket.read_len += len;
            self.note_read(conn, start, len);
            let peer = self.conns[conn].peer;
            self.wake_peer(peer);
            return Ok(len);
        }
        if let Reset::Pending(errno) = socket.reset {
            socket.reset = Reset::Told;
            self.stats.successes += 1;
            return Err(errno.into());
        }
        if !socket.has_fin && socket.reset == Reset::None {
            return Err(Errno::AGAIN.into());
        }
        if !socket.is_fin_read {
            socket.is_fin_read = true;
            if !socket.is_shut {
                let before = socket.reference.messages;
                socket.reference.end();
                if socket.reference.messages > before {
                    socket.note_progress(now_ns);
                }
            }
        }
        Ok(0)
    }

    /// What was read is shown to the reference, unless it was read to be thrown away.
    fn note_read(&mut self, conn: usize, start: usize, len: usize) {
        let now_ns = self.now_ns;
        let socket = &mut self.conns[conn];
        if socket.is_shut {
            return;
        }
        if socket.reference.is_bad {
            self.violated(format_args!(
                "Conn({conn}) was read from between a refused line and the server's FIN"
            ));
            return;
        }
        let before = (socket.reference.messages, socket.reference.is_bad);
        let bytes = &socket.incoming[start..start + len];
        socket.reference.feed(bytes);
        if socket.reference.messages > before.0 && !socket.reference.is_bad {
            socket.progress_ns = now_ns;
        }
        if (socket.reference.messages, socket.reference.is_bad) != before {
            socket.maybe_progress_ns = now_ns;
            socket.is_progress_untimed = true;
        }
    }

    /// sendto(2)
    pub fn write(&mut self, conn: usize, bytes: &[u8]) -> io::Result<usize> {
        let fault = self.enter(Call::Write);
        self.check_reply(conn, bytes);
        let outcome = self.try_write(conn, bytes, fault);
        match &outcome {
            Ok(len) => {
                self.stats.successes += 1;
                self.now_ns += *len as u64 * self.plan.kernel.ns_per_byte;
                let shown = bytes[..*len].escape_ascii();
                say!(
                    self,
                    "write Conn({conn}): {len} of {} \"{shown}\"",
                    bytes.len()
                );
            }
            Err(error) => say!(self, "write Conn({conn}): {error}"),
        }
        outcome
    }

    fn try_write(&mut self, conn: usize, bytes: &[u8], fault: Option<Fault>) -> io::Result<usize> {
        let now_ns = self.now_ns;
        let socket = &mut self.conns[conn];
        // It is read from again only when this is taken.
        socket.looked_ns = now_ns;
        let mut most = bytes.len();
        match fault {
            Some(Fault::WouldBlock) => {
                socket.wants_room = true;
                if socket.is_roomy() || socket.reset != Reset::None {
                    self.late_edge(Id::Conn(conn));
                }
                return Err(Errno::AGAIN.into());
            }
            Some(Fault::Interrupted) => return Err(Errno::INTR.into()),
            Some(Fault::Fails(errno)) => {
                socket.is_hurt = true;
                return Err(errno.into());
            }
            Some(Fault::Short) => most = most.min(1),
            None => {}
        }
        match socket.reset {
            Reset::Pending(errno) => {
                socket.reset = Reset::Told;
                self.stats.successes += 1;
                return Err(errno.into());
            }
            Reset::Told => return Err(Errno::PIPE.into()),
            Reset::None => {}
        }
        let len = socket.room().min(most);
        if len == 0 {
            socket.wants_room = true;
            return Err(Errno::AGAIN.into());
        }
        socket.outgoing.extend_from_slice(&bytes[..len]);
        socket.note_progress(now_ns);
        if socket.owed_len() == 0
            && let Some(asked_ns) = socket.asked_ns.take()
        {
            socket.latencies_ns.push(now_ns - asked_ns);
        }
        let peer = socket.peer;
        if socket.is_peer_gone {
            // The answer to a FIN and then a reset: tcp_reset() in CLOSE_WAIT.
            socket.reset = Reset::Pending(Errno::PIPE);
            self.cut(conn);
            self.edge(Id::Conn(conn));
        }
        self.wake_peer(peer);
        Ok(len)
    }

    /// shutdown(2)
    pub fn shut(&mut self, conn: usize) -> io::Result<()> {
        let fault = self.enter(Call::Shutdown);
        let now_ns = self.now_ns;
        self.check_shut(conn);
        self.check_drained(conn);
        let socket = &mut self.conns[conn];
        if let Some(fault) = fault {
            socket.is_hurt = true;
            return Err(fault.to_error());
        }
        if socket.reset != Reset::None {
            return Err(Errno::NOTCONN.into());
        }
        socket.is_shut = true;
        socket.shut_ns = now_ns;
        socket.maybe_progress_ns = now_ns;
        socket.is_progress_untimed = true;
        let peer = socket.peer;
        self.stats.successes += 1;
        say!(self, "shutdown Conn({conn})");
        // The peer's acknowledgement is a change of state, and so an edge.
        self.edge(Id::Conn(conn));
        self.wake_peer(peer);
        Ok(())
    }

    /// close(2) of a connection
    pub fn close_conn(&mut self, conn: usize) {
        self.check_close(conn);
        self.check_drained(conn);
        self.stats.closed += 1;
        self.stats.successes += 1;
        // A descriptor is free that was in use for some time: whoever was refused one must ask
        // again.
        if self.conns[conn].watch.token.is_some() {
            for listener in &mut self.listeners {
                listener.is_refusing = false;
            }
        }
        let socket = &mut self.conns[conn];
        socket.is_open = false;
        let is_reset = socket.unread_len() > 0;
        let peer = socket.peer;
        say!(
            self,
            "close Conn({conn}){}",
            if is_reset {
                " with unread input: reset"
            } else {
                ""
            }
        );
        if is_reset {
            self.cut(conn);
        }
        self.forget(Id::Conn(conn));
        self.wake_peer(peer);
    }

    /// close(2) of a listener: the backlog is reset
    pub fn close_listener(&mut self, listener: usize) {
        say!(self, "close Listener({listener})");
        self.listeners[listener].is_open = false;
        for conn in std::mem::take(&mut self.listeners[listener].backlog) {
            self.conns[conn].is_excused = true;
            self.cut(conn);
        }
        self.forget(Id::Listener(listener));
    }

    /// Whether the server may close this connection for want of time.
    pub fn is_overdue(&self, conn: usize) -> bool {
        let socket = &self.conns[conn];
        let passed = |since: u64, timeout: std::time::Duration| {
            self.now_ns >= since.saturating_add(ns(timeout))
        };
        if socket.is_shut {
            return passed(socket.shut_ns, LINGER_TIMEOUT);
        }
        self.plan
            .config
            .idle_timeout
            .is_some_and(|timeout| passed(socket.progress_ns, timeout))
    }
}
