//! What a seed decides before anything happens: the server's settings, the peers, the faults.

use std::time::Duration;

use pingpong::inside::protocol::stream::Rules;
use pingpong::inside::server::{Settings, Sizes};
use rustix::io::Errno;

use super::faults::Faults;
use super::peer::Peer;
use super::rng::Rng;

pub const MS: u64 = 1_000_000;

/// How the kernel treats this schedule.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub faults: Faults,
    /// When the faults stop. `None`: never, and then only safety is asked for.
    pub faults_until_ns: Option<u64>,
    /// Once in so many calls, a peer moves while the call is made; 0: never.
    pub races_one_in: usize,
    /// The calls during which a peer moves in any case.
    pub races_at: Vec<usize>,
    /// Once in so many events it is late, split in two, or joined by a spurious one; 0: never.
    pub late_one_in: usize,
    pub split_one_in: usize,
    pub spurious_one_in: usize,
    pub events_per_wait: usize,
    pub shuffles: bool,
    /// Once in so many sleeps the kernel wakes the process late; 0: never.
    pub oversleeps_one_in: usize,
    /// Once in so many calls the process stands still meanwhile, as it does when it is stopped or
    /// has no processor, and the world goes on; 0: never.
    pub stalls_one_in: usize,
    /// What a call takes beside a microsecond, for each byte that it moves.
    pub ns_per_byte: u64,
    /// Until then every accept fails, with this.
    pub refuses_until_ns: u64,
    pub refusal: Errno,
    /// Until then every receive fails.
    pub deaf_until_ns: u64,
    /// Descriptors, the listeners' and ports' among them.
    pub descriptors: usize,
    pub receive_buffer_bytes: usize,
    pub send_buffer_bytes: usize,
    pub backlog: usize,
    pub queue_max: usize,
    pub gso_segments: usize,
}

/// How events are given out.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub late_one_in: usize,
    pub split_one_in: usize,
    pub spurious_one_in: usize,
    pub events_per_wait: usize,
    pub shuffles: bool,
}

impl Kernel {
    /// How events are given out while there are faults, and once they have stopped.
    pub fn delivery(&self, is_faulty: bool) -> Delivery {
        let rate = |one_in| if is_faulty { one_in } else { 0 };
        Delivery {
            late_one_in: rate(self.late_one_in),
            split_one_in: rate(self.split_one_in),
            spurious_one_in: rate(self.spurious_one_in),
            events_per_wait: self.events_per_wait,
            shuffles: self.shuffles,
        }
    }
}

/// A schedule, before it runs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is left to chance while it runs.
    pub rng: Rng,
    pub config: Settings,
    pub sizes: Sizes,
    pub kernel: Kernel,
    pub listeners: usize,
    pub ports: usize,
    pub peers: Vec<Peer>,
    /// When the operator stops the server, and loses patience. `None`: when nothing moves any more;
    /// never.
    pub stop_ns: Option<u64>,
    pub second_stop_ns: Option<u64>,
    /// Whether the counters are asked for at that time.
    pub report_ns: Option<u64>,
}

impl Plan {
    /// The plan of a seed.
    pub fn drawn(seed: u64) -> Self {
        Self::drawn_from(Rng::new(seed))
    }

    /// The plan that these choices make, and what they leave for while it runs.
    pub fn drawn_from(mut chance: Rng) -> Self {
        let rng = &mut chance;
        let config = config(rng);
        let sizes = Sizes {
            window_bytes: rng.pick(&[1, 2, 3, 5, 8, 16, 32, 64]),
            fresh_read_bytes: rng.pick(&[1, 2, 4, 16, 64]),
            share_bytes: rng.pick(&[1, 100, 300, 5000]),
            slot_bytes: rng.pick(&[4, 16, 48, 128]),
            phase_max: Duration::from_micros(rng.pick(&[0, 1, 5, 20, 500])),
        };
        let tcp = rng.pick(&[0, 1, 1, 2, 2, 3, 4]);
        let udp = rng.pick(&[0, 0, 1, 1, 2]);
        let longest = config.rules.max_message_bytes;
        let mut peers = Vec::new();
        peers.extend((0..tcp).map(|number| Peer::stream(rng, number, longest)));
        peers.extend((0..udp).map(|_| Peer::datagrams(rng)));
        let mut kernel = kernel(rng, tcp);
        if !config.busy_poll.is_zero() {
            // An event for nothing every microsecond would keep it spinning for ever, and rightly
            // so.
            kernel.spurious_one_in = 0;
        }
        let (listeners, ports) = (rng.pick(&[1, 1, 2]), rng.pick(&[1, 1, 2]));
        let stop_ns = rng.one_in(3).then(|| rng.below(400) as u64 * MS);
        // Two of them at once are not rare: a terminal and a supervisor mean the same.
        let second_stop_ns = match rng.below(16) {
            0 => Some(rng.below(600) as u64 * MS),
            1 => stop_ns,
            _ => None,
        };
        let report_ns = rng.one_in(16).then(|| rng.below(100) as u64 * MS);
        Self {
            rng: chance,
            kernel,
            config,
            sizes,
            listeners,
            ports,
            peers,
            stop_ns,
            second_stop_ns,
            report_ns,
        }
    }

    /// A plan in which nothing is left to chance: roomy buffers, no faults, orderly events.
    pub fn calm(max_message_bytes: usize, peers: Vec<Peer>) -> Self {
        Self {
            rng: Rng::new(0),
            config: Settings {
                max_connections: 16,
                rules: Rules {
                    max_message_bytes,
                    strict: false,
                },
                idle_timeout: Some(Duration::from_secs(1)),
                drain_timeout: Duration::from_millis(500),
                other_rate_per_s: 0,
                busy_poll: Duration::ZERO,
                ..Settings::default()
            },
            sizes: Sizes {
                window_bytes: 4,
                fresh_read_bytes: 3,
                share_bytes: 200,
                slot_bytes: 64,
                phase_max: Duration::from_micros(10),
            },
            kernel: Kernel {
                faults: Faults::None,
                faults_until_ns: Some(0),
                races_one_in: 0,
                races_at: Vec::new(),
                late_one_in: 0,
                split_one_in: 0,
                spurious_one_in: 0,
                events_per_wait: usize::MAX,
                shuffles: false,
                oversleeps_one_in: 0,
                stalls_one_in: 0,
                ns_per_byte: 0,
                refuses_until_ns: 0,
                deaf_until_ns: 0,
                refusal: Errno::MFILE,
                descriptors: 64,
                receive_buffer_bytes: 64,
                send_buffer_bytes: 64,
                backlog: 16,
                queue_max: 16,
                gso_segments: 4,
            },
            listeners: 1,
            ports: 1,
            peers,
            stop_ns: None,
            second_stop_ns: None,
            report_ns: None,
        }
    }
}

fn config(rng: &mut Rng) -> Settings {
    Settings {
        max_connections: rng.pick(&[1, 2, 3, 16, 16]),
        rules: Rules {
            max_message_bytes: rng.pick(&[1, 5, 6, 9, 16, 40]),
            strict: rng.one_in(5),
        },
        idle_timeout: rng
            .pick(&[None, Some(150), Some(1000), Some(3000)])
            .map(Duration::from_millis),
        drain_timeout: Duration::from_millis(rng.pick(&[0, 1, 200, 3000])),
        other_rate_per_s: rng.pick(&[0, 1, 3, 1000]),
        busy_poll: Duration::from_micros(rng.pick(&[0, 0, 0, 20])),
        ..Settings::default()
    }
}

fn kernel(rng: &mut Rng, connections: usize) -> Kernel {
    let is_liveness = !rng.one_in(4);
    Kernel {
        faults: if rng.one_in(3) {
            Faults::None
        } else {
            Faults::drawn(rng)
        },
        faults_until_ns: is_liveness.then(|| rng.pick(&[1, 10, 100, 1000]) * MS),
        races_one_in: rng.pick(&[0, 2, 4, 8]),
        races_at: Vec::new(),
        late_one_in: rng.pick(&[0, 0, 2, 4]),
        split_one_in: rng.pick(&[0, 0, 2, 4]),
        spurious_one_in: rng.pick(&[0, 0, 2, 8]),
        events_per_wait: rng.pick(&[1, 2, 1024, 1024]),
        shuffles: rng.one_in(2),
        oversleeps_one_in: rng.pick(&[0, 0, 2, 8]),
        stalls_one_in: rng.pick(&[0, 0, 16, 128]),
        ns_per_byte: rng.pick(&[0, 0, 100]),
        refuses_until_ns: rng.pick(&[0, 0, 0, 250, 5000]) * MS,
        deaf_until_ns: rng.pick(&[0, 0, 0, 0, 250, 5000]) * MS,
        refusal: rng.pick(&[
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::INVAL,
            // As a security module has it: the connection stays where it was.
            Errno::PERM,
        ]),
        // Two listeners and two ports at the most, and then perhaps too few for everybody.
        descriptors: rng.pick(&[5, 6, 64, 64]).min(5 + connections),
        receive_buffer_bytes: rng.pick(&[1, 3, 10, 64, 256]),
        send_buffer_bytes: rng.pick(&[1, 3, 10, 64, 256]),
        backlog: rng.pick(&[1, 2, 16, 16]),
        queue_max: rng.pick(&[1, 2, 8, 32]),
        gso_segments: rng.pick(&[1, 2, 3, 64]),
    }
}
