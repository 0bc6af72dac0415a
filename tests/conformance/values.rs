//! Values that bwrap refuses, or takes for others: refused before anything is launched, or not to be written at all.

use bwrap_launch::op::{BindData, Chmod, Dir, File, Tmpfs};
use bwrap_launch::{Command, Error, Namespaces, ParseError, Problem, Sandbox};

use crate::cases;
use crate::common::{Case, Here};
use crate::support::{base, error};

pub(crate) const CASES: &[Case] = cases![
    impossible_sizes_are_refused,
    bogus_sizes_are_refused,
    impossible_modes_are_refused,
    modifiers_are_given_once,
    modifiers_want_something_to_modify,
    pid_1_wants_a_pid_namespace,
    host_names_want_a_namespace,
    words_are_limited,
];

fn problem(here: &Here, sandbox: &Sandbox) -> Problem {
    match error(here, sandbox) {
        Error::Invalid(invalid) => invalid.problem,
        error => panic!("{error:?}\n{sandbox}"),
    }
}

fn impossible_sizes_are_refused(here: &Here) {
    let largest = u64::try_from(usize::MAX / 2).unwrap();
    for size in [0, largest + 1, largest + 2, u64::MAX] {
        let sandbox = base().add(Tmpfs::new("/tmp").size(size));
        assert_eq!(problem(here, &sandbox), Problem::Size(size));
    }
    assert!(base().add(Tmpfs::new("/tmp").size(largest)).check().is_ok());
}

/// A number cannot be text, empty or negative; a word of a command line can.
fn bogus_sizes_are_refused(here: &Here) {
    let _ = here;
    for size in ["0", "123bc", "", "-1", " ", " 5", "+5", "18446744073709551616", "9223372036854775809"] {
        let refused = Sandbox::from_args(["--size", size, "--tmpfs", "/tmp"]).unwrap_err();
        assert!(matches!(refused, ParseError::InvalidValue { option: "--size", .. }), "{size:?}: {refused}");
    }
    let sandbox = Sandbox::from_args(["--size", "1048576", "--tmpfs", "/tmp"]).unwrap();
    assert_eq!(sandbox.operations(), [Tmpfs::new("/tmp").size(1 << 20).into()]);
}

fn impossible_modes_are_refused(here: &Here) {
    for sandbox in [
        base().add(Tmpfs::new("/tmp/x").mode(0o10000)),
        base().add(Dir::new("/tmp/x").mode(0o10000)),
        base().add(File::new("x", "/tmp/x").mode(0o10000)),
        base().add(BindData::read_only("x", "/tmp/x").mode(0o10000)),
        base().add(Chmod::new(0o10000, "/tmp")),
    ] {
        assert_eq!(problem(here, &sandbox), Problem::Mode(0o10000));
    }
    for mode in ["", "8", "0o755", "10000", "-1"] {
        let refused = Sandbox::from_args(["--perms", mode, "--dir", "/tmp/x"]).unwrap_err();
        assert!(matches!(refused, ParseError::InvalidValue { option: "--perms", .. }), "{mode:?}: {refused}");
    }
}

/// A setter replaces what was set; a command line would say it twice.
fn modifiers_are_given_once(here: &Here) {
    let tmpfs = Tmpfs::new("/tmp").mode(0o700).mode(0o1777).size(1).size(1 << 20);
    let sandbox = Sandbox::new().add(tmpfs);
    assert_eq!(sandbox.to_string().matches("--perms 1777 --size 1048576").count(), 1, "{sandbox}");
    assert_eq!(
        here.prints(&base().add(Dir::new("/tmp/x").mode(0).mode(0o711)), "stat -c %a /tmp/x"),
        "711\n"
    );
    for option in ["--perms", "--size"] {
        let line = [option, "64", option, "64", "--tmpfs", "/tmp"];
        assert_eq!(Sandbox::from_args(line), Err(ParseError::Repeated { option }));
    }
}

/// bwrap silently ignores what stands before the command.
fn modifiers_want_something_to_modify(here: &Here) {
    let _ = here;
    for modifier in ["--perms", "--size"] {
        let dangling = ParseError::Dangling { modifier };
        assert_eq!(Sandbox::from_args([modifier, "64", "--proc", "/proc"]), Err(dangling.clone()));
        assert_eq!(Command::from_args([modifier, "64", "true"]).unwrap_err(), dangling);
    }
}

fn pid_1_wants_a_pid_namespace(here: &Here) {
    assert_eq!(problem(here, &base().as_pid_1()), Problem::NeedsPidNamespace("as_pid_1"));
}

fn host_names_want_a_namespace(here: &Here) {
    assert_eq!(problem(here, &base().hostname("x")), Problem::HostnameNeedsUts);
    let long = base().unshare(Namespaces::UTS).hostname("n".repeat(65));
    assert_eq!(problem(here, &long), Problem::HostnameTooLong(65));
}

/// The command's own words count too.
fn words_are_limited(here: &Here) {
    let with = |count: usize| {
        let mut command = here.command(&Sandbox::new().ro_bind("/", "/"), "/bin/true");
        command.args(vec!["x"; count]);
        command
    };
    let refused = with(9000).status().unwrap_err();
    let Error::Invalid(invalid) = &refused else { panic!("{refused}") };
    let Problem::TooManyWords { count, limit, .. } = invalid.problem else { panic!("{refused}") };
    assert_eq!(limit, 9000);
    let fits = 9000 - (count - limit);
    assert!(with(fits).status().unwrap().success(), "{fits} fit");
    assert!(with(fits + 1).status().is_err());
}
