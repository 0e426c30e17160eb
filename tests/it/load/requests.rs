//! Requests on their way: which fate each has, and that all of them add up.

use std::collections::HashMap;

use pingpong::inside::client::requests::{Fate, Requests};
use proptest::prelude::*;

proptest! {
    /// Whatever comes in whatever order: each request has one fate, and all fates add up.
    #[test]
    fn fates_add_up(first in 0..3_u64, steps in prop::collection::vec((0..4_u8, 0..40_u64), 1..400)) {
        let mut requests = Requests::new(first, 16);
        let (mut answered, mut lost) = (0, 0);
        let mut fates: HashMap<u64, Fate> = HashMap::new();
        for (step, argument) in steps {
            match step {
                0 | 1 => {
                    let overtaken = requests.overtaken().map(|(number, _)| number);
                    let number = requests.next();
                    prop_assert_eq!(requests.push(argument), number);
                    if let Some(overtaken) = overtaken {
                        lost += 1;
                        prop_assert_eq!(fates.insert(overtaken, Fate::GivenUp), None);
                    }
                    prop_assert_eq!(requests.get(number), Some((&argument, Fate::Waiting)));
                }
                2 => {
                    let number = requests.next().saturating_sub(argument % 20);
                    let before = fates.get(&number).copied();
                    match answer(&mut requests, number) {
                        Some(fate) => {
                            answered += u64::from(fate == Fate::Waiting);
                            prop_assert_eq!(before, (fate != Fate::Waiting).then_some(fate));
                            fates.insert(number, Fate::Answered);
                        }
                        None => prop_assert!(
                            number < first || number >= requests.next() || requests.next() - number > 16
                        ),
                    }
                }
                _ => {
                    let oldest = requests.oldest_waiting().map(|(number, _)| number);
                    prop_assert_eq!(oldest, requests.iter_waiting().next().map(|(number, _)| number));
                    if let Some(oldest) = oldest {
                        prop_assert!(requests.give_up(oldest));
                        prop_assert!(!requests.give_up(oldest));
                        lost += 1;
                        prop_assert_eq!(fates.insert(oldest, Fate::GivenUp), None);
                    }
                }
            }
            prop_assert_eq!(answered + lost + requests.waiting() as u64, requests.next() - first);
            prop_assert_eq!(requests.iter_waiting().count(), requests.waiting());
        }
    }
}

#[test]
fn fates_are_told_apart() {
    let mut requests = Requests::new(0, 8);
    for time in 0..4 {
        requests.push(time);
    }
    assert!(!requests.is_behind(0));
    assert_eq!(answer(&mut requests, 1), Some(Fate::Waiting));
    // The reply of a later one was here before it.
    assert!(requests.is_behind(0) && !requests.is_behind(2));
    assert_eq!(answer(&mut requests, 0), Some(Fate::Waiting));
    assert_eq!(answer(&mut requests, 1), Some(Fate::Answered));
    assert_eq!(answer(&mut requests, 4), None);
    // What comes for one that was given up is late; then it comes twice.
    assert!(requests.give_up(2));
    assert_eq!(answer(&mut requests, 2), Some(Fate::GivenUp));
    assert_eq!(answer(&mut requests, 2), Some(Fate::Answered));
    assert_eq!(requests.oldest_waiting(), Some((3, &3)));
    assert_eq!(answer(&mut requests, 3), Some(Fate::Waiting));
    assert_eq!((requests.waiting(), requests.oldest_waiting()), (0, None));
}

#[test]
fn who_is_pushed_out_of_memory_waits_no_longer() {
    let mut requests = Requests::new(1, 8);
    for time in 0..8 {
        assert_eq!(requests.overtaken(), None);
        requests.push(time);
    }
    for number in 2..=8 {
        assert_eq!(answer(&mut requests, number), Some(Fate::Waiting));
    }
    assert_eq!(requests.overtaken(), Some((1, &0)));
    assert_eq!((requests.push(8), requests.waiting()), (9, 1));
    assert_eq!(answer(&mut requests, 1), None);
    // The next to go has its reply.
    assert_eq!(requests.overtaken(), None);
    assert_eq!(answer(&mut requests, 9), Some(Fate::Waiting));
}

fn answer<T>(requests: &mut Requests<T>, number: u64) -> Option<Fate> {
    requests.answer(number).map(|(fate, _)| fate)
}
