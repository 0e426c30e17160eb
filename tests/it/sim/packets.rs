//! The system calls on datagram sockets, and what the server owes for what it received.

use std::io;

use pingpong::inside::reactor::kernel::{Correspondent, RecvMeta, RecvSlots, Transmit};
use rustix::io::Errno;

use super::faults::{Call, Fault};
use super::reference::{Deserved, deserved};
use super::socket::{Id, OwedReply, Packet};
use super::world::{PORT, World, say};

impl World {
    /// recvmmsg(2), with GRO
    pub fn receive(
        &mut self,
        port: usize,
        slots: &mut RecvSlots,
        most: usize,
    ) -> io::Result<usize> {
        let fault = self.enter(Call::Receive);
        let is_deaf = self.now_ns < self.plan.kernel.deaf_until_ns;
        let socket = &mut self.ports[port];
        socket.is_failing = false;
        match fault {
            Some(Fault::WouldBlock) => {
                if !socket.queue.is_empty() {
                    self.late_edge(Id::Port(port));
                }
                return Err(Errno::AGAIN.into());
            }
            Some(Fault::Interrupted) => return Err(Errno::INTR.into()),
            Some(Fault::Fails(errno)) => {
                socket.is_failing = true;
                self.failures_ns.push(self.turn_ns);
                return Err(errno.into());
            }
            None | Some(Fault::Short) => {}
        }
        if is_deaf {
            socket.is_failing = true;
            self.failures_ns.push(self.turn_ns);
            say!(self, "receive Port({port}): ENOMEM");
            return Err(Errno::NOMEM.into());
        }
        if socket.queue.is_empty() {
            return Err(Errno::AGAIN.into());
        }
        socket.receives_in_turn += 1;
        let mut count = 0;
        for (place, slot) in slots
            .bytes
            .chunks_exact_mut(slots.slot_bytes)
            .enumerate()
            .take(most)
        {
            let Some(mut packet) = self.ports[port].queue.pop_front() else {
                break;
            };
            // What does not fit is cut off: MSG_TRUNC.
            let is_super = packet.segment_bytes < packet.bytes.len();
            packet.bytes.truncate(slot.len());
            let len = packet.bytes.len();
            slot[..len].copy_from_slice(&packet.bytes);
            slots.info[place] = RecvMeta {
                source: packet.source.into(),
                dst_ip: packet.dst_ip,
                len_bytes: len,
                segment_bytes: if is_super { packet.segment_bytes } else { len },
                is_cut: false,
            };
            count += 1;
            self.ports[port].received_packets += 1;
            say!(
                self,
                "receive Port({port}): {len} bytes from {}",
                packet.source
            );
            self.owe(port, &packet);
        }
        self.stats.successes += 1;
        Ok(count)
    }

    /// Notes what the server owes for a packet.
    fn owe(&mut self, port: usize, packet: &Packet) {
        let strict = self.plan.config.rules.strict;
        let mut rest = &packet.bytes[..];
        loop {
            let (datagram, more) = rest.split_at(packet.segment_bytes.min(rest.len()));
            rest = more;
            self.ports[port].received += 1;
            let (bytes, is_optional) =
                match deserved(datagram, strict, packet.source, packet.dst_ip, PORT) {
                    Deserved::Nothing => (None, false),
                    Deserved::Pong(bytes) => (Some(bytes), false),
                    Deserved::Other(bytes) => match self.pay() {
                        Payment::No => (None, false),
                        Payment::Yes => (Some(bytes), false),
                        Payment::Perhaps => (Some(bytes), true),
                    },
                };
            let socket = &mut self.ports[port];
            let is_wildcard = socket.bound.ip().is_unspecified();
            if let Some(bytes) = bytes {
                socket.owed.push(OwedReply {
                    destination: packet.source,
                    source: packet.dst_ip.filter(|_| is_wildcard),
                    bytes,
                    is_optional,
                });
            }
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Takes a token from the bucket, as plainly as can be; near a whole token nobody can tell.
    fn pay(&mut self) -> Payment {
        let rate = f64::from(self.plan.config.other_rate_per_s);
        if rate == 0.0 {
            return Payment::Yes;
        }
        let passed = std::time::Duration::from_nanos(self.turn_ns - self.tokens_at_ns);
        self.tokens_at_ns = self.turn_ns;
        self.tokens_left = rate.min(self.tokens_left + rate * passed.as_secs_f64());
        if self.tokens_left < 0.99 {
            return Payment::No;
        }
        let is_sure = self.tokens_left >= 1.01 || self.turn_ns == 0;
        self.tokens_left -= 1.0;
        if is_sure {
            Payment::Yes
        } else {
            Payment::Perhaps
        }
    }

    /// sendmsg(2), with GSO
    pub fn send(&mut self, port: usize, transmit: &Transmit<'_>) -> io::Result<()> {
        let fault = self.enter(Call::Send);
        let shown = transmit.bytes.escape_ascii();
        say!(
            self,
            "send Port({port}): \"{shown}\" in segments of {} to {}",
            transmit.segment_bytes,
            transmit.destination.socket_addr().unwrap()
        );
        let count = self.check_departure(port, transmit);
        match fault {
            None | Some(Fault::Short) => {
                self.settle(port, transmit);
                self.ports[port].sent += count as u64;
                self.stats.successes += 1;
                Ok(())
            }
            Some(Fault::Interrupted) => Err(Errno::INTR.into()),
            Some(fault @ Fault::Fails(_)) if count > 1 => Err(fault.to_error()),
            Some(fault) => {
                self.settle(port, transmit);
                Err(fault.to_error())
            }
        }
    }

    /// close(2) of a datagram socket
    pub fn close_port(&mut self, port: usize) {
        say!(self, "close Port({port})");
        self.check_port_close(port);
        self.ports[port].is_open = false;
        self.forget(Id::Port(port));
    }

    /// Nothing in this transmit is owed any more.
    fn settle(&mut self, port: usize, transmit: &Transmit<'_>) {
        for bytes in transmit.bytes.chunks(transmit.segment_bytes.max(1)) {
            let owed = &mut self.ports[port].owed;
            if let Some(at) = owed
                .iter()
                .position(|owed| owed.is_paid_by(transmit, bytes))
            {
                owed.remove(at);
            }
        }
    }
}

/// Whether the bucket holds a token.
enum Payment {
    Yes,
    No,
    Perhaps,
}

impl OwedReply {
    pub fn is_paid_by(&self, transmit: &Transmit<'_>, bytes: &[u8]) -> bool {
        Correspondent::from(self.destination) == transmit.destination
            && self.source == transmit.source
            && self.bytes == bytes
    }
}
