//! What the command may do: capabilities, system calls, terminal, labels.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// One capability of `capabilities(7)`, under its name there; from the crate `caps`.
///
/// ```
/// use bwrap_launch::{Capability, Sandbox};
/// let sandbox = Sandbox::new().cap_drop(Capability::CAP_SYS_ADMIN);
/// assert_eq!(sandbox.to_string(), "bwrap --clearenv --cap-drop CAP_SYS_ADMIN");
/// ```
pub use caps::Capability;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::Content;

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
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no filter can be compiled for {}: seccompiler does not know it; Sandbox::new_session takes the place of the terminal filter",
    std::env::consts::ARCH
)]
/// ```
/// use bwrap_launch::{Filter, Sandbox, UnsupportedArchitecture};
/// let sandbox = match Filter::terminal() {
///     Ok(filter) => Sandbox::new().seccomp(filter),
///     Err(UnsupportedArchitecture) => Sandbox::new().new_session(),
/// };
/// assert!(sandbox.check().is_ok());
/// ```
pub struct UnsupportedArchitecture;

/// `ioctl(2)` in the x32 system call table of x86-64, which shares its audit architecture.
#[cfg(target_arch = "x86_64")]
const X32_IOCTL: i64 = 0x4000_0000 + 514;

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
        let compile = || -> Result<BpfProgram, BackendError> {
            let rules = terminal_rules()?;
            let mut calls = BTreeMap::from([(libc::SYS_ioctl, rules.clone())]);
            #[cfg(target_arch = "x86_64")]
            calls.insert(X32_IOCTL, rules);
            let deny = SeccompAction::Errno(libc::EPERM.unsigned_abs());
            SeccompFilter::new(calls, SeccompAction::Allow, deny, architecture)?.try_into()
        };
        let program = compile().map_err(|_| UnsupportedArchitecture)?;
        Ok(Self { program: bytes(&program).into(), terminal: true })
    }
}

/// The requests of `ioctl(2)` that push characters into a terminal.
pub(super) fn terminal_rules() -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |request: u64| {
        SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request)
            .and_then(|condition| SeccompRule::new(vec![condition]))
    };
    [libc::TIOCSTI, libc::TIOCLINUX].into_iter().map(rule).collect()
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

impl<T: Into<Content>> From<T> for Filter {
    fn from(program: T) -> Self {
        Self::new(program)
    }
}

/// One step in working out the command's capabilities, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CapabilityChange {
    Add(Capability),
    Drop(Capability),
    AddAll,
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
