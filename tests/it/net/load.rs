//! Server and load against each other: what load reports, held to what its host did.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use pingpong::inside::client::load::conn::Conn;
use pingpong::inside::client::load::datagrams::DatagramConn;
use pingpong::inside::client::load::latency::{Latencies, Quantile};
use pingpong::inside::client::load::schedule::Schedule;
use pingpong::inside::client::load::stats::{Ended, Stats};
use pingpong::inside::client::load::stream::StreamConn;
use pingpong::inside::client::load::watch::Unwatched;
use pingpong::inside::client::load::{Load, LoadPlan, Opened, Run};
use pingpong::inside::client::script::{NUMBER_DIGITS, Script};
use pingpong::inside::reactor::kernel::{Kernel, Signal};
use pingpong::inside::reactor::program::Program;
use pingpong::inside::server::{Server, Sizes};
use pingpong::inside::transport::Endpoint;

use super::draw::place;
use super::driver::{Driven, Driver, Serving};
use super::epoll::ns;
use super::hosts::{MS, Net};
use super::kernel::NetKernel;
use super::plan::{Place, REFUSED, SERVED, SILENT, SMALL, calm_config};
use super::truth::{Reply, Request, Truth};
use crate::sim::rng::Rng;
use crate::sim::seeds::env;

/// How many worlds the ordinary test run makes.
const WORLDS: u64 = 150;

/// How many bits of a number tell the request; above them is the connection.
const REQUEST_BITS: u32 = 44;

/// What a seed decides.
#[derive(Clone, Debug)]
struct World {
    rng: Rng,
    is_faulty: bool,
    is_udp: bool,
    server: Place,
    sizes: Sizes,
    client: Place,
    plan: LoadPlan,
    run: Run,
    /// When the user stops it, and whether he does so twice.
    stop: Option<(u64, bool)>,
    /// When the server goes, and whether it comes back.
    server_stop_ns: Option<u64>,
}

/// What it came to, and when its clock began.
struct Came {
    stats: Stats,
    opened: Opened,
}

struct Loading<C> {
    load: Load<NetKernel, C, Unwatched>,
    came: Rc<RefCell<Option<Came>>>,
}

impl<C: Conn<NetKernel>> Driven for Loading<C> {
    fn pause(&mut self) -> Option<Duration> {
        self.load.sleep()
    }

    fn go(&mut self) -> bool {
        let is_over = self.load.turn().unwrap().is_some();
        if is_over {
            let stats = self.load.take_stats().unwrap();
            let opened = self.load.opened();
            *self.came.borrow_mut() = Some(Came { stats, opened });
        }
        is_over
    }
}

macro_rules! demand {
    ($is_so:expr, $($why:tt)*) => {
        if !$is_so {
            return Err(format!($($why)*));
        }
    };
}

impl World {
    fn drawn(seed: u64) -> Self {
        let rng = &mut Rng::new(seed ^ 0x10ad);
        let is_faulty = !rng.one_in(3);
        let is_udp = rng.one_in(2);
        let ms = |rng: &mut Rng, all: &[u64]| Duration::from_millis(rng.pick(all));
        let [served, refused, silent] = [SERVED, REFUSED, SILENT].map(|it| it.parse().unwrap());
        let addresses: Vec<SocketAddr> = match rng.below(6) {
            0 => vec![refused, served],
            1 => vec![silent, served],
            _ => vec![served],
        };
        let rate_per_s = rng.pick(&[None, None, Some(40), Some(1_000), Some(7_000)]);
        Self {
            is_faulty,
            is_udp,
            server: place(rng, is_faulty),
            sizes: rng.pick(&[Sizes::default(), SMALL]),
            client: place(rng, is_faulty),
            plan: LoadPlan {
                script: Script::pings(rng.pick(&[22, 23, 64, 300])),
                addresses,
                connections: rng.pick(&[1, 2, 5]),
                pipeline: rng.pick(&[1, 2, 9]),
                skip_lines: 0,
                timeout: ms(rng, &[300, 1_000, 5_000]),
                rate_max_per_s: rate_per_s,
            },
            run: Run {
                rate_per_s,
                warmup: ms(rng, &[0, 0, 0, 60]),
                duration: ms(rng, &[20, 100, 400]),
                catch_up: !rng.one_in(4),
                ..Run::default()
            },
            stop: rng
                .one_in(6)
                .then(|| (rng.below(400) as u64 * MS, rng.one_in(2))),
            server_stop_ns: (is_faulty && rng.one_in(8)).then(|| rng.below(300) as u64 * MS),
            rng: rng.clone(),
        }
    }

    fn run(&self, is_traced: bool) -> (Vec<String>, Result<u64, String>) {
        let mut net = Net::new(self.rng.clone());
        net.trace = is_traced.then(Vec::new);
        net.silent.push(SILENT.parse().unwrap());
        let at = |ip: &str| ip.parse::<SocketAddr>().unwrap();
        for (ips, place) in [
            (vec![at(SERVED).ip(), at(SILENT).ip()], self.server),
            (vec!["10.0.0.2".parse().unwrap()], self.client),
        ] {
            net.add(ips, place.machine, place.link, place.faults);
        }
        let kernel = NetKernel::of(net, 0);
        let mut driver = Driver::new(&kernel);
        self.serve(&kernel, &mut driver);
        let came = Rc::new(RefCell::new(None));
        let own = kernel.at(1);
        let epoch_ns = if self.is_udp {
            self.load::<DatagramConn<<NetKernel as Kernel>::Datagrams>>(&own, &mut driver, &came)
        } else {
            self.load::<StreamConn<<NetKernel as Kernel>::Stream>>(&own, &mut driver, &came)
        };
        let outcome = driver.run(|driver| driver.is_over(1)).and_then(|()| {
            let came = came.take().ok_or("it has measured nothing")?;
            self.check(&came, epoch_ns, &kernel.net.borrow().hosts[1].truth)?;
            Ok(came.stats.replies)
        });
        let trace = kernel.net.borrow_mut().trace.take().unwrap_or_default();
        (trace, outcome)
    }

    fn serve(&self, kernel: &NetKernel, driver: &mut Driver) {
        let local: SocketAddr = SERVED.parse().unwrap();
        let listeners = vec![(kernel.listen(local, 16), Endpoint::Tcp(local))];
        let datagrams = vec![(kernel.bind(local), Endpoint::Udp(local))];
        let settings = calm_config();
        let server = Server::with_sizes(kernel.clone(), settings, self.sizes, listeners, datagrams);
        let serving = Serving {
            server: server.unwrap(),
            ended: Rc::default(),
        };
        driver.start(kernel, Box::new(serving));
        if let Some(at_ns) = self.server_stop_ns {
            kernel.signal_at(at_ns, Signal::Stop);
        }
    }

    fn load<C: Conn<NetKernel> + 'static>(
        &self,
        kernel: &NetKernel,
        driver: &mut Driver,
        came: &Rc<RefCell<Option<Came>>>,
    ) -> u64 {
        let mut load = Load::new(kernel.clone(), self.plan.clone(), Unwatched).unwrap();
        // The clock was read once, and that is when its time begins.
        let epoch_ns = kernel.clock_ns();
        load.start(self.run);
        let came = Rc::clone(came);
        driver.start(kernel, Box::new(Loading::<C> { load, came }));
        if let Some((at_ns, is_twice)) = self.stop {
            kernel.signal_at(at_ns, Signal::Stop);
            if is_twice {
                kernel.signal_at(at_ns + 20 * MS, Signal::Stop);
            }
        }
        epoch_ns
    }

    fn check(&self, came: &Came, epoch_ns: u64, truth: &Truth) -> Result<(), String> {
        let stats = &came.stats;
        truth.check_order()?;
        let fates = stats.replies + stats.lost + stats.unsent() + stats.abandoned;
        demand!(fates == stats.due, "{} were due: {stats:?}", stats.due);
        demand!(stats.wrong + stats.foreign == 0, "wrong: {stats:?}");
        let is_stopped = stats.ended == Ended::BrokenOff;
        demand!(self.stop.is_some() || !is_stopped, "nobody stopped it");
        if stats.ended == Ended::NoConnection {
            demand!(stats.requests == 0, "requests without a connection");
            return Ok(());
        }
        let (begins, ends) = stats.window();
        let asked = ns(self.run.duration);
        demand!(
            is_stopped || ends - begins == asked,
            "it measured {} ns",
            ends - begins
        );
        if let Some(rate_per_s) = self.run.rate_per_s {
            let due = Schedule::new(begins, rate_per_s, 1).before(ends);
            demand!(stats.due == due, "{due} were due, not {}", stats.due);
        }
        self.check_opened(came, epoch_ns, truth)?;
        self.check_again(stats, truth)?;
        let is_exact = !self.is_faulty && self.client.machine.stream_bytes >= 10_000;
        if is_exact && self.run.warmup.is_zero() && !is_stopped {
            self.check_exactly(stats, epoch_ns, truth)?;
        }
        Ok(())
    }

    /// From the first clock to when the last was known to be there.
    fn check_opened(&self, came: &Came, epoch_ns: u64, truth: &Truth) -> Result<(), String> {
        let took = ns(came.opened.took);
        let ready = truth.connects.iter().filter_map(|it| it.known_ns);
        let is_calm = !self.is_faulty && self.stop.is_none() && !self.is_udp;
        if let Some(last) = ready.max().filter(|_| is_calm) {
            let known = last - epoch_ns;
            demand!(
                (known..known + 50 * MS).contains(&took),
                "connected in {took} ns, not {known}"
            );
        }
        Ok(())
    }

    /// Over UDP: whatever came for a request that had its reply came again.
    fn check_again(&self, stats: &Stats, truth: &Truth) -> Result<(), String> {
        let again = truth.requests.iter().map(|it| it.replies.saturating_sub(1));
        let again = again.sum::<usize>() as u64;
        let answered = truth.requests.iter().filter(|it| it.replies > 0).count() as u64;
        if self.is_udp && self.plan.addresses.len() == 1 {
            // What it no longer remembers is late, whether or not it had its reply.
            let (least, most) = (stats.duplicated, stats.duplicated + stats.late);
            demand!(
                (least..=most).contains(&again),
                "{again} came again, not {least} to {most}"
            );
            if self.run.warmup.is_zero() && self.stop.is_none() {
                let told = stats.replies + stats.late;
                // What left as the window closed belongs to nobody.
                let slack = (self.plan.connections * self.plan.pipeline) as u64;
                demand!(
                    (stats.replies..=told + slack).contains(&answered),
                    "{answered} were answered, not {told}"
                );
            }
        }
        demand!(
            stats.replies <= answered,
            "{} of {answered} replies",
            stats.replies
        );
        Ok(())
    }

    /// Nothing disturbed it: each request and its reply are known to the nanosecond, but for the
    /// calls in between.
    fn check_exactly(&self, stats: &Stats, epoch_ns: u64, truth: &Truth) -> Result<(), String> {
        let (begins, ends) = stats.window();
        let machine = self.client.machine;
        let slack = 64 * (machine.clock_ns + machine.call_ns + machine.find_ns);
        let schedule = self
            .run
            .rate_per_s
            .map(|rate| Schedule::new(begins, rate, self.plan.connections));
        let (mut corrected, mut uncorrected) = (Vec::new(), Vec::new());
        let (mut sent, mut came) = ((0, 0), (0, 0));
        let within = |at: u64, (sure, perhaps): &mut (u64, u64)| {
            *sure += u64::from((begins + slack..ends.saturating_sub(slack)).contains(&at));
            *perhaps += u64::from((begins..ends + slack).contains(&at));
        };
        for request in truth.requests.iter().filter(|it| !is_probe(it)) {
            within(request.sent_ns - epoch_ns, &mut sent);
        }
        for (request, reply) in first_replies(truth) {
            let (sent_at, read_at) = (request.sent_ns - epoch_ns, reply.read_ns - epoch_ns);
            within(read_at, &mut came);
            let intended = schedule.map_or(sent_at, |schedule| {
                let (lane, number) = number_of(request);
                schedule.at_lane(lane, number).min(sent_at)
            });
            let is_in_time = !self.is_udp || read_at - sent_at <= ns(self.plan.timeout);
            if is_in_time && intended < ends {
                corrected.push(read_at - intended);
                uncorrected.push(read_at - sent_at);
            }
        }
        for (what, told, (sure, perhaps)) in [
            ("sent", stats.sent_in_window, sent),
            ("came", stats.came_in_window, came),
        ] {
            demand!(
                (sure..=perhaps).contains(&told),
                "{told} {what} in the window, not {sure} to {perhaps}"
            );
        }
        compare("latency", &stats.latency, corrected, slack)?;
        compare("uncorrected", stats.from_send(), uncorrected, slack)
    }
}

fn is_probe(request: &Request) -> bool {
    number_of(request).1 == (1 << REQUEST_BITS) - 1
}

fn number_of(request: &Request) -> (usize, u64) {
    let digits = &request.bytes[5..5 + NUMBER_DIGITS];
    let number = u64::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let lane = usize::try_from(number >> REQUEST_BITS).unwrap();
    (lane, number & ((1 << REQUEST_BITS) - 1))
}

fn first_replies(truth: &Truth) -> Vec<(&Request, &Reply)> {
    let mut seen = vec![false; truth.requests.len()];
    let replies = truth.replies.iter().filter_map(|reply| {
        let place = reply.request?;
        let is_first = !std::mem::replace(&mut seen[place], true);
        let request = &truth.requests[place];
        (is_first && !is_probe(request)).then_some((request, reply))
    });
    replies.collect()
}

/// The ends and each percentile that is told, within the calls in between and a thousandth.
fn compare(what: &str, told: &Latencies, mut truth: Vec<u64>, slack: u64) -> Result<(), String> {
    truth.sort_unstable();
    // The clock is read behind the call that receives, and ahead of the one that sends.
    let near =
        |told: u64, true_ns: u64| (true_ns..=true_ns + slack + true_ns / 900).contains(&told);
    for (end, told, true_ns) in [
        ("min", told.min(), truth.first()),
        ("max", told.max(), truth.last()),
    ] {
        let is_so = match (told, true_ns) {
            (Some(told), Some(true_ns)) => near(told, *true_ns),
            (told, true_ns) => told.is_none() && true_ns.is_none(),
        };
        demand!(is_so, "{what} {end}: {told:?}, not {true_ns:?}");
    }
    for percentile in [5_000, 9_000, 9_900] {
        if let Quantile::Is(told) = told.percentile(percentile, 0) {
            let rank = (truth.len() as u64 * percentile).div_ceil(10_000).max(1);
            let true_ns = truth[usize::try_from(rank - 1).unwrap().min(truth.len() - 1)];
            demand!(
                near(told, true_ns),
                "{what} {percentile}: {told}, not {true_ns}"
            );
        }
    }
    Ok(())
}

fn explain(seed: u64) {
    let world = World::drawn(seed);
    println!("{world:#?}");
    let (trace, outcome) = world.run(true);
    println!("{}", trace.join("\n"));
    let replay = format!("SEED={seed} cargo test --test it net::load -- --nocapture");
    if let Err(violation) = outcome {
        panic!("seed {seed}: {violation}\nreplay: {replay}");
    }
}

#[test]
fn worlds() {
    if let Some(seed) = env("SEED") {
        return explain(seed);
    }
    let count = env("SEEDS").unwrap_or(WORLDS);
    let mut replies = 0;
    for seed in 0..count {
        match World::drawn(seed).run(false).1 {
            Ok(of_one) => replies += of_one,
            Err(_) => explain(seed),
        }
    }
    println!("{count} worlds, {replies} replies");
    assert!(replies > 100 * count, "{replies} replies in {count} worlds");
}
