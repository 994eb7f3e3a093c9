//! The credentials that objects bring: which Secrets are due to be read, of which keys the service is to be asked whose they are, and what is
//! known of both. Passive: the controller sends the errands and brings their results.

mod fetched;
mod grants;

pub use super::entry::Occasion;
use super::{SecretName, Source, accounts::Accounts, entry::Entry, question::Asked, value::Print};
use crate::{
    live::{AccountId, Class, Credentials, Failure},
    task::{cluster::SecretError, retry::Paces, view::Key},
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

/// Whose quota something counts in; none: that of the account of the operator's own credentials.
pub type Line = Option<AccountId>;

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
    /// Calls that belong into these lines may have counted in others until now.
    pub moved: Vec<Line>,
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
    secrets: BTreeMap<SecretName, Entry>,
    users: HashMap<Key, SecretName>,
    keys: HashMap<Print, Asked>,
    own: Option<Asked>,
    /// When each Secret is read next.
    due: BTreeSet<(Duration, SecretName)>,
    reading: usize,
    asking: usize,
    /// By namespace, the number of the last question about a key from there.
    turns: HashMap<String, u64>,
    questions: u64,
    versions: u64,
}

impl Keyring {
    /// What is known of accounts.
    #[must_use]
    pub fn accounts(&self) -> Arc<Accounts> {
        self.accounts.clone()
    }

    /// The operator has no credentials of its own, so that nothing counts in their account's quota.
    pub fn without_own(&mut self) {
        Arc::make_mut(&mut self.accounts).without_own();
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
            let is_near = |other: &SecretName| other.namespace == secret.namespace;
            let mut after = self.secrets.range(first_of(&secret.namespace)..);
            if !after.next().is_some_and(|(other, _)| is_near(other)) {
                self.turns.remove(&secret.namespace);
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
        while self.asking < QUESTIONS
            && let Some((print, namespace)) = self.next_question(now)
            && let Some(asked) = self.keys.get_mut(&print)
            && let Some(holder) = asked.holders.first()
            && let Some(good) = self
                .secrets
                .get(holder)
                .and_then(|entry| entry.good.as_ref())
        {
            asked.is_asking = true;
            self.asking += 1;
            self.questions += 1;
            self.turns.insert(namespace, self.questions);
            errands.push(Errand::Ask(print, good.credentials.clone()));
        }
        errands
    }

    /// The key to ask for next: namespaces take turns, and within one the longest due comes first.
    fn next_question(&self, now: Duration) -> Option<(Print, String)> {
        let due = self.keys.iter().filter(|(_, asked)| asked.is_due(now));
        let next = due
            .filter_map(|(print, asked)| {
                let namespace = &asked.holders.first()?.namespace;
                let turn = self.turns.get(namespace).copied().unwrap_or_default();
                Some((turn, asked.due, *print, namespace))
            })
            .min();
        next.map(|(_, _, print, namespace)| (print, namespace.clone()))
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
}

/// Comes before every Secret of the namespace.
fn first_of(namespace: &str) -> SecretName {
    SecretName {
        namespace: namespace.to_owned(),
        name: String::new(),
    }
}
