//! Datagrams: what gets a reply, what does not, and why not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use pingpong::inside::protocol::datagram::{DropReason, Reply, answer, check_source};
use proptest::prelude::*;

use super::TABLE;
use crate::model;
use crate::support::cases;

const OWN_PORT: u16 = 8888;

/// The reply that leaves, or why none does.
fn answered(datagram: &[u8], strict: bool) -> Result<Vec<u8>, DropReason> {
    let mut bytes = datagram.to_vec();
    match answer(&mut bytes, strict) {
        Ok(Reply::Pong) => Ok(bytes),
        Ok(Reply::Other { len_bytes }) => Ok(bytes[..len_bytes].to_vec()),
        Err(reason) => {
            assert_eq!(bytes, datagram, "a dropped datagram stays as it was");
            Err(reason)
        }
    }
}

/// The rules in the order in which they are asked.
fn expected(datagram: &[u8], strict: bool) -> Result<Vec<u8>, DropReason> {
    if datagram.is_empty() {
        return Err(DropReason::Empty);
    }
    let reply = model::reply(datagram).ok_or(DropReason::Pong)?;
    if strict && !datagram[..4.min(datagram.len())].eq_ignore_ascii_case(b"ping") {
        return Err(DropReason::NotAPing);
    }
    if reply.len() > datagram.len() {
        return Err(DropReason::ReplyLonger);
    }
    Ok(reply)
}

#[test]
fn every_row_of_the_table() {
    for (message, reply) in TABLE {
        let expected = match reply {
            Some(reply) if reply.len() > message.len() => Err(DropReason::ReplyLonger),
            Some(reply) => Ok(reply.to_vec()),
            None => Err(DropReason::Pong),
        };
        let shown = message.escape_ascii();
        assert_eq!(answered(message, false), expected, "{shown}");
    }
}

#[test]
fn every_reason_that_lies_in_the_bytes() {
    type Row = (&'static [u8], bool, Result<&'static [u8], DropReason>);
    let rows: [Row; 16] = [
        (b"", false, Err(DropReason::Empty)),
        (b"", true, Err(DropReason::Empty)),
        (b"pong", false, Err(DropReason::Pong)),
        (b"pong", true, Err(DropReason::Pong)),
        (b"hi", false, Err(DropReason::ReplyLonger)),
        (b"abc", false, Err(DropReason::ReplyLonger)),
        (b"abcd", false, Ok(b"pong")),
        (b"abc\n", false, Err(DropReason::ReplyLonger)),
        (b"abcd\n", false, Ok(b"pong\n")),
        (b"abc\r\n", false, Err(DropReason::ReplyLonger)),
        (b"abcd\r\n", false, Ok(b"pong\r\n")),
        (b"\n\n\n\n\n", false, Ok(b"pong\n")),
        (b"\r\n\r\n\r\n", false, Ok(b"pong\r\n")),
        (b"hello", true, Err(DropReason::NotAPing)),
        (b"hi", true, Err(DropReason::NotAPing)),
        (b"pinG\n", true, Ok(b"ponG\n")),
    ];
    for (datagram, strict, expected) in rows {
        let shown = datagram.escape_ascii();
        assert_eq!(
            answered(datagram, strict),
            expected.map(Vec::from),
            "{shown}"
        );
    }
}

/// A datagram is one message: lines inside it are its payload.
#[test]
fn lines_inside_a_datagram_are_payload() {
    let reply = answered(b"ping\nping\r\nhello\n", false);
    assert_eq!(reply.unwrap(), b"pong\nping\r\nhello\n");
}

#[test]
fn other_replies_are_told_apart_for_the_bucket() {
    let outcome = |bytes: &[u8]| answer(&mut bytes.to_vec(), false);
    assert_eq!(outcome(b"ping\n"), Ok(Reply::Pong));
    assert_eq!(outcome(b"hello\n"), Ok(Reply::Other { len_bytes: 5 }));
    assert_eq!(outcome(b"hello\r\n"), Ok(Reply::Other { len_bytes: 6 }));
    assert_eq!(outcome(b"hello"), Ok(Reply::Other { len_bytes: 4 }));
}

/// Names stand in metrics and logs, so each reason has its own, and counters find theirs by
/// discriminant.
#[test]
fn reasons_have_names_of_their_own() {
    for (index, reason) in DropReason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, index, "{reason:?}");
        assert!(
            reason
                .name()
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'_')
        );
        let same = DropReason::ALL
            .iter()
            .filter(|it| it.name() == reason.name());
        assert_eq!(same.count(), 1, "{reason:?}");
    }
}

/// `is_local` costs a system call, so it must not be asked without need.
fn checked(source: &str, dst_ip: Option<&str>, is_local: Option<bool>) -> Result<(), DropReason> {
    let source: SocketAddr = source.parse().unwrap();
    let dst_ip = dst_ip.map(|ip| ip.parse().unwrap());
    let mut asked = false;
    let outcome = check_source(source, dst_ip, false, OWN_PORT, |address| {
        asked = true;
        assert_eq!(address, source);
        is_local.expect("nobody should ask")
    });
    assert_eq!(asked, is_local.is_some(), "{source}");
    outcome
}

#[test]
fn sources_that_need_no_system_call() {
    use DropReason::{ManyHosts, ServicePort};
    let rows = [
        ("127.0.0.1:0", Err(ServicePort)),
        ("127.0.0.1:1", Err(ServicePort)),
        ("192.0.2.1:7", Err(ServicePort)),
        ("192.0.2.1:53", Err(ServicePort)),
        ("192.0.2.1:1023", Err(ServicePort)),
        ("192.0.2.1:1024", Ok(())),
        ("192.0.2.1:2048", Ok(())),
        ("192.0.2.1:2049", Err(ServicePort)),
        ("192.0.2.1:2050", Ok(())),
        ("192.0.2.1:65535", Ok(())),
        ("[2001:db8::1]:1023", Err(ServicePort)),
        ("[2001:db8::1]:1024", Ok(())),
        ("[2001:db8::1]:2049", Err(ServicePort)),
        ("[::ffff:192.0.2.1]:2049", Err(ServicePort)),
        ("[::ffff:192.0.2.1]:5000", Ok(())),
        ("223.255.255.255:5000", Ok(())),
        ("224.0.0.0:5000", Err(ManyHosts)),
        ("239.255.255.255:5000", Err(ManyHosts)),
        ("240.0.0.1:5000", Ok(())),
        ("255.255.255.254:5000", Ok(())),
        ("255.255.255.255:5000", Err(ManyHosts)),
        ("[::ffff:224.0.0.1]:5000", Err(ManyHosts)),
        ("[::ffff:255.255.255.255]:5000", Err(ManyHosts)),
        ("[ff02::1]:5000", Err(ManyHosts)),
        ("[ff05::1:3]:5000", Err(ManyHosts)),
        ("[fe80::1]:5000", Ok(())),
        ("[feff::1]:5000", Ok(())),
        // The server's own port does not excuse a service or many hosts.
        ("224.0.0.1:8888", Err(ManyHosts)),
    ];
    for (source, expected) in rows {
        assert_eq!(checked(source, None, None), expected, "{source}");
    }
}

#[test]
fn datagrams_that_were_sent_to_many_hosts() {
    let source = "192.0.2.1:5000";
    for dst_ip in [
        "224.0.0.1",
        "255.255.255.255",
        "::ffff:239.0.0.1",
        "ff02::1",
    ] {
        assert_eq!(
            checked(source, Some(dst_ip), None),
            Err(DropReason::ManyHosts),
            "{dst_ip}"
        );
    }
    for dst_ip in ["192.0.2.2", "2001:db8::1", "::ffff:192.0.2.2"] {
        assert_eq!(checked(source, Some(dst_ip), None), Ok(()), "{dst_ip}");
    }
}

#[test]
fn the_own_port_is_refused_on_local_addresses_only() {
    for source in [
        "192.0.2.1:8888",
        "[2001:db8::1]:8888",
        "[::ffff:192.0.2.1]:8888",
    ] {
        assert_eq!(
            checked(source, None, Some(true)),
            Err(DropReason::OwnAddress)
        );
        assert_eq!(checked(source, None, Some(false)), Ok(()));
    }
}

fn datagrams() -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![
        "[pP][iI][nN][gG]".prop_map(String::into_bytes),
        "[pP][oO][nN][gG]".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..7),
    ];
    let tail = prop::collection::vec(any::<u8>(), 0..5);
    let ending = prop::sample::select(vec!["", "\n", "\r\n", "\r", "\n\n"]);
    (body, tail, ending).prop_map(|(body, tail, ending)| [&body, &tail, ending.as_bytes()].concat())
}

proptest! {
    #![proptest_config(cases(1024))]

    #[test]
    fn any_datagram(datagram in datagrams(), strict in any::<bool>()) {
        let outcome = answered(&datagram, strict);
        if let Ok(reply) = &outcome {
            prop_assert!(reply.len() <= datagram.len());
        }
        prop_assert_eq!(outcome, expected(&datagram, strict));
    }

    /// An IPv4 source is treated alike whether it comes in its own form or mapped into IPv6.
    #[test]
    fn mapped_addresses_are_no_way_round(
        ip in prop_oneof![any::<u32>(), Just(u32::MAX), 0xe000_0000u32..0xf000_0000],
        port in prop_oneof![any::<u16>(), 1020u16..1030, 2047u16..2051, Just(OWN_PORT)],
        is_local in any::<bool>(),
    ) {
        let v4 = Ipv4Addr::from(ip);
        let check = |ip: IpAddr| check_source((ip, port).into(), None, false, OWN_PORT, |_| is_local);
        let expected = if port < 1024 || port == 2049 {
            Err(DropReason::ServicePort)
        } else if v4.octets()[0] & 0xf0 == 0xe0 || ip == u32::MAX {
            Err(DropReason::ManyHosts)
        } else if port == OWN_PORT && is_local {
            Err(DropReason::OwnAddress)
        } else {
            Ok(())
        };
        prop_assert_eq!(check(v4.into()), expected);
        prop_assert_eq!(check(v4.to_ipv6_mapped().into()), expected);
    }
}
