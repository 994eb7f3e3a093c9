//! Where the real answer is unknown, each candidate is a switch; and how fast the service is.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::reply::Refusal;

/// What Stop answers for an unknown or stopped task (dossier 11, question 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StopGone {
    /// HTTP 200.
    Ok,
    /// `InvalidParam`, "The task does not exist."
    TaskDoesNotExist,
    /// `InvalidParam`, "no such task."
    NoSuchTask,
    /// `InvalidParam`, "The channel does not exist."
    ChannelDoesNotExist,
    /// `InvalidParam`, "parameter verification failed."
    VerificationFailed,
    /// HTTP 500.
    InternalError,
    /// `NotFound.Task` with 400.
    NotFoundTask400,
    /// `NotFound.Task` with 404.
    NotFoundTask404,
    /// `InvalidTask.NotFound` with 400.
    InvalidTaskNotFound400,
    /// `InvalidTask.NotFound` with 404.
    InvalidTaskNotFound404,
}

impl StopGone {
    /// The refusal, or none for 200.
    pub fn refusal(self) -> Option<Refusal> {
        let not_found = |status, code| Some(Refusal::new(status, code, "no such task"));
        match self {
            Self::Ok => None,
            Self::TaskDoesNotExist => Some(Refusal::invalid_param("The task does not exist")),
            Self::NoSuchTask => Some(Refusal::invalid_param("no such task")),
            Self::ChannelDoesNotExist => Some(Refusal::invalid_param("The channel does not exist")),
            Self::VerificationFailed => {
                Some(Refusal::invalid_param("parameter verification failed"))
            }
            Self::InternalError => Some(Refusal::internal()),
            Self::NotFoundTask400 => not_found(400, "NotFound.Task"),
            Self::NotFoundTask404 => not_found(404, "NotFound.Task"),
            Self::InvalidTaskNotFound400 => not_found(400, "InvalidTask.NotFound"),
            Self::InvalidTaskNotFound404 => not_found(404, "InvalidTask.NotFound"),
        }
    }
}

/// What the list answers for an id that it does not know (dossier 11, question 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListGone {
    /// An empty list.
    Empty,
    /// `InvalidParam`.
    InvalidParam,
    /// HTTP 500.
    InternalError,
}

/// How a call over quota is answered (dossier 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Excess {
    /// `Throttling.User` with 400.
    Throttling400,
    /// `Throttling.User` with 429.
    Throttling429,
    /// `Throttling.User` with 503.
    Throttling503,
    /// The connection is closed.
    Close,
    /// No answer until the client leaves.
    Drop,
}

/// When the quota counts a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CountAt {
    /// When it arrives.
    Arrival,
    /// At the last moment before its effect and reply.
    Reply,
    /// At a random moment in between.
    Random,
}

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr,)*) => {
        /// All switches. The names on the wire are these in camelCase.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Switches {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for Switches {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// New values for some of the switches.
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct SwitchesPatch {
            $(#[serde(default, deserialize_with = "given")] $name: Option<$type>,)*
        }

        impl Switches {
            /// Sets the given ones.
            pub fn apply(&mut self, patch: SwitchesPatch) {
                $(if let Some(value) = patch.$name { self.$name = value; })*
            }
        }
    };
}

/// A field that is there, be it null.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

switches! {
    /// What Stop answers for an unknown or stopped task.
    stop_gone: StopGone = StopGone::TaskDoesNotExist,
    /// What the list answers for an id that it does not know.
    list_gone: ListGone = ListGone::Empty,
    /// Stopped tasks stay listed.
    list_shows_stopped: bool = false,
    /// How far the list is behind, in simulated seconds.
    list_lag_seconds: u32 = 0,
    /// Real milliseconds before each reply.
    latency_millis: u32 = 0,
    /// How a call over quota is answered.
    excess: Excess = Excess::Throttling400,
    /// `x-acs-retry-after` with it, in milliseconds.
    excess_retry_after_millis: Option<u64> = None,
    /// When the quota counts a call.
    count_at: CountAt = CountAt::Arrival,
    /// How long a stopped task's id cannot be started again, in simulated milliseconds.
    clear_millis: u32 = 10_000,
    /// How long an emptied channel still exists, in simulated milliseconds.
    channel_lag_millis: u32 = 5_000,
}

impl Switches {
    /// The list's lag.
    pub fn list_lag(&self) -> Millis {
        Millis::from(self.list_lag_seconds) * 1000
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_names() {
        let mut switches = Switches::default();
        switches.apply(
            serde_json::from_str(r#"{"stopGone": "noSuchTask", "excessRetryAfterMillis": 700}"#)
                .unwrap(),
        );
        assert_eq!(switches.stop_gone, StopGone::NoSuchTask);
        assert_eq!(switches.excess_retry_after_millis, Some(700));
        assert_eq!(switches.list_gone, ListGone::Empty);
        switches.apply(serde_json::from_str(r#"{"excessRetryAfterMillis": null}"#).unwrap());
        assert_eq!(switches.excess_retry_after_millis, None);
        assert!(serde_json::from_str::<SwitchesPatch>(r#"{"stopgone": "ok"}"#).is_err());
    }

    #[test]
    fn every_word_of_the_page_is_one() {
        let words = [
            "ok",
            "taskDoesNotExist",
            "noSuchTask",
            "channelDoesNotExist",
            "verificationFailed",
            "internalError",
            "notFoundTask400",
            "notFoundTask404",
            "invalidTaskNotFound400",
            "invalidTaskNotFound404",
        ];
        for word in words {
            let parsed: StopGone = serde_json::from_value(serde_json::json!(word)).unwrap();
            assert_eq!(parsed.refusal().is_none(), word == "ok", "{word}");
        }
    }
}
