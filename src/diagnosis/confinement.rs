//! What confines this process: a profile, a domain, Landlock rules.

use super::prelude::*;
use crate::diagnosis::SelinuxRule;
use crate::diagnosis::wish::{allow_nesting, confine_container, leave_restriction, reload_container_profile};
use crate::host::{AppArmor, Selinux};

/// Whether a profile explains that `what` was answered with "Permission denied".
pub(super) fn apparmor_denies(case: &Case<'_>, what: &str) -> Option<Judgement> {
    // the kernel log would not tell: a plain deny rule writes nothing there
    let found = |confidence| weigh(confidence).refuted_by("the same sandbox starts under another profile");
    let label = &case.host.security.label;
    let attached = "whether a profile attaches to bwrap itself: `aa-status`, as root";
    Some(match case.apparmor() {
        AppArmor::Absent => return None,
        AppArmor::Ours(_) if !case.failed() => return None,
        AppArmor::Ours(profile) => found(Low)
            .summary(format!("the AppArmor profile {profile} that is loaded may deny {what}"))
            .seen_against(label, format!("the profile {profile}, as our remedies write it, permits {what}"))
            .unknown(format!("whether the profile {profile} that is loaded is that one")),
        AppArmor::Unconfined => found(Low).contra(evidence::profile(case).otherwise()).unknown(attached),
        AppArmor::Free(profile) => {
            let denies = "of this process denies nothing (/proc/self/attr/current)";
            found(Low).seen_against(label, format!("the profile {profile} {denies}")).unknown(attached)
        }
        AppArmor::Unknown => found(Medium).unknown("our AppArmor profile: /proc/self/attr/current"),
        confined => found(High)
            .summary(format!("the AppArmor profile {} denies {what}", confined.profile()?))
            .pro(evidence::profile(case).so()),
    })
}

type Name = &'static str;

const fn allow(target: Name, class: Name, permissions: &'static [Name]) -> SelinuxRule {
    SelinuxRule { target, class, permissions }
}

// what bwrap does that SELinux has a permission for
pub(super) const CREATE_USERNS: SelinuxRule = allow("self", "user_namespace", &["create"]);
pub(super) const NET_ADMIN: SelinuxRule = allow("self", "cap_userns", &["net_admin"]);
pub(super) const NETLINK: SelinuxRule = allow("self", "netlink_route_socket", NETLINK_CALLS);
const NETLINK_CALLS: &[Name] = &["create", "bind", "getattr", "read", "write", "nlmsg_read", "nlmsg_write"];
pub(super) const MOUNT_ON_ROOT: SelinuxRule = allow("root_t", "dir", &["mounton"]);
pub(super) const MOUNT_TMPFS: SelinuxRule = allow("tmpfs_t", "filesystem", &["mount"]);
pub(super) const MOUNT_PROC: SelinuxRule = allow("proc_t", "filesystem", &["mount"]);
pub(super) const MOUNT_DEVPTS: SelinuxRule = allow("devpts_t", "filesystem", &["mount"]);

/// Whether the policy has not this rule: before a launch, as the policy of containers has it.
pub(super) fn selinux_denies(case: &Case<'_>, rule: &SelinuxRule) -> Option<Judgement> {
    let found = |confidence| {
        let refuted = "`getenforce` says Permissive, or `ausearch -m avc -c bwrap`, as root, shows no denial";
        weigh(confidence).refuted_by(refuted)
    };
    let security = &case.host.security;
    let (confidence, domain) = match (case.selinux(), case.failed()) {
        (Selinux::Container(domain) | Selinux::Other(domain), true) => (High, domain),
        (Selinux::Container(domain), _) if security.selinux_enforcing.is(&true) => (High, domain),
        (Selinux::Container(domain), _) => (Medium, domain),
        // its siblings are as confined, mostly
        (Selinux::Other(domain), _) if domain.starts_with("container_") => (Medium, domain),
        (Selinux::Free(domain), true) => {
            let seen =
                format!("the domain {domain} may do that in the usual policies (/proc/self/attr/current)");
            return Some(found(Low).seen_against(&security.label, seen));
        }
        (Selinux::Unknown, true) => {
            return Some(found(Medium).unknown("our SELinux context: /proc/self/attr/current"));
        }
        (Selinux::Absent, _) | (_, false) => return None,
    };
    let SelinuxRule { target, class, permissions } = rule;
    let what = format!("{target}:{class} {}", permissions.join(" "));
    found(confidence)
        .summary(format!("SELinux denies {what} to the domain {domain}"))
        .pro(evidence::domain(case).so())
        .if_so(evidence::enforcing(case))
        .into()
}

/// How sure it is that a Landlock domain confines us, by what it leaves visible: a file that is ours and may not be
/// written to.
pub(super) fn landlocked(case: &Case<'_>) -> Option<Confidence> {
    let Fact::Unreadable(why) = &case.host.user_namespace.uid_map_writable else { return None };
    if why != "Permission denied" || knows_landlock(case) == Some(false) || ids_differ(case) {
        return None;
    }
    // they could deny the same
    if case.apparmor().profile().is_some() || case.selinux().domain().is_some() {
        return Some(Low);
    }
    // whoever confines himself needs no_new_privs, and a launcher that is not dumpable sees the same; root never does
    let certain = case.host.process.no_new_privs.is(&true) || case.root() == Some(true);
    Some(if certain { High } else { Medium })
}

/// Whether Landlock is among the kernel's active modules; `None` where that is hidden.
pub(super) fn knows_landlock(case: &Case<'_>) -> Option<bool> {
    case.host.security.modules.present().map(|modules| modules.iter().any(|module| module == "landlock"))
}

/// Whether a set-id program started us, or something that acts like one.
pub(super) fn ids_differ(case: &Case<'_>) -> bool {
    let process = &case.host.process;
    differing(&process.uid, &process.real_uid).or(differing(&process.gid, &process.real_gid)).is_some()
}

/// An effective and a real id, if they are not the same.
pub(super) fn differing(effective: &Fact<u32>, real: &Fact<u32>) -> Option<(u32, u32)> {
    let (effective, real) = (*effective.present()?, *real.present()?);
    (effective != real).then_some((effective, real))
}

/// A profile that allows it in place of the one that confines us, or rules to add to that.
pub(super) fn permit_in_profile(case: &Case<'_>) -> Vec<Remedy> {
    match (case.apparmor(), Setting::of(case)) {
        (AppArmor::Restriction(_), _) => leave_restriction(case),
        (AppArmor::Ours(_), _) => reload_container_profile(case),
        (AppArmor::Lxc(_), _) | (_, Setting::Lxc) => allow_nesting(case),
        _ => confine_container(case),
    }
}
