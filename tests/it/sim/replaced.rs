//! SIGUSR2 in virtual time: what the one that is replaced still does, and until when it waits for the
//! one that replaces it.

use std::time::Duration;

use Signal::{NotReplaced, Replaced, Report, Stop, Upgrade};
use pingpong::inside::reactor::kernel::{Notice, Signal};
use pingpong::inside::server::Exit;
use pingpong::inside::server::upgrade::START_TIMEOUT;
use rustix::io::Errno;

use super::by_hand::ByHand;
use super::peer::{Ending, Peer};
use super::plan::{MS, Plan};

const PID: u32 = 7;

/// A server with a client that sends a ping and stays, and another ping of it later.
fn served(signals: &[(u64, Signal)]) -> ByHand {
    let mut plan = Plan::calm(64, vec![Peer::scripted(b"ping\n", 0, Ending::Stay)]);
    plan.config.idle_timeout = Some(Duration::from_secs(5));
    plan.config.drain_timeout = Duration::from_millis(300);
    ByHand::new(plan, signals)
}

fn run(it: &mut ByHand, until_ms: u64) -> Option<Exit> {
    while it.now_ms() < until_ms {
        if let Some(exit) = it.turn() {
            return Some(exit);
        }
    }
    None
}

fn is_listening(it: &ByHand) -> bool {
    it.world().listeners.iter().all(|it| it.is_open)
}

/// All sockets go over, when the new one serves and not before; the connection stays until its idle
/// timeout, which goes on.
#[test]
fn connections_go_on_to_their_end() {
    let mut it = served(&[(100, Upgrade), (500, Report), (1000, Replaced(PID))]);
    assert_eq!(run(&mut it, 500), None);
    let sockets = it.world().listeners.len() + it.world().ports.len();
    assert_eq!(it.world().successors, [(sockets, None)]);
    assert!(is_listening(&it));
    assert_eq!(run(&mut it, 1000), None);
    assert!(!is_listening(&it) && it.server.addresses().next().is_none());
    assert_eq!(it.server.connections(), 1);
    let (exit, ms) = it.end().unwrap();
    assert_eq!(exit, Exit::Replaced);
    assert!((5000..5300).contains(&ms), "{ms}");
    let told = [Notice::Reloading, Notice::ReplacedBy(PID)];
    assert_eq!(it.world().notices, told);
}

/// Who was replaced still stops when it is told to, and then nobody hears of it: it is not the
/// service any more.
#[test]
fn who_was_replaced_drains_all_the_same() {
    let mut it = served(&[(100, Upgrade), (200, Replaced(PID)), (1000, Stop)]);
    let (exit, ms) = it.end().unwrap();
    assert_eq!(exit, Exit::Drained);
    assert!((1000..=1300).contains(&ms), "{ms}");
    let told = [Notice::Reloading, Notice::ReplacedBy(PID)];
    assert_eq!(it.world().notices, told);
}

/// One that does not get ready is ended after its time, and not before; then everything is as it was,
/// and there can be another.
#[test]
fn who_takes_too_long_is_ended() {
    let start_ms = u64::try_from(START_TIMEOUT.as_millis()).unwrap();
    let signals = [
        (100, Upgrade),
        (200, Upgrade),
        (12_000, NotReplaced),
        (13_000, Upgrade),
    ];
    let mut it = served(&signals);
    assert_eq!(run(&mut it, 12_000), None);
    let ended_ns = it.world().successors[0].1.unwrap();
    assert!(
        (start_ms + 100..start_ms + 101).contains(&(ended_ns / MS)),
        "{ended_ns}"
    );
    assert!(is_listening(&it));
    assert_eq!(it.world().successors.len(), 1, "one at a time");
    assert_eq!(it.world().notices, [Notice::Reloading, Notice::Ready]);
    run(&mut it, 13_000);
    assert_eq!(it.world().successors.len(), 2);
}

#[test]
fn one_that_cannot_be_started_changes_nothing() {
    let mut it = served(&[(100, Upgrade), (200, Upgrade)]);
    it.world_mut().start_error = Some(Errno::NOENT);
    assert_eq!(run(&mut it, 1000), None);
    assert!(is_listening(&it) && it.world().notices.is_empty());
    assert_eq!(it.world().successors.len(), 2);
}

/// A stop ends the new one too, if it does not serve yet; and none is started once a stop has begun.
#[test]
fn a_stop_goes_before_an_upgrade() {
    let mut it = served(&[(100, Upgrade), (200, Stop), (250, Upgrade)]);
    assert_eq!(it.end().unwrap().0, Exit::Drained);
    assert_eq!(it.world().successors.len(), 1);
    assert_eq!(it.world().successors[0].1, Some(200 * MS));
    assert_eq!(it.world().notices, [Notice::Reloading, Notice::Stopping]);
}

/// One in its place is enough: it is that one's to be replaced now.
#[test]
fn who_was_replaced_starts_nobody() {
    let mut it = served(&[(100, Upgrade), (200, Replaced(PID)), (300, Upgrade)]);
    assert_eq!(it.end().unwrap().0, Exit::Replaced);
    assert_eq!(it.world().successors.len(), 1);
}

/// The watchdog is fed by whoever is the service.
#[test]
fn who_was_replaced_feeds_no_watchdog() {
    let mut plan = Plan::calm(64, vec![Peer::scripted(b"ping\n", 0, Ending::Stay)]);
    plan.config.watchdog_interval = Some(Duration::from_millis(100));
    let mut it = ByHand::new(plan, &[(450, Upgrade), (1050, Replaced(PID)), (3000, Stop)]);
    it.end();
    let alive = it
        .world()
        .notices
        .iter()
        .filter(|it| **it == Notice::Alive)
        .count();
    assert_eq!(alive, 10);
}
