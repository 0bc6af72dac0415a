//! The filter for commands that nobody trusts.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::privileges::{Filter, UnsupportedArchitecture, bytes, terminal_rules};

/// What has a fallback for a kernel without it, or gets round the other rules: a structure in memory hides the flags of `clone3`
/// and the requests of `io_uring` from every filter, and the newer mount calls do what `mount` does.
const NOT_THERE: &[libc::c_long] = &[
    libc::SYS_clone3,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
];

/// `open_tree_attr(2)` of Linux 6.15; calls that came after 2019 have the same number everywhere.
const OPEN_TREE_ATTR: libc::c_long = 467;

/// `kexec_file_load(2)`, which libc does not name for every C library.
const KEXEC_FILE_LOAD: libc::c_long = if cfg!(target_arch = "x86_64") { 320 } else { 294 };

/// What commands have no use for, and what has opened the kernel, other processes or the host before.
const DENIED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_get_mempolicy,
    libc::SYS_init_module,
    KEXEC_FILE_LOAD,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mbind,
    libc::SYS_migrate_pages,
    libc::SYS_mount,
    libc::SYS_move_pages,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_set_mempolicy,
    libc::SYS_set_mempolicy_home_node,
    libc::SYS_setns,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// Address families that commands use. Every other one has code of its own in the kernel, loaded on demand.
const FAMILIES: [libc::c_int; 5] =
    [libc::AF_UNSPEC, libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// `BPF_JMP | BPF_JA`, `BPF_RET | BPF_K`, and what the latter returns to let a call pass.
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;

impl Filter {
    /// A filter for commands that nobody trusts: it denies what ordinary programs do without, and what has led out of sandboxes
    /// before. The list is that of [flatpak](https://github.com/flatpak/flatpak/blob/main/common/flatpak-run.c), and some more.
    ///
    /// * With ENOSYS, as if the kernel were older: `clone3`, `io_uring`, the newer mount calls (`fsopen`, `open_tree`,
    ///   `move_mount`, ...).
    /// * With EPERM: further user namespaces (`unshare`, `clone`), mounts, `chroot` and `setns`; `ptrace`, `pidfd_getfd` and other
    ///   processes' memory; keyrings, `bpf`, `userfaultfd`, `perf_event_open`; modules, `kexec`, swap, accounting, quotas; NUMA
    ///   policies; and what [`Filter::terminal`] denies.
    /// * With EAFNOSUPPORT: sockets of other families than UNIX, IPv4, IPv6 and netlink.
    ///
    /// So debuggers, profilers, `LeakSanitizer` and sandboxes do not work inside. The x32 system call table is gone (ENOSYS), and
    /// programs of another architecture (i386 on x86-64) are killed.
    ///
    /// It is no wall by itself: what the sandbox binds decides what can be reached, and `/proc/PID/mem` takes the place of
    /// `ptrace` where a process may be traced.
    ///
    /// # Errors
    ///
    /// On architectures other than x86-64, aarch64 and riscv64.
    ///
    /// ```
    /// use bwrap_launch::{Filter, Sandbox};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all().seccomp(Filter::hardened()?);
    /// assert!(sandbox.command("true").status()?.success());
    /// let nested = sandbox.command("unshare").args(["--user", "true"]).output()?;
    /// assert!(!nested.status.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hardened() -> Result<Self, UnsupportedArchitecture> {
        let architecture: TargetArch =
            std::env::consts::ARCH.try_into().map_err(|_| UnsupportedArchitecture)?;
        let program = compile(architecture, terminal_rules()?).map_err(|_| UnsupportedArchitecture)?;
        Ok(Self { program: bytes(&program).into(), terminal: true })
    }
}

type Rules = BTreeMap<libc::c_long, Vec<SeccompRule>>;

fn compile(architecture: TargetArch, terminal: Vec<SeccompRule>) -> Result<BpfProgram, BackendError> {
    let errno = |number: libc::c_int| SeccompAction::Errno(number.unsigned_abs());
    let always = |calls: &[libc::c_long]| calls.iter().map(|call| (*call, Vec::new())).collect::<Rules>();
    let mut denied = always(DENIED);
    for call in [libc::SYS_unshare, libc::SYS_clone] {
        denied.insert(call, vec![new_user_namespace()?]);
    }
    denied.insert(libc::SYS_ioctl, terminal);
    let sockets = Rules::from([(libc::SYS_socket, vec![unusual_family()?])]);
    let lists = [(always(NOT_THERE), libc::ENOSYS), (denied, libc::EPERM), (sockets, libc::EAFNOSUPPORT)];
    let mut programs = vec![without_x32()];
    for (rules, number) in lists {
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno(number), architecture)?;
        programs.push(filter.try_into()?);
    }
    Ok(joined(programs))
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn new_user_namespace() -> Result<SeccompRule, BackendError> {
    let flag = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    SeccompRule::new(vec![condition(0, SeccompCmpOp::MaskedEq(flag), flag)?])
}

fn unusual_family() -> Result<SeccompRule, BackendError> {
    let other = |family: libc::c_int| condition(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()));
    SeccompRule::new(FAMILIES.into_iter().map(other).collect::<Result<_, _>>()?)
}

/// The x32 table of x86-64 shares its architecture, and no rule knows its numbers.
fn without_x32() -> BpfProgram {
    if !cfg!(target_arch = "x86_64") {
        return Vec::new();
    }
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        // A = the number of the call
        instruction(0x20, 0, 0, 0),
        // BPF_JMP | BPF_JGE | BPF_K
        instruction(0x35, 0, 1, 0x4000_0000),
        instruction(RETURN, 0, 0, 0x0005_0000 | libc::ENOSYS.unsigned_abs()),
        instruction(RETURN, 0, 0, ALLOW),
    ]
}

/// One program after the other, for one action each: what one lets pass, the next one looks at.
fn joined(programs: Vec<BpfProgram>) -> BpfProgram {
    let last = programs.len().saturating_sub(1);
    let mut all = Vec::new();
    for (index, mut program) in programs.into_iter().enumerate() {
        let length = program.len();
        for (at, instruction) in program.iter_mut().enumerate().filter(|_| index != last) {
            if instruction.code == RETURN && instruction.k == ALLOW {
                let rest = u32::try_from(length - at - 1).unwrap_or(u32::MAX);
                *instruction = sock_filter { code: JUMP, jt: 0, jf: 0, k: rest };
            }
        }
        all.append(&mut program);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_before_the_last_program() {
        let program = compile(TargetArch::x86_64, terminal_rules().unwrap()).unwrap();
        let allowed =
            |(_, instruction): &(usize, &sock_filter)| instruction.code == RETURN && instruction.k == ALLOW;
        let sockets = compile_sockets();
        let first = program.iter().enumerate().find(allowed).unwrap().0;
        assert!(first >= program.len() - sockets, "{first} of {}", program.len());
        assert!(program.len() < 4096);
        // every jump stays inside
        for (at, instruction) in program.iter().enumerate().filter(|(_, one)| one.code == JUMP) {
            assert!(at + 1 + (instruction.k as usize) < program.len());
        }
    }

    fn compile_sockets() -> usize {
        let rules = Rules::from([(libc::SYS_socket, vec![unusual_family().unwrap()])]);
        let errno = SeccompAction::Errno(1);
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno, TargetArch::x86_64).unwrap();
        BpfProgram::try_from(filter).unwrap().len()
    }

    #[test]
    fn it_stands_for_the_terminals_filter() {
        let filter = Filter::hardened().unwrap();
        assert!(filter.terminal);
        assert!(crate::Sandbox::new().seccomp(filter).check().is_ok());
    }
}
