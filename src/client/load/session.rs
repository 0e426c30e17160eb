//! `pingpong load` from the command line to the exit status: what is done once, and the runs in
//! between.

use std::fmt;
use std::io::{self, Stderr};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::conn::Conn;
use super::datagrams::DatagramConn;
use super::latency::Quantile;
use super::options::LoadOptions;
use super::report::{Found, Report, quantile};
use super::search::{Goal, RATE_MAX_PER_S, Search};
use super::stats::{Cost, Stats};
use super::stream::StreamConn;
use super::watch::Terminal;
use super::{Load, LoadPlan, Run, hgrm};
use crate::client::output::Output;
use crate::client::replacement::Replacement;
use crate::client::target::Family;
use crate::limits;
use crate::outlet::{self, Outlet};
use crate::reactor::kernel::Kernel;
use crate::reactor::os::Os;
use crate::transport::Transport;

/// Every reply was right.
const ALL_RIGHT: u8 = 0;
/// One was not, or there was none, or it could not be told.
const WRONG: u8 = 1;

/// Descriptors that a run opens beside its connections: the poll, two for the signals, the timer,
/// the scheduler's figures, the file of `--hdr`.
const OWN_DESCRIPTORS: usize = 6;

/// A step of a search lasts so many times less than the run.
const STEPS_PER_RUN: u32 = 10;
/// And each begins with so many times less than that, which does not count.
const WARMUPS_PER_STEP: u32 = 5;

/// How often a rate that was found is lowered when it does not last for a whole run, and to how
/// many hundredths.
const LOWERED_MAX: u32 = 4;
const LOWER_TO_PERCENT: u64 = 90;

/// Does all of it, and returns the exit status.
pub fn run(options: &LoadOptions) -> u8 {
    match try_run(options) {
        Ok(true) => ALL_RIGHT,
        Ok(false) => WRONG,
        Err(failure) => {
            outlet::complain(&failure);
            WRONG
        }
    }
}

/// Says whether every reply was right.
fn try_run(options: &LoadOptions) -> Result<bool, String> {
    // Before the run: nobody waits for a report that has no place to go.
    let hdr = options.hdr.as_deref().map(Replacement::of).transpose()?;
    let report = measure(options)?;
    if let Some(error) = &report.stats.first_error {
        outlet::complain(error);
    }
    let text = if options.json {
        report.json() + "\n"
    } else {
        report.to_string()
    };
    let printed = outlet::print(&text);
    // Only now: a disk that is full by then loses no report.
    if let Some(hdr) = hdr {
        hdr.write(&hgrm::percentile_distribution(
            report.stats.latency.histogram(),
        ))?;
    }
    printed.map_err(|error| format!("cannot write the output: {error}"))?;
    let broken = options.require.iter().filter_map(|requirement| {
        let value = report.figure(requirement.figure());
        requirement.holds(value, "").err()
    });
    let broken = broken.inspect(|told| outlet::complain(told)).count();
    Ok(report.is_all_right() && broken == 0)
}

fn measure(options: &LoadOptions) -> Result<Report, String> {
    let addresses = options
        .target
        .resolve(Family::Any)
        .map_err(|error| format!("{}: {error}", options.target))?;
    let room = limits::raised_nofile().room_beside(OWN_DESCRIPTORS);
    if options.connections > room {
        return Err(format!(
            "{} connections, but the limit on open files leaves room for {room}: see ulimit -n",
            options.connections
        ));
    }
    let report = match options.transport() {
        Transport::Tcp => measure_over::<StreamConn<<Os as Kernel>::Stream>>(options, addresses),
        Transport::Udp | Transport::Unix => {
            measure_over::<DatagramConn<<Os as Kernel>::Datagrams>>(options, addresses)
        }
    };
    report.map_err(|error| format!("cannot go on: {error}"))
}

fn measure_over<C: Conn<Os>>(
    options: &LoadOptions,
    addresses: Vec<SocketAddr>,
) -> io::Result<Report> {
    let rate_max_per_s = match options.find_max {
        Some(_) => Some(RATE_MAX_PER_S),
        None => options.rate_per_s,
    };
    let kernel = Os::for_client()?.telling_room();
    let kernel = match rate_max_per_s {
        Some(_) => kernel.with_fine_timer()?,
        None => kernel,
    };
    let plan = LoadPlan {
        script: options.script.clone(),
        addresses,
        connections: options.connections,
        pipeline: options.pipeline,
        skip_lines: options.skip_lines,
        timeout: options.timeout(),
        rate_max_per_s,
    };
    let started = SystemTime::now();
    let mut load = Load::<Os, C, Terminal>::new(kernel, plan, Terminal::new())?;
    let run = Run {
        rate_per_s: options.rate_per_s,
        warmup: options.warmup,
        duration: options.duration,
        catch_up: true,
        requests_max: options.requests_max,
    };
    let measured = match options.find_max {
        None => one_run(&mut load, run, "load")?,
        Some(goal) => find_max(&mut load, goal, run)?,
    };
    Ok(report(options, load.opened(), measured, started))
}

fn report(
    options: &LoadOptions,
    opened: super::Opened,
    measured: Measured,
    started: SystemTime,
) -> Report {
    let Measured {
        run,
        stats,
        cost,
        found,
    } = measured;
    let command: Vec<_> = std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    Report {
        target: options.target.to_string(),
        transport: options.transport(),
        connections: options.connections,
        opened,
        pipeline: options.pipeline,
        request_bytes: options.script.request_bytes(),
        reply_bytes: options.script.reply_bytes(),
        timeout: options.timeout(),
        started,
        command: command.join(" "),
        run,
        stats,
        cost,
        found,
    }
}

/// What was run, and what came of it.
struct Measured {
    run: Run,
    stats: Stats,
    cost: Cost,
    found: Option<Found>,
}

fn one_run<C: Conn<Os>>(
    load: &mut Load<Os, C, Terminal>,
    run: Run,
    name: &str,
) -> io::Result<Measured> {
    load.watch().name(name);
    let stats = load.measure(run)?;
    Ok(Measured {
        run,
        stats,
        cost: load.watch().cost(),
        found: None,
    })
}

/// Short runs until the rate is known, then whole ones to see whether it lasts.
fn find_max<C: Conn<Os>>(
    load: &mut Load<Os, C, Terminal>,
    goal: Goal,
    run: Run,
) -> io::Result<Measured> {
    let step = run.duration / STEPS_PER_RUN;
    let mut short = Run {
        // The first step warms up for all.
        warmup: run.warmup.max(step / WARMUPS_PER_STEP),
        duration: step,
        catch_up: false,
        ..run
    };
    let mut trials = Trials {
        load,
        goal,
        errors: Stats::new()?,
        told: Output::new(Outlet::new(io::stderr())),
    };
    let mut search = Search::default();
    while let Some(rate_per_s) = search.next() {
        // Once can be anybody's fault.
        let (mut last, mut is_kept) = trials.run(short, rate_per_s)?;
        short.warmup = step / WARMUPS_PER_STEP;
        if !is_kept && !trials.load.is_stopped() {
            (last, is_kept) = trials.run(short, rate_per_s)?;
        }
        if trials.load.is_stopped() || trials.load.opened().ready == 0 {
            return Ok(trials.found(last, Some(search.highest_per_s()), false));
        }
        search.tell(rate_per_s, is_kept);
    }
    trials.confirm(run, search.highest_per_s())
}

/// Runs at one rate after the other, over the same connections.
struct Trials<'a, C> {
    load: &'a mut Load<Os, C, Terminal>,
    goal: Goal,
    /// What went wrong in any of them: a connection that is gone is not seen by the next.
    errors: Stats,
    /// Where each is told; nobody is waited for.
    told: Output<Outlet<Stderr>>,
}

impl<C: Conn<Os>> Trials<'_, C> {
    /// One run, and whether it kept the goal. One that was broken off says nothing.
    fn run(&mut self, run: Run, rate_per_s: u64) -> io::Result<(Measured, bool)> {
        let run = Run {
            rate_per_s: Some(rate_per_s),
            ..run
        };
        let measured = one_run(self.load, run, &format!("{rate_per_s} requests/s"))?;
        let is_kept = !self.load.is_stopped() && self.goal.is_kept_by(&measured.stats);
        if !self.load.is_stopped() {
            let step = Step {
                rate_per_s,
                goal: self.goal,
                is_kept,
                stats: &measured.stats,
            };
            self.told.push(&step.to_string());
            self.told.flush();
        }
        if !run.catch_up {
            self.errors.take_over_errors(&measured.stats, C::RELIABLE);
        }
        Ok((measured, is_kept))
    }

    /// Whole runs, at lower rates as long as none lasts.
    fn confirm(&mut self, run: Run, mut rate_per_s: u64) -> io::Result<Measured> {
        let is_hopeless = rate_per_s == 0;
        rate_per_s = rate_per_s.max(1);
        let mut lowered = 0;
        loop {
            let (measured, is_kept) = self.run(run, rate_per_s)?;
            if self.load.is_stopped() {
                return Ok(self.found(measured, Some(rate_per_s), false));
            }
            if is_kept || is_hopeless || lowered == LOWERED_MAX {
                let rate_per_s = is_kept.then_some(rate_per_s);
                return Ok(self.found(measured, rate_per_s, is_kept));
            }
            // What went wrong in it is not forgotten with it.
            self.errors.take_over_errors(&measured.stats, C::RELIABLE);
            lowered += 1;
            rate_per_s = (rate_per_s * LOWER_TO_PERCENT / 100).max(1);
        }
    }

    fn found(
        &self,
        mut measured: Measured,
        rate_per_s: Option<u64>,
        is_confirmed: bool,
    ) -> Measured {
        measured.stats.take_over_errors(&self.errors, C::RELIABLE);
        measured.found = Some(Found {
            goal: self.goal.to_string(),
            rate_per_s: rate_per_s.filter(|it| *it > 0),
            is_confirmed,
        });
        measured
    }
}

/// A line for a step.
struct Step<'a> {
    rate_per_s: u64,
    goal: Goal,
    is_kept: bool,
    stats: &'a Stats,
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rate_per_s,
            goal,
            is_kept,
            stats,
        } = self;
        let latency = stats
            .latency
            .percentile(goal.hundredths(), stats.unanswered());
        // What a step has not sent by its end has not waited as long as for the timeout.
        let latency = match latency {
            Quantile::Unanswered => "unanswered".into(),
            known => quantile(known, Duration::ZERO),
        };
        let replies_per_s = stats.per_second(stats.came_in_window);
        let verdict = if *is_kept { "kept" } else { "missed" };
        writeln!(
            f,
            "{rate_per_s:>10} requests/s: {replies_per_s:.0} replies/s, p{} {latency}: {verdict}",
            goal.percentile
        )
    }
}
