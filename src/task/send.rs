//! One call to the service, and its answer in the words of a deletion.

use super::{
    evidence::{Answer, Call, Sighting},
    verdict::whole_seconds,
    view::Ids,
};
use crate::{
    api::CallRecord,
    live::{ChannelId, Client, Failure, ListedTask, PAGE_SIZE},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Sends one call and reduces its answer.
pub async fn send(live: &Client, ids: &Ids, call: &Call) -> (Answer, CallRecord, Option<Failure>) {
    let reply = match call {
        Call::Stop { .. } => live.stop(&ids.app, &ids.task).await.map(|reply| {
            (
                Answer::Accepted {
                    request_id: reply.request_id.clone(),
                },
                reply.request_id,
            )
        }),
        Call::ListTask => live
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
    })
}
