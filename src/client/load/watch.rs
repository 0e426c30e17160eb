//! What is watched while a run goes on: its progress, shown on a terminal, and what the client
//! itself costs.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::Phase;
use super::report::{plural, quantile, time};
use super::schedule::{Nanos, SECOND};
use super::screen::Screen;
use super::stats::{Cost, Stats};

/// How often progress is shown: so seldom that it costs nothing.
const TICK: Nanos = SECOND / 4;

/// How long the bar is, in letters.
const BAR: u64 = 16;

/// How a run stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// What it is doing.
    pub phase: Phase,
    /// What it has measured.
    pub stats: &'a Stats,
    /// The time.
    pub now: Nanos,
    /// How many connections are ready, and how many were asked for.
    pub connections: (usize, usize),
    /// How many requests wait for their replies.
    pub waiting: usize,
}

/// Is told how runs go.
pub trait Watch {
    /// From now on it counts.
    fn open_window(&mut self);

    /// From now on it does not.
    fn close_window(&mut self);

    /// It goes on. Returns when to be told again.
    fn tick(&mut self, progress: &Progress<'_>) -> Option<Nanos>;

    /// Somebody asks for the figures so far.
    fn tell_so_far(&mut self, progress: &Progress<'_>);

    /// It is over.
    fn end(&mut self);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn open_window(&mut self) {}

    fn close_window(&mut self) {}

    fn tick(&mut self, _: &Progress<'_>) -> Option<Nanos> {
        None
    }

    fn tell_so_far(&mut self, _: &Progress<'_>) {}

    fn end(&mut self) {}
}

/// Shows progress on standard error, if that is a terminal, and takes the time that the process
/// got.
#[derive(Debug)]
pub struct Terminal {
    name: String,
    is_shown: bool,
    screen: Screen,
    next_tick: Nanos,
    /// When progress was last shown, and how many replies there were.
    shown: (Nanos, u64),
    schedstat: Option<File>,
    began: Option<(Instant, Duration, Option<Duration>)>,
    cost: Cost,
}

impl Terminal {
    /// It opens a file, so it is made before the loop.
    pub fn new() -> Self {
        Self {
            name: String::new(),
            is_shown: io::stderr().is_terminal(),
            screen: Screen::new(),
            next_tick: 0,
            shown: (0, 0),
            schedstat: File::open("/proc/thread-self/schedstat").ok(),
            began: None,
            cost: Cost::default(),
        }
    }

    /// The next run has a name on the screen.
    pub fn name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// What the last run cost.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The second number in schedstat is the time spent waiting on a run queue, in nanoseconds
    /// (proc(5)).
    fn waited_for_cpu(&self) -> Option<Duration> {
        let mut text = [0; 128];
        let len = self.schedstat.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = std::str::from_utf8(text.get(..len)?).ok()?;
        let waited_ns = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(Duration::from_nanos(waited_ns))
    }

    fn show(&mut self, progress: &Progress<'_>) {
        let Progress { stats, now, .. } = *progress;
        let replies = stats.came_in_window;
        let (shown_at, shown_replies) = std::mem::replace(&mut self.shown, (now, replies));
        let passed = now.saturating_sub(shown_at).max(1);
        let fresh = replies.saturating_sub(shown_replies);
        let per_s = u128::from(fresh) * u128::from(SECOND) / u128::from(passed);
        let words = words(progress, per_s);
        self.screen
            .draw(&format!("{} [{}] {words}", self.name, bar(stats, now)));
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

/// How much of the window is over.
fn bar(stats: &Stats, now: Nanos) -> String {
    let (begins, ends) = stats.window();
    let length = ends.saturating_sub(begins).max(1);
    let passed = now.saturating_sub(begins).min(length);
    let full = u128::from(passed) * u128::from(BAR) / u128::from(length);
    (0..u128::from(BAR))
        .map(|place| match place {
            place if place < full => '=',
            place if place == full => '>',
            _ => ' ',
        })
        .collect()
}

fn words(progress: &Progress<'_>, replies_per_s: u128) -> String {
    let Progress {
        phase, stats, now, ..
    } = *progress;
    let errors = stats.wrong + stats.closed_early + stats.not_connected;
    match phase {
        Phase::Idle => String::new(),
        Phase::Connecting => {
            let (ready, asked) = progress.connections;
            format!("connecting: {ready} of {asked}")
        }
        Phase::WarmUp => "warm-up".into(),
        Phase::Window => {
            let left_s = stats.window().1.saturating_sub(now).div_ceil(SECOND);
            let lost = stats.lost;
            format!("{replies_per_s} replies/s, {errors} errors, {lost} lost, {left_s} s left")
        }
        Phase::CatchingUp(_) => {
            let waiting = plural(progress.waiting as u64, "request");
            format!("waiting for the replies to {waiting}")
        }
    }
}

impl Watch for Terminal {
    fn open_window(&mut self) {
        self.began = Some((Instant::now(), cpu_time(), self.waited_for_cpu()));
    }

    fn close_window(&mut self) {
        if let Some((began, cpu, waited)) = self.began.take() {
            self.cost = Cost {
                wall: began.elapsed(),
                cpu: cpu_time().saturating_sub(cpu),
                waited_for_cpu: self
                    .waited_for_cpu()
                    .zip(waited)
                    .map(|(now, then)| now.saturating_sub(then)),
            };
        }
    }

    fn tick(&mut self, progress: &Progress<'_>) -> Option<Nanos> {
        if !self.is_shown || progress.phase == Phase::Idle {
            return None;
        }
        if progress.now >= self.next_tick {
            self.next_tick = progress.now + TICK;
            self.show(progress);
        }
        Some(self.next_tick)
    }

    fn tell_so_far(&mut self, progress: &Progress<'_>) {
        self.screen.tell(&so_far(progress));
    }

    fn end(&mut self) {
        self.screen.wipe();
        self.shown = (0, 0);
    }
}

/// The figures so far, in one line.
fn so_far(progress: &Progress<'_>) -> String {
    let Progress { stats, now, .. } = *progress;
    let errors = stats.wrong + stats.closed_early + stats.not_connected;
    let latency = |percentile| quantile(stats.latency.percentile(percentile, 0), Duration::ZERO);
    format!(
        "{}: {} replies, {errors} errors, {} lost, latency p50 {}, p99 {}, max {}\n",
        time(now.saturating_sub(stats.window().0)),
        stats.replies,
        stats.lost,
        latency(5_000),
        latency(9_900),
        stats.latency.max().map_or_else(|| "-".into(), time),
    )
}

/// How long this process has been on a CPU.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}
