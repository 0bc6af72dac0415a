//! System call filters: what the command's calls answer under none, an allow list, a deny list, and two of them.

use std::collections::BTreeMap;
use std::io::Write;

use bwrap_launch::{Content, Descriptor, Error, Filter, ParseError, Place, Problem, Sandbox, Stage};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::cases;
use crate::common::{Case, Here, host};
use crate::support::error;

pub(crate) const CASES: &[Case] = cases![
    without_a_filter_the_kernel_answers,
    an_allow_list_denies_the_rest,
    a_deny_list_allows_the_rest,
    only_the_low_half_of_a_request_counts,
    filters_stack,
    only_the_last_filter_may_deny_prctl,
    a_filter_from_a_descriptor,
    what_is_no_filter_is_refused,
    a_filter_is_read_once,
];

/// A system call that fails harmlessly, and how.
struct Attempt {
    name: &'static str,
    number: i64,
    arguments: [i64; 3],
    errno: i32,
}

/// No address of the caller's.
const WRONG: i64 = 1;
const STDIN: i64 = 0;
const HIGH: i64 = 1 << 32;
const TIOCSTI: i64 = 0x5412;
const TIOCNOTTY: i64 = 0x5422;
const PR_GET_CHILD_SUBREAPER: i64 = 37;

/// Standard input is `/dev/null`, no terminal.
const ATTEMPTS: [Attempt; 8] = [
    Attempt { name: "chmod", number: libc::SYS_chmod, arguments: [WRONG, 0o700, 0], errno: libc::EFAULT },
    Attempt { name: "chroot", number: libc::SYS_chroot, arguments: [WRONG, 0, 0], errno: libc::EFAULT },
    Attempt { name: "clone3", number: libc::SYS_clone3, arguments: [WRONG, 88, 0], errno: libc::EFAULT },
    Attempt {
        name: "notty",
        number: libc::SYS_ioctl,
        arguments: [STDIN, TIOCNOTTY, WRONG],
        errno: libc::ENOTTY,
    },
    Attempt { name: "sti", number: libc::SYS_ioctl, arguments: [STDIN, TIOCSTI, WRONG], errno: libc::ENOTTY },
    Attempt {
        name: "sti+high",
        number: libc::SYS_ioctl,
        arguments: [STDIN, HIGH | TIOCSTI, WRONG],
        errno: libc::ENOTTY,
    },
    Attempt { name: "listen", number: libc::SYS_listen, arguments: [-1, 0, 0], errno: libc::EBADF },
    Attempt {
        name: "prctl",
        number: libc::SYS_prctl,
        arguments: [PR_GET_CHILD_SUBREAPER, WRONG, 0],
        errno: libc::EFAULT,
    },
];

/// Tries every call inside; what each answers.
fn answers(here: &Here, sandbox: &Sandbox) -> Vec<(&'static str, i32)> {
    let mut command = here.command(sandbox, "perl");
    // perl has one call for all, and asks the kernel for little else
    command.args([
        "-e",
        "while (@ARGV) { my @call = map { $_ + 0 } splice @ARGV, 0, 4; \
                         print syscall($call[0], @call[1 .. 3]) == -1 ? $! + 0 : 0, qq{\\n} }",
    ]);
    for attempt in &ATTEMPTS {
        command.arg(attempt.number.to_string()).args(attempt.arguments.map(|word| word.to_string()));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let numbers: Vec<i32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers.len(), ATTEMPTS.len());
    ATTEMPTS.iter().map(|attempt| attempt.name).zip(numbers).collect()
}

/// What the calls answer if these are denied so and the others reach the kernel.
fn denied(calls: &[(&str, i32)]) -> Vec<(&'static str, i32)> {
    let by_filter = |name| calls.iter().find(|(other, _)| *other == name).map(|(_, errno)| *errno);
    ATTEMPTS.iter().map(|a| (a.name, by_filter(a.name).unwrap_or(a.errno))).collect()
}

fn compiled(calls: BTreeMap<i64, Vec<SeccompRule>>, others: SeccompAction, these: SeccompAction) -> Vec<u8> {
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let program: BpfProgram =
        SeccompFilter::new(calls, others, these, architecture).unwrap().try_into().unwrap();
    let bytes =
        |i: seccompiler::sock_filter| [&i.code.to_ne_bytes()[..], &[i.jt, i.jf], &i.k.to_ne_bytes()].concat();
    program.into_iter().flat_map(bytes).collect()
}

/// A filter that denies whole system calls.
fn deny(calls: &[i64], errno: i32) -> Vec<u8> {
    let calls = calls.iter().map(|call| (*call, Vec::new())).collect();
    compiled(calls, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()))
}

/// A filter that denies TIOCSTI, comparing as many bits of the request.
fn deny_tiocsti(length: SeccompCmpArgLen) -> Vec<u8> {
    let request = TIOCSTI.unsigned_abs();
    let condition = SeccompCondition::new(1, length, SeccompCmpOp::Eq, request).unwrap();
    let calls = BTreeMap::from([(libc::SYS_ioctl, vec![SeccompRule::new(vec![condition]).unwrap()])]);
    compiled(calls, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.unsigned_abs()))
}

/// What bwrap needs to report, and perl to run.
#[rustfmt::skip]
const ORDINARY: &[i64] = &[
    libc::SYS_access, libc::SYS_arch_prctl, libc::SYS_brk, libc::SYS_clone, libc::SYS_close, libc::SYS_dup,
    libc::SYS_dup2, libc::SYS_execve, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_faccessat,
    libc::SYS_faccessat2, libc::SYS_fcntl, libc::SYS_fstat, libc::SYS_futex, libc::SYS_getcwd,
    libc::SYS_getdents64, libc::SYS_getegid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getpgrp,
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_getrandom, libc::SYS_getuid, libc::SYS_lseek, libc::SYS_lstat,
    libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_munmap, libc::SYS_newfstatat,
    libc::SYS_open, libc::SYS_openat, libc::SYS_pipe, libc::SYS_pipe2, libc::SYS_poll, libc::SYS_ppoll,
    libc::SYS_pread64, libc::SYS_prlimit64, libc::SYS_read, libc::SYS_readlink, libc::SYS_readlinkat,
    libc::SYS_rseq, libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn,
    libc::SYS_set_robust_list, libc::SYS_set_tid_address, libc::SYS_sigaltstack, libc::SYS_stat,
    libc::SYS_statx, libc::SYS_uname, libc::SYS_wait4, libc::SYS_write, libc::SYS_writev,
];

/// A filter that allows the ordinary calls, and `ioctl` but for TIOCSTI.
fn allow_list() -> Vec<u8> {
    let request = TIOCSTI.unsigned_abs();
    let condition = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, request).unwrap();
    let mut calls: BTreeMap<_, _> = ORDINARY.iter().map(|call| (*call, Vec::new())).collect();
    calls.insert(libc::SYS_ioctl, vec![SeccompRule::new(vec![condition]).unwrap()]);
    compiled(calls, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()), SeccompAction::Allow)
}

fn without_a_filter_the_kernel_answers(here: &Here) {
    assert_eq!(answers(here, &host()), denied(&[]));
}

fn an_allow_list_denies_the_rest(here: &Here) {
    let no = |name| (name, libc::ENOSYS);
    let expected = ["chmod", "chroot", "clone3", "sti", "sti+high", "listen", "prctl"].map(no);
    for sandbox in [host(), host().unshare_all()] {
        assert_eq!(answers(here, &sandbox.seccomp(allow_list())), denied(&expected));
    }
}

fn a_deny_list_allows_the_rest(here: &Here) {
    let filter = deny(&[libc::SYS_chmod, libc::SYS_chroot, libc::SYS_clone3], libc::ENOSYS);
    let no = |name| (name, libc::ENOSYS);
    for sandbox in [host(), host().unshare_all()] {
        let seen = answers(here, &sandbox.seccomp(filter.clone()));
        assert_eq!(seen, denied(&["chmod", "chroot", "clone3"].map(no)));
    }
}

/// CVE-2019-10063: the kernel ignores the high half, and so must a filter.
fn only_the_low_half_of_a_request_counts(here: &Here) {
    let masked = denied(&[("sti", libc::EPERM), ("sti+high", libc::EPERM)]);
    let whole = denied(&[("sti", libc::EPERM)]);
    assert_eq!(answers(here, &host().seccomp(deny_tiocsti(SeccompCmpArgLen::Dword))), masked);
    assert_eq!(answers(here, &host().seccomp(Filter::terminal().unwrap())), masked);
    // the calls inside do tell the two apart
    assert_eq!(answers(here, &host().seccomp(deny_tiocsti(SeccompCmpArgLen::Qword))), whole);
}

fn filters_stack(here: &Here) {
    here.needs("--add-seccomp-fd");
    let one = || deny(&[libc::SYS_chmod, libc::SYS_chroot], libc::EPERM);
    let two = || deny(&[libc::SYS_chmod, libc::SYS_listen], libc::ENOSYS);
    // both hold; where they disagree, the one that was added last decides
    let both = |chmod| denied(&[("chmod", chmod), ("chroot", libc::EPERM), ("listen", libc::ENOSYS)]);
    assert_eq!(answers(here, &host().seccomp(one()).seccomp(two())), both(libc::ENOSYS));
    assert_eq!(answers(here, &host().seccomp(two()).seccomp(one())), both(libc::EPERM));
}

/// bwrap needs it itself to load the next.
fn only_the_last_filter_may_deny_prctl(here: &Here) {
    here.needs("--add-seccomp-fd");
    let prctl = || deny(&[libc::SYS_prctl], libc::EACCES);
    let chmod = || deny(&[libc::SYS_chmod], libc::ENOSYS);
    let seen = answers(here, &host().seccomp(chmod()).seccomp(prctl()));
    assert_eq!(seen, denied(&[("chmod", libc::ENOSYS), ("prctl", libc::EACCES)]));
    // the set-up is complete by then: it is the command that is never executed
    let error = error(here, &host().seccomp(prctl()).seccomp(chmod()));
    let Error::NotExecuted(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.stage(), Some(Stage::Seccomp), "{failure:?}");
    let errno = failure.message().unwrap().errno().unwrap();
    assert_eq!(errno.code(), Some(libc::EACCES));
}

fn content_of(bytes: &[u8]) -> Content {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(bytes).unwrap();
    std::os::fd::OwnedFd::from(reader).into()
}

fn a_filter_from_a_descriptor(here: &Here) {
    let filter = deny(&[libc::SYS_chroot], libc::ENOSYS);
    let sandbox = host().seccomp(content_of(&filter));
    assert_eq!(answers(here, &sandbox), denied(&[("chroot", libc::ENOSYS)]));
    // it is looked into beforehand
    for bytes in [&filter[..7], b""] {
        let Error::Invalid(invalid) = error(here, &host().seccomp(content_of(bytes))) else {
            panic!("launched")
        };
        assert_eq!((invalid.place, invalid.problem), (Place::Filter(0), Problem::FilterSize(bytes.len())));
    }
}

fn what_is_no_filter_is_refused(here: &Here) {
    let filter = deny(&[libc::SYS_chroot], libc::ENOSYS);
    for size in [0, 1, filter.len() - 1] {
        let sandbox = host().seccomp(&filter[..size]);
        let Error::Invalid(invalid) = error(here, &sandbox) else { panic!("launched") };
        assert_eq!((invalid.place, invalid.problem), (Place::Filter(0), Problem::FilterSize(size)));
    }
    let negative = host().seccomp(Content::from(Descriptor::number(-1)));
    let Error::Invalid(invalid) = error(here, &negative) else { panic!("launched") };
    assert_eq!(invalid.problem, Problem::DescriptorNumber(-1));
    let closed = host().seccomp(Content::from(Descriptor::number(987)));
    assert!(matches!(error(here, &closed), Error::System { .. }));
    // what types rule out, and a command line does not
    for option in ["--seccomp", "--add-seccomp-fd"] {
        for value in ["-1", "0a", ""] {
            let refused = Sandbox::from_args([option, value]).unwrap_err();
            assert!(matches!(refused, ParseError::InvalidValue { .. }), "{option} {value}: {refused}");
        }
    }
    for (first, second) in [("--seccomp", "--add-seccomp-fd"), ("--add-seccomp-fd", "--seccomp")] {
        let refused = Sandbox::from_args([first, "7", second, "8"]).unwrap_err();
        assert_eq!(refused, ParseError::Conflict("--seccomp", "--add-seccomp-fd"));
    }
}

/// The second reader of a descriptor would get nothing.
fn a_filter_is_read_once(here: &Here) {
    let descriptor = || Content::from(Descriptor::number(0));
    let owned = content_of(&deny(&[libc::SYS_chroot], libc::ENOSYS));
    for sandbox in [
        host().seccomp(descriptor()).seccomp(descriptor()),
        host().seccomp(owned.clone()).seccomp(owned.clone()),
    ] {
        let Error::Invalid(invalid) = error(here, &sandbox) else { panic!("launched") };
        assert_eq!(invalid.place, Place::Filter(1));
        assert_eq!(invalid.problem, Problem::DescriptorReused { first: "seccomp filter 1".into() });
    }
    let sandbox = host().seccomp(owned);
    assert!(here.command(&sandbox, "true").status().unwrap().success());
    let Error::Invalid(invalid) = error(here, &sandbox) else { panic!("launched") };
    assert_eq!(invalid.problem, Problem::DescriptorSpent);
}
