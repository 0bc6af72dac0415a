//! What the command may do: capabilities, system calls, terminal, labels.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::{Content, Descriptor};
use crate::capability::Capability;

/// A seccomp filter for the command: a program of classic BPF instructions, 8 bytes each, as `seccomp(2)`
/// takes it (`--seccomp`, or `--add-seccomp-fd` where there are several).
///
/// The filter also binds bwrap's own process 1 inside, so it must allow `wait4`, `write`, `close` and
/// `exit_group`. Every launch looks into it (a descriptor is read to its end for that), because where it does
/// not, nobody can tell a command that was not executed from one that ended with status 1: see
/// [`Undecided`](crate::Undecided).
///
/// ```
/// use bwrap_launch::{Filter, Sandbox};
/// // no character can be pushed into the caller's terminal, and job control goes on working
/// let sandbox = Sandbox::new().ro_bind("/", "/").seccomp(Filter::terminal()?);
/// assert!(sandbox.command("true").status()?.success());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub(crate) program: Content,
    /// It denies what [`Filter::terminal`] denies.
    pub(crate) terminal: bool,
}

/// This machine's architecture is none that the filter can be compiled for.
///
/// ```
/// use bwrap_launch::{Filter, Sandbox, UnsupportedArchitecture};
/// let sandbox = match Filter::terminal() {
///     Ok(filter) => Sandbox::new().seccomp(filter),
///     Err(UnsupportedArchitecture) => Sandbox::new().new_session(),
/// };
/// assert!(sandbox.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no filter can be compiled for {}: seccompiler does not know it; Sandbox::new_session takes the place of the terminal filter",
    std::env::consts::ARCH
)]
pub struct UnsupportedArchitecture;

/// `ioctl(2)` in the x32 system call table of x86-64, which shares its audit architecture.
#[cfg(target_arch = "x86_64")]
const X32_IOCTL: i64 = 0x4000_0000 + 514;

/// A request of `ioctl(2)`, whose type in C is another in each library.
fn request(number: impl TryInto<u64>) -> Option<u64> {
    number.try_into().ok()
}

impl Filter {
    /// A filter from a compiled program, or from a descriptor that yields one.
    ///
    /// Its size is 8 bytes for each of 1 to 4096 instructions, in the byte order of this machine. Bytes of
    /// another size are an error of [`Sandbox::check`](super::Sandbox::check).
    ///
    /// ```
    /// use bwrap_launch::{Filter, Problem, Sandbox};
    /// let mut allow = 6_u16.to_ne_bytes().to_vec(); // BPF_RET | BPF_K
    /// allow.extend([0, 0]);
    /// allow.extend(0x7fff_0000_u32.to_ne_bytes()); // SECCOMP_RET_ALLOW
    /// assert!(Sandbox::new().seccomp(Filter::new(allow)).check().is_ok());
    /// let error = Sandbox::new().seccomp(Filter::new("seven b")).check().unwrap_err();
    /// assert_eq!(error.problem, Problem::FilterSize(7));
    /// ```
    pub fn new(program: impl Into<Content>) -> Self {
        Self { program: program.into(), terminal: false }
    }

    /// The compiled program.
    ///
    /// ```
    /// use bwrap_launch::Filter;
    /// let filter = Filter::new([6, 0, 0, 0, 0, 0, 0xff, 0x7f]);
    /// assert_eq!(filter.program().as_bytes().unwrap().len(), 8);
    /// ```
    #[must_use]
    pub fn program(&self) -> &Content {
        &self.program
    }

    /// A filter that denies the two `ioctl`s which push characters into a terminal (TIOCSTI, TIOCLINUX) with
    /// EPERM and allows everything else: the alternative to
    /// [`Sandbox::new_session`](super::Sandbox::new_session) for commands that need job control. It compares
    /// the low 32 bits, as the kernel does (CVE-2019-10063).
    ///
    /// Programs of another architecture (i386 on x86-64) are killed.
    ///
    /// # Errors
    ///
    /// On architectures other than x86-64, aarch64 and riscv64.
    ///
    /// ```
    /// use bwrap_launch::{Circumstances, Filter, Lint, Sandbox};
    /// let mut circumstances = Circumstances::default();
    /// circumstances.terminal = true;
    /// let sandbox = Sandbox::new().unshare_all().die_with_parent();
    /// assert_eq!(sandbox.lint(&circumstances)[0].lint, Lint::TerminalInjection);
    /// assert!(sandbox.seccomp(Filter::terminal()?).lint(&circumstances).is_empty());
    /// # Ok::<(), bwrap_launch::UnsupportedArchitecture>(())
    /// ```
    pub fn terminal() -> Result<Self, UnsupportedArchitecture> {
        let architecture: TargetArch =
            std::env::consts::ARCH.try_into().map_err(|_| UnsupportedArchitecture)?;
        let rules = terminal_rules()?;
        let compile = || -> Result<BpfProgram, BackendError> {
            let numbers = [
                libc::SYS_ioctl,
                #[cfg(target_arch = "x86_64")]
                X32_IOCTL,
            ];
            let calls = BTreeMap::from(numbers.map(|number| (number, rules.clone())));
            let deny = SeccompAction::Errno(libc::EPERM.unsigned_abs());
            SeccompFilter::new(calls, SeccompAction::Allow, deny, architecture)?.try_into()
        };
        let program = compile().map_err(|_| UnsupportedArchitecture)?;
        Ok(Self { program: bytes(&program).into(), terminal: true })
    }
}

/// The requests of `ioctl(2)` that push characters into a terminal.
pub(super) fn terminal_rules() -> Result<Vec<SeccompRule>, UnsupportedArchitecture> {
    let rule = |request: Option<u64>| {
        SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request?)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .ok()
    };
    let rules = [request(libc::TIOCSTI), request(libc::TIOCLINUX)].into_iter().map(rule);
    rules.collect::<Option<_>>().ok_or(UnsupportedArchitecture)
}

/// A program as the kernel takes it.
pub(super) fn bytes(program: &[sock_filter]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    bytes
}

/// What can be a filter's program.
macro_rules! programs {
    ($($program:ty),+) => { $(
        impl From<$program> for Filter {
            fn from(program: $program) -> Self {
                Self::new(program)
            }
        }
    )+ };
}
programs! { Content, Vec<u8>, &[u8], Descriptor, OwnedFd, std::fs::File, std::io::PipeReader }

/// One step in working out the command's capabilities: see
/// [`Sandbox::get_capabilities`](super::Sandbox::get_capabilities).
///
/// ```
/// use bwrap_launch::{Capability, CapabilityChange, Sandbox};
/// let sandbox = Sandbox::new().cap_drop_all().cap_add(Capability::CAP_KILL);
/// let adds = |change: &&CapabilityChange| matches!(change, CapabilityChange::Add(_) | CapabilityChange::AddAll);
/// let added: Vec<_> = sandbox.get_capabilities().iter().filter(adds).collect();
/// assert_eq!(added, [&CapabilityChange::Add(Capability::CAP_KILL)]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CapabilityChange {
    /// [`Sandbox::cap_add`](super::Sandbox::cap_add).
    Add(Capability),
    /// [`Sandbox::cap_drop`](super::Sandbox::cap_drop).
    Drop(Capability),
    /// [`Sandbox::cap_add_all`](super::Sandbox::cap_add_all).
    AddAll,
    /// [`Sandbox::cap_drop_all`](super::Sandbox::cap_drop_all).
    DropAll,
}

/// All that a sandbox says about what its command may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "one per bwrap switch")]
pub(crate) struct Privileges {
    pub(crate) capabilities: Vec<CapabilityChange>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) new_session: bool,
    pub(crate) disable_userns: bool,
    pub(crate) assert_userns_disabled: bool,
    pub(crate) exec_label: Option<OsString>,
    pub(crate) file_label: Option<OsString>,
    pub(crate) not_a_security_boundary: bool,
}
