//! The passing of time: what is planned, and what happens when it is due.

use super::{By, Task, TaskKey, World};
use crate::clock::{Millis, Moment};
use crate::switches::Switches;

/// What is planned for later.
#[derive(Debug)]
pub enum Event {
    /// The channel has been empty for too long.
    AutoStop {
        key: TaskKey,
        incarnation: u64,
        epoch: u64,
    },
    /// A Stop that was answered before takes effect.
    LateStop {
        key: TaskKey,
        incarnation: u64,
        call: Option<u64>,
    },
    /// Outputs have cooled down.
    OutputsFree { urls: Vec<String> },
    /// The closing lag of a channel is over.
    ChannelGone {
        app: String,
        channel: String,
        epoch: u64,
    },
}

impl World {
    /// Lets everything happen that is due, in its order and at its own time. `jump`: simulated time was moved, so that all of it
    /// happens at this one real instant; otherwise real time passed along with it.
    pub fn advance(&mut self, now: Moment, jump: bool, switches: &Switches) {
        while let Some(entry) = self
            .events
            .first_entry()
            .filter(|entry| entry.key().0 <= now.simulated)
        {
            let ((at, _), event) = entry.remove_entry();
            let ago = u64::try_from(now.simulated.saturating_sub(at))
                .unwrap_or(0)
                .saturating_mul(1000);
            let monotonic = if jump {
                now.monotonic
            } else {
                now.monotonic.saturating_sub(ago)
            };
            self.happen(
                event,
                Moment {
                    simulated: at,
                    monotonic,
                },
                switches,
            );
        }
        self.listing.settle(now.simulated, switches.list_lag());
    }

    fn happen(&mut self, event: Event, at: Moment, switches: &Switches) {
        match event {
            Event::AutoStop {
                key,
                incarnation,
                epoch,
            } => {
                let channel_of = |task: &Task| (key.app.clone(), task.order.channel.clone());
                let due = self.running(&key, incarnation).is_some_and(|task| {
                    self.channels
                        .get(&channel_of(task))
                        .is_some_and(|channel| channel.epoch == epoch)
                });
                if due {
                    self.end(&key, at, switches, By::Auto, None);
                }
            }
            Event::LateStop {
                key,
                incarnation,
                call,
            } => {
                if self.running(&key, incarnation).is_some() {
                    self.end(&key, at, switches, By::Api, call);
                }
            }
            Event::OutputsFree { urls } => self.outputs.forget(&urls, at.simulated),
            Event::ChannelGone {
                app,
                channel,
                epoch,
            } => {
                let key = (app, channel);
                let gone = self.channels.get(&key).is_some_and(|channel| {
                    channel.epoch == epoch && channel.is_empty() && channel.tasks.is_empty()
                });
                if gone {
                    self.channels.remove(&key);
                }
            }
        }
    }

    pub(super) fn plan(&mut self, at: Millis, event: Event) {
        self.planned += 1;
        self.events.insert((at, self.planned), event);
    }
}
