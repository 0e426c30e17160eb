//! Batches of datagrams on the real kernel.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use pingpong::inside::reactor::bind::{BindOptions, client_datagrams, datagrams};
use pingpong::inside::reactor::kernel::{Datagrams, RecvSlots, SLOTS_PER_CALL, Transmit};

use crate::support::has_ipv6;

/// Anybody can send from an address that the kernel refuses to send to; that must not cost all others
/// the batches.
#[test]
fn a_refused_address_does_not_end_batches() {
    let mut socket = datagrams((Ipv4Addr::LOCALHOST, 0).into(), BindOptions::default()).unwrap();
    let max_segments = socket.max_segments();
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let transmit = Transmit {
        destination: nobody.into(),
        source: None,
        bytes: b"pong",
        segment_bytes: 4,
    };
    let refused = socket.send(&transmit).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(socket.max_segments(), max_segments);

    // Two that were gathered, and then the first of them alone.
    let gathered = Transmit {
        bytes: b"pongpong",
        ..transmit
    };
    socket.send(&gathered).unwrap_err();
    socket.send(&transmit).unwrap_err();
    assert_eq!(socket.max_segments(), max_segments);
}

/// Three ports are closed and one is open. Each refusal is told once, by receiving alone, and costs no
/// datagram.
fn refusals_are_told_one_by_one(any_port: SocketAddr) {
    let mut client = client_datagrams(any_port).unwrap();
    let server = UdpSocket::bind(any_port).unwrap();
    let closed = UdpSocket::bind(any_port).unwrap().local_addr().unwrap();
    let to = |destination: SocketAddr| Transmit {
        destination: destination.into(),
        source: None,
        bytes: b"ping",
        segment_bytes: 4,
    };
    for _ in 0..3 {
        client.send(&to(closed)).unwrap();
        client.send(&to(server.local_addr().unwrap())).unwrap();
    }
    let source = SocketAddr::new(any_port.ip(), client.local_addr().unwrap().port());
    server.send_to(b"pong", source).unwrap();
    let mut slots = RecvSlots::default();
    let (mut refusals, mut datagrams) = (0, 0);
    loop {
        match client.receive(&mut slots, SLOTS_PER_CALL) {
            Ok(count) => datagrams += count,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => refusals += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                break;
            }
        }
    }
    assert_eq!((refusals, datagrams), (3, 1));
    assert_eq!(slots.info[0].source, server.local_addr().unwrap().into());
}

#[test]
fn a_client_hears_of_closed_ports_without_being_connected() {
    refusals_are_told_one_by_one((Ipv4Addr::LOCALHOST, 0).into());
    if has_ipv6() {
        refusals_are_told_one_by_one((Ipv6Addr::LOCALHOST, 0).into());
    }
}
