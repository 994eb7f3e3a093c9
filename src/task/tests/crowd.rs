//! What is read in bulk, and for whom.

use super::*;
use crate::task::{
    access::Site,
    observatory::{Ended, Observatory, Read, What},
    store::Store,
    view::Key,
};
use std::collections::HashSet;

fn key(number: u32) -> Key {
    Key {
        namespace: "team-a".to_owned(),
        name: format!("gone-{number}"),
    }
}

fn moment(mono: Duration) -> Moment {
    Moment {
        mono,
        wall: Timestamp::UNIX_EPOCH + mono,
    }
}

/// Objects without a relay, whose application nobody observes.
#[test]
fn a_crowd_of_deletions_shares_two_reads_in_a_row() {
    let (store, paces) = (Store::default(), Paces::default());
    let view = view(deleting());
    let site = Site::of(&view).unwrap();
    let mut observatory = Observatory::default();
    let mut now = SECOND;
    let mut begun = Vec::new();
    for _ in 0..2 {
        assert!(observatory.due(&store, &paces, moment(now)).is_empty());
        for number in 0..20 {
            observatory.join_crowd(site.clone(), key(number));
        }
        let due = observatory.due(&store, &paces, moment(now));
        let read = Read {
            site: site.clone(),
            what: What::Tasks,
            urgent: true,
        };
        assert_eq!(due, std::slice::from_ref(&read));
        begun.push(now);
        now += SECOND;
        let ended = Ended {
            read,
            begun: begun[begun.len() - 1],
            result: Ok(HashSet::new()),
        };
        let look = observatory.ended(ended, &store, &paces, (moment(now), 0.5));
        assert_eq!(look.len(), 20);
        // What the loop does next must not forget what was read.
        assert!(observatory.due(&store, &paces, moment(now)).is_empty());
    }
    assert_eq!(observatory.seen(&view).absent, Some((begun[0], begun[1])));
    assert!(observatory.seen(&view).is_absent_since(begun[0]));

    // Nobody asks any more.
    now += Duration::from_mins(1);
    assert!(observatory.due(&store, &paces, moment(now)).is_empty());
    assert_eq!(observatory.seen(&view).absent, None);
    assert_eq!(observatory.next_at(now), None);
}

/// A read that has begun does not tell whether somebody has joined since: whoever asks meanwhile gets a read of its own.
#[test]
fn whoever_asks_while_the_channels_are_read_is_named_after_the_next_read() {
    let (store, paces) = (Store::default(), Paces::default());
    let site = Site::of(&view(deleting())).unwrap();
    let mut observatory = Observatory::default();
    let read = Read {
        site: site.clone(),
        what: What::Channels,
        urgent: false,
    };
    let begin = |observatory: &mut Observatory, at: u32| {
        let due = observatory.due(&store, &paces, moment(SECOND * at));
        assert_eq!(due, std::slice::from_ref(&read));
    };
    let end = |observatory: &mut Observatory, at: u32| {
        let ended = Ended {
            read: read.clone(),
            begun: SECOND * at,
            result: Ok(HashSet::new()),
        };
        let now = moment(SECOND * (at + 2));
        observatory.ended(ended, &store, &paces, (now, 0.5))
    };
    observatory.ask(site.clone(), key(1));
    begin(&mut observatory, 2);
    observatory.ask(site.clone(), key(2));
    assert_eq!(end(&mut observatory, 2), [key(1)]);
    begin(&mut observatory, 4);
    assert_eq!(end(&mut observatory, 4), [key(2)]);
    let due = observatory.due(&store, &paces, moment(SECOND * 6));
    assert!(due.is_empty());
}
