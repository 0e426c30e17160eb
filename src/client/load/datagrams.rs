//! A UDP socket: requests leave as super-packets (GSO), replies come as super-packets (GRO), and each
//! is found again by the number in it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::conn::{Conn, Mode, Opening, Quota, Shared, Worked};
use super::in_words;
use super::schedule::Nanos;
use super::stats::{ConnEnd, Stamp, Stats};
use crate::client::requests::{Fate, Requests};
use crate::client::script::{DATAGRAM_MAX_BYTES, Number, Script};
use crate::reactor::attempt::Attempt;
use crate::reactor::kernel::{Datagrams, Kernel, Readiness, RecvMeta, SLOT_MAX_BYTES, Transmit};
use crate::reactor::latch::Latched;
use crate::slices::part;
use crate::state::{Event, State};

/// How many times one socket sends in one turn of the loop, at most, so that it comes to receive.
const SENDS_PER_TURN: usize = 64;

/// How many times one socket is received from in one turn of the loop.
const RECEIVES_PER_TURN: usize = 4;

/// Datagrams leave together only up to this length, which fits into any IPv6 path's packet (RFC
/// 8200 section 5: 1280, less both headers). The kernel refuses segments that are longer than a
/// packet.
const GATHERED_SEGMENT_MAX_BYTES: usize = 1232;

/// The request that asks whether anybody is there. No run gets that far.
const PROBE: u64 = Number::new(0, u64::MAX).request();

/// A datagram socket of its own port.
#[derive(Debug)]
pub struct DatagramConn<D> {
    socket: Latched<D>,
    state: State,
    number: usize,
    peer: SocketAddr,
    waiting_max: usize,
    timeout: Nanos,
    requests: Requests<Stamp>,
    is_answered: bool,
    /// The question whether anybody is there has left.
    probed: bool,
    /// The path or device has refused a super-packet.
    one_by_one: bool,
}

impl<K: Kernel> Conn<K> for DatagramConn<K::Datagrams> {
    const RELIABLE: bool = false;

    fn open(kernel: &mut K, opening: Opening) -> io::Result<Self> {
        let any = match opening.peer {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let mut socket = kernel.open_datagrams((any, 0).into())?;
        kernel.register_datagrams(&mut socket, opening.token)?;
        Ok(Self {
            socket: Latched::new(socket),
            state: if opening.asks_first {
                State::Connecting
            } else {
                State::Open
            },
            number: opening.number,
            peer: opening.peer,
            waiting_max: opening.waiting_max,
            requests: Requests::new(0, opening.remembered),
            is_answered: false,
            timeout: opening.timeout,
            probed: false,
            one_by_one: false,
        })
    }

    fn raise(&mut self, ready: Readiness) {
        self.socket.raise(ready);
    }

    fn state(&self) -> State {
        self.state
    }

    fn was_ready(&self) -> bool {
        // It ends only while it is connecting.
        self.state == State::Open
    }

    fn waiting(&self) -> usize {
        self.requests.waiting()
    }

    fn was_answered(&self) -> bool {
        self.is_answered
    }

    fn work(
        &mut self,
        shared: &mut Shared,
        quota: &mut Quota,
        clock: &impl Fn() -> Nanos,
    ) -> Worked {
        self.receive(shared, clock);
        let waited = self.requests.waiting();
        let sends_more = match self.state {
            State::Connecting => {
                self.probe(shared);
                false
            }
            State::Open => self.send(shared, quota, clock),
            _ => false,
        };
        Worked {
            more: sends_more || self.socket.is_readable(),
            began_to_wait: waited == 0 && self.requests.waiting() > 0,
        }
    }

    fn opening_expired(&mut self, shared: &mut Shared) {
        let peer = self.peer;
        shared
            .stats
            .conn_ended(ConnEnd::NotConnected, || format!("{peer}: nobody answers"));
        self.step(Event::Expired);
    }

    fn give_up(&mut self, before: Nanos, mut tell: impl FnMut(Stamp)) {
        while let Some((number, stamp)) = self.requests.oldest_waiting() {
            if stamp.sent >= before {
                break;
            }
            tell(*stamp);
            self.requests.give_up(number);
        }
    }
}

impl<D: Datagrams> DatagramConn<D> {
    fn receive(&mut self, shared: &mut Shared, clock: &impl Fn() -> Nanos) {
        for _ in 0..RECEIVES_PER_TURN {
            if !self.socket.is_readable() {
                break;
            }
            match self.socket.receive(&mut shared.slots) {
                Attempt::Done(count) => self.check_all(shared, count, clock()),
                Attempt::Blocked => {}
                // It belongs to something sent earlier, such as "port unreachable", and has been
                // taken by being told; the requests that it is about will count as lost.
                Attempt::Failed(error) => {
                    let peer = self.peer;
                    let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
                    shared.stats.refused += u64::from(is_refused);
                    shared
                        .stats
                        .note(|| format!("{peer}: {}", in_words(&error)));
                    break;
                }
            }
        }
    }

    fn check_all(&mut self, shared: &mut Shared, count: usize, now: Nanos) {
        let Shared {
            script,
            slots,
            stats,
            waiting,
            ..
        } = shared;
        let chunks = slots.bytes.chunks_exact(SLOT_MAX_BYTES);
        for (meta, slot) in slots.info.iter().zip(chunks).take(count) {
            if !self.is_from_peer(meta) {
                stats.foreign += 1;
                continue;
            }
            let bytes = part(slot, ..meta.len_bytes);
            let datagrams = bytes.len().div_ceil(meta.segment_bytes.max(1)).max(1);
            stats.offload.receives += 1;
            stats.offload.super_receives += u64::from(datagrams > 1);
            stats.offload.received += datagrams as u64;
            if bytes.is_empty() {
                self.check(script, stats, waiting, bytes, now);
            }
            for datagram in bytes.chunks(meta.segment_bytes.max(1)) {
                self.check(script, stats, waiting, datagram, now);
            }
        }
    }

    fn is_from_peer(&self, meta: &RecvMeta) -> bool {
        let source = meta.source.socket_addr();
        source.is_some_and(|it| it.ip() == self.peer.ip() && it.port() == self.peer.port())
    }

    fn check(
        &mut self,
        script: &mut Script,
        stats: &mut Stats,
        waiting: &mut usize,
        datagram: &[u8],
        now: Nanos,
    ) {
        let number = script
            .number_of(datagram)
            .filter(|number| *number == Number::new(self.number, number.request()));
        let Some(request) = number.map(Number::request) else {
            return self.wrong(stats, datagram);
        };
        if request == PROBE {
            if self.state == State::Connecting {
                self.step(Event::Connected);
            }
            return;
        }
        let is_behind = self.requests.is_behind(request);
        let answered = self.requests.answer(request);
        match answered.map(|(fate, stamp)| (fate, *stamp)) {
            Some((Fate::Waiting, stamp)) => {
                self.is_answered = true;
                *waiting -= 1;
                // It would have been given up by now, had somebody looked.
                if now.saturating_sub(stamp.sent) > self.timeout {
                    stats.lost(stamp);
                    stats.late += 1;
                } else {
                    stats.answered(stamp, now);
                    stats.reordered += u64::from(is_behind);
                }
            }
            Some((Fate::Answered, _)) => stats.duplicated += 1,
            Some(_) => stats.late += 1,
            None if request < self.requests.next() => stats.late += 1,
            None => self.wrong(stats, datagram),
        }
    }

    fn wrong(&self, stats: &mut Stats, datagram: &[u8]) {
        stats.wrong += 1;
        let peer = self.peer;
        let shown = datagram.get(..64).unwrap_or(datagram).escape_ascii();
        stats.note(|| format!("{peer}: wrong reply: \"{shown}\""));
    }

    fn probe(&mut self, shared: &mut Shared) {
        if !self.probed && self.socket.is_writable() {
            self.fill(shared, PROBE, 1);
            self.probed = self.depart(shared);
        }
    }

    /// Sends what may be sent, within the budget. Says whether there is more that could be.
    fn send(&mut self, shared: &mut Shared, quota: &mut Quota, clock: &impl Fn() -> Nanos) -> bool {
        // In an open loop the next datagram waits for nobody: what is lost would hold up what is
        // not.
        let waiting_max = match shared.mode {
            Mode::OpenLoop(_) => usize::MAX,
            Mode::ClosedLoop | Mode::Quiet => self.waiting_max,
        };
        let mut room = quota.room(shared, self.requests.waiting(), waiting_max);
        if room == 0 {
            return false;
        }
        let now = clock();
        for _ in 0..SENDS_PER_TURN {
            if room == 0 || !self.socket.is_writable() {
                return false;
            }
            let count = self.segments(shared).min(room);
            self.fill(shared, self.requests.next(), count);
            if self.depart(shared) {
                for _ in 0..count {
                    let stamp = quota.take(shared, now);
                    if let Some((_, overtaken)) = self.requests.overtaken() {
                        shared.stats.lost(*overtaken);
                        shared.waiting -= 1;
                    }
                    self.requests.push(stamp);
                }
                room -= count;
            }
        }
        room > 0
    }

    /// How many requests can leave with one call.
    fn segments(&mut self, shared: &Shared) -> usize {
        let len_bytes = shared.script.request_bytes();
        if self.one_by_one || len_bytes > GATHERED_SEGMENT_MAX_BYTES {
            return 1;
        }
        let fit = DATAGRAM_MAX_BYTES / len_bytes;
        self.socket.io().max_segments().min(fit).max(1)
    }

    fn fill(&self, shared: &mut Shared, first: u64, count: usize) {
        shared.outgoing.clear();
        for request in (first..).take(count) {
            let number = Number::new(self.number, request);
            shared
                .outgoing
                .extend_from_slice(shared.script.request(number));
        }
    }

    /// Sends what the bench holds. Says whether that is done with: sent, or refused for good.
    fn depart(&mut self, shared: &mut Shared) -> bool {
        let transmit = Transmit {
            destination: self.peer.into(),
            source: None,
            bytes: &shared.outgoing,
            segment_bytes: shared.script.request_bytes(),
        };
        let segments = (transmit.bytes.len() / transmit.segment_bytes) as u64;
        match self.socket.try_write(|socket| socket.send(&transmit)) {
            Attempt::Done(()) => {
                let offload = &mut shared.stats.offload;
                offload.sends += 1;
                offload.super_sends += u64::from(segments > 1);
                offload.sent += segments;
                true
            }
            Attempt::Blocked => false,
            Attempt::Failed(_) if segments > 1 => {
                self.one_by_one = true;
                false
            }
            // It counts as lost in its time, which keeps the next try from coming at once.
            Attempt::Failed(error) => {
                shared.stats.send_errors += 1;
                let peer = self.peer;
                shared
                    .stats
                    .note(|| format!("{peer}: cannot send: {}", in_words(&error)));
                true
            }
        }
    }

    /// The only place in which a socket's state changes.
    fn step(&mut self, event: Event) {
        self.state.step(event, &self.peer);
    }
}
