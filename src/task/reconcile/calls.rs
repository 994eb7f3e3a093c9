//! One call to the service: its turn, the last look before a Start, what it carries, and its answer.

use super::{Rest, Run};
use crate::{
    live::{self, Lane, Taken, Ticket},
    metrics::Outcome,
    task::{
        cluster::WriteError,
        evidence::{Answer, Call},
        memory::{Bought, MemoryTurn, Sent},
        plan::{Wanted, may_start},
        send::send,
        shared::Caller,
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
        let asked = Instant::now();
        let ticket = Ticket {
            lane: lane(view, &call),
            namespace: self.key.namespace.clone(),
            key: Caller::Object(self.key.clone()),
        };
        let permit = match self
            .shared
            .limiter
            .take(asked, &self.shared.account, action, ticket)
        {
            Taken::Permit(permit) => permit,
            Taken::Wait => {
                self.dossier.queued_since.get_or_insert(asked);
                if matches!(call, Call::ListTask | Call::ListPage(_)) {
                    let key = self.key.clone();
                    self.shared.observatory().join_crowd(&ids.app, key);
                }
                return Some((None, Outcome::Queued));
            }
        };
        let waited = self
            .dossier
            .queued_since
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        self.shared.metrics.got_turn(action, waited);
        let view = if call == Call::Start {
            match self.confirm(view).await {
                Ok(view) => view,
                Err(rest) => {
                    permit.unused();
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
        let (answer, record, failure) = send(&self.shared.live, ids, &call, relay.as_deref()).await;
        let ended = Instant::now();
        permit.close(failure.as_ref(), ended);
        let failure = failure.map(|failure| (failure.class, failure.delivery));
        self.shared.metrics.called(action, failure, ended - sent);
        self.dossier.called(record);
        let sent = sent.saturating_duration_since(self.shared.started);
        let carried = carried.map(|(_, carried)| carried);
        self.absorb(&view, &call, answer, (sent, carried), bought);
        None
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
