//! One complete read of an application's tasks or channels, page by page, each page at its turn in the account's quota.

use super::{
    observatory::{Ended, Read, What},
    shared::{Caller, Shared},
};
use crate::live::{
    Failure, Lane, ListedTask, LiveRooms, PAGE_SIZE, Permit, Reply, Success, Taken, Ticket,
};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

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
        let permit = turn(shared, read).await;
        begun.get_or_insert_with(|| shared.now().mono);
        let (shown, is_last) = match read.what {
            What::Tasks => {
                let listed =
                    counted(shared, read, permit, shared.live.list_page(&read.app, page)).await?;
                let is_last = listed.len() < PAGE_SIZE;
                let ids = listed.into_iter().map(|task: ListedTask| task.task_id);
                (ids.collect::<Vec<_>>(), is_last)
            }
            What::Channels => {
                let LiveRooms { rooms, total } = counted(
                    shared,
                    read,
                    permit,
                    shared.live.live_rooms(&read.app, page),
                )
                .await?;
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

/// Waits for a permit.
async fn turn(shared: &Shared, read: &Read) -> Permit {
    loop {
        let told = shared.read_turn.notified();
        tokio::pin!(told);
        // From here on no grant is missed.
        told.as_mut().enable();
        let ticket = Ticket {
            lane: if read.urgent {
                Lane::Delete
            } else {
                Lane::Sweep
            },
            namespace: String::new(),
            key: Caller::Read(read.app.clone(), read.what),
        };
        let action = read.what.action();
        match shared
            .limiter
            .take(Instant::now(), &shared.account, action, ticket)
        {
            Taken::Permit(permit) => return permit,
            Taken::Wait => {
                shared.wake.notify_one();
                told.await;
            }
        }
    }
}

/// Makes one call, and accounts for it.
async fn counted<T>(
    shared: &Shared,
    read: &Read,
    permit: Permit,
    call: impl Future<Output = Reply<T>>,
) -> Result<T, Failure> {
    let sent = Instant::now();
    let reply = call.await;
    let ended = Instant::now();
    let failure = reply.as_ref().err();
    permit.close(failure, ended);
    shared
        .metrics
        .called(read.what.action(), failure, ended - sent);
    reply.map(|Success { value, .. }| value)
}
