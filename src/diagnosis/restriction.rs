//! Ubuntu's restriction: a user namespace of an unconfined program gets a profile that denies it every capability.

use crate::diagnosis::case::Case;
use crate::diagnosis::confinement::{AppArmor, Selinux};
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::setting::Setting;
use crate::diagnosis::weigh::{Judgement, weigh};
use crate::diagnosis::wish::{bwrap_path, leave_restriction, permit_bwrap, present_profile};
use crate::diagnosis::{Remedy, evidence};
use crate::host::{Fact, profile_files};
use crate::sandbox::Capability;

const SWITCH: &str = "kernel.apparmor_restrict_unprivileged_userns";

/// Whether new user namespaces lose their capabilities. That shows at the first step that needs one:
/// the loopback device of a new network namespace, or else the id maps.
pub(super) fn strips_capabilities(case: &Case<'_>) -> Option<Judgement> {
    if case.user_namespace() == Some(false) {
        return None;
    }
    let judgement = |confidence| {
        let refuted = format!(
            "`sysctl {SWITCH}` says 0, or a profile that attaches to this bwrap is loaded (`aa-status`, as root)"
        );
        weigh(confidence).refuted_by(refuted)
    };
    let apparmor = AppArmor::of(case);
    if let AppArmor::Restriction(profile) = apparmor {
        let refuted = "`cat /proc/self/attr/current` where bwrap is started names another profile";
        return Some(weigh(High).refuted_by(refuted).seen(&case.host.security.label, format!(
            "the profile {profile}, in which Ubuntu's restriction puts user namespaces, confines this process \
             (/proc/self/attr/current)"
        )));
    }
    if let AppArmor::Free(profile) = apparmor {
        // whoever has a profile is not unconfined, and that is all that the restriction asks
        let found = judgement(Low)
            .seen_against(
                &case.host.security.label,
                format!("the profile {profile} exempts from the restriction (/proc/self/attr/current)"),
            )
            .unknown("whether another profile attaches to bwrap itself: `aa-status`, as root");
        return case.failed().then_some(found);
    }
    if let Some(profile) = apparmor.profile() {
        // the defaults of container engines allow all capabilities, and so does our own profile
        let permits = matches!(apparmor, AppArmor::Engine(_) | AppArmor::Ours(_));
        let confidence = if permits { Low } else { Medium };
        let found = judgement(confidence)
            .seen(
                &case.host.security.label,
                format!("the AppArmor profile {profile} confines this process (/proc/self/attr/current)"),
            )
            .unknown(format!(
                "which capabilities the profile {profile} allows: its file below /etc/apparmor.d"
            ));
        return case.failed().then_some(found);
    }
    if case.host.security.apparmor_enabled.is(&false) || Selinux::of(case).domain().is_some() {
        return None;
    }
    let seen =
        |confidence| judgement(confidence).seen(case.host.sysctl(SWITCH), format!("{SWITCH} is on (sysctl)"));
    match case.host.sysctl(SWITCH) {
        Fact::Present(value) if value != "0" => match (case.failed(), case.has(Capability::CAP_SYS_ADMIN)) {
            (true, Some(true)) => Some(seen(Low).seen_against(
                &case.host.process.effective,
                "the process has CAP_SYS_ADMIN, which exempts it",
            )),
            (false, Some(true)) => None,
            _ if apparmor == AppArmor::Unknown => {
                Some(seen(Medium).unknown("our AppArmor profile: /proc/self/attr/current"))
            }
            (true, _) => {
                let found = seen(High).pro(evidence::profile(case).otherwise());
                Some(match present_profile(case) {
                    Some(file) => found.unknown(format!(
                        "whether {}, which is there, is loaded: `aa-status`, as root; a link to it in \
                         /etc/apparmor.d/disable prevents that",
                        file.display()
                    )),
                    None => found,
                })
            }
            (false, None) => {
                Some(seen(Medium).unknown("whether the process has CAP_SYS_ADMIN, which exempts it"))
            }
            (false, Some(false)) => match exempts_bwrap(case) {
                Some(true) => None,
                Some(false) => {
                    Some(seen(High).pro(evidence::profile(case).otherwise()).pro(evidence::no_profile(case)))
                }
                None => Some(
                    seen(Medium)
                        .pro(evidence::profile(case).otherwise())
                        .unknown("whether a profile attaches to bwrap itself: `aa-status`, as root"),
                ),
            },
        },
        _ if !case.failed() || apparmor == AppArmor::Absent => None,
        Fact::Unknown | Fact::Unreadable(_) => Some(judgement(Medium).unknown(format!("{SWITCH} (sysctl)"))),
        _ => Some(
            judgement(Low)
                .seen_against(case.host.sysctl(SWITCH), format!("{SWITCH} is off (sysctl)"))
                .unknown("whether a profile attaches to bwrap itself: `aa-status`, as root"),
        ),
    }
}

/// Whether a profile on this machine is there for bwrap. In a container that is the host's business, and not visible.
fn exempts_bwrap(case: &Case<'_>) -> Option<bool> {
    if !matches!(Setting::of(case), Setting::Machine | Setting::Unit) {
        return None;
    }
    if present_profile(case).is_some() {
        return Some(true);
    }
    let absent = |file| case.host.files.get(&file).is_some_and(Fact::is_absent);
    profile_files(bwrap_path(case)).into_iter().all(absent).then_some(false)
}

/// A profile for bwrap, or for the container; the switch for all programs only after that.
pub(super) fn lift_restriction(case: &Case<'_>) -> Vec<Remedy> {
    let switch = case.host.sysctl(SWITCH);
    if case.host.security.is_restriction() {
        return leave_restriction(case);
    }
    if AppArmor::of(case).profile().is_some() || switch.is("0") || switch.is_absent() {
        return crate::diagnosis::confinement::permit_in_profile(case);
    }
    permit_bwrap(case)
}
