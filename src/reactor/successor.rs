//! The program that replaces this one: started as it lies at its path now, with the same arguments and
//! the same sockets.
//!
//! It gets the sockets as systemd's would come, sd_listen_fds(3), and behind them one end of a pair: a
//! byte from there says that it serves.

use std::env;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use command_fds::{CommandFdExt, FdMapping};
use log::{info, warn};

use super::attempt::{Attempt, attempt};
use super::kernel::{HandedOver, Signal};
use super::sockets::OsDatagrams;
use super::sockets::OsListener;
use super::{ADMIN, ADMIN_FILE, OTHER, OWN_FILE, READY};

/// The first descriptor that is handed over.
const FIRST_FD: i32 = 3;

/// How this program was started, which is how the next one will be.
#[derive(Debug)]
pub struct Origin {
    path: PathBuf,
    args: Vec<OsString>,
}

impl Origin {
    /// To be asked at the start: later the file at the path may be another one.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let args: Vec<_> = env::args_os().collect();
        let running = env::current_exe().ok();
        let named = args.first().and_then(|name| named_by(Path::new(name)));
        // By its name, if that is what runs: a link there may lead to another version by then.
        let path = match (named, running) {
            (Some(named), Some(running)) if is_same(&named, &running) => named,
            (named, running) => running.or(named)?,
        };
        Some(Self { path, args })
    }

    /// Starts the program with these sockets, each with its name.
    ///
    /// # Errors
    /// As execve(2), fork(2), fcntl(2) and socketpair(2).
    fn start(&self, sockets: Vec<(OwnedFd, &'static str)>) -> io::Result<Successor> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (mut fds, mut names): (Vec<_>, Vec<_>) = sockets.into_iter().unzip();
        fds.push(theirs.into());
        names.push(READY);
        let mut command = Command::new(&self.path);
        command.args(self.args.iter().skip(1));
        if let Some(name) = self.args.first() {
            command.arg0(name);
        }
        command.env("LISTEN_FDS", fds.len().to_string());
        command.env("LISTEN_FDNAMES", names.join(":"));
        command.env_remove("LISTEN_PID").env_remove("WATCHDOG_PID");
        let mappings = (FIRST_FD..)
            .zip(fds)
            .map(|(child_fd, parent_fd)| FdMapping {
                parent_fd,
                child_fd,
            });
        command
            .fd_mappings(mappings.collect())
            .map_err(io::Error::other)?;
        let child = command.spawn()?;
        info!("process {} starts {}", child.id(), self.path.display());
        Ok(Successor {
            child,
            ready: ours,
            is_ready: false,
        })
    }
}

/// Where a program is that was called by `name`: at that path, or in a folder of PATH.
fn named_by(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return std::path::absolute(name).ok();
    }
    let folders = env::var_os("PATH")?;
    let mut paths = env::split_paths(&folders).map(|folder| folder.join(name));
    paths.find(|path| path.is_file())
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| path.metadata().map(|it| (it.dev(), it.ino())).ok();
    identity(one).is_some_and(|it| Some(it) == identity(other))
}

/// A program that was started to replace this one.
#[derive(Debug)]
pub struct Successor {
    child: Child,
    ready: UnixStream,
    is_ready: bool,
}

/// What there is of successors: how one is started, and the one that was.
#[derive(Debug)]
pub struct Succession {
    origin: Option<Origin>,
    successor: Option<Successor>,
}

impl Succession {
    /// To be asked at the start.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self {
            origin: Origin::of_this_process(),
            successor: None,
        }
    }

    /// Starts the program with these sockets, each with its name. Returns its process and what the
    /// poll has to watch.
    ///
    /// # Errors
    /// As execve(2), fork(2), fcntl(2) and socketpair(2).
    pub fn start(&mut self, sockets: Vec<(OwnedFd, &'static str)>) -> io::Result<(u32, RawFd)> {
        if std::process::id() == 1 {
            let why = "this is process 1, whose end would be the end of all others: \
                       start the container anew";
            return Err(io::Error::other(why));
        }
        let origin = self.origin.as_ref();
        let origin = origin.ok_or_else(|| io::Error::other("its path is not known"))?;
        let successor = origin.start(sockets)?;
        let watched = (successor.child.id(), successor.ready.as_raw_fd());
        self.successor = Some(successor);
        Ok(watched)
    }

    /// What it has said since it was last asked.
    pub fn news(&mut self) -> Option<Signal> {
        let successor = self.successor.as_mut().filter(|it| !it.is_ready)?;
        match attempt(|| (&successor.ready).read(&mut [0])) {
            Attempt::Blocked => None,
            Attempt::Done(1..) => {
                successor.is_ready = true;
                Some(Signal::Replaced(successor.child.id()))
            }
            // It is about to end, or does not mean to serve. Its end is told when it has come.
            Attempt::Done(0) | Attempt::Failed(_) => {
                self.end();
                None
            }
        }
    }

    /// A child has ended: SIGCHLD. Nothing of it stays in the process table.
    pub fn child_ended(&mut self) -> Option<Signal> {
        let news = self.news();
        let successor = self.successor.as_mut()?;
        let status = successor.child.try_wait().ok().flatten()?;
        let (pid, was_ready) = (successor.child.id(), successor.is_ready);
        self.successor = None;
        if was_ready {
            return news;
        }
        warn!("process {pid} has ended before it was ready: {status}; going on as before");
        Some(Signal::NotReplaced)
    }

    /// Ends it, unless it serves.
    pub fn end(&mut self) {
        if let Some(successor) = self.successor.as_mut().filter(|it| !it.is_ready) {
            // It fails only where it has ended already.
            let _ = successor.child.kill();
        }
    }
}

/// A descriptor for the successor, and the name that tells it what is special about it.
pub(super) fn handed_over(
    socket: &HandedOver<'_, OsListener, OsDatagrams>,
) -> io::Result<(OwnedFd, &'static str)> {
    let (fd, has_file) = match socket {
        HandedOver::Admin(listener) => {
            let name = if listener.has_file() {
                ADMIN_FILE
            } else {
                ADMIN
            };
            return Ok((listener.as_fd().try_clone_to_owned()?, name));
        }
        HandedOver::Listener(listener) => (listener.as_fd(), listener.has_file()),
        HandedOver::Datagrams(OsDatagrams::Udp(udp)) => (udp.as_fd(), false),
        HandedOver::Datagrams(OsDatagrams::Unix(unix)) => (unix.as_fd(), unix.has_file()),
    };
    let name = if has_file { OWN_FILE } else { OTHER };
    Ok((fd.try_clone_to_owned()?, name))
}
