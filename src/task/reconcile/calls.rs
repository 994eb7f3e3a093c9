//! One call to the service: its turn, the last look before a Start, what it carries, and its answer.

use super::{Rest, Run};
use crate::{
    live::{self, Account, Action, Lane, Permit, Taken, Ticket},
    metrics::Outcome,
    task::{
        access::Site,
        cluster::WriteError,
        evidence::{Answer, Call},
        memory::{Bought, MemoryTurn, Sent},
        plan::{Wanted, may_start},
        send::send,
        shared::{Access, Caller},
        view::View,
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

impl Run<'_> {
    pub(super) async fn call(
        &mut self,
        view: &Arc<View>,
        call: Call,
        bought: Option<String>,
    ) -> Option<Rest> {
        let Ok(ids) = &view.ids else {
            return Some((None, Outcome::Settled));
        };
        let action = call.action();
        let (access, signed) = self.shared.access(view);
        // What it fails for is told as the fault of these credentials, whatever comes in the meantime.
        self.dossier.signed = Some((view.source.clone(), signed.version));
        let (live, mut permit) = match access {
            Access::Ready(live, account) => match self.turn(view, &call, &account) {
                Some(permit) => (Ok(live), Some((permit, account))),
                None => return Some((None, Outcome::Queued)),
            },
            Access::Refused(failure) => (Err(*failure), None),
            Access::Later(until) => return Some((until, Outcome::Waiting)),
        };
        let view = if call == Call::Start {
            match self.confirm(view).await {
                Ok(view) => view,
                Err(rest) => {
                    if let Some((permit, _)) = permit {
                        permit.unused();
                    }
                    return rest;
                }
            }
        } else {
            view.clone()
        };
        let carried = self.carried(&view, &call);
        let relay = carried.as_ref().map(|(relay, _)| relay.clone());
        if call == Call::Start {
            self.dossier.memory.sending_start();
        }
        if let Call::Stop { .. } = call {
            let paces = &self.shared.paces;
            let until = self.shared.now().mono + paces.call_deadline + paces.settle_time;
            self.shared.store().stops(&view, Some(until));
        }
        let sent = Instant::now();
        if let Some((permit, _)) = &mut permit {
            permit.sent(sent);
        }
        let (answer, record, failure) = send(live, ids, &call, relay.as_deref()).await;
        let ended = Instant::now();
        // Without a permit there was nothing to sign with, and no call.
        if let Some((permit, account)) = permit {
            permit.close(failure.as_ref(), ended);
            self.shared
                .metrics
                .called(action, failure.as_ref(), ended - sent);
            self.dossier.may_be_throttled(
                (&account, action),
                failure.as_ref(),
                (sent, self.shared.now().mono),
            );
        }
        self.dossier.called(record);
        let sent = sent.saturating_duration_since(self.shared.started);
        if let Some(failure) = &failure {
            self.shared.failed(&view.source, failure.class, sent);
        }
        let carried = carried.map(|(_, carried)| carried);
        let answer = signed.believed(answer);
        self.absorb(&view, &call, answer, (sent, carried), bought);
        None
    }

    /// Its turn in the quota of that account; none where it stands in line.
    fn turn(&mut self, view: &View, call: &Call, line: &Account) -> Option<Permit> {
        let action: Action = call.action();
        let asked = Instant::now();
        let caller = Caller::Object(self.key.clone());
        let place = (line.clone(), action);
        if self
            .dossier
            .queued_in
            .as_ref()
            .is_some_and(|at| *at != place)
        {
            // It is known by now whose the key is, or something else is to be sent.
            self.shared.limiter.forget(&caller);
        }
        let ticket = Ticket {
            lane: lane(view, call),
            namespace: self.key.namespace.clone(),
            key: caller,
        };
        match self.shared.limiter.take(asked, line, action, ticket) {
            Taken::Permit(permit) => {
                let since = self.dossier.queued_since.take();
                self.dossier.queued_in = None;
                let waited = since.map_or(Duration::ZERO, |since| since.elapsed());
                self.shared.metrics.got_turn(action, waited);
                Some(permit)
            }
            Taken::Wait => {
                self.dossier.queued_since.get_or_insert(asked);
                self.dossier.queued_in = Some(place);
                if matches!(call, Call::ListTask | Call::ListPage(_))
                    && let Some(site) = Site::of(view)
                {
                    self.shared.observatory().join_crowd(site, self.key.clone());
                }
                None
            }
        }
    }

    /// What a Start or an Update sends.
    fn carried(&self, view: &View, call: &Call) -> Option<(Arc<live::Relay>, Sent)> {
        if !matches!(call, Call::Start | Call::Update) {
            return None;
        }
        let desired = self.dossier.desired.as_ref()?;
        let Wanted::Known(wanted) = &desired.wanted else {
            return None;
        };
        let sent = Sent {
            hash: wanted.hash.clone(),
            generation: view.generation,
        };
        Some((desired.relay.clone()?, sent))
    }

    /// Reads the object once more before a Start: nothing is started on a view that is not the newest.
    async fn confirm(&mut self, view: &View) -> Result<Arc<View>, Option<Rest>> {
        match self.shared.cluster.read(self.key).await {
            Ok(live) if live.uid == view.uid => {
                let live = Arc::new(live);
                self.learn(View::clone(&live));
                // The watch may have brought something newer still.
                let known = self.shared.store().view(self.key).cloned();
                let is_newest = known.is_some_and(|known| known.version() <= live.version());
                if is_newest && may_start(view, &live) {
                    Ok(live)
                } else {
                    Err(None)
                }
            }
            Ok(_) | Err(WriteError::Gone) => Err(Some(self.gone())),
            Err(WriteError::Changed(why) | WriteError::Refused(why) | WriteError::Unknown(why)) => {
                self.write_failed(&why);
                let at = self.dossier.memory.writable_at;
                Err(Some((Some(at), Outcome::Waiting)))
            }
        }
    }

    fn absorb(
        &mut self,
        view: &View,
        call: &Call,
        answer: Answer,
        (sent, carried): (Duration, Option<Sent>),
        bought: Option<String>,
    ) {
        let now = self.shared.now();
        let memory = &mut self.dossier.memory;
        let before = memory.waits.clone();
        let mut turn = MemoryTurn {
            generation: view.generation,
            paces: &self.shared.paces,
            now,
            jitter: rand::random_range(0.0..1.0),
            bought: bought.is_some(),
        };
        memory.absorb(call, answer, view, (sent, carried), &mut turn);
        if let Call::Stop { .. } = call {
            self.shared.store().stops(view, memory.stop_open);
        }
        if let Some(value) = bought {
            memory.bought = Some(Bought {
                value,
                at: now.mono,
            });
        }
        self.count_waits(&before);
    }
}

/// Which calls go before which.
fn lane(view: &View, call: &Call) -> Lane {
    match call {
        Call::Stop { .. } => Lane::Delete,
        Call::ListTask | Call::ListPage(_) | Call::Users(_) | Call::Identify
            if view.is_deleting() =>
        {
            Lane::Delete
        }
        Call::ListTask | Call::ListPage(_) | Call::Users(_) | Call::Identify | Call::Start => {
            Lane::Create
        }
        Call::Update => Lane::Update,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use super::*;
    use crate::{
        live::ChannelId,
        task::tests::{armed, deleting, view},
    };

    #[test]
    fn every_call_has_its_lane() {
        let users = Call::Users(ChannelId::try_from("room-42").unwrap());
        // While the object lives, and while it is deleted.
        let table = [
            // A relay that is stopped while its object lives goes first, too.
            (Call::Stop { ripe: false }, Lane::Delete, Lane::Delete),
            (Call::Stop { ripe: true }, Lane::Delete, Lane::Delete),
            (Call::ListTask, Lane::Create, Lane::Delete),
            (Call::ListPage(1), Lane::Create, Lane::Delete),
            (users, Lane::Create, Lane::Delete),
            (Call::Identify, Lane::Create, Lane::Delete),
            (Call::Start, Lane::Create, Lane::Create),
            (Call::Update, Lane::Update, Lane::Update),
        ];
        let (alive, deleted) = (view(armed()), view(deleting()));
        for (call, living, deleting) in table {
            assert_eq!(lane(&alive, &call), living, "{call:?}");
            assert_eq!(lane(&deleted, &call), deleting, "{call:?}");
        }
    }
}
