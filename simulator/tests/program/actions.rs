//! The actions over the wire: parameters, effects, switches, permissions.

use serde_json::{Value, json};

use crate::harness::{Call, Sim, URL, start, update};

#[test]
fn parameters_have_limits() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    let long = "x".repeat(65);
    let task = "x".repeat(56);
    let far = format!("rtmp://push.example.com/{}", "x".repeat(2048));
    let outputs = r#"[{"URL":"rtmp://push.example.com/a","IsAliCdn":true}]"#;
    let twice = r#"[{"URL":"rtmp://push.example.com/a"},{"URL":"rtmp://push.example.com/a"}]"#;
    let s = || start("t", URL);
    let stop = || Call::new("StopLiveMPUTask", &[("AppId", "app"), ("TaskId", "t")]);
    let list = || {
        Call::new(
            "ListRtcMPUTaskDetail",
            &[("AppId", "app"), ("PageSize", "100"), ("PageNo", "1")],
        )
    };
    let users = || {
        Call::new(
            "DescribeChannelUsers",
            &[("AppId", "app"), ("ChannelId", "c")],
        )
    };
    let cases = [
        (s().without("AppId"), "MissingParam"),
        (s().with("AppId", ""), "MissingParam"),
        (s().with("AppId", &long), "InvalidAppId"),
        (s().with("AppId", "a.b"), "InvalidAppId"),
        (s().without("ChannelId"), "MissingParam"),
        (s().with("ChannelId", &long), "InvalidParam"),
        (s().with("ChannelId", "a b"), "InvalidParam"),
        (s().without("TaskId"), "MissingParam"),
        (s().with("TaskId", &task), "InvalidParam"),
        (s().with("TaskId", "a/b"), "InvalidParam"),
        (s().without("MixMode"), "MissingParam"),
        (s().with("MixMode", "2"), "InvalidParam"),
        (s().with("MixMode", "0"), "InvalidParam"),
        (s().without("TranscodeParams"), "MissingParam"),
        (s().with("TranscodeParams", "{"), "InvalidParam"),
        (s().with("TranscodeParams", "{}"), "InvalidParam"),
        (
            s().with("SingleSubParams", r#"{"UserId":"u"}"#),
            "InvalidParam",
        ),
        (
            s().with("MixMode", "0").without("TranscodeParams"),
            "MissingParam",
        ),
        (s().without("StreamURL"), "MissingParam"),
        (s().with("MultiStreamURL", outputs), "InvalidParam"),
        (
            s().without("StreamURL").with("MultiStreamURL", twice),
            "InvalidParam",
        ),
        (
            s().without("StreamURL").with("MultiStreamURL", "[]"),
            "InvalidParam",
        ),
        (
            s().with("StreamURL", "http://push.example.com/a"),
            "InvalidParam",
        ),
        (s().with("StreamURL", &far), "InvalidParam"),
        (s().with("MaxIdleTime", "9"), "InvalidParam"),
        (s().with("MaxIdleTime", "86401"), "InvalidParam"),
        (s().with("MaxIdleTime", "1m"), "InvalidParam"),
        (s().with("Region", "cn-shanghai"), "InvalidParam"),
        (
            s().with("SeiParams", r#"{"PayloadType":"255"}"#),
            "InvalidParam",
        ),
        (
            update("t", URL).with("SeiParams", r#"{"PayloadType":"100"}"#),
            "InvalidParam",
        ),
        (update("t", URL).without("ChannelId"), "MissingParam"),
        (update("t", URL), "InvalidParam"),
        (stop().without("TaskId"), "MissingParam"),
        (stop().with("TaskId", &task), "InvalidParam"),
        (stop().with("AppId", &long), "InvalidAppId"),
        (list().without("PageSize"), "MissingParam"),
        (list().without("PageNo"), "MissingParam"),
        (list().with("PageSize", "0"), "InvalidParam"),
        (list().with("PageSize", "101"), "InvalidParam"),
        (list().with("PageNo", "0"), "InvalidParam"),
        (users().without("ChannelId"), "MissingParam"),
        (users().with("ChannelId", &long), "InvalidParam"),
    ];
    for (call, code) in cases {
        let answer = call.send(&sim).answer();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{call:?}: {}",
            answer.body
        );
    }
    assert_eq!(sim.get("/history")["changes"], json!([]));
}

#[test]
fn the_longest_and_the_largest_pass() {
    let sim = Sim::start();
    let channel = "c".repeat(64);
    sim.admin(
        "PUT",
        &format!("/apps/{}/channels/{channel}", "a".repeat(64)),
        &json!({"viewers": ["v"]}),
    );
    let call = start(&"t".repeat(55), URL)
        .with("AppId", &"a".repeat(64))
        .with("ChannelId", &channel)
        .with("MaxIdleTime", "86400");
    assert_eq!(call.send(&sim).answer().status, 200);
}

#[test]
fn from_start_to_auto_stop() {
    let sim = Sim::start();
    let nobody = start("t", URL).send(&sim).answer();
    assert_eq!(nobody.code(), "InvalidParam");
    assert_eq!(nobody.json()["Message"], "The channel does not exist.");
    sim.users("c", &["host"]);
    let accepted = start("t", URL)
        .with("MaxIdleTime", "60")
        .with("Region", "AP-Singapore")
        .send(&sim)
        .answer();
    assert_eq!(accepted.status, 200, "{}", accepted.body);
    assert_eq!(
        start("t", URL).send(&sim).answer().json()["Message"],
        "The task already exists."
    );
    let busy = start("u", URL).send(&sim).answer().json()["Message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        busy.contains("used by another task") && !busy.contains("auth_key"),
        "{busy}"
    );

    let single = update("t", URL)
        .without("StreamURL")
        .without("TranscodeParams")
        .with("MixMode", "0");
    let single = single
        .with("SingleSubParams", r#"{"UserId":"主播 1"}"#)
        .with(
            "MultiStreamURL",
            r#"[{"URL":"rtmp://x/a","IsAliCdn":true},{"URL":"rtmp://x/b"}]"#,
        );
    assert_eq!(single.send(&sim).answer().status, 200);
    let expected = json!({
        "AppId": "app", "ChannelId": "c", "TaskId": "t", "MixMode": "0", "MaxIdleTime": "60", "Region": "AP-Singapore",
        "SingleSubParams": {"UserId": "主播 1"},
        "MultiStreamURL": [{"URL": "rtmp://x/a", "IsAliCdn": true}, {"URL": "rtmp://x/b", "IsAliCdn": false}],
    });
    assert_eq!(sim.list("t").json()["MPUTasks"], json!([expected]));
    assert_eq!(sim.get("/apps/app/tasks/t/detail"), expected);

    sim.users("c", &[]);
    let users = || {
        sim.call(
            "DescribeChannelUsers",
            &[("AppId", "app"), ("ChannelId", "c")],
        )
        .json()
    };
    assert_eq!(users()["IsChannelExists"], true);
    sim.advance(5.0);
    assert_eq!(users()["IsChannelExists"], false);
    assert_eq!(sim.state("t"), "running");
    sim.advance(55.0);
    assert_eq!(sim.state("t"), "stopped");
    assert_eq!(sim.list("t").json()["MPUTasks"], json!([]));
    assert_eq!(sim.get("/apps/app/tasks/t/detail"), expected);
    assert_eq!(sim.stop("t").code(), "InvalidParam");
    let changes = sim.get("/history?taskId=t")["changes"].clone();
    let told = |n: usize| (changes[n]["change"].clone(), changes[n]["by"].clone());
    assert_eq!(told(0), (json!("started"), json!("api")));
    assert_eq!(told(1), (json!("updated"), json!("api")));
    assert_eq!(told(2), (json!("stopped"), json!("auto")));
    assert_eq!(sim.get("/history?since=3")["changes"], json!([]));
}

#[test]
fn an_id_has_to_be_cleared() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    assert_eq!(start("t", URL).send(&sim).answer().status, 200);
    assert_eq!(sim.stop("t").status, 200);
    assert_eq!(sim.state("t"), "stopped");
    assert_eq!(
        start("t", "rtmp://x/other").send(&sim).answer().code(),
        "InvalidParam"
    );
    sim.advance(11.0);
    assert_eq!(start("t", URL).send(&sim).answer().status, 200);
}

#[test]
fn channel_users_are_told() {
    let sim = Sim::start();
    let people = json!({"users": ["host", "guest"], "viewers": ["v1"]});
    sim.admin("PUT", "/apps/app/channels/c", &people);
    let mut told = sim
        .call(
            "DescribeChannelUsers",
            &[("AppId", "app"), ("ChannelId", "c")],
        )
        .json();
    let at = told["Timestamp"].take().as_i64().unwrap();
    assert!((at - jiff::Timestamp::now().as_second()).abs() < 30);
    told["RequestId"].take();
    let expected = json!({
        "IsChannelExists": true, "InteractiveUserNumber": 2, "InteractiveUserList": ["guest", "host"],
        "LiveUserNumber": 1, "LiveUserList": ["v1"], "Timestamp": null, "RequestId": null,
    });
    assert_eq!(told, expected);
}

#[test]
fn pages_are_newest_first() {
    let sim = Sim::start();
    for n in 0..250 {
        sim.run_task(&format!("t{n}"));
    }
    sim.admin(
        "PUT",
        "/apps/app/tasks/hidden",
        &json!({"clientMade": true}),
    );
    let page = |n: &str| -> Vec<Value> {
        let own = [("AppId", "app"), ("PageSize", "100"), ("PageNo", n)];
        let tasks = sim.call("ListRtcMPUTaskDetail", &own).json()["MPUTasks"]
            .as_array()
            .unwrap()
            .clone();
        tasks
            .into_iter()
            .map(|task| task["TaskId"].clone())
            .collect()
    };
    let all: Vec<Value> = ["1", "2", "3"].into_iter().flat_map(page).collect();
    let expected: Vec<Value> = (0..250).rev().map(|n| json!(format!("t{n}"))).collect();
    assert_eq!(all, expected);
    assert_eq!(page("4"), Vec::<Value>::new());
    assert_eq!(sim.list("hidden").json()["MPUTasks"], json!([]));
    assert_eq!(sim.stop("hidden").status, 200);
}

#[test]
fn every_answer_of_stop_for_what_is_gone() {
    let sim = Sim::start();
    sim.run_task("stopped");
    sim.admin("DELETE", "/apps/app/tasks/stopped", &json!({}));
    let cases = [
        ("ok", 200, "", ""),
        (
            "taskDoesNotExist",
            400,
            "InvalidParam",
            "The task does not exist.",
        ),
        ("noSuchTask", 400, "InvalidParam", "no such task."),
        (
            "channelDoesNotExist",
            400,
            "InvalidParam",
            "The channel does not exist.",
        ),
        (
            "verificationFailed",
            400,
            "InvalidParam",
            "parameter verification failed.",
        ),
        ("internalError", 500, "InternalError", "InternalError"),
        ("notFoundTask400", 400, "NotFound.Task", "no such task"),
        ("notFoundTask404", 404, "NotFound.Task", "no such task"),
        (
            "invalidTaskNotFound400",
            400,
            "InvalidTask.NotFound",
            "no such task",
        ),
        (
            "invalidTaskNotFound404",
            404,
            "InvalidTask.NotFound",
            "no such task",
        ),
    ];
    for (value, status, code, message) in cases {
        sim.switch(&json!({"stopGone": value}));
        for task in ["unknown", "stopped"] {
            let answer = sim.stop(task);
            let body = answer.json();
            let told = (
                answer.status,
                answer.code(),
                body["Message"].as_str().unwrap_or_default().to_owned(),
            );
            assert_eq!(
                told,
                (status, code.to_owned(), message.to_owned()),
                "{value} for {task}"
            );
        }
    }
    sim.run_task("t");
    assert_eq!(sim.stop("t").status, 200);
}

#[test]
fn every_answer_of_the_list_for_what_is_gone() {
    let sim = Sim::start();
    for (value, status, code) in [
        ("empty", 200, ""),
        ("invalidParam", 400, "InvalidParam"),
        ("internalError", 500, "InternalError"),
    ] {
        sim.switch(&json!({"listGone": value}));
        let answer = sim.list("unknown");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{value}"
        );
    }
    sim.run_task("t");
    assert_eq!(
        sim.list("t").json()["MPUTasks"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn the_list_may_show_stopped_tasks_and_may_lag() {
    let sim = Sim::start();
    let shown = |task: &str| sim.list(task).json()["MPUTasks"].as_array().unwrap().len();
    sim.switch(&json!({"listLagSeconds": 1000}));
    sim.run_task("t");
    assert_eq!(shown("t"), 0);
    sim.switch(&json!({"listLagSeconds": 0}));
    assert_eq!(shown("t"), 1);
    sim.switch(&json!({"listLagSeconds": 600}));
    assert_eq!(sim.stop("t").status, 200);
    assert_eq!(shown("t"), 1);
    sim.admin("POST", "/clock", &json!({"advanceSeconds": 600}));
    let late = |action: &str| {
        let call = Call::new(action, &[("AppId", "app"), ("TaskId", "t")]);
        call.with("Timestamp", &crate::harness::date(600))
            .send(&sim)
            .answer()
    };
    assert_eq!(late("ListRtcMPUTaskDetail").json()["MPUTasks"], json!([]));
    sim.switch(&json!({"listShowsStopped": true}));
    assert_eq!(
        late("ListRtcMPUTaskDetail").json()["MPUTasks"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn permissions() {
    let sim = Sim::start();
    sim.admin(
        "POST",
        "/seed",
        &json!({"accounts": [{"id": "b", "apps": ["app-b"]}]}),
    );
    let foreign = sim.call("StopLiveMPUTask", &[("AppId", "app-b"), ("TaskId", "t")]);
    assert_eq!(
        (foreign.status, foreign.code().as_str()),
        (400, "InvalidAppId")
    );
    sim.run_task("t");
    for code in ["Forbidden", "NoPermission"] {
        let denied = json!({"denied": ["StopLiveMPUTask"], "denialCode": code});
        sim.admin("PATCH", "/accounts/default", &denied);
        let answer = sim.stop("t");
        assert_eq!((answer.status, answer.code().as_str()), (403, code));
        assert_eq!(
            answer.json()["AccessDeniedDetail"]["AuthAction"],
            "live:StopLiveMPUTask"
        );
        assert_eq!(sim.list("t").status, 200);
    }
    sim.admin(
        "PATCH",
        "/accounts/default",
        &json!({"denied": [], "serviceEnabled": false}),
    );
    let answer = sim.stop("t");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "OperationDenied")
    );
    assert_eq!(sim.state("t"), "running");
    sim.admin(
        "PATCH",
        "/accounts/default",
        &json!({"serviceEnabled": true}),
    );
    assert_eq!(sim.stop("t").status, 200);
}
