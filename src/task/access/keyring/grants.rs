//! How the credentials of an object stand, and what its calls are signed with.

use super::{
    super::{
        Keys, Left, Signed, Source,
        accounts::{Fit, Recorded},
        question::{Asked, PATIENCE},
    },
    Granted, Keyring,
};
use crate::{api::Reason, live::Class, task::view::View};
use std::time::Duration;

const UNREADABLE: &str =
    "spec.credentialsSecretRef cannot be read: give it the name of a Secret in this namespace.";

impl Keyring {
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
        // With the key of its claim it goes by what the service answers to its calls.
        let may_call = view.has_claim() && !matches!(misfit, Some((Fit::Untold, _)));
        if let Some(words) = asked.and_then(|asked| asked.refusal.as_ref())
            && !may_call
        {
            let message = format!(
                "The service refuses the key in Secret {secret} ({words}): put a valid one there."
            );
            return rejected(message, Left::Nothing);
        }
        if let Some(asked) = self.unsettled(&view.source, now) {
            return Keys::Unread(Some(asked.since + PATIENCE));
        }
        match misfit {
            Some((Fit::OwnUnknown, message)) => match &self.own {
                Some(own) if !own.is_settled(now) => Keys::Unread(Some(own.since + PATIENCE)),
                Some(_) | None => rejected(message, Left::Nothing),
            },
            Some((Fit::Untold | Fit::Another, message)) => rejected(message, Left::Nothing),
            Some((Fit::Unknown | Fit::Same, message)) => rejected(message, Left::Doubtful),
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

    /// What a bulk read is signed with. Like any other call it waits a moment for the answer whose a new key is: sent before, it would count in
    /// another quota.
    pub fn grant_read(&mut self, source: &Source, now: Duration) -> Granted {
        if let Some(asked) = self.unsettled(source, now) {
            return Granted::Later(Some(asked.since + PATIENCE));
        }
        self.signed_with(source)
    }

    /// The question whose the present key is, as long as its answer is waited for.
    fn unsettled(&self, source: &Source, now: Duration) -> Option<&Asked> {
        let entry = self.secrets.get(source.secret()?)?;
        let asked = self.keys.get(&entry.good.as_ref()?.print)?;
        Some(asked).filter(|asked| !asked.is_settled(now))
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
}
