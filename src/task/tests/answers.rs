//! What is told of an object whose call is answered in a documented way is what the page of reasons states.

use super::{
    relay::{another, fault, parameters, refused, relay, started},
    *,
};
use crate::{
    api::Reason,
    live::{self, can_fail_as, classify, documented::DOCUMENTED},
    task::{
        ledger::Ledger,
        trail::Early,
        verdict::{self, told_as},
    },
};
use std::collections::BTreeSet;

const STOP: Call = Call::Stop { ripe: false };

/// Every class that a documented answer to the call has, and those that the call can fail with otherwise.
fn classes(call: live::Call) -> Vec<Class> {
    let documented: Vec<Class> = DOCUMENTED
        .iter()
        .filter(|answer| answer.calls.contains(&call))
        .flat_map(|answer| {
            let code = Some(answer.code).filter(|code| !code.is_empty());
            let statuses = answer.statuses.iter();
            statuses.map(move |status| classify(call, *status, code, answer.message, false))
        })
        .collect();
    for class in &documented {
        assert!(can_fail_as(call, *class), "{call:?} {class:?}");
    }
    let all = Class::ALL.into_iter();
    all.filter(|class| documented.contains(class) || can_fail_as(call, *class))
        .collect()
}

/// Checks what is told where the call fails with each of its classes.
fn assert_told(call: live::Call, told: impl Fn(Class) -> Reason) {
    let classes = classes(call);
    assert!(classes.len() >= 12, "{call:?}: {classes:?}");
    for class in classes {
        assert_eq!(told(class), told_as(call, class), "{call:?} {class:?}");
    }
}

/// A deletion that has got these answers, one after the other: what is told of it until the next one.
fn after(answers: impl IntoIterator<Item = (Call, Answer)>) -> Reason {
    let mut life = Life::of(deleting());
    for (call, answer) in answers {
        life.answer(call, answer, None);
    }
    let ids = life.view.ids.as_ref().unwrap();
    let known = (Early::default(), Ledger::of(&life.view.status).state());
    let (trail, waits) = (&life.memory.trail, &life.memory.waits);
    verdict::pursuing(&life.view, ids, trail, waits, known, None).reason
}

#[test]
fn stop() {
    let listed = || (Call::ListTask, Answer::Task(Some(shown(None))));
    assert_told(live::Call::Stop, |class| {
        let seen = (class == Class::NotFoundLike).then(listed);
        after([(STOP, failed(class))].into_iter().chain(seen))
    });
}

#[test]
fn the_list_by_id() {
    assert_told(live::Call::ListTask, |class| {
        after([
            (STOP, failed(Class::NotFoundLike)),
            (Call::ListTask, failed(class)),
        ])
    });
}

#[test]
fn a_page_of_the_list() {
    assert_told(live::Call::ListPage, |class| {
        after([
            (STOP, failed(Class::NotFoundLike)),
            (Call::ListTask, failed(Class::NotFoundLike)),
            (Call::ListPage(1), failed(class)),
        ])
    });
}

#[test]
fn the_users_of_a_channel() {
    let sighting = shown(None);
    let channel = sighting.channel.clone().unwrap();
    assert_told(live::Call::ChannelUsers, |class| {
        after([
            (STOP, failed(Class::NotFoundLike)),
            (Call::ListTask, Answer::Task(Some(sighting.clone()))),
            (Call::Users(channel.clone()), failed(class)),
        ])
    });
}

#[test]
fn the_live_channels() {
    assert_told(live::Call::LiveRooms, |class| {
        let mut life = Life::relay(relay());
        life.seen = Seen {
            channels_fail: Some(fault(class, "words of the service")),
            ..Seen::default()
        };
        // Nobody is there; Start is what tells where the channels must not be listed.
        life.act(|_, _| refused(Class::ChannelAbsent));
        let starts = life.sent(&Call::Start).len();
        assert_eq!(starts, usize::from(class == Class::AccessDenied));
        let message = life.last_message();
        assert!(message.contains("ListRTCLiveRooms"), "{class:?}: {message}");
        life.reason()
    });
}

#[test]
fn start() {
    assert_told(live::Call::Start, |class| {
        let mut life = Life::relay(relay());
        life.now = SECOND;
        life.act(|call, _| match call {
            Call::Start => failed(class),
            Call::Identify if class == Class::TaskExists => another(),
            _ => Answer::Task(None),
        });
        // A refusal may be for the channel.
        life.now += SECOND;
        life.channel(class != Class::ChannelAbsent);
        life.act(|_, _| failed(class));
        life.reason()
    });
}

#[test]
fn update() {
    assert_told(live::Call::Update, |class| {
        let mut life = Life::relay(started(relay()));
        life.wanted = parameters("h2", &["aaaa"]);
        let mut sent = 0;
        life.run(SECOND / 4, |call, _| match call {
            Call::Update => {
                sent += 1;
                failed(class)
            }
            other => panic!("{other:?}"),
        });
        assert!(sent > 0, "{class:?}");
        life.reason()
    });
}

/// For every class: whether a call that failed so may have been done, and what is told where it was Start, Update, Stop, the list by id, a page of it,
/// a channel's users, or the live channels. A hyphen: that call cannot fail so.
const TOLD: &str = "\
not_found_like        no   -                   Updating            StopUnconfirmed     Stopping            -                   -                   -
internal_error        yes  OutcomeUnknown      ServiceUnavailable  ServiceUnavailable  Stopping            ServiceUnavailable  StopUnconfirmed     WaitingForChannel
throttled             no   Throttled           Throttled           Throttled           Throttled           Throttled           StopUnconfirmed     WaitingForChannel
service_unavailable   yes  OutcomeUnknown      ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  StopUnconfirmed     WaitingForChannel
app_id_rejected       no   AppIdRejected       AppIdRejected       AppIdRejected       AppIdRejected       AppIdRejected       StopUnconfirmed     AppIdRejected
request_rejected      no   RequestRejected     RequestRejected     RequestRejected     RequestRejected     RequestRejected     StopUnconfirmed     RequestRejected
access_denied         no   AccessDenied        AccessDenied        AccessDenied        StopUnconfirmed     StopUnconfirmed     StopUnconfirmed     WaitingForChannel
service_not_enabled   no   ServiceNotEnabled   ServiceNotEnabled   ServiceNotEnabled   ServiceNotEnabled   ServiceNotEnabled   StopUnconfirmed     ServiceNotEnabled
credentials_rejected  no   CredentialsRejected CredentialsRejected CredentialsRejected CredentialsRejected CredentialsRejected StopUnconfirmed     CredentialsRejected
credentials_stale     no   ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  StopUnconfirmed     WaitingForChannel
clock_skew            no   ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  StopUnconfirmed     WaitingForChannel
nonce_used            yes  OutcomeUnknown      ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  ServiceUnavailable  StopUnconfirmed     WaitingForChannel
credentials_missing   no   CredentialsMissing  CredentialsMissing  CredentialsMissing  CredentialsMissing  CredentialsMissing  StopUnconfirmed     CredentialsMissing
channel_absent        no   WaitingForChannel   -                   -                   -                   -                   -                   -
task_exists           no   TaskIdInUse         -                   -                   -                   -                   -                   -
not_cleared           no   CoolingDown         -                   -                   -                   -                   -                   -
output_busy           no   CoolingDown         CoolingDown         -                   -                   -                   -                   -
quota_exceeded        no   QuotaExceeded       -                   -                   -                   -                   -                   -
";

/// The table stands here once more, by hand: what it says is not to change along with the functions that say it.
#[test]
fn what_each_class_means() {
    let classes: Vec<&str> = TOLD
        .lines()
        .filter_map(|row| row.split_whitespace().next())
        .collect();
    assert_eq!(
        classes.into_iter().collect::<BTreeSet<_>>(),
        Class::ALL.iter().map(|class| class.label()).collect()
    );
    for row in TOLD.lines() {
        let cells: Vec<&str> = row.split_whitespace().collect();
        let class = Class::ALL
            .into_iter()
            .find(|class| class.label() == cells[0]);
        let class = class.unwrap();
        let may = if class.may_have_taken_effect() {
            "yes"
        } else {
            "no"
        };
        assert_eq!(may, cells[1], "{class:?}");
        let told = live::Call::ALL.map(|call| {
            if can_fail_as(call, class) {
                told_as(call, class).as_str()
            } else {
                "-"
            }
        });
        assert_eq!(told[..], cells[2..], "{class:?}");
    }
}
