//! Datagrams on both kernels, call by call, as in [`super::truth`].

use std::cell::RefCell;
use std::net::{IpAddr, UdpSocket};
use std::rc::Rc;
use std::time::{Duration, Instant};

use pingpong::inside::reactor::bind::{self, BindOptions};
use pingpong::inside::reactor::kernel::{
    Datagrams, Kernel, Readiness, RecvSlots, SLOTS_PER_CALL, Token,
};
use pingpong::inside::reactor::os::Os;
use pingpong::inside::reactor::sockets::OsDatagrams;

use super::kernel::SimKernel;
use super::peer::{DatagramPeer, Peer, Role};
use super::plan::Plan;
use super::world::World;

const TOKEN: Token = Token(41);
const SLOT_BYTES: usize = 64;

/// Datagrams that are sent before each look, an empty one and one that does not fit among them.
const ROUNDS: [&[&[u8]]; 4] = [
    &[b"ping"],
    &[b"ping", b"", b"pingping"],
    &[],
    &[&[b'x'; SLOT_BYTES + 1]],
];

/// What a socket tells in each round: events, then datagrams until there are none.
fn observe<K: Kernel>(
    kernel: &mut K,
    socket: &mut K::Datagrams,
    mut send: impl FnMut(&[u8]),
) -> Vec<String> {
    let mut slots = RecvSlots::with_slots(SLOT_BYTES);
    let mut seen = Vec::new();
    kernel.register_datagrams(socket, TOKEN).unwrap();
    seen.push(events(kernel));
    for round in ROUNDS {
        for datagram in round {
            send(datagram);
        }
        seen.push(events(kernel));
        loop {
            match socket.receive(&mut slots, SLOTS_PER_CALL) {
                Err(error) => {
                    seen.push(format!("{:?}", error.kind()));
                    break;
                }
                Ok(count) => seen.extend(slots.info[..count].iter().map(|meta| {
                    let (len, segment) = (meta.len_bytes, meta.segment_bytes);
                    format!("{len} bytes in segments of {segment} to {:?}", meta.dst_ip)
                })),
            }
        }
    }
    seen
}

fn events(kernel: &mut impl Kernel) -> String {
    let mut seen = Readiness::default();
    for _ in 0..3 {
        let timeout = Some(Duration::from_millis(20));
        kernel
            .wait(timeout, |token, ready| {
                if token == TOKEN {
                    seen.readable |= ready.readable;
                    seen.writable |= ready.writable;
                    seen.more_than_data |= ready.more_than_data;
                }
            })
            .unwrap();
    }
    format!("{seen:?}")
}

fn on_the_real_kernel() -> Vec<String> {
    let mut kernel = Os::new().unwrap();
    let address = "0.0.0.0:0".parse().unwrap();
    let mut socket = OsDatagrams::Udp(bind::datagrams(address, BindOptions::default()).unwrap());
    let port = socket.local_addr().unwrap().port();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |datagram: &[u8]| {
        peer.send_to(datagram, ("127.0.0.1", port)).unwrap();
    };
    observe(&mut kernel, &mut socket, send)
}

fn on_the_simulated_kernel() -> Vec<String> {
    let role = Role::Datagrams(DatagramPeer {
        source: "127.0.0.1:40000".parse().unwrap(),
        dst_ip: Some(IpAddr::from([127, 0, 0, 1]).into()),
        packets: Vec::new(),
        sent: 0,
    });
    let mut peer = Peer::new("datagrams", role, 0, 0);
    peer.next_ns = None;
    let world = World::new(Plan::calm(5, vec![peer]), Instant::now(), false);
    let world = Rc::new(RefCell::new(world));
    world.borrow_mut().is_unchecked = true;
    let mut kernel = SimKernel(Rc::clone(&world));
    let mut socket = kernel.datagrams(0);
    let send = |datagram: &[u8]| {
        let world = &mut *world.borrow_mut();
        if let Role::Datagrams(peer) = &mut world.peers[0].role {
            peer.packets.push((datagram.to_vec(), datagram.len()));
        }
        world.move_peer(0);
    };
    observe(&mut kernel, &mut socket, send)
}

#[test]
fn both_kernels_receive_alike() {
    assert_eq!(on_the_real_kernel(), on_the_simulated_kernel());
}
