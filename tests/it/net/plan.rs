//! A server and its clients: what a seed decides of them, and how they run.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use pingpong::inside::client::ping::{Manner, PingPlan, Pinger, Style};
use pingpong::inside::protocol::stream::Rules;
use pingpong::inside::reactor::kernel::Signal;
use pingpong::inside::server::{Exit, Server, Settings, Sizes};
use pingpong::inside::transport::Endpoint;

use serde_json::Value;

use super::check::{Shown, check};
use super::driver::{Driver, Ended, Page, Serving};
use super::hosts::{Faults, Link, Machine, Net, Stats, US};
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
    pub config: PingPlan,
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

impl Plan {
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
        let mut told = tell(&kernel, outcome);
        told.exit = ended.borrow().as_ref().map(|(exit, _)| *exit);
        told.summaries = pages.iter().filter_map(Page::summary).collect();
        told
    }

    fn serve(&self, kernel: &NetKernel, driver: &mut Driver) -> Ended {
        let served: SocketAddr = SERVED.parse().unwrap();
        let local = if self.is_wild {
            SocketAddr::from(([0, 0, 0, 0], served.port()))
        } else {
            served
        };
        let listeners = vec![(kernel.listen(local, self.backlog_max), Endpoint::Tcp(local))];
        let ports = vec![(kernel.bind(local), Endpoint::Udp(local))];
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
        // Each reply that was taken was sent, and is counted; the network alone doubles some.
        let taken: usize = net.hosts.iter().map(|host| host.truth.replies.len()).sum();
        let taken = (taken - net.stats.duplicates.min(taken)) as u64;
        let replies = counts["replies_total"];
        if replies < taken {
            return Err(format!("{taken} replies of the {replies} that it counts"));
        }
        Ok(())
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

fn tell(kernel: &NetKernel, outcome: Result<(), String>) -> Outcome {
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
        ..Settings::default()
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
