//! Server and load client against each other: what load measures, held to what its host did.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use pingpong::client::load::conn::Conn;
use pingpong::client::load::datagrams::DatagramConn;
use pingpong::client::load::latency::{Latencies, Quantile};
use pingpong::client::load::schedule::Schedule;
use pingpong::client::load::stats::{Ended, Stats};
use pingpong::client::load::stream::StreamConn;
use pingpong::client::load::watch::Unwatched;
use pingpong::client::load::{Load, LoadPlan, Run};
use pingpong::client::script::Script;
use pingpong::reactor::kernel::Signal;
use pingpong::reactor::program::Program;

use super::driver::{Driven, Driver};
use super::epoll::ns;
use super::hosts::{Net, US};
use super::kernel::{NetDatagrams, NetKernel, NetStream};
use super::plan::{Place, Plan, SERVED, calm_place};
use super::truth::{Reply, Request, Truth};
use crate::sim::rng::Rng;

/// What a request is stamped with is a few calls old when it leaves.
const SLACK_NS: u64 = 30 * US;

pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What has come to its end, for its figures.
pub trait Over {
    fn stats(&self) -> &Stats;
}

impl<C: Conn<NetKernel>> Over for Load<NetKernel, C, Unwatched> {
    fn stats(&self) -> &Stats {
        self.stats()
    }
}

type Figures = Rc<RefCell<Option<Box<dyn Over>>>>;

struct Loading<C> {
    load: Option<Load<NetKernel, C, Unwatched>>,
    over: Figures,
}

impl<C: Conn<NetKernel> + 'static> Driven for Loading<C> {
    fn pause(&mut self) -> Option<Duration> {
        self.load.as_mut()?.sleep()
    }

    fn go(&mut self) -> bool {
        let load = self.load.as_mut();
        load.is_none_or(|load| load.turn().unwrap().is_some())
    }

    fn end(&mut self) {
        if let Some(load) = self.load.take() {
            *self.over.borrow_mut() = Some(Box::new(load));
        }
    }
}

/// A load client, and the world that it runs in.
#[derive(Clone, Debug)]
pub struct World {
    pub tcp: bool,
    pub connections: usize,
    pub pipeline: usize,
    pub run: Run,
    pub timeout: Duration,
    pub place: Place,
    pub server: Place,
    pub rng: Rng,
    /// When the user loses interest.
    pub stop_ns: Option<u64>,
    /// Nothing that is known to be wrong is let pass.
    pub is_strict: bool,
}

/// What load says, and what its host did.
pub struct Measured {
    pub over: Box<dyn Over>,
    pub truth: Truth,
    pub epoch_ns: u64,
    pub trace: Vec<String>,
}

pub fn world(tcp: bool, rate_per_s: Option<u64>) -> World {
    World {
        tcp,
        connections: 4,
        pipeline: 1,
        run: Run {
            rate_per_s,
            warmup: ms(0),
            duration: ms(100),
            catch_up: true,
        },
        timeout: ms(1000),
        place: calm_place(),
        server: calm_place(),
        rng: Rng::new(0),
        stop_ns: None,
        is_strict: false,
    }
}

impl World {
    pub fn measure(&self, is_traced: bool) -> Result<Measured, String> {
        let mut net = Net::new(self.rng.clone());
        net.trace = is_traced.then(Vec::new);
        let served: SocketAddr = SERVED.parse().unwrap();
        let own_ip = [10, 0, 0, 2].into();
        for (ip, place) in [(served.ip(), self.server), (own_ip, self.place)] {
            net.add(vec![ip], place.machine, place.link, place.faults);
        }
        let kernel = NetKernel::of(net, 0);
        let mut driver = Driver::new(&kernel);
        let ended = Plan::calm(Vec::new()).serve(&kernel, &mut driver);
        let own = kernel.at(1);
        let (over, epoch_ns) = if self.tcp {
            self.start::<StreamConn<NetStream>>(&own, &mut driver)
        } else {
            self.start::<DatagramConn<NetDatagrams>>(&own, &mut driver)
        };
        if let Some(stop_ns) = self.stop_ns {
            own.signal_at(stop_ns, Signal::Stop);
        }
        driver.run(|driver| driver.is_over(1))?;
        kernel.signal_at(own.clock_ns().max(kernel.clock_ns()), Signal::Stop);
        driver.run(|driver| driver.is_over(0))?;
        drop(driver);
        if ended.borrow().is_none() {
            return Err("the server has not ended".into());
        }
        let net = &mut *kernel.net.borrow_mut();
        if net.hosts[0].open > 0 {
            return Err("the server has sockets that are open".into());
        }
        let over = over.take().ok_or("load has not ended")?;
        Ok(Measured {
            over,
            epoch_ns,
            truth: std::mem::take(&mut net.hosts[1].truth),
            trace: net.trace.take().unwrap_or_default(),
        })
    }

    fn start<C: Conn<NetKernel> + 'static>(
        &self,
        kernel: &NetKernel,
        driver: &mut Driver,
    ) -> (Figures, u64) {
        let plan = LoadPlan {
            script: Script::pings(64),
            addresses: vec![SERVED.parse().unwrap()],
            connections: self.connections,
            pipeline: self.pipeline,
            skip_lines: 0,
            timeout: self.timeout,
            rate_max_per_s: self.run.rate_per_s,
        };
        let mut load = Load::<_, C, _>::new(kernel.clone(), plan, Unwatched).unwrap();
        let epoch_ns = kernel.clock_ns();
        load.start(self.run);
        let over = Figures::default();
        let loading = Loading {
            load: Some(load),
            over: Rc::clone(&over),
        };
        driver.start(kernel, Box::new(loading));
        (over, epoch_ns)
    }

    pub fn check(&self, measured: &Measured) -> Result<(), String> {
        let (stats, truth) = (measured.over.stats(), &measured.truth);
        truth.check_order()?;
        let all = stats.replies + stats.lost + stats.unsent() + stats.abandoned;
        let due = stats.due.max(stats.requests);
        if stats.ended == Ended::Interrupted && !self.is_strict {
            // What left in the very turn that a signal ended is counted, and its reply is not.
            let last = (self.connections * self.pipeline) as u64;
            let is_so = (all..=all + last).contains(&due);
            is_so.then_some(()).ok_or(format!("{all} of {due}"))?;
        } else {
            same("all that was due", all, due)?;
        }
        if self.stop_ns.is_none() && stats.ended != Ended::NoConnection {
            same("the window", stats.measured(), ns(self.run.duration))?;
            if let Some(rate_per_s) = self.run.rate_per_s {
                let due = Schedule::new(0, rate_per_s, 1).before(ns(self.run.duration));
                same("due", stats.due, due)?;
            }
        }
        same("wrong", stats.wrong, 0)?;
        // A reply to what it no longer remembers is late, whether or not it came before.
        let again = truth
            .requests
            .iter()
            .map(|it| it.replies.saturating_sub(1) as u64);
        let again: u64 = again.sum();
        let (low, high) = (stats.duplicated, stats.duplicated + stats.late);
        let told = || format!("duplicates: {low} to {high}, not {again}");
        (low..=high)
            .contains(&again)
            .then_some(())
            .ok_or_else(told)?;
        let is_whole = stats.ended == Ended::Complete && stats.closed_early == 0;
        if self.run.warmup.is_zero() && is_whole {
            same("latencies", stats.latency.count(), stats.replies)?;
            return self.check_counts(measured);
        }
        Ok(())
    }

    /// Without a warm-up, all that left counts; but in a closed loop what left in the turn that
    /// found the window over.
    fn check_counts(&self, measured: &Measured) -> Result<(), String> {
        let (stats, truth) = (measured.over.stats(), &measured.truth);
        let ends_ns = measured.epoch_ns.saturating_add(stats.window().1);
        let until = |end_ns: u64| {
            let is_open_loop = self.run.rate_per_s.is_some();
            let left = (truth.requests.iter())
                .filter(move |request| is_open_loop || request.sent_ns < end_ns);
            let requests = left.clone().count() as u64;
            (requests, left.filter(|it| it.replies > 0).count() as u64)
        };
        let (low, high) = (
            until(ends_ns - SLACK_NS),
            until(ends_ns.saturating_add(SLACK_NS)),
        );
        let shown = (stats.requests, stats.replies);
        // Some replies may have been late.
        let low = (low.0, low.1.saturating_sub(stats.late));
        let is_so = (low.0..=high.0).contains(&shown.0) && (low.1..=high.1).contains(&shown.1);
        let told = || format!("requests and replies: {shown:?}, not {low:?} to {high:?}");
        is_so.then_some(()).ok_or_else(told)
    }

    /// For where nothing disturbs: latencies too, from the time of sending and from the intended.
    pub fn check_latencies(&self, measured: &Measured) -> Result<(), String> {
        let (stats, truth) = (measured.over.stats(), &measured.truth);
        let (begins, _) = stats.window();
        let begins_ns = measured.epoch_ns + begins;
        let rate = self.run.rate_per_s;
        let schedule = rate.map(|rate| Schedule::new(begins_ns, rate, self.connections));
        let mut sockets: Vec<_> = truth.requests.iter().map(|it| it.socket).collect();
        sockets.sort_unstable();
        sockets.dedup();
        let mut counts = vec![0; sockets.len()];
        let intended_ns: Vec<u64> = (truth.requests.iter())
            .map(|request| {
                let lane = sockets.binary_search(&request.socket).unwrap();
                counts[lane] += 1;
                schedule.map_or(request.sent_ns, |it| it.at_lane(lane, counts[lane] - 1))
            })
            .collect();
        let first = firsts(truth);
        let spans = |since: &dyn Fn(usize, &Request) -> u64| -> Vec<(u64, u64)> {
            let span = |(place, request, reply): &(usize, &Request, &Reply)| {
                let since_ns = since(*place, request);
                let low = reply.woken_ns.max(since_ns) - since_ns;
                (low, reply.read_ns - since_ns + SLACK_NS)
            };
            first.iter().map(span).collect()
        };
        within("uncorrected", stats.from_send(), spans(&|_, it| it.sent_ns))?;
        within(
            "latency",
            &stats.latency,
            spans(&|place, _| intended_ns[place]),
        )
    }
}

/// Each request that was answered, with its first reply.
fn firsts(truth: &Truth) -> Vec<(usize, &Request, &Reply)> {
    let mut is_seen = vec![false; truth.requests.len()];
    let replies = truth.replies.iter().filter_map(|reply| {
        let place = reply.request?;
        let is_first = !std::mem::replace(&mut is_seen[place], true);
        is_first.then(|| (place, &truth.requests[place], reply))
    });
    replies.collect()
}

fn same(what: &str, shown: u64, expected: u64) -> Result<(), String> {
    if shown == expected {
        return Ok(());
    }
    Err(format!("{what}: {shown}, not {expected}"))
}

/// Ends, mean and percentiles lie between those of what is known, to the histogram's precision.
fn within(what: &str, shown: &Latencies, spans: Vec<(u64, u64)>) -> Result<(), String> {
    same(what, shown.count(), spans.len() as u64)?;
    let (mut low, mut high): (Vec<_>, Vec<_>) = spans.into_iter().unzip();
    low.sort_unstable();
    high.sort_unstable();
    let last = low.len().checked_sub(1).ok_or("no latencies")?;
    let is_within = |name: &str, value: u64, low: u64, high: u64| {
        let is_so = (low - low / 1000..=high + high / 1000).contains(&value);
        let told = || format!("{what}: {name} is {value}, not {low} to {high}");
        is_so.then_some(()).ok_or_else(told)
    };
    is_within("min", shown.min().unwrap_or(0), low[0], high[0])?;
    is_within("max", shown.max().unwrap_or(0), low[last], high[last])?;
    let mean = |of: &[u64]| of.iter().sum::<u64>() / of.len() as u64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds"
    )]
    let shown_mean = shown.mean().unwrap_or(0.0) as u64;
    is_within("mean", shown_mean, mean(&low), mean(&high))?;
    for percentile in [5_000, 9_000, 9_900] {
        if let Quantile::Is(value) = shown.percentile(percentile, 0) {
            let rank = (low.len() * usize::try_from(percentile).unwrap()).div_ceil(10_000);
            is_within("percentile", value, low[rank - 1], high[rank - 1])?;
        }
    }
    Ok(())
}
