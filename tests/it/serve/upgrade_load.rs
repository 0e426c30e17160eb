//! SIGUSR2 again and again, while clients come and go: nobody notices.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::upgrade::House;
use crate::support::GUARD;
use crate::support::client::{ask, connect, udp};

/// Open loops of datagrams and of new connections, while one replaces the other again and again:
/// nothing is lost, refused or reset. `UPGRADES=50` for more of them.
#[test]
fn nothing_is_lost_under_load() {
    let upgrades = std::env::var("UPGRADES")
        .ok()
        .and_then(|it| it.parse().ok())
        .unwrap_or(8);
    let mut house = House::new(&[]);
    let (tcp, udp_at) = (house.first.tcp[0], house.first.udp[0]);
    let is_over = AtomicBool::new(false);
    let held = connect(tcp);
    thread::scope(|scope| {
        let datagrams = scope.spawn(|| datagrams(udp_at, &is_over));
        let connections = scope.spawn(|| connections(tcp, &is_over));
        for turn in 0..upgrades {
            house.upgrade();
            let ping = format!("ping {turn}\n");
            ask(&held, ping.as_bytes(), ping.replace('i', "o").as_bytes());
        }
        is_over.store(true, Ordering::Relaxed);
        let (sent, received) = datagrams.join().unwrap();
        assert_eq!(sent, received, "of {sent} datagrams");
        let connections = connections.join().unwrap();
        assert!(
            sent > 100 && connections > 10,
            "{sent} datagrams, {connections} connections"
        );
        eprintln!("{upgrades} upgrades: {sent} datagrams and {connections} connections, none lost");
    });
}

/// Sends 5,000 a second, and counts the replies.
fn datagrams(to: SocketAddr, is_over: &AtomicBool) -> (usize, usize) {
    let socket = udp(Ipv4Addr::LOCALHOST);
    socket.connect(to).unwrap();
    let replies = socket.try_clone().unwrap();
    let mut sent = 0;
    thread::scope(|scope| {
        let counting = scope.spawn(move || {
            let mut bytes = [0; 64];
            let mut count = 0;
            while let Ok(len) = replies.recv(&mut bytes) {
                if &bytes[..len] == b"pong last" {
                    break;
                }
                count += 1;
            }
            count
        });
        let start = Instant::now();
        while !is_over.load(Ordering::Relaxed) {
            let due = start.elapsed().as_micros() / 200;
            while (sent as u128) < due {
                socket.send(b"ping").unwrap();
                sent += 1;
            }
            thread::sleep(Duration::from_micros(200));
        }
        socket.send(b"ping last").unwrap();
        (sent, counting.join().unwrap())
    })
}

/// Connects 500 times a second, asks once, and closes in order.
fn connections(to: SocketAddr, is_over: &AtomicBool) -> usize {
    let start = Instant::now();
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        ask(&stream, b"ping\n", b"pong\n");
        drop(stream);
        count += 1;
        let due = Duration::from_millis(2) * u32::try_from(count).unwrap();
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    count
}
