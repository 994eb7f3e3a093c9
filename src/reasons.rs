//! The page of reasons, `docs/reasons.md`: written from the same tables that the operator decides by.

use std::{cmp::Reverse, fmt::Write as _};

use crate::{
    api::{ConditionType, Reason},
    live::{
        Call, Class, can_fail_as, classify,
        documented::{DOCUMENTED, Documented},
    },
    task::{
        retry::Cause,
        verdict::{became_of, general_advice, told_as},
    },
};

/// What a reason means, and what to do about it.
const fn explained(reason: Reason) -> (&'static str, &'static str) {
    match reason {
        Reason::Armed => (
            "the task is this object's",
            "nothing: it will be stopped on deletion",
        ),
        Reason::Running => ("the relay runs as the spec asks", "nothing"),
        Reason::Stopped => (
            "the relay is stopped",
            "nothing: `spec.desiredState` asks for it",
        ),
        Reason::Completed => (
            "the relay is over and stays so",
            "the message says why, and how to start it again",
        ),
        Reason::Suspended => (
            "nothing is sent to the service",
            "nothing: `spec.suspend` asks for hands off",
        ),
        Reason::Starting => ("Start is on its way", "nothing"),
        Reason::Updating => ("Update is on its way", "nothing"),
        Reason::Stopping => ("Stop is on its way", "nothing"),
        Reason::WaitingForChannel => (
            "nobody is in the channel",
            "somebody has to join the channel that the message names; the relay starts then",
        ),
        Reason::WaitingForSecret => (
            "a Secret or its key is missing, or may not be read",
            "create what the message names, or let the operator read it; a relay that runs runs on",
        ),
        Reason::CoolingDown => (
            "an output or the task id was in use a moment ago",
            "nothing: the service wants ten seconds between two uses. A process that has just begun waits for `--settle-time` before it starts a task that a new object names: a Stop of its predecessor may still be on its way",
        ),
        Reason::OutcomeUnknown => (
            "a Start had no answer, or the operator was restarted while Starts were refused, so that nobody knows whether the last one was",
            "nothing: the list is asked until it is certain whether the relay runs. Where the list is denied, grant it",
        ),
        Reason::Throttled => (
            "the account's quota is used up, by this operator or by others",
            "nothing: it is tried again. Where it lasts, have the quota raised, or give others less of it",
        ),
        Reason::ServiceUnavailable => (
            "the service fails, does not answer, or refuses the date of the calls",
            "nothing: it is tried again. Where the message speaks of the clock, put the node's clock right",
        ),
        Reason::StopUnconfirmed => (
            "Stop found nothing to stop, and nothing proves that the task is gone",
            "the message says what would. Check the task in the console",
        ),
        Reason::TaskIdInUse => (
            "another object holds the task (`kubectl get mst -A` shows the ids), or something else than an object started it",
            "delete one of the two objects, name another task, or take the running one over with `mixedstream.io/adopt-running-task`",
        ),
        Reason::OutputInUse => (
            "another object has an output, or, as the message says then, a task of no object streams to it: the service has refused for longer than `--settle-time`",
            "name another output, or delete that object or stop that task. A relay that runs runs on as it was",
        ),
        Reason::AppNotAllowed => (
            "no rule of `--app-policy` lets this namespace use this application or task",
            "have a rule added, or create the object again with ids that are allowed. Its deletion stops nothing unless it held the task before",
        ),
        Reason::InvalidSpec => (
            "the stored object cannot be read, or an address behind an output is none",
            "mend the field or the key that the message names",
        ),
        Reason::AppIdRejected => (
            "the service does not know the application, or it is another account's",
            "check `spec.appId`, and that the credentials are of the account that owns it",
        ),
        Reason::RequestRejected => (
            "the service refuses the request",
            "its words are in the message: change the spec, or ask the vendor",
        ),
        Reason::AccessDenied => (
            "the account's access policy denies the action",
            "grant the action that the message names",
        ),
        Reason::ServiceNotEnabled => (
            "the account has not enabled ApsaraVideo Live, or it is suspended",
            "enable it, or settle what suspended it",
        ),
        Reason::CredentialsMissing => (
            "there is nothing to sign with",
            "give the operator credentials; the message says what is missing. Where it names a Secret, create or mend that, or let the operator read it",
        ),
        Reason::CredentialsRejected => (
            "the key, its secret or its token is wrong, disabled or expired",
            "give the operator valid credentials, or put right what the message names: a key from the environment needs a restart, a role does not. Where it names a Secret, put a valid key of the right account there",
        ),
        Reason::QuotaExceeded => (
            "the account runs as many tasks as it may",
            "stop some, or have the service raise the number",
        ),
    }
}

const INTRODUCTION: &str = "\
# Reasons

Written by `mixed-stream-operator reasons` from the tables that the operator decides by; `make generate` writes it anew.

`Ready` is always there. Where it is not True, `Reconciling` (it heals by itself) or `Stalled` (somebody has to act) has the same reason and message. The message says
since when, and how often it is tried again.

";

const CLASSES: &str = "
## What became of a call

Every answer of the service, and every silence, is of one of these classes, which are also the values of the label `result` of `mixed_stream_live_calls_total` (but for
`credentials_missing`: that is no call). *May have been done* says whether the call may have been carried out although it was answered so; a call without any answer always may. *Tried
again*: failures that pass wait by `--backoff-min` and `--backoff-max`, refusals by `--slow-backoff-min` and `--slow-backoff-max`; an answer that says how long to wait is obeyed.

*Reason* is what is told of the object, first as for most calls and then of those where it is another:

* Start, Update and Stop: of the object that they are sent for. Where a Start may have been done, the list is asked until it tells.
* The list by task id, and a page of it, are asked after a Stop that found nothing. What may be the way of the list by id to say that there is no such task has the pages read at once.
  While it is asked what became of a Start, the reason is `OutcomeUnknown` whatever it fails with; while it is asked whether a task of that name runs already, it is the class's own (403: `AccessDenied`).
  Of a relay that runs, a list that goes on failing is only an event, `TaskNotSeen`, and a sentence in the message.
* A channel's users are asked where the list still shows the task: what they fail with stands in the message.
* The live channels are asked for relays that wait for their channel. Where the account's policy denies them, each Start tells whether somebody is there.

| class | the message says: the action … | and | reason | may have been done | tried again |
| --- | --- | --- | --- | --- | --- |
";

const ANSWERS: &str = "
## Which answer is which

The answers that the vendor's documents describe, of this API and of those beside it, and candidates where the service's own words are not known. A code that is known decides, whatever
its case and the status. Where it is not known or says too little (`InvalidParam` to Start and Update stands for everything) the words decide, of Start and Update with a status below 500 and of a 403
that says that the service is not enabled (under `Forbidden`, too); and where these do not either, the status: 403 is `access_denied`, 429 `throttled`, 408 and 5xx
`service_unavailable`, other 4xx `request_rejected`. Any error with the header `x-acs-retry-after` is `throttled`; where it is 5xx without a code that has `Throttling` in it, the action may
have been done all the same.

| status | code | words | asked for | class | reason |
| --- | --- | --- | --- | --- | --- |
";

/// The whole page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| reason | under | what it means | what to do |\n| --- | --- | --- | --- |\n");
    for under in [
        ConditionType::Ready,
        ConditionType::Reconciling,
        ConditionType::Stalled,
    ] {
        for reason in Reason::ALL
            .into_iter()
            .filter(|reason| reason.condition() == under)
        {
            let (meaning, remedy) = explained(reason);
            row(
                &mut page,
                &[&code(reason.as_str()), under.as_str(), meaning, remedy],
            );
        }
    }
    page.push_str(CLASSES);
    for class in Class::ALL {
        let cause = Cause::Answer(class);
        let mut calls = Call::ALL.to_vec();
        calls.retain(|call| can_fail_as(*call, class));
        let done = if class.may_have_taken_effect() {
            "yes"
        } else {
            "no"
        };
        row(
            &mut page,
            &[
                &code(class.label()),
                became_of(class),
                general_advice(cause),
                &reasons_of(class, &calls),
                done,
                cause.spacing_in_words(),
            ],
        );
    }
    page.push_str(ANSWERS);
    for answer in DOCUMENTED {
        let statuses: Vec<String> = answer.statuses.iter().map(u16::to_string).collect();
        for (calls, class) in groups(answer) {
            row(
                &mut page,
                &[
                    &statuses.join(", "),
                    &code(answer.code),
                    answer.message,
                    &named(&calls),
                    &code(class.label()),
                    &reasons_of(class, &calls),
                ],
            );
        }
    }
    page
}

/// What a class is told as: the reason that most of the calls have, and then where it is another.
fn reasons_of(class: Class, calls: &[Call]) -> String {
    let mut told: Vec<(Reason, Vec<Call>)> = Vec::new();
    for call in calls {
        let reason = told_as(*call, class);
        match told.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, calls)) => calls.push(*call),
            None => told.push((reason, vec![*call])),
        }
    }
    // A stable sort: of equals the one of the earlier call stays first.
    told.sort_by_key(|(_, calls)| Reverse(calls.len()));
    let mut words = Vec::new();
    for (reason, calls) in told {
        let reason = code(reason.as_str());
        words.push(if words.is_empty() {
            reason
        } else {
            format!("{}: {reason}", named(&calls))
        });
    }
    words.join("; ")
}

/// The calls for which an answer means the same.
fn groups(answer: &Documented) -> Vec<(Vec<Call>, Class)> {
    let status = answer.statuses.first().copied().unwrap_or_default();
    let mut groups: Vec<(Vec<Call>, Class)> = Vec::new();
    for call in answer.calls {
        let code = Some(answer.code).filter(|code| !code.is_empty());
        let class = classify(*call, status, code, answer.message, false);
        match groups.iter_mut().find(|(_, known)| *known == class) {
            Some((calls, _)) => calls.push(*call),
            None => groups.push((vec![*call], class)),
        }
    }
    groups
}

fn named(calls: &[Call]) -> String {
    if calls.len() == Call::ALL.len() {
        return "anything".to_owned();
    }
    let words: Vec<&str> = calls.iter().map(|call| call.words()).collect();
    words.join(", ")
}

fn code(text: &str) -> String {
    if text.is_empty() {
        "any other, or none".to_owned()
    } else {
        format!("`{text}`")
    }
}

fn row(page: &mut String, cells: &[&str]) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_the_one_in_the_documentation() {
        let committed = include_str!("../docs/reasons.md");
        let differs = page()
            .lines()
            .zip(committed.lines())
            .find(|(ours, theirs)| ours != theirs)
            .map(|(ours, _)| ours.to_owned());
        assert!(
            committed == page(),
            "docs/reasons.md is out of date, run 'make generate'; the first line that differs: {differs:?}"
        );
    }

    #[test]
    fn every_reason_and_every_class_is_on_the_page() {
        let page = page();
        for reason in Reason::ALL {
            assert!(page.contains(&format!("\n| `{reason}` | ")), "{reason}");
        }
        for class in Class::ALL {
            assert!(page.contains(&format!("\n| `{}` | ", class.label())));
        }
    }

    /// A cell is one line and does not end its row early.
    #[test]
    fn every_row_has_its_cells() {
        for line in page().lines().filter(|line| line.starts_with('|')) {
            let cells = line.matches(" | ").count();
            assert!([3, 5].contains(&cells), "{line}");
        }
    }
}
