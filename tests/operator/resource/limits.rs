//! The limits of each field of a relay, just beyond them.

use serde_json::json;

use super::relay::{FRACTIONS, NUMBERS, TEXTS, WORDS, mixed, path, single, with, without};
use super::{ENUM_WORDS, PATTERN, REQUIRED, SHORT, TYPE, Table, UNKNOWN, manifest, place};

fn bad_numbers(table: &mut Table) {
    let mut add =
        |spec, pointer: &str, rule: &str| table.add(manifest(&spec), &path(pointer), rule);
    for (pointer, least, most) in NUMBERS {
        add(
            with(mixed(), pointer, json!(least - 1)),
            pointer,
            "should be greater than or equal to",
        );
        if let Some(most) = most {
            add(
                with(mixed(), pointer, json!(most + 1)),
                pointer,
                "should be less than or equal to",
            );
        }
        for value in [json!(least.to_string()), json!(0.5), json!(true), json!([])] {
            add(with(mixed(), pointer, value), pointer, TYPE);
        }
    }
    let pointer = "/relay/mixed/encode/audioSampleRate";
    for rate in [0, 7999, 8001, 22_050, 48_001] {
        let rule = "supported values: \"8000\", \"16000\", \"32000\", \"44100\", \"48000\"";
        add(with(mixed(), pointer, json!(rate)), pointer, rule);
    }
    add(with(mixed(), pointer, json!("8000")), pointer, TYPE);
}

fn bad_words_and_texts(table: &mut Table) {
    let mut add =
        |spec, pointer: &str, rule: &str| table.add(manifest(&spec), &path(pointer), rule);
    for (pointer, words) in WORDS {
        for word in [words[0].to_uppercase() + "x", String::new(), "0".to_owned()] {
            add(with(mixed(), pointer, json!(word)), pointer, ENUM_WORDS);
        }
        add(with(mixed(), pointer, json!(0)), pointer, TYPE);
    }
    for pointer in [
        "/relay/mixed/encode/audioOnly",
        "/relay/outputs/0/aliCdn",
        "/relay/sei/layoutVolume/followIdr",
    ] {
        for value in [json!("true"), json!(1)] {
            add(with(mixed(), pointer, value), pointer, TYPE);
        }
    }
    for (pointer, longest) in TEXTS {
        add(with(mixed(), pointer, json!("")), pointer, SHORT);
        let text = "a".repeat(longest + 1);
        add(
            with(mixed(), pointer, json!(text)),
            pointer,
            "may not be more than",
        );
        add(with(mixed(), pointer, json!(1)), pointer, TYPE);
        if longest == 64 {
            for text in ["a b", "a.b", "é", "a\n"] {
                add(with(mixed(), pointer, json!(text)), pointer, PATTERN);
            }
        }
    }
}

fn bad_fractions(table: &mut Table) {
    let mut add =
        |spec, pointer: &str, rule: &str| table.add(manifest(&spec), &path(pointer), rule);
    for field in FRACTIONS {
        let pointer = format!("/relay/mixed/layout/userPanes/0/{field}");
        for text in [
            "-0.1", "1.1", "1.01", "2", "10", "00", "01", ".5", "0.", "1.", "0,5", "50%", "1e-1",
            " 0", "0 ", "0\n", "NaN", "+0",
        ] {
            let rule = "must be a fraction from 0 to 1, written as a text, for example \"0.25\"";
            add(with(mixed(), &pointer, json!(text)), &pointer, rule);
        }
        add(with(mixed(), &pointer, json!("")), &pointer, SHORT);
        let long = format!("0.{}", "1".repeat(31));
        add(
            with(mixed(), &pointer, json!(long)),
            &pointer,
            "may not be more than 32",
        );
        add(with(mixed(), &pointer, json!(0.5)), &pointer, TYPE);
        add(without(mixed(), &pointer), &pointer, REQUIRED);
    }
}

fn bad_shapes(table: &mut Table) {
    let mut add =
        |spec, pointer: &str, rule: &str| table.add(manifest(&spec), &path(pointer), rule);
    for pointer in [
        "/relay/channelId",
        "/relay/outputs",
        "/relay/outputs/1/urlFrom/secretKeyRef",
        "/relay/outputs/1/urlFrom/secretKeyRef/name",
        "/relay/outputs/1/urlFrom/secretKeyRef/key",
        "/relay/mixed/encode",
        "/relay/mixed/background/url",
        "/relay/mixed/encode/audioBitrate",
        "/relay/mixed/encode/audioSampleRate",
        "/relay/mixed/encode/audioChannels",
        "/relay/mixed/layout/userPanes",
        "/relay/mixed/layout/userPanes/0/zOrder",
        "/relay/mixed/users/0/userId",
    ] {
        add(without(mixed(), pointer), pointer, REQUIRED);
    }
    add(
        without(single(), "/relay/single/userId"),
        "/relay/single/userId",
        REQUIRED,
    );
    for (text, rule) in [("", SHORT), (&*"a".repeat(257), "may not be more than 256")] {
        add(
            with(single(), "/relay/single/userId", json!(text)),
            "/relay/single/userId",
            rule,
        );
    }
    for pointer in ["/relay/single", "/relay/outputs", "/relay"] {
        add(with(single(), pointer, json!("x")), pointer, TYPE);
    }
    for (pointer, text, rule) in [
        ("name", "A", "should match"),
        ("name", "-a", "should match"),
        ("name", "a_b", "should match"),
        ("name", "", SHORT),
        ("key", "a b", "should match"),
        ("key", "a/b", "should match"),
        ("key", "", SHORT),
    ] {
        let pointer = format!("/relay/outputs/1/urlFrom/secretKeyRef/{pointer}");
        add(with(mixed(), &pointer, json!(text)), &pointer, rule);
    }
    for pointer in [
        "/relay/x",
        "/relay/single/x",
        "/relay/outputs/0/x",
        "/relay/single/streamtype",
    ] {
        add(with(single(), pointer, json!("x")), pointer, UNKNOWN);
    }
    for pointer in [
        "/relay/mixed/x",
        "/relay/mixed/encode/x",
        "/relay/sei/x",
        "/relay/sei/passThrough/interval",
    ] {
        add(with(mixed(), pointer, json!(1)), pointer, UNKNOWN);
    }
}

fn bad_lengths_of_lists(table: &mut Table) {
    let mut add =
        |spec, pointer: &str, rule: &str| table.add(manifest(&spec), &path(pointer), rule);
    let panes = "/relay/mixed/layout/userPanes";
    add(
        with(mixed(), panes, json!([])),
        panes,
        "should have at least 1 items",
    );
    let pane = json!({"x": "0", "y": "0", "width": "1", "height": "1", "zOrder": 0});
    add(
        with(mixed(), panes, json!(vec![pane; 65])),
        panes,
        "must have at most 64 items",
    );
    let users: Vec<_> = (0..65).map(|n| json!({"userId": n.to_string()})).collect();
    add(
        with(mixed(), "/relay/mixed/users", json!(users)),
        "/relay/mixed/users",
        "must have at most 64 items",
    );
    let outputs = "/relay/outputs";
    add(
        with(single(), outputs, json!([])),
        outputs,
        "should have at least 1 items",
    );
    let many: Vec<_> = (0..17)
        .map(|n| json!({"url": format!("rtmp://h/{n}")}))
        .collect();
    add(
        with(single(), outputs, json!(many)),
        outputs,
        "must have at most 16 items",
    );
}

#[tokio::test]
async fn bad_fields_of_relays_are_refused_with_field_and_rule() {
    let (cluster, namespace) = place().await;
    let mut table = Table::default();
    bad_numbers(&mut table);
    bad_words_and_texts(&mut table);
    bad_fractions(&mut table);
    bad_shapes(&mut table);
    bad_lengths_of_lists(&mut table);
    assert!(table.0.len() >= 250, "{}", table.0.len());
    table.assert_refused(&cluster.client(), &namespace).await;
}
