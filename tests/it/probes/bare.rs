//! The checks of cloud load balancers and others that only connect: each end that they can make of it.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::SockRef;

use crate::probes::{accepted, stop_unnoticed};
use crate::support::client::{ask, connect};
use crate::support::server::Server;

/// How often each is done.
const ROUNDS: u64 = 50;

fn connect_and_close(server: SocketAddr) {
    drop(connect(server));
}

/// With a reset in place of a FIN, as who wants no TIME_WAIT does.
fn connect_and_reset(server: SocketAddr) {
    reset(connect(server));
}

/// With both.
fn half_close_and_reset(server: SocketAddr) {
    let stream = connect(server);
    stream.shutdown(Shutdown::Write).unwrap();
    reset(stream);
}

/// Without waiting for the reply, which then meets nobody.
fn ask_and_reset(server: SocketAddr) {
    let mut stream = connect(server);
    std::io::Write::write_all(&mut stream, b"ping\n").unwrap();
    reset(stream);
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

const PROBES: &[fn(SocketAddr)] = &[
    connect_and_close,
    connect_and_reset,
    half_close_and_reset,
    ask_and_reset,
];

/// Also of those that were gone before they were let in.
#[test]
fn a_bare_connect_sees_it_up_and_down_and_leaves_nothing_in_the_log() {
    let server = Server::start(&[]);
    let at = server.tcp[0];
    for probe in PROBES {
        (0..ROUNDS).for_each(|_| probe(at));
        server.freeze();
        (0..ROUNDS).for_each(|_| probe(at));
        server.thaw();
        ask(&connect(at), b"ping\n", b"pong\n");
    }
    let all = PROBES.len() as u64 * (2 * ROUNDS + 1);
    stop_unnoticed(server, move |report| {
        accepted(all)(report) && report.count("connections") == 0
    });
    assert!(TcpStream::connect(at).is_err());
}
