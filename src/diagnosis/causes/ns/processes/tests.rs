#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::Sandbox;
use crate::diagnosis::Cause;
use crate::diagnosis::Confidence;
use crate::diagnosis::fixtures::{docker, explain, machine, whole};
use crate::diagnosis::{Outlook, Symptom, diagnose, predict};
use crate::host::{CapabilitySet, Fact, Host, PidsLimit};

const CLONE: &str = "Creating new namespace failed: Resource temporarily unavailable";
const FORK: &str = "Can't fork for pid 1: Resource temporarily unavailable";

fn group(max: u64, current: u64) -> Host {
    let mut host = machine();
    host.cgroup.pids = Fact::Present(PidsLimit::new("/sys/fs/cgroup/box", max, current));
    host
}

fn user(limit: u64, count: u64) -> Host {
    let mut host = machine();
    host.process.process_limit = Fact::Present(limit);
    host.process.processes = Fact::Present(count);
    host
}

fn ahead(host: &Host, sandbox: &Sandbox) -> Vec<(Cause, Confidence)> {
    let obstacles = predict(host, sandbox).obstacles;
    obstacles.iter().map(|finding| (finding.cause, finding.confidence)).collect()
}

#[test]
fn a_control_group_that_is_full() {
    let host = group(10, 9);
    let found = explain(CLONE, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::ProcessLimit), Confidence::High));
    assert!(
        found.causes[0].summary.contains("9 of 10") && found.causes[0].summary.contains("/sys/fs/cgroup/box")
    );
    assert_eq!(ahead(&host, &whole()), [(Cause::ProcessLimit, Confidence::High)]);
    // by now the processes of then are gone
    let found = explain(CLONE, &group(1000, 9), &whole());
    assert_eq!(found.causes[0].confidence, Confidence::Medium);
    assert!(ahead(&group(1000, 9), &whole()).is_empty());
}

#[test]
fn room_for_two_is_too_little_with_a_process_1() {
    let host = group(10, 8);
    let found = explain(FORK, &host, &whole());
    assert_eq!(
        (found.cause(), found.causes[0].confidence),
        (Some(Cause::ProcessLimitLate), Confidence::High)
    );
    assert!(ahead(&host, &whole()).contains(&(Cause::ProcessLimitLate, Confidence::High)));
    assert_eq!(ahead(&host, &Sandbox::new()), [(Cause::ProcessLimit, Confidence::Medium)]);
    assert_eq!(predict(&host, &whole().as_pid_1()).outlook, Outlook::Uncertain);
    assert_eq!(predict(&group(10, 7), &whole()).outlook, Outlook::Uncertain);
    assert_eq!(predict(&group(10, 6), &whole()).outlook, Outlook::Starts);
}

#[test]
fn the_limit_of_the_user() {
    let host = user(50, 50);
    let found = explain(CLONE, &host, &whole());
    assert!(found.causes[0].summary.contains("50 of 50") && found.causes[0].summary.contains("RLIMIT_NPROC"));
    assert_eq!(ahead(&host, &whole()), [(Cause::ProcessLimit, Confidence::High)]);
    // root of the machine has none, nor who may exceed it
    let mut root = host.clone();
    for id in [&mut root.process.uid, &mut root.process.real_uid] {
        *id = Fact::Present(0);
    }
    root.process.effective = Fact::Present(CapabilitySet(0x1ff_ffff_ffff));
    assert!(ahead(&root, &whole()).is_empty());
    let mut strong = host;
    strong.process.effective = Fact::Present(CapabilitySet(1 << 24));
    assert!(ahead(&strong, &whole()).is_empty());
    // a namespace's root has
    root.user_namespace.uid_map =
        Fact::Present(vec![crate::host::IdMapping { inside: 0, outside: 100_000, count: 65_536 }]);
    root.user_namespace.gid_map = root.user_namespace.uid_map.clone();
    assert_eq!(ahead(&root, &whole())[0].0, Cause::ProcessLimit);
}

#[test]
fn other_errors_are_no_limit() {
    let found = explain("Creating new namespace failed: Operation not permitted", &group(10, 9), &whole());
    assert_ne!(found.cause(), Some(Cause::ProcessLimit));
}

#[test]
fn too_many_open_files() {
    let mut host = machine();
    (host.process.descriptor_limit, host.process.descriptors) = (Fact::Present(64), Fact::Present(60));
    for message in [
        "eventfd(): Too many open files",
        "Can't bind mount /oldroot/usr on /newroot/usr: Unable to open destination O_PATH fd \
         \"/newroot/usr\": Too many open files",
        "loopback: Failed to create NETLINK_ROUTE socket: Too many open files",
    ] {
        let found = explain(message, &host, &whole());
        assert_eq!(found.cause(), Some(Cause::DescriptorLimit), "{message}");
        assert!(found.causes[0].summary.contains("60 of 64"));
    }
    assert_eq!(ahead(&host, &whole()), [(Cause::DescriptorLimit, Confidence::Medium)]);
    host.process.descriptors = Fact::Present(10);
    assert!(ahead(&host, &whole()).is_empty());
    host.process.descriptor_limit = Fact::Present(4);
    assert_eq!(ahead(&host, &whole()), [(Cause::DescriptorLimit, Confidence::High)]);
    let system = explain("eventfd(): Too many open files in system", &docker(), &whole());
    assert!(system.causes[0].summary.contains("fs.file-max"));
    assert_ne!(
        explain("eventfd(): Cannot allocate memory", &host, &whole()).cause(),
        Some(Cause::DescriptorLimit)
    );
}

#[test]
fn no_memory() {
    for message in [
        "Creating new namespace failed: Cannot allocate memory",
        "unshare user ns: Cannot allocate memory",
        "Can't fork for pid 1: Cannot allocate memory",
    ] {
        let found = explain(message, &machine(), &whole());
        assert_eq!(
            (found.cause(), found.causes[0].confidence),
            (Some(Cause::OutOfMemory), Confidence::High),
            "{message}"
        );
    }
    let found = explain("Can't fork for --pidns: Cannot allocate memory", &machine(), &whole());
    assert_eq!(found.causes[0].confidence, Confidence::Medium);
    assert_ne!(explain(CLONE, &machine(), &whole()).cause(), Some(Cause::OutOfMemory));
    let found = diagnose(
        &Symptom::from_text(
            b"Out of memory
",
        ),
        &machine(),
        None,
    );
    assert_eq!(found.cause(), Some(Cause::OutOfMemory));
}
