//! What an object does without credentials, or with some that cannot be used for everything.

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn missing(left: Left) -> Keys {
    Keys::Unusable {
        reason: Reason::CredentialsMissing,
        message: "Secret team-a/live does not exist: create it.".to_owned(),
        left,
    }
}

#[test]
fn an_object_without_credentials_claims_nothing_and_says_so() {
    let mut life = Life::of(fresh("x", "live"));
    life.standing = Standing::Entitled;
    life.keys = Keys::Unread(Some(2 * SECOND));
    assert_eq!(life.step(), Step::Rest(Some(2 * SECOND)));
    life.keys = missing(Left::Nothing);
    life.run(SECOND, |call, _| panic!("{call:?}"));
    let status = &life.view.status;
    assert_eq!(life.view.told_reason(), Some("CredentialsMissing"));
    assert_eq!((status.phase, &status.claim), (Some(Phase::Failed), &None));
    assert!(
        life.last_message()
            .contains("Secret team-a/live does not exist")
    );
    life.keys = Keys::Given;
    life.account = Some("2000".to_owned());
    life.run(2 * SECOND, |call, _| panic!("{call:?}"));
    let claim = life.view.status.claim.clone().unwrap();
    assert_eq!(claim.account.as_deref(), Some("2000"));
    assert_eq!(life.view.told_reason(), Some("Armed"));
    // It turns out to be the operator's own: told once, with the same claim otherwise.
    life.account = None;
    let told = life.told.len();
    life.run(3 * SECOND, |call, _| panic!("{call:?}"));
    assert_eq!(life.told.len(), told + 1);
    let now = life.view.status.claim.clone().unwrap();
    assert_eq!((now.account, now.at), (None, claim.at));
}

#[test]
fn a_deletion_without_credentials_waits_for_them_and_can_be_released_by_hand() {
    let unclaimed = || changed(named(deleting(), "x", "live"), "", json!({"status": null}));
    let mut life = Life::of(unclaimed());
    life.standing = Standing::Entitled;
    life.keys = missing(Left::Nothing);
    assert_eq!(life.run(HOUR, |call, _| panic!("{call:?}")), None);
    assert_eq!(life.view.told_reason(), Some("CredentialsMissing"));
    assert!(!life.view.has_claim());
    life.keys = Keys::Given;
    life.account = Some("2000".to_owned());
    let Step::Record(verdict) = life.step() else {
        panic!("{:?}", life.step());
    };
    life.record(*verdict);
    life.standing = Standing::Holder;
    let evidence = life.run(2 * HOUR, |_, _| accepted());
    assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
    assert_eq!(
        life.view.status.claim.clone().unwrap().account.as_deref(),
        Some("2000")
    );

    let release =
        json!({"annotations": {"mixedstream.io/release-without-stop": "stopped by hand"}});
    let mut life = Life::of(changed(unclaimed(), "/metadata", release));
    life.standing = Standing::Entitled;
    life.keys = missing(Left::Nothing);
    let evidence = life.run(HOUR, |call, _| panic!("{call:?}"));
    assert!(matches!(evidence, Some(Evidence::Declared { .. })));
}

#[test]
fn a_held_claim_is_stopped_with_what_is_kept_in_memory() {
    let mut life = Life::of(claimed_in(named(deleting(), "x", "live"), Some("2000")));
    life.keys = missing(Left::Kept);
    life.account = Some("2000".to_owned());
    let evidence = life.run(HOUR, |_, _| accepted());
    assert!(matches!(evidence, Some(Evidence::StopAccepted { .. })));
    assert_eq!(life.told.len(), 0, "nothing is written in between");
}

#[test]
fn words_about_a_secret_name_the_secret() {
    for (class, says) in [
        (
            Class::CredentialsRejected,
            "Put a valid key into Secret team-a/live",
        ),
        (Class::AccessDenied, "to the key in Secret team-a/live"),
        (Class::CredentialsMissing, "It is sent when that is done."),
    ] {
        let mut life = Life::of(claimed_in(named(deleting(), "x", "live"), Some("2000")));
        life.account = Some("2000".to_owned());
        life.run(SECOND, |_, _| failed(class));
        assert!(
            life.last_message().contains(says),
            "{}",
            life.last_message()
        );
        assert!(
            !life.last_message().contains("restart it"),
            "{}",
            life.last_message()
        );
        // Other credentials are tried at once.
        life.memory.waits.other_credentials();
        let evidence = life.run(2 * SECOND, |_, _| accepted());
        assert!(
            matches!(evidence, Some(Evidence::StopAccepted { .. })),
            "{class:?}"
        );
    }
}
