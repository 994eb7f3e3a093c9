//! What is written to the API server, and what becomes of it.

use super::{Rest, Run};
use crate::{
    api::CallRecord,
    metrics::{ApiWrite, Outcome, WriteResult},
    task::{
        announce::announce, cluster::WriteError, evidence::Evidence, plan::COOL_DOWN,
        verdict::Verdict, view::View,
    },
};
use std::{sync::Arc, time::Duration};

/// Writes in a row that find the object changed.
const CONFLICTS: u32 = 5;
/// Until the watch must have shown that an object is gone that a write did not find.
const GONE: Duration = Duration::from_secs(5);

impl Run<'_> {
    pub(super) async fn guard(&mut self, view: &View) -> Option<Rest> {
        let written = self.shared.cluster.guard(view).await;
        self.after_write(ApiWrite::Guard, written).await
    }

    pub(super) async fn record(&mut self, view: &View, verdict: &Verdict) -> Option<Rest> {
        let outputs = verdict.claim.as_ref().map(|claim| claim.outputs.as_slice());
        let adds = |outputs: &[String]| {
            !view.has_claim()
                || outputs
                    .iter()
                    .any(|new| !view.claimed_outputs().contains(new))
        };
        let claims = outputs.filter(|outputs| adds(outputs));
        // Between the judgement and this write another object may have reserved the task or an output.
        if let Some(outputs) = claims
            && !self.shared.store().reserve(self.key, outputs)
        {
            return None;
        }
        // Before it is stored: the watch may show the others what is dropped before the answer comes, if one comes.
        self.cool_what_is_dropped(view, outputs.unwrap_or_default());
        self.dossier.memory.recording(verdict, view);
        let calls: Vec<CallRecord> = self.dossier.calls.iter().cloned().collect();
        let status = verdict.status(view, &calls, self.shared.now().wall);
        let written = self.shared.cluster.record(view, &status).await;
        let is_told = written.is_ok();
        let is_unknown = matches!(written, Err(WriteError::Unknown(_)));
        let rest = self.after_write(ApiWrite::Status, written).await;
        if claims.is_some() {
            self.dossier.claim_in_doubt = is_unknown;
            if !is_unknown {
                self.settle_claim();
            }
        }
        if is_told {
            self.dossier.memory.recorded(verdict);
            announce(self.shared, view, verdict);
        }
        rest
    }

    /// An Update has left outputs, or a Start in doubt may have used them: nobody may use them for a moment.
    fn cool_what_is_dropped(&self, view: &View, kept: &[String]) {
        let dropped = self.dossier.memory.drops(view, kept);
        if !dropped.is_empty() {
            let now = self.shared.now().mono;
            self.shared
                .store()
                .cool(None, &dropped, now, now + COOL_DOWN);
        }
    }

    /// The others are judged by what is stored again.
    fn settle_claim(&mut self) {
        let others = self.shared.store().settle(self.key);
        self.look.extend(others);
    }

    /// Whether our claim is stored was not answered: looks. Until that is known the task stays reserved.
    pub(super) async fn resolve_claim(&mut self) -> Option<Rest> {
        let rest = self.read_again().await;
        if rest.is_some() || self.dossier.memory.writable_at <= self.shared.now().mono {
            self.dossier.claim_in_doubt = false;
            self.settle_claim();
        }
        rest
    }

    pub(super) async fn release(&mut self, view: &Arc<View>, evidence: &Evidence) -> Option<Rest> {
        self.dossier.releasing = Some((view.clone(), evidence.clone()));
        let exact = !evidence.rests_on_stop();
        let written = self.shared.cluster.release(view, exact).await;
        match &written {
            Ok(_) => {
                self.dossier.releasing = None;
                self.dossier.owned = None;
                self.dossier.released(self.shared, view, evidence);
                self.dossier.forget(self.shared);
            }
            Err(WriteError::Changed(_) | WriteError::Refused(_)) => self.dossier.releasing = None,
            // It may have been stored: if the object goes, that was it.
            Err(WriteError::Gone | WriteError::Unknown(_)) => {}
        }
        let is_released = written.is_ok();
        let rest = self.after_write(ApiWrite::Release, written).await;
        if is_released {
            return Some((None, Outcome::Released));
        }
        rest
    }

    /// Takes the answer to a write. `None`: plan again.
    async fn after_write(
        &mut self,
        write: ApiWrite,
        written: Result<View, WriteError>,
    ) -> Option<Rest> {
        let (result, rest) = match written {
            Ok(view) => {
                self.dossier.failed_writes = 0;
                self.learn(view);
                (WriteResult::Done, None)
            }
            Err(WriteError::Gone) => (WriteResult::Gone, Some(self.gone())),
            Err(WriteError::Changed(why)) => {
                self.conflicts += 1;
                let rest = if self.conflicts > CONFLICTS {
                    self.write_failed(&why);
                    None
                } else {
                    self.read_again().await
                };
                (WriteResult::Changed, rest)
            }
            Err(WriteError::Refused(why) | WriteError::Unknown(why)) => {
                self.write_failed(&why);
                (WriteResult::Failed, None)
            }
        };
        self.shared.metrics.wrote(write, result);
        rest
    }

    /// The API server does not know the object. The watch will say so, too; if it does not, something else answered.
    pub(super) fn gone(&self) -> Rest {
        (Some(self.shared.now().mono + GONE), Outcome::Released)
    }

    pub(super) async fn read_again(&mut self) -> Option<Rest> {
        match self.shared.cluster.read(self.key).await {
            Ok(view) if view.uid == self.dossier.uid => {
                self.learn(view);
                None
            }
            // Another object by the same name: the watch will bring it.
            Ok(_) | Err(WriteError::Gone) => Some(self.gone()),
            Err(WriteError::Changed(why) | WriteError::Refused(why) | WriteError::Unknown(why)) => {
                self.write_failed(&why);
                None
            }
        }
    }

    pub(super) fn learn(&mut self, view: View) {
        let changed = self.shared.store().learned(view);
        self.look
            .extend(changed.look.into_iter().filter(|key| key != self.key));
    }

    /// Writes wait; calls to the service go on.
    pub(super) fn write_failed(&mut self, why: &str) {
        self.dossier.failed_writes = self.dossier.failed_writes.saturating_add(1);
        let doublings = self.dossier.failed_writes.min(10) - 1;
        let bound = Duration::from_millis(100 << doublings).min(self.shared.paces.call_deadline);
        tracing::warn!(object = %self.key, "the API server did not take a write, trying again within {bound:?}: {why}");
        let wait = bound.mul_f64(rand::random_range(0.5..1.0));
        self.dossier.memory.writable_at = self.shared.now().mono + wait;
    }
}
