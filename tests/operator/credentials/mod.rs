//! Where the operator's own credentials come from: each source, what goes wrong with it, and that nothing is lost meanwhile.

mod drain;
mod machine;
mod process;
mod rrsa;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use mixed_stream_operator::live::{
    AppId, Client, ClientConfig, Endpoint, Failure, OidcRole, Origin, Provider, Refresh, Signature,
    Surroundings, TaskId,
};
use serde_json::{Value, json};
use support::simulator::Call;
use support::{Launch, Simulator};
use tempfile::TempDir;

use crate::oracle::{STOP, of_action};
use crate::scene::APP;

pub const SUBJECT: &str = "system:serviceaccount:live:operator";
pub const ISSUER: &str = "https://oidc.example.com";
const ROLE: &str = "acs:ram::default:role/relay";
const PROVIDER: &str = "acs:ram::default:oidc-provider/ack";
/// What the signature of every token says; nobody may see it.
pub const SIGNATURE: &str = "c4nArY-of-tHe-p0ds-own-tOken";

/// The claims of a pod's token.
pub fn claims() -> Value {
    let end = Timestamp::now().as_second() + 3600;
    json!({"iss": ISSUER, "aud": ["sts.aliyuncs.com"], "sub": SUBJECT, "exp": end})
}

/// A pod's token with these claims.
pub fn token(claims: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = part(r#"{"alg": "RS256"}"#);
    format!("{header}.{}.{}", part(&claims.to_string()), part(SIGNATURE))
}

/// The token file of a pod.
pub struct Pod {
    folder: TempDir,
}

impl Pod {
    /// With a good token.
    pub fn new() -> Self {
        let pod = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        pod.write(&token(&claims()));
        pod
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Another token, put in place at once as the kubelet does.
    pub fn write(&self, token: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, token).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }

    /// An operator that has this role and no key.
    pub fn launch(&self, launch: Launch, sts: &str) -> Launch {
        launch
            .no_credentials()
            .env("ALIBABA_CLOUD_ROLE_ARN", ROLE)
            .env("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", PROVIDER)
            .env("ALIBABA_CLOUD_OIDC_TOKEN_FILE", path(&self.file()))
            .env("ALIBABA_CLOUD_STS_ENDPOINT", sts)
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Lets the pod assume the role, in a simulator's first account.
pub async fn trust(simulator: &Simulator) {
    let fields = json!({
        "oidcProviders": [{"name": "ack", "issuer": ISSUER}],
        "roles": [{"name": "relay", "oidcProvider": "ack", "subjects": [SUBJECT]}],
        "instanceRole": "node",
    });
    simulator.set_account("default", &fields).await.unwrap();
    simulator
        .set_switches(&json!({"stopGone": "ok"}))
        .await
        .unwrap();
}

/// Nobody gives triples any more, until the fault is removed.
pub async fn outage(simulator: &Simulator) -> u64 {
    let fault = json!({"action": "AssumeRoleWithOIDC", "kind": "error", "status": 503, "code": "ServiceUnavailable", "message": "STS is down."});
    simulator.order_fault(&fault).await.unwrap()
}

/// Ends every triple that was given out.
pub async fn end_sessions(simulator: &Simulator) {
    let url = format!(
        "http://{}/accounts/default/sessions",
        simulator.addresses().admin
    );
    let ended = reqwest::Client::new().delete(url).send().await.unwrap();
    assert!(ended.status().is_success(), "{ended:?}");
}

/// The fetches that have reached STS.
pub async fn fetches(simulator: &Simulator) -> Vec<Call> {
    let filter = of_action("AssumeRoleWithOIDC");
    simulator.calls(&filter).await.unwrap()
}

/// A client of a simulator, with credentials from a source.
pub struct Bench {
    pub simulator: Simulator,
    pub client: Client,
    pub provider: Provider,
    pub refreshes: Arc<Mutex<Vec<Refresh>>>,
}

impl Bench {
    /// By RRSA.
    pub async fn rrsa(pod: &Pod) -> Self {
        Self::with(Origin::Oidc(role(pod))).await
    }

    pub async fn with(origin: Origin) -> Self {
        let flags = ["--metadata", "127.0.0.1:0"];
        let simulator = Simulator::start_with(&flags).await.unwrap();
        trust(&simulator).await;
        // These tests call as fast as they can.
        let quotas = json!({"quotas": {"StopLiveMPUTask": 1_000_000}});
        simulator.set_account("default", &quotas).await.unwrap();
        let refreshes: Arc<Mutex<Vec<Refresh>>> = Arc::default();
        let told = refreshes.clone();
        let deadline = Duration::from_secs(10);
        let endpoint = Endpoint::parse(&simulator.endpoint(), true).unwrap();
        let metadata = simulator.addresses().metadata.clone().unwrap();
        let surroundings = Surroundings {
            sts: endpoint.clone(),
            metadata_server: Endpoint::parse(&format!("http://{metadata}"), true).unwrap(),
            deadline,
            proxy_from_environment: false,
            observer: Box::new(move |refresh| told.lock().unwrap().push(refresh)),
        };
        let provider = Provider::of(origin, surroundings).unwrap();
        let config = ClientConfig {
            sts: endpoint.clone(),
            endpoint,
            call_deadline: deadline,
            signature: Signature::V1,
            proxy_from_environment: false,
        };
        let client = Client::new(config, provider.clone()).unwrap();
        Self {
            simulator,
            client,
            provider,
            refreshes,
        }
    }

    /// A Stop, which the service always accepts.
    pub async fn stop(&self) -> Result<(), Failure> {
        let app = AppId::try_from(APP).unwrap();
        let task = TaskId::try_from("t").unwrap();
        self.client.stop(&app, &task).await.map(drop)
    }

    /// The key ids that Stops were signed with, in their order and without repetitions in a row.
    pub async fn keys(&self) -> Vec<String> {
        let calls = self.simulator.calls(&of_action(STOP)).await.unwrap();
        let mut keys: Vec<String> = calls.into_iter().filter_map(|call| call.key_id).collect();
        keys.dedup();
        keys
    }

    /// Calls until `enough` holds; each has to be accepted.
    pub async fn stop_well_until(&self, enough: impl AsyncFn(&Self) -> bool) {
        let end = std::time::Instant::now() + crate::scene::PATIENCE;
        while !enough(self).await {
            self.stop().await.unwrap();
            assert!(std::time::Instant::now() < end, "never enough");
        }
    }
}

pub fn role(pod: &Pod) -> OidcRole {
    OidcRole {
        role_arn: ROLE.to_owned(),
        provider_arn: PROVIDER.to_owned(),
        token_file: pod.file(),
        session_name: "test".to_owned(),
    }
}
