//! What is shown in virtual machines.

use crate::readme::README;
use crate::trying::Foretold::{self, Never, Perhaps, Surely};

/// A kind of guest: which of its security modules is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lsm {
    None,
    Selinux,
    /// SELinux in the kernel, without a policy.
    SelinuxNoPolicy,
    AppArmor,
}

impl Lsm {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Selinux, Self::SelinuxNoPolicy, Self::AppArmor];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Selinux => "selinux",
            Self::SelinuxNoPolicy => "selinux-nopolicy",
            Self::AppArmor => "apparmor",
        }
    }
}

/// A fault and the way out of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) lsm: Lsm,
    /// The profiles that can show it; all, if there are none.
    pub(crate) profiles: &'static [&'static str],
    /// Kernel parameters that make the fault. They get their old values back.
    pub(crate) sysctls: &'static [(&'static str, &'static str)],
    /// Commands that make the fault.
    pub(crate) before: &'static [&'static [&'static str]],
    /// Where, in the words of `in-place`.
    pub(crate) place: &'static [&'static str],
    /// What bwrap is asked for, what else, and the command.
    pub(crate) sandbox: &'static [&'static str],
    pub(crate) also: &'static [&'static str],
    pub(crate) command: &'static [&'static str],
    /// The causes that are met in turn, each until its first remedy is applied; then the sandbox starts.
    pub(crate) leads: &'static [&'static str],
    /// What is foretold at first.
    pub(crate) foretold: Foretold,
    /// Which kind of remedy is taken first, if not simply the first one: `sandbox`, `app-armor`.
    pub(crate) choice: &'static str,
    /// Commands that undo what the case did.
    pub(crate) after: &'static [&'static [&'static str]],
}

/// The README's command, which reads the /proc of its own PID namespace, and one that does without.
const PS: &[&str] = &["/usr/bin/ps", "afx"];
const TRUE: &[&str] = &["/usr/bin/true"];

const NEW: &[&str] = &["k6.12", "k7"];
const POD: &str = "KUBERNETES_SERVICE_HOST=10.96.0.1";

const CASE: Case = Case {
    name: "",
    lsm: Lsm::None,
    profiles: &[],
    sysctls: &[],
    before: &[],
    place: &["user"],
    sandbox: README,
    also: &[],
    command: PS,
    leads: &[],
    foretold: Never,
    choice: "",
    after: &[],
};

const RESET_SELINUX: &[&[&str]] = &[&["load-selinux", "--reset"]];
const FORGET_PROFILES: &[&[&str]] =
    &[&["sh", "-c", "for f in /etc/apparmor.d/bwrap*; do apparmor_parser -R $f; rm $f; done"]];

pub(crate) const CASES: &[Case] = &[
    // kernels and their parameters
    Case { name: "nothing-in-the-way", ..CASE },
    Case { name: "nothing-in-the-way-as-root", place: &["root"], ..CASE },
    Case {
        name: "unprivileged-userns-clone-0",
        sysctls: &[("kernel.unprivileged_userns_clone", "0")],
        leads: &["NS02"],
        foretold: Surely,
        ..CASE
    },
    // cgroup v2, and no systemd that would own the group
    Case {
        name: "cgroup-pids-limit",
        before: &[&[
            "sh",
            "-ec",
            "cd /sys/fs/cgroup; echo +pids > cgroup.subtree_control; mkdir limited; echo 2 > limited/pids.max",
        ]],
        place: &["cgroup:limited"],
        leads: &["NS16"],
        foretold: Surely,
        after: &[&["rmdir", "/sys/fs/cgroup/limited"]],
        ..CASE
    },
    Case {
        name: "max-user-namespaces-0",
        sysctls: &[("user.max_user_namespaces", "0")],
        leads: &["NS12"],
        foretold: Surely,
        ..CASE
    },
    Case {
        name: "max-user-namespaces-1",
        sysctls: &[("user.max_user_namespaces", "1")],
        leads: &["UM08"],
        foretold: Surely,
        ..CASE
    },
    Case {
        name: "max-net-namespaces-0",
        sysctls: &[("user.max_net_namespaces", "0")],
        leads: &["NS15"],
        foretold: Surely,
        ..CASE
    },
    // older kernels do without the capability; Debian's 5.10 has that change, but its version does not tell
    Case {
        name: "pod-without-setfcap",
        profiles: &["k5.10"],
        place: &["container", "userns=no", "caps=", "env", POD],
        leads: &["UM01"],
        foretold: Perhaps,
        ..CASE
    },
    Case {
        name: "pod-without-setfcap",
        profiles: &["k6.1", "k6.12", "k7"],
        place: &["container", "userns=no", "caps=", "env", POD],
        leads: &["UM01"],
        foretold: Surely,
        ..CASE
    },
    Case {
        name: "pod-with-masked-proc",
        place: &["container", "userns=no", "unmasked=no", "env", POD],
        leads: &["PR01"],
        foretold: Surely,
        ..CASE
    },
    Case {
        name: "pod-with-masked-proc-bound",
        place: &["container", "userns=no", "unmasked=no", "env", POD],
        leads: &["PR01"],
        foretold: Surely,
        command: TRUE,
        choice: "sandbox",
        ..CASE
    },
    Case { name: "pod-with-user-namespace-and-unmasked-proc", place: &["container", "env", POD], ..CASE },
    // SELinux
    Case { name: "selinux-user", lsm: Lsm::Selinux, ..CASE },
    Case {
        name: "container_t-denied",
        lsm: Lsm::Selinux,
        place: &["selinux:container_t", "env", POD],
        leads: &["PR05"],
        foretold: Perhaps,
        after: RESET_SELINUX,
        ..CASE
    },
    // the sandbox itself can be changed for procfs; devpts is next
    Case {
        name: "container_t-denied-and-proc-bound",
        lsm: Lsm::Selinux,
        place: &["selinux:container_t", "env", POD],
        leads: &["PR05", "DV01"],
        foretold: Perhaps,
        command: TRUE,
        choice: "sandbox",
        after: RESET_SELINUX,
        ..CASE
    },
    Case {
        name: "container_t-permissive",
        lsm: Lsm::Selinux,
        before: &[&["setenforce", "0"]],
        place: &["selinux:container_t", "env", POD],
        // enforcing and permissive look alike from inside
        foretold: Perhaps,
        after: &[&["setenforce", "1"]],
        ..CASE
    },
    Case {
        name: "container_t-and-masked-proc",
        lsm: Lsm::Selinux,
        place: &["selinux:container_t", "unmasked=no", "env", POD],
        leads: &["PR05", "PR01"],
        foretold: Surely,
        after: RESET_SELINUX,
        ..CASE
    },
    Case {
        name: "container_t-user-namespace-denied",
        lsm: Lsm::Selinux,
        profiles: NEW,
        before: &[&["setsebool", "container_userns_create", "off"]],
        place: &["selinux:container_t", "env", POD],
        // the second module must not replace the first
        leads: &["NS08", "PR05"],
        // policies that permit it and policies that do not look alike from inside
        foretold: Perhaps,
        after: &[&["load-selinux", "--reset"], &["setsebool", "container_userns_create", "on"]],
        ..CASE
    },
    // no CAP_SETFCAP, then SELinux, then a masked /proc: the kernel asks SELinux first
    Case {
        name: "the-whole-story",
        lsm: Lsm::Selinux,
        place: &["selinux:container_t", "userns=no", "caps=", "unmasked=no", "env", POD],
        leads: &["UM01", "PR05", "PR01"],
        foretold: Surely,
        after: RESET_SELINUX,
        ..CASE
    },
    Case { name: "selinux-without-policy", lsm: Lsm::SelinuxNoPolicy, ..CASE },
    Case {
        name: "selinux-without-policy-in-a-pod",
        lsm: Lsm::SelinuxNoPolicy,
        place: &["container", "env", POD],
        ..CASE
    },
    // AppArmor
    Case { name: "apparmor-user", lsm: Lsm::AppArmor, ..CASE },
    Case {
        name: "docker-default-like",
        lsm: Lsm::AppArmor,
        place: &["container", "apparmor=docker-default-like", "env", POD],
        leads: &["MT01"],
        foretold: Perhaps,
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "no-mount-rule",
        lsm: Lsm::AppArmor,
        place: &["container", "apparmor=no-mount-rule", "env", POD],
        leads: &["MT01"],
        foretold: Perhaps,
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "no-pivot-root",
        lsm: Lsm::AppArmor,
        place: &["container", "apparmor=no-pivot-root", "env", POD],
        leads: &["MT09"],
        foretold: Perhaps,
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "no-proc-mount",
        lsm: Lsm::AppArmor,
        place: &["container", "apparmor=no-proc-mount", "env", POD],
        leads: &["PR06"],
        foretold: Perhaps,
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "docker-default-like-and-masked-proc",
        lsm: Lsm::AppArmor,
        place: &["container", "apparmor=docker-default-like", "unmasked=no", "env", POD],
        leads: &["MT01", "PR01"],
        foretold: Surely,
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "userns-denied",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-denied"],
        leads: &["NS09"],
        foretold: Perhaps,
        after: FORGET_PROFILES,
        ..CASE
    },
    // a profile of bwrap's own, as Ubuntu wants it
    Case {
        name: "userns-denied-but-to-bwrap",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-denied"],
        leads: &["NS09"],
        foretold: Perhaps,
        choice: "app-armor",
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "userns-capabilities-stripped-but-for-bwrap",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-sys-admin-only"],
        leads: &["LO01"],
        foretold: Perhaps,
        choice: "app-armor",
        after: FORGET_PROFILES,
        ..CASE
    },
    // what Ubuntu 24.04 does; --unshare-net changes which message appears
    Case {
        name: "userns-capabilities-stripped",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-caps-stripped"],
        // with the caller's network
        also: &["--share-net"],
        leads: &["NS09"],
        foretold: Perhaps,
        choice: "app-armor",
        after: FORGET_PROFILES,
        ..CASE
    },
    // a rule that denies wins over those that allow
    Case {
        name: "userns-without-net-admin",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-no-net-admin"],
        leads: &["LO01"],
        foretold: Perhaps,
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "userns-capabilities-stripped-with-network",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-sys-admin-only"],
        leads: &["LO01"],
        foretold: Perhaps,
        after: FORGET_PROFILES,
        ..CASE
    },
];

/// Suites of the crate that run in guests once more, and in which: on the oldest kernel and on the newest, with bwrap 0.8 and 0.12.
/// Limits are proven in control groups of version 2 with their controllers.
pub(crate) const SUITES: &[(&str, &[&str])] =
    &[("conformance", &["k5.10", "k7"]), ("verdict", &["k5.10", "k7"]), ("limits", &["k6.12"])];

/// The suites that run in guests of this profile.
pub(crate) fn suites_on(profile: &str) -> Vec<&'static str> {
    SUITES.iter().filter(|(_, profiles)| profiles.contains(&profile)).map(|(name, _)| *name).collect()
}

pub(crate) const PROFILES: &[&str] = &["k5.10", "k6.1", "k6.12", "k7"];

impl Case {
    /// The case of this name on this profile.
    pub(crate) fn find(name: &str, profile: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name && case.runs_on(profile))
    }

    pub(crate) fn runs_on(&self, profile: &str) -> bool {
        self.profiles.is_empty() || self.profiles.contains(&profile)
    }
}
