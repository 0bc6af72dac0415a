//! System call filters, which bind bwrap's own last steps too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

use bwrap_launch::{Filter, Namespaces, Sandbox, Undecided};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::cases;
use crate::common::{Case, Here, host};
use crate::support::{Kind, Mark, SETTLE, both_writable, judge, released, watch};

pub(crate) const CASES: &[Case] = cases![
    filters_that_deny_write,
    filters_that_deny_wait4,
    filters_that_deny_execve,
    filters_that_kill_at_execve,
    filters_that_kill_at_write,
    lists_of_what_is_allowed,
    filters_from_descriptors,
    filters_that_bwrap_cannot_install,
    several_filters,
];

/// The largest number of a system call on this machine, and some more.
const LAST_CALL: i64 = 480;

const EPERM: SeccompAction = SeccompAction::Errno(1);

fn hidden(status: i32) -> Kind {
    Kind::Undecided(Undecided::FilterMayHideIt { status })
}

/// A compiled filter: what happens to these calls, and to all others.
fn compiled(
    rules: impl IntoIterator<Item = (i64, Vec<SeccompRule>)>,
    these: SeccompAction,
    others: SeccompAction,
) -> Vec<u8> {
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let rules: BTreeMap<_, _> = rules.into_iter().collect();
    let program: BpfProgram =
        SeccompFilter::new(rules, others, these, architecture).unwrap().try_into().unwrap();
    let mut bytes = Vec::new();
    for instruction in program {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    bytes
}

fn deny(call: i64, action: SeccompAction) -> Vec<u8> {
    compiled([(call, vec![])], action, SeccompAction::Allow)
}

/// What becomes of a script under a filter. Nothing may be left of it.
fn under(here: &Here, sandbox: &Sandbox, filter: impl Into<Filter>, script: &str) -> Kind {
    let mut command = here.shell(&sandbox.clone().seccomp(filter), script);
    let holders = watch(&mut command);
    let kind = judge(&mut command);
    drop(command);
    assert!(released(&holders, SETTLE), "{script}");
    kind
}

/// What becomes of a missing program under a filter.
fn missing(here: &Here, sandbox: &Sandbox, filter: impl Into<Filter>) -> Kind {
    judge(&mut here.command(&sandbox.clone().seccomp(filter), "no-such-program"))
}

/// bwrap writes "executing now": without write(2) only a status that it never has itself tells.
fn filters_that_deny_write(here: &Here) {
    let descriptor = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Gt, 2).unwrap();
    let elsewhere = SeccompRule::new(vec![descriptor]).unwrap();
    for filter in [
        deny(libc::SYS_write, EPERM),
        compiled([(libc::SYS_write, vec![elsewhere])], EPERM, SeccompAction::Allow),
    ] {
        for sandbox in both_writable(here) {
            let mark = Mark::new(here, "write");
            assert_eq!(under(here, &sandbox, filter.clone(), &mark.script("exit 4")), Kind::Ran(4));
            assert!(mark.began());
            assert_eq!(under(here, &sandbox, filter.clone(), "exit 1"), hidden(1));
            assert_eq!(under(here, &sandbox, filter.clone(), "kill -15 $$"), hidden(143));
            assert_eq!(missing(here, &sandbox, filter.clone()), hidden(1));
            // what happened before the filter is as clear as ever
            let broken = sandbox.clone().ro_bind("/nonexistent", "/mnt");
            assert_eq!(under(here, &broken, filter.clone(), "exit 1"), Kind::SetupFailed);
        }
    }
}

/// bwrap's process 1 then sees no command end.
fn filters_that_deny_wait4(here: &Here) {
    for action in [EPERM, SeccompAction::KillProcess] {
        let [plain, with_pids] = both_writable(here);
        let filter = deny(libc::SYS_wait4, action);
        assert_eq!(under(here, &plain, filter.clone(), "exit 4"), Kind::Ran(4));
        for status in [0, 1, 4] {
            let kind = under(here, &with_pids, filter.clone(), &format!("exit {status}"));
            assert!(matches!(kind, Kind::Undecided(_)), "exit {status}: {kind:?}");
        }
    }
}

fn filters_that_deny_execve(here: &Here) {
    for sandbox in both_writable(here) {
        let mark = Mark::new(here, "execve");
        for number in [1, 2, 38] {
            let filter = deny(libc::SYS_execve, SeccompAction::Errno(number));
            assert_eq!(under(here, &sandbox, filter, &mark.script("")), Kind::NotExecuted);
            assert!(!mark.began());
        }
    }
}

/// The byte that says "executing now" is written, and then nothing is executed. Nobody may take that for a command
/// that ran.
fn filters_that_kill_at_execve(here: &Here) {
    let mark = Mark::new(here, "execve");
    for action in [SeccompAction::KillProcess, SeccompAction::KillThread, SeccompAction::Trap] {
        for sandbox in both_writable(here) {
            let filter = deny(libc::SYS_execve, action.clone());
            let kind = under(here, &sandbox, filter, &mark.script(""));
            assert!(matches!(kind, Kind::NotExecuted | Kind::Undecided(_)), "{action:?}: {kind:?}");
            assert!(!mark.began());
        }
    }
}

fn filters_that_kill_at_write(here: &Here) {
    let mark = Mark::new(here, "killed");
    for action in [SeccompAction::KillProcess, SeccompAction::KillThread] {
        for sandbox in both_writable(here) {
            let filter = deny(libc::SYS_write, action.clone());
            assert_eq!(under(here, &sandbox, filter.clone(), &mark.script("")), hidden(159));
            assert!(!mark.began());
        }
    }
}

fn lists_of_what_is_allowed(here: &Here) {
    let all_but = |calls: &[i64]| {
        let allowed = (0..LAST_CALL).filter(|call| !calls.contains(call)).map(|call| (call, vec![]));
        compiled(allowed, SeccompAction::Allow, SeccompAction::Errno(38))
    };
    for sandbox in both_writable(here) {
        let good = all_but(&[libc::SYS_mount, libc::SYS_ptrace, libc::SYS_bpf]);
        for status in [0, 1, 4, 255] {
            let kind = under(here, &sandbox, good.clone(), &format!("exit {status}"));
            assert_eq!(kind, Kind::Ran(status));
        }
        assert_eq!(missing(here, &sandbox, good), Kind::NotExecuted);
        let bad = all_but(&[libc::SYS_write]);
        assert_eq!(under(here, &sandbox, bad.clone(), "exit 1"), hidden(1));
        assert_eq!(under(here, &sandbox, bad, "exit 4"), Kind::Ran(4));
    }
}

/// A pipe that yields these bytes.
fn piped(bytes: &[u8]) -> Filter {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(bytes).unwrap();
    Filter::new(std::os::fd::OwnedFd::from(reader))
}

/// They are read before the launch, so that they are as clear as others.
fn filters_from_descriptors(here: &Here) {
    let good = deny(libc::SYS_mount, EPERM);
    for sandbox in both_writable(here) {
        for status in [0, 1, 4] {
            let kind = under(here, &sandbox, piped(&good), &format!("exit {status}"));
            assert_eq!(kind, Kind::Ran(status));
        }
        assert_eq!(missing(here, &sandbox, piped(&good)), Kind::NotExecuted);
        let path = here.scratch.join("filter");
        std::fs::write(&path, &good).unwrap();
        assert_eq!(under(here, &sandbox, Filter::new(File::open(&path).unwrap()), "exit 4"), Kind::Ran(4));
        let no_write = deny(libc::SYS_write, EPERM);
        assert_eq!(under(here, &sandbox, piped(&no_write), "exit 4"), Kind::Ran(4));
        assert_eq!(under(here, &sandbox, piped(&no_write), "exit 1"), hidden(1));
    }
}

fn filters_that_bwrap_cannot_install(here: &Here) {
    let mark = Mark::new(here, "broken");
    for sandbox in both_writable(here) {
        for bytes in [&b""[..], b"1234567", &[0; 12], &vec![0; 8 * 4097]] {
            assert_eq!(
                under(here, &sandbox, bytes, &mark.script("")),
                Kind::Invalid,
                "{} bytes",
                bytes.len()
            );
        }
        for bytes in [vec![0xff; 8], vec![0; 8], vec![5, 0, 0, 0, 9, 0, 0, 0]] {
            let kind = under(here, &sandbox, bytes.clone(), &mark.script("exit 1"));
            assert!([Kind::NotExecuted, hidden(1)].contains(&kind), "{bytes:?}: {kind:?}");
            let kind = under(here, &sandbox, piped(&bytes), &mark.script("exit 1"));
            assert!([Kind::NotExecuted, hidden(1)].contains(&kind), "{bytes:?}: {kind:?}");
        }
        for bytes in [&b""[..], b"1234567", &[0; 12]] {
            assert_eq!(under(here, &sandbox, piped(bytes), &mark.script("exit 1")), Kind::Invalid);
        }
    }
    assert!(!mark.began());
}

fn several_filters(here: &Here) {
    let (mount, write) = (deny(libc::SYS_mount, EPERM), deny(libc::SYS_write, EPERM));
    for sandbox in both_writable(here) {
        let two = sandbox.clone().seccomp(mount.clone());
        assert_eq!(under(here, &two, mount.clone(), "exit 1"), Kind::Ran(1));
        assert_eq!(missing(here, &two, mount.clone()), Kind::NotExecuted);
        assert_eq!(under(here, &two, write.clone(), "exit 1"), hidden(1));
        // after this one no other can be installed
        let last = sandbox.clone().seccomp(deny(libc::SYS_prctl, EPERM));
        assert_eq!(under(here, &last, mount.clone(), "exit 1"), Kind::NotExecuted);
    }
    let held = host().unshare(Namespaces::PID).seccomp(write);
    let prepared = here.shell(&held, "exit 4").prepare().unwrap();
    assert_eq!(Kind::of(&prepared.start().unwrap().wait()), Kind::Ran(4));
}
