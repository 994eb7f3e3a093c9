//! The program itself: flags, seed, signals, reset.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use serde_json::json;

use crate::harness::{Call, Sim};

fn fails(flags: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_live-simulator"))
        .args(flags)
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn it_refuses_what_others_can_reach() {
    for flags in [
        ["--listen", "0.0.0.0:0"],
        ["--admin", "0.0.0.0:0"],
        ["--listen", "[::]:0"],
    ] {
        let said = fails(&flags);
        assert!(said.contains("--allow-remote"), "{said}");
    }
    drop(Sim::start_with(&["--allow-remote"]));
}

#[test]
fn a_bad_seed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.json");
    let path = path.to_str().unwrap();
    assert!(fails(&["--seed", path]).contains("seed.json"));
    std::fs::write(path, r#"{"accounts": [{"name": "a"}]}"#).unwrap();
    assert!(fails(&["--seed", path]).contains("unknown field `name`"));
}

#[test]
fn a_seed_replaces_the_first_account_and_survives_a_reset() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.json");
    let seed = json!({
        "accounts": [{"id": "a", "apps": ["app"], "keys": [{"id": "k", "secret": "s", "token": "t"}]}],
        "channels": [{"appId": "app", "channelId": "c", "users": ["host"]}],
    });
    std::fs::write(&path, seed.to_string()).unwrap();
    let sim = Sim::start_with(&["--seed", path.to_str().unwrap()]);
    let users = || Call {
        secret: "s".to_owned(),
        ..Call::new(
            "DescribeChannelUsers",
            &[
                ("AppId", "app"),
                ("ChannelId", "c"),
                ("SecurityToken", "t"),
                ("AccessKeyId", "k"),
            ],
        )
    };
    assert_eq!(sim.stop("t").code(), "InvalidAccessKeyId.NotFound");
    assert_eq!(
        users().send(&sim).answer().json()["InteractiveUserNumber"],
        1
    );

    sim.users("c", &[]);
    sim.run_task("t");
    sim.advance(3600.0);
    sim.switch(&json!({"stopGone": "ok"}));
    sim.fault(json!({"kind": "reset"}));
    sim.admin("POST", "/reset", &json!({}));
    assert_eq!(sim.get("/tasks")["tasks"], json!([]));
    assert_eq!(sim.get("/calls"), json!({"calls": [], "next": 0}));
    assert_eq!(sim.get("/history"), json!({"changes": [], "next": 0}));
    assert_eq!(sim.get("/faults")["faults"], json!([]));
    assert_eq!(sim.get("/clock")["offsetMillis"], 0);
    assert_eq!(sim.get("/switches")["stopGone"], "taskDoesNotExist");
    assert_eq!(
        users().send(&sim).answer().json()["InteractiveUserNumber"],
        1
    );
}

#[test]
fn signals_end_it_at_once_even_with_clients() {
    for signal in ["-TERM", "-INT"] {
        let mut sim = Sim::start();
        sim.fault(json!({"kind": "drop"}));
        let mut client = TcpStream::connect(&sim.api).unwrap();
        let call = Call::new("StopLiveMPUTask", &[("AppId", "app"), ("TaskId", "t")]);
        client.write_all(call.request().as_bytes()).unwrap();
        sim.until("the call arrives", |sim| sim.get("/calls")["next"] == 1);
        let killed = Command::new("kill")
            .args([signal, &sim.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        assert!(sim.child.wait().unwrap().success());
        assert_eq!(client.read(&mut [0; 16]).unwrap_or(0), 0);
    }
}

#[test]
fn it_ends_with_whoever_started_it() {
    let mut sim = Sim::start();
    drop(sim.child.stdin.take());
    assert!(sim.child.wait().unwrap().success());
}

#[test]
fn one_connection_serves_many_calls() {
    let sim = Sim::start();
    let mut stream = TcpStream::connect(&sim.api).unwrap();
    for n in 0..3 {
        let call = Call::new("StopLiveMPUTask", &[("AppId", "app"), ("TaskId", "t")]);
        let request = call.request().replace("Connection: close\r\n", "");
        stream.write_all(request.as_bytes()).unwrap();
        let mut received = String::new();
        while !received.contains("\"RequestId\"") {
            let mut chunk = [0; 4096];
            let length = stream.read(&mut chunk).unwrap();
            assert!(length > 0, "closed after {n}");
            received.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
    }
    assert_eq!(
        sim.ended(3)[0]["remotePort"],
        json!(stream.local_addr().unwrap().port())
    );
}

#[test]
fn wrong_orders_are_explained() {
    let sim = Sim::start();
    for (method, path, body, status) in [
        ("PATCH", "/switches", json!({"stopGone": "perhaps"}), 400),
        ("PATCH", "/accounts/nobody", json!({}), 404),
        (
            "PATCH",
            "/accounts/default",
            json!({"denied": ["Stop"]}),
            400,
        ),
        ("POST", "/clock", json!({"advance": 1}), 400),
        ("POST", "/clock", json!({"advanceSeconds": 1e12}), 400),
        ("GET", "/apps/app/tasks/unknown", json!({}), 404),
        ("DELETE", "/apps/app/tasks/unknown", json!({}), 404),
        ("PUT", "/apps/app/tasks/t", json!({"mixMode": "2"}), 400),
    ] {
        let answer = sim.order(method, path, &body);
        assert_eq!(answer.status, status, "{method} {path} {body}");
        assert!(answer.json()["error"].is_string(), "{}", answer.body);
    }
    sim.run_task("t");
    assert_eq!(
        sim.order("PUT", "/apps/app/tasks/t", &json!({})).status,
        409
    );
    let same_output = json!({"streamUrls": ["rtmp://push.example.com/live/app-t?auth_key=1"]});
    let taken = sim.order("PUT", "/apps/app/tasks/u", &same_output);
    assert_eq!(taken.status, 409);
    sim.admin("DELETE", "/apps/app/tasks/t", &json!({}));
    // The admin waits for no cool-down.
    sim.run_task("t");
}
