//! Unix sockets: the same rule over a file, and what becomes of the file.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use rustix::process::Signal;

use crate::support::client::{ask, connect};
use crate::support::server::{Server, pingpong, run};
use crate::support::{Folder, GUARD};

fn url(path: &Path) -> String {
    format!("unix:{}", path.display())
}

fn serve(path: &Path, options: &[&str]) -> Server {
    Server::start_at(&[&url(path)], options)
}

fn refused(path: &Path) -> String {
    let (code, stdout, stderr) = run(pingpong(&["serve", "--listen", &url(path)]));
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    stderr
}

fn stream(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream
}

/// A datagram socket with a name of its own.
fn datagram(folder: &Folder, name: &str, to: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(folder.path(name)).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    socket.connect(to).unwrap();
    socket
}

fn reply(socket: &UnixDatagram, message: &[u8]) -> Vec<u8> {
    socket.send(message).unwrap();
    let mut bytes = vec![0; 70_000];
    let len = socket.recv(&mut bytes).unwrap();
    bytes[..len].to_vec()
}

/// Both kinds of sockets, beside TCP and UDP; who half-closes has all of its replies.
#[test]
fn both_kinds_answer_beside_the_others() {
    let folder = Folder::new();
    let path = folder.path("s");
    let server = Server::start_at(&[&url(&path), "127.0.0.1:0"], &[]);
    assert_eq!(server.unix, [path.clone(), folder.path("s.dgram")]);
    let mut client = stream(&path);
    client.write_all(b"ping 1\r\nhello\nPING").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut replies = Vec::new();
    client.read_to_end(&mut replies).unwrap();
    assert_eq!(replies, b"pong 1\r\npong\nPONG");
    let (one, other) = (folder.path("a"), folder.path("s.dgram"));
    let first = datagram(&folder, "a", &other);
    let second = datagram(&folder, "b", &other);
    // Both wait in one batch, and each has its own.
    server.freeze();
    first.send(b"ping a").unwrap();
    second.send(b"ping b\n").unwrap();
    server.thaw();
    assert_eq!(reply(&first, b"hello"), b"pong a");
    assert_eq!(reply(&second, b"Ping c"), b"pong b\n");
    assert!(one.exists());
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    let report = server.wait_for_report("all are counted", |it| {
        it.count("messages_total{transport=\"unix\"}") == 7
    });
    assert_eq!(report.count("replies_total{transport=\"unix\"}"), 7);
    assert_eq!(report.count("received_bytes_total{transport=\"unix\"}"), 42);
    assert_eq!(report.count("messages_total{transport=\"tcp\"}"), 1);
    assert_eq!(report.count("messages_total{transport=\"udp\"}"), 0);
}

/// As the rule for datagrams has it; and what only these can be: of nobody, and longer than any UDP.
#[test]
fn datagrams_without_a_reply_are_counted() {
    let folder = Folder::new();
    let server = serve(&folder.path("s"), &["--other-rate", "1"]);
    let to = folder.path("s.dgram");
    let nobody = UnixDatagram::unbound().unwrap();
    nobody.send_to(b"ping", &to).unwrap();
    let client = datagram(&folder, "c", &to);
    let whole = [b"ping ".as_slice(), &vec![b'x'; 65_531]].concat();
    let pong = [b"pong ".as_slice(), &vec![b'x'; 65_531]].concat();
    client.send(&[&whole[..], b"y"].concat()).unwrap();
    for silent in ["pong", "", "hi"] {
        client.send(silent.as_bytes()).unwrap();
    }
    assert_eq!(reply(&client, b"what?"), b"pong");
    client.send(b"what?").unwrap();
    assert!(reply(&client, &whole) == pong, "the longest is whole");
    // Who has gone by the time of its reply costs that reply.
    let gone = datagram(&folder, "g", &to);
    server.freeze();
    gone.send(b"ping").unwrap();
    drop(gone);
    server.thaw();
    let report = server.wait_for_report("it was tried", |it| it.dropped("send_error") == 1);
    for reason in [
        "unnamed",
        "too_long",
        "pong",
        "empty",
        "reply_longer",
        "rate_limit",
    ] {
        assert_eq!(report.dropped(reason), 1, "{reason}");
    }
    assert_eq!(report.count("messages_total{transport=\"unix\"}"), 9);
}

/// Whatever the umask lets, it is what was asked for, for both.
#[test]
fn the_mode_is_as_asked() {
    let modes = [(&[][..], 0o666), (&["--unix-mode", "0620"][..], 0o620)];
    for (options, mode) in modes {
        let folder = Folder::new();
        let path = folder.path("s");
        let mut command = std::process::Command::new("sh");
        command.args([
            "-c",
            "umask 077; exec \"$@\"",
            "sh",
            crate::support::PROGRAM,
        ]);
        command
            .args(["serve", "--listen", &url(&path)])
            .args(options);
        let server = Server::spawn(command);
        for path in &server.unix {
            let about = path.symlink_metadata().unwrap();
            assert!(about.file_type().is_socket());
            assert_eq!(about.permissions().mode() & 0o7777, mode, "{path:?}");
        }
    }
}

/// Its files go with it, however it is stopped; a client that is there has its replies.
#[test]
fn its_files_go_when_it_stops() {
    let folder = Folder::new();
    let mut server = serve(&folder.path("s"), &[]);
    let mut client = stream(&folder.path("s"));
    client.write_all(b"ping\n").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(client.read(&mut [0; 9]).unwrap(), 0);
    drop(client);
    assert_eq!(server.wait_for_exit(), Some(0));
    let left: Vec<_> = server.unix.iter().filter(|it| it.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// One that was killed leaves its files; the next one takes their place.
#[test]
fn what_a_killed_one_has_left_is_replaced() {
    let folder = Folder::new();
    let path = folder.path("s");
    let mut killed = serve(&path, &[]);
    killed.signal(Signal::KILL);
    killed.wait_for_exit();
    assert!(path.exists() && folder.path("s.dgram").exists());
    let _next = serve(&path, &[]);
    let mut client = stream(&path);
    client.write_all(b"ping\n").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
}

/// Nobody's socket is taken away, and no other file is.
#[test]
fn what_is_in_use_or_no_socket_stays() {
    let folder = Folder::new();
    let path = folder.path("s");
    let server = serve(&path, &[]);
    let told = refused(&path);
    assert!(
        told.contains("in use") && told.contains("somebody listens there"),
        "{told}"
    );
    stream(&path).write_all(b"ping\n").unwrap();
    drop(server);

    let path = folder.path("file");
    std::fs::write(&path, "precious").unwrap();
    let told = refused(&path);
    assert!(told.contains("it is no socket, so it stays"), "{told}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");

    // The datagrams' place is taken: nothing is left of the first.
    let path = folder.path("half");
    std::fs::write(folder.path("half.dgram"), "").unwrap();
    refused(&path);
    assert!(!path.exists());

    let told = refused(&folder.path("no/such/folder"));
    assert!(told.contains("the folder has to be there before"), "{told}");
    let told = refused(&folder.path(&"x".repeat(120)));
    assert!(told.contains("107 bytes at most"), "{told}");
}

/// Somebody has put another socket in its place: that is not its own to remove.
#[test]
fn a_file_that_is_another_ones_by_now_stays() {
    let folder = Folder::new();
    let path = folder.path("s");
    let mut server = serve(&path, &[]);
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit(), Some(0));
    assert!(path.exists());
}

/// Without TCP and UDP there is still something to serve.
#[test]
fn unix_sockets_alone() {
    let folder = Folder::new();
    let server = serve(&folder.path("s"), &["--no-tcp", "--no-udp", "-v"]);
    let mut client = stream(&folder.path("s"));
    client.write_all(b"ping\n").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    drop(client);
    server.wait_for_line("unix closed: peer_closed");
    assert_eq!(
        (server.tcp.len(), server.udp.len(), server.unix.len()),
        (0, 0, 2)
    );
}
