//! The real kernel as a client uses it: connections that come about or do not, room to send, and
//! sleeps that end on time.

use rustix::net::sockopt::tcp_nodelay;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use pingpong::inside::reactor::kernel::{Kernel, Readiness, Stream, Token};
use pingpong::inside::reactor::os::Os;

use crate::support::{GUARD, until};

const TOKEN: Token = Token(7);

/// Waits until an event of the one source says what is asked for, and returns all that it said.
fn wait_until(kernel: &mut Os, is_told: impl Fn(Readiness) -> bool) -> Readiness {
    let start = Instant::now();
    loop {
        let mut seen = Readiness::default();
        let raise = |token, ready| {
            assert_eq!(token, TOKEN);
            seen = ready;
        };
        kernel.wait(Some(GUARD), raise).unwrap();
        if is_told(seen) {
            return seen;
        }
        assert!(start.elapsed() < GUARD, "no such event");
    }
}

#[test]
fn a_connection_comes_about() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let mut kernel = Os::for_client().unwrap();
    let mut stream = kernel.connect(at).unwrap();
    kernel.register_stream(&mut stream, TOKEN).unwrap();
    wait_until(&mut kernel, |ready| ready.writable);
    stream.connected().unwrap();
    assert!(
        tcp_nodelay(&stream).unwrap(),
        "what is written leaves at once"
    );
    let (_accepted, peer) = listener.accept().unwrap();
    assert_eq!(Stream::local_addr(&stream).unwrap(), peer);
    assert_eq!(
        Stream::read(&mut stream, &mut [0; 4]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn a_connection_does_not_come_about() {
    // A port that was free a moment ago, at an address where no other test listens.
    let nobody = SocketAddr::from(([127, 0, 80, 1], 1));
    let mut kernel = Os::for_client().unwrap();
    let mut stream = kernel.connect(nobody).unwrap();
    kernel.register_stream(&mut stream, TOKEN).unwrap();
    wait_until(&mut kernel, |ready| ready.writable);
    let refused = stream.connected().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

/// Somebody who neither answers nor refuses: a backlog that is full.
#[test]
fn a_connection_is_on_its_way() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let at = socket.local_addr().unwrap().as_socket().unwrap();
    let mut kernel = Os::for_client().unwrap();
    // One has room; the second is answered too, or not, as the kernel counts; the third is not.
    let mut streams: Vec<_> = (0..3).map(|_| kernel.connect(at).unwrap()).collect();
    let waits = streams[2].connected().unwrap_err();
    assert_eq!(waits.kind(), ErrorKind::WouldBlock);
}

/// Room to send is told to who asked for it, and to nobody else.
#[test]
fn room_is_told_to_who_waits_for_it() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut kernel = Os::for_client().unwrap().telling_room();
    let mut datagrams = kernel.open_datagrams(any).unwrap();
    kernel.register_datagrams(&mut datagrams, TOKEN).unwrap();
    let told = wait_until(&mut kernel, |ready| ready.writable);
    assert!(!told.readable);

    let mut kernel = Os::for_client().unwrap();
    let mut datagrams = kernel.open_datagrams(any).unwrap();
    kernel.register_datagrams(&mut datagrams, TOKEN).unwrap();
    let at = pingpong::inside::reactor::kernel::Datagrams::local_addr(&datagrams).unwrap();
    let peer = UdpSocket::bind(any).unwrap();
    peer.send_to(b"pong", at).unwrap();
    let told = wait_until(&mut kernel, |ready| ready.readable);
    assert!(!told.writable);
    assert_eq!(kernel.next_signal(), None);
}

/// However fine the timer, no sleep ends before its time; and one of no time at all ends.
#[test]
fn a_sleep_is_as_long_as_it_was_asked_to_be() {
    let coarse = Os::for_client().unwrap();
    let fine = Os::for_client().unwrap().with_fine_timer().unwrap();
    for mut kernel in [coarse, fine] {
        for sleep in [0, 1, 999, 1_000_001, 3_500_000, 20_000_000].map(Duration::from_nanos) {
            let start = Instant::now();
            let no_event = |token, ready| panic!("{token:?}: {ready:?}");
            kernel.wait(Some(sleep), no_event).unwrap();
            assert!(start.elapsed() >= sleep, "{sleep:?}");
        }
    }
}

/// A sleep by the fine timer can be shorter than the millisecond in which epoll_wait(2) counts: not
/// each, on a busy machine, but one of many.
#[test]
fn a_fine_sleep_is_shorter_than_a_millisecond() {
    let mut kernel = Os::for_client().unwrap().with_fine_timer().unwrap();
    until("one of the sleeps was short", || {
        (0..50).any(|_| {
            let start = Instant::now();
            let sleep = Some(Duration::from_micros(100));
            kernel.wait(sleep, |_, _| ()).unwrap();
            start.elapsed() < Duration::from_millis(1)
        })
    });
}
