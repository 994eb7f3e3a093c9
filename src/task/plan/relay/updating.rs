//! Parameters that are not those last accepted: everything that has to be so before an Update is sent.

use super::Life;
use crate::{
    live::Action,
    task::{
        evidence::Call,
        ledger::{Ledger, State},
        plan::{Parameters, Step, Turn, claim_of, handled_while_waiting, turn},
        verdict::relay as tale,
    },
};

impl Life<'_> {
    pub(super) fn update(&self, wanted: &Parameters) -> Step {
        let claim = Some(self.claim());
        if let Some(rival) = self.facts.output_taken {
            return self.settled(self.runs_on(tale::output_in_use(rival, true, claim)), None);
        }
        let claimed = self.view.claimed_outputs();
        let is_new = |output: &String| !claimed.contains(output);
        let has_new = wanted.outputs.iter().any(is_new);
        // What was taken over is this object's for its deletion too, whatever crashes after the Update.
        let is_just_adopted = match Ledger::of(&self.view.status).state() {
            State::Never | State::Stopped => self.ledger.accepted_hash().is_none(),
            State::Open | State::Running => false,
        };
        if has_new && self.facts.cool_until > self.now.mono {
            let verdict = self.runs_on(tale::cooling_down(true, claim));
            return self.waiting(verdict, self.facts.cool_until);
        }
        if has_new || is_just_adopted {
            // Claimed before it is sent, so that no other object can start on it meanwhile.
            let both = [claimed, &wanted.outputs].concat();
            let claim = claim_of(self.facts, &both, self.now);
            let verdict = self
                .runs_on(tale::updating(Some(claim)))
                .with(self.ledger.clone())
                .handling(handled_while_waiting(self.view, self.memory));
            return Step::Record(Box::new(verdict));
        }
        let action = Action::UpdateLiveMpuTask;
        let due = self.memory.waits.due(action, self.view.generation);
        match turn(self.view, self.memory, due, self.now) {
            Turn::Now(bought) => Step::Call {
                call: Call::Update,
                bought,
            },
            Turn::At(at) => {
                let wait = self.memory.waits.get(action);
                let is_open = self.ledger.accepted_hash().is_none();
                let times = (self.paces, self.now.wall);
                let verdict = tale::update_fails(self.view, wait, is_open, times, claim);
                self.waiting(self.runs_on(verdict), at)
            }
        }
    }
}
