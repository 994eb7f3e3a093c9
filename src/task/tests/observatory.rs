//! What is read of whole applications, when, and for whom.

mod credentials;

use super::{
    relay::{ended, intended, relay, started},
    *,
};
use crate::{
    live::{AppId, Delivery, Failure},
    task::{
        access::{SecretName, Site, Source},
        observatory::{Ended, Observatory, Read, What},
        store::Store,
        view::Key,
    },
};
use std::collections::HashSet;

const SWEEP: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_secs(10);

fn site(source: Source) -> Site {
    let app = AppId::try_from("app-01").unwrap();
    Site { source, app }
}

fn key(name: &str) -> Key {
    Key {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
    }
}

/// The object under another name, with an id and a channel of that name.
fn named(object: Value, name: &str) -> Value {
    let object = changed(
        object,
        "/metadata",
        json!({"name": name, "uid": format!("uid-{name}")}),
    );
    let object = changed(object, "/spec", json!({"taskId": name}));
    changed(object, "/spec/relay", json!({"channelId": name}))
}

/// One that was told of, so that it does not ask for itself.
fn told(object: Value, reason: &str) -> Value {
    let condition = json!({
        "type": "Ready", "status": "False", "reason": reason, "message": "words",
        "lastTransitionTime": "1970-01-01T00:00:00Z"
    });
    changed(
        object,
        "/status",
        json!({"phase": "Pending", "conditions": [condition]}),
    )
}

fn waiting(name: &str) -> Value {
    told(named(relay(), name), "WaitingForChannel")
}

fn running(name: &str) -> Value {
    named(started(relay()), name)
}

fn failure(class: Class) -> Failure {
    Failure {
        class,
        delivery: Delivery::Answered,
        status: Some(503),
        code: None,
        message: "no".to_owned(),
        task_gone: false,
        retry_after: None,
        request_id: None,
    }
}

/// An observatory with its clock.
struct Watch {
    observatory: Observatory,
    store: Store,
    paces: Paces,
    now: Duration,
    /// When reads began.
    reads: Vec<(Duration, What)>,
}

impl Watch {
    fn of(objects: impl IntoIterator<Item = Value>) -> Self {
        let mut store = Store::default();
        let mut observatory = Observatory::default();
        for object in objects {
            let view = view(object);
            if let Some(site) = Site::of(&view) {
                observatory.observe(site);
            }
            store.watched(view);
        }
        Self {
            observatory,
            store,
            paces: Paces::default(),
            now: Duration::ZERO,
            reads: Vec::new(),
        }
    }

    fn due(&mut self) -> Vec<Read> {
        self.observatory
            .due(&self.store, &self.paces, moment(self.now))
    }

    fn end(&mut self, read: Read, result: Result<&[&str], Class>) -> Vec<String> {
        let result = result
            .map(|ids| ids.iter().map(|&id| id.to_owned()).collect::<HashSet<_>>())
            .map_err(|class| Box::new(failure(class)));
        let ended = Ended {
            read,
            begun: self.now,
            result,
        };
        let moment = Moment {
            mono: self.now,
            wall: Timestamp::UNIX_EPOCH + self.now,
        };
        let look = self
            .observatory
            .ended(ended, &self.store, &self.paces, (moment, 0.9));
        let mut names: Vec<String> = look.into_iter().map(|key| key.name).collect();
        names.sort();
        names
    }

    /// Until then as the controller does it, with reads that end at once.
    fn run(
        &mut self,
        until: Duration,
        mut service: impl FnMut(What) -> Result<Vec<&'static str>, Class>,
    ) {
        for _ in 0..10_000 {
            loop {
                let reads = self.due();
                if reads.is_empty() {
                    break;
                }
                for read in reads {
                    self.reads.push((self.now, read.what));
                    let result = service(read.what);
                    self.end(read, result.as_deref().map_err(|class| *class));
                }
            }
            let next = self.observatory.next_at(self.now);
            assert!(
                next.is_none_or(|next| next > self.now),
                "a wait that is over is a busy loop: {next:?} at {:?}",
                self.now
            );
            match next {
                Some(next) if next <= until => self.now = next,
                Some(_) | None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("no end of reads at {:?}", self.now);
    }

    fn times(&self, what: What) -> usize {
        self.reads.iter().filter(|(_, read)| *read == what).count()
    }
}

#[test]
fn many_healthy_relays_cost_one_read_of_each_list_in_a_sweep() {
    let names = ["a", "b", "c", "d"];
    let mut watch = Watch::of(names.map(running));
    watch.run(10 * SWEEP - SECOND, |_| Ok(names.to_vec()));
    assert_eq!(watch.times(What::Tasks), 10);
    assert_eq!(watch.times(What::Channels), 10);
}

#[test]
fn where_somebody_waits_for_a_channel_the_channels_alone_are_read_often() {
    let mut watch = Watch::of([waiting("a")]);
    watch.run(10 * POLL - SECOND, |_| Ok(vec![]));
    assert_eq!(watch.times(What::Channels), 10);
    assert_eq!(watch.times(What::Tasks), 0);
}

#[test]
fn nothing_is_read_for_those_that_wait_for_nothing() {
    let idle = [
        ended(relay(), "Requested"),
        changed(waiting("a"), "/spec", json!({"desiredState": "Stopped"})),
        changed(waiting("b"), "/spec", json!({"suspend": true})),
        changed(
            running("c"),
            "/metadata",
            json!({"deletionTimestamp": "2026-01-02T04:00:00Z"}),
        ),
        // It asks for itself before it is told about.
        named(relay(), "d"),
    ];
    let mut watch = Watch::of(idle);
    watch.run(10 * SWEEP, |what| panic!("{what:?}"));
}

/// Whether its Start took effect may be known from the list alone, and its intent may stay good while the channel is away.
#[test]
fn relays_whose_start_has_no_outcome_are_observed_too() {
    let mut watch = Watch::of([named(intended(relay()), "a")]);
    watch.run(SWEEP, |_| Ok(vec![]));
    assert!(watch.times(What::Tasks) > 0);
    // Also where it was last told that the channels cannot be read: nothing else would ever look again.
    for reason in ["WaitingForChannel", "CredentialsRejected"] {
        let mut watch = Watch::of([told(named(intended(relay()), "a"), reason)]);
        let reads = watch.due();
        let (tasks, channels): (Vec<_>, Vec<_>) =
            reads.into_iter().partition(|read| read.what == What::Tasks);
        assert_eq!(tasks.len(), 1, "{reason}");
        let channels = channels.into_iter().next().unwrap();
        assert_eq!(watch.end(channels, Ok(&["a"])), ["a"], "{reason}");
    }
}

#[test]
fn a_failed_read_is_tried_again_on_the_schedule_of_its_class() {
    let mut watch = Watch::of([running("a")]);
    watch.run(Duration::from_hours(1), |_| Err(Class::AccessDenied));
    for what in [What::Tasks, What::Channels] {
        let times = watch.times(what);
        assert!((10..=30).contains(&times), "{times} of {what:?}");
    }
    let seen = watch.observatory.seen(&view(running("a")));
    assert!(seen.channels_denied() && seen.channels_fail.is_some());
    watch.run(Duration::from_hours(2), |_| Ok(vec!["a"]));
    let seen = watch.observatory.seen(&view(running("a")));
    assert!(!seen.channels_denied() && seen.channels_fail.is_none());
}

#[test]
fn whoever_asks_is_named_after_the_next_read_and_after_no_earlier_one() {
    let mut watch = Watch::of([running("a"), named(relay(), "new")]);
    let reads = watch.due();
    // Its question comes while a read is on its way.
    watch.observatory.ask(site(Source::Own), key("early"));
    assert_eq!(watch.due(), []);
    for read in reads {
        watch.end(read, Ok(&["a"]));
    }
    watch.now = SECOND;
    watch.observatory.ask(site(Source::Own), key("new"));
    let reads = watch.due();
    assert_eq!(reads.len(), 1, "{reads:?}");
    assert_eq!(reads[0].what, What::Channels);
    assert!(
        watch
            .end(reads[0].clone(), Ok(&["a"]))
            .contains(&"new".to_owned())
    );
    assert_eq!(watch.due(), []);
}

#[test]
fn absence_takes_two_complete_reads_and_names_those_that_it_touches() {
    let mut watch = Watch::of([running("a"), running("b")]);
    let mine = view(running("b"));
    for (round, absent) in [(0, false), (1, false), (2, true)] {
        watch.now = SWEEP * round;
        let listed: &[&str] = if round == 0 { &["a", "b"] } else { &["a"] };
        for read in watch.due() {
            let what = read.what;
            let look = watch.end(
                read,
                Ok(if what == What::Tasks {
                    listed
                } else {
                    &["a", "b"]
                }),
            );
            // The channels come first.
            let is_missing = round > 1 || (round == 1 && what == What::Tasks);
            let named = if is_missing { vec!["b"] } else { vec![] };
            assert_eq!(look, named, "{what:?} in round {round}");
        }
        let seen = watch.observatory.seen(&mine);
        assert_eq!(seen.absent.is_some(), absent, "round {round}");
    }
    assert_eq!(
        watch.observatory.seen(&mine).absent,
        Some((SWEEP, 2 * SWEEP))
    );
    assert_eq!(watch.observatory.seen(&view(running("a"))).absent, None);
}

#[test]
fn a_channel_that_is_away_under_a_running_relay_is_watched_closely() {
    let mut watch = Watch::of([running("a")]);
    watch.run(3 * SWEEP - SECOND, |what| {
        Ok(if what == What::Tasks {
            vec!["a"]
        } else {
            vec![]
        })
    });
    assert_eq!(watch.times(What::Channels), 9);
    assert_eq!(watch.times(What::Tasks), 3);
    let channel = watch.observatory.seen(&view(running("a"))).channel;
    assert_eq!(channel.away_since, Some(Duration::ZERO));
}

#[test]
fn a_crowd_of_deletions_shares_an_urgent_read_and_a_few_do_not() {
    let mut watch = Watch::of([running("a")]);
    watch.run(SECOND, |_| Ok(vec!["a"]));
    let known = watch.reads.len();
    let names: Vec<String> = (0..11).map(|number| format!("d-{number:02}")).collect();
    for name in &names[..10] {
        watch.observatory.join_crowd(site(Source::Own), key(name));
    }
    assert_eq!(watch.due(), []);
    watch
        .observatory
        .join_crowd(site(Source::Own), key(&names[10]));
    assert_eq!(watch.observatory.next_at(watch.now), Some(watch.now));
    let reads = watch.due();
    assert_eq!(reads.len(), 1);
    assert!(reads[0].urgent && reads[0].what == What::Tasks);
    assert_eq!(watch.end(reads[0].clone(), Ok(&["a"])), names);
    assert_eq!(watch.reads.len(), known);
}

#[test]
fn at_most_eight_reads_are_on_their_way() {
    let objects = (0..20).map(|number| {
        let name = format!("r-{number}");
        changed(
            running(&name),
            "/spec",
            json!({"appId": format!("app-{number}")}),
        )
    });
    let mut watch = Watch::of(objects);
    let reads = watch.due();
    assert_eq!(reads.len(), 8);
    assert_eq!(watch.due(), []);
    assert_eq!(watch.observatory.next_at(watch.now), None);
    for read in reads {
        watch.end(read, Ok(&[]));
    }
    assert_eq!(watch.due().len(), 8);
}

/// Each read is answered before the next, and by then the channels of its application are due again.
#[test]
fn no_application_is_left_out_where_all_are_due_all_the_time() {
    let objects = (0..20).map(|number| {
        let name = format!("r-{number}");
        changed(
            waiting(&name),
            "/spec",
            json!({"appId": format!("app-{number}")}),
        )
    });
    let mut watch = Watch::of(objects);
    let mut under_way = Vec::new();
    let mut read = HashSet::new();
    for _ in 0..100 {
        watch.now += POLL;
        under_way.extend(watch.due());
        let next: Read = under_way.remove(0);
        read.insert(next.site.app.clone());
        watch.end(next, Ok(&[]));
    }
    assert_eq!(read.len(), 20, "{read:?}");
}

#[test]
fn an_application_without_relays_is_forgotten() {
    let mut watch = Watch::of([running("a")]);
    watch.run(SECOND, |_| Ok(vec!["a"]));
    assert!(watch.observatory.next_at(watch.now).is_some());
    watch.store.remove(&key("a"));
    assert_eq!(watch.due(), []);
    // What was read is kept for a moment, for a crowd of deletions that may need it.
    watch.now += Duration::from_mins(2);
    assert_eq!(watch.due(), []);
    assert_eq!(watch.observatory.next_at(watch.now), None);
}

fn moment(mono: Duration) -> Moment {
    Moment {
        mono,
        wall: Timestamp::UNIX_EPOCH + mono,
    }
}

#[test]
fn a_relay_that_was_taken_for_stopped_is_read_for_a_while_and_named_when_it_is_listed() {
    let over = || named(ended(relay(), "StoppedElsewhere"), "a");
    let mut watch = Watch::of([over()]);
    let reads = |watch: &mut Watch, ids: &[&str]| {
        let read = watch
            .due()
            .into_iter()
            .find(|read| read.what == What::Tasks);
        let named = watch.end(read.unwrap(), Ok(ids));
        watch.now += SWEEP;
        named
    };
    assert_eq!(reads(&mut watch, &[]), [""; 0]);
    assert_eq!(watch.observatory.seen(&view(over())).back, None);
    assert_eq!(reads(&mut watch, &["a"]), ["a"]);
    let seen = watch.observatory.seen(&view(over()));
    assert_eq!((seen.back, seen.absent), (Some(SWEEP), None));
    // A service that lists what has stopped shows it all the time.
    assert_eq!(reads(&mut watch, &["a"]), [""; 0]);
    assert_eq!(watch.observatory.seen(&view(over())).back, None);
    watch.now = Duration::from_mins(5);
    assert_eq!(watch.due().len(), 0, "nobody asks any more");
}

#[test]
fn a_list_that_fails_is_lost_when_it_is_denied_or_goes_on_failing() {
    for (class, lost_after) in [
        (Class::AccessDenied, Duration::ZERO),
        (Class::ServiceUnavailable, Duration::from_mins(1)),
    ] {
        let mut watch = Watch::of([running("a")]);
        let begun = watch.now;
        let mut news = 0;
        while watch.now < begun + 10 * SWEEP {
            for read in watch.due() {
                let is_tasks = read.what == What::Tasks;
                let named = watch.end(read, Err(class));
                news += usize::from(is_tasks && named == ["a"]);
                let lost = watch.observatory.seen(&view(running("a"))).list_lost;
                assert_eq!(lost.is_some(), news > 0);
                assert!(
                    lost.is_none() || watch.now >= begun + lost_after,
                    "{class:?}"
                );
            }
            watch.now += SECOND;
        }
        assert_eq!(news, 1, "{class:?} is told once");
    }
}
