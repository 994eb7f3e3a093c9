//! An object that is gone: until when nobody else may use what it had.

use super::{
    plan::COOL_DOWN,
    retry::{Moment, Paces},
    verdict::whole_seconds,
    view::View,
};
use std::{sync::Arc, time::Duration};

/// An object that is gone for good.
#[derive(Clone, Debug)]
pub struct Gone {
    /// As it was last.
    pub view: Arc<View>,
    /// Until then a Stop of its task may still take effect, as far as this process sent one.
    pub stop_open: Option<Duration>,
}

impl Gone {
    /// Until when what it had cools down: an output does, and a Stop without an answer may still take effect, be it one that an earlier process
    /// sent. None where there is nothing to wait for.
    #[must_use]
    pub fn frees(&self, paces: &Paces, now: Moment) -> Option<Duration> {
        let claim = self.view.status.claim.as_ref()?;
        let is_inherited = claim.at.as_ref().is_none_or(|at| {
            let age = whole_seconds(now.wall).duration_since(at.0);
            Duration::try_from(age).is_ok_and(|age| age > now.mono)
        });
        let stop = self.stop_open.unwrap_or(if is_inherited {
            paces.settle_time
        } else {
            Duration::ZERO
        });
        let outputs = if claim.outputs.is_empty() {
            Duration::ZERO
        } else {
            now.mono + COOL_DOWN
        };
        Some(stop.max(outputs)).filter(|until| *until > now.mono)
    }
}
