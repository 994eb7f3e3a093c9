//! Whose account a task is in, as far as is known. Pure.
//!
//! The service tells whose a key is; until it has, and where it does not, a key's account may be any. An object without a claim yields to others
//! that name the same task then, so that nobody stops another one's task in the meantime; a claim is lost to another one only where both are known
//! to be in one account. A key that the service refuses, or of which it will not tell, does not keep others from a task: nobody could say that it
//! has any right there.

use super::{
    SecretName, Source,
    value::{Mark, Print},
};
use crate::{live::AccountId, task::view::View};
use std::collections::{HashMap, HashSet};

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

/// Whether one object's hold on a task, or its wish for it, counts for another one that names the same application and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Their tasks are two.
    No,
    /// Their tasks may be one: nobody knows whether their accounts are.
    Perhaps,
    /// Their tasks are one.
    Certainly,
}

/// Whether an object's credentials are of the account that its task was claimed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// They are; or it has no claim, or no credentials.
    Same,
    /// They are of another one; or they are the operator's own, which have to do with no claim but their own.
    Another,
    /// Nobody knows yet: the service has not said whose their key is.
    Untold,
    /// Nobody can tell any more: of the key with which it was claimed the service never said whose it is.
    Unknown,
    /// That depends on whose the operator's own credentials are, which is not known.
    OwnUnknown,
}

/// What a claim says of the account of its task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Nothing: it is the operator's own.
    pub account: Option<String>,
    /// A hash of the id of a key of that account: with the same one nobody need be asked again.
    pub key: Option<String>,
}

#[derive(Clone, Debug)]
struct Held {
    print: Print,
    mark: Mark,
}

/// What is known of accounts.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    own: Option<AccountId>,
    /// The operator has no credentials of its own, and never will.
    is_without_own: bool,
    told: HashMap<Print, Told>,
    /// Of a key whose account is not known: that of the one in whose place it came.
    before: HashMap<Print, AccountId>,
    secrets: HashMap<SecretName, Held>,
    /// There is no such Secret, or no key in it, and no other value of it is known.
    absent: HashSet<SecretName>,
}

impl Accounts {
    /// The account of the operator's own credentials is this one.
    pub fn own_is(&mut self, account: AccountId) {
        self.own = Some(account);
    }

    /// The operator has no credentials of its own.
    pub fn without_own(&mut self) {
        self.is_without_own = true;
    }

    /// The service said this of a key.
    pub fn learn(&mut self, print: Print, told: Told) {
        self.told.insert(print, told);
    }

    /// A Secret holds this key from now on. `is_new`: no other one does.
    pub fn secret_has(&mut self, secret: &SecretName, print: Print, key_id: &str, is_new: bool) {
        let mark = Mark::of(key_id);
        self.absent.remove(secret);
        let old = self.secrets.insert(secret.clone(), Held { print, mark });
        let before = old.and_then(|old| self.nearest(old.print).cloned());
        if let (true, Some(account)) = (is_new, before) {
            self.before.insert(print, account);
        }
    }

    /// There is no such Secret, or no key in it.
    pub fn secret_is_absent(&mut self, secret: &SecretName) {
        self.absent.insert(secret.clone());
    }

    /// Nobody needs the Secret any more.
    pub fn forget_secret(&mut self, secret: &SecretName) {
        self.secrets.remove(secret);
        self.absent.remove(secret);
    }

    /// No Secret has the key any more.
    pub fn forget_key(&mut self, print: Print) {
        self.told.remove(&print);
        self.before.remove(&print);
    }

    /// Whether it is known whose the key is.
    #[must_use]
    pub fn knows(&self, print: Print) -> bool {
        self.account(print).is_some()
    }

    fn nearest(&self, print: Print) -> Option<&AccountId> {
        self.account(print).or_else(|| self.before.get(&print))
    }

    fn held(&self, view: &View) -> Option<&Held> {
        self.secrets.get(view.source.secret()?)
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
        if Mark::read(account).is_none() {
            return self.of_account(&AccountId::new(account));
        }
        // By the object's present key alone: whoever knows another one's key id has no right to its account.
        self.held(view)
            .map_or(Owner::Unconfirmed(None), |held| self.of_key(held.print))
    }

    /// The object has nothing by which it could have a right in any account, and never had: others pass it over.
    #[must_use]
    pub fn is_void(&self, view: &View) -> bool {
        let claimed = view
            .status
            .claim
            .as_ref()
            .map(|claim| claim.account.as_deref());
        let is_confirmed =
            claimed.is_some_and(|account| account.is_none_or(|it| Mark::read(it).is_none()));
        // What the service has started for it was started with a good key.
        if is_confirmed || view.status.started_at.is_some() {
            return false;
        }
        match &view.source {
            Source::Own => claimed.is_some(),
            Source::Unreadable => true,
            Source::Secret(secret) => self.secrets.get(secret).map_or_else(
                || self.absent.contains(secret),
                |held| self.told.get(&held.print) == Some(&Told::Nothing),
            ),
        }
    }

    /// What the object's claim is to say of the account.
    #[must_use]
    pub fn recorded(&self, view: &View) -> Recorded {
        let held = self.held(view);
        let key = held.map(|held| held.mark.digits().to_owned());
        let confirmed = |owner| match owner {
            Owner::Own => Some(Recorded {
                account: None,
                key: key.clone(),
            }),
            Owner::Account(account) => Some(Recorded {
                account: Some(account.as_str().to_owned()),
                key: key.clone(),
            }),
            Owner::Unconfirmed(_) | Owner::Unknown => None,
        };
        let current = self.current(&view.source);
        let Some(claim) = &view.status.claim else {
            return confirmed(current).unwrap_or_else(|| {
                // Without a key nothing is claimed; the operator's own account it is not in any case.
                let mark = held.map_or_else(|| Mark::of(""), |held| held.mark.clone());
                Recorded {
                    account: Some(mark.as_str().to_owned()),
                    key: None,
                }
            });
        };
        let kept = Recorded {
            account: claim.account.clone(),
            key: claim.key.clone(),
        };
        let mark = claim.account.as_deref().and_then(Mark::read);
        if let Some(mark) = mark {
            // Of the key with which it was claimed; another one says nothing of where the task is.
            let is_same = held.is_some_and(|held| held.mark == mark);
            return confirmed(current).filter(|_| is_same).unwrap_or(kept);
        }
        let owner = self.owner(view);
        let is_own = owner == Owner::Own;
        Recorded {
            account: kept.account.filter(|_| !is_own),
            key: if current == owner && key.is_some() {
                key
            } else {
                kept.key
            },
        }
    }

    /// Whether the rival's hold on a task of the same application and id, or its wish for it, counts for this object.
    #[must_use]
    pub fn concerns(&self, rival: &View, me: &View) -> Concern {
        // What the service does not tell of their one key says nothing of either against the other.
        if self.is_void(rival) && !self.have_one_key(rival, me) {
            return Concern::No;
        }
        let concern = self.compare(rival, me);
        if concern == Concern::Certainly && self.is_of_another_key(rival) {
            return Concern::Perhaps;
        }
        concern
    }

    fn have_one_key(&self, rival: &View, me: &View) -> bool {
        let prints = [rival, me].map(|view| self.held(view).map(|held| held.print));
        prints[0].is_some() && prints[0] == prints[1]
    }

    /// Its claim was made with a key that is not there any more, and was never confirmed: the present one tells where the object may act, not
    /// where its task is.
    fn is_of_another_key(&self, view: &View) -> bool {
        let claim = view.status.claim.as_ref();
        let mark = claim.and_then(|claim| Mark::read(claim.account.as_deref()?));
        mark.is_some_and(|mark| self.held(view).is_none_or(|held| held.mark != mark))
    }

    fn compare(&self, rival: &View, me: &View) -> Concern {
        match (self.owner(rival), self.owner(me)) {
            (Owner::Unknown, _) | (_, Owner::Unknown) => Concern::No,
            (Owner::Own, Owner::Own) => Concern::Certainly,
            (Owner::Unconfirmed(Some(its)), Owner::Unconfirmed(Some(mine))) if its == mine => {
                Concern::Certainly
            }
            (Owner::Unconfirmed(_), _) | (_, Owner::Unconfirmed(_)) => Concern::Perhaps,
            (Owner::Account(its), Owner::Account(mine)) if its == mine => Concern::Certainly,
            (Owner::Account(_), Owner::Account(_)) => Concern::No,
            // Own accounts are told from others only once their number is known.
            (Owner::Own, Owner::Account(_)) | (Owner::Account(_), Owner::Own) => {
                if self.own.is_some() {
                    Concern::No
                } else {
                    Concern::Perhaps
                }
            }
        }
    }

    /// Whether the object's credentials are of the account that its task was claimed in.
    #[must_use]
    pub fn fit(&self, view: &View) -> Fit {
        let Some(claim) = &view.status.claim else {
            return Fit::Same;
        };
        let Some(held) = self.held(view) else {
            let is_anothers = view.source == Source::Own && self.owner(view) != Owner::Own;
            return if is_anothers { Fit::Another } else { Fit::Same };
        };
        let mark = claim.account.as_deref().and_then(Mark::read);
        // An id belongs to one account for ever, and what is signed with a wrong secret is answered with nothing that counts.
        let is_the_same_key =
            mark.as_ref() == Some(&held.mark) || claim.key.as_deref() == Some(held.mark.digits());
        let is_confirmed = mark.is_none();
        match (self.owner(view), self.of_key(held.print)) {
            (Owner::Own, Owner::Own) if is_confirmed => Fit::Same,
            (Owner::Account(task), Owner::Account(key)) if is_confirmed && task == key => Fit::Same,
            (Owner::Account(_), Owner::Account(_)) if is_confirmed => Fit::Another,
            (_, _) if is_the_same_key => Fit::Same,
            (_, Owner::Unconfirmed(_) | Owner::Unknown) if is_confirmed => Fit::Untold,
            (Owner::Own, Owner::Account(_)) | (Owner::Account(_), Owner::Own) if is_confirmed => {
                if self.own.is_some() {
                    Fit::Another
                } else {
                    Fit::OwnUnknown
                }
            }
            (
                Owner::Own | Owner::Account(_) | Owner::Unconfirmed(_) | Owner::Unknown,
                Owner::Own | Owner::Account(_) | Owner::Unconfirmed(_) | Owner::Unknown,
            ) => Fit::Unknown,
        }
    }

    /// Why the object's credentials must not act on the task that it has claimed, or not be believed of it, and what to do; where they fit, nothing.
    #[must_use]
    pub fn misfit(&self, view: &View) -> Option<(Fit, String)> {
        let fit = self.fit(view);
        let task = match view.status.claim.as_ref()?.account.as_deref() {
            None => "the operator's own account".to_owned(),
            Some(account) if Mark::read(account).is_some() => {
                "the account of a key that was used before".to_owned()
            }
            Some(account) => format!("account {account}"),
        };
        let words = match (&view.source, fit) {
            (_, Fit::Same) => return None,
            (Source::Secret(secret), Fit::Another) => format!(
                "The task was claimed in {task}, and the key in Secret {secret} is of another one: nothing is sent with it. Put a key of the \
                 first there, or name a Secret that has one."
            ),
            (Source::Secret(secret), Fit::Untold) => format!(
                "The task was claimed in {task}, and whether the key in Secret {secret} is of that one is not known as long as STS has not told: \
                 nothing is sent with it. Let the operator reach STS, or put the key back with which the task was claimed."
            ),
            (Source::Secret(secret), Fit::Unknown) => format!(
                "The task was claimed in {task}, of which STS never told whose it was, so that whether the key in Secret {secret} is of the same \
                 account is not known: nothing but a Stop is sent about the task, which counts only if it is accepted. Put the key back with \
                 which it was claimed."
            ),
            (Source::Secret(secret), Fit::OwnUnknown) => format!(
                "The task was claimed in {task}, and whether the key in Secret {secret} is of that one is not known as long as STS has not told \
                 whose the operator's own credentials are: nothing is sent. Give the operator credentials, and let it reach STS."
            ),
            (
                Source::Own | Source::Unreadable,
                Fit::Another | Fit::Untold | Fit::Unknown | Fit::OwnUnknown,
            ) => {
                format!(
                    "The task was claimed in {task}, on which the operator's own credentials do not act: name a Secret with a key of that account \
                 in spec.credentialsSecretRef."
                )
            }
        };
        Some((fit, words))
    }

    /// Whose quota the calls from there count in; none: that of the operator's own account. Each source has one, whatever it is about.
    #[must_use]
    pub fn line(&self, source: &Source) -> Option<AccountId> {
        let held = self.secrets.get(source.secret()?)?;
        self.line_of(held.print)
    }

    /// Whose quota the calls with this key count in. One of which nobody knows whose it is counts as the one did in whose place it came, or else in
    /// that of the operator's own; as long as that one's number is not known, everything counts there, since it may be any.
    #[must_use]
    pub fn line_of(&self, print: Print) -> Option<AccountId> {
        let account = self.nearest(print)?;
        let is_apart = match &self.own {
            Some(own) => own != account,
            None => self.is_without_own,
        };
        is_apart.then(|| account.clone())
    }
}
