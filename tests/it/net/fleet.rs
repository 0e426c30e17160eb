//! One server and many clients: nobody waits for ever, whatever becomes of whom.

use std::time::Duration;

use pingpong::inside::client::ping::PingPlan;
use pingpong::inside::server::Exit;

use super::hosts::{Link, MS, S};
use super::plan::{Client, Outcome, Plan, REFUSED, SERVED, SILENT, calm_place};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn config(tcp: bool) -> PingPlan {
    PingPlan {
        tcp,
        udp: !tcp,
        count: Some(20),
        interval: ms(10),
        timeout: Some(ms(500)),
        deadline: None,
        payload_bytes: 30,
        rotate_port: false,
        tells_waiting: false,
    }
}

fn client(config: PingPlan, addresses: &[&str]) -> Client {
    Client {
        config,
        addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        place: calm_place(),
        begins_ns: 0,
        stop_ns: None,
    }
}

#[track_caller]
fn run(plan: Plan) -> Outcome {
    let outcome = plan.run(true);
    if let Some(violation) = &outcome.violation {
        panic!("{}\n{violation}", outcome.trace.join("\n"));
    }
    outcome
}

/// Two hosts that are a tenth of a millisecond away from the network each: there and back it is four
/// of those, and what the calls of both take.
#[test]
fn in_a_calm_world_every_ping_is_answered() {
    for tcp in [true, false] {
        let outcome = run(Plan::calm(vec![client(config(tcp), &[SERVED])]));
        let summary = &outcome.summaries[0];
        assert_eq!(summary["received"], 20, "{summary}");
        assert_eq!(summary["errors"], 0, "{summary}");
        let max_us = summary["rtt"]["max_us"].as_f64().unwrap();
        assert!((400.0..450.0).contains(&max_us), "{summary}");
        assert_eq!(outcome.exit, Some(Exit::Drained));
    }
}

/// Links that are slow, and jitter, and do not lose anything.
#[test]
fn in_a_slow_world_every_ping_is_answered() {
    for latency_ms in [1, 30, 200] {
        for tcp in [true, false] {
            let mut far = client(config(tcp), &[SERVED]);
            far.config.timeout = Some(ms(5 * latency_ms));
            far.place.link = Link {
                latency_ns: latency_ms * MS,
                jitter_ns: MS / 10,
                ..Link::default()
            };
            let outcome = run(Plan::calm(vec![far]));
            assert_eq!(outcome.summaries[0]["lost"], 0, "{}", outcome.summaries[0]);
        }
    }
}

/// The time to connect is that of the connection, not of the search.
#[test]
fn connecting_is_timed_from_the_attempt_that_works() {
    for first in [REFUSED, SILENT] {
        let mut searching = client(config(true), &[first, SERVED]);
        searching.config.interval = ms(300);
        let outcome = run(Plan::calm(vec![searching]));
        let connect = &outcome.summaries[0]["connect"];
        assert_eq!(connect["connections"], 1);
        let max_us = connect["max_us"].as_f64().unwrap();
        assert!((400.0..420.0).contains(&max_us), "{connect}");
    }
}

/// A network that takes no time: the connection is there as soon as it is asked for.
#[test]
fn connecting_takes_time_where_the_network_takes_none() {
    let mut near = client(config(true), &[REFUSED, SERVED]);
    near.place.link = Link::default();
    let mut plan = Plan::calm(vec![near]);
    plan.place.link = Link::default();
    run(plan);
}

/// Four over TCP and four over UDP, and a server that has room for three and is stopped while all
/// of them are at it.
#[test]
fn a_fleet_and_a_server_that_drains() {
    for (stop_ms, second_ms) in [(0, None), (50, None), (105, None), (105, Some(106))] {
        let mut clients = Vec::new();
        for number in 0..8 {
            let mut one = client(config(number % 2 == 0), &[SERVED]);
            one.begins_ns = number * 3 * MS;
            clients.push(one);
        }
        let mut plan = Plan::calm(clients);
        plan.config.max_connections = 3;
        plan.stop_ns = Some(stop_ms * MS);
        plan.second_stop_ns = second_ms.map(|at| at * MS);
        let outcome = run(plan);
        assert!(outcome.ran_ns < 5 * S, "{}", outcome.ran_ns);
        assert_eq!(outcome.summaries.len(), 8);
        let expected = match second_ms {
            None => Exit::Drained,
            Some(_) => Exit::Aborted,
        };
        let exit = outcome.exit.unwrap();
        assert!(exit == expected || exit == Exit::Drained);
        for summary in &outcome.summaries {
            assert_eq!(summary["sent"], 20, "{summary}");
        }
        // Who is over UDP had a reply until then, and hears of the closed port after.
        let of_all = |key: &str| -> u64 {
            let counts = outcome.summaries.iter().map(|it| it[key].as_u64().unwrap());
            counts.sum()
        };
        assert!(of_all("errors") > 0);
        assert_eq!(stop_ms == 0, of_all("received") == 0);
    }
}

/// So many at once, each with its own pace, against a server without limits.
#[test]
fn a_large_fleet_is_served_to_the_last() {
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut one = client(config(number % 3 > 0), &[SERVED]);
        one.begins_ns = number * MS / 7;
        one.config.interval = ms(number % 5 * 3);
        clients.push(one);
    }
    let outcome = run(Plan::calm(clients));
    for summary in &outcome.summaries {
        assert_eq!(
            (&summary["sent"], &summary["received"]),
            (&20.into(), &20.into())
        );
    }
    assert_eq!(outcome.exit, Some(Exit::Drained));
}
