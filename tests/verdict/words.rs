//! Whose words explain a failure: never another launch's, nor those of a rehearsal about its own end.

use std::fs::{self, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bwrap_launch::{Bwrap, Error, Failure, Heard, ProgramProblem, Sandbox, Stage, Stdio};

use crate::cases;
use crate::common::{Case, Here, host};
use crate::support::{both, stand_in};

pub(crate) const CASES: &[Case] = cases![
    the_end_of_a_rehearsal_is_no_reason,
    words_of_others_in_a_file,
    programs_of_others_in_a_file,
    launches_at_once_with_one_file,
    nobody_reads_standard_error,
    reasons_that_cannot_be_seen,
    programs_that_are_open_for_writing,
    programs_for_others,
];

fn failure(
    here: &Here,
    sandbox: &Sandbox,
    program: &str,
    bwrap: &Bwrap,
    stderr: impl Into<Stdio>,
) -> Failure {
    let error = here.command(sandbox, program).bwrap(bwrap).stderr(stderr).status().unwrap_err();
    error.failure().unwrap_or_else(|| panic!("{error}")).clone()
}

/// The gate of a rehearsal ends two processes of bwrap at once, and what they say ends up in one line: here in every run.
fn the_end_of_a_rehearsal_is_no_reason(here: &Here) {
    let interleaved = stand_in(here, "interleaved", "printf 'bwrap: ' >&2; exec \"$real\" \"$@\"");
    for sandbox in both() {
        let failure = failure(here, &sandbox, "no-such-program", &interleaved, Stdio::null());
        assert_eq!((failure.message(), failure.heard()), (None, Heard::Lost), "{failure}");
        assert!(matches!(failure.program(), Some(ProgramProblem::NotFound { .. })), "{failure}");
    }
}

fn append(path: &Path) -> File {
    File::options().append(true).create(true).open(path).unwrap()
}

/// A bwrap that another one, also writing to this file, is always a line ahead of.
fn second(here: &Here, log: &Path, line: &str, then: &str) -> Bwrap {
    let line = line.replace('\'', "'\\''");
    stand_in(here, "second", &format!("echo 'bwrap: {line}' >> {}\n{then}", log.display()))
}

const REAL: &str = "exec \"$real\" \"$@\"";

fn words_of_others_in_a_file(here: &Here) {
    let log = here.scratch.join("log");
    let text = here.scratch.join("text");
    fs::write(&text, "").unwrap();
    let own = || host().ro_bind("/nonexistent", "/mnt");
    // read only once, it cannot be set up again
    let once =
        || host().tmpfs("/mnt").file(File::open(&text).unwrap(), "/mnt/x").ro_bind("/nonexistent", "/mnt/y");
    for line in [
        "Can't find source path /of-another: No such file or directory",
        "Can't mount proc on /newroot/proc: Operation not permitted",
        "loopback: Failed RTM_NEWADDR: Operation not permitted",
        "execvp true: Permission denied",
        "bwrap: Can't find source path /nobwrap: : Can't",
    ] {
        let ahead = second(here, &log, line, REAL);
        for (sandbox, heard) in [(own(), Heard::Captured), (once(), Heard::Overheard)] {
            let failure = failure(here, &sandbox, "true", &ahead, append(&log));
            assert_eq!(failure.heard(), heard, "{line}: {failure:?}");
            let said = failure.message().unwrap();
            assert_eq!(said.path(), Some("/nonexistent".as_ref()), "{line}: {failure:?}");
            assert_eq!(failure.messages().len(), 1, "{line}: {failure:?}");
        }
        // it says nothing itself
        let silent = second(here, &log, line, "exit 1");
        let failure = failure(here, &own(), "true", &silent, append(&log));
        assert_eq!((failure.message(), failure.heard()), (None, Heard::Lost), "{line}: {failure:?}");
        assert_eq!(failure.stderr(), b"");
    }
}

fn programs_of_others_in_a_file(here: &Here) {
    let log = here.scratch.join("log");
    for line in ["execvp other: Permission denied", "Can't chdir to /other: No such file or directory"] {
        let ahead = second(here, &log, line, REAL);
        for sandbox in both() {
            let missing = failure(here, &sandbox, "no-such-program", &ahead, append(&log));
            assert_eq!(missing.message().unwrap().subject(), Some("no-such-program".as_ref()), "{missing:?}");
            assert_eq!((missing.heard(), missing.messages().len()), (Heard::Overheard, 1));
            assert!(matches!(missing.program(), Some(ProgramProblem::NotFound { .. })), "{missing}");
            let nowhere = failure(here, &sandbox.current_dir("/nonexistent"), "true", &ahead, append(&log));
            assert_eq!(nowhere.message().unwrap().path(), Some("/nonexistent".as_ref()), "{nowhere:?}");
            assert_eq!(nowhere.heard(), Heard::Captured);
        }
    }
}

/// As a build system has it: all of them write to one log.
fn launches_at_once_with_one_file(here: &Here) {
    let log = append(&here.scratch.join("log"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for turn in 0..10 {
                    let source = PathBuf::from(format!("/missing-{thread}-{turn}"));
                    let sandbox = host().unshare_all().ro_bind(&source, "/mnt");
                    let failure = failure(here, &sandbox, "true", &here.bwrap, log.try_clone().unwrap());
                    assert_eq!(failure.message().unwrap().path(), Some(source.as_path()), "{failure:?}");
                }
            });
        }
    });
}

fn nobody_reads_standard_error(here: &Here) {
    for sandbox in both() {
        let closed = || OwnedFd::from(std::io::pipe().unwrap().1);
        let failure = |sandbox: &Sandbox, program| failure(here, sandbox, program, &here.bwrap, closed());
        let missing = failure(&sandbox, "no-such-program");
        assert!(matches!(missing.program(), Some(ProgramProblem::NotFound { .. })), "{missing:?}");
        let nowhere = failure(&sandbox.clone().current_dir("/nonexistent"), "true");
        assert_eq!(nowhere.stage(), Some(Stage::Environment), "{nowhere:?}");
        let mut child = here.command(&sandbox, "no-such-program").stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        let error = child.wait().unwrap_err();
        assert!(error.failure().unwrap().program().is_some(), "{error:?}");
    }
}

/// Only bwrap's words would say that it did not run: no file shows what a filter denies.
fn reasons_that_cannot_be_seen(here: &Here) {
    let (execve, deny) =
        (u32::try_from(libc::SYS_execve).unwrap(), libc::SECCOMP_RET_ERRNO | libc::EACCES.unsigned_abs());
    let filter = [(0x20_u16, 0, 0), (0x15, 1, execve), (0x06, 0, deny), (0x06, 0, libc::SECCOMP_RET_ALLOW)]
        .map(|(code, otherwise, k): (u16, u8, u32)| {
            [&code.to_ne_bytes()[..], &[0, otherwise], &k.to_ne_bytes()].concat()
        })
        .concat();
    for sandbox in both() {
        let sandbox = sandbox.seccomp(filter.clone());
        let mut command = here.command(&sandbox, "true");
        let error = command.stderr(Stdio::null()).status().unwrap_err();
        assert!(matches!(error, Error::Undecided(_)), "{error:?}");
        let shown = error.to_string();
        assert!(shown.contains("read back") && shown.contains("Stdio::piped()"), "{shown}");
        assert!(!shown.contains("executable"), "{shown}");
        let error = command.stderr(Stdio::piped()).status().unwrap_err();
        assert!(matches!(error, Error::NotExecuted(_)), "{error:?}");
        assert!(error.to_string().contains("Permission denied"), "{error}");
    }
}

/// Who writes is seen, whether or not bwrap's words are.
fn programs_that_are_open_for_writing(here: &Here) {
    let path = here.scratch.join("busy");
    fs::copy("/usr/bin/true", &path).unwrap();
    let _writer = append(&path);
    for sandbox in both() {
        for stderr in [Stdio::null, Stdio::piped] {
            let error = here.command(&sandbox, &path).stderr(stderr()).status().unwrap_err();
            let problem = error.failure().unwrap().program();
            assert_eq!(problem, Some(&ProgramProblem::Busy(path.clone())), "{error}");
        }
    }
}

/// Permission to execute it has somebody else.
fn programs_for_others(here: &Here) {
    let path = here.scratch.join("theirs");
    fs::copy("/usr/bin/true", &path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o611)).unwrap();
    let outcome = here.command(&host(), &path).stderr(Stdio::null()).status();
    if here.root {
        assert!(outcome.unwrap().success());
        return;
    }
    let error = outcome.unwrap_err();
    let problem = ProgramProblem::NotExecutable { path, mode: 0o611 };
    assert_eq!(error.failure().unwrap().program(), Some(&problem), "{error:?}");
}
