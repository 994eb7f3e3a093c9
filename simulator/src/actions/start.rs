//! `StartLiveMPUTask` (dossier 3.1), and the reading of parameters that it shares with Update.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Answer, Scene, fields, nested};
use crate::accounts::called;
use crate::reply::Refusal;
use crate::sign::Params;
use crate::world::{By, Order, OutputError, StartError, TaskKey};

pub fn perform(app: &str, params: &Params, scene: &mut Scene<'_>) -> Answer {
    let channel = fields::channel(params)?;
    let task = fields::task(params)?;
    fields::required(params, "MixMode")?;
    let max_idle = match fields::optional(params, "MaxIdleTime") {
        Some(_) => Some(fields::number(params, "MaxIdleTime", 10, 86_400)?),
        None => None,
    };
    let region = fields::word(
        params,
        "Region",
        &["CN-Shanghai", "AP-Singapore", "EMAA-Saudi"],
    )?;
    let media = Media::read(params, &nested::SEI_START)?;
    let mut order = media.order(app, channel, task);
    order.max_idle = max_idle;
    let mut detail = Value::clone(&order.detail);
    if let Some(seconds) = max_idle {
        detail["MaxIdleTime"] = json!(seconds.to_string());
    }
    detail["Region"] = json!(region.unwrap_or("CN-Shanghai"));
    order.detail = Arc::new(detail);

    let switches = scene.switches;
    let started = scene.world.start(
        scene.now,
        switches,
        TaskKey::new(app, task),
        order,
        By::Api,
        scene.call,
    );
    started.map(|()| Map::new()).map_err(|error| match error {
        StartError::NoChannel => switches.channel_absent.refusal(),
        StartError::Exists => switches.start_exists.refusal(),
        StartError::NotCleared => switches.start_not_cleared.refusal(switches.start_exists),
        StartError::Output(error) => output_refusal(error),
        StartError::TooMany => switches.task_quota_exceeded.refusal(),
    })
}

/// How the two output rules are refused; the real texts are not known.
pub fn output_refusal(error: OutputError) -> Refusal {
    match error {
        OutputError::InUse => Refusal::invalid_param("The StreamURL is used by another task"),
        OutputError::CoolingDown => Refusal::invalid_param(
            "The StreamURL was used by a task that stopped less than 10 seconds ago",
        ),
    }
}

/// The parameters that Start and Update have in common, read and checked.
pub struct Media {
    mix_mode: String,
    urls: Vec<String>,
    members: Map<String, Value>,
}

impl Media {
    /// Reads them. `MixMode` is 1 where it is not given (dossier 3.2).
    pub fn read(params: &Params, sei: &nested::Shape) -> Result<Self, Refusal> {
        let mut members = Map::new();
        let mix_mode = fields::word(params, "MixMode", &["0", "1"])?.unwrap_or("1");
        let (wanted, unwanted) = if mix_mode == "0" {
            ("SingleSubParams", "TranscodeParams")
        } else {
            ("TranscodeParams", "SingleSubParams")
        };
        if fields::optional(params, unwanted).is_some() {
            return Err(Refusal::invalid_param(format_args!(
                "{unwanted} does not go with MixMode {mix_mode}"
            )));
        }
        let text = fields::required(params, wanted)?;
        let value = if mix_mode == "0" {
            nested::parse(wanted, text, &nested::SINGLE)
        } else {
            nested::transcode(text)
        };
        members.insert(wanted.to_owned(), value.map_err(Refusal::invalid_param)?);

        let urls = match (
            fields::optional(params, "StreamURL"),
            fields::optional(params, "MultiStreamURL"),
        ) {
            (Some(url), None) => {
                if !nested::is_rtmp(url) {
                    return Err(Refusal::invalid_param(
                        "StreamURL must be an RTMP address of at most 2048 characters",
                    ));
                }
                members.insert("StreamURL".to_owned(), json!(url));
                vec![url.to_owned()]
            }
            (None, Some(text)) => {
                let outputs = nested::parse("MultiStreamURL", text, &nested::OUTPUTS)
                    .map_err(Refusal::invalid_param)?;
                let urls = urls_of(&outputs);
                if urls
                    .iter()
                    .enumerate()
                    .any(|(n, url)| urls[..n].contains(url))
                {
                    return Err(Refusal::invalid_param(
                        "MultiStreamURL names an address twice",
                    ));
                }
                members.insert("MultiStreamURL".to_owned(), with_defaults(outputs));
                urls
            }
            (Some(_), Some(_)) => {
                return Err(Refusal::invalid_param(
                    "StreamURL and MultiStreamURL exclude each other",
                ));
            }
            (None, None) => return Err(Refusal::missing_param("StreamURL or MultiStreamURL")),
        };
        if let Some(text) = fields::optional(params, "SeiParams") {
            let value = nested::parse("SeiParams", text, sei).map_err(Refusal::invalid_param)?;
            members.insert("SeiParams".to_owned(), value);
        }
        Ok(Self {
            mix_mode: mix_mode.to_owned(),
            urls,
            members,
        })
    }

    /// The order of a task with these parameters.
    pub fn order(self, app: &str, channel: &str, task: &str) -> Order {
        let Self {
            mix_mode,
            urls,
            mut members,
        } = self;
        for (name, value) in [
            ("AppId", called(app)),
            ("ChannelId", channel),
            ("TaskId", task),
            ("MixMode", &mix_mode),
        ] {
            members.insert(name.to_owned(), json!(value));
        }
        Order {
            channel: channel.to_owned(),
            mix_mode,
            urls,
            max_idle: None,
            client_made: false,
            owner: None,
            detail: Arc::new(Value::Object(members)),
        }
    }
}

fn urls_of(outputs: &Value) -> Vec<String> {
    let items = outputs.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| item["URL"].as_str().map(str::to_owned))
        .collect()
}

/// `IsAliCdn` is false where it is not given.
fn with_defaults(mut outputs: Value) -> Value {
    for item in outputs.as_array_mut().into_iter().flatten() {
        if item["IsAliCdn"].is_null() {
            item["IsAliCdn"] = json!(false);
        }
    }
    outputs
}
