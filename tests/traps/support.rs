//! What the cases share: how a rule is shown to hold before and after a launch.

use std::fmt::Display;
use std::path::PathBuf;

use bwrap_launch::op::{
    Bind, BindData, BindFd, Chmod, Dev, Dir, File, Mqueue, Operation, Overlay, Proc, RemountRo, Symlink,
    Tmpfs,
};
use bwrap_launch::{Circumstances, Command, Descriptor, Error, Invalid, Lint, Place, Sandbox};

use crate::common::Here;
pub(crate) use crate::common::{SETTLE, released, watch};

/// An operation's place, by what people call it.
pub(crate) fn at(index: usize, name: &str, destination: impl Into<PathBuf>) -> Place {
    let to = destination.into();
    let operations: [Operation; 15] = [
        Bind::read_write("", &to).into(),
        Bind::read_only("", &to).into(),
        Bind::device("", &to).into(),
        BindFd::read_only(Descriptor::number(0), &to).into(),
        RemountRo::new(&to).into(),
        Overlay::temporary(&to).into(),
        Proc::new(&to).into(),
        Dev::new(&to).into(),
        Tmpfs::new(&to).into(),
        Mqueue::new(&to).into(),
        Dir::new(&to).into(),
        File::new("", &to).into(),
        BindData::read_only("", &to).into(),
        Symlink::new("", &to).into(),
        Chmod::new(0, &to).into(),
    ];
    Place::operation(index, operations.iter().find(|operation| operation.name() == name).unwrap())
}

/// The sandbox is refused for this reason, by `check` and by a launch.
#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "problems are written where they are handed over")]
pub(crate) fn refused(here: &Here, sandbox: &Sandbox, place: Place, problem: impl Display) {
    let invalid = sandbox.check().unwrap_err();
    assert_eq!((&invalid.place, invalid.problem.to_string()), (&place, problem.to_string()), "{sandbox}");
    refused_at_launch(&mut here.command(sandbox, "true"), place, &problem);
}

/// The command is refused for this reason, and nothing is launched.
#[track_caller]
#[allow(clippy::needless_pass_by_value, reason = "problems are written where they are handed over")]
pub(crate) fn refused_at_launch(command: &mut Command, place: Place, problem: impl Display) {
    let expected = (place, problem.to_string());
    match command.spawn() {
        Err(Error::Invalid(Invalid { place, problem, .. })) => {
            assert_eq!((place, problem.to_string()), expected, "{command}");
        }
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
