//! The calls of the client, one method each: what is sent, and how the answer is read.

use secrecy::ExposeSecret as _;

use super::actions::{
    AppId, Call, ChannelId, ChannelUsers, ListedTask, LiveRooms, PAGE_SIZE, TaskId,
};
use super::answer::says_task_is_gone;
use super::client::Client;
use super::outcome::Reply;
use super::redact;
use super::relay::{Parameters, Relay};
use super::reply;

/// The longest body of a list answer: a hundred tasks with all their parameters.
pub(super) const LIST_BODY: usize = 8 << 20;

/// The longest body of every other answer.
pub(super) const SMALL_BODY: usize = 64 << 10;

impl Client {
    /// Starts a task. The service refuses it while nobody is in the channel, and while there is a task with this id (dossier 3.1.5).
    ///
    /// # Errors
    /// See [`Failure`](super::Failure).
    pub async fn start(&self, app: &AppId, task: &TaskId, relay: &Relay) -> Reply<()> {
        self.order(Call::Start, app, task, relay, &relay.start_parameters())
            .await
    }

    /// Gives a running task these parameters.
    ///
    /// # Errors
    /// See [`Failure`](super::Failure).
    pub async fn update(&self, app: &AppId, task: &TaskId, relay: &Relay) -> Reply<()> {
        self.order(Call::Update, app, task, relay, &relay.update_parameters())
            .await
    }

    async fn order(
        &self,
        call: Call,
        app: &AppId,
        task: &TaskId,
        relay: &Relay,
        complete: &Parameters,
    ) -> Reply<()> {
        let mut parameters = vec![("AppId", app.as_str()), ("TaskId", task.as_str())];
        let complete = complete.iter();
        parameters.extend(complete.map(|(name, value)| (*name, value.expose_secret())));
        let hidden: Vec<&str> = relay
            .outputs
            .iter()
            .flat_map(|output| redact::telling_parts(output.url().expose_secret()))
            .collect();
        self.call(
            call,
            &parameters,
            &hidden,
            SMALL_BODY,
            |_| false,
            |_| Ok(()),
        )
        .await
    }

    /// Stops a task.
    ///
    /// # Errors
    /// See [`Failure`](super::Failure).
    pub async fn stop(&self, app: &AppId, task: &TaskId) -> Reply<()> {
        let ids = [("AppId", app.as_str()), ("TaskId", task.as_str())];
        self.call(
            Call::Stop,
            &ids,
            &[],
            SMALL_BODY,
            |message| says_task_is_gone(message, app, task),
            |_| Ok(()),
        )
        .await
    }

    /// Reads what the list says of one task: no entry, or the task's own.
    ///
    /// # Errors
    /// See [`Failure`](super::Failure).
    pub async fn list_task(&self, app: &AppId, task: &TaskId) -> Reply<Vec<ListedTask>> {
        let ids = [("AppId", app.as_str()), ("TaskId", task.as_str())];
        self.call(
            Call::ListTask,
            &ids,
            &[],
            LIST_BODY,
            |_| false,
            |answer| reply::one_task(answer, app, task),
        )
        .await
    }

    /// Reads one page of an application's list, from page 1 on. One shorter than [`PAGE_SIZE`] is the last.
    ///
    /// # Errors
    /// See [`Failure`](super::Failure).
    pub async fn list_page(&self, app: &AppId, page: u32) -> Reply<Vec<ListedTask>> {
        let (page, size) = (page.to_string(), PAGE_SIZE.to_string());
        let parameters = [
            ("AppId", app.as_str()),
            ("PageNo", &page),
            ("PageSize", &size),
        ];
        self.call(
            Call::ListPage,
            &parameters,
            &[],
            LIST_BODY,
            |_| false,
            reply::page,
        )
        .await
    }

    /// Reads who is in a channel.
    ///
    /// # Errors
    /// See [`Failure`](super::Failure).
    pub async fn channel_users(&self, app: &AppId, channel: &ChannelId) -> Reply<ChannelUsers> {
        let ids = [("AppId", app.as_str()), ("ChannelId", channel.as_str())];
        self.call(
            Call::ChannelUsers,
            &ids,
            &[],
            LIST_BODY,
            |_| false,
            reply::channel_users,
        )
        .await
    }

    /// Reads one page of the channels of an application that are alive, from page 1 on. One shorter than [`PAGE_SIZE`] is the last.
    ///
    /// # Errors
    /// See [`Failure`](super::Failure).
    pub async fn live_rooms(&self, app: &AppId, page: u32) -> Reply<LiveRooms> {
        let (page, size) = (page.to_string(), PAGE_SIZE.to_string());
        let parameters = [
            ("AppId", app.as_str()),
            ("PageNo", &page),
            ("PageSize", &size),
        ];
        self.call(
            Call::LiveRooms,
            &parameters,
            &[],
            LIST_BODY,
            |_| false,
            reply::live_rooms,
        )
        .await
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
