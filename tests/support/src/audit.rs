//! The API server's audit log: every request that was answered, with its user.

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

/// A request, from the audit log (`audit.k8s.io/v1`, `Event`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Event")]
pub struct Entry {
    /// `ResponseComplete`; a watch has a `ResponseStarted` too.
    pub stage: String,
    /// The user's name: `admin`, or that of [`Cluster::user`](crate::Cluster::user).
    pub user: String,
    /// The client's own name.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, or an HTTP method in lower case.
    pub verb: String,
    /// The path and query.
    pub uri: String,
    /// The API group; empty for the core group and for requests that are not for resources.
    pub group: String,
    /// The resource, in the plural; empty for requests that are not for resources.
    pub resource: String,
    /// `status`, for example; mostly empty.
    pub subresource: String,
    /// The object's namespace; empty if it has none.
    pub namespace: String,
    /// The object's name; empty for a list and for a create.
    pub name: String,
    /// The status code of the answer.
    pub code: u16,
    /// When the request came.
    pub received: Timestamp,
    /// When it was answered.
    pub answered: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    verb: String,
    #[serde(rename = "requestURI")]
    uri: String,
    #[serde(default)]
    object_ref: Object,
    #[serde(default)]
    response_status: Status,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

impl From<Event> for Entry {
    fn from(event: Event) -> Self {
        Self {
            stage: event.stage,
            user: event.user.username,
            user_agent: event.user_agent,
            verb: event.verb,
            uri: event.uri,
            group: event.object_ref.api_group,
            resource: event.object_ref.resource,
            subresource: event.object_ref.subresource,
            namespace: event.object_ref.namespace,
            name: event.object_ref.name,
            code: event.response_status.code,
            received: event.request_received_timestamp,
            answered: event.stage_timestamp,
        }
    }
}

/// The entries of the log at `path` that are wanted, in the order of their answers. A line that is still being written is left out.
#[must_use]
pub fn read(path: &Path, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    read_lines(path, "", wanted)
}

/// As [`read`], of one user alone; much faster where others do a lot.
#[must_use]
pub fn read_of(path: &Path, user: &str, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let wanted = |entry: &Entry| entry.user == user && wanted(entry);
    read_lines(path, &format!("\"username\":\"{user}\""), wanted)
}

fn read_lines(path: &Path, with: &str, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
    let text = std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .filter(|line| line.contains(with))
        .map(|line| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{error} in the audit log's line {line}"))
        })
        .filter(wanted)
        .collect()
}
