//! The manifests of the pages are taken as they stand there.

use super::place;

const PAGES: [(&str, &str); 2] = [
    ("README.md", include_str!("../../../README.md")),
    ("docs/relay.md", include_str!("../../../docs/relay.md")),
];

#[tokio::test]
async fn the_manifests_of_the_pages_are_taken() {
    let (cluster, namespace) = place().await;
    for (page, text) in PAGES {
        let manifests: Vec<&str> = text
            .split("```yaml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .collect();
        assert_eq!(manifests.len(), 2, "{page}");
        for manifest in manifests {
            let arguments = [
                "create",
                "--validate=strict",
                "--namespace",
                &namespace,
                "-f",
                "-",
            ];
            let created = cluster.kubectl(arguments, manifest).await.success();
            assert!(created.contains("created"), "{page}: {created}");
        }
    }
}
