//! Each application is read with each of the credentials that its objects bring.

use super::*;

fn with_key_of(object: Value, namespace: &str) -> Value {
    let object = changed(object, "/metadata", json!({"namespace": namespace}));
    changed(
        object,
        "/spec",
        json!({"credentialsSecretRef": {"name": "live"}}),
    )
}

fn secret(namespace: &str) -> Source {
    Source::Secret(SecretName {
        namespace: namespace.to_owned(),
        name: "live".to_owned(),
    })
}

/// What one key may see is none of another one's business, and what fails with it neither.
#[test]
fn each_ones_credentials_read_for_those_who_bring_them() {
    let mut watch = Watch::of([
        running("a"),
        with_key_of(running("b"), "team-b"),
        with_key_of(running("c"), "team-c"),
    ]);
    let mut reads = watch.due();
    assert_eq!(reads.len(), 6, "{reads:?}");
    let mut first = |source: Source, what| {
        let wanted = Read {
            site: site(source),
            what,
            urgent: false,
        };
        let at = reads.iter().position(|read| *read == wanted).unwrap();
        reads.remove(at)
    };
    let denied = first(secret("team-b"), What::Channels);
    watch.end(denied, Err(Class::CredentialsRejected));
    let read = first(Source::Own, What::Channels);
    watch.end(read, Ok(&["a", "b", "c"]));
    let seen = |watch: &Watch, object: Value| watch.observatory.seen(&view(object));
    let fails = |seen: &Seen| seen.channels_fail.as_ref().map(|fault| fault.class);
    let (a, b) = (running("a"), with_key_of(running("b"), "team-b"));
    assert!(seen(&watch, a).channel.is_live());
    let b = seen(&watch, b);
    assert_eq!(fails(&b), Some(Class::CredentialsRejected));
    assert!(!b.channel.is_live(), "what another key shows");
    let c = with_key_of(running("c"), "team-c");
    assert_eq!(fails(&seen(&watch, c)), None);

    // Other credentials end the wait of the old ones, and of no others.
    watch.now += SECOND;
    assert!(watch.due().is_empty());
    watch
        .observatory
        .other_credentials(&secret("team-c"), watch.now);
    assert!(watch.due().is_empty());
    watch
        .observatory
        .other_credentials(&secret("team-b"), watch.now);
    let again = watch.due();
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(again[0].site.source, secret("team-b"));
}

/// Another account's list does not show the task either: what it shows says nothing of those who were observed with the key of before.
#[test]
fn what_other_credentials_have_shown_is_forgotten() {
    let object = with_key_of(running("b"), "team-b");
    let mut watch = Watch::of([object.clone()]);
    let seen = |watch: &Watch| watch.observatory.seen(&view(object.clone()));
    let read_all = |watch: &mut Watch| {
        for read in watch.due() {
            watch.end(read, Ok(&[]));
        }
        watch.now += Duration::from_mins(1);
    };
    let swap = |watch: &mut Watch| {
        let source = secret("team-b");
        watch.observatory.other_credentials(&source, watch.now);
        watch.now += SECOND;
    };
    read_all(&mut watch);
    read_all(&mut watch);
    assert!(seen(&watch).absent.is_some() && seen(&watch).channel.is_away());
    swap(&mut watch);
    assert_eq!(seen(&watch), Seen::default());
    // One read of each key makes no two.
    read_all(&mut watch);
    swap(&mut watch);
    read_all(&mut watch);
    assert_eq!(seen(&watch).absent, None);
    // What was begun with the key of before comes too late.
    let late = watch.due();
    assert!(!late.is_empty());
    watch
        .observatory
        .other_credentials(&secret("team-b"), watch.now);
    for read in late {
        let looks = watch.end(read, Ok(&[]));
        assert!(looks.is_empty(), "{looks:?}");
    }
    assert_eq!(seen(&watch), Seen::default());
    watch.now += SECOND;
    assert!(!watch.due().is_empty(), "they are read again");
}

/// Reads that never end hold up nobody else's.
#[test]
fn reads_that_hang_leave_room_for_others() {
    let in_app = |object: Value, number: usize| {
        let app = format!("app-{number}");
        let object = changed(object, "/metadata", json!({"name": app, "uid": app}));
        changed(object, "/spec", json!({"appId": app}))
    };
    let hanging = (0..20).map(|number| with_key_of(in_app(running("x"), number), "team-b"));
    let mut watch = Watch::of(hanging);
    let held = watch.due();
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(watch.due().is_empty());
    assert_eq!(watch.observatory.next_at(watch.now), None);
    for object in [running("a"), with_key_of(running("c"), "team-c")] {
        let view = view(object);
        watch.observatory.observe(Site::of(&view).unwrap());
        watch.store.watched(view);
        assert_eq!(watch.observatory.next_at(watch.now), Some(Duration::ZERO));
        assert_eq!(watch.due().len(), 2);
    }
}
