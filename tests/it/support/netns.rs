//! Network namespaces: hosts and links of the test's own.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fd::AsFd;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::server::{pingpong, run};
use super::{command, skip};

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A host with a loopback of its own. It is gone when the test is.
pub(crate) struct Host {
    pub(crate) name: String,
}

impl Host {
    /// `None` where this user or this machine cannot have one, which is told.
    #[track_caller]
    pub(crate) fn new() -> Option<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pingpong-{}-{number}", std::process::id());
        let mut ip = command("ip");
        ip.args(["netns", "add", &name]);
        let why = match ip.output() {
            Ok(made) if made.status.success() => None,
            Ok(made) => Some(String::from_utf8_lossy(&made.stderr).into_owned()),
            Err(error) => Some(format!("no ip(8): {error}")),
        };
        if let Some(why) = why {
            skip(&format!("no network namespace: {}", why.trim()));
            return None;
        }
        let host = Self { name };
        host.ip("link set lo up");
        Some(host)
    }

    /// ip(8) in there.
    pub(crate) fn ip(&self, args: &str) {
        let mut ip = command("ip");
        ip.args(["-n", &self.name]).args(args.split(' '));
        let (code, _, stderr) = run(ip);
        assert_eq!(code, Some(0), "ip {args}: {stderr}");
    }

    /// Sets a sysctl of its network, by its path below /proc/sys/net.
    pub(crate) fn sysctl(&self, path: &str, value: &str) {
        self.enter(|| std::fs::write(format!("/proc/sys/net/{path}"), value).unwrap());
    }

    /// A link to another host, with an interface of this name at each end.
    pub(crate) fn link(&self, other: &Self, name: &str, mtu: usize) {
        let peer = &other.name;
        self.ip(&format!(
            "link add {name} type veth peer name {name} netns {peer}"
        ));
        for host in [self, other] {
            host.ip(&format!("link set {name} mtu {mtu} up"));
        }
    }

    /// What follows happens on that host.
    pub(crate) fn enter<R: Send>(&self, what: impl FnOnce() -> R + Send) -> R {
        let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
        let inside = || {
            // A thread has a network of its own, so nobody else is moved.
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(file.as_fd(), network).unwrap();
            what()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().unwrap())
    }

    /// The program on that host.
    pub(crate) fn pingpong(&self, args: &[&str]) -> Command {
        let program = pingpong(args);
        let mut command = command("ip");
        command.args(["netns", "exec", &self.name]);
        command.arg(program.get_program()).args(program.get_args());
        command.env_remove("RUST_LOG");
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = command("ip").args(["netns", "del", &self.name]).output();
    }
}
