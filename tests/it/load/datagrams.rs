//! UDP servers that misbehave, each in one way. One socket asks, so it is known what must be
//! counted.

use std::net::{Ipv4Addr, UdpSocket};

use pingpong::inside::reactor::attempt::Attempt;
use pingpong::inside::reactor::bind::{BindOptions, datagrams};
use pingpong::inside::reactor::kernel::Datagrams as _;
use pingpong::inside::reactor::kernel::{Readiness, RecvSlots, SLOTS_PER_CALL};
use pingpong::inside::reactor::latch::Latched;

use super::{Served, load, pong, udp_server};

const SHORT: &str = "--udp -c 1 -d 300ms --timeout 700ms";

#[test]
fn a_server_that_answers_is_all_right() {
    let address = udp_server(|_, ping, peer, socket| {
        socket.send_to(&pong(ping), peer).unwrap();
    });
    for args in ["", "-p 16", "-s 22", "-s 5000", "--rate 500"] {
        let ran = load(address, &format!("--udp -c 4 -d 200ms {args}"));
        assert_eq!(ran.code, 0, "{args}: {}", ran.json);
        assert_eq!(
            ran.count("wrong") + ran.count("duplicated") + ran.count("foreign"),
            0
        );
    }
}

#[test]
fn a_lost_datagram_is_counted_and_does_not_stall_the_run() {
    for args in ["-p 1", "-p 8", "--rate 1000"] {
        let address = udp_server(|number, ping, peer, socket| {
            if number != 5 {
                socket.send_to(&pong(ping), peer).unwrap();
            }
        });
        let ran = load(address, &format!("{SHORT} -d 1500ms {args}"));
        assert_eq!(ran.code, 0, "{args}: {}", ran.json);
        assert_eq!(ran.count("lost"), 1, "{args}: {}", ran.json);
        assert!(ran.count("replies") > 6, "{args}: {}", ran.json);
        assert_eq!(ran.count("replies") + 1, ran.count("requests"));
        assert_eq!(ran.count("duplicated") + ran.count("late"), 0);
    }
}

#[test]
fn a_duplicate_is_counted() {
    let address = udp_server(|number, ping, peer, socket| {
        let reply = pong(ping);
        for _ in 0..=usize::from(number == 5) * 2 {
            socket.send_to(&reply, peer).unwrap();
        }
    });
    let ran = load(address, SHORT);
    assert_eq!((ran.code, ran.count("duplicated")), (0, 2), "{}", ran.json);
    assert_eq!(ran.count("lost") + ran.count("reordered"), 0);
}

#[test]
fn a_reordered_reply_is_counted() {
    let mut held = None;
    let address = udp_server(move |number, ping, peer, socket| {
        if number == 5 {
            held = Some(pong(ping));
            return;
        }
        socket.send_to(&pong(ping), peer).unwrap();
        if let Some(held) = held.take() {
            socket.send_to(&held, peer).unwrap();
        }
    });
    let ran = load(address, &format!("{SHORT} -p 4"));
    assert_eq!((ran.code, ran.count("reordered")), (0, 1), "{}", ran.json);
    assert_eq!(ran.count("lost") + ran.count("duplicated"), 0);
}

/// It answers a request only when it sees the next one, and that comes only when the first was
/// given up.
#[test]
fn a_late_reply_is_not_taken_for_another() {
    let mut held = None;
    let address = udp_server(move |number, ping, peer, socket| {
        if number == 5 {
            held = Some(pong(ping));
            return;
        }
        if let Some(held) = held.take() {
            socket.send_to(&held, peer).unwrap();
        }
        socket.send_to(&pong(ping), peer).unwrap();
    });
    let ran = load(address, "--udp -c 1 -d 2s --timeout 700ms");
    assert_eq!(ran.code, 0, "{}", ran.json);
    assert_eq!(
        (ran.count("lost"), ran.count("late")),
        (1, 1),
        "{}",
        ran.json
    );
}

#[test]
fn a_wrong_byte_is_wrong_and_its_request_lost() {
    let address = udp_server(|number, ping, peer, socket| {
        let mut reply = pong(ping);
        if number == 5 {
            reply[30] ^= 1;
        }
        socket.send_to(&reply, peer).unwrap();
    });
    let ran = load(address, SHORT);
    assert_eq!(ran.code, 1);
    assert_eq!((ran.count("wrong"), ran.count("lost")), (1, 1));
    assert!(ran.stderr.contains("wrong reply"), "{}", ran.stderr);
}

#[test]
fn replies_that_are_cut_long_or_empty_are_wrong() {
    for len in [0, 10, 63, 65] {
        let address = udp_server(move |number, ping, peer, socket| {
            let mut reply = pong(ping);
            if number == 2 {
                reply.resize(len, b'x');
            }
            socket.send_to(&reply, peer).unwrap();
        });
        let ran = load(address, SHORT);
        assert_eq!(
            (ran.code, ran.count("wrong")),
            (1, 1),
            "{len}: {}",
            ran.json
        );
    }
}

#[test]
fn silence_is_no_answer() {
    let address = udp_server(|_, _, _, _| {});
    let ran = load(address, "--udp -c 3 -d 100ms --timeout 200ms");
    assert_eq!(
        (ran.code, ran.count("replies"), ran.count("lost")),
        (1, 0, 3)
    );
}

#[test]
fn a_stranger_is_no_answer() {
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = udp_server(move |_, ping, peer, _| {
        stranger.send_to(&pong(ping), peer).unwrap();
    });
    let ran = load(address, "--udp -c 1 -d 100ms --timeout 700ms");
    assert_eq!(
        (ran.code, ran.count("replies"), ran.count("foreign")),
        (1, 0, 1)
    );
}

/// Two sockets ask, and each gets what is the other's.
#[test]
fn the_reply_to_another_socket_is_wrong() {
    let mut held = None;
    let address = udp_server(move |number, ping, peer, socket| match number {
        0 => held = Some((pong(ping), peer)),
        1 => {
            let (reply, other) = held.take().unwrap();
            socket.send_to(&reply, peer).unwrap();
            socket.send_to(&pong(ping), other).unwrap();
        }
        _ => {
            socket.send_to(&pong(ping), peer).unwrap();
        }
    });
    let ran = load(address, "--udp -c 2 -d 300ms --timeout 700ms");
    assert_eq!((ran.code, ran.count("wrong")), (1, 2), "{}", ran.json);
    assert_eq!(ran.count("lost"), 2);
}

#[test]
fn our_server_is_asked_and_answers_in_super_packets() {
    let served = Served::start();
    let ran = load(served.address, "--udp -c 2 -p 64 -d 200ms");
    assert_eq!(ran.code, 0, "{}", ran.json);
    let sent_together = ran.json["offload"]["datagrams_per_send"].as_f64().unwrap();
    let gso = ran.json["offload"]["gso"].as_bool().unwrap();
    assert_eq!(gso, sent_together > 1.0, "{}", ran.json);
}

/// A full batch may have more behind it, a short one has not; one that came with more than data
/// proves nothing. On loopback a datagram is there when the call that sent it returns.
#[test]
fn a_short_batch_clears_the_latch_and_a_full_one_does_not() {
    let socket = datagrams((Ipv4Addr::LOCALHOST, 0).into(), BindOptions::default()).unwrap();
    let address = socket.local_addr().unwrap();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut latched = Latched::new(socket);
    let mut slots = RecvSlots::default();
    let mut receive = |sent: usize, latched: &mut Latched<_>| {
        for _ in 0..sent {
            sender.send_to(b"ping", address).unwrap();
        }
        match latched.receive(&mut slots) {
            Attempt::Done(count) => count,
            other => panic!("{other:?}"),
        }
    };
    let full = SLOTS_PER_CALL;
    assert_eq!(receive(full + 3, &mut latched), full);
    assert!(latched.is_readable());
    assert_eq!(receive(0, &mut latched), 3);
    assert!(!latched.is_readable());
    latched.raise(Readiness::ALL);
    assert_eq!(receive(1, &mut latched), 1);
    assert!(latched.is_readable());
    assert!(matches!(latched.receive(&mut slots), Attempt::Blocked));
    assert!(!latched.is_readable());
}
