//! The machine: every state and every event, written out.

use pingpong::state::{Event, State, diagram};

use crate::support::{assert_golden, read_project_file};

use pingpong::state::State::Closed;

/// The state after each event; a dash where the event cannot happen.
const TABLE: &str = "
               connected  peer closed  bad line  drain      drained   flushed    expired  failed
  Connecting   Open       -            -         Closed     -         -          Closed   Closed
  Open         -          Finishing    Flushing  Draining   -         -          Closed   Closed
  Draining     -          Finishing    Flushing  -          Flushing  -          Closed   Closed
  Finishing    -          -            -         Finishing  -         Closed     Closed   Closed
  Flushing     -          -            -         Flushing   -         Lingering  Closed   Closed
  Lingering    -          Closed       -         Lingering  -         -          Closed   Closed
  Closed       -          -            -         -          -         -          -        -
";

#[test]
fn every_state_and_every_event() {
    // Two spaces part columns, one stands within an event's name.
    let cells = |line: &'static str| {
        line.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
    };
    let mut lines = TABLE.trim_matches('\n').lines();
    let events: Vec<_> = cells(lines.next().unwrap()).collect();
    assert_eq!(events, Event::ALL.map(|event| event.to_string()));
    for state in State::ALL {
        let mut row = cells(lines.next().unwrap());
        assert_eq!(row.next(), Some(state.to_string().as_str()));
        for event in Event::ALL {
            let after = state
                .on(event)
                .map_or("-".into(), |after| after.to_string());
            assert_eq!(row.next(), Some(after.as_str()), "{event} in state {state}");
        }
        assert_eq!(row.next(), None);
    }
    assert_eq!(lines.next(), None);
}

/// Whoever lives can be ended, and what is closed stays closed.
#[test]
fn nobody_can_be_stuck() {
    for state in State::ALL {
        for event in [Event::Expired, Event::Failed] {
            let expected = (state != Closed).then_some(Closed);
            assert_eq!(state.on(event), expected, "{event} in state {state}");
        }
    }
}

/// No state is entered twice: a connection's life is at most as long as the list of states.
#[test]
fn no_way_leads_back() {
    let rank = |state| State::ALL.iter().position(|it| *it == state).unwrap();
    for state in State::ALL {
        for event in Event::ALL {
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
