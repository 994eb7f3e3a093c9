#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::FutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use secrecy::SecretString;
use tokio::sync::{Mutex as Turn, mpsc};

use super::*;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn triple(id: &str, lives: SignedDuration) -> Fetched {
    Fetched {
        credentials: Credentials::new(
            id,
            SecretString::from("hush"),
            Some(SecretString::from("hush")),
        ),
        expires: Timestamp::UNIX_EPOCH,
        lives,
    }
}

fn outage() -> Failure {
    Failure::no_credentials(Class::ServiceUnavailable, "outage")
}

/// A source whose every answer is given by hand, and a clock that stands still until it is set.
struct Stage {
    keeper: Arc<Keeper>,
    answers: mpsc::UnboundedSender<Result<Fetched, Failure>>,
    /// One for each fetch that has begun.
    begun: mpsc::UnboundedReceiver<()>,
    seconds: Arc<AtomicU64>,
    told: Arc<Mutex<Vec<Refresh>>>,
}

struct Scripted {
    begun: mpsc::UnboundedSender<()>,
    answers: Turn<mpsc::UnboundedReceiver<Result<Fetched, Failure>>>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

impl Source for Scripted {
    fn kind(&self) -> SourceKind {
        SourceKind::Rrsa
    }

    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, Failure>> {
        async {
            let _ = self.begun.send(());
            self.answers.lock().await.recv().await.unwrap()
        }
        .boxed()
    }
}

fn stage() -> Stage {
    let (answers, given) = mpsc::unbounded_channel();
    let (beginning, begun) = mpsc::unbounded_channel();
    let seconds = Arc::new(AtomicU64::default());
    let told: Arc<Mutex<Vec<Refresh>>> = Arc::default();
    let (clock, telling) = (seconds.clone(), told.clone());
    let source = Scripted {
        begun: beginning,
        answers: Turn::new(given),
    };
    let world = World {
        now: Box::new(move || Duration::from_secs(clock.load(Ordering::Relaxed))),
        jitter: || 1.0,
    };
    let observer = Box::new(move |refresh| telling.lock().unwrap().push(refresh));
    Stage {
        keeper: Keeper::new(Box::new(source), observer, world),
        answers,
        begun,
        seconds,
        told,
    }
}

impl Stage {
    fn give(&self, fetched: Fetched) {
        self.answers.send(Ok(fetched)).unwrap();
    }

    fn fail(&self, failure: Failure) {
        self.answers.send(Err(failure)).unwrap();
    }

    fn at(&self, seconds: u64) {
        self.seconds.store(seconds, Ordering::Relaxed);
    }

    async fn current(&self) -> Result<String, String> {
        let current = self.keeper.current().await;
        current
            .map(|credentials| credentials.key_id().to_owned())
            .map_err(|failure| failure.message)
    }

    /// How many fetches have begun since this was asked last.
    fn fetches(&mut self) -> usize {
        std::iter::from_fn(|| self.begun.try_recv().ok()).count()
    }
}

/// Lets everything that can go on do so.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_does_not_wait_is_told_of_the_end() {
    let mut stage = stage();
    let mut ends = stage.keeper.ends();
    for _ in 0..3 {
        assert!(stage.keeper.at_hand().is_none());
        settle().await;
    }
    assert_eq!(stage.fetches(), 1);
    assert!(ends.changed().now_or_never().is_none());
    stage.fail(outage());
    settle().await;
    assert!(ends.changed().now_or_never().is_some());
    let failure = stage.keeper.at_hand().unwrap().unwrap_err();
    assert_eq!(failure.message, "outage");

    stage.at(60);
    assert!(stage.keeper.at_hand().is_none());
    stage.give(triple("a", HOUR));
    settle().await;
    assert!(ends.changed().now_or_never().is_some());
    let held = stage.keeper.at_hand().unwrap().unwrap();
    assert_eq!(held.key_id(), "a");
}

#[tokio::test]
async fn however_many_wait_there_is_one_fetch() {
    let mut stage = stage();
    let keeper = stage.keeper.clone();
    let mut waiting: FuturesUnordered<_> = (0..100)
        .map(|_| {
            let keeper = keeper.clone();
            async move { keeper.current().await }
        })
        .collect();
    assert!(waiting.next().now_or_never().is_none());
    settle().await;
    assert_eq!(stage.fetches(), 1);
    stage.give(triple("a", HOUR));
    while let Some(got) = waiting.next().await {
        assert_eq!(got.unwrap().key_id(), "a");
    }
    assert_eq!(stage.current().await, Ok("a".to_owned()));
    assert_eq!(stage.fetches(), 0);
    let end = Timestamp::UNIX_EPOCH;
    assert_eq!(
        *stage.told.lock().unwrap(),
        [Refresh {
            source: SourceKind::Rrsa,
            result: Ok(end)
        }]
    );
}

#[tokio::test]
async fn a_fetch_goes_on_when_those_who_wait_for_it_leave() {
    let mut stage = stage();
    assert!(stage.keeper.current().now_or_never().is_none());
    settle().await;
    assert_eq!(stage.fetches(), 1);
    stage.give(triple("a", HOUR));
    settle().await;
    assert_eq!(stage.current().await, Ok("a".to_owned()));
    assert_eq!(stage.fetches(), 0);
}

#[tokio::test]
async fn ahead_of_the_end_nobody_waits() {
    let mut stage = stage();
    stage.give(triple("a", HOUR));
    assert_eq!(stage.current().await, Ok("a".to_owned()));
    stage.at(2700);
    for _ in 0..10 {
        let current = stage.current().now_or_never();
        assert_eq!(current, Some(Ok("a".to_owned())), "nobody waits for it");
    }
    settle().await;
    assert_eq!(stage.fetches(), 2);
    stage.give(triple("b", HOUR));
    settle().await;
    assert_eq!(stage.current().await, Ok("b".to_owned()));
}

#[tokio::test]
async fn an_outage_is_told_when_the_old_ones_have_ended_and_heals() {
    let mut stage = stage();
    stage.give(triple("a", HOUR));
    assert_eq!(stage.current().await, Ok("a".to_owned()));
    stage.at(3000);
    stage.fail(outage());
    assert_eq!(stage.current().await, Ok("a".to_owned()));
    settle().await;
    assert_eq!(stage.current().await, Ok("a".to_owned()));
    assert_eq!(stage.fetches(), 2);
    stage.at(3600);
    stage.fail(outage());
    assert_eq!(stage.current().await, Err("outage".to_owned()));
    for _ in 0..10 {
        let current = stage.current().now_or_never();
        assert_eq!(
            current,
            Some(Err("outage".to_owned())),
            "nobody asks again yet"
        );
    }
    assert_eq!(stage.fetches(), 1);
    stage.at(3602);
    stage.give(triple("b", HOUR));
    assert_eq!(stage.current().await, Ok("b".to_owned()));
    let results: Vec<_> = stage
        .told
        .lock()
        .unwrap()
        .iter()
        .map(|refresh| refresh.result.is_ok())
        .collect();
    assert_eq!(results, [true, false, false, true]);
}

#[tokio::test]
async fn what_was_refused_is_fetched_anew_and_waited_for() {
    let mut stage = stage();
    stage.give(triple("a", HOUR));
    let a = stage.keeper.current().await.unwrap();
    assert!(stage.keeper.refused(&a));
    assert!(stage.keeper.current().now_or_never().is_none());
    stage.give(triple("b", HOUR));
    assert_eq!(stage.current().await, Ok("b".to_owned()));
    assert_eq!(stage.fetches(), 2);
    // One who was refused with the old ones only now.
    assert!(stage.keeper.refused(&a));
    assert_eq!(stage.current().await, Ok("b".to_owned()));
    assert_eq!(stage.fetches(), 0);
}

#[tokio::test]
async fn what_has_ended_before_it_comes_is_a_failure() {
    for lives in [SignedDuration::ZERO, SignedDuration::from_mins(-20)] {
        let stage = stage();
        stage.give(triple("a", lives));
        let failure = stage.keeper.current().await.unwrap_err();
        assert_eq!(failure.class, Class::ServiceUnavailable);
        assert!(failure.message.contains("clock"), "{failure}");
    }
}

#[test]
fn the_givers_clock_counts_where_it_is_told() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let credentials = || triple("a", HOUR).credentials;
    let lives = |date| Fetched::new(credentials(), at(5000), date, at(1400)).lives;
    assert_eq!(lives(None), HOUR);
    // Our clock is twenty minutes slow.
    assert_eq!(lives(Some(at(2600))), SignedDuration::from_secs(2399));
}

#[tokio::test]
async fn it_is_kept_fresh_though_nobody_asks() {
    let mut stage = stage();
    let keeper = stage.keeper.clone();
    let keeping = tokio::spawn(async move { keeper.keep_fresh().await });
    stage.fail(outage());
    stage.begun.recv().await.unwrap();
    settle().await;
    stage.at(1);
    stage.give(triple("a", SignedDuration::from_millis(1)));
    stage.begun.recv().await.unwrap();
    settle().await;
    stage.at(2);
    stage.give(triple("b", HOUR));
    stage.begun.recv().await.unwrap();
    settle().await;
    // It sleeps for three quarters of an hour, unless what it has is refused.
    let b = stage.keeper.current().await.unwrap();
    assert!(stage.keeper.refused(&b));
    stage.begun.recv().await.unwrap();
    keeping.abort();
}

#[tokio::test]
async fn a_fetch_that_breaks_off_hinders_nobody() {
    let mut stage = stage();
    // The scripted source panics where nobody will answer any more.
    let (answers, _) = mpsc::unbounded_channel();
    drop(std::mem::replace(&mut stage.answers, answers));
    let failure = stage.keeper.current().await.unwrap_err();
    assert!(failure.message.contains("broke off"), "{failure}");
    assert_eq!(stage.fetches(), 1, "not at once again");
}

#[tokio::test]
async fn nothing_is_shown() {
    let stage = stage();
    stage.give(triple("a", HOUR));
    let held = stage.keeper.current().await.unwrap();
    let shown = format!("{:?} {held:?} {:?}", stage.keeper, triple("a", HOUR));
    assert!(!shown.contains("hush"), "{shown}");
}
