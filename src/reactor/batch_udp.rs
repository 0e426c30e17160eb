//! UDP in batches: recvmmsg, GRO and GSO, and the address that a datagram hit.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use mio::net::UdpSocket;
use nix::cmsg_space;
use nix::libc::{
    SO_EE_ORIGIN_LOCAL, in_addr, in_pktinfo, in6_addr, in6_pktinfo, sock_extended_err, sockaddr_in6,
};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage,
    recvmmsg, recvmsg, sendmsg,
};
use socket2::Socket;

use super::attempt::is_would_block;
use super::drop_count::DropCount;
use super::kernel::{
    Correspondent, Datagrams, DstIp, RecvMeta, RecvSlots, SLOTS_PER_CALL, Transmit,
};

/// The most segments that every kernel with GSO takes at once: `UDP_MAX_SEGMENTS` before Linux 6.9.
const SEGMENTS_MAX: usize = 64;

/// How much of the datagram that an error is about is read: none is needed.
const QUOTED_BYTES: usize = 1;

/// What a socket turned out to be when it was opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nature {
    /// The kernel takes several datagrams at once, with the length of each.
    pub(super) has_gso: bool,
    /// The kernel keeps what the network says of datagrams that were sent: `IP_RECVERR`.
    pub(super) hears_errors: bool,
    /// What it is bound to, if that is no host's own address: all that comes was sent to many.
    pub(super) shared: Option<IpAddr>,
}

/// A UDP socket that receives and sends in batches.
#[derive(Debug)]
pub struct BatchUdp {
    socket: UdpSocket,
    nature: Nature,
    drop_count: Option<DropCount>,
    /// How many the kernel had dropped when the last datagram came: `SO_RXQ_OVFL`, socket(7). Told
    /// where there is no other count.
    told_drops: Option<u32>,
}

impl BatchUdp {
    /// A bound socket.
    pub(super) fn new(socket: Socket, nature: Nature, drop_count: Option<DropCount>) -> Self {
        Self {
            socket: UdpSocket::from_std(socket.into()),
            nature,
            drop_count,
            told_drops: None,
        }
    }

    /// What the poll watches.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    fn receive_datagrams(&mut self, slots: &mut RecvSlots, most: usize) -> io::Result<usize> {
        let mut room = slots.bytes.chunks_exact_mut(slots.slot_bytes);
        let mut buffers: [_; SLOTS_PER_CALL] =
            std::array::from_fn(|_| [IoSliceMut::new(room.next().unwrap_or_default())]);
        // Fresh ones for each call, as the last one has left in them how much it filled, not how
        // much there is room for.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(
            most,
            Some(cmsg_space!(in_pktinfo, in6_pktinfo, i32, u32)),
        );
        let received = recvmmsg(
            self.socket.as_raw_fd(),
            &mut headers,
            buffers.iter_mut().take(most),
            MsgFlags::empty(),
            None,
        )?;
        let shared = self.nature.shared.map(|ip| DstIp {
            is_shared: true,
            ..ip.into()
        });
        let mut count = 0;
        for (info, message) in slots.info.iter_mut().zip(received) {
            *info = meta(&message, &mut self.told_drops);
            info.dst_ip = info.dst_ip.or(shared);
            count += 1;
        }
        Ok(count)
    }

    /// Takes the oldest error that the network has told out of its queue: recvmsg(2),
    /// `MSG_ERRQUEUE`. Those of this host's own were told by the calls that met them.
    fn next_error(&self) -> Option<io::Error> {
        let mut quoted = [0; QUOTED_BYTES];
        let mut controls = cmsg_space!(sock_extended_err, sockaddr_in6);
        loop {
            let mut buffers = [IoSliceMut::new(&mut quoted)];
            let message = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut buffers,
                Some(&mut controls),
                MsgFlags::MSG_ERRQUEUE,
            );
            let message = message.ok()?;
            let error = message.cmsgs().ok()?.find_map(|control| match control {
                ControlMessageOwned::Ipv4RecvErr(error, _) => Some(error),
                ControlMessageOwned::Ipv6RecvErr(error, _) => Some(error),
                _ => None,
            })?;
            if error.ee_origin != SO_EE_ORIGIN_LOCAL {
                return Some(io::Error::from_raw_os_error(error.ee_errno.cast_signed()));
            }
        }
    }

    fn send_once(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let Correspondent::Inet(destination) = transmit.destination else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let is_single = transmit.bytes.len() <= transmit.segment_bytes;
        if !is_single || transmit.source.is_some() {
            return self.send_message(transmit, destination);
        }
        self.socket.send_to(transmit.bytes, destination).map(drop)
    }

    /// A message with what neither send(2) nor sendto(2) can say.
    fn send_message(&self, transmit: &Transmit<'_>, destination: SocketAddr) -> io::Result<()> {
        let segment_bytes =
            u16::try_from(transmit.segment_bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        let is_single = transmit.bytes.len() <= transmit.segment_bytes;
        let gso = (!is_single).then_some(ControlMessage::UdpGsoSegments(&segment_bytes));
        let (from_v4, from_v6);
        let from = match transmit.source.map(|hit| (hit.ip, hit.scope_id)) {
            None => None,
            Some((IpAddr::V4(ip), _)) => {
                from_v4 = in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: in_addr {
                        s_addr: u32::from_ne_bytes(ip.octets()),
                    },
                    ipi_addr: in_addr { s_addr: 0 },
                };
                Some(ControlMessage::Ipv4PacketInfo(&from_v4))
            }
            Some((IpAddr::V6(ip), scope_id)) => {
                from_v6 = in6_pktinfo {
                    ipi6_addr: in6_addr {
                        s6_addr: ip.octets(),
                    },
                    ipi6_ifindex: scope_id,
                };
                Some(ControlMessage::Ipv6PacketInfo(&from_v6))
            }
        };
        let (one, both);
        let controls: &[ControlMessage<'_>] = match (gso, from) {
            (Some(gso), Some(from)) => {
                both = [gso, from];
                &both
            }
            (Some(control), None) | (None, Some(control)) => {
                one = [control];
                &one
            }
            (None, None) => &[],
        };
        let destination = SockaddrStorage::from(destination);
        sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(transmit.bytes)],
            controls,
            MsgFlags::empty(),
            Some(&destination),
        )?;
        Ok(())
    }
}

impl AsFd for BatchUdp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Datagrams for BatchUdp {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// With the errors, too: recvmmsg(2) tells that there is one, if no other call has, and leaves it
    /// in its queue. Its event is of its own, so it is looked for whenever there is nothing else.
    fn receive(&mut self, slots: &mut RecvSlots, most: usize) -> io::Result<usize> {
        let outcome = self.receive_datagrams(slots, most);
        match &outcome {
            Err(_) if self.nature.hears_errors => match self.next_error() {
                Some(error) => Err(error),
                None => outcome,
            },
            _ => outcome,
        }
    }

    fn send(&mut self, transmit: &Transmit<'_>) -> io::Result<()> {
        let outcome = self.send_once(transmit);
        match &outcome {
            // Any call tells what was said of an earlier datagram, once. It stays in the queue for
            // `receive`, and is no answer to this one.
            Err(error) if self.nature.hears_errors && !is_would_block(error) => {
                self.send_once(transmit)
            }
            _ => outcome,
        }
    }

    /// Stays as it is whatever a send says: EINVAL and EIO can be about the path, the device or an
    /// address that anybody can choose, and none of these is a reason to end it for all others.
    fn max_segments(&self) -> usize {
        if self.nature.has_gso { SEGMENTS_MAX } else { 1 }
    }

    fn kernel_drops(&mut self) -> Option<u32> {
        let counted = self.drop_count.as_mut().and_then(DropCount::read);
        counted.or(self.told_drops)
    }
}

fn meta(message: &RecvMsg<'_, '_, SockaddrStorage>, told_drops: &mut Option<u32>) -> RecvMeta {
    let mut meta = RecvMeta {
        len_bytes: message.bytes,
        segment_bytes: message.bytes,
        ..RecvMeta::default()
    };
    if let Some(source) = message.address.as_ref().and_then(socket_addr) {
        meta.source = source.into();
    }
    let mut is_shared = false;
    // They are cut off only where there is too little room for them.
    for control in message.cmsgs().into_iter().flatten() {
        match control {
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                meta.dst_ip = Some(dst_ip_v6(&info));
            }
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let ip = IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes());
                meta.dst_ip = meta.dst_ip.or(Some(ip.into()));
                // Where a reply leaves from is another address only for what was sent to many:
                // fib_compute_spec_dst() in the kernel.
                is_shared = info.ipi_spec_dst.s_addr != info.ipi_addr.s_addr;
            }
            ControlMessageOwned::UdpGroSegments(bytes) => {
                meta.segment_bytes = usize::try_from(bytes).unwrap_or(message.bytes);
            }
            ControlMessageOwned::RxqOvfl(drops) => *told_drops = Some(drops),
            _ => {}
        }
    }
    if let Some(hit) = &mut meta.dst_ip {
        hit.is_shared = is_shared;
    }
    meta
}

fn dst_ip_v6(info: &in6_pktinfo) -> DstIp {
    let ip = std::net::Ipv6Addr::from(info.ipi6_addr.s6_addr);
    let scope_id = if ip.is_unicast_link_local() {
        info.ipi6_ifindex
    } else {
        0
    };
    DstIp {
        scope_id,
        ..IpAddr::from(ip).into()
    }
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|v6| SocketAddr::V6((*v6).into()))
    })
}
