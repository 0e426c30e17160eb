//! The program: arguments, log, one call, exit code.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use log::{error, info};
use pingpong::cli::serve::ServeOptions;
use pingpong::cli::{self, Command};
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
        Err(wrong) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "pingpong: {wrong}\nTry 'pingpong --help'.");
            ExitCode::from(USAGE)
        }
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILURE),
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
        Err(failure) => {
            error!("{failure}");
            ExitCode::from(FAILURE)
        }
    }
}

fn try_serve(options: &ServeOptions) -> Result<Exit, StartError> {
    let sockets = listen::open(&options.listen)?;
    let room = limits::connections_within_nofile(sockets.listeners.len() + sockets.datagrams.len());
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
