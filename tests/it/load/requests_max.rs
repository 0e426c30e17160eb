//! `-n`: a run that ends by the number of its requests.

use serde_json::Value;

use super::Served;
use crate::support::server::{pingpong, run};

fn report(words: &[&str], target: &str) -> Value {
    let words = [&["load", "--json"], words, &[target]].concat();
    let (code, stdout, stderr) = run(pingpong(&words));
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{words:?}");
    serde_json::from_str(&stdout).unwrap()
}

/// So many and no more, whatever waits at once, over both transports, with a warm-up and by a
/// timetable; a run whose time is over before ends then.
#[test]
fn it_ends_after_so_many_requests() {
    let served = Served::start();
    let target = served.address.to_string();
    let cases: [&[&str]; 7] = [
        &["-n", "1"],
        &["-n", "3", "-c", "50"],
        &["-n", "1000", "-p", "16"],
        &["-n", "1000", "--udp", "-c", "3", "-p", "7"],
        &["-n", "200", "--warmup", "20ms"],
        &["-n", "200", "--rate", "10k"],
        &["-n", "200", "--rate", "10000", "--udp", "--warmup", "20ms"],
    ];
    for words in cases {
        let report = report(words, &target);
        let expected: u64 = words[1].parse().unwrap();
        assert_eq!(report["requests"], expected, "{words:?}");
        assert_eq!(report["replies"], expected, "{words:?}");
        assert_eq!(report["ended"], "complete", "{words:?}");
        let is_timed = words.contains(&"--rate");
        assert_eq!(report["duration_asked_s"].is_null(), !is_timed, "{words:?}");
    }
    let report = report(&["-n", "1000000000", "-d", "50ms"], &target);
    assert_eq!(report["duration_asked_s"], 0.05);
    assert!(report["requests"].as_u64().unwrap() < 1_000_000_000);
}
