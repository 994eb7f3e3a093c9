//! What was fetched: Secrets, and whose a key is.

use super::{
    super::{
        SecretName,
        accounts::Told,
        entry::Good,
        question::{Asked, passes},
        value::Print,
    },
    Fetched, Keyring, Line, News,
};
use crate::{
    live::{AccountId, Credentials, Failure},
    task::{cluster::SecretError, retry::Paces},
};
use secrecy::SecretSlice;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

impl Keyring {
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
            Err(failure) if !passes(&failure) => accounts.learn(print, Told::Nothing),
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
