//! The writes to the cluster, each fenced by uid, each within a deadline.

use super::view::{Key, View};
use crate::{
    api::{self, MixedStreamTask, MixedStreamTaskStatus},
    live::redact::shown,
};
use json_patch::{
    AddOperation, Patch as JsonPatch, PatchOperation, RemoveOperation, TestOperation,
    jsonptr::PointerBuf,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Resource,
    api::{ApiResource, GetParams, Patch, PatchParams},
    core::DynamicObject,
};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Status writes in flight. More do not make the API server faster, and the removal of a finalizer would wait behind all of them: a crowd of
/// objects whose calls fail writes as many.
const STATUS_WRITES: usize = 16;

/// The name that our writes carry in managedFields.
const FIELD_MANAGER: &str = "mixed-stream-operator";

/// Why a write did not happen, or is not known to have happened.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The object is gone.
    #[error("the object is gone")]
    Gone,
    /// The object is not as the write expects: read it again.
    #[error("the object has changed meanwhile ({0})")]
    Changed(String),
    /// The API server refuses: nothing was stored.
    #[error("{0}")]
    Refused(String),
    /// The API server did not answer, or not clearly: it may have been stored.
    #[error("{0}")]
    Unknown(String),
}

/// Reads and writes objects of one kind.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    watching: Client,
    resource: ApiResource,
    telling: Arc<Semaphore>,
    deadline: Duration,
    task_id_prefix: String,
}

/// Why the value of a Secret is not known.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such Secret.
    #[error("there is no such Secret")]
    Missing,
    /// The operator may not read it.
    #[error("the operator may not get it: {0}")]
    Denied(String),
    /// The API server did not answer clearly.
    #[error("{0}")]
    Unknown(String),
}

impl Cluster {
    /// `deadline` bounds each call; `watching` is for the watch, whose connection may be silent for longer; `task_id_prefix` is what the ids of
    /// tasks begin with whose objects name none.
    #[must_use]
    pub fn new(
        client: Client,
        watching: Client,
        deadline: Duration,
        task_id_prefix: String,
    ) -> Self {
        Self {
            client,
            watching,
            resource: ApiResource::erase::<MixedStreamTask>(&()),
            telling: Arc::new(Semaphore::new(STATUS_WRITES)),
            deadline,
            task_id_prefix,
        }
    }

    /// Reads an object as it was shown.
    #[must_use]
    pub fn view(&self, object: &DynamicObject) -> Option<View> {
        View::read(object, &self.task_id_prefix)
    }

    /// Reads the values of a Secret, by key.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<BTreeMap<String, SecretSlice<u8>>, SecretError> {
        let unreadable =
            || SecretError::Unknown("the API server's answer cannot be read".to_owned());
        let request = kube::core::Request::new(Secret::url_path(&(), Some(namespace)))
            .get(name, &GetParams::default())
            .map_err(|_| unreadable())?;
        // As text: the client logs what it cannot decode, and it may hold the value.
        match tokio::time::timeout(self.deadline, self.client.request_text(request)).await {
            Ok(Ok(text)) => {
                let text = SecretString::from(text);
                let secret: Secret =
                    serde_json::from_str(text.expose_secret()).map_err(|_| unreadable())?;
                let values = secret.data.unwrap_or_default().into_iter();
                Ok(values
                    .map(|(key, value)| (key, SecretSlice::from(value.0)))
                    .collect())
            }
            Ok(Err(kube::Error::Api(status))) => Err(match status.code {
                404 => SecretError::Missing,
                403 => SecretError::Denied(status.message.clone()),
                _ => SecretError::Unknown(said(&status)),
            }),
            Ok(Err(_)) => Err(unreadable()),
            Err(_) => Err(SecretError::Unknown(format!(
                "the API server did not answer within {:?}",
                self.deadline
            ))),
        }
    }

    /// The objects of one namespace, or of all, to be watched.
    #[must_use]
    pub fn watched(&self, namespace: Option<&str>) -> Api<DynamicObject> {
        let client = self.watching.clone();
        match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &self.resource),
            None => Api::all_with(client, &self.resource),
        }
    }

    /// A reference for events.
    #[must_use]
    pub fn reference(view: &View) -> k8s_openapi::api::core::v1::ObjectReference {
        k8s_openapi::api::core::v1::ObjectReference {
            api_version: Some(MixedStreamTask::api_version(&()).into_owned()),
            kind: Some(MixedStreamTask::kind(&()).into_owned()),
            namespace: Some(view.key.namespace.clone()),
            name: Some(view.key.name.clone()),
            uid: Some(view.uid.clone()),
            resource_version: Some(view.resource_version.clone()),
            ..Default::default()
        }
    }

    /// Stores our finalizer.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn guard(&self, view: &View) -> Result<View, WriteError> {
        let mut operations = vec![test_uid(view)];
        if view.finalizers.is_empty() {
            // The list is not there, so that nothing but the version can tell that nobody has added one meanwhile.
            operations.push(test_version(view));
            operations.push(add(["metadata", "finalizers"], json!([api::FINALIZER])));
        } else {
            operations.push(add(["metadata", "finalizers", "-"], json!(api::FINALIZER)));
        }
        self.patch(&view.key, operations, None).await
    }

    /// Replaces the status.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn record(
        &self,
        view: &View,
        status: &MixedStreamTaskStatus,
    ) -> Result<View, WriteError> {
        let status =
            serde_json::to_value(status).map_err(|error| WriteError::Refused(error.to_string()))?;
        let operations = vec![test_uid(view), test_version(view), add(["status"], status)];
        self.patch(&view.key, operations, Some("status")).await
    }

    /// Removes our finalizer. `exact`: only if nothing at all has changed since the view.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn release(&self, view: &View, exact: bool) -> Result<View, WriteError> {
        let Some(index) = view
            .finalizers
            .iter()
            .position(|name| name == api::FINALIZER)
        else {
            return Err(WriteError::Changed("our finalizer is not there".to_owned()));
        };
        let index = index.to_string();
        let place = ["metadata", "finalizers", index.as_str()];
        let mut operations = vec![test_uid(view)];
        if exact {
            operations.push(test_version(view));
        }
        operations.push(test(place, json!(api::FINALIZER)));
        operations.push(PatchOperation::Remove(RemoveOperation {
            path: PointerBuf::from_tokens(place),
        }));
        self.patch(&view.key, operations, None).await
    }

    /// Reads the object as it is stored now.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn read(&self, key: &Key) -> Result<View, WriteError> {
        let api = self.api(key);
        self.bounded(api.get(&key.name)).await
    }

    fn api(&self, key: &Key) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &key.namespace, &self.resource)
    }

    async fn patch(
        &self,
        key: &Key,
        operations: Vec<PatchOperation>,
        subresource: Option<&str>,
    ) -> Result<View, WriteError> {
        let api = self.api(key);
        // Who wrote what is told by name in managedFields.
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Json::<()>(JsonPatch(operations));
        match subresource {
            Some(name) => {
                self.bounded(async {
                    // It is never closed, and without a turn it would only be less polite.
                    let _turn = self.telling.acquire().await;
                    api.patch_subresource(name, &key.name, &params, &patch)
                        .await
                })
                .await
            }
            None => self.bounded(api.patch(&key.name, &params, &patch)).await,
        }
    }

    async fn bounded(
        &self,
        call: impl Future<Output = Result<DynamicObject, kube::Error>>,
    ) -> Result<View, WriteError> {
        let answer = tokio::time::timeout(self.deadline, call)
            .await
            .map_err(|_| {
                WriteError::Unknown(format!(
                    "the API server did not answer within {:?}",
                    self.deadline
                ))
            })?;
        match answer {
            Ok(object) => self.view(&object).ok_or_else(|| {
                WriteError::Unknown(
                    "the API server answered with an object without metadata".to_owned(),
                )
            }),
            Err(kube::Error::Api(status)) => Err(match status.code {
                404 => WriteError::Gone,
                409 | 422 => WriteError::Changed(shown(&status.message, &[])),
                400..=499 => WriteError::Refused(said(&status)),
                _ => WriteError::Unknown(said(&status)),
            }),
            Err(other) => Err(WriteError::Unknown(shown(&other.to_string(), &[]))),
        }
    }
}

/// What the API server says. A policy or a webhook may quote the object that it refuses.
fn said(status: &kube::core::Status) -> String {
    let words = shown(&status.message, &[]);
    format!("{} {}: {words}", status.code, status.reason)
}

fn test_uid(view: &View) -> PatchOperation {
    test(["metadata", "uid"], json!(view.uid))
}

fn test_version(view: &View) -> PatchOperation {
    test(
        ["metadata", "resourceVersion"],
        json!(view.resource_version),
    )
}

fn test<const N: usize>(path: [&str; N], value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}

fn add<const N: usize>(path: [&str; N], value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}
