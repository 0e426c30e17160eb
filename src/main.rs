//! The program: arguments, log, one call, exit code.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use log::{info, warn};
#[cfg(feature = "load")]
use pingpong::cli::load::LoadOptions;
use pingpong::cli::serve::ServeOptions;
use pingpong::cli::{self, Command};
#[cfg(feature = "load")]
use pingpong::client::load::session;
use pingpong::listen::{self, StartError};
use pingpong::reactor::os::Os;
use pingpong::server::{Config, Exit, Server};
use pingpong::{client, limits, logging};

/// It could not start, or not go on.
const FAILURE: u8 = 1;
/// The command line was wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Print(text)) => print(&text),
        Ok(Command::Ping(options)) => ExitCode::from(client::ping::run::run(&options)),
        Ok(Command::Serve(options)) => serve(&options),
        #[cfg(feature = "load")]
        Ok(Command::Load(options)) => load(&options),
        Err(wrong) => fail(USAGE, &format!("{wrong}\nTry '{}'.", wrong.help())),
    }
}

/// The last words, whatever the log's level; if they fail, nobody is left to tell.
fn fail(code: u8, what: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "pingpong: {what}");
    ExitCode::from(code)
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILURE),
    }
}

#[cfg(feature = "load")]
fn load(options: &LoadOptions) -> ExitCode {
    // Nobody is left to tell if this fails.
    let tell = |what: &str| drop(writeln!(io::stderr(), "pingpong: {what}"));
    let report = match session::run(options) {
        Ok(report) => report,
        Err(failure) => {
            tell(&failure);
            return ExitCode::from(FAILURE);
        }
    };
    if let Some(error) = &report.figures.first_error {
        tell(error);
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
    match try_serve(options) {
        Ok(Exit::Drained) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Ok(Exit::Aborted) => {
            info!("stopped at once by a second signal");
            ExitCode::from(FAILURE)
        }
        Err(failure) => fail(FAILURE, &failure.to_string()),
    }
}

fn try_serve(options: &ServeOptions) -> Result<Exit, StartError> {
    let sockets = listen::open(&options.listen)?;
    let room = limits::connections_within_nofile(sockets.listeners.len() + sockets.datagrams.len());
    if let Some(asked) = options.max_connections.filter(|asked| *asked > room) {
        warn!("there are descriptors for {room} connections only, not for {asked}: see ulimit -n");
    }
    let config = Config {
        max_connections: options.max_connections.unwrap_or(room),
        rules: options.rules,
        idle_timeout: options.idle_timeout,
        drain_timeout: options.drain_timeout,
        other_rate_per_s: options.other_rate_per_s,
        busy_poll: options.busy_poll,
    };
    let urls: Vec<_> = sockets.urls().collect();
    let kernel = Os::new().map_err(|error| StartError::new("cannot wait for events", &error))?;
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
