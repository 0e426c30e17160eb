//! The machine: every state and every event, written out.

use pingpong::state::{Event, State, diagram};

use crate::support::{assert_golden, read_project_file};

use pingpong::state::State::{Closed, Connecting, Draining, Finishing, Flushing, Lingering, Open};

/// No event that can happen here.
const BUG: Option<State> = None;

const fn to(state: State) -> Option<State> {
    Some(state)
}

/// In the order of [`State::ALL`] down and [`Event::ALL`] across.
#[rustfmt::skip]
const TABLE: [[Option<State>; 8]; 7] = [
    //               connected  peer closed    bad line      drain          drained       flushed        expired     failed
    /* Connecting */ [to(Open), BUG,           BUG,          to(Closed),    BUG,          BUG,           to(Closed), to(Closed)],
    /* Open       */ [BUG,      to(Finishing), to(Flushing), to(Draining),  BUG,          BUG,           to(Closed), to(Closed)],
    /* Draining   */ [BUG,      to(Finishing), to(Flushing), BUG,           to(Flushing), BUG,           to(Closed), to(Closed)],
    /* Finishing  */ [BUG,      BUG,           BUG,          to(Finishing), BUG,          to(Closed),    to(Closed), to(Closed)],
    /* Flushing   */ [BUG,      BUG,           BUG,          to(Flushing),  BUG,          to(Lingering), to(Closed), to(Closed)],
    /* Lingering  */ [BUG,      to(Closed),    BUG,          to(Lingering), BUG,          BUG,           to(Closed), to(Closed)],
    /* Closed     */ [BUG,      BUG,           BUG,          BUG,           BUG,          BUG,           BUG,        BUG       ],
];

const STATES: [State; 7] = [
    Connecting, Open, Draining, Finishing, Flushing, Lingering, Closed,
];

const EVENTS: [Event; 8] = [
    Event::Connected,
    Event::PeerClosed,
    Event::BadLine,
    Event::Drain,
    Event::Drained,
    Event::Flushed,
    Event::Expired,
    Event::Failed,
];

#[test]
fn every_state_and_every_event() {
    assert_eq!(State::ALL, STATES);
    assert_eq!(Event::ALL, EVENTS);
    for (state, row) in STATES.iter().zip(TABLE) {
        for (event, expected) in EVENTS.iter().zip(row) {
            assert_eq!(state.on(*event), expected, "{event} in state {state}");
        }
    }
}

/// Whoever lives can be ended, and what is closed stays closed.
#[test]
fn nobody_can_be_stuck() {
    for state in STATES {
        for event in [Event::Expired, Event::Failed] {
            let expected = (state != Closed).then_some(Closed);
            assert_eq!(state.on(event), expected, "{event} in state {state}");
        }
    }
}

/// No state is entered twice: a connection's life is at most as long as the list of states.
#[test]
fn no_way_leads_back() {
    let rank = |state| STATES.iter().position(|it| *it == state).unwrap();
    for state in STATES {
        for event in EVENTS {
            if let Some(next) = state.on(event) {
                assert!(
                    rank(next) >= rank(state),
                    "{event} in state {state}: {next}"
                );
            }
        }
    }
}

#[test]
fn the_docs_show_the_machine() {
    let page = read_project_file("docs/state-machine.md");
    let (before, rest) = page.split_once("```mermaid\n").expect("no diagram");
    let (_, after) = rest.split_once("```\n").expect("the diagram has no end");
    let expected = format!("{before}```mermaid\n{}```\n{after}", diagram());
    assert_golden("docs/state-machine.md", &expected);
}
