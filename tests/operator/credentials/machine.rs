//! The RAM role of the machine: the client against the simulated metadata server.

use mixed_stream_operator::live::{Class, Origin, SourceKind};
use serde_json::json;
use support::eventually;

use super::{Bench, end_sessions};
use crate::scene::PATIENCE;

async fn node() -> Bench {
    Bench::with(Origin::EcsRole("node".to_owned())).await
}

#[tokio::test]
async fn calls_are_signed_with_the_machines_triple() {
    let bench = node().await;
    bench.stop().await.unwrap();
    bench.stop().await.unwrap();
    let keys = bench.keys().await;
    assert!(keys.len() == 1 && keys[0].starts_with("STS."), "{keys:?}");
    let account = bench.client.caller_account().await.unwrap();
    assert_eq!(account.value.as_str(), "default");
    let refreshes = bench.refreshes.lock().unwrap().clone();
    assert_eq!(refreshes.len(), 1);
    assert_eq!(refreshes[0].source, SourceKind::EcsRole);
    assert!(refreshes[0].result.is_ok());
}

#[tokio::test]
async fn it_is_replaced_before_its_end() {
    let bench = node().await;
    let short = json!({"tripleSeconds": 4});
    bench.simulator.set_switches(&short).await.unwrap();
    bench
        .stop_well_until(async |bench| bench.keys().await.len() >= 3)
        .await;
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_do_and_heals() {
    for (mood, class, words) in [
        (
            "denies",
            Class::CredentialsMissing,
            "allow the pod to use it",
        ),
        ("fails", Class::ServiceUnavailable, "HTTP 503"),
        ("silent", Class::ServiceUnavailable, "must be reachable"),
    ] {
        let bench = node().await;
        let switch = json!({"metadataServer": mood});
        bench.simulator.set_switches(&switch).await.unwrap();
        let failure = bench.stop().await.unwrap_err();
        assert_eq!(failure.class, class, "{mood}: {failure}");
        assert!(failure.message.contains(words), "{mood}: {failure}");
        let switch = json!({"metadataServer": "works"});
        bench.simulator.set_switches(&switch).await.unwrap();
        eventually("it heals", PATIENCE, async || bench.stop().await).await;
    }
    let bench = Bench::with(Origin::EcsRole("other".to_owned())).await;
    let failure = bench.stop().await.unwrap_err();
    assert_eq!(failure.class, Class::CredentialsMissing, "{failure}");
    assert!(failure.message.contains("no RAM role other"), "{failure}");
}

#[tokio::test]
async fn refused_ones_are_asked_for_anew() {
    let bench = node().await;
    bench.stop().await.unwrap();
    end_sessions(&bench.simulator).await;
    let failure = bench.stop().await.unwrap_err();
    assert_eq!(failure.class, Class::CredentialsStale, "{failure}");
    bench.stop().await.unwrap();
    assert_eq!(bench.keys().await.len(), 2);
}
