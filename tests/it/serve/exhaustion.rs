//! No descriptors left: the server neither spins nor stalls, and goes on by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::client::{ask, connect, expect, replies_to, udp};
use crate::support::command;
use crate::support::inside::strace;
use crate::support::server::{Reaped, Server, pingpong, run};

/// The server with descriptors limited as ulimit(1posix) is told.
fn limited(ulimit: &str, options: &[&str]) -> Command {
    let mut shell = command("sh");
    shell
        .args(["-c", &format!("ulimit {ulimit}; exec \"$0\" \"$@\"")])
        .arg(pingpong(&[]).get_program())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(options)
        .env_remove("RUST_LOG");
    shell
}

fn start_limited(ulimit: &str, options: &[&str]) -> Server {
    Server::spawn(limited(ulimit, options))
}

#[test]
fn connections_wait_until_descriptors_are_freed() {
    const CLIENTS: usize = 40;
    let server = start_limited("-n 24", &["--max-connections", "1000"]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect(server.tcp[0])).collect();
    for mut client in &clients {
        client.write_all(b"ping\n").unwrap();
    }
    server.wait_for_line("connections wait in the backlog");
    let full = server.wait_for_report("it is full", |it| it.count("connections") > 5);
    let taken = usize::try_from(full.count("connections")).unwrap();
    assert!(taken < 24);
    assert!(full.count("accept_errors_total{reason=\"exhausted\"}") > 0);

    // It tries again now and then, as another process may have freed what is short: ten times a
    // second.
    let (ticks, start) = (server.cpu_ticks(), Instant::now());
    std::thread::sleep(Duration::from_secs(1));
    let later = server.report();
    let turns = later.count("loop_turns_total") - full.count("loop_turns_total");
    let tenths = u64::try_from(start.elapsed().as_millis()).unwrap() / 100;
    assert!(
        turns <= tenths * 2 + 10,
        "{turns} turns in {tenths} tenths of a second"
    );
    assert!(server.cpu_ticks() - ticks <= 20, "it spins");

    // Who was accepted is served meanwhile, and so are datagrams.
    ask(&clients[0], b"hello\n", b"pong\npong\n");
    assert_eq!(
        replies_to(&udp([127, 0, 0, 1]), server.udp[0], &[b"ping"]),
        [b"pong"]
    );

    // Each that goes makes room for one that waits. Nobody is forgotten.
    for (index, client) in clients.drain(..).enumerate() {
        if index > 0 {
            expect(&client, b"pong\n");
        }
    }
    let it = server.wait_for_report("all have gone", |it| it.count("connections") == 0);
    assert_eq!(it.count("connections_accepted_total"), CLIENTS as u64);
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
}

/// Left to itself, the server keeps within what RLIMIT_NOFILE leaves, and there is no exhaustion at
/// all.
#[test]
fn by_default_the_limit_fits_the_descriptors() {
    let server = start_limited("-n 24", &[]);
    let clients: Vec<_> = (0..30).map(|_| connect(server.tcp[0])).collect();
    ask(&clients[0], b"ping\n", b"pong\n");
    let it = server.report();
    assert!(it.count("connections") > 0 && it.count("connections") < 24);
    for mut client in clients {
        client.write_all(b"ping\n").unwrap();
        expect(&client, b"pong\n");
    }
    let it = server.report();
    assert_eq!(it.count("accept_errors_total{reason=\"exhausted\"}"), 0);
}

/// The soft limit is there to protect programs that use select(2); this one takes what it may have.
#[test]
fn the_soft_limit_is_raised() {
    let server = start_limited("-Hn 200; ulimit -Sn 24", &[]);
    let clients: Vec<_> = (0..100).map(|_| connect(server.tcp[0])).collect();
    for client in &clients {
        ask(client, b"ping\n", b"pong\n");
    }
    assert_eq!(server.report().count("connections"), 100);
}

/// Its first line on standard error, and whether it says that it listens.
fn first_line(mut command: Command) -> (bool, String) {
    let mut child = Reaped(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    let mut stderr = BufReader::new(child.0.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    (line.contains("listening on"), line)
}

/// The lowest limit with which it starts; with each below it says so, whatever call fails first.
fn descriptors_needed(setup: &str, options: &[&str]) -> u32 {
    for limit in 3..40 {
        let ulimit = format!("-n 100; {setup} ulimit -n {limit}");
        let (listens, _) = first_line(limited(&ulimit, options));
        if listens {
            return limit;
        }
        // With less than this not even the dynamic linker can work.
        let taken = inherited().into_iter().filter(|number| *number < limit);
        if limit < 5 + u32::try_from(taken.count()).unwrap() {
            continue;
        }
        let (code, stdout, stderr) = run(limited(&ulimit, options));
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{limit}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{limit}: {stderr}");
        let advice = "; raise the limit with ulimit -n, or LimitNOFILE= in a systemd unit\n";
        assert!(stderr.ends_with(advice), "{limit}: {stderr}");
    }
    panic!("it starts with none of them");
}

/// Descriptors that children of this process inherit beside the standard ones: who started it may
/// have left them open.
fn inherited() -> Vec<u32> {
    let is_inherited = |number: &u32| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
        let flags = info.ok().and_then(|info| {
            let line = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            u32::from_str_radix(line.trim(), 8).ok()
        });
        *number > 2 && flags.is_some_and(|flags| flags & 0o2_000_000 == 0)
    };
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse());
    numbers.map(Result::unwrap).filter(is_inherited).collect()
}

/// The lowest limit that leaves room for `own` descriptors beside those with a number below it that
/// are open already.
fn limit_for(own: usize, open: &[u32]) -> u32 {
    let is_enough = |limit: &u32| {
        let taken = open.iter().filter(|number| *number < limit).count();
        *limit as usize >= own + taken
    };
    (1..1024).find(is_enough).unwrap()
}

/// As few descriptors as a server can be given and still answer somebody: then it does, and with
/// one less it does not start.
#[test]
fn too_few_descriptors_for_one_connection() {
    let mut open = inherited();
    let needed = descriptors_needed("", &[]);
    // Three standard ones, poll, two for signals, two sockets, the table of the kernel's drops, a
    // connection, one for a moment.
    assert_eq!(needed, limit_for(11, &open));
    let less = needed - 1;
    let (_, told) = first_line(limited(&format!("-n {less}"), &[]));
    let expected = format!(
        "pingpong: cannot accept even one connection: \
         that takes {needed} descriptors, and {less} are allowed; "
    );
    assert!(told.starts_with(&expected), "{told}");

    let server = start_limited(&format!("-n {needed}"), &[]);
    let client = connect(server.tcp[0]);
    ask(&client, b"ping\n", b"pong\n");
    let waits = connect(server.tcp[0]);
    (&waits).write_all(b"ping\n").unwrap();
    assert_eq!(
        replies_to(&udp([127, 0, 0, 1]), server.udp[0], &[b"ping"]),
        [b"pong"]
    );
    ask(&client, b"ping\n", b"pong\n");
    drop(client);
    expect(&waits, b"pong\n");
    let it = server.report();
    assert_eq!(it.count("accept_errors_total{reason=\"exhausted\"}"), 0);

    // One more address counts, UDP alone needs no connection, and what the parent left open counts.
    let one_more = descriptors_needed("", &["--listen", "127.0.0.2:0"]);
    assert_eq!(one_more, limit_for(14, &open));
    assert!(descriptors_needed("", &["--no-tcp"]) < needed);
    open.retain(|number| *number != 8 && *number != 9);
    open.extend([8, 9]);
    let beside_others = descriptors_needed("exec 8</dev/null 9</dev/null;", &[]);
    assert_eq!(beside_others, limit_for(11, &open));
    // But not what lies above the limit.
    let one_less = descriptors_needed("exec 9</dev/null;", &["--no-udp"]);
    open.retain(|number| *number != 8);
    assert_eq!(one_less, limit_for(9, &open));
    // The soft limit is no limit.
    ask(
        &connect(start_limited("-Sn 5", &[]).tcp[0]),
        b"ping\n",
        b"pong\n",
    );
}

/// More than there can be is allowed to be asked for, and told.
#[test]
fn more_connections_than_descriptors() {
    let ulimit = format!("-n {}", limit_for(10 + 11, &inherited()));
    let server = start_limited(&ulimit, &["--max-connections", "12"]);
    let line = server.wait_for_line("there are descriptors for 11 connections only, not for 12");
    assert!(line.contains(" WARN "), "{line}");
    let server = start_limited(&ulimit, &["--max-connections", "11"]);
    assert!(!server.lines().iter().any(|line| line.contains("WARN")));
}

/// Under a security module accept may fail with EPERM for good, and leave the connection where it
/// was: the server waits between its tries, and tells once when that begins and once when it ends.
#[test]
fn an_accept_that_may_not_be_is_not_tried_all_the_time() {
    const PAUSE: Duration = Duration::from_millis(100);
    let Some(mut command) = strace(&["-e", "inject=accept4:error=EPERM:when=1..64"]) else {
        return;
    };
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command);
    let client = connect(server.tcp[0]);
    let start = Instant::now();
    ask(&client, b"ping\n", b"pong\n");
    // Sixteen tries, and a pause behind each sixteen: it takes four of them.
    assert!(start.elapsed() >= 4 * PAUSE, "{:?}", start.elapsed());
    server.wait_for_line("accept works again");
    let it = server.report();
    assert_eq!(it.count("accept_errors_total{reason=\"connection\"}"), 64);
    let told = server.lines();
    let told = told
        .iter()
        .filter(|line| line.contains("Operation not permitted"));
    assert_eq!(told.count(), 1, "once, not each time");
}

/// The kernel will not watch a connection (epoll_ctl(2): ENOSPC): each is counted, and the log told
/// once.
#[test]
fn connections_that_cannot_be_watched() {
    let Some(mut command) = strace(&["-e", "inject=epoll_ctl:error=ENOSPC:when=4..23"]) else {
        return;
    };
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command);
    for _ in 0..20 {
        let _ = connect(server.tcp[0]).read(&mut [0]);
    }
    ask(&connect(server.tcp[0]), b"ping\n", b"pong\n");
    server.wait_for_line("connections are taken in again");
    let turned_away = server
        .report()
        .count("accept_errors_total{reason=\"register\"}");
    assert_eq!(turned_away, 20);
    let lines = server.lines();
    let told = lines.iter().filter(|line| line.contains("turned away"));
    assert_eq!(told.count(), 1, "once, not each time");
}
