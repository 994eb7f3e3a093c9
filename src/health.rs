//! Whether the process is alive, whether it is ready, and in one sentence why not.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The controller's loop turns at least every second; silence for this long means that it is wedged.
const WEDGED: Duration = Duration::from_secs(30);
/// A trouble that lasts is logged again this often.
const REMIND: Duration = Duration::from_mins(5);

/// What the probes answer.
#[derive(Debug)]
pub struct Health {
    started: Instant,
    /// Milliseconds from the start to the loop's last turn.
    pulse: AtomicU64,
    listed: AtomicBool,
    troubles: Mutex<BTreeMap<String, Trouble>>,
    /// A failing watch is tried again and heard of within this time: a trouble that is not is over. A resumed watch says nothing.
    trouble_life: Duration,
}

#[derive(Debug)]
struct Trouble {
    what: String,
    logged: Instant,
    seen: Instant,
}

impl Health {
    /// Alive, and not ready yet. `call_deadline`: how long an attempt to reach the API server takes at most.
    #[must_use]
    pub fn new(started: Instant, call_deadline: Duration) -> Self {
        Self {
            started,
            pulse: AtomicU64::new(0),
            listed: AtomicBool::new(false),
            troubles: Mutex::default(),
            trouble_life: call_deadline + Duration::from_secs(10),
        }
    }

    /// The loop turned.
    pub fn pulse(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.pulse.store(elapsed, Ordering::Relaxed);
    }

    /// The first list of everything in scope is complete.
    pub fn listed(&self) {
        if !self.listed.swap(true, Ordering::Relaxed) {
            tracing::info!("ready: every MixedStreamTask in scope is known");
        }
    }

    /// The watch of this namespace (`None`: of all) works.
    pub fn watch_works(&self, part: Option<&str>) {
        if self.troubles().remove(part.unwrap_or_default()).is_some() {
            tracing::info!(namespace = part, "the watch works again");
        }
    }

    /// The watch of this namespace (`None`: of all) does not work now, and why.
    pub fn watch_fails(&self, part: Option<&str>, what: String) {
        let mut troubles = self.troubles();
        let now = Instant::now();
        let logged = troubles
            .get(part.unwrap_or_default())
            .filter(|old| old.what == what && now.saturating_duration_since(old.logged) < REMIND)
            .map(|old| old.logged);
        if logged.is_none() {
            tracing::warn!("not ready: {what}");
        }
        let trouble = Trouble {
            what,
            logged: logged.unwrap_or(now),
            seen: now,
        };
        troubles.insert(part.unwrap_or_default().to_owned(), trouble);
    }

    /// Why the process is not alive.
    ///
    /// # Errors
    /// When the loop has not turned for too long.
    pub fn alive(&self) -> Result<(), String> {
        let last = Duration::from_millis(self.pulse.load(Ordering::Relaxed));
        let silent = self.started.elapsed().saturating_sub(last);
        if silent > WEDGED {
            return Err(format!(
                "the controller's loop has not turned for {} s",
                silent.as_secs()
            ));
        }
        Ok(())
    }

    /// Why the process is not ready.
    ///
    /// # Errors
    /// When the watch does not work, or the first list is not complete.
    pub fn ready(&self) -> Result<(), String> {
        let current = |trouble: &&Trouble| trouble.seen.elapsed() < self.trouble_life;
        if let Some(trouble) = self.troubles().values().find(current) {
            return Err(trouble.what.clone());
        }
        if self.listed.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("the first list of MixedStreamTasks is not complete yet".to_owned())
        }
    }

    fn troubles(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_ready_says_why_until_the_list_is_complete() {
        let health = Health::new(Instant::now(), Duration::from_secs(10));
        assert!(health.ready().is_err_and(|why| why.contains("first list")));
        health.watch_fails(None, "no CRD".to_owned());
        assert_eq!(health.ready(), Err("no CRD".to_owned()));
        health.watch_works(None);
        health.listed();
        assert_eq!(health.ready(), Ok(()));
        health.watch_fails(Some("a"), "denied".to_owned());
        assert_eq!(health.ready(), Err("denied".to_owned()));
    }

    #[test]
    fn a_loop_that_does_not_turn_is_not_alive() {
        let Some(long_ago) = Instant::now().checked_sub(WEDGED * 2) else {
            return;
        };
        let health = Health::new(long_ago, Duration::from_secs(10));
        assert!(health.alive().is_err_and(|why| why.contains("60 s")));
        health.pulse();
        assert_eq!(health.alive(), Ok(()));
    }
}
