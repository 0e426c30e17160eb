//! An IPv6 wildcard that takes IPv4 traffic too, on a kernel that does not tell so.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::support::client::{ask, connect, replies_to, udp};
use crate::support::has_ipv6;
use crate::support::server::Server;
use crate::support::traced::with_fault;

/// Nobody says whether it does, so IPv4 is asked for as well, and is in use: by this very server.
#[test]
fn what_cannot_be_asked_is_found_out() {
    if !has_ipv6() {
        return;
    }
    let words = ["serve", "--listen", ":0"];
    let Some(command) = with_fault("getsockopt:error=ENOPROTOOPT", &words) else {
        return;
    };
    let server = Server::spawn(command);
    let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, server.port()));
    assert_eq!((&server.tcp[..], &server.udp[..]), (&[all][..], &[all][..]));
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let at = SocketAddr::new(ip, server.port());
        ask(&connect(at), b"ping\n", b"pong\n");
        assert_eq!(replies_to(&udp(ip), at, &[b"ping"]), [b"pong"]);
    }
}
