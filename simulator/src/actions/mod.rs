//! The actions of the API: what each asks for, and what it does.

mod fields;
mod list;
mod nested;
mod rooms;
mod start;
mod stop;
mod update;
mod users;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Moment;
use crate::reply::Refusal;
use crate::sign::Params;
use crate::sts;
use crate::switches::Switches;
use crate::world::World;

/// An action, under its wire name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Starts a task.
    #[serde(rename = "StartLiveMPUTask")]
    Start,
    /// Changes a running task.
    #[serde(rename = "UpdateLiveMPUTask")]
    Update,
    /// Stops a task.
    #[serde(rename = "StopLiveMPUTask")]
    Stop,
    /// Lists tasks with their parameters.
    #[serde(rename = "ListRtcMPUTaskDetail")]
    List,
    /// Tells who is in a channel.
    #[serde(rename = "DescribeChannelUsers")]
    Users,
    /// Lists the channels that exist.
    #[serde(rename = "ListRTCLiveRooms")]
    Rooms,
    /// Of STS: gives a role's triple for a cluster's token. Unsigned.
    #[serde(rename = "AssumeRoleWithOIDC")]
    AssumeRole,
    /// Of STS: tells whose key it is.
    #[serde(rename = "GetCallerIdentity")]
    Identity,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Start,
        Self::Update,
        Self::Stop,
        Self::List,
        Self::Users,
        Self::Rooms,
        Self::AssumeRole,
        Self::Identity,
    ];

    /// The wire name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "StartLiveMPUTask",
            Self::Update => "UpdateLiveMPUTask",
            Self::Stop => "StopLiveMPUTask",
            Self::List => "ListRtcMPUTaskDetail",
            Self::Users => "DescribeChannelUsers",
            Self::Rooms => "ListRTCLiveRooms",
            Self::AssumeRole => "AssumeRoleWithOIDC",
            Self::Identity => "GetCallerIdentity",
        }
    }

    /// The product that it is of, as the service's texts and permissions name it.
    pub fn product(self) -> &'static str {
        match self {
            Self::Start | Self::Update | Self::Stop | Self::List | Self::Users | Self::Rooms => {
                "live"
            }
            Self::AssumeRole | Self::Identity => "sts",
        }
    }

    /// The version of its API.
    pub fn version(self) -> &'static str {
        match self {
            Self::Start | Self::Update | Self::Stop | Self::List | Self::Users | Self::Rooms => {
                "2016-11-01"
            }
            Self::AssumeRole | Self::Identity => sts::VERSION,
        }
    }

    /// The action of a wire name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Calls per second and account that the service allows (dossier 2). For the rooms none is published: that of the other list. Nor is there one
    /// for STS, which throttles all the same (dossier 9.2).
    pub fn default_quota(self) -> u32 {
        match self {
            Self::Start | Self::Update | Self::Stop => 500,
            Self::List | Self::Rooms => 50,
            Self::Users | Self::AssumeRole | Self::Identity => 100,
        }
    }
}

/// What an action works on.
pub struct Scene<'a> {
    /// Channels and tasks.
    pub world: &'a mut World,
    /// How to answer where the real answer is unknown.
    pub switches: &'a Switches,
    /// Now.
    pub now: Moment,
    /// Sequence number of the call, where it still has one in the log.
    pub call: Option<u64>,
    /// Simulated milliseconds by which a Stop's effect comes after its answer.
    pub stop_after: Option<i64>,
}

/// What an action answers besides the request id.
pub type Answer = Result<Map<String, Value>, Refusal>;

/// Performs an action. `resolve`: which application the caller means by a name, if it has it. Permissions and quota are checked before; the parameters are checked here.
pub fn perform(
    action: Action,
    params: &Params,
    resolve: impl Fn(&str) -> Option<String>,
    scene: &mut Scene<'_>,
) -> Answer {
    let perform = match action {
        Action::Start => start::perform,
        Action::Update => update::perform,
        Action::Stop => stop::perform,
        Action::List => list::perform,
        Action::Users => users::perform,
        Action::Rooms => rooms::perform,
        // Those of STS work on the accounts, and are performed there.
        Action::AssumeRole | Action::Identity => return Ok(Map::new()),
    };
    // The rooms are not of the relay family, and have other codes.
    let own_codes = action == Action::Rooms;
    let name = fields::app(params).map_err(|refusal| {
        if own_codes {
            rooms::input_invalid(refusal)
        } else {
            refusal
        }
    })?;
    match resolve(name) {
        Some(app) => perform(&app, params, scene),
        None if own_codes => Err(rooms::no_such_app(name)),
        None => Err(Refusal::invalid_app(name)),
    }
}
