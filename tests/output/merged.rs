//! Standard output and standard error in one.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use bwrap_launch::{Bwrap, Command, Error, Heard, Namespaces, Place, Problem, Stdio};

use crate::common::{Case, Here, host};

pub(crate) const CASES: &[Case] = crate::cases![
    order_is_kept,
    goes_where_the_other_goes,
    a_stream_of_the_callers_own_may_be_either,
    what_cannot_be_merged_is_refused,
    a_failed_set_up_is_explained,
    a_missing_program_is_explained,
    words_in_a_file_are_found,
    warnings_stay_apart,
    what_waits_before_the_start_is_bwraps,
];

/// A helper that writes numbers to either stream in turn, in an order that is not regular.
pub(crate) fn mixed(_: &[String]) {
    let mut number = 1_u32;
    for count in 0..5_000 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let line = format!("{count}\n");
        if number >> 31 == 0 {
            std::io::stdout().write_all(line.as_bytes()).unwrap();
        } else {
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        }
    }
}

fn counted() -> Vec<u8> {
    (0..5_000).flat_map(|count| format!("{count}\n").into_bytes()).collect()
}

fn order_is_kept(here: &Here) {
    let output = here.helper(&host(), "mixed").stderr(Stdio::merged()).output().unwrap();
    assert!(output.stdout == counted() && output.stderr.is_empty());
    let output = here.helper(&host(), "mixed").stdout(Stdio::merged()).output().unwrap();
    assert!(output.stderr == counted() && output.stdout.is_empty());
    // apart, the order between them is lost, so that it is the pipe that keeps it
    let output = here.helper(&host(), "mixed").output().unwrap();
    assert!(!output.stdout.is_empty() && !output.stderr.is_empty());
}

fn goes_where_the_other_goes(here: &Here) {
    let mut file = tempfile::tempfile().unwrap();
    let mut command = here.shell(&host(), "echo 1; echo 2 >&2; echo 3");
    command.stdout(file.try_clone().unwrap()).stderr(Stdio::merged());
    assert!(command.status().unwrap().success());
    assert_eq!(contents(&mut file), "1\n2\n3\n");
    let script = "test /dev/stdout -ef /dev/stderr && test /dev/stdout -ef /dev/null";
    let mut command = here.shell(&host().proc("/proc"), script);
    assert!(command.stdout(Stdio::null()).stderr(Stdio::merged()).status().unwrap().success());
    let script = "test /proc/self/fd/1 -ef /proc/self/fd/2";
    let mut command = here.shell(&host().proc("/proc"), script);
    assert!(command.stderr(Stdio::merged()).status().unwrap().success(), "inherited");
    assert!(
        !here.shell(&host().proc("/proc"), script).status().unwrap().success(),
        "two pipes of the harness's"
    );
}

/// A helper that gives its standard output for one stream or both, and its standard error.
pub(crate) fn swapped(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let mut command = host().command("sh");
    command.bwrap(&bwrap).args(["-c", "echo 1; echo 2 >&2"]);
    command.stdout(std::io::stderr()).stderr(std::io::stdout());
    assert!(command.status().unwrap().success());
    assert!(command.stdout(Stdio::inherit()).status().unwrap().success());
    // bwrap's words are found there, too
    let mut command = host().ro_bind("/nonexistent", "/mnt").command("true");
    let error = command.bwrap(&bwrap).stderr(std::io::stdout()).status().unwrap_err();
    assert_eq!(error.failure().unwrap().heard(), Heard::Captured);
    // closed, it is nobody's
    nix::unistd::close(1).unwrap();
    let mut command = host().proc("/proc").command("sh");
    let script = "test /proc/self/fd/2 -ef /dev/null";
    command.bwrap(&bwrap).args(["-c", script]).stderr(std::io::stdout());
    assert!(command.status().unwrap().success());
}

fn a_stream_of_the_callers_own_may_be_either(here: &Here) {
    let mut helper = std::process::Command::new(std::env::current_exe().unwrap());
    helper.args(["--helper", "swapped"]).arg(here.bwrap.path());
    let mut file = tempfile::tempfile().unwrap();
    let output = helper.stdout(file.try_clone().unwrap()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let told = contents(&mut file);
    assert!(told.starts_with("2\n1\n2\nbwrap: "), "{told}");
    assert_eq!(stderr, "1\n");
}

fn contents(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

fn what_cannot_be_merged_is_refused(here: &Here) {
    let problem = |command: &mut Command| match command.spawn().map(|_| ()) {
        Err(Error::Invalid(invalid)) => (invalid.place, matches!(invalid.problem, Problem::Conflict(..))),
        other => panic!("{other:?}"),
    };
    let mut command = here.command(&host(), "true");
    assert_eq!(problem(command.stdin(Stdio::merged())), (Place::Descriptor(0), true));
    let mut command = here.command(&host(), "true");
    assert_eq!(
        problem(command.stdout(Stdio::merged()).stderr(Stdio::merged())),
        (Place::Descriptor(2), true)
    );
}

fn a_failed_set_up_is_explained(here: &Here) {
    let mut command = here.command(&host().ro_bind("/nonexistent", "/mnt"), "true");
    command.stdout(Stdio::piped()).stderr(Stdio::merged());
    let error = command.spawn().unwrap().wait().unwrap_err();
    let failure = error.failure().unwrap();
    assert!(matches!(error, Error::SetupFailed(_)) && failure.heard() == Heard::Captured, "{error}");
    assert_eq!(failure.message().unwrap().path(), Some(Path::new("/nonexistent")));
    // also when all of it is read meanwhile
    let mut child = command.spawn().unwrap();
    let lines: Vec<_> = child.lines(1024).map(|line| line.unwrap().text().into_owned()).collect();
    assert!(lines.iter().any(|line| line.contains("/nonexistent")), "{lines:?}");
    assert_eq!(child.wait().unwrap_err().failure().unwrap().heard(), Heard::Captured);
}

fn a_missing_program_is_explained(here: &Here) {
    let mut command = here.command(&host(), "no-such-program");
    let error = command.stderr(Stdio::merged()).output().unwrap_err();
    assert!(matches!(error, Error::NotExecuted(_)), "{error}");
    assert_eq!(error.failure().unwrap().heard(), Heard::Captured);
}

fn words_in_a_file_are_found(here: &Here) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"bwrap: Can't find source path /other: No such file or directory\n").unwrap();
    let mut command = here.command(&host().ro_bind("/nonexistent", "/mnt"), "true");
    command.stdout(file.try_clone().unwrap()).stderr(Stdio::merged());
    let error = command.spawn().unwrap().wait().unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!(failure.heard(), Heard::Overheard, "{error}");
    assert_eq!(failure.message().unwrap().path(), Some(Path::new("/nonexistent")));
}

/// A bwrap that warns: of the last of two `--chdir`, which this crate never writes.
fn warning_bwrap(here: &Here) -> Bwrap {
    let path = here.scratch.join("bwrap");
    let real = here.bwrap.path().display();
    let body = "case \"$1\" in --help|--version) exec \"$real\" \"$@\";; esac\n\
                exec \"$real\" --chdir / --chdir / \"$@\"";
    std::fs::write(&path, format!("#!/bin/sh\nreal={real}\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    Bwrap::at(path).unwrap()
}

fn warnings_stay_apart(here: &Here) {
    let bwrap = warning_bwrap(here);
    let mut command = here.shell(&host(), "echo hello; echo there >&2");
    let output = command.bwrap(&bwrap).stderr(Stdio::merged()).output().unwrap();
    assert_eq!(output.warnings.len(), 1, "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (warning, rest) = text.split_once('\n').unwrap();
    assert!(warning.starts_with("bwrap: ") && rest == "hello\nthere\n", "{text}");
}

fn what_waits_before_the_start_is_bwraps(here: &Here) {
    let bwrap = warning_bwrap(here);
    let mut command = here.shell(&host().unshare(Namespaces::PID), "echo 'bwrap: forged'");
    command.bwrap(&bwrap).stdout(Stdio::piped()).stderr(Stdio::merged());
    let mut child = command.prepare().unwrap().start().unwrap();
    let lines: Vec<_> = child.lines(1024).map(|line| line.unwrap().text().into_owned()).collect();
    assert_eq!((lines.len(), lines[1].as_str()), (2, "bwrap: forged"), "{lines:?}");
    assert_eq!(child.warnings().len(), 1);
    assert!(child.wait().unwrap().success());
}
