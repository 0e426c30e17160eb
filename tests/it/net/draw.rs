//! What a seed decides of a server and its clients.

use std::time::Duration;

use pingpong::inside::client::ping::PingPlan;
use pingpong::inside::server::Settings;

use super::hosts::{Faults, Link, MS, Machine, S, US};
use super::plan::{Client, Place, Plan, REFUSED, SERVED, SILENT, SMALL, calm_config, shipped};
use crate::sim::rng::Rng;

fn machine(rng: &mut Rng) -> Machine {
    Machine {
        clock_ns: rng.pick(&[20, 50]),
        call_ns: rng.pick(&[100, 1_000, 5_000]),
        find_ns: rng.pick(&[0, 500, 50_000]),
        events_per_wait: rng.pick(&[1, 2, 1024]),
        stream_bytes: rng.pick(&[40, 300, 10_000]),
        queue_max: rng.pick(&[2, 100]),
        gso_segments: rng.pick(&[1, 4, 64]),
        coalesces: rng.one_in(2),
        connect_ns: 0,
    }
}

fn link(rng: &mut Rng, is_faulty: bool) -> Link {
    let rate = |rng: &mut Rng, rates: &[usize]| if is_faulty { rng.pick(rates) } else { 0 };
    Link {
        latency_ns: rng.pick(&[0, 100 * US, 2 * MS, 30 * MS]),
        jitter_ns: rng.pick(&[0, 10 * US, 5 * MS]),
        loss_one_in: rate(rng, &[0, 0, 3, 20]),
        duplicate_one_in: rate(rng, &[0, 0, 3, 20]),
        reorder_one_in: rate(rng, &[0, 0, 3, 20]),
        split_one_in: rate(rng, &[0, 2]),
        reset_one_in: rate(rng, &[0, 0, 0, 10]),
    }
}

fn faults(rng: &mut Rng, is_faulty: bool) -> Faults {
    let rate = |rng: &mut Rng, rates: &[usize]| if is_faulty { rng.pick(rates) } else { 0 };
    Faults {
        short_one_in: rate(rng, &[0, 2, 8]),
        would_block_one_in: rate(rng, &[0, 4, 16]),
        interrupted_one_in: rate(rng, &[0, 4, 16]),
        standstill_one_in: rate(rng, &[0, 0, 50, 300]),
        standstill_max_ns: rng.pick(&[MS, 100 * MS, 5 * S]),
    }
}

pub fn place(rng: &mut Rng, is_faulty: bool) -> Place {
    Place {
        machine: machine(rng),
        link: link(rng, is_faulty),
        faults: faults(rng, is_faulty),
    }
}

fn client(rng: &mut Rng, is_faulty: bool) -> Client {
    let ms = Duration::from_millis;
    let (tcp, udp) = rng.pick(&[(true, false), (false, true), (true, true)]);
    let deadline = rng.pick(&[None, None, None, Some(ms(900))]);
    let config = PingPlan {
        tcp,
        udp,
        count: Some(rng.between(1, 12) as u64),
        interval: rng.pick(&[ms(0), ms(2), ms(20), ms(100), ms(1000)]),
        timeout: rng.pick(&[Some(ms(50)), Some(ms(300)), Some(ms(1000)), None]),
        deadline,
        payload_bytes: rng.pick(&[4, 8, 30, 200, 1000]),
        rotate_port: rng.one_in(4),
        tells_waiting: false,
    };
    let stop_ns = rng.one_in(6).then(|| rng.below(2_000) as u64 * MS);
    // Who waits for ever for what is lost is ended by somebody.
    let is_ended = deadline.is_some() || stop_ns.is_some() || config.timeout.is_some();
    let timeout = config.timeout.or((!is_ended).then(|| ms(700)));
    let [served, refused, silent] = [SERVED, REFUSED, SILENT].map(|it| it.parse().unwrap());
    let addresses = match rng.below(6) {
        0 => vec![refused, served],
        1 => vec![silent, served],
        2 if is_faulty => vec![refused],
        _ => vec![served],
    };
    Client {
        config: PingPlan { timeout, ..config },
        addresses,
        place: place(rng, is_faulty),
        begins_ns: rng.below(300) as u64 * MS,
        stop_ns,
    }
}

impl Plan {
    /// The plan of a seed.
    pub fn drawn(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let is_faulty = !rng.one_in(3);
        let clients = rng.pick(&[1, 1, 1, 2, 3]);
        Self {
            config: Settings {
                max_connections: rng.pick(&[1, 2, 16]),
                idle_timeout: rng
                    .pick(&[None, Some(150), Some(3000)])
                    .map(Duration::from_millis),
                drain_timeout: Duration::from_millis(rng.pick(&[0, 200, 3000])),
                ..calm_config()
            },
            sizes: rng.pick(&[shipped(), SMALL]),
            place: place(&mut rng, is_faulty),
            is_wild: rng.one_in(2),
            backlog_max: rng.pick(&[1, 16]),
            clients: (0..clients).map(|_| client(&mut rng, is_faulty)).collect(),
            stop_ns: rng.one_in(4).then(|| rng.below(1_500) as u64 * MS),
            second_stop_ns: rng.one_in(16).then(|| rng.below(2_500) as u64 * MS),
            rng,
        }
    }
}
