//! What a relay's life needs beyond the single actions: the rooms, the candidates for unknown answers, the quota of tasks, whole crowds.

use serde_json::{Value, json};

use crate::harness::{Answer, Call, Sim, URL, start, update};

fn rooms(sim: &Sim, page: &str, size: &str) -> Answer {
    let own = [("AppId", "app"), ("PageNo", page), ("PageSize", size)];
    sim.call("ListRTCLiveRooms", &own)
}

/// Status, code and message.
fn told(answer: &Answer) -> (u16, String, String) {
    let message = answer.json()["Message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (answer.status, answer.code(), message)
}

fn is(status: u16, code: &str, message: &str) -> (u16, String, String) {
    (status, code.to_owned(), message.to_owned())
}

#[test]
fn rooms_are_the_channels_that_exist() {
    let sim = Sim::start();
    assert_eq!(
        sim.call("ListRTCLiveRooms", &[("AppId", "app")]).json()["Rooms"],
        json!([])
    );
    sim.users("b", &["host"]);
    sim.users("a", &["host"]);
    sim.admin(
        "PUT",
        "/apps/app/channels/watched",
        &json!({"viewers": ["v"]}),
    );
    sim.admin(
        "PUT",
        "/apps/app-2/channels/elsewhere",
        &json!({"users": ["host"]}),
    );
    // A task that runs in an empty channel does not make it exist.
    sim.admin(
        "PUT",
        "/apps/app/tasks/t",
        &json!({"channelId": "silent", "users": []}),
    );
    let listed = || {
        let mut answer = sim.call("ListRTCLiveRooms", &[("AppId", "app")]).json();
        assert!(answer["RequestId"].take().is_string());
        answer
    };
    let expected = json!({"Rooms": ["a", "b", "watched"], "Total": 3, "RequestId": null});
    assert_eq!(listed(), expected);
    sim.users("b", &[]);
    assert_eq!(listed(), expected, "the closing lag");
    sim.advance(5.0);
    assert_eq!(listed()["Rooms"], json!(["a", "watched"]));
    assert_eq!(listed()["Total"], 2);
}

#[test]
fn rooms_come_in_pages() {
    let sim = Sim::start();
    let channels: Vec<Value> = (0..120)
        .map(|n| json!({"appId": "app", "channelId": format!("room-{n:03}"), "users": ["host"]}))
        .collect();
    sim.admin("POST", "/seed", &json!({"channels": channels}));
    let page = |n: &str, size: &str| -> Vec<Value> {
        let answer = rooms(&sim, n, size).json();
        assert_eq!(answer["Total"], 120);
        answer["Rooms"].as_array().unwrap().clone()
    };
    let all: Vec<Value> = (0..120).map(|n| json!(format!("room-{n:03}"))).collect();
    assert_eq!([page("1", "100"), page("2", "100")].concat(), all);
    assert_eq!(page("12", "10"), all[110..]);
    assert_eq!(page("13", "10"), all[..0]);
    assert_eq!(page("4294967295", "100"), all[..0]);
    let first = sim.call("ListRTCLiveRooms", &[("AppId", "app")]).json();
    assert_eq!(
        first["Rooms"].as_array().unwrap()[..],
        all[..50],
        "fifty where nothing is said"
    );
}

#[test]
fn rooms_are_asked_for_within_limits() {
    let sim = Sim::start();
    let long = "x".repeat(65);
    let ask = || Call::new("ListRTCLiveRooms", &[("AppId", "app")]);
    let cases = [
        ask().without("AppId"),
        ask().with("AppId", &long),
        ask().with("PageNo", "0"),
        ask().with("PageNo", "-1"),
        ask().with("PageSize", "9"),
        ask().with("PageSize", "101"),
        ask().with("PageSize", "ten"),
    ];
    for call in cases {
        let answer = call.send(&sim).answer();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "InputInvalid"),
            "{call:?}"
        );
    }
}

#[test]
fn rooms_have_their_own_permission_quota_and_faults() {
    let sim = Sim::start();
    sim.admin(
        "POST",
        "/seed",
        &json!({"accounts": [{"id": "b", "apps": ["app-b"]}]}),
    );
    let foreign = sim.call("ListRTCLiveRooms", &[("AppId", "app-b")]);
    assert_eq!(
        (foreign.status, foreign.code().as_str()),
        (404, "ResourceNotExist")
    );
    let denied = json!({"denied": ["ListRTCLiveRooms"], "denialCode": "NoAuth"});
    sim.admin("PATCH", "/accounts/default", &denied);
    let answer = rooms(&sim, "1", "10");
    assert_eq!((answer.status, answer.code().as_str()), (403, "NoAuth"));
    assert_eq!(
        answer.json()["AccessDeniedDetail"]["AuthAction"],
        "live:ListRTCLiveRooms"
    );
    assert_eq!(sim.list("t").status, 200);
    sim.admin(
        "PATCH",
        "/accounts/default",
        &json!({"denied": [], "quotas": {"ListRTCLiveRooms": 0}}),
    );
    assert_eq!(rooms(&sim, "1", "10").code(), "Throttling.User");
    assert_eq!(sim.list("t").status, 200);
    sim.admin("PATCH", "/accounts/default", &json!({"quotas": {}}));
    let usual = &sim.get("/accounts")["accounts"][1]["quotas"]["ListRTCLiveRooms"];
    assert_eq!(usual, 50);
    sim.fault(json!({"action": "ListRTCLiveRooms", "kind": "error", "status": 503}));
    assert_eq!(sim.list("t").status, 200);
    assert_eq!(rooms(&sim, "1", "10").status, 503);
    assert_eq!(rooms(&sim, "1", "10").status, 200);
    let call = sim.last_call();
    assert_eq!(call["action"], "ListRTCLiveRooms");
    assert_eq!(
        (&call["appId"], &call["effect"]),
        (&json!("app"), &json!(false))
    );
}

#[test]
fn every_answer_of_start_for_a_task_that_exists() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    assert_eq!(start("running", URL).send(&sim).answer().status, 200);
    assert_eq!(
        start("stopped", "rtmp://x/s").send(&sim).answer().status,
        200
    );
    assert_eq!(sim.stop("stopped").status, 200);
    let not_cleared = is(
        400,
        "InvalidParam",
        "The task already exists, it is not cleared yet.",
    );
    let cases = [
        (
            "taskAlreadyExists",
            is(400, "InvalidParam", "The task already exists."),
        ),
        (
            "taskIdDuplicated",
            is(400, "InvalidParam", "The TaskId is duplicated."),
        ),
        (
            "taskAlreadyExist",
            is(400, "TaskAlreadyExist", "The task already exists."),
        ),
        (
            "taskExisted400",
            is(400, "TaskExisted", "The task existed."),
        ),
        (
            "taskExisted200",
            is(200, "TaskExisted", "The task existed."),
        ),
    ];
    for (value, expected) in cases {
        let again = |task: &str| told(&start(task, "rtmp://x/other").send(&sim).answer());
        sim.switch(&json!({"startExists": value, "startNotCleared": "notClearedYet"}));
        assert_eq!(again("running"), expected, "{value}");
        assert_eq!(again("stopped"), not_cleared, "{value}");
        sim.switch(&json!({"startNotCleared": "asExists"}));
        assert_eq!(again("stopped"), expected, "{value}");
        let call = sim.last_call();
        assert_eq!(call["effect"], false, "{call}");
        assert_eq!(call["code"], expected.1, "{call}");
    }
    sim.advance(10.0);
    assert_eq!(
        told(&start("stopped", "rtmp://x/s").send(&sim).answer()),
        is(200, "", "")
    );
}

#[test]
fn every_answer_of_start_for_a_channel_without_people() {
    let sim = Sim::start();
    let cases = [
        (
            "channelDoesNotExist",
            "InvalidParam",
            "The channel does not exist.",
        ),
        (
            "noUserInTheChannel",
            "InvalidParam",
            "no user in the channel.",
        ),
        (
            "channelNotExist",
            "ChannelNotExist",
            "The channel does not exist.",
        ),
        (
            "verificationFailed",
            "InvalidParam",
            "parameter verification failed.",
        ),
    ];
    for (value, code, message) in cases {
        sim.switch(&json!({"channelAbsent": value}));
        let refused = told(&start("t", URL).send(&sim).answer());
        assert_eq!(refused, is(400, code, message), "{value}");
    }
    assert_eq!(sim.get("/history")["changes"], json!([]));
    // A viewer is somebody.
    sim.admin("PUT", "/apps/app/channels/c", &json!({"viewers": ["v"]}));
    assert_eq!(start("t", URL).send(&sim).answer().status, 200);
}

#[test]
fn every_answer_of_update_for_what_is_gone() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    assert_eq!(start("stopped", URL).send(&sim).answer().status, 200);
    assert_eq!(sim.stop("stopped").status, 200);
    let cases = [
        (
            "taskDoesNotExist",
            is(400, "InvalidParam", "The task does not exist."),
        ),
        (
            "verificationFailed",
            is(400, "InvalidParam", "parameter verification failed."),
        ),
        ("ok", is(200, "", "")),
        ("internalError", is(500, "InternalError", "InternalError")),
    ];
    for (value, expected) in cases {
        sim.switch(&json!({"updateGone": value}));
        for task in ["unknown", "stopped"] {
            let answer = told(&update(task, "rtmp://x/new").send(&sim).answer());
            assert_eq!(answer, expected, "{value} for {task}");
            assert_eq!(sim.last_call()["effect"], false, "{value} for {task}");
        }
    }
    assert_eq!(sim.state("stopped"), "stopped");
    assert_eq!(sim.get("/history")["changes"].as_array().unwrap().len(), 2);
    sim.switch(&json!({"updateGone": "ok", "clearMillis": 0}));
    assert_eq!(
        start("live", "rtmp://x/live").send(&sim).answer().status,
        200
    );
    assert_eq!(
        update("live", "rtmp://x/new").send(&sim).answer().status,
        200
    );
    assert_eq!(sim.last_call()["effect"], true);
}

fn single(task: &str) -> Call {
    start(task, &format!("rtmp://x/{task}"))
        .with("MixMode", "0")
        .without("TranscodeParams")
        .with("SingleSubParams", r#"{"UserId":"u"}"#)
}

fn mixed(task: &str) -> Call {
    start(task, &format!("rtmp://x/{task}"))
}

#[test]
fn an_application_has_a_quota_of_tasks() {
    let sim = Sim::start();
    sim.users("c", &["host"]);
    let other = json!({"users": ["host"]});
    sim.admin("PUT", "/apps/app-2/channels/c", &other);
    let code = |call: &Call| call.send(&sim).answer().code();
    sim.switch(&json!({"taskQuota": {"single": 1, "mixed": 2}}));
    assert_eq!(code(&mixed("m1")), "");
    // What a client SDK started counts too.
    sim.admin(
        "PUT",
        "/apps/app/tasks/hidden",
        &json!({"clientMade": true, "channelId": "c"}),
    );
    for (value, expected) in [
        (
            "quotaExceeded",
            is(
                400,
                "QuotaExceeded",
                "The quota of tasks of this application is exceeded.",
            ),
        ),
        (
            "numberExceedsLimit",
            is(
                400,
                "InvalidParam",
                "the number of tasks exceeds the limit.",
            ),
        ),
    ] {
        sim.switch(&json!({"taskQuotaExceeded": value}));
        assert_eq!(told(&mixed("m2").send(&sim).answer()), expected);
        assert_eq!(sim.last_call()["effect"], false);
    }
    assert_eq!(code(&single("s1")), "");
    assert_eq!(code(&single("s2")), "InvalidParam");
    assert_eq!(
        code(
            &mixed("m2")
                .with("AppId", "app-2")
                .with("StreamURL", "rtmp://x/2")
        ),
        ""
    );
    assert_eq!(sim.stop("hidden").status, 200);
    assert_eq!(code(&mixed("m2")), "", "there is room again");
    sim.switch(&json!({"taskQuota": null}));
    assert_eq!(code(&mixed("m3")), "");
}

#[test]
fn a_crowd_of_channels_fills_and_empties_at_once() {
    let sim = Sim::start();
    let crowd = |users: &[&str]| {
        let channels: Vec<Value> = (0..300)
            .map(|n| json!({"appId": "app", "channelId": format!("channel-t{n}"), "users": users}))
            .collect();
        sim.admin("POST", "/seed", &json!({"channels": channels}));
    };
    let running = || {
        let tasks = sim.get("/tasks")["tasks"].as_array().unwrap().clone();
        tasks
            .iter()
            .filter(|task| task["state"] == "running")
            .count()
    };
    for n in 0..300 {
        sim.run_task(&format!("t{n}"));
    }
    crowd(&["host", "guest"]);
    assert_eq!(rooms(&sim, "1", "10").json()["Total"], 300);
    crowd(&[]);
    sim.advance(119.0);
    assert_eq!(running(), 300);
    sim.advance(1.0);
    assert_eq!(running(), 0);
    let history = sim.get("/history?since=300")["changes"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(history.len(), 300);
    assert!(
        history.iter().all(|change| change["by"] == "auto"),
        "{history:?}"
    );
}
