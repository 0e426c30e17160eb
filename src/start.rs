//! From a configuration to a server that listens: what is done once, before the loop.

use std::io;
use std::mem;
use std::time::Duration;

use ipnet::IpNet;
use log::{info, warn};

#[cfg(feature = "admin")]
use crate::address::Address;
#[cfg(feature = "admin")]
use crate::admin::DESCRIPTORS_MAX;
use crate::inherited::{self, Inherited};
use crate::limits;
use crate::listen::{self, Listen, Sockets};
use crate::protocol::stream::Rules;
use crate::reactor::kernel::{Kernel, Notice};
use crate::reactor::os::Os;
use crate::reactor::program::Program;
use crate::reactor::stopper::Stopper;
use crate::reactor::supervisor::{Supervisor, watchdog_interval};
use crate::server::admission::Allowed;
use crate::server::{Exit, Server, Settings};
use crate::start_error::StartError;

/// What a server has open beside its sockets: the poll, two for the signals, a terminal of its own
/// for the log.
const OWN_DESCRIPTORS: usize = 4;

/// What a server is to do: its defaults are those of the command line.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which sockets to open.
    pub listen: Listen,
    /// Further connections wait in the backlog. `None`: as many as there are descriptors for.
    pub max_connections: Option<usize>,
    /// Whose connections and datagrams are served, but for Unix sockets'; empty: everybody's.
    pub allow: Vec<IpNet>,
    /// How many connections one client may have: an IPv4 address, or an IPv6 network of 64 bits.
    pub max_per_client: Option<usize>,
    /// About messages.
    pub rules: Rules,
    /// How long a connection may go without progress; `None` for ever.
    pub idle_timeout: Option<Duration>,
    /// The longest that a graceful stop takes.
    pub drain_timeout: Duration,
    /// Replies a second to datagrams that are not pings; 0: no limit.
    pub other_rate_per_s: u32,
    /// How long to spin before sleeping.
    pub busy_poll: Duration,
    /// Where metrics and health are shown over HTTP.
    #[cfg(feature = "admin")]
    pub admin: Option<Address>,
}

impl Default for Config {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            listen: Listen::default(),
            max_connections: None,
            allow: Vec::new(),
            max_per_client: None,
            rules: settings.rules,
            idle_timeout: settings.idle_timeout,
            drain_timeout: settings.drain_timeout,
            other_rate_per_s: settings.other_rate_per_s,
            busy_poll: settings.busy_poll,
            #[cfg(feature = "admin")]
            admin: None,
        }
    }
}

/// What a server begins with.
struct Beginning {
    sockets: Sockets,
    /// Listeners for the pages.
    #[cfg(feature = "admin")]
    admin: Sockets,
    watchdog_interval: Option<Duration>,
}

impl Beginning {
    /// With the sockets of the command line, where none were inherited.
    fn with(config: &Config, inherited: &mut Inherited) -> Result<Self, StartError> {
        let mut sockets = mem::take(&mut inherited.sockets);
        if sockets.is_empty() {
            sockets = listen::open(&config.listen)?;
        }
        Ok(Self {
            sockets,
            #[cfg(feature = "admin")]
            admin: match (mem::take(&mut inherited.admin), &config.admin) {
                (admin, Some(address)) if admin.is_empty() => {
                    listen::open_admin(&config.listen, address)?
                }
                (admin, _) => admin,
            },
            watchdog_interval: None,
        })
    }
}

impl Server {
    /// Opens its sockets. From now on clients can connect; they are answered by
    /// [`Server::serve`]. The process's signals are its own affair.
    ///
    /// # Errors
    /// An address cannot be had, or there are too few descriptors for even one connection.
    pub fn bind(config: &Config) -> Result<Self, StartError> {
        let beginning = || Beginning::with(config, &mut Inherited::default());
        Self::on(config, beginning, Os::without_signals)
    }

    /// As [`Server::bind`], for a process that is nothing but the server: SIGTERM, SIGINT, SIGHUP,
    /// SIGUSR1 and SIGUSR2 are the server's, so are the sockets that the process has inherited
    /// (`LISTEN_FDS`), and a service manager is told how it does (`NOTIFY_SOCKET`).
    ///
    /// # Errors
    /// As for [`Server::bind`]; or what was inherited cannot be served.
    pub fn bind_as_process(config: &Config) -> Result<Self, StartError> {
        let mut inherited = inherited::take(&config.listen)?;
        let beginning = || {
            let beginning = Beginning::with(config, &mut inherited)?;
            Ok(Beginning {
                watchdog_interval: watchdog_interval(),
                ..beginning
            })
        };
        let kernel = || {
            let os = Os::new()?.told_to(Supervisor::from_env());
            #[cfg(feature = "upgrade")]
            let os = os.replaceable();
            Ok(os)
        };
        let mut server = Self::on(config, beginning, kernel)?;
        let told = inherited.tell_ready();
        let is_told = told.map_err(|error| StartError::new("cannot take over", &error))?;
        // The one that this one replaces tells the service manager, which listens to that one alone.
        if !is_told {
            server.kernel().notify(Notice::Ready);
        }
        Ok(server)
    }

    fn on(
        config: &Config,
        beginning: impl FnOnce() -> Result<Beginning, StartError>,
        kernel: impl FnOnce() -> io::Result<Os>,
    ) -> Result<Self, StartError> {
        // Before the sockets are opened: they count, too.
        let _ = limits::raised_nofile();
        let beginning = beginning()?;
        #[cfg_attr(not(feature = "admin"), expect(unused_mut, reason = "for the pages"))]
        let mut kernel =
            kernel().map_err(|error| StartError::new("cannot wait for events", &error))?;
        #[cfg(feature = "admin")]
        if !beginning.admin.is_empty() {
            kernel.open_figures();
        }
        let settings = Settings {
            max_connections: max_connections(config, &beginning)?,
            allowed: Allowed(config.allow.clone()),
            max_per_client: config.max_per_client,
            rules: config.rules,
            idle_timeout: config.idle_timeout,
            drain_timeout: config.drain_timeout,
            other_rate_per_s: config.other_rate_per_s,
            busy_poll: config.busy_poll,
            watchdog_interval: beginning.watchdog_interval,
        };
        let unwatched = |error| StartError::new("cannot watch the sockets", &error);
        let Sockets {
            listeners,
            datagrams,
        } = beginning.sockets;
        #[cfg_attr(not(feature = "admin"), expect(unused_mut, reason = "for the pages"))]
        let mut server = Self::new(kernel, settings, listeners, datagrams).map_err(unwatched)?;
        for at in server.addresses() {
            info!("listening on {at}");
        }
        // Behind the first lines: to write them the log may have opened a descriptor of its own.
        #[cfg(feature = "admin")]
        server
            .serve_admin(beginning.admin.listeners, limits::raised_nofile())
            .map_err(unwatched)?;
        #[cfg(feature = "admin")]
        for at in server.admin_addresses() {
            info!(
                "listening on {}",
                at.to_string().replace("tcp://", "http://")
            );
        }
        Ok(server)
    }

    /// Serves until it is asked to stop.
    ///
    /// # Errors
    /// The kernel can no longer wait for events.
    pub fn serve(&mut self) -> io::Result<Exit> {
        self.run()
    }

    /// What stops it from another thread.
    ///
    /// # Errors
    /// As eventfd(2).
    pub fn stopper(&mut self) -> io::Result<Stopper> {
        self.kernel().stopper()
    }
}

/// How many connections are taken at once, now that everything else is open.
fn max_connections(config: &Config, beginning: &Beginning) -> Result<usize, StartError> {
    let descriptors = limits::raised_nofile();
    let listeners = beginning.sockets.listeners.len();
    let sockets = listeners + beginning.sockets.datagrams.len();
    let mut others = limits::FOR_A_MOMENT + descriptors.kept_for_successor(sockets);
    #[cfg(feature = "admin")]
    if !beginning.admin.is_empty() {
        others += DESCRIPTORS_MAX + beginning.admin.listeners.len();
    }
    if descriptors.open.is_none() {
        others += OWN_DESCRIPTORS + sockets;
    }
    let room = descriptors.room_beside(others);
    if room == 0 && listeners > 0 {
        return Err(StartError::told(format!(
            "cannot accept even one connection: that takes {} descriptors, and {} are allowed; \
             raise the limit with ulimit -n, or LimitNOFILE= in a systemd unit",
            descriptors.taken_with(others) + 1,
            descriptors.limit
        )));
    }
    if let Some(asked) = config.max_connections.filter(|asked| *asked > room) {
        warn!("there are descriptors for {room} connections only, not for {asked}: see ulimit -n");
    }
    Ok(config.max_connections.unwrap_or(room))
}
