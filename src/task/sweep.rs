//! One complete read of an application's tasks or channels, page by page, each page at its turn in the account's quota and with the credentials
//! of those whom it serves.

use super::{
    observatory::{Ended, Read, What},
    shared::{Access, Caller, Shared},
};
use crate::live::{
    Account, Client, Failure, Lane, ListedTask, LiveRooms, PAGE_SIZE, Permit, Reply, Success,
    Taken, Ticket,
};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::SemaphorePermit;

/// Pages of one read at most: far more than any application's quota of tasks, and an end to a list that has none.
const PAGES: u32 = 1000;

/// Makes the read.
pub async fn sweep(shared: Arc<Shared>, read: Read) -> Ended {
    let mut begun = None;
    let result = pages(&shared, &read, &mut begun).await;
    Ended {
        begun: begun.unwrap_or_else(|| shared.now().mono),
        read,
        result: result.map_err(Box::new),
    }
}

async fn pages(
    shared: &Shared,
    read: &Read,
    begun: &mut Option<Duration>,
) -> Result<HashSet<String>, Failure> {
    let mut ids = HashSet::new();
    for page in 1..=PAGES {
        let turn = turn(shared, read).await?;
        let live = turn.live.clone();
        begun.get_or_insert(turn.since);
        let (shown, is_last) = match read.what {
            What::Tasks => {
                let call = live.list_page(&read.site.app, page);
                let listed = counted(shared, read, turn, call).await?;
                let is_last = listed.len() < PAGE_SIZE;
                let ids = listed.into_iter().map(|task: ListedTask| task.task_id);
                (ids.collect::<Vec<_>>(), is_last)
            }
            What::Channels => {
                let call = live.live_rooms(&read.site.app, page);
                let LiveRooms { rooms, total } = counted(shared, read, turn, call).await?;
                let so_far = u64::from(page) * u64::try_from(PAGE_SIZE).unwrap_or(u64::MAX);
                let is_last = rooms.len() < PAGE_SIZE || total.is_some_and(|total| total <= so_far);
                (rooms, is_last)
            }
        };
        let known = ids.len();
        ids.extend(shown);
        if is_last {
            return Ok(ids);
        }
        // A service that repeats itself would be read without end, and what it leaves out would pass for absent.
        if ids.len() == known {
            break;
        }
    }
    Err(Failure::endless())
}

/// A read for which deletions wait goes with them, any other one after everything else.
fn lane(read: &Read) -> Lane {
    if read.urgent {
        Lane::Delete
    } else {
        Lane::Sweep
    }
}

/// Leave to send one page.
struct Turn<'a> {
    /// Its credentials were looked up after this moment.
    since: Duration,
    live: Client,
    permit: Permit,
    _room: SemaphorePermit<'a>,
}

/// Waits for a permit, for room and for credentials.
async fn turn<'a>(shared: &'a Shared, read: &Read) -> Result<Turn<'a>, Failure> {
    let mut queued: Option<Account> = None;
    let mut queued_since: Option<Instant> = None;
    loop {
        // Before the permit, which is to be used at once.
        let Ok(room) = shared.pages.acquire().await else {
            return Err(Failure::nothing_to_send());
        };
        let told = shared.read_turn.notified();
        tokio::pin!(told);
        // From here on no grant is missed.
        told.as_mut().enable();
        let ticket = Ticket {
            lane: lane(read),
            namespace: read.site.source.namespace().to_owned(),
            key: Caller::Read(read.site.clone(), read.what),
        };
        let action = read.what.action();
        let since = shared.now().mono;
        let until = match shared.access_for_read(&read.site.source) {
            Access::Ready(live, account) => {
                if queued.as_ref().is_some_and(|at| *at != account) {
                    // It is known by now whose the key is.
                    shared.limiter.forget(&ticket.key);
                }
                queued = Some(account.clone());
                let asked = Instant::now();
                match shared.limiter.take(asked, &account, action, ticket) {
                    Taken::Permit(permit) => {
                        let waited = queued_since.map_or(Duration::ZERO, |since| since.elapsed());
                        shared.metrics.got_turn(action, waited);
                        return Ok(Turn {
                            since,
                            live,
                            permit,
                            _room: room,
                        });
                    }
                    Taken::Wait => {
                        queued_since.get_or_insert(asked);
                        shared.wake.notify_one();
                    }
                }
                None
            }
            Access::Refused(failure) => {
                shared.limiter.forget(&ticket.key);
                return Err(*failure);
            }
            Access::Later(until) => until,
        };
        drop(room);
        match until {
            Some(until) => {
                let left = until.saturating_sub(shared.now().mono);
                // Told or not, it is tried again.
                let _ = tokio::time::timeout(left, told).await;
            }
            None => told.await,
        }
    }
}

/// Makes one call, and accounts for it.
async fn counted<T>(
    shared: &Shared,
    read: &Read,
    mut turn: Turn<'_>,
    call: impl Future<Output = Reply<T>>,
) -> Result<T, Failure> {
    let sent = Instant::now();
    turn.permit.sent(sent);
    let reply = call.await;
    let ended = Instant::now();
    let failure = reply.as_ref().err();
    turn.permit.close(failure, ended);
    if let Some(failure) = failure {
        let sent = sent.saturating_duration_since(shared.started);
        shared.failed(&read.site.source, failure.class, sent);
    }
    shared
        .metrics
        .called(read.what.action(), failure, ended - sent);
    reply.map(|Success { value, .. }| value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use crate::{
        live::AppId,
        task::access::{Site, Source},
    };

    #[test]
    fn a_bulk_read_goes_last_unless_a_deletion_waits_for_it() {
        let site = Site {
            source: Source::Own,
            app: AppId::try_from("app-01").unwrap(),
        };
        let lane_of = |what, urgent| {
            let site = site.clone();
            lane(&Read { site, what, urgent })
        };
        for what in [What::Tasks, What::Channels] {
            assert_eq!(lane_of(what, false), Lane::Sweep);
            assert_eq!(lane_of(what, true), Lane::Delete);
        }
    }
}
