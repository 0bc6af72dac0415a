//! The second user namespace, and the lock against further ones.

use crate::diagnosis::calls::{ANSWERS, denied as denied_call};
use crate::diagnosis::case::Case;
use crate::diagnosis::causes::ns::limits::{LEAST, SMALL, raise_outside};
use crate::diagnosis::facts::{OPENS, mount_of, number, user_namespace};
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::{Calls, Wish, raise};
use crate::diagnosis::{Remedy, SandboxChange, evidence};
use std::path::Path;

use crate::host::{Fact, Mount, Platform};

const OPEN: &str = "cannot open /proc/sys/user/max_user_namespaces";
const WRITE: &str = "sysctl user.max_user_namespaces = 1";

rules! {
    SecondUserNamespaceLimit, Anytime, ["unshare user ns" => (ENOSPC)],
        unless "`unshare --user unshare --user true` succeeds where bwrap is started"
        => second_limit, |case| {
            // far from its own limit it is one further up that is reached
            let inner = case.host.user_namespace.is_initial() != Some(true);
            let roomy = number(case, "user.max_user_namespaces").is_some_and(|limit| limit >= SMALL);
            let mut remedies = if inner && roomy {
                vec![raise_outside()]
            } else {
                raise(case, "user.max_user_namespaces", LEAST, OPENS)
            };
            remedies.extend(do_with_one(case));
            remedies
        };

    SeccompDeniesUnshare, Failed, ["unshare user ns" => ANSWERS],
        unless "`unshare --user true` succeeds where bwrap is started"
        => unshare_denied, |case| [Wish::Calls(Calls::Sandboxing).grant(case), do_with_one(case)].concat();

    DisableUsernsReadOnly, Anytime, [OPEN => (EROFS), WRITE => (EROFS)],
        unless "`grep ' /proc' /proc/self/mountinfo` shows no mount with ro that holds /proc/sys/user"
        => read_only, |case| {
            let mount = limit_mount(case).map_or(Path::new("/proc/sys"), |mount| &mount.point);
            or_allow(Wish::WritableSettings(mount).grant(case))
        };

    DisableUsernsDenied, Anytime, [OPEN => (EACCES EPERM), WRITE => (EACCES EPERM)],
        unless "`journalctl -k | grep apparmor` on the machine shows no denial for /proc/sys/user"
        => denied, |case| {
            let opens = "what the profile confines can set its own limit on user namespaces";
            or_allow(Wish::AppArmorRule("/proc/sys/user/max_user_namespaces rw,", opens).grant(case))
        };

    UserNamespacesStillAllowed, Anytime, ["creation of new user namespaces was not disabled as requested"],
        unless "`unshare --user true` fails inside the same sandbox without the assertion"
        => still_allowed, |_| vec![told!("disable-userns"), Remedy::change(SandboxChange::AllowUserNamespaces)];
}

/// Or leave user namespaces possible inside.
fn or_allow(mut remedies: Vec<Remedy>) -> Vec<Remedy> {
    remedies.push(Remedy::change(SandboxChange::AllowUserNamespaces));
    remedies
}

/// Changes of the sandbox with which one user namespace is enough.
fn do_with_one(case: &Case<'_>) -> Vec<Remedy> {
    let Some(plan) = &case.plan else { return Vec::new() };
    let mut remedies = Vec::new();
    if plan.disable_userns {
        remedies.push(Remedy::change(SandboxChange::AllowUserNamespaces));
    }
    // each of the two asks for a second one
    if let Some(operation) = plan.dev.filter(|_| !plan.disable_userns) {
        remedies.push(Remedy::change(SandboxChange::BindDev { operation }));
    }
    remedies
}

/// Why the sandbox needs two.
fn reason(case: &Case<'_>) -> &'static str {
    match &case.plan {
        Some(plan) if plan.disable_userns => {
            "the sandbox disables user namespaces, for which bwrap makes a second one"
        }
        Some(_) => {
            "the sandbox has a /dev of its own and another user than root, for which bwrap makes a second \
             user namespace"
        }
        None => "",
    }
}

fn second_limit(case: &Case<'_>) -> Option<Judgement> {
    const NAME: &str = "user.max_user_namespaces";
    let judgement = |confidence| weigh(confidence).pro(evidence::asked(case, reason(case)));
    let value = number(case, NAME);
    if !case.failed() {
        let second = case.plan.as_ref().is_some_and(|plan| plan.second_user_namespace);
        if !second || value != Some(1) {
            return None;
        }
        let sure = user_namespace(case) == Some(true);
        let confidence = if sure { High } else { Medium };
        return Some(judgement(confidence).pro(evidence::parameter(case, NAME)));
    }
    Some(match value {
        Some(1) => judgement(High).pro(evidence::parameter(case, NAME)),
        Some(value) => judgement(Medium)
            .summary(format!(
                "no second user namespace is allowed: {NAME}={value} is reached here, or a limit further up"
            ))
            .pro(evidence::heard(case, "the first user namespace was made, the second was not (ENOSPC)"))
            .contra(evidence::parameter(case, NAME))
            .unknown("the limits of the namespaces above us, which cannot be read from here"),
        None => judgement(Medium)
            .pro(evidence::heard(case, "the first user namespace was made, the second was not (ENOSPC)"))
            .unknown(format!("the value of {NAME}: `sysctl {NAME}`")),
    })
}

/// The first one was made with clone, which the filter lets pass.
fn unshare_denied(case: &Case<'_>) -> Option<Judgement> {
    Some(
        denied_call(case)?
            .summary("the system call filter lets clone make a user namespace, but not unshare, which bwrap needs for the second")
            .pro(evidence::asked(case, reason(case))),
    )
}

/// The mount through which bwrap writes the limit: that of the outer `/proc`.
fn limit_mount<'a>(case: &Case<'a>) -> Option<&'a Mount> {
    mount_of(case.host.mounts.present()?, Path::new("/proc/sys/user/max_user_namespaces"))
}

/// Whether the sandbox writes the limit; it cannot be asked for without a user namespace.
fn disables(case: &Case<'_>) -> bool {
    case.plan.as_ref().is_some_and(|plan| plan.disable_userns && plan.user_namespace)
}

fn read_only(case: &Case<'_>) -> Option<Judgement> {
    let locked = limit_mount(case).filter(|mount| mount.is_read_only());
    match locked {
        Some(mount) if case.failed() || disables(case) => {
            let point = mount.point.display();
            Some(
                weigh(High)
                    .summary(format!(
                        "{point} is read-only, and to disable user namespaces bwrap writes to \
                         /proc/sys/user/max_user_namespaces"
                    ))
                    .pro(evidence::seen(
                        &case.host.mounts,
                        format!("{point} is mounted with ro (/proc/self/mountinfo)"),
                    )),
            )
        }
        _ if !case.failed() => None,
        _ if limit_mount(case).is_some() => Some(
            weigh(Medium)
                .pro(evidence::heard(case, "the kernel answered that it is read-only (EROFS)"))
                .contra(evidence::seen(
                    &case.host.mounts,
                    "the mount is writable now (/proc/self/mountinfo)",
                )),
        ),
        // it says so itself
        _ => Some(weigh(High).pro(evidence::heard(case, "the kernel answered that it is read-only (EROFS)"))),
    }
}

fn denied(case: &Case<'_>) -> Option<Judgement> {
    let security = &case.host.security;
    let profile = security.apparmor().filter(|_| security.is_apparmor_enforcing());
    if !case.failed() {
        let profile = profile.filter(|_| disables(case))?;
        return Some(
            weigh(Medium)
                .summary(format!(
                    "the AppArmor profile {profile} may forbid writing to /proc/sys/user, as disabling \
                     user namespaces needs"
                ))
                .pro(evidence::profile(case).so()),
        );
    }
    let labels = [&security.label, &security.apparmor_label];
    let unseen = labels.iter().all(|label| !matches!(label, Fact::Absent | Fact::Present(_)));
    Some(match profile {
        Some(profile) => weigh(High)
            .summary(format!(
                "the AppArmor profile {profile} forbids writing to /proc/sys/user/max_user_namespaces"
            ))
            .pro(evidence::profile(case).so()),
        None if unseen => weigh(Medium).unknown("our AppArmor profile: /proc/self/attr/current"),
        None => weigh(Low)
            .summary("something forbids writing to /proc/sys/user/max_user_namespaces")
            .contra(evidence::seen(
                &case.host.security.label,
                "no AppArmor profile that denies confines us (/proc/self/attr/current)",
            ))
            .unknown("whether SELinux or a Landlock domain denies it"),
    })
}

/// bwrap tries to make one more; any failure satisfies it.
fn still_allowed(case: &Case<'_>) -> Option<Judgement> {
    if case.failed() {
        let disabled = case.plan.as_ref().map(|plan| plan.disable_userns);
        return Some(match disabled {
            Some(false) => weigh(High)
                .summary("the sandbox asserts that user namespaces are disabled, and does not disable them")
                .pro(evidence::heard(
                    case,
                    "one more user namespace could be made inside: nothing disables them",
                )),
            _ => weigh(High)
                .pro(evidence::heard(case, "bwrap tried to make one more user namespace inside, and could")),
        });
    }
    let privileges = &case.sandbox?.privileges;
    let host = case.host;
    let joins = case.sandbox.is_some_and(|sandbox| sandbox.namespaces.joined().next().is_some());
    if !privileges.assert_userns_disabled || privileges.disable_userns || joins {
        return None;
    }
    // whatever stops bwrap's own attempt would do for the assertion
    let free = host.user_namespace.is_initial() == Some(true)
        && host.user_namespace.exists.is(&true)
        && number(case, "user.max_user_namespaces").is_some_and(|limit| limit >= 256)
        && !host.sysctl("kernel.unprivileged_userns_clone").is("0")
        && host.sysctl("kernel.apparmor_restrict_unprivileged_userns").is_absent()
        && case.filtered() == Some(false)
        && host.security.label.is_absent()
        && host.security.apparmor_label.is_absent()
        && !case.on(Platform::GVisor);
    let confidence = if free { High } else { Medium };
    let judgement = weigh(confidence)
        .summary("the sandbox asserts that user namespaces are disabled, and does not disable them")
        .pro(evidence::asked(case, "the sandbox has assert_userns_disabled, but not disable_userns"));
    Some(if free {
        judgement
    } else {
        judgement.unknown("whether the host denies one more user namespace inside, which would do")
    })
}

#[cfg(test)]
mod tests;
