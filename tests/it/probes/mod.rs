//! Probes that people have, as they come from their packages and with the recipes of
//! docs/operations.md: each sees the server up, sees it down after a stop, and leaves nothing in its
//! log. What is not installed is skipped with a message.

mod bare;
#[cfg(feature = "admin")]
mod book;
mod shell;

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::server::{Reaped, Report, Server};
use crate::support::{Folder, GUARD, command, read_project_file, until};
use crate::tools::is_installed;

/// Where the recipes say that the server is.
const ASKED: [&str; 2] = ["192.0.2.1", "8888"];

/// A recipe as the book has it: the block behind its name, about this server instead.
fn recipe(name: &str, server: SocketAddr) -> String {
    let book = read_project_file("docs/operations.md");
    let name = format!("<!-- recipe: {name} -->\n```");
    let (_, from) = book.split_once(&name).unwrap();
    let (_language, from) = from.split_once('\n').unwrap();
    let (text, _) = from.split_once("\n```").unwrap();
    let [host, port] = ASKED;
    text.replace(host, &server.ip().to_string())
        .replace(port, &server.port().to_string())
}

fn started(mut command: Command) -> Reaped {
    Reaped(command.stdin(Stdio::null()).spawn().unwrap())
}

/// What is in the log that nobody asked for.
fn noise(server: &Server) -> Vec<String> {
    let is_asked_for = |line: &String| {
        let words: Vec<_> = line.split_whitespace().skip(2).collect();
        let is_counter = words.len() == 2 && words[1].parse::<u64>().is_ok();
        is_counter || words.first() == Some(&"listening")
    };
    let lines = server.lines();
    lines.into_iter().filter(|it| !is_asked_for(it)).collect()
}

/// Whoever probes has seen it up, and goes on: waits for what tells that it was asked, has it stopped, and
/// looks at its log.
fn stop_unnoticed(mut server: Server, was_asked: impl Fn(&Report) -> bool) {
    server.wait_for_report("it is asked", was_asked);
    let silence: [String; 0] = [];
    assert_eq!(noise(&server), silence);
    server.signal(Signal::TERM);
    assert_eq!(server.wait_for_exit(), Some(0));
    // The last line may still be on its way to here.
    server.wait_for_line("stopped");
    for line in noise(&server) {
        assert!(line.contains(" INFO  stop"), "{line}");
    }
}

fn accepted(at_least: u64) -> impl Fn(&Report) -> bool {
    move |report| report.count("connections_accepted_total") >= at_least
}

#[test]
fn haproxy() {
    if !is_installed("haproxy") {
        return;
    }
    let server = Server::start(&[]);
    let folder = Folder::new();
    let (config, socket) = (folder.path("haproxy.cfg"), folder.path("socket"));
    let socket_line = format!("global\n    stats socket unix@{}\n", socket.display());
    let backends = recipe("haproxy", server.tcp[0]).replace("inter 2s", "inter 50ms");
    fs::write(&config, socket_line + &backends + "\n").unwrap();
    let mut command = command("haproxy");
    command.arg("-db").arg("-f").arg(&config);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let _haproxy = started(command);
    // One that asks and one that only connects; what each has seen last, and how it came to know.
    let sees = |asked: &str, bare: &str| {
        until(asked, || {
            let Some(status) = haproxy_status(&socket) else {
                return false;
            };
            let has = |server: &str, state: &str| {
                status.lines().any(|line| {
                    let fields: Vec<_> = line.split(',').collect();
                    let at = |index: usize| fields.get(index).copied().unwrap_or_default();
                    at(1) == server && format!("{} {}", at(17), at(36)) == state
                })
            };
            has("asked", asked) && has("connected", bare)
        });
    };
    sees("UP L7OK", "UP L4OK");
    stop_unnoticed(server, accepted(6));
    sees("DOWN L4CON", "DOWN L4CON");
}

fn haproxy_status(socket: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(GUARD)).unwrap();
    stream.write_all(b"show stat\n").unwrap();
    let mut status = String::new();
    stream.read_to_string(&mut status).unwrap();
    Some(status)
}

#[test]
fn blackbox_exporter() {
    let name = "prometheus-blackbox-exporter";
    if !is_installed(name) {
        return;
    }
    let server = Server::start(&[]);
    let at = server.tcp[0];
    let folder = Folder::new();
    let config = folder.path("blackbox.yml");
    fs::write(&config, recipe("blackbox", at)).unwrap();
    // It does not say which port it got, so one is chosen before.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let exporter = free.local_addr().unwrap();
    drop(free);
    let mut command = command(name);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--web.listen-address={exporter}"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let _exporter = started(command);
    until("the exporter serves", || {
        TcpStream::connect(exporter).is_ok()
    });
    for _ in 0..3 {
        assert_eq!(probe_success(exporter, at), "1");
    }
    stop_unnoticed(server, accepted(3));
    assert_eq!(probe_success(exporter, at), "0");
}

fn probe_success(exporter: SocketAddr, target: SocketAddr) -> String {
    let mut stream = TcpStream::connect(exporter).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    write!(
        stream,
        "GET /probe?target={target}&module=pingpong HTTP/1.0\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    let mut lines = page.lines();
    let success = lines.find_map(|line| line.strip_prefix("probe_success "));
    success.unwrap_or_else(|| panic!("{page}")).to_owned()
}

/// Over both transports, and what it says of each.
#[test]
fn monit() {
    if !is_installed("monit") {
        return;
    }
    let server = Server::start(&[]);
    assert_eq!(server.tcp[0].port(), server.udp[0].port());
    let folder = Folder::new();
    let (config, output) = (folder.path("monitrc"), folder.path("output"));
    let mut text = recipe("monit", server.tcp[0]).replace("set daemon 30", "set daemon 1");
    for file in ["pidfile", "statefile", "idfile"] {
        text += &format!("\nset {file} {}", folder.path(file).display());
    }
    fs::write(&config, text + "\n").unwrap();
    // It reads none that others could.
    fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
    let mut command = command("monit");
    command.args(["-v", "-I", "-c"]).arg(&config);
    let said = File::create(&output).unwrap();
    command.stdout(said.try_clone().unwrap()).stderr(said);
    let _monit = started(command);
    let says = |what: &str| {
        for transport in ["TCP/IP", "UDP/IP"] {
            until(what, || {
                let said = fs::read_to_string(&output).unwrap_or_default();
                let mut lines = said.lines();
                lines.any(|line| line.contains(what) && line.contains(transport))
            });
        }
    };
    says("'pingpong' succeeded testing protocol");
    stop_unnoticed(server, |report| {
        accepted(2)(report) && report.count("replies_total{transport=\"udp\"}") >= 2
    });
    says("'pingpong' failed protocol test");
}
