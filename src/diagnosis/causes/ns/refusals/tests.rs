#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::diagnosis::Cause;
use crate::diagnosis::Confidence;
use crate::diagnosis::fixtures::{docker, explain, machine, whole};
use crate::diagnosis::{Outlook, predict};
use crate::host::{Host, Sighting};

const DENIED: &str = "Creating new namespace failed: Permission denied";

fn selinux_host() -> Host {
    let mut host = machine();
    host.security.label = Fact::Present("system_u:system_r:init_t:s0".into());
    host.security.selinux_enforcing = Fact::Present(true);
    host
}

fn apparmor_host(profile: &str, restricted: &str) -> Host {
    let mut host = machine();
    host.security.label = Fact::Present(profile.into());
    let name = "kernel.apparmor_restrict_unprivileged_userns";
    host.sysctls.insert(name.into(), Fact::Present(restricted.into()));
    host
}

#[test]
fn the_label_tells_selinux_from_apparmor() {
    let found = explain(DENIED, &selinux_host(), &whole());
    assert_eq!(found.cause(), Some(Cause::SelinuxDeniesUserNamespaces));
    assert_eq!(found.causes[0].confidence, Confidence::High);
    assert_eq!(found.causes.len(), 1);
    let found = explain(DENIED, &apparmor_host("unconfined", "1"), &whole());
    assert_eq!(found.cause(), Some(Cause::AppArmorDeniesUserNamespaces));
    assert_eq!(found.causes.len(), 1);
    let found =
        explain("unshare user ns: Permission denied", &apparmor_host("agent (enforce)", "0"), &whole());
    assert_eq!(found.cause(), Some(Cause::AppArmorDeniesUserNamespaces));
    assert!(found.causes[0].summary.contains("agent"));
}

#[test]
fn what_denies_nothing_is_not_blamed() {
    let mut host = selinux_host();
    host.security.selinux_enforcing = Fact::Present(false);
    for host in [host, apparmor_host("unconfined", "0"), apparmor_host("agent (complain)", "1"), machine()] {
        assert_eq!(explain(DENIED, &host, &whole()).cause(), Some(Cause::Unexplained));
    }
}

#[test]
fn without_labels_both_are_possible() {
    let found = explain(DENIED, &Host::default(), &whole());
    // reports of this message are Ubuntu's, as far as they tell
    let found: Vec<_> = found.causes.iter().map(|finding| (finding.cause, finding.confidence)).collect();
    assert_eq!(
        found,
        [
            (Cause::AppArmorDeniesUserNamespaces, Confidence::Medium),
            (Cause::SelinuxDeniesUserNamespaces, Confidence::Low)
        ]
    );
}

#[test]
fn a_filter_that_answers_enosys() {
    let message = "Creating new namespace failed: Function not implemented";
    let found = explain(message, &docker(), &whole());
    assert_eq!(found.cause(), Some(Cause::NamespacesNotImplemented));
    assert_eq!(found.causes[0].confidence, Confidence::High);
    assert_eq!(explain(message, &machine(), &whole()).causes[0].confidence, Confidence::Medium);
    let cgroup = "Cannot create new cgroup namespace because the kernel does not support it";
    assert!(explain(cgroup, &machine(), &whole()).causes[0].summary.contains("control groups"));
}

#[test]
fn a_kernel_without_user_namespaces() {
    let message = "Creating new namespace failed, likely because the kernel does not support user namespaces.  \
                   bwrap must be installed setuid on such systems.";
    let mut host = machine();
    host.user_namespace.exists = Fact::Present(false);
    let found = explain(message, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::KernelWithoutUserNamespaces));
    assert_eq!(found.causes[0].confidence, Confidence::High);
    assert_eq!(predict(&host, &whole()).outlook, Outlook::Fails);
    // root goes on without one
    host.process.uid = Fact::Present(0);
    let ahead = predict(&host, &whole());
    assert!(ahead.obstacles.iter().all(|finding| finding.cause != Cause::KernelWithoutUserNamespaces));
    // there are some: an emulator answers so, or something else is missing
    let found = explain(message, &machine(), &whole()).causes;
    let found: Vec<_> = found.iter().map(|finding| (finding.cause, finding.confidence)).collect();
    let emulated = (Cause::EmulatedProcessor, Confidence::Medium);
    assert_eq!(found, [emulated, (Cause::KernelWithoutUserNamespaces, Confidence::Low)]);
}

#[test]
fn wsl_1_has_no_kernel() {
    let mut host = machine();
    host.platforms =
        Fact::Present(vec![Sighting::new(Platform::Wsl1, "the kernel's name: 4.4.0-19041-Microsoft")]);
    let ahead = predict(&host, &whole());
    assert_eq!(ahead.obstacles[0].cause, Cause::KernelWithoutUserNamespaces);
    assert_eq!(ahead.outlook, Outlook::Fails);
}

/// Others have kernels of that version as well, which lack user namespaces for good.
#[test]
fn only_the_kernel_of_rhel_7_is_told_of_its_parameter() {
    let said = "Creating new namespace failed, likely because the kernel does not support user namespaces.";
    for (release, el7) in [
        ("3.10.0-1160.el7.x86_64", true),
        ("3.10.0-327.36.3.el7.x86_64", true),
        ("3.10.107-smp", false),
        ("3.10.105", false),
        ("3.10.40-tegra", false),
    ] {
        let mut host = Host::default();
        host.kernel.release = Fact::Present(release.into());
        let found = &explain(said, &host, &whole()).causes[0];
        assert_eq!(found.cause.code(), "NS11", "{release}");
        assert_eq!(found.summary.contains("RHEL 7"), el7, "{release}: {found:?}");
        let first = found.remedies[0].instructions();
        assert_eq!(first.contains("user_namespace.enable=1"), el7, "{release}: {first}");
    }
}
