//! Kubernetes events: best effort, through a paced queue that delays nothing. A failed event fails nothing.

use crate::metrics::{EventResult, Metrics};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// How many may wait; more are dropped and counted.
const WAITING: usize = 256;
/// Between two events.
const PACE: Duration = Duration::from_millis(100);
/// The API's bound on the note, in bytes.
const LONGEST_NOTE: usize = 1024;

/// An event about one object.
#[derive(Clone, Debug)]
pub struct Note {
    /// The object.
    pub about: ObjectReference,
    /// Somebody should have a look.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// What happened.
    pub text: String,
}

/// Takes events without ever waiting.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<Note>,
    metrics: Arc<Metrics>,
}

impl Events {
    /// Starts the queue. It ends when every handle is dropped.
    #[must_use]
    pub fn start(client: Client, metrics: Arc<Metrics>, deadline: Duration) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Note>(WAITING);
        let counted = metrics.clone();
        tokio::spawn(async move {
            let reporter = Reporter {
                controller: "mixed-stream-operator".to_owned(),
                instance: std::env::var("POD_NAME")
                    .ok()
                    .filter(|name| !name.is_empty()),
            };
            let recorder = Recorder::new(client, reporter);
            while let Some(note) = waiting.recv().await {
                let event = Event {
                    type_: if note.warning {
                        EventType::Warning
                    } else {
                        EventType::Normal
                    },
                    reason: note.reason.to_owned(),
                    note: Some(shortened(&note.text)),
                    action: note.reason.to_owned(),
                    secondary: None,
                };
                let sent =
                    tokio::time::timeout(deadline, recorder.publish(&event, &note.about)).await;
                if matches!(sent, Ok(Ok(()))) {
                    counted.event(EventResult::Sent);
                } else {
                    counted.event(EventResult::Failed);
                    tracing::debug!(reason = note.reason, "an event could not be stored");
                }
                tokio::time::sleep(PACE).await;
            }
        });
        Self { queue, metrics }
    }

    /// Puts an event into the queue, or drops it where the queue is full.
    pub fn tell(&self, note: Note) {
        if self.queue.try_send(note).is_err() {
            self.metrics.event(EventResult::Dropped);
        }
    }
}

fn shortened(text: &str) -> String {
    let end = (0..=text.len().min(LONGEST_NOTE))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or_default();
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_at_the_bound_and_between_characters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"主".repeat(400)).len(), 1023);
    }
}
