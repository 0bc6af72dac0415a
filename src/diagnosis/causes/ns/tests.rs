#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::Sandbox;
use crate::diagnosis::Cause;
use crate::diagnosis::Confidence;
use crate::diagnosis::fixtures::{
    DOCKER_CAPABILITIES, docker, explain, foreseen, machine, mounts, pod, whole, without_user,
};
use crate::diagnosis::{Action, Outlook, predict};
use crate::host::{CapabilitySet, Host, Program, Sighting};

const DENIED: &str = "No permissions to create a new namespace, likely because the kernel does not allow it";
const ROOT_DENIED: &str = "Creating new namespace failed: Operation not permitted";
const ALL: CapabilitySet = CapabilitySet(0x1ff_ffff_ffff);

fn causes(host: &Host, sandbox: &Sandbox) -> Vec<Cause> {
    predict(host, sandbox).obstacles.iter().map(|finding| finding.cause).collect()
}

fn switched_off_host() -> Host {
    let mut host = machine();
    host.sysctls.insert("kernel.unprivileged_userns_clone".into(), Fact::Present("0".into()));
    host
}

fn root(mut host: Host) -> Host {
    host.process.uid = Fact::Present(0);
    host.process.real_uid = Fact::Present(0);
    host.process.effective = Fact::Present(ALL);
    host
}

#[test]
fn a_healthy_machine_is_let_go() {
    for sandbox in [whole(), without_user(&whole()), Sandbox::new()] {
        assert_eq!(predict(&machine(), &sandbox).outlook, Outlook::Starts);
        assert_eq!(predict(&root(machine()), &sandbox).outlook, Outlook::Starts);
    }
}

#[test]
fn in_a_chroot() {
    let mut host = machine();
    host.mounts = Fact::Present(mounts(&["2 1 0:2 / /proc rw,relatime - proc proc rw"]));
    let found = explain(DENIED, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::Chrooted), Confidence::High));
    assert!(causes(&host, &whole()).contains(&Cause::Chrooted));
    // root is in it as well, and a user namespace or none makes no difference
    let host = root(host);
    for sandbox in [whole(), without_user(&whole())] {
        assert_eq!(foreseen(&host, &sandbox, Cause::Chrooted), Some(Confidence::High));
    }
    let keep = |remedy: &Remedy| remedy.action == Action::Sandbox(SandboxChange::KeepUserNamespace);
    assert!(!explain(DENIED, &host, &whole()).causes[0].remedies.iter().any(keep));
    // where the chroot is a mount, it does
    let found = explain(DENIED, &root(machine()), &whole().unshare(crate::Namespaces::USER));
    let chroot = found.causes.iter().find(|finding| finding.cause == Cause::Chrooted).unwrap();
    assert!(chroot.remedies.iter().any(keep) && chroot.confidence == Confidence::Low);
    assert_eq!(foreseen(&root(machine()), &without_user(&whole()), Cause::Chrooted), None);
    // a variable alone proves nothing
    let mut host = machine();
    host.platforms =
        Fact::Present(vec![Sighting::new(Platform::Chroot, "SYSTEMD_IN_CHROOT in the environment")]);
    assert_eq!(predict(&host, &whole()).outlook, Outlook::Uncertain);
}

#[test]
fn a_root_whose_mounts_cannot_be_changed() {
    const MESSAGE: &str = "Failed to make / slave: Invalid argument";
    let sure = (Cause::Chrooted, Confidence::High);
    let first = |message: &str, host: &Host| {
        let found = explain(message, host, &without_user(&whole()));
        (found.causes[0].cause, found.causes[0].confidence)
    };
    let mut host = root(machine());
    host.mounts = Fact::Present(mounts(&["2 1 0:2 / /proc rw,relatime - proc proc rw"]));
    assert_eq!(first(MESSAGE, &host), sure);
    assert_eq!(first(MESSAGE, &Host::default()), sure);
    // with a mount there, hardly
    assert_eq!(first(MESSAGE, &root(machine())), (Cause::Chrooted, Confidence::Low));
    // other numbers mean other things
    assert_ne!(first("Failed to make / slave: Operation not permitted", &host).0, Cause::Chrooted);
}

#[test]
fn switched_off() {
    let host = switched_off_host();
    let found = explain(DENIED, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::UserNamespacesSwitchedOff));
    assert_eq!(found.causes[0].confidence, Confidence::High);
    assert_eq!(causes(&host, &whole()), [Cause::UserNamespacesSwitchedOff]);
    assert_eq!(predict(&host, &whole()).outlook, Outlook::Fails);
    let mut on = host;
    on.sysctls.insert("kernel.unprivileged_userns_clone".into(), Fact::Present("1".into()));
    assert_ne!(explain(DENIED, &on, &whole()).cause(), Some(Cause::UserNamespacesSwitchedOff));
    assert!(causes(&on, &whole()).is_empty());
}

/// The switch does not bind `CAP_SYS_ADMIN` over the machine, which is gone inside the first user namespace.
#[test]
fn root_is_exempt_from_the_switch_once() {
    let host = root(switched_off_host());
    assert!(causes(&host, &whole()).is_empty());
    let locked = Sandbox::new().unshare(crate::Namespaces::USER).disable_userns();
    assert_eq!(causes(&host, &locked), [Cause::UserNamespacesSwitchedOff]);
    let found = explain("unshare user ns: Operation not permitted", &host, &locked);
    assert_eq!(found.cause(), Some(Cause::UserNamespacesSwitchedOff));
    // capabilities of a namespace's root are none over the machine
    let mut host = host;
    host.user_namespace.uid_map =
        Fact::Present(vec![IdMapping { inside: 0, outside: 100_000, count: 65_536 }]);
    host.user_namespace.gid_map = host.user_namespace.uid_map.clone();
    assert_eq!(causes(&host, &whole()), [Cause::UserNamespacesSwitchedOff]);
}

#[test]
fn a_setuid_bwrap_needs_no_user_namespace() {
    let mut host = switched_off_host();
    let mut program = Program::new("/usr/bin/bwrap", "0.4.0");
    program.setuid = true;
    host.bwrap = Fact::Present(program);
    assert_ne!(predict(&host, &without_user(&whole())).outlook, Outlook::Fails);
}

#[test]
fn an_id_without_a_mapping() {
    let mut host = machine();
    host.process.uid = Fact::Present(65534);
    host.process.real_uid = Fact::Present(65534);
    host.user_namespace.uid_map = Fact::Present(vec![IdMapping { inside: 0, outside: 1000, count: 1 }]);
    let found = explain(DENIED, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::UnmappedId), Confidence::High));
    assert!(found.causes[0].summary.contains("65534"));
    assert_eq!(causes(&host, &whole())[0], Cause::UnmappedId);
    // nobody may be mapped
    host.user_namespace.uid_map =
        Fact::Present(vec![IdMapping { inside: 0, outside: 100_000, count: 65_536 }]);
    assert_ne!(explain(DENIED, &host, &whole()).cause(), Some(Cause::UnmappedId));
    assert!(!causes(&host, &whole()).contains(&Cause::UnmappedId));
}

#[test]
fn root_without_a_user_namespace() {
    let host = pod();
    let sandbox = without_user(&whole());
    let found = explain(ROOT_DENIED, &host, &sandbox);
    assert_eq!(
        (found.cause(), found.causes[0].confidence),
        (Some(Cause::RootWithoutSysAdmin), Confidence::High)
    );
    assert_eq!(found.remedy().unwrap().action, Action::Sandbox(SandboxChange::UnshareUser));
    assert!(causes(&host, &sandbox).contains(&Cause::RootWithoutSysAdmin));
    // with a user namespace, or the capability, it is something else
    assert!(!causes(&host, &whole()).contains(&Cause::RootWithoutSysAdmin));
    let mut strong = host;
    strong.process.effective = Fact::Present(ALL);
    assert!(!causes(&strong, &sandbox).contains(&Cause::RootWithoutSysAdmin));
    assert_ne!(explain(ROOT_DENIED, &strong, &sandbox).cause(), Some(Cause::RootWithoutSysAdmin));
    // with the container's filter beside it, both are in the way
    let found = explain(ROOT_DENIED, &docker(), &sandbox);
    assert_eq!(found.cause(), Some(Cause::RootWithoutSysAdmin));
    assert_eq!(found.causes[1].cause, Cause::SeccompDeniesNamespaces);
}

/// The user namespace that bwrap was only to try is skipped where there can be none; asking harder does not help.
#[test]
fn root_whose_user_namespace_was_skipped() {
    let mut host = pod();
    host.sysctls.insert("user.max_user_namespaces".into(), Fact::Present("0".into()));
    let ahead = predict(&host, &whole());
    let found = ahead.obstacles.iter().find(|finding| finding.cause == Cause::RootWithoutSysAdmin).unwrap();
    assert_eq!(found.confidence, Confidence::High);
    let asks = |remedy: &Remedy| remedy.action == Action::Sandbox(SandboxChange::UnshareUser);
    assert!(!found.remedies.iter().any(asks));
    assert!(found.remedies.iter().any(|remedy| matches!(remedy.action, Action::Sysctl(_))));
}

#[test]
fn without_setfcap_another_user_is_the_better_way() {
    let mut host = pod();
    host.process.effective = Fact::Present(CapabilitySet(DOCKER_CAPABILITIES & !(1 << 31)));
    let found = explain(ROOT_DENIED, &host, &without_user(&whole()));
    assert_ne!(found.remedy().unwrap().action, Action::Sandbox(SandboxChange::UnshareUser));
}

#[test]
fn partial_facts_make_it_less_sure() {
    let found = explain(DENIED, &Host::default(), &whole());
    assert!(found.causes.iter().all(|finding| finding.confidence < Confidence::High));
    assert!(found.causes.iter().any(|finding| {
        finding.evidence.iter().any(|evidence| evidence.bearing == crate::diagnosis::Bearing::Unknown)
    }));
    assert_ne!(predict(&Host::default(), &whole()).outlook, Outlook::Fails);
}

#[test]
fn namespaces_that_cannot_be_joined() {
    let message = "Joining specified user namespace failed: Operation not permitted";
    let found = explain(message, &machine(), &whole());
    assert_eq!(found.cause(), Some(Cause::JoinDenied));
    assert!(found.causes[0].summary.contains("user namespace"));
    let found = explain("Setting pidns failed: Invalid argument", &machine(), &whole());
    assert_eq!(found.cause(), Some(Cause::JoinDenied));
    assert!(found.causes[0].summary.contains("PID namespace"));
    assert_ne!(explain(ROOT_DENIED, &machine(), &whole()).cause(), Some(Cause::JoinDenied));
}
