//! What confines this process: a profile, a domain, Landlock rules, Ubuntu's restriction of user namespaces.

use super::prelude::*;
use crate::diagnosis::evidence::Seen;
use crate::diagnosis::hint::Hint;
use crate::diagnosis::launcher::Launcher;
use crate::diagnosis::remedy::told;
use crate::diagnosis::wish::{
    RESTRICTION, allow_nesting, confine_container, leave_restriction, permit_bwrap, present_profile,
    reload_container_profile,
};
use crate::diagnosis::{Action, SelinuxRule};
use crate::host::{AppArmor, Platform, Selinux};

const ATTACHED: &str = "whether a profile attaches to bwrap itself: `aa-status`, as root";

/// Whether a profile explains that `what` was answered with "Permission denied".
pub(super) fn apparmor_denies(case: &Case<'_>, what: &str) -> Option<Judgement> {
    // the kernel log would not tell: a plain deny rule writes nothing there
    let found = |confidence| weigh(confidence).refuted_by("the same sandbox starts under another profile");
    let label = &case.host.security.label;

    Some(match case.apparmor() {
        AppArmor::Absent => return None,
        AppArmor::Ours(_) if !case.failed() => return None,
        AppArmor::Ours(profile) => found(Low)
            .summary(format!("the AppArmor profile {profile} that is loaded may deny {what}"))
            .seen_against(label, format!("the profile {profile}, as our remedies write it, permits {what}"))
            .unknown(format!("whether the profile {profile} that is loaded is that one")),
        AppArmor::Unconfined => found(Low).contra(evidence::profile(case).otherwise()).unknown(ATTACHED),
        AppArmor::Free(profile) => {
            let denies = "of this process denies nothing (/proc/self/attr/current)";
            found(Low).seen_against(label, format!("the profile {profile} {denies}")).unknown(ATTACHED)
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

/// Whether a Landlock domain confines us, by what it leaves visible: a file that is ours and may not be written to.
pub(super) fn landlocked(case: &Case<'_>) -> Option<Judgement> {
    let map = &case.host.user_namespace.uid_map_writable;
    let Fact::Unreadable(why) = map else { return None };
    rule_out(why != "Permission denied" || knows_landlock(case) == Some(false) || ids_differ(case))?;
    // whoever confines himself needs no_new_privs, and a launcher that is not dumpable sees the same; root never does
    let certain = case.host.process.no_new_privs.is(&true) || case.root() == Some(true);
    let confidence = match (case.is_confined(), certain) {
        // that could deny the same
        (true, _) => Low,
        (false, true) => High,
        (false, false) => Medium,
    };
    let seen = "/proc/self/uid_map is ours and cannot be opened for writing: Permission denied";
    Some(weigh(confidence).seen(map, seen))
}

/// Whether Landlock is among the kernel's active modules; `None` where that is hidden.
pub(super) fn knows_landlock(case: &Case<'_>) -> Option<bool> {
    case.host.security.modules.present().map(|modules| modules.iter().any(|module| module == "landlock"))
}

/// What a text tells of a Landlock domain around bwrap.
pub(super) fn told_domain(case: &Case<'_>) -> Option<Seen> {
    evidence::told(case, case.hinted(Hint::LandlockDomain).then_some("it runs in a Landlock domain"))
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
        // it is snapd that writes that profile
        (AppArmor::Unknown | AppArmor::Other(_), _) if case.on(Platform::Snap) => {
            vec![told!(NS06, "instead-of-snap")]
        }
        (AppArmor::Restriction(_), _) => leave_restriction(case),
        (AppArmor::Ours(_), _) => reload_container_profile(case),
        (AppArmor::Lxc(_), _) | (_, Setting::Lxc) => allow_nesting(case),
        _ => confine_container(case),
    }
}

// Ubuntu's restriction: a user namespace of an unconfined program gets a profile that denies it every capability.

const REFUTATION: &str = "`sysctl kernel.apparmor_restrict_unprivileged_userns` says 0, or a profile that attaches to this bwrap \
                          is loaded (`aa-status`, as root)";

/// Whether new user namespaces lose their capabilities. That shows at the first step that needs one:
/// the loopback device of a new network namespace, or else the id maps.
pub(super) fn strips_capabilities(case: &Case<'_>) -> Option<Judgement> {
    rule_out(case.user_namespace() == Some(false))?;
    let (security, switch, apparmor) = (&case.host.security, case.host.sysctl(RESTRICTION), case.apparmor());
    let found = |confidence| weigh(confidence).refuted_by(REFUTATION);
    if let AppArmor::Restriction(profile) = apparmor {
        let refuted = "`cat /proc/self/attr/current` where bwrap is started names another profile";
        let seen = format!(
            "the profile {profile}, in which Ubuntu's restriction puts user namespaces, confines this process \
             (/proc/self/attr/current)"
        );
        return Some(weigh(High).refuted_by(refuted).seen(&security.label, seen));
    }
    if let AppArmor::Free(profile) = apparmor {
        rule_out(!case.failed())?;
        // whoever has a profile is not unconfined, and that is all that the restriction asks
        let seen = format!("the profile {profile} exempts from the restriction (/proc/self/attr/current)");
        let another = "whether another profile attaches to bwrap itself: `aa-status`, as root";
        return Some(found(Low).seen_against(&security.label, seen).unknown(another));
    }
    if let Some(profile) = apparmor.profile() {
        rule_out(!case.failed())?;
        // the defaults of container engines allow all capabilities, and so does our own profile
        let permits = matches!(apparmor, AppArmor::Engine(_) | AppArmor::Ours(_));
        let seen = format!("the AppArmor profile {profile} confines this process (/proc/self/attr/current)");
        let rules =
            format!("which capabilities the profile {profile} allows: its file below /etc/apparmor.d");
        return Some(found(if permits { Low } else { Medium }).seen(&security.label, seen).unknown(rules));
    }
    rule_out(security.apparmor_enabled.is(&false) || case.selinux().domain().is_some())?;

    if switch.present().is_none_or(|value| value == "0") {
        rule_out(!case.failed() || apparmor == AppArmor::Absent)?;
        return Some(match switch {
            Fact::Unknown | Fact::Unreadable(_) => found(Medium).unknown(format!("{RESTRICTION} (sysctl)")),
            _ => found(Low).seen_against(switch, format!("{RESTRICTION} is off (sysctl)")).unknown(ATTACHED),
        });
    }
    let on = |confidence| found(confidence).seen(switch, format!("{RESTRICTION} is on (sysctl)"));
    let unconfined = || evidence::profile(case).otherwise();
    let exempt = "the process has CAP_SYS_ADMIN, which exempts it";
    Some(match (case.failed(), case.has(Capability::CAP_SYS_ADMIN)) {
        (true, Some(true)) => on(Low).seen_against(&case.host.process.effective, exempt),
        (false, Some(true)) => return None,
        _ if apparmor == AppArmor::Unknown => {
            on(Medium).unknown("our AppArmor profile: /proc/self/attr/current")
        }
        (true, _) => on(High).pro(unconfined()).unknown(present_profile(case).map(|file| {
            format!(
                "whether {}, which is there, is loaded: `aa-status`, as root; a link to it in /etc/apparmor.d/disable \
                 prevents that",
                file.display()
            )
        })),
        (false, None) => on(Medium).unknown(format!("whether {exempt}")),
        // in a container profiles are the host's business, and not visible
        (false, Some(false)) => {
            let visible = matches!(Setting::of(case), Setting::Machine | Setting::Unit);
            rule_out(visible && present_profile(case).is_some())?;
            match evidence::no_profile(case).filter(|_| visible) {
                Some(none) => on(High).pro(unconfined()).pro(none),
                None => on(Medium).pro(unconfined()).unknown(ATTACHED),
            }
        }
    })
}

/// A profile for bwrap, or for the container; the switch for all programs only after that.
pub(super) fn lift_restriction(case: &Case<'_>) -> Vec<Remedy> {
    let switch = case.host.sysctl(RESTRICTION);
    if case.host.security.is_restriction() {
        return leave_restriction(case);
    }
    let flatpak = Launcher::of(case) == Some(Launcher::Flatpak);
    let of_launcher = || told!(UM02, "profile-of-launcher", name = "flatpak");
    if case.apparmor().profile().is_some() || switch.is("0") || switch.is_absent() {
        let named = flatpak && case.apparmor() == AppArmor::Unknown;
        return Vec::new().or(named.then(of_launcher)).or(permit_in_profile(case));
    }
    let mut remedies = permit_bwrap(case);
    // upstream's profiles have one for it, and kernels of others than Ubuntu's no such restriction
    if flatpak && switch.is_unknown() {
        let at = remedies
            .iter()
            .position(|remedy| matches!(remedy.action, Action::Sysctl(_)))
            .unwrap_or(remedies.len());
        remedies.insert(at, of_launcher());
    }
    remedies
}
