#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::Namespaces;
use crate::diagnosis::Cause;
use crate::diagnosis::Confidence;
use crate::diagnosis::fixtures::{explain, foreseen, machine, only_on, whole, without_user};
use crate::diagnosis::{Action, Outlook, Symptom, diagnose, predict};
use crate::host::{CapabilitySet, Fact, Host, IdMapping};

const MESSAGE: &str =
    "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)";

fn limited(kind: &str, value: &str) -> Host {
    let mut host = machine();
    host.sysctls.insert(format!("user.max_{kind}_namespaces"), Fact::Present(value.into()));
    host
}

fn nested() -> Host {
    let mut host = machine();
    host.user_namespace.uid_map = Fact::Present(vec![IdMapping { inside: 1000, outside: 1000, count: 1 }]);
    host.user_namespace.gid_map = host.user_namespace.uid_map.clone();
    host.sysctls.insert(USER.into(), Fact::Present("2147483647".into()));
    host
}

#[test]
fn no_user_namespaces() {
    let host = limited("user", "0");
    let found = explain(MESSAGE, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::NoUserNamespacesAllowed));
    assert_eq!(found.causes[0].confidence, Confidence::High);
    // bwrap 0.6 and older
    let old = explain("Creating new namespace failed: No space left on device", &host, &whole());
    assert_eq!(old.cause(), Some(Cause::NoUserNamespacesAllowed));
    let ahead = predict(&host, &whole());
    assert_eq!((ahead.outlook, ahead.obstacles[0].cause), (Outlook::Fails, Cause::NoUserNamespacesAllowed));
}

/// It goes on without one where it is only to try; where it must make one, the limit stops it.
#[test]
fn root_may_go_on_without() {
    let mut host = limited("user", "0");
    host.process.uid = Fact::Present(0);
    host.process.effective = Fact::Present(CapabilitySet(0x1ff_ffff_ffff));
    assert_eq!(predict(&host, &whole()).outlook, Outlook::Starts);
    let must = whole().unshare(Namespaces::USER);
    assert_eq!(predict(&host, &must).obstacles[0].cause, Cause::NoUserNamespacesAllowed);
}

/// The snapshot often comes from root's shell, and bwrap's message from a user's.
#[test]
fn a_snapshot_of_roots_does_not_hide_the_limit() {
    let mut host = limited("user", "0");
    host.process.uid = Fact::Present(0);
    host.process.effective = Fact::Present(CapabilitySet(0x1ff_ffff_ffff));
    for sandbox in [whole(), without_user(&whole())] {
        let found = explain(MESSAGE, &host, &sandbox);
        assert_eq!(
            (found.cause(), found.causes[0].confidence),
            (Some(Cause::NoUserNamespacesAllowed), Confidence::High)
        );
    }
    assert_eq!(foreseen(&host, &whole(), Cause::NoUserNamespacesAllowed), None);
    // where root's own namespaces are limited, that explains it better
    host.sysctls.insert("user.max_net_namespaces".into(), Fact::Present("0".into()));
    assert_eq!(explain(MESSAGE, &host, &whole()).cause(), Some(Cause::NamespaceLimit));
    // and with room there is nothing to say about users
    let mut roomy = machine();
    roomy.process.uid = Fact::Present(0);
    let found = explain(MESSAGE, &roomy, &without_user(&whole()));
    assert!(found.causes.iter().all(|finding| finding.cause != Cause::NoUserNamespacesAllowed));
}

/// A limit of another namespace is not changed here, and none is lowered.
#[test]
fn only_the_limit_that_is_reached_is_raised() {
    let actions = |host: &Host, cause: Cause| {
        let found = explain(MESSAGE, host, &whole());
        let finding = found.causes.into_iter().find(|finding| finding.cause == cause).unwrap();
        finding.remedies.into_iter().map(|remedy| remedy.action).collect::<Vec<_>>()
    };
    let ancestor = actions(&nested(), Cause::AncestorLimitsUserNamespaces);
    assert!(ancestor.iter().all(|action| matches!(action, Action::Manual(_))), "{ancestor:?}");
    let own = actions(&machine(), Cause::NoUserNamespacesAllowed);
    assert!(matches!(&own[0], Action::Sysctl(sysctl) if sysctl.value == "200000"), "{own:?}");
}

/// What bwrap is asked for is not known: then only what every sandbox needs stands in the way.
#[test]
fn no_sandbox_no_obstacle() {
    let mut host = limited("net", "0");
    host.sysctls.insert("kernel.unprivileged_userns_clone".into(), Fact::Present("0".into()));
    let text = b"bwrap: No permissions to create a new namespace";
    let ahead = |host: &Host| diagnose(&Symptom::from_text(text), host, None).foreseen;
    assert!(ahead(&host).iter().all(|finding| finding.cause != Cause::NamespaceLimit));
    host.sysctls.insert("user.max_mnt_namespaces".into(), Fact::Present("0".into()));
    assert!(ahead(&host).iter().any(|finding| finding.cause == Cause::NamespaceLimit));
}

#[test]
fn a_few_may_be_in_use() {
    assert_eq!(predict(&limited("user", "5"), &without_user(&whole())).outlook, Outlook::Starts);
    let found = explain(MESSAGE, &limited("user", "5"), &whole());
    assert_eq!(found.cause(), Some(Cause::NoUserNamespacesAllowed));
    assert_eq!(found.causes[0].confidence, Confidence::Medium);
    assert!(found.causes[0].summary.contains('5'));
}

#[test]
fn another_kind() {
    let host = limited("net", "0");
    let found = explain(MESSAGE, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::NamespaceLimit));
    assert!(found.causes[0].summary.contains("user.max_net_namespaces=0"));
    assert_eq!(predict(&host, &whole()).obstacles[0].cause, Cause::NamespaceLimit);
    // a sandbox that shares the network does not care
    assert_eq!(predict(&host, &whole().share_net()).outlook, Outlook::Starts);
    // every sandbox has its own mounts
    let plain = crate::Sandbox::new();
    assert_eq!(predict(&limited("mnt", "0"), &plain).obstacles[0].cause, Cause::NamespaceLimit);
}

#[test]
fn a_limit_further_up() {
    let found = explain(MESSAGE, &nested(), &whole());
    assert_eq!(found.cause(), Some(Cause::AncestorLimitsUserNamespaces));
    assert_eq!(found.causes[0].confidence, Confidence::High);
    assert_eq!(predict(&nested(), &whole()).outlook, Outlook::Starts);
    // what can be seen comes first
    let mut host = nested();
    host.sysctls.insert("user.max_uts_namespaces".into(), Fact::Present("0".into()));
    assert_eq!(explain(MESSAGE, &host, &whole()).cause(), Some(Cause::NamespaceLimit));
    // on the machine itself nothing is further up
    let found = explain(MESSAGE, &machine(), &whole());
    assert!(found.causes.iter().all(|finding| finding.cause != Cause::AncestorLimitsUserNamespaces));
    assert_eq!(found.causes[0].confidence, Confidence::Low);
}

#[test]
fn too_deep_in_gvisor_and_in_linux() {
    let message = "Creating new namespace failed: Too many users";
    let mut host = nested();
    assert_eq!(explain(message, &host, &whole()).cause(), Some(Cause::NestedTooDeep));
    host = only_on(host, Platform::GVisor);
    let found = explain(message, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::GvisorNestedTooDeep));
    assert_eq!(found.causes.len(), 1);
}
