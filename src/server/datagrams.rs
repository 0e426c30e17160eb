//! Datagrams: received in batches, answered in place, sent in as few calls as the kernel allows.
//!
//! A pong is as long as its ping. So a super-packet of pings (GRO) becomes a super-packet of pongs
//! (GSO) as it stands, and pings that one peer sent singly leave as one.

use std::net::SocketAddr;
use std::time::Instant;

use log::{Level, debug, log_enabled, trace, warn};

use super::admission::Allowed;
use super::connection::LOGGED_BYTES;
use super::counters::Counters;
use super::peer::Peer;
use crate::protocol::datagram::{DropReason, Reply, answer, check_source};
use crate::reactor::attempt::Attempt;
use crate::reactor::bucket::Bucket;
use crate::reactor::kernel::{
    Correspondent, Datagrams, DstIp, Readiness, RecvMeta, RecvSlots, SLOTS_PER_CALL, Transmit,
};
use crate::reactor::latch::Latched;
use crate::reactor::outage::Retry;
use crate::slices::part;
use crate::transport::Endpoint;

/// How many times one socket is received from in one turn of the loop: a flood costs each turn, and
/// so everybody else, a bounded time.
pub const RECEIVES_PER_TURN: usize = 4;

/// How many datagrams are asked for as long as fewer are there: one, and one to prove that it was
/// the only one. Asking for more costs time for each that is not there.
const FEW_ARRIVALS: usize = 2;

/// The longest packet of a send: what a UDP packet over IPv4 can carry (65,535 less both headers).
const TRANSMIT_MAX_BYTES: usize = 65_507;

/// Datagrams that came singly leave together only up to this length, which fits into any IPv6
/// path's packet (RFC 8200 section 5: 1280, less both headers). The kernel refuses segments that
/// are longer than a packet.
const GATHERED_SEGMENT_MAX_BYTES: usize = 1232;

/// What datagram sockets share.
#[derive(Debug)]
pub struct DatagramWorkbench {
    slots: RecvSlots,
    outgoing: Outgoing,
    /// Answer pings only.
    strict: bool,
    /// Whom to answer at all.
    allowed: Allowed,
    /// Pays for replies to what is not a ping.
    others: Bucket,
}

impl DatagramWorkbench {
    /// A bench with its buffers, of which the kernel backs only what is used.
    pub fn new(
        slots: RecvSlots,
        strict: bool,
        allowed: Allowed,
        other_rate_per_s: u32,
        now: Instant,
    ) -> Self {
        Self {
            slots,
            outgoing: Outgoing::default(),
            strict,
            allowed,
            others: Bucket::new(other_rate_per_s, now),
        }
    }
}

/// A datagram socket of the server.
#[derive(Debug)]
pub struct DatagramSocket<D> {
    socket: Latched<D>,
    local: Endpoint,
    /// It takes what is sent to any address of this host.
    is_wildcard: bool,
    /// Where receiving failed, the latch stays set, but the next try waits.
    retry: Retry,
    /// How many datagrams to ask for.
    most: usize,
    /// How many the kernel had dropped when it was last asked.
    seen_drops: u32,
}

impl<D: Datagrams> DatagramSocket<D> {
    /// A socket that is bound to `local`.
    pub fn new(mut socket: D, local: Endpoint) -> Self {
        let at = local.socket_addr();
        // Of one that had another owner before, what was dropped then was that one's.
        let seen_drops = socket.kernel_drops().unwrap_or_default();
        Self {
            socket: Latched::new(socket),
            is_wildcard: at.is_some_and(|at| at.ip().to_canonical().is_unspecified()),
            local,
            retry: Retry::default(),
            most: FEW_ARRIVALS,
            seen_drops,
        }
    }

    /// The address that it is bound to.
    pub fn local(&self) -> &Endpoint {
        &self.local
    }

    /// Takes note of an event.
    pub fn raise(&mut self, ready: Readiness) {
        self.socket.raise(ready);
    }

    /// There may be something to receive, and nothing is known to be in the way.
    pub fn is_ready(&self) -> bool {
        self.socket.is_readable() && !self.retry.is_paused()
    }

    /// When it next has something to do for its own sake.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.retry.next_deadline()
    }

    /// Does what it is time for.
    pub fn keep_deadlines(&mut self, now: Instant) {
        if self.retry.keep_deadlines(now) {
            warn!("receiving on {} works again", self.local);
        }
    }

    /// The kernel has said that nothing more is there.
    pub fn is_drained(&self) -> bool {
        !self.socket.is_readable()
    }

    /// The socket itself, to look at.
    pub fn get(&self) -> &D {
        self.socket.get()
    }

    /// The socket itself, to register it.
    pub fn io(&mut self) -> &mut D {
        self.socket.io()
    }

    /// Receives once, and answers what came.
    pub fn work(
        &mut self,
        bench: &mut DatagramWorkbench,
        counters: &mut Counters,
        now: Instant,
        is_local: impl Fn(SocketAddr) -> bool,
    ) {
        match self.socket.receive_some(&mut bench.slots, self.most) {
            Attempt::Done(count) => {
                self.most = if count < self.most {
                    FEW_ARRIVALS
                } else {
                    SLOTS_PER_CALL
                };
                self.answer_all(count, bench, counters, now, &is_local);
            }
            Attempt::Blocked => {}
            Attempt::Failed(error) => {
                counters.receive_errors += 1;
                if self.retry.pauses(now) {
                    warn!("cannot receive on {}: {error}", self.local);
                }
            }
        }
    }

    /// Counts what the kernel has dropped since it was last asked.
    pub fn count_kernel_drops(&mut self, counters: &mut Counters) {
        if let Some(drops) = self.socket.io().kernel_drops() {
            let fresh = drops.wrapping_sub(self.seen_drops);
            self.seen_drops = drops;
            counters.count_dropped(DropReason::Kernel, u64::from(fresh));
        }
    }

    fn answer_all(
        &mut self,
        count: usize,
        bench: &mut DatagramWorkbench,
        counters: &mut Counters,
        now: Instant,
        is_local: &impl Fn(SocketAddr) -> bool,
    ) {
        let DatagramWorkbench {
            slots,
            outgoing,
            strict,
            allowed,
            others,
        } = bench;
        let chunks = slots.bytes.chunks_exact_mut(slots.slot_bytes);
        for (meta, slot) in slots.info.iter().zip(chunks).take(count) {
            let Some(bytes) = slot.get_mut(..meta.len_bytes) else {
                continue;
            };
            let traffic = counters.traffic_mut(meta.source.transport());
            traffic.received_bytes += bytes.len() as u64;
            traffic.messages += segments_of(meta) as u64;
            let forbidden = self.check(meta, allowed, is_local).err();
            let route = self.route_back(meta);
            let watched = log_enabled!(Level::Trace);
            for datagram in segments(bytes, meta.segment_bytes) {
                if watched {
                    log_message(meta.source, datagram);
                }
                let reply_len = match answer(datagram, *strict) {
                    Err(reason) => Err(reason),
                    Ok(_) if forbidden.is_some() => {
                        Err(forbidden.unwrap_or(DropReason::OwnAddress))
                    }
                    Ok(Reply::Pong) => Ok(datagram.len()),
                    Ok(Reply::Other { len_bytes }) if others.take(now) => Ok(len_bytes),
                    Ok(Reply::Other { .. }) => Err(DropReason::RateLimit),
                };
                match reply_len {
                    Err(reason) => counters.count_dropped(reason, 1),
                    Ok(len) => {
                        let reply = part(datagram, ..len);
                        outgoing.add(reply, &route, &mut self.socket, counters);
                    }
                }
            }
        }
        outgoing.send(&mut self.socket, counters);
    }

    fn check(
        &self,
        meta: &RecvMeta,
        allowed: &Allowed,
        is_local: impl Fn(SocketAddr) -> bool,
    ) -> Result<(), DropReason> {
        if meta.is_cut {
            return Err(DropReason::TooLong);
        }
        let (source, local) = match (meta.source, self.local.socket_addr()) {
            (Correspondent::Unnamed, _) => return Err(DropReason::Unnamed),
            (Correspondent::Inet(source), Some(local)) => (source, local),
            _ => return Ok(()),
        };
        let bound = (!self.is_wildcard).then(|| DstIp::from(local.ip()));
        let dst_ip = meta.dst_ip.or(bound);
        let is_shared = dst_ip.is_some_and(|it| it.is_shared);
        let dst_ip = dst_ip.map(|it| it.ip);
        check_source(source, dst_ip, is_shared, local.port(), is_local)?;
        // Behind it: an IPv4 address in disguise is nobody's.
        if !allowed.has(Some(source.ip())) {
            return Err(DropReason::NotAllowed);
        }
        Ok(())
    }

    fn route_back(&self, meta: &RecvMeta) -> Route {
        Route {
            destination: meta.source,
            // A socket that is bound to one address replies from it anyway.
            source: meta.dst_ip.filter(|_| self.is_wildcard),
            is_super: meta.segment_bytes < meta.len_bytes,
        }
    }
}

/// How many datagrams a slot holds. One without bytes is a datagram too.
fn segments_of(meta: &RecvMeta) -> usize {
    if meta.len_bytes <= meta.segment_bytes {
        return 1;
    }
    meta.len_bytes.div_ceil(meta.segment_bytes.max(1))
}

/// The datagrams of one slot.
fn segments(bytes: &mut [u8], segment_bytes: usize) -> impl Iterator<Item = &mut [u8]> {
    let empty: Option<&mut [u8]> = bytes.is_empty().then_some(&mut []);
    empty
        .into_iter()
        .chain(bytes.chunks_mut(segment_bytes.max(1)))
}

/// How a reply gets back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Route {
    destination: Correspondent,
    source: Option<DstIp>,
    /// The path has already carried a super-packet of this segment's length.
    is_super: bool,
}

/// Replies that wait for more of their kind, to leave in one call. Never longer than one batch of
/// slots.
#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    segment_bytes: usize,
    segments: usize,
    route: Option<Route>,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            bytes: Vec::with_capacity(TRANSMIT_MAX_BYTES),
            segment_bytes: 0,
            segments: 0,
            route: None,
        }
    }
}

impl Outgoing {
    /// Puts a reply behind those that wait, after sending them where it cannot leave with them.
    fn add<D: Datagrams>(
        &mut self,
        reply: &[u8],
        route: &Route,
        socket: &mut Latched<D>,
        counters: &mut Counters,
    ) {
        if !self.takes(reply, route, socket.io().max_segments()) {
            self.send(socket, counters);
            self.segment_bytes = reply.len();
            self.route = Some(*route);
        }
        self.bytes.extend_from_slice(reply);
        self.segments += 1;
    }

    /// Segments are all of one length, but for the last, which may be shorter.
    fn takes(&self, reply: &[u8], route: &Route, max_segments: usize) -> bool {
        self.route.as_ref() == Some(route)
            && self.segments < max_segments
            && reply.len() <= self.segment_bytes
            && self.bytes.len() == self.segments * self.segment_bytes
            && self.bytes.len() + reply.len() <= TRANSMIT_MAX_BYTES
            && (route.is_super || self.segment_bytes <= GATHERED_SEGMENT_MAX_BYTES)
    }

    /// Sends what waits.
    fn send<D: Datagrams>(&mut self, socket: &mut Latched<D>, counters: &mut Counters) {
        let Some(route) = self.route.take() else {
            return;
        };
        let transmit = Transmit {
            destination: route.destination,
            source: route.source,
            bytes: &self.bytes,
            segment_bytes: self.segment_bytes,
        };
        if !depart(&transmit, self.segments, socket, counters) {
            // A path or device that cannot do it all at once may still do it one by one.
            for bytes in self.bytes.chunks(self.segment_bytes.max(1)) {
                depart(&Transmit { bytes, ..transmit }, 1, socket, counters);
            }
        }
        self.bytes.clear();
        self.segments = 0;
    }
}

/// Sends one transmit and counts it, or counts why not; says false where it is worth a try one by
/// one. A reply is never queued: a peer that misses it asks again.
fn depart<D: Datagrams>(
    transmit: &Transmit<'_>,
    segments: usize,
    socket: &mut Latched<D>,
    counters: &mut Counters,
) -> bool {
    match socket.try_write(|socket| socket.send(transmit)) {
        Attempt::Done(()) => {
            let traffic = counters.traffic_mut(transmit.destination.transport());
            traffic.replies += segments as u64;
            traffic.sent_bytes += transmit.bytes.len() as u64;
        }
        Attempt::Blocked => counters.count_dropped(DropReason::SendBufferFull, segments as u64),
        Attempt::Failed(_) if segments > 1 => return false,
        Attempt::Failed(error) => {
            debug!(
                "{} reply not sent: {error}",
                Peer::from(transmit.destination)
            );
            counters.count_dropped(DropReason::SendError, 1);
        }
    }
    true
}

fn log_message(source: Correspondent, datagram: &[u8]) {
    let shown = datagram.get(..LOGGED_BYTES).unwrap_or(datagram);
    let (source, shown) = (Peer::from(source), shown.escape_ascii());
    trace!("{source} datagram of {} bytes: {shown}", datagram.len());
}
