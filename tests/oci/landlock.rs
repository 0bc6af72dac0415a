//! A helper: restricts itself with Landlock and becomes another program.
#![allow(unsafe_code, reason = "no safe crate has Landlock's system calls without a second copy of syn")]

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `struct landlock_ruleset_attr` of the first version: which accesses need a rule.
#[repr(C)]
struct Ruleset {
    handled: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

const WRITE_FILE: u64 = 1 << 1;
const REMOVE_FILE: u64 = 1 << 5;
const PATH_BENEATH: i32 = 1;

fn check(result: i64) -> i32 {
    assert!(result >= 0, "Landlock: {}", std::io::Error::last_os_error());
    i32::try_from(result).unwrap()
}

/// Whether the kernel has it.
pub(crate) fn available() -> bool {
    let version: libc::c_uint = 1;
    // SAFETY: asks for the version only
    unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<Ruleset>(), 0_usize, version) > 0
    }
}

/// `landlock write|remove PROGRAM ARGUMENT...`: from then on, only files in `/dev` and `/tmp` may be written, or
/// removed.
pub(crate) fn landlock(arguments: &[String]) {
    let handled = if arguments[0] == "write" { WRITE_FILE } else { REMOVE_FILE };
    let ruleset = Ruleset { handled };
    // SAFETY: the structure is as large as we say, and lives
    let domain = check(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size_of::<Ruleset>(), 0)
    });
    for path in ["/dev", "/tmp"] {
        let directory = File::open(path).unwrap();
        let rule = Beneath { allowed: handled, parent: directory.as_raw_fd() };
        // SAFETY: the structure is the one for this type of rule, and lives
        check(unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, domain, PATH_BENEATH, &raw const rule, 0)
        });
    }
    // SAFETY: numbers only
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into());
    // SAFETY: numbers only
    check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, domain, 0) });
    // SAFETY: a number only; the descriptor is ours
    unsafe { libc::close(domain) };
    panic!("{}: {}", arguments[1], Command::new(&arguments[1]).args(&arguments[2..]).exec());
}
