//! A UDP lane: requests leave as super-packets (GSO), replies come as super-packets (GRO), and each
//! is found again by the number in it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::figures::{Figures, LaneEnd};
use super::lane::{Bench, Lane, Opening, Quota, Sending, Work};
use super::ledger::{Ledger, Verdict};
use super::schedule::Nanos;
use crate::client::script::{Number, Script};
use crate::reactor::attempt::Attempt;
use crate::reactor::kernel::{Datagrams, Kernel, Readiness, RecvMeta, SLOT_MAX_BYTES, Transmit};
use crate::reactor::latch::Latched;
use crate::state::{Event, State};

/// How many times one socket sends in one turn of the loop, at most, so that it comes to receive.
const SENDS_PER_TURN: usize = 64;

/// How many times one socket is received from in one turn of the loop.
const RECEIVES_PER_TURN: usize = 4;

/// The longest packet of a send: what a UDP packet over IPv4 can carry (65,535 less both headers).
pub const TRANSMIT_MAX_BYTES: usize = 65_507;

/// Datagrams leave together only up to this length, which fits into any IPv6 path's packet (RFC
/// 8200 section 5: 1280, less both headers). The kernel refuses segments that are longer than a
/// packet.
const GATHERED_SEGMENT_MAX_BYTES: usize = 1232;

/// The request that asks whether anybody is there. No run gets that far.
const PROBE: u64 = Number::new(0, u64::MAX).request();

/// A datagram socket of its own port.
#[derive(Debug)]
pub struct FlowLane<D> {
    socket: Latched<D>,
    state: State,
    number: usize,
    peer: SocketAddr,
    quota: Quota,
    waiting_max: usize,
    timeout: Nanos,
    ledger: Ledger,
    /// The question whether anybody is there has left.
    probed: bool,
    /// The path or device has refused a super-packet.
    one_by_one: bool,
}

impl<K: Kernel> Lane<K> for FlowLane<K::Datagrams> {
    const LOSES_NOTHING: bool = false;

    fn open(kernel: &mut K, opening: Opening) -> io::Result<Self> {
        let any = match opening.peer {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let mut socket = kernel.open_datagrams((any, 0).into())?;
        kernel.register_datagrams(&mut socket, opening.token)?;
        Ok(Self {
            socket: Latched::new(socket),
            state: if opening.probe {
                State::Connecting
            } else {
                State::Open
            },
            number: opening.number,
            peer: opening.peer,
            quota: Quota::default(),
            waiting_max: opening.waiting_max,
            ledger: Ledger::new(opening.remembered),
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

    fn is_ready(&self) -> bool {
        self.state == State::Open
    }

    fn was_ready(&self) -> bool {
        // It ends only while it is connecting.
        self.state == State::Open
    }

    fn waiting(&self) -> usize {
        self.ledger.waiting()
    }

    fn quota(&mut self) -> &mut Quota {
        &mut self.quota
    }

    fn work(&mut self, bench: &mut Bench, clock: &impl Fn() -> Nanos) -> Work {
        self.receive(bench, clock);
        let waited = self.ledger.waiting();
        let sends_more = match self.state {
            State::Connecting => {
                self.probe(bench);
                false
            }
            State::Open => self.send(bench, clock),
            _ => false,
        };
        Work {
            more: sends_more || self.socket.is_readable(),
            began_to_wait: waited == 0 && self.ledger.waiting() > 0,
        }
    }

    fn opening_expired(&mut self, bench: &mut Bench) {
        let peer = self.peer;
        bench.lane_ended(LaneEnd::NotConnected, || format!("{peer}: nobody answers"));
        self.step(Event::Expired);
    }

    fn give_up(&mut self, before: Nanos) -> usize {
        self.ledger.give_up(before)
    }
}

impl<D: Datagrams> FlowLane<D> {
    fn receive(&mut self, bench: &mut Bench, clock: &impl Fn() -> Nanos) {
        for _ in 0..RECEIVES_PER_TURN {
            if !self.socket.is_readable() {
                break;
            }
            match self.socket.receive(&mut bench.slots) {
                Attempt::Done(count) => self.check_all(bench, count, clock()),
                Attempt::Blocked => {}
                // An error that belongs to something sent earlier, such as "port unreachable": it
                // has been taken by being told, and the requests it is about will count as lost.
                Attempt::Failed(error) => {
                    let peer = self.peer;
                    bench
                        .figures
                        .note(|| format!("{peer}: cannot receive: {error}"));
                    break;
                }
            }
        }
    }

    fn check_all(&mut self, bench: &mut Bench, count: usize, now: Nanos) {
        let Bench {
            script,
            slots,
            figures,
            waiting,
            ..
        } = bench;
        let chunks = slots.bytes.chunks_exact(SLOT_MAX_BYTES);
        for (meta, slot) in slots.info.iter().zip(chunks).take(count) {
            if !self.is_from_peer(meta) {
                figures.strangers += 1;
                continue;
            }
            let bytes = slot.get(..meta.len_bytes).unwrap_or_default();
            let datagrams = bytes.len().div_ceil(meta.segment_bytes.max(1)).max(1);
            figures.offload.receives += 1;
            figures.offload.super_receives += u64::from(datagrams > 1);
            figures.offload.received += datagrams as u64;
            if bytes.is_empty() {
                self.check(script, figures, waiting, bytes, now);
            }
            for datagram in bytes.chunks(meta.segment_bytes.max(1)) {
                self.check(script, figures, waiting, datagram, now);
            }
        }
    }

    fn is_from_peer(&self, meta: &RecvMeta) -> bool {
        meta.source.ip() == self.peer.ip() && meta.source.port() == self.peer.port()
    }

    fn check(
        &mut self,
        script: &mut Script,
        figures: &mut Figures,
        waiting: &mut usize,
        datagram: &[u8],
        now: Nanos,
    ) {
        let number = script
            .number_of(datagram)
            .filter(|number| *number == Number::new(self.number, number.request()));
        let verdict = match number.map(Number::request) {
            None => Verdict::NeverAsked,
            Some(PROBE) => {
                if self.state == State::Connecting {
                    self.step(Event::Connected);
                }
                return;
            }
            Some(request) => self.ledger.receive(request),
        };
        match verdict {
            // It would have been given up by now, had somebody looked.
            Verdict::Answered { stamp, .. } if now.saturating_sub(stamp.sent) > self.timeout => {
                figures.lost += 1;
                figures.late += 1;
                *waiting -= 1;
            }
            Verdict::Answered { stamp, reordered } => {
                figures.answered(stamp, now);
                figures.reordered += u64::from(reordered);
                *waiting -= 1;
            }
            Verdict::Duplicate => figures.duplicated += 1,
            Verdict::Late => figures.late += 1,
            Verdict::NeverAsked => {
                figures.wrong += 1;
                let peer = self.peer;
                let shown = datagram.get(..64).unwrap_or(datagram).escape_ascii();
                figures.note(|| format!("{peer}: wrong reply: \"{shown}\""));
            }
        }
    }

    fn probe(&mut self, bench: &mut Bench) {
        if !self.probed && self.socket.is_writable() {
            self.fill(bench, PROBE, 1);
            self.probed = self.depart(bench);
        }
    }

    /// Sends what may be sent, within the budget. Says whether there is more that could be.
    fn send(&mut self, bench: &mut Bench, clock: &impl Fn() -> Nanos) -> bool {
        // In an open loop the next datagram waits for nobody: what is lost would hold up what is
        // not.
        let waiting_max = match bench.sending {
            Sending::OpenLoop(_) => usize::MAX,
            Sending::ClosedLoop | Sending::Not => self.waiting_max,
        };
        let mut room = self
            .quota
            .room(bench.sending, self.ledger.waiting(), waiting_max);
        if room == 0 {
            return false;
        }
        let now = clock();
        for _ in 0..SENDS_PER_TURN {
            if room == 0 || !self.socket.is_writable() {
                return false;
            }
            let count = self.segments(bench).min(room);
            self.fill(bench, self.ledger.next(), count);
            if self.depart(bench) {
                for _ in 0..count {
                    let stamp = self.quota.take(bench, now);
                    let overtaken = self.ledger.send(stamp);
                    bench.figures.lost += overtaken;
                    bench.waiting -= usize::from(overtaken > 0);
                }
                room -= count;
            }
        }
        room > 0
    }

    /// How many requests can leave with one call.
    fn segments(&mut self, bench: &Bench) -> usize {
        let len_bytes = bench.script.request_bytes();
        if self.one_by_one || len_bytes > GATHERED_SEGMENT_MAX_BYTES {
            return 1;
        }
        let fit = TRANSMIT_MAX_BYTES / len_bytes;
        self.socket.io().max_segments().min(fit).max(1)
    }

    fn fill(&self, bench: &mut Bench, first: u64, count: usize) {
        bench.outgoing.clear();
        for request in (first..).take(count) {
            let number = Number::new(self.number, request);
            bench
                .outgoing
                .extend_from_slice(bench.script.request(number));
        }
    }

    /// Sends what the bench holds. Says whether that is done with: sent, or refused for good.
    fn depart(&mut self, bench: &mut Bench) -> bool {
        let transmit = Transmit {
            destination: self.peer,
            source: None,
            bytes: &bench.outgoing,
            segment_bytes: bench.script.request_bytes(),
        };
        let segments = (transmit.bytes.len() / transmit.segment_bytes) as u64;
        match self.socket.try_write(|socket| socket.send(&transmit)) {
            Attempt::Done(()) => {
                let offload = &mut bench.figures.offload;
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
                bench.figures.send_errors += 1;
                let peer = self.peer;
                bench
                    .figures
                    .note(|| format!("{peer}: cannot send: {error}"));
                true
            }
        }
    }

    /// The only place in which a lane's state changes.
    fn step(&mut self, event: Event) {
        self.state.step(event, &self.peer);
    }
}
