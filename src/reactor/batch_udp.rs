//! UDP in batches: quinn-udp's recvmmsg, GRO and GSO, and the address that a datagram hit.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use mio::net::UdpSocket;
use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, SockRef, Socket};

use super::kernel::{ARRIVALS_PER_CALL, Arrival, Arrivals, Datagrams, Departure};

/// A UDP socket that receives and sends in batches.
#[derive(Debug)]
pub struct BatchUdp {
    socket: UdpSocket,
    offload: UdpSocketState,
    /// Whom it is connected to.
    peer: Option<SocketAddr>,
    /// The last send was gathered, and ended GSO.
    in_doubt: bool,
}

impl BatchUdp {
    /// A bound socket, with GRO and GSO where the kernel has them.
    ///
    /// # Errors
    /// As setsockopt(2).
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        let offload = offload(&socket)?;
        Ok(Self {
            socket: UdpSocket::from_std(socket.into()),
            offload,
            peer: None,
            in_doubt: false,
        })
    }

    /// What the poll watches.
    pub(super) fn source(&mut self) -> &mut UdpSocket {
        &mut self.socket
    }
}

fn offload(socket: &Socket) -> io::Result<UdpSocketState> {
    let offload = UdpSocketState::new(UdpSockRef::from(socket))?;
    undo_what_only_quic_wants(socket)?;
    Ok(offload)
}

/// quinn-udp forbids fragments, so that QUIC can probe a path's MTU: a pong as long as its
/// fragmented ping could not leave. And it asks for a timestamp and the TOS byte with each
/// datagram, which nobody reads.
fn undo_what_only_quic_wants(socket: &Socket) -> io::Result<()> {
    set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT)?;
    setsockopt(socket, sockopt::ReceiveTimestampns, &false)?;
    if socket.domain()? == Domain::IPV6 {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::WANT)?;
        setsockopt(socket, sockopt::Ipv6DontFrag, &false)?;
        socket.set_recv_tclass_v6(false)?;
    }
    // Refused on an IPv6 socket without IPv4, where it was not set either.
    let _ = socket.set_recv_tos_v4(false);
    Ok(())
}

impl Datagrams for BatchUdp {
    fn connect(&mut self, peer: SocketAddr) -> io::Result<()> {
        self.socket.connect(peer)?;
        self.peer = Some(peer);
        Ok(())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn receive(&mut self, arrivals: &mut Arrivals) -> io::Result<usize> {
        let mut slots = arrivals.bytes.chunks_exact_mut(arrivals.slot_bytes);
        let mut buffers: [_; ARRIVALS_PER_CALL] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        let mut metas = [RecvMeta::default(); ARRIVALS_PER_CALL];
        let count = self
            .offload
            .recv(UdpSockRef::from(&self.socket), &mut buffers, &mut metas)?;
        for (info, meta) in arrivals.info.iter_mut().zip(&metas).take(count) {
            *info = Arrival {
                source: meta.addr,
                hit: meta.dst_ip,
                len_bytes: meta.len,
                segment_bytes: meta.stride,
            };
        }
        Ok(count)
    }

    fn send(&mut self, departure: &Departure<'_>) -> io::Result<()> {
        // A connected socket has its route at hand; with a destination, the kernel looks it up
        // anew.
        if self.peer == Some(departure.destination)
            && departure.source.is_none()
            && departure.bytes.len() <= departure.segment_bytes
        {
            return self.socket.send(departure.bytes).map(drop);
        }
        let transmit = Transmit {
            destination: departure.destination,
            ecn: None,
            contents: departure.bytes,
            segment_size: Some(departure.segment_bytes),
            src_ip: departure.source,
        };
        let segments_before = self.offload.max_gso_segments();
        let outcome = self
            .offload
            .try_send(UdpSockRef::from(&self.socket), &transmit);
        // quinn-udp takes EINVAL for a sign that there is no GSO, and does without from then on. But
        // where one datagram alone is refused too, it is the address, and that is for anybody to
        // choose. So a gathered send leaves a doubt, which the next single one settles.
        let is_single = departure.bytes.len() <= departure.segment_bytes;
        let has_fallen = self.offload.max_gso_segments() < segments_before;
        let is_the_address = is_single && (has_fallen || (self.in_doubt && outcome.is_err()));
        self.in_doubt = has_fallen && !is_single;
        if is_the_address && let Ok(fresh) = offload(&SockRef::from(&self.socket)) {
            self.offload = fresh;
        }
        outcome
    }

    fn max_segments(&self) -> usize {
        self.offload.max_gso_segments()
    }
}
