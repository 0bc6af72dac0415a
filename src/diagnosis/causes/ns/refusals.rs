//! New namespaces that a security module denies (EACCES) or that the kernel does not have (ENOSYS, EINVAL).

use crate::diagnosis::calls::denied;
use crate::diagnosis::case::Case;
use crate::diagnosis::causes::ns::{CREATING, NO_PERMISSIONS};
use crate::diagnosis::facts::user_namespace;
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::setting::Setting;
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::{Calls, Wish, beside, leave_restriction, permit_bwrap};
use crate::diagnosis::{Remedy, SelinuxRule, evidence};
use crate::host::{Fact, Platform};

rules! {
    SelinuxDeniesUserNamespaces, Anytime, [CREATING => (EACCES), "unshare user ns" => (EACCES)],
        unless "`ausearch -m avc -c bwrap` on the machine shows no denial of user_namespace { create }"
        => selinux, |case| {
            const CREATE: SelinuxRule =
                SelinuxRule { target: "self", class: "user_namespace", permissions: &["create"] };
            Wish::Selinux(&[CREATE]).grant(case)
        };

    AppArmorDeniesUserNamespaces, Anytime, [
        CREATING => (EACCES), "unshare user ns" => (EACCES), NO_PERMISSIONS => (EPERM),
    ],
        unless "`journalctl -k | grep userns_create` on the machine shows no line with DENIED"
        => apparmor, permit_in_apparmor;

    NamespacesNotImplemented, Failed, [
        CREATING => (ENOSYS EINVAL EACCES EOPNOTSUPP), NO_KERNEL_SUPPORT, CGROUP[0], CGROUP[1],
    ]
        => not_implemented, implement;

    KernelWithoutUserNamespaces, Anytime, [
        NO_KERNEL_SUPPORT, CREATING => (EINVAL),
    ],
        unless "`unshare --user true` succeeds, as root if not as this user, or /proc/self/ns/user exists"
        => no_user_namespaces, other_kernel;
}

/// What bwrap makes of EINVAL.
const NO_KERNEL_SUPPORT: &str =
    "Creating new namespace failed, likely because the kernel does not support user namespaces.%s";

/// Control group namespaces came with Linux 4.6.
const CGROUP: [&str; 2] = [
    "Cannot create new cgroup namespace because the kernel does not support it",
    "stat on /proc/self/ns/cgroup failed",
];

/// Since Linux 6.1 security modules are asked before a user namespace is made.
const ASKED_SINCE: (u32, u32) = (6, 1);

fn selinux(case: &Case<'_>) -> Option<Judgement> {
    // what the policy permits cannot be read
    if !case.failed() {
        return None;
    }
    let security = &case.host.security;
    let Some(context) = security.selinux() else {
        let unknown = !matches!(security.label, Fact::Absent | Fact::Present(_));
        return unknown.then(|| weigh(Low).unknown("our label: /proc/self/attr/current"));
    };
    if security.selinux_enforcing.is(&false) {
        return None;
    }
    let enforcing = security.selinux_enforcing.is(&true);
    let confidence = match enforcing {
        _ if context.domain.starts_with("unconfined") => Low,
        true => High,
        false => Medium,
    };
    let mut judgement = weigh(confidence)
        .summary(format!("SELinux denies new user namespaces to the domain {}", context.domain))
        .pro(evidence::domain(case).so());
    judgement = if enforcing {
        judgement.pro(evidence::enforcing(case).so())
    } else {
        judgement.unknown("whether SELinux enforces its policy: `getenforce` on the machine")
    };
    if case.kernel().is_some_and(|version| version < ASKED_SINCE) {
        judgement = judgement.contra(evidence::seen(
            &case.host.kernel.release,
            "Linux asks SELinux about this since 6.1 only, unless it was backported",
        ));
    }
    Some(judgement)
}

fn apparmor(case: &Case<'_>) -> Option<Judgement> {
    // whether the profile has a rule for it cannot be read
    if !case.failed() {
        return None;
    }
    let security = &case.host.security;
    let restricted = case.host.sysctl("kernel.apparmor_restrict_unprivileged_userns");
    match security.apparmor() {
        Some("unconfined") if restricted.is("1") => Some(
            weigh(High)
                .summary(
                    "AppArmor denies new user namespaces to unconfined programs, whose profile \
                 unprivileged_userns is not loaded",
                )
                .pro(evidence::parameter(case, "kernel.apparmor_restrict_unprivileged_userns"))
                .pro(evidence::profile(case).otherwise()),
        ),
        Some("unconfined") if restricted.present().is_some() || restricted.is_absent() => None,
        Some("unconfined") => Some(weigh(Medium).pro(evidence::profile(case).otherwise()).unknown(
            "the value of kernel.apparmor_restrict_unprivileged_userns: `sysctl` on the \
                 machine",
        )),
        // the profile lets the namespace be made, and denies the capability that making the others takes
        Some(profile) if security.is_apparmor_enforcing() && case.errno() == Some(libc::EPERM) => {
            let confidence = if case.filtered() == Some(false) { Medium } else { Low };
            Some(
                weigh(confidence)
                    .summary(format!(
                        "the AppArmor profile {profile} denies capabilities in new user namespaces"
                    ))
                    .pro(evidence::profile(case).so()),
            )
        }
        _ if case.errno() == Some(libc::EPERM) => None,
        Some(profile) if security.is_apparmor_enforcing() => Some(
            weigh(High)
                .summary(format!("the AppArmor profile {profile} has no rule that permits user namespaces"))
                .pro(evidence::profile(case).so()),
        ),
        Some(_) => None,
        None if security.selinux().is_some() || security.label.is_absent() => None,
        None => {
            let confidence = if restricted.is("1") { Medium } else { Low };
            Some(weigh(confidence).unknown("our AppArmor profile: /proc/self/attr/current"))
        }
    }
}

fn permit_in_apparmor(case: &Case<'_>) -> Vec<Remedy> {
    let security = &case.host.security;
    match security.apparmor() {
        _ if security.is_restriction() => leave_restriction(case),
        Some(_) if security.is_apparmor_enforcing() => {
            let opens = "what the profile confines can make user namespaces";
            let ours = !Setting::of(case).is_container();
            let beside = ours.then(|| beside(case)).flatten();
            Wish::AppArmorRule("userns,", opens).grant(case).into_iter().chain(beside).collect()
        }
        _ => {
            let mut remedies = permit_bwrap(case);
            remedies.push(told!("load-unprivileged-userns"));
            remedies
        }
    }
}

/// Whether bwrap missed the namespaces of control groups.
fn about_cgroups(case: &Case<'_>) -> bool {
    let pattern = case.symptom.and_then(|symptom| symptom.message()?.pattern());
    pattern.is_some_and(|pattern| CGROUP.contains(&pattern))
}

fn not_implemented(case: &Case<'_>) -> Option<Judgement> {
    if about_cgroups(case) {
        return Some(
            weigh(High)
                .refuted_by("`ls /proc/self/ns/cgroup` where bwrap is started shows it")
                .summary("the kernel has no namespaces of control groups, which Linux has since 4.6")
                .pro(evidence::heard(case, "bwrap found no /proc/self/ns/cgroup")),
        );
    }
    let judgement = |confidence| {
        weigh(confidence)
            .refuted_by("`unshare --user --mount true` in the same place does not fail with the same error")
            .if_so(evidence::filter(case))
    };
    if case.errno() != Some(libc::ENOSYS) {
        return denied(case)
            .map(|found| found.summary("a system call filter refuses to make the namespaces"));
    }
    Some(match (case.filtered(), case.emulated()) {
        (Some(true), _) => {
            judgement(High).summary("a system call filter answers that new namespaces do not exist")
        }
        (_, Some(platform)) => judgement(High)
            .summary(format!("the kernel of {platform} does not have these namespaces"))
            .pro(evidence::seen(&case.host.platforms, format!("the kernel is that of {platform}"))),
        (Some(false), None) => {
            judgement(Medium).unknown("how the kernel was built: CONFIG_NAMESPACES in its configuration")
        }
        (None, None) => judgement(Medium),
    })
}

fn implement(case: &Case<'_>) -> Vec<Remedy> {
    if about_cgroups(case) {
        return vec![told!("cgroup-namespace-try")];
    }
    if case.filtered() == Some(false) && case.emulated().is_some() {
        return other_kernel(case);
    }
    Wish::Calls(Calls::Sandboxing).grant(case)
}

fn no_user_namespaces(case: &Case<'_>) -> Option<Judgement> {
    let makes = user_namespace(case);
    if makes == Some(false) && !case.failed() {
        return None;
    }
    let namespace = &case.host.user_namespace;
    let wsl = case.sighting(Platform::Wsl1);
    let sure = if case.failed() || makes == Some(true) { High } else { Medium };
    if let Some(wsl) = wsl {
        let judgement = weigh(sure).pro(evidence::sighted(wsl));
        return Some(judgement.summary("WSL 1 has no Linux kernel, and no user namespaces"));
    }
    if namespace.exists.is(&false) {
        return Some(weigh(sure).pro(evidence::seen(
            &case.host.user_namespace.exists,
            "/proc/self/ns/user does not exist, and /proc/self/ns does",
        )));
    }
    if !case.failed() {
        return None;
    }
    let old = case.kernel().filter(|version| *version < (4, 0));
    Some(match (namespace.exists.present(), old) {
        (Some(true), Some((major, minor))) => weigh(Medium).pro(evidence::seen(
            &case.host.kernel.release,
            format!(
                "the kernel is {major}.{minor}, where user namespaces may have to be switched on \
             (user_namespace.enable=1)"
            ),
        )),
        (Some(true), None) => weigh(Low)
            .contra(evidence::seen(
                &case.host.user_namespace.exists,
                "/proc/self/ns/user exists, so the kernel has user namespaces",
            ))
            .unknown("whether it lacks one of the other namespaces: `ls /proc/self/ns`"),
        _ => weigh(High).unknown("whether /proc/self/ns/user exists"),
    })
}

fn other_kernel(case: &Case<'_>) -> Vec<Remedy> {
    if case.on(Platform::Wsl1) {
        return vec![told!("convert-to-wsl-2")];
    }
    if case.kernel().is_some_and(|version| version == (3, 10)) {
        return vec![told!("switch-on-el7")];
    }
    vec![told!("config-user-ns")]
}

#[cfg(test)]
mod tests;
