//! The pages of `--admin`: what they say, and that nobody who asks for them is in anybody's way.
#![expect(clippy::float_cmp, reason = "most figures are whole numbers")]

mod conn;
mod hostile;
mod http;
mod metrics;
mod prometheus;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::process::Signal;

use crate::support::client::{ask, connect};
use crate::support::server::Server;
use crate::support::{Folder, until};

/// A server with its pages on a free port.
fn serve(options: &[&str]) -> (Server, SocketAddr) {
    let server = Server::start(&[&["--admin", "127.0.0.1:0"], options].concat());
    let at = server.admin.unwrap();
    (server, at)
}

/// An answer: its status, its head, its body.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Reads one answer; one to HEAD has no body.
fn answer(mut stream: &TcpStream, has_body: bool) -> Answer {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut answer = Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body: String::new(),
    };
    if has_body {
        let len: usize = answer.header("content-length").unwrap().parse().unwrap();
        let mut body = vec![0; len];
        stream.read_exact(&mut body).unwrap();
        answer.body = String::from_utf8(body).unwrap();
    }
    answer
}

fn is_at_its_end(mut stream: &TcpStream) -> bool {
    stream.read(&mut [0; 9]).unwrap() == 0
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into()
}

/// Asks on a connection of its own.
fn get(at: SocketAddr, path: &str) -> Answer {
    let stream = connect(at);
    (&stream).write_all(&request(path)).unwrap();
    answer(&stream, true)
}

/// A figure of the page, by its name and labels as they stand there.
fn figure(page: &str, name: &str) -> f64 {
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{page}"))
        .parse()
        .unwrap()
}

#[test]
fn each_path_has_its_page() {
    let (_server, at) = serve(&[]);
    for (path, status, body) in [
        ("/livez", 200, "ok"),
        ("/readyz", 200, "ok"),
        ("/healthz", 200, "ok"),
        ("/readyz?verbose", 200, "ok"),
        ("/nothing", 404, "not found"),
        ("/metrics/", 404, "not found"),
    ] {
        let found = get(at, path);
        assert_eq!(
            (found.status, found.body.as_str()),
            (status, body),
            "{path}"
        );
        assert_eq!(
            found.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
    }
}

/// It stays open, for requests one by one and many at once, whole or in pieces; HEAD has no body.
#[test]
fn a_connection_takes_one_request_after_another() {
    let (_server, at) = serve(&[]);
    let stream = connect(at);
    for byte in request("/livez") {
        (&stream).write_all(&[byte]).unwrap();
    }
    assert_eq!(answer(&stream, true).body, "ok");
    let many = [request("/livez"), request("/nothing"), request("/readyz")].concat();
    (&stream)
        .write_all(&[&many[..], b"HEAD /metrics HTTP/1.1\r\nHo"].concat())
        .unwrap();
    for status in [200, 404, 200] {
        assert_eq!(answer(&stream, true).status, status);
    }
    (&stream).write_all(b"st: x\r\n\r\n").unwrap();
    let head = answer(&stream, false);
    assert!(
        head.header("content-length")
            .unwrap()
            .parse::<usize>()
            .unwrap()
            > 1000
    );
    (&stream)
        .write_all(b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n")
        .unwrap();
    let last = answer(&stream, true);
    assert_eq!(last.header("connection"), Some("close"));
    assert!(is_at_its_end(&stream));
}

/// Who asks for nothing that there is, or wrongly, is told so, and that is not lost to a reset though
/// more comes of it.
#[test]
fn who_asks_wrongly_is_told() {
    let (_server, at) = serve(&[]);
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: x\r\n".repeat(65));
    let cases: [(&str, u16); 8] = [
        ("hello\r\n\r\n", 400),
        ("ping\n", 400),
        ("GET /livez HTTP/9.9\r\n\r\n", 400),
        ("GET /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 400),
        (
            "GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (&long, 400),
        (&many, 400),
        ("POST /livez HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
    ];
    for (text, status) in cases {
        let stream = connect(at);
        (&stream).write_all(text.as_bytes()).unwrap();
        let found = answer(&stream, true);
        assert_eq!(found.status, status, "{text:.60}");
        assert_eq!(found.header("connection"), Some("close"));
        let allow = (status == 405).then_some("GET, HEAD");
        assert_eq!(found.header("allow"), allow);
        let _ = (&stream).write_all(b"and more\r\n\r\n");
        assert!(is_at_its_end(&stream), "{text:.60}");
    }
}

/// Nobody is ready any more, everybody lives; and who watches does not hold up the end.
#[test]
fn a_drain_is_told_and_not_held_up() {
    let (mut server, at) = serve(&["--drain-timeout", "1m"]);
    let watcher = connect(at);
    let client = connect(server.tcp[0]);
    ask(&client, b"ping\n", b"pong\n");
    server.signal(Signal::TERM);
    assert!(is_at_its_end(&client));
    for (path, status, body) in [
        ("/readyz", 503, "draining"),
        ("/healthz", 503, "draining"),
        ("/livez", 200, "ok"),
    ] {
        let found = get(at, path);
        assert_eq!(
            (found.status, found.body.as_str()),
            (status, body),
            "{path}"
        );
    }
    (&watcher).write_all(&request("/metrics")).unwrap();
    assert_eq!(
        figure(&answer(&watcher, true).body, "pingpong_connections"),
        1.0
    );
    drop(client);
    assert_eq!(server.wait_for_exit(), Some(0));
}

/// On a Unix socket too; its file goes with it.
#[test]
fn pages_on_a_unix_socket() {
    let folder = Folder::new();
    let path = folder.path("a");
    let mut server = Server::start(&["--admin", &format!("unix:{}", path.display())]);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("\r\n\r\nok"), "{text}");
    assert!(!folder.path("a.dgram").exists());
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit(), Some(0));
    assert!(!path.exists());
}

/// The next program has the pages too, at the same place.
#[cfg(feature = "upgrade")]
#[test]
fn pages_are_handed_on() {
    let (mut server, at) = serve(&[]);
    let watcher = connect(at);
    (&watcher).write_all(&request("/livez")).unwrap();
    assert_eq!(answer(&watcher, true).status, 200);
    let client = connect(server.tcp[0]);
    ask(&client, b"ping\n", b"pong\n");
    server.signal(Signal::USR2);
    let line = server.wait_for_line(" is the server now");
    // Nobody is kept by the one that has handed over.
    assert!(is_at_its_end(&watcher));
    assert_eq!(get(at, "/readyz").body, "ok");
    let page = get(at, "/metrics").body;
    assert_eq!(figure(&page, "pingpong_connections_accepted_total"), 0.0);
    drop(client);
    assert_eq!(server.wait_for_exit(), Some(0));
    let pid = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    until("it has ended", || {
        rustix::process::test_kill_process(pid).is_err()
    });
}

/// Its address is taken: that is told as for any other.
#[test]
fn a_place_that_is_taken_is_told() {
    let (_server, at) = serve(&[]);
    let args = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        &at.to_string(),
    ];
    let (code, _, told) = crate::support::server::run(crate::support::server::pingpong(&args));
    assert_eq!(code, Some(1));
    assert!(told.contains("Address already in use"), "{told}");
}
