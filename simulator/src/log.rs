//! The call log: what every request was, and what became of it. No secret, signature or output address is in it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::actions::Action;
use crate::claim::{Request, Version};
use crate::clock::Millis;
use crate::gateway::Violation;
use crate::quota::densest_second;

/// Longer texts of a caller are cut: the log is for reading.
const LONGEST: usize = 128;

/// One request. The page on the simulator explains each field.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    missing_docs,
    reason = "the fields are explained in one place, the table of the page on the simulator"
)]
pub struct Call {
    pub seq: u64,
    pub simulated_millis: Millis,
    pub arrival_us: u64,
    pub effect_us: Option<u64>,
    pub reply_us: Option<u64>,
    pub end_us: Option<u64>,
    pub remote_port: u16,
    pub signature: Option<Version>,
    pub account: Option<String>,
    pub key_id: Option<String>,
    pub action: Option<String>,
    pub app_id: Option<String>,
    pub task_id: Option<String>,
    pub channel_id: Option<String>,
    pub nonce: Option<String>,
    pub request_id: String,
    pub status: Option<u16>,
    pub code: Option<String>,
    pub authenticated: bool,
    pub violation: Option<Violation>,
    pub fault: Option<u64>,
    pub effect: bool,
    pub over_quota: bool,
    pub client_present: Option<bool>,
}

impl Call {
    /// Takes from a request what may be logged.
    pub fn describe(&mut self, request: &Request) {
        let cut = |text: &str| -> String { text.chars().take(LONGEST).collect() };
        let told = |text: &str| (!text.is_empty()).then(|| cut(text));
        let claim = request.claim();
        self.signature = Some(request.version());
        self.key_id = told(claim.key_id);
        self.action = told(claim.action);
        self.nonce = told(claim.nonce);
        let get = |name: &str| {
            let params = request.params.as_ref();
            params
                .and_then(|params| params.get(name))
                .map(|value| cut(value))
        };
        self.app_id = get("AppId");
        self.task_id = get("TaskId");
        self.channel_id = get("ChannelId");
    }
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// From this sequence number on.
    pub since: u64,
    /// Of this action.
    pub action: Option<String>,
    /// Of this application.
    pub app_id: Option<String>,
    /// Of this task.
    pub task_id: Option<String>,
}

impl Filter {
    fn fits(&self, call: &Call) -> bool {
        let equal =
            |wanted: &Option<String>, has: &Option<String>| wanted.is_none() || wanted == has;
        equal(&self.action, &call.action)
            && equal(&self.app_id, &call.app_id)
            && equal(&self.task_id, &call.task_id)
    }
}

/// Names an entry. An entry of before a reset can be written to no more.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    generation: u64,
    seq: u64,
}

/// All calls since the start, or since the last reset.
#[derive(Debug, Default)]
pub struct CallLog {
    generation: u64,
    calls: Vec<Call>,
}

/// What an account did with an action.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Account.
    pub account: String,
    /// Action.
    pub action: String,
    /// Requests.
    pub calls: usize,
    /// Refused for the quota.
    pub over_quota: usize,
    /// The most authenticated calls that arrived in any sliding second.
    pub max_per_second_by_arrival: usize,
    /// The same by the moment at which the exchange ended.
    pub max_per_second_by_reply: usize,
    /// Wrong signatures.
    pub signature_failures: usize,
    /// Used nonces.
    pub nonce_reuses: usize,
    /// Dates malformed or outside the window.
    pub date_violations: usize,
}

impl CallLog {
    /// Opens an entry.
    pub fn open(&mut self, mut call: Call) -> Entry {
        let seq = u64::try_from(self.calls.len()).unwrap_or(u64::MAX);
        call.seq = seq;
        self.calls.push(call);
        Entry {
            generation: self.generation,
            seq,
        }
    }

    /// Completes an entry.
    pub fn write(&mut self, entry: Entry, complete: impl FnOnce(&mut Call)) {
        if entry.generation == self.generation
            && let Some(call) = usize::try_from(entry.seq)
                .ok()
                .and_then(|seq| self.calls.get_mut(seq))
        {
            complete(call);
        }
    }

    /// The sequence number of an entry that is still in the log.
    pub fn seq(&self, entry: Entry) -> Option<u64> {
        (entry.generation == self.generation).then_some(entry.seq)
    }

    /// A call took effect.
    pub fn effect(&mut self, seq: u64, monotonic: u64) {
        if let Some(call) = usize::try_from(seq)
            .ok()
            .and_then(|seq| self.calls.get_mut(seq))
        {
            call.effect = true;
            call.effect_us = Some(monotonic);
        }
    }

    /// The sequence number of the next call.
    pub fn next(&self) -> u64 {
        u64::try_from(self.calls.len()).unwrap_or(u64::MAX)
    }

    /// The entries that are asked for.
    pub fn find(&self, filter: &Filter) -> impl Iterator<Item = &Call> {
        let since = usize::try_from(filter.since)
            .unwrap_or(usize::MAX)
            .min(self.calls.len());
        self.calls[since..]
            .iter()
            .filter(move |call| filter.fits(call))
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.generation += 1;
        self.calls.clear();
    }

    /// What each account did with each action.
    pub fn usage(&self) -> Vec<Usage> {
        let mut groups: BTreeMap<(&str, &str), Vec<&Call>> = BTreeMap::new();
        for call in &self.calls {
            if let (Some(account), Some(action)) =
                (&call.account, call.action.as_deref().and_then(Action::of))
            {
                groups
                    .entry((account.as_str(), action.name()))
                    .or_default()
                    .push(call);
            }
        }
        groups
            .into_iter()
            .map(|((account, action), calls)| usage(account, action, &calls))
            .collect()
    }
}

fn usage(account: &str, action: &str, calls: &[&Call]) -> Usage {
    let count = |is: &dyn Fn(&Call) -> bool| calls.iter().filter(|call| is(call)).count();
    let violations = |kind| count(&|call| call.violation == Some(kind));
    let authenticated = || calls.iter().filter(|call| call.authenticated);
    Usage {
        calls: calls.len(),
        over_quota: count(&|call| call.over_quota),
        max_per_second_by_arrival: densest_second(
            authenticated().map(|call| call.arrival_us).collect(),
        ),
        max_per_second_by_reply: densest_second(
            authenticated().filter_map(|call| call.end_us).collect(),
        ),
        signature_failures: violations(Violation::Signature),
        nonce_reuses: violations(Violation::Nonce),
        date_violations: violations(Violation::Date),
        account: account.to_owned(),
        action: action.to_owned(),
    }
}
