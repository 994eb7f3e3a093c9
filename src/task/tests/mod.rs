//! The pure half of the controller, driven through whole lives by a clock that the test owns.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::unchecked_time_subtraction,
    clippy::option_option,
    clippy::struct_excessive_bools,
    clippy::match_same_arms,
    reason = "a test stops at the first surprise, and a table says each case by itself"
)]

mod access;
mod alive;
mod answers;
mod crowd;
mod deletion;
mod empty_channel;
mod explorer;
mod observatory;
mod ownership;
mod pace;
mod relay;
mod secrets;
mod views;
mod writes;

use super::{
    access::{Keys, Recorded},
    evidence::{Answer, Call, Evidence, Sighting},
    memory::{Bought, Memory, MemoryTurn, Sent},
    ownership::{Rival, Standing},
    plan::{Facts, Step, Wanted, plan},
    retry::{Moment, Paces},
    seen::{Fault, Seen},
    verdict::Verdict,
    view::View,
};
use crate::live::{ChannelId, Class};
use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::{Value, json};
use std::time::Duration;

pub const SECOND: Duration = Duration::from_secs(1);

/// The object of the README: armed, with the claim recorded.
pub fn armed() -> Value {
    json!({
        "apiVersion": "mixedstream.io/v1alpha1",
        "kind": "MixedStreamTask",
        "metadata": {
            "namespace": "team-a", "name": "final-42", "uid": "uid-1", "resourceVersion": "10", "generation": 1,
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "finalizers": ["mixedstream.io/stop-task"]
        },
        "spec": {"appId": "app-01", "taskId": "final-42"},
        "status": {
            "observedGeneration": 1, "phase": "Armed", "taskId": "final-42",
            "claim": {"at": "2026-01-02T03:04:06Z"},
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Armed", "observedGeneration": 1,
                "lastTransitionTime": "2026-01-02T03:04:06Z",
                "message": "The task will be stopped when this object is deleted."
            }]
        }
    })
}

/// The same, with its deletion asked for.
pub fn deleting() -> Value {
    changed(
        armed(),
        "/metadata",
        json!({"deletionTimestamp": "2026-01-02T04:00:00Z", "generation": 2}),
    )
}

/// `object` with the members of `part` put in at `place`; a null member takes one out.
pub fn changed(mut object: Value, place: &str, part: Value) -> Value {
    let Value::Object(part) = part else {
        panic!("not an object: {part}")
    };
    let target = object
        .pointer_mut(place)
        .and_then(Value::as_object_mut)
        .unwrap();
    for (name, value) in part {
        if value.is_null() {
            target.remove(&name);
        } else {
            target.insert(name, value);
        }
    }
    object
}

pub fn view(object: Value) -> View {
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    View::read(&object, "mso").unwrap()
}

pub fn failed(class: Class) -> Answer {
    Answer::Failed {
        class,
        words: "words of the service".to_owned(),
        says_gone: false,
        may_act: matches!(
            class,
            Class::ServiceUnavailable | Class::InternalError | Class::NonceUsed
        ),
        retry_after: None,
    }
}

pub fn accepted() -> Answer {
    Answer::Accepted {
        request_id: "REQUEST".to_owned(),
    }
}

pub fn shown(max_idle: Option<Duration>) -> Sighting {
    Sighting {
        channel: Some(ChannelId::try_from("room-42").unwrap()),
        max_idle,
        mix_mode: Some("0".to_owned()),
        outputs: Some(vec!["aaaa".to_owned()]),
    }
}

/// One object and the operator's memory of it.
pub struct Life {
    pub view: View,
    pub standing: Standing,
    pub output_taken: Option<Rival>,
    pub allowed: bool,
    pub keys: Keys,
    /// What a claim says of the account.
    pub account: Option<String>,
    pub wanted: Wanted,
    pub seen: Seen,
    pub cool_until: Duration,
    pub memory: Memory,
    pub paces: Paces,
    /// Since the process started.
    pub now: Duration,
    /// When the process started, since the epoch.
    pub booted: Duration,
    pub jitter: f64,
    /// Calls, with their time.
    pub calls: Vec<(Duration, Call)>,
    /// Verdicts written, with their time.
    pub told: Vec<(Duration, Verdict)>,
}

impl Life {
    pub fn of(object: Value) -> Self {
        Self {
            view: view(object),
            standing: Standing::Holder,
            output_taken: None,
            allowed: true,
            keys: Keys::Given,
            account: None,
            wanted: Wanted::Nothing,
            seen: Seen::default(),
            cool_until: Duration::ZERO,
            memory: Memory::default(),
            paces: Paces::default(),
            now: Duration::ZERO,
            booted: Duration::ZERO,
            jitter: 0.5,
            calls: Vec::new(),
            told: Vec::new(),
        }
    }

    pub fn moment(&self) -> Moment {
        Moment {
            mono: self.now,
            wall: Timestamp::UNIX_EPOCH + self.booted + self.now,
        }
    }

    pub fn step(&self) -> Step {
        let recorded = Recorded {
            account: self.account.clone(),
            key: None,
        };
        let facts = Facts {
            view: &self.view,
            standing: &self.standing,
            output_taken: self.output_taken.as_ref(),
            allowed: self.allowed,
            keys: &self.keys,
            recorded: &recorded,
            wanted: &self.wanted,
            seen: &self.seen,
            cool_until: self.cool_until,
        };
        plan(facts, &self.memory, &self.paces, self.moment())
    }

    /// Lives until `until`, or until the finalizer goes: on which evidence.
    pub fn run(
        &mut self,
        until: Duration,
        mut service: impl FnMut(&Call, Duration) -> Answer,
    ) -> Option<Evidence> {
        for _ in 0..100_000 {
            match self.step() {
                Step::Release(evidence) => return Some(evidence),
                Step::Guard => panic!("a deleted object cannot be guarded"),
                Step::Record(verdict) => self.record(*verdict),
                Step::Learn(ledger) => self.memory.learn(*ledger),
                Step::Look => self.memory.asked = Some(self.now),
                Step::Call { call, bought } => {
                    let answer = service(&call, self.now);
                    self.answer(call, answer, bought);
                }
                Step::Rest(Some(at)) if at <= until => {
                    assert!(at > self.now, "a rest that ends at once is a busy loop");
                    self.now = at;
                }
                Step::Rest(_) => {
                    self.now = until;
                    return None;
                }
            }
        }
        panic!("no end of calls at {:?}: {:#?}", self.now, self.memory);
    }

    pub fn record(&mut self, verdict: Verdict) {
        self.memory.recording(&verdict, &self.view);
        self.memory.recorded(&verdict);
        self.view.status = verdict.status(&self.view, &[], self.moment().wall);
        self.told.push((self.now, verdict));
    }

    pub fn answer(&mut self, call: Call, answer: Answer, bought: Option<String>) {
        let now = self.moment();
        let mut turn = MemoryTurn {
            generation: self.view.generation,
            paces: &self.paces,
            now,
            jitter: self.jitter,
            bought: bought.is_some(),
        };
        if call == Call::Start {
            self.memory.sending_start();
        }
        let carried = match &self.wanted {
            Wanted::Known(wanted) if matches!(call, Call::Start | Call::Update) => Some(Sent {
                hash: wanted.hash.clone(),
                generation: self.view.generation,
            }),
            _ => None,
        };
        let sent = (self.now, carried);
        self.memory
            .absorb(&call, answer, &self.view, sent, &mut turn);
        if let Some(value) = bought {
            self.memory.bought = Some(Bought {
                value,
                at: now.mono,
            });
        }
        self.calls.push((self.now, call));
    }

    pub fn stops(&self) -> Vec<Duration> {
        let stops = self
            .calls
            .iter()
            .filter(|(_, call)| matches!(call, Call::Stop { .. }));
        stops.map(|(at, _)| *at).collect()
    }

    pub fn last_message(&self) -> &str {
        self.told
            .last()
            .map_or("", |(_, verdict)| verdict.message.as_str())
    }
}
