#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::diagnosis::Cause;
use crate::diagnosis::Confidence;
use crate::diagnosis::fixtures::{docker, explain, machine, on, only_on, pod, whole};
use crate::diagnosis::{Action, Outlook, predict};
use crate::host::{CapabilitySet, Fact, Host};

const DENIED: &str = "No permissions to create a new namespace, likely because the kernel does not allow it";

/// What is said of new namespaces beforehand, and how surely.
fn ahead(host: &Host) -> Option<(Cause, Confidence)> {
    let ahead = predict(host, &whole()).obstacles.into_iter();
    let stage = Cause::SeccompDeniesNamespaces.stage();
    ahead
        .filter(|finding| finding.cause.stage() == stage)
        .map(|finding| (finding.cause, finding.confidence))
        .next()
}

fn first(host: &Host) -> (Cause, Confidence) {
    let found = explain(DENIED, host, &whole());
    (found.causes[0].cause, found.causes[0].confidence)
}

fn filtered(platform: Platform, evidence: &str) -> Host {
    let mut host = machine();
    host.process.seccomp = Fact::Present(2);
    host.platforms = Fact::Present(vec![Sighting::new(platform, evidence)]);
    host
}

#[test]
fn the_default_filter_of_docker() {
    let found = (Cause::SeccompDeniesNamespaces, Confidence::High);
    assert_eq!(first(&docker()), found);
    assert_eq!(ahead(&docker()), Some(found));
    assert!(explain(DENIED, &docker(), &whole()).causes[0].summary.contains("Docker"));
    // a container with CAP_SYS_ADMIN gets another one
    let mut strong = docker();
    strong.process.bounding = Fact::Present(CapabilitySet(0x1ff_ffff_ffff));
    assert_eq!(ahead(&strong), None);
    // as another user the bounding set still tells
    let mut user = docker();
    user.process.uid = Fact::Present(1000);
    user.process.effective = Fact::Present(CapabilitySet(0));
    assert_eq!(ahead(&user), Some(found));
    let mut open = docker();
    open.process.seccomp = Fact::Present(0);
    assert_eq!(ahead(&open), None);
    assert_ne!(first(&open).0, Cause::SeccompDeniesNamespaces);
}

/// The outer one takes the bounding set away, and shows that namespaces can be made.
#[test]
fn in_another_bwrap() {
    let mut host = docker();
    host.process.bounding = Fact::Present(CapabilitySet(0));
    assert_eq!(
        ahead(&on(host, Platform::Bubblewrap)),
        Some((Cause::SeccompDeniesNamespaces, Confidence::Medium))
    );
}

#[test]
fn the_runtime_of_a_pod_decides() {
    let mut host = pod();
    assert_eq!(ahead(&host), None);
    host.process.seccomp = Fact::Present(2);
    assert_eq!(ahead(&host), Some((Cause::SeccompDeniesNamespaces, Confidence::High)));
    host = only_on(host, Platform::Kubernetes);
    assert_eq!(ahead(&host), Some((Cause::SeccompDeniesNamespaces, Confidence::Medium)));
    // by its release
    let mut host = on(host, Platform::CriO);
    assert_eq!(ahead(&host), Some((Cause::SeccompDeniesNamespaces, Confidence::Medium)));
    assert_eq!(first(&host), (Cause::SeccompDeniesNamespaces, Confidence::Medium));
    // a manifest names the filter
    for (name, confidence) in [
        ("RuntimeDefault", Some(Confidence::High)),
        ("profiles/bwrap.json", None),
        ("profiles/other.json", Some(Confidence::Medium)),
    ] {
        host.process.seccomp_profile = Fact::Present(name.into());
        let wanted = confidence.map(|confidence| (Cause::SeccompDeniesNamespaces, confidence));
        assert_eq!(ahead(&host), wanted, "{name}");
    }
}

#[test]
fn what_a_fact_proves_comes_first() {
    let mut host = docker();
    host.sysctls.insert("kernel.unprivileged_userns_clone".into(), Fact::Present("0".into()));
    let found = explain(DENIED, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::UserNamespacesSwitchedOff));
    assert_eq!(found.causes[1].confidence, Confidence::Low);
}

#[test]
fn a_unit_with_a_filter() {
    let host = filtered(Platform::SystemdUnit, "the control group /system.slice/build.service");
    let found = (Cause::UnitRestrictsNamespaces, Confidence::Medium);
    assert_eq!((ahead(&host), first(&host)), (Some(found), found));
    let remedy = explain(DENIED, &host, &whole()).remedy().unwrap().clone();
    let Action::Unit(unit) = remedy.action else { unreachable!("{remedy:?}") };
    // one remedy covers both settings
    for name in ["RestrictNamespaces", "SystemCallFilter"] {
        assert!(unit.settings.iter().any(|(setting, _)| setting == name), "{unit:?}");
    }
    let mut open = host;
    open.process.seccomp = Fact::Present(0);
    assert_eq!(ahead(&open), None);
    assert_eq!(first(&open).0, Cause::Chrooted);
    assert_eq!(first(&open).1, Confidence::Low);
}

#[test]
fn a_unit_is_called_by_its_name() {
    let mut host = filtered(Platform::SystemdUnit, "the control group");
    let told = |host: &Host| {
        let finding = explain(DENIED, host, &whole()).causes.remove(0);
        (finding.refuted_by[0].clone(), finding.remedies[0].instructions())
    };
    host.cgroup.paths = Fact::Present(vec!["/system.slice/build.service".into()]);
    let (check, remedy) = told(&host);
    assert!(check.contains("SystemCallFilter build.service` prints RestrictNamespaces=no"), "{check}");
    assert!(remedy.contains("systemctl restart build.service"), "{remedy}");
    host.cgroup.paths =
        Fact::Present(vec!["/user.slice/user-1.slice/user@1.service/app.slice/build.service".into()]);
    let (check, remedy) = told(&host);
    assert!(check.starts_with("`systemctl --user show") && remedy.contains("systemctl --user restart"));
    host.cgroup.paths = Fact::Unknown;
    let (check, remedy) = told(&host);
    assert!(check.contains("SystemCallFilter UNIT`") && remedy.contains("systemctl restart UNIT"));
}

/// Of the filter itself nothing can be seen; the masks make it sure.
#[test]
fn it_says_why_it_is_sure() {
    let texts = |sandbox: &crate::Sandbox| {
        let found = predict(&docker(), sandbox).obstacles;
        let finding = found.into_iter().find(|one| one.cause == Cause::SeccompDeniesNamespaces).unwrap();
        let evidence = finding.evidence.into_iter().map(|evidence| evidence.text);
        (finding.confidence, evidence.collect::<Vec<_>>().join("\n"))
    };
    let (sure, why) = texts(&whole());
    assert!(
        sure == Confidence::High
            && why.contains("masked as well")
            && why.contains("whether it is the default")
    );
    let (sure, why) = texts(&crate::Sandbox::new().ro_bind("/", "/").unshare_all());
    assert!(
        sure == Confidence::Medium && !why.contains("masked") && why.contains("whether it is the default")
    );
}

#[test]
fn outer_sandboxes() {
    for (platform, evidence, confidence) in [
        (Platform::Flatpak, "/.flatpak-info", Confidence::High),
        (Platform::Snap, "SNAP_NAME in the environment", Confidence::Medium),
        (Platform::Firejail, "FIREJAIL in the environment", Confidence::Medium),
    ] {
        let mut host = filtered(platform, evidence);
        assert_eq!(first(&host), (Cause::OuterSandboxDeniesNamespaces, confidence));
        assert_eq!(ahead(&host), Some((Cause::OuterSandboxDeniesNamespaces, Confidence::Medium)));
        // the variables reach what is started outside, too
        host.process.seccomp = Fact::Present(0);
        assert_eq!(ahead(&host), None);
        assert_ne!(first(&host).0, Cause::OuterSandboxDeniesNamespaces);
    }
}

#[test]
fn a_filter_of_nobody_known() {
    let mut host = machine();
    host.process.seccomp = Fact::Present(2);
    assert_eq!(first(&host), (Cause::SeccompDeniesNamespaces, Confidence::Medium));
    assert_eq!(predict(&host, &whole()).outlook, Outlook::Uncertain);
}
