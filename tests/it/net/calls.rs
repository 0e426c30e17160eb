//! The calls on a connection that is there: read, write, shut down, close.

use std::io;

use pingpong::inside::reactor::attempt::would_block;

use super::hosts::{Call, Event, Fault, Id, Net};

impl Net {
    /// recv(2)
    pub fn read(&mut self, id: usize, buffer: &mut [u8]) -> io::Result<usize> {
        let host = self.streams[id].host;
        let fault = self.enter(host, Call::Read);
        let stream = &mut self.streams[id];
        let is_over = stream.inbox.is_empty() && (stream.has_fin || stream.reset.is_some());
        let mut most = buffer.len().min(stream.inbox.len());
        match fault {
            Some(Fault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Fault::WouldBlock) if !is_over => {
                self.late_edge(Id::Stream(id));
                return Err(would_block());
            }
            Some(Fault::Short) if most > 1 => {
                most = 1 + self.rng.below(most - 1);
                self.late_edge(Id::Stream(id));
            }
            _ => {}
        }
        let stream = &mut self.streams[id];
        if most > 0 {
            for (byte, place) in stream.inbox.drain(..most).zip(&mut *buffer) {
                *place = byte;
            }
            let host = &mut self.hosts[host];
            host.clock_ns += host.machine.find_ns;
            let now_ns = host.clock_ns;
            host.truth
                .read(id, &buffer[..most], (host.woken_ns, now_ns));
            self.say(self.streams[id].host, format_args!("read {id}: {most}"));
            self.carry(id, now_ns, |stream| Event::Credit {
                stream,
                bytes: most,
            });
            return Ok(most);
        }
        if stream.reset == Some(false) {
            stream.reset = Some(true);
            self.say(host, format_args!("read {id}: reset"));
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if is_over {
            self.say(host, format_args!("read {id}: end"));
            return Ok(0);
        }
        Err(would_block())
    }

    /// send(2)
    pub fn write(&mut self, id: usize, bytes: &[u8]) -> io::Result<usize> {
        let host = self.streams[id].host;
        let began_ns = self.hosts[host].clock_ns;
        let fault = self.enter(host, Call::Write);
        let stream = &mut self.streams[id];
        if let Some(is_told) = &mut stream.reset {
            let kind = if std::mem::replace(is_told, true) {
                io::ErrorKind::BrokenPipe
            } else {
                io::ErrorKind::ConnectionReset
            };
            return Err(kind.into());
        }
        if stream.is_shut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut most = bytes.len().min(stream.room_bytes);
        match fault {
            Some(Fault::Interrupted) => {
                self.hosts[host].truth.interrupted(Id::Stream(id), began_ns);
                return Err(io::ErrorKind::Interrupted.into());
            }
            Some(Fault::WouldBlock) => {
                self.hosts[host].truth.refused(Id::Stream(id));
                self.late_edge(Id::Stream(id));
                return Err(would_block());
            }
            Some(Fault::Short) if most > 1 => most = 1 + self.rng.below(most - 1),
            _ => {}
        }
        let stream = &mut self.streams[id];
        if most == 0 || stream.peer.is_none() {
            stream.wants_room = true;
            self.hosts[host].truth.refused(Id::Stream(id));
            return Err(would_block());
        }
        stream.room_bytes -= most;
        self.hosts[host].truth.wrote(id, &bytes[..most], began_ns);
        self.say(host, format_args!("write {id}: {most} of {}", bytes.len()));
        let now_ns = self.hosts[host].clock_ns;
        let cut = if most > 1 && self.strikes(host, |host| host.link.split_one_in) {
            self.rng.between(1, most - 1)
        } else {
            most
        };
        for piece in [&bytes[..cut], &bytes[cut..most]] {
            if !piece.is_empty() {
                let bytes = piece.to_vec();
                self.carry(id, now_ns, |stream| Event::Data { stream, bytes });
            }
        }
        Ok(most)
    }

    /// shutdown(2)
    pub fn shut(&mut self, id: usize) -> io::Result<()> {
        let host = self.streams[id].host;
        self.enter(host, Call::Sure);
        let stream = &mut self.streams[id];
        if stream.reset.is_some() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if !std::mem::replace(&mut stream.is_shut, true) {
            self.hosts[host].shut_down += 1;
            self.send_fin(id);
        }
        Ok(())
    }

    fn send_fin(&mut self, id: usize) {
        let now_ns = self.hosts[self.streams[id].host].clock_ns;
        self.carry(id, now_ns, |stream| Event::Fin { stream });
    }

    /// close(2): with unread bytes it is a reset.
    pub fn close_stream(&mut self, id: usize) {
        self.forget(Id::Stream(id));
        let stream = &mut self.streams[id];
        stream.is_open = false;
        let host = stream.host;
        if stream.reset.is_some() || stream.peer.is_none() {
            return;
        }
        if !stream.inbox.is_empty() {
            let now_ns = self.hosts[host].clock_ns;
            self.carry(id, now_ns, |stream| Event::Reset { stream });
        } else if !stream.is_shut {
            self.send_fin(id);
        }
        self.say(host, format_args!("close {id}"));
    }

    pub fn close_listener(&mut self, id: usize) {
        self.forget(Id::Listener(id));
        self.listeners[id].is_open = false;
        for stream in std::mem::take(&mut self.listeners[id].backlog) {
            let now_ns = self.hosts[self.listeners[id].host].clock_ns;
            self.carry(stream, now_ns, |stream| Event::Reset { stream });
            self.streams[stream].reset = Some(true);
            self.close_stream(stream);
        }
    }
}
