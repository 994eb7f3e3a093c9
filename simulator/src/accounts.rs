//! Accounts, their keys, and who owns which application.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actions::Action;
use crate::clock::{Millis, Moment};
use crate::sts::{OidcProvider, Role, Session, SessionView};

/// An access key, as the admin gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Key {
    /// Key id.
    pub id: String,
    /// Secret.
    pub secret: String,
    /// With a token the key is an STS triple.
    #[serde(default)]
    pub token: Option<String>,
    /// When the triple expires.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// False: the key exists, and is refused.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// An account, as the admin gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// False: `OperationDenied`.
    #[serde(default = "yes")]
    pub service_enabled: bool,
    /// Its keys.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Its applications; `*`: each that no other account names.
    #[serde(default)]
    pub apps: BTreeSet<String>,
    /// Actions that its policy denies.
    #[serde(default)]
    pub denied: BTreeSet<Action>,
    /// The code of a denial.
    #[serde(default = "forbidden")]
    pub denial_code: String,
    /// Calls per sliding second, where they differ from the documented ones.
    #[serde(default)]
    pub quotas: BTreeMap<Action, u32>,
    /// The share of each quota that somebody else uses up, 0 to 1.
    #[serde(default)]
    pub neighbour_share: f64,
    /// The clusters whose tokens it knows.
    #[serde(default)]
    pub oidc_providers: Vec<OidcProvider>,
    /// The roles that can be assumed.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// The role of the machine that has the simulated metadata server.
    #[serde(default)]
    pub instance_role: Option<String>,
}

/// New values for some fields of an account.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountPatch {
    service_enabled: Option<bool>,
    keys: Option<Vec<Key>>,
    apps: Option<BTreeSet<String>>,
    denied: Option<BTreeSet<Action>>,
    denial_code: Option<String>,
    quotas: Option<BTreeMap<Action, u32>>,
    neighbour_share: Option<f64>,
    oidc_providers: Option<Vec<OidcProvider>>,
    roles: Option<Vec<Role>>,
    instance_role: Option<String>,
}

/// An account as it is shown: without secrets.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountView<'a> {
    id: &'a str,
    service_enabled: bool,
    key_ids: Vec<&'a str>,
    apps: &'a BTreeSet<String>,
    denied: &'a BTreeSet<Action>,
    denial_code: &'a str,
    quotas: BTreeMap<Action, u32>,
    neighbour_share: f64,
}

fn yes() -> bool {
    true
}

fn forbidden() -> String {
    "Forbidden".to_owned()
}

impl Account {
    /// Calls of this action that are left to us in a sliding second.
    pub fn limit(&self, action: Action) -> usize {
        let quota = self
            .quotas
            .get(&action)
            .copied()
            .unwrap_or_else(|| action.default_quota());
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a u32 times a factor between 0 and 1 is a u32"
        )]
        let left = (f64::from(quota) * (1.0 - self.neighbour_share.clamp(0.0, 1.0))).floor() as u32;
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    fn apply(&mut self, patch: AccountPatch) {
        let AccountPatch {
            service_enabled,
            keys,
            apps,
            denied,
            denial_code,
            quotas,
            neighbour_share,
            oidc_providers,
            roles,
            instance_role,
        } = patch;
        self.service_enabled = service_enabled.unwrap_or(self.service_enabled);
        self.neighbour_share = neighbour_share.unwrap_or(self.neighbour_share);
        if let Some(keys) = keys {
            self.keys = keys;
        }
        if let Some(apps) = apps {
            self.apps = apps;
        }
        if let Some(denied) = denied {
            self.denied = denied;
        }
        if let Some(code) = denial_code {
            self.denial_code = code;
        }
        if let Some(quotas) = quotas {
            self.quotas = quotas;
        }
        if let Some(providers) = oidc_providers {
            self.oidc_providers = providers;
        }
        if let Some(roles) = roles {
            self.roles = roles;
        }
        if let Some(role) = instance_role {
            self.instance_role = Some(role).filter(|role| !role.is_empty());
        }
    }
}

/// A key with the account that it belongs to.
#[derive(Debug, Clone)]
pub struct KnownKey {
    /// The account's id.
    pub account: Arc<str>,
    /// The key.
    pub key: Key,
}

impl KnownKey {
    /// Whether its triple has expired.
    pub fn expired(&self, now: Millis) -> bool {
        self.key
            .expires_at
            .is_some_and(|at| at.as_millisecond() <= now)
    }
}

/// All accounts, and what is looked up at each call.
#[derive(Debug, Default)]
pub struct Directory {
    accounts: BTreeMap<String, Account>,
    keys: HashMap<String, KnownKey>,
    owners: HashMap<String, String>,
    /// Triples that were given out, by key id, with the account.
    sessions: BTreeMap<String, (Arc<str>, Session)>,
}

impl Directory {
    /// Adds an account, or replaces the one of the same id.
    pub fn put(&mut self, account: Account) {
        self.accounts.insert(account.id.clone(), account);
        self.index();
    }

    /// Replaces some fields. False where there is no such account.
    pub fn patch(&mut self, id: &str, patch: AccountPatch) -> bool {
        let Some(account) = self.accounts.get_mut(id) else {
            return false;
        };
        account.apply(patch);
        self.index();
        true
    }

    /// The account of an id.
    pub fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.get(id)
    }

    /// The key of an id, be it an account's own or one that was given out.
    pub fn key(&self, id: &str) -> Option<&KnownKey> {
        self.keys.get(id)
    }

    /// The account whose machine has the metadata server.
    pub fn instance(&self) -> Option<(&Account, &str)> {
        self.accounts
            .values()
            .find_map(|account| Some((account, account.instance_role.as_deref()?)))
    }

    /// Makes a triple known.
    pub fn give_out(&mut self, account: &str, session: Session) {
        let id = session.key.id.clone();
        let known = KnownKey {
            account: account.into(),
            key: session.key.clone(),
        };
        self.sessions
            .insert(id.clone(), (Arc::clone(&known.account), session));
        self.keys.insert(id, known);
    }

    /// The triple of a key id, if it was given out.
    pub fn session(&self, key_id: &str) -> Option<&Session> {
        self.sessions.get(key_id).map(|(_, session)| session)
    }

    /// All triples that an account has given out, the oldest first.
    pub fn sessions(&self, account: &str) -> Vec<SessionView<'_>> {
        let mut sessions: Vec<&Session> = self
            .sessions
            .values()
            .filter(|(owner, _)| **owner == *account)
            .map(|(_, session)| session)
            .collect();
        sessions.sort_by_key(|session| session.issued);
        sessions.into_iter().map(Session::view).collect()
    }

    /// Ends all triples that an account has given out; they are known to be expired from now on.
    pub fn end_sessions(&mut self, account: &str, now: Moment) {
        let end = Timestamp::from_millisecond(now.simulated).unwrap_or(Timestamp::MIN);
        for (owner, session) in self.sessions.values_mut() {
            if **owner == *account && session.end() > now.simulated {
                session.key.expires_at = Some(end);
            }
        }
        self.index();
    }

    /// Whether some key other than this one has this token.
    pub fn token_of_another(&self, id: &str, token: &str) -> bool {
        self.keys
            .values()
            .any(|known| known.key.id != id && known.key.token.as_deref() == Some(token))
    }

    /// The application that the account calls so: of several accounts' applications of one name each has its own, `name@which`.
    pub fn app<'a>(account: &'a Account, name: &'a str) -> &'a str {
        let has_name = |app: &&String| app.split_once('@').is_some_and(|(own, _)| own == name);
        account.apps.iter().find(has_name).map_or(name, |app| app)
    }

    /// Whether the application is the account's.
    pub fn owns(&self, account: &Account, app: &str) -> bool {
        match self.owners.get(app) {
            Some(owner) => *owner == account.id,
            None => account.apps.contains("*"),
        }
    }

    /// All accounts, without secrets.
    pub fn view(&self) -> Vec<AccountView<'_>> {
        self.accounts
            .values()
            .map(|account| AccountView {
                id: &account.id,
                service_enabled: account.service_enabled,
                key_ids: account.keys.iter().map(|key| key.id.as_str()).collect(),
                apps: &account.apps,
                denied: &account.denied,
                denial_code: &account.denial_code,
                quotas: Action::ALL
                    .into_iter()
                    .map(|action| {
                        (
                            action,
                            account
                                .quotas
                                .get(&action)
                                .copied()
                                .unwrap_or_else(|| action.default_quota()),
                        )
                    })
                    .collect(),
                neighbour_share: account.neighbour_share,
            })
            .collect()
    }

    fn index(&mut self) {
        self.keys.clear();
        self.owners.clear();
        for account in self.accounts.values() {
            let id: Arc<str> = account.id.as_str().into();
            for key in &account.keys {
                self.keys.insert(
                    key.id.clone(),
                    KnownKey {
                        account: Arc::clone(&id),
                        key: key.clone(),
                    },
                );
            }
            for app in account.apps.iter().filter(|app| *app != "*") {
                self.owners.insert(app.clone(), account.id.clone());
            }
        }
        for (account, session) in self.sessions.values() {
            let known = KnownKey {
                account: Arc::clone(account),
                key: session.key.clone(),
            };
            self.keys.insert(session.key.id.clone(), known);
        }
    }
}

/// What its account calls an application, see [`Directory::app`].
pub fn called(app: &str) -> &str {
    app.split_once('@').map_or(app, |(name, _)| name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    fn account(json: &str) -> Account {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_wildcard_is_what_nobody_names() {
        let mut directory = Directory::default();
        directory.put(account(r#"{"id": "a", "apps": ["*"]}"#));
        directory.put(account(r#"{"id": "b", "apps": ["app-b"]}"#));
        let (a, b) = (
            directory.account("a").unwrap(),
            directory.account("b").unwrap(),
        );
        assert!(directory.owns(a, "app-a") && !directory.owns(b, "app-a"));
        assert!(directory.owns(b, "app-b") && !directory.owns(a, "app-b"));
    }

    #[test]
    fn each_account_has_its_application_of_a_name() {
        let mut directory = Directory::default();
        directory.put(account(r#"{"id": "a", "apps": ["*"]}"#));
        directory.put(account(r#"{"id": "b", "apps": ["live@b", "other"]}"#));
        directory.put(account(r#"{"id": "c", "apps": ["live@c"]}"#));
        for (id, name, app) in [
            ("a", "live", "live"),
            ("b", "live", "live@b"),
            ("c", "live", "live@c"),
            ("b", "other", "other"),
        ] {
            let account = directory.account(id).unwrap();
            assert_eq!(Directory::app(account, name), app);
            assert!(directory.owns(account, app));
            assert_eq!(called(app), name);
        }
    }

    #[test]
    fn a_neighbour_takes_its_share() {
        let mut a =
            account(r#"{"id": "a", "quotas": {"StopLiveMPUTask": 10}, "neighbourShare": 0.25}"#);
        assert_eq!(a.limit(Action::Stop), 7);
        assert_eq!(a.limit(Action::List), 37);
        a.neighbour_share = 1.0;
        assert_eq!(a.limit(Action::Stop), 0);
    }

    #[test]
    fn a_replaced_key_is_gone() {
        let mut directory = Directory::default();
        directory.put(account(
            r#"{"id": "a", "keys": [{"id": "k1", "secret": "s"}]}"#,
        ));
        assert!(directory.key("k1").is_some());
        let patch = serde_json::from_str(r#"{"keys": [{"id": "k2", "secret": "s"}]}"#).unwrap();
        assert!(directory.patch("a", patch));
        assert!(directory.key("k1").is_none() && directory.key("k2").is_some());
        assert!(!directory.patch("b", AccountPatch::default()));
    }

    #[test]
    fn no_secret_is_shown() {
        let mut directory = Directory::default();
        directory.put(account(
            r#"{"id": "a", "keys": [{"id": "k1", "secret": "hush", "token": "hush"}]}"#,
        ));
        assert!(
            !serde_json::to_string(&directory.view())
                .unwrap()
                .contains("hush")
        );
    }
}
