//! TCP servers that misbehave, each in one way.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use super::{each_line, load, pong, say, tcp_server};

/// Long enough for a few lives of a connection: one that is lost is opened again.
const SHORT: &str = "-c 1 -d 500ms --timeout 300ms";

#[test]
fn a_server_that_answers_is_all_right() {
    let address = tcp_server(|stream| each_line(stream, |_, line, peer| say(peer, &pong(line))));
    for args in [
        "",
        "-p 16",
        "-s 5",
        "-s 5000 -p 4",
        "-s 200000 -p 2",
        "--rate 500",
    ] {
        let ran = load(address, &format!("-c 4 -d 200ms {args}"));
        assert_eq!(ran.code, 0, "{args}: {}", ran.json);
        assert_eq!(ran.count("replies"), ran.count("requests"), "{args}");
        assert_eq!(ran.json["ok"], true);
        assert_eq!(ran.stderr, "", "{args}");
    }
}

/// Far more than the kernel takes at once: requests leave and replies come in pieces, which begin
/// and end anywhere.
#[test]
fn messages_longer_than_any_buffer_arrive_whole() {
    let address = tcp_server(|stream| each_line(stream, |_, line, peer| say(peer, &pong(line))));
    let ran = load(address, "-c 1 -d 300ms -s 1000000 -p 16 --timeout 60s");
    assert_eq!(ran.code, 0, "{} {}", ran.json, ran.stderr);
    assert!(ran.count("replies") >= 16);
}

#[test]
fn a_silent_server_is_no_answer() {
    let address = tcp_server(|stream| each_line(stream, |_, _, _| true));
    let ran = load(address, "-c 3 -d 100ms --timeout 300ms");
    assert_eq!(ran.code, 1);
    assert_eq!(ran.count("replies"), 0);
    assert_eq!(ran.count("lost"), 3);
    assert!(ran.json["latency"]["p50_us"].is_null());
}

#[test]
fn a_reply_that_comes_byte_by_byte_is_a_reply() {
    let address = tcp_server(|stream| {
        each_line(stream, |_, line, peer| {
            pong(line).iter().all(|byte| say(peer, &[*byte]))
        });
    });
    let ran = load(address, "-c 2 -p 3 -s 40 -d 200ms");
    assert_eq!(ran.code, 0, "{}", ran.json);
    assert!(ran.count("replies") > 0);
}

#[test]
fn one_wrong_byte_is_told() {
    let address = tcp_server(|stream| {
        each_line(stream, |number, line, peer| {
            let mut reply = pong(line);
            if number == 3 {
                reply[40] ^= 1;
            }
            say(peer, &reply)
        });
    });
    let ran = load(address, SHORT);
    assert_eq!(ran.code, 1);
    let wrong = ran.count("wrong");
    assert!(wrong > 0);
    assert!(
        (3 * wrong..=3 * wrong + 3).contains(&ran.count("replies")),
        "{}",
        ran.json
    );
    assert!(
        ran.stderr.contains("wrong reply: expected"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.json["ok"], false);
}

#[test]
fn the_reply_to_another_request_is_wrong() {
    // Swaps the second and the third of four requests that wait together.
    let address = tcp_server(|stream| {
        let mut held = None;
        each_line(stream, |number, line, peer| match number {
            1 => {
                held = Some(pong(line));
                true
            }
            2 => say(peer, &pong(line)) && held.take().is_none_or(|held| say(peer, &held)),
            _ => say(peer, &pong(line)),
        });
    });
    let ran = load(address, &format!("-p 4 {SHORT}"));
    assert_eq!(ran.code, 1);
    let wrong = ran.count("wrong");
    assert!(wrong > 0);
    assert!(
        (wrong..=wrong + 1).contains(&ran.count("replies")),
        "{}",
        ran.json
    );
}

#[test]
fn a_reply_that_nobody_asked_for_is_wrong() {
    let address = tcp_server(|stream| {
        each_line(stream, |number, line, peer| {
            let twice = [pong(line.clone()), pong(line)].concat();
            say(
                peer,
                if number == 2 {
                    &twice
                } else {
                    &twice[..twice.len() / 2]
                },
            )
        });
    });
    let ran = load(address, SHORT);
    assert_eq!(ran.code, 1);
    assert!(ran.count("wrong") > 0, "{}", ran.json);
}

#[test]
fn a_connection_that_is_lost_is_told_and_opened_again() {
    let address = tcp_server(|stream| {
        each_line(stream, |number, line, peer| {
            number < 5 && say(peer, &pong(line))
        });
    });
    let ran = load(address, "-c 2 -d 300ms");
    assert_eq!(ran.code, 1);
    // Each life has five replies and one request without; at the end it may be cut short.
    let lives = ran.count("closed_early");
    assert!(lives > 2, "{}", ran.json);
    // One that closes when nothing more is asked takes nothing with it.
    assert!(
        (lives - 2..=lives).contains(&ran.count("lost")),
        "{}",
        ran.json
    );
    assert!(
        (5 * lives..=5 * (lives + 2)).contains(&ran.count("replies")),
        "{}",
        ran.json
    );
    assert!(
        ran.stderr.contains("1 request unanswered"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        ran.json["first_error"],
        ran.stderr.trim().strip_prefix("pingpong: ").unwrap()
    );
    assert_eq!(ran.json["ended"], "complete");
}

/// It is gone for half a second, and comes back at the same port: the timetable is kept, what was
/// due meanwhile is sent when it is back, and the longest latency is the length of the outage.
#[test]
fn an_outage_shows_as_its_length() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // It listens no longer as it serves: who is lost finds nobody, rather than a backlog that goes.
    let serve = |listener: TcpListener, until: Duration| {
        let end = std::time::Instant::now() + until;
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        each_line(stream, |_, line, peer| {
            std::time::Instant::now() < end && say(peer, &pong(line))
        });
    };
    let server = thread::spawn(move || {
        serve(listener, Duration::from_millis(400));
        thread::sleep(Duration::from_millis(500));
        let listener = TcpListener::bind(address).unwrap();
        serve(listener, Duration::from_secs(60));
    });
    let ran = load(address, "-c 1 -d 2s --rate 200");
    server.join().unwrap();
    assert_eq!((ran.code, ran.count("due")), (1, 400), "{}", ran.json);
    assert_eq!(
        (ran.count("closed_early"), ran.count("unsent")),
        (1, 0),
        "{}",
        ran.json
    );
    let lost = ran.count("lost");
    assert!((1..=3).contains(&lost), "{}", ran.json);
    assert!(ran.micros("latency", "p90_us") > 250_000.0, "{}", ran.json);
    // One was lost, so the longest is not known.
    assert!(ran.json["latency"]["max_us"].is_null());
}

#[test]
fn half_a_reply_is_none() {
    let address = tcp_server(|stream| {
        each_line(stream, |_, line, peer| {
            say(peer, &pong(line)[..30]);
            false
        });
    });
    let ran = load(address, "-c 1 -d 100ms");
    assert_eq!((ran.code, ran.count("replies")), (1, 0));
    assert!(ran.count("lost") > 0);
}

#[test]
fn a_slow_server_is_waited_for() {
    // It answers only when the run is over: what was asked in time is answered in time.
    let address = tcp_server(|stream| {
        each_line(stream, |_, line, peer| {
            thread::sleep(Duration::from_millis(400));
            say(peer, &pong(line))
        });
    });
    let ran = load(address, "-c 2 -d 100ms --timeout 30s");
    assert_eq!((ran.code, ran.count("replies")), (0, 2), "{}", ran.json);
    assert!(ran.micros("latency", "min_us") >= 400_000.0);
}

/// The reason to have an open loop: the requests that a stalled server has kept from being sent
/// count from when they were meant to be sent.
#[test]
fn a_pause_of_a_second_shows_in_the_corrected_percentiles() {
    let address = tcp_server(|stream| {
        each_line(stream, |number, line, peer| {
            if number == 100 {
                thread::sleep(Duration::from_secs(1));
            }
            say(peer, &pong(line))
        });
    });
    let ran = load(address, "-c 1 -d 2500ms --rate 200");
    assert_eq!(ran.code, 0, "{}", ran.json);
    // None is skipped: 200 a second for 2.5 seconds.
    assert_eq!((ran.count("requests"), ran.count("unsent")), (500, 0));
    assert!(ran.micros("latency", "p90_us") > 500_000.0, "{}", ran.json);
    assert!(ran.micros("latency", "max_us") > 900_000.0, "{}", ran.json);
    // Only one request saw it as it was sent.
    assert!(ran.micros("latency_uncorrected", "p50_us") < 400_000.0);
    assert!(ran.micros("latency_uncorrected", "p90_us") < 400_000.0);
    assert!(ran.micros("latency_uncorrected", "max_us") > 900_000.0);
}

/// The pause lasts beyond the end: what was due by then is still sent and measured.
#[test]
fn a_pause_at_the_end_is_not_left_out() {
    let address = tcp_server(|stream| {
        each_line(stream, |number, line, peer| {
            if number == 50 {
                thread::sleep(Duration::from_millis(1500));
            }
            say(peer, &pong(line))
        });
    });
    let ran = load(address, "-c 1 -d 1s --rate 100 --timeout 30s");
    assert_eq!((ran.code, ran.count("replies")), (0, 100), "{}", ran.json);
    assert!(ran.micros("latency", "p90_us") > 900_000.0, "{}", ran.json);
}

#[test]
fn what_is_due_and_cannot_be_sent_is_told() {
    let address = tcp_server(|stream| each_line(stream, |_, _, _| true));
    let ran = load(address, "-c 2 -p 3 -d 500ms --rate 1000 --timeout 100ms");
    assert_eq!(ran.code, 1);
    assert_eq!((ran.count("requests"), ran.count("lost")), (6, 6));
    assert_eq!(ran.count("unsent"), 494);
}

#[test]
fn nobody_there_is_an_error() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let ran = load(address, "-c 5 -d 1h");
    assert_eq!((ran.code, ran.count("connections")), (1, 0));
    assert_eq!(ran.json["ended"], "no_connection");
    assert_eq!(ran.count("not_connected"), 5);
    assert!(ran.stderr.contains("refused"), "{}", ran.stderr);
}

#[test]
fn a_greeting_is_skipped_and_a_missing_one_is_told() {
    let address = tcp_server(|mut stream| {
        if say(&mut stream, b"hello\nthere") && say(&mut stream, b"\n") {
            each_line(stream, |_, line, peer| say(peer, &pong(line)));
        }
    });
    assert_eq!(load(address, "-d 100ms -c 3 --skip-lines 2").code, 0);
    assert_eq!(load(address, "-d 100ms -c 3").code, 1);
    let ran = load(address, "-d 1h -c 3 --skip-lines 3 --timeout 200ms");
    assert_eq!((ran.code, ran.count("connections")), (1, 0));
    assert!(ran.stderr.contains("no greeting"), "{}", ran.stderr);
}
