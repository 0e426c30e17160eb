//! What standard output and standard error can be: pipes, sockets, terminals that nobody reads, and
//! the environments in which they are hard to come by.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Action, tcflow};

use super::until;
use crate::support::{PROGRAM, command, skip};

/// Nobody: who may open nothing of root's.
pub(crate) const NOBODY: &str = "65534";

/// A pseudo-terminal.
pub(crate) struct Pty {
    pub(crate) master: File,
    /// Held open, so that it is not as new for the next who opens it.
    slave: OwnedFd,
    path: PathBuf,
}

impl Pty {
    pub(crate) fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = PathBuf::from(name.into_string().unwrap());
        Self {
            master: File::from(master),
            slave: open(&path, OFlags::NOCTTY),
            path,
        }
    }

    /// As login leaves a terminal of its user: others may not open it.
    pub(crate) fn of_its_owner_alone(self) -> Self {
        std::fs::set_permissions(&self.path, Permissions::from_mode(0o620)).unwrap();
        self
    }

    /// The end that programs have.
    pub(crate) fn slave(&self) -> OwnedFd {
        self.open(OFlags::NOCTTY)
    }

    fn open(&self, flags: OFlags) -> OwnedFd {
        open(&self.path, flags)
    }

    /// Writes until no more is taken, and stops it, as Ctrl-S does: there may be room again once the
    /// kernel has moved all to where it is read from.
    pub(crate) fn fill(&self) {
        fill(File::from(self.open(OFlags::NOCTTY | OFlags::NONBLOCK)));
        tcflow(&self.slave, Action::OOff).unwrap();
    }

    /// What can be read now.
    pub(crate) fn drain(&self) -> Vec<u8> {
        drain(&self.master)
    }
}

fn open(path: &Path, flags: OFlags) -> OwnedFd {
    let flags = i32::try_from(flags.bits()).unwrap();
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(flags);
    options.open(path).unwrap().into()
}

/// Writes to what does not block until no more is taken, at last not even a byte.
fn fill(mut writer: impl Write) {
    for piece in [&[b'.'; 4096][..], b"."] {
        while writer.write(piece).is_ok() {}
    }
}

/// What can be read now, from the other end of anything.
pub(crate) fn drain(reader: &impl AsFd) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 65536];
    while is_readable(reader) {
        match rustix::io::read(reader, &mut piece) {
            Ok(0) | Err(_) => break,
            Ok(len) => bytes.extend_from_slice(&piece[..len]),
        }
    }
    bytes
}

fn is_readable(reader: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(reader, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).unwrap() > 0
}

/// A pipe that takes no more, and its other end.
pub(crate) fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = io::pipe().unwrap();
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let own = OpenOptions::new()
        .write(true)
        .custom_flags(flags)
        .open(path);
    fill(own.unwrap());
    (reader, writer)
}

/// A stream socket that takes no more, and its other end.
pub(crate) fn full_stream() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    fill(&writer);
    writer.set_nonblocking(false).unwrap();
    (reader.into(), writer.into())
}

/// A datagram socket that takes no more, and its other end.
pub(crate) fn full_datagrams() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = UnixDatagram::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.send(b".").is_ok() {}
    writer.set_nonblocking(false).unwrap();
    (reader.into(), writer.into())
}

/// Whether this is root, who may be anybody; says so where not.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip("only root can be somebody else");
    }
    is_root
}

/// A command that runs another one in a mount namespace of its own, after `setup`, a script for the
/// shell; `None`, and says so, where that is not allowed.
pub(crate) fn in_a_mount_namespace(setup: &str) -> Option<Command> {
    let script = format!("{setup}\nexec \"$@\"");
    let wrapper = || {
        let mut command = command("unshare");
        command.args(["--mount", "sh", "-ec", &script, "sh"]);
        command
    };
    let tried = wrapper().arg("true").stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        skip(&format!("no mount namespace in which to do {setup:?}"));
        return None;
    }
    Some(wrapper())
}

/// Hides /proc, as in a bare chroot.
pub(crate) const HIDE_PROC: &str = "mount -t tmpfs none /proc";

/// Puts something else in the place of the descriptors' files.
pub(crate) const FAKE_PROC: &str =
    "mount -t tmpfs none /proc; mkdir -p /proc/self/fd; : >/proc/self/fd/2";

/// A command that runs another one as nobody; `None`, and says so, where that cannot be had.
pub(crate) fn as_nobody() -> Option<Command> {
    let wrapper = || {
        let mut command = command("setpriv");
        command
            .arg(format!("--reuid={NOBODY}"))
            .arg(format!("--regid={NOBODY}"))
            .arg("--clear-groups");
        command
    };
    // The program's folder may be closed to others.
    let mut tried = wrapper();
    tried.args([PROGRAM, "--version"]);
    let tried = tried.stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        skip("the program cannot be run as nobody here");
        return None;
    }
    Some(wrapper())
}

/// The address on which a process listens over TCP, whatever became of its log: proc_pid_net(5).
pub(crate) fn listens_at(pid: u32) -> SocketAddr {
    let mut port = None;
    until("it listens", || {
        port = listening_port(pid);
        port.is_some()
    });
    ([127, 0, 0, 1], port.unwrap()).into()
}

fn listening_port(pid: u32) -> Option<u16> {
    let is_its_own = |inode: &str| {
        let links = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let targets = links.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        let name = format!("socket:[{inode}]");
        Some(targets.into_iter().any(|it| it.to_str() == Some(&name)))
    };
    let mut table = String::new();
    File::open("/proc/net/tcp")
        .ok()?
        .read_to_string(&mut table)
        .ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_listening = fields[3] == "0A";
        let (_, port) = fields[1].split_once(':')?;
        (is_listening && is_its_own(fields[9])?).then(|| u16::from_str_radix(port, 16).ok())?
    })
}
