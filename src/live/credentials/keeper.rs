//! Holds credentials that expire: one fetch for everybody who waits, ahead of their end, with pauses between failures.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};

use super::Credentials;
use super::schedule::{Advice, Schedule};
use crate::live::class::Class;
use crate::live::outcome::Failure;

/// Where credentials that expire are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A role, by the token that the cluster gives the pod (dossier 9.2).
    Rrsa,
    /// The role of the machine (dossier 9.4).
    EcsRole,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Rrsa, Self::EcsRole];

    /// The value of the label `source` of a metric.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rrsa => "rrsa",
            Self::EcsRole => "ecs_role",
        }
    }
}

/// What became of one fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// Where they come from.
    pub source: SourceKind,
    /// When the new ones end, or why there are none.
    pub result: Result<Timestamp, Class>,
}

/// Told of every fetch.
pub type Observer = Box<dyn Fn(Refresh) + Send + Sync>;

/// What a source gives.
#[derive(Debug)]
pub(super) struct Fetched {
    pub credentials: Credentials,
    /// When they end, by the clock of whoever gave them.
    pub expires: Timestamp,
    /// How long that is from now; negative where it is past.
    pub lives: SignedDuration,
}

impl Fetched {
    /// From an answer that was asked for at `asked` by our clock and has this `date` by its giver's. Only where it has none our clock counts.
    pub fn new(
        credentials: Credentials,
        expires: Timestamp,
        date: Option<Timestamp>,
        asked: Timestamp,
    ) -> Self {
        // A date is in whole seconds: the giver's clock may have shown almost one more.
        let lives = match date {
            Some(theirs) => expires.duration_since(theirs) - SignedDuration::from_secs(1),
            None => expires.duration_since(asked),
        };
        Self {
            credentials,
            expires,
            lives,
        }
    }
}

/// Fetches credentials. A fetch ends by itself within a bounded time.
pub(super) trait Source: fmt::Debug + Send + Sync {
    fn kind(&self) -> SourceKind;
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, Failure>>;
}

/// Time since some origin, and chance in 0..1.
pub(super) struct World {
    pub now: Box<dyn Fn() -> Duration + Send + Sync>,
    pub jitter: fn() -> f64,
}

impl World {
    /// The real ones.
    pub fn real() -> Self {
        let started = Instant::now();
        Self {
            now: Box::new(move || started.elapsed()),
            jitter: || rand::random_range(0.0..1.0),
        }
    }
}

/// Credentials that expire, and who fetches them.
pub(super) struct Keeper {
    source: Box<dyn Source>,
    observer: Observer,
    world: World,
    state: Mutex<State>,
    /// A fetch has ended, or is due earlier than before.
    changed: Notify,
    /// Tells everybody who does not wait for it that a fetch has ended.
    ended: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    /// Closed when the fetch that is under way has ended, however it ended.
    fetching: Option<watch::Receiver<()>>,
    /// The failure that was told last; `None` after a success.
    told: Option<String>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Keeper {
    pub fn new(source: Box<dyn Source>, observer: Observer, world: World) -> Arc<Self> {
        Arc::new(Self {
            source,
            observer,
            world,
            state: Mutex::default(),
            changed: Notify::new(),
            ended: watch::Sender::new(()),
        })
    }

    /// What to sign with; waits for a fetch only where nothing usable is held.
    pub async fn current(self: &Arc<Self>) -> Result<Arc<Credentials>, Failure> {
        loop {
            match self.held() {
                Ok(known) => return known,
                Err(fetch) => self.until_over(fetch).await,
            }
        }
    }

    /// What to sign with, without waiting: `None` where a fetch is under way for it, whose end [`Keeper::ends`] tells.
    pub fn at_hand(self: &Arc<Self>) -> Option<Result<Arc<Credentials>, Failure>> {
        self.held().ok()
    }

    /// Changes at the end of each fetch.
    pub fn ends(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }

    /// What to sign with, or else the fetch that is under way for it.
    fn held(self: &Arc<Self>) -> Result<Result<Arc<Credentials>, Failure>, watch::Receiver<()>> {
        let mut state = self.state();
        match state.schedule.advise((self.world.now)()) {
            Advice::Use(credentials) => Ok(Ok(credentials)),
            Advice::UseAndFetch(credentials) => {
                self.fetch(&mut state);
                Ok(Ok(credentials))
            }
            Advice::Fail(failure) => Ok(Err(failure)),
            Advice::Fetch => Err(self.fetch(&mut state)),
        }
    }

    /// The service refused these. Whether others are held already or are about to be fetched.
    pub fn refused(&self, refused: &Credentials) -> bool {
        let now = (self.world.now)();
        let is_soon = self.state().schedule.refused(refused, now);
        self.changed.notify_one();
        is_soon
    }

    /// Fetches ahead of time for as long as it is polled, whether anybody asks or not.
    pub async fn keep_fresh(self: &Arc<Self>) {
        loop {
            let (wait, fetch) = {
                let mut state = self.state();
                let now = (self.world.now)();
                match state.schedule.advise(now) {
                    Advice::Use(_) | Advice::Fail(_) => {
                        (state.schedule.next().saturating_sub(now), None)
                    }
                    Advice::UseAndFetch(_) | Advice::Fetch => {
                        (Duration::ZERO, Some(self.fetch(&mut state)))
                    }
                }
            };
            match fetch {
                Some(fetch) => self.until_over(fetch).await,
                None => {
                    // Whichever comes first: it is looked again.
                    let _ = tokio::time::timeout(wait, self.changed.notified()).await;
                }
            }
        }
    }

    /// The fetch that is under way, or a new one. It goes on when nobody waits for it any more.
    fn fetch(self: &Arc<Self>, state: &mut State) -> watch::Receiver<()> {
        if let Some(fetching) = &state.fetching {
            return fetching.clone();
        }
        let (ended, fetching) = watch::channel(());
        state.fetching = Some(fetching.clone());
        let keeper = self.clone();
        tokio::spawn(async move {
            let result = keeper.source.fetch().await;
            keeper.end(result);
            drop(ended);
        });
        fetching
    }

    fn end(&self, result: Result<Fetched, Failure>) {
        let source = self.source.kind();
        let now = (self.world.now)();
        let result = result.and_then(|fetched| {
            let lives = Duration::try_from(fetched.lives).unwrap_or_default();
            if lives.is_zero() {
                return Err(Failure::no_credentials(
                    Class::ServiceUnavailable,
                    "the credentials that were given have expired already: check the clock of the operator's node",
                ));
            }
            Ok((fetched, lives))
        });
        let mut state = self.state();
        state.fetching = None;
        let result = match result {
            Ok((fetched, lives)) => {
                let credentials = Arc::new(fetched.credentials);
                state.schedule.fetched(credentials, lives, now);
                if state.told.take().is_some() {
                    tracing::info!(source = source.label(), expires = %fetched.expires, "credentials are had again");
                } else {
                    tracing::debug!(source = source.label(), expires = %fetched.expires, "credentials refreshed");
                }
                Ok(fetched.expires)
            }
            Err(failure) => {
                let class = failure.class;
                let words = failure.message.clone();
                let wait = state.schedule.failed(failure, now, (self.world.jitter)());
                let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                // Once for a row of equal failures.
                if state.told.as_ref() == Some(&words) {
                    tracing::debug!(
                        source = source.label(),
                        retry_ms,
                        "no new credentials: {words}"
                    );
                } else {
                    tracing::warn!(
                        source = source.label(),
                        retry_ms,
                        "no new credentials: {words}"
                    );
                    state.told = Some(words);
                }
                Err(class)
            }
        };
        drop(state);
        self.changed.notify_one();
        self.ended.send_replace(());
        (self.observer)(Refresh { source, result });
    }

    /// Waits for the end of a fetch.
    async fn until_over(&self, mut fetch: watch::Receiver<()>) {
        // Nothing is ever sent; the sender goes when the fetch has ended.
        while fetch.changed().await.is_ok() {}
        let mut state = self.state();
        let is_broken = |fetching: &watch::Receiver<()>| fetching.has_changed().is_err();
        if state.fetching.as_ref().is_some_and(is_broken) {
            // It has ended without a result.
            state.fetching = None;
            let words = "the fetch of credentials broke off; this is a defect, please report it";
            let failure = Failure::no_credentials(Class::ServiceUnavailable, words);
            let now = (self.world.now)();
            state.schedule.failed(failure, now, (self.world.jitter)());
            self.ended.send_replace(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
