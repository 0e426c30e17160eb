//! Whole sessions: addresses to choose from, searches, signals.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::time::Duration;

use pingpong::inside::client::load::conn::Conn;
use pingpong::inside::client::load::datagrams::DatagramConn;
use pingpong::inside::client::load::stats::Stats;
use pingpong::inside::client::load::stream::StreamConn;
use pingpong::inside::client::load::watch::Unwatched;
use pingpong::inside::client::load::{Load, LoadPlan, Opened, Run};
use pingpong::inside::client::script::Script;
use pingpong::inside::reactor::kernel::Kernel;
use pingpong::inside::reactor::os::Os;
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Pid, Signal, kill_process};

use super::{Served, each_line, finish, load, pong, ran, say, spawn, tcp_server};
use crate::support::server::freeze_asleep;

type Streams = StreamConn<<Os as Kernel>::Stream>;
type Datagrams = DatagramConn<<Os as Kernel>::Datagrams>;

fn session<C: Conn<Os>>(addresses: Vec<SocketAddr>, connections: usize) -> (Opened, Stats) {
    let plan = LoadPlan {
        script: Script::pings(64),
        addresses,
        connections,
        pipeline: 1,
        skip_lines: 0,
        timeout: Duration::from_millis(200),
        rate_max_per_s: None,
    };
    let mut load = Load::<Os, C, _>::new(Os::new().unwrap(), plan, Unwatched).unwrap();
    let run = Run {
        rate_per_s: None,
        warmup: Duration::ZERO,
        duration: Duration::from_millis(50),
        catch_up: true,
        ..Run::default()
    };
    let stats = load.measure(run).unwrap();
    (load.opened(), stats)
}

/// A port that refuses: a socket has it, and does not listen. One that was given back might be
/// another test's by now.
fn closed_port() -> (OwnedFd, SocketAddr) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = rustix::net::getsockname(&socket).unwrap();
    (socket, address.try_into().unwrap())
}

#[test]
fn the_next_address_is_tried_when_the_first_refuses() {
    let served = Served::start();
    let (_closed, closed) = closed_port();
    let (opened, stats) = session::<Streams>(vec![closed, served.address], 200);
    assert_eq!((opened.ready, opened.peer), (200, Some(served.address)));
    assert!(stats.is_all_right(true), "{stats:?}");
    assert_eq!(stats.first_error, None);

    let (_other, other) = closed_port();
    let (opened, stats) = session::<Streams>(vec![closed, other], 200);
    assert_eq!((opened.ready, opened.peer), (0, None));
    assert!(stats.first_error.is_some() && !stats.is_all_right(true));
}

#[test]
fn datagrams_go_to_the_first_address_that_answers() {
    let served = Served::start();
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let silent_at = silent.local_addr().unwrap();
    let (opened, stats) = session::<Datagrams>(vec![silent_at, served.address], 3);
    assert_eq!((opened.ready, opened.peer), (3, Some(served.address)));
    assert!(stats.is_all_right(false), "{stats:?}");

    // Silence proves nothing: the first is as good as any, and the run will tell.
    let (opened, stats) = session::<Datagrams>(vec![silent_at, silent_at], 3);
    assert_eq!((opened.ready, opened.peer), (3, Some(silent_at)));
    assert_eq!((stats.replies, stats.lost), (0, 3));
}

#[test]
fn a_name_with_several_addresses_is_reached() {
    // On most hosts localhost is ::1 and 127.0.0.1; the server is on the second only.
    let served = Served::start();
    let port = served.address.port().to_string();
    for args in [&["-c", "2"][..], &["-c", "2", "--udp"]] {
        let fixed = ["load", "--json", "-d", "100ms"];
        let target = [port.as_str()];
        let ran = ran(&finish(spawn(&[&fixed[..], args, &target[..]].concat())));
        assert_eq!(ran.code, 0, "{} {}", ran.json, ran.stderr);
    }
}

#[test]
fn the_warmup_does_not_count() {
    let address = tcp_server(|stream| each_line(stream, |_, line, peer| say(peer, &pong(line))));
    let ran = load(address, "-c 1 --rate 200 --warmup 250ms -d 500ms");
    assert_eq!((ran.code, ran.count("requests")), (0, 100), "{}", ran.json);
    assert_eq!(ran.count("replies"), 100);
}

#[test]
fn the_search_for_the_highest_rate_ends() {
    let served = Served::start();
    let ran = load(served.address, "-c 10 -d 300ms --find-max p50=10s");
    let found = &ran.json["find_max"];
    assert_eq!(found["goal"], "p50 within 10.00 s");
    assert_eq!(ran.code == 0, found["rate_per_s"].is_u64(), "{}", ran.json);
    let steps = ran
        .stderr
        .lines()
        .filter(|line| line.contains(" requests/s: "));
    // Forty steps, each tried twice, and five whole runs at most.
    assert!((2..=85).contains(&steps.count()), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("p50 ") && ran.stderr.contains(": kept"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_goal_that_nobody_keeps_is_told() {
    let silent = tcp_server(|stream| each_line(stream, |_, _, _| true));
    let ran = load(silent, "-c 2 -d 300ms --timeout 100ms --find-max p99=1s");
    assert_eq!(ran.code, 1);
    assert!(ran.json["find_max"]["rate_per_s"].is_null(), "{}", ran.json);
    assert!(ran.stderr.contains(": missed"), "{}", ran.stderr);
}

/// The connection is gone when the next step begins, but what it brought is not forgotten.
#[test]
fn a_wrong_reply_in_a_step_of_a_search_is_told() {
    let address = tcp_server(|stream| {
        each_line(stream, |number, line, peer| {
            let mut reply = pong(line);
            reply[9] ^= u8::from(number == 10);
            say(peer, &reply)
        });
    });
    let ran = load(address, "-c 2 -d 300ms --find-max p50=10s");
    assert_eq!(ran.code, 1);
    assert!(ran.count("wrong") >= 2, "{}", ran.json);
    assert!(ran.stderr.contains("wrong reply"), "{}", ran.stderr);
}

/// The first signal ends the run with its report; what is on its way is still waited for.
#[test]
fn a_signal_ends_the_run_with_its_report() {
    let (sender, asked) = mpsc::channel();
    let address = tcp_server(move |stream| {
        let sender = sender.clone();
        each_line(stream, |_, line, peer| {
            let _ = sender.send(());
            say(peer, &pong(line))
        });
    });
    let target = address.to_string();
    let child = spawn(&["load", "--json", "-c", "2", "-d", "1h", target.as_str()]);
    asked.recv_timeout(super::GUARD).unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ran = ran(&finish(child));
    assert_eq!(ran.code, 0, "{} {}", ran.json, ran.stderr);
    assert_eq!(ran.json["ended"], "interrupted");
    assert_eq!(ran.count("lost") + ran.count("abandoned"), 0);
    assert!(ran.json["duration_s"].as_f64().unwrap() < 3600.0);
}

/// Nor is what was due and not sent still sent then.
#[test]
fn a_signal_ends_the_timetable() {
    let (sender, asked) = mpsc::channel();
    let address = tcp_server(move |stream| {
        let sender = sender.clone();
        each_line(stream, |_, line, peer| {
            let _ = sender.send(());
            // At once would be too good: the timetable has to be behind.
            std::thread::sleep(Duration::from_millis(20));
            say(peer, &pong(line))
        });
    });
    let target = address.to_string();
    let args = [
        "--json",
        "-c",
        "1",
        "-d",
        "1h",
        "--rate",
        "1000",
        target.as_str(),
    ];
    let child = spawn(&[&["load"][..], &args].concat());
    for _ in 0..10 {
        asked.recv_timeout(super::GUARD).unwrap();
    }
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let ran = ran(&finish(child));
    assert_eq!((ran.code, ran.count("lost")), (0, 0), "{}", ran.json);
    assert!(ran.count("unsent") > ran.count("requests"), "{}", ran.json);
}

/// A second one does not wait for replies, and does not call them lost.
#[test]
fn a_second_signal_ends_the_wait() {
    let (sender, asked) = mpsc::channel();
    let address = tcp_server(move |stream| {
        let sender = sender.clone();
        each_line(stream, |_, _, _| sender.send(()).is_ok());
    });
    let target = address.to_string();
    let args = [
        "load",
        "--json",
        "-c",
        "1",
        "-d",
        "1h",
        "--timeout",
        "1h",
        target.as_str(),
    ];
    let child = spawn(&args);
    asked.recv_timeout(super::GUARD).unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    // Signals of one kind that come before the first is taken are one: say it until it is heard.
    let teller = std::thread::spawn(move || {
        while kill_process(pid, Signal::INT).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let ran = ran(&finish(child));
    teller.join().unwrap();
    assert_eq!(
        (ran.code, ran.count("lost"), ran.count("abandoned")),
        (1, 0, 1)
    );
}

/// Nobody can send so much. It ends in time all the same, and says what was not sent.
#[test]
fn a_rate_that_cannot_be_kept() {
    let streams = tcp_server(|stream| each_line(stream, |_, line, peer| say(peer, &pong(line))));
    let flows = super::udp_server(|_, ping, peer, socket| {
        socket.send_to(&pong(ping), peer).unwrap();
    });
    for (address, transport) in [(streams, "--tcp"), (flows, "--udp")] {
        let args = format!("{transport} --rate 1000000000 -c 2 -d 300ms --timeout 200ms");
        let ran = load(address, &args);
        let count = |name: &str| ran.json[name].as_u64().unwrap();
        let due = count("requests") + count("unsent");
        assert_eq!(due, 300_000_000, "{}", ran.json);
    }
}

/// While the client stood still the time to wait for stragglers ran out, and one came: it counts.
#[test]
fn a_straggler_that_came_while_the_client_stood_still() {
    let (came, comes) = mpsc::channel();
    let (answer, may_answer) = mpsc::channel::<()>();
    let may_answer = std::sync::Arc::new(std::sync::Mutex::new(may_answer));
    let address = tcp_server(move |stream| {
        let (came, may_answer) = (came.clone(), may_answer.clone());
        each_line(stream, |_, line, peer| {
            let _ = came.send(());
            may_answer.lock().unwrap().recv().is_ok() && say(peer, &pong(line))
        });
    });
    let target = address.to_string();
    let args = ["load", "--json", "-c1", "-d100ms", "--timeout=2s", &target];
    let child = spawn(&args);
    comes.recv_timeout(super::GUARD).unwrap();
    // The run is over, and the wait for its stragglers has begun.
    std::thread::sleep(Duration::from_millis(600));
    let pid = Pid::from_child(&child);
    freeze_asleep(&child);
    answer.send(()).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    kill_process(pid, Signal::CONT).unwrap();
    let ran = ran(&finish(child));
    assert_eq!((ran.code, ran.count("lost")), (0, 0), "{}", ran.json);
    assert_eq!(ran.count("replies"), 1, "{}", ran.json);
}

/// More than the server can do, with a warm-up: what that could not send is not in the way of what is
/// measured.
#[test]
fn an_overload_with_a_warmup_is_measured() {
    let address = tcp_server(|stream| {
        each_line(stream, |_, line, peer| {
            std::thread::sleep(Duration::from_millis(5));
            say(peer, &pong(line))
        });
    });
    let ran = load(
        address,
        "-c 1 --rate 2000 --warmup 400ms -d 400ms --timeout 50ms",
    );
    assert_eq!(ran.count("due"), 800, "{}", ran.json);
    assert!(ran.count("replies") > 20, "{}", ran.json);
    let of_rate = ran.json["replies_per_s"].as_f64().unwrap() * 0.4;
    #[expect(clippy::cast_precision_loss, reason = "some hundred")]
    let replies = ran.count("replies") as f64;
    // But for what came after the end, and what the warm-up had asked for.
    assert!((of_rate - replies).abs() <= 20.0, "{}", ran.json);
}
