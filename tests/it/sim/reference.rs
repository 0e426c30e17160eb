//! The rule of the game once more, as plainly as it can be written: byte by byte, with a fresh
//! allocation for every reply. It shares no code with the server.

use std::net::{IpAddr, SocketAddr};

use pingpong::inside::reactor::kernel::DstIp;

/// What one stream deserves, given the bytes that were read from it.
#[derive(Debug, Default)]
pub struct Reference {
    max_message_bytes: usize,
    strict: bool,
    /// The line that has begun and not ended.
    line: Vec<u8>,
    /// Every reply so far.
    pub expected: Vec<u8>,
    pub messages: u64,
    /// How many of them got a reply.
    pub replies: u64,
    /// A line was refused: nothing after it is answered.
    pub is_bad: bool,
}

impl Reference {
    pub fn new(max_message_bytes: usize, strict: bool) -> Self {
        Self {
            max_message_bytes,
            strict,
            ..Self::default()
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.is_bad {
                return;
            }
            self.line.push(byte);
            if byte == b'\n' {
                self.end_line();
            } else if self.line.len() > self.max_message_bytes {
                self.refuse_long();
            }
        }
    }

    /// The stream has ended: what stands there without an ending is a message too.
    pub fn end(&mut self) {
        if !self.is_bad && !self.line.is_empty() {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.messages += 1;
        if line.len() > self.max_message_bytes {
            self.refuse_long();
            return;
        }
        match reply(&line) {
            Some((_, false)) if self.strict => {
                self.is_bad = true;
                self.expected.extend(b"error not a ping\n");
            }
            Some((reply, _)) => {
                self.replies += 1;
                self.expected.extend(reply);
            }
            None => {}
        }
    }

    fn refuse_long(&mut self) {
        self.is_bad = true;
        let max = self.max_message_bytes;
        self.expected
            .extend(format!("error message longer than {max} bytes\n").into_bytes());
    }
}

/// The reply to a message, and whether that was a ping; `None` for a pong.
fn reply(message: &[u8]) -> Option<(Vec<u8>, bool)> {
    let ending: &[u8] = if message.ends_with(b"\r\n") {
        b"\r\n"
    } else if message.ends_with(b"\n") {
        b"\n"
    } else {
        b""
    };
    let body = &message[..message.len() - ending.len()];
    let word: Vec<u8> = body.iter().take(4).map(u8::to_ascii_lowercase).collect();
    if word == b"pong" {
        return None;
    }
    if word == b"ping" {
        let mut pong = message.to_vec();
        pong[1] = if message[1] == b'i' { b'o' } else { b'O' };
        return Some((pong, true));
    }
    Some(([b"pong", ending].concat(), false))
}

/// What a datagram deserves.
#[derive(Debug, PartialEq, Eq)]
pub enum Deserved {
    Nothing,
    Pong(Vec<u8>),
    /// Paid for from the bucket.
    Other(Vec<u8>),
}

/// What a datagram from `source`, sent to `dst_ip`, deserves from a server on `own_port` of a host
/// whose addresses are `127.0.0.0/8` and `::1`.
///
/// What is not known (`None`) forbids nothing.
pub fn deserved(
    datagram: &[u8],
    strict: bool,
    source: SocketAddr,
    dst_ip: Option<DstIp>,
    own_port: u16,
) -> Deserved {
    // IPv4 may come in its mapped form: the text without its prefix is the same address.
    let plain = |ip: IpAddr| -> IpAddr {
        let text = ip.to_string();
        text.strip_prefix("::ffff:")
            .unwrap_or(&text)
            .parse()
            .unwrap()
    };
    let is_group = |ip| plain(ip).is_multicast() || plain(ip).to_string() == "255.255.255.255";
    let is_many = |dst_ip: DstIp| dst_ip.is_shared || is_group(dst_ip.ip);
    // A packet is of one family at both its ends, whatever they look like.
    let is_disguised = |dst_ip: DstIp| {
        let seems_v4 = |ip: IpAddr| ip.to_string().starts_with("::ffff:");
        seems_v4(source.ip()) && dst_ip.ip.is_ipv6() && !seems_v4(dst_ip.ip)
    };
    let is_nobody = ["0.0.0.0", "::"].contains(&plain(source.ip()).to_string().as_str());
    let is_ours = source.port() == own_port && plain(source.ip()).is_loopback();
    let is_service = source.port() < 1024 || source.port() == 2049;
    let is_asked_by_nobody = is_ours || is_service || is_nobody || is_group(source.ip());
    if is_asked_by_nobody || dst_ip.is_some_and(is_many) || dst_ip.is_some_and(is_disguised) {
        return Deserved::Nothing;
    }
    match reply(datagram) {
        None => Deserved::Nothing,
        Some((reply, _)) if reply.len() > datagram.len() || datagram.is_empty() => {
            Deserved::Nothing
        }
        Some((pong, true)) => Deserved::Pong(pong),
        Some(_) if strict => Deserved::Nothing,
        Some((reply, false)) => Deserved::Other(reply),
    }
}
