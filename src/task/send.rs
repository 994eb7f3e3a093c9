//! One call to the service, and its answer reduced to what a decision needs.

use super::{
    evidence::{Answer, Call, Sighting},
    verdict::whole_seconds,
    view::Ids,
};
use crate::{
    api::CallRecord,
    live::{ChannelId, Client, Delivery, Failure, ListedTask, PAGE_SIZE, Relay, Success},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Sends one call and reduces its answer. `relay`: the parameters of a Start or an Update.
pub async fn send(
    live: &Client,
    ids: &Ids,
    call: &Call,
    relay: Option<&Relay>,
) -> (Answer, CallRecord, Option<Failure>) {
    let accepted = |reply: Success<()>| {
        let request_id = reply.request_id.clone();
        (Answer::Accepted { request_id }, reply.request_id)
    };
    let reply = match call {
        Call::Stop { .. } => live.stop(&ids.app, &ids.task).await.map(accepted),
        Call::Start | Call::Update => match relay {
            Some(relay) if *call == Call::Start => {
                live.start(&ids.app, &ids.task, relay).await.map(accepted)
            }
            Some(relay) => live.update(&ids.app, &ids.task, relay).await.map(accepted),
            None => Err(Failure::nothing_to_send()),
        },
        Call::ListTask | Call::Identify => live
            .list_task(&ids.app, &ids.task)
            .await
            .map(|reply| (Answer::Task(find(&reply.value, ids)), reply.request_id)),
        Call::ListPage(page) => live.list_page(&ids.app, *page).await.map(|reply| {
            let page = Answer::Page {
                shows: find(&reply.value, ids),
                last: reply.value.len() < PAGE_SIZE,
            };
            (page, reply.request_id)
        }),
        Call::Users(channel) => live.channel_users(&ids.app, channel).await.map(|reply| {
            let users = Answer::Users {
                empty: reply.value.is_empty(),
                timestamp: reply.value.timestamp,
            };
            (users, reply.request_id)
        }),
    };
    let record = |request_id, result: &str| CallRecord {
        action: call.action().name().to_owned(),
        request_id,
        time: Some(Time(whole_seconds(Timestamp::now()))),
        result: result.to_owned(),
    };
    match reply {
        Ok((answer, request_id)) => (answer, record(Some(request_id), "accepted"), None),
        Err(failure) => {
            let words = match &failure.code {
                Some(code) => format!("{code}: {}", failure.message),
                None => failure.message.clone(),
            };
            let answer = Answer::Failed {
                class: failure.class,
                words,
                says_gone: failure.task_gone,
                may_act: may_act(&failure),
                retry_after: failure.retry_after,
            };
            (
                answer,
                record(failure.request_id.clone(), failure.class.label()),
                Some(failure),
            )
        }
    }
}

/// Whether the call may have taken effect, or may still: no answer, or one that does not say that it was refused.
fn may_act(failure: &Failure) -> bool {
    match failure.delivery {
        Delivery::NeverSent => false,
        Delivery::MayHaveArrived => true,
        Delivery::Answered => failure.class.may_have_taken_effect(),
    }
}

fn find(listed: &[ListedTask], ids: &Ids) -> Option<Sighting> {
    let task = listed
        .iter()
        .find(|task| task.task_id == ids.task.as_str())?;
    Some(Sighting {
        channel: task
            .channel_id
            .as_deref()
            .and_then(|channel| ChannelId::try_from(channel).ok()),
        max_idle: task.max_idle,
        mix_mode: task.mix_mode.clone(),
        outputs: task.outputs.as_ref().map(|outputs| {
            let mut outputs: Vec<String> = outputs
                .iter()
                .map(|output| output.as_str().to_owned())
                .collect();
            outputs.sort();
            outputs
        }),
    })
}
