//! What the switches offer where the service's own answer is not known (dossier 11).

use serde_json::json;

use super::{Call, Case, Expected, Order, Vendor, actions, error};

/// The values of a switch, and what each makes the call's answer.
type Values = [(&'static str, Expected)];

const fn invalid(words: &'static str) -> Expected {
    Expected::Error(400, "InvalidParam", words)
}

const STOP_GONE: &Values = &[
    ("ok", Expected::Body("")),
    ("taskDoesNotExist", invalid("The task does not exist.")),
    ("noSuchTask", invalid("no such task.")),
    (
        "channelDoesNotExist",
        invalid("The channel does not exist."),
    ),
    (
        "verificationFailed",
        invalid("parameter verification failed."),
    ),
    ("internalError", error(500, "InternalError")),
    ("notFoundTask400", error(400, "NotFound.Task")),
    ("notFoundTask404", error(404, "NotFound.Task")),
    ("invalidTaskNotFound400", error(400, "InvalidTask.NotFound")),
    ("invalidTaskNotFound404", error(404, "InvalidTask.NotFound")),
];

const START_EXISTS: &Values = &[
    ("taskAlreadyExists", invalid("The task already exists.")),
    ("taskIdDuplicated", invalid("The TaskId is duplicated.")),
    ("taskAlreadyExist", error(400, "TaskAlreadyExist")),
    ("taskExisted400", error(400, "TaskExisted")),
    ("taskExisted200", Expected::Body("TaskExisted")),
];

const START_NOT_CLEARED: &Values = &[
    ("notClearedYet", invalid("not cleared yet.")),
    ("asExists", invalid("The task already exists.")),
];

const CHANNEL_ABSENT: &Values = &[
    (
        "channelDoesNotExist",
        invalid("The channel does not exist."),
    ),
    ("noUserInTheChannel", invalid("no user in the channel.")),
    ("channelNotExist", error(400, "ChannelNotExist")),
    (
        "verificationFailed",
        invalid("parameter verification failed."),
    ),
];

const QUOTA_EXCEEDED: &Values = &[
    ("quotaExceeded", error(400, "QuotaExceeded")),
    ("numberExceedsLimit", invalid("exceeds the limit")),
];

const UPDATE_GONE: &Values = &[
    ("taskDoesNotExist", invalid("The task does not exist.")),
    (
        "verificationFailed",
        invalid("parameter verification failed."),
    ),
    ("ok", Expected::Body("")),
    ("internalError", error(500, "InternalError")),
];

const LIST_GONE: &Values = &[
    ("empty", Expected::Body("")),
    ("invalidParam", invalid("The task does not exist.")),
    ("internalError", error(500, "InternalError")),
];

/// Every value of every switch.
pub fn cases(vendor: Vendor) -> Vec<Case> {
    let (start, update) = ("StartLiveMPUTask", "UpdateLiveMPUTask");
    let (stop, list) = ("StopLiveMPUTask", "ListRtcMPUTaskDetail");
    let stopped = [Order::StoppedTask];
    let resting = [Order::StoppedTask, Order::User];
    [
        of(vendor, stop, "stopGone", &[], STOP_GONE),
        of(vendor, stop, "stopGone", &stopped, STOP_GONE),
        of(vendor, start, "startExists", &[Order::Task], START_EXISTS),
        of(
            vendor,
            start,
            "startNotCleared",
            &resting,
            START_NOT_CLEARED,
        ),
        of(vendor, start, "channelAbsent", &[], CHANNEL_ABSENT),
        of(
            vendor,
            start,
            "taskQuotaExceeded",
            &[Order::User],
            QUOTA_EXCEEDED,
        ),
        of(vendor, update, "updateGone", &[], UPDATE_GONE),
        of(vendor, update, "updateGone", &stopped, UPDATE_GONE),
        of(vendor, list, "listGone", &[], LIST_GONE),
        of(vendor, list, "listGone", &stopped, LIST_GONE),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of(
    vendor: Vendor,
    action: &'static str,
    switch: &str,
    before: &[Order],
    values: &Values,
) -> Vec<Case> {
    let (_, parameters) = actions()
        .into_iter()
        .find(|(known, _)| *known == action)
        .unwrap();
    let call = Call::new(vendor, action, parameters);
    let case = |(value, expected): &(&str, Expected)| {
        let mut switches = json!({ switch: value });
        if switch == "taskQuotaExceeded" {
            switches["taskQuota"] = json!({"single": 0, "mixed": 0});
        }
        let orders = [&[Order::Switches(switches)], before].concat();
        Case::new(format!("{switch}: {value}"), &orders, &call, expected)
    };
    values.iter().map(case).collect()
}
