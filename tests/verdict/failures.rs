//! Launches that come to nothing, at every stage, and those that only look so.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use bwrap_launch::op::{Chmod, RemountRo};
use bwrap_launch::{Bwrap, Capability, Error, Namespaces, Sandbox, Stdio};

use crate::cases;
use crate::common::{Case, Here, host, skip};
use crate::support::{Kind, Mark, SETTLE, both_writable, in_turn, judge, released, watch};

pub(crate) const CASES: &[Case] = cases![
    refusals,
    refusals_in_a_sandbox,
    users_with_capabilities_are_refused,
    setups_that_fail,
    commands_that_cannot_be_executed,
    files_that_a_shell_takes,
];

fn own_user_namespace() -> File {
    File::open("/proc/self/ns/user").unwrap()
}

/// The sandbox must fail so, whatever becomes of standard error, and the command must not have run.
fn fails(here: &Here, sandbox: &Sandbox, expected: Kind) {
    let sandbox = sandbox.clone().bind(&here.scratch, &here.scratch);
    let mark = Mark::new(here, "failing");
    for stderr in in_turn([Stdio::piped(), Stdio::null(), Stdio::inherit()]) {
        let mut command = here.shell(&sandbox, &mark.script("exit 1"));
        let holders = watch(&mut command);
        let outcome = command.stderr(stderr).status();
        assert_eq!(Kind::of(&outcome), expected, "{outcome:?}\n{sandbox}");
        drop(command);
        assert!(released(&holders, SETTLE), "{sandbox}");
        assert!(!mark.began(), "{sandbox}");
    }
}

fn refusals(here: &Here) {
    fails(here, &host().join_user(own_user_namespace()), Kind::Refused);
    fails(here, &host().join_user(File::open("/dev/null").unwrap()), Kind::Refused);
    fails(here, &host().join_pid(File::open("/dev/null").unwrap()), Kind::Refused);
    // here a child exists already, and would wait for ever
    fails(here, &host().join_user_after_setup(own_user_namespace()), Kind::Refused);
    fails(here, &host().file_label("no_such_label"), Kind::Refused);
    fails(here, &host().exec_label("no_such_label"), Kind::Refused);
    let foreign = here.command(&host().unshare(Namespaces::USER), "sleep").arg("60").spawn();
    let mut foreign = foreign.unwrap();
    foreign.wait_ready().unwrap();
    let inside = format!("/proc/{}/ns/pid", foreign.sandbox_pid().unwrap());
    // that is our own PID namespace: to be joined with rights over it only
    let sandbox = host().join_pid(File::open(inside).unwrap());
    if !here.root {
        let kind = judge(&mut here.command(&sandbox, "true"));
        assert!(kind.denies(), "{kind:?}");
    }
    foreign.kill().unwrap();
    // it may not have been executed yet
    let _ = foreign.wait();
}

/// A helper: launches in a sandbox and prints the outcome.
pub(crate) fn nested(arguments: &[String]) {
    let bwrap = match Bwrap::at(&arguments[0]) {
        Ok(bwrap) => bwrap,
        Err(error) => return println!("{error}"),
    };
    let inner = host().unshare(Namespaces::USER);
    let mut command = inner.command("true");
    let outcome = command.bwrap(&bwrap).stderr(Stdio::piped()).status();
    println!("{:?} {outcome:?}", Kind::of(&outcome));
}

fn refusals_in_a_sandbox(here: &Here) {
    let outer = host().proc("/proc").unshare(Namespaces::USER | Namespaces::PID).disable_userns();
    let output = here.helper(&outer, "nested").arg(here.bwrap.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("Refused "), "{said} {}", String::from_utf8_lossy(&output.stderr));
}

/// bwrap refuses to do anything, even to answer, with capabilities it was not given by a setuid bit.
fn users_with_capabilities_are_refused(here: &Here) {
    if !here.root {
        skip("only root can give capabilities away");
    }
    let mut process = std::process::Command::new("setpriv");
    process.args(["--reuid=61234", "--regid=61234", "--clear-groups"]);
    process.args(["--inh-caps=+net_admin", "--ambient-caps=+net_admin", "--"]);
    process.arg(std::env::current_exe().unwrap()).args(["--helper", "nested"]).arg(here.bwrap.path());
    let output = process.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("Unexpected capabilities"), "{said} {}", String::from_utf8_lossy(&output.stderr));
}

fn setups_that_fail(here: &Here) {
    let broken = [
        host().ro_bind("/nonexistent", "/mnt"),
        host().bind("/nonexistent", "/mnt"),
        host().dev_bind("/nonexistent", "/mnt"),
        // on a read-only file system
        host().dir("/usr/new-directory"),
        host().tmpfs("/usr/new-directory"),
        host().file("text", "/usr/new-file"),
        host().symlink("target", "/usr/new-link"),
        host().ro_bind("/etc/passwd", "/usr/new-file"),
        // kinds that do not fit
        host().ro_bind("/usr", "/etc/passwd"),
        host().ro_bind("/etc/passwd", "/usr"),
        host().tmpfs("/etc/passwd"),
        host().tmpfs("/mnt").symlink("one", "/mnt/x").symlink("two", "/mnt/x"),
        host().tmpfs("/mnt").file("", "/mnt/file").dir("/mnt/file/below"),
        host().add(Chmod::new(0o700, "/nonexistent")),
        host().tmpfs("/mnt").dir("/mnt/x").add(RemountRo::new("/mnt/x")),
        host().assert_userns_disabled(),
    ];
    for sandbox in broken {
        fails(here, &sandbox, Kind::SetupFailed);
        fails(here, &sandbox.unshare_all(), Kind::SetupFailed);
    }
    if here.root {
        // the rights to bring the loopback device up are gone with the capability
        let bare = host().unshare(Namespaces::NET).cap_drop(Capability::CAP_NET_ADMIN);
        assert_eq!(judge(&mut here.command(&bare, "true")), Kind::Ran(0), "dropped after its use");
    } else {
        fails(here, &host().ro_bind("/root/secret", "/mnt"), Kind::SetupFailed);
    }
}

/// Writes an executable file to the scratch directory.
fn executable(here: &Here, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = here.scratch.join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// `true` with another loader.
fn without_loader() -> Vec<u8> {
    let mut program = fs::read("/usr/bin/true").unwrap();
    let name = b"/ld-linux";
    let at = program.windows(name.len()).position(|window| window == name).unwrap();
    program[at + 1] = b'X';
    program
}

fn commands_that_cannot_be_executed(here: &Here) {
    let plain = here.scratch.join("plain");
    fs::write(&plain, "exit 0").unwrap();
    let unreadable = executable(here, "closed", "#!/bin/sh\n");
    fs::set_permissions(&unreadable, Permissions::from_mode(0o000)).unwrap();
    let around = here.scratch.join("around");
    std::os::unix::fs::symlink(&around, &around).unwrap();
    let programs = [
        PathBuf::from("no-such-program"),
        PathBuf::from("/no/such/program"),
        PathBuf::from("/usr"),
        PathBuf::from("/etc/passwd/below"),
        PathBuf::from("x".repeat(300)),
        plain,
        unreadable,
        around,
        executable(here, "script", "#!/no/such/interpreter\n"),
        executable(here, "directory", "#!/usr\n"),
        executable(here, "loader", without_loader()),
    ];
    for sandbox in both_writable(here) {
        for program in &programs {
            for stderr in in_turn([Stdio::piped(), Stdio::null()]) {
                let outcome = here.command(&sandbox, program).stderr(stderr).status();
                assert_eq!(Kind::of(&outcome), Kind::NotExecuted, "{}: {outcome:?}", program.display());
            }
        }
        // bwrap itself can take such a variable, but hand it to nobody
        let huge = sandbox.clone().env("HUGE", "x".repeat(200_000));
        assert_eq!(judge(&mut here.command(&huge, "true")), Kind::NotExecuted);
        let lost = sandbox.clone().current_dir("/nonexistent");
        assert_eq!(judge(&mut here.command(&lost, "true")), Kind::NotExecuted);
        let file = sandbox.clone().current_dir("/etc/passwd");
        assert_eq!(judge(&mut here.command(&file, "true")), Kind::NotExecuted);
        let nowhere = sandbox.clone().env("PATH", "/nonexistent:/etc");
        assert_eq!(judge(&mut here.command(&nowhere, "true")), Kind::NotExecuted);
        // more than execve(2) takes: bwrap itself is not started
        let many = vec!["x".repeat(100_000); 80];
        let error = here.command(&sandbox, "true").args(many).status().unwrap_err();
        let Error::System { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.raw_os_error(), Some(libc::E2BIG));
    }
}

/// `execvp` hands what the kernel does not know to a shell, so that these do run.
fn files_that_a_shell_takes(here: &Here) {
    let mark = Mark::new(here, "shell");
    let text = executable(here, "text", mark.script("exit 1"));
    let mut foreign = fs::read("/usr/bin/true").unwrap();
    // e_machine, of no machine there is
    foreign[18] = 0xff;
    foreign[19] = 0xee;
    let foreign = executable(here, "foreign", foreign);
    let broken = executable(here, "broken", b"\x7fELF: command not found");
    for sandbox in both_writable(here) {
        assert_eq!(judge(&mut here.command(&sandbox, &text)), Kind::Ran(1));
        assert!(mark.began());
        for program in [&foreign, &broken] {
            let kind = judge(&mut here.command(&sandbox, program));
            assert!(matches!(kind, Kind::Ran(1..=127)), "{}: {kind:?}", program.display());
        }
    }
}
