//! Datagrams on networks of the test's own: narrow links, broadcasts, forged sources, addresses of
//! every kind.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::support::GUARD;
use crate::support::netns::Host;
use crate::support::server::Server;

/// A client's host and a server's, with a link between them.
struct Network {
    client: Host,
    host: Host,
}

const CLIENT_V4: &str = "10.77.1.1";
const SERVER_V4: &str = "10.77.1.2";
const CLIENT_V6: &str = "2001:db8:1::1";
const SERVER_V6: &str = "2001:db8:1::2";
/// Routed to the server's host, and on none of its interfaces.
const ANYIP_V4: &str = "10.99.1.5";
const ANYIP_V6: &str = "2001:db8:9::5";
const LINK_LOCAL: [&str; 2] = ["fe80::1", "fe80::2"];

impl Network {
    fn new() -> Option<Self> {
        let (client, host) = (Host::new()?, Host::new()?);
        client.link(&host, "lan", 1500);
        let ends = [
            (&client, CLIENT_V4, CLIENT_V6),
            (&host, SERVER_V4, SERVER_V6),
        ];
        for ((at, v4, v6), link_local) in ends.into_iter().zip(LINK_LOCAL) {
            at.ip(&format!("addr add {v4}/24 brd + dev lan"));
            at.ip(&format!("addr add {v6}/64 dev lan nodad"));
            at.ip(&format!("addr add {link_local}/64 dev lan nodad"));
        }
        client.ip(&format!("route add 10.99.0.0/16 via {SERVER_V4}"));
        client.ip(&format!("-6 route add 2001:db8:9::/64 via {SERVER_V6}"));
        host.ip("route add local 10.99.0.0/16 dev lo");
        host.ip("-6 route add local 2001:db8:9::/64 dev lo");
        Some(Self { client, host })
    }

    fn serve(&self, at: &str) -> Server {
        Server::spawn(self.host.pingpong(&["serve", "--listen", at]))
    }
}

fn udp(at: &str, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((at.parse::<IpAddr>().unwrap(), port)).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    socket
}

fn address(ip: &str, port: u16) -> SocketAddr {
    (ip.parse::<IpAddr>().unwrap(), port).into()
}

/// Asks, and is answered from the address that was asked.
fn assert_answered(client: &UdpSocket, server: SocketAddr) {
    client.send_to(b"ping", server).unwrap();
    let mut reply = [0; 10];
    let (len, from) = client.recv_from(&mut reply).unwrap();
    assert_eq!((&reply[..len], from), (&b"pong"[..], server));
}

/// Nothing that was asked for before this has come.
fn assert_silent(client: &UdpSocket) {
    client.set_nonblocking(true).unwrap();
    assert!(
        client.recv(&mut [0; 10]).is_err(),
        "a reply that must not be"
    );
}

#[test]
fn addresses_that_are_on_no_interface() {
    let Some(network) = Network::new() else {
        return;
    };
    let server = network.serve(":7777");
    network.client.enter(|| {
        for (from, to) in [(CLIENT_V4, ANYIP_V4), (CLIENT_V6, ANYIP_V6)] {
            let client = udp(from, 0);
            assert_answered(&client, address(to, 7777));
        }
    });
    assert_eq!(server.report().dropped("send_error"), 0);
}

#[test]
fn a_scope_is_kept_both_ways() {
    let Some(network) = Network::new() else {
        return;
    };
    let [peer, own] = LINK_LOCAL;
    // Two links with the same address at each end: only the scope tells them apart.
    network.client.link(&network.host, "other", 1500);
    for (host, ip) in [(&network.client, peer), (&network.host, own)] {
        host.ip(&format!("addr add {ip}/64 dev other nodad"));
    }
    let elsewhere = "2001:db8:2::1";
    network
        .client
        .ip(&format!("addr add {elsewhere}/64 dev other nodad"));
    network.host.ip("addr add 2001:db8:2::2/64 dev other nodad");
    let server = network.serve(":7777");
    let index = network.host.enter(|| index_of("other"));
    let specific = network.serve(&format!("[{own}%{index}]:7778"));
    network.client.enter(|| {
        for (interface, ip) in [("lan", CLIENT_V6), ("other", elsewhere)] {
            let scope_id = index_of(interface);
            let server = SocketAddrV6::new(own.parse().unwrap(), 7777, 0, scope_id);
            // From an address that is everywhere, and from one that needs the scope itself.
            assert_answered(&udp(ip, 0), server.into());
            let source = SocketAddrV6::new(peer.parse().unwrap(), 0, 0, scope_id);
            let client = UdpSocket::bind(source).unwrap();
            client.set_read_timeout(Some(GUARD)).unwrap();
            assert_answered(&client, server.into());
            // The server's own port, and not its address.
            let twin = SocketAddrV6::new(peer.parse().unwrap(), 7777, 0, scope_id);
            let client = UdpSocket::bind(twin).unwrap();
            client.set_read_timeout(Some(GUARD)).unwrap();
            assert_answered(&client, server.into());
        }
        let scope_id = index_of("other");
        let server = SocketAddrV6::new(own.parse().unwrap(), 7778, 0, scope_id);
        assert_answered(&udp(elsewhere, 0), server.into());
    });
    for server in [server, specific] {
        let report = server.report();
        assert_eq!(
            report.dropped("send_error") + report.dropped("own_address"),
            0
        );
    }
}

/// The number of an interface in the network of this thread.
fn index_of(interface: &str) -> u32 {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
    rustix::net::netdevice::name_to_index(&socket, interface).unwrap()
}

#[test]
fn no_reply_to_a_broadcast_ping() {
    let Some(network) = Network::new() else {
        return;
    };
    for at in ["0.0.0.0:7777", ":7777", "10.77.1.255:7777"] {
        let server = network.serve(at);
        let is_subnet = at.starts_with("10");
        network.client.enter(|| {
            let client = udp(CLIENT_V4, 0);
            client.set_broadcast(true).unwrap();
            let all = ["10.77.1.255", "255.255.255.255"];
            for to in &all[..if is_subnet { 1 } else { 2 }] {
                client.send_to(b"ping", address(to, 7777)).unwrap();
            }
            if !is_subnet {
                assert_answered(&client, address(SERVER_V4, 7777));
            }
        });
        let due = if is_subnet { 1 } else { 2 };
        let report = server.wait_for_report("they have come", |report| {
            report.dropped("many_hosts") + report.dropped("send_error") >= due
        });
        assert_eq!(report.dropped("many_hosts"), due, "{at}");
        assert_eq!(report.dropped("send_error"), 0, "{at}");
    }
}

/// An IPv6 packet with UDP in it, from whomever it says.
fn forged(source: Ipv6Addr, destination: Ipv6Addr, to_port: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let mut udp = [
        5000u16.to_be_bytes(),
        to_port.to_be_bytes(),
        len.to_be_bytes(),
    ]
    .concat();
    udp.extend([0, 0]);
    udp.extend(payload);
    let pseudo = [
        &source.octets()[..],
        &destination.octets(),
        &u32::from(len).to_be_bytes(),
        &[0, 0, 0, 17],
        &udp,
    ];
    let sum: u32 = pseudo
        .concat()
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from))
        .sum();
    let folded = (sum >> 16) + (sum & 0xffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    udp[6..8].copy_from_slice(&(!folded).to_be_bytes()[2..]);
    let header = [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[17, 64]].concat();
    [&header, &source.octets()[..], &destination.octets(), &udp].concat()
}

/// The kernel would deliver a reply to `[::]` to its own host, and send one to `::ffff:10.77.1.1`
/// over IPv4, to somebody who never asked. A real IPv4 peer of the same socket is answered.
#[test]
fn no_reply_to_a_source_in_disguise() {
    let Some(network) = Network::new() else {
        return;
    };
    for at in [":7777".to_owned(), format!("[{SERVER_V6}]:7777")] {
        let server = network.serve(&at);
        network.client.enter(|| {
            let raw = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(255))).unwrap();
            let bystander = udp(CLIENT_V4, 5000);
            let to = SERVER_V6.parse().unwrap();
            for source in ["::", "::ffff:10.77.1.1", "::ffff:127.0.0.1"] {
                let packet = forged(source.parse().unwrap(), to, 7777, b"ping");
                let to = SockAddr::from(SocketAddr::from((to, 0)));
                raw.send_to(&packet, &to).unwrap();
            }
            assert_answered(&udp(CLIENT_V6, 0), address(SERVER_V6, 7777));
            if at == ":7777" {
                assert_answered(&udp(CLIENT_V4, 0), address(SERVER_V4, 7777));
            }
            assert_silent(&bystander);
        });
        let report = server.report();
        assert_eq!(report.dropped("unspecified"), 1, "{at}");
        assert_eq!(report.dropped("mapped_source"), 2, "{at}");
        assert_eq!(report.dropped("send_error"), 0, "{at}");
    }
}

/// Who has the server's port is answered on another host, and is not on this one, also where any
/// address can be bound.
#[test]
fn the_own_port_elsewhere() {
    let Some(network) = Network::new() else {
        return;
    };
    network.host.ip("addr add 10.77.1.22/24 dev lan");
    network.host.ip("addr add 2001:db8:1::22/64 dev lan nodad");
    for any in ["0", "1"] {
        network.host.sysctl("ipv4/ip_nonlocal_bind", any);
        network.host.sysctl("ipv6/ip_nonlocal_bind", any);
        let server = network.serve(":7777");
        network.client.enter(|| {
            assert_answered(&udp(CLIENT_V4, 7777), address(SERVER_V4, 7777));
            assert_answered(&udp(CLIENT_V6, 7777), address(SERVER_V6, 7777));
        });
        assert_eq!(server.report().dropped("own_address"), 0);
        drop(server);
        let own = [
            ("127.0.0.1", "127.0.0.2"),
            ("10.77.1.22", SERVER_V4),
            ("10.99.7.7", SERVER_V4),
            ("2001:db8:1::22", SERVER_V6),
            ("fe80::2%lan", SERVER_V6),
        ];
        for (twin, server_at) in own {
            let Some((ip, interface)) = twin.split_once('%') else {
                let at = address(server_at, 7777).to_string();
                assert_own(&network, &at, |()| address(twin, 7777));
                continue;
            };
            let at = address(server_at, 7777).to_string();
            let ip = ip.parse().unwrap();
            assert_own(&network, &at, |()| {
                SocketAddrV6::new(ip, 7777, 0, index_of(interface)).into()
            });
        }
    }
}

fn assert_own(network: &Network, at: &str, twin: impl FnOnce(()) -> SocketAddr + Send) {
    let server = network.serve(at);
    network.host.enter(|| {
        let twin = UdpSocket::bind(twin(())).unwrap();
        twin.send_to(b"ping", server.udp[0]).unwrap();
        let other = UdpSocket::bind((at.parse::<SocketAddr>().unwrap().ip(), 0)).unwrap();
        other.set_read_timeout(Some(GUARD)).unwrap();
        assert_answered(&other, server.udp[0]);
        assert_silent(&twin);
    });
    assert_eq!(server.report().dropped("own_address"), 1, "{at}");
}

/// A link that is narrower than the server's own, and whose router's word about it is lost: pongs
/// come through as their pings did.
#[test]
fn long_pongs_behind_a_narrow_hop() {
    let (Some(client), Some(router), Some(host)) = (Host::new(), Host::new(), Host::new()) else {
        return;
    };
    client.link(&router, "narrow", 1280);
    host.link(&router, "wide", 1500);
    client.ip("addr add 10.78.1.1/24 dev narrow");
    router.ip("addr add 10.78.1.2/24 dev narrow");
    router.ip("addr add 10.78.2.2/24 dev wide");
    host.ip("addr add 10.78.2.1/24 dev wide");
    client.ip("route add default via 10.78.1.2");
    host.ip("route add default via 10.78.2.2");
    router.sysctl("ipv4/ip_forward", "1");
    // What the router itself has to say to the server.
    router.ip("rule add iif lo to 10.78.2.1 blackhole");
    for at in ["0.0.0.0:7777", ":7777", "10.78.2.1:7777"] {
        let server = Server::spawn(host.pingpong(&["serve", "--listen", at]));
        client.enter(|| {
            let client = udp("10.78.1.1", 0);
            client
                .set_read_timeout(Some(Duration::from_secs(2)))
                .unwrap();
            for number in 0..6u8 {
                let ping = [&b"ping"[..], &[number; 1396]].concat();
                client.send_to(&ping, address("10.78.2.1", 7777)).unwrap();
                let mut pong = [0; 2000];
                let len = client.recv(&mut pong).unwrap();
                assert_eq!(&pong[..4], b"pong", "{at}");
                assert_eq!(&pong[4..len], &ping[4..], "{at}");
            }
        });
        drop(server);
    }
}
