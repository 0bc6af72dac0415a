//! Programs that are not quite bwrap.

use std::time::Duration;

use bwrap_launch::{Bwrap, Child, Stdio, Undecided};
use nix::sys::signal::{Signal, kill};

use crate::cases;
use crate::common::{Case, Here, host, skip};
use crate::support::{
    Kind, Mark, NUMBER_OF, SETTLE, both_writable, eventually, in_turn, released, released_or_killed,
    stand_in, watch,
};

pub(crate) const CASES: &[Case] = cases![
    a_bwrap_that_ends_at_once,
    a_bwrap_that_is_killed,
    a_bwrap_that_lies,
    a_bwrap_that_fails_when_the_command_has_run,
    a_bwrap_whose_socket_is_kept,
    a_bwrap_without_its_ready_socket,
    a_bwrap_without_its_status_descriptor,
];

/// What becomes of a command with this stand-in; nothing may be left of it.
fn outcomes(here: &Here, bwrap: &Bwrap, mark: &Mark, expected: impl Fn(Kind) -> bool) {
    for sandbox in both_writable(here) {
        for stderr in in_turn([Stdio::piped(), Stdio::null()]) {
            mark.clear();
            let mut command = here.shell(&sandbox, &mark.script(""));
            let holders = watch(&mut command);
            let outcome = command.bwrap(bwrap).stderr(stderr).status();
            let kind = Kind::of(&outcome);
            assert!(expected(kind), "{outcome:?}");
            assert!(!(kind.denies() && mark.began()), "{outcome:?}");
            drop(command);
            assert!(released(&holders, SETTLE), "{outcome:?}");
        }
    }
}

fn a_bwrap_that_ends_at_once(here: &Here) {
    let mark = Mark::new(here, "none");
    for status in [0, 1, 2, 127, 137] {
        let bwrap = stand_in(here, &format!("exit-{status}"), &format!("exit {status}"));
        outcomes(here, &bwrap, &mark, |kind| kind == Kind::Refused);
    }
    let silent = stand_in(here, "silent", "sleep 0.02");
    outcomes(here, &silent, &mark, |kind| kind == Kind::Refused);
}

fn a_bwrap_that_is_killed(here: &Here) {
    let mark = Mark::new(here, "none");
    for signal in [9, 11, 15] {
        let bwrap = stand_in(here, &format!("killed-{signal}"), &format!("ulimit -c 0; kill -{signal} $$"));
        outcomes(here, &bwrap, &mark, |kind| kind == Kind::Refused);
    }
}

/// An exit code alone is no proof: no process was reported, and the set-up was never complete.
fn a_bwrap_that_lies(here: &Here) {
    let mark = Mark::new(here, "none");
    let to_status = |text: &str| {
        format!("{NUMBER_OF}\nn=$(number_of --json-status-fd)\neval \"printf '%s\\n' '{text}' >&$n\"\nexit 0")
    };
    for (name, text) in [
        ("only-code", "{ \"exit-code\": 0 }"),
        ("code-too-large", "{ \"exit-code\": 4000 }"),
        ("code-and-no-process", "{ \"child-pid\": 0 } { \"exit-code\": 0 }"),
        ("code-without-setup", "{ \"child-pid\": 999999 } { \"exit-code\": 0 }"),
    ] {
        let bwrap = stand_in(here, name, &to_status(text));
        outcomes(here, &bwrap, &mark, |kind| matches!(kind, Kind::Undecided(_)) || kind.denies());
    }
    for text in ["", "garbage", "{ \"child-pid\": ", "[]"] {
        let bwrap = stand_in(here, "garbage", &to_status(text));
        outcomes(here, &bwrap, &mark, |kind| kind == Kind::Refused);
    }
}

/// bwrap cannot report its process, gives up, and leaves it waiting for ever.
fn a_bwrap_without_its_status_descriptor(here: &Here) {
    let body =
        format!("{NUMBER_OF}\nn=$(number_of --json-status-fd)\neval \"exec $n>&-\"\nexec \"$real\" \"$@\"");
    let bwrap = stand_in(here, "no-status", &body);
    let mark = Mark::new(here, "none");
    outcomes(here, &bwrap, &mark, |kind| matches!(kind, Kind::Refused | Kind::Undecided(_)));
}

/// The byte is never read, but the command runs: bwrap's own report counts.
fn a_bwrap_without_its_ready_socket(here: &Here) {
    let body =
        format!("{NUMBER_OF}\nn=$(number_of --block-fd)\neval \"exec $n</dev/null\"\nexec \"$real\" \"$@\"");
    let bwrap = stand_in(here, "no-ready", &body);
    let mark = Mark::new(here, "none");
    outcomes(here, &bwrap, &mark, |kind| kind == Kind::Ran(0) || matches!(kind, Kind::Undecided(_)));
}

/// A copy of the ready socket lives on in a process that is not to be killed: one that runs our own program, as a
/// child does that another thread has forked meanwhile. Whether the byte was read is to be known all the same.
fn a_bwrap_whose_socket_is_kept(here: &Here) {
    let program = std::env::current_exe().unwrap();
    let body = format!("{} --helper hold 9>&- >/dev/null 2>&1 &\nexec \"$real\" \"$@\"", program.display());
    let bwrap = stand_in(here, "kept", &body);
    let mark = Mark::new(here, "kept");
    let sandbox = host().bind(&here.scratch, &here.scratch);
    let spawn = |script: &str| -> Child {
        let mut command = here.shell(&sandbox, script);
        command.bwrap(&bwrap).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut child = spawn(&mark.script("sleep 60"));
    assert!(eventually(|| mark.began()));
    kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
    let kind = Kind::of(&child.wait());
    assert_eq!(kind, Kind::Undecided(Undecided::BwrapKilled { signal: 9 }), "it ran");
    assert_eq!(Kind::of(&spawn("exit 3").wait()), Kind::Ran(3));
    let mut command = here.command(&sandbox, "no-such-program");
    let holders = watch(&mut command);
    let outcome = command.bwrap(&bwrap).stderr(Stdio::null()).status();
    assert_eq!(Kind::of(&outcome), Kind::NotExecuted);
    drop(command);
    assert!(released_or_killed(&holders, SETTLE + Duration::from_secs(1)));
}

/// What becomes of the command bwrap's monitor does not care about, until it comes to watch: what it cannot do then, as under a
/// container's filter, says nothing of the command. Here it comes late in every run.
fn a_bwrap_that_fails_when_the_command_has_run(here: &Here) {
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        skip("no strace");
    }
    let late = "inject=signalfd4:error=EACCES:delay_enter=400000";
    let body = format!("exec strace -qq -o /dev/null -e trace=signalfd4 -e {late} \"$real\" \"$@\"");
    let bwrap = stand_in(here, "late", &body);
    let mark = Mark::new(here, "late");
    for sandbox in both_writable(here) {
        mark.clear();
        let mut command = here.shell(&sandbox, &mark.script("exit 1"));
        let outcome = command.bwrap(&bwrap).output().map(|output| output.status);
        if !mark.began() {
            skip("strace may not trace here");
        }
        assert!(!Kind::of(&outcome).denies(), "it ran: {outcome:?}");
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("signalfd"), "{error}");
        assert!(error.diagnosis().is_none(), "what may have run is no failed launch: {}", error.report());
    }
}
