//! The writes that follow a decision, against an API server that applies JSON patches as a real one does and in which others write too.

use super::*;
use crate::{
    events::Events,
    live::{
        Account, Client as Live, ClientConfig, Credentials, Endpoint, Limiter, Origin, Provider,
        QuotaShare, Signature, Surroundings,
    },
    metrics::{Metrics, Outcome},
    policy::{Policy, PolicyInForce},
    task::{
        cluster::{Cluster, WriteError},
        dossier::Dossier,
        reconcile::reconcile,
        shared::{Access, PAGES_IN_FLIGHT, Shared},
        view::Key,
    },
};
use http::{Method, Request, Response};
use json_patch::Patch;
use kube::{Client, client::Body};
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const DEADLINE: Duration = Duration::from_secs(10);

/// What happens around one PATCH.
#[derive(Clone)]
enum Meanwhile {
    /// The patch is applied and its reply lost.
    LoseReply,
    /// Somebody stores this before the patch comes; `null` takes the object away.
    Store(Value),
}

/// One object and those who write to it.
#[derive(Default)]
struct Server {
    object: Mutex<Value>,
    meanwhile: Mutex<VecDeque<Meanwhile>>,
    applied: AtomicUsize,
}

impl Server {
    fn with(object: Value, meanwhile: impl IntoIterator<Item = Meanwhile>) -> Arc<Self> {
        Arc::new(Self {
            object: Mutex::new(object),
            meanwhile: Mutex::new(meanwhile.into_iter().collect()),
            applied: AtomicUsize::default(),
        })
    }

    fn client(self: &Arc<Self>) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(service, "team-a")
    }

    async fn answer(&self, request: Request<Body>) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let at_object = parts.uri.path().ends_with("/mixedstreamtasks/final-42");
        match parts.method {
            Method::GET if at_object => Ok(self.get()),
            Method::PATCH if at_object => self.patch(&serde_json::from_slice(&body).unwrap()),
            // Events.
            _ => Ok(failure(404, "not here")),
        }
    }

    fn get(&self) -> Response<Body> {
        match &*self.object.lock().unwrap() {
            Value::Null => failure(404, "not found"),
            object => answer(200, object),
        }
    }

    fn patch(&self, patch: &Patch) -> io::Result<Response<Body>> {
        let meanwhile = self.meanwhile.lock().unwrap().pop_front();
        let mut object = self.object.lock().unwrap();
        let lost = match meanwhile {
            Some(Meanwhile::Store(stored)) => {
                *object = stored;
                false
            }
            Some(Meanwhile::LoseReply) => true,
            None => false,
        };
        if object.is_null() {
            return Ok(failure(404, "not found"));
        }
        let mut patched = object.clone();
        if let Err(error) = json_patch::patch(&mut patched, patch) {
            return Ok(failure(422, &error.to_string()));
        }
        self.applied.fetch_add(1, Ordering::Relaxed);
        let version: u64 = patched["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        patched["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        let response = answer(200, &patched);
        let is_over = patched["metadata"]["finalizers"] == json!([])
            && !patched["metadata"]["deletionTimestamp"].is_null();
        *object = if is_over { Value::Null } else { patched };
        if lost {
            return Err(io::Error::other("connection reset"));
        }
        Ok(response)
    }

    fn stored(&self) -> Value {
        self.object.lock().unwrap().clone()
    }
}

fn answer(status: u16, body: &Value) -> Response<Body> {
    let body = Body::from(serde_json::to_vec(body).unwrap());
    Response::builder().status(status).body(body).unwrap()
}

fn failure(code: u16, message: &str) -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Invalid",
        "message": message, "code": code
    });
    answer(code, &status)
}

/// A service that accepts every call, and how many it has had.
async fn service() -> (Live, Arc<AtomicUsize>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::default());
    let counted = calls.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            counted.fetch_add(1, Ordering::Relaxed);
            let reply = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 17\r\n\r\n{\"RequestId\":\"R\"}";
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    (client(&endpoint), calls)
}

fn client(endpoint: &str) -> Live {
    let endpoint = Endpoint::parse(endpoint, true).unwrap();
    let config = ClientConfig {
        sts: endpoint.clone(),
        endpoint,
        call_deadline: DEADLINE,
        signature: Signature::V1,
        proxy_from_environment: false,
    };
    let credentials = Credentials::new("testid", "testsecret".to_owned().into(), None);
    Live::new(config, Provider::fixed(Some(credentials))).unwrap()
}

/// An operator that knows `object` as it is, while `server` may know better.
struct Played {
    shared: Shared,
    dossier: Dossier,
    key: Key,
    calls: Arc<AtomicUsize>,
}

impl Played {
    async fn new(server: &Arc<Server>, object: Value) -> Self {
        let (live, calls) = service().await;
        let metrics = Arc::new(Metrics::new(&Evidence::KINDS));
        let view = view(object);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let shared = Shared {
            store: Mutex::default(),
            observatory: Mutex::default(),
            keyring: Mutex::default(),
            pages: tokio::sync::Semaphore::new(PAGES_IN_FLIGHT),
            read_turn: tokio::sync::Notify::new(),
            wake: tokio::sync::Notify::new(),
            cluster: Cluster::new(server.client(), server.client(), DEADLINE, "mso".to_owned()),
            live,
            limiter: Limiter::new(long_ago, DEADLINE, QuotaShare::WHOLE),
            account: Account::new("own"),
            unsigned: Mutex::default(),
            own_is_unknown: std::sync::atomic::AtomicBool::default(),
            policy: PolicyInForce::new(Policy::everything()),
            paces: Paces::default(),
            events: Events::start(server.client(), metrics.clone(), DEADLINE),
            metrics,
            started: long_ago,
            draining: tokio_util::sync::CancellationToken::new(),
        };
        let (dossier, key) = (Dossier::new(&view), view.key.clone());
        shared.store().watched(view);
        Self {
            shared,
            dossier,
            key,
            calls,
        }
    }

    async fn reconcile(&mut self) -> Outcome {
        reconcile(&self.shared, &self.key, &mut self.dossier)
            .await
            .outcome
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

/// Plays the deletion until it is over; how often it had to be looked at, and how many calls it took.
async fn delete(server: &Arc<Server>, object: Value) -> (usize, usize) {
    let mut played = Played::new(server, object).await;
    for looks in 1..10 {
        // Its time has come.
        played.dossier.memory.writable_at = Duration::ZERO;
        match played.reconcile().await {
            Outcome::Released => return (looks, played.calls()),
            Outcome::Settled | Outcome::Waiting | Outcome::Queued | Outcome::Failed => {}
        }
    }
    panic!("not released; stored is {}", server.stored())
}

#[tokio::test]
async fn an_undisturbed_release_is_one_patch() {
    let server = Server::with(deleting(), []);
    assert_eq!(delete(&server, deleting()).await, (1, 1));
    assert_eq!(server.stored(), Value::Null);
    assert_eq!(server.applied.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_patch_whose_reply_was_lost_is_done_when_the_object_is_gone() {
    let server = Server::with(deleting(), [Meanwhile::LoseReply]);
    assert_eq!(delete(&server, deleting()).await, (2, 1));
    assert_eq!(server.applied.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn finalizers_that_others_edit_meanwhile_stay() {
    let edited = |finalizers: Value| {
        let part = json!({"finalizers": finalizers, "resourceVersion": "20"});
        changed(deleting(), "/metadata", part)
    };
    let ours = crate::api::FINALIZER;
    let (first, second) = ("example.com/first", "example.com/second");
    for (before, meanwhile, after) in [
        (json!([ours]), json!([first, ours]), json!([first])),
        (
            json!([first, ours, second]),
            json!([ours, second]),
            json!([second]),
        ),
        (
            json!([first, ours]),
            json!([first, ours, second]),
            json!([first, second]),
        ),
    ] {
        let server = Server::with(Value::Null, [Meanwhile::Store(edited(meanwhile))]);
        let (looks, calls) = delete(&server, edited(before)).await;
        assert_eq!((looks, calls), (1, 1));
        assert_eq!(server.stored()["metadata"]["finalizers"], after);
        assert_eq!(server.applied.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn a_finalizer_that_somebody_else_removed_is_not_looked_for() {
    let part = json!({"finalizers": ["example.com/other"], "resourceVersion": "20"});
    let without = changed(deleting(), "/metadata", part);
    let server = Server::with(Value::Null, [Meanwhile::Store(without.clone())]);
    let mut played = Played::new(&server, deleting()).await;
    assert_eq!(played.reconcile().await, Outcome::Settled);
    assert_eq!(server.stored(), without);
}

#[tokio::test]
async fn a_new_object_of_the_same_name_is_never_patched() {
    let part = json!({"uid": "uid-2", "resourceVersion": "20"});
    let other = changed(deleting(), "/metadata", part);
    let server = Server::with(Value::Null, [Meanwhile::Store(other.clone())]);
    assert_eq!(delete(&server, deleting()).await, (1, 1));
    assert_eq!(server.stored(), other);
    assert_eq!(server.applied.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_release_without_a_stop_does_not_overlook_a_change_of_mind() {
    let orphan = changed(deleting(), "/spec", json!({"deletionPolicy": "Orphan"}));
    let stop = changed(deleting(), "/metadata", json!({"resourceVersion": "20"}));
    let server = Server::with(Value::Null, [Meanwhile::Store(stop)]);
    let (_, calls) = delete(&server, orphan).await;
    assert_eq!(calls, 1, "the policy is Stop by now");
    assert_eq!(server.stored(), Value::Null);
}

#[tokio::test]
async fn a_release_on_a_stop_does_not_mind_other_changes() {
    let part = json!({"resourceVersion": "20", "labels": {"some": "label"}});
    let labelled = changed(deleting(), "/metadata", part);
    let server = Server::with(Value::Null, [Meanwhile::Store(labelled)]);
    assert_eq!(delete(&server, deleting()).await, (1, 1));
    assert_eq!(server.applied.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn each_answer_of_the_api_server_has_its_meaning() {
    let known = view(deleting());
    for (stored, gone) in [
        (Value::Null, true),
        (
            changed(deleting(), "/metadata", json!({"uid": "uid-2"})),
            false,
        ),
    ] {
        let server = Server::with(stored, []);
        let error = Cluster::new(server.client(), server.client(), DEADLINE, "mso".to_owned())
            .release(&known, false)
            .await
            .unwrap_err();
        assert_eq!(matches!(error, WriteError::Gone), gone, "{error}");
        assert_eq!(matches!(error, WriteError::Changed(_)), !gone, "{error}");
    }
    let server = Server::with(deleting(), [Meanwhile::LoseReply]);
    let lost = Cluster::new(server.client(), server.client(), DEADLINE, "mso".to_owned())
        .release(&known, false)
        .await;
    assert!(matches!(lost, Err(WriteError::Unknown(_))), "{lost:?}");
}

#[tokio::test]
async fn a_finalizer_is_added_beside_those_that_came_meanwhile() {
    let fresh = changed(armed(), "/metadata", json!({"finalizers": null}));
    let part = json!({"finalizers": ["example.com/other"], "resourceVersion": "20"});
    let edited = changed(armed(), "/metadata", part);
    let server = Server::with(Value::Null, [Meanwhile::Store(edited)]);
    let mut played = Played::new(&server, fresh).await;
    played.reconcile().await;
    assert_eq!(
        server.stored()["metadata"]["finalizers"],
        json!(["example.com/other", crate::api::FINALIZER])
    );
}

/// Nothing is held by who waits for credentials: no place in a quota, and none among the reconciles. Nor is the object read for a Start that cannot be
/// signed.
#[tokio::test]
async fn who_has_no_credentials_yet_rests_until_they_are_fetched() {
    let server = Server::with(deleting(), []);
    let mut played = Played::new(&server, deleting()).await;
    let giver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = |address| Endpoint::parse(&format!("http://{address}"), true).unwrap();
    let told = Arc::new(AtomicUsize::default());
    let telling = told.clone();
    let surroundings = Surroundings {
        sts: endpoint(giver.local_addr().unwrap()),
        metadata_server: endpoint(giver.local_addr().unwrap()),
        deadline: DEADLINE,
        proxy_from_environment: false,
        observer: Box::new(move |_| {
            telling.fetch_add(1, Ordering::Relaxed);
        }),
    };
    let provider = Provider::of(Origin::EcsRole("node".to_owned()), surroundings).unwrap();
    let mut ends = provider.ends();
    played.shared.live = played.shared.live.with_credentials(provider);

    assert_eq!(played.reconcile().await, Outcome::Waiting);
    assert_eq!(told.load(Ordering::Relaxed), 0, "it was not waited for");
    assert_eq!(played.calls(), 0);
    assert!(played.shared.unsigned().remove(&played.key));
    assert_eq!(played.shared.limiter.next_at(Instant::now()), None);

    // The giver hangs up.
    drop(giver.accept().await.unwrap());
    drop(giver);
    ends.changed().await.unwrap();
    let (access, _) = played.shared.access(&view(deleting()));
    assert!(matches!(access, Access::Refused(_)), "{access:?}");
    assert!(played.shared.unsigned().is_empty());
}

/// Whenever the object goes, nobody else may use its task while that Stop can still take effect.
#[tokio::test]
async fn a_stop_is_known_to_be_on_its_way_until_it_is_answered() {
    let server = Server::with(deleting(), [Meanwhile::LoseReply]);
    let mut played = Played::new(&server, deleting()).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let answering = std::mem::replace(&mut played.shared.live, client(&endpoint));
    tokio::select! {
        outcome = played.reconcile() => panic!("ended without an answer: {outcome:?}"),
        called = silent.accept() => drop(called.unwrap()),
    }
    let stop_open = |played: &Played| {
        let mut store = played.shared.store();
        store.remove(&played.key).gone.unwrap().stop_open
    };
    let paces = &played.shared.paces;
    let at_most = played.shared.now().mono + paces.call_deadline + paces.settle_time;
    let until = stop_open(&played).unwrap();
    assert!(until <= at_most && at_most - until < paces.call_deadline);
    played.shared.store().watched(view(deleting()));
    played.shared.live = answering;
    played.reconcile().await;
    assert_eq!(played.calls(), 1);
    assert_eq!(stop_open(&played), None);
}
