//! The floor: what any program must do that watches, calls and patches, and nothing else. No limiter but a fixed pace, no status,
//! no memory, no metrics. `floor NAMESPACE ENDPOINT`; the cluster comes from `KUBECONFIG`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use futures::TryStreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kube::api::{ApiResource, Patch, PatchParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Config};
use sha1::Sha1;

/// A little below the quota of 500 in a second.
const PACE: Duration = Duration::from_micros(1_000_000 / 495);
/// Before a Stop that failed is sent again.
const AGAIN: Duration = Duration::from_millis(200);

struct Floor {
    objects: Api<DynamicObject>,
    http: reqwest::Client,
    endpoint: String,
    slot: Mutex<Instant>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Fails where there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let (Some(namespace), Some(endpoint)) = (arguments.next(), arguments.next()) else {
        bail!("usage: floor NAMESPACE ENDPOINT");
    };
    let mut config = Config::infer().await?;
    config.default_retry = false;
    let kind = GroupVersionKind::gvk("mixedstream.io", "v1alpha1", "MixedStreamTask");
    let resource = ApiResource::from_gvk_with_plural(&kind, "mixedstreamtasks");
    let floor = Arc::new(Floor {
        objects: Api::namespaced_with(Client::try_from(config)?, &namespace, &resource),
        http: reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(64)
            .build()?,
        endpoint,
        slot: Mutex::new(Instant::now()),
    });
    let mut seen = HashSet::new();
    let mut events = Box::pin(watcher::watcher(
        floor.objects.clone(),
        watcher::Config::default(),
    ));
    loop {
        // A watch that was cut off is begun anew by the next call.
        let object = match events.try_next().await {
            Ok(Some(Event::Apply(object) | Event::InitApply(object))) => object,
            Ok(Some(Event::Delete(_) | Event::Init | Event::InitDone)) | Err(_) => continue,
            Ok(None) => return Ok(()),
        };
        let uid = object.metadata.uid.clone().unwrap_or_default();
        if object.metadata.deletion_timestamp.is_some() && seen.insert(uid) {
            let floor = Arc::clone(&floor);
            tokio::spawn(async move {
                while let Err(error) = floor.finish(&object).await {
                    eprintln!("{error:#}");
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
    }
}

impl Floor {
    async fn finish(&self, object: &DynamicObject) -> anyhow::Result<()> {
        let id = |name: &str| object.data["spec"][name].as_str().context("no id");
        let slot = {
            let mut next = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = (*next).max(Instant::now());
            *next = slot + PACE;
            slot
        };
        if slot > Instant::now() {
            tokio::time::sleep_until(slot.into()).await;
        }
        let url = format!(
            "{}/?{}",
            self.endpoint,
            signed(id("appId")?, id("taskId")?)?
        );
        let response = self.http.post(url).send().await?;
        let status = response.status();
        let body = response.text().await?;
        if !status.is_success() {
            bail!("{status}: {body}");
        }
        let name = object.metadata.name.as_deref().context("no name")?;
        let patch =
            serde_json::from_str(r#"[{"op": "remove", "path": "/metadata/finalizers/0"}]"#)?;
        self.objects
            .patch(name, &PatchParams::default(), &Patch::Json::<()>(patch))
            .await?;
        Ok(())
    }
}

/// The query of a Stop, signed by V1 (dossier 6.1). The ids need no escaping.
fn signed(app: &str, task: &str) -> anyhow::Result<String> {
    let nonce = uuid::Uuid::new_v4().simple();
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ");
    let query = format!(
        "AccessKeyId=testid&Action=StopLiveMPUTask&AppId={app}&Format=JSON&SignatureMethod=HMAC-SHA1\
         &SignatureNonce={nonce}&SignatureVersion=1.0&TaskId={task}&Timestamp={now}&Version=2016-11-01"
    );
    let escaped = query
        .replace('%', "%25")
        .replace('&', "%26")
        .replace('=', "%3D");
    let mut mac = Hmac::<Sha1>::new_from_slice(b"testsecret&")?;
    mac.update(format!("POST&%2F&{escaped}").as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    let signature = signature
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    Ok(format!("{query}&Signature={signature}"))
}
