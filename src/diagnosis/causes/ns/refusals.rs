//! New namespaces that a security module denies (EACCES) or that the kernel does not have (ENOSYS, EINVAL).

use super::super::prelude::*;
use super::{CREATING, NO_PERMISSIONS};

rules! {
    // what the policy permits cannot be read
    SelinuxDeniesUserNamespaces, Failed, [CREATING, "unshare user ns" => (EACCES)],
        unless "`ausearch -m avc -c bwrap` on the machine shows no denial of user_namespace { create }"
        => selinux, |case| Wish::Selinux(&[CREATE_USERNS]).grant(case);

    // and neither can whether a profile has a rule for it
    AppArmorDeniesUserNamespaces, Failed, [
        CREATING, "unshare user ns" => (EACCES); NO_PERMISSIONS => (EPERM)
    ],
        unless "`journalctl -k | grep userns_create` on the machine shows no line with DENIED"
        => apparmor, permit_in_apparmor;

    NamespacesNotImplemented, Failed, [
        CREATING => (ENOSYS EINVAL EACCES EOPNOTSUPP); NO_KERNEL_SUPPORT, CGROUP[0], CGROUP[1]
    ] => not_implemented, implement;

    KernelWithoutUserNamespaces, Anytime, [NO_KERNEL_SUPPORT; CREATING => (EINVAL)],
        unless "`unshare --user true` succeeds, as root if not as this user, or /proc/self/ns/user exists"
        => no_user_namespaces, other_kernel;

    EmulatedProcessor, Failed, [NO_KERNEL_SUPPORT; CREATING => (EINVAL)],
        unless "`uname -m` prints the same in here and on the machine"
        => emulated_processor;

    AppWithoutNamespaces, Failed, [
        "fchdir to oldroot" => (ENOENT); "Can't read /proc/sys/kernel/overflowuid" => (EACCES EPERM);
        NO_PERMISSIONS => (EPERM); CREATING => (EPERM EACCES ENOSYS EINVAL); NO_KERNEL_SUPPORT
    ],
        unless "`unshare --user true` succeeds" => app;
}

/// qemu's emulation of single programs knows no namespaces.
fn emulated_processor(case: &Case<'_>) -> Option<Judgement> {
    let exists = &case.host.user_namespace.exists;
    let old = case.kernel().is_some_and(|version| version < (4, 0));
    // a kernel without user namespaces would do for a sandbox that makes none
    let none = user_namespace(case) == Some(false) || case.says(&[CREATING]);
    let told = case.hinted(Hint::Emulated);
    let left_out = case.hinted(Hint::NamespacesLeftOut);
    rule_out(!exists.is(&true) && !none && !told || old || case.emulated().is_some())?;
    weigh(if left_out && !told { Low } else { Medium })
        .pro(evidence::told(case, told.then_some("qemu's emulation of single programs is spoken of")))
        .heard(case, "qemu answers EINVAL to new namespaces where it plays another processor for a program")
        .seen(
            exists,
            exists.is(&true).then_some("/proc/self/ns/user exists, so the kernel has user namespaces"),
        )
        .asked(case, none.then_some("bwrap asked for no user namespace, so that none is lacking"))
        .unknown((!told).then_some(
            "whether this program is built for another processor: `uname -m`, here and on the machine",
        ))
        .into()
}

/// Where an app's own user land runs no program with rights of its own.
fn app(case: &Case<'_>) -> Option<Judgement> {
    let (release, security) = (&case.host.kernel.release, &case.host.security);
    let is = |name| release.present().is_some_and(|release| release.contains(name));
    let domain = security.selinux().filter(|context| context.domain.starts_with("untrusted_app"));
    let proot = is("PRoot").then_some("the kernel's name says that proot plays system calls (uname -r)");
    let android = is("android").then_some("the kernel is Android's (uname -r)");
    let confined = domain.map(|context| format!("the domain is that of apps: {}", context.domain));
    let named =
        case.told().filter(|told| told.android && !is("-generic") && !is("-amd64") && !is("icrosoft"));
    let known = proot.or(android).is_some() || confined.is_some() || named.is_some();
    rule_out(!known && !case.says(&["fchdir to oldroot"]))?;
    weigh(if known { High } else { Medium })
        .seen(release, proot.or(android))
        .seen(&security.label, confined)
        .pro(evidence::told(case, named.map(|_| "the user land is one of Android's apps, as Termux")))
        .unknown((!known).then_some("whether proot plays the system calls: `uname -r`"))
        .into()
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
    let security = &case.host.security;
    let Some(context) = security.selinux() else {
        let known = matches!(security.label, Fact::Absent | Fact::Present(_));
        rule_out(known || security.selinux_filesystem.is(&false) || security.selinux_enforcing.is(&false))?;
        // where AppArmor is not, little else answers so
        let alone = security.apparmor_enabled.is(&false);
        return Some(weigh(if alone { Medium } else { Low }).unknown("our label: /proc/self/attr/current"));
    };
    rule_out(security.selinux_enforcing.is(&false))?;
    let enforcing = security.selinux_enforcing.is(&true);
    let confidence = match enforcing {
        _ if context.domain.starts_with("unconfined") => Low,
        true => High,
        false => Medium,
    };
    let enforces = "whether SELinux enforces its policy: `getenforce` on the machine";
    let before = case.kernel().is_some_and(|version| version < ASKED_SINCE);
    let since = "Linux asks SELinux about this since 6.1 only, unless it was backported";
    weigh(confidence)
        .summary(format!("SELinux denies new user namespaces to the domain {}", context.domain))
        .pro(evidence::domain(case).so())
        .pro(evidence::enforcing(case).so())
        .unknown((!enforcing).then_some(enforces))
        .seen_against(&case.host.kernel.release, before.then_some(since))
        .into()
}

fn apparmor(case: &Case<'_>) -> Option<Judgement> {
    let (security, restricted) = (&case.host.security, case.host.sysctl(RESTRICTION));
    let eperm = case.errno() == Some(libc::EPERM);
    Some(match security.apparmor() {
        Some("unconfined") if restricted.is("1") => weigh(High)
            .summary(
                "AppArmor denies new user namespaces to unconfined programs, whose profile unprivileged_userns is not \
                 loaded",
            )
            .pro(evidence::parameter(case, RESTRICTION))
            .pro(evidence::profile(case).otherwise()),
        Some("unconfined") if restricted.present().is_some() || restricted.is_absent() => return None,
        // the kernel's own answer is another
        Some("unconfined") => weigh(if eperm { Low } else { Medium })
            .pro(evidence::profile(case).otherwise())
            .unknown(format!("the value of {RESTRICTION}: `sysctl` on the machine")),
        Some(profile) if security.is_apparmor_enforcing() => {
            let (confidence, what) = match case.filtered() {
                _ if !eperm => (High, "has no rule that permits user namespaces"),
                // it lets the namespace be made, and denies the capability that making the others takes
                Some(false) => (Medium, "denies capabilities in new user namespaces"),
                _ => (Low, "denies capabilities in new user namespaces"),
            };
            weigh(confidence)
                .summary(format!("the AppArmor profile {profile} {what}"))
                .pro(evidence::profile(case).so())
        }
        None if security.apparmor_enabled.is(&false) => return None,
        None if !eperm && security.selinux().is_none() && !security.label.is_absent() => {
            weigh(if restricted.is("1") || security.label.is_unknown() { Medium } else { Low })
                .unknown("our AppArmor profile: /proc/self/attr/current")
        }
        _ => return None,
    })
}

fn permit_in_apparmor(case: &Case<'_>) -> Vec<Remedy> {
    let security = &case.host.security;
    match security.apparmor() {
        _ if security.is_restriction() => leave_restriction(case),
        Some(_) if security.is_apparmor_enforcing() => {
            let opens = "what the profile confines can make user namespaces";
            let ours = !Setting::of(case).is_container();
            let beside = ours.then(|| beside(case)).flatten();
            Wish::AppArmorRule("userns,", opens).grant(case).or(beside)
        }
        _ => permit_bwrap(case).or([told!(NS09, "load-unprivileged-userns")]),
    }
}

fn not_implemented(case: &Case<'_>) -> Option<Judgement> {
    if case.says(&CGROUP) {
        return weigh(High)
            .refuted_by("`ls /proc/self/ns/cgroup` where bwrap is started shows it")
            .summary("the kernel has no namespaces of control groups, which Linux has since 4.6")
            .heard(case, "bwrap found no /proc/self/ns/cgroup")
            .into();
    }
    if case.errno() != Some(libc::ENOSYS) {
        return Some(calls::denied(case)?.summary("a system call filter refuses to make the namespaces"));
    }
    let found = |confidence| {
        weigh(confidence)
            .refuted_by("`unshare --user --mount true` in the same place does not fail with the same error")
            .if_so(evidence::filter(case))
    };
    Some(match (case.filtered(), case.emulated()) {
        (Some(true), _) => {
            found(High).summary("a system call filter answers that new namespaces do not exist")
        }
        (_, Some(platform)) => found(High)
            .summary(format!("the kernel of {platform} does not have these namespaces"))
            .seen(&case.host.platforms, format!("the kernel is that of {platform}")),
        (Some(false), None) => {
            found(Medium).unknown("how the kernel was built: CONFIG_NAMESPACES in its configuration")
        }
        (None, None) => found(Medium),
    })
}

fn implement(case: &Case<'_>) -> Vec<Remedy> {
    match case.filtered() {
        _ if case.says(&CGROUP) => vec![told!(NS10, "cgroup-namespace-try")],
        Some(false) if case.emulated().is_some() => other_kernel(case),
        _ => permit_calls(case),
    }
}

fn no_user_namespaces(case: &Case<'_>) -> Option<Judgement> {
    let makes = user_namespace(case);
    if case.failed() && case.hinted(Hint::NamespacesLeftOut) && !case.host.user_namespace.exists.is(&false) {
        let seen = evidence::told(case, "the kernel's configuration leaves out a kind of namespaces");
        let summary = "the kernel is built without one of the kinds of namespaces that the sandbox asks for";
        return Some(weigh(Medium).pro(seen).summary(summary).unknown("which it lacks: `ls /proc/self/ns`"));
    }
    // bwrap has longer words where it asked for one
    let unasked = makes == Some(false) || case.failed() && !case.says(&[NO_KERNEL_SUPPORT]);
    rule_out(unasked && !case.on(Platform::Wsl1) && !of_wsl(case))?;
    let (exists, release) = (&case.host.user_namespace.exists, &case.host.kernel.release);
    let sure = if case.failed() || makes == Some(true) { High } else { Medium };
    if let Some(wsl) = case.sighting(Platform::Wsl1) {
        let summary = "WSL 1 has no Linux kernel, and no user namespaces";
        return Some(weigh(sure).pro(evidence::sighted(wsl)).summary(summary));
    }
    if of_wsl(case) {
        let second = case.sighting(Platform::Wsl2).is_some();
        let summary = if second {
            "this may be WSL 1, which has no Linux kernel, and no user namespaces"
        } else {
            "WSL 1 has no Linux kernel, and no user namespaces"
        };
        let seen = evidence::told(case, "it is WSL, whose version 2 has a kernel with user namespaces");
        return Some(
            weigh(Medium).pro(seen).summary(summary).unknown("which version of WSL it is: `wsl -l -v`"),
        );
    }
    if exists.is(&false) {
        return Some(weigh(sure).seen(exists, "/proc/self/ns/user does not exist, and /proc/self/ns does"));
    }
    rule_out(!case.failed())?;
    let old = case.kernel().filter(|version| *version < (4, 0));
    Some(match (exists.present(), old) {
        (Some(true), Some((major, minor))) => weigh(Medium).seen(
            release,
            format!(
                "the kernel is {major}.{minor}, where user namespaces may have to be switched on (user_namespace.enable=1)"
            ),
        ),
        (Some(true), None) => weigh(Low)
            .seen_against(exists, "/proc/self/ns/user exists, so the kernel has user namespaces")
            .unknown("whether it lacks one of the other namespaces: `ls /proc/self/ns`"),
        // built in, and off until the kernel is told otherwise when it starts
        _ if is_el7(case) => weigh(Medium)
            .summary("the kernel of RHEL 7 and CentOS 7 comes with user namespaces switched off")
            .seen(release, "Linux 3.10, to which user_namespace.enable=1 has to be said (uname -r)")
            .unknown("whether /proc/self/ns/user exists"),
        // which then is what answers
        _ if case.hinted(Hint::Emulated) => weigh(Low).unknown("whether /proc/self/ns/user exists"),
        _ => weigh(Medium).unknown("whether /proc/self/ns/user exists"),
    })
}

/// Whether it is WSL of a version that nobody showed: the second one comes with a kernel that has all of it. People take theirs for
/// that one, so that its bare name does not count against what bwrap says.
fn of_wsl(case: &Case<'_>) -> bool {
    let second = case.sighting(Platform::Wsl2);
    let named = second.is_some_and(|seen| ["`wsl2`", "`wsl 2`"].contains(&&*seen.evidence));
    // what Docker Desktop runs in is never the first one
    let known = second.is_some() && !named
        || case.host.kernel.release.present().is_some()
        || second.is_some() && (case.hinted(Hint::KernelOfWsl2) || Setting::of(case).is_container());
    !known && (named && case.says(&[NO_KERNEL_SUPPORT]) || case.told().is_some_and(|told| told.wsl && !named))
}

/// Whether the kernel is that of RHEL 7 and what is made of it: 3.10.0, and then a number of theirs. Other kernels of that version
/// know nothing of the parameter.
fn is_el7(case: &Case<'_>) -> bool {
    let release = case.host.kernel.release.present();
    release.is_some_and(|release| release.starts_with("3.10.0-") || release.contains(".el7"))
}

const EL7: &str =
    "a kernel of RHEL 7 or CentOS 7 (`uname -r` begins with 3.10), the last that is delivered so";

/// Whether it is told that the kernel is theirs, or that it has user namespaces, which then are off; OpenShift 3 runs on it.
fn may_be_el7(case: &Case<'_>) -> bool {
    let named = case.hinted(Hint::El7) || case.on(Platform::OpenShift);
    named || case.hinted(Hint::UserNsOption)
}

fn other_kernel(case: &Case<'_>) -> Vec<Remedy> {
    // whoever may mount as it is needs none
    let keep = case.is_admin().then(|| Remedy::change(SandboxChange::KeepUserNamespace));
    match case.kernel() {
        _ if case.hinted(Hint::NamespacesLeftOut) => vec![told!(NS11, "config-namespaces")],
        _ if of_wsl(case) && case.on(Platform::Wsl2) => {
            told!("convert-to-wsl-2").or([told!("config-user-ns")])
        }
        _ if case.on(Platform::Wsl1) || of_wsl(case) => vec![told!("convert-to-wsl-2")],
        Some(_) if is_el7(case) => told!("switch-on-el7").or(keep),
        Some(_) => told!("config-user-ns").or(keep),
        None if may_be_el7(case) => told!("switch-on-el7").needs(EL7).or([told!("config-user-ns")]).or(keep),
        None => {
            // of a list of what it has the one that is missing is no matter of switching it on
            let listed = case.hinted(Hint::KernelOptions) || case.hinted(Hint::NoSwitch);
            let off = (!listed).then(|| told!("switch-on-el7").needs(EL7));
            told!("config-user-ns").or(off).or(keep)
        }
    }
}

#[cfg(test)]
mod tests;
