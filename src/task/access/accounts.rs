//! Whose account a task is in, as far as is known. Pure.
//!
//! The service tells whose a key is; until it has, and where it does not, a key's account may be any. Such an object yields to others that name the
//! same task, and they yield to its claim, so that nobody stops another one's task in the meantime. A key that the service refuses, or of which it
//! will not tell, does not keep others from a task: nobody could say that it has any right there.

use super::{
    SecretName, Source,
    value::{Mark, Print},
};
use crate::{live::AccountId, task::view::View};
use std::collections::HashMap;

/// Whose account something is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// That of the operator's own credentials.
    Own,
    /// This one. Whether it is the operator's own is not known where that one is not.
    Account(AccountId),
    /// That of a key of which nobody knows whose it is: the present one of the object, or one of before.
    Unconfirmed(Option<Print>),
    /// There is no key.
    Unknown,
}

/// What the service said of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Its account.
    Account(AccountId),
    /// Nothing: it refuses the key, or to tell.
    Nothing,
}

#[derive(Clone, Debug)]
struct Held {
    print: Print,
    mark: Mark,
    /// The account of the key that the Secret had before.
    before: Option<AccountId>,
}

/// What is known of accounts.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    own: Option<AccountId>,
    told: HashMap<Print, Told>,
    secrets: HashMap<SecretName, Held>,
}

impl Accounts {
    /// The account of the operator's own credentials is this one.
    pub fn own_is(&mut self, account: AccountId) {
        self.own = Some(account);
    }

    /// The service said this of a key.
    pub fn learn(&mut self, print: Print, told: Told) {
        self.told.insert(print, told);
    }

    /// A Secret holds this key from now on.
    pub fn secret_has(&mut self, secret: &SecretName, print: Print, key_id: &str) {
        let before = self.secrets.get(secret).and_then(|held| {
            let known = self.account(held.print).cloned();
            known.or_else(|| held.before.clone())
        });
        let mark = Mark::of(key_id);
        let held = Held {
            print,
            mark,
            before,
        };
        self.secrets.insert(secret.clone(), held);
    }

    /// Nobody needs the Secret any more.
    pub fn forget_secret(&mut self, secret: &SecretName) {
        self.secrets.remove(secret);
    }

    /// No Secret has the key any more.
    pub fn forget_key(&mut self, print: Print) {
        self.told.remove(&print);
    }

    fn account(&self, print: Print) -> Option<&AccountId> {
        match self.told.get(&print) {
            Some(Told::Account(account)) => Some(account),
            Some(Told::Nothing) | None => None,
        }
    }

    fn of_account(&self, account: &AccountId) -> Owner {
        if self.own.as_ref() == Some(account) {
            Owner::Own
        } else {
            Owner::Account(account.clone())
        }
    }

    fn of_key(&self, print: Print) -> Owner {
        self.account(print)
            .map_or(Owner::Unconfirmed(Some(print)), |account| {
                self.of_account(account)
            })
    }

    /// Whose the credentials are that come from there.
    #[must_use]
    pub fn current(&self, source: &Source) -> Owner {
        match source {
            Source::Own => Owner::Own,
            Source::Secret(secret) => self
                .secrets
                .get(secret)
                .map_or(Owner::Unknown, |held| self.of_key(held.print)),
            Source::Unreadable => Owner::Unknown,
        }
    }

    /// Whose account the object's task is in: as its claim says, or as its credentials would have it.
    #[must_use]
    pub fn owner(&self, view: &View) -> Owner {
        let Some(claim) = &view.status.claim else {
            return self.current(&view.source);
        };
        let Some(account) = &claim.account else {
            return Owner::Own;
        };
        let Some(mark) = Mark::read(account) else {
            return self.of_account(&AccountId::new(account));
        };
        // By the object's own key alone: whoever knows another one's key id has no right to its account.
        let present = view
            .source
            .secret()
            .and_then(|secret| self.secrets.get(secret))
            .filter(|held| held.mark == mark);
        present.map_or(Owner::Unconfirmed(None), |held| self.of_key(held.print))
    }

    /// What the object's claim is to say of the account. Nothing: that it is the operator's own.
    #[must_use]
    pub fn recorded(&self, view: &View) -> Option<String> {
        match self.owner(view) {
            Owner::Own => None,
            Owner::Account(account) => Some(account.as_str().to_owned()),
            Owner::Unconfirmed(_) | Owner::Unknown => {
                let held = view
                    .source
                    .secret()
                    .and_then(|secret| self.secrets.get(secret));
                match &view.status.claim {
                    Some(claim) => claim.account.clone(),
                    // Without a key nothing is claimed; the operator's own account it is not in any case.
                    None => Some(held.map_or_else(|| Mark::of(""), |held| held.mark.clone()))
                        .map(|mark| mark.as_str().to_owned()),
                }
            }
        }
    }

    /// Whether the rival's hold on a task of the same application and id, or its wish for it, counts for this object.
    #[must_use]
    pub fn concerns(&self, rival: &View, me: &View) -> bool {
        match (self.owner(rival), self.owner(me)) {
            (Owner::Unknown, _) | (_, Owner::Unknown) => false,
            (Owner::Unconfirmed(key), _) => {
                !key.is_some_and(|key| self.told.get(&key) == Some(&Told::Nothing))
            }
            (_, Owner::Unconfirmed(_)) | (Owner::Own, Owner::Own) => true,
            (Owner::Account(its), Owner::Account(mine)) => its == mine,
            // Own accounts are told from others only once their number is known.
            (Owner::Own, Owner::Account(_)) | (Owner::Account(_), Owner::Own) => self.own.is_none(),
        }
    }

    /// Why the object's credentials must not act on the task that it has claimed, if they must not: they are of another account, or the
    /// operator's own, which have to do with no claim but their own.
    #[must_use]
    pub fn mismatch(&self, view: &View) -> Option<String> {
        let claim = view.status.claim.as_ref()?;
        let is_another = match (self.owner(view), self.current(&view.source)) {
            (task, Owner::Own) => task != Owner::Own,
            (Owner::Own, Owner::Account(_)) => self.own.is_some(),
            (Owner::Account(task), Owner::Account(current)) => task != current,
            (_, Owner::Unconfirmed(_) | Owner::Unknown)
            | (Owner::Unconfirmed(_) | Owner::Unknown, Owner::Account(_)) => false,
        };
        let task = match &claim.account {
            None => "the operator's own account".to_owned(),
            Some(account) if Mark::read(account).is_some() => {
                "the account of a key that was used before".to_owned()
            }
            Some(account) => format!("account {account}"),
        };
        is_another.then(|| match &view.source {
            Source::Secret(secret) => format!(
                "The task was claimed in {task}, and the key in Secret {secret} is of another one: nothing is sent with it. Put a key of the \
                 first there, or name a Secret that has one."
            ),
            Source::Own | Source::Unreadable => format!(
                "The task was claimed in {task}, on which the operator's own credentials do not act: name a Secret with a key of that account \
                 in spec.credentialsSecretRef."
            ),
        })
    }

    /// Whose quota a call counts in; none: that of the operator's own account. A key of which nobody knows whose it is counts as its predecessor
    /// did, or as the claim says.
    #[must_use]
    pub fn line(&self, source: &Source, view: Option<&View>) -> Option<AccountId> {
        match self.current(source) {
            Owner::Own => None,
            Owner::Account(account) => Some(account),
            Owner::Unconfirmed(_) | Owner::Unknown => {
                let secret = source.secret()?;
                let before = self
                    .secrets
                    .get(secret)
                    .and_then(|held| held.before.clone());
                let claimed = || match self.owner(view?) {
                    Owner::Account(account) => Some(account),
                    Owner::Own | Owner::Unconfirmed(_) | Owner::Unknown => None,
                };
                let account = before.or_else(claimed)?;
                (self.own.as_ref() != Some(&account)).then_some(account)
            }
        }
    }
}
