//! The ring of requests by number.

use pingpong::inside::client::requests::{Fate, Requests};

fn three() -> Requests<char> {
    let mut requests = Requests::new(1, 3);
    for (what, number) in ['a', 'b', 'c'].into_iter().zip(1..) {
        assert_eq!(requests.next(), number);
        assert_eq!(requests.push(what), number);
    }
    requests
}

#[test]
fn what_becomes_of_a_request_is_told_by_what_had() {
    let mut requests = three();
    assert_eq!(answer(&mut requests, 2), Some(Fate::Waiting));
    assert_eq!(answer(&mut requests, 2), Some(Fate::Answered));
    assert!(requests.give_up(1));
    assert!(!requests.give_up(1) && !requests.give_up(2));
    assert_eq!(answer(&mut requests, 1), Some(Fate::GivenUp));
    assert_eq!(
        (answer(&mut requests, 0), answer(&mut requests, 4)),
        (None, None)
    );
    assert_eq!(requests.waiting(), 1);
    assert_eq!(requests.oldest_waiting(), Some((3, &'c')));
    assert!(requests.is_behind(2) && !requests.is_behind(3));
}

#[test]
fn a_full_ring_forgets_its_oldest() {
    let mut requests = three();
    assert_eq!(requests.overtaken(), Some((1, &'a')));
    assert_eq!(requests.push('d'), 4);
    assert_eq!(requests.get(1), None);
    assert_eq!(requests.get(4), Some((&'d', Fate::Waiting)));
    assert_eq!(requests.waiting(), 3);
    let waiting: Vec<_> = requests.iter_waiting().collect();
    assert_eq!(waiting, [(2, &'b'), (3, &'c'), (4, &'d')]);
    answer(&mut requests, 2);
    assert_eq!(requests.overtaken(), None);
    requests.push('e');
    assert_eq!((requests.waiting(), requests.next()), (3, 6));
    assert_eq!(requests.oldest_waiting(), Some((3, &'c')));
}

fn answer<T>(requests: &mut Requests<T>, number: u64) -> Option<Fate> {
    requests.answer(number).map(|(fate, _)| fate)
}
