//! Looking into a running server from outside: its sockets, its network namespace, its calls.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use socket2::SockRef;

use super::server::{Server, pingpong, run};
use crate::support::{command, skip};

/// A socket of another process, by a descriptor of our own: pidfd_getfd(2).
pub(crate) struct Peeked {
    pub(crate) socket: OwnedFd,
    /// The descriptor's flags are each one's own, so these are read from /proc.
    pub(crate) close_on_exec: bool,
}

impl Peeked {
    pub(crate) fn options(&self) -> SockRef<'_> {
        SockRef::from(&self.socket)
    }
}

/// The server's sockets; `None` where this kernel, or who watches over it, does not let us.
pub(crate) fn sockets_of(server: &Server) -> Option<Vec<Peeked>> {
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty()).ok();
    let folder = format!("/proc/{}", server.pid());
    let mut sockets = Vec::new();
    for entry in std::fs::read_dir(format!("{folder}/fd")).unwrap() {
        let path = entry.unwrap().path();
        let link = std::fs::read_link(&path).unwrap_or_default();
        if !link
            .to_str()
            .is_some_and(|link| link.starts_with("socket:"))
        {
            continue;
        }
        let number = path.file_name().unwrap().to_str().unwrap();
        let flags = std::fs::read_to_string(format!("{folder}/fdinfo/{number}")).unwrap();
        let flags = flags.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.unwrap().trim(), 8).unwrap();
        let number = number.parse().unwrap();
        let process = process.as_ref();
        let socket = process.and_then(|it| pidfd_getfd(it, number, PidfdGetfdFlags::empty()).ok());
        let Some(socket) = socket else {
            skip("pidfd_getfd(2) does not work here");
            return None;
        };
        sockets.push(Peeked {
            socket,
            close_on_exec: flags & 0o2_000_000 != 0,
        });
    }
    Some(sockets)
}

/// Does something in a process's network namespace. A thread of its own is moved there.
pub(crate) fn inside_network_of<T: Send>(pid: u32, work: impl FnOnce() -> T + Send) -> T {
    let path = format!("/proc/{pid}/ns/net");
    let namespace = std::fs::File::open(path).unwrap();
    std::thread::scope(|scope| {
        let moved = scope.spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).unwrap();
            work()
        });
        moved.join().unwrap()
    })
}

/// The program in a network namespace of its own, behind a shell script that sets it up and ends
/// in `exec "$@"`; `None`, and a word about it, where that cannot be had.
pub(crate) fn in_namespace(script: &str) -> Option<Command> {
    let mut probe = command("unshare");
    probe.args(["-n", "ip", "link", "set", "lo", "up"]);
    if !Path::new("/usr/bin/unshare").exists() || run(probe).0 != Some(0) {
        skip("no network namespaces for us here");
        return None;
    }
    let mut command = command("unshare");
    command
        .args(["-n", "sh", "-ec", script, "sh"])
        .env_remove("RUST_LOG");
    Some(command)
}

/// strace(1) with these options and the program behind it; `None`, and a word about it, where it
/// may not trace. With -D the tracer is the grandchild, so that the child is the program itself.
pub(crate) fn strace(options: &[&str]) -> Option<Command> {
    let words = ["-D", "-qq", "-o", "/dev/null"];
    let is_there = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join("strace").exists());
    let mut probe = command("strace");
    probe
        .args(words)
        .args(["-e", "inject=getpid:error=EPERM", "true"]);
    if !is_there || run(probe).0 != Some(0) {
        skip("no strace here, or it may not trace");
        return None;
    }
    let mut command = command("strace");
    command
        .args(words)
        .args(options)
        .arg(pingpong(&[]).get_program())
        .env_remove("RUST_LOG");
    Some(command)
}
