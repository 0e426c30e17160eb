//! Clients: plain sockets that block, with a guard.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;

use super::GUARD;

pub(crate) fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.set_write_timeout(Some(GUARD)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends a request and reads as much as the reply is long.
pub(crate) fn ask(mut stream: &TcpStream, request: &[u8], reply: &[u8]) {
    stream.write_all(request).unwrap();
    expect(stream, reply);
}

/// Reads as much as `reply` is long.
pub(crate) fn expect(mut stream: &TcpStream, reply: &[u8]) {
    let mut bytes = vec![0; reply.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_same(&bytes, reply);
}

/// Reads to the end of the stream, which must not be a reset.
pub(crate) fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Says where two long texts begin to differ, rather than all of both.
pub(crate) fn assert_same(found: &[u8], expected: &[u8]) {
    let differs = |(a, b): (&u8, &u8)| a != b;
    let at = found.iter().zip(expected).position(differs);
    let at = at.unwrap_or(found.len().min(expected.len()));
    let around = |bytes: &[u8]| {
        let end = bytes.len().min(at + 40);
        bytes[at.saturating_sub(40).min(end)..end]
            .escape_ascii()
            .to_string()
    };
    assert!(
        found == expected,
        "{} and {} bytes, from byte {at} on found\n  {}\nwhere there should be\n  {}",
        found.len(),
        expected.len(),
        around(found),
        around(expected)
    );
}

/// A datagram socket on a free port of this address.
pub(crate) fn udp(local: impl Into<IpAddr>) -> UdpSocket {
    let socket = UdpSocket::bind((local.into(), 0)).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    socket
}

pub(crate) fn receive(socket: &UdpSocket) -> Vec<u8> {
    receive_from(socket).0
}

pub(crate) fn receive_from(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = vec![0; 65536];
    let (len, source) = socket.recv_from(&mut bytes).unwrap();
    bytes.truncate(len);
    (bytes, source)
}

/// Sends datagrams and returns the replies to them.
pub(crate) fn replies_to(
    socket: &UdpSocket,
    server: SocketAddr,
    all: &[impl AsRef<[u8]>],
) -> Vec<Vec<u8>> {
    for datagram in all {
        socket.send_to(datagram.as_ref(), server).unwrap();
    }
    replies_so_far(socket, server)
}

/// Sends a ping that is told from all others, and returns the replies that come before its own. A
/// server answers what it receives in the order in which that came, so no other reply is on its way
/// then.
pub(crate) fn replies_so_far(socket: &UdpSocket, server: SocketAddr) -> Vec<Vec<u8>> {
    socket.send_to(b"ping, the last one", server).unwrap();
    std::iter::repeat_with(|| receive(socket))
        .take_while(|reply| reply != b"pong, the last one")
        .collect()
}

/// Whether a write may be tried within so many milliseconds.
pub(crate) fn is_writable(stream: &impl AsFd, within_ms: i64) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::OUT)];
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: within_ms * 1_000_000,
    };
    poll(&mut fds, Some(&timeout)).unwrap() > 0
}

/// Writes the same bytes again and again until nobody has taken any for a while. The stream is left
/// non-blocking.
pub(crate) fn stuff(mut stream: &TcpStream, bytes: &[u8]) {
    stream.set_nonblocking(true).unwrap();
    // A piece may be taken in part, so that the next begins in its middle.
    let mut at = 0;
    while is_writable(stream, 500) {
        while let Ok(len) = stream.write(&bytes[at..]) {
            at = (at + len) % bytes.len();
        }
    }
}
