//! What a service manager hands over and is told: sd_listen_fds(3), sd_notify(3), the journal.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::Signal;

use crate::support::client::{ask, connect, expect, replies_to, udp};
use crate::support::server::{Reaped, Server, pingpong, run};
use crate::support::{Folder, GUARD, skip, until};

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// The command, with these descriptors from 3 on.
fn handed(args: &[&str], sockets: Vec<OwnedFd>) -> Command {
    let mut command = pingpong(args);
    command.env("LISTEN_FDS", sockets.len().to_string());
    let mapped = (3..).zip(sockets).map(|(child_fd, parent_fd)| FdMapping {
        parent_fd,
        child_fd,
    });
    command.fd_mappings(mapped.collect()).unwrap();
    command
}

fn copy(socket: &impl AsFd) -> OwnedFd {
    socket.as_fd().try_clone_to_owned().unwrap()
}

/// Two of a kind, all kinds at once, and all of them blocking, as systemd leaves them.
#[test]
fn sockets_of_every_kind_are_served() {
    let folder = Folder::new();
    let listeners = [ANY, ANY].map(|at| TcpListener::bind(at).unwrap());
    let sockets = [ANY, ANY].map(|at| UdpSocket::bind(at).unwrap());
    let unix = UnixListener::bind(folder.path("s")).unwrap();
    let unix_datagrams = UnixDatagram::bind(folder.path("d")).unwrap();
    let fds = vec![
        copy(&listeners[0]),
        copy(&sockets[0]),
        copy(&unix),
        copy(&unix_datagrams),
        copy(&listeners[1]),
        copy(&sockets[1]),
    ];
    let mut server = Server::spawn(handed(&["serve", "--listen", "127.0.0.1:1"], fds));
    let at = |it: &TcpListener| it.local_addr().unwrap();
    assert_eq!(server.tcp, listeners.each_ref().map(at));
    assert_eq!(
        server.udp,
        sockets.each_ref().map(|it| it.local_addr().unwrap())
    );
    assert_eq!(server.unix, [folder.path("s"), folder.path("d")]);
    for at in &server.tcp {
        ask(&connect(*at), b"ping\n", b"pong\n");
    }
    let client = udp(Ipv4Addr::LOCALHOST);
    for at in &server.udp {
        assert_eq!(replies_to(&client, *at, &[b"ping"]), [b"pong"]);
    }
    let mut stream = UnixStream::connect(folder.path("s")).unwrap();
    stream.write_all(b"ping\n").unwrap();
    let datagram = UnixDatagram::bind(folder.path("c")).unwrap();
    datagram.set_read_timeout(Some(GUARD)).unwrap();
    datagram.send_to(b"ping", folder.path("d")).unwrap();
    datagram.recv(&mut [0; 9]).unwrap();
    drop(stream);
    // Their files are not its own.
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit(), Some(0));
    assert!(folder.path("s").exists() && folder.path("d").exists());
}

/// Who came before it was started has Nagle's delay no more than others.
#[test]
fn who_waited_in_the_backlog_has_the_same_options() {
    let listener = TcpListener::bind(ANY).unwrap();
    let early = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = Server::spawn(handed(&["serve"], vec![copy(&listener)]));
    ask(&early, b"ping\n", b"pong\n");
    let Some(inside) = crate::support::inside::sockets_of(&server) else {
        return;
    };
    let streams: Vec<_> = inside
        .iter()
        .filter(|it| it.options().peer_addr().is_ok_and(|peer| peer.is_ipv4()))
        .collect();
    assert_eq!(streams.len(), 1);
    let options = streams[0].options();
    assert!(options.tcp_nodelay().unwrap() && options.keepalive().unwrap());
    assert!(options.out_of_band_inline().unwrap());
}

/// What is in the backlog and the buffers of one that stops is the next one's.
#[test]
fn what_waits_stays_for_the_next_process() {
    let listener = TcpListener::bind(ANY).unwrap();
    let socket = UdpSocket::bind(ANY).unwrap();
    let (tcp_at, udp_at) = (listener.local_addr().unwrap(), socket.local_addr().unwrap());
    let fds = || vec![copy(&listener), copy(&socket)];
    let mut first = Server::spawn(handed(&["serve"], fds()));
    ask(&connect(tcp_at), b"ping\n", b"pong\n");
    first.signal(Signal::TERM);
    assert_eq!(first.wait_for_exit(), Some(0));
    let client = udp(Ipv4Addr::LOCALHOST);
    client.send_to(b"ping", udp_at).unwrap();
    let waiting = connect(tcp_at);
    (&waiting).write_all(b"ping 2\n").unwrap();
    let _next = Server::spawn(handed(&["serve"], fds()));
    expect(&waiting, b"pong 2\n");
    assert_eq!(client.recv(&mut [0; 9]).unwrap(), 4);
}

/// What is meant for another process is not taken.
#[test]
fn another_processes_sockets_are_left_alone() {
    let listener = TcpListener::bind(ANY).unwrap();
    let mut command = handed(&["serve", "--listen", "127.0.0.1:0"], vec![copy(&listener)]);
    command.env("LISTEN_PID", "1");
    let server = Server::spawn(command);
    assert_ne!(server.tcp[0], listener.local_addr().unwrap());
}

#[test]
fn what_cannot_be_served_is_told() {
    let fails = |fd: OwnedFd| {
        let (code, _, told) = run(handed(&["serve"], vec![fd]));
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains("socket 1 of the 1 that LISTEN_FDS names"),
            "{told}"
        );
        told
    };
    let told = fails(File::open("/dev/null").unwrap().into());
    assert!(told.contains("it is no socket of TCP or UDP"), "{told}");
    let listener = TcpListener::bind(ANY).unwrap();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let told = fails(connection.into());
    assert!(told.contains("Accept=no"), "{told}");
}

/// The real thing: it opens the sockets, and starts the server when somebody comes.
#[test]
fn systemd_socket_activate() {
    // It takes no port that the system chooses, so one is chosen before.
    let at = TcpListener::bind(ANY).unwrap().local_addr().unwrap();
    let mut command = crate::support::command("systemd-socket-activate");
    command.arg("-l").arg(at.to_string());
    command.arg(crate::support::PROGRAM).arg("serve");
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        return skip("systemd-socket-activate is not installed");
    };
    let _child = Reaped(child);
    let mut client = None;
    until("it listens", || {
        client = TcpStream::connect(at).ok();
        client.is_some()
    });
    ask(&client.unwrap(), b"ping\n", b"pong\n");
}

struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn at(path: &std::path::Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(GUARD)).unwrap();
        Self { socket }
    }

    fn is_told(&self) -> String {
        let mut bytes = [0; 200];
        let len = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    }
}

fn serve_at_a_free_port() -> Command {
    pingpong(&["serve", "--listen", "127.0.0.1:0"])
}

/// Ready is told when clients can come, and stopping when that begins.
#[test]
fn ready_and_stopping_are_told() {
    let folder = Folder::new();
    let manager = Manager::at(&folder.path("n"));
    let at = TcpListener::bind(ANY).unwrap().local_addr().unwrap();
    let mut command = pingpong(&["serve", "--listen", &at.to_string()]);
    command.env("NOTIFY_SOCKET", folder.path("n"));
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let child = Reaped(command.spawn().unwrap());
    assert_eq!(manager.is_told(), "READY=1\n");
    ask(&connect(at), b"ping\n", b"pong\n");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child.0), Signal::TERM)
        .unwrap();
    assert_eq!(manager.is_told(), "STOPPING=1\n");
}

/// As often as is asked for, by a manager at a name without a file; and only to whom it is meant for.
#[test]
fn the_watchdog_is_fed() {
    let name = format!("pingpong-test-{}", std::process::id());
    let abstract_name = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&abstract_name).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    let manager = Manager { socket };
    let mut command = serve_at_a_free_port();
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    command.env("WATCHDOG_USEC", "100000");
    let server = Server::spawn(command);
    assert_eq!(manager.is_told(), "READY=1\n");
    for _ in 0..3 {
        assert_eq!(manager.is_told(), "WATCHDOG=1\n");
    }
    drop(server);

    let mut command = serve_at_a_free_port();
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    command
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1");
    let mut server = Server::spawn(command);
    until("the last of the other's has been taken", || {
        manager.is_told() == "READY=1\n"
    });
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit(), Some(0));
    assert_eq!(manager.is_told(), "STOPPING=1\n");
}

/// Nobody waits for a manager that takes nothing, or is not there.
#[test]
fn a_deaf_manager_holds_up_nobody() {
    let folder = Folder::new();
    let manager = Manager::at(&folder.path("n"));
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"X=1", folder.path("n")).is_ok() {}
    for name in ["n", "nobody"] {
        let mut command = serve_at_a_free_port();
        command
            .env("NOTIFY_SOCKET", folder.path(name))
            .env("WATCHDOG_USEC", "2000");
        let mut server = Server::spawn(command);
        ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
        server.signal(Signal::TERM);
        assert_eq!(server.wait_for_exit(), Some(0));
    }
    drop(manager);
}

/// The command, with a standard error that the environment says is the journal's.
fn into_journal(mut command: Command, inode_off_by: u64) -> (Command, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let about = File::from(copy(&theirs)).metadata().unwrap();
    let inode = about.ino() + inode_off_by;
    command.env("JOURNAL_STREAM", format!("{}:{inode}", about.dev()));
    command.stdin(Stdio::null()).stderr(OwnedFd::from(theirs));
    ours.set_read_timeout(Some(GUARD)).unwrap();
    (command, ours)
}

fn first_line(stream: &UnixStream) -> String {
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stream), &mut line).unwrap();
    line
}

#[test]
fn lines_for_the_journal_begin_with_their_priority() {
    let (mut command, journal) = into_journal(serve_at_a_free_port(), 0);
    let _child = Reaped(command.spawn().unwrap());
    let line = first_line(&journal);
    assert!(
        line.starts_with("<6>listening on tcp://127.0.0.1:"),
        "{line}"
    );

    let (mut command, journal) = into_journal(pingpong(&["serve", "--lisen"]), 0);
    drop(Reaped(command.spawn().unwrap()).0.wait());
    drop(command);
    let mut told = String::new();
    std::io::Read::read_to_string(&mut &journal, &mut told).unwrap();
    assert!(
        told.starts_with("<3>pingpong: there is no option --lisen"),
        "{told}"
    );
    assert!(told.lines().all(|line| line.starts_with("<3>")), "{told}");

    // Standard error has been led elsewhere since.
    let (mut command, not_it) = into_journal(serve_at_a_free_port(), 1);
    let _child = Reaped(command.spawn().unwrap());
    let line = first_line(&not_it);
    assert!(line.contains(" INFO  listening on tcp://"), "{line}");
}

/// An address that the kernel chose for somebody is known to the test by its socket alone.
#[test]
fn an_inherited_wildcard_answers_from_the_address_that_was_asked() {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let _server = Server::spawn(handed(&["serve"], vec![copy(&socket)]));
    let client = udp(Ipv4Addr::LOCALHOST);
    let asked = SocketAddr::from(([127, 0, 0, 77], port));
    client.send_to(b"ping", asked).unwrap();
    let (reply, from) = crate::support::client::receive_from(&client);
    assert_eq!((reply.as_slice(), from), (&b"pong"[..], asked));
}

/// In a network of its own, as a sandbox has it, it cannot look at its socket's line in the kernel's
/// table; then the kernel tells what it has dropped with the next datagram.
#[test]
fn drops_are_counted_in_a_sandbox_too() {
    let Some(mut command) = crate::support::inside::in_namespace("exec \"$@\"") else {
        return;
    };
    command.args([crate::support::PROGRAM, "serve"]);
    let socket = UdpSocket::bind(ANY).unwrap();
    let at = socket.local_addr().unwrap();
    command.env("LISTEN_FDS", "1");
    let mapping = FdMapping {
        parent_fd: copy(&socket),
        child_fd: 3,
    };
    command.fd_mappings(vec![mapping]).unwrap();
    let server = Server::spawn(command);
    let client = udp(Ipv4Addr::LOCALHOST);
    server.freeze();
    let sent = 2000;
    for _ in 0..sent {
        client.send_to(b"ping", at).unwrap();
    }
    server.thaw();
    // Whoever comes behind the flood brings the count with it, if there is room for it.
    let mut sent_behind = 0;
    until("all are accounted for", || {
        let report = server.report();
        client.send_to(b"pong", at).unwrap();
        sent_behind += 1;
        let replies = report.count("replies_total{transport=\"udp\"}");
        let dropped = report.dropped("kernel");
        // The pong of this turn is not in the report yet.
        dropped > 0 && replies + dropped + report.dropped("pong") == sent + sent_behind - 1
    });
}
