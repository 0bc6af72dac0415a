use super::*;
use crate::diagnosis::Cause;
use crate::diagnosis::{Action, Bearing, Outlook, fixtures::*, predict};
use crate::host::Platform;
use crate::host::{CapabilitySet, FileKind, Host, Program};

const DENIED: &str = "setting up uid map: Permission denied";
const NOT_PERMITTED: &str = "setting up uid map: Operation not permitted";

fn ubuntu() -> Host {
    let mut host = machine();
    host.sysctls.insert("kernel.apparmor_restrict_unprivileged_userns".into(), Fact::Present("1".into()));
    host.security.label = Fact::Present("unconfined".into());
    host.security.apparmor_label = host.security.label.clone();
    host.security.apparmor_enabled = Fact::Present(true);
    host
}

fn profile(host: &mut Host, name: &str, there: bool) {
    let fact = if there { Fact::Present(FileKind::Other) } else { Fact::Absent };
    host.files.insert(format!("/etc/apparmor.d/{name}").into(), fact);
}

#[test]
fn a_healthy_machine_has_none_of_these() {
    assert_eq!(predict(&machine(), &whole()).outlook, Outlook::Starts);
    assert_eq!(predict(&machine(), &without_user(&whole())).outlook, Outlook::Starts);
}

#[test]
fn root_needs_setfcap_to_be_mapped() {
    let mut host = pod();
    host.process.effective = Fact::Present(CapabilitySet(0));
    assert_eq!(foreseen(&host, &whole(), Cause::MissingSetfcap), Some(High));
    assert_eq!(explain(NOT_PERMITTED, &host, &whole()).cause(), Some(Cause::MissingSetfcap));
    // even where AppArmor restricts
    host.sysctls.insert("kernel.apparmor_restrict_unprivileged_userns".into(), Fact::Present("1".into()));
    assert_eq!(explain(NOT_PERMITTED, &host, &whole()).cause(), Some(Cause::MissingSetfcap));
    // no map without a user namespace
    assert_eq!(foreseen(&host, &without_user(&whole()), Cause::MissingSetfcap), None);
    host.kernel.release = Fact::Present("4.18.0-553.el8_10.x86_64".into());
    assert_eq!(foreseen(&host, &whole(), Cause::MissingSetfcap), Some(Medium));
    host.process.effective = Fact::Present(CapabilitySet(DOCKER_CAPABILITIES));
    assert_eq!(foreseen(&host, &whole(), Cause::MissingSetfcap), None);
    assert_ne!(explain(NOT_PERMITTED, &machine(), &whole()).cause(), Some(Cause::MissingSetfcap));
}

#[test]
fn ubuntu_restricts_who_is_unconfined() {
    let cause = Cause::AppArmorRestrictsUserNamespaces;
    let with_net = whole();
    let sandbox = whole().share_net();
    let mut host = ubuntu();
    let found = explain(DENIED, &host, &sandbox);
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
    // with a network namespace the loopback device fails before
    let found = explain(DENIED, &host, &with_net);
    assert!(found.causes.iter().all(|found| found.confidence < High), "{found:?}");
    // a profile for bwrap makes Ubuntu 25.04 work
    assert_eq!(foreseen(&host, &sandbox, cause), Some(Medium));
    profile(&mut host, "bwrap", false);
    profile(&mut host, "bwrap-userns-restrict", false);
    assert_eq!(foreseen(&host, &sandbox, cause), Some(High));
    assert_eq!(foreseen(&host, &with_net, cause), None);
    profile(&mut host, "bwrap-userns-restrict", true);
    assert_eq!(foreseen(&host, &sandbox, cause), None);
    host = ubuntu();
    host.sysctls.insert("kernel.apparmor_restrict_unprivileged_userns".into(), Fact::Present("0".into()));
    assert_eq!(foreseen(&host, &sandbox, cause), None);
    assert!(explain(DENIED, &host, &sandbox).causes.iter().all(|found| found.confidence < High));
    assert!(explain(DENIED, &machine(), &sandbox).causes.iter().all(|found| found.cause != cause));
}

#[test]
fn a_read_only_proc_cannot_be_written() {
    let cause = Cause::ProcReadOnly;
    let mut host = machine();
    host.user_namespace.uid_map_writable = Fact::Unreadable("Read-only file system".into());
    assert_eq!(foreseen(&host, &whole(), cause), Some(High));
    host.user_namespace.uid_map_writable = Fact::Unknown;
    assert_eq!(foreseen(&host, &whole(), cause), None);
    host.mounts = Fact::Present(mounts(&[
        "1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw",
        "2 1 0:2 / /proc ro,nosuid,nodev,noexec,relatime - proc proc rw",
    ]));
    assert_eq!(foreseen(&host, &whole(), cause), Some(High));
    let found = explain("setting up uid map: Read-only file system", &host, &whole());
    assert_eq!(found.cause(), Some(cause));
    assert!(found.remedy().is_some());
    // root needs none of it
    host.process.uid = Fact::Present(0);
    assert_eq!(foreseen(&host, &without_user(&whole()), cause), None);
    assert!(explain(DENIED, &host, &whole()).causes.iter().all(|found| found.cause != cause));
}

#[test]
fn landlock_keeps_from_writing() {
    let cause = Cause::LandlockDeniesProc;
    let mut host = machine();
    host.process.no_new_privs = Fact::Present(true);
    assert_eq!(foreseen(&host, &whole(), cause), None);
    host.user_namespace.uid_map_writable = Fact::Unreadable("Permission denied".into());
    assert_eq!(foreseen(&host, &whole(), cause), Some(High));
    assert_eq!(explain(DENIED, &host, &whole()).cause(), Some(cause));
    // without no_new_privs the launcher may only be not dumpable
    host.process.no_new_privs = Fact::Present(false);
    assert_eq!(foreseen(&host, &whole(), cause), Some(Medium));
    host.security.modules = Fact::Present(vec!["capability".into()]);
    assert_eq!(foreseen(&host, &whole(), cause), None);
    // who is restricted by AppArmor can write to his own map
    assert_ne!(explain(DENIED, &ubuntu(), &whole().share_net()).cause(), Some(cause));
}

#[test]
fn bwrap_must_be_readable() {
    let cause = Cause::BwrapUnreadable;
    let mut host = machine();
    // nobody has looked: one of several possibilities
    let found = explain(DENIED, &host, &whole());
    let last = found.causes.iter().find(|found| found.cause == cause).unwrap();
    assert_eq!(last.confidence, Low);
    let mut program = Program::new("/opt/bwrap", "0.11.0");
    host.bwrap = Fact::Present(program.clone());
    assert!(explain(DENIED, &host, &whole()).causes.iter().all(|found| found.cause != cause));
    program.unreadable = true;
    host.bwrap = Fact::Present(program.clone());
    let found = explain(DENIED, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
    assert_eq!(found.remedy().unwrap().instructions(), "chmod a+r /opt/bwrap\n");
    assert_eq!(foreseen(&host, &whole(), cause), Some(High));
    // bwrap then has a helper that is root
    program.setuid = true;
    host.bwrap = Fact::Present(program);
    assert_eq!(foreseen(&host, &whole(), cause), None);
}

#[test]
fn ids_must_not_differ() {
    let mut host = machine();
    host.process.gid = Fact::Present(2000);
    host.user_namespace.uid_map_writable = Fact::Unreadable("Permission denied".into());
    assert_eq!(foreseen(&host, &whole(), Cause::IdsDiffer), Some(High));
    assert_eq!(foreseen(&host, &whole(), Cause::LandlockDeniesProc), None);
    let found = explain(DENIED, &host, &whole());
    assert_eq!(found.cause(), Some(Cause::IdsDiffer));
    assert!(found.causes[0].summary.contains("2000"));
    let mut host = machine();
    host.process.uid = Fact::Present(2000);
    assert_eq!(foreseen(&host, &whole(), Cause::IdsDiffer), Some(High));
    // unmapped
    let mut host = machine();
    host.user_namespace.uid_map = Fact::Present(vec![]);
    let found = explain(NOT_PERMITTED, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::IdsDiffer), High));
}

#[test]
fn ids_that_are_known_are_not_blamed() {
    let mut root = machine();
    (root.process.uid, root.process.real_uid) = (Fact::Present(0), Fact::Present(0));
    root.process.effective = Fact::Present(CapabilitySet(u64::MAX));
    for host in [machine(), root.clone()] {
        assert_eq!(explain(NOT_PERMITTED, &host, &whole()).cause(), Some(Cause::Unexplained));
    }
    // half of it is known: the map for one, the ids for the other
    let mut mapped = machine();
    mapped.process.real_uid = Fact::Unknown;
    let mut same = machine();
    same.user_namespace.uid_map = Fact::Unknown;
    for (host, against, unknown) in [(mapped, "is mapped", "user ids"), (same, "are the same", "the map")] {
        let found = explain(NOT_PERMITTED, &host, &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::IdsDiffer), Low));
        let [one, other] = found.causes[0].evidence.as_slice() else { panic!("{found:?}") };
        let of = |bearing| [one, other].into_iter().find(|seen| seen.bearing == bearing).unwrap();
        assert!(of(Bearing::Against).text.contains(against) && of(Bearing::Unknown).text.contains(unknown));
    }
    // a setuid program: bwrap acts as root for somebody
    root.process.real_uid = Fact::Present(1000);
    assert_eq!(explain(NOT_PERMITTED, &root, &whole()).cause(), Some(Cause::IdsDiffer));
}

#[test]
fn the_group_is_mapped_by_its_real_id() {
    let cause = Cause::GidMapDenied;
    let mut host = pod();
    host.process.gid = Fact::Present(2000);
    assert_eq!(foreseen(&host, &whole(), cause), Some(High));
    assert_eq!(foreseen(&host, &without_user(&whole()), cause), None);
    let found = explain("setting up gid map: Operation not permitted", &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
    let found = explain("setting up gid map: Operation not permitted", &machine(), &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), Low));
    let found =
        explain("setting up gid map: Operation not permitted", &only_on(host, Platform::Docker), &whole());
    assert!(found.remedy().unwrap().instructions().contains("--regid=2000"));
}

#[test]
fn little_is_sure_of_an_unknown_host() {
    for message in [DENIED, NOT_PERMITTED] {
        let found = explain(message, &Host::default(), &whole());
        assert!(found.causes.len() > 1 && found.causes[0].confidence == Medium, "{found:?}");
    }
    assert!(predict(&Host::default(), &whole()).obstacles.iter().all(|found| found.confidence < High));
}

#[test]
fn only_the_profile_of_this_bwrap_counts() {
    let cause = Cause::AppArmorRestrictsUserNamespaces;
    let sandbox = whole().share_net();
    let mut host = ubuntu();
    profile(&mut host, "bwrap", true);
    profile(&mut host, "bwrap-userns-restrict", true);
    let mut bundled = Program::new("/usr/local/bin/bwrap", "0.11.0");
    bundled.real_path = Some("/opt/x/bwrap".into());
    host.bwrap = Fact::Present(bundled.clone());
    // nobody has looked for its own
    assert_eq!(foreseen(&host, &sandbox, cause), Some(Medium));
    profile(&mut host, "opt.x.bwrap", false);
    assert_eq!(foreseen(&host, &sandbox, cause), Some(High));
    // what our remedy writes
    profile(&mut host, "opt.x.bwrap", true);
    assert_eq!(foreseen(&host, &sandbox, cause), None);
    // a link to the packaged one is the packaged one
    bundled.real_path = Some("/usr/bin/bwrap".into());
    host.bwrap = Fact::Present(bundled);
    assert_eq!(foreseen(&host, &sandbox, cause), None);
}

#[test]
fn a_profile_that_is_there_may_not_be_loaded() {
    let mut host = ubuntu();
    profile(&mut host, "bwrap", true);
    let found = explain(DENIED, &host, &whole().share_net());
    assert_eq!(found.causes[0].confidence, High);
    assert!(found.causes[0].evidence.iter().any(|seen| seen.text.contains("/etc/apparmor.d/disable")));
    assert_eq!(found.remedy().unwrap().instructions(), "apparmor_parser -r /etc/apparmor.d/bwrap\n");
    let found = explain(DENIED, &ubuntu(), &whole().share_net());
    assert!(!found.remedy().unwrap().instructions().starts_with("apparmor_parser"));
}

#[test]
fn a_named_profile_is_not_restricted() {
    let cause = Cause::AppArmorRestrictsUserNamespaces;
    let sandbox = whole().share_net();
    for label in ["vscode (unconfined)", "thing (complain)"] {
        let mut host = ubuntu();
        host.security.apparmor_label = Fact::Present(label.into());
        profile(&mut host, "bwrap", false);
        profile(&mut host, "bwrap-userns-restrict", false);
        assert_eq!(predict(&host, &sandbox).outlook, Outlook::Starts, "{label}");
        let found = explain(DENIED, &host, &sandbox);
        let found = found.causes.iter().find(|found| found.cause == cause).unwrap();
        assert_eq!(found.confidence, Low);
    }
}

#[test]
fn the_restriction_has_profiles_of_its_own() {
    let cause = Cause::AppArmorRestrictsUserNamespaces;
    let sandbox = whole().share_net();
    for label in ["unprivileged_userns (enforce)", "bwrap//&unpriv_bwrap (enforce)"] {
        let mut host = ubuntu();
        host.security.apparmor_label = Fact::Present(label.into());
        host.process.effective = Fact::Present(CapabilitySet(u64::MAX));
        assert_eq!(foreseen(&host, &sandbox, cause), Some(High));
        let found = explain(DENIED, &host, &sandbox);
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
        let remedies = &found.causes[0].remedies;
        assert!(remedies[0].summary.contains("outside of the program"));
        assert!(remedies.iter().all(|remedy| !remedy.instructions().contains("grep -rl")), "{remedies:?}");
    }
    let mut other = ubuntu();
    other.security.apparmor_label = Fact::Present("thing (enforce)".into());
    assert_eq!(foreseen(&other, &sandbox, cause), None);
}

#[test]
fn the_restriction_may_meet_the_group_map() {
    for message in ["error writing to setgroups: Permission denied", "setting up gid map: Permission denied"]
    {
        let found = explain(message, &ubuntu(), &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::GidMapDenied), Medium));
        assert!(
            found.causes[0].evidence.iter().any(|seen| seen.text.contains("restrict_unprivileged_userns"))
        );
        assert!(matches!(found.remedy().unwrap().action, Action::AppArmor(_)), "{found:?}");
        let found = explain(message, &machine(), &whole());
        assert_eq!(found.causes[0].confidence, Low);
    }
    let found = explain("setting up gid map: Operation not permitted", &ubuntu(), &whole());
    assert_eq!(found.causes[0].confidence, Low);
    // a set-id program explains it by itself
    let mut host = ubuntu();
    host.process.gid = Fact::Present(2000);
    let found = explain("setting up gid map: Permission denied", &host, &whole());
    assert_eq!(found.causes[0].confidence, High);
    assert_eq!(found.remedy().unwrap().instructions(), "setpriv --regid=2000 --keep-groups COMMAND\n");
}

#[test]
fn a_root_that_a_foreign_group_may_not_make() {
    const LARGE: &str = "Creating newroot failed: Value too large for defined data type";
    let mut host = machine();
    (host.process.uid, host.process.gid) = (Fact::Present(0), Fact::Present(0));
    let found = explain(LARGE, &host, &whole());
    assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::GidMapDenied), High));
    // of one group it is not, nor of what nobody knows
    for host in [machine(), Host::default()] {
        let found = explain(LARGE, &host, &whole());
        assert!(found.causes.iter().all(|found| found.cause != Cause::GidMapDenied));
    }
    let full = "Creating newroot failed: No space left on device";
    assert!(explain(full, &host, &whole()).causes.iter().all(|found| found.cause != Cause::GidMapDenied));
}
