//! Process groups: what a terminal's Ctrl-C does to a sandbox, and a command to its caller.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command as StdCommand, Stdio as ProcessStdio};

use bwrap_launch::{Bwrap, Ending, Lint, Stdio};
use nix::sys::signal::{SigHandler, Signal, killpg, signal};
use nix::unistd::Pid;

use crate::cases;
use crate::common::{Case, Here, host};

pub(crate) const CASES: &[Case] =
    cases![an_interrupt_of_the_group, groups_and_sessions, a_command_that_signals_its_group];

/// A helper, leader of a group: launches in some way, and says how that ended when its group has been interrupted. Itself it
/// ignores that.
pub(crate) fn interrupted(arguments: &[String]) {
    #[allow(unsafe_code, reason = "no handler is installed")]
    unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) }.unwrap();
    let mut command = host().command("sh");
    command.args(["-c", "echo; read x; exit 3"]).bwrap(&Bwrap::at(&arguments[0]).unwrap());
    match arguments[1].as_str() {
        "group" => command.process_group(0),
        "session" => command.setsid(true),
        _ => &mut command,
    };
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    println!("up");
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(b"\n");
    println!("{}", Ending::of(&child.wait()));
}

fn an_interrupt_of_the_group(here: &Here) {
    for (way, ends) in [
        ("caller's", "bwrap was killed by signal 2"),
        ("group", "exit status: 3"),
        ("session", "exit status: 3"),
    ] {
        let mut process = StdCommand::new(std::env::current_exe().unwrap());
        process.args(["--helper", "interrupted"]).arg(here.bwrap.path()).arg(way).process_group(0);
        let mut caller = process.stdin(ProcessStdio::piped()).stdout(ProcessStdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(caller.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "up");
        killpg(Pid::from_raw(caller.id().try_into().unwrap()), Signal::SIGINT).unwrap();
        // bwrap, if it is hit, is so before its command comes to its own end
        std::thread::sleep(std::time::Duration::from_millis(100));
        caller.stdin.take().unwrap().write_all(b"x").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), ends, "{way}");
        assert!(caller.wait().unwrap().success());
    }
}

/// A helper, leader of a group: launches in some way what ends its group, in namespaces of its own, and says how that ended, and what was
/// said before.
pub(crate) fn signalled(arguments: &[String]) {
    let sandbox = host().unshare_all();
    let sandbox = if arguments[1] == "new session" { sandbox.new_session() } else { sandbox };
    let mut command = sandbox.command("sh");
    command.args(["-c", "kill -TERM 0; sleep 60"]).bwrap(&Bwrap::at(&arguments[0]).unwrap());
    match arguments[1].as_str() {
        "group" => command.process_group(0),
        "session" => command.setsid(true),
        _ => &mut command,
    };
    println!("{}", command.lint().iter().any(|advice| advice.lint == Lint::SharesProcessGroup));
    println!("{}", Ending::of(&command.status()));
}

fn a_command_that_signals_its_group(here: &Here) {
    for (way, said) in [
        ("caller's", "true\n"),
        ("group", "false\nbwrap was killed by signal 15\n"),
        ("session", "false\nbwrap was killed by signal 15\n"),
        ("new session", "false\nsignal: 15 (or exit status: 143)\n"),
    ] {
        let mut process = StdCommand::new(std::env::current_exe().unwrap());
        process.args(["--helper", "signalled"]).arg(here.bwrap.path()).arg(way).process_group(0);
        let output = process.output().unwrap();
        assert_eq!(output.status.code(), (way != "caller's").then_some(0), "{way}: {output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said, "{way}");
    }
}

fn groups_and_sessions(here: &Here) {
    let ids = |command: &mut bwrap_launch::Command| {
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let numbers = text.split_whitespace().map(|number| number.parse::<i32>().unwrap());
        let numbers: Vec<i32> = numbers.collect();
        (numbers[0], numbers[1], numbers[2])
    };
    // process, group, session
    let script =
        "read -r pid name state parent group session rest < /proc/self/stat; echo $PPID $group $session";
    let (group, session) = (nix::unistd::getpgrp().as_raw(), nix::unistd::getsid(None).unwrap().as_raw());
    let (_, its, its_session) = ids(&mut here.shell(&host(), script));
    assert_eq!((its, its_session), (group, session));
    let (bwrap, its, its_session) = ids(here.shell(&host(), script).process_group(0));
    assert_eq!((its, its_session), (bwrap, session));
    let (bwrap, its, its_session) = ids(here.shell(&host(), script).setsid(true));
    assert_eq!((its, its_session), (bwrap, bwrap));
    let (_, its, _) = ids(here.shell(&host(), script).process_group(group));
    assert_eq!(its, group);
    let error = here.shell(&host(), script).process_group(i32::MAX).status().unwrap_err();
    assert!(error.to_string().starts_with("could not start bwrap"), "{error}");
}
