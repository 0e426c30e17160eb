//! What a host really did: its requests, the replies that it took, its connections.
//!
//! A request is timed by the call that carried its first byte, as that began; called again after a
//! signal had cut it short it is still the same. A reply has two times: when the wait ended whose
//! turn took it, and when the call ended that handed over its last byte. What a client reports must
//! lie between.

use std::collections::{BTreeMap, BTreeSet};

use super::hosts::Id;

#[derive(Clone, Debug)]
pub struct Request {
    pub socket: Id,
    pub sent_ns: u64,
    pub bytes: Vec<u8>,
    /// How many replies to it were taken.
    pub replies: usize,
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub socket: Id,
    /// Which request it answers; `None`: none that was made.
    pub request: Option<usize>,
    pub woken_ns: u64,
    pub read_ns: u64,
}

#[derive(Clone, Debug)]
pub struct Connecting {
    pub stream: usize,
    pub began_ns: u64,
    /// When this end had the peer's answer.
    pub known_ns: Option<u64>,
    /// When the wait ended whose turn asked, when the call ended that told it, and whether the
    /// connection is there.
    pub told: Option<(u64, u64, bool)>,
}

#[derive(Default)]
pub struct Truth {
    pub requests: Vec<Request>,
    pub replies: Vec<Reply>,
    pub connects: Vec<Connecting>,
    /// Requests by socket and the reply that they ask for.
    expected: BTreeMap<(Id, Vec<u8>), Vec<usize>>,
    /// The beginning of a line that is being written, and when that began; of one that is read.
    writing: BTreeMap<usize, (u64, Vec<u8>)>,
    reading: BTreeMap<usize, Vec<u8>>,
    /// A call that was cut short, and will be made again.
    retried: BTreeMap<Id, u64>,
    clients: BTreeSet<usize>,
}

/// The rule, once more.
fn pong(ping: &[u8]) -> Vec<u8> {
    let mut pong = ping.to_vec();
    match pong.get_mut(1) {
        Some(letter @ b'i') => *letter = b'o',
        Some(letter @ b'I') => *letter = b'O',
        _ => {}
    }
    pong
}

impl Truth {
    pub fn connects(&mut self, stream: usize, began_ns: u64) {
        self.clients.insert(stream);
        self.connects.push(Connecting {
            stream,
            began_ns,
            known_ns: None,
            told: None,
        });
    }

    fn connecting(&mut self, stream: usize) -> Option<&mut Connecting> {
        self.connects.iter_mut().rfind(|it| it.stream == stream)
    }

    pub fn connected(&mut self, stream: usize, at_ns: u64) {
        if let Some(connecting) = self.connecting(stream) {
            connecting.known_ns = Some(at_ns);
        }
    }

    pub fn told(&mut self, stream: usize, (woken_ns, at_ns): (u64, u64), is_good: bool) {
        if let Some(connecting) = self.connecting(stream) {
            connecting.told.get_or_insert((woken_ns, at_ns, is_good));
        }
    }

    /// A call that sends was cut short by a signal, or by what the network said of an earlier one.
    pub fn interrupted(&mut self, socket: Id, began_ns: u64) {
        self.retried.entry(socket).or_insert(began_ns);
    }

    /// A call that sends would have blocked: the next one is another.
    pub fn refused(&mut self, socket: Id) {
        self.retried.remove(&socket);
    }

    fn request(&mut self, socket: Id, sent_ns: u64, bytes: Vec<u8>) {
        let place = self.expected.entry((socket, pong(&bytes))).or_default();
        place.push(self.requests.len());
        self.requests.push(Request {
            socket,
            sent_ns,
            bytes,
            replies: 0,
        });
    }

    fn reply(&mut self, socket: Id, (woken_ns, read_ns): (u64, u64), bytes: Vec<u8>) {
        let places = self.expected.get(&(socket, bytes));
        let waits = |place: &&usize| self.requests[**place].replies == 0;
        let request = places.and_then(|places| places.iter().find(waits).or(places.last()));
        let request = request.copied();
        if let Some(place) = request {
            self.requests[place].replies += 1;
        }
        self.replies.push(Reply {
            socket,
            request,
            woken_ns,
            read_ns,
        });
    }

    pub fn wrote(&mut self, stream: usize, bytes: &[u8], began_ns: u64) {
        if !self.clients.contains(&stream) {
            return;
        }
        let began_ns = self.retried.remove(&Id::Stream(stream)).unwrap_or(began_ns);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (since_ns, mut line) = self.writing.remove(&stream).unwrap_or((began_ns, vec![]));
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                self.request(Id::Stream(stream), since_ns, line);
            } else {
                self.writing.insert(stream, (since_ns, line));
            }
        }
    }

    pub fn read(&mut self, stream: usize, bytes: &[u8], at: (u64, u64)) {
        if !self.clients.contains(&stream) {
            return;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut line = self.reading.remove(&stream).unwrap_or_default();
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                self.reply(Id::Stream(stream), at, line);
            } else {
                self.reading.insert(stream, line);
            }
        }
    }

    pub fn sent(&mut self, port: usize, bytes: &[u8], began_ns: u64) {
        let began_ns = self.retried.remove(&Id::Port(port)).unwrap_or(began_ns);
        self.request(Id::Port(port), began_ns, bytes.to_vec());
    }

    pub fn received(&mut self, port: usize, bytes: &[u8], at: (u64, u64)) {
        self.reply(Id::Port(port), at, bytes.to_vec());
    }

    /// On each connection the replies are in the order of the requests, none left out; and all that
    /// was taken had been asked for.
    pub fn check_order(&self) -> Result<(), String> {
        let mut next: BTreeMap<Id, Vec<usize>> = BTreeMap::new();
        for (place, request) in self.requests.iter().enumerate().rev() {
            next.entry(request.socket).or_default().push(place);
        }
        for reply in &self.replies {
            let Some(request) = reply.request else {
                return Err(format!("a reply that nobody asked for: {reply:?}"));
            };
            let is_stream = matches!(reply.socket, Id::Stream(_));
            if is_stream && next.get_mut(&reply.socket).and_then(Vec::pop) != Some(request) {
                return Err(format!("a reply out of order: {reply:?}"));
            }
        }
        Ok(())
    }
}
