//! `kubectl explain` is the user's reference.

use serde_json::Value;

use support::eventually;

use crate::scene::{PATIENCE, cluster};

/// Every field below `schema` that nobody has described.
fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>, seen: &mut usize) {
    if let Some(items) = schema.get("items") {
        undescribed(items, path, found, seen);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    for (name, schema) in properties {
        let path = format!("{path}.{name}");
        *seen += 1;
        if schema["description"]
            .as_str()
            .is_none_or(|text| text.trim().len() < 10)
        {
            found.push(path.clone());
        }
        undescribed(schema, &path, found, seen);
    }
}

#[test]
fn every_field_is_described() {
    let crd = serde_json::to_value(mixed_stream_operator::api::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let (mut found, mut seen) = (Vec::new(), 0);
    undescribed(schema, "spec", &mut found, &mut seen);
    assert_eq!(found, Vec::<String>::new());
    assert!(seen >= 60, "{seen}");
}

#[tokio::test]
async fn kubectl_explains_a_relay() {
    let cluster = cluster().await;
    // kubectl may remember what there was before the resource; only `get` looks again where it finds nothing.
    eventually("kubectl knows the resource", PATIENCE, async || {
        let output = cluster.kubectl(["get", "mst", "-A"], "").await;
        if output.status.success() {
            Ok(())
        } else {
            Err(output.stderr)
        }
    })
    .await;
    for (path, wanted) in [
        (
            "mst.spec.relay",
            &[
                "With it the operator starts, updates and stops the task",
                "channelId\t<string> -required-",
                "The RTC channel whose people are relayed (ChannelId)",
                "enum: CN-Shanghai, AP-Singapore, EMAA-Saudi",
                "outputs\t<[]Object> -required-",
                "Exactly one of single and mixed is needed",
            ][..],
        ),
        (
            "mst.spec.relay.outputs.url",
            &[
                "rtmp://host/path, at most 2048 characters",
                "Exactly one of url and urlFrom",
            ],
        ),
        (
            "mst.spec.relay.mixed.encode",
            &[
                "audioBitrate\t<integer> -required-",
                "8 to 500",
                "enum: H.264, H.265",
                "videoGop\t<integer>",
            ],
        ),
        (
            "mst.spec.relay.mixed.layout.userPanes",
            &[
                "each one user's place in the picture",
                "zOrder\t<integer> -required-",
                "0 is at the bottom",
            ],
        ),
    ] {
        let explained = cluster.kubectl(["explain", path], "").await.success();
        for words in wanted {
            // Long lines are broken wherever that suits kubectl.
            let flat = |text: &str| {
                text.split(' ')
                    .filter(|word| !word.is_empty())
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let text = flat(&explained.replace('\n', " "));
            assert!(text.contains(&flat(words)), "{path}: {words}\n{explained}");
        }
    }
}
