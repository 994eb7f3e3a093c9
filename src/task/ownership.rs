//! Who owns a task id, among the objects that name it, and who an output. Possession beats age.

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
    Contested(Rival),
    /// It has no claim, and another object may hold the task or come first: whether their accounts are one is not known.
    Disputed(Rival),
}

/// The object that has what this one wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rival {
    /// Its name where it is in the same namespace: other namespaces are none of this tenant's business.
    pub name: Option<String>,
}

impl Rival {
    fn of(rival: &View, me: &View) -> Self {
        let is_near = rival.key.namespace == me.key.namespace;
        Self {
            name: is_near.then(|| rival.key.name.clone()),
        }
    }
}

/// An object that names the same task, or may do so.
#[derive(Clone, Copy, Debug)]
pub struct Namesake<'a> {
    /// The object.
    pub view: &'a View,
    /// Its claim is being written.
    pub claiming: bool,
    /// It is the same task for certain: their accounts are known to be one.
    pub certain: bool,
}

/// Judges an object. `guard_seen`: the watch itself has shown our finalizer on it. A claim is lost only to one on what is the same task for certain.
pub fn standing<'a>(
    (me, is_claiming): (&View, bool),
    guard_seen: bool,
    rivals: impl Iterator<Item = Namesake<'a>>,
) -> Standing {
    let first = rivals
        .filter(|rival| {
            if me.has_claim() {
                rival.certain && rival.view.has_claim()
            } else {
                rival.view.has_claim() || rival.claiming || contends(rival.view)
            }
        })
        .filter(|rival| precedence(rival.view, rival.claiming) < precedence(me, is_claiming))
        .min_by_key(|rival| (!rival.certain, precedence(rival.view, rival.claiming)));
    match first {
        Some(rival) if rival.certain => Standing::Contested(Rival::of(rival.view, me)),
        Some(rival) => Standing::Disputed(Rival::of(rival.view, me)),
        None if me.has_claim() => Standing::Holder,
        None if guard_seen => Standing::Entitled,
        None => Standing::Unsure,
    }
}

/// The first of the others that has an output which this object wants beyond its own claim. Beside each view: whether it wants the output
/// itself, and whether its claim on it is being written.
pub fn output_rival<'a>(
    me: &View,
    rivals: impl Iterator<Item = (&'a View, OutputRight)>,
) -> Option<Rival> {
    rivals
        .filter(|(rival, right)| match right {
            OutputRight::Claimed => true,
            OutputRight::Wanted => {
                !rival.is_deleting()
                    && !rival.suspend
                    && (rival.created, rival.uid.as_str()) < (me.created, me.uid.as_str())
            }
        })
        .min_by_key(|(rival, _)| (rival.created, rival.uid.clone()))
        .map(|(rival, _)| Rival::of(rival, me))
}

/// What an object has of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputRight {
    /// It is in its recorded claim, or in one that is being written.
    Claimed,
    /// It would start or update with it.
    Wanted,
}

/// Whether the step from `old` to `new` of one object can change how others stand.
#[must_use]
pub fn changes_rivals(old: &View, new: &View) -> bool {
    fn standing(view: &View) -> impl PartialEq + '_ {
        let claim = view.status.claim.as_ref();
        let account = claim.map(|claim| (&claim.account, view.status.started_at.is_some()));
        (
            account,
            view.claimed_outputs(),
            contends(view),
            &view.source,
        )
    }
    standing(old) != standing(new)
}

/// Whether an object without a claim is about to make one. A suspended one makes none while it lives; a deleted one makes it only
/// in order to stop its task.
fn contends(view: &View) -> bool {
    if view.is_deleting() {
        view.is_guarded() && view.policy == DeletionPolicy::Stop
    } else {
        // An id that is made from its uid is nobody else's while it lives.
        !view.suspend || view.is_id_from_uid()
    }
}

/// Smaller comes first: a recorded claim, by its age; then whoever the id is made from, since whoever else names it took it from there; then the
/// object's age; then its uid.
fn precedence(view: &View, claiming: bool) -> impl Ord + use<'_> {
    let claimed = view
        .status
        .claim
        .as_ref()
        .map(|claim| claim.at.as_ref().map(|at| at.0))
        .or(claiming.then_some(None));
    let names_it = !view.is_id_from_uid();
    (
        claimed.is_none(),
        claimed,
        names_it,
        view.created,
        view.uid.as_str(),
    )
}
