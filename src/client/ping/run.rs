//! From the command line to the exit status.

use std::io::{self, IsTerminal};
use std::time::SystemTime;

use super::{Manner, PingOptions, PingStats, Pinger, Style};
use crate::outlet::{self, Outlet};
use crate::reactor::os::Os;
use crate::transport::Transport;

/// A reply came over every transport.
const ANSWERED: u8 = 0;
/// Over one of them none came.
const UNANSWERED: u8 = 1;
/// It could not even be tried, or not be told.
const FAILURE: u8 = 2;

/// Pings, and returns the exit status.
pub fn run(options: &PingOptions) -> u8 {
    match try_run(options) {
        Ok(true) => ANSWERED,
        Ok(false) => UNANSWERED,
        Err(error) => {
            outlet::complain(&error);
            FAILURE
        }
    }
}

fn try_run(options: &PingOptions) -> Result<bool, String> {
    let host = options.target.host.clone();
    let addresses = options.target.resolve(options.family);
    let addresses = addresses.map_err(|error| format!("cannot look up {host}: {error}"))?;
    let cannot_wait = |error: io::Error| format!("cannot wait for events: {error}");
    // Only now: until here, a signal ends the process, even while a name server lets it wait.
    let kernel = Os::for_client().map_err(cannot_wait)?.telling_room();
    let target = (host, addresses);
    let streams = (Outlet::new(io::stdout()), Outlet::new(io::stderr()));
    let mut pinger = Pinger::new(kernel, options.plan, manner(options), target, streams);
    let is_answered = pinger.ping().map_err(cannot_wait)?;
    if let Some(error) = pinger.take_output_failure() {
        return Err(format!("cannot write the output: {error}"));
    }
    Ok(is_answered & holds(options, &pinger.stats()))
}

/// Whether every requirement holds over each transport; tells of those that do not.
fn holds(options: &PingOptions, stats: &[(Transport, &PingStats)]) -> bool {
    let each = options
        .require
        .iter()
        .flat_map(|it| stats.iter().map(move |of| (it, of)));
    let broken = each.filter_map(|(requirement, (transport, stats))| {
        let value = stats.figure(requirement.figure());
        requirement
            .holds(value, &format!(" over {transport}"))
            .err()
    });
    broken.inspect(|told| outlet::complain(told)).count() == 0
}

fn manner(options: &PingOptions) -> Manner {
    let style = match options {
        PingOptions { quiet: true, .. } => Style::Quiet,
        PingOptions { json: true, .. } => Style::Json,
        // Backspaces mean something to a terminal only.
        PingOptions { flood: true, .. } if io::stdout().is_terminal() => Style::Dots,
        PingOptions { flood: true, .. } => Style::Quiet,
        _ => Style::Lines,
    };
    Manner {
        style,
        json: options.json,
        timestamps: options.timestamps,
        ports: options.plan.rotate_port,
        clock: SystemTime::now,
    }
}
