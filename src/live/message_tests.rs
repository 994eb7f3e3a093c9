#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;

fn gone(message: &str, app: &str, task: &str) -> bool {
    says_task_is_gone(
        message,
        &AppId::try_from(app).unwrap(),
        &TaskId::try_from(task).unwrap(),
    )
}

#[test]
fn messages_that_say_so() {
    for message in [
        "task not exist",
        "Task not found.",
        "no such task",
        "The specified task does not exist.",
        "TASK DOES NOT EXIST",
        "TaskNotExist",
        "InvalidParam: TaskId not exist.",
        "The MPUTask final-42 was not found.",
        "task final-42 does not exist",
        "final-42: task not exist, please check and try again later.",
        "app-01/final-42 task not exist",
        "[app-01] task_id=final-42 not found",
        "Please check. The mpu task is not found",
        "tasks not existed",
    ] {
        assert!(gone(message, "app-01", "final-42"), "{message}");
    }
}

#[test]
fn messages_that_do_not() {
    for message in [
        "",
        "%s.",
        "InvalidParam",
        "channel not exist",
        "task not exist because its channel does not exist",
        "no such task or no such user",
        "The AppId of the task is not found",
        "application not found, task cannot be stopped",
        "app not exist: task final-42",
        "app_id not found for task",
        "appid not found for task",
        "ChannelNotExist task",
        "RTCChannel not found; no such task",
        "the room of the task does not exist",
        "The task is running",
        "task final-42 is in an invalid state",
        "The region is not found. The task runs on",
        "no task",
        "not a task that exists",
        "task found, not existing twice",
        "multitasking not found",
        "final-42 not found",
        "parameter not found",
        "404 page not found",
    ] {
        assert!(!gone(message, "app-01", "final-42"), "{message}");
    }
}

#[test]
fn an_echoed_id_proves_nothing_and_hides_nothing() {
    for (message, app, task, expected, why) in ECHOES {
        assert_eq!(gone(message, app, task), expected, "{message}: {why}");
    }
}

/// Message, application, task, whether it says that the task is gone, and why.
const ECHOES: [(&str, &str, &str, bool, &str); 22] = [
    (
        "task not exist: channel_id",
        "app-01",
        "channel_id",
        false,
        "an id spelled like a parameter may be the parameter",
    ),
    (
        "task not exist: app-id",
        "app-id",
        "t-1",
        false,
        "with hyphens too",
    ),
    (
        "task user-7 not exist",
        "app-01",
        "user-7",
        true,
        "the user is part of an unmistakable id",
    ),
    (
        "task channel_1 not exist",
        "app-01",
        "channel_1",
        true,
        "so is the channel",
    ),
    (
        "task not exist in my-app",
        "my-app",
        "t-1",
        true,
        "and the application",
    ),
    (
        "TASK USER-7 NOT EXIST",
        "app-01",
        "user-7",
        true,
        "in whatever case it comes back",
    ),
    (
        "task channel not exist",
        "app-01",
        "channel",
        false,
        "a plain word may be the service's own",
    ),
    (
        "task not exist: user",
        "user",
        "t-1",
        false,
        "whichever of the ids it is",
    ),
    (
        "task user-77 not exist",
        "app-01",
        "user-7",
        false,
        "another id is not ours",
    ),
    (
        "record not found: my-task",
        "app-01",
        "my-task",
        false,
        "the id is not the service speaking of a task",
    ),
    (
        "record not found: task",
        "app-01",
        "task",
        false,
        "nor where it is a plain word",
    ),
    (
        "record not found: MyTask",
        "app-01",
        "MyTask",
        false,
        "nor in camel case",
    ),
    (
        "task MyTask not exist",
        "app-01",
        "MyTask",
        true,
        "but the service may speak of it too",
    ),
    (
        "task no-such-task is running",
        "app-01",
        "no-such-task",
        false,
        "an id cannot say that it is gone",
    ),
    (
        "task TaskNotExist is running",
        "app-01",
        "TaskNotExist",
        false,
        "in camel case neither",
    ),
    (
        "task x_no-such-task_y is running",
        "app-01",
        "no-such-task",
        false,
        "nor as part of a longer name",
    ),
    (
        "task mix-TaskNotExist is running",
        "app-01",
        "TaskNotExist",
        false,
        "whatever it is glued to",
    ),
    (
        "task not-exist-1 is running",
        "app-01",
        "not-exist-1",
        false,
        "nor with hyphens",
    ),
    (
        "task not t-1 exist",
        "app-01",
        "t-1",
        false,
        "what stood around an id does not become one phrase",
    ),
    (
        "task is not stop-not found",
        "app-01",
        "stop-not",
        false,
        "nor by being next to one",
    ),
    (
        "task-9 not exist",
        "app-01",
        "task-9",
        false,
        "here nobody but the id speaks of a task",
    ),
    (
        "app: task-9, task not exist",
        "app-01",
        "task-9",
        false,
        "an application that is no id is one",
    ),
];

#[test]
fn repeated_ids_are_left_out_unless_they_are_words() {
    let ids = ["app-01", "not-cleared", "channel", "channel_id", "room7"];
    for (message, expected) in [
        (
            "The task not-cleared already exists.",
            "The task … already exists.",
        ),
        ("[NOT-CLEARED] in app-01/room7", "[…] in …/…"),
        (
            "not-cleared-2 and xroom7 stay",
            "not-cleared-2 and xroom7 stay",
        ),
        ("The channel does not exist", "The channel does not exist"),
        ("channel_id: é not-cleared", "channel_id: é …"),
        ("", ""),
    ] {
        assert_eq!(without_ids(message, &ids), expected);
    }
}
