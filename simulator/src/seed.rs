//! What the simulator starts with.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::accounts::Account;

/// Accounts and channels, from a file or by POST.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// Accounts.
    #[serde(default)]
    pub accounts: Vec<Account>,
    /// Channels.
    #[serde(default)]
    pub channels: Vec<ChannelSeed>,
}

/// A channel and who is in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChannelSeed {
    /// Application.
    pub app_id: String,
    /// Channel.
    pub channel_id: String,
    /// Interactive users.
    #[serde(default)]
    pub users: BTreeSet<String>,
    /// Viewers.
    #[serde(default)]
    pub viewers: BTreeSet<String>,
}

/// The seed for a first try: one account that owns every application.
pub const DEFAULT: &str = r#"{"accounts": [{"id": "default", "keys": [{"id": "testid", "secret": "testsecret"}], "apps": ["*"]}]}"#;
