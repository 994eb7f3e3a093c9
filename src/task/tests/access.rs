//! Objects that bring their own credentials: what is read and asked, and how often; whose task is whose among several accounts; and what is told.

use super::*;
use crate::{
    api::{Phase, Reason},
    live::{AccountId, Failure},
    task::{
        access::{
            Granted, Keyring, SecretName, Source,
            keyring::{Errand, Fetched, News, Occasion},
            value::Mark,
        },
        cluster::SecretError,
        store::Store,
        view::Key,
    },
};
use secrecy::SecretSlice;
use std::collections::BTreeMap;

const MINUTE: Duration = Duration::from_mins(1);

fn secret(name: &str) -> SecretName {
    SecretName {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
    }
}

/// An object of that name, which names that Secret; both name the task of the README.
fn named(object: Value, name: &str, secret: &str) -> Value {
    let object = changed(
        object,
        "/metadata",
        json!({"name": name, "uid": format!("uid-{name}")}),
    );
    changed(
        object,
        "/spec",
        json!({"credentialsSecretRef": {"name": secret}}),
    )
}

fn fresh(name: &str, secret: &str) -> Value {
    changed(named(armed(), name, secret), "", json!({"status": null}))
}

fn claimed_in(object: Value, account: Option<&str>) -> Value {
    let claim = json!({"at": "2026-01-02T03:04:06Z", "account": account});
    changed(object, "/status", json!({"claim": claim}))
}

fn key_of(object: &Value) -> Key {
    view(object.clone()).key
}

fn values(key_id: &str) -> BTreeMap<String, SecretSlice<u8>> {
    let values = [("accessKeyId", key_id), ("accessKeySecret", "hush")];
    let values = values.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec().into()));
    values.into_iter().collect()
}

fn refused(class: Class) -> Failure {
    Failure {
        class,
        code: Some("InvalidAccessKeyId.NotFound".to_owned()),
        message: "Specified access key is not found.".to_owned(),
        ..Failure::endless()
    }
}

/// A keyring, and a world of Secrets and accounts that answers it at once.
struct Ring {
    keyring: Keyring,
    paces: Paces,
    now: Duration,
    /// Key ids by Secret; none: there is no such Secret.
    secrets: BTreeMap<String, String>,
    /// Accounts by key id.
    accounts: BTreeMap<String, Result<&'static str, Class>>,
    own: Result<&'static str, Class>,
    reads: Vec<(Duration, String)>,
    asked: Vec<(Duration, String)>,
}

impl Ring {
    fn new() -> Self {
        Self {
            keyring: Keyring::default(),
            paces: Paces::default(),
            now: Duration::ZERO,
            secrets: BTreeMap::new(),
            accounts: BTreeMap::new(),
            own: Ok("1000"),
            reads: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn with(mut self, secret: &str, key_id: &str, account: Result<&'static str, Class>) -> Self {
        self.secrets.insert(secret.to_owned(), key_id.to_owned());
        self.accounts.insert(key_id.to_owned(), account);
        self
    }

    fn uses(&mut self, object: &Value) {
        let view = view(object.clone());
        self.keyring.uses(&view.key, &view.source, self.now);
    }

    fn refresh(&mut self, name: &str, occasion: (Occasion, Duration)) {
        let source = Source::Secret(secret(name));
        self.keyring
            .refresh(&source, occasion, &self.paces, self.now);
    }

    fn fetch(&mut self, errand: Errand) -> News {
        let told = |account: Result<&str, Class>| {
            account
                .map(AccountId::new)
                .map_err(|class| Box::new(refused(class)))
        };
        let fetched = match errand {
            Errand::Read(secret) => {
                self.reads.push((self.now, secret.name.clone()));
                let values = self.secrets.get(&secret.name).map(|id| values(id));
                Fetched::Secret(secret, values.ok_or(SecretError::Missing))
            }
            Errand::AskOwn => {
                self.asked.push((self.now, "own".to_owned()));
                Fetched::Own(told(self.own))
            }
            Errand::Ask(print, credentials) => {
                let id = credentials.key_id().to_owned();
                let account = self.accounts[&id];
                self.asked.push((self.now, id));
                Fetched::Key(print, told(account))
            }
        };
        self.keyring.fetched(fetched, &self.paces, self.now, 0.5)
    }

    /// Everything that is due until then.
    fn run(&mut self, until: Duration) {
        for _ in 0..10_000 {
            loop {
                let errands = self.keyring.errands(self.now);
                if errands.is_empty() {
                    break;
                }
                for errand in errands {
                    self.fetch(errand);
                }
            }
            let next = self.keyring.next_at();
            assert!(next.is_none_or(|next| next > self.now), "a busy loop");
            match next {
                Some(next) if next <= until => self.now = next,
                Some(_) | None => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("no end of errands at {:?}", self.now);
    }

    fn keys(&self, object: &Value) -> Keys {
        self.keyring.keys(&view(object.clone()), self.now)
    }

    /// The key id that a call would be signed with.
    fn signs(&mut self, object: &Value) -> Option<String> {
        match self.keyring.grant(&view(object.clone()), self.now).0 {
            Granted::These(credentials) => Some(credentials.key_id().to_owned()),
            Granted::Own => Some("own".to_owned()),
            Granted::Nothing(..) | Granted::Later(_) => None,
        }
    }

    fn line(&self, object: &Value) -> Option<String> {
        let view = view(object.clone());
        let line = self.keyring.accounts().line(&view.source, Some(&view));
        line.map(|account| account.as_str().to_owned())
    }

    fn store(&self, objects: impl IntoIterator<Item = Value>) -> Store {
        let mut store = Store::default();
        store.know(self.keyring.accounts(), Vec::new());
        for object in objects {
            store.watched(view(object));
        }
        store
    }
}

fn standing(store: &Store, object: &Value) -> Standing {
    store.get(&key_of(object)).unwrap().standing
}

fn is_contested(store: &Store, object: &Value) -> bool {
    matches!(standing(store, object), Standing::Contested(_))
}

fn message(keys: &Keys) -> &str {
    match keys {
        Keys::Unusable { message, .. } => message,
        Keys::Given | Keys::Unread(_) => "",
    }
}

#[test]
fn one_reading_a_minute_serves_all_that_name_the_same_secret() {
    let mut ring = Ring::new().with("live", "k1", Ok("2000"));
    for number in 0..100 {
        let object = fresh(&format!("x-{number}"), "live");
        assert_eq!(ring.keys(&object), Keys::Unread(None));
        ring.uses(&object);
        ring.uses(&object);
    }
    ring.run(10 * MINUTE - SECOND);
    assert_eq!(ring.reads.len(), 10);
    let asked: Vec<&str> = ring.asked.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(asked, ["own", "k1"], "each key is asked for once");
    let object = fresh("x-7", "live");
    assert_eq!(ring.keys(&object), Keys::Given);
    assert_eq!(ring.signs(&object).as_deref(), Some("k1"));
    // Without a user it is forgotten, with its value.
    for number in 0..100 {
        ring.keyring
            .leaves(&key_of(&fresh(&format!("x-{number}"), "live")));
    }
    assert_eq!(ring.keyring.next_at(), None);
    assert_eq!(ring.keys(&object), Keys::Unread(None));
}

#[test]
fn where_nobody_brings_credentials_nothing_is_asked() {
    let mut ring = Ring::new();
    ring.uses(&armed());
    ring.run(MINUTE);
    assert!(ring.asked.is_empty() && ring.reads.is_empty());
    assert_eq!(ring.keys(&armed()), Keys::Given);
    assert_eq!(ring.signs(&armed()).as_deref(), Some("own"));
    assert_eq!(ring.line(&armed()), None);
}

#[test]
fn the_last_good_value_is_kept_while_an_object_needs_it() {
    let mut ring = Ring::new().with("live", "k1", Ok("2000"));
    let object = fresh("x", "live");
    ring.uses(&object);
    ring.run(SECOND);
    ring.secrets.clear();
    ring.run(2 * MINUTE);
    let keys = ring.keys(&object);
    assert!(
        matches!(
            keys,
            Keys::Unusable {
                reason: Reason::CredentialsMissing,
                held: true,
                ..
            }
        ),
        "{keys:?}"
    );
    assert!(
        message(&keys).contains("Secret team-a/live does not exist"),
        "{keys:?}"
    );
    assert_eq!(ring.signs(&object).as_deref(), Some("k1"));

    // A process that has never seen it has nothing, and says what to restore.
    let mut ring = Ring::new();
    ring.uses(&object);
    ring.run(SECOND);
    let keys = ring.keys(&object);
    assert!(
        matches!(keys, Keys::Unusable { held: false, .. }),
        "{keys:?}"
    );
    for words in ["Secret team-a/live", "accessKeyId", "accessKeySecret"] {
        assert!(message(&keys).contains(words), "{keys:?}");
    }
    assert_eq!(ring.signs(&object), None);
    let version = ring.keyring.version(&Source::Secret(secret("live")));
    let mut ring = ring.with("live", "k1", Ok("2000"));
    ring.run(2 * MINUTE);
    assert_eq!(ring.keys(&object), Keys::Given);
    assert_ne!(
        ring.keyring.version(&Source::Secret(secret("live"))),
        version
    );
}

#[test]
fn a_failure_or_a_request_reads_it_again_and_no_more_often_than_the_pace() {
    let mut ring = Ring::new().with("live", "k1", Ok("2000"));
    ring.uses(&fresh("x", "live"));
    ring.run(10 * SECOND);
    let sent = ring.now;
    for _ in 0..50 {
        ring.refresh("live", (Occasion::Failure, sent));
    }
    ring.run(11 * SECOND);
    assert_eq!(ring.reads.len(), 2, "{:?}", ring.reads);
    // Calls that were sent before that reading say nothing of what it showed.
    ring.refresh("live", (Occasion::Failure, Duration::ZERO));
    ring.run(20 * SECOND);
    assert_eq!(ring.reads.len(), 2, "{:?}", ring.reads);
    // A request is for now.
    ring.refresh("live", (Occasion::Request, ring.now));
    ring.run(21 * SECOND);
    assert_eq!(ring.reads.len(), 3, "{:?}", ring.reads);
    // Calls that go on failing with the same value read it less and less often, though as often as ever when it has changed.
    let all_fail = |ring: &mut Ring| {
        let before = ring.reads.len();
        for _ in 0..3000 {
            ring.refresh("live", (Occasion::Failure, ring.now));
            ring.run(ring.now + SECOND / 10);
        }
        ring.reads.len() - before
    };
    let reads = all_fail(&mut ring);
    assert!((8..=14).contains(&reads), "{reads} in five minutes");
    let mut ring = ring.with("live", "k2", Ok("2000"));
    ring.run(ring.now + MINUTE);
    assert_eq!(ring.signs(&fresh("x", "live")).as_deref(), Some("k2"));
    let sent = ring.now + SECOND;
    ring.now = sent + SECOND;
    let before = ring.reads.len();
    ring.refresh("live", (Occasion::Failure, sent));
    ring.run(ring.now);
    assert_eq!(ring.reads.len(), before + 1);
}

#[test]
fn what_changed_is_told_to_whom_it_concerns_and_what_did_not_is_not() {
    let mut ring = Ring::new()
        .with("live", "k1", Ok("2000"))
        .with("other", "k9", Ok("3000"));
    for (name, of) in [("x", "live"), ("y", "live"), ("z", "other")] {
        ring.uses(&fresh(name, of));
    }
    ring.run(SECOND);
    let read = |ring: &mut Ring| {
        ring.refresh("live", (Occasion::Request, ring.now));
        ring.now += 2 * SECOND;
        let errands = ring.keyring.errands(ring.now).into_iter();
        let mut reads = errands.filter(|errand| matches!(errand, Errand::Read(_)));
        let read = reads.next().unwrap();
        ring.fetch(read)
    };
    let news = read(&mut ring);
    assert!(news.look.is_empty() && news.changed.is_none());
    let mut ring = ring.with("live", "k2", Ok("2000"));
    let news = read(&mut ring);
    assert_eq!(news.changed, Some(secret("live")));
    assert_eq!(
        news.look,
        [key_of(&fresh("x", "live")), key_of(&fresh("y", "live"))]
    );
    ring.secrets.remove("live");
    assert_eq!(read(&mut ring).look.len(), 2, "that it is gone is news");
    assert!(
        read(&mut ring).look.is_empty(),
        "that it is still gone is not"
    );
}

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
    // A process that has begun since goes by what the claim says.
    let mut ring = Ring::new().with("one", "k5", Err(Class::Throttled));
    let claimed = claimed_in(named(armed(), "one", "one"), Some("2000"));
    ring.uses(&claimed);
    ring.run(MINUTE);
    assert_eq!(ring.line(&claimed), account);
    assert_eq!(ring.line(&objects[0]), None);
}

#[test]
fn calls_wait_for_the_account_for_a_moment_and_no_longer() {
    let mut ring = Ring::new().with("live", "k1", Ok("2000"));
    let object = fresh("x", "live");
    ring.uses(&object);
    let read = ring.keyring.errands(ring.now);
    for errand in read {
        if matches!(errand, Errand::Read(_)) {
            ring.fetch(errand);
        }
    }
    let ask = ring.keyring.errands(ring.now);
    assert!(matches!(ask[..], [Errand::Ask(..)]), "{ask:?}");
    let Keys::Unread(Some(until)) = ring.keys(&object) else {
        panic!("{:?}", ring.keys(&object));
    };
    assert!(until <= 2 * SECOND);
    ring.now = until;
    assert_eq!(ring.keys(&object), Keys::Given);
    assert_eq!(ring.signs(&object).as_deref(), Some("k1"));
    // What was sent until then counted elsewhere.
    let news = ring.fetch(ask.into_iter().next().unwrap());
    assert_eq!(news.moved, Some(AccountId::new("2000")));
    assert_eq!(news.look, [key_of(&object)]);
}

#[test]
fn a_question_that_fails_is_asked_again_slowly() {
    for (class, most) in [
        (Class::CredentialsRejected, 30),
        (Class::ServiceUnavailable, 40),
    ] {
        let mut ring = Ring::new().with("live", "k1", Err(class));
        ring.uses(&fresh("x", "live"));
        ring.run(60 * MINUTE);
        let asked = ring.asked.iter().filter(|(_, id)| id == "k1").count();
        assert!((12..=most).contains(&asked), "{class:?}: {asked}");
    }
}

#[test]
fn a_key_that_is_refused_is_told_before_anything_is_claimed() {
    let mut ring = Ring::new().with("live", "k1", Err(Class::CredentialsRejected));
    let object = fresh("x", "live");
    ring.uses(&object);
    ring.run(SECOND);
    let keys = ring.keys(&object);
    assert!(
        matches!(
            keys,
            Keys::Unusable {
                reason: Reason::CredentialsRejected,
                held: true,
                ..
            }
        ),
        "{keys:?}"
    );
    assert!(
        message(&keys).contains("InvalidAccessKeyId.NotFound"),
        "{keys:?}"
    );
    // A claim's Stop is sent whatever is said of its key.
    let claimed = claimed_in(named(armed(), "x", "live"), Some("2000"));
    assert_eq!(ring.keys(&claimed), Keys::Given);
    assert_eq!(ring.signs(&claimed).as_deref(), Some("k1"));
}

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
        ("silent", Some("2000"), true),
        ("silent", None, true),
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
                    held: false,
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
    assert!(is_contested(&store, &a));
    assert_eq!(standing(&store, &own), Standing::Holder);

    let mark = ring.keyring.accounts().recorded(&view(a.clone())).unwrap();
    assert!(mark.starts_with("unconfirmed-"), "{mark}");
    let claimed = claimed_in(named(armed(), "a", "a"), Some(&mark));
    let later = changed(own, "", json!({"status": null}));
    let mut store = ring.store([claimed.clone(), later.clone()]);
    assert_eq!(standing(&store, &claimed), Standing::Holder);
    assert!(is_contested(&store, &later));
    // When it is known, both go on, and the claim says so.
    let mut ring = ring.with("a", "ka", Ok("2000"));
    ring.run(10 * MINUTE);
    let look = store.know(ring.keyring.accounts(), vec![key_of(&claimed)]);
    assert!(look.contains(&key_of(&later)), "{look:?}");
    assert_eq!(standing(&store, &claimed), Standing::Holder);
    assert_eq!(standing(&store, &later), Standing::Entitled);
    let recorded = ring.keyring.accounts().recorded(&view(claimed));
    assert_eq!(recorded.as_deref(), Some("2000"));
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
    assert!(is_contested(&store, &own), "it may be the same account");
    let recorded = |ring: &Ring| ring.keyring.accounts().recorded(&view(claimed.clone()));
    assert_eq!(recorded(&ring).as_deref(), Some("1000"));
    ring.own = Ok("1000");
    ring.run(10 * MINUTE);
    store.know(ring.keyring.accounts(), Vec::new());
    assert!(is_contested(&store, &own), "it is");
    assert_eq!(standing(&store, &claimed), Standing::Holder);
    assert_eq!(recorded(&ring), None);
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
        let mark = ring
            .keyring
            .accounts()
            .recorded(&view(fresh(of, of)))
            .unwrap();
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
        ring.keyring.accounts().recorded(&view(marked)).as_deref(),
        Some(Mark::of("k1").as_str())
    );
}

fn missing(held: bool) -> Keys {
    Keys::Unusable {
        reason: Reason::CredentialsMissing,
        message: "Secret team-a/live does not exist: create it.".to_owned(),
        held,
    }
}

#[test]
fn an_object_without_credentials_claims_nothing_and_says_so() {
    let mut life = Life::of(fresh("x", "live"));
    life.standing = Standing::Entitled;
    life.keys = Keys::Unread(Some(2 * SECOND));
    assert_eq!(life.step(), Step::Rest(Some(2 * SECOND)));
    life.keys = missing(false);
    life.run(SECOND, |call, _| panic!("{call:?}"));
    let status = &life.view.status;
    assert_eq!(life.view.told_reason(), Some("CredentialsMissing"));
    assert_eq!((status.phase, &status.claim), (Some(Phase::Failed), &None));
    assert!(
        life.last_message()
            .contains("Secret team-a/live does not exist")
    );
    life.keys = Keys::Given;
    life.account = Some("2000".to_owned());
    life.run(2 * SECOND, |call, _| panic!("{call:?}"));
    let claim = life.view.status.claim.clone().unwrap();
    assert_eq!(claim.account.as_deref(), Some("2000"));
    assert_eq!(life.view.told_reason(), Some("Armed"));
    // It turns out to be the operator's own: told once, with the same claim otherwise.
    life.account = None;
    let told = life.told.len();
    life.run(3 * SECOND, |call, _| panic!("{call:?}"));
    assert_eq!(life.told.len(), told + 1);
    let now = life.view.status.claim.clone().unwrap();
    assert_eq!((now.account, now.at), (None, claim.at));
}

#[test]
fn a_deletion_without_credentials_waits_for_them_and_can_be_released_by_hand() {
    let unclaimed = || changed(named(deleting(), "x", "live"), "", json!({"status": null}));
    let mut life = Life::of(unclaimed());
    life.standing = Standing::Entitled;
    life.keys = missing(false);
    assert_eq!(life.run(HOUR, |call, _| panic!("{call:?}")), None);
    assert_eq!(life.view.told_reason(), Some("CredentialsMissing"));
    assert!(!life.view.has_claim());
    life.keys = Keys::Given;
    life.account = Some("2000".to_owned());
    let Step::Record(verdict) = life.step() else {
        panic!("{:?}", life.step());
    };
    life.record(*verdict);
    life.standing = Standing::Holder;
    let evidence = life.run(2 * HOUR, |_, _| accepted());
    assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
    assert_eq!(
        life.view.status.claim.clone().unwrap().account.as_deref(),
        Some("2000")
    );

    let release =
        json!({"annotations": {"mixedstream.io/release-without-stop": "stopped by hand"}});
    let mut life = Life::of(changed(unclaimed(), "/metadata", release));
    life.standing = Standing::Entitled;
    life.keys = missing(false);
    let evidence = life.run(HOUR, |call, _| panic!("{call:?}"));
    assert!(matches!(evidence, Some(Evidence::Declared { .. })));
}

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn a_held_claim_is_stopped_with_what_is_kept_in_memory() {
    let mut life = Life::of(claimed_in(named(deleting(), "x", "live"), Some("2000")));
    life.keys = missing(true);
    life.account = Some("2000".to_owned());
    let evidence = life.run(HOUR, |_, _| accepted());
    assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
    assert_eq!(life.told.len(), 0, "nothing is written in between");
}

#[test]
fn words_about_a_secret_name_the_secret() {
    for (class, says) in [
        (
            Class::CredentialsRejected,
            "Put a valid key into Secret team-a/live",
        ),
        (Class::AccessDenied, "to the key in Secret team-a/live"),
        (Class::CredentialsMissing, "It is sent when that is done."),
    ] {
        let mut life = Life::of(claimed_in(named(deleting(), "x", "live"), Some("2000")));
        life.account = Some("2000".to_owned());
        life.run(SECOND, |_, _| failed(class));
        assert!(
            life.last_message().contains(says),
            "{}",
            life.last_message()
        );
        assert!(
            !life.last_message().contains("restart it"),
            "{}",
            life.last_message()
        );
        // Other credentials are tried at once.
        life.memory.waits.other_credentials();
        let evidence = life.run(2 * SECOND, |_, _| accepted());
        assert!(
            matches!(evidence, Some(Evidence::StopAccepted { .. })),
            "{class:?}"
        );
    }
}
