//! The operator's own HTTP port: probes and metrics.

use crate::{health::Health, metrics::Metrics, task::shared::Shared};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::{sync::Arc, time::Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the port answers from.
#[derive(Clone)]
pub struct Admin {
    /// The probes.
    pub health: Arc<Health>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The objects, for their phases.
    pub shared: Arc<Shared>,
}

/// Serves until the token is cancelled.
///
/// # Errors
/// When the port fails.
pub async fn serve(
    listener: TcpListener,
    admin: Admin,
    until: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { until.cancelled().await })
        .await
}

async fn livez(State(admin): State<Admin>) -> Response {
    probe(admin.health.alive())
}

async fn readyz(State(admin): State<Admin>) -> Response {
    probe(admin.health.ready())
}

fn probe(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let phases: Vec<_> = admin.shared.store().phases().collect();
    let limits = admin.shared.limiter.limits(Instant::now());
    match admin.metrics.text(phases.into_iter(), limits) {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
