//! Tables and properties of the world.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A world with a clock in the test's hand.
struct Stage {
    world: World,
    switches: Switches,
    now: Moment,
}

impl Stage {
    fn new() -> Self {
        let now = Moment {
            simulated: 1_000_000,
            monotonic: 0,
        };
        Self {
            world: World::default(),
            switches: Switches::default(),
            now,
        }
    }

    fn jump(&mut self, millis: Millis) {
        self.now.simulated += millis;
        self.world.advance(self.now, true, &self.switches);
    }

    fn fill(&mut self, channel: &str, users: &[&str]) {
        let users = users.iter().map(|user| (*user).to_owned()).collect();
        self.world.set_users(
            self.now,
            &self.switches,
            "app",
            channel,
            users,
            BTreeSet::new(),
        );
    }

    fn start(&mut self, task: &str, channel: &str, url: &str) -> Result<(), StartError> {
        self.start_as(task, order(channel, url, None), By::Api)
    }

    fn start_as(&mut self, task: &str, order: Order, by: By) -> Result<(), StartError> {
        self.world.start(
            self.now,
            &self.switches,
            TaskKey::new("app", task),
            order,
            by,
            None,
        )
    }

    fn stop(&mut self, task: &str) -> Result<(), NotRunning> {
        self.world.stop(
            self.now,
            &self.switches,
            &TaskKey::new("app", task),
            By::Api,
            None,
        )
    }

    fn runs(&self, task: &str) -> bool {
        self.world
            .task(&TaskKey::new("app", task))
            .is_some_and(|task| task.state == State::Running)
    }

    fn exists(&self, channel: &str) -> bool {
        self.world
            .channel(self.now, &self.switches, "app", channel)
            .exists
    }
}

fn order(channel: &str, url: &str, max_idle: Option<u32>) -> Order {
    Order {
        channel: channel.to_owned(),
        mix_mode: "1".to_owned(),
        urls: vec![url.to_owned()],
        max_idle,
        client_made: false,
        owner: None,
        detail: Arc::new(json!({"url": url})),
    }
}

#[test]
fn two_minutes_after_the_last_user_left_the_task_ends() {
    let mut stage = Stage::new();
    stage.fill("c", &["host", "guest"]);
    assert_eq!(stage.start("t", "c", "rtmp://x/a"), Ok(()));
    stage.fill("c", &["guest"]);
    stage.jump(500_000);
    assert!(stage.runs("t"));
    stage.fill("c", &[]);
    let emptied = stage.now.simulated;
    stage.jump(119_999);
    assert!(stage.runs("t"));
    stage.jump(1_000_000);
    assert!(!stage.runs("t"));
    let last = stage
        .world
        .history()
        .last()
        .map(|change| (change.kind, change.by, change.simulated_millis));
    assert_eq!(
        last,
        Some((ChangeKind::Stopped, By::Auto, emptied + 120_000))
    );
}

#[test]
fn somebody_who_returns_saves_the_task() {
    let mut stage = Stage::new();
    stage.fill("c", &["host"]);
    assert_eq!(stage.start("t", "c", "rtmp://x/a"), Ok(()));
    stage.fill("c", &[]);
    stage.jump(119_000);
    stage.fill("c", &["host"]);
    stage.jump(10_000);
    stage.fill("c", &[]);
    stage.jump(119_999);
    assert!(stage.runs("t"));
    stage.jump(1);
    assert!(!stage.runs("t"));
}

#[test]
fn max_idle_time_takes_the_place_of_the_two_minutes() {
    let mut stage = Stage::new();
    stage.fill("c", &["host"]);
    assert_eq!(
        stage.start_as("t", order("c", "rtmp://x/a", Some(10)), By::Api),
        Ok(())
    );
    stage.fill("c", &[]);
    stage.jump(9_999);
    assert!(stage.runs("t"));
    stage.jump(1);
    assert!(!stage.runs("t"));
}

#[test]
fn an_emptied_channel_exists_for_a_while() {
    let mut stage = Stage::new();
    assert!(!stage.exists("c"));
    stage.fill("c", &["host"]);
    assert_eq!(stage.start("t", "c", "rtmp://x/a"), Ok(()));
    stage.fill("c", &[]);
    assert_eq!(stage.stop("t"), Ok(()));
    stage.jump(4_999);
    assert!(stage.exists("c"));
    assert_eq!(
        stage.start("u", "c", "rtmp://x/b"),
        Err(StartError::NoChannel)
    );
    stage.jump(1);
    assert!(!stage.exists("c"));
    stage.jump(1);
    assert!(stage.world.channels.is_empty());
}

#[test]
fn ids_and_outputs_have_to_be_free() {
    let mut stage = Stage::new();
    stage.fill("c", &["host"]);
    assert_eq!(stage.start("t", "c", "rtmp://x/a?auth_key=1"), Ok(()));
    assert_eq!(stage.start("t", "c", "rtmp://x/b"), Err(StartError::Exists));
    let in_use = Err(StartError::Output(OutputError::InUse));
    assert_eq!(stage.start("u", "c", "rtmp://X/a?auth_key=2"), in_use);
    assert_eq!(stage.stop("t"), Ok(()));
    assert_eq!(stage.stop("t"), Err(NotRunning));
    stage.jump(9_999);
    assert_eq!(
        stage.start("t", "c", "rtmp://x/b"),
        Err(StartError::NotCleared)
    );
    let cooling = Err(StartError::Output(OutputError::CoolingDown));
    assert_eq!(stage.start("u", "c", "rtmp://x/a"), cooling);
    stage.jump(1);
    assert_eq!(stage.start("u", "c", "rtmp://x/a"), Ok(()));
    assert_eq!(stage.start("t", "c", "rtmp://x/b"), Ok(()));
}

#[test]
fn an_update_moves_outputs_and_place() {
    let mut stage = Stage::new();
    stage.fill("c", &["host"]);
    assert_eq!(stage.start("t", "c", "rtmp://x/a"), Ok(()));
    stage.jump(1);
    assert_eq!(stage.start("u", "c", "rtmp://x/b"), Ok(()));
    let key = TaskKey::new("app", "t");
    let update = |stage: &mut Stage, channel: &'static str, url: &'static str| {
        stage
            .world
            .update(stage.now, &stage.switches, &key, Some(7), |_| {
                order(channel, url, None)
            })
    };
    assert_eq!(
        update(&mut stage, "d", "rtmp://x/a"),
        Err(UpdateError::OtherChannel)
    );
    assert_eq!(
        update(&mut stage, "c", "rtmp://x/b"),
        Err(UpdateError::Output(OutputError::InUse))
    );
    stage.jump(1);
    assert_eq!(update(&mut stage, "c", "rtmp://x/c"), Ok(()));
    assert_eq!(
        *stage.world.list_page("app", 1, 1, false)[0],
        json!({"url": "rtmp://x/c"})
    );
    let cooling = Err(StartError::Output(OutputError::CoolingDown));
    assert_eq!(stage.start("v", "c", "rtmp://x/a"), cooling);
    assert_eq!(stage.stop("t"), Ok(()));
    assert_eq!(
        update(&mut stage, "c", "rtmp://x/c"),
        Err(UpdateError::NotRunning)
    );
}

#[test]
fn a_late_stop_does_not_hit_the_next_task_of_that_id() {
    let mut stage = Stage::new();
    stage.switches.clear_millis = 0;
    stage.fill("c", &["host"]);
    assert_eq!(stage.start("t", "c", "rtmp://x/a"), Ok(()));
    let key = TaskKey::new("app", "t");
    assert_eq!(
        stage
            .world
            .stop_later(stage.now.simulated + 5_000, &key, Some(1)),
        Ok(())
    );
    stage.jump(4_999);
    assert!(stage.runs("t"));
    assert_eq!(stage.stop("t"), Ok(()));
    assert_eq!(stage.start("t", "c", "rtmp://x/b"), Ok(()));
    stage.jump(10_000);
    assert!(stage.runs("t"));
    assert_eq!(
        stage
            .world
            .stop_later(stage.now.simulated + 5_000, &key, Some(2)),
        Ok(())
    );
    stage.jump(5_000);
    assert!(!stage.runs("t"));
    assert_eq!(
        stage.world.history().last().and_then(|change| change.call),
        Some(2)
    );
}

#[test]
fn the_list_lags_and_hides_what_clients_made() {
    let mut stage = Stage::new();
    stage.switches.list_lag_seconds = 3;
    stage.fill("c", &["host"]);
    let by_client = Order {
        client_made: true,
        ..order("c", "rtmp://x/b", None)
    };
    assert_eq!(stage.start_as("hidden", by_client, By::Admin), Ok(()));
    assert_eq!(stage.start("t", "c", "rtmp://x/a"), Ok(()));
    stage.jump(2_999);
    assert!(stage.world.listed("app", "t", false).is_none());
    stage.jump(1);
    assert!(stage.world.listed("app", "t", false).is_some());
    assert!(stage.world.listed("app", "hidden", true).is_none());
    assert_eq!(stage.stop("t"), Ok(()));
    stage.jump(2_999);
    assert!(stage.world.listed("app", "t", false).is_some());
    stage.jump(1);
    assert!(stage.world.listed("app", "t", false).is_none());
    assert!(stage.world.listed("app", "t", true).is_some());
}

#[test]
fn real_time_of_what_happened_while_nobody_looked() {
    let mut stage = Stage::new();
    stage.fill("c", &["host"]);
    assert_eq!(
        stage.start_as("t", order("c", "rtmp://x/a", Some(10)), By::Api),
        Ok(())
    );
    stage.fill("c", &[]);
    let later = Moment {
        simulated: stage.now.simulated + 13_000,
        monotonic: 13_000_000,
    };
    stage.world.advance(later, false, &stage.switches);
    assert_eq!(
        stage
            .world
            .history()
            .last()
            .map(|change| change.monotonic_us),
        Some(10_000_000)
    );
}

#[derive(Debug, Clone)]
enum Step {
    Start(u8, u8, u8, Option<u32>),
    Stop(u8),
    StopLater(u8, u16),
    Users(u8, bool),
    Pass(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let idle = prop_oneof![Just(None), (10_u32..200).prop_map(Some)];
    let step = prop_oneof![
        3 => (0..4_u8, 0..3_u8, 0..4_u8, idle).prop_map(|(t, c, u, i)| Step::Start(t, c, u, i)),
        1 => (0..4_u8).prop_map(Step::Stop),
        1 => (0..4_u8, 0..20_000_u16).prop_map(|(t, ms)| Step::StopLater(t, ms)),
        2 => (0..3_u8, any::<bool>()).prop_map(|(c, present)| Step::Users(c, present)),
        3 => (0..200_000_u32).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..60)
}

/// Plays the steps, passing time in jumps of at most `grain`, and checks what must always hold.
fn play(steps: &[Step], grain: Millis) -> Vec<(String, ChangeKind, By, Millis)> {
    let mut stage = Stage::new();
    for step in steps {
        match step {
            Step::Start(task, channel, url, idle) => {
                let order = order(&format!("c{channel}"), &format!("rtmp://x/{url}"), *idle);
                let _ = stage.start_as(&format!("t{task}"), order, By::Api);
            }
            Step::Stop(task) => {
                let _ = stage.stop(&format!("t{task}"));
            }
            Step::StopLater(task, millis) => {
                let at = stage.now.simulated + Millis::from(*millis);
                let _ = stage
                    .world
                    .stop_later(at, &TaskKey::new("app", &format!("t{task}")), None);
            }
            Step::Users(channel, present) => {
                stage.fill(
                    &format!("c{channel}"),
                    if *present { &["host"] } else { &[] },
                );
            }
            Step::Pass(millis) => {
                let mut left = Millis::from(*millis);
                while left > 0 {
                    stage.jump(left.min(grain));
                    left -= grain;
                }
            }
        }
        hold(&stage);
    }
    let history = stage.world.history().iter();
    history
        .map(|change| {
            (
                change.task_id.clone(),
                change.kind,
                change.by,
                change.simulated_millis,
            )
        })
        .collect()
}

fn hold(stage: &Stage) {
    let mut outputs = HashSet::new();
    for (key, task) in stage
        .world
        .tasks()
        .filter(|(_, task)| task.state == State::Running)
    {
        for url in &task.order.urls {
            assert!(outputs.insert(url.clone()), "{url} is used twice");
        }
        let channel = &stage.world.channels[&(key.app.clone(), task.order.channel.clone())];
        assert!(channel.tasks.contains(&key.task));
        if let Some(since) = channel.empty_since {
            assert!(
                stage.now.simulated - since < task.order.idle_limit(AUTO_STOP),
                "it should have ended"
            );
        }
        assert!(stage.world.listed(&key.app, &key.task, false).is_some());
    }
    let listed = stage.world.list_page("app", 1, 100, false).len();
    assert_eq!(listed, outputs.len(), "one output and one entry each");
}

proptest! {
    #[test]
    fn always(steps in steps()) {
        play(&steps, Millis::MAX);
    }

    #[test]
    fn one_long_jump_is_as_many_short_ones(steps in steps(), grain in 1_000_i64..50_000) {
        prop_assert_eq!(play(&steps, Millis::MAX), play(&steps, grain));
    }

    #[test]
    fn in_the_end_nothing_is_kept_but_the_tasks(steps in steps()) {
        let mut stage = Stage::new();
        for step in &steps {
            if let Step::Start(task, channel, url, idle) = step {
                stage.fill(&format!("c{channel}"), &["host"]);
                let order = order(&format!("c{channel}"), &format!("rtmp://x/{url}"), *idle);
                let _ = stage.start_as(&format!("t{task}"), order, By::Api);
            }
        }
        for channel in 0..3 {
            stage.fill(&format!("c{channel}"), &[]);
        }
        stage.jump(1_000_000);
        prop_assert_eq!(stage.world.outputs.len(), 0);
        prop_assert!(stage.world.channels.is_empty());
        prop_assert!(stage.world.events.is_empty());
        prop_assert!(stage.world.list_page("app", 1, 100, false).is_empty());
    }
}
