//! The program: arguments, log, one call, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use log::info;
use pingpong::inside::cli::serve::ServeOptions;
use pingpong::inside::cli::{self, Command};
#[cfg(feature = "load")]
use pingpong::inside::client::load::session;
#[cfg(feature = "ping")]
use pingpong::inside::client::ping;
use pingpong::inside::listen::StartError;
use pingpong::inside::server::{Exit, Server};
use pingpong::inside::{logging, outlet, signals};

/// It could not start, or not go on.
const FAILURE: u8 = 1;
/// The command line was wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1), std::env::vars_os()) {
        Ok(Command::Print(text)) => print(&text),
        #[cfg(feature = "ping")]
        Ok(Command::Ping(options)) => client(|| ping::run::run(&options)),
        Ok(Command::Serve(options)) => serve(&options),
        #[cfg(feature = "load")]
        Ok(Command::Load(options)) => client(|| session::run(&options)),
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

/// Runs a client, which says by itself what went wrong. Its log is there for bugs alone.
#[cfg(any(feature = "load", feature = "ping"))]
fn client(run: impl FnOnce() -> u8) -> ExitCode {
    logging::init(Some(log::LevelFilter::Error));
    match signals::prepare_client() {
        Ok(()) => ExitCode::from(run()),
        Err(error) => fail(USAGE, &format!("cannot handle signals: {error}")),
    }
}

fn serve(options: &ServeOptions) -> ExitCode {
    logging::init(options.verbosity.level());
    let served = try_serve(options);
    match &served {
        Ok(Exit::Drained) => info!("stopped"),
        Ok(Exit::Replaced) => info!("ended: its last connection has gone"),
        Ok(Exit::Aborted) => info!("stopped at once by a second signal"),
        Err(_) => {}
    }
    // What has been left out is told, also when it ends in a storm.
    log::logger().flush();
    match served {
        Ok(Exit::Drained | Exit::Replaced) => ExitCode::SUCCESS,
        Ok(Exit::Aborted) => ExitCode::from(FAILURE),
        Err(failure) => fail(FAILURE, &failure.to_string()),
    }
}

fn try_serve(options: &ServeOptions) -> Result<Exit, StartError> {
    signals::prepare_server().map_err(|error| StartError::new("cannot handle signals", &error))?;
    Server::bind_as_process(&options.config)?
        .serve()
        .map_err(|error| StartError::new("cannot wait for events", &error))
}
