//! Every error that the simulator gives, as the vendor's clients understand it.

mod gateway;
mod parameters;
mod words;

use std::path::Path;

use serde_json::{Value, json};
use support::Simulator;
use support::simulator::NewTask;

use crate::clients::{Call, Clients, Outcome, Vendor};
use crate::tally::{Tally, equal};

const APP: &str = "app";
const URL: &str = "rtmp://push.example.com/live/a?auth_key=1";

/// What is ordered on the admin port before a call.
#[derive(Debug, Clone)]
enum Order {
    Account(Value),
    Switches(Value),
    Fault(Value),
    /// A user in the channel `c`.
    User,
    /// The running task `t` in the channel `c`, with [`URL`].
    Task,
    /// The same, stopped.
    StoppedTask,
    /// The call that is to be checked, once before.
    SameCall,
}

/// What has to become of a call.
#[derive(Debug, Clone)]
enum Expected {
    /// Status, code, and a part of the words.
    Error(u16, &'static str, &'static str),
    /// An error without an answer of the service.
    NoAnswer,
    /// A result with this code in it; empty: with a request id and none.
    Body(&'static str),
    /// A result that is not the service's.
    ForeignBody,
}

struct Case {
    what: String,
    orders: Vec<Order>,
    call: Call,
    expected: Expected,
}

impl Case {
    fn new(what: impl Into<String>, orders: &[Order], call: &Call, expected: &Expected) -> Self {
        Self {
            what: what.into(),
            orders: orders.to_vec(),
            call: call.clone(),
            expected: expected.clone(),
        }
    }
}

/// Checks each error with each client.
pub async fn check(python: &Path, tally: &mut Tally) {
    let simulator = Simulator::start().await.unwrap();
    let mut clients = Clients::start(python, &simulator.addresses().api).unwrap();
    for vendor in Vendor::ALL {
        let mut cases = Vec::new();
        for (action, parameters) in actions() {
            cases.extend(gateway::cases(&Call::new(vendor, action, parameters)));
        }
        cases.push(gateway::unknown_action(vendor));
        cases.extend(words::cases(vendor));
        cases.extend(parameters::cases(vendor));
        for case in cases {
            let what = format!("{}: {}: {}", vendor.name(), case.call.action, case.what);
            let result = play(&simulator, &mut clients, &case).await;
            tally.check(&what, result);
        }
    }
}

fn single() -> Value {
    json!({"AppId": APP, "ChannelId": "c", "TaskId": "t", "MixMode": "0", "SingleSubParams": {"UserId": "host"}, "StreamURL": URL})
}

/// Every action, with the least that it takes.
fn actions() -> [(&'static str, Value); 6] {
    let task = json!({"AppId": APP, "TaskId": "t"});
    [
        ("StartLiveMPUTask", single()),
        ("UpdateLiveMPUTask", single()),
        ("StopLiveMPUTask", task.clone()),
        ("ListRtcMPUTaskDetail", task),
        (
            "DescribeChannelUsers",
            json!({"AppId": APP, "ChannelId": "c"}),
        ),
        (
            "ListRTCLiveRooms",
            json!({"AppId": APP, "PageNo": 1, "PageSize": 100}),
        ),
    ]
}

async fn play(simulator: &Simulator, clients: &mut Clients, case: &Case) -> Result<(), String> {
    simulator.reset().await.unwrap();
    for order in &case.orders {
        match order {
            Order::Account(fields) => simulator.set_account("default", fields).await.unwrap(),
            Order::Switches(switches) => drop(simulator.set_switches(switches).await.unwrap()),
            Order::Fault(fault) => drop(simulator.order_fault(fault).await.unwrap()),
            Order::User => drop(simulator.set_users(APP, "c", &["host"], &[]).await.unwrap()),
            Order::Task | Order::StoppedTask => {
                let new = NewTask {
                    channel_id: Some("c".to_owned()),
                    stream_urls: Some(vec![URL.to_owned()]),
                    ..NewTask::default()
                };
                simulator.start_task(APP, "t", &new).await.unwrap();
                if matches!(order, Order::StoppedTask) {
                    simulator.stop_task(APP, "t").await.unwrap();
                }
            }
            Order::SameCall => drop(clients.call(&case.call).await?),
        }
    }
    let outcome = clients.call(&case.call).await?;
    let told = format!("{outcome:?}");
    judge(case, outcome).map_err(|why| format!("{why} in {told}"))
}

fn judge(case: &Case, outcome: Outcome) -> Result<(), String> {
    match (&case.expected, outcome) {
        (Expected::Error(status, code, words), Outcome::Error(error)) => {
            // The older client has found its own string to sign in the message: so it knows that only the secret can be wrong (dossier 6.3).
            let code = match (*code, case.call.vendor) {
                ("SignatureDoesNotMatch", Vendor::OldV1) => "InvalidAccessKeySecret",
                (code, _) => code,
            };
            equal(&error.status, &Some(*status))?;
            equal(&error.code.as_deref(), &Some(code))?;
            let message = error.message.unwrap_or_default();
            equal(&message.contains(words), &true)?;
            equal(&error.request_id.is_some_and(|id| id.len() == 36), &true)?;
            match case.call.more.get("retryAfterMillis") {
                Some(wait) if case.call.vendor != Vendor::OldV1 => {
                    equal(&error.retry_after, &wait.as_u64())
                }
                Some(_) | None => Ok(()),
            }
        }
        (Expected::NoAnswer, Outcome::Error(error)) => equal(&error.request_id, &None),
        (Expected::Body(code), Outcome::Body(body)) => {
            // The newer client shows only what its models know; of a `Code` in a success that is nothing.
            let told = body["Code"].as_str().unwrap_or_default();
            let is_shown = case.call.vendor == Vendor::OldV1;
            equal(&told, &if is_shown { *code } else { "" })?;
            equal(&body["RequestId"].is_string(), &true)
        }
        (Expected::ForeignBody, Outcome::Body(body)) => {
            equal(&body["RequestId"].is_string(), &false)
        }
        (_, _) => Err(format!("not {:?}", case.expected)),
    }
}

const fn error(status: u16, code: &'static str) -> Expected {
    Expected::Error(status, code, "")
}
