//! The loop: what the watch shows goes into the store, what has to be looked at goes through the queue, and every reconcile is a task of
//! its own. The loop itself never waits for the API server or for the service.

use super::{
    access::{
        Source,
        fetch::fetch,
        keyring::{Fetched, News},
    },
    dossier::Dossier,
    observatory,
    queue::Queue,
    reconcile::{Next, reconcile},
    shared::{Caller, Shared},
    store::{Changed, Store},
    sweep::sweep,
    view::{Key, View},
    watch::{Scope, Shown, watch},
};
use crate::{
    health::Health,
    live::{Account, Lane},
    metrics::Outcome,
};
use futures::{FutureExt, StreamExt};
use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// The loop shows signs of life at least this often.
const PULSE: Duration = Duration::from_secs(1);

struct Ended {
    key: Key,
    dossier: Dossier,
    /// `None` where the reconcile panicked.
    next: Option<Next>,
}

struct Controller {
    shared: Arc<Shared>,
    health: Arc<Health>,
    queue: Queue,
    dossiers: HashMap<String, Dossier>,
    running: JoinSet<Ended>,
    /// Bulk reads in flight.
    reads: JoinSet<observatory::Ended>,
    /// Secrets and questions whose a key is, in flight.
    errands: JoinSet<Fetched>,
    /// Parts of the scope whose first list is still to come.
    unlisted: HashSet<Option<String>>,
}

/// Runs until the token is cancelled and the reconciles in flight have ended.
pub async fn run(shared: Arc<Shared>, health: Arc<Health>, scope: Scope) {
    let unlisted = match &scope {
        Scope::All => HashSet::from([None]),
        Scope::Namespaces(names) => names.iter().cloned().map(Some).collect(),
    };
    let mut watch = watch(&shared.cluster, &scope, &shared.paces);
    let draining = shared.draining.clone();
    let mut controller = Controller {
        shared,
        health,
        queue: Queue::default(),
        dossiers: HashMap::new(),
        running: JoinSet::new(),
        reads: JoinSet::new(),
        errands: JoinSet::new(),
        unlisted,
    };
    let mut policy = controller.shared.policy.changes();
    let shared = controller.shared.clone();
    let mut credentials = shared.live.credentials().ends();
    while !draining.is_cancelled() {
        controller.start_what_is_ready();
        let wake = controller.next_wake();
        tokio::select! {
            () = draining.cancelled() => {}
            Some(shown) = watch.next() => controller.shown(shown),
            Some(ended) = controller.running.join_next() => controller.ended(ended),
            Some(read) = controller.reads.join_next() => controller.read(read),
            Some(fetched) = controller.errands.join_next() => controller.fetched(fetched),
            Ok(()) = policy.changed() => controller.look_at_all(),
            Ok(()) = credentials.changed() => controller.credentials_fetched(),
            () = shared.wake.notified() => {}
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
    drop(watch);
    controller.reads.abort_all();
    let in_flight = controller.running.len();
    if in_flight > 0 {
        tracing::info!(in_flight, "finishing what is in flight");
    }
    // A call and the write that follows it, each within its deadline.
    let patience = 2 * controller.shared.paces.call_deadline + PULSE;
    let finish = async {
        while controller.running.join_next().await.is_some() {
            controller.health.pulse();
        }
        controller.errands.abort_all();
    };
    if tokio::time::timeout(patience, finish).await.is_err() {
        tracing::warn!(
            "not everything in flight has ended within {patience:?}; the next start goes on with it"
        );
    }
}

impl Controller {
    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let due = self.queue.next_due();
        let turn = self.shared.limiter.next_at(now);
        let elapsed = self.shared.now().mono;
        let read = self.shared.observatory().next_at(elapsed);
        let errand = self.shared.keyring().next_at();
        let since_start = |at| self.shared.started + at;
        [due, turn, read.map(since_start), errand.map(since_start)]
            .into_iter()
            .flatten()
            .fold(now + PULSE, Instant::min)
    }

    fn start_what_is_ready(&mut self) {
        let now = Instant::now();
        self.health.pulse();
        for caller in self.shared.limiter.grants(now) {
            match caller {
                Caller::Object(key) => self.queue.grant(key),
                Caller::Read(..) => self.shared.read_turn.notify_waiters(),
            }
        }
        let woken = self.shared.limiter.woken().into_iter();
        self.look_at(woken.filter_map(Caller::object).collect());
        let shared = self.shared.clone();
        self.queue.wake(now, |key| lane(&shared, key));
        // No object is judged before every older one is known.
        if !self.unlisted.is_empty() {
            return;
        }
        while let Some(key) = self.queue.pop() {
            self.start(key);
        }
        self.start_reads();
        self.start_errands();
        let (waiting, running) = self.queue.depth();
        self.shared.metrics.queued(waiting, running);
    }

    fn start_reads(&mut self) {
        let now = self.shared.now();
        let due = {
            let mut observatory = self.shared.observatory();
            observatory.due(&self.shared.store(), &self.shared.paces, now)
        };
        for read in due {
            self.reads.spawn(sweep(self.shared.clone(), read));
        }
    }

    fn start_errands(&mut self) {
        let errands = self.shared.keyring().errands(self.shared.now().mono);
        for errand in errands {
            self.errands.spawn(fetch(self.shared.clone(), errand));
        }
    }

    fn fetched(&mut self, fetched: Result<Fetched, tokio::task::JoinError>) {
        // Nothing in an errand panics, and it is aborted at the end of the process alone.
        let Ok(fetched) = fetched else {
            return;
        };
        let now = self.shared.now().mono;
        let jitter = rand::random_range(0.0..1.0);
        let (news, accounts) = {
            let mut keyring = self.shared.keyring();
            let news = keyring.fetched(fetched, &self.shared.paces, now, jitter);
            (news, keyring.accounts())
        };
        let News {
            look,
            changed,
            moved,
        } = news;
        for line in moved {
            let account = line.map_or_else(
                || self.shared.account.clone(),
                |account| Account::new(account.as_str()),
            );
            self.shared.limiter.moved_to(Instant::now(), &account);
        }
        if let Some(secret) = changed {
            let source = Source::Secret(secret);
            // After they were replaced: whatever began before may have been read with the old ones.
            let now = self.shared.now().mono;
            self.shared.observatory().other_credentials(&source, now);
        }
        self.shared.read_turn.notify_waiters();
        let look = self.shared.store().know(accounts, look);
        self.look_at(look);
    }

    fn read(&mut self, ended: Result<observatory::Ended, tokio::task::JoinError>) {
        // Nothing in a read panics, and it is aborted at the end of the process alone.
        let Ok(ended) = ended else {
            return;
        };
        let moment = (self.shared.now(), rand::random_range(0.0..1.0));
        let look = {
            let mut observatory = self.shared.observatory();
            observatory.ended(ended, &self.shared.store(), &self.shared.paces, moment)
        };
        self.look_at(look);
    }

    /// The operator's own are there, or why there are none.
    fn credentials_fetched(&mut self) {
        let waiting = std::mem::take(&mut *self.shared.unsigned());
        self.look_at(waiting.into_iter().collect());
        self.shared.read_turn.notify_waiters();
    }

    fn look_at_all(&mut self) {
        let keys = self.shared.store().keys().cloned().collect();
        self.look_at(keys);
    }

    fn start(&mut self, key: Key) {
        let Some(view) = self.shared.store().view(&key).cloned() else {
            self.queue.finished(&key, None);
            self.shared.limiter.forget(&Caller::Object(key.clone()));
            return;
        };
        let mut dossier = self
            .dossiers
            .remove(&view.uid)
            .unwrap_or_else(|| Dossier::new(&view));
        let shared = self.shared.clone();
        self.running.spawn(async move {
            let started = Instant::now();
            let next = AssertUnwindSafe(reconcile(&shared, &key, &mut dossier))
                .catch_unwind()
                .await;
            let next = next.ok();
            if let Some(next) = &next {
                shared.metrics.reconciled(next.outcome, started.elapsed());
            }
            Ended { key, dossier, next }
        });
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        // A panic is caught inside and nothing aborts a task, so that there is always an end to look at.
        let Ok(Ended {
            key,
            mut dossier,
            next,
        }) = ended
        else {
            return;
        };
        let next = next.unwrap_or_else(|| {
            tracing::error!(object = %key, "a reconcile panicked; looking at the object again later");
            dossier.shake(&self.shared);
            self.shared.limiter.forget(&Caller::Object(key.clone()));
            Next {
                at: Some(self.shared.now().mono + self.shared.paces.backoff_max),
                look: Vec::new(),
                outcome: Outcome::Failed,
            }
        });
        let is_known = self
            .shared
            .store()
            .view(&key)
            .is_some_and(|view| view.uid == dossier.uid);
        if is_known {
            self.dossiers.insert(dossier.uid.clone(), dossier);
        } else {
            dossier.close(&self.shared);
            if self.shared.store().view(&key).is_none() {
                self.shared.keyring().leaves(&key);
                self.shared.limiter.forget(&Caller::Object(key.clone()));
            }
        }
        self.queue
            .finished(&key, next.at.map(|at| self.shared.started + at));
        self.look_at(next.look);
    }

    fn look_at(&mut self, keys: Vec<Key>) {
        for key in keys {
            let lane = lane(&self.shared, &key);
            self.queue.push(key, lane);
        }
    }

    fn shown(&mut self, shown: Shown) {
        match shown {
            Shown::Object(view) => self.update(|store| vec![store.watched(*view)]),
            Shown::Gone(key) => self.update(|store| vec![store.remove(&key)]),
            Shown::Complete(part, listed) => {
                let in_scope =
                    |namespace: &str| part.as_deref().is_none_or(|part| part == namespace);
                self.update(|store| store.retain(in_scope, &listed));
                self.health.watch_works(part.as_deref());
                self.unlisted.remove(&part);
                if self.unlisted.is_empty() {
                    self.health.listed();
                }
            }
            Shown::Trouble(part, what) => self.health.watch_fails(part.as_deref(), what),
        }
    }

    /// Changes the store. What an object had that is gone cools down before anybody can look.
    fn update(&mut self, change: impl FnOnce(&mut Store) -> Vec<Changed>) {
        let now = self.shared.now();
        let changes = {
            let mut store = self.shared.store();
            let changes = change(&mut store);
            for gone in changes.iter().filter_map(|changed| changed.gone.as_ref()) {
                if let Some(until) = gone.frees(&self.shared.paces, now) {
                    let outputs = gone.view.claimed_outputs();
                    store.cool(Some(&gone.view), outputs, now.mono, until);
                }
            }
            changes
        };
        for Changed { look, gone } in changes {
            self.look_at(look);
            if let Some(gone) = gone {
                self.forget(&gone.view);
            }
        }
    }

    fn forget(&mut self, view: &View) {
        self.queue.forget(&view.key);
        self.shared.keyring().leaves(&view.key);
        // What a reconcile that still runs takes is given back at its end.
        self.shared
            .limiter
            .forget(&Caller::Object(view.key.clone()));
        if let Some(dossier) = self.dossiers.remove(&view.uid) {
            dossier.close(&self.shared);
        }
    }
}

fn lane(shared: &Shared, key: &Key) -> Lane {
    match shared.store().view(key) {
        Some(view) if view.is_deleting() => Lane::Delete,
        Some(_) | None => Lane::Create,
    }
}
