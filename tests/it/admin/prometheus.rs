//! The real Prometheus scrapes it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use super::serve;
use crate::support::client::{ask, connect};
use crate::support::server::Reaped;
use crate::support::{Folder, skip, until};

/// It finds it up, and what it asks for has the right value.
#[test]
fn prometheus_scrapes_it() {
    let (server, at) = serve(&[]);
    ask(
        &connect(server.tcp[0]),
        b"ping\nping\nping\n",
        b"pong\npong\npong\n",
    );
    let folder = Folder::new();
    let config = folder.path("prometheus.yml");
    let scrape = format!(
        "scrape_configs:\n- job_name: pingpong\n  scrape_interval: 100ms\n  scrape_timeout: 100ms\n  \
         static_configs:\n  - targets: ['{at}']\n"
    );
    fs::write(&config, scrape).unwrap();
    // It takes no port that the system chooses, so one is chosen before.
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path("data").display()
        ))
        .arg(format!("--web.listen-address={own}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        return skip("prometheus is not installed");
    };
    let _child = Reaped(child);
    let value = |query: &str| -> Option<String> {
        let mut stream = TcpStream::connect(own).ok()?;
        write!(stream, "GET /api/v1/query?query={query} HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        // {"value":[1732287600.1,"1"]}
        let (_, value) = text.split_once("\"value\":[")?;
        Some(value.split('"').nth(1)?.to_owned())
    };
    until("it is up", || value("up").as_deref() == Some("1"));
    let query = "pingpong_messages_total%7Btransport%3D%22tcp%22%7D";
    until("it has its figures", || {
        value(query).as_deref() == Some("3")
    });
    let query = "pingpong_turn_duration_seconds_bucket%7Ble%3D%22%2BInf%22%7D";
    assert_ne!(value(query).unwrap(), "0");
}
