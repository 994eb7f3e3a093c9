//! Who owns a task id, among the objects that name it. Possession beats age.

use super::view::View;
use crate::api::DeletionPolicy;

/// How one object stands among those that name the same task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Its claim is recorded, and no other object's claim is older.
    Holder,
    /// Nobody holds the task and nobody comes before this object: it may record its claim.
    Entitled,
    /// Nobody holds the task, but the watch has not yet shown our finalizer on this object, so an older one may be unseen.
    Unsure,
    /// Another object holds the task or comes first.
    Contested {
        /// Its name where it is in the same namespace: other namespaces are none of this tenant's business.
        by: Option<String>,
    },
}

/// Judges `me`. `guard_seen`: the watch itself has shown our finalizer on it.
pub fn standing<'a>(
    me: &View,
    guard_seen: bool,
    rivals: impl Iterator<Item = &'a View>,
) -> Standing {
    let first = rivals
        .filter(|rival| rival.has_claim() || (!me.has_claim() && contends(rival)))
        .min_by_key(|rival| precedence(rival))
        .filter(|rival| precedence(rival) < precedence(me));
    match first {
        Some(rival) => Standing::Contested {
            by: (rival.key.namespace == me.key.namespace).then(|| rival.key.name.clone()),
        },
        None if me.has_claim() => Standing::Holder,
        None if guard_seen => Standing::Entitled,
        None => Standing::Unsure,
    }
}

/// Whether the step from `old` to `new` of one object can change how others stand.
#[must_use]
pub fn changes_rivals(old: &View, new: &View) -> bool {
    (old.has_claim(), contends(old)) != (new.has_claim(), contends(new))
}

/// Whether an object without a claim is about to make one. A suspended one makes none while it lives; a deleted one makes it only
/// in order to stop its task.
fn contends(view: &View) -> bool {
    if view.is_deleting() {
        view.is_guarded() && view.policy == DeletionPolicy::Stop
    } else {
        !view.suspend
    }
}

/// Smaller comes first: a recorded claim, by its age; then the object's age; then its uid.
fn precedence(view: &View) -> impl Ord + '_ {
    let claimed = view
        .status
        .claim
        .as_ref()
        .map(|claim| claim.at.as_ref().map(|at| at.0));
    (claimed.is_none(), claimed, view.created, view.uid.as_str())
}
