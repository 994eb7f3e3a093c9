//! The page on the simulator: its shell snippets work as they stand, and its tables are complete.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::Sim;

const PAGE: &str = include_str!("../../../docs/simulator.md");

/// The page's code blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn shell(sim: &Sim, script: &str) -> String {
    for tool in ["sh", "openssl", "curl", "sed"] {
        let found = Command::new("which")
            .arg(tool)
            .output()
            .is_ok_and(|found| found.status.success());
        assert!(
            found,
            "`{tool}` is missing: the page's snippets need it, please install it"
        );
    }
    let script = script.replace("127.0.0.1:8082/", "$ADMIN/");
    let run = Command::new("sh")
        .args(["-euc", &script])
        .env("API", &sim.api)
        .env("ADMIN", &sim.admin)
        .output();
    let output = run.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_signed_stop_and_the_orders_work_literally() {
    let sim = Sim::start();
    let snippets = blocks("sh");
    assert_eq!(snippets.len(), 3, "starting, a signed Stop, orders");
    let stopped = snippets[1];
    assert!(stopped.contains("StopLiveMPUTask"));
    let said = shell(&sim, stopped);
    assert!(said.contains("\"RequestId\""), "{said}");
    let call = sim.last_call();
    assert_eq!(
        (&call["status"], &call["effect"]),
        (&json!(200), &json!(true))
    );
    assert_eq!(sim.get("/apps/app-01/tasks/final-42")["state"], "stopped");

    shell(&sim, snippets[2]);
    assert_eq!(sim.get("/clock")["offsetMillis"], 130_000);
    assert_eq!(sim.get("/faults")["faults"][0]["left"], 3);
    assert_eq!(sim.get("/switches")["stopGone"], "noSuchTask");
}

#[test]
fn the_seed_of_the_page_is_one() {
    let sim = Sim::start();
    let seed: Value = serde_json::from_str(blocks("json")[0]).unwrap();
    sim.admin("POST", "/seed", &seed);
    assert_eq!(
        sim.get("/apps/app-01/channels/room-42")["users"],
        json!(["host"])
    );
}

#[test]
fn every_switch_log_field_and_fault_is_in_its_table() {
    let sim = Sim::start();
    let explained = |name: &str| PAGE.contains(&format!("`{name}`"));
    for (name, default) in sim.get("/switches").as_object().unwrap() {
        let row = PAGE
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}`")));
        let row = row.unwrap_or_else(|| panic!("no row for {name}"));
        let cell = row
            .trim_end_matches(" |")
            .rsplit("| ")
            .next()
            .unwrap()
            .replace('`', "");
        let default = default
            .as_str()
            .map_or_else(|| default.to_string(), str::to_owned);
        assert_eq!(cell, default, "the default of {name}");
    }
    sim.stop("t");
    for name in sim.last_call().as_object().unwrap().keys() {
        assert!(explained(name), "{name} of the call log");
    }
    for name in sim.get("/quota")["usage"][0]
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| !["account", "action"].contains(&name.as_str()))
    {
        assert!(explained(name), "{name} of the quota report");
    }
    let refused = sim.order("POST", "/faults", &json!({"kind": "?"})).json()["error"]
        .as_str()
        .unwrap()
        .to_owned();
    let kinds: Vec<&str> = refused.split('`').skip(3).step_by(2).collect();
    assert!(kinds.len() > 8, "{refused}");
    for kind in kinds {
        assert!(PAGE.contains(&format!("| `{kind}` |")), "{kind}");
    }
}
