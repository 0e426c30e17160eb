//! The machine: every state and every event, written out.

use pingpong::inside::state::{Event, Impossible, State, diagram};

use crate::support::{assert_golden, read_project_file};

use pingpong::inside::state::State::Closed;

/// The state after each event; a dash where the event cannot happen.
const TABLE: &str = "
               connected  peer closed  drain      last read  flushed    shut       expired  failed
  Connecting   Open       -            Closed     -          -          -          Closed   Closed
  Open         -          Finishing    Draining   Flushing   -          Lingering  Closed   Closed
  Draining     -          Finishing    -          Flushing   -          -          Closed   Closed
  Finishing    -          -            Finishing  -          Closed     -          Closed   Closed
  Flushing     -          -            Flushing   -          Lingering  -          Closed   Closed
  Lingering    -          Closed       Lingering  -          -          -          Closed   Closed
  Closed       -          -            -          -          -          -          -        -
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
                .map_or_else(|_| "-".into(), |after| after.to_string());
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
            let expected = if state == Closed {
                Err(Impossible { state, event })
            } else {
                Ok(Closed)
            };
            assert_eq!(state.on(event), expected);
        }
    }
}

/// No state is entered twice: a connection's life is at most as long as the list of states.
#[test]
fn no_way_leads_back() {
    let rank = |state| State::ALL.iter().position(|it| *it == state).unwrap();
    for state in State::ALL {
        for event in Event::ALL {
            if let Ok(next) = state.on(event) {
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

/// The picture in the source. Each `State ─ event ─▶ State` of one line is what the function does; all
/// states and all events are in it.
#[test]
fn the_source_shows_the_machine() {
    let source = read_project_file("src/state.rs");
    let picture: Vec<_> = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .skip_while(|line| !line.contains("```text"))
        .skip(1)
        .take_while(|line| !line.contains("```"))
        .collect();
    let whole = picture.join("\n");
    let named = |word: &str| State::ALL.into_iter().find(|it| it.to_string() == word);
    let mut arrows = 0;
    for line in &picture {
        let mut from: Option<State> = None;
        let mut event: Option<Event> = None;
        for part in line.split([' ', '─', '▶', '│', '├', '└', '┘', '┴', '┼', '▲', '◀'])
        {
            let part = part.trim();
            if let Some(state) = named(part) {
                if let (Some(from), Some(event)) = (from, event) {
                    assert_eq!(from.on(event), Ok(state), "{event} in state {from}: {line}");
                    arrows += 1;
                }
                (from, event) = (Some(state), None);
            } else if let Some(told) = event_of(part, line, from) {
                event = Some(told);
            }
        }
    }
    assert_eq!(arrows, 6, "{whole}");
    for word in State::ALL.map(|it| it.to_string()) {
        assert!(whole.contains(&word), "{word} is not in the picture");
    }
    for word in Event::ALL.map(|it| it.to_string()) {
        assert!(whole.contains(&word), "{word} is not in the picture");
    }
}

/// The event whose name begins with this word, in a line that has the whole of it behind a state.
fn event_of(word: &str, line: &str, from: Option<State>) -> Option<Event> {
    from?;
    let is_it = |event: &Event| {
        let name = event.to_string();
        name.split(' ').next() == Some(word) && line.contains(&name)
    };
    Event::ALL.into_iter().find(is_it)
}
