//! Whose task is whose among several accounts, and whose credentials may act on it.

use super::*;

#[test]
fn credentials_of_another_account_do_not_act_on_a_claim() {
    let mut ring = Ring::new()
        .with("a", "ka", Ok("2000"))
        .with("b", "kb", Ok("3000"))
        .with("mine", "km", Ok("1000"))
        .with("silent", "ks", Err(Class::ServiceUnavailable));
    for of in ["a", "b", "mine", "silent"] {
        ring.uses(&fresh(of, of));
    }
    ring.run(SECOND);
    let unconfirmed = Mark::of("ka").as_str().to_owned();
    for (of, claim, acts) in [
        ("a", Some("2000"), true),
        ("b", Some("2000"), false),
        ("mine", Some("2000"), false),
        ("mine", Some("1000"), true),
        ("mine", None, true),
        ("a", None, false),
        // Whose it is may come out yet.
        ("silent", Some("2000"), false),
        ("silent", None, false),
        ("a", Some(unconfirmed.as_str()), true),
    ] {
        let object = claimed_in(named(armed(), "x", of), claim);
        let signs = ring.signs(&object).is_some();
        assert_eq!(signs, acts, "{of} on a claim in {claim:?}");
        if !acts {
            let keys = ring.keys(&object);
            assert!(matches!(
                keys,
                Keys::Unusable {
                    reason: Reason::CredentialsRejected,
                    left: Left::Nothing,
                    ..
                }
            ));
            assert!(message(&keys).contains(&format!("team-a/{of}")), "{keys:?}");
        }
    }
    // The operator's own act on nobody else's claim, not even on one that turns out to be of an unknown account.
    for claim in [Some("2000"), Some(unconfirmed.as_str())] {
        assert_eq!(ring.signs(&claimed_in(armed(), claim)), None, "{claim:?}");
    }
    assert_eq!(
        ring.signs(&claimed_in(armed(), Some("1000"))).as_deref(),
        Some("own")
    );
}

#[test]
fn the_same_ids_in_two_accounts_are_two_tasks() {
    let mut ring = Ring::new()
        .with("a", "ka", Ok("2000"))
        .with("b", "kb", Ok("3000"));
    let (a, b) = (fresh("a", "a"), fresh("b", "b"));
    for object in [&a, &b] {
        ring.uses(object);
    }
    ring.run(SECOND);
    let own = armed();
    let store = ring.store([a.clone(), b.clone(), own.clone()]);
    assert_eq!(standing(&store, &a), Standing::Entitled);
    assert_eq!(standing(&store, &b), Standing::Entitled);
    assert_eq!(standing(&store, &own), Standing::Holder);
}

#[test]
fn two_keys_of_one_account_name_the_same_task_and_so_does_one_of_the_operators_own() {
    let mut ring = Ring::new()
        .with("a", "ka", Ok("2000"))
        .with("b", "kb", Ok("2000"))
        .with("mine", "km", Ok("1000"));
    let (a, b, mine) = (fresh("a", "a"), fresh("b", "b"), fresh("mine", "mine"));
    for object in [&a, &b, &mine] {
        ring.uses(object);
    }
    ring.run(SECOND);
    let own = armed();
    let store = ring.store([a.clone(), b.clone(), mine.clone(), own.clone()]);
    assert_eq!(standing(&store, &a), Standing::Entitled);
    assert!(is_contested(&store, &b));
    assert!(is_contested(&store, &mine));
    assert_eq!(standing(&store, &own), Standing::Holder);
}

/// As long as nobody knows whose a key is, it may be anybody's: it yields to others, and they to its claim.
#[test]
fn a_key_of_an_unknown_account_may_be_of_any() {
    let mut ring = Ring::new().with("a", "ka", Err(Class::ServiceUnavailable));
    let a = fresh("a", "a");
    ring.uses(&a);
    ring.run(SECOND);
    let own = armed();
    let store = ring.store([a.clone(), own.clone()]);
    assert!(is_disputed(&store, &a));
    assert_eq!(standing(&store, &own), Standing::Holder);

    let mark = ring.recorded(&a).unwrap();
    assert!(mark.starts_with("unconfirmed-"), "{mark}");
    let claimed = claimed_in(named(armed(), "a", "a"), Some(&mark));
    let later = changed(own, "", json!({"status": null}));
    let mut store = ring.store([claimed.clone(), later.clone()]);
    assert_eq!(standing(&store, &claimed), Standing::Holder);
    assert!(is_disputed(&store, &later));
    // When it is known, both go on, and the claim says so.
    let mut ring = ring.with("a", "ka", Ok("2000"));
    ring.run(10 * MINUTE);
    let look = store.know(ring.keyring.accounts(), vec![key_of(&claimed)]);
    assert!(look.contains(&key_of(&later)), "{look:?}");
    assert_eq!(standing(&store, &claimed), Standing::Holder);
    assert_eq!(standing(&store, &later), Standing::Entitled);
    assert_eq!(ring.recorded(&claimed).as_deref(), Some("2000"));
}

#[test]
fn what_turns_out_to_be_the_operators_own_account_is_its_own() {
    let mut ring = Ring::new().with("a", "ka", Ok("1000"));
    ring.own = Err(Class::ServiceUnavailable);
    let claimed = claimed_in(named(armed(), "a", "a"), Some("1000"));
    ring.uses(&claimed);
    ring.run(SECOND);
    let own = changed(armed(), "", json!({"status": null}));
    let mut store = ring.store([claimed.clone(), own.clone()]);
    assert!(is_disputed(&store, &own), "it may be the same account");
    assert_eq!(ring.recorded(&claimed).as_deref(), Some("1000"));
    ring.own = Ok("1000");
    ring.run(10 * MINUTE);
    store.know(ring.keyring.accounts(), Vec::new());
    assert!(is_contested(&store, &own), "it is");
    assert_eq!(standing(&store, &claimed), Standing::Holder);
    assert_eq!(ring.recorded(&claimed), None);
    assert_eq!(ring.line(&claimed), None);
}

/// Whoever has no right in an account must not keep others from its tasks.
#[test]
fn credentials_that_are_good_for_nothing_hold_nothing() {
    let mut ring = Ring::new()
        .with("junk", "kj", Err(Class::CredentialsRejected))
        .with("mute", "km", Err(Class::AccessDenied));
    for of in ["junk", "mute", "none"] {
        ring.uses(&fresh(of, of));
    }
    ring.run(SECOND);
    let own = changed(armed(), "", json!({"status": null}));
    for of in ["junk", "mute", "none"] {
        // Older than the other, and even with a claim.
        let older = changed(
            fresh(of, of),
            "/metadata",
            json!({"creationTimestamp": "2025-01-02T03:04:05Z"}),
        );
        let store = ring.store([older, own.clone()]);
        assert_eq!(standing(&store, &own), Standing::Entitled, "{of}");
        let mark = ring.recorded(&fresh(of, of)).unwrap();
        let claimed = claimed_in(named(armed(), of, of), Some(&mark));
        let store = ring.store([claimed.clone(), own.clone()]);
        assert_eq!(
            standing(&store, &claimed),
            Standing::Holder,
            "{of}: what it holds it stops"
        );
        if of != "none" {
            assert_eq!(standing(&store, &own), Standing::Entitled, "{of}");
        }
    }
}

/// A proxy on the way to STS that forbids whatever it does not know: the question is asked again soon, and the key is not good for nothing.
#[test]
fn a_page_that_is_no_answer_of_the_service_says_nothing_of_a_key() {
    for class in [Class::AccessDenied, Class::CredentialsRejected] {
        for is_page in [false, true] {
            let mut ring = Ring::new().with("live", "k1", Err(class));
            ring.is_page = is_page;
            ring.uses(&fresh("x", "live"));
            ring.run(10 * SECOND);
            let mark = ring.recorded(&fresh("x", "live")).unwrap();
            let claimed = claimed_in(named(armed(), "x", "live"), Some(&mark));
            let own = changed(armed(), "", json!({"status": null}));
            let store = ring.store([claimed, own.clone()]);
            let is_void = standing(&store, &own) == Standing::Entitled;
            assert_eq!(is_void, !is_page, "{class:?}");
            let questions = ring.asked.iter().filter(|(_, id)| id == "k1").count();
            assert_eq!(questions > 1, is_page, "{class:?}: {questions}");
        }
    }
}

/// Whoever knows another one's key id has none of its rights.
#[test]
fn a_key_id_alone_makes_nobody_an_owner() {
    let mut ring = Ring::new().with("live", "k1", Ok("2000"));
    let object = fresh("x", "live");
    let thief = fresh("thief", "stolen");
    ring.uses(&object);
    ring.uses(&thief);
    ring.run(SECOND);
    let mut stolen = values("k1");
    stolen.insert("accessKeySecret".to_owned(), b"guess".to_vec().into());
    ring.refresh("stolen", (Occasion::Request, ring.now));
    ring.now += 2 * SECOND;
    let due = ring.keyring.errands(ring.now);
    assert!(
        matches!(&due[..], [Errand::Read(name)] if name.name == "stolen"),
        "{due:?}"
    );
    let fetched = Fetched::Secret(secret("stolen"), Ok(stolen));
    ring.keyring.fetched(fetched, &ring.paces, ring.now, 0.5);
    ring.accounts
        .insert("k1".to_owned(), Err(Class::CredentialsRejected));
    for errand in ring.keyring.errands(ring.now) {
        ring.fetch(errand);
    }
    assert_eq!(ring.line(&object).as_deref(), Some("2000"));
    assert_eq!(ring.line(&thief), None);
    assert!(matches!(
        ring.keys(&thief),
        Keys::Unusable {
            reason: Reason::CredentialsRejected,
            ..
        }
    ));
    let marked = claimed_in(
        named(armed(), "thief", "stolen"),
        Some(Mark::of("k1").as_str()),
    );
    assert_eq!(
        ring.recorded(&marked).as_deref(),
        Some(Mark::of("k1").as_str())
    );
}
