//! The real program, where datagrams come from others than the target, or nobody takes them.

use std::net::UdpSocket;

use super::harness::pong_bytes;
use super::real::{Serve, ping, udp_server};

/// A server whose replies leave from another port.
#[test]
fn a_reply_from_another_port_is_told_as_one() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = other.local_addr().unwrap();
    let target = udp_server(move |_, source, datagram| {
        other.send_to(&pong_bytes(datagram), source).unwrap();
    });
    let ended = ping(&["--udp", "-c1", "-W", "0.3", "-s", "8", &target]);
    for line in [
        format!(
            "From {from}: udp seq=1 foreign reply of 13 bytes, not from the target: pong 0000001\\n\n"
        ),
        format!("From {target}: udp seq=1 timed out: no reply within 30"),
        "\n1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms\n".into(),
    ] {
        assert!(ended.stdout.contains(&line), "{line}{}", ended.stdout);
    }
    assert_eq!(ended.status, Some(1));
}

#[test]
fn every_address_of_this_host_can_be_pinged() {
    let server = Serve::start("127.0.0.1:0", &[]);
    let anywhere = format!("0.0.0.0:{}", server.at.port());
    let ended = ping(&["--tcp", "--udp", "-c1", &anywhere]);
    assert!(ended.stdout.contains("2 received, 0%"), "{}", ended.stdout);
    assert_eq!(ended.status, Some(0));
}

/// TCP answers and UDP does not: that is not all that was asked for.
#[test]
fn one_transport_that_is_dead_is_a_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let line = super::real::read_line(&stream).unwrap();
        std::io::Write::write_all(&mut stream, &pong_bytes(&line)).unwrap();
        while super::real::read_line(&stream).is_some() {}
    });
    let ended = ping(&["--tcp", "--udp", "-c1", &target.to_string()]);
    let refused = format!("From {target}: udp seq=1 refused: the port is unreachable\n");
    assert!(ended.stdout.contains(&refused), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("tcp seq=1 connect="),
        "{}",
        ended.stdout
    );
    assert_eq!(ended.status, Some(1));
}
