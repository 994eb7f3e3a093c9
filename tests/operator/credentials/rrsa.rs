//! A role by the pod's own token: the client against the simulator.

use futures::future::join_all;
use mixed_stream_operator::live::{Class, Credentials, Delivery, Origin, Provider, SourceKind};
use serde_json::json;
use support::eventually;

use super::{Bench, Pod, claims, end_sessions, fetches, outage, role, token};
use crate::oracle::of_action;
use crate::scene::PATIENCE;

#[tokio::test]
async fn calls_are_signed_with_the_roles_triple() {
    let pod = Pod::new();
    let bench = Bench::rrsa(&pod).await;
    bench.stop().await.unwrap();
    bench.stop().await.unwrap();
    let keys = bench.keys().await;
    assert!(keys.len() == 1 && keys[0].starts_with("STS."), "{keys:?}");
    let account = bench.client.caller_account().await.unwrap();
    assert_eq!(account.value.as_str(), "default");
    assert!(!account.request_id.is_empty());
    let calls = fetches(&bench.simulator).await;
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].status, &calls[0].key_id), (Some(200), &None));
    let refreshes = bench.refreshes.lock().unwrap().clone();
    assert_eq!(refreshes.len(), 1);
    assert_eq!(refreshes[0].source, SourceKind::Rrsa);
    let end = refreshes[0].result.unwrap().as_second();
    let hour = jiff::Timestamp::now().as_second() + 3600;
    assert!((end - hour).abs() < 60, "{end}");
}

#[tokio::test]
async fn fifty_callers_cost_one_fetch() {
    let pod = Pod::new();
    let bench = Bench::rrsa(&pod).await;
    let fault = json!({"action": "AssumeRoleWithOIDC", "kind": "slow", "millis": 200});
    bench.simulator.order_fault(&fault).await.unwrap();
    let stops = join_all((0..50).map(|_| bench.stop())).await;
    assert!(stops.iter().all(Result::is_ok), "{stops:?}");
    assert_eq!(fetches(&bench.simulator).await.len(), 1);
}

/// Every call is accepted all the time, though a triple lives for three seconds.
#[tokio::test]
async fn a_triple_is_replaced_before_it_ends() {
    let pod = Pod::new();
    let bench = Bench::rrsa(&pod).await;
    let short = json!({"tripleSeconds": 3});
    bench.simulator.set_switches(&short).await.unwrap();
    bench
        .stop_well_until(async |bench| bench.keys().await.len() >= 4)
        .await;
    assert!(fetches(&bench.simulator).await.len() <= 5);
}

#[tokio::test]
async fn a_triple_is_replaced_though_nobody_calls() {
    let pod = Pod::new();
    let bench = Bench::rrsa(&pod).await;
    let short = json!({"tripleSeconds": 2});
    bench.simulator.set_switches(&short).await.unwrap();
    let provider = bench.provider.clone();
    let keeping = tokio::spawn(async move { provider.keep_fresh().await });
    let three = of_action("AssumeRoleWithOIDC");
    let calls = bench.simulator.await_calls(&three, 3, PATIENCE).await;
    let calls = calls.unwrap();
    let apart = (calls[2].arrival_us - calls[1].arrival_us) / 1000;
    assert!((900..2000).contains(&apart), "{apart} ms");
    keeping.abort();
}

#[tokio::test]
async fn an_outage_is_not_felt_before_the_old_ones_end_and_heals() {
    let pod = Pod::new();
    let bench = Bench::rrsa(&pod).await;
    let short = json!({"tripleSeconds": 6});
    bench.simulator.set_switches(&short).await.unwrap();
    bench.stop().await.unwrap();
    let fault = outage(&bench.simulator).await;
    bench
        .stop_well_until(async |bench| fetches(&bench.simulator).await.len() >= 3)
        .await;
    assert_eq!(bench.keys().await.len(), 1);
    let failure = eventually("the old ones have ended", PATIENCE, async || {
        bench.stop().await.err().ok_or("accepted")
    })
    .await;
    assert_eq!(failure.class, Class::ServiceUnavailable);
    assert_eq!(failure.delivery, Delivery::NeverSent);
    assert_eq!(
        failure.message,
        "STS answers ServiceUnavailable: STS is down."
    );
    // However many ask, STS has its pauses.
    for _ in 0..100 {
        let _ = bench.stop().await;
    }
    assert!(fetches(&bench.simulator).await.len() < 10);
    bench.simulator.remove_fault(fault).await.unwrap();
    eventually("it heals", PATIENCE, async || bench.stop().await).await;
    assert_eq!(bench.keys().await.len(), 2);
}

/// Each time: the kubelet replaces it, and an old one has expired.
#[tokio::test]
async fn the_token_file_is_read_each_time() {
    let pod = Pod::new();
    let mut old = claims();
    old["exp"] = json!(1);
    pod.write(&token(&old));
    let bench = Bench::rrsa(&pod).await;
    let failure = bench.stop().await.unwrap_err();
    assert_eq!(failure.class, Class::CredentialsRejected);
    assert!(failure.message.contains("has expired"), "{failure}");
    std::fs::remove_file(pod.file()).unwrap();
    let failure = eventually("it is read again", PATIENCE, async || {
        let failure = bench.stop().await.unwrap_err();
        if failure.class == Class::CredentialsMissing {
            Ok(failure)
        } else {
            Err(failure)
        }
    })
    .await;
    assert!(
        failure.message.contains("cannot be read") && failure.message.contains("token"),
        "{failure}"
    );
    pod.write(&token(&claims()));
    eventually("a good one is there", PATIENCE, async || bench.stop().await).await;
}

#[tokio::test]
async fn what_sts_refuses_is_told_with_what_to_do() {
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = claims();
        claims[name] = value;
        token(&claims)
    };
    let pod = Pod::new();
    for (token, words) in [
        (
            with("aud", json!("kubernetes")),
            "the audience sts.aliyuncs.com",
        ),
        (with("iss", json!("https://other")), "enable RRSA"),
        (
            with("sub", json!("system:serviceaccount:a:b")),
            "trust policy",
        ),
        ("no-token-at-all".to_owned(), "no valid token"),
    ] {
        pod.write(&token);
        let bench = Bench::rrsa(&pod).await;
        let failure = bench.stop().await.unwrap_err();
        assert_eq!(failure.class, Class::CredentialsRejected, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
        assert!(!failure.message.contains(&token), "{failure}");
    }
    pod.write("abc");
    let bench = Bench::rrsa(&pod).await;
    let failure = bench.stop().await.unwrap_err();
    assert_eq!(failure.class, Class::CredentialsMissing, "{failure}");
    assert!(failure.message.contains("3 characters"), "{failure}");
    assert!(fetches(&bench.simulator).await.is_empty());

    pod.write(&token(&claims()));
    let mut nobody = role(&pod);
    nobody.role_arn = "acs:ram::default:role/nobody".to_owned();
    let bench = Bench::with(Origin::Oidc(nobody)).await;
    let failure = bench.stop().await.unwrap_err();
    assert!(
        failure.message.contains("ALIBABA_CLOUD_ROLE_ARN"),
        "{failure}"
    );
}

#[tokio::test]
async fn whatever_becomes_of_a_fetch_the_next_one_is_tried() {
    for fault in [
        json!({"kind": "reset"}),
        json!({"kind": "torn"}),
        json!({"kind": "emptyReply"}),
        json!({"kind": "foreignReply"}),
        json!({"kind": "wrongJson"}),
        json!({"kind": "close", "when": "after"}),
        json!({"kind": "error", "status": 400, "code": "Throttling.User", "headers": {"x-acs-retry-after": "1500"}}),
        json!({"kind": "error", "status": 302, "headers": {"location": "http://127.0.0.1:9/"}, "body": ""}),
    ] {
        let pod = Pod::new();
        let bench = Bench::rrsa(&pod).await;
        let mut fault = fault;
        fault["action"] = json!("AssumeRoleWithOIDC");
        fault["times"] = json!(1);
        bench.simulator.order_fault(&fault).await.unwrap();
        let failure = bench.stop().await.unwrap_err();
        assert_eq!(
            failure.class,
            Class::ServiceUnavailable,
            "{fault}: {failure}"
        );
        assert_eq!(failure.delivery, Delivery::NeverSent, "{fault}");
        eventually("it heals", PATIENCE, async || bench.stop().await).await;
        assert_eq!(fetches(&bench.simulator).await.len(), 2, "{fault}");
    }
}

/// The service may refuse a triple before its end: the clock of one of the two may have stepped.
#[tokio::test]
async fn refused_triples_are_replaced_by_one_fetch() {
    let pod = Pod::new();
    let bench = Bench::rrsa(&pod).await;
    bench.stop().await.unwrap();
    end_sessions(&bench.simulator).await;
    let stops = join_all((0..30).map(|_| bench.stop())).await;
    for failure in stops.iter().filter_map(|stop| stop.as_ref().err()) {
        assert_eq!(failure.class, Class::CredentialsStale, "{failure:?}");
        assert_eq!(
            failure.code.as_deref(),
            Some("InvalidSecurityToken.Expired")
        );
    }
    assert!(stops.iter().any(Result::is_err));
    for stop in join_all((0..30).map(|_| bench.stop())).await {
        stop.unwrap();
    }
    assert_eq!(fetches(&bench.simulator).await.len(), 2);
}

/// What is fetched is refused too: STS is not asked at each call.
#[tokio::test]
async fn credentials_that_are_always_refused_are_no_storm() {
    let pod = Pod::new();
    let bench = Bench::rrsa(&pod).await;
    let refusal = json!({"action": "StopLiveMPUTask", "kind": "error", "status": 404, "code": "InvalidAccessKeyId.NotFound"});
    bench.simulator.order_fault(&refusal).await.unwrap();
    let mut classes = Vec::new();
    for _ in 0..40 {
        classes.push(bench.stop().await.unwrap_err().class);
    }
    assert_eq!(classes[0], Class::CredentialsStale);
    assert!(classes.contains(&Class::CredentialsRejected), "{classes:?}");
    assert!(fetches(&bench.simulator).await.len() <= 4);
}

#[tokio::test]
async fn two_keys_of_one_account_are_told_to_be() {
    let pod = Pod::new();
    let bench = Bench::rrsa(&pod).await;
    let keys = json!([{"id": "one", "secret": "s1"}, {"id": "two", "secret": "s2"}, {"id": "off", "secret": "s3", "enabled": false}]);
    let seed = json!({"accounts": [{"id": "1234567890123456", "keys": keys}]});
    bench.simulator.seed(&seed).await.unwrap();
    let whose = async |id: &str, secret: &str| {
        let key = Credentials::new(id, secret.to_owned().into(), None);
        let client = bench.client.with_credentials(Provider::fixed(Some(key)));
        client.caller_account().await
    };
    for (id, secret) in [("one", "s1"), ("two", "s2")] {
        let account = whose(id, secret).await.unwrap().value;
        assert_eq!(account.to_string(), "1234567890123456");
    }
    for (id, secret) in [("off", "s3"), ("one", "wrong"), ("nobody", "s")] {
        let failure = whose(id, secret).await.unwrap_err();
        assert_eq!(failure.class, Class::CredentialsRejected, "{failure:?}");
        assert_eq!(failure.delivery, Delivery::Answered);
    }
    let missing = bench.client.with_credentials(Provider::fixed(None));
    let failure = missing.caller_account().await.unwrap_err();
    assert_eq!(failure.class, Class::CredentialsMissing);

    // Another clock is learnt as from the Live API.
    bench.simulator.advance(1200.0).await.unwrap();
    let failure = whose("one", "s1").await.unwrap_err();
    assert_eq!(failure.class, Class::ClockSkew, "{failure:?}");
    assert!(whose("one", "s1").await.is_ok());
    let fault = json!({"action": "GetCallerIdentity", "kind": "error", "status": 400, "code": "Throttling.User", "times": 1});
    bench.simulator.order_fault(&fault).await.unwrap();
    let failure = whose("one", "s1").await.unwrap_err();
    assert_eq!(failure.class, Class::Throttled, "{failure:?}");
}
