#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Policy {
    Policy::parse(text).unwrap()
}

#[test]
fn a_rule_allows_what_all_its_fields_allow() {
    let policy = parse(
        "rules: [{namespaces: [team-a, team-b], appIds: [app-01, app-02], taskIdPrefix: a-}]",
    );
    for (namespace, app_id, task_id, allowed) in [
        ("team-a", "app-01", "a-1", true),
        ("team-b", "app-02", "a-", true),
        ("team-c", "app-01", "a-1", false),
        ("team-a", "app-03", "a-1", false),
        ("team-a", "app-01", "b-1", false),
        ("team-a", "app-01", "A-1", false),
        ("team-a", "app-01", "a", false),
        ("team", "app-01", "a-1", false),
        ("team-a", "app-011", "a-1", false),
    ] {
        assert_eq!(
            policy.allows(namespace, app_id, Some(task_id)),
            allowed,
            "{namespace} {app_id} {task_id}"
        );
    }
}

#[test]
fn one_matching_rule_is_enough_and_rules_do_not_mix() {
    let policy = parse(
        "rules:\n- namespaces: [team-a]\n  appIds: [app-01]\n- namespaces: [team-b]\n  appIds: [app-02]\n  taskIdPrefix: b\n",
    );
    assert!(policy.allows("team-a", "app-01", Some("anything")));
    assert!(policy.allows("team-b", "app-02", Some("b1")));
    assert!(!policy.allows("team-a", "app-02", Some("b1")));
    assert!(!policy.allows("team-b", "app-01", Some("b1")));
}

#[test]
fn a_star_stands_for_any_name() {
    let any_app = parse("rules: [{namespaces: [ops], appIds: ['*']}]");
    assert!(any_app.allows("ops", "whatever", Some("t")));
    assert!(!any_app.allows("team-a", "whatever", Some("t")));
    let any_namespace = parse("rules: [{namespaces: [\"*\", ops], appIds: [app-01]}]");
    assert!(any_namespace.allows("team-a", "app-01", Some("t")));
    assert!(!any_namespace.allows("ops", "app-02", Some("t")));
}

#[test]
fn no_rules_allow_nothing_and_one_tenant_everything() {
    let prefixed = parse("rules: [{namespaces: [a], appIds: [b], taskIdPrefix: x-}]");
    assert!(!prefixed.allows("a", "b", Some("y-1")));
    assert!(
        prefixed.allows("a", "b", None),
        "an id of its own needs no prefix"
    );
    assert!(!prefixed.allows("a", "c", None));
    assert!(!parse("rules: []").allows("a", "b", Some("c")));
    assert!(Policy::everything().allows("a", "b", Some("c")));
}

#[test]
fn a_bad_policy_is_answered_with_where_and_what_to_do() {
    for (text, words) in [
        ("", &["rules: [{namespaces"][..]),
        ("rules:", &["rules: [{namespaces"]),
        ("- a", &["line 1", "rules: [{namespaces"]),
        ("rule: []", &["line 1", "`rule`", "rules"]),
        ("rules: []\nrules: []", &["line 2", "duplicate"]),
        (
            "rules:\n- namespaces: [a]\n  appIds: [b]\n  taskId: c\n",
            &["line 4", "`taskId`", "taskIdPrefix"],
        ),
        ("rules:\n- namespaces: [a]\n", &["line 2", "`appIds`"]),
        ("rules:\n- appIds: [a]\n", &["line 2", "`namespaces`"]),
        (
            "rules:\n- namespaces: [*]\n  appIds: [b]\n",
            &["line 2", "\"*\" in quotes"],
        ),
        (
            "rules:\n- namespaces: [a]\n  appIds: [b]\n  taskIdPrefix:\n",
            &["line 4", "null"],
        ),
        ("rules: [{namespaces: a, appIds: [b]}]", &["line 1"]),
        (
            "rules: [{namespaces: [a], appIds: [b]}, {namespaces: [], appIds: [b]}]",
            &["rule 2", "namespaces is empty", "\"*\""],
        ),
        (
            "rules: [{namespaces: [a], appIds: []}]",
            &["rule 1", "appIds is empty"],
        ),
        (
            "rules: [{namespaces: [team-*], appIds: [b]}]",
            &["rule 1", "namespaces", "\"team-*\"", "whole names"],
        ),
        (
            "rules: [{namespaces: [a], appIds: [app 1]}]",
            &["rule 1", "appIds", "\"app 1\""],
        ),
        (
            "rules: [{namespaces: [a], appIds: [b], taskIdPrefix: ''}]",
            &["rule 1", "taskIdPrefix", "leave it out"],
        ),
        (
            "rules: [{namespaces: [a], appIds: [b], taskIdPrefix: 'a*'}]",
            &["rule 1", "taskIdPrefix", "hyphens"],
        ),
    ] {
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{text}: {error}");
        for words in words {
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[-a-z:\\[\\]{}*&!|>'\", \n#0-9~]{0,80}") {
        let _ = Policy::parse(&text);
    }
}

const ONE: &str = "rules: [{namespaces: [team-a], appIds: [app-01]}]";
const OTHER: &str = "rules: [{namespaces: [team-b], appIds: [app-01]}]";

async fn opened(text: &str) -> (tempfile::TempDir, PolicyFile) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, text).unwrap();
    (folder, PolicyFile::open(path).await.unwrap())
}

#[tokio::test]
async fn a_file_that_is_missing_or_no_policy_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.yaml");
    let missing = PolicyFile::open(path.clone()).await.unwrap_err();
    for words in ["policy.yaml", "cannot be read", "leave the flag out"] {
        assert!(missing.contains(words), "{missing}");
    }
    for (text, words) in [
        (b"rules: 1".to_vec(), "line 1"),
        (b"rules: [{namespaces: [], appIds: [a]}]".to_vec(), "rule 1"),
        (b"\xff\xfe".to_vec(), "UTF-8"),
        (vec![b'#'; (1 << 20) + 1], "longer than 1048576 bytes"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = PolicyFile::open(path.clone()).await.unwrap_err();
        assert!(
            error.contains("policy.yaml") && error.contains(words),
            "{error}"
        );
    }
    let folder = PolicyFile::open(folder.path().to_owned())
        .await
        .unwrap_err();
    assert!(folder.contains("cannot be read"), "{folder}");
}

#[tokio::test]
async fn a_new_version_counts_when_it_has_been_read_twice() {
    let (_folder, mut file) = opened(ONE).await;
    let in_force = file.in_force();
    let changes = in_force.changes();
    assert_eq!(file.found(Ok(ONE.to_owned())), Found::Nothing);
    // The beginning of a longer file that is being written.
    assert_eq!(file.found(Ok("rules: []".to_owned())), Found::Nothing);
    assert_eq!(file.found(Ok(OTHER.to_owned())), Found::Nothing);
    assert!(in_force.allows("team-a", "app-01", Some("t")));
    assert!(!changes.has_changed().unwrap());
    assert_eq!(file.found(Ok(OTHER.to_owned())), Found::Changed);
    assert!(!in_force.allows("team-a", "app-01", Some("t")));
    assert!(in_force.allows("team-b", "app-01", Some("t")));
    assert!(changes.has_changed().unwrap());
}

#[tokio::test]
async fn a_broken_version_is_told_once_and_leaves_the_old_one_in_force() {
    let (_folder, mut file) = opened(ONE).await;
    let in_force = file.in_force();
    let changes = in_force.changes();
    let broken = || Ok("rules: [{namespaces: []".to_owned());
    assert_eq!(file.found(broken()), Found::Nothing);
    let told = file.found(broken());
    assert!(
        matches!(&told, Found::Broken(why) if why.contains("line 1")),
        "{told:?}"
    );
    for _ in 0..5 {
        assert_eq!(file.found(broken()), Found::Nothing);
    }
    let gone = || Err("cannot be read (gone)".to_owned());
    assert_eq!(file.found(gone()), Found::Nothing);
    assert!(matches!(file.found(gone()), Found::Broken(why) if why.contains("gone")));
    assert!(in_force.allows("team-a", "app-01", Some("t")));

    // Mended, with another comment but the same rules.
    let mended = || Ok(format!("# mended\n{ONE}"));
    assert_eq!(file.found(mended()), Found::Nothing);
    assert_eq!(file.found(mended()), Found::Sound);
    assert!(
        !changes.has_changed().unwrap(),
        "the same rules are no change"
    );
}

/// As Kubernetes mounts a `ConfigMap`: the file is a link into `..data`, which is a link to a folder and is swapped as a whole.
#[tokio::test]
async fn a_swapped_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, place(from)).unwrap();
    for (version, text) in [("..1", ONE), ("..2", OTHER)] {
        std::fs::create_dir(place(version)).unwrap();
        std::fs::write(place(version).join("policy.yaml"), text).unwrap();
    }
    link("..1", "..data");
    link("..data/policy.yaml", "policy.yaml");
    let file = PolicyFile::open(place("policy.yaml")).await.unwrap();
    let in_force = file.in_force();
    let mut changes = in_force.changes();
    let following = tokio::spawn(file.follow(Duration::from_millis(5)));
    assert!(in_force.allows("team-a", "app-01", Some("t")));
    link("..2", "..data_tmp");
    std::fs::rename(place("..data_tmp"), place("..data")).unwrap();
    tokio::time::timeout(Duration::from_secs(30), changes.changed())
        .await
        .unwrap()
        .unwrap();
    assert!(!in_force.allows("team-a", "app-01", Some("t")));
    assert!(in_force.allows("team-b", "app-01", Some("t")));
    following.abort();
}
