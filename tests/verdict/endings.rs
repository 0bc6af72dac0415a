//! Commands that ran, and end in every way there is.

use std::time::{Duration, Instant};

use bwrap_launch::{Namespaces, Undecided};

use crate::cases;
use crate::common::{Case, Here, host};
use crate::support::{Kind, SETTLE, both, eventually, judge, kill_holders, released, share, watch};

pub(crate) const CASES: &[Case] = cases![
    printed_messages_are_not_believed,
    every_status,
    every_signal,
    closed_descriptors,
    written_descriptors,
    daemons_do_not_outlive_their_namespace,
    a_background_process_may_fill_one_stream_and_hold_the_other,
    a_command_in_its_namespace_kills_all_it_can,
    a_command_kills_bwrap,
    a_command_traces_bwrap,
    a_command_meddles_with_bwraps_descriptors,
];

/// Every message of bwrap, as it prints them.
const MESSAGES: &str = include_str!("../data/bwrap-messages.tsv");

fn messages() -> impl Iterator<Item = &'static str> {
    MESSAGES.lines().skip(1).map(|line| line.split('\t').next().unwrap())
}

fn printed_messages_are_not_believed(here: &Here) {
    let lines = |prefix: &str| messages().fold(String::new(), |all, message| all + prefix + message + "\n");
    let all = here.scratch.join("all");
    std::fs::write(&all, lines("bwrap: ") + &lines("<3>bwrap: ")).unwrap();
    for sandbox in both() {
        let mut command = here.command(&sandbox, "sh");
        command.args(["-c", "cat \"$1\" >&2; exit 1", "sh"]).arg(&all);
        assert_eq!(judge(&mut command), Kind::Ran(1), "{sandbox}");
    }
    let [plain, with_pids] = both();
    for (index, message) in messages().step_by(share()).enumerate() {
        let sandbox = if index % 2 == 0 { &plain } else { &with_pids };
        let prefix = if index % 4 < 2 { "bwrap: " } else { "<3>bwrap: " };
        let mut command = here.command(sandbox, "sh");
        command.args(["-c", "printf '%s\\n' \"$1\" >&2; exit 1", "sh"]).arg(format!("{prefix}{message}"));
        let output = command.output().unwrap_or_else(|error| panic!("{message}: {error}"));
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(String::from_utf8(output.stderr).unwrap().contains(message));
    }
}

fn every_status(here: &Here) {
    std::thread::scope(|scope| {
        for first in 0..4 {
            scope.spawn(move || {
                for status in (first..=255).step_by(4 * share()) {
                    for sandbox in both() {
                        let kind = judge(&mut here.shell(&sandbox, &format!("exit {status}")));
                        assert_eq!(kind, Kind::Ran(status), "{sandbox}");
                    }
                }
            });
        }
    });
}

fn every_signal(here: &Here) {
    // the rest stops, continues, or does nothing
    let ends = |signal: &u8| !matches!(signal, 17..=23 | 28);
    for signal in (1..=31).filter(ends).chain([34, 35, 50, 63, 64]) {
        for sandbox in both() {
            let script = format!("ulimit -c 0; kill -{signal} $$; exit 3");
            let output = here.shell(&sandbox, &script).output().unwrap();
            assert_eq!(output.status.signal(), Some(signal.into()), "{sandbox}");
        }
    }
}

/// A helper: closes what it is told and ends with status 5.
pub(crate) fn close(numbers: &[String]) {
    let script = format!("for n in {}; do eval \"exec $n>&-\"; done; exit 5", numbers.join(" "));
    let _ =
        std::os::unix::process::CommandExt::exec(std::process::Command::new("bash").args(["-c", &script]));
}

fn closed_descriptors(here: &Here) {
    let all: Vec<String> = (3..=1024).chain(0..3).map(|number: i32| number.to_string()).collect();
    for sandbox in both() {
        for numbers in ["0", "1", "2", "0 1", "0 1 2"] {
            let mut command = here.helper(&sandbox, "close");
            assert_eq!(judge(command.args(numbers.split(' '))), Kind::Ran(5), "{numbers} in {sandbox}");
        }
        assert_eq!(judge(here.helper(&sandbox, "close").args(&all)), Kind::Ran(5), "{sandbox}");
    }
}

/// A helper: writes what bwrap itself might write to every descriptor that could be bwrap's.
pub(crate) fn write(_: &[String]) {
    let script = r#"for n in {3..50}; do { echo '{ "exit-code": 0 }' >&$n; } 2>/dev/null; done; exit 6"#;
    let _ = std::os::unix::process::CommandExt::exec(std::process::Command::new("bash").args(["-c", script]));
}

fn written_descriptors(here: &Here) {
    for sandbox in both() {
        assert_eq!(judge(&mut here.helper(&sandbox, "write")), Kind::Ran(6), "{sandbox}");
    }
}

fn daemons_do_not_outlive_their_namespace(here: &Here) {
    let sandbox = host().unshare(Namespaces::PID);
    for script in [
        "setsid sleep 60 & exit 4",
        "(setsid sleep 60 &) & sleep 0.01; exit 4",
        "trap '' TERM HUP INT; setsid sh -c 'while :; do sleep 60; done' & exit 4",
    ] {
        let mut command = here.shell(&sandbox, script);
        let holders = watch(&mut command);
        let start = Instant::now();
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{script}");
        assert!(start.elapsed() < Duration::from_secs(40), "{script}: {:?}", start.elapsed());
        drop(command);
        assert!(released(&holders, SETTLE), "{script}");
    }
    // without a PID namespace it lives on, and the status is known at once all the same
    let mut command = here.shell(&host(), "setsid sleep 60 >/dev/null 2>&1 & exit 4");
    let holders = watch(&mut command);
    assert_eq!(judge(&mut command), Kind::Ran(4));
    drop(command);
    assert!(!released(&holders, Duration::ZERO));
    assert_eq!(kill_holders(&holders), 1);
}

/// bwrap has ended, and what it leaves behind writes more than a pipe holds to one stream while it holds the other:
/// both have to be read.
fn a_background_process_may_fill_one_stream_and_hold_the_other(here: &Here) {
    for (fills, holds) in [(1, 2), (2, 1)] {
        let script = format!("(sleep 0.1; head -c 300000 /dev/zero >&{fills}; echo done >&{holds}) & exit 4");
        let mut command = here.shell(&host(), &script);
        let holders = watch(&mut command);
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(command.output()));
        let output = receiver.recv_timeout(Duration::from_secs(40));
        kill_holders(&holders);
        let output = output.unwrap_or_else(|_| panic!("stuck: {script}")).unwrap();
        assert_eq!(output.status.code(), Some(4));
        assert_eq!(output.stdout.len() + output.stderr.len(), 300_005);
    }
}

fn a_command_in_its_namespace_kills_all_it_can(here: &Here) {
    let sandbox = host().proc("/proc").unshare(Namespaces::PID);
    for script in [
        "kill -9 1; exit 7",
        "kill -9 $PPID; exit 7",
        "kill -9 -1; exit 7",
        "kill -15 1 -1; kill -2 1; exit 7",
    ] {
        assert_eq!(judge(&mut here.shell(&sandbox, script)), Kind::Ran(7), "{script}");
    }
}

/// Without a PID namespace bwrap is in reach: with it goes the status, but not the knowledge of that.
fn a_command_kills_bwrap(here: &Here) {
    for signal in [1, 2, 9, 13, 15] {
        for rest in ["exit 1", "exit 0", "sleep 60"] {
            let mut command = here.shell(&host(), &format!("kill -{signal} $PPID; {rest}"));
            let holders = watch(&mut command);
            let kind = judge(&mut command);
            let expected = Kind::Undecided(Undecided::BwrapKilled { signal });
            assert_eq!(kind, expected, "{rest}");
            drop(command);
            assert!(released(&holders, SETTLE), "kill -{signal}; {rest}");
        }
    }
}

/// A helper: traces its parent, so that it is killed when this process ends, and ends with status 8; 9 if it may
/// not.
pub(crate) fn trace(_: &[String]) {
    let parent = nix::unistd::getppid().as_raw();
    #[allow(unsafe_code, reason = "ptrace is called with numbers only")]
    // SAFETY: PTRACE_SEIZE neither reads nor writes memory of either process.
    let result = unsafe { libc::ptrace(libc::PTRACE_SEIZE, parent, 0, libc::PTRACE_O_EXITKILL) };
    std::process::exit(if result == 0 { 8 } else { 9 })
}

fn a_command_traces_bwrap(here: &Here) {
    let mut command = here.helper(&host(), "trace");
    let holders = watch(&mut command);
    let kind = judge(&mut command);
    // bwrap is killed as soon as the command ends, most often before it could say so
    let killed = Kind::Undecided(Undecided::BwrapKilled { signal: 9 });
    assert!([killed, Kind::Ran(8), Kind::Ran(9)].contains(&kind), "{kind:?}");
    drop(command);
    assert!(released(&holders, SETTLE));
}

/// A command may try bwrap's descriptors through /proc. With a user namespace of its own it gets at none. Root
/// without one is beyond that: it can make bwrap itself believe anything.
fn a_command_meddles_with_bwraps_descriptors(here: &Here) {
    let sandbox = host().proc("/proc").unshare(Namespaces::USER);
    for meddling in [
        "true > $fd",
        "echo '{' > $fd",
        "echo '{ \"exit-code\": 0 }' > $fd",
        "echo garbage garbage garbage garbage garbage garbage >> $fd",
    ] {
        let script = format!("for fd in /proc/$PPID/fd/[3-9]*; do {meddling}; done 2>/dev/null; exit 1");
        let mut command = here.shell(&sandbox, &script);
        let holders = watch(&mut command);
        let kind = judge(&mut command);
        assert_eq!(kind, Kind::Ran(1), "{meddling}");
        drop(command);
        assert!(eventually(|| released(&holders, Duration::ZERO)));
    }
}
