//! What it says where it cannot start: what is wrong, and what to do about that.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use super::command_line::complaint;
use crate::support::client::{ask, connect};
use crate::support::has_ipv6;
use crate::support::inside::{in_namespace, inside_network_of, strace};
use crate::support::server::{Server, pingpong, run};
use crate::support::{PROGRAM, command, skip};

/// Refuses to start with status 1 and one line: that line.
fn refusal(command: Command) -> String {
    let (code, stdout, stderr) = run(command);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

/// A port that is free, now and at 127.0.78.x, where no other test goes.
fn own_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 78, 1), 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn addresses_that_overlap() {
    let port = own_port();
    for (first, second, what) in [
        (
            format!("127.0.78.1:{port}"),
            format!("127.0.78.1:{port}"),
            format!(
                "tcp://127.0.78.1:{port}: --listen 127.0.78.1:{port} is given twice: once is enough"
            ),
        ),
        (
            format!("0.0.0.0:{port}"),
            format!("127.0.78.1:{port}"),
            format!(
                "tcp://127.0.78.1:{port}: --listen 0.0.0.0:{port} includes it: leave --listen 127.0.78.1:{port} out"
            ),
        ),
        (
            format!("127.0.78.1:{port}"),
            format!("0.0.0.0:{port}"),
            format!("tcp://0.0.0.0:{port}: it includes --listen 127.0.78.1:{port}: leave that out"),
        ),
        // The second is another way to write the first.
        (
            format!("127.0.78.1:{port}"),
            format!("127.0.19969:{port}"),
            format!(
                "tcp://127.0.78.1:{port}: --listen 127.0.78.1:{port} is the same address: leave one of the two out"
            ),
        ),
    ] {
        let told = complaint(&["serve", "--listen", &first, "--listen", &second], 1);
        assert_eq!(told, format!("pingpong: cannot listen on {what}\n"));
        // Over UDP it is the same.
        let told = complaint(
            &["serve", "--no-tcp", "--listen", &first, "--listen", &second],
            1,
        );
        assert_eq!(
            told,
            format!(
                "pingpong: cannot listen on {}\n",
                what.replace("tcp:", "udp:")
            )
        );
    }
    if has_ipv6() {
        let (all, one) = (format!(":{port}"), format!("127.0.78.1:{port}"));
        let told = complaint(&["serve", "--listen", &all, "--listen", &one], 1);
        assert!(
            told.contains(&format!(": --listen {all} includes it: ")),
            "{told}"
        );
        let told = complaint(&["serve", "--listen", &one, "--listen", &all], 1);
        assert!(
            told.contains(&format!("tcp://[::]:{port}: it includes --listen {one}: ")),
            "{told}"
        );
    }
    // Somebody else's is somebody else's.
    let server = Server::start(&[]);
    let at = server.tcp[0].to_string();
    let told = complaint(&["serve", "--listen", "127.0.78.1:0", "--listen", &at], 1);
    assert!(told.contains("stop the program that has it"), "{told}");
    let told = complaint(&["serve", "--reuse-port", "--listen", &at], 1);
    assert!(told.contains("have it share the port too"), "{told}");
}

/// EACCES of a port that is not everybody's, and of one that is: then it is somebody's policy.
#[test]
fn permission() {
    let script = "ip link set lo up; echo \"$1\" >/proc/sys/net/ipv4/ip_unprivileged_port_start; \
                  shift; exec \"$@\"";
    for (start, port, what) in [
        (
            "1024",
            1023,
            "ports below 1024 are for root or CAP_NET_BIND_SERVICE: choose another",
        ),
        (
            "1024",
            1024,
            "a security policy of this host or container forbids it",
        ),
        (
            "1024",
            18300,
            "a security policy of this host or container forbids it",
        ),
        (
            "1024",
            0,
            "a security policy of this host or container forbids it",
        ),
        ("80", 79, "ports below 80 are for root"),
        ("80", 80, "a security policy of this host"),
        ("0", 1, "a security policy of this host"),
    ] {
        let Some(mut command) = in_namespace(script) else {
            return;
        };
        let Some(strace) = strace(&["-e", "inject=bind:error=EACCES"]) else {
            return;
        };
        command.arg(start).arg("strace").args(strace.get_args());
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}")]);
        let told = refusal(command);
        let expected = format!(
            "pingpong: cannot listen on tcp://127.0.0.1:{port}: \
             Permission denied (os error 13); {what}"
        );
        assert!(told.starts_with(&expected), "{told}");
    }
}

/// Without privileges, for real.
#[test]
fn a_low_port_of_somebody_who_is_not_root() {
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let start: u16 = start.unwrap().trim().parse().unwrap();
    let mut setpriv = command("setpriv");
    setpriv.args([
        "--reuid=65534",
        "--clear-groups",
        "--bounding-set=-all",
        "--inh-caps=-all",
    ]);
    if start < 2 || !rustix::process::geteuid().is_root() || run(probe_of(&setpriv)).0 != Some(0) {
        skip("nobody else to be here, or no port that is for root");
        return;
    }
    setpriv.arg(pingpong(&[]).get_program());
    setpriv.args(["serve", "--listen", "127.0.0.1:1"]);
    let told = refusal(setpriv);
    assert!(
        told.contains(&format!("ports below {start} are for root")),
        "{told}"
    );
}

/// Whether that somebody could start the program at all: it may lie in root's own folder.
fn probe_of(setpriv: &Command) -> Command {
    let mut probe = command("setpriv");
    probe.args(setpriv.get_args());
    probe.arg(pingpong(&[]).get_program()).arg("--version");
    probe
}

#[test]
fn link_local_addresses_need_their_interface() {
    let told = complaint(&["serve", "--listen", "[fe80::1]:0"], 1);
    let expected = "cannot listen on [fe80::1]:0: \
                    a link-local address needs its interface, as in [fe80::1%eth0]:8888\n";
    assert_eq!(told, format!("pingpong: {expected}"));
    let told = complaint(&["serve", "--listen", "[fe80::1%no-such]:0"], 1);
    let expected = "cannot listen on [fe80::1%no-such]:0: \
                    this host has no network interface 'no-such'\n";
    assert_eq!(told, format!("pingpong: {expected}"));
    if has_ipv6() {
        let told = complaint(&["serve", "--listen", "[fe80::1%4000000]:0"], 1);
        assert!(
            told.ends_with("; this host has no such network interface\n"),
            "{told}"
        );
    }
    #[cfg(feature = "ping")]
    for (target, what) in [
        ("[fe80::1]:8", "a link-local address needs its interface"),
        ("fe80::1", "a link-local address needs its interface"),
        ("[fe80::1%no-such]:8", "no network interface 'no-such'"),
    ] {
        let told = complaint(&["ping", target], 2);
        assert!(told.contains(what), "{told}");
    }
}

/// By the interface's name and by its number, server and client, over both transports.
#[test]
fn link_local_addresses_with_their_interface() {
    let script = "ip link set lo up; ip link add v0 type veth peer name v1; \
                  ip addr add fe80::78/64 dev v0 nodad; ip link set v0 up; ip link set v1 up; \
                  exec \"$@\"";
    let Some(mut command) = in_namespace(script) else {
        return;
    };
    command.arg(PROGRAM);
    command.args(["serve", "--listen", "[fe80::78%v0]:0"]);
    let server = Server::spawn(command);
    let std::net::SocketAddr::V6(at) = server.tcp[0] else {
        panic!("{:?}", server.tcp);
    };
    assert_ne!(at.scope_id(), 0);
    inside_network_of(server.pid(), || {
        ask(&connect(at.into()), b"ping\n", b"pong\n");
        #[cfg(feature = "ping")]
        for interface in ["v0", &at.scope_id().to_string()] {
            let target = format!("[fe80::78%{interface}]:{}", at.port());
            let args = ["ping", "--tcp", "--udp", "-c1", "-W5", &target];
            let (code, stdout, stderr) = run(pingpong(&args));
            assert_eq!(code, Some(0), "{stdout}{stderr}");
        }
    });
}

/// While nobody is known to have it too, and for ever where somebody has.
#[test]
fn an_address_in_duplicate_detection() {
    // Without a carrier the detection does not even begin.
    let tentative = "ip link set lo up; ip link add v0 type veth peer name v1; \
                     ip link set v0 up; ip addr add 2001:db8::78/64 dev v0; exec \"$@\"";
    let duplicate = "ip link set lo up; ip link add v0 type veth peer name v1; \
                     ip link set v0 address 02:00:00:00:00:01; \
                     ip link set v1 address 02:00:00:00:00:02; \
                     ip link set v1 up; ip addr add 2001:db8::78/64 dev v1 nodad; \
                     ip link set v0 up; ip addr add 2001:db8::78/64 dev v0; \
                     n=0; until ip addr show dev v0 | grep -q dadfailed || [ $n = 100 ]; \
                     do sleep 0.1; n=$((n + 1)); done; ip addr flush dev v1; exec \"$@\"";
    for (script, what) in [
        (
            tentative,
            "the address is still being checked for duplicates (tentative): try again",
        ),
        (
            duplicate,
            "another host has this address too (duplicate address detection failed)",
        ),
    ] {
        let Some(mut command) = in_namespace(script) else {
            return;
        };
        command.arg(PROGRAM);
        command.args(["serve", "--listen", "[2001:db8::78]:0"]);
        let told = refusal(command);
        assert!(told.contains(what), "{told}");
        assert!(!told.contains("no such address"), "{told}");
    }
}
