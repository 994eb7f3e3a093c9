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

/// Judges an object. `guard_seen`: the watch itself has shown our finalizer on it. Beside each view: whether its claim is being written.
pub fn standing<'a>(
    (me, is_claiming): (&View, bool),
    guard_seen: bool,
    rivals: impl Iterator<Item = (&'a View, bool)>,
) -> Standing {
    let first = rivals
        .filter(|(rival, claiming)| {
            rival.has_claim() || (!me.has_claim() && (*claiming || contends(rival)))
        })
        .min_by_key(|(rival, claiming)| precedence(rival, *claiming))
        .filter(|(rival, claiming)| precedence(rival, *claiming) < precedence(me, is_claiming));
    match first {
        Some((rival, _)) => Standing::Contested {
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
fn precedence(view: &View, claiming: bool) -> impl Ord + '_ {
    let claimed = view
        .status
        .claim
        .as_ref()
        .map(|claim| claim.at.as_ref().map(|at| at.0))
        .or(claiming.then_some(None));
    (claimed.is_none(), claimed, view.created, view.uid.as_str())
}
