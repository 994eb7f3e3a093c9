//! The floor: what any program must do that watches, calls and patches, and nothing else. No limiter but a fixed pace, no decision,
//! no memory, no metrics. `floor NAMESPACE ENDPOINT JOB`; the cluster comes from `KUBECONFIG`. The job is one of
//!
//! * `stop`: one Stop that has to be accepted for each deleted object, then its release;
//! * `give-up-N`: N Stops over ten seconds, whatever their answer, with a status between two as long as the operator's, then the release;
//! * `start`: for each new object the finalizer, a status, a GET, one Start and another status.

use std::collections::HashSet;
use std::fmt::Write as _;
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
use serde_json::{Value, json};
use sha1::Sha1;
use tokio::sync::Semaphore;

const FINALIZER: &str = "mixedstream.io/stop-task";
/// From the first to the last of several Stops.
const SPAN: Duration = Duration::from_secs(10);
/// As long as what the operator says.
const FAILURE: &str = "StopLiveMPUTask failed with an internal error (InternalError: The request processing has failed due to some unknown error.): It \
                       is tried again. It has failed since some moment of this minute, and is tried again after waits that double up to a minute";
/// A little below the quota of 500 in a second.
const PACE: Duration = Duration::from_micros(1_000_000 / 495);
/// Requests at a time, to the service and likewise to the API server: more would only wait there.
const IN_FLIGHT: usize = 56;
/// Before a Stop that failed is sent again.
const AGAIN: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    Stop,
    GiveUp(u32),
    Start,
}

impl Job {
    fn read(word: &str) -> anyhow::Result<Self> {
        Ok(match word {
            "stop" => Self::Stop,
            "start" => Self::Start,
            other => {
                let count = other.strip_prefix("give-up-").context("no such job")?;
                Self::GiveUp(count.parse()?)
            }
        })
    }
}

struct Floor {
    job: Job,
    objects: Api<DynamicObject>,
    http: reqwest::Client,
    endpoint: String,
    slot: Mutex<Instant>,
    calls: Semaphore,
    writes: Semaphore,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Fails where there is a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let (Some(namespace), Some(endpoint), Some(job)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        bail!("usage: floor NAMESPACE ENDPOINT JOB");
    };
    let mut config = Config::infer().await?;
    config.default_retry = false;
    let kind = GroupVersionKind::gvk("mixedstream.io", "v1alpha1", "MixedStreamTask");
    let resource = ApiResource::from_gvk_with_plural(&kind, "mixedstreamtasks");
    let floor = Arc::new(Floor {
        job: Job::read(&job)?,
        objects: Api::namespaced_with(Client::try_from(config)?, &namespace, &resource),
        http: reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(64)
            .build()?,
        endpoint,
        slot: Mutex::new(Instant::now()),
        calls: Semaphore::new(IN_FLIGHT),
        writes: Semaphore::new(IN_FLIGHT),
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
        let is_deleting = object.metadata.deletion_timestamp.is_some();
        if is_deleting != (floor.job == Job::Start) && seen.insert(uid) {
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
        let name = object.metadata.name.as_deref().context("no name")?;
        match self.job {
            Job::Stop => {
                self.call(stop(object)?).await??;
                self.release(object).await
            }
            Job::GiveUp(stops) => {
                let mut newest = object.clone();
                for stop_number in 0..stops {
                    if stop_number > 0 {
                        newest = self.tell_failure(&newest, stop_number).await?;
                        tokio::time::sleep(SPAN / (stops - 1)).await;
                    }
                    // Refused, as expected.
                    let _ = self.call(stop(object)?).await?;
                }
                self.release(object).await
            }
            Job::Start => {
                let guard = json!({"metadata": {"finalizers": [FINALIZER]}});
                self.objects
                    .patch(name, &PatchParams::default(), &Patch::Merge(guard))
                    .await?;
                self.tell(name, json!({"phase": "Pending"})).await?;
                let live = self.objects.get(name).await?;
                self.call(start(&live)?).await??;
                self.tell(name, json!({"phase": "Running"})).await
            }
        }
    }

    async fn release(&self, object: &DynamicObject) -> anyhow::Result<()> {
        let name = object.metadata.name.as_deref().context("no name")?;
        let place = "/metadata/finalizers/0";
        let patch = serde_json::from_value(json!([
            {"op": "test", "path": "/metadata/uid", "value": object.metadata.uid},
            {"op": "test", "path": place, "value": FINALIZER},
            {"op": "remove", "path": place},
        ]))?;
        let _turn = self.writes.acquire().await?;
        self.objects
            .patch(name, &PatchParams::default(), &Patch::Json::<()>(patch))
            .await?;
        Ok(())
    }

    /// Replaces the status by one that says as much as the operator's.
    async fn tell_failure(
        &self,
        object: &DynamicObject,
        stop_number: u32,
    ) -> anyhow::Result<DynamicObject> {
        let name = object.metadata.name.as_deref().context("no name")?;
        let mut status = object.data["status"].clone();
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let conditions = [("Ready", "False"), ("Reconciling", "True")].map(|(kind, value)| {
            json!({
                "type": kind, "status": value, "reason": "ServiceUnavailable", "lastTransitionTime": now.to_string(),
                "observedGeneration": object.metadata.generation,
                "message": format!("{FAILURE} (attempt {stop_number})"),
            })
        });
        status["phase"] = json!("Stopping");
        status["conditions"] = json!(conditions);
        let record = json!({
            "action": "StopLiveMPUTask", "requestId": uuid::Uuid::new_v4().to_string().to_uppercase(),
            "result": "internal_error", "time": now.to_string(),
        });
        let calls = status["calls"].as_array_mut();
        match calls {
            Some(calls) => calls.push(record),
            None => status["calls"] = json!([record]),
        }
        let patch = serde_json::from_value(json!([
            {"op": "test", "path": "/metadata/uid", "value": object.metadata.uid},
            {"op": "test", "path": "/metadata/resourceVersion", "value": object.metadata.resource_version},
            {"op": "add", "path": "/status", "value": status},
        ]))?;
        let patch = Patch::Json::<()>(patch);
        let params = PatchParams::default();
        let _turn = self.writes.acquire().await?;
        Ok(self.objects.patch_status(name, &params, &patch).await?)
    }

    async fn tell(&self, name: &str, status: Value) -> anyhow::Result<()> {
        let status = json!({"status": status});
        self.objects
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await?;
        Ok(())
    }

    /// One call at its turn; inside, what the service says.
    async fn call(&self, parameters: Vec<(&str, String)>) -> anyhow::Result<anyhow::Result<()>> {
        let _turn = self.calls.acquire().await?;
        let slot = {
            let mut next = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = (*next).max(Instant::now());
            *next = slot + PACE;
            slot
        };
        if slot > Instant::now() {
            tokio::time::sleep_until(slot.into()).await;
        }
        let url = format!("{}/?{}", self.endpoint, signed(parameters)?);
        let response = self.http.post(url).send().await?;
        let status = response.status();
        let body = response.text().await?;
        Ok(if status.is_success() {
            Ok(())
        } else {
            Err(anyhow::anyhow!("{status}: {body}"))
        })
    }
}

fn text(object: &DynamicObject, place: &str) -> anyhow::Result<String> {
    let text = object.data.pointer(place).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {place}"))?.to_owned())
}

fn stop(object: &DynamicObject) -> anyhow::Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("Action", "StopLiveMPUTask".to_owned()),
        ("AppId", text(object, "/spec/appId")?),
        ("TaskId", text(object, "/spec/taskId")?),
    ])
}

fn start(object: &DynamicObject) -> anyhow::Result<Vec<(&'static str, String)>> {
    let user = text(object, "/spec/relay/single/userId")?;
    Ok(vec![
        ("Action", "StartLiveMPUTask".to_owned()),
        ("AppId", text(object, "/spec/appId")?),
        ("ChannelId", text(object, "/spec/relay/channelId")?),
        ("MixMode", "0".to_owned()),
        ("SingleSubParams", json!({"UserId": user}).to_string()),
        ("StreamURL", text(object, "/spec/relay/outputs/0/url")?),
        ("TaskId", text(object, "/spec/taskId")?),
    ])
}

/// The query of a call, signed by V1 (dossier 6.1).
fn signed(mut parameters: Vec<(&str, String)>) -> anyhow::Result<String> {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    parameters.extend([
        ("AccessKeyId", "testid".to_owned()),
        ("Format", "JSON".to_owned()),
        ("SignatureMethod", "HMAC-SHA1".to_owned()),
        ("SignatureNonce", uuid::Uuid::new_v4().simple().to_string()),
        ("SignatureVersion", "1.0".to_owned()),
        ("Timestamp", now.to_string()),
        ("Version", "2016-11-01".to_owned()),
    ]);
    parameters.sort_unstable();
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    let query = pairs.join("&");
    let mut mac = Hmac::<Sha1>::new_from_slice(b"testsecret&")?;
    mac.update(format!("POST&%2F&{}", escaped(&query)).as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    Ok(format!("{query}&Signature={}", escaped(&signature)))
}

/// Percent-encoded as RFC 3986 has it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
