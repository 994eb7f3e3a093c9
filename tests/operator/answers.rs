//! Every documented answer of the service, and what is told of an object whose calls are answered so.

use futures::future::join_all;
use mixed_stream_operator::api::{MixedStreamTask, Reason};
use mixed_stream_operator::live::documented::{DOCUMENTED, Documented};
use mixed_stream_operator::live::{Call, Class, classify};
use mixed_stream_operator::task::verdict::told_as;
use serde_json::{Value, json};
use support::relay::Relay;
use support::simulator::{NewTask, TaskState};

use crate::oracle::{
    LIST, STOP, USERS, armed_with_task, calls_of, order, quick, running, until_calls,
};
use crate::relay::{ROOMS, START, UPDATE, message, owner, scene as relay_scene, task_of};
use crate::scene::{APP, condition, reason};

/// A documented answer to a call.
#[derive(Debug)]
struct Case {
    /// A name for an object, its application and its task.
    name: String,
    answer: &'static Documented,
    /// One of its statuses: each call plays another one.
    status: u16,
    class: Class,
}

fn answers_to(call: Call) -> Vec<Case> {
    let turn = Call::ALL.iter().position(|known| *known == call).unwrap();
    let fits = DOCUMENTED
        .iter()
        .filter(|answer| answer.calls.contains(&call));
    fits.enumerate()
        .map(|(number, answer)| {
            let status = answer.statuses[turn % answer.statuses.len()];
            let code = Some(answer.code).filter(|code| !code.is_empty());
            Case {
                name: format!("answer-{number}"),
                answer,
                status,
                class: classify(call, status, code, answer.message, false),
            }
        })
        .collect()
}

impl Case {
    fn fault(&self) -> Value {
        let words = if self.answer.message.is_empty() {
            "words of the service"
        } else {
            self.answer.message
        };
        json!({"kind": "error", "status": self.status, "code": self.answer.code, "message": words})
    }

    /// Whether what is told names the answer: by its code, or by its status where it has none.
    fn is_shown(&self, told: &str) -> bool {
        if self.answer.code.is_empty() {
            told.contains(&self.status.to_string())
        } else {
            told.contains(self.answer.code)
        }
    }
}

/// A Stop that is answered so keeps its object, is told by its reason and with the code, and is over when its cause is.
#[tokio::test]
async fn every_documented_answer_to_stop_is_told() {
    let scene = quick("answers").await;
    let cases = answers_to(Call::Stop);
    assert!(cases.len() > 40, "{}", cases.len());
    join_all(cases.iter().map(async |case| {
        let name = &case.name;
        armed_with_task(&scene, name).await;
        order(&scene, name, case.fault()).await;
        scene.delete(name).await;
        let expected = told_as(Call::Stop, case.class);
        let object = scene.until_reason(name, expected.as_str()).await;
        assert!(
            condition(&object, expected.condition()).is_some(),
            "{case:?}"
        );
        let told = message(&object);
        assert!(
            case.is_shown(&told) || case.class == Class::NotFoundLike,
            "{case:?}: {told}"
        );
        assert!(running(&scene, name).await, "{case:?}");
    }))
    .await;
    scene.simulator.remove_faults().await.unwrap();
    join_all(cases.iter().map(async |Case { name, .. }| {
        scene.until_gone(name).await;
        assert!(!running(&scene, name).await, "{name}");
    }))
    .await;
    eprintln!("{} documented answers to Stop, each told", cases.len());
}

/// A deletion whose Stop found nothing, so that another call has to tell more: each in an application of its own, which the faults are for.
async fn asked_after_a_stop(prefix: &str, call: Call) {
    let scene = quick(prefix).await;
    let mut cases = answers_to(call);
    // By id that is no failure: the pages are read.
    cases.retain(|case| told_as(call, case.class) != Reason::Stopping);
    assert!(cases.len() > 30, "{}", cases.len());
    join_all(cases.iter().map(async |case| {
        let name = case.name.as_str();
        scene
            .simulator
            .start_task(name, name, &NewTask::default())
            .await
            .unwrap();
        let spec = json!({"appId": name, "taskId": name});
        scene
            .create_from(json!({"metadata": {"name": name}, "spec": spec}))
            .await;
        scene.until_reason(name, "Armed").await;
        // Words that name no task as missing: they alone prove nothing.
        let nothing =
            json!({"kind": "error", "status": 400, "code": "InvalidParam", "message": "refused."});
        let fails = case.fault();
        let (by_id, last) = match call {
            Call::ListTask => (Some(&fails), None),
            Call::ListPage => (Some(&nothing), Some((LIST, &fails))),
            Call::ChannelUsers => (None, Some((USERS, &fails))),
            Call::Start | Call::Update | Call::Stop | Call::LiveRooms => unreachable!("{call:?}"),
        };
        let of_task = [Some((STOP, &nothing)), by_id.map(|fault| (LIST, fault))];
        for (action, fault) in of_task.into_iter().flatten() {
            let mut fault = fault.clone();
            (fault["action"], fault["taskId"]) = (json!(action), json!(name));
            scene.simulator.order_fault(&fault).await.unwrap();
        }
        if let Some((action, fault)) = last {
            let mut fault = fault.clone();
            (fault["action"], fault["appId"]) = (json!(action), json!(name));
            scene.simulator.order_fault(&fault).await.unwrap();
        }
        scene.delete(name).await;
        let expected = told_as(call, case.class);
        // What names the right that is missing needs no code.
        let is_told = |object: &MixedStreamTask| {
            let told = message(object);
            let right = format!("live:{}", call.action().name());
            reason(object) == expected.as_str() && (case.is_shown(&told) || told.contains(&right))
        };
        scene.until(name, &format!("{case:?}"), is_told).await;
    }))
    .await;
    scene.simulator.remove_faults().await.unwrap();
    join_all(cases.iter().map(async |Case { name, .. }| {
        scene.until_gone(name).await;
        let task = scene.simulator.task(name, name).await.unwrap();
        assert_eq!(task.state, TaskState::Stopped, "{name}");
    }))
    .await;
    eprintln!("{} documented answers to {call:?}, each told", cases.len());
}

#[tokio::test]
async fn every_documented_answer_to_the_list_by_id_is_told() {
    asked_after_a_stop("listanswers", Call::ListTask).await;
}

#[tokio::test]
async fn every_documented_answer_to_a_page_of_the_list_is_told() {
    asked_after_a_stop("pageanswers", Call::ListPage).await;
}

#[tokio::test]
async fn every_documented_answer_to_the_users_of_a_channel_is_told() {
    asked_after_a_stop("useranswers", Call::ChannelUsers).await;
}

/// A relay that waits for its channel, of which the list of channels is answered so: told by its reason and with the code, or the right that is missing.
#[tokio::test]
async fn every_documented_answer_to_the_list_of_channels_is_told() {
    let scene = relay_scene("roomanswers").await;
    let cases = answers_to(Call::LiveRooms);
    assert!(cases.len() > 40, "{}", cases.len());
    join_all(cases.iter().map(async |case| {
        let name = case.name.as_str();
        let mut fault = case.fault();
        (fault["action"], fault["appId"]) = (json!(ROOMS), json!(name));
        scene.simulator.order_fault(&fault).await.unwrap();
        scene.relay(Relay::single(name, name)).await;
        let expected = told_as(Call::LiveRooms, case.class);
        let is_told = |object: &MixedStreamTask| {
            let told = message(object);
            reason(object) == expected.as_str()
                && (case.is_shown(&told) || told.contains("live:ListRTCLiveRooms"))
        };
        scene.until(name, &format!("{case:?}"), is_told).await;
    }))
    .await;
    scene.simulator.remove_faults().await.unwrap();
    join_all(cases.iter().map(async |Case { name, .. }| {
        scene
            .until(name, "the channels are read again", |object| {
                message(object).starts_with("Nobody is in channel")
            })
            .await;
        scene.end(name).await;
    }))
    .await;
    eprintln!("{} documented answers to LiveRooms, each told", cases.len());
}

/// A Start that is refused for the account, the quota or the date is told by its reason and starts when that is over; one that may have been carried
/// out is open until the list tells.
#[tokio::test]
async fn every_documented_answer_to_start_is_told() {
    let scene = relay_scene("startanswers").await;
    let cases: Vec<_> = answers_to(Call::Start)
        .into_iter()
        .filter(|case| match case.class {
            Class::Throttled
            | Class::AppIdRejected
            | Class::AccessDenied
            | Class::ServiceNotEnabled
            | Class::CredentialsRejected
            | Class::ClockSkew
            | Class::QuotaExceeded
            | Class::RequestRejected
            | Class::NonceUsed
            | Class::InternalError
            | Class::ServiceUnavailable => true,
            // By the state of channel, task and outputs: their words have tests of their own, with that state.
            Class::NotFoundLike
            | Class::ChannelAbsent
            | Class::TaskExists
            | Class::NotCleared
            | Class::OutputBusy => false,
            Class::CredentialsMissing | Class::CredentialsStale => {
                unreachable!("nothing answers so")
            }
        })
        .collect();
    let owners = join_all(cases.iter().map(async |case| {
        let name = case.name.as_str();
        scene.relay(Relay::single(APP, name)).await;
        let object = scene.until_reason(name, "WaitingForChannel").await;
        let task = task_of(&object);
        let mut fault = case.fault();
        fault["action"] = json!(START);
        fault["taskId"] = json!(task);
        scene.simulator.order_fault(&fault).await.unwrap();
        scene.join(name).await;
        let expected = told_as(Call::Start, case.class);
        scene.until_reason(name, expected.as_str()).await;
        owner(&object)
    }))
    .await;
    scene.simulator.remove_faults().await.unwrap();
    join_all(cases.iter().map(async |Case { name, .. }| {
        scene.until_reason(name, "Running").await;
        scene.end(name).await;
    }))
    .await;
    scene.kept(&owners, 0).await;
    eprintln!("{} documented answers to Start, each told", cases.len());
}

/// An Update that is answered so is told by its reason and with the code, the relay runs on meanwhile, and is changed when that is over. An answer that
/// says that the task is gone has its own tests, with that state.
#[tokio::test]
async fn every_documented_answer_to_update_is_told() {
    let scene = relay_scene("updateanswers").await;
    let cases: Vec<_> = answers_to(Call::Update)
        .into_iter()
        .filter(|case| case.class != Class::NotFoundLike)
        .collect();
    assert!(cases.len() > 30, "{}", cases.len());
    let owners = join_all(cases.iter().map(async |case| {
        let object = scene.running(&case.name).await;
        let mut fault = case.fault();
        fault["action"] = json!(UPDATE);
        fault["taskId"] = json!(task_of(&object));
        scene.simulator.order_fault(&fault).await.unwrap();
        let change = json!({"spec": {"relay": {"single": {"userId": "guest"}}}});
        scene.merge(&case.name, change).await;
        let expected = told_as(Call::Update, case.class);
        let object = scene.until_reason(&case.name, expected.as_str()).await;
        let told = message(&object);
        assert!(case.is_shown(&told), "{case:?}: {told}");
        assert!(running(&scene, &task_of(&object)).await, "{case:?}");
        owner(&object)
    }))
    .await;
    scene.simulator.remove_faults().await.unwrap();
    join_all(cases.iter().map(async |Case { name, .. }| {
        let task = task_of(&scene.until_reason(name, "Running").await);
        let detail = scene.simulator.task_detail(APP, &task).await.unwrap();
        assert!(detail.to_string().contains("guest"), "{name}: {detail}");
        scene.end(name).await;
    }))
    .await;
    scene.kept(&owners, 0).await;
    eprintln!("{} documented answers to Update, each told", cases.len());
}

/// The service goes on refusing the dates: its clock is told by how much it differs, and the calls are not sent in a tight loop.
#[tokio::test]
async fn a_clock_that_stays_wrong_is_told_with_its_offset() {
    let scene = quick("offset").await;
    armed_with_task(&scene, "offset").await;
    let expired = json!({"kind": "error", "status": 400, "code": "InvalidTimeStamp.Expired", "message": "expired"});
    order(&scene, "offset", expired).await;
    scene.simulator.advance(1200.0).await.unwrap();
    scene
        .simulator
        .set_users(APP, "channel-offset", &["host"], &[])
        .await
        .unwrap();
    scene.delete("offset").await;
    let told = scene
        .until("offset", "the offset is told", |object| {
            message(object).contains("s ahead of this machine's")
        })
        .await;
    let told = message(&told);
    let seconds: i64 = told
        .split_once("clock is ")
        .and_then(|(_, rest)| rest.split_once(" s ahead"))
        .and_then(|(seconds, _)| seconds.parse().ok())
        .unwrap_or_else(|| panic!("{told}"));
    assert!((1195..=1205).contains(&seconds), "{told}");
    let calls = until_calls(&scene, STOP, "offset", 4).await;
    assert_eq!(calls[0].violation.as_deref(), Some("date"), "{calls:?}");
    for (number, call) in calls.iter().enumerate().skip(1) {
        assert!(
            call.authenticated,
            "dated by the service's clock: {number} {call:?}"
        );
    }
    scene.simulator.remove_faults().await.unwrap();
    scene.until_gone("offset").await;
}

/// A nonce that was used: the call is signed anew, twice at once, then as failures that pass.
#[tokio::test]
async fn a_used_nonce_is_signed_anew() {
    let scene = quick("nonce").await;
    armed_with_task(&scene, "nonce").await;
    let used = json!({"kind": "error", "status": 400, "code": "SignatureNonceUsed", "message": "used", "times": 3});
    order(&scene, "nonce", used).await;
    scene.delete("nonce").await;
    scene.until_gone("nonce").await;
    let calls = calls_of(&scene, STOP, "nonce").await;
    assert_eq!(calls.len(), 4, "{calls:?}");
    let nonces: std::collections::BTreeSet<_> =
        calls.iter().map(|call| call.nonce.clone()).collect();
    assert_eq!(nonces.len(), 4, "each attempt has its own: {calls:?}");
    assert!(!running(&scene, "nonce").await);
}
