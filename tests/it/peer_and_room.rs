//! Who a peer is, as the log names it; and how many connections there is room for.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use pingpong::inside::limits::Descriptors;
use pingpong::inside::reactor::KEYS_MAX;
use pingpong::inside::server::peer::Peer;

#[test]
fn a_peer_is_named_as_people_know_it() {
    for address in [
        "192.0.2.7:1",
        "127.0.0.1:65535",
        "[2001:db8::1]:80",
        "[::1]:8",
        "[fe80::1%7]:443",
        "[fe80::1%16777216]:443",
    ] {
        let at: SocketAddr = address.parse().unwrap();
        assert_eq!(Peer::from(at).to_string(), address);
    }
    let mapped: SocketAddr = "[::ffff:192.0.2.7]:9".parse().unwrap();
    assert_eq!(Peer::from(mapped).to_string(), "192.0.2.7:9");
    // Flow labels are no part of it.
    let flow = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 8, 5, 0);
    assert_eq!(Peer::from(SocketAddr::from(flow)).to_string(), "[::1]:8");
}

#[test]
fn what_is_open_leaves_so_much_room() {
    let it = Descriptors {
        limit: 100,
        open: Some(7),
    };
    assert_eq!(it.taken_with(3), 10);
    assert_eq!(it.room_beside(3), 90);
    assert_eq!(it.room_beside(92), 1);
    assert_eq!(it.room_beside(93), 0);
    assert_eq!(it.room_beside(94), 0);
    // Where nobody tells, twelve are taken to be open.
    let it = Descriptors { open: None, ..it };
    assert_eq!((it.taken_with(3), it.room_beside(3)), (15, 85));
    let unlimited = Descriptors {
        limit: usize::MAX,
        open: Some(0),
    };
    assert_eq!(unlimited.room_beside(0), KEYS_MAX);
    assert_eq!(unlimited.taken_with(usize::MAX), usize::MAX);
}
