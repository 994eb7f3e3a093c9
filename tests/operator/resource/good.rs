//! Relays that are in order, at every boundary.

use serde_json::{Value, json};

use super::relay::{FRACTIONS, NUMBERS, TEXTS, WORDS, mixed, single, sound, with, without};
use super::{create, manifest, place};

fn leaves(specs: &mut Vec<Value>) {
    for (pointer, least, most) in NUMBERS {
        specs.push(with(mixed(), pointer, json!(least)));
        specs.push(with(mixed(), pointer, json!(most.unwrap_or(1_000_000_000))));
    }
    for rate in [8000, 16_000, 32_000, 44_100, 48_000] {
        specs.push(with(
            mixed(),
            "/relay/mixed/encode/audioSampleRate",
            json!(rate),
        ));
    }
    for (pointer, words) in WORDS {
        specs.extend(words.iter().map(|word| with(mixed(), pointer, json!(word))));
    }
    // The user's id stands in two places.
    for (pointer, longest) in TEXTS
        .into_iter()
        .filter(|(pointer, _)| !pointer.ends_with("/userId"))
    {
        specs.push(with(mixed(), pointer, json!("a")));
        specs.push(with(mixed(), pointer, json!("a".repeat(longest))));
    }
    for field in FRACTIONS {
        let pointer = format!("/relay/mixed/layout/userPanes/0/{field}");
        let longest = format!("0.{}", "1".repeat(30));
        let texts = ["0", "1", "0.0", "1.0", "0.5", "0.2456", "0.999", &longest];
        specs.extend(texts.map(|text| with(mixed(), &pointer, json!(text))));
    }
}

fn outputs(specs: &mut Vec<Value>) {
    let longest = format!("rtmp://h/{}", "k".repeat(2039));
    for url in [
        "rtmp://h/a",
        "rtmp://h:1935/live/s1?auth_key=1-0-0-f&b=c",
        "rtmp://user:word@h.example/a/b",
        "rtmp://[::1]:1936/a",
        "rtmp://h:1/a",
        "rtmp://h:9999/a",
        "rtmp://h:59999/a",
        "rtmp://h:65535/a",
        "rtmp://10.0.0.1/é",
        &longest,
    ] {
        specs.push(with(single(), "/relay/outputs/0/url", json!(url)));
    }
    let url = |n| json!({"url": format!("rtmp://h/{n}{}", "k".repeat(2030))});
    let many: Vec<Value> = (10..26).map(url).collect();
    specs.push(with(single(), "/relay/outputs", json!(many)));
    let alike = [
        "h/a",
        "h/A",
        "h/a/",
        "h:19350/a",
        "h0/a",
        "h:1936/a",
        "h.example/a",
    ]
    .map(|place| json!({"url": format!("rtmp://{place}")}));
    specs.push(with(single(), "/relay/outputs", json!(alike)));
    let keys =
        ["a", "b"].map(|key| json!({"urlFrom": {"secretKeyRef": {"name": "push", "key": key}}}));
    specs.push(with(single(), "/relay/outputs", json!(keys)));
}

fn media(specs: &mut Vec<Value>) {
    for stream in ["Original", "Audio", "Video"] {
        specs.push(with(single(), "/relay/single/streamType", json!(stream)));
    }
    for source in ["camera", "shareScreen"] {
        let video = with(single(), "/relay/single/streamType", json!("Video"));
        specs.push(with(video, "/relay/single/sourceType", json!(source)));
    }
    for profile in [
        json!({"profile": "main"}),
        json!({"preset": "slow"}),
        json!({}),
    ] {
        let spec = with(mixed(), "/relay/mixed/encode/videoCodec", json!("H.265"));
        specs.push(with(spec, "/relay/mixed/encode/enhancedParam", profile));
    }
    specs.push(without(mixed(), "/relay/mixed/encode/videoCodec"));
    let unpinned = without(mixed(), "/relay/mixed/layout/userPanes/0/userInfo");
    specs.push(without(unpinned.clone(), "/relay/mixed/users"));
    specs.push(with(unpinned.clone(), "/relay/mixed/users", json!([])));
    // As much as there can be, every pane pinned to a user whose id is as long as it can be.
    let crowd: Vec<_> = (0..64)
        .map(|n| json!({"userId": format!("{n:0>256}")}))
        .collect();
    let pane = |n: usize| {
        let user = json!({"userId": format!("{n:0>256}")});
        json!({"x": "0", "y": "0", "width": "1", "height": "1", "zOrder": n, "userInfo": user})
    };
    let panes: Vec<_> = (0..64).map(pane).collect();
    let full = with(unpinned, "/relay/mixed/users", json!(crowd));
    specs.push(with(full, "/relay/mixed/layout/userPanes", json!(panes)));
    let listener = json!([{"userId": "u", "streamType": "Audio"}]);
    specs.push(with(sound(), "/relay/mixed/users", listener));
    specs.push(with(sound(), "/relay/mixed/encode/videoWidth", json!(640)));
    for sei in [
        json!({}),
        json!({"layoutVolume": {}}),
        json!({"passThrough": {}}),
    ] {
        specs.push(with(single(), "/relay/sei", sei));
    }
}

#[tokio::test]
async fn good_relays_are_taken_as_they_are() {
    let (cluster, namespace) = place().await;
    let mut specs = vec![
        single(),
        mixed(),
        sound(),
        with(single(), "/taskId", json!("t")),
    ];
    leaves(&mut specs);
    outputs(&mut specs);
    media(&mut specs);
    for spec in specs {
        let created = create(&cluster.client(), &namespace, &manifest(&spec)).await;
        let created = created.unwrap_or_else(|message| panic!("{spec}: {message}"));
        assert_eq!(serde_json::to_value(&created.spec).unwrap(), spec);
    }
    // What is null is absent, as everywhere else.
    let nulls = with(
        with(single(), "/relay/region", json!(null)),
        "/relay/mixed",
        json!(null),
    );
    let created = create(&cluster.client(), &namespace, &manifest(&nulls))
        .await
        .unwrap();
    assert_eq!(serde_json::to_value(&created.spec).unwrap(), single());
}
