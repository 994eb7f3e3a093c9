//! The credentials that objects bring: which Secrets are due to be read, of which keys the service is to be asked whose they are, and what is
//! known of both. Passive: the controller sends the errands and brings their results.

pub use super::entry::Occasion;
use super::{
    Keys, SecretName, Source,
    accounts::{Accounts, Told},
    entry::{Entry, Good},
    question::{Asked, PATIENCE, passes},
    value::Print,
};
use crate::{
    api::Reason,
    live::{AccountId, Class, Credentials, Failure},
    task::{
        cluster::SecretError,
        retry::Paces,
        view::{Key, View},
    },
};
use secrecy::SecretSlice;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

/// Secrets read at a time.
const READS: usize = 16;
/// Questions whose a key is, at a time.
const QUESTIONS: usize = 4;

/// Something to be fetched.
#[derive(Clone, Debug)]
pub enum Errand {
    /// Read this Secret.
    Read(SecretName),
    /// Ask whose the operator's own credentials are.
    AskOwn,
    /// Ask whose this key is.
    Ask(Print, Credentials),
}

/// What was fetched.
#[derive(Debug)]
pub enum Fetched {
    /// A Secret, or why it could not be read.
    Secret(
        SecretName,
        Result<BTreeMap<String, SecretSlice<u8>>, SecretError>,
    ),
    /// Whose the operator's own credentials are.
    Own(Result<AccountId, Box<Failure>>),
    /// Whose a key is.
    Key(Print, Result<AccountId, Box<Failure>>),
}

/// What follows from something fetched.
#[derive(Debug, Default)]
pub struct News {
    /// Objects to look at, and others that name the same tasks.
    pub look: Vec<Key>,
    /// Secrets with other credentials than before.
    pub changed: Option<SecretName>,
    /// Calls of this account may have counted elsewhere until now.
    pub moved: Option<AccountId>,
}

/// What a call is signed with.
#[derive(Clone, Debug)]
pub enum Granted {
    /// The operator's own credentials.
    Own,
    /// These.
    These(Credentials),
    /// Nothing: why, in a sentence with what to do.
    Nothing(Class, String),
    /// They are being read; the object is looked at again.
    Later(Option<Duration>),
}

/// All credentials that objects bring.
#[derive(Debug, Default)]
pub struct Keyring {
    accounts: Arc<Accounts>,
    secrets: HashMap<SecretName, Entry>,
    users: HashMap<Key, SecretName>,
    keys: HashMap<Print, Asked>,
    own: Option<Asked>,
    /// When each Secret is read next.
    due: BTreeSet<(Duration, SecretName)>,
    reading: usize,
    asking: usize,
    versions: u64,
}

impl Keyring {
    /// What is known of accounts.
    #[must_use]
    pub fn accounts(&self) -> Arc<Accounts> {
        self.accounts.clone()
    }

    /// The object's credentials come from there, from now on. Whether there is an errand for that.
    pub fn uses(&mut self, key: &Key, source: &Source, now: Duration) -> bool {
        let secret = source.secret();
        if self.users.get(key) == secret {
            return false;
        }
        self.leaves(key);
        let Some(secret) = secret else {
            return false;
        };
        self.users.insert(key.clone(), secret.clone());
        let entry = self.secrets.entry(secret.clone()).or_insert_with(|| {
            self.due.insert((now, secret.clone()));
            Entry::from(now)
        });
        entry.users.insert(key.clone());
        self.own.get_or_insert_with(|| Asked::from(now));
        entry.begun.is_none()
    }

    /// The object is gone, or needs no Secret any more.
    pub fn leaves(&mut self, key: &Key) {
        let Some(secret) = self.users.remove(key) else {
            return;
        };
        let Some(entry) = self.secrets.get_mut(&secret) else {
            return;
        };
        entry.users.remove(key);
        if entry.users.is_empty()
            && let Some(entry) = self.secrets.remove(&secret)
        {
            self.due.remove(&(entry.due, secret.clone()));
            Arc::make_mut(&mut self.accounts).forget_secret(&secret);
            if let Some(good) = entry.good {
                self.drop_holder(good.print, &secret);
            }
        }
    }

    fn drop_holder(&mut self, print: Print, secret: &SecretName) {
        if let Some(asked) = self.keys.get_mut(&print) {
            asked.holders.remove(secret);
            if asked.holders.is_empty() {
                self.keys.remove(&print);
                Arc::make_mut(&mut self.accounts).forget_key(print);
            }
        }
    }

    /// How the object's credentials stand.
    #[must_use]
    pub fn keys(&self, view: &View, now: Duration) -> Keys {
        let missing = |message: &str, held| Keys::Unusable {
            reason: Reason::CredentialsMissing,
            message: message.to_owned(),
            held,
        };
        let rejected = |message, held| Keys::Unusable {
            reason: Reason::CredentialsRejected,
            message,
            held,
        };
        let secret = match &view.source {
            Source::Own => {
                return self
                    .accounts
                    .mismatch(view)
                    .map_or(Keys::Given, |message| rejected(message, false));
            }
            Source::Unreadable => return missing(UNREADABLE, false),
            Source::Secret(secret) => secret,
        };
        let Some(entry) = self.secrets.get(secret) else {
            return Keys::Unread(None);
        };
        let good = match (&entry.good, &entry.fault) {
            (None, None) => return Keys::Unread(None),
            (None, Some(fault)) => return missing(fault, false),
            (Some(good), _) => good,
        };
        if let Some(message) = self.accounts.mismatch(view) {
            return rejected(message, false);
        }
        if let Some(fault) = &entry.fault {
            return missing(fault, true);
        }
        let Some(asked) = self.keys.get(&good.print) else {
            return Keys::Given;
        };
        if !asked.is_settled(now) {
            return Keys::Unread(Some(asked.since + PATIENCE));
        }
        match &asked.refusal {
            // One with a claim goes by what the service answers to its calls.
            Some(words) if !view.has_claim() => rejected(
                format!(
                    "The service refuses the key in Secret {secret} ({words}): put a valid one there."
                ),
                true,
            ),
            Some(_) | None => Keys::Given,
        }
    }

    /// How they stand, and what the object's claim is to say of their account.
    #[must_use]
    pub fn known(&self, view: &View, now: Duration) -> (Keys, Option<String>) {
        (self.keys(view, now), self.accounts.recorded(view))
    }

    /// What a call about the object is signed with now, and the version of that.
    pub fn grant(&mut self, view: &View, now: Duration) -> (Granted, u64) {
        let granted = match self.keys(view, now) {
            Keys::Unread(until) => Granted::Later(until),
            Keys::Unusable {
                reason,
                message,
                held: false,
            } => {
                let class = if reason == Reason::CredentialsRejected {
                    Class::CredentialsRejected
                } else {
                    Class::CredentialsMissing
                };
                Granted::Nothing(class, message)
            }
            Keys::Given | Keys::Unusable { held: true, .. } => {
                self.signed_with(&view.source, Some(view))
            }
        };
        (granted, self.version(&view.source))
    }

    /// What a bulk read is signed with.
    pub fn grant_read(&mut self, source: &Source) -> Granted {
        self.signed_with(source, None)
    }

    fn signed_with(&mut self, source: &Source, view: Option<&View>) -> Granted {
        let secret = match source {
            Source::Own => return Granted::Own,
            Source::Unreadable => {
                return Granted::Nothing(Class::CredentialsMissing, UNREADABLE.to_owned());
            }
            Source::Secret(secret) => secret,
        };
        let Some(entry) = self.secrets.get(secret) else {
            let words = format!("No object names Secret {secret} any more.");
            return Granted::Nothing(Class::CredentialsMissing, words);
        };
        match (&entry.good, &entry.fault) {
            (Some(good), _) => {
                if let Some(asked) = self.keys.get_mut(&good.print) {
                    asked.was_used |= self.accounts.line(source, view).is_none();
                }
                Granted::These(good.credentials.clone())
            }
            (None, Some(fault)) => Granted::Nothing(Class::CredentialsMissing, fault.clone()),
            (None, None) => Granted::Later(None),
        }
    }

    /// Counts the changes of what comes from there; no two Secrets have the same number.
    #[must_use]
    pub fn version(&self, source: &Source) -> u64 {
        source
            .secret()
            .and_then(|secret| self.secrets.get(secret))
            .map_or(0, |entry| entry.version)
    }

    /// The Secret is worth a reading that begins after `since`, though not right after the last one.
    pub fn refresh(
        &mut self,
        source: &Source,
        (occasion, since): (Occasion, Duration),
        paces: &Paces,
        now: Duration,
    ) {
        let Some(secret) = source.secret() else {
            return;
        };
        let Some(entry) = self.secrets.get_mut(secret) else {
            return;
        };
        if entry.begun.is_some_and(|begun| begun > since) {
            return;
        }
        if entry.is_reading {
            entry.again = true;
            return;
        }
        let at = entry.due_for(occasion, paces, now);
        if at < entry.due {
            self.due.remove(&(entry.due, secret.clone()));
            entry.due = at;
            self.due.insert((at, secret.clone()));
        }
    }

    /// The errands that begin now.
    pub fn errands(&mut self, now: Duration) -> Vec<Errand> {
        let mut errands = Vec::new();
        while self.reading < READS
            && let Some((at, _)) = self.due.first()
            && *at <= now
            && let Some((_, secret)) = self.due.pop_first()
        {
            if let Some(entry) = self.secrets.get_mut(&secret) {
                entry.is_reading = true;
                entry.begun = Some(now);
                self.reading += 1;
                errands.push(Errand::Read(secret));
            }
        }
        if self.asking < QUESTIONS
            && let Some(own) = self.own.as_mut().filter(|own| own.is_due(now))
        {
            own.is_asking = true;
            self.asking += 1;
            errands.push(Errand::AskOwn);
        }
        for (print, asked) in &mut self.keys {
            if self.asking >= QUESTIONS {
                break;
            }
            let holder = asked
                .holders
                .first()
                .and_then(|secret| self.secrets.get(secret));
            if let Some(good) = holder.and_then(|entry| entry.good.as_ref())
                && asked.is_due(now)
            {
                asked.is_asking = true;
                self.asking += 1;
                errands.push(Errand::Ask(*print, good.credentials.clone()));
            }
        }
        errands
    }

    /// When [`Keyring::errands`] is to be asked again, as far as is known now.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        let read = self.due.first().map(|(at, _)| *at);
        let read = read.filter(|_| self.reading < READS);
        let asked = self.keys.values().chain(&self.own);
        let ask = asked
            .filter(|asked| !asked.is_asking && !asked.is_known)
            .map(|asked| asked.due)
            .min()
            .filter(|_| self.asking < QUESTIONS);
        read.into_iter().chain(ask).min()
    }

    /// Takes what was fetched. `jitter` is uniform in 0..1.
    pub fn fetched(&mut self, fetched: Fetched, paces: &Paces, now: Duration, jitter: f64) -> News {
        match fetched {
            Fetched::Secret(secret, values) => self.read(&secret, values, paces, now, jitter),
            Fetched::Own(told) => {
                self.asking -= 1;
                let Some(own) = self.own.as_mut() else {
                    return News::default();
                };
                let known = own.told(&told, paces, now, jitter);
                if let (true, Ok(account)) = (known, told) {
                    Arc::make_mut(&mut self.accounts).own_is(account);
                }
                let look = self.users.keys().filter(|_| known).cloned().collect();
                News {
                    look,
                    ..News::default()
                }
            }
            Fetched::Key(print, told) => self.key_told(print, told, paces, now, jitter),
        }
    }

    fn key_told(
        &mut self,
        print: Print,
        told: Result<AccountId, Box<Failure>>,
        paces: &Paces,
        now: Duration,
        jitter: f64,
    ) -> News {
        self.asking -= 1;
        let Some(asked) = self.keys.get_mut(&print) else {
            return News::default();
        };
        asked.told(&told, paces, now, jitter);
        let moved = asked.was_used;
        let holders = asked.holders.iter();
        let entries = holders.filter_map(|secret| self.secrets.get(secret));
        let look = entries
            .flat_map(|entry| entry.users.iter().cloned())
            .collect();
        let accounts = Arc::make_mut(&mut self.accounts);
        let moved = match told {
            Ok(account) => {
                accounts.learn(print, Told::Account(account.clone()));
                moved.then_some(account)
            }
            Err(failure) if !passes(failure.class) => {
                accounts.learn(print, Told::Nothing);
                None
            }
            Err(_) => None,
        };
        News {
            look,
            moved,
            changed: None,
        }
    }

    fn read(
        &mut self,
        secret: &SecretName,
        values: Result<BTreeMap<String, SecretSlice<u8>>, SecretError>,
        paces: &Paces,
        now: Duration,
        jitter: f64,
    ) -> News {
        self.reading -= 1;
        let Some(entry) = self.secrets.get_mut(secret) else {
            return News::default();
        };
        let before = entry.fault.clone();
        let (fresh, pause) = entry.take(secret, values, paces, jitter);
        // It may be due already, where it was let go and named again meanwhile.
        self.due.remove(&(entry.due, secret.clone()));
        entry.due = now + pause;
        self.due.insert((entry.due, secret.clone()));
        let is_new = self.take_good(secret, fresh, now);
        let Some(entry) = self.secrets.get_mut(secret) else {
            return News::default();
        };
        let is_news = is_new || entry.fault != before;
        entry.judge(is_news);
        if !is_news {
            return News::default();
        }
        self.versions += 1;
        entry.version = self.versions;
        News {
            look: entry.users.iter().cloned().collect(),
            changed: Some(secret.clone()),
            moved: None,
        }
    }

    /// Whether these are other credentials than the Secret had before.
    fn take_good(
        &mut self,
        secret: &SecretName,
        fresh: Option<Credentials>,
        now: Duration,
    ) -> bool {
        let (Some(credentials), Some(entry)) = (fresh, self.secrets.get_mut(secret)) else {
            return false;
        };
        let print = Print::of(&credentials);
        if entry.good.as_ref().is_some_and(|good| good.print == print) {
            return false;
        }
        let accounts = Arc::make_mut(&mut self.accounts);
        accounts.secret_has(secret, print, credentials.key_id());
        let asked = self.keys.entry(print).or_insert_with(|| Asked::from(now));
        asked.holders.insert(secret.clone());
        let old = entry.good.replace(Good { credentials, print });
        if let Some(old) = old {
            self.drop_holder(old.print, secret);
        }
        true
    }
}

const UNREADABLE: &str =
    "spec.credentialsSecretRef cannot be read: give it the name of a Secret in this namespace.";
