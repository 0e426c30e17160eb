//! Those who mean no good: nobody else notices.

use std::io::Write;
use std::net::TcpStream;

use pingpong::inside::admin::CONNECTIONS_MAX;

use super::{answer, figure, get, is_at_its_end, request, serve};
use crate::support::client::{ask, connect};
use crate::support::until;

/// A thousand who say nothing, half of something, or do not read: health checks and clients are
/// served all the same, and there are never more than so many.
#[test]
fn a_thousand_slow_ones_keep_nobody_out() {
    let (server, at) = serve(&[]);
    let mut slow = Vec::new();
    for turn in 0..1000 {
        let stream = connect(at);
        let begin: &[u8] = match turn % 3 {
            0 => b"",
            1 => b"GET /metrics HTTP/1.1\r\nX: ",
            _ => b"GET /metrics HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\nGET /m",
        };
        // It may have been closed to make room by then.
        let _ = (&stream).write_all(begin);
        slow.push(stream);
        if turn % 100 == 0 {
            assert_eq!(get(at, "/livez").body, "ok");
            ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
        }
    }
    let sockets = || {
        let links = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
        links
            .filter_map(|it| std::fs::read_link(it.unwrap().path()).ok())
            .filter(|it| it.to_string_lossy().starts_with("socket:"))
            .count()
    };
    // Its own: two that listen, one for datagrams, the pair of the signals.
    until("no more than so many are left", || {
        sockets() <= CONNECTIONS_MAX + 6
    });
    assert_eq!(get(at, "/readyz").status, 200);
}

/// The one that makes room is the one that has been there longest without a word; who is known to
/// come back keeps its place until then.
#[test]
fn who_waits_longest_makes_room() {
    let (_server, at) = serve(&[]);
    let scraper = connect(at);
    (&scraper).write_all(&request("/livez")).unwrap();
    answer(&scraper, true);
    let mute: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| connect(at)).collect();
    // One of them made room for the last: not the one that has been answered.
    assert!(is_at_its_end(&mute[0]));
    (&scraper).write_all(&request("/livez")).unwrap();
    assert_eq!(answer(&scraper, true).body, "ok");
    (&mute[1]).write_all(&request("/livez")).unwrap();
    assert_eq!(answer(&mute[1], true).body, "ok");
}

/// The process stood still for longer than any of its deadlines: what has come meanwhile counts.
#[test]
fn a_request_that_came_while_it_stood_still_is_answered() {
    let (server, at) = serve(&[]);
    let stream = connect(at);
    (&stream).write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    server.freeze();
    (&stream).write_all(b"\r\n").unwrap();
    std::thread::sleep(pingpong::inside::admin::conn::REQUEST_TIMEOUT);
    server.thaw();
    assert_eq!(answer(&stream, true).body, "ok");
}

/// The pages' own connections are nobody else's: they are in no figure, and under no limit.
#[test]
fn who_watches_does_not_count() {
    let (server, at) = serve(&["--max-connections", "1", "--allow", "192.0.2.0/24"]);
    let _watchers: Vec<_> = (0..5).map(|_| connect(at)).collect();
    let page = get(at, "/metrics").body;
    for name in [
        "connections",
        "connections_accepted_total",
        "messages_total{transport=\"tcp\"}",
    ] {
        assert_eq!(figure(&page, &format!("pingpong_{name}")), 0.0, "{name}");
    }
    assert_eq!(figure(&page, "pingpong_connections_max"), 1.0);
    drop(server);
}
