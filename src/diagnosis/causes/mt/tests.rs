use super::*;
use crate::Namespaces;
use crate::diagnosis::{Action, Cause, Diagnosis, fixtures::*, predict};
use crate::host::{CapabilitySet, Fact, Host};

fn labelled(mut host: Host, label: &str) -> Host {
    let selinux = label.contains(':') || label == "kernel";
    host.security.label = Fact::Present(label.into());
    host.security.apparmor_label = if selinux { Fact::Absent } else { Fact::Present(label.into()) };
    host.security.selinux_filesystem = Fact::Present(selinux);
    host
}

const SLAVE: &str = "Failed to make / slave";

#[test]
fn default_profiles_of_engines_deny_mounting() {
    for profile in ["docker-default", "cri-containerd.apparmor.d", "containers-default-0.62.2"] {
        let host = labelled(pod(), &format!("{profile} (enforce)"));
        let found = explain(&format!("{SLAVE}: Permission denied"), &host, &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::AppArmorDeniesMount), High));
        assert!(found.causes[0].summary.contains(profile));
        assert_eq!(foreseen(&host, &whole(), Cause::AppArmorDeniesMount), Some(High));
    }
    let logging = labelled(pod(), "docker-default (complain)");
    assert_eq!(foreseen(&logging, &whole(), Cause::AppArmorDeniesMount), None);
    let other = labelled(machine(), "snap.thing.app (enforce)");
    assert_eq!(foreseen(&other, &whole(), Cause::AppArmorDeniesMount), Some(Medium));
    for label in ["unconfined", "kernel"] {
        assert_eq!(foreseen(&labelled(machine(), label), &whole(), Cause::AppArmorDeniesMount), None);
    }
}

#[test]
fn gvisor_wants_the_user_namespace_made_before() {
    let denied = format!("{SLAVE}: Operation not permitted");
    let mut host = only_on(machine(), Platform::GVisor);
    let found = explain(&denied, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::GvisorMountNamespace), High));
    assert!(found.causes.iter().all(|finding| finding.cause != Cause::LandlockDeniesMount));
    let first = |found: &Diagnosis| found.remedy().unwrap().instructions();
    assert!(first(&found).contains("unshare --user --map-root-user bwrap"), "{}", first(&found));
    host.process.uid = Fact::Present(0);
    let own = whole().unshare(Namespaces::USER);
    assert!(!first(&explain(&denied, &host, &own)).contains("unshare --user"));
    // without one, it is something else
    let found = explain(&denied, &host, &Sandbox::new().ro_bind("/", "/"));
    assert_ne!(found.cause(), Some(Cause::GvisorMountNamespace));
}

#[test]
fn a_filter_explains_eperm_and_landlock_does_without_one() {
    let denied = format!("{SLAVE}: Operation not permitted");
    let found = explain(&denied, &docker(), &whole());
    assert_eq!(found.cause(), Some(Cause::SeccompDeniesMount));
    let mut host = machine();
    host.process.no_new_privs = Fact::Present(true);
    let found = explain(&denied, &host, &whole());
    assert_eq!((found.cause(), found.causes.len()), (Some(Cause::LandlockDeniesMount), 1));
    host.security.modules = Fact::Present(vec!["capability".into()]);
    assert_ne!(explain(&denied, &host, &whole()).cause(), Some(Cause::LandlockDeniesMount));
    let found = explain(&format!("{SLAVE}: Function not implemented"), &docker(), &whole());
    assert_eq!(found.cause(), Some(Cause::MountNotImplemented));
    // who is root and makes no user namespace meets Landlock here first
    let mut host = machine();
    assert_eq!(foreseen(&host, &whole(), Cause::LandlockDeniesMount), None);
    host.user_namespace.uid_map_writable = Fact::Unreadable("Permission denied".into());
    assert_eq!(foreseen(&host, &whole(), Cause::LandlockDeniesMount), Some(Medium));
    host.process.no_new_privs = Fact::Present(true);
    assert_eq!(foreseen(&host, &whole(), Cause::LandlockDeniesMount), Some(High));
}

#[test]
fn selinux_denies_tmpfs_by_label() {
    let host = labelled(machine(), "system_u:system_r:svirt_lxc_net_t:s0:c1,c2");
    let found = explain("Failed to mount tmpfs: Permission denied", &host, &whole());
    assert_eq!(found.cause(), Some(Cause::SelinuxDeniesTmpfs));
    assert!(found.causes[0].summary.contains("svirt_lxc_net_t"));
    assert_eq!(foreseen(&host, &whole(), Cause::SelinuxDeniesTmpfs), None);
    let apparmor = labelled(machine(), "thing (enforce)");
    let found = explain("Failed to mount tmpfs: Permission denied", &apparmor, &whole());
    assert_ne!(found.cause(), Some(Cause::SelinuxDeniesTmpfs));
    let found = explain("Failed to mount tmpfs: Operation not permitted", &docker(), &whole());
    assert_eq!(found.cause(), Some(Cause::SeccompDeniesTmpfs));
    let found = explain("Failed to mount tmpfs: Operation not permitted", &machine(), &whole());
    assert_ne!(found.cause(), Some(Cause::SeccompDeniesTmpfs));
}

#[test]
fn pivot_root_is_denied_by_filters_or_profiles() {
    let mut host = docker();
    host.process.effective = Fact::Present(CapabilitySet(DOCKER_CAPABILITIES | 1 << 21));
    assert_eq!(foreseen(&host, &whole(), Cause::SeccompDeniesPivotRoot), Some(High));
    assert_eq!(foreseen(&docker(), &whole(), Cause::SeccompDeniesPivotRoot), None);
    let found = explain("pivot_root: Operation not permitted", &host, &whole());
    assert_eq!(found.cause(), Some(Cause::SeccompDeniesPivotRoot));
    for said in [None, Some("pivot_root: Operation not permitted")] {
        let obstacles = said
            .map_or_else(|| predict(&host, &whole()).obstacles, |said| explain(said, &host, &whole()).causes);
        let found = obstacles.iter().find(|found| found.cause == Cause::SeccompDeniesPivotRoot).unwrap();
        assert_eq!(found.evidence.iter().any(|seen| seen.text.contains("default filter")), said.is_none());
    }
    // nothing else stops it, so nobody knows before
    let mut unmasked = host.clone();
    unmasked.mounts = machine().mounts;
    assert_eq!(foreseen(&unmasked, &whole(), Cause::SeccompDeniesPivotRoot), Some(Medium));
    host = only_on(host, Platform::Podman);
    assert_eq!(foreseen(&host, &whole(), Cause::SeccompDeniesPivotRoot), None);

    let cause = Cause::AppArmorDeniesPivotRoot;
    for (label, confidence, tool) in [
        ("lxc-container-default-cgns (enforce)", High, "pct "),
        ("incus-c1_</var/lib/incus> (enforce)", Medium, "incus "),
    ] {
        let host = labelled(machine(), label);
        assert_eq!(foreseen(&host, &whole(), cause), Some(confidence));
        assert_eq!(foreseen(&host, &whole(), Cause::AppArmorDeniesMount), None);
        let found = explain("pivot_root: Permission denied", &host, &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
        let Action::Commands(lines) = &found.remedy().unwrap().action else { panic!() };
        assert!(lines[0].starts_with(tool));
    }
    let found = explain("pivot_root: Permission denied", &machine(), &whole());
    assert_ne!(found.cause(), Some(cause));
}

#[test]
fn unmounting_is_denied_by_a_filter() {
    let denied = "unmount old root: Operation not permitted";
    assert_eq!(explain(denied, &docker(), &whole()).cause(), Some(Cause::SeccompDeniesUmount));
    assert_ne!(explain(denied, &machine(), &whole()).cause(), Some(Cause::SeccompDeniesUmount));
}

#[test]
fn default_filters_deny_host_names() {
    let sandbox = whole().hostname("inside");
    let mut host = docker();
    assert_eq!(foreseen(&host, &sandbox, Cause::HostnameDenied), Some(Medium));
    host = only_on(host, Platform::Podman);
    assert_eq!(foreseen(&host, &sandbox, Cause::HostnameDenied), Some(Medium));
    assert_eq!(foreseen(&host, &whole(), Cause::HostnameDenied), None);
    let found = explain("Can't set hostname to inside: Operation not permitted", &host, &sandbox);
    assert_eq!(found.cause(), Some(Cause::HostnameDenied));
    assert_eq!(found.remedy().unwrap().action, Action::Sandbox(SandboxChange::KeepHostname));
    assert_eq!(foreseen(&machine(), &sandbox, Cause::HostnameDenied), None);
}

/// What cannot be read is not taken for absent.
#[test]
fn unknown_labels_leave_both_modules_possible() {
    let host = Host::default();
    let found = explain(&format!("{SLAVE}: Permission denied"), &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::AppArmorDeniesMount), Medium));
    assert!(predict(&host, &whole()).obstacles.iter().all(|found| found.confidence < High));
}

#[test]
fn our_own_profile_is_loaded_anew() {
    let host = labelled(docker(), "bwrap-nested (enforce)");
    for cause in [Cause::AppArmorDeniesMount, Cause::AppArmorDeniesPivotRoot] {
        assert_eq!(foreseen(&host, &whole(), cause), None);
    }
    let found = explain(&format!("{SLAVE}: Permission denied"), &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::AppArmorDeniesMount), Low));
    let text = found.remedy().unwrap().instructions();
    assert!(text.ends_with("apparmor_parser -r /etc/apparmor.d/bwrap-nested\n"), "{text}");
    assert_eq!(found.causes[0].remedies.len(), 1);
    // the engine's, stacked on it, denies all the same
    let stacked = labelled(docker(), "docker-default//&bwrap-nested (enforce)");
    assert_eq!(foreseen(&stacked, &whole(), Cause::AppArmorDeniesMount), Some(High));
}

#[test]
fn the_restrictions_profile_is_left_and_not_changed() {
    let host = labelled(machine(), "unprivileged_userns (enforce)");
    assert_eq!(foreseen(&host, &whole(), Cause::AppArmorDeniesMount), None);
    let found = explain(&format!("{SLAVE}: Permission denied"), &host, &whole());
    assert_eq!(found.cause(), Some(Cause::AppArmorDeniesMount));
    assert!(found.remedy().unwrap().summary.contains("outside of the program"));
    assert!(!found.causes[0].refuted_by[0].contains("DENIED"));
    let free = labelled(machine(), "vscode (unconfined)");
    let found = explain(&format!("{SLAVE}: Permission denied"), &free, &whole());
    assert!(found.causes.iter().all(|found| found.confidence == Low), "{found:?}");
}

#[test]
fn an_answer_that_there_is_no_such_call_is_explained() {
    let mut host = machine();
    let message = "Can't open source /usr: Function not implemented";
    assert_eq!(explain(message, &host, &whole()).cause(), Some(Cause::Openat2Missing));
    host = only_on(host, Platform::SystemdUnit);
    let found = explain(message, &host, &whole());
    assert!(found.remedy().is_some_and(|remedy| remedy.instructions().contains("RestrictSUIDSGID=no")));
    let missing = "Can't open source /usr: No such file or directory";
    assert_ne!(explain(missing, &host, &whole()).cause(), Some(Cause::Openat2Missing));
}
