//! What the server shows to who asks over HTTP.

use std::io;
use std::time::{Duration, Instant};

use super::Server;
use super::source::Source;
use crate::admin::http::{Page, Request};
use crate::admin::metrics::{Exposition, Format, Histogram, Kind};
use crate::admin::{Admin, Site};
use crate::limits::Descriptors;
use crate::logging::lost_lines;
use crate::reactor::kernel::Kernel;
use crate::transport::Endpoint;

/// How long what the kernel has dropped is not asked for again. On a host with ten thousand UDP sockets
/// its table takes milliseconds to read.
const DROPS_KEPT: Duration = Duration::from_millis(100);

/// What there is for the pages alone.
pub(super) struct Pages<K: Kernel> {
    /// `None`: nobody asked for it.
    pub(super) admin: Option<Admin<K>>,
    /// How long turns took, from their wake-up to the next sleep.
    turns: Histogram,
    /// When this turn began.
    turn_began: Instant,
    drops_read_at: Option<Instant>,
    /// Those that were open before anybody connected.
    descriptors: Option<Descriptors>,
}

impl<K: Kernel> Pages<K> {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            admin: None,
            turns: Histogram::default(),
            turn_began: now,
            drops_read_at: None,
            descriptors: None,
        }
    }

    pub(super) fn begin_turn(&mut self, now: Instant) {
        self.turn_began = now;
    }

    /// The time was last read after the last piece of work.
    pub(super) fn end_turn(&mut self, now: Instant) {
        self.turns
            .record(now.saturating_duration_since(self.turn_began));
    }
}

impl<K: Kernel> Server<K> {
    /// Serves the pages on these listening sockets too. `descriptors` are the process's, before
    /// anybody connects.
    ///
    /// # Errors
    /// The kernel cannot watch the sockets.
    pub fn serve_admin(
        &mut self,
        listeners: Vec<(K::Listener, Endpoint)>,
        descriptors: Descriptors,
    ) -> io::Result<()> {
        self.pages.descriptors = Some(descriptors);
        let token = |place| Source::Admin(place).token();
        self.pages.admin = Some(Admin::new(&mut self.kernel, listeners, token)?);
        Ok(())
    }

    /// Where the pages are.
    pub fn admin_addresses(&self) -> impl Iterator<Item = &Endpoint> {
        self.pages.admin.iter().flat_map(Admin::addresses)
    }

    /// Answers who asks, for as long as a phase goes on.
    pub(super) fn serve_pages(&mut self) {
        // Lent out meanwhile: the pages are about the rest.
        if let Some(mut admin) = self.pages.admin.take_if(|it| it.is_ready_at(self.now)) {
            admin.work(self, self.sizes.phase_max);
            self.now = self.kernel.now();
            self.pages.admin = Some(admin);
        }
    }

    fn metrics(&mut self, format: Format, watchers: usize) -> Page {
        self.read_kernel_drops();
        let mut page = Exposition::new(format);
        page.family("build_info", Kind::Gauge, "The version that runs.");
        let version = ("version", env!("CARGO_PKG_VERSION"));
        page.sample("build_info", Some(version), 1);
        let connections = self.connections.len();
        page.gauge("connections", "Connections that are open.", connections);
        let max = self.settings.max_connections;
        page.gauge("connections_max", "Connections that there may be.", max);
        let mut last = String::new();
        self.counters.each(|name, label, count| {
            if name != last {
                page.family(name, Kind::Counter, help_of(name));
                name.clone_into(&mut last);
            }
            page.sample(name, label, count);
        });
        let lost = "log_lines_lost_total";
        page.family(lost, Kind::Counter, "Lines that the log has left out.");
        for (reason, count) in lost_lines() {
            page.sample(lost, Some(("reason", reason)), count);
        }
        let turns = "How long turns of the loop took, from the wake-up to the next sleep.";
        page.histogram("turn_duration_seconds", turns, &self.pages.turns);
        self.process_metrics(&mut page, watchers);
        Page {
            status: OK,
            content_type: format.content_type(),
            body: page.finish(),
        }
    }

    /// Those that every program has, by their usual names.
    fn process_metrics(&mut self, page: &mut Exposition, watchers: usize) {
        let figures = self.kernel.process_figures();
        if let Some(started) = figures.started_unix_s {
            let help = "When the process began, in seconds since 1970.";
            page.gauge("process_start_time_seconds", help, started);
        }
        let cpu = "process_cpu_seconds_total";
        page.family(cpu, Kind::Counter, "CPU time of user and system.");
        page.sample(cpu, None, figures.cpu.as_secs_f64());
        if let Some(bytes) = figures.resident_bytes {
            page.gauge("process_resident_memory_bytes", "Resident memory.", bytes);
        }
        if let Some(descriptors) = self.pages.descriptors {
            let open = descriptors.taken_with(self.connections.len() + watchers);
            page.gauge("process_open_fds", "Open descriptors.", open);
            let limit = descriptors.limit;
            page.gauge("process_max_fds", "Descriptors that there may be.", limit);
        }
    }

    fn read_kernel_drops(&mut self) {
        let read_at = self.pages.drops_read_at;
        if read_at.is_some_and(|at| self.now.saturating_duration_since(at) < DROPS_KEPT) {
            return;
        }
        self.pages.drops_read_at = Some(self.now);
        self.count_kernel_drops();
    }
}

impl<K: Kernel> Site for Server<K> {
    fn page(&mut self, request: &Request<'_>, watchers: usize) -> Page {
        let serves = self.drain.is_none() && !self.upgrade.is_done();
        match request.path {
            "/metrics" if request.takes_openmetrics => self.metrics(Format::OpenMetrics, watchers),
            "/metrics" => self.metrics(Format::Text, watchers),
            "/livez" => Page::text(OK, "ok"),
            "/readyz" | "/healthz" if serves => Page::text(OK, "ok"),
            "/readyz" | "/healthz" => Page::text("503 Service Unavailable", "draining"),
            _ => Page::not_found(),
        }
    }
}

const OK: &str = "200 OK";

/// What a counter counts, for who reads the page.
fn help_of(name: &str) -> &'static str {
    match name {
        "connections_accepted_total" => "Connections that were accepted and let in.",
        "connections_closed_total" => "Connections that have ended, by the first reason for that.",
        "connections_refused_total" => {
            "Connections that were closed as soon as they were accepted."
        }
        "accept_errors_total" => "Connections that could not be accepted.",
        "messages_total" => "Messages received, answered or not.",
        "replies_total" => "Replies made; of datagrams those that the kernel took.",
        "received_bytes_total" => "Payload received.",
        "sent_bytes_total" => "Payload given to the kernel.",
        "datagrams_dropped_total" => "Datagrams without a reply.",
        "receive_errors_total" => "Times that receiving datagrams failed.",
        "loop_turns_total" => "Turns of the loop.",
        _ => "",
    }
}
