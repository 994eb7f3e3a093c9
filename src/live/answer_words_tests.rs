//! What Start and Update say in words, or by codes that nothing documents for them.

use super::*;

/// What Start says under `InvalidParam` (dossier 0.5, 0.6, 3.1.5): nobody knows the service's own texts, so that many are understood.
#[test]
fn the_words_of_start() {
    for (class, texts) in [
        (
            Class::ChannelAbsent,
            &[
                "The channel does not exist",
                "channel not exist.",
                "Channel room-42 not found",
                "No such channel",
                "channelId does not exist, please check",
                "The channel is empty",
                "There is no user in the channel",
                "Nobody is in the channel",
                "The channel doesn't exist",
            ][..],
        ),
        (
            Class::TaskExists,
            &[
                "The task already exists",
                "TaskId already exist.",
                "task existed",
                "Task final-42 already existed in channel room-42",
                "the task exists",
                "Duplicate task id",
            ],
        ),
        (
            Class::NotCleared,
            &[
                "The task already exists, it is not cleared yet",
                "task has not been cleared",
                "The task is being cleared",
                "The task hasn't been cleared",
                "the old task is still clearing",
            ],
        ),
        (
            Class::OutputBusy,
            &[
                "The StreamURL is used by another task",
                "The StreamURL was used by a task that stopped less than 10 seconds ago",
                "StreamURL is in use",
                "StreamURL already exists in another task.",
                "The url is being used",
                "The stream is occupied",
                "stream url must not be reused within 10s",
            ],
        ),
        (
            Class::QuotaExceeded,
            &[
                "The number of tasks exceeds the limit",
                "Exceeded the maximum number of mixed tasks",
                "task quota exceeded",
                "Too many tasks",
                "The limit of 40 tasks is reached",
            ],
        ),
        (
            Class::RequestRejected,
            &[
                "TranscodeParams.EncodeParams.VideoWidth is missing",
                "MultiStreamURL names an address twice",
                "StreamURL must be an RTMP address of at most 2048 characters",
                "The length of TaskId exceeds the limit",
                "TaskId must have at most 55 characters",
                "ChannelId is illegal",
                "UserId is missing",
                "The user does not exist",
                "parameter verification failed",
                "",
            ],
        ),
    ] {
        for text in texts {
            assert_class(&[Call::Start], 400, Some("InvalidParam"), text, class);
        }
    }
}

#[test]
fn the_words_of_update() {
    for (class, texts) in [
        (
            Class::NotFoundLike,
            &[
                "The task does not exist",
                "task not found.",
                "no such task",
                "The channel does not exist",
                "Channel not found",
            ][..],
        ),
        (
            Class::OutputBusy,
            &[
                "The StreamURL is used by another task",
                "The StreamURL was used by a task that stopped less than 10 seconds ago",
            ],
        ),
        (
            Class::RequestRejected,
            &[
                "ChannelId is not that of the task",
                "The task already exists",
                "quota of tasks exceeded",
                "parameter verification failed",
                "",
            ],
        ),
    ] {
        for text in texts {
            assert_class(&[Call::Update], 400, Some("InvalidParam"), text, class);
        }
    }
}

/// Codes that nothing documents for Start; an older edition sends one of them with HTTP 200 (dossier 2.1).
#[test]
fn codes_of_start() {
    for (status, code, expected) in [
        (200, "TaskExisted", Class::TaskExists),
        (400, "TaskExisted", Class::TaskExists),
        (400, "TaskAlreadyExist", Class::TaskExists),
        (409, "InvalidTask.AlreadyExists", Class::TaskExists),
        (400, "DuplicateTask", Class::TaskExists),
        (400, "TaskNotExist", Class::RequestRejected),
        (400, "ChannelNotExist", Class::ChannelAbsent),
        (404, "InvalidChannel.NotFound", Class::ChannelAbsent),
        (400, "TaskNotCleared", Class::NotCleared),
        (403, "QuotaExceeded", Class::QuotaExceeded),
        (400, "QuotaExceeded.MPUTask", Class::QuotaExceeded),
        (400, "TaskNumExceed", Class::QuotaExceeded),
        (400, "OverTaskLimit", Class::QuotaExceeded),
        (400, "Throttling.Quota", Class::Throttled),
        (400, "QpsLimitExceeded", Class::Throttled),
        (400, "FlowLimit", Class::Throttled),
        (400, "InvalidVideoFramerate", Class::RequestRejected),
    ] {
        assert_class(&[Call::Start], status, Some(code), "words", expected);
    }
    let words = "The task already exists: the channel does not exist, 10 seconds, quota";
    for (status, code, expected) in [
        (500, "InternalError", Class::InternalError),
        (503, "ServiceUnavailable", Class::ServiceUnavailable),
        (403, "Forbidden", Class::AccessDenied),
        (400, "InvalidAppId", Class::AppIdRejected),
        (400, "MissingParam", Class::RequestRejected),
        (500, "NeverSeenBefore", Class::ServiceUnavailable),
    ] {
        assert_class(
            &[Call::Start, Call::Update],
            status,
            Some(code),
            words,
            expected,
        );
    }
}
