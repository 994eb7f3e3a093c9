//! The candidates for answers that nobody has seen yet (dossier 11).

use serde::{Deserialize, Serialize};

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

/// What Start answers for the id of a running task (dossier 11, question 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartExists {
    /// `InvalidParam`, "The task already exists."
    TaskAlreadyExists,
    /// `InvalidParam`, "The `TaskId` is duplicated."
    TaskIdDuplicated,
    /// `TaskAlreadyExist` with 400.
    TaskAlreadyExist,
    /// `TaskExisted` with 400.
    TaskExisted400,
    /// `TaskExisted` with 200, as the older product's documents have it.
    TaskExisted200,
}

impl StartExists {
    /// The refusal.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::TaskAlreadyExists => Refusal::invalid_param("The task already exists"),
            Self::TaskIdDuplicated => Refusal::invalid_param("The TaskId is duplicated"),
            Self::TaskAlreadyExist => {
                Refusal::new(400, "TaskAlreadyExist", "The task already exists.")
            }
            Self::TaskExisted400 => Refusal::new(400, "TaskExisted", "The task existed."),
            Self::TaskExisted200 => Refusal::new(200, "TaskExisted", "The task existed."),
        }
    }
}

/// What Start answers for the id of a stopped task that is not cleared yet (dossier 11, question 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartNotCleared {
    /// `InvalidParam`, "The task already exists, it is not cleared yet."
    NotClearedYet,
    /// The same as for a running task.
    AsExists,
}

impl StartNotCleared {
    /// The refusal.
    pub fn refusal(self, exists: StartExists) -> Refusal {
        match self {
            Self::NotClearedYet => {
                Refusal::invalid_param("The task already exists, it is not cleared yet")
            }
            Self::AsExists => exists.refusal(),
        }
    }
}

/// What Start answers where nobody is in the channel (dossier 11, question 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChannelAbsent {
    /// `InvalidParam`, "The channel does not exist."
    ChannelDoesNotExist,
    /// `InvalidParam`, "no user in the channel."
    NoUserInTheChannel,
    /// `ChannelNotExist` with 400.
    ChannelNotExist,
    /// `InvalidParam`, "parameter verification failed."
    VerificationFailed,
}

impl ChannelAbsent {
    /// The refusal.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::ChannelDoesNotExist => Refusal::invalid_param("The channel does not exist"),
            Self::NoUserInTheChannel => Refusal::invalid_param("no user in the channel"),
            Self::ChannelNotExist => {
                Refusal::new(400, "ChannelNotExist", "The channel does not exist.")
            }
            Self::VerificationFailed => Refusal::invalid_param("parameter verification failed"),
        }
    }
}

/// What Update answers for an unknown or stopped task (dossier 11, question 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UpdateGone {
    /// `InvalidParam`, "The task does not exist."
    TaskDoesNotExist,
    /// `InvalidParam`, "parameter verification failed."
    VerificationFailed,
    /// HTTP 200, and nothing has changed.
    Ok,
    /// HTTP 500.
    InternalError,
}

impl UpdateGone {
    /// The refusal, or none for 200.
    pub fn refusal(self) -> Option<Refusal> {
        match self {
            Self::TaskDoesNotExist => Some(Refusal::invalid_param("The task does not exist")),
            Self::VerificationFailed => {
                Some(Refusal::invalid_param("parameter verification failed"))
            }
            Self::Ok => None,
            Self::InternalError => Some(Refusal::internal()),
        }
    }
}

/// What Start answers where as many tasks run as may (dossier 11, question 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskQuotaExceeded {
    /// `QuotaExceeded` with 400.
    QuotaExceeded,
    /// `InvalidParam`, "the number of tasks exceeds the limit."
    NumberExceedsLimit,
}

impl TaskQuotaExceeded {
    /// The refusal.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::QuotaExceeded => Refusal::new(
                400,
                "QuotaExceeded",
                "The quota of tasks of this application is exceeded.",
            ),
            Self::NumberExceedsLimit => {
                Refusal::invalid_param("the number of tasks exceeds the limit")
            }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;

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
