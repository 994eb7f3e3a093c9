//! Claims and keys of which nobody has told in which account they are.

use super::*;

const STRANGER: &str = "unconfirmed-0123456789abcdef";

/// An object with an older claim on the same task.
fn older(of: &str, account: Option<&str>) -> Value {
    let claim = json!({"at": "2026-01-01T00:00:00Z", "account": account});
    changed(
        named(armed(), &format!("older-{of}"), of),
        "/status",
        json!({"claim": claim}),
    )
}

/// After a restart STS may be away: whose the operator's own credentials are, or a key is, is not known then.
#[test]
fn a_claim_is_lost_only_to_one_that_is_known_to_be_in_the_same_account() {
    let mut ring = Ring::new()
        .with("a", "ka", Ok("2000"))
        .with("b", "kb", Ok("3000"))
        .with("silent", "ks", Err(Class::ServiceUnavailable))
        .with("twin", "ks", Err(Class::ServiceUnavailable));
    ring.own = Err(Class::ServiceUnavailable);
    for of in ["a", "b", "silent", "twin"] {
        ring.uses(&fresh(of, of));
    }
    ring.run(SECOND);
    let mark = Mark::of("ks");
    let mine = armed();
    for rival in [
        older("a", Some("2000")),
        older("silent", Some(mark.as_str())),
        older("silent", Some(STRANGER)),
    ] {
        let store = ring.store([rival.clone(), mine.clone()]);
        assert_eq!(standing(&store, &mine), Standing::Holder, "{rival}");
        assert_eq!(standing(&store, &rival), Standing::Holder, "{rival}");
        // Without a claim it waits, and is not told that the task is somebody else's.
        let unclaimed = changed(mine.clone(), "", json!({"status": null}));
        let store = ring.store([rival, unclaimed.clone()]);
        assert!(is_disputed(&store, &unclaimed));
    }
    let both = claimed_in(named(armed(), "x", "a"), Some("2000"));
    for (rival, me, is_lost) in [
        (older("own", None), older("own", None), false),
        (older("a", Some("2000")), both.clone(), true),
        (older("b", Some("2000")), both.clone(), true),
        (older("b", Some("3000")), both.clone(), false),
        // Its present key is of that account, and its claim was made with another one.
        (older("a", Some(STRANGER)), both, false),
        // One key is of one account, whichever that is.
        (
            older("silent", Some(mark.as_str())),
            claimed_in(named(armed(), "x", "twin"), Some(mark.as_str())),
            true,
        ),
    ] {
        let store = ring.store([rival.clone(), me.clone()]);
        assert_eq!(is_contested(&store, &me), is_lost, "{rival} {me}");
    }
}

#[test]
fn a_deletion_is_not_released_for_a_rival_that_may_be_none() {
    let mut life = Life::of(changed(deleting(), "", json!({"status": null})));
    life.standing = Standing::Disputed(Rival { name: None });
    let evidence = life.run(Duration::from_hours(1), |call, _| panic!("{call:?}"));
    assert_eq!(evidence, None);
    assert_eq!(life.view.told_reason(), Some("TaskIdInUse"));
    assert!(life.last_message().contains("reach STS"));
    assert_eq!(life.view.status.claim, None);
    life.standing = Standing::Entitled;
    assert!(matches!(life.step(), Step::Record(_)));
    let release = json!({"annotations": {"mixedstream.io/release-without-stop": "by hand"}});
    let declared = changed(deleting(), "/metadata", release);
    let mut life = Life::of(changed(declared, "", json!({"status": null})));
    life.standing = Standing::Disputed(Rival { name: None });
    assert!(matches!(
        life.step(),
        Step::Release(Evidence::Declared { .. })
    ));
}

/// Whoever swaps one useless key for another keeps nobody from anything.
#[test]
fn a_claim_that_was_never_confirmed_goes_with_the_present_key() {
    let mut ring = Ring::new().with("junk", "j1", Err(Class::ServiceUnavailable));
    let squatter = fresh("junk", "junk");
    ring.uses(&squatter);
    ring.run(SECOND);
    let claimed = ring.claims(squatter);
    let victim = changed(armed(), "", json!({"status": null}));
    let store = ring.store([claimed.clone(), victim.clone()]);
    assert!(is_disputed(&store, &victim), "it may be good");
    for (junk, told) in [
        ("j1", Err(Class::CredentialsRejected)),
        ("j2", Err(Class::CredentialsRejected)),
        ("j3", Err(Class::AccessDenied)),
        ("j4", Ok("3000")),
    ] {
        ring.own = Ok("1000");
        ring = ring.with("junk", junk, told);
        ring.run(ring.now + 10 * MINUTE);
        let store = ring.store([claimed.clone(), victim.clone()]);
        assert_eq!(standing(&store, &victim), Standing::Entitled, "{junk}");
    }
    // What was started with a key was started with a good one.
    let mut ring = ring.with("junk", "j5", Err(Class::CredentialsRejected));
    ring.run(ring.now + 10 * MINUTE);
    let started = changed(
        claimed.clone(),
        "/status",
        json!({"startedAt": "2026-01-02T03:04:06Z"}),
    );
    let store = ring.store([started, victim.clone()]);
    assert!(is_disputed(&store, &victim));
    // Gone, as a process sees it that has begun since.
    let mut ring = Ring::new();
    ring.uses(&claimed);
    let store = ring.store([claimed.clone(), victim.clone()]);
    assert!(is_disputed(&store, &victim), "it is not read yet");
    ring.run(SECOND);
    let store = ring.store([claimed.clone(), victim.clone()]);
    assert_eq!(standing(&store, &victim), Standing::Entitled);
    assert_eq!(standing(&store, &claimed), Standing::Holder);
}

#[test]
fn a_refused_key_makes_no_claim_on_deletion_either() {
    let mut ring = Ring::new().with("live", "k1", Err(Class::CredentialsRejected));
    let object = changed(named(deleting(), "x", "live"), "", json!({"status": null}));
    ring.uses(&object);
    ring.run(SECOND);
    let mut life = Life::of(object.clone());
    life.standing = Standing::Entitled;
    // That STS is away afterwards, or the Secret, makes it no better.
    let mut ring = ring.with("live", "k1", Err(Class::ServiceUnavailable));
    ring.run(ring.now + 10 * MINUTE);
    ring.secrets.clear();
    ring.run(ring.now + 10 * MINUTE);
    life.keys = ring.keys(&object);
    assert_eq!(
        life.run(Duration::from_hours(1), |call, _| panic!("{call:?}")),
        None
    );
    assert_eq!(life.view.told_reason(), Some("CredentialsRejected"));
    assert_eq!(life.view.status.claim, None);
}

/// Another account may have an application and a task of the same names, or a service that accepts a Stop of anything.
#[test]
fn with_a_key_of_an_unknown_account_nothing_is_sent_about_a_task_of_a_known_one() {
    let mut ring = Ring::new().with("live", "k1", Ok("2000"));
    let object = fresh("x", "live");
    ring.uses(&object);
    ring.run(SECOND);
    let object = ring.claims(object);
    assert!(ring.keys(&object).are_believed());
    let mut ring = ring.with("live", "k2", Err(Class::ServiceUnavailable));
    ring.run(2 * MINUTE);
    assert_eq!(ring.signs(&object), None);
    let keys = ring.keys(&object);
    assert!(
        message(&keys).contains("account 2000") && message(&keys).contains("STS"),
        "{keys:?}"
    );
    // When it is known, what was kept back is tried at once.
    let source = Source::Secret(secret("live"));
    let version = ring.keyring.version(&source);
    let mut ring = ring.with("live", "k2", Ok("2000"));
    ring.run(ring.now + 10 * MINUTE);
    assert_eq!(ring.signs(&object).as_deref(), Some("k2"));
    assert_eq!(ring.keys(&object), Keys::Given);
    assert_ne!(ring.keyring.version(&source), version);
}

#[test]
fn what_a_key_of_an_unknown_account_is_answered_proves_nothing_but_success() {
    let mut ring = Ring::new().with("live", "k2", Err(Class::ServiceUnavailable));
    let object = claimed_in(named(armed(), "x", "live"), Some(Mark::of("k1").as_str()));
    ring.uses(&object);
    ring.run(10 * SECOND);
    let words = ring.doubt(&object).unwrap();
    assert!(words.contains("a key that was used before"), "{words}");
    assert!(!ring.keys(&object).are_believed());
    let signed = crate::task::access::Signed {
        version: 1,
        doubt: Some(words),
    };
    assert_eq!(signed.believed(accepted()), accepted());
    for answer in [
        failed(Class::NotFoundLike),
        failed(Class::InternalError),
        Answer::Task(None),
        Answer::Task(Some(shown(None))),
        Answer::Page {
            shows: None,
            last: true,
        },
    ] {
        let believed = signed.believed(answer);
        assert!(
            matches!(
                believed,
                Answer::Failed {
                    class: Class::CredentialsRejected,
                    says_gone: false,
                    ..
                }
            ),
            "{believed:?}"
        );
    }
    assert_eq!(
        signed.believed(failed(Class::Throttled)),
        failed(Class::Throttled)
    );
}

/// The key can do everything but ask whose it is: its account's policy may deny that.
#[test]
fn of_two_objects_with_one_key_that_is_told_nothing_one_waits() {
    let mut ring = Ring::new().with("live", "k1", Err(Class::AccessDenied));
    let first = fresh("x", "live");
    ring.uses(&first);
    ring.run(SECOND);
    let first = ring.claims(first);
    let second = changed(named(armed(), "y", "live"), "", json!({"status": null}));
    ring.uses(&second);
    let store = ring.store([first.clone(), second.clone()]);
    assert_eq!(standing(&store, &first), Standing::Holder);
    assert!(is_contested(&store, &second));
}

/// Until the right to read Secrets is given back, the key is not known, and may be good.
#[test]
fn a_secret_that_may_not_be_read_is_not_taken_for_absent() {
    let mut ring = Ring::new();
    let claimed = claimed_in(named(armed(), "x", "live"), Some(STRANGER));
    let other = changed(armed(), "", json!({"status": null}));
    for (error, is_absent) in [
        (SecretError::Denied("no".to_owned()), false),
        (SecretError::Missing, true),
    ] {
        ring.uses(&claimed);
        let read = Fetched::Secret(secret("live"), Err(error));
        ring.keyring.errands(ring.now);
        ring.keyring.fetched(read, &ring.paces, ring.now, 0.5);
        ring.now += MINUTE;
        let store = ring.store([claimed.clone(), other.clone()]);
        let is_passed_over = standing(&store, &other) == Standing::Entitled;
        assert_eq!(is_passed_over, is_absent);
    }
}

/// After a restart without STS a task is still stopped, and shown to be gone, with the key that its claim remembers.
#[test]
fn the_key_of_the_claim_is_believed_without_sts() {
    let mut ring = Ring::new()
        .with("live", "k1", Ok("2000"))
        .with("mine", "k2", Ok("1000"));
    let objects = [fresh("x", "live"), fresh("y", "mine")];
    for object in &objects {
        ring.uses(object);
    }
    ring.run(SECOND);
    let claimed = objects.map(|object| ring.claims(object));
    let mut ring = Ring::new()
        .with("live", "k1", Err(Class::ServiceUnavailable))
        .with("mine", "k2", Err(Class::ServiceUnavailable));
    ring.own = Err(Class::ServiceUnavailable);
    for object in &claimed {
        ring.uses(object);
    }
    ring.run(10 * SECOND);
    for object in &claimed {
        assert_eq!(ring.keys(object), Keys::Given);
        assert_eq!(ring.doubt(object), None);
    }
}

#[test]
fn nothing_is_sent_as_long_as_the_operators_own_account_decides_it_and_is_not_known() {
    let mut ring = Ring::new().with("live", "k1", Ok("2000"));
    ring.own = Err(Class::ServiceUnavailable);
    let object = claimed_in(named(armed(), "x", "live"), None);
    ring.uses(&object);
    for errand in ring.keyring.errands(ring.now) {
        if matches!(errand, Errand::Read(_)) {
            ring.fetch(errand);
        }
    }
    for errand in ring.keyring.errands(ring.now) {
        ring.fetch(errand);
    }
    assert!(matches!(ring.keys(&object), Keys::Unread(Some(_))));
    ring.now = 3 * SECOND;
    assert_eq!(ring.signs(&object), None);
    let keys = ring.keys(&object);
    assert!(
        message(&keys).contains("operator's own credentials are"),
        "{keys:?}"
    );
    let mut ring = Ring::new().with("live", "k1", Ok("1000"));
    ring.uses(&object);
    ring.run(SECOND);
    assert_eq!(ring.keys(&object), Keys::Given);
}

/// Of the first key was never told whose it is, and never will be.
#[test]
fn a_claim_whose_key_was_replaced_unconfirmed_is_stopped_with_the_new_one() {
    for account in ["1000", "2000"] {
        let mut ring = Ring::new().with("live", "k2", Ok(account));
        let object = claimed_in(named(armed(), "x", "live"), Some(Mark::of("k1").as_str()));
        ring.uses(&object);
        ring.run(SECOND);
        assert_eq!(ring.signs(&object).as_deref(), Some("k2"));
        let words = ring.doubt(&object).unwrap();
        assert!(words.contains("a key that was used before"), "{words}");
        assert!(!words.contains("is of another one"), "{words}");
        // The claim is not moved to an account in which its task need not be.
        assert_eq!(
            ring.recorded(&object),
            Some(Mark::of("k1").as_str().to_owned())
        );
    }
}

#[test]
fn credentials_that_are_good_for_nothing_keep_nobody_from_an_output() {
    let mut ring = Ring::new().with("junk", "kj", Err(Class::ServiceUnavailable));
    let objects = ["junk", "none"].map(|of| {
        changed(
            fresh(of, of),
            "/metadata",
            json!({"creationTimestamp": "2025-01-02T03:04:05Z"}),
        )
    });
    for object in &objects {
        ring.uses(object);
    }
    ring.run(SECOND);
    let me = changed(armed(), "/spec", json!({"taskId": "another"}));
    let is_taken = |ring: &Ring, object: &Value| {
        let mut store = ring.store([object.clone(), me.clone()]);
        let output = ["evening".to_owned()];
        store.wants(&key_of(object), &output);
        store.wants(&key_of(&me), &output);
        store.get(&key_of(&me)).unwrap().output_taken.is_some()
    };
    assert!(is_taken(&ring, &objects[0]), "it may be good");
    assert!(!is_taken(&ring, &objects[1]));
    let mut ring = ring.with("junk", "kj", Err(Class::CredentialsRejected));
    ring.run(ring.now + 10 * MINUTE);
    assert!(!is_taken(&ring, &objects[0]));
}
