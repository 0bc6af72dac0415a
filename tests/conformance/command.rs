//! The command line, the environment, and what becomes of the command.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use bwrap_launch::op::Dir;
use bwrap_launch::{Command, Error, Message, ParseError, ProgramProblem, Sandbox, Severity, Stage, Stdio};

use crate::cases;
use crate::common::{Case, Here, host};
use crate::support::{base, error, is_about, setup_failure};

pub(crate) const CASES: &[Case] = cases![
    help_says_what_bwrap_can,
    descriptions_of_any_length_arrive_whole,
    the_command_is_never_taken_for_an_option,
    a_directory_is_not_executed,
    variables_are_set_and_unset,
    a_cleared_environment_holds_pwd_only,
    the_name_of_the_command,
    the_last_current_directory_counts,
    messages_have_a_level_on_request,
    a_sandbox_that_is_no_boundary,
];

fn help_says_what_bwrap_can(here: &Here) {
    for option in ["--bind", "--args", "--unshare-user", "--help"] {
        assert!(here.bwrap.accepts(option), "{option}");
    }
    assert!(!here.bwrap.accepts("--no-such-option") && !here.bwrap.accepts("COMMAND"));
    assert!(here.bwrap.version().is_some(), "{}", here.bwrap.version_text());
    // a sandbox cannot ask for it
    let refused = Sandbox::from_args(["--help"]).unwrap_err();
    assert!(matches!(refused, ParseError::LaunchersOwn { option: "--help", .. }), "{refused}");
}

fn descriptions_of_any_length_arrive_whole(here: &Here) {
    // far beyond what a command line holds, in three parts
    let name = |part: &str, index: usize| format!("/tmp/{part}/{index}-{}", "x".repeat(200));
    let mut sandbox = base();
    for part in ["one", "two", "three"] {
        sandbox = (0..900).fold(sandbox, |sandbox, index| sandbox.add(Dir::new(name(part, index))));
    }
    assert_eq!(here.prints(&sandbox, "ls /tmp; ls /tmp/* | grep -c xxx"), "one\nthree\ntwo\n2700\n");
    // the launcher hands the words over as such a file; nobody else can
    let refused = Sandbox::from_args(["--args", "3"]).unwrap_err();
    assert!(matches!(refused, ParseError::LaunchersOwn { option: "--args", .. }), "{refused}");
}

fn the_command_is_never_taken_for_an_option(here: &Here) {
    let sandbox = base().env("PATH", "/tmp/bin:/usr/bin:/bin").bind(&here.scratch, "/tmp/bin");
    let script = here.scratch.join("--unshare-net");
    fs::write(&script, "#!/bin/sh\necho \"ran with $*\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = here.command(&sandbox, "--unshare-net");
    let output = command.args(["--die-with-parent", "--"]).output().unwrap();
    assert_eq!(output.stdout, b"ran with --die-with-parent --\n");
    let mut command = Command::from_args(["--ro-bind", "/", "/", "--", "echo", "--", "--version"]).unwrap();
    assert_eq!(command.bwrap(&here.bwrap).output().unwrap().stdout, b"-- --version\n");
    // an option behind the dashes is a command that is not there
    for mut command in [
        here.command(&host(), "--die-with-parent"),
        Command::from_args(["--clearenv", "--ro-bind", "/", "/", "--", "--die-with-parent"]).unwrap(),
    ] {
        let error = command.bwrap(&here.bwrap).stderr(Stdio::piped()).status().unwrap_err();
        let Error::NotExecuted(failure) = &error else { panic!("{error}") };
        let Some(ProgramProblem::NotFound { program, .. }) = failure.program() else { panic!("{failure:?}") };
        assert_eq!(program, "--die-with-parent");
        assert_eq!(failure.message().unwrap().subject(), Some("--die-with-parent".as_ref()));
    }
}

fn a_directory_is_not_executed(here: &Here) {
    let error = here.command(&host(), "/").stderr(Stdio::piped()).status().unwrap_err();
    let Error::NotExecuted(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.stage(), Some(Stage::Exec));
    assert_eq!(failure.program(), Some(&ProgramProblem::IsDirectory("/".into())));
}

/// The test harness passes SCRATCH on.
fn variables_are_set_and_unset(here: &Here) {
    let script = "echo ${FOO-unset} ${SCRATCH:+kept}";
    let inherited = || base().inherit_env();
    for (sandbox, expected) in [
        (inherited(), "unset kept\n"),
        (inherited().env("FOO", "bar"), "bar kept\n"),
        (inherited().env("SCRATCH", ""), "unset\n"),
        (inherited().env("FOO", "bar").env("FOO", "baz"), "baz kept\n"),
        (inherited().env("FOO", "bar").env_remove("FOO"), "unset kept\n"),
        (inherited().env_remove("FOO").env("FOO", "bar"), "bar kept\n"),
        (inherited().env_remove("SCRATCH"), "unset\n"),
        (inherited().env_remove("NO_SUCH_VARIABLE"), "unset kept\n"),
    ] {
        assert_eq!(here.prints(&sandbox, script), expected, "{sandbox}");
    }
}

fn a_cleared_environment_holds_pwd_only(here: &Here) {
    let environment = |sandbox: &Sandbox| {
        let output = here.command(sandbox, "/usr/bin/env").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(environment(&Sandbox::new().bind("/", "/")), "PWD=/\n");
    assert_eq!(environment(&base().inherit_env().env("FOO", "bar").env_clear()), "PWD=/\n");
    let after = environment(&base().env("FOO", "bar").env_clear().env("BAR", "x").current_dir("/tmp"));
    let mut lines: Vec<&str> = after.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["BAR=x", "PWD=/tmp"]);
    let read = Sandbox::from_args(["--bind", "/", "/", "--setenv", "FOO", "bar", "--clearenv"]).unwrap();
    assert_eq!(environment(&read), "PWD=/\n");
}

fn the_name_of_the_command(here: &Here) {
    let script = "echo $0";
    assert_eq!(here.shell(&base(), script).output().unwrap().stdout, b"sh\n");
    here.needs("--argv0");
    let output = here.shell(&base(), script).arg0("another name").output().unwrap();
    assert_eq!(output.stdout, b"another name\n");
}

/// Where bwrap itself would warn, there is nothing to warn of: the description holds one directory.
fn the_last_current_directory_counts(here: &Here) {
    let sandbox = base().current_dir("/etc").current_dir("/usr");
    let output = here.command(&sandbox, "pwd").output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"/usr\n"[..], &b""[..]));
    assert_eq!(output.warnings, []);
    let read = Sandbox::from_args(["--bind", "/", "/", "--chdir", "/etc", "--chdir", "/usr"]).unwrap();
    assert_eq!(here.command(&read, "/bin/pwd").output().unwrap().stdout, b"/usr\n");
    assert_eq!(read.to_string().matches("--chdir").count(), 1, "{read}");
    // what bwrap would have said is known all the same
    for (text, severity) in [
        (&b"bwrap: Only the last --chdir option will take effect"[..], Severity::Warning),
        (b"<4>bwrap: Only the last --chdir option will take effect", Severity::Warning),
    ] {
        let message = Message::parse(text);
        assert_eq!((message.severity(), message.operation()), (severity, Some("--chdir")));
    }
}

fn messages_have_a_level_on_request(here: &Here) {
    let missing = || base().ro_bind("/nonexistent", "/tmp/x");
    assert!(setup_failure(here, &missing()).stderr().starts_with(b"bwrap: "));
    here.needs("--level-prefix");
    let failure = setup_failure(here, &missing().level_prefix());
    assert!(failure.stderr().starts_with(b"<3>bwrap: Can't find source path"), "{failure:?}");
    is_about(&failure, "Can't find source path", "/nonexistent", Some(libc::ENOENT));
    assert_eq!(failure.message().unwrap().severity(), Severity::Fatal);
}

fn a_sandbox_that_is_no_boundary(here: &Here) {
    let sandbox = host().not_a_security_boundary();
    if !here.bwrap.accepts("--not-a-security-boundary") {
        let Error::MissingOption(missing) = error(here, &sandbox) else { panic!("launched") };
        assert_eq!((missing.option, missing.since), ("--not-a-security-boundary", Some("0.12.0")));
    }
    here.needs("--not-a-security-boundary");
    assert_eq!(here.prints(&sandbox, "echo it runs"), "it runs\n");
}
