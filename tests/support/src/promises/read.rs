//! Reading the logs, and waiting until they are complete.

use std::time::Duration;

use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};

use super::{Logs, Owner};
use crate::simulator::{Admin, Filter};
use crate::{Cluster, eventually};

/// How long the audit log may be behind.
const BEHIND: Duration = Duration::from_secs(20);

impl Logs {
    /// What the logs say now of the namespace's objects and of the simulator. An entry of the audit log can come a moment after its answer.
    pub async fn read(
        simulator: &Admin,
        cluster: &Cluster,
        namespace: &str,
        operator: Option<&str>,
    ) -> Self {
        let kind = GroupVersionKind::gvk("mixedstream.io", "v1alpha1", "MixedStreamTask");
        let resource = ApiResource::from_gvk_with_plural(&kind, "mixedstreamtasks");
        let objects: Api<DynamicObject> =
            Api::namespaced_with(cluster.client(), namespace, &resource);
        let existing = objects.list_metadata(&ListParams::default()).await.unwrap();
        let clock = simulator.clock().await.unwrap();
        Self {
            calls: simulator.calls(&Filter::default()).await.unwrap(),
            changes: simulator.history(&Filter::default()).await.unwrap(),
            usage: simulator.quota().await.unwrap(),
            epoch_us: clock.real_us(0),
            requests: cluster.audit(|entry| {
                entry.namespace == namespace
                    && entry.resource == "mixedstreamtasks"
                    && entry.stage == "ResponseComplete"
                    && (!entry.name.is_empty() || entry.verb == "deletecollection")
            }),
            existing: existing
                .items
                .into_iter()
                .filter_map(|object| object.metadata.name)
                .collect(),
            operator: operator.map(str::to_owned),
        }
    }
}

/// Asserts that the promises are kept, from complete logs: whatever object is gone, the audit log says how. `crashes` as in [`Logs::breaches`].
pub async fn assert_kept(
    simulator: &Admin,
    cluster: &Cluster,
    namespace: &str,
    operator: Option<&str>,
    owners: &[Owner],
    crashes: usize,
) {
    eventually("the promises are kept", BEHIND, async || {
        let logs = Logs::read(simulator, cluster, namespace, operator).await;
        let breaches = logs.breaches(owners, crashes);
        if breaches.is_empty() {
            Ok(())
        } else {
            Err(breaches)
        }
    })
    .await;
}
