#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::json;

use super::*;

fn body(value: Value) -> Object {
    serde_json::from_value(value).unwrap()
}

fn ids() -> (AppId, TaskId) {
    (
        AppId::try_from("app-01").unwrap(),
        TaskId::try_from("42").unwrap(),
    )
}

fn listed(task: &str, channel: Option<&str>, seconds: Option<u64>) -> ListedTask {
    ListedTask {
        task_id: task.to_owned(),
        channel_id: channel.map(str::to_owned),
        max_idle: seconds.map(Duration::from_secs),
        mix_mode: None,
        outputs: None,
    }
}

#[test]
fn lists_as_documented() {
    let (app, task) = ids();
    for (entry, expected) in [
        (
            json!({"AppId": "app-01", "TaskId": "42", "ChannelId": "room", "MaxIdleTime": "120"}),
            listed("42", Some("room"), Some(120)),
        ),
        (
            json!({"TaskId": 42, "MaxIdleTime": 90, "Unknown": {"a": []}}),
            listed("42", None, Some(90)),
        ),
        (
            json!({"TaskId": "42", "ChannelId": "", "MaxIdleTime": ""}),
            listed("42", None, None),
        ),
        (
            json!({"TaskId": "42", "ChannelId": 7, "MaxIdleTime": "soon"}),
            listed("42", Some("7"), Some(86_400)),
        ),
        (
            json!({"TaskId": "42", "MaxIdleTime": -1}),
            listed("42", None, Some(86_400)),
        ),
    ] {
        let answer = body(json!({"RequestId": "r", "MPUTasks": [entry]}));
        assert_eq!(one_task(&answer, &app, &task), Ok(vec![expected.clone()]));
        assert_eq!(page(&answer), Ok(vec![expected]));
    }
}

#[test]
fn a_list_of_one_task_leaves_out_the_others() {
    let (app, task) = ids();
    let answer = body(
        json!({"MPUTasks": [{"TaskId": "43", "AppId": "app-01"}, {"TaskId": "42", "AppId": "app-02"}]}),
    );
    assert!(
        one_task(&answer, &app, &task).is_err(),
        "an answer about other tasks only says nothing of this one"
    );
    assert_eq!(page(&answer).unwrap().len(), 2);
    let both = body(json!({"MPUTasks": [{"TaskId": "43"}, {"TaskId": "42"}]}));
    assert_eq!(one_task(&both, &app, &task).map(|shown| shown.len()), Ok(1));
    let answer = body(json!({"MPUTasks": []}));
    assert_eq!(one_task(&answer, &app, &task), Ok(vec![]));
}

#[test]
fn what_is_no_list_is_not_an_empty_one() {
    let (app, task) = ids();
    for answer in [
        json!({}),
        json!({"MPUTasks": null}),
        json!({"MPUTasks": ""}),
        json!({"MPUTasks": {}}),
        json!({"MPUTasks": {"MPUTask": []}}),
        json!({"mpuTasks": []}),
        json!({"MPUTasks": [null]}),
        json!({"MPUTasks": ["42"]}),
        json!({"MPUTasks": [{"AppId": "app-01"}]}),
        json!({"MPUTasks": [{"TaskId": "42"}, {"TaskId": null}]}),
    ] {
        let answer = body(answer);
        assert!(one_task(&answer, &app, &task).is_err(), "{answer:?}");
        assert!(page(&answer).is_err(), "{answer:?}");
    }
}

#[test]
fn channels() {
    for (answer, exists, interactive, viewers) in [
        (
            json!({"IsChannelExists": true, "InteractiveUserNumber": 2, "LiveUserNumber": 3, "Timestamp": 7}),
            true,
            2,
            3,
        ),
        (
            json!({"IsChannelExists": "true", "InteractiveUserNumber": "2", "LiveUserNumber": "0", "Timestamp": "7"}),
            true,
            2,
            0,
        ),
        (
            json!({"IsChannelExists": true, "InteractiveUserNumber": 0, "InteractiveUserList": ["a"], "LiveUserNumber": 0, "LiveUserList": [], "Timestamp": 7}),
            true,
            1,
            0,
        ),
        (
            json!({"IsChannelExists": false, "Timestamp": 7}),
            false,
            0,
            0,
        ),
    ] {
        assert_eq!(
            channel_users(&body(answer)),
            Ok(ChannelUsers {
                exists,
                interactive,
                viewers,
                timestamp: 7
            })
        );
    }
    for answer in [
        json!({}),
        json!({"InteractiveUserNumber": 0, "LiveUserNumber": 0, "Timestamp": 7}),
        json!({"IsChannelExists": true, "Timestamp": 7}),
        json!({"IsChannelExists": true, "InteractiveUserNumber": 0, "Timestamp": 7}),
        json!({"IsChannelExists": true, "InteractiveUserNumber": -1, "LiveUserNumber": 0, "Timestamp": 7}),
        json!({"IsChannelExists": false}),
        json!({"IsChannelExists": false, "Timestamp": "now"}),
        json!({"IsChannelExists": 1, "InteractiveUserNumber": 0, "LiveUserNumber": 0, "Timestamp": 7}),
    ] {
        let answer = body(answer);
        assert!(channel_users(&answer).is_err(), "{answer:?}");
    }
}

#[test]
fn complaints() {
    let some = |text: &str| Some(text.to_owned());
    let full = Complaint {
        code: some("InvalidParam"),
        message: some("a < b & c"),
        request_id: some("r-1"),
    };
    for answer in [
        r#"{"Code":"InvalidParam","Message":"a < b & c","RequestId":"r-1","HostId":"h","Recommend":"u","AccessDeniedDetail":{}}"#,
        r#"{"code":"InvalidParam","message":"a < b & c","requestId":"r-1"}"#,
        "<?xml version='1.0'?><Error><RequestId>r-1</RequestId><Code> InvalidParam</Code><Message>a &lt; b &amp; c</Message></Error>",
        "\u{feff} <Error><Code>InvalidParam</Code><Message>a &lt; b &amp; c</Message><RequestId>r-1</RequestId></Error>",
    ] {
        assert_eq!(complaint(answer.as_bytes()), full, "{answer}");
    }
    for answer in [
        "",
        "{",
        "[]",
        "null",
        "oops",
        "<html><code>InvalidParam</code><Code>InvalidParam</Code></html>",
        r#"{"Code":null,"Message":{},"RequestId":""}"#,
    ] {
        assert_eq!(
            complaint(answer.as_bytes()),
            Complaint::default(),
            "{answer}"
        );
    }
    assert_eq!(complaint(b"<?xml?><Code>Half").code, None);
}

#[test]
fn where_a_listed_task_is_pushed() {
    let id = |url| OutputId::of(url).unwrap();
    let (a, b) = (id("rtmp://h.example/a"), id("rtmp://h.example/b"));
    let both = if a < b {
        vec![a.clone(), b.clone()]
    } else {
        vec![b.clone(), a.clone()]
    };
    for (entry, expected) in [
        (
            json!({"StreamURL": "rtmp://H.example:1935/a?auth_key=1"}),
            Some(vec![a.clone()]),
        ),
        (
            json!({"StreamURL": "", "MultiStreamURL": [{"URL": "rtmp://h.example/b", "IsAliCdn": true}]}),
            Some(vec![b.clone()]),
        ),
        (
            json!({"MultiStreamURL": [{"URL": "rtmp://h.example/b"}, {"URL": "rtmp://h.example/a"}, {"URL": "rtmp://h.example/b?x"}]}),
            Some(both.clone()),
        ),
        (
            json!({"StreamURL": "rtmp://h.example/a", "MultiStreamURL": [{"URL": "rtmp://h.example/b"}]}),
            Some(both),
        ),
        (
            json!({"StreamURL": "rtmp://h.example/a", "MultiStreamURL": []}),
            Some(vec![a]),
        ),
        (
            json!({"StreamURL": "rtmp://h.example/b", "MultiStreamURL": null}),
            Some(vec![b]),
        ),
        (json!({}), None),
        (json!({"StreamURL": "", "MultiStreamURL": []}), None),
        (json!({"StreamURL": 7}), None),
        (json!({"StreamURL": "https://h.example/a"}), None),
        (
            json!({"StreamURL": "rtmp://h.example/a", "MultiStreamURL": "[]"}),
            None,
        ),
        (
            json!({"MultiStreamURL": [{"URL": "rtmp://h.example/a"}, {"URL": 7}]}),
            None,
        ),
        (json!({"MultiStreamURL": [{"IsAliCdn": true}]}), None),
        (json!({"MultiStreamURL": ["rtmp://h.example/a"]}), None),
    ] {
        let mut whole = entry.clone();
        whole["TaskId"] = json!("42");
        whole["MixMode"] = json!("0");
        let listed = page(&body(json!({"MPUTasks": [whole]}))).unwrap();
        assert_eq!(listed[0].outputs, expected, "{entry}");
        assert_eq!(listed[0].mix_mode.as_deref(), Some("0"));
    }
}

#[test]
fn live_channels() {
    let rooms = |rooms: &[&str], total| LiveRooms {
        rooms: rooms.iter().map(|&room| room.to_owned()).collect(),
        total,
    };
    for (answer, expected) in [
        (
            json!({"Rooms": ["a", "b"], "Total": 2}),
            rooms(&["a", "b"], Some(2)),
        ),
        (json!({"Rooms": [], "Total": "0"}), rooms(&[], Some(0))),
        (json!({"Rooms": [42]}), rooms(&["42"], None)),
        (
            json!({"Rooms": ["a"], "Total": "many"}),
            rooms(&["a"], None),
        ),
    ] {
        assert_eq!(super::live_rooms(&body(answer)), Ok(expected));
    }
    for answer in [
        json!({}),
        json!({"Rooms": null}),
        json!({"Rooms": ""}),
        json!({"Rooms": {"Room": ["a"]}}),
        json!({"Rooms": ["a", null]}),
        json!({"Rooms": [""]}),
        json!({"rooms": []}),
    ] {
        let answer = body(answer);
        assert!(super::live_rooms(&answer).is_err(), "{answer:?}");
    }
}
