//! A server and its clients: what a seed decides of them, and how they run.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use pingpong::client::ping::report::{Manner, Style};
use pingpong::client::ping::{Config, Pinger};
use pingpong::protocol::stream::Rules;
use pingpong::reactor::kernel::Signal;
use pingpong::server::{Exit, Server, Settings, Sizes};

use serde_json::Value;

use super::check::{Shown, check};
use super::driver::{Driver, Ended, Page, Serving};
use super::hosts::{Faults, Link, MS, Machine, Net, S, Stats, US};
use super::kernel::NetKernel;
use super::packets::COALESCED_MAX_BYTES;
use crate::sim::rng::Rng;

/// Where the server listens; where nobody does; where nobody ever answers.
pub const SERVED: &str = "10.0.0.1:8888";
pub const REFUSED: &str = "10.0.0.1:1";
pub const SILENT: &str = "10.9.9.9:8888";

/// A host and what befalls it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub machine: Machine,
    pub link: Link,
    pub faults: Faults,
}

#[derive(Clone, Debug)]
pub struct Client {
    pub config: Config,
    pub addresses: Vec<SocketAddr>,
    pub place: Place,
    pub begins_ns: u64,
    /// When the user stops it.
    pub stop_ns: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub rng: Rng,
    pub config: Settings,
    pub sizes: Sizes,
    pub place: Place,
    /// It is bound to every address.
    pub is_wild: bool,
    pub backlog_max: usize,
    pub clients: Vec<Client>,
    /// When the operator stops the server; else when all clients have ended.
    pub stop_ns: Option<u64>,
    /// When the operator loses patience.
    pub second_stop_ns: Option<u64>,
}

pub struct Outcome {
    pub violation: Option<String>,
    pub trace: Vec<String>,
    pub stats: Stats,
    pub turns: usize,
    pub sent: usize,
    pub received: usize,
    /// The longest that any clock has come.
    pub ran_ns: u64,
    /// How the server ended.
    pub exit: Option<Exit>,
    /// The last line of each client.
    pub summaries: Vec<Value>,
}

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

fn place(rng: &mut Rng, is_faulty: bool) -> Place {
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
    let config = Config {
        tcp,
        udp,
        count: Some(rng.between(1, 12) as u64),
        interval: rng.pick(&[ms(0), ms(2), ms(20), ms(100), ms(1000)]),
        timeout: rng.pick(&[Some(ms(50)), Some(ms(300)), Some(ms(1000)), None]),
        deadline,
        payload_bytes: rng.pick(&[4, 8, 30, 200, 1000]),
        rotate_port: rng.one_in(4),
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
    let mut place = place(rng, is_faulty);
    if addresses.len() > 1 {
        place.link.latency_ns = place.link.latency_ns.max(100 * US);
    }
    Client {
        config: Config { timeout, ..config },
        addresses,
        place,
        begins_ns: rng.below(300) as u64 * MS,
        stop_ns,
    }
}

impl Plan {
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

    /// Nothing is left to chance, nothing goes wrong, and calls take a microsecond.
    pub fn calm(clients: Vec<Client>) -> Self {
        Self {
            rng: Rng::new(0),
            config: calm_config(),
            sizes: shipped(),
            place: calm_place(),
            is_wild: false,
            backlog_max: 16,
            clients,
            stop_ns: None,
            second_stop_ns: None,
        }
    }

    /// Runs it: what is wrong with it, if anything is.
    pub fn run(self, is_traced: bool) -> Outcome {
        let mut net = Net::new(self.rng.clone());
        net.trace = is_traced.then(Vec::new);
        net.silent.push(SILENT.parse().unwrap());
        let ips = [SERVED, SILENT].map(|it| it.parse::<SocketAddr>().unwrap().ip());
        let Place {
            machine,
            link,
            faults,
        } = self.place;
        net.add(ips.to_vec(), machine, link, faults);
        let kernel = NetKernel::of(net, 0);
        let mut driver = Driver::new(&kernel);
        let ended = self.serve(&kernel, &mut driver);
        let pages: Vec<_> = (1..)
            .zip(&self.clients)
            .map(|(host, client)| client.start(&kernel, host, &mut driver))
            .collect();
        let mut outcome = self.drive(&mut driver, &kernel);
        for ((number, client), page) in (1..).zip(&self.clients).zip(&pages) {
            let checked = client.check(&kernel, number, page);
            outcome = outcome.and(checked.map_err(|why| format!("client {number}: {why}")));
        }
        outcome = outcome.and_then(|()| self.check_end(&kernel, &ended));
        drop(driver);
        let mut told = self.tell(&kernel, outcome);
        told.exit = ended.borrow().as_ref().map(|(exit, _)| *exit);
        told.summaries = pages.iter().filter_map(Page::summary).collect();
        told
    }

    pub fn serve(&self, kernel: &NetKernel, driver: &mut Driver) -> Ended {
        kernel.net.borrow_mut().hosts[kernel.host].is_server = true;
        let served: SocketAddr = SERVED.parse().unwrap();
        let local = if self.is_wild {
            SocketAddr::from(([0, 0, 0, 0], served.port()))
        } else {
            served
        };
        let listeners = vec![(kernel.listen(local, self.backlog_max), local)];
        let ports = vec![(kernel.bind(local), local)];
        let config = self.config.clone();
        let server = Server::with_sizes(kernel.clone(), config, self.sizes, listeners, ports);
        let ended = Ended::default();
        let serving = Serving {
            server: server.unwrap(),
            ended: Rc::clone(&ended),
        };
        driver.start(kernel, Box::new(serving));
        for stop_ns in self.stop_ns.into_iter().chain(self.second_stop_ns) {
            kernel.signal_at(stop_ns, Signal::Stop);
        }
        ended
    }

    /// Until all clients have ended, and then the server, which somebody stops if nobody has.
    fn drive(&self, driver: &mut Driver, kernel: &NetKernel) -> Result<(), String> {
        let clients = self.clients.len();
        driver.run(|driver| (1..=clients).all(|number| driver.is_over(number)))?;
        if self.stop_ns.or(self.second_stop_ns).is_none() {
            let now_ns = (0..=clients).map(|host| kernel.at(host).clock_ns()).max();
            kernel.signal_at(now_ns.unwrap(), Signal::Stop);
        }
        driver.run(|driver| driver.is_over(0))
    }

    fn check_end(&self, kernel: &NetKernel, ended: &Ended) -> Result<(), String> {
        let ended = ended.borrow();
        let Some((exit, counts)) = &*ended else {
            return Err("the server has not ended".into());
        };
        if self.second_stop_ns.is_none() && *exit != Exit::Drained {
            return Err(format!("the server ended {exit:?}"));
        }
        let net = kernel.net.borrow();
        if let Some(host) = net.hosts.iter().position(|host| host.open > 0) {
            return Err(format!("host {host} has sockets that are open"));
        }
        let answered: usize = net.hosts.iter().map(|host| host.truth.replies.len()).sum();
        let replies = counts.get("replies_total").or(counts.get("messages_total"));
        if let Some(replies) = replies
            && net.stats.duplicates == 0
            && (*replies as usize) < answered
        {
            return Err(format!(
                "{answered} replies of the {replies} that it counts"
            ));
        }
        Ok(())
    }

    fn tell(&self, kernel: &NetKernel, outcome: Result<(), String>) -> Outcome {
        let net = &mut *kernel.net.borrow_mut();
        let truths = net.hosts.iter().map(|host| &host.truth);
        Outcome {
            violation: outcome.err(),
            stats: net.stats,
            turns: net.stats.waits,
            sent: truths.clone().map(|truth| truth.requests.len()).sum(),
            received: truths.map(|truth| truth.replies.len()).sum(),
            ran_ns: net.hosts.iter().map(|host| host.clock_ns).max().unwrap(),
            trace: net.trace.take().unwrap_or_default(),
            exit: None,
            summaries: Vec::new(),
        }
    }
}

impl Client {
    fn start(&self, kernel: &NetKernel, number: usize, driver: &mut Driver) -> Page {
        let Place {
            machine,
            link,
            faults,
        } = self.place;
        let ip = [10, 0, 0, 1 + u8::try_from(number).unwrap()].into();
        let host = {
            let net = &mut *kernel.net.borrow_mut();
            let host = net.add(vec![ip], machine, link, faults);
            net.hosts[host].clock_ns = self.begins_ns;
            host
        };
        let kernel = kernel.at(host);
        let page = Page::new(&kernel);
        let pinger = Pinger::new(
            kernel.clone(),
            self.config,
            json(),
            ("host".into(), self.addresses.clone()),
            (page.clone(), Page::new(&kernel)),
        );
        driver.start(&kernel, Box::new(pinger));
        if let Some(stop_ns) = self.stop_ns {
            kernel.signal_at(self.begins_ns + stop_ns, Signal::Stop);
        }
        page
    }

    fn check(&self, kernel: &NetKernel, host: usize, page: &Page) -> Result<(), String> {
        let net = kernel.net.borrow();
        let host = &net.hosts[host];
        let shown = Shown {
            config: self.config,
            began_ns: self.begins_ns + host.machine.clock_ns,
            lines: &page.lines(),
            ran_to_its_end: self.stop_ns.is_none() && self.config.deadline.is_none(),
            is_punctual: !host.stood_still,
        };
        host.truth.check_order()?;
        check(&shown, &host.truth)
    }
}

/// Objects, with the summary.
pub fn json() -> Manner {
    Manner {
        style: Style::Json,
        json: true,
        timestamps: false,
        ports: false,
        clock: || SystemTime::UNIX_EPOCH,
    }
}

/// A host that is a tenth of a millisecond away from the network.
pub fn calm_place() -> Place {
    Place {
        machine: Machine {
            clock_ns: 20,
            call_ns: US,
            ..Machine::IDEAL
        },
        link: Link {
            latency_ns: 100 * US,
            ..Link::default()
        },
        faults: Faults::default(),
    }
}

/// A server that nothing keeps from answering.
pub fn calm_config() -> Settings {
    Settings {
        max_connections: 1000,
        rules: Rules {
            max_message_bytes: 2000,
            strict: false,
        },
        idle_timeout: None,
        drain_timeout: Duration::from_secs(1),
        other_rate_per_s: 0,
        busy_poll: Duration::ZERO,
    }
}

/// What ships, but for the room for datagrams: to clear a megabyte would cost more than all else.
pub fn shipped() -> Sizes {
    Sizes {
        slot_bytes: COALESCED_MAX_BYTES,
        ..Sizes::default()
    }
}

/// Buffers and budgets whose edges a few bytes reach.
pub const SMALL: Sizes = Sizes {
    window_bytes: 64,
    fresh_read_bytes: 16,
    share_bytes: 300,
    slot_bytes: COALESCED_MAX_BYTES,
    phase_max: Duration::from_micros(20),
};
