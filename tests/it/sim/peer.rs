//! The peers: what they send, how they read, how they end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use pingpong::inside::reactor::kernel::DstIp;

use super::plan::MS;
use super::rng::Rng;

/// How a peer takes its replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Eager,
    /// So many bytes at a time.
    Slow(usize),
    Never,
}

/// How a peer ends, once it has sent everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// FIN right behind the last byte, then it reads until the server's end.
    HalfClose,
    /// Closes without having read.
    Close,
    Reset,
    /// Stays, and closes when the server does.
    Stay,
    /// Stays, and does not even notice when the server closes.
    Ignore,
}

/// A peer on a stream.
#[derive(Clone, Debug)]
pub struct StreamPeer {
    pub script: Vec<u8>,
    pub sent_len: usize,
    /// So many bytes in one segment, at most.
    pub chunk: usize,
    /// A segment ends behind each byte of the script whose bit is set.
    pub cuts: u64,
    /// It waits for each reply before it sends its next line.
    pub waits: bool,
    /// The byte of the script at which it sets TCP's urgent mark.
    pub urgent_at: Option<usize>,
    pub reading: Reading,
    pub ending: Ending,
    /// Everything is sent, and the ending done.
    pub has_ended: bool,
    pub conn: Option<usize>,
    pub is_refused: bool,
}

/// A peer that sends datagrams.
#[derive(Clone, Debug)]
pub struct DatagramPeer {
    pub source: SocketAddr,
    pub dst_ip: Option<DstIp>,
    pub packets: Vec<(Vec<u8>, usize)>,
    pub sent: usize,
}

#[derive(Clone, Debug)]
pub enum Role {
    Stream(StreamPeer),
    Datagrams(DatagramPeer),
}

#[derive(Clone, Debug)]
pub struct Peer {
    /// What kind of peer it is, for the trace.
    pub kind: &'static str,
    pub role: Role,
    /// When it moves next; `None`: when the server makes it.
    pub next_ns: Option<u64>,
    /// How long it waits between two moves.
    pub pace_ns: u64,
    /// How long it takes to notice what the server did.
    pub delay_ns: u64,
}

use Ending::{Close, HalfClose, Ignore, Reset, Stay};
use Reading::{Eager, Never, Slow};

const WORDS: [&[u8]; 16] = [
    b"ping",
    b"ping 1",
    b"PiNg\r",
    b"pIng \0\xff",
    b"pong",
    b"PONG 2",
    b"hi",
    b"hello pdudo",
    b"",
    b"\r",
    b"pin",
    b"p",
    b"ping ping",
    b" ping",
    b"pingping\r\r",
    b"\xf0\x80",
];

/// So many lines out of [`WORDS`]; the last may lack its ending.
fn lines(rng: &mut Rng, count: usize, words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        bytes.extend(rng.pick(words));
        bytes.push(b'\n');
    }
    if rng.one_in(4) {
        bytes.pop();
    }
    bytes
}

impl Peer {
    pub fn new(kind: &'static str, role: Role, start_ns: u64, pace_ns: u64) -> Self {
        Self {
            kind,
            role,
            next_ns: Some(start_ns),
            pace_ns,
            delay_ns: pace_ns,
        }
    }

    /// A peer that sends this, cut into segments behind each byte whose bit is set, and reads
    /// eagerly.
    pub fn scripted(script: &[u8], cuts: u64, ending: Ending) -> Self {
        let role = Role::Stream(StreamPeer {
            script: script.to_vec(),
            sent_len: 0,
            chunk: usize::MAX,
            cuts,
            waits: false,
            urgent_at: None,
            reading: Eager,
            ending,
            has_ended: false,
            conn: None,
            is_refused: false,
        });
        Self::new("scripted peer", role, 0, MS)
    }

    /// A drawn peer of a drawn kind.
    pub fn stream(rng: &mut Rng, number: usize, longest: usize) -> Self {
        let pace_ns = rng.pick(&[0, 10_000, MS, 20 * MS]);
        let count = rng.between(0, 6);
        let some = lines(rng, count, &WORDS);
        let lot = |rng: &mut Rng| {
            let count = rng.between(8, 40);
            lines(rng, count, &[b"ping", b"", b"x", b"pong", b"ping pdudo"])
        };
        let any = rng.pick(&[1, 2, 7, 1000]);
        let slow = Slow(rng.between(1, 9));
        let (kind, script, chunk, reading, ending) = match rng.below(12) {
            0 => ("pinger", some, 1000, Eager, HalfClose),
            1 => ("pipeliner", lot(rng), 1000, Eager, HalfClose),
            2 => ("drip-feeder", some, 1, Eager, HalfClose),
            3 => ("half-closer", some, 1000, Eager, HalfClose),
            4 => ("never-reader", lot(rng), any, Never, Ignore),
            5 => ("resetter", some, any, Eager, Reset),
            6 => ("flooder", lot(rng).repeat(3), 64, slow, HalfClose),
            7 => ("garbage", garbage(rng), any, Eager, HalfClose),
            8 => {
                let script = over_long(rng, some, longest);
                let ending = rng.pick(&[HalfClose, Stay, Ignore]);
                ("over-long line", script, any, Eager, ending)
            }
            9 => ("sitter", some, any, Eager, Stay),
            10 => ("slow reader", lot(rng), any, slow, Stay),
            _ => ("closer", some, any, slow, Close),
        };
        let mut peer = StreamPeer {
            sent_len: 0,
            chunk,
            cuts: 0,
            waits: kind == "pinger",
            urgent_at: None,
            reading,
            ending,
            has_ended: false,
            conn: None,
            is_refused: false,
            script,
        };
        if rng.one_in(8) && !peer.script.is_empty() {
            peer.urgent_at = Some(rng.below(peer.script.len()));
        }
        let start = rng.pick(&[0, 0, MS, 30 * MS]) * (number as u64 + 1);
        let delay = rng.pick(&[0, 100, MS]);
        let mut peer = Self::new(kind, Role::Stream(peer), start, pace_ns);
        peer.delay_ns = delay;
        peer
    }

    /// A drawn peer with datagrams.
    pub fn datagrams(rng: &mut Rng) -> Self {
        let own = super::world::PORT;
        let port = rng.pick(&[40_000, 40_000, 40_000, 0, 7, 1023, 1024, 2049, own]);
        let (source, dst_ip) = addresses(rng, port);
        let packets = (0..rng.between(1, 6)).map(|_| packet(rng)).collect();
        let role = Role::Datagrams(DatagramPeer {
            source,
            dst_ip: (!rng.one_in(8)).then_some(dst_ip),
            packets,
            sent: 0,
        });
        let start = rng.pick(&[0, MS, 50 * MS]);
        let pace_ns = rng.pick(&[0, 0, 1000, 10 * MS]);
        Self::new("datagrams", role, start, pace_ns)
    }
}

/// Who asks whom: over IPv4, over IPv4 on a socket for IPv6, over IPv6, or over IPv6 with a source
/// that says IPv4.
fn addresses(rng: &mut Rng, port: u16) -> (SocketAddr, DstIp) {
    let v4 = rng.pick(&[
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(192, 0, 2, 1),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::UNSPECIFIED,
    ]);
    let v6 = rng.pick(&[
        "2001:db8::1",
        "2001:db8::1",
        "fe80::1",
        "::1",
        "::",
        "ff02::1",
    ]);
    let v6: Ipv6Addr = v6.parse().unwrap();
    let hit_v4 = rng.pick(&[
        Ipv4Addr::new(127, 0, 0, 2),
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(192, 0, 2, 255),
        Ipv4Addr::new(224, 0, 0, 251),
    ]);
    let dst_ip_v6 = rng.pick(&["2001:db8::2", "2001:db8::2", "fe80::2", "ff02::2"]);
    let dst_ip_v6: Ipv6Addr = dst_ip_v6.parse().unwrap();
    let scope = |ip: Ipv6Addr| if ip.is_unicast_link_local() { 3 } else { 0 };
    let from_v6 = SocketAddrV6::new(v6, port, 0, scope(v6)).into();
    let over_v6 = DstIp {
        scope_id: scope(dst_ip_v6),
        ..IpAddr::from(dst_ip_v6).into()
    };
    let over_v4 = |ip: IpAddr| DstIp {
        is_shared: hit_v4.octets()[3] == 255,
        ..ip.into()
    };
    match rng.between(1, 6) {
        1 | 2 => ((v4, port).into(), over_v4(hit_v4.into())),
        3 | 4 => (
            (v4.to_ipv6_mapped(), port).into(),
            over_v4(hit_v4.to_ipv6_mapped().into()),
        ),
        5 => (from_v6, over_v6),
        _ => ((v4.to_ipv6_mapped(), port).into(), over_v6),
    }
}

/// One datagram, or a super-packet whose segments are all of one length but for the last.
fn packet(rng: &mut Rng) -> (Vec<u8>, usize) {
    let mut word = rng.pick(&WORDS).to_vec();
    word.extend(rng.pick::<&[u8]>(&[b"", b"\n", b"\r\n"]));
    if word.is_empty() || !rng.one_in(3) {
        let len = word.len();
        return (word, len);
    }
    let segment = word.len();
    let mut bytes = word.repeat(rng.between(2, 8));
    bytes.truncate(bytes.len() - rng.below(segment));
    (bytes, segment)
}

fn garbage(rng: &mut Rng) -> Vec<u8> {
    let len = rng.between(1, 60);
    (0..len)
        .map(|_| rng.pick(b"\n\n\rpPiInNgGoO \0\xff"))
        .collect()
}

fn over_long(rng: &mut Rng, mut before: Vec<u8>, longest: usize) -> Vec<u8> {
    let len = longest + rng.between(0, 2 * longest);
    before.extend(vec![b'p'; len]);
    let more = lines(rng, 2, &WORDS);
    if rng.one_in(2) {
        before.push(b'\n');
        before.extend(more);
    }
    before
}
