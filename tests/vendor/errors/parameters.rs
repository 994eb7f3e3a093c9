//! What is wrong with the parameters, or with the state that they meet.

use serde_json::{Value, json};

use super::{APP, Call, Case, Expected, Order, URL, Vendor, error, single};

/// What it is, the parameters, and what they are answered with.
type Wrong = (&'static str, Value, Expected);

/// Every case.
pub fn cases(vendor: Vendor) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut all = |action, orders: &[Order], wrongs: Vec<Wrong>| {
        for (what, parameters, expected) in wrongs {
            let call = Call::new(vendor, action, parameters);
            cases.push(Case::new(what, orders, &call, &expected));
        }
    };
    let other = || start(&json!({"TaskId": "u"}));
    let (starts, updates) = ("StartLiveMPUTask", "UpdateLiveMPUTask");
    let resting = [Order::StoppedTask, Order::User];
    let in_use = invalid("used by another task");
    let rests = invalid("less than 10 seconds");
    all(starts, &[Order::User], of_start());
    all(
        starts,
        &[Order::Task],
        vec![("an output in use", other(), in_use)],
    );
    all(
        starts,
        &resting,
        vec![("an output that rests", other(), rests)],
    );
    all(updates, &[Order::Task], of_update());
    all("StopLiveMPUTask", &[], of_stop());
    all("ListRtcMPUTaskDetail", &[], of_the_list());
    all("DescribeChannelUsers", &[], of_the_channel());
    all("ListRTCLiveRooms", &[], of_the_rooms());
    cases
}

const fn invalid(words: &'static str) -> Expected {
    Expected::Error(400, "InvalidParam", words)
}

#[rustfmt::skip]
fn of_start() -> Vec<Wrong> {
    let wrong = |what, changes: Value, words| (what, start(&changes), invalid(words));
    let missing = |what, changes: Value| (what, start(&changes), error(400, "MissingParam"));
    vec![
        wrong("a bad task id", json!({"TaskId": "a b"}), "TaskId"),
        wrong("a long task id", json!({"TaskId": "x".repeat(56)}), "TaskId"),
        wrong("a bad channel", json!({"ChannelId": "a/b"}), "ChannelId"),
        wrong("a bad mode", json!({"MixMode": "2"}), "MixMode"),
        wrong("a bad region", json!({"Region": "ap-southeast-1"}), "Region"),
        wrong("too short an idle time", json!({"MaxIdleTime": "9"}), "MaxIdleTime"),
        wrong("an output that is none", json!({"StreamURL": "http://h/x"}), "RTMP"),
        wrong("both kinds of outputs", json!({"MultiStreamURL": [{"URL": URL}]}), "exclude"),
        wrong("an output named twice", json!({"StreamURL": null, "MultiStreamURL": [{"URL": URL}, {"URL": URL}]}), "twice"),
        wrong("the other mode's parameters", json!({"MixMode": "1"}), "SingleSubParams"),
        missing("no task id", json!({"TaskId": null})),
        missing("no output", json!({"StreamURL": null})),
        missing("no mode", json!({"MixMode": null})),
    ]
}

fn of_update() -> Vec<Wrong> {
    let moved = start(&json!({"ChannelId": "d"}));
    let nobody = start(&json!({"SingleSubParams": {}}));
    vec![
        ("another channel", moved, invalid("ChannelId")),
        ("no user", nobody, invalid("UserId")),
    ]
}

fn of_stop() -> Vec<Wrong> {
    let bad = json!({"AppId": APP, "TaskId": "a.b"});
    let none = json!({"AppId": APP});
    vec![
        ("a bad task id", bad, invalid("TaskId")),
        ("no task id", none, error(400, "MissingParam")),
    ]
}

fn of_the_list() -> Vec<Wrong> {
    let page = |number: u32, size: u32| json!({"AppId": APP, "PageNo": number, "PageSize": size});
    vec![
        ("no page", json!({"AppId": APP}), error(400, "MissingParam")),
        ("too large a page", page(1, 101), invalid("PageSize")),
        ("page 0", page(0, 100), invalid("PageNo")),
    ]
}

fn of_the_channel() -> Vec<Wrong> {
    let bad = json!({"AppId": APP, "ChannelId": "a b"});
    let none = json!({"AppId": APP});
    vec![
        ("a bad channel", bad, invalid("ChannelId")),
        ("no channel", none, error(400, "MissingParam")),
    ]
}

fn of_the_rooms() -> Vec<Wrong> {
    let small = json!({"AppId": APP, "PageNo": 1, "PageSize": 9});
    vec![("too small a page", small, error(400, "InputInvalid"))]
}

/// The least that Start takes with these members, without those that are null.
fn start(changes: &Value) -> Value {
    let mut parameters = single();
    let members = parameters.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    parameters
}
