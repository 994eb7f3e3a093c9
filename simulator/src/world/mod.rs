//! Channels and tasks as the service keeps them. Pure: time is an argument, and nothing happens by itself but in [`World::advance`].

mod channel;
mod listing;
mod output;
mod passing;
mod presence;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::Value;

pub use channel::ChannelState;
pub use output::OutputError;
pub use task::{By, Change, ChangeKind, Order, State, Task, TaskKey};

use crate::clock::{Millis, Moment};
use crate::switches::Switches;
use channel::Channel;
use listing::Listing;
use output::Outputs;
use passing::Event;

/// A task ends so long after the last user left its channel, without a `MaxIdleTime` (vendor page; dossier 8).
const AUTO_STOP: Millis = 120_000;

/// Why a Start is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// Nobody is in the channel.
    NoChannel,
    /// A task with this id is running.
    Exists,
    /// The task with this id has ended, and is not cleared yet.
    NotCleared,
    /// An output is not free.
    Output(OutputError),
    /// As many tasks of the application run as may.
    TooMany,
}

/// Why an Update is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateError {
    /// No task with this id is running.
    NotRunning,
    /// The task belongs to another channel.
    OtherChannel,
    /// An output is not free.
    Output(OutputError),
}

/// No task with this id is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotRunning;

/// The state of everything but accounts.
#[derive(Debug, Default)]
pub struct World {
    /// In an order that does not change, for the list of rooms.
    channels: BTreeMap<(String, String), Channel>,
    tasks: HashMap<TaskKey, Task>,
    outputs: Outputs,
    listing: Listing,
    events: BTreeMap<(Millis, u64), Event>,
    planned: u64,
    incarnations: u64,
    epochs: u64,
    history: Vec<Change>,
}

impl World {
    fn running(&self, key: &TaskKey, incarnation: u64) -> Option<&Task> {
        self.tasks
            .get(key)
            .filter(|task| task.state == State::Running && task.incarnation == incarnation)
    }

    /// Whether one more task of that mode may run. Those that client SDKs started count too (dossier 8).
    fn has_room(&self, switches: &Switches, app: &str, mix_mode: &str) -> bool {
        let Some(quota) = switches.task_quota else {
            return true;
        };
        let limit = if mix_mode == "0" {
            quota.single
        } else {
            quota.mixed
        };
        let counts = |key: &TaskKey, task: &Task| {
            key.app == app && task.state == State::Running && task.order.mix_mode == mix_mode
        };
        self.tasks
            .iter()
            .filter(|(key, task)| counts(key, task))
            .count()
            < limit
    }

    /// Starts a task. The admin alone needs nobody in the channel, waits for no cool-down and has no quota.
    pub fn start(
        &mut self,
        now: Moment,
        switches: &Switches,
        key: TaskKey,
        order: Order,
        by: By,
        call: Option<u64>,
    ) -> Result<(), StartError> {
        let channel_key = (key.app.clone(), order.channel.clone());
        if by != By::Admin
            && self
                .channels
                .get(&channel_key)
                .is_none_or(Channel::is_empty)
        {
            return Err(StartError::NoChannel);
        }
        match self.tasks.get(&key) {
            Some(task) if task.state == State::Running => return Err(StartError::Exists),
            Some(task) if by != By::Admin && task.blocked_until(switches) > now.simulated => {
                return Err(StartError::NotCleared);
            }
            Some(_) | None => {}
        }
        match self.outputs.check(&key, &order.urls, now.simulated) {
            Err(OutputError::CoolingDown) if by == By::Admin => {}
            checked => checked.map_err(StartError::Output)?,
        }
        if by != By::Admin && !self.has_room(switches, &key.app, &order.mix_mode) {
            return Err(StartError::TooMany);
        }

        self.outputs.take(&key, &order.urls);
        self.incarnations += 1;
        let incarnation = self.incarnations;
        let channel = self.channels.entry(channel_key).or_default();
        channel.tasks.insert(key.task.clone());
        let idle = channel
            .is_empty()
            .then_some((order.idle_limit(AUTO_STOP), channel.epoch));
        if let Some((limit, epoch)) = idle {
            let at = now.simulated.saturating_add(limit);
            self.plan(
                at,
                Event::AutoStop {
                    key: key.clone(),
                    incarnation,
                    epoch,
                },
            );
        }
        if !order.client_made {
            self.listing.put(
                now.simulated,
                &key.app,
                &key.task,
                Arc::clone(&order.detail),
            );
        }
        self.record(now, &key, &order.channel, ChangeKind::Started, by, call);
        self.tasks
            .insert(key, Task::started(order, incarnation, by, now.simulated));
        self.listing.settle(now.simulated, switches.list_lag());
        Ok(())
    }

    /// Replaces the parameters of a running task.
    pub fn update(
        &mut self,
        now: Moment,
        switches: &Switches,
        key: &TaskKey,
        call: Option<u64>,
        change: impl FnOnce(&Order) -> Order,
    ) -> Result<(), UpdateError> {
        let task = self
            .tasks
            .get(key)
            .filter(|task| task.state == State::Running)
            .ok_or(UpdateError::NotRunning)?;
        let order = change(&task.order);
        if order.channel != task.order.channel {
            return Err(UpdateError::OtherChannel);
        }
        self.outputs
            .check(key, &order.urls, now.simulated)
            .map_err(UpdateError::Output)?;
        let left: Vec<String> = task
            .order
            .urls
            .iter()
            .filter(|url| {
                !order
                    .urls
                    .iter()
                    .any(|new| output::identity(new) == output::identity(url))
            })
            .cloned()
            .collect();
        self.outputs.take(key, &order.urls);
        self.release(key, left, now.simulated);
        if !order.client_made {
            self.listing.put(
                now.simulated,
                &key.app,
                &key.task,
                Arc::clone(&order.detail),
            );
        }
        self.record(now, key, &order.channel, ChangeKind::Updated, By::Api, call);
        if let Some(task) = self.tasks.get_mut(key) {
            task.order = order;
            task.updated_at = now.simulated;
        }
        self.listing.settle(now.simulated, switches.list_lag());
        Ok(())
    }

    /// Stops a running task.
    pub fn stop(
        &mut self,
        now: Moment,
        switches: &Switches,
        key: &TaskKey,
        by: By,
        call: Option<u64>,
    ) -> Result<(), NotRunning> {
        self.tasks
            .get(key)
            .filter(|task| task.state == State::Running)
            .ok_or(NotRunning)?;
        self.end(key, now, switches, by, call);
        self.listing.settle(now.simulated, switches.list_lag());
        Ok(())
    }

    /// Plans the effect of a Stop for later.
    pub fn stop_later(
        &mut self,
        at: Millis,
        key: &TaskKey,
        call: Option<u64>,
    ) -> Result<(), NotRunning> {
        let task = self
            .tasks
            .get(key)
            .filter(|task| task.state == State::Running)
            .ok_or(NotRunning)?;
        let incarnation = task.incarnation;
        self.plan(
            at,
            Event::LateStop {
                key: key.clone(),
                incarnation,
                call,
            },
        );
        Ok(())
    }

    fn end(&mut self, key: &TaskKey, at: Moment, switches: &Switches, by: By, call: Option<u64>) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.state = State::Stopped;
        task.stopped_by = Some(by);
        task.stopped_at = Some(at.simulated);
        let (channel, urls, listed) = (
            task.order.channel.clone(),
            task.order.urls.clone(),
            !task.order.client_made,
        );
        self.release(key, urls, at.simulated);
        if listed {
            self.listing.stopped(at.simulated, &key.app, &key.task);
        }
        self.record(at, key, &channel, ChangeKind::Stopped, by, call);
        let channel_key = (key.app.clone(), channel);
        if let Some(channel) = self.channels.get_mut(&channel_key) {
            channel.tasks.remove(&key.task);
            if channel.is_empty() && channel.tasks.is_empty() {
                let epoch = channel.epoch;
                let gone_at = channel
                    .gone_at(Millis::from(switches.channel_lag_millis))
                    .max(at.simulated);
                let (app, channel) = channel_key;
                self.plan(
                    gone_at,
                    Event::ChannelGone {
                        app,
                        channel,
                        epoch,
                    },
                );
            }
        }
    }

    fn release(&mut self, key: &TaskKey, urls: Vec<String>, now: Millis) {
        if !urls.is_empty() {
            let until = self.outputs.release(key, &urls, now);
            self.plan(until, Event::OutputsFree { urls });
        }
    }

    /// A task, running or stopped.
    pub fn task(&self, key: &TaskKey) -> Option<&Task> {
        self.tasks.get(key)
    }

    /// Every task.
    pub fn tasks(&self) -> impl Iterator<Item = (&TaskKey, &Task)> {
        self.tasks.iter()
    }

    /// One entry of the list.
    pub fn listed(&self, app: &str, task: &str, with_stopped: bool) -> Option<Arc<Value>> {
        self.listing.one(app, task, with_stopped)
    }

    /// One page of the list, newest first.
    pub fn list_page(
        &self,
        app: &str,
        page: usize,
        size: usize,
        with_stopped: bool,
    ) -> Vec<Arc<Value>> {
        self.listing.page(app, page, size, with_stopped)
    }

    /// All changes of tasks, in the order in which they became known.
    pub fn history(&self) -> &[Change] {
        &self.history
    }

    fn record(
        &mut self,
        at: Moment,
        key: &TaskKey,
        channel: &str,
        kind: ChangeKind,
        by: By,
        call: Option<u64>,
    ) {
        self.history.push(Change {
            seq: self.history.len(),
            app_id: key.app.clone(),
            task_id: key.task.clone(),
            channel_id: channel.to_owned(),
            kind,
            by,
            simulated_millis: at.simulated,
            monotonic_us: at.monotonic,
            call,
        });
    }
}
