//! In whose quota the calls with a key count.

use super::*;

/// Until it is known whose a key is it counts in the quota of the operator's own account; a rotated one where its predecessor did.
#[test]
fn each_account_has_its_line_and_rotation_keeps_it() {
    let mut ring = Ring::new()
        .with("one", "k1", Ok("2000"))
        .with("two", "k2", Ok("2000"))
        .with("mine", "k3", Ok("1000"))
        .with("silent", "k4", Err(Class::ServiceUnavailable));
    let objects = ["one", "two", "mine", "silent"].map(|of| fresh(of, of));
    for object in &objects {
        assert_eq!(ring.line(object), None);
        ring.uses(object);
    }
    ring.run(10 * SECOND);
    let lines = objects.each_ref().map(|object| ring.line(object));
    let account = Some("2000".to_owned());
    assert_eq!(lines, [account.clone(), account.clone(), None, None]);

    let mut ring = ring.with("one", "k5", Err(Class::Throttled));
    ring.run(5 * MINUTE);
    assert_eq!(ring.signs(&objects[0]).as_deref(), Some("k5"));
    assert_eq!(ring.line(&objects[0]), account);
    // A process that has begun since does not know its predecessor: every source has one line, whatever claims say.
    let mut ring = Ring::new().with("one", "k5", Err(Class::Throttled));
    let claimed = claimed_in(named(armed(), "one", "one"), Some("2000"));
    ring.uses(&claimed);
    ring.run(MINUTE);
    assert_eq!(ring.line(&claimed), None);
    assert_eq!(ring.line(&objects[0]), None);
}

#[test]
fn calls_wait_for_the_account_for_a_moment_and_no_longer() {
    let mut ring = Ring::new().with("live", "k1", Ok("2000"));
    let object = fresh("x", "live");
    ring.uses(&object);
    for errand in ring.keyring.errands(ring.now) {
        ring.fetch(errand);
    }
    let ask = ring.keyring.errands(ring.now);
    assert!(matches!(ask[..], [Errand::Ask(..)]), "{ask:?}");
    let Keys::Unread(Some(until)) = ring.keys(&object) else {
        panic!("{:?}", ring.keys(&object));
    };
    assert!(until <= 2 * SECOND);
    let source = view(object.clone()).source;
    let read = ring.keyring.grant_read(&source, ring.now);
    assert!(
        matches!(read, Granted::Later(Some(at)) if at == until),
        "{read:?}"
    );
    ring.now = until;
    let read = ring.keyring.grant_read(&source, ring.now);
    assert!(matches!(read, Granted::These(_)), "{read:?}");
    assert_eq!(ring.keys(&object), Keys::Given);
    assert_eq!(ring.signs(&object).as_deref(), Some("k1"));
    // What was sent until then counted elsewhere.
    let news = ring.fetch(ask.into_iter().next().unwrap());
    assert_eq!(news.moved, [Some(AccountId::new("2000"))]);
    assert_eq!(news.look, [key_of(&object)]);
}

/// The account of a key may turn out to be the operator's own as long as that one is not known.
#[test]
fn everything_counts_in_one_line_until_the_operators_own_account_is_known() {
    let mut ring = Ring::new()
        .with("a", "ka", Ok("2000"))
        .with("mine", "km", Ok("1000"))
        .with("unused", "ku", Ok("3000"));
    ring.own = Err(Class::ServiceUnavailable);
    let objects = ["a", "mine", "unused"].map(|of| fresh(of, of));
    for object in &objects {
        ring.uses(object);
    }
    ring.run(SECOND);
    for object in &objects {
        assert_eq!(ring.line(object), None);
    }
    assert!(ring.signs(&objects[0]).is_some() && ring.signs(&objects[1]).is_some());
    ring.own = Ok("1000");
    ring.now += 10 * MINUTE;
    let errands = ring.keyring.errands(ring.now).into_iter();
    let mut own = errands.filter(|errand| matches!(errand, Errand::AskOwn));
    let news = ring.fetch(own.next().unwrap());
    assert_eq!(news.moved, [Some(AccountId::new("2000"))]);
    assert_eq!(ring.line(&objects[1]), None);
    // Where there are no credentials of its own, no account can be theirs.
    let mut ring = Ring::new().with("a", "ka", Ok("2000"));
    ring.keyring.without_own();
    ring.own = Err(Class::CredentialsMissing);
    ring.uses(&objects[0]);
    ring.run(SECOND);
    assert_eq!(ring.line(&objects[0]).as_deref(), Some("2000"));
}

#[test]
fn a_key_that_turns_out_to_be_of_another_account_than_its_predecessor_moves() {
    let mut ring = Ring::new().with("live", "k1", Ok("2000"));
    let object = fresh("x", "live");
    ring.uses(&object);
    ring.run(SECOND);
    let mut ring = ring.with("live", "k2", Err(Class::ServiceUnavailable));
    ring.run(2 * MINUTE);
    assert_eq!(ring.signs(&object).as_deref(), Some("k2"));
    assert_eq!(ring.line(&object).as_deref(), Some("2000"));
    let told = |ring: &mut Ring| {
        ring.now += 10 * MINUTE;
        let errands = ring.keyring.errands(ring.now).into_iter();
        let mut asks = errands.filter(|errand| matches!(errand, Errand::Ask(..)));
        let ask = asks.next().unwrap();
        ring.fetch(ask).moved
    };
    let mut ring = ring.with("live", "k2", Ok("3000"));
    assert_eq!(told(&mut ring), [Some(AccountId::new("3000"))]);
    // One that replaces a used key of an unknown account moves for it.
    let mut ring = Ring::new()
        .with("live", "k1", Err(Class::ServiceUnavailable))
        .with("other", "k2", Ok("3000"));
    for of in ["live", "other"] {
        ring.uses(&fresh(of, of));
    }
    ring.run(10 * SECOND);
    assert!(ring.signs(&object).is_some());
    let mut ring = ring.with("live", "k2", Ok("3000"));
    ring.refresh("live", (Occasion::Request, ring.now));
    ring.now += 10 * SECOND;
    let errands = ring.keyring.errands(ring.now).into_iter();
    let mut reads = errands.filter(|it| matches!(it, Errand::Read(of) if of.name == "live"));
    let news = ring.fetch(reads.next().unwrap());
    assert_eq!(news.moved, [Some(AccountId::new("3000"))]);
}

/// A crowd of dead keys in one namespace does not keep another one's key from being asked for.
#[test]
fn questions_take_turns_between_namespaces() {
    let mut ring = Ring::new();
    for number in 0..100 {
        let name = format!("s-{number}");
        ring = ring.with(
            &name,
            &format!("k-{number}"),
            Err(Class::CredentialsRejected),
        );
        ring.uses(&fresh(&name, &name));
    }
    ring = ring.with("healthy", "kh", Ok("2000"));
    let healthy = changed(
        fresh("h", "healthy"),
        "/metadata",
        json!({"namespace": "team-b"}),
    );
    let read = |ring: &mut Ring| {
        let mut asks = Vec::new();
        loop {
            let errands = ring.keyring.errands(ring.now);
            if errands.is_empty() {
                return asks;
            }
            for errand in errands {
                if matches!(errand, Errand::Ask(..)) {
                    asks.push(errand);
                } else {
                    ring.fetch(errand);
                }
            }
        }
    };
    let first = read(&mut ring);
    assert_eq!(first.len(), 4);
    ring.now += SECOND;
    ring.uses(&healthy);
    let second = read(&mut ring);
    assert!(second.is_empty(), "all questions are on their way");
    for ask in first {
        ring.fetch(ask);
    }
    for ask in read(&mut ring) {
        ring.fetch(ask);
    }
    let asked: Vec<&str> = ring.asked.iter().map(|(_, id)| id.as_str()).collect();
    let at = asked.iter().position(|id| *id == "kh").unwrap();
    assert!(at <= 6, "{asked:?}");
}
