//! Who is in which channel, and what follows from it.

use std::collections::BTreeSet;

use super::{AUTO_STOP, ChannelState, Event, TaskKey, World};
use crate::clock::{Millis, Moment};
use crate::switches::Switches;

impl World {
    /// Says who is in a channel from now on.
    pub fn set_users(
        &mut self,
        now: Moment,
        switches: &Switches,
        app: &str,
        channel: &str,
        users: BTreeSet<String>,
        viewers: BTreeSet<String>,
    ) {
        let key = (app.to_owned(), channel.to_owned());
        if users.is_empty() && viewers.is_empty() && !self.channels.contains_key(&key) {
            return;
        }
        let entry = self.channels.entry(key).or_default();
        let was_empty = entry.is_empty();
        entry.users = users;
        entry.viewers = viewers;
        if entry.is_empty() == was_empty {
            return;
        }
        self.epochs += 1;
        entry.epoch = self.epochs;
        if !entry.is_empty() {
            entry.empty_since = None;
            return;
        }
        entry.empty_since = Some(now.simulated);
        let epoch = entry.epoch;
        let tasks: Vec<TaskKey> = entry
            .tasks
            .iter()
            .map(|task| TaskKey::new(app, task))
            .collect();
        let lag = Millis::from(switches.channel_lag_millis);
        let event = Event::ChannelGone {
            app: app.to_owned(),
            channel: channel.to_owned(),
            epoch,
        };
        self.plan(now.simulated.saturating_add(lag), event);
        for key in tasks {
            if let Some(task) = self.tasks.get(&key) {
                let (limit, incarnation) = (task.order.idle_limit(AUTO_STOP), task.incarnation);
                let at = now.simulated.saturating_add(limit);
                self.plan(
                    at,
                    Event::AutoStop {
                        key,
                        incarnation,
                        epoch,
                    },
                );
            }
        }
    }

    /// Lets users join a channel.
    pub fn join(
        &mut self,
        now: Moment,
        switches: &Switches,
        app: &str,
        channel: &str,
        joining: BTreeSet<String>,
    ) {
        let key = (app.to_owned(), channel.to_owned());
        let (mut users, viewers) = self
            .channels
            .get(&key)
            .map(|channel| (channel.users.clone(), channel.viewers.clone()))
            .unwrap_or_default();
        users.extend(joining);
        self.set_users(now, switches, app, channel, users, viewers);
    }

    /// A channel, as callers are told.
    pub fn channel(
        &self,
        now: Moment,
        switches: &Switches,
        app: &str,
        channel: &str,
    ) -> ChannelState {
        let lag = Millis::from(switches.channel_lag_millis);
        match self.channels.get(&(app.to_owned(), channel.to_owned())) {
            Some(channel) => ChannelState {
                exists: channel.exists(now.simulated, lag),
                users: channel.users.iter().cloned().collect(),
                viewers: channel.viewers.iter().cloned().collect(),
            },
            None => ChannelState {
                exists: false,
                users: Vec::new(),
                viewers: Vec::new(),
            },
        }
    }

    /// The channels of an application that exist, by id.
    pub fn rooms(&self, now: Moment, switches: &Switches, app: &str) -> Vec<&str> {
        let lag = Millis::from(switches.channel_lag_millis);
        self.channels
            .range((app.to_owned(), String::new())..)
            .take_while(|((of, _), _)| of == app)
            .filter(|(_, channel)| channel.exists(now.simulated, lag))
            .map(|((_, id), _)| id.as_str())
            .collect()
    }
}
