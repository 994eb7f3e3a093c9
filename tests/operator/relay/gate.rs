//! A gate in front of a server that counts the requests that change something, and holds one of them: before it has reached the server, or
//! after it has had its effect there. Whoever sent it learns nothing; a test kills it then.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use futures::stream;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Where one of the requests that change something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It has not reached the server.
    Before(usize),
    /// It has had its effect, and the answer is held back.
    After(usize),
}

/// What the gates of one operator share.
#[derive(Debug, Default)]
pub struct Keeper {
    seen: Mutex<Seen>,
    caught: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    deeds: Vec<String>,
    hold: Option<Hold>,
}

/// Serves a gate in front of a server; its address.
pub async fn gate(keeper: &Arc<Keeper>, upstream: &str, client: reqwest::Client) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gate = Gate {
        keeper: Arc::clone(keeper),
        upstream: upstream.trim_end_matches('/').to_owned(),
        client,
    };
    let router = Router::new().fallback(pass).with_state(gate);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

impl Keeper {
    /// That holds the request of that place among those that change something, counted from 0.
    pub fn holding(hold: Option<Hold>) -> Arc<Self> {
        let keeper = Self::default();
        keeper.seen.lock().unwrap().hold = hold;
        Arc::new(keeper)
    }

    /// Waits until the request is held.
    pub async fn caught(&self) {
        self.caught.notified().await;
    }

    /// What came through, in its order.
    pub fn deeds(&self) -> Vec<String> {
        self.seen.lock().unwrap().deeds.clone()
    }

    /// Notes a deed, and says whether it is to be held.
    fn note(&self, deed: Option<String>) -> Option<Hold> {
        let mut seen = self.seen.lock().unwrap();
        let place = seen.deeds.len();
        seen.deeds.push(deed?);
        seen.hold
            .filter(|hold| [Hold::Before(place), Hold::After(place)].contains(hold))
    }
}

#[derive(Clone)]
struct Gate {
    keeper: Arc<Keeper>,
    upstream: String,
    client: reqwest::Client,
}

/// What a request changes; nothing for those that read, and for events.
fn deed(method: &Method, path: &str, query: &str) -> Option<String> {
    if path == "/" {
        let action = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("Action="))?;
        let changes = ["StartLiveMPUTask", "UpdateLiveMPUTask", "StopLiveMPUTask"];
        return changes.contains(&action).then(|| action.to_owned());
    }
    let (_, object) = path.split_once("/mixedstreamtasks/")?;
    let what = match object.split_once('/') {
        Some((_, subresource)) => subresource,
        None => "object",
    };
    (*method == Method::PATCH).then(|| format!("PATCH {what}"))
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let deed = deed(&parts.method, parts.uri.path(), query);
    let hold = match deed {
        Some(_) => gate.keeper.note(deed),
        None => None,
    };
    if let Some(Hold::Before(_)) = hold {
        gate.keeper.caught.notify_one();
        return std::future::pending().await;
    }
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers;
    headers.remove("host");
    let sent = gate
        .client
        .request(parts.method, format!("{}{path}", gate.upstream))
        .headers(headers)
        .body(body)
        .send()
        .await;
    if let Some(Hold::After(_)) = hold {
        gate.keeper.caught.notify_one();
        return std::future::pending().await;
    }
    let Ok(answer) = sent else {
        let mut refused = Response::new(Body::empty());
        *refused.status_mut() = StatusCode::BAD_GATEWAY;
        return refused;
    };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        if name != "transfer-encoding" && name != "connection" {
            response = response.header(name, value);
        }
    }
    let chunks = stream::unfold(answer, |mut answer| async move {
        let chunk = answer.chunk().await.transpose()?;
        Some((chunk, answer))
    });
    response.body(Body::from_stream(chunks)).unwrap()
}
