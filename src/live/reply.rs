//! Reads the bodies of answers. A success is what the service's documents describe and nothing less: what cannot be read is no news of a task.

use std::time::Duration;

use serde_json::{Map, Value};

use super::actions::{AppId, ChannelUsers, ListedTask, LiveRooms, TaskId};
use super::output::{OutputId, distinct};

/// A body of the service.
pub type Object = Map<String, Value>;

/// What an error answer says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// The machine-readable code.
    pub code: Option<String>,
    /// Free text.
    pub message: Option<String>,
    /// The id of the request.
    pub request_id: Option<String>,
}

/// The body as a JSON object.
#[must_use]
pub fn object(body: &[u8]) -> Option<Object> {
    serde_json::from_slice(body).ok()
}

/// Reads an error body: JSON in either spelling (dossier 1.2), or the gateway's XML.
#[must_use]
pub fn complaint(body: &[u8]) -> Complaint {
    if let Some(object) = object(body) {
        let field =
            |upper: &str, lower: &str| text(object.get(upper)).or_else(|| text(object.get(lower)));
        return Complaint {
            code: field("Code", "code"),
            message: field("Message", "message"),
            request_id: field("RequestId", "requestId"),
        };
    }
    let body = String::from_utf8_lossy(body);
    let body = body.trim_start_matches('\u{feff}').trim_start();
    if body.starts_with("<?xml") || body.starts_with("<Error") {
        return Complaint {
            code: element(body, "Code"),
            message: element(body, "Message"),
            request_id: element(body, "RequestId"),
        };
    }
    Complaint::default()
}

fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    let value = value.trim();
    (!value.is_empty()).then(|| {
        value
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&")
    })
}

/// A non-empty leaf. The service writes strings where others write numbers or booleans (dossier 0); either is read.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The id of a successful request; without one the answer is not the service's.
#[must_use]
pub fn request_id(object: &Object) -> Option<String> {
    text(object.get("RequestId"))
}

/// A body that is not what the documents describe.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misshapen(&'static str);

impl Misshapen {
    /// What is wrong, in words that follow on "the answer".
    #[must_use]
    pub const fn new(what: &'static str) -> Self {
        Self(what)
    }
}

/// The entries of a list answer with their applications. A list that is missing is not an empty one: the documents always show it.
///
/// # Errors
/// When the list is missing, or an entry has no task id: then nobody knows what it lists.
fn entries(object: &Object) -> Result<Vec<(Option<String>, ListedTask)>, Misshapen> {
    let Some(Value::Array(entries)) = object.get("MPUTasks") else {
        return Err(Misshapen("the answer has no list of tasks"));
    };
    entries
        .iter()
        .map(|entry| {
            let task_id =
                text(entry.get("TaskId")).ok_or(Misshapen("a task in the list has no id"))?;
            let (channel_id, max_idle) = (
                text(entry.get("ChannelId")),
                text(entry.get("MaxIdleTime")).as_deref().map(max_idle),
            );
            Ok((
                text(entry.get("AppId")),
                ListedTask {
                    task_id,
                    channel_id,
                    max_idle,
                    mix_mode: text(entry.get("MixMode")),
                    outputs: outputs(entry),
                },
            ))
        })
        .collect()
}

/// Where a listed task is pushed. The addresses themselves are secrets and go no further than here.
fn outputs(entry: &Value) -> Option<Vec<OutputId>> {
    let mut urls = Vec::new();
    match entry.get("StreamURL") {
        Some(Value::String(url)) if !url.is_empty() => urls.push(url.as_str()),
        Some(Value::String(_) | Value::Null) | None => {}
        Some(_) => return None,
    }
    match entry.get("MultiStreamURL") {
        Some(Value::Array(outputs)) => {
            for output in outputs {
                urls.push(output.get("URL")?.as_str()?);
            }
        }
        Some(Value::Null) | None => {}
        Some(_) => return None,
    }
    let ids: Vec<_> = urls
        .into_iter()
        .map(|url| OutputId::of(url).ok())
        .collect::<Option<_>>()?;
    (!ids.is_empty()).then(|| distinct(ids))
}

/// The longest that `MaxIdleTime` may be (dossier 3.1). What cannot be read counts as this: nothing is concluded from it too early.
const LONGEST_IDLE: Duration = Duration::from_hours(24);

fn max_idle(seconds: &str) -> Duration {
    seconds
        .parse()
        .map_or(LONGEST_IDLE, Duration::from_secs)
        .min(LONGEST_IDLE)
}

/// The entry of the task that was asked for, if there is one. Others are left out.
///
/// # Errors
/// When the answer is not shaped as documented. One that shows only other tasks was not about the id, so that nothing follows from it.
pub fn one_task(object: &Object, app: &AppId, task: &TaskId) -> Result<Vec<ListedTask>, Misshapen> {
    let ours = |(app_id, entry): &(Option<String>, ListedTask)| {
        entry.task_id == task.as_str() && app_id.as_deref().is_none_or(|id| id == app.as_str())
    };
    let shown = entries(object)?;
    let is_about_another = !shown.is_empty() && !shown.iter().any(ours);
    if is_about_another {
        return Err(Misshapen("the list by task id shows other tasks only"));
    }
    Ok(shown
        .into_iter()
        .filter(ours)
        .map(|(_, entry)| entry)
        .collect())
}

/// All entries of a page.
///
/// # Errors
/// When the answer is not shaped as documented.
pub fn page(object: &Object) -> Result<Vec<ListedTask>, Misshapen> {
    Ok(entries(object)?
        .into_iter()
        .map(|(_, entry)| entry)
        .collect())
}

/// Who is in a channel (dossier 4.1). A channel that does not exist may come without counters.
///
/// # Errors
/// When the answer is not shaped as documented.
pub fn channel_users(object: &Object) -> Result<ChannelUsers, Misshapen> {
    let exists = match text(object.get("IsChannelExists"))
        .map(|flag| flag.to_ascii_lowercase())
        .as_deref()
    {
        Some("true") => true,
        Some("false") => false,
        Some(_) | None => {
            return Err(Misshapen(
                "the answer does not say whether the channel exists",
            ));
        }
    };
    let count = |number: &str, list: &str| {
        let listed = match object.get(list) {
            Some(Value::Array(users)) => u64::try_from(users.len()).unwrap_or(u64::MAX),
            Some(_) | None => 0,
        };
        match text(object.get(number)) {
            Some(number) => number
                .parse::<u64>()
                .map(|number| number.max(listed))
                .map_err(|_| Misshapen("the answer's number of users is no number")),
            None if exists => Err(Misshapen(
                "the answer does not say how many users are in the channel",
            )),
            None => Ok(listed),
        }
    };
    let timestamp = text(object.get("Timestamp"))
        .and_then(|seconds| seconds.parse().ok())
        .ok_or(Misshapen("the answer has no time of reading"))?;
    Ok(ChannelUsers {
        exists,
        interactive: count("InteractiveUserNumber", "InteractiveUserList")?,
        viewers: count("LiveUserNumber", "LiveUserList")?,
        timestamp,
    })
}

/// Which channels of an application are alive (dossier 4.3). A list that is missing is not an empty one.
///
/// # Errors
/// When the answer is not shaped as documented.
pub fn live_rooms(object: &Object) -> Result<LiveRooms, Misshapen> {
    let Some(Value::Array(rooms)) = object.get("Rooms") else {
        return Err(Misshapen("the answer has no list of channels"));
    };
    let rooms = rooms
        .iter()
        .map(|room| text(Some(room)).ok_or(Misshapen("a channel in the list has no id")))
        .collect::<Result<_, _>>()?;
    let total = text(object.get("Total")).and_then(|total| total.parse().ok());
    Ok(LiveRooms { rooms, total })
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
