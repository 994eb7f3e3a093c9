//! What tests of relays ask of the admin port: crowds of channels, chosen answers, and what has happened between two moments.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::client::{Admin, Calls, Changes};
use super::{Answers, By, Call, Change, ChangeKind, Filter, Result, Task, TaskQuota, TaskState};

/// How often the history is read while something is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// A place in the logs of the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Sequence number of the next call.
    pub call: u64,
    /// Sequence number of the next change of a task.
    pub change: u64,
    /// Microseconds since the simulator's start.
    pub monotonic_us: u64,
}

impl Admin {
    /// Says who is in each of these channels from now on, all at one moment; nobody empties them.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn set_all_users(
        &self,
        app: &str,
        channels: impl IntoIterator<Item = impl AsRef<str>>,
        users: &[&str],
    ) -> Result<()> {
        let channels: Vec<Value> = channels
            .into_iter()
            .map(|channel| json!({"appId": app, "channelId": channel.as_ref(), "users": users}))
            .collect();
        self.seed(&json!({"channels": channels})).await
    }

    /// Chooses answers where the real ones are not known.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn set_answers(&self, answers: Answers) -> Result<()> {
        self.set_switches(&json!(answers)).await.map(drop)
    }

    /// Limits the tasks of each application; None lifts the limit.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn set_task_quota(&self, quota: Option<TaskQuota>) -> Result<()> {
        self.set_switches(&json!({"taskQuota": quota}))
            .await
            .map(drop)
    }

    /// The parameters of a task that were accepted last, under their wire names and nested as the vendor nests them: with whole output
    /// addresses, and also once the task is stopped.
    ///
    /// # Errors
    /// Where there never was such a task.
    pub async fn task_detail(&self, app: &str, task: &str) -> Result<Value> {
        self.get(&format!("/apps/{app}/tasks/{task}/detail"), &())
            .await
    }

    /// The running tasks of an application, those of client SDKs included.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn running_tasks(&self, app: &str) -> Result<Vec<Task>> {
        let mut tasks = self.tasks().await?;
        tasks.retain(|task| task.app_id == app && task.state == TaskState::Running);
        Ok(tasks)
    }

    /// How many tasks of each application run; one without any is left out.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn running_by_app(&self) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for task in self.tasks().await? {
            if task.state == TaskState::Running {
                *counts.entry(task.app_id).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// The wanted changes among those of the filter (of which `since`, `app_id` and `task_id` count), as soon as there are this many, or
    /// after this time.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn await_changes(
        &self,
        filter: &Filter,
        at_least: usize,
        within: Duration,
        wanted: impl Fn(&Change) -> bool,
    ) -> Result<Vec<Change>> {
        let deadline = Instant::now() + within;
        let mut filter = filter.clone();
        let mut found = Vec::new();
        loop {
            let Changes { changes, next } = self.changes(&filter).await?;
            filter.since = next;
            found.extend(changes.into_iter().filter(&wanted));
            if found.len() >= at_least || Instant::now() >= deadline {
                return Ok(found);
            }
            sleep(LOOK).await;
        }
    }

    /// The Starts that took effect, as soon as there are this many, or after this time. Tasks that the admin port made do not count.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn await_starts(
        &self,
        filter: &Filter,
        at_least: usize,
        within: Duration,
    ) -> Result<Vec<Change>> {
        let by_call =
            |change: &Change| change.change == ChangeKind::Started && change.by == By::Api;
        self.await_changes(filter, at_least, within, by_call).await
    }

    /// This moment, as a place in the logs.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn mark(&self) -> Result<Mark> {
        // What is still to come: nothing but the next number is told.
        let nothing = Filter {
            since: u64::MAX,
            ..Filter::default()
        };
        let Calls { next: call, .. } = self.logged(&nothing).await?;
        let Changes { next: change, .. } = self.changes(&nothing).await?;
        let monotonic_us = self.clock().await?.monotonic_us;
        Ok(Mark {
            call,
            change,
            monotonic_us,
        })
    }

    /// The calls that arrived from one moment to another, or to now.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn calls_between(&self, from: Mark, until: Option<Mark>) -> Result<Vec<Call>> {
        let filter = Filter {
            since: from.call,
            ..Filter::default()
        };
        let mut calls = self.calls(&filter).await?;
        calls.retain(|call| until.is_none_or(|until| call.seq < until.call));
        Ok(calls)
    }

    /// How many calls of each action arrived from one moment to another, or to now; an action without any is left out.
    ///
    /// # Errors
    /// Where the admin port does not answer.
    pub async fn counts_between(
        &self,
        from: Mark,
        until: Option<Mark>,
    ) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for call in self.calls_between(from, until).await? {
            *counts.entry(call.action.unwrap_or_default()).or_default() += 1;
        }
        Ok(counts)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::super::{
        ChannelAbsent, NewTask, Simulator, StartExists, StartNotCleared, TaskQuotaExceeded,
        UpdateGone,
    };
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn crowds_come_and_go_and_their_end_is_awaited() {
        let simulator = Simulator::start().await.unwrap();
        let names: Vec<String> = (0..50).map(|n| format!("room-{n}")).collect();
        let set = async |users: &[&str]| {
            simulator.set_all_users("app", &names, users).await.unwrap();
            simulator.channel("app", "room-49").await.unwrap().users
        };
        assert_eq!(set(&["host", "guest"]).await, ["guest", "host"]);
        for name in &names {
            let task = NewTask {
                channel_id: Some(name.clone()),
                ..NewTask::default()
            };
            simulator.start_task("app", name, &task).await.unwrap();
        }
        simulator
            .start_task("app-2", "other", &NewTask::default())
            .await
            .unwrap();
        let detail = simulator.task_detail("app-2", "other").await.unwrap();
        let url = "rtmp://push.example.com/live/app-2-other";
        assert_eq!(
            (&detail["StreamURL"], &detail["MixMode"]),
            (&json!(url), &json!("1"))
        );
        let running = simulator.running_by_app().await.unwrap();
        let expected = BTreeMap::from([("app".to_owned(), 50), ("app-2".to_owned(), 1)]);
        assert_eq!(running, expected);

        let before = simulator.mark().await.unwrap();
        assert_eq!((before.call, before.change), (0, 51));
        assert!(set(&[]).await.is_empty());
        let since = Filter {
            since: before.change,
            ..Filter::default()
        };
        let ends = simulator.await_changes(&since, 50, SOON, |change| change.by == By::Auto);
        let (ends, advanced) = tokio::join!(ends, simulator.advance(120.0));
        advanced.unwrap();
        assert_eq!(ends.unwrap().len(), 50);
        let running = simulator.running_tasks("app").await.unwrap();
        assert_eq!(running, []);
        assert_eq!(simulator.running_tasks("app-2").await.unwrap().len(), 1);
        // The admin port's own do not count, and nobody waits for ever.
        let all = Filter::default();
        let none = simulator.await_starts(&all, 1, Duration::ZERO);
        assert_eq!(none.await.unwrap(), []);
    }

    #[tokio::test]
    async fn every_typed_answer_is_one_of_the_simulators() {
        let simulator = Simulator::start().await.unwrap();
        let longest = StartExists::ALL.len();
        for n in 0..longest {
            let answers = Answers {
                start_exists: StartExists::ALL.get(n).copied(),
                start_not_cleared: StartNotCleared::ALL.get(n).copied(),
                channel_absent: ChannelAbsent::ALL.get(n).copied(),
                update_gone: UpdateGone::ALL.get(n).copied(),
                task_quota_exceeded: TaskQuotaExceeded::ALL.get(n).copied(),
            };
            simulator.set_answers(answers).await.unwrap();
            let now = simulator.set_switches(&json!({})).await.unwrap();
            for (name, value) in json!(answers).as_object().unwrap() {
                assert_eq!(&now[name], value, "{name}");
            }
        }
        let quota = TaskQuota {
            single: 3,
            mixed: 0,
        };
        for quota in [Some(quota), None] {
            simulator.set_task_quota(quota).await.unwrap();
            let now = simulator.set_switches(&json!({})).await.unwrap();
            assert_eq!(now["taskQuota"], json!(quota));
        }
    }

    #[tokio::test]
    async fn calls_are_counted_between_two_moments() {
        let simulator = Simulator::start().await.unwrap();
        let call = async |action: &str| {
            let url = format!("{}/?Action={action}", simulator.endpoint());
            reqwest::get(url).await.unwrap();
        };
        call("StopLiveMPUTask").await;
        let from = simulator.mark().await.unwrap();
        for action in ["StartLiveMPUTask", "ListRTCLiveRooms", "StartLiveMPUTask"] {
            call(action).await;
        }
        let until = simulator.mark().await.unwrap();
        assert!(until.monotonic_us > from.monotonic_us);
        call("StopLiveMPUTask").await;
        let counts = simulator.counts_between(from, Some(until)).await.unwrap();
        let expected = BTreeMap::from([
            ("ListRTCLiveRooms".to_owned(), 1),
            ("StartLiveMPUTask".to_owned(), 2),
        ]);
        assert_eq!(counts, expected);
        let counts = simulator.counts_between(from, None).await.unwrap();
        assert_eq!(counts["StopLiveMPUTask"], 1);
    }
}
