//! Opening the server's sockets, without the program: whose fault it is that an address is taken.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use pingpong::inside::listen::{Listen, Sockets, open};
use pingpong::inside::transport::Endpoint;

use crate::support::has_ipv6;

fn listen(addresses: &[String]) -> Listen {
    Listen {
        addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        backlog: 10,
        ..Listen::default()
    }
}

fn refused(addresses: &[String]) -> String {
    open(&listen(addresses)).unwrap_err().to_string()
}

/// For ports that have to be free a second time: no other test goes there.
const OURS: Ipv4Addr = Ipv4Addr::new(127, 0, 81, 1);
const OTHERS: Ipv4Addr = Ipv4Addr::new(127, 0, 81, 2);

/// What another program has is not blamed on a `--listen` that has nothing to do with it.
#[test]
fn what_others_have_is_theirs() {
    let other = TcpListener::bind((OTHERS, 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let theirs = format!("{OTHERS}:{port}");
    let theirs_is_told = |told: &str| {
        assert!(
            told.starts_with(&format!("cannot listen on tcp://{theirs}: ")),
            "{told}"
        );
        assert!(told.contains("stop the program that has it"), "{told}");
    };
    // Another address at the same port, and the same address at another port.
    theirs_is_told(&refused(&[format!("{OURS}:{port}"), theirs.clone()]));
    theirs_is_told(&refused(&[format!("{OTHERS}:0"), theirs.clone()]));
    if has_ipv6() {
        theirs_is_told(&refused(&[format!("[::1]:{port}"), theirs.clone()]));
    }

    // One of all IPv4 addresses is enough for the wildcard to be taken; ours at ::1 is none of them.
    let told = refused(&[format!("0.0.0.0:{port}")]);
    assert!(told.contains("stop the program that has it"), "{told}");
    if has_ipv6() {
        let told = refused(&[format!("[::1]:{port}"), format!("0.0.0.0:{port}")]);
        assert!(told.contains("stop the program that has it"), "{told}");
    }
}

/// All or nothing: what could be opened is closed again where the rest could not.
#[test]
fn no_half_of_a_server_is_left() {
    let other = UdpSocket::bind((OTHERS, 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let told = refused(&[format!("{OURS}:{port}"), format!("{OTHERS}:{port}")]);
    assert!(
        told.starts_with(&format!("cannot listen on udp://{OTHERS}:{port}: ")),
        "{told}"
    );
    TcpListener::bind((OURS, port)).unwrap();
    TcpListener::bind((OTHERS, port)).unwrap();
}

/// In the order in which they were asked for, those for TCP first.
#[test]
fn every_socket_has_its_url() {
    let sockets = open(&listen(&[format!("{OURS}:0"), format!("{OTHERS}:0")])).unwrap();
    let Sockets {
        listeners,
        datagrams,
    } = &sockets;
    let plain = |at: &Endpoint| at.socket_addr().unwrap().to_string();
    let at: Vec<_> = listeners.iter().map(|(_, at)| plain(at)).collect();
    let udp_at: Vec<_> = datagrams.iter().map(|(_, at)| plain(at)).collect();
    assert_eq!(at, udp_at, "one port for both");
    assert!(at[0].starts_with(&format!("{OURS}:")) && at[1].starts_with(&format!("{OTHERS}:")));
    let urls: Vec<_> = sockets.endpoints().map(ToString::to_string).collect();
    let tcp = at.iter().map(|at| format!("tcp://{at}"));
    let udp = at.iter().map(|at| format!("udp://{at}"));
    assert_eq!(urls, tcp.chain(udp).collect::<Vec<_>>());

    let one = Listen {
        udp: false,
        ..listen(&[format!("{OURS}:0")])
    };
    assert_eq!(open(&one).unwrap().endpoints().count(), 1);
}
