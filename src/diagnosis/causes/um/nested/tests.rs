#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::diagnosis::Cause;
use crate::diagnosis::Confidence;
use crate::diagnosis::fixtures::{docker, explain, machine, mounts, pod, whole};
use crate::diagnosis::{Action, Outlook, predict};
use crate::host::{CapabilitySet, Host};
use crate::{Namespaces, Sandbox};

fn limited(value: &str) -> Host {
    let mut host = machine();
    host.sysctls.insert("user.max_user_namespaces".into(), Fact::Present(value.into()));
    host
}

fn locked() -> Sandbox {
    Sandbox::new().ro_bind("/usr", "/usr").unshare(Namespaces::USER).disable_userns()
}

fn causes(host: &Host, sandbox: &Sandbox) -> Vec<Cause> {
    predict(host, sandbox).obstacles.iter().map(|finding| finding.cause).collect()
}

#[test]
fn two_are_needed_and_one_is_allowed() {
    let host = limited("1");
    let found = explain("unshare user ns: No space left on device", &host, &whole());
    assert_eq!(found.cause(), Some(Cause::SecondUserNamespaceLimit));
    assert_eq!(found.causes[0].confidence, Confidence::High);
    let changes =
        |change: &Remedy| matches!(change.action, Action::Sandbox(SandboxChange::BindDev { operation: 2 }));
    assert!(found.causes[0].remedies.iter().any(changes));
    assert_eq!(causes(&host, &whole()), [Cause::SecondUserNamespaceLimit]);
    assert_eq!(causes(&host, &locked()), [Cause::SecondUserNamespaceLimit]);
    // one is enough without a /dev, or for root inside
    assert!(causes(&host, &Sandbox::new().ro_bind("/usr", "/usr")).is_empty());
    assert!(causes(&host, &whole().uid(0)).is_empty());
    assert!(causes(&limited("2"), &whole()).is_empty());
    let found = explain("unshare user ns: No space left on device", &machine(), &whole());
    assert_eq!(found.causes[0].confidence, Confidence::Medium);
    let value = |host: &Host| match &explain("unshare user ns: No space left on device", host, &whole())
        .remedy()
        .unwrap()
        .action
    {
        Action::Sysctl(sysctl) => Some(sysctl.value.clone()),
        _ => None,
    };
    assert_eq!(value(&limited("1")).as_deref(), Some("15000"));
    // no limit is lowered, and one further up is not changed here
    assert_eq!(value(&machine()).as_deref(), Some("200000"));
    let mut inner = machine();
    inner.user_namespace.uid_map =
        Fact::Present(vec![crate::host::IdMapping { inside: 0, outside: 1000, count: 1 }]);
    assert_eq!(value(&inner), None);
}

#[test]
fn a_filter_that_knows_clone_only() {
    let message = "unshare user ns: Operation not permitted";
    let mut host = docker();
    host.process.uid = Fact::Present(1000);
    let found = explain(message, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::SeccompDeniesUnshare));
    assert_eq!(found.causes[0].confidence, Confidence::High);
    assert_eq!(explain(message, &machine(), &whole()).cause(), Some(Cause::Unexplained));
    assert_eq!(explain(message, &Host::default(), &whole()).causes[0].confidence, Confidence::Medium);
}

#[test]
fn a_read_only_proc_sys() {
    let message = "cannot open /proc/sys/user/max_user_namespaces: Read-only file system";
    let mut host = pod();
    host.process.effective = Fact::Present(CapabilitySet(0x1ff_ffff_ffff));
    let found = explain(message, &host, &locked());
    assert_eq!(found.cause(), Some(Cause::DisableUsernsReadOnly));
    assert!(found.causes[0].summary.contains("/proc/sys is read-only"));
    assert!(causes(&host, &locked()).contains(&Cause::DisableUsernsReadOnly));
    assert!(!causes(&host, &whole()).contains(&Cause::DisableUsernsReadOnly));
    assert!(causes(&machine(), &locked()).is_empty());
    // another proc over it is what bwrap writes to
    host.mounts = Fact::Present(mounts(&[
        "1 0 0:1 / / rw,relatime - overlay overlay rw",
        "2 1 0:2 / /proc rw,relatime - proc proc rw",
        "3 2 0:2 /sys /proc/sys ro,relatime - proc proc rw",
        "4 2 0:5 / /proc rw,relatime - proc proc rw",
    ]));
    assert!(!causes(&host, &locked()).contains(&Cause::DisableUsernsReadOnly));
    assert_eq!(explain(message, &host, &locked()).causes[0].confidence, Confidence::Medium);
}

/// A runtime that masks /proc/sys/user leaves no file there: that is no kernel without limits.
#[test]
fn a_masked_limit_is_no_missing_one() {
    let message = "cannot open /proc/sys/user/max_user_namespaces: No such file or directory";
    let mut host = pod();
    host.mounts = Fact::Present(mounts(&[
        "1 0 0:1 / / rw,relatime - overlay overlay rw",
        "2 1 0:2 / /proc rw,relatime - proc proc rw",
        "3 2 0:5 / /proc/sys/user ro,relatime - tmpfs tmpfs ro",
    ]));
    let found = explain(message, &host, &locked());
    assert_eq!(
        found.causes.iter().map(|found| found.cause).collect::<Vec<_>>(),
        [Cause::DisableUsernsReadOnly]
    );
    assert!(found.causes[0].summary.contains("a tmpfs lies on /proc/sys/user"), "{found:?}");
    // nothing lies there, or elsewhere, or it is a procfs
    for line in [
        "3 2 0:2 /sys/user /proc/sys/user rw,relatime - proc proc rw",
        "3 2 0:5 / /proc/acpi ro,relatime - tmpfs tmpfs ro",
        "3 2 0:5 / /proc/sys/user/max_pid_namespaces ro,relatime - tmpfs tmpfs ro",
    ] {
        let two = [
            "1 0 0:1 / / rw,relatime - overlay overlay rw",
            "2 1 0:2 / /proc rw,relatime - proc proc rw",
            line,
        ];
        host.mounts = Fact::Present(mounts(&two));
        assert_eq!(explain(message, &host, &locked()).cause(), Some(Cause::NamespaceLimitMissing), "{line}");
    }
}

#[test]
fn a_profile_forbids_the_lock() {
    let message = "cannot open /proc/sys/user/max_user_namespaces: Permission denied";
    let mut host = machine();
    host.security.label = Fact::Present("incus-box_</var/lib/incus> (enforce)".into());
    let found = explain(message, &host, &locked());
    assert_eq!(found.cause(), Some(Cause::DisableUsernsDenied));
    assert_eq!(found.causes[0].confidence, Confidence::High);
    assert!(causes(&host, &locked()).contains(&Cause::DisableUsernsDenied));
    assert!(!causes(&host, &whole()).contains(&Cause::DisableUsernsDenied));
    assert_eq!(explain(message, &machine(), &locked()).causes[0].confidence, Confidence::Low);
    // a read-only mount says something else
    let found =
        explain("cannot open /proc/sys/user/max_user_namespaces: Read-only file system", &host, &locked());
    assert_eq!(found.cause(), Some(Cause::DisableUsernsReadOnly));
}

#[test]
fn an_assertion_alone_disables_nothing() {
    let message = "creation of new user namespaces was not disabled as requested";
    let asserts = Sandbox::new().unshare(Namespaces::USER).assert_userns_disabled();
    assert_eq!(explain(message, &machine(), &asserts).cause(), Some(Cause::UserNamespacesStillAllowed));
    assert_eq!(predict(&machine(), &asserts).outlook, Outlook::Fails);
    assert!(causes(&machine(), &asserts.clone().disable_userns()).is_empty());
    // the host may well deny it
    assert_eq!(predict(&limited("1"), &asserts).outlook, Outlook::Uncertain);
}
