//! Wiring, and the order of shutdown.

use crate::{
    admin::{self, Admin},
    cli::Settings,
    events::Events,
    health::Health,
    live::{
        Account, Client, ClientConfig, Endpoint, Limiter, METADATA_SERVER, Origin, Provider,
        Surroundings,
    },
    metrics::Metrics,
    policy::{Policy, PolicyFile, PolicyInForce},
    task::{
        access::Keyring,
        cluster::Cluster,
        controller,
        evidence::Evidence,
        retry::Paces,
        shared::{PAGES_IN_FLIGHT, Shared},
    },
};
use anyhow::{Context, anyhow};
use std::{
    error::Error as _,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{Notify, Semaphore},
    task::JoinError,
};
use tokio_util::sync::CancellationToken;

/// The account of the operator's own credentials; its number is not known.
const OWN_ACCOUNT: &str = "own";
/// How often the file with the application policy is looked at.
const POLICY_PACE: Duration = Duration::from_secs(1);

/// Runs the operator until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start: one sentence that says what to do.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let started = Instant::now();
    let draining = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;

    warn_without_credentials(&settings.credentials);
    let is_one_tenant = settings.app_policy.is_none();
    let policy = policy(settings.app_policy).await?;
    let listener = TcpListener::bind(settings.listen).await.with_context(|| {
        format!(
            "--listen: cannot serve on {}; choose another port",
            settings.listen
        )
    })?;
    let (kubernetes, watching) = kubernetes(&settings.paces).await?;
    let metrics = Arc::new(Metrics::new(&Evidence::KINDS));
    let counted = metrics.clone();
    let surroundings = Surroundings {
        sts: settings.sts_endpoint.clone(),
        metadata_server: Endpoint::parse(METADATA_SERVER, true).context(METADATA_SERVER)?,
        deadline: settings.paces.call_deadline,
        proxy_from_environment: settings.proxy_from_environment,
        observer: Box::new(move |refresh| counted.refreshed(refresh)),
    };
    let keyring = keyring(&settings.credentials);
    let credentials = Provider::of(settings.credentials, surroundings)?;
    let config = ClientConfig {
        endpoint: settings.endpoint.clone(),
        sts: settings.sts_endpoint,
        call_deadline: settings.paces.call_deadline,
        signature: settings.signature,
        proxy_from_environment: settings.proxy_from_environment,
    };
    let live = Client::new(config, credentials.clone())?;
    // Ends with the runtime.
    tokio::spawn(async move { credentials.keep_fresh().await });
    let health = Arc::new(Health::new(started, settings.paces.call_deadline));
    let shared = Arc::new(Shared {
        store: Mutex::default(),
        observatory: Mutex::default(),
        keyring: Mutex::new(keyring),
        read_turn: Notify::new(),
        pages: Semaphore::new(PAGES_IN_FLIGHT),
        wake: Notify::new(),
        cluster: Cluster::new(
            kubernetes.clone(),
            watching,
            settings.paces.call_deadline,
            settings.task_id_prefix,
        ),
        live,
        limiter: Limiter::new(started, settings.paces.call_deadline, settings.quota_share),
        account: Account::new(OWN_ACCOUNT),
        unsigned: Mutex::default(),
        own_is_unknown: AtomicBool::default(),
        policy,
        paces: settings.paces,
        metrics: metrics.clone(),
        events: Events::start(kubernetes, metrics.clone(), settings.paces.call_deadline),
        started,
        draining: draining.clone(),
    });
    if is_one_tenant {
        warn_without_policy();
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        endpoint = settings.endpoint.as_str(),
        listen = %listener.local_addr().unwrap_or(settings.listen),
        "started"
    );

    let ended = CancellationToken::new();
    let admin = Admin {
        health: health.clone(),
        metrics,
        shared: shared.clone(),
    };
    let probes = tokio::spawn(admin::serve(listener, admin, ended.clone()));
    let mut controller = tokio::spawn(controller::run(shared, health, settings.scope));
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        early = &mut controller => {
            return Err(defect(&early));
        }
    };
    tracing::info!("{name}: taking no more work");
    draining.cancel();
    let end = controller.await;
    if end.is_err() {
        return Err(defect(&end));
    }
    // The probes answer until the last call is over.
    ended.cancel();
    // A client that has sent half a request is not waited for.
    if let Ok(Ok(Err(error))) = tokio::time::timeout(Duration::from_secs(1), probes).await {
        tracing::warn!("the port for probes and metrics failed: {error}");
    }
    tracing::info!("ended");
    Ok(())
}

/// One that knows whether the operator has credentials of its own.
fn keyring(credentials: &Origin) -> Keyring {
    let mut keyring = Keyring::default();
    match credentials {
        Origin::Nowhere => keyring.without_own(),
        Origin::Key(_) | Origin::Oidc(_) | Origin::EcsRole(_) => {}
    }
    keyring
}

/// How the controller ended, which should have gone on. What a panic says can hold anything, and is not shown.
fn defect(end: &Result<(), JoinError>) -> anyhow::Error {
    let how = match end {
        Ok(()) => "ended by itself",
        Err(error) if error.is_panic() => "panicked",
        Err(_) => "was aborted",
    };
    anyhow!("the controller {how}; this is a defect, please report it")
}

fn warn_without_policy() {
    tracing::warn!(
        "no application policy: whoever may create a MixedStreamTask can have any task of the account stopped, which is right for one tenant \
         only; for several give --app-policy a file with rules"
    );
}

fn warn_without_credentials(origin: &Origin) {
    match origin {
        Origin::Nowhere => tracing::warn!(
            "no credentials: objects are accepted and guarded, but no task can be stopped unless its object brings its own; set ALIBABA_CLOUD_ACCESS_KEY_ID and \
             ALIBABA_CLOUD_ACCESS_KEY_SECRET, or what RRSA needs: ALIBABA_CLOUD_ROLE_ARN, ALIBABA_CLOUD_OIDC_PROVIDER_ARN and \
             ALIBABA_CLOUD_OIDC_TOKEN_FILE"
        ),
        Origin::Key(_) | Origin::Oidc(_) | Origin::EcsRole(_) => {}
    }
}

/// The application policy, which follows its file until the runtime ends.
async fn policy(file: Option<PathBuf>) -> anyhow::Result<PolicyInForce> {
    let Some(path) = file else {
        return Ok(PolicyInForce::new(Policy::everything()));
    };
    let file = PolicyFile::open(path)
        .await
        .map_err(|error| anyhow!("--app-policy: {error}"))?;
    let in_force = file.in_force();
    tokio::spawn(file.follow(POLICY_PACE));
    Ok(in_force)
}

/// A client for calls and one for the watch. Both try each call once and never wait for ever.
async fn kubernetes(paces: &Paces) -> anyhow::Result<(kube::Client, kube::Client)> {
    let mut config = kube::Config::infer().await.map_err(|error| {
        // Its source is what is wrong with the kubeconfig; itself it repeats that.
        let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        anyhow!(
            "no cluster: no kubeconfig (KUBECONFIG or ~/.kube/config) can be used ({}), and this does not run inside a cluster",
            first_line(&why)
        )
    })?;
    // The library takes a proxy from the environment as if the kubeconfig had named it, and cannot use one.
    let is_from_environment = ["HTTPS_PROXY", "https_proxy"].iter().any(|name| {
        let named = std::env::var(name)
            .ok()
            .and_then(|proxy| proxy.parse().ok());
        named.is_some() && named == config.proxy_url
    });
    if is_from_environment {
        config.proxy_url = None;
    }
    // Our own spacing decides about every retry.
    config.default_retry = false;
    config.connect_timeout = Some(paces.call_deadline);
    config.read_timeout = Some(paces.watch_silence.max(paces.call_deadline));
    let mut watching = config.clone();
    watching.read_timeout = Some(paces.watch_silence);
    Ok((client(config)?, client(watching)?))
}

fn client(config: kube::Config) -> anyhow::Result<kube::Client> {
    kube::Client::try_from(config).map_err(|error| {
        anyhow!(
            "no cluster: the kubeconfig cannot be used ({})",
            first_line(&error.to_string())
        )
    })
}

/// What a parser says below its first line is a drawing of the place.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

#[cfg(test)]
#[allow(clippy::panic, reason = "that is what is tested")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_the_controller_shows_no_text_of_a_panic() {
        let address = "rtmp://push.example.com/live/key?auth_key=1-2-3".to_owned();
        let end = tokio::spawn(async move { panic!("{address}") }).await;
        let shown = defect(&end);
        let words = "the controller panicked; this is a defect, please report it";
        assert_eq!(format!("{shown:#}"), words);
        assert!(!format!("{shown:?}").contains("rtmp"), "{shown:?}");
        assert!(defect(&Ok(())).to_string().contains("ended by itself"));
    }
}
