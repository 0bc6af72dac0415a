//! Every cause there is: its stable code, its name, what it is in one line.

use std::fmt;
use std::str::FromStr;

use crate::bwrap::Stage;

macro_rules! causes {
    ($($stage:ident { $($code:ident $name:ident $title:literal,)+ })+) => {
        /// Why a sandbox does not start, in the order in which bwrap meets what stands in its way. Of two causes that are equally
        /// likely the first in this order is named first; it may change from version to version.
        ///
        /// A code never changes its meaning; [`explanation`](Self::explanation) tells all about one, as `rustc --explain`
        /// does about errors of Rust.
        ///
        /// ```
        /// use bwrap_launch::diagnosis::Cause;
        /// let cause: Cause = "PR01".parse().unwrap();
        /// assert_eq!((cause, cause.name()), (Cause::MaskedProc, "MaskedProc"));
        /// assert_eq!(cause.to_string(), "the container runtime masks parts of /proc [PR01]");
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Cause {
            $($(#[doc = concat!("`", stringify!($code), "`: ", $title, ".")] $name,)+)+
        }

        impl Cause {
            /// Every cause, in that order.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)+)+];

            /// The stable code: `PR01`.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $($(Self::$name => stringify!($code),)+)+ }
            }

            /// The name, as in this enumeration: `MaskedProc`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $($(Self::$name => stringify!($name),)+)+ }
            }

            /// What it is, in a line without a full stop.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $($(Self::$name => $title,)+)+ }
            }

            /// All about it: what it means, how to know it, what to do, for a terminal.
            #[must_use]
            pub fn explanation(self) -> &'static str {
                self.text().split(SECTION).next().unwrap_or_default().trim_ascii_end()
            }

            /// Its text: all about it, then what only it says and does, each below a line `== NAME`.
            pub(super) fn text(self) -> &'static str {
                match self { $($(Self::$name => {
                    include_str!(concat!("explanations/", stringify!($code), ".txt"))
                })+)+ }
            }

            /// The stage of bwrap's start-up that it stops.
            #[must_use]
            pub fn stage(self) -> Stage {
                match self { $($(Self::$name => Stage::$stage,)+)+ }
            }
        }
    };
}

causes! {
    Loader {
        EX10 LoaderFailed "bwrap itself cannot be loaded",
        CP07 BwrapMissing "there is no bwrap where it is looked for",
        CP09 LauncherRefuses "the launcher refused to start bwrap, for a reason of its own",
        CP08 BwrapNotExecutable "the file of bwrap may not be executed here",
        CP03 FileCapabilitiesOutsideBounds "the bwrap program carries file capabilities that are outside the bounding set",
    }
    Privileges {
        NS21 AppWithoutNamespaces "Android and proot let no program make namespaces",
        CP01 UnexpectedCapabilities "bwrap refuses to run with capabilities as a user other than root",
        CP02 SetuidWithoutBounds "bwrap is setuid root, but the bounding set lacks the capabilities that it needs",
        CP04 SetuidUnsupported "bwrap is setuid root, but was built without support for that",
        CP05 SetuidHangs "a setuid bwrap 0.8 hangs with a user namespace",
        PR09 ProcIncomplete "/proc is missing or incomplete, so bwrap cannot read the kernel's settings",
    }
    Arguments {
        AR03 OperandMissing "an option took the next one for its operand",
        AR04 ArgumentsTooLong "the arguments are longer than the kernel takes",
        VR01 UnknownOption "this bwrap is too old for an option",
        AR01 BadArguments "bwrap does not accept its arguments",
    }
    Checks {
        PR10 ProcUnavailable "there is no /proc that bwrap could open",
        AR02 ContradictoryOptions "options of the sandbox contradict each other",
    }
    Monitor {
        PR12 ProcOfOtherNamespace "/proc shows another PID namespace than ours",
        DF01 DescriptorLimit "no more open files are allowed",
    }
    Internal { SY01 OutOfMemory "memory ran out", }
    Seccomp { SF02 SeccompDeniesCall "a system call filter denies a call that bwrap makes", }
    Namespaces {
        NS03 Chrooted "the process is in a chroot, where the kernel makes no user namespaces",
        NS02 UserNamespacesSwitchedOff "kernel.unprivileged_userns_clone=0 forbids user namespaces to users",
        NS04 UnmappedId "our user or group id is not mapped in this user namespace",
        NS07 RootWithoutSysAdmin "root without CAP_SYS_ADMIN needs a user namespace, and the sandbox asks for none",
        NS19 JoinDenied "an existing namespace could not be joined",
        NS01 SeccompDeniesNamespaces "the container's system call filter denies new namespaces",
        NS05 UnitRestrictsNamespaces "the systemd unit forbids new namespaces",
        NS06 OuterSandboxDeniesNamespaces "an outer sandbox forbids new namespaces",
        NS08 SelinuxDeniesUserNamespaces "SELinux denies new user namespaces to this domain",
        NS09 AppArmorDeniesUserNamespaces "AppArmor denies new user namespaces",
        NS10 NamespacesNotImplemented "a system call filter, or an emulated kernel, answers that namespaces do not exist",
        NS11 KernelWithoutUserNamespaces "the kernel has no user namespaces",
        NS12 NoUserNamespacesAllowed "user.max_user_namespaces=0 forbids user namespaces",
        NS15 NamespaceLimit "a limit on another kind of namespace is reached",
        NS13 AncestorLimitsUserNamespaces "a namespace above us allows no more user namespaces",
        NS18 GvisorNestedTooDeep "gVisor nests user namespaces no deeper",
        NS14 NestedTooDeep "user namespaces are nested too deep",
        NS20 EmulatedProcessor "the emulator of another processor makes no namespaces",
        NS16 ProcessLimit "no more processes are allowed",
    }
    Loopback {
        LO01 AppArmorStripsNetAdmin "AppArmor takes the capabilities of new user namespaces away, so the loopback device cannot be set up",
        LO02 NetAdminMissing "CAP_NET_ADMIN is missing for a network namespace without a user namespace",
        LO03 GvisorLoopback "gVisor's network namespaces come with a loopback device, which bwrap does not expect",
        LO04 NetlinkDenied "netlink sockets are denied",
        LO05 SelinuxDeniesNetAdmin "SELinux denies CAP_NET_ADMIN in user namespaces",
    }
    IdMap {
        UM02 AppArmorRestrictsUserNamespaces "AppArmor takes the rights of new user namespaces away",
        UM03 ProcReadOnly "/proc is mounted read-only, so id maps cannot be written",
        UM04 LandlockDeniesProc "a Landlock domain forbids writing to /proc",
        UM12 BwrapUnreadable "bwrap's program may be executed but not read, so the kernel keeps its id maps from it",
        UM01 MissingSetfcap "root without CAP_SETFCAP may not map itself into a user namespace",
        UM14 OverflowIdTwice "a setuid bwrap maps the overflow user or group twice for its new /dev",
        UM05 IdsDiffer "our real and effective ids differ, or are not mapped",
        UM06 GidMapDenied "the group id map may not be written",
    }
    Sources {
        MT14 Openat2Missing "bwrap walks paths with openat2, and is told that there is no such call",
        BD01 SourceMissing "the source of a mount does not exist",
        BD06 SourceUnreachable "the source of a mount may not be reached",
    }
    Mounts {
        MT01 AppArmorDeniesMount "the container's AppArmor profile denies mounting",
        MT16 SelinuxDeniesMount "SELinux denies changing mounts to this domain",
        MT02 SeccompDeniesMount "a system call filter denies mounting",
        MT03 MountNotImplemented "a system call filter answers that mounting does not exist",
        MT17 GvisorMountNamespace "gVisor lets nobody mount in a namespace that is made together with a user namespace",
        MT04 LandlockDeniesMount "a Landlock domain forbids mounting",
        MT18 ChromiumOsDeniesMount "the kernel of Chromium OS lets nobody mount with exec in a user namespace",
        MT06 SelinuxDeniesTmpfs "SELinux denies mounting a tmpfs to this domain",
        MT07 SeccompDeniesTmpfs "a system call filter lets some mounts through but not a tmpfs",
        MT05 TmpMissing "/tmp is missing, which bwrap builds the sandbox on",
        MT12 MountLimit "fs.mount-max is reached",
        MT13 OverlayUnsupported "the kernel or the file systems do not support this overlay",
    }
    Pivot {
        MT08 SeccompDeniesPivotRoot "the container's system call filter denies pivot_root",
        MT09 AppArmorDeniesPivotRoot "the AppArmor profile denies pivot_root",
        MT15 RootIsInitramfs "the root is the initramfs, which bwrap cannot change for another",
        MT19 ChrootBelowSharedMount "the root is a chroot's, below a mount that is shared, which pivot_root refuses",
    }
    Mounts {
        PR05 SelinuxDeniesProc "SELinux denies mounting proc to this domain",
        PR06 AppArmorDeniesProc "the AppArmor profile denies mounting proc",
        PR01 MaskedProc "the container runtime masks parts of /proc",
        PR11 UnmaskedProcMasked "CRI-O masks parts of /proc although the pod says procMount: Unmasked",
        PR02 CoveredProc "something is mounted over a part of /proc",
        PR03 OuterBwrapCoversProc "an outer bwrap, run as root, covers parts of /proc",
        PR04 ProcAtime "/proc is mounted with another atime mode than the default",
        PR07 PidNamespaceNotOwned "the PID namespace belongs to another user namespace",
        PR08 EmulatedKernelDeniesProc "the emulated kernel or micro-VM denies mounting proc",
        FB01 NeedlessUserNamespace "root with CAP_SYS_ADMIN could mount proc, but the sandbox's own user namespace hides that it may",
        DV01 SelinuxDeniesDevpts "SELinux denies mounting devpts to this domain",
        DV02 DevptsInvalid "the kernel does not mount devpts here",
        DV03 DeviceMissing "a device node is missing in /dev",
        MT11 HostnameDenied "a system call filter denies setting the host name",
        BD04 DestinationIsSymlink "the destination of a mount is a symbolic link",
        BD05 DestinationOfOtherKind "the destination of an operation is of another kind than it must be",
        BD10 ParentUnreadable "a directory on the way to a destination may not be read",
        BD03 DestinationReadOnly "the destination of an operation cannot be created where it is",
        BD07 DestinationExists "what the sandbox would make at a destination is there already, and differs",
        BD08 FileTooBig "a file of the sandbox does not fit where it is made",
        BD02 RemountRefused "a locked or special mount cannot be remounted with the flags of the bind",
        BD11 SourceReplaced "what was mounted at a source has been replaced since",
        VR02 BwrapTooOld "an old bwrap fails at something that newer ones do right",
        BD09 BindDenied "the kernel denies a bind mount",
    }
    Pivot { MT10 SeccompDeniesUmount "a system call filter denies unmounting", }
    NestedUserNamespace {
        UM08 SecondUserNamespaceLimit "the limit on user namespaces allows one, and the sandbox needs two",
        UM07 SeccompDeniesUnshare "a system call filter denies the second user namespace, which a new /dev needs",
        UM10 DisableUsernsReadOnly "/proc/sys is read-only, so user namespaces cannot be disabled inside",
        UM13 NamespaceLimitMissing "the kernel has no limit on user namespaces that bwrap could set",
        UM09 DisableUsernsDenied "an AppArmor profile forbids writing to /proc/sys/user",
        UM11 UserNamespacesStillAllowed "user namespaces are not disabled, as the sandbox demands",
    }
    Capabilities { CP06 CapabilityUnavailable "a capability that the sandbox gives to the command is not ours to give", }
    Environment {
        NS17 ProcessLimitLate "no more processes are allowed for the processes inside",
        EX08 WorkingDirectoryMissing "the working directory is not there inside",
        EX09 LabelRefused "the security label was refused",
    }
    Seccomp { SF01 FilterRejected "the kernel rejects the sandbox's own system call filter", }
    Exec {
        EX02 ProgramMissing "the program is not there inside",
        EX01 LoaderMissing "the program is there, but its loader or interpreter is not visible inside",
        EX12 ExecLoop "links or #! lines lead to the program in a circle, or too far",
        EX03 ProgramNotExecutable "the program may not be executed",
        EX04 WrongArchitecture "the program is built for another architecture",
        EX05 ExecDenied "a security module or system call filter denies executing the program",
    }
    Reaper {
        EX11 LockFileFailed "a lock file cannot be opened or locked",
        CM01 HelperConfined "bwrap made the sandbox, and the launcher's helper inside may not make another",
        CM02 DevicesUnusable "the command runs, and the devices in its /dev are missing or may not be used",
        CM03 LibraryNotVisible "the command's loader finds a library nowhere inside",
        CM04 RuntimeDamaged "bwrap made the sandbox, and the runtime that Flatpak puts in it is damaged",
        CM05 NoNewPrivileges "bwrap lets no command gain privileges, as sudo and other setuid programs would",
        CM06 ZombiesLeft "processes that bwrap leaves are reaped by nobody: process 1 is no init",
    }
    Unknown {
        K803 PodFieldsIgnored "the cluster ignores procMount or hostUsers",
        K801 UnmaskedNeedsUserNamespace "Kubernetes allows procMount: Unmasked only with hostUsers: false",
        K802 NodeWithoutUserNamespaces "the node allows no user namespaces, so it cannot run pods with hostUsers: false",
        K804 PodSecurityForbidsUnmasked "Pod Security Standards forbid procMount: Unmasked",
        K805 RuntimeWithoutUserNamespaces "the pod was not started: its runtime offers no user namespaces",
        K806 SeccompFileMissing "the pod was not started: its system call filter is not on the node",
        K807 AppArmorProfileNotLoaded "the pod was not started: its node has not loaded the AppArmor profile, or has no AppArmor",
        K808 VolumeWithoutIdMapping "the pod was not started: a file system of it cannot be mounted with the ids of its user namespace",
        K809 AdmissionRefuses "the pod was not started: the cluster's rules do not admit it",
        K810 PodNotStarted "the pod was not started, for a reason of the cluster's or the runtime's own",
        K811 RootNotWanted "the pod was not started: it says runAsNonRoot, and its image would run as root",
        K812 PodCannotBeChanged "Kubernetes changes these fields of no pod or Job that is there already",
        K813 PodFieldsRefused "the pod was not started: a field of its manifest is not taken, or not beside another",
        K814 IdWithoutMapping "the pod was not started: an id of it is outside of its user namespace",
        K815 RuntimeClassMissing "the pod was not started: no runtime of its node has the name of its RuntimeClass",
        K816 NoIdsForPod "the pod was not started: its node has no ids for its user namespace",
        UN01 Unexplained "nothing that is known explains this",
    }
}

impl Cause {
    /// Whether nothing was started that could have run bwrap.
    pub(super) fn is_before_bwrap(self) -> bool {
        self.code().starts_with("K8") && self != Self::PodFieldsIgnored
    }
}

/// What begins a section of a cause's text, before its name.
const SECTION: &str = "\n== ";

/// Sections that are tables: what the system's answers mean to it, by what words others tell of it, and what of a pod they mind.
const TABLES: &[&str] = &["answers", "said", "minded"];

/// The sections of a cause's text, by their names.
fn sections(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let sections = text.split(SECTION).skip(1).filter_map(|section| section.split_once('\n'));
    sections.map(|(name, section)| (name, section.trim_ascii_end()))
}

/// One of them; nothing, if it is not there.
pub(super) fn section<'a>(text: &'a str, name: &str) -> &'a str {
    sections(text).find(|(of, _)| *of == name).map_or("", |(_, section)| section)
}

/// Those that are remedies of the cause's own.
pub(super) fn remedies(text: &str) -> impl Iterator<Item = (&str, &str)> {
    sections(text).filter(|(name, _)| !TABLES.contains(name))
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.title(), self.code())
    }
}

/// A code that stands for no cause.
///
/// ```
/// use bwrap_launch::diagnosis::Cause;
/// let error = "XX99".parse::<Cause>().unwrap_err();
/// assert_eq!(error.to_string(), "no cause has the code or name XX99; `bwrap-doctor explain` lists them");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no cause has the code or name {0}; `bwrap-doctor explain` lists them")]
pub struct UnknownCause(String);

impl FromStr for Cause {
    type Err = UnknownCause;

    /// By code or name, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownCause> {
        let is = |cause: &&Self| {
            cause.code().eq_ignore_ascii_case(text) || cause.name().eq_ignore_ascii_case(text)
        };
        Self::ALL.iter().find(is).copied().ok_or_else(|| UnknownCause(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_cause_is_explained_for_a_terminal() {
        let mut seen = HashSet::new();
        for &cause in Cause::ALL {
            let text = cause.explanation();
            let words = text.split_whitespace().count();
            assert!((40..=260).contains(&words), "{cause:?}: {words} words");
            for line in text.lines() {
                assert!(line.chars().count() <= 78 && line.trim_end() == line, "{cause:?}: {line}");
            }
            assert!(text.contains("\n\n") && text.ends_with('.') && !text.contains("\n\n\n"), "{cause:?}");
            assert!(seen.insert(text), "{cause:?} has the text of another");
        }
    }

    /// Whoever reads it has a message or a file before him, and looks for it here.
    #[test]
    fn each_names_what_is_seen() {
        for &cause in Cause::ALL {
            let text = cause.explanation();
            assert!(
                text.contains('`') && text.matches('`').count().is_multiple_of(2),
                "{cause:?}: nothing literal, or open"
            );
            let quoted = text.split('`').skip(1).step_by(2);
            let seen = quoted.chain(text.split_whitespace()).any(|part| {
                part.contains(": ")
                    || part.starts_with("/proc/")
                    || part.starts_with("/sys/")
                    || part.contains("bwrap")
            });
            assert!(seen, "{cause:?} names neither message nor evidence");
        }
    }

    /// Each message that a rule is for is found in the text about its cause, by its first words.
    #[test]
    fn messages_of_rules_are_quoted() {
        for rule in crate::diagnosis::causes::all() {
            let text = rule.cause.explanation().split_whitespace().collect::<Vec<_>>().join(" ");
            let quoted = rule.messages.iter().flat_map(|(patterns, _)| *patterns).any(|pattern| {
                let words: String = pattern.split('%').next().unwrap().chars().take(20).collect();
                text.contains(words.trim_end())
            });
            assert!(quoted || rule.messages.is_empty(), "{:?}: none of {:?}", rule.cause, rule.messages);
        }
    }
}
