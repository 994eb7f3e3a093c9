//! Every documented answer of the service, and what is told of an object whose calls are answered so.

use futures::future::join_all;
use mixed_stream_operator::api::ConditionType;
use mixed_stream_operator::live::documented::{DOCUMENTED, Documented};
use mixed_stream_operator::live::{Call, Class, classify};
use mixed_stream_operator::task::verdict::told_as;
use serde_json::{Value, json};
use support::relay::Relay;

use crate::oracle::{STOP, armed_with_task, calls_of, order, quick, running, until_calls};
use crate::relay::{START, UPDATE, message, owner, scene as relay_scene, task_of};
use crate::scene::{APP, condition};

/// The documented answers to a call, each with a name for an object and its class.
fn answers_to(call: Call) -> Vec<(String, &'static Documented, Class)> {
    let fits = DOCUMENTED
        .iter()
        .filter(|answer| answer.calls.contains(&call));
    fits.enumerate()
        .map(|(number, answer)| {
            let status = answer.statuses[0];
            let code = Some(answer.code).filter(|code| !code.is_empty());
            let class = classify(call, status, code, answer.message, false);
            (format!("answer-{number}"), answer, class)
        })
        .collect()
}

fn fault(answer: &Documented) -> Value {
    let words = if answer.message.is_empty() {
        "words of the service"
    } else {
        answer.message
    };
    json!({"kind": "error", "status": answer.statuses[0], "code": answer.code, "message": words})
}

/// Whether what is told names the answer: by its code, or by its status where it has none.
fn shows(told: &str, answer: &Documented) -> bool {
    if answer.code.is_empty() {
        told.contains(&answer.statuses[0].to_string())
    } else {
        told.contains(answer.code)
    }
}

/// A Stop that is answered so keeps its object, is told by its reason and with the code, and is over when its cause is.
#[tokio::test]
async fn every_documented_answer_to_stop_is_told() {
    let scene = quick("answers").await;
    let answers = answers_to(Call::Stop);
    assert!(answers.len() > 40, "{}", answers.len());
    join_all(answers.iter().map(async |(name, answer, class)| {
        armed_with_task(&scene, name).await;
        order(&scene, name, fault(answer)).await;
        scene.delete(name).await;
        let expected = told_as(Call::Stop, *class);
        let object = scene.until_reason(name, expected.as_str()).await;
        let what = format!("{answer:?}");
        assert!(condition(&object, expected.condition()).is_some(), "{what}");
        let told = &condition(&object, ConditionType::Ready).unwrap().message;
        assert!(
            shows(told, answer) || *class == Class::NotFoundLike,
            "{what}: {told}"
        );
        assert!(running(&scene, name).await, "{what}");
    }))
    .await;
    scene.simulator.remove_faults().await.unwrap();
    join_all(answers.iter().map(async |(name, ..)| {
        scene.until_gone(name).await;
        assert!(!running(&scene, name).await, "{name}");
    }))
    .await;
    eprintln!("{} documented answers to Stop, each told", answers.len());
}

/// A Start that is refused for the account, the quota or the date is told by its reason and starts when that is over; one that may have been carried
/// out is open until the list tells.
#[tokio::test]
async fn every_documented_answer_to_start_is_told() {
    let scene = relay_scene("startanswers").await;
    let answers: Vec<_> = answers_to(Call::Start)
        .into_iter()
        .filter(|(_, _, class)| match class {
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
    let owners = join_all(answers.iter().map(async |(name, answer, class)| {
        scene.relay(Relay::single(APP, name)).await;
        let object = scene.until_reason(name, "WaitingForChannel").await;
        let task = task_of(&object);
        let mut fault = fault(answer);
        fault["action"] = json!(START);
        fault["taskId"] = json!(task);
        scene.simulator.order_fault(&fault).await.unwrap();
        scene.join(name).await;
        let expected = if class.may_have_taken_effect() {
            "OutcomeUnknown"
        } else {
            told_as(Call::Start, *class).as_str()
        };
        scene.until_reason(name, expected).await;
        owner(&object)
    }))
    .await;
    scene.simulator.remove_faults().await.unwrap();
    join_all(answers.iter().map(async |(name, ..)| {
        scene.until_reason(name, "Running").await;
        scene.end(name).await;
    }))
    .await;
    scene.kept(&owners, 0).await;
    eprintln!("{} documented answers to Start, each told", answers.len());
}

/// An Update that is answered so is told by its reason and with the code, the relay runs on meanwhile, and is changed when that is over. An answer that
/// says that the task is gone has its own tests, with that state.
#[tokio::test]
async fn every_documented_answer_to_update_is_told() {
    let scene = relay_scene("updateanswers").await;
    let answers: Vec<_> = answers_to(Call::Update)
        .into_iter()
        .filter(|(_, _, class)| *class != Class::NotFoundLike)
        .collect();
    assert!(answers.len() > 30, "{}", answers.len());
    let owners = join_all(answers.iter().map(async |(name, answer, class)| {
        let object = scene.running(name).await;
        let mut fault = fault(answer);
        fault["action"] = json!(UPDATE);
        fault["taskId"] = json!(task_of(&object));
        scene.simulator.order_fault(&fault).await.unwrap();
        let change = json!({"spec": {"relay": {"single": {"userId": "guest"}}}});
        scene.merge(name, change).await;
        let expected = told_as(Call::Update, *class);
        let object = scene.until_reason(name, expected.as_str()).await;
        let told = message(&object);
        assert!(shows(&told, answer), "{answer:?}: {told}");
        assert!(running(&scene, &task_of(&object)).await, "{answer:?}");
        owner(&object)
    }))
    .await;
    scene.simulator.remove_faults().await.unwrap();
    join_all(answers.iter().map(async |(name, ..)| {
        let task = task_of(&scene.until_reason(name, "Running").await);
        let detail = scene.simulator.task_detail(APP, &task).await.unwrap();
        assert!(detail.to_string().contains("guest"), "{name}: {detail}");
        scene.end(name).await;
    }))
    .await;
    scene.kept(&owners, 0).await;
    eprintln!("{} documented answers to Update, each told", answers.len());
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
