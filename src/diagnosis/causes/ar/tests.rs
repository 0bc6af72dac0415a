#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::diagnosis::Cause;
use crate::diagnosis::Confidence;
use crate::diagnosis::fixtures::{explain, foreseen, machine, mounts, only_on, whole, without_user};
use crate::diagnosis::{Action, Outlook, predict};
use crate::host::{Host, Platform, Program};

const OVERFLOW: &str = "Can't read /proc/sys/kernel/overflowuid: No such file or directory";

fn first(message: &str, host: &Host) -> (Cause, Confidence) {
    let found = explain(message, host, &whole());
    (found.causes[0].cause, found.causes[0].confidence)
}

#[test]
fn a_proc_without_settings() {
    let mut host = machine();
    host.sysctls.insert("kernel.overflowuid".into(), Fact::Absent);
    host.mounts = Fact::Present(mounts(&[
        "1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw",
        "2 1 0:2 / /proc rw,relatime - proc proc rw,subset=pid",
    ]));
    let found = explain(OVERFLOW, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::ProcIncomplete), Confidence::High));
    assert!(found.causes[0].summary.contains("subset=pid"));
    let ahead = predict(&host, &whole());
    assert_eq!((ahead.outlook, ahead.obstacles[0].cause), (Outlook::Fails, Cause::ProcIncomplete));
    host = only_on(host, Platform::SystemdUnit);
    assert!(matches!(explain(OVERFLOW, &host, &whole()).remedy().unwrap().action, Action::Unit(_)));
    // a snapshot without the parameter
    host.sysctls.clear();
    assert_eq!(predict(&host, &whole()).obstacles[0].cause, Cause::ProcIncomplete);
    assert_eq!(predict(&machine(), &whole()).outlook, Outlook::Starts);
    assert_ne!(predict(&Host::default(), &whole()).outlook, Outlook::Fails);
}

#[test]
fn what_cannot_be_read_for_want_of_descriptors() {
    let message = "Can't read /proc/sys/kernel/overflowuid: Too many open files";
    assert_eq!(first(message, &machine()).0, Cause::DescriptorLimit);
    assert_eq!(first("Can't open /proc: Too many open files", &machine()).0, Cause::DescriptorLimit);
}

#[test]
fn no_proc_at_all() {
    let message = "Can't open /proc: No such file or directory";
    assert_eq!(first(message, &machine()), (Cause::ProcUnavailable, Confidence::High));
}

#[test]
fn an_option_that_is_too_new() {
    let mut host = machine();
    host.bwrap = Fact::Present(Program::new("/usr/bin/bwrap", "0.6.1"));
    let found = explain("Unknown option --argv0", &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::UnknownOption), Confidence::High));
    assert_eq!(found.causes.len(), 1);
    let summary = &found.causes[0].summary;
    assert!(
        summary.contains("0.6.1") && summary.contains("--argv0") && summary.contains("0.9.0"),
        "{summary}"
    );
    let remedies = &found.causes[0].remedies;
    assert!(
        remedies
            .iter()
            .any(|remedy| matches!(&remedy.action, Action::Manual(text) if text.contains("Argv0")))
    );
}

#[test]
fn another_bwrap_than_the_one_that_was_looked_at() {
    let mut host = machine();
    host.bwrap = Fact::Present(Program::new("/usr/bin/bwrap", "0.11.0"));
    let found = explain("Unknown option --argv0", &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::UnknownOption), Confidence::Medium));
    assert!(found.causes[0].summary.starts_with("another bwrap was started than /usr/bin/bwrap"));
    // the very version that brought it has it
    host.bwrap = Fact::Present(Program::new("/usr/bin/bwrap", "0.9.0"));
    assert_eq!(first("Unknown option --argv0", &host).1, Confidence::Medium);
    host.bwrap = Fact::Present(Program::new("/usr/bin/bwrap", "0.8.0"));
    assert_eq!(first("Unknown option --argv0", &host).1, Confidence::High);
}

#[test]
fn an_option_that_is_too_new_is_foreseen() {
    let with = |version: &str| {
        let mut host = machine();
        host.bwrap = Fact::Present(Program::new("/usr/bin/bwrap", version));
        host
    };
    let ahead =
        |version: &str, sandbox: &crate::Sandbox| foreseen(&with(version), sandbox, Cause::UnknownOption);
    let plain = crate::Sandbox::new().ro_bind("/", "/");
    let locked = plain.clone().unshare(crate::Namespaces::USER).disable_userns();
    assert_eq!(ahead("0.6.1", &locked), Some(Confidence::High));
    assert_eq!(ahead("0.8.0", &locked), None);
    assert_eq!(ahead("0.6.1", &locked.clone().optional(crate::sandbox::Feature::DisableUserns)), None);
    // what a value looks like is no option, and a launch needs no --clearenv
    assert_eq!(ahead("0.4.0", &plain.clone().env("A", "--overlay")), None);
    assert_eq!(predict(&machine(), &locked).outlook, Outlook::Starts);
    let remedies = &predict(&with("0.6.1"), &locked).obstacles[0].remedies;
    assert!(remedies[0].summary.starts_with("Install bubblewrap 0.8.0 or newer"));
    let text = remedies[1].instructions();
    assert!(
        text.starts_with("bwrap: no --disable-userns\nRust: .optional(Feature::DisableUserns)"),
        "{text}"
    );
}

#[test]
fn an_option_that_nobody_has() {
    let found = explain("Unknown option --prems", &machine(), &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::BadArguments), Confidence::High));
    assert_eq!(found.causes[1].confidence, Confidence::Low);
}

#[test]
fn arguments_that_are_not_accepted() {
    for message in
        ["--bind takes two arguments", "Invalid uid: x", "unknown cap: CAP_NONSENSE", "setenv failed"]
    {
        assert_eq!(first(message, &machine()), (Cause::BadArguments, Confidence::High), "{message}");
    }
    let many = explain("Exceeded maximum number of arguments 9000", &machine(), &whole());
    assert!(many.causes[0].summary.contains("9000"));
}

#[test]
fn options_that_contradict_each_other() {
    for message in ["Specifying --hostname requires --unshare-uts", "--userns doesn't work in setuid mode"] {
        assert_eq!(first(message, &machine()), (Cause::ContradictoryOptions, Confidence::High), "{message}");
    }
}

#[test]
fn root_can_be_nobody_else_without_a_user_namespace() {
    let mut host = machine();
    for id in [&mut host.process.uid, &mut host.process.real_uid] {
        *id = Fact::Present(0);
    }
    host.process.effective = host.process.bounding.clone();
    let sandbox = without_user(&whole()).uid(1000);
    let ahead = predict(&host, &sandbox);
    assert_eq!(ahead.obstacles[0].cause, Cause::ContradictoryOptions);
    assert_eq!(ahead.obstacles[0].remedies[0].action, Action::Sandbox(SandboxChange::UnshareUser));
    let found = explain("Specifying --uid requires --unshare-user or --userns", &host, &sandbox);
    assert!(found.causes[0].summary.contains("user id 1000"));
    assert_eq!(predict(&host, &without_user(&whole()).uid(0)).outlook, Outlook::Starts);
    assert_eq!(predict(&host, &whole().uid(1000)).outlook, Outlook::Starts);
    assert_eq!(predict(&machine(), &sandbox).outlook, Outlook::Starts);
}

#[test]
fn message_queues_want_a_namespace_of_their_own() {
    use crate::diagnosis::fixtures::foreseen;
    const DENIED: &str = "Can't mount mqueue on /newroot/dev/mqueue: Operation not permitted";
    let line = |line: &str| crate::Sandbox::from_args(line.split(' ')).unwrap();
    let shared = line("--ro-bind / / --unshare-user --dev /dev --mqueue /dev/mqueue");
    let found = explain(DENIED, &machine(), &shared);
    assert_eq!(
        (found.cause(), found.causes[0].confidence),
        (Some(Cause::ContradictoryOptions), Confidence::High)
    );
    assert_eq!(foreseen(&machine(), &shared, Cause::ContradictoryOptions), Some(Confidence::High));
    // with one; without message queues; root without a user namespace
    let mut root = machine();
    (root.process.uid, root.process.real_uid) = (Fact::Present(0), Fact::Present(0));
    for (host, sandbox) in [
        (machine(), line("--ro-bind / / --unshare-user --unshare-ipc --dev /dev --mqueue /dev/mqueue")),
        (machine(), line("--ro-bind / / --unshare-user --dev /dev")),
        (root, line("--ro-bind / / --dev /dev --mqueue /dev/mqueue")),
    ] {
        assert_eq!(foreseen(&host, &sandbox, Cause::ContradictoryOptions), None);
        let found = explain(DENIED, &host, &sandbox);
        assert!(found.causes.iter().all(|found| found.cause != Cause::ContradictoryOptions));
    }
}
