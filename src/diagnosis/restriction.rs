//! Ubuntu's restriction: a user namespace of an unconfined program gets a profile that denies it every capability.

use super::confinement::permit_in_profile;
use super::prelude::*;
use super::wish::{leave_restriction, permit_bwrap, present_profile};
use crate::host::AppArmor;

pub(super) const SWITCH: &str = "kernel.apparmor_restrict_unprivileged_userns";
const REFUTATION: &str = "`sysctl kernel.apparmor_restrict_unprivileged_userns` says 0, or a profile that attaches to this bwrap \
                          is loaded (`aa-status`, as root)";

/// Whether new user namespaces lose their capabilities. That shows at the first step that needs one:
/// the loopback device of a new network namespace, or else the id maps.
pub(super) fn strips_capabilities(case: &Case<'_>) -> Option<Judgement> {
    rule_out(case.user_namespace() == Some(false))?;
    let (security, switch, apparmor) = (&case.host.security, case.host.sysctl(SWITCH), case.apparmor());
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
    let attached = "whether a profile attaches to bwrap itself: `aa-status`, as root";
    if switch.present().is_none_or(|value| value == "0") {
        rule_out(!case.failed() || apparmor == AppArmor::Absent)?;
        return Some(match switch {
            Fact::Unknown | Fact::Unreadable(_) => found(Medium).unknown(format!("{SWITCH} (sysctl)")),
            _ => found(Low).seen_against(switch, format!("{SWITCH} is off (sysctl)")).unknown(attached),
        });
    }
    let on = |confidence| found(confidence).seen(switch, format!("{SWITCH} is on (sysctl)"));
    let unconfined = || evidence::profile(case).otherwise();
    Some(match (case.failed(), case.has(Capability::CAP_SYS_ADMIN)) {
        (true, Some(true)) => on(Low).seen_against(
            &case.host.process.effective,
            "the process has CAP_SYS_ADMIN, which exempts it",
        ),
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
        (false, None) => on(Medium).unknown("whether the process has CAP_SYS_ADMIN, which exempts it"),
        // in a container profiles are the host's business, and not visible
        (false, Some(false)) => {
            let visible = matches!(Setting::of(case), Setting::Machine | Setting::Unit);
            rule_out(visible && present_profile(case).is_some())?;
            match evidence::no_profile(case).filter(|_| visible) {
                Some(none) => on(High).pro(unconfined()).pro(none),
                None => on(Medium).pro(unconfined()).unknown(attached),
            }
        }
    })
}

/// A profile for bwrap, or for the container; the switch for all programs only after that.
pub(super) fn lift_restriction(case: &Case<'_>) -> Vec<Remedy> {
    let switch = case.host.sysctl(SWITCH);
    if case.host.security.is_restriction() {
        return leave_restriction(case);
    }
    if case.apparmor().profile().is_some() || switch.is("0") || switch.is_absent() {
        return permit_in_profile(case);
    }
    permit_bwrap(case)
}
