//! Objects that bring their own credentials: what is read and asked, and how often; whose task is whose among several accounts; and what is told.

mod lines;
mod owners;
mod plans;
mod unconfirmed;

use super::*;
use crate::{
    api::{Phase, Reason},
    live::{AccountId, Failure},
    task::{
        access::{
            Granted, Keyring, Left, SecretName, Source,
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
    /// What refuses is no answer of the service, but a page of something on the way.
    is_page: bool,
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
            is_page: false,
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
        let is_page = self.is_page;
        let told = |account: Result<&str, Class>| {
            account.map(AccountId::new).map_err(|class| {
                let mut failure = refused(class);
                failure.code.take_if(|_| is_page);
                Box::new(failure)
            })
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
        let line = self.keyring.accounts().line(&view.source);
        line.map(|account| account.as_str().to_owned())
    }

    /// What its claim is to say of the account.
    fn recorded(&self, object: &Value) -> Option<String> {
        let view = view(object.clone());
        self.keyring.accounts().recorded(&view).account
    }

    /// What its claim is to be from now on.
    fn claims(&self, object: Value) -> Value {
        let recorded = self.keyring.accounts().recorded(&view(object.clone()));
        let claim = json!({
            "at": "2026-01-02T03:04:06Z", "account": recorded.account, "key": recorded.key
        });
        changed(object, "", json!({"status": {"claim": claim}}))
    }

    /// Why the answers to its credentials are not believed.
    fn doubt(&mut self, object: &Value) -> Option<String> {
        self.keyring.grant(&view(object.clone()), self.now).1.doubt
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

fn is_disputed(store: &Store, object: &Value) -> bool {
    matches!(standing(store, object), Standing::Disputed(_))
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
                left: Left::Kept,
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
        matches!(
            keys,
            Keys::Unusable {
                left: Left::Nothing,
                ..
            }
        ),
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
                left: Left::Nothing,
                ..
            }
        ),
        "{keys:?}"
    );
    assert!(
        message(&keys).contains("InvalidAccessKeyId.NotFound"),
        "{keys:?}"
    );
    // With the key of its claim a Stop is sent whatever is said of that; with another one it is told what is wrong with it.
    let claimed = claimed_in(named(armed(), "x", "live"), Some(Mark::of("k1").as_str()));
    assert_eq!(ring.keys(&claimed), Keys::Given);
    assert_eq!(ring.signs(&claimed).as_deref(), Some("k1"));
    let claimed = claimed_in(named(armed(), "x", "live"), Some("2000"));
    let keys = ring.keys(&claimed);
    assert!(message(&keys).contains("put a valid one there"), "{keys:?}");
    assert_eq!(ring.signs(&claimed), None);
}
