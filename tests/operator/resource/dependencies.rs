//! What depends on something else in a relay.

use serde_json::{Value, json};

use super::relay::{URL, mixed, path, single, with, without};
use super::{SHORT, Table, create, manifest, place};
use crate::scene::APP;

fn bad_specs(table: &mut Table) {
    let mut add =
        |spec, pointer: &str, rule: &str| table.add(manifest(&spec), &path(pointer), rule);
    add(
        json!({"appId": APP}),
        "/taskId",
        "taskId is needed where there is no relay",
    );
    for (field, value) in [
        ("desiredState", json!("Running")),
        ("restartPolicy", json!("Never")),
        ("maxDurationSeconds", json!(1)),
    ] {
        let spec = with(
            json!({"appId": APP, "taskId": "t"}),
            &format!("/{field}"),
            value,
        );
        add(
            spec,
            &format!("/{field}"),
            &format!("{field} needs a relay"),
        );
    }
    let both = with(mixed(), "/relay/single", json!({"userId": "u"}));
    let exactly_one = "give exactly one of single";
    add(both, "/relay", exactly_one);
    add(without(single(), "/relay/single"), "/relay", exactly_one);
}

/// Addresses, and where they come from.
fn bad_outputs(table: &mut Table) {
    let mut add =
        |spec, pointer: &str, rule: &str| table.add(manifest(&spec), &path(pointer), rule);
    let url = "/relay/outputs/0/url";
    for text in [
        "x",
        "h/live",
        "rtmp://",
        "rtmp:///live",
        "rtmp://h",
        "rtmp://h/",
        "rtmp://h?live",
        "rtmp://h/?k",
        "rtmp://h/#k",
        "rtmps://h/live",
        "RTMP://h/live",
        "http://h/live",
        " rtmp://h/live",
        "rtmp://h/live ",
        "rtmp://h/li ve",
        "rtmp://h/live\n",
        "rtmp://h:x/live",
        "rtmp://h:/live",
        "rtmp://h:123456/live",
        "rtmp://h:0/live",
        "rtmp://h:65536/live",
        "rtmp://h:70000/live",
        "rtmp://h:99999/live",
        "rtmp://a b/live",
        "rtmp://h%2f/live",
        "rtmp://:1935/live",
    ] {
        add(
            with(single(), url, json!(text)),
            url,
            "must be an RTMP address without blanks",
        );
    }
    let long = format!("rtmp://h/{}", "k".repeat(2040));
    add(
        with(single(), url, json!(long)),
        url,
        "may not be more than 2048",
    );
    add(with(single(), url, json!("")), url, SHORT);
    let secret = json!({"secretKeyRef": {"name": "push", "key": "url"}});
    let one_source = "give exactly one of url";
    add(
        with(single(), "/relay/outputs/0/urlFrom", secret.clone()),
        "/relay/outputs/0",
        one_source,
    );
    add(
        with(single(), "/relay/outputs/0", json!({"aliCdn": true})),
        "/relay/outputs/0",
        one_source,
    );

    let outputs = |outputs: &[Value]| with(single(), "/relay/outputs", json!(outputs));
    let (other, keyed) = (
        json!({"url": "rtmp://h/o"}),
        json!({"url": format!("{URL}?auth_key=1")}),
    );
    let spelled = |authority: &str| json!({"url": URL.replace("push.example.com", authority)});
    for twice in [
        json!({"url": URL}),
        keyed,
        spelled("PUSH.Example.com"),
        spelled("push.example.com:1935"),
        json!({"url": URL, "aliCdn": true}),
    ] {
        let spec = outputs(&[json!({"url": URL}), other.clone(), twice]);
        add(spec, "/relay/outputs", "two outputs have the same address");
    }
    let from = json!({"urlFrom": secret});
    add(
        outputs(&[from.clone(), other, from]),
        "/relay/outputs",
        "the same key of the same Secret",
    );
}

/// What one stream or a mix needs.
fn bad_media(table: &mut Table) {
    let mut add =
        |spec, pointer: &str, rule: &str| table.add(manifest(&spec), &path(pointer), rule);
    for stream in [None, Some("Original"), Some("Audio")] {
        let mut spec = with(single(), "/relay/single/sourceType", json!("camera"));
        if let Some(stream) = stream {
            spec = with(spec, "/relay/single/streamType", json!(stream));
        }
        add(
            spec,
            "/relay/single/sourceType",
            "sourceType only goes with streamType: Video",
        );
    }
    for field in [
        "videoWidth",
        "videoHeight",
        "videoBitrate",
        "videoFramerate",
        "videoGop",
    ] {
        let pointer = format!("/relay/mixed/encode/{field}");
        let rule = format!("{field} is needed: set it, or audioOnly: true");
        add(without(mixed(), &pointer), &pointer, &rule);
        let unsaid = without(mixed(), "/relay/mixed/encode/audioOnly");
        add(without(unsaid, &pointer), &pointer, &rule);
    }
    for profile in ["baseline", "high"] {
        let spec = with(mixed(), "/relay/mixed/encode/videoCodec", json!("H.265"));
        let pointer = "/relay/mixed/encode/enhancedParam/profile";
        add(
            with(spec, pointer, json!(profile)),
            pointer,
            "with videoCodec: H.265 the profile can only be main",
        );
    }
    add(
        without(mixed(), "/relay/mixed/layout"),
        "/relay/mixed/layout",
        "layout is needed",
    );
    let sounding = with(mixed(), "/relay/mixed/encode/audioOnly", json!(true));
    add(
        sounding,
        "/relay/mixed/layout",
        "layout does not go with encode.audioOnly: true",
    );
    let pinned = "must also be a userId of mixed.users whose streamType is not Audio";
    let users = "/relay/mixed/users";
    add(without(mixed(), users), users, pinned);
    add(with(mixed(), users, json!([])), users, pinned);
    add(
        with(mixed(), users, json!([{"userId": "other"}])),
        users,
        pinned,
    );
    let mute = json!([{"userId": "主播 1", "streamType": "Audio"}]);
    add(with(mixed(), users, mute), users, pinned);
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_with_field_and_advice() {
    let (cluster, namespace) = place().await;
    let mut table = Table::default();
    bad_specs(&mut table);
    bad_outputs(&mut table);
    bad_media(&mut table);
    assert!(table.0.len() >= 50, "{}", table.0.len());
    table.assert_refused(&cluster.client(), &namespace).await;
}

#[tokio::test]
async fn a_refusal_does_not_show_the_address() {
    let (cluster, namespace) = place().await;
    let client = cluster.client();
    let long = format!("rtmp://h/KEY{}", "k".repeat(2048));
    let twice = json!([{"url": "rtmp://h/KEY"}, {"url": "rtmp://H/KEY?auth_key=KEY"}]);
    let mut specs = vec![with(single(), "/relay/outputs", twice)];
    for url in [
        json!("http://h/KEY?auth_key=KEY"),
        json!("rtmp://h/live/KEY with a blank"),
        json!("rtmp://h:0/KEY"),
        json!(long),
        json!(["rtmp://h/KEY"]),
    ] {
        specs.push(with(single(), "/relay/outputs/0/url", url));
    }
    for spec in specs {
        let message = create(&client, &namespace, &manifest(&spec))
            .await
            .expect_err("is refused");
        assert!(!message.contains("KEY"), "{message}");
        assert!(message.contains("spec.relay.outputs"), "{message}");
    }
}
