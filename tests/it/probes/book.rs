//! What docs/operations.md says of the metrics is about all of them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::read_project_file;
use crate::support::server::Server;

fn metrics() -> String {
    let server = Server::start(&["--admin", "127.0.0.1:0"]);
    let line = server.wait_for_line("listening on http://");
    let (_, at) = line.split_once("http://").unwrap();
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// Each has a row, and each of its reasons is named in there.
#[test]
fn every_metric_and_every_reason_is_in_the_book() {
    let book = read_project_file("docs/operations.md");
    let (_, from) = book.split_once("\n## Metrics\n").unwrap();
    let (section, _) = from.split_once("\n## ").unwrap();
    let row_of = |name: &str| {
        let names = [format!("`{name}`"), format!("`{name}{{")];
        let mut rows = section.lines().filter(|line| line.starts_with('|'));
        rows.find(|row| {
            let first = row.split('|').nth(1).unwrap();
            names.iter().any(|it| first.contains(it))
        })
    };
    let page = metrics();
    let mut named = BTreeSet::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            let name = name.strip_prefix("pingpong_").unwrap_or(name);
            assert!(row_of(name).is_some(), "{name} has no row");
            named.insert(name.to_owned());
        } else if let Some((name, rest)) = line.split_once("{reason=\"") {
            let name = name.strip_prefix("pingpong_").unwrap();
            let (reason, _) = rest.split_once('"').unwrap();
            let row = row_of(name).unwrap();
            assert!(row.contains(&format!("`{reason}`")), "{name}: {reason}");
        }
    }
    assert!(named.len() > 15, "{page}");
}
