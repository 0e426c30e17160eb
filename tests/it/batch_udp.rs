//! Batches of datagrams on the real kernel.

use std::net::{Ipv4Addr, SocketAddr};

use pingpong::inside::reactor::bind::{BindOptions, datagrams};
use pingpong::inside::reactor::kernel::{Datagrams, Transmit};

/// Anybody can send from an address that the kernel refuses to send to; that must not cost all others
/// the batches.
#[test]
fn a_refused_address_does_not_end_batches() {
    let mut socket = datagrams((Ipv4Addr::LOCALHOST, 0).into(), BindOptions::default()).unwrap();
    let max_segments = socket.max_segments();
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let transmit = Transmit {
        destination: nobody,
        source: None,
        bytes: b"pong",
        segment_bytes: 4,
    };
    let refused = socket.send(&transmit).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
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
