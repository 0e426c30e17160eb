//! Datagrams: at most one reply, the one that the plain rule gives, and none that is longer.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use pingpong::inside::protocol::datagram::{Reply, answer, check_source};
use pingpong::inside::reactor::kernel::DstIp;
use reference::Deserved;

#[allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared with the tests"
)]
#[path = "../../it/sim/reference.rs"]
mod reference;

const PORT: u16 = 8888;

// The first byte sets the rules, the next six are the source, four more the address that was hit.
fuzz_target!(|data: &[u8]| {
    let [rules, a, b, c, d, high, low, rest @ ..] = data else {
        return;
    };
    let Some((dst_ip, datagram)) = rest.split_first_chunk::<4>() else {
        return;
    };
    let strict = rules & 1 == 1;
    let source = SocketAddr::from(([*a, *b, *c, *d], u16::from_be_bytes([*high, *low])));
    let dst_ip = (rules & 2 == 2).then_some(DstIp {
        is_shared: rules & 4 == 4,
        ..IpAddr::from(*dst_ip).into()
    });
    let is_local = |address: SocketAddr| address.ip().is_loopback();
    let mut bytes = datagram.to_vec();
    let may = check_source(
        source,
        dst_ip.map(|dst_ip| dst_ip.ip),
        dst_ip.is_some_and(|dst_ip| dst_ip.is_shared),
        PORT,
        is_local,
    );
    let given = match (answer(&mut bytes, strict), may) {
        (Err(_), _) => {
            assert_eq!(bytes, datagram, "a datagram without a reply was changed");
            Deserved::Nothing
        }
        (_, Err(_)) => Deserved::Nothing,
        (Ok(Reply::Pong), Ok(())) => Deserved::Pong(bytes),
        (Ok(Reply::Other { len_bytes }), Ok(())) => Deserved::Other(bytes[..len_bytes].to_vec()),
    };
    assert_eq!(
        given,
        reference::deserved(datagram, strict, source, dst_ip, PORT)
    );
});
