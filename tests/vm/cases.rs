//! What is shown in virtual machines.

use Expect::{Leads, Starts};

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

/// What a case comes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect {
    /// The sandbox starts, and nothing else was foretold.
    Starts,
    /// These causes are met in turn, each until its first remedy is applied; then the sandbox starts.
    Leads(&'static [&'static str]),
}

/// A fault and the way out of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) lsm: Lsm,
    /// The profiles that can show it; all, if there are none.
    pub(crate) profiles: &'static [&'static str],
    /// Commands that make the fault.
    pub(crate) before: &'static [&'static [&'static str]],
    /// Where, in the words of `in-place`.
    pub(crate) place: &'static [&'static str],
    /// What bwrap is asked for.
    pub(crate) line: &'static [&'static str],
    pub(crate) expect: Expect,
    /// Nothing shows it before a launch.
    pub(crate) unforeseeable: bool,
    /// Which remedy is taken first.
    pub(crate) choice: usize,
    /// Commands that undo what the case did.
    pub(crate) after: &'static [&'static [&'static str]],
}

/// The seed's sandbox, as it was written down.
const SEED: &[&str] = &[
    "--ro-bind",
    "/lib",
    "/lib",
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "/usr/lib64",
    "/lib64",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
    "--unshare-all",
    "--new-session",
    "/usr/bin/ps",
    "afx",
];

/// The same with the caller's network.
const SHARED_NETWORK: &[&str] = &[
    "--ro-bind",
    "/lib",
    "/lib",
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "/usr/lib64",
    "/lib64",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
    "--unshare-all",
    "--share-net",
    "--new-session",
    "/usr/bin/ps",
    "afx",
];

/// The least there is.
const ROOT: &[&str] = &["--unshare-user", "--ro-bind", "/", "/", "/usr/bin/true"];

const NEW: &[&str] = &["k6.12", "k7"];
const POD: &str = "KUBERNETES_SERVICE_HOST=10.96.0.1";

const CASE: Case = Case {
    name: "",
    lsm: Lsm::None,
    profiles: &[],
    before: &[],
    place: &["user"],
    line: SEED,
    expect: Starts,
    unforeseeable: false,
    choice: 0,
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
        before: &[&["sysctl", "-qw", "kernel.unprivileged_userns_clone=0"]],
        expect: Leads(&["NS02"]),
        after: &[&["sysctl", "-qw", "kernel.unprivileged_userns_clone=1"]],
        ..CASE
    },
    Case {
        name: "max-user-namespaces-0",
        before: &[&["sysctl", "-qw", "user.max_user_namespaces=0"]],
        expect: Leads(&["NS12"]),
        after: &[&["sysctl", "-qw", "user.max_user_namespaces=10000"]],
        ..CASE
    },
    Case {
        name: "max-user-namespaces-1",
        before: &[&["sysctl", "-qw", "user.max_user_namespaces=1"]],
        expect: Leads(&["UM08"]),
        after: &[&["sysctl", "-qw", "user.max_user_namespaces=10000"]],
        ..CASE
    },
    Case {
        name: "max-net-namespaces-0",
        before: &[&["sysctl", "-qw", "user.max_net_namespaces=0"]],
        expect: Leads(&["NS15"]),
        after: &[&["sysctl", "-qw", "user.max_net_namespaces=10000"]],
        ..CASE
    },
    Case {
        name: "pod-without-setfcap",
        place: &["container", "userns=no", "caps=", "env", POD],
        expect: Leads(&["UM01"]),
        ..CASE
    },
    Case {
        name: "pod-with-masked-proc",
        place: &["container", "userns=no", "unmasked=no", "env", POD],
        expect: Leads(&["PR01"]),
        ..CASE
    },
    Case { name: "pod-with-user-namespace-and-unmasked-proc", place: &["container", "env", POD], ..CASE },
    // SELinux
    Case { name: "selinux-user", lsm: Lsm::Selinux, ..CASE },
    Case {
        name: "container_t-denied",
        lsm: Lsm::Selinux,
        place: &["selinux:container_t", "env", POD],
        expect: Leads(&["PR05"]),
        after: RESET_SELINUX,
        ..CASE
    },
    Case {
        name: "container_t-permissive",
        lsm: Lsm::Selinux,
        before: &[&["setenforce", "0"]],
        place: &["selinux:container_t", "env", POD],
        after: &[&["setenforce", "1"]],
        ..CASE
    },
    Case {
        name: "container_t-and-masked-proc",
        lsm: Lsm::Selinux,
        place: &["selinux:container_t", "unmasked=no", "env", POD],
        expect: Leads(&["PR05", "PR01"]),
        after: RESET_SELINUX,
        ..CASE
    },
    Case {
        name: "container_t-user-namespace-denied",
        lsm: Lsm::Selinux,
        profiles: NEW,
        before: &[&["setsebool", "container_userns_create", "off"]],
        place: &["selinux:container_t", "env", POD],
        line: ROOT,
        expect: Leads(&["NS08"]),
        // policies that permit it and policies that do not look alike from inside
        unforeseeable: true,
        after: &[&["load-selinux", "--reset"], &["setsebool", "container_userns_create", "on"]],
        ..CASE
    },
    // no CAP_SETFCAP, then SELinux, then a masked /proc: the kernel asks SELinux first
    Case {
        name: "the-whole-story",
        lsm: Lsm::Selinux,
        place: &["selinux:container_t", "userns=no", "caps=", "unmasked=no", "env", POD],
        expect: Leads(&["UM01", "PR05", "PR01"]),
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
        expect: Leads(&["MT01"]),
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "no-mount-rule",
        lsm: Lsm::AppArmor,
        place: &["container", "apparmor=no-mount-rule", "env", POD],
        expect: Leads(&["MT01"]),
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "no-pivot-root",
        lsm: Lsm::AppArmor,
        place: &["container", "apparmor=no-pivot-root", "env", POD],
        expect: Leads(&["MT09"]),
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "no-proc-mount",
        lsm: Lsm::AppArmor,
        place: &["container", "apparmor=no-proc-mount", "env", POD],
        expect: Leads(&["PR06"]),
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "docker-default-like-and-masked-proc",
        lsm: Lsm::AppArmor,
        place: &["container", "apparmor=docker-default-like", "unmasked=no", "env", POD],
        expect: Leads(&["MT01", "PR01"]),
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "userns-denied",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-denied"],
        expect: Leads(&["NS09"]),
        after: FORGET_PROFILES,
        ..CASE
    },
    // a profile of bwrap's own, as Ubuntu wants it
    Case {
        name: "userns-denied-but-to-bwrap",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-denied"],
        expect: Leads(&["NS09"]),
        choice: 1,
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "userns-capabilities-stripped-but-for-bwrap",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-sys-admin-only"],
        expect: Leads(&["LO01"]),
        choice: 1,
        after: FORGET_PROFILES,
        ..CASE
    },
    // what Ubuntu 24.04 does; --unshare-net changes which message appears
    Case {
        name: "userns-capabilities-stripped",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-caps-stripped"],
        line: SHARED_NETWORK,
        expect: Leads(&["NS09"]),
        // a profile that denies them is not helped by a rule that allows them
        choice: 1,
        after: FORGET_PROFILES,
        ..CASE
    },
    Case {
        name: "userns-capabilities-stripped-with-network",
        lsm: Lsm::AppArmor,
        profiles: NEW,
        place: &["apparmor:userns-sys-admin-only"],
        expect: Leads(&["LO01"]),
        after: FORGET_PROFILES,
        ..CASE
    },
];

/// Suites of the crate that run in a guest once more: on the oldest kernel and on the newest, with bwrap 0.8 and 0.12.
pub(crate) const SUITES: &[&str] = &["conformance", "verdict"];

/// Where they run.
pub(crate) const SUITE_PROFILES: &[&str] = &["k5.10", "k7"];

pub(crate) const PROFILES: &[&str] = &["k5.10", "k6.1", "k6.12", "k7"];

impl Case {
    pub(crate) fn runs_on(&self, profile: &str) -> bool {
        self.profiles.is_empty() || self.profiles.contains(&profile)
    }
}
