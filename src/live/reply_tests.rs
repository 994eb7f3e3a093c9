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
