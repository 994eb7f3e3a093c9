//! Reading Secrets.

use super::*;
use crate::task::cluster::{Cluster, SecretError};
use http::{Request, Response};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, client::Body};
use std::{
    io,
    sync::{Arc, Mutex},
};
use tracing::level_filters::LevelFilter;

/// A log that is kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn shows_the_value(&self) -> bool {
        String::from_utf8_lossy(&self.0.lock().unwrap()).contains("aHVzaA==")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client logs what it cannot decode, as a second reading by it shows.
#[test]
fn half_a_secret_is_shown_nowhere_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let read = async {
        let service = tower::service_fn(|_: Request<Body>| async {
            let half = br#"{"data": {"accessKeySecret": "aHVzaA=="#;
            Ok::<_, io::Error>(Response::new(Body::from(half.to_vec())))
        });
        let client = Client::new(service, "team-a");
        let deadline = Duration::from_secs(10);
        let cluster = Cluster::new(client.clone(), client.clone(), deadline, "mso".to_owned());
        let error = cluster.secret("team-a", "live").await.unwrap_err();
        assert!(matches!(&error, SecretError::Unknown(_)), "{error:?}");
        assert!(!format!("{error:?}").contains("aHVzaA=="), "{error:?}");
        assert!(!log.shows_the_value());
        let secrets: Api<Secret> = Api::namespaced(client, "team-a");
        secrets.get("live").await.unwrap_err();
        assert!(log.shows_the_value(), "this test sees what is logged");
    };
    tracing::subscriber::with_default(subscriber, || runtime.block_on(read));
}
