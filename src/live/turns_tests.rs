use std::collections::BTreeMap as Map;

use proptest::prelude::*;

use super::*;

fn drain(turns: &mut Turns<u32>) -> Vec<u32> {
    std::iter::from_fn(|| turns.pop())
        .map(|(_, _, key)| key)
        .collect()
}

#[test]
fn deletions_go_before_everything_else() {
    let mut turns = Turns::new();
    for key in 0..3 {
        assert!(turns.push(Lane::Create, "a", key));
    }
    assert!(turns.push(Lane::Delete, "a", 3));
    assert_eq!(turns.pop(), Some((Lane::Delete, "a".to_owned(), 3)));
    assert_eq!(drain(&mut turns), [0, 1, 2]);
    assert!(turns.is_empty());
    assert_eq!(turns.pop(), None);
}

/// Deletions, then new relays, then changes, and bulk reads last, whatever came first and wherever it is from.
#[test]
fn the_lanes_have_an_order() {
    let mut lanes = Lane::ALL;
    lanes.reverse();
    let mut turns = Turns::new();
    for (key, (namespace, lane)) in (0..).zip(
        ["a", "b"]
            .into_iter()
            .flat_map(|namespace| lanes.map(|lane| (namespace, lane))),
    ) {
        turns.push(lane, namespace, key);
    }
    let order = [Lane::Delete, Lane::Create, Lane::Update, Lane::Sweep];
    let told: Vec<Lane> = std::iter::from_fn(|| turns.pop())
        .map(|(lane, ..)| lane)
        .collect();
    assert_eq!(told, order.map(|lane| [lane; 2]).concat());
}

#[test]
fn a_namespace_with_thousands_does_not_delay_the_others() {
    let mut turns = Turns::new();
    for key in 0..5_000 {
        turns.push(Lane::Create, "crowd", key);
    }
    for key in 5_000..5_003 {
        turns.push(Lane::Create, "small", key);
    }
    let order = drain(&mut turns);
    assert_eq!(order[..7], [0, 5_000, 1, 5_001, 2, 5_002, 3]);
    assert_eq!(order.len(), 5_003);
}

#[test]
fn leaving_and_coming_back_does_not_gain_a_turn() {
    let mut turns = Turns::new();
    turns.push(Lane::Create, "a", 1);
    turns.push(Lane::Create, "b", 2);
    turns.push(Lane::Create, "b", 3);
    assert_eq!(turns.pop().map(|(_, _, key)| key), Some(1));
    turns.push(Lane::Create, "a", 4);
    assert_eq!(drain(&mut turns), [2, 4, 3]);
}

#[test]
fn a_key_stands_once_and_moves_only_up() {
    let mut turns = Turns::new();
    assert!(turns.push(Lane::Create, "a", 1));
    assert!(turns.push(Lane::Create, "a", 2));
    assert!(!turns.push(Lane::Create, "a", 1), "keeps its place");
    assert!(!turns.push(Lane::Delete, "a", 2), "moves up");
    assert!(!turns.push(Lane::Create, "a", 2), "does not move down");
    assert_eq!(turns.len(), 2);
    assert_eq!(drain(&mut turns), [2, 1]);
}

#[test]
fn removing() {
    let mut turns = Turns::new();
    turns.push(Lane::Create, "a", 1);
    turns.push(Lane::Create, "a", 2);
    turns.push(Lane::Create, "b", 3);
    assert!(turns.remove(&1));
    assert!(!turns.remove(&1));
    assert!(turns.remove(&3));
    assert_eq!(drain(&mut turns), [2]);
}

#[derive(Debug, Clone)]
enum Deed {
    Push(Lane, u8, u32),
    Pop,
    Remove(u32),
}

fn lane() -> impl Strategy<Value = Lane> {
    proptest::sample::select(&Lane::ALL[..])
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (lane(), 0..4_u8, 0..40_u32).prop_map(|(lane, namespace, key)| Deed::Push(lane, namespace, key)),
        2 => Just(Deed::Pop),
        1 => (0..40_u32).prop_map(Deed::Remove),
    ]
}

proptest! {
    /// Nothing is lost, nothing comes twice, the better lane always goes first, and nothing stays behind in an empty line.
    #[test]
    fn whatever_is_done_to_it_the_line_is_sound(deeds in proptest::collection::vec(deed(), 0..200)) {
        let mut turns = Turns::new();
        let mut model: Map<u32, Lane> = Map::new();
        for deed in deeds {
            match deed {
                Deed::Push(lane, namespace, key) => {
                    let new = turns.push(lane, &namespace.to_string(), key);
                    prop_assert_eq!(new, !model.contains_key(&key));
                    model.entry(key).and_modify(|old| *old = lane.min(*old)).or_insert(lane);
                }
                Deed::Pop => match turns.pop() {
                    Some((lane, _, key)) => {
                        prop_assert_eq!(Some(&lane), model.values().min());
                        prop_assert_eq!(model.remove(&key), Some(lane));
                    }
                    None => prop_assert!(model.is_empty()),
                },
                Deed::Remove(key) => prop_assert_eq!(turns.remove(&key), model.remove(&key).is_some()),
            }
            prop_assert_eq!(turns.len(), model.len());
        }
        while turns.pop().is_some() {}
        prop_assert!(turns.is_empty());
        for Rounds { order, namespaces } in &turns.lanes {
            prop_assert!(order.is_empty() && namespaces.is_empty());
        }
    }

    /// Between two turns of a namespace that waits, every other namespace has one at most.
    #[test]
    fn waiting_namespaces_alternate(lane in lane(), sizes in proptest::collection::vec(1..30_usize, 1..8)) {
        let mut turns = Turns::new();
        for (namespace, size) in sizes.iter().enumerate() {
            for number in 0..*size {
                turns.push(lane, &namespace.to_string(), (namespace, number));
            }
        }
        let mut served: Map<usize, usize> = Map::new();
        while let Some((_, _, (namespace, number))) = turns.pop() {
            let round = served.entry(namespace).or_insert(0);
            prop_assert_eq!(number, *round);
            *round += 1;
            let round = *round;
            for (other, size) in sizes.iter().enumerate() {
                let other = served.get(&other).copied().unwrap_or(0);
                prop_assert!(other >= (round - 1).min(*size) && other <= round, "{other} after {round}");
            }
        }
    }
}
