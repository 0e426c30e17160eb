//! `pingpong load` from the resolved target to the report: what is done once, and the runs in
//! between.

use std::fs::File;
use std::io::{self, Stderr, Write};
use std::net::SocketAddr;
use std::path::Path;

use super::figures::{Cost, Figures};
use super::flow::FlowLane;
use super::lane::Lane;
use super::report::{Found, Report, time};
use super::search::{Promise, RATE_MAX_PER_S, Search};
use super::stream::StreamLane;
use super::watch::Terminal;
use super::{Load, Opened, Plan, Run, hgrm};
use crate::cli::load::LoadOptions;
use crate::client::output::Output;
use crate::client::target::Family;
use crate::limits;
use crate::outlet::Outlet;
use crate::reactor::kernel::Kernel;
use crate::reactor::os::Os;

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

/// Does all of it.
///
/// # Errors
/// It could not begin or go on, in words for people.
pub fn run(options: &LoadOptions) -> Result<Report, String> {
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
    let cannot_write = |path: &Path, error| format!("cannot write {}: {error}", path.display());
    let hdr = options.hdr.as_deref().map(|path| {
        let file = File::create(path).map_err(|error| cannot_write(path, error))?;
        Ok::<_, String>((file, path))
    });
    let hdr = hdr.transpose()?;
    let measured = if options.udp {
        measure::<FlowLane<<Os as Kernel>::Datagrams>>(options, addresses)
    } else {
        measure::<StreamLane<<Os as Kernel>::Stream>>(options, addresses)
    };
    let report = measured.map_err(|error| format!("cannot go on: {error}"))?;
    if let Some((mut file, path)) = hdr {
        file.write_all(hgrm::percentile_distribution(&report.figures.latency).as_bytes())
            .map_err(|error| cannot_write(path, error))?;
    }
    Ok(report)
}

fn measure<L: Lane<Os>>(options: &LoadOptions, addresses: Vec<SocketAddr>) -> io::Result<Report> {
    let rate_max_per_s = match options.find_max {
        Some(_) => Some(RATE_MAX_PER_S),
        None => options.rate_per_s,
    };
    let kernel = Os::for_client()?.telling_room();
    let kernel = match rate_max_per_s {
        Some(_) => kernel.with_fine_timer()?,
        None => kernel,
    };
    let plan = Plan {
        script: options.script.clone(),
        addresses,
        lanes: options.connections,
        pipeline: options.pipeline,
        skip_lines: options.skip_lines,
        timeout: options.timeout(),
        rate_max_per_s,
    };
    let mut load = Load::<Os, L>::new(kernel, plan)?;
    let opened = load.open()?;
    let run = Run {
        rate_per_s: options.rate_per_s,
        warmup: options.warmup,
        duration: options.duration,
        catch_up: true,
    };
    let (run, (figures, cost), found) = match options.find_max {
        None => (run, one_run(&mut load, run, "load")?, None),
        Some(promise) => find_max(&mut load, promise, run)?,
    };
    let is_interrupted = load.is_stopped();
    Ok(report(
        options,
        opened,
        run,
        figures,
        cost,
        is_interrupted,
        found,
    ))
}

fn report(
    options: &LoadOptions,
    opened: Opened,
    run: Run,
    figures: Figures,
    cost: Cost,
    is_interrupted: bool,
    found: Option<Found>,
) -> Report {
    Report {
        target: options.target.to_string(),
        transport: if options.udp { "udp" } else { "tcp" },
        connections: options.connections,
        opened,
        pipeline: options.pipeline,
        request_bytes: options.script.request_bytes(),
        reply_bytes: options.script.reply_bytes(),
        run,
        figures,
        cost,
        is_interrupted,
        found,
    }
}

fn one_run<L: Lane<Os>>(
    load: &mut Load<Os, L>,
    run: Run,
    name: &str,
) -> io::Result<(Figures, Cost)> {
    let mut terminal = Terminal::new(name);
    let figures = load.run(run, &mut terminal)?;
    Ok((figures, terminal.cost()))
}

/// Short runs until the rate is known, then whole ones to see whether it lasts.
fn find_max<L: Lane<Os>>(
    load: &mut Load<Os, L>,
    promise: Promise,
    run: Run,
) -> io::Result<(Run, (Figures, Cost), Option<Found>)> {
    let step = run.duration / STEPS_PER_RUN;
    let short = Run {
        warmup: step / WARMUPS_PER_STEP,
        duration: step,
        catch_up: false,
        ..run
    };
    let mut trials = Trials {
        load,
        promise,
        errors: Figures::new()?,
        told: Output::new(Outlet::new(io::stderr())),
    };
    let mut search = Search::default();
    while let Some(rate_per_s) = search.next().filter(|_| trials.may_go_on()) {
        // Once can be anybody's fault.
        let is_kept = trials.run(short, rate_per_s)?.2
            || (trials.may_go_on() && trials.run(short, rate_per_s)?.2);
        search.tell(rate_per_s, is_kept);
    }
    let mut rate_per_s = search.highest_per_s().max(1);
    let mut lowered = 0;
    loop {
        let (mut figures, cost, is_kept) = trials.run(run, rate_per_s)?;
        let is_hopeless = search.highest_per_s() == 0 || !trials.may_go_on();
        if is_kept || is_hopeless || lowered == LOWERED_MAX {
            figures.take_over_errors(&trials.errors, L::LOSES_NOTHING);
            let found = Found {
                promise: promise.to_string(),
                rate_per_s: is_kept.then_some(rate_per_s),
            };
            let run = Run {
                rate_per_s: Some(rate_per_s),
                ..run
            };
            return Ok((run, (figures, cost), Some(found)));
        }
        // What went wrong in it is not forgotten with it.
        trials.errors.take_over_errors(&figures, L::LOSES_NOTHING);
        lowered += 1;
        rate_per_s = (rate_per_s * LOWER_TO_PERCENT / 100).max(1);
    }
}

/// Runs at one rate after the other, over the same connections.
struct Trials<'a, L> {
    load: &'a mut Load<Os, L>,
    promise: Promise,
    /// What went wrong in any of them: a connection that is gone is not seen by the next.
    errors: Figures,
    /// Where each is told; nobody is waited for.
    told: Output<Outlet<Stderr>>,
}

impl<L: Lane<Os>> Trials<'_, L> {
    /// One run, and whether it kept the promise.
    fn run(&mut self, run: Run, rate_per_s: u64) -> io::Result<(Figures, Cost, bool)> {
        let run = Run {
            rate_per_s: Some(rate_per_s),
            ..run
        };
        let (figures, cost) = one_run(self.load, run, &format!("{rate_per_s} requests/s"))?;
        let is_kept = self.promise.is_kept_by(&figures);
        self.told
            .push(&step(rate_per_s, self.promise, is_kept, &figures));
        self.told.flush();
        if !run.catch_up {
            self.errors.take_over_errors(&figures, L::LOSES_NOTHING);
        }
        Ok((figures, cost, is_kept))
    }

    fn may_go_on(&self) -> bool {
        !self.load.is_stopped() && self.load.live() > 0
    }
}

/// A line for a step.
fn step(rate_per_s: u64, promise: Promise, is_kept: bool, figures: &Figures) -> String {
    let latency = time(figures.latency.value_at_percentile(promise.percentile));
    let replies_per_s = figures.per_second(figures.replies_in_time);
    let verdict = if is_kept { "kept" } else { "broken" };
    format!(
        "{rate_per_s:>10} requests/s: {replies_per_s:.0} replies/s, p{} {latency}: {verdict}\n",
        promise.percentile
    )
}
