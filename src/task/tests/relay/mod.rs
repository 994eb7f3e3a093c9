//! The planner on objects with a relay: tables of what follows from what.

mod changed;
mod doubt;
mod open;
mod running;
mod start;
mod stop;
mod taken;
mod world;

use super::*;
use crate::{
    api::{Phase, Reason},
    task::{
        plan::Parameters,
        trail::{READING_GAP, Trail},
    },
};

/// How long a Start may still be on its way.
pub const SETTLE: Duration = Duration::from_mins(1);

/// A relay with a task id of its manifest's own, protected, of which nothing was told yet.
pub fn relay() -> Value {
    let spec = json!({
        "appId": "app-01", "taskId": "final-42",
        "relay": {
            "channelId": "room-42", "outputs": [{"url": "rtmp://push.example.com/live/a"}], "single": {"userId": "host"}
        }
    });
    changed(
        armed(),
        "",
        json!({"spec": spec, "status": {"observedGeneration": -1}}),
    )
}

/// The same with the id that is made from its uid.
pub fn by_uid() -> Value {
    changed(relay(), "/spec", json!({"taskId": null}))
}

/// `object` with this story in its status, written by an earlier process or by this one.
pub fn with_story(object: Value, story: Value) -> Value {
    // The id that is made from a uid stands in the status as well.
    let task = object.pointer("/spec/taskId").cloned();
    let task = task.unwrap_or_else(|| json!("mso-uid-1"));
    let object = changed(
        object,
        "/status",
        json!({"taskId": task, "claim": {"at": "1970-01-01T00:00:00Z", "outputs": ["aaaa"]}}),
    );
    changed(object, "/status", story)
}

/// A relay that was started at the beginning of the epoch.
pub fn started(object: Value) -> Value {
    let mark = json!({"at": "1970-01-01T00:00:00Z", "generation": 1, "parametersHash": "h1"});
    with_story(
        object,
        json!({"intent": mark, "accepted": mark, "startedAt": "1970-01-01T00:00:00Z"}),
    )
}

/// A relay whose intent is recorded and whose Start has no outcome.
pub fn intended(object: Value) -> Value {
    let mark = json!({"at": "1970-01-01T00:00:00Z", "generation": 1, "parametersHash": "h1"});
    with_story(object, json!({"intent": mark}))
}

/// A relay that was stopped at the beginning of the epoch.
pub fn ended(object: Value, reason: &str) -> Value {
    let mark = json!({"at": "1970-01-01T00:00:00Z", "generation": 1, "parametersHash": "h1"});
    with_story(
        object,
        json!({"accepted": mark, "startedAt": "1970-01-01T00:00:00Z", "stoppedAt": "1970-01-01T00:00:00Z", "stopReason": reason}),
    )
}

/// With its deletion asked for.
pub fn deleted(object: Value) -> Value {
    changed(
        object,
        "/metadata",
        json!({"deletionTimestamp": "1970-01-01T00:00:00Z", "generation": 2}),
    )
}

/// Parameters by a hash, with these outputs.
pub fn parameters(hash: &str, outputs: &[&str]) -> Wanted {
    Wanted::Known(Parameters {
        hash: hash.to_owned(),
        outputs: outputs.iter().map(|&output| output.to_owned()).collect(),
    })
}

/// A refusal that certainly had no effect.
pub fn refused(class: Class) -> Answer {
    match failed(class) {
        Answer::Failed {
            words,
            says_gone,
            retry_after,
            ..
        } => Answer::Failed {
            class,
            words,
            says_gone,
            may_act: false,
            retry_after,
        },
        other => other,
    }
}

/// No answer at all.
pub fn silence() -> Answer {
    failed(Class::ServiceUnavailable)
}

/// The list shows the task, and whatever else is asked for is accepted.
pub fn accepted_where_listed(call: &Call, _at: Duration) -> Answer {
    match call {
        Call::Identify => Answer::Task(Some(shown(None))),
        _ => accepted(),
    }
}

/// What the list shows of another object's task: another channel.
pub fn another() -> Answer {
    Answer::Task(Some(Sighting {
        channel: Some(ChannelId::try_from("elsewhere").unwrap()),
        ..shown(None)
    }))
}

impl Life {
    /// A relay that wants the parameters `h1`, whose channel was just seen live.
    pub fn relay(object: Value) -> Self {
        let mut life = Self {
            wanted: parameters("h1", &["aaaa"]),
            ..Self::of(object)
        };
        life.channel(true);
        life
    }

    /// The channels are read now.
    pub fn channel(&mut self, live: bool) {
        self.seen.channel.take(self.now, live, READING_GAP);
    }

    /// Does what there is to do now.
    pub fn act(&mut self, service: impl FnMut(&Call, Duration) -> Answer) -> Option<Evidence> {
        self.run(self.now, service)
    }

    /// The same, where nothing may be called.
    pub fn be_silent(&mut self) -> Option<Evidence> {
        self.act(|call, now| panic!("{call:?} at {now:?}"))
    }

    /// The reason that was told last.
    pub fn reason(&self) -> Reason {
        self.last().reason
    }

    /// What was told last.
    pub fn last(&self) -> &Verdict {
        &self.told.last().unwrap().1
    }

    /// Every reason that was told, in order.
    pub fn reasons(&self) -> Vec<Reason> {
        self.told
            .iter()
            .map(|(_, verdict)| verdict.reason)
            .collect()
    }

    /// The events of what was told last beside the verdict.
    pub fn caveats(&self) -> Vec<&'static str> {
        let caveats = self.last().caveats.iter();
        caveats.map(|caveat| caveat.event).collect()
    }

    /// When a call like this was sent.
    pub fn sent(&self, like: &Call) -> Vec<Duration> {
        let calls = self.calls.iter().filter(|(_, call)| call == like);
        calls.map(|(at, _)| *at).collect()
    }

    /// The spec changes.
    pub fn edit(&mut self, edit: impl FnOnce(&mut View)) {
        edit(&mut self.view);
        self.view.generation += 1;
    }
}

/// Why the channels cannot be read.
pub fn fault(class: Class, words: &str) -> Fault {
    Fault {
        class,
        words: words.to_owned(),
    }
}
