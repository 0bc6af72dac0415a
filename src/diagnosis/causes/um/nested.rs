//! The second user namespace, and the lock against further ones.

use super::super::ns::limits::{LEAST, SMALL, USER};
use super::super::pr::remedies::bind_dev;
use super::super::prelude::*;
use crate::diagnosis::launcher::Launcher;
use crate::sandbox::Plan;

const OPEN: &str = "cannot open /proc/sys/user/max_user_namespaces";
const WRITE: &str = "sysctl user.max_user_namespaces = 1";

rules! {
    SecondUserNamespaceLimit, Anytime if |plan| plan.second_user_namespace, ["unshare user ns" => (ENOSPC)],
        unless "`unshare --user unshare --user true` succeeds where bwrap is started"
        => second_limit, |case| {
            // far from its own limit it is one further up that is reached
            let inner = case.host.user_namespace.is_initial() != Some(true);
            let roomy = inner && number(case, USER).is_some_and(|limit| limit >= SMALL);
            let raised = if roomy { vec![told!("raise-limit-outside", opens = OPENS)] } else { raise(case, USER, LEAST, OPENS) };
            raised.or(do_with_one(case))
        };

    SeccompDeniesUnshare, Failed, ["unshare user ns" => ANSWERS],
        unless "`unshare --user true` succeeds where bwrap is started"
        => unshare_denied, |case| permit_calls(case).or(do_with_one(case));

    DisableUsernsReadOnly, Anytime if disables, [OPEN, WRITE => (EROFS); OPEN => (ENOENT)],
        unless "`grep ' /proc' /proc/self/mountinfo` shows no mount with ro, and none of another file system, that holds /proc/sys/user"
        => read_only, |case| {
            let mount = limit_mount(case).map_or(Path::new("/proc/sys"), |mount| &mount.point);
            let by_hand = matches!(
                Setting::of(case),
                Setting::Nspawn | Setting::Machine | Setting::Unit | Setting::Unknown
            );
            if by_hand && cover(case).is_some() {
                return told!(UM10, "uncover-settings", mount = word(mount)).or(allow());
            }
            Wish::WritableSettings(mount).grant(case).or(allow())
        };

    DisableUsernsDenied, Anytime if disables, [OPEN, WRITE => (EACCES EPERM)],
        unless "`journalctl -k | grep apparmor` on the machine shows no denial for /proc/sys/user"
        => denied, |case| {
            let opens = "what the profile confines can set its own limit on user namespaces";
            let rule = Wish::AppArmorRule("/proc/sys/user/max_user_namespaces rw,", opens);
            let off = case.host.security.apparmor_enabled.is(&false);
            if off { allow().into() } else { rule.grant(case).or(allow()) }
        };

    NamespaceLimitMissing, Failed, [OPEN => (ENOENT)],
        unless "`cat /proc/sys/user/max_user_namespaces` where bwrap is started prints a number"
        => |case| {
            rule_out(cover(case).is_some())?;
            let gvisor = case.sighting(Platform::GVisor).map(evidence::sighted);
            Some(weigh(High).heard(case, "bwrap forbids further ones by that limit").pro(gvisor))
        }, |_| allow().into();

    UserNamespacesStillAllowed, Anytime, ["creation of new user namespaces was not disabled as requested"],
        unless "`unshare --user true` fails inside the same sandbox without the assertion"
        => still_allowed, |case| {
            let flatpak = Launcher::of(case) == Some(Launcher::Flatpak) || case.hinted(Hint::ParentPids);
            let theirs = flatpak.then(|| told!(UM11, "flatpak-without-parent"));
            Vec::new().or(theirs).or([Remedy::change(SandboxChange::DisableUserNamespaces)]).or(allow())
        };
}

/// Leave user namespaces possible inside.
fn allow() -> [Remedy; 1] {
    [Remedy::change(SandboxChange::AllowUserNamespaces)]
}

/// The change of the sandbox with which one user namespace is enough, as far as one change does: each of the two asks for a
/// second one.
fn do_with_one(case: &Case<'_>) -> Option<Remedy> {
    let plan = case.plan.as_ref()?;
    if plan.disable_userns {
        return Some(Remedy::change(SandboxChange::AllowUserNamespaces));
    }
    bind_dev(case)
}

/// Why the sandbox needs two.
fn reason(case: &Case<'_>) -> &'static str {
    if case.is_planned(|plan| plan.disable_userns) {
        "the sandbox disables user namespaces, for which bwrap makes a second one"
    } else {
        "the sandbox has a /dev of its own and another user than root, for which bwrap makes a second \
         user namespace"
    }
}

fn second_limit(case: &Case<'_>) -> Option<Judgement> {
    let value = number(case, USER);
    rule_out(!case.failed() && value != Some(1))?;
    let sure = value == Some(1) && (case.failed() || user_namespace(case) == Some(true));
    let found = weigh(if sure { High } else { Medium }).asked(case, reason(case));
    let first = "the first user namespace was made, the second was not (ENOSPC)";
    let none = "no second user namespace is allowed";
    Some(match value {
        Some(1) => found.pro(evidence::parameter(case, USER)),
        Some(value) => found
            .summary(format!("{none}: {USER}={value} is reached here, or a limit further up"))
            .heard(case, first)
            .contra(evidence::parameter(case, USER))
            .unknown("the limits of the namespaces above us, which cannot be read from here"),
        None => found.heard(case, first).unknown(format!("the value of {USER}: `sysctl {USER}`")),
    })
}

/// The first one was made with clone, which the filter lets pass.
fn unshare_denied(case: &Case<'_>) -> Option<Judgement> {
    let summary = "the system call filter lets clone make a user namespace, but not unshare, which bwrap needs for the \
                   second";
    Some(calls::denied(case)?.summary(summary).asked(case, reason(case)))
}

/// The mount through which bwrap writes the limit: that of the outer `/proc`.
fn limit_mount<'a>(case: &Case<'a>) -> Option<&'a Mount> {
    mount_of(case.host.mounts.present()?, Path::new("/proc/sys/user/max_user_namespaces"))
}

/// Whether the sandbox writes the limit; it cannot be asked for without a user namespace.
fn disables(plan: &Plan) -> bool {
    plan.disable_userns && plan.user_namespace
}

/// Another file system that lies on the settings, so that the limit is not there.
fn cover<'a>(case: &Case<'a>) -> Option<&'a Mount> {
    limit_mount(case).filter(|mount| mount.filesystem != "proc" && mount.point.starts_with("/proc/sys"))
}

fn read_only(case: &Case<'_>) -> Option<Judgement> {
    if let Some(Mount { point, filesystem, .. }) = cover(case) {
        let point = point.display();
        let summary = format!(
            "a {filesystem} lies on {point}, and to disable user namespaces bwrap writes to /proc/sys/user/max_user_namespaces"
        );
        let seen = format!("{point} is a mount of {filesystem} (/proc/self/mountinfo)");
        return Some(weigh(High).summary(summary).seen(&case.host.mounts, seen));
    }
    rule_out(case.errno() == Some(libc::ENOENT))?;
    let mount = limit_mount(case);
    if let Some(mount) = mount.filter(|mount| mount.is_read_only()) {
        let point = mount.point.display();
        let summary = format!(
            "{point} is read-only, and to disable user namespaces bwrap writes to /proc/sys/user/max_user_namespaces"
        );
        let seen = format!("{point} is mounted with ro (/proc/self/mountinfo)");
        return Some(weigh(High).summary(summary).seen(&case.host.mounts, seen));
    }
    let now = "the mount is writable now (/proc/self/mountinfo)";
    case.failed().then(|| {
        // it says so itself
        weigh(if mount.is_some() { Medium } else { High })
            .heard(case, "the kernel answered that it is read-only (EROFS)")
            .seen_against(&case.host.mounts, mount.map(|_| now))
    })
}

fn denied(case: &Case<'_>) -> Option<Judgement> {
    let security = &case.host.security;
    let profile = security.apparmor().filter(|_| security.is_apparmor_enforcing());
    if let Some(profile) = profile {
        let (confidence, what) = if case.failed() {
            (High, "forbids writing to /proc/sys/user/max_user_namespaces")
        } else {
            (Medium, "may forbid writing to /proc/sys/user, as disabling user namespaces needs")
        };
        let summary = format!("the AppArmor profile {profile} {what}");
        return Some(weigh(confidence).summary(summary).pro(evidence::profile(case).so()));
    }
    rule_out(!case.failed())?;
    let labels = [&security.label, &security.apparmor_label];
    let off = security.apparmor_enabled.is(&false);
    let unseen = labels.iter().all(|label| !matches!(label, Fact::Absent | Fact::Present(_)));
    if unseen && !off {
        return Some(weigh(Medium).unknown("our AppArmor profile: /proc/self/attr/current"));
    }
    let none = "no AppArmor profile that denies confines us (/proc/self/attr/current)";
    weigh(Low)
        .summary("something forbids writing to /proc/sys/user/max_user_namespaces")
        .seen_against(&security.label, (!unseen).then_some(none))
        .seen_against(&security.apparmor_enabled, (unseen && off).then_some("AppArmor is not on here"))
        .unknown("whether SELinux or a Landlock domain denies it")
        .into()
}

/// bwrap tries to make one more; any failure satisfies it.
fn still_allowed(case: &Case<'_>) -> Option<Judgement> {
    let summary = "the sandbox asserts that user namespaces are disabled, and does not disable them";
    if case.failed() {
        return Some(match &case.plan {
            Some(plan) if !plan.disable_userns => weigh(High)
                .summary(summary)
                .heard(case, "one more user namespace could be made inside: nothing disables them"),
            _ => weigh(High).heard(case, "bwrap tried to make one more user namespace inside, and could"),
        });
    }
    let (host, sandbox) = (case.host, case.sandbox?);
    let joins = sandbox.namespaces.joined().next().is_some();
    let asserted = sandbox.privileges.assert_userns_disabled && !sandbox.privileges.disable_userns;
    rule_out(!asserted || joins)?;
    // whatever stops bwrap's own attempt would do for the assertion
    let free = host.user_namespace.is_initial() == Some(true)
        && host.user_namespace.exists.is(&true)
        && number(case, USER).is_some_and(|limit| limit >= SMALL)
        && !host.sysctl("kernel.unprivileged_userns_clone").is("0")
        && host.sysctl(RESTRICTION).is_absent()
        && case.filtered() == Some(false)
        && host.security.label.is_absent()
        && host.security.apparmor_label.is_absent()
        && !case.on(Platform::GVisor);
    let found = weigh(if free { High } else { Medium })
        .summary(summary)
        .asked(case, "the sandbox has assert_userns_disabled, but not disable_userns");
    let denied = "whether the host denies one more user namespace inside, which would do";
    Some(found.unknown((!free).then_some(denied)))
}

#[cfg(test)]
mod tests;
