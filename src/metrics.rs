//! What the operator counts, in Prometheus form. Labels are closed sets: no object's name, no error's text.

mod labels;

pub use labels::{ApiWrite, EventResult, Outcome, SecretResult, WriteResult};

use crate::{
    api::Phase,
    live::{Action, Class, Delivery, Failure, Refresh, Throttle},
};
use labels::{
    ActionLabel, CallLabels, EventLabel, EvidenceLabel, OutcomeLabel, PhaseLabel, QueueLabel,
    RefreshLabels, ResultLabel, RetryLabels, SourceLabel, ThrottleLabels, WriteLabels,
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use std::{
    sync::{Mutex, atomic::AtomicU64},
    time::Duration,
};

/// What the label `result` says of a question that was answered.
const ANSWERED: &str = "answered";

/// Every metric.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<OutcomeLabel, Counter>,
    reconcile_duration: Histogram,
    calls: Family<CallLabels, Counter>,
    call_duration: Family<ActionLabel, Histogram>,
    throttles: Family<ThrottleLabels, Counter>,
    limiter_wait: Family<ActionLabel, Histogram>,
    limiter_limit: Family<ActionLabel, Gauge<f64, AtomicU64>>,
    retry_wait: Family<RetryLabels, Histogram>,
    retrying: Family<RetryLabels, Gauge>,
    releases: Family<EvidenceLabel, Counter>,
    release_duration: Histogram,
    lost: Counter,
    refreshes: Family<RefreshLabels, Counter>,
    questions: Family<ResultLabel, Counter>,
    secrets: Family<ResultLabel, Counter>,
    expiry: Family<SourceLabel, Gauge>,
    writes: Family<WriteLabels, Counter>,
    events: Family<EventLabel, Counter>,
    tasks: Family<PhaseLabel, Gauge>,
    queue: Family<QueueLabel, Gauge>,
    /// A scrape sets gauges and then writes; two scrapes must not mix.
    scraping: Mutex<()>,
}

fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

fn long_wait() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 2.0, 16))
}

impl Metrics {
    /// All at zero; `evidence_kinds` are the values of that label, so that a kind that never occurs is seen to be zero.
    #[must_use]
    pub fn new(evidence_kinds: &[&'static str]) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("mixed_stream"),
            reconciles: Family::default(),
            reconcile_duration: latency(),
            calls: Family::default(),
            call_duration: Family::new_with_constructor(latency),
            throttles: Family::default(),
            limiter_wait: Family::new_with_constructor(latency),
            limiter_limit: Family::default(),
            retry_wait: Family::new_with_constructor(long_wait),
            retrying: Family::default(),
            releases: Family::default(),
            release_duration: long_wait(),
            lost: Counter::default(),
            refreshes: Family::default(),
            questions: Family::default(),
            secrets: Family::default(),
            expiry: Family::default(),
            writes: Family::default(),
            events: Family::default(),
            tasks: Family::default(),
            queue: Family::default(),
            scraping: Mutex::new(()),
        };
        metrics.register();
        for kind in evidence_kinds {
            drop(
                metrics
                    .releases
                    .get_or_create(&EvidenceLabel { evidence: kind }),
            );
        }
        let _ = metrics
            .questions
            .get_or_create(&ResultLabel { result: ANSWERED });
        for result in SecretResult::ALL {
            let result = result.label();
            let _ = metrics.secrets.get_or_create(&ResultLabel { result });
        }
        for action in Action::ALL {
            for throttle in Throttle::ALL {
                let _ = metrics.throttles.get_or_create(&ThrottleLabels {
                    action: action.label(),
                    sign: throttle.label(),
                });
            }
        }
        metrics
    }

    fn register(&mut self) {
        self.register_calls();
        let registry = &mut self.registry;
        registry.register(
            "reconciles",
            "Reconciles, by how they ended",
            self.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "How long a reconcile took",
            Unit::Seconds,
            self.reconcile_duration.clone(),
        );
        registry.register(
            "releases",
            "Finalizers removed, by the evidence for it",
            self.releases.clone(),
        );
        registry.register_with_unit(
            "release_duration",
            "From the deletion of an object to the removal of its finalizer",
            Unit::Seconds,
            self.release_duration.clone(),
        );
        registry.register(
            "lost",
            "Objects that are gone although the operator has not removed their finalizer: their tasks may still run",
            self.lost.clone(),
        );
        registry.register(
            "credential_refreshes",
            "Fetches of the operator's own credentials, by where they come from and what became of it",
            self.refreshes.clone(),
        );
        registry.register(
            "account_questions",
            "Questions to STS whose a key is, by what became of them",
            self.questions.clone(),
        );
        registry.register(
            "secret_reads",
            "Readings of Secrets, of keys and of output addresses, by what became of them",
            self.secrets.clone(),
        );
        registry.register_with_unit(
            "credentials_expiry_timestamp",
            "When the operator's own credentials end, in UNIX time, where they do",
            Unit::Seconds,
            self.expiry.clone(),
        );
        registry.register(
            "api_writes",
            "Writes to the API server, events apart",
            self.writes.clone(),
        );
        registry.register(
            "events",
            "Kubernetes events, by what became of them",
            self.events.clone(),
        );
        registry.register("tasks", "Objects, by phase", self.tasks.clone());
        registry.register(
            "queue_depth",
            "Objects that wait to be reconciled or are being reconciled",
            self.queue.clone(),
        );
    }

    fn register_calls(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "live_calls",
            "Calls to the Live API, by action and what the answer means",
            self.calls.clone(),
        );
        registry.register_with_unit(
            "live_call_duration",
            "From sending a call to its answer",
            Unit::Seconds,
            self.call_duration.clone(),
        );
        registry.register(
            "throttles",
            "Calls that may have found no room in the account's quota, by action and by how that was seen",
            self.throttles.clone(),
        );
        registry.register(
            "limiter_limit",
            "Calls a second that the limiter lets through now, of the account where that is least",
            self.limiter_limit.clone(),
        );
        registry.register_with_unit(
            "limiter_wait",
            "How long a call waited for its turn within the account's quota",
            Unit::Seconds,
            self.limiter_wait.clone(),
        );
        registry.register_with_unit(
            "retry_wait",
            "The waits chosen after failed calls, by action and reason",
            Unit::Seconds,
            self.retry_wait.clone(),
        );
        registry.register(
            "retrying",
            "Objects that wait to try an action again, by action and reason",
            self.retrying.clone(),
        );
    }

    /// A reconcile ended.
    pub fn reconciled(&self, outcome: Outcome, took: Duration) {
        self.reconciles
            .get_or_create(&OutcomeLabel {
                outcome: outcome.label(),
            })
            .inc();
        self.reconcile_duration.observe(took.as_secs_f64());
    }

    /// A call was answered or given up.
    pub fn called(&self, action: Action, failure: Option<&Failure>, took: Duration) {
        let result = failure.map_or("accepted", |failure| failure.class.label());
        self.calls
            .get_or_create(&CallLabels {
                action: action.label(),
                result,
            })
            .inc();
        if let Some(throttle) = failure.and_then(Failure::throttle) {
            self.throttles
                .get_or_create(&ThrottleLabels {
                    action: action.label(),
                    sign: throttle.label(),
                })
                .inc();
        }
        if failure.is_none_or(|failure| failure.delivery != Delivery::NeverSent) {
            self.call_duration
                .get_or_create(&ActionLabel {
                    action: action.label(),
                })
                .observe(took.as_secs_f64());
        }
    }

    /// A call got its turn.
    pub fn got_turn(&self, action: Action, waited: Duration) {
        self.limiter_wait
            .get_or_create(&ActionLabel {
                action: action.label(),
            })
            .observe(waited.as_secs_f64());
    }

    /// A wait was chosen.
    pub fn will_retry(&self, action: Action, reason: &'static str, wait: Duration) {
        self.retry_wait
            .get_or_create(&RetryLabels {
                action: action.label(),
                reason,
            })
            .observe(wait.as_secs_f64());
    }

    /// An object began to wait for an action (+1), or does not any more (-1).
    pub fn retrying(&self, action: Action, reason: &'static str, by: i64) {
        self.retrying
            .get_or_create(&RetryLabels {
                action: action.label(),
                reason,
            })
            .inc_by(by);
    }

    /// A finalizer was removed on this kind of evidence, so long after the deletion was asked for.
    pub fn released(&self, evidence: &'static str, took: Duration) {
        self.releases
            .get_or_create(&EvidenceLabel { evidence })
            .inc();
        self.release_duration.observe(took.as_secs_f64());
    }

    /// An object is gone whose finalizer somebody else removed.
    pub fn lost(&self) {
        self.lost.inc();
    }

    /// The operator's own credentials were fetched, or were not to be had.
    pub fn refreshed(&self, refresh: Refresh) {
        let Refresh { source, result } = refresh;
        let source = source.label();
        if let Ok(end) = result {
            self.expiry
                .get_or_create(&SourceLabel { source })
                .set(end.as_second());
        }
        let result = result.map_or_else(Class::label, |_| "refreshed");
        self.refreshes
            .get_or_create(&RefreshLabels { source, result })
            .inc();
    }

    /// STS was asked whose a key is; `failure`: why it did not tell.
    pub fn asked_account(&self, failure: Option<&Failure>) {
        let result = failure.map_or(ANSWERED, |failure| failure.class.label());
        self.questions.get_or_create(&ResultLabel { result }).inc();
    }

    /// A Secret was read, or could not be.
    pub fn read_secret(&self, result: SecretResult) {
        let result = result.label();
        self.secrets.get_or_create(&ResultLabel { result }).inc();
    }

    /// A write to the API server ended.
    pub fn wrote(&self, write: ApiWrite, result: WriteResult) {
        self.writes
            .get_or_create(&WriteLabels {
                write: write.label(),
                result: result.label(),
            })
            .inc();
    }

    /// An event was stored, refused or dropped.
    pub fn event(&self, result: EventResult) {
        self.events
            .get_or_create(&EventLabel {
                result: result.label(),
            })
            .inc();
    }

    /// How many objects wait for a reconcile, and how many run.
    pub fn queued(&self, waiting: usize, running: usize) {
        for (state, count) in [("waiting", waiting), ("running", running)] {
            self.queue
                .get_or_create(&QueueLabel { state })
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Everything in OpenMetrics text form; `phases` has one entry per object, `limits` the calls a second that each action may send.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn text(
        &self,
        phases: impl Iterator<Item = Phase>,
        limits: impl IntoIterator<Item = (Action, f64)>,
    ) -> Result<String, std::fmt::Error> {
        let _alone = self
            .scraping
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut counts = Phase::ALL.map(|phase| (phase, 0_i64));
        for phase in phases {
            for (counted, count) in &mut counts {
                *count += i64::from(*counted == phase);
            }
        }
        for (phase, count) in counts {
            self.tasks
                .get_or_create(&PhaseLabel {
                    phase: phase.as_str(),
                })
                .set(count);
        }
        for (action, limit) in limits {
            self.limiter_limit
                .get_or_create(&ActionLabel {
                    action: action.label(),
                })
                .set(limit);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
