//! How requests are read, for which no server is needed.

use pingpong::inside::admin::http::{HEAD_MAX_BYTES, Read, read};

fn whole(text: &str) -> (usize, bool, bool, String, bool) {
    match read(text.as_bytes()) {
        Read::Whole {
            len,
            wants_body,
            stays,
            request,
        } => {
            let path = request.path.to_owned();
            (len, wants_body, stays, path, request.takes_openmetrics)
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

/// Whatever of a request is there, more is waited for; with all of it, no more than it is taken.
#[test]
fn every_beginning_is_a_beginning() {
    let text = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    for len in 0..text.len() {
        assert_eq!(read(&text.as_bytes()[..len]), Read::Partial, "{len}");
    }
    let more = format!("{text}GET /b");
    assert_eq!(whole(&more), (text.len(), true, true, "/a".into(), false));
}

#[test]
fn a_path_is_what_stands_before_a_query() {
    for (target, path) in [
        ("/metrics", "/metrics"),
        ("/metrics?a=b", "/metrics"),
        ("/?", "/"),
        ("http://host:9100/metrics?x", "/metrics"),
        ("http://host", "/"),
    ] {
        let found = whole(&format!("GET {target} HTTP/1.1\r\n\r\n"));
        assert_eq!(found.3, path, "{target}");
    }
}

#[test]
fn who_stays_and_who_goes() {
    for (version, connection, stays) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "connection: Close\r\n", false),
        ("1.1", "Connection: te, close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
    ] {
        let found = whole(&format!("HEAD / HTTP/{version}\r\n{connection}\r\n"));
        assert_eq!((found.1, found.2), (false, stays), "{version} {connection}");
    }
}

/// As Prometheus asks, version 2 and 3, and as people do.
#[test]
fn the_format_is_the_one_that_is_liked_best() {
    for (accept, openmetrics) in [
        ("", false),
        ("*/*", false),
        ("text/html,*/*;q=0.8", false),
        ("application/openmetrics-text", true),
        ("application/openmetrics-text;version=1.0.0", true),
        ("application/openmetrics-text;version=0.0.1", false),
        (
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            true,
        ),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
             version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            true,
        ),
        (
            "text/plain;version=0.0.4,application/openmetrics-text;q=0.5",
            false,
        ),
        ("application/openmetrics-text;q=0", false),
    ] {
        let found = whole(&format!("GET / HTTP/1.1\r\nAccept: {accept}\r\n\r\n"));
        assert_eq!(found.4, openmetrics, "{accept}");
    }
}

/// A head that is too long is not waited for.
#[test]
fn a_head_has_an_end() {
    let begin = "GET / HTTP/1.1\r\nX: ";
    let fits = format!("{begin}{}", "x".repeat(HEAD_MAX_BYTES - begin.len() - 1));
    assert_eq!(read(fits.as_bytes()), Read::Partial);
    let full = format!("{fits}x");
    assert!(matches!(read(full.as_bytes()), Read::Refused(page) if page.status.starts_with("400")));
}
