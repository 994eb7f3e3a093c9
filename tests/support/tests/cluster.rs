//! The real API server as tests see it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use support::cluster::connect;
use support::{Cluster, Component, eventually};

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn tests_share_one_server_and_have_namespaces_of_their_own() {
    let (one, two) = tokio::join!(Cluster::shared(), Cluster::shared());
    assert_eq!(one.ready().server, two.ready().server);
    let (first, second) = (one.namespace("same").await, two.namespace("same").await);
    assert_ne!(first, second);
    assert!(first.starts_with("same-"));
}

#[tokio::test]
async fn the_audit_log_counts_patches_by_user_resource_and_name() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("audit").await;
    cluster.apply_yaml(&config_map(&namespace, "patched")).await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), &namespace);
    for value in ["1", "2", "3"] {
        let patch = Patch::Merge(serde_json::json!({ "data": { "key": value } }));
        maps.patch("patched", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
    let gone = maps
        .patch(
            "missing",
            &PatchParams::default(),
            &Patch::Merge(serde_json::json!({})),
        )
        .await;
    assert!(gone.unwrap_err().to_string().contains("not found"));

    let patches = eventually("five patches are in the audit log", PATIENCE, async || {
        let found = cluster.audit(|entry| entry.verb == "patch" && entry.namespace == namespace);
        if found.len() == 5 {
            Ok(found)
        } else {
            Err(found)
        }
    })
    .await;
    let seen: Vec<_> = patches
        .iter()
        .map(|entry| (entry.name.as_str(), entry.code))
        .collect();
    // The first is kubectl's server-side apply.
    assert_eq!(
        seen,
        [
            ("patched", 201),
            ("patched", 200),
            ("patched", 200),
            ("patched", 200),
            ("missing", 404)
        ]
    );
    for entry in patches {
        assert_eq!(
            (
                entry.user.as_str(),
                entry.resource.as_str(),
                entry.subresource.as_str()
            ),
            ("admin", "configmaps", "")
        );
        assert_eq!(
            (entry.group.as_str(), entry.stage.as_str()),
            ("", "ResponseComplete")
        );
        assert!(entry.received <= entry.answered);
    }
}

#[tokio::test]
async fn kubectl_answers_as_it_does_at_a_prompt() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("kubectl").await;
    let created = cluster
        .kubectl(["create", "-f", "-"], &config_map(&namespace, "by-hand"))
        .await
        .success();
    assert_eq!(created, "configmap/by-hand created\n");
    let refused = cluster
        .kubectl(["get", "configmap", "none", "-n", &namespace], "")
        .await;
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("NotFound"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_user_may_do_what_rbac_allows_and_no_more() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("rbac").await;
    let name = format!("reader-of-{namespace}");
    let kubeconfig = cluster.user(&name).await;
    let maps: Api<ConfigMap> = Api::namespaced(connect(&kubeconfig).await, &namespace);
    let refused = maps
        .list(&ListParams::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&name) && refused.contains("cannot list"),
        "{refused}"
    );

    let grant = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: view, namespace: {namespace}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}\n\
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: '{name}'}}]\n"
    );
    cluster.apply_yaml(&grant).await;
    eventually("the user may list", PATIENCE, async || {
        maps.list(&ListParams::default()).await
    })
    .await;
    let refused = maps
        .delete("any", &DeleteParams::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("cannot delete"), "{refused}");
    let by_user = eventually("the audit log shows the user", PATIENCE, async || {
        let found = cluster.audit(|entry| entry.user == name && entry.verb == "delete");
        if found.is_empty() {
            Err(cluster.audit(|entry| entry.user == name))
        } else {
            Ok(found)
        }
    })
    .await;
    assert_eq!(by_user[0].code, 403);
}

#[tokio::test]
async fn the_server_is_verified_and_so_is_the_user() {
    let cluster = Cluster::shared().await;
    let kubeconfig = std::fs::read_to_string(cluster.kubeconfig()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (field, complaint) in [
        ("certificate-authority-data", "certificate"),
        ("token", "forbidden"),
    ] {
        // The same without the one field, which JSON of any other name stands for.
        let path = folder.path().join(field);
        std::fs::write(
            &path,
            kubeconfig.replace(&format!("\"{field}\""), "\"ignored\""),
        )
        .unwrap();
        let namespaces: Api<Namespace> = Api::all(connect(&path).await);
        let refused = format!(
            "{:?}",
            namespaces.list(&ListParams::default()).await.unwrap_err()
        )
        .to_lowercase();
        assert!(refused.contains(complaint), "{refused}");
    }
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_all_that_is_in_it() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("gone").await;
    cluster.apply_yaml(&config_map(&namespace, "content")).await;
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    namespaces
        .delete(&namespace, &DeleteParams::default())
        .await
        .unwrap();
    eventually("the namespace is gone", PATIENCE, async || match namespaces
        .get_opt(&namespace)
        .await
    {
        Ok(None) => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test]
async fn a_secret_is_made_changed_and_deleted() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.namespace("secret").await;
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), &namespace);
    let value = async |key: &str| {
        let data = secrets.get("push").await.unwrap().data.unwrap();
        String::from_utf8(data[key].0.clone()).unwrap()
    };
    cluster
        .put_secret(&namespace, "push", &[("url", "rtmp://x/a"), ("other", "o")])
        .await;
    assert_eq!(value("url").await, "rtmp://x/a");
    cluster
        .put_secret(&namespace, "push", &[("url", "rtmp://x/b")])
        .await;
    assert_eq!(value("url").await, "rtmp://x/b");
    assert_eq!(value("other").await, "o");
    cluster.delete_secret(&namespace, "push").await;
    assert!(secrets.get_opt("push").await.unwrap().is_none());
}

#[tokio::test]
async fn a_restarted_component_keeps_data_and_address() {
    let cluster = Cluster::fresh().await;
    let namespace = cluster.namespace("kept").await;
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    for component in [
        Component::KubeApiserver,
        Component::Etcd,
        Component::KubeControllerManager,
    ] {
        let before = cluster.ready().pids[&component];
        let now = cluster.plane().restart(component).await.unwrap();
        assert_ne!(before, now, "{component}");
        eventually("the namespace is still there", PATIENCE, async || {
            namespaces.get(&namespace).await
        })
        .await;
    }
    cluster
        .plane()
        .kill(Component::KubeApiserver)
        .await
        .unwrap();
    assert!(namespaces.get(&namespace).await.is_err());
    let again = cluster
        .plane()
        .kill(Component::KubeApiserver)
        .await
        .unwrap_err()
        .to_string();
    assert!(again.contains("kube-apiserver does not run"), "{again}");
    cluster
        .plane()
        .resume(Component::KubeApiserver)
        .await
        .unwrap();
    eventually("the namespace is still there", PATIENCE, async || {
        namespaces.get(&namespace).await
    })
    .await;
}

fn config_map(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {namespace}}}\ndata: {{key: value}}\n"
    )
}
