//! Messages in datagrams, and who must not get one back.
//!
//! A datagram's source address can be forged. So no reply is longer than its request (nothing to
//! gain by aiming us at a victim), none goes where another service might answer it (two services
//! that answer each other never stop), and none to many hosts at once. OpenBSD's inetd keeps the
//! same rules in `dg_badinput`; CERT CA-1996-01 tells what happens without them.

use crate::reasons::reasons;
use std::net::{IpAddr, SocketAddr};

use super::{Kind, OTHER_REPLY_MAX_BYTES, PONG, ending, kind, turn_into_pong};

reasons! {
    /// Why a datagram got no reply.
    DropReason {
        /// No bytes at all.
        Empty = "empty",
        /// A reply, and replies are never replied to.
        Pong = "pong",
        /// The reply would have been longer than the datagram.
        ReplyLonger = "reply_longer",
        /// Not a ping, under `--strict`.
        NotAPing = "not_a_ping",
        /// From a port below 1024, or NFS's 2049: a service, not a client.
        ServicePort = "service_port",
        /// From or to a multicast or broadcast address.
        ManyHosts = "many_hosts",
        /// From the unspecified address, which the kernel would deliver to this very host.
        Unspecified = "unspecified",
        /// From an IPv4 address in its IPv6 form (RFC 4291 section 2.5.5.2), in a packet that was IPv6:
        /// the reply would be IPv4, to somebody who never asked.
        MappedSource = "mapped_source",
        /// From this very server, or from another one on this host with the same port.
        OwnAddress = "own_address",
        /// Not a ping, and the second's replies to such have all been sent (`--other-rate`).
        RateLimit = "rate_limit",
        /// From outside of the networks of `--allow`.
        NotAllowed = "allow",
        /// From a Unix socket without a name, which no reply can reach.
        Unnamed = "unnamed",
        /// Longer than 65,536 bytes, as only a Unix socket's can be.
        TooLong = "too_long",
        /// The kernel had no room to send the reply.
        SendBufferFull = "send_buffer_full",
        /// The kernel refused to send the reply.
        SendError = "send_error",
        /// The kernel dropped it before the server could receive it: its receive buffer was full, or
        /// its checksum wrong.
        Kernel = "kernel",
    }
}

/// The reply to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The datagram, turned into its pong.
    Pong,
    /// The first bytes of the datagram, overwritten; not a ping, so it is paid for from
    /// `--other-rate`.
    Other {
        /// How many bytes.
        len_bytes: usize,
    },
}

/// Answers one datagram in place, or says why not. Whether its sender may have the reply is
/// [`check_source`]'s question.
///
/// # Errors
/// The reason why there is no reply; the datagram is as it was.
pub fn answer(datagram: &mut [u8], strict: bool) -> Result<Reply, DropReason> {
    match kind(datagram) {
        Kind::Ping => {
            turn_into_pong(datagram);
            Ok(Reply::Pong)
        }
        Kind::Pong => Err(DropReason::Pong),
        Kind::Other if datagram.is_empty() => Err(DropReason::Empty),
        Kind::Other if strict => Err(DropReason::NotAPing),
        Kind::Other => {
            let ending = ending(datagram);
            let mut text = [0; OTHER_REPLY_MAX_BYTES];
            let (word, tail) = text.split_at_mut(PONG.len());
            word.copy_from_slice(PONG);
            tail[..ending.len()].copy_from_slice(ending);
            let len_bytes = PONG.len() + ending.len();
            let reply = datagram
                .get_mut(..len_bytes)
                .ok_or(DropReason::ReplyLonger)?;
            reply.copy_from_slice(&text[..len_bytes]);
            Ok(Reply::Other { len_bytes })
        }
    }
}

/// Ports below this are services' (RFC 6335 section 6), and replying to a service can start a loop.
const FIRST_CLIENT_PORT: u16 = 1024;
/// The one service above them that every `inetd` refuses too.
const NFS_PORT: u16 = 2049;

/// Says whether a datagram from `source` to `dst_ip` may have a reply at all.
///
/// `dst_is_shared` says what an address does not tell by itself: that it is some subnet's broadcast
/// address.
///
/// `is_local` tells whether an address belongs to this host. It is asked only about a source that
/// has the server's own port, as asking costs a system call.
///
/// # Errors
/// The reason why there must be no reply.
pub fn check_source(
    source: SocketAddr,
    dst_ip: Option<IpAddr>,
    dst_is_shared: bool,
    own_port: u16,
    is_local: impl FnOnce(SocketAddr) -> bool,
) -> Result<(), DropReason> {
    if source.port() < FIRST_CLIENT_PORT || source.port() == NFS_PORT {
        return Err(DropReason::ServicePort);
    }
    if dst_is_shared || is_many_hosts(source.ip()) || dst_ip.is_some_and(is_many_hosts) {
        return Err(DropReason::ManyHosts);
    }
    if source.ip().to_canonical().is_unspecified() {
        return Err(DropReason::Unspecified);
    }
    // Where the socket takes both, a packet that was IPv4 was sent to a mapped address too.
    if is_mapped(source.ip()) && dst_ip.is_some_and(|dst_ip| dst_ip.is_ipv6() && !is_mapped(dst_ip))
    {
        return Err(DropReason::MappedSource);
    }
    if source.port() == own_port && is_local(source) {
        return Err(DropReason::OwnAddress);
    }
    Ok(())
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

fn is_many_hosts(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}
