//! What is watched while a run goes on: its progress, shown on a terminal, and what the client
//! itself costs.

use std::fs::File;
use std::io::{self, IsTerminal, Stderr};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::time::{ClockId, clock_gettime};

use super::figures::{Cost, Figures};
use super::report::time;
use super::schedule::{Nanos, SECOND};
use super::screen::Screen;
use crate::client::output::Output;
use crate::outlet::Outlet;

/// How often progress is shown: so seldom that it costs nothing.
const TICK: Nanos = SECOND / 4;

/// How often indicatif draws, at most, however often it is told something new.
const FRAMES_PER_S: u8 = 20;

/// Is told how a run goes.
pub trait Watch {
    /// From now on it counts.
    fn begin(&mut self);

    /// It goes on; `window` is what counts. Returns when to be told again.
    fn tick(&mut self, figures: &Figures, now: Nanos, window: (Nanos, Nanos)) -> Option<Nanos>;

    /// Somebody asks for the figures so far; what counts began at `begins`.
    fn tell_so_far(&mut self, figures: &Figures, now: Nanos, begins: Nanos);

    /// It is over.
    fn end(&mut self);
}

/// Shows progress on standard error, if that is a terminal, and takes the time that the process
/// got.
#[derive(Debug)]
pub struct Terminal {
    bar: Option<ProgressBar>,
    /// Where the figures go that somebody asked for.
    told: Output<Outlet<Stderr>>,
    next_tick: Nanos,
    /// When progress was last shown, and how many replies there were.
    shown: (Nanos, u64),
    schedstat: Option<File>,
    began: Option<(Instant, Duration, Option<Duration>)>,
    cost: Cost,
}

impl Terminal {
    /// A run that has a name on the screen. It opens a file, so it is made before the loop.
    pub fn new(name: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            let screen =
                ProgressDrawTarget::term_like_with_hz(Box::new(Screen::new()), FRAMES_PER_S);
            ProgressBar::with_draw_target(Some(SECOND), screen)
                .with_prefix(name.to_owned())
                .with_style(style)
        });
        Self {
            bar,
            told: Output::new(Outlet::new(io::stderr())),
            next_tick: 0,
            shown: (0, 0),
            schedstat: File::open("/proc/thread-self/schedstat").ok(),
            began: None,
            cost: Cost::default(),
        }
    }

    /// What the run cost, once it is over.
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

    fn show(&mut self, figures: &Figures, now: Nanos, (begins, ends): (Nanos, Nanos)) {
        let Some(bar) = &self.bar else {
            return;
        };
        let (shown_at, shown_replies) = std::mem::replace(&mut self.shown, (now, figures.replies));
        let passed = now.saturating_sub(shown_at).max(1);
        let replies = figures.replies.saturating_sub(shown_replies);
        let replies_per_s = u128::from(replies) * u128::from(SECOND) / u128::from(passed);
        let wrong = figures.wrong + figures.closed_early;
        let message = if now < begins {
            "warm-up".into()
        } else {
            let left_s = ends.saturating_sub(now).div_ceil(SECOND);
            format!(
                "{replies_per_s} replies/s, {wrong} errors, {} lost, {left_s} s left",
                figures.lost
            )
        };
        bar.set_length(ends.saturating_sub(begins).max(1));
        bar.set_position(now.saturating_sub(begins));
        bar.set_message(message);
    }
}

impl Watch for Terminal {
    fn begin(&mut self) {
        self.began = Some((Instant::now(), cpu_time(), self.waited_for_cpu()));
    }

    fn tick(&mut self, figures: &Figures, now: Nanos, window: (Nanos, Nanos)) -> Option<Nanos> {
        self.bar.as_ref()?;
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.show(figures, now, window);
        }
        Some(self.next_tick)
    }

    fn tell_so_far(&mut self, figures: &Figures, now: Nanos, begins: Nanos) {
        self.told.push(&so_far(figures, now.saturating_sub(begins)));
        match &self.bar {
            Some(bar) => bar.suspend(|| self.told.flush()),
            None => self.told.flush(),
        }
    }

    fn end(&mut self) {
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
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The figures so far, in one line.
fn so_far(figures: &Figures, passed: Nanos) -> String {
    let Figures { replies, lost, .. } = figures;
    let errors = figures.wrong + figures.closed_early + figures.not_connected;
    let latency = |percentile| time(figures.latency.value_at_percentile(percentile));
    format!(
        "{}: {replies} replies, {errors} errors, {lost} lost, latency p50 {}, p99 {}, max {}\n",
        time(passed),
        latency(50.0),
        latency(99.0),
        time(figures.latency.max()),
    )
}

/// How long this process has been on a CPU.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}
