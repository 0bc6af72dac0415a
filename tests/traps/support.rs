//! What the cases share: how a rule is shown to hold before and after a launch.

use std::path::PathBuf;

use bwrap_launch::{Circumstances, Command, Error, Invalid, Lint, Place, Problem, Sandbox};

use crate::common::Here;
pub(crate) use crate::common::{SETTLE, released, watch};

/// An operation's place.
pub(crate) fn at(index: usize, name: &'static str, destination: impl Into<PathBuf>) -> Place {
    Place::Operation { index, name, destination: destination.into() }
}

/// The sandbox is refused for this reason, by `check` and by a launch.
#[track_caller]
pub(crate) fn refused(here: &Here, sandbox: &Sandbox, place: Place, problem: Problem) {
    let expected = Invalid { place, problem };
    assert_eq!(sandbox.check(), Err(expected.clone()), "{sandbox}");
    refused_at_launch(&mut here.command(sandbox, "true"), &expected);
}

/// The command is refused for this reason, and nothing is launched.
#[track_caller]
pub(crate) fn refused_at_launch(command: &mut Command, expected: &Invalid) {
    match command.spawn() {
        Err(Error::Invalid(invalid)) => assert_eq!(&invalid, expected, "{command}"),
        other => panic!("{other:?} instead of {expected:?}\n{command}"),
    }
}

/// What is said about a sandbox by default: an unprivileged caller, no terminal, bwrap before 0.12.
pub(crate) fn lints(sandbox: &Sandbox) -> Vec<Lint> {
    lints_for(sandbox, |_| {})
}

/// What is said about a sandbox in these circumstances.
pub(crate) fn lints_for(sandbox: &Sandbox, change: impl FnOnce(&mut Circumstances)) -> Vec<Lint> {
    let mut circumstances = Circumstances::default();
    change(&mut circumstances);
    sandbox.lint(&circumstances).into_iter().map(|advice| advice.lint).collect()
}

/// Fails with the lines of a script's output side by side with the expected ones.
#[track_caller]
pub(crate) fn prints(here: &Here, sandbox: &Sandbox, script: &str, expected: &[&str]) {
    let text = here.prints(sandbox, script);
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{script}\n{sandbox}");
}

/// The link that names one of our own namespaces.
pub(crate) fn own_namespace(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().into_os_string().into_string().unwrap()
}

/// Our session as commands inside see it: 0 where its leader lives in a PID namespace above.
pub(crate) fn own_session() -> String {
    nix::unistd::getsid(None).unwrap().to_string()
}

/// A number of `/proc/self/status` inside, such as `CapEff` or `SigIgn`.
pub(crate) fn status_mask(text: &str, field: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    u64::from_str_radix(line.unwrap_or_else(|| panic!("no {field} in {text}")).trim(), 16).unwrap()
}

/// This test program, to play a helper outside of any sandbox, with the bwrap at hand as its first argument.
pub(crate) fn outside(here: &Here, name: &str) -> std::process::Command {
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    process.args(["--helper", name]).arg(here.bwrap.path());
    process
}
