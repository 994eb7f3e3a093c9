//! What the API server shows: one stream for all namespaces in scope, which heals by itself and says what is wrong meanwhile.

use super::{
    cluster::Cluster,
    retry::Paces,
    view::{Key, View},
};
use crate::live::redact;
use futures::{StreamExt, stream::BoxStream};
use kube::runtime::{
    WatchStreamExt,
    utils::Backoff,
    watcher::{self, Event, watcher},
};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

/// The namespaces to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// These.
    Namespaces(Vec<String>),
}

/// One thing that the watch shows.
#[derive(Debug)]
pub enum Shown {
    /// An object as it is now.
    Object(Box<View>),
    /// An object is gone.
    Gone(Key),
    /// A list of this namespace (`None`: of all) is complete; it showed these.
    Complete(Option<String>, HashSet<Key>),
    /// The watch of this namespace (`None`: of all) does not work now.
    Trouble(Option<String>, String),
}

/// Starts the watch.
pub fn watch(cluster: &Cluster, scope: &Scope, paces: &Paces) -> BoxStream<'static, Shown> {
    let parts: Vec<Option<String>> = match scope {
        Scope::All => vec![None],
        Scope::Namespaces(names) => names.iter().cloned().map(Some).collect(),
    };
    let parts = parts.into_iter().map(|part| {
        let config = watcher::Config::default().timeout(server_timeout(paces.watch_silence));
        let mut listed = HashSet::new();
        let about = part.clone();
        let mut resuming = Resuming::default();
        let reader = cluster.clone();
        watcher(cluster.watched(part.as_deref()), config)
            // Before the pauses: that a list begins is said before each attempt, and must not pass for a success.
            .filter_map(move |event| {
                let shown = shown(&reader, about.as_ref(), event, &mut listed);
                std::future::ready(shown.transpose())
            })
            .backoff(Pauses::default())
            .filter_map(move |result| {
                std::future::ready(match result {
                    Ok(shown) => {
                        resuming = Resuming::default();
                        Some(shown)
                    }
                    Err(watcher::Error::WatchStartFailed(_))
                        if !resuming.fails_for_long(Instant::now()) =>
                    {
                        None
                    }
                    Err(error) => trouble(part.as_ref(), &error)
                        .map(|what| Shown::Trouble(part.clone(), what)),
                })
            })
            .boxed()
    });
    futures::stream::select_all(parts).boxed()
}

/// The API server ends each watch by itself before the silence would count as death; a watch without events is then still heard of.
fn server_timeout(silence: Duration) -> u32 {
    let seconds = if silence > Duration::from_secs(10) {
        silence.as_secs() - 5
    } else {
        silence.as_secs() / 2
    };
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

/// Whether resuming a watch fails for long enough to be worth telling. An API server that has just stored the definition, or that starts
/// again, refuses a watch or two; and one that is resumed says nothing that could take a word back.
#[derive(Debug, Default)]
struct Resuming {
    failing: Option<(Instant, Instant)>,
}

impl Resuming {
    /// Failures further apart than this do not belong together.
    const APART: Duration = Duration::from_secs(20);
    const LONG: Duration = Duration::from_secs(3);

    fn fails_for_long(&mut self, now: Instant) -> bool {
        let since = match self.failing {
            Some((since, last)) if now.saturating_duration_since(last) <= Self::APART => since,
            Some(_) | None => now,
        };
        self.failing = Some((since, now));
        now.saturating_duration_since(since) >= Self::LONG
    }
}

/// The pauses between failed attempts to watch. Short at first: under load the API server cuts off a watch that lags, and resuming it is cheap.
#[derive(Debug, Default)]
struct Pauses {
    failures: u32,
}

impl Pauses {
    const LONGEST: Duration = Duration::from_secs(5);
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let bound = Duration::from_millis(50 << self.failures.min(10)).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        Some(bound.mul_f64(rand::random_range(0.5..1.0)))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

/// What an event shows; `None` where that is nothing yet.
fn shown(
    cluster: &Cluster,
    part: Option<&String>,
    event: watcher::Result<Event<kube::core::DynamicObject>>,
    listed: &mut HashSet<Key>,
) -> watcher::Result<Option<Shown>> {
    Ok(match event? {
        Event::Apply(object) => read(cluster, &object),
        Event::Delete(object) => gone(object),
        Event::Init => {
            listed.clear();
            None
        }
        Event::InitApply(object) => {
            let shown = read(cluster, &object);
            if let Some(Shown::Object(view)) = &shown {
                listed.insert(view.key.clone());
            }
            shown
        }
        Event::InitDone => Some(Shown::Complete(part.cloned(), std::mem::take(listed))),
    })
}

fn gone(object: kube::core::DynamicObject) -> Option<Shown> {
    Some(Shown::Gone(Key {
        namespace: object.metadata.namespace?,
        name: object.metadata.name?,
    }))
}

fn read(cluster: &Cluster, object: &kube::core::DynamicObject) -> Option<Shown> {
    let view = cluster.view(object);
    if view.is_none() {
        tracing::warn!("the API server shows an object without metadata; it is left alone");
    }
    view.map(|view| Shown::Object(Box::new(view)))
}

/// The trouble in one sentence; `None` for what is part of a healthy watch.
fn trouble(part: Option<&String>, error: &watcher::Error) -> Option<String> {
    let place = part.map_or_else(String::new, |namespace| {
        format!(" in namespace {namespace}")
    });
    let cause = match error {
        watcher::Error::InitialListFailed(cause) | watcher::Error::WatchStartFailed(cause) => cause,
        // A broken or expired watch is resumed or listed anew at once.
        watcher::Error::WatchError(_) | watcher::Error::WatchFailed(_) => return None,
        watcher::Error::NoResourceVersion => {
            return Some(format!(
                "the API server does not version MixedStreamTasks{place}"
            ));
        }
    };
    let kube::Error::Api(status) = cause else {
        return Some(format!("cannot reach the API server: {}", innermost(cause)));
    };
    let words = redact::shown(&status.message, &[]);
    Some(match status.code {
        404 => "waiting for the CustomResourceDefinition mixedstreamtasks.mixedstream.io: install it with \
                `mixed-stream-operator crd | kubectl apply --server-side -f -`"
            .to_owned(),
        403 => format!("the operator may not list and watch MixedStreamTasks{place}: {words}"),
        code => format!("the API server does not list MixedStreamTasks{place}: {code} {words}"),
    })
}

/// The last cause says what really happened.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refused_watch_is_no_trouble_and_a_row_of_them_is() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut resuming = Resuming::default();
        assert!(!resuming.fails_for_long(start));
        assert!(!resuming.fails_for_long(start + 2 * second));
        assert!(resuming.fails_for_long(start + 4 * second));
        assert!(resuming.fails_for_long(start + 20 * second));
        assert!(!resuming.fails_for_long(start + 60 * second), "another row");
    }

    #[test]
    fn the_server_ends_a_watch_before_its_silence_counts_as_death() {
        for silence in [2, 9, 11, 75, 600] {
            let silence = Duration::from_secs(silence);
            assert!(Duration::from_secs(server_timeout(silence).into()) < silence);
        }
        assert_eq!(server_timeout(Duration::from_secs(1)), 1);
    }
}
