//! The credentials that objects bring: which Secrets are due to be read, of which keys the service is to be asked whose they are, and what is
//! known of both. Passive: the controller sends the errands and brings their results.

pub use super::entry::Occasion;
use super::{
    Keys, Left, SecretName, Signed, Source,
    accounts::{Accounts, Fit, Recorded, Told},
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

    /// How the object's credentials stand.
    #[must_use]
    pub fn keys(&self, view: &View, now: Duration) -> Keys {
        let missing = |message: &str, left| Keys::Unusable {
            reason: Reason::CredentialsMissing,
            message: message.to_owned(),
            left,
        };
        let rejected = |message, left| Keys::Unusable {
            reason: Reason::CredentialsRejected,
            message,
            left,
        };
        let misfit = || self.accounts.misfit(view);
        let secret = match &view.source {
            Source::Own => {
                return misfit()
                    .map_or(Keys::Given, |(_, message)| rejected(message, Left::Nothing));
            }
            Source::Unreadable => return missing(UNREADABLE, Left::Nothing),
            Source::Secret(secret) => secret,
        };
        let Some(entry) = self.secrets.get(secret) else {
            return Keys::Unread(None);
        };
        let good = match (&entry.good, &entry.fault) {
            (None, None) => return Keys::Unread(None),
            (None, Some(fault)) => return missing(fault, Left::Nothing),
            (Some(good), _) => good,
        };
        let asked = self.keys.get(&good.print);
        let misfit = misfit();
        if let Some((Fit::Another, message)) = misfit {
            return rejected(message, Left::Nothing);
        }
        // One with a claim goes by what the service answers to its calls.
        if let Some(words) = asked.and_then(|asked| asked.refusal.as_ref())
            && !view.has_claim()
        {
            let message = format!(
                "The service refuses the key in Secret {secret} ({words}): put a valid one there."
            );
            return rejected(message, Left::Nothing);
        }
        if let Some(asked) = asked.filter(|asked| !asked.is_settled(now)) {
            return Keys::Unread(Some(asked.since + PATIENCE));
        }
        match misfit {
            Some((Fit::OwnUnknown, message)) => match &self.own {
                Some(own) if !own.is_settled(now) => Keys::Unread(Some(own.since + PATIENCE)),
                Some(_) | None => rejected(message, Left::Nothing),
            },
            Some((Fit::Unknown | Fit::Another | Fit::Same, message)) => {
                rejected(message, Left::Doubtful)
            }
            None => match &entry.fault {
                Some(fault) => missing(fault, Left::Kept),
                None => Keys::Given,
            },
        }
    }

    /// How they stand, and what the object's claim is to say of their account.
    #[must_use]
    pub fn known(&self, view: &View, now: Duration) -> (Keys, Recorded) {
        (self.keys(view, now), self.accounts.recorded(view))
    }

    /// What a call about the object is signed with now.
    pub fn grant(&mut self, view: &View, now: Duration) -> (Granted, Signed) {
        let mut signed = Signed {
            version: self.version(&view.source),
            doubt: None,
        };
        let granted = match self.keys(view, now) {
            Keys::Unread(until) => Granted::Later(until),
            Keys::Unusable {
                reason,
                message,
                left: Left::Nothing,
            } => {
                let class = if reason == Reason::CredentialsRejected {
                    Class::CredentialsRejected
                } else {
                    Class::CredentialsMissing
                };
                Granted::Nothing(class, message)
            }
            Keys::Unusable {
                message,
                left: Left::Doubtful,
                ..
            } => {
                signed.doubt = Some(message);
                self.signed_with(&view.source)
            }
            Keys::Given
            | Keys::Unusable {
                left: Left::Kept, ..
            } => self.signed_with(&view.source),
        };
        (granted, signed)
    }

    /// What a bulk read is signed with.
    pub fn grant_read(&mut self, source: &Source) -> Granted {
        self.signed_with(source)
    }

    fn signed_with(&mut self, source: &Source) -> Granted {
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
                    asked.used_in = Some(self.accounts.line_of(good.print));
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
                    let all: Vec<SecretName> = self.secrets.keys().cloned().collect();
                    self.counts_as_new(&all);
                }
                let look = self.users.keys().filter(|_| known).cloned().collect();
                let moved = self.keys.iter_mut();
                News {
                    look,
                    changed: None,
                    moved: moved
                        .filter_map(|(print, asked)| asked.moves(self.accounts.line_of(*print)))
                        .collect(),
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
        let is_known = asked.told(&told, paces, now, jitter);
        let holders: Vec<SecretName> = asked.holders.iter().cloned().collect();
        let accounts = Arc::make_mut(&mut self.accounts);
        match told {
            Ok(account) => accounts.learn(print, Told::Account(account)),
            Err(failure) if !passes(failure.class) => accounts.learn(print, Told::Nothing),
            Err(_) => {}
        }
        let moved = asked.moves(accounts.line_of(print));
        if is_known {
            self.counts_as_new(&holders);
        }
        let entries = holders.iter().filter_map(|secret| self.secrets.get(secret));
        News {
            look: entries
                .flat_map(|entry| entry.users.iter().cloned())
                .collect(),
            moved: moved.into_iter().collect(),
            changed: None,
        }
    }

    /// More is known of what is in them: what was kept back for that is tried again.
    fn counts_as_new(&mut self, secrets: &[SecretName]) {
        for secret in secrets {
            self.versions += 1;
            if let Some(entry) = self.secrets.get_mut(secret) {
                entry.version = self.versions;
            }
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
        if entry.is_absent && entry.good.is_none() {
            Arc::make_mut(&mut self.accounts).secret_is_absent(secret);
        }
        // It may be due already, where it was let go and named again meanwhile.
        self.due.remove(&(entry.due, secret.clone()));
        entry.due = now + pause;
        self.due.insert((entry.due, secret.clone()));
        let (is_new, moved) = self.take_good(secret, fresh, now);
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
            moved: moved.into_iter().collect(),
        }
    }

    /// Whether these are other credentials than the Secret had before, and the line that they move to, if they do.
    fn take_good(
        &mut self,
        secret: &SecretName,
        fresh: Option<Credentials>,
        now: Duration,
    ) -> (bool, Option<Line>) {
        let (Some(credentials), Some(entry)) = (fresh, self.secrets.get_mut(secret)) else {
            return (false, None);
        };
        let print = Print::of(&credentials);
        if entry.good.as_ref().is_some_and(|good| good.print == print) {
            return (false, None);
        }
        let old = entry.good.as_ref().map(|good| good.print);
        // Whatever was sent with one of an unknown account may have been of any.
        let used_in = old
            .filter(|old| !self.accounts.knows(*old))
            .and_then(|old| self.keys.get(&old)?.used_in.clone());
        let accounts = Arc::make_mut(&mut self.accounts);
        let is_first = !self.keys.contains_key(&print);
        accounts.secret_has(secret, print, credentials.key_id(), is_first);
        let line = accounts.line_of(print);
        let asked = self.keys.entry(print).or_insert_with(|| Asked::from(now));
        asked.holders.insert(secret.clone());
        let moved = used_in.and_then(|used_in| asked.follows(used_in, line));
        entry.good = Some(Good { credentials, print });
        if let Some(old) = old {
            self.drop_holder(old, secret);
        }
        (true, moved)
    }
}

/// Comes before every Secret of the namespace.
fn first_of(namespace: &str) -> SecretName {
    SecretName {
        namespace: namespace.to_owned(),
        name: String::new(),
    }
}

const UNREADABLE: &str =
    "spec.credentialsSecretRef cannot be read: give it the name of a Secret in this namespace.";
