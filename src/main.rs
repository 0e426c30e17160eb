//! The program: arguments, log, one call, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use log::{info, warn};
#[cfg(feature = "load")]
use pingpong::inside::cli::load::LoadOptions;
use pingpong::inside::cli::serve::ServeOptions;
use pingpong::inside::cli::{self, Command};
#[cfg(feature = "ping")]
use pingpong::inside::client;
#[cfg(feature = "load")]
use pingpong::inside::client::load::session;
use pingpong::inside::listen::{self, Sockets, StartError};
use pingpong::inside::reactor::os::Os;
use pingpong::inside::reactor::program::Program;
use pingpong::inside::server::{Config, Exit, Server};
use pingpong::inside::{limits, logging, outlet, signals};

/// It could not start, or not go on.
const FAILURE: u8 = 1;
/// The command line was wrong.
const USAGE: u8 = 2;

/// What a server has open beside its sockets: the poll, two for the signals, a terminal of its own
/// for the log.
const OWN_DESCRIPTORS: usize = 4;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Print(text)) => print(&text),
        #[cfg(feature = "ping")]
        Ok(Command::Ping(options)) => match signals::prepare_client() {
            Ok(()) => ExitCode::from(client::ping::run::run(&options)),
            Err(error) => fail(USAGE, &format!("cannot handle signals: {error}")),
        },
        #[cfg(not(feature = "ping"))]
        Ok(Command::Ping(_)) => fail(USAGE, "this build is the bare daemon: it has no ping"),
        Ok(Command::Serve(options)) => serve(&options),
        #[cfg(feature = "load")]
        Ok(Command::Load(options)) => load(&options),
        Err(wrong) => fail(USAGE, &format!("{wrong}\nTry '{}'.", wrong.help())),
    }
}

/// The last words, whatever the log's level.
fn fail(code: u8, what: &str) -> ExitCode {
    outlet::complain(what);
    ExitCode::from(code)
}

fn print(text: &str) -> ExitCode {
    match outlet::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILURE, &format!("cannot write the output: {error}")),
    }
}

#[cfg(feature = "load")]
fn load(options: &LoadOptions) -> ExitCode {
    if let Err(error) = signals::prepare_client() {
        return fail(FAILURE, &format!("cannot handle signals: {error}"));
    }
    let report = match session::run(options) {
        Ok(report) => report,
        Err(failure) => {
            return fail(FAILURE, &failure);
        }
    };
    if let Some(error) = &report.figures.first_error {
        outlet::complain(error);
    }
    let text = if options.json {
        report.json() + "\n"
    } else {
        report.to_string()
    };
    let printed = print(&text);
    if report.is_all_right() {
        printed
    } else {
        ExitCode::from(FAILURE)
    }
}

fn serve(options: &ServeOptions) -> ExitCode {
    logging::init(options.verbosity.level());
    let served = try_serve(options);
    match &served {
        Ok(Exit::Drained) => info!("stopped"),
        Ok(Exit::Aborted) => info!("stopped at once by a second signal"),
        Err(_) => {}
    }
    // What has been left out is told, also when it ends in a storm.
    log::logger().flush();
    match served {
        Ok(Exit::Drained) => ExitCode::SUCCESS,
        Ok(Exit::Aborted) => ExitCode::from(FAILURE),
        Err(failure) => fail(FAILURE, &failure.to_string()),
    }
}

fn try_serve(options: &ServeOptions) -> Result<Exit, StartError> {
    signals::prepare_server().map_err(|error| StartError::new("cannot handle signals", &error))?;
    // Before the sockets are opened: they count, too.
    let _ = limits::raised_nofile();
    let sockets = listen::open(&options.listen)?;
    let urls: Vec<_> = sockets.urls().collect();
    let kernel = Os::new().map_err(|error| StartError::new("cannot wait for events", &error))?;
    let config = Config {
        max_connections: max_connections(options, &sockets)?,
        rules: options.rules,
        idle_timeout: options.idle_timeout,
        drain_timeout: options.drain_timeout,
        other_rate_per_s: options.other_rate_per_s,
        busy_poll: options.busy_poll,
    };
    let listeners = sockets
        .listeners
        .into_iter()
        .map(|(listener, _)| listener)
        .collect();
    let mut server = Server::new(kernel, config, listeners, sockets.datagrams)
        .map_err(|error| StartError::new("cannot watch the sockets", &error))?;
    for url in urls {
        info!("listening on {url}");
    }
    server
        .run()
        .map_err(|error| StartError::new("cannot wait for events", &error))
}

/// How many connections are taken at once, now that everything else is open.
fn max_connections(options: &ServeOptions, sockets: &Sockets) -> Result<usize, StartError> {
    let descriptors = limits::raised_nofile();
    let mut others = limits::FOR_A_MOMENT;
    if descriptors.open.is_none() {
        others += OWN_DESCRIPTORS + sockets.listeners.len() + sockets.datagrams.len();
    }
    let room = descriptors.room_beside(others);
    if room == 0 && !sockets.listeners.is_empty() {
        return Err(StartError::told(format!(
            "cannot accept even one connection: that takes {} descriptors, and {} are allowed; \
             raise the limit with ulimit -n, or LimitNOFILE= in a systemd unit",
            descriptors.taken_with(others) + 1,
            descriptors.limit
        )));
    }
    if let Some(asked) = options.max_connections.filter(|asked| *asked > room) {
        warn!("there are descriptors for {room} connections only, not for {asked}: see ulimit -n");
    }
    Ok(options.max_connections.unwrap_or(room))
}
