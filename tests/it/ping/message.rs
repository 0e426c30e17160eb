//! The ping that is sent, and the pong that must come back.

use std::time::Instant;

use pingpong::inside::client::message::{PAYLOAD_MAX_BYTES, Template};
use pingpong::inside::client::ping::window::{Fate, Verdict, WINDOW_PINGS, Window};
use pingpong::inside::protocol::{Kind, kind, turn_into_pong};

fn ping(template: &Template, number: u64) -> Vec<u8> {
    let mut message = Vec::new();
    template.write_ping(number, &mut message);
    message
}

fn pong(template: &Template, number: u64) -> Vec<u8> {
    let mut message = ping(template, number);
    turn_into_pong(&mut message);
    message
}

#[test]
fn messages_read_well() {
    let cases: [(usize, u64, &[u8]); 7] = [
        (0, 7, b"ping\n"),
        (1, 7, b"ping \n"),
        (2, 17, b"ping 7\n"),
        (4, 1017, b"ping 17 \n"),
        (8, 17, b"ping 17 abcd\n"),
        (8, u64::MAX, b"ping 9551615\n"),
        (32, u64::MAX, b"ping 8446744073709551615 abcdefghijk\n"),
    ];
    for (payload_bytes, number, expected) in cases {
        let message = ping(&Template::new(payload_bytes), number);
        assert_eq!(message, expected, "{}", message.escape_ascii());
    }
}

#[test]
fn every_payload_has_its_length_and_its_number() {
    for payload_bytes in (0..100).chain([PAYLOAD_MAX_BYTES]) {
        let template = Template::new(payload_bytes);
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX] {
            let message = ping(&template, number);
            assert_eq!(message.len(), payload_bytes + 5);
            assert_eq!(message.len(), template.len_bytes());
            assert_eq!(kind(&message), Kind::Ping);
            assert_eq!(message.split(|byte| *byte == b'\n').count(), 2);
            let read = template.number(&pong(&template, number));
            assert_eq!(read, Some(number % template.modulus()));
        }
    }
    assert_eq!(ping(&Template::new(PAYLOAD_MAX_BYTES), 1).len(), 65_507);
}

#[test]
fn numbers_are_read_from_nothing_else() {
    let template = Template::new(8);
    for reply in [
        "",
        "pong",
        "pong ",
        "pong \n",
        "pong x17 abc\n",
        "pong 123456789",
    ] {
        assert_eq!(template.number(reply.as_bytes()), None, "{reply}");
    }
}

/// A window in which so many pings were begun and sent.
fn window(template: Template, pings: usize) -> Window {
    let now = Instant::now();
    let mut window = Window::new(template);
    for _ in 0..pings {
        let seq = window.begin(0, now);
        window.sent(seq, now);
    }
    window
}

#[test]
fn a_reply_belongs_to_the_ping_with_its_number() {
    let template = Template::new(8);
    let mut window = window(template, 3);
    assert_eq!(window.waiting(), 3);
    let judged = |window: &mut Window, number| window.judge(&pong(&template, number));
    assert!(matches!(judged(&mut window, 2), Verdict::Reply(ping) if ping.seq == 2));
    assert!(matches!(judged(&mut window, 2), Verdict::Duplicate(ping) if ping.seq == 2));
    window.settle(1, Fate::Ended);
    assert!(matches!(judged(&mut window, 1), Verdict::Late(ping) if ping.seq == 1));
    assert!(matches!(judged(&mut window, 1), Verdict::Duplicate(ping) if ping.seq == 1));
    assert!(matches!(judged(&mut window, 4), Verdict::Wrong));
    assert!(matches!(judged(&mut window, 0), Verdict::Wrong));
    assert!(matches!(window.judge(&ping(&template, 3)), Verdict::Wrong));
    assert_eq!(window.waiting(), 1);
    assert_eq!(window.oldest_waiting().map(|ping| ping.seq), Some(3));
}

#[test]
fn digits_that_repeat_mean_the_ping_that_has_waited_longest() {
    let template = Template::new(2);
    let mut window = window(template, 25);
    for seq in [3, 13, 23] {
        let verdict = window.judge(&pong(&template, 3));
        assert!(matches!(verdict, Verdict::Reply(ping) if ping.seq == seq));
    }
    let verdict = window.judge(&pong(&template, 3));
    assert!(matches!(verdict, Verdict::Duplicate(ping) if ping.seq == 23));
    // 26 would be next.
    let verdict = window.judge(&pong(&template, 6));
    assert!(matches!(verdict, Verdict::Reply(ping) if ping.seq == 6));
}

#[test]
fn a_ping_that_was_not_sent_has_no_reply() {
    let template = Template::new(8);
    let mut window = Window::new(template);
    window.begin(0, Instant::now());
    assert!(matches!(window.judge(&pong(&template, 1)), Verdict::Wrong));
}

#[test]
fn a_full_window_forgets_its_oldest() {
    let template = Template::new(8);
    let mut window = window(template, WINDOW_PINGS);
    let oldest = window.next_forgotten().map(|ping| (ping.seq, ping.fate));
    assert_eq!(oldest, Some((1, Fate::Waiting)));
    window.begin(0, Instant::now());
    assert_eq!(window.waiting(), WINDOW_PINGS);
    assert_eq!(window.oldest_waiting().map(|ping| ping.seq), Some(2));
    assert!(matches!(window.judge(&pong(&template, 1)), Verdict::Wrong));
}
