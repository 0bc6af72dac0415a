//! The process that is started, signalled and waited for, and what it inherits.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::cases;
use crate::common::{Case, Here, skip, within};
use crate::kit::{prints, real, same, shell, stood_in};

pub(crate) const CASES: &[Case] = cases![
    exit_statuses_are_the_commands,
    nothing_is_added_where_the_command_ran,
    a_signal_reaches_bwrap_itself,
    a_signal_to_the_group_ends_it_all,
    it_stops_and_goes_on,
    nobody_watches_a_command_that_runs,
    the_name_that_it_was_called_by_is_kept,
    what_is_inherited_is_inherited,
    ignored_and_blocked_signals_are_inherited,
    closed_streams_stay_closed,
    terminals_are_handed_on,
    streams_are_handed_on,
    help_and_version_are_bwraps_own,
    errors_of_usage_are_bwraps_own,
    the_real_one_is_found,
    it_never_calls_itself,
];

fn exit_statuses_are_the_commands(here: &Here) {
    for status in [0, 1, 2, 77, 124, 125, 126, 127, 255] {
        let ran = same(here, &format!("exec \"$B\" --ro-bind / / sh -c 'exit {status}'"));
        assert_eq!((ran.status.code(), ran.err.as_str()), (Some(status), ""));
    }
    for (signal, status) in [("KILL", 137), ("TERM", 143), ("ABRT", 134)] {
        let ran = same(here, &format!("exec \"$B\" --ro-bind / / sh -c 'ulimit -c 0; kill -{signal} $$'"));
        assert_eq!((ran.status.code(), ran.err.as_str()), (Some(status), ""));
    }
    // where bwrap says 1
    for line in [
        "--ro-bind /nonexistent / true",
        "--ro-bind / / /nonexistent",
        "--ro-bind / / --chdir /nonexistent true",
    ] {
        let status =
            |bwrap: &Path| shell(here, bwrap, &format!("exec \"$B\" {line}")).output().unwrap().status;
        assert_eq!(
            (status(&real(here)).code(), status(here.bwrap.path()).code()),
            (Some(1), Some(1)),
            "{line}"
        );
    }
}

fn nothing_is_added_where_the_command_ran(here: &Here) {
    // what it says, and how it ends, is its own affair
    for script in
        ["echo bwrap: execvp x: No such file or directory >&2; exit 1", "exec sleep 0.05", "kill -9 $$"]
    {
        for options in ["", "--unshare-pid", "--unshare-pid --as-pid-1", "--unshare-pid --die-with-parent"] {
            same(here, &format!("exec \"$B\" --ro-bind / / {options} sh -c '{script}'"));
        }
    }
}

fn sleeping(here: &Here) -> Child {
    sleeping_in(here, &[])
}

/// With these words before the command.
fn sleeping_in(here: &Here, before: &[&str]) -> Child {
    let mut process = Process::new(here.bwrap.path());
    process.args(["--ro-bind", "/", "/", "--proc", "/proc", "--unshare-pid", "--die-with-parent"]);
    process.args(before).args([
        "sh",
        "-c",
        // bwrap's process 1 ties itself to its parent beside the command, and then sleeps
        "until grep -q '^State:.S' /proc/1/status; do :; done; echo up; exec sleep 60",
    ]);
    let mut child = process.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut up = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
    child
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap()).unwrap()
}

fn a_signal_reaches_bwrap_itself(here: &Here) {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL, Signal::USR1] {
        let mut child = sleeping(here);
        kill_process(pid(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
    }
}

fn a_signal_to_the_group_ends_it_all(here: &Here) {
    let mut child = sleeping(here);
    let group = pid(&child);
    kill_process_group(group, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::TERM.as_raw()));
    let gone = || rustix::process::test_kill_process_group(group).is_err();
    assert!(within(Duration::from_secs(30), gone), "something of the group is left");
}

fn it_stops_and_goes_on(here: &Here) {
    let mut child = sleeping(here);
    let is = |state: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with(state)
    };
    kill_process(pid(&child), Signal::STOP).unwrap();
    assert!(within(Duration::from_secs(30), || is("T")));
    kill_process(pid(&child), Signal::CONT).unwrap();
    assert!(within(Duration::from_secs(30), || is("S")));
    child.kill().unwrap();
    child.wait().unwrap();
}

fn nobody_watches_a_command_that_runs(here: &Here) {
    let mut child = sleeping(here);
    let id = child.id();
    let children = || std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    // bwrap reaps it
    assert!(within(Duration::from_secs(30), || children().split_whitespace().count() == 1), "{}", children());
    let executed =
        std::fs::metadata(format!("/proc/{id}/exe")).map(|meta| std::os::unix::fs::MetadataExt::ino(&meta));
    let wanted = std::fs::metadata(real(here)).map(|meta| std::os::unix::fs::MetadataExt::ino(&meta));
    assert_eq!(executed.unwrap(), wanted.unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    // the command may be another bwrap
    let other = real(here);
    let nested = [other.to_str().unwrap(), "--dev-bind", "/", "/"];
    let mut child = sleeping_in(here, &nested);
    let id = child.id();
    let children = || std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    assert!(within(Duration::from_secs(30), || children().split_whitespace().count() == 1), "{}", children());
    child.kill().unwrap();
    child.wait().unwrap();
}

fn the_name_that_it_was_called_by_is_kept(here: &Here) {
    let named = |path: &Path| {
        let mut process = Process::new(path);
        process.arg0("over/there/bwrap").args([
            "--ro-bind",
            "/",
            "/",
            "sh",
            "-c",
            "head -c 16 /proc/$PPID/cmdline",
        ]);
        process.output().unwrap().stdout
    };
    assert_eq!(named(here.bwrap.path()), b"over/there/bwrap");
    assert_eq!(named(&real(here)), b"over/there/bwrap");
}

fn what_is_inherited_is_inherited(here: &Here) {
    let look = "env -u B -u PWD | sort; umask; ulimit -a; cat /proc/self/oom_score_adj; ls /proc/self/fd; nice; \
                grep -E \"^(Cap|NoNewPrivs|Groups|Uid|Gid|Sig[BI])\" /proc/self/status";
    let script = format!(
        "umask 027; ulimit -n 300; ulimit -c 0; echo 7 >/proc/self/oom_score_adj; exec 7<. 8</dev/null; \
         export X='a  b'; exec nice -n 3 \"$B\" --ro-bind / / sh -c '{look}'"
    );
    let ran = same(here, &script);
    assert!(
        ran.out.contains("X=a  b\n") && ran.out.contains("0027\n") && ran.out.contains("\n7\n"),
        "{}",
        ran.out
    );
}

fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    u64::from_str_radix(mask, 16).unwrap()
}

fn ignored_and_blocked_signals_are_inherited(here: &Here) {
    let look = "exec \"$B\" --ro-bind / / grep -E '^Sig(Blk|Ign)' /proc/self/status";
    same(here, look);
    let ran = same(here, &format!("trap '' PIPE HUP USR2; {look}"));
    assert_eq!(ignored(&ran.out) & 0x1801, 0x1801, "{}", ran.out);
    if !Path::new("/usr/bin/python3").exists() {
        skip("there is no /usr/bin/python3, which blocks signals for what it executes");
    }
    for pipe in ["SIG_DFL", "SIG_IGN"] {
        let ran = same(
            here,
            &format!(
                "exec /usr/bin/python3 -c 'import os, signal
signal.signal(signal.SIGPIPE, signal.{pipe})
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
os.execv(os.environ[\"B\"], [\"bwrap\", \"--ro-bind\", \"/\", \"/\", \"grep\", \"-E\", \"^Sig(Blk|Ign)\", \"/proc/self/status\"])'"
            ),
        );
        assert!(ran.out.contains("SigBlk:\t0000000000004200\n"), "{}{}", ran.out, ran.err);
        assert_eq!(ignored(&ran.out) & 0x1000 != 0, pipe == "SIG_IGN", "{}", ran.out);
    }
}

fn closed_streams_stay_closed(here: &Here) {
    for closed in ["<&-", "2>&-", "<&- 2>&-"] {
        same(here, &format!("exec \"$B\" --ro-bind / / ls /proc/self/fd {closed}"));
    }
    // nobody sees what is printed, but that it cannot be
    same(here, "\"$B\" --ro-bind / / sh -c 'echo x' >&-; echo $?");
}

fn terminals_are_handed_on(here: &Here) {
    // whoever is not in the foreground must not set the terminal
    let look = "test -t 0 && test -t 1 && test -t 2 && stty -echo && stty echo && echo ours";
    let script = format!("exec script -qec \"$B --ro-bind / / sh -c '{look}'\" /dev/null");
    let ran = same(here, &script);
    assert_eq!((ran.status.code(), ran.out.trim_end()), (Some(0), "ours"), "{}", ran.out);
}

fn streams_are_handed_on(here: &Here) {
    prints(here, "echo hello | \"$B\" --ro-bind / / cat", "hello\n");
    prints(here, "\"$B\" --ro-bind / / sh -c 'echo out; echo err >&2' 2>&1 | sort", "err\nout\n");
    prints(here, "\"$B\" --ro-bind / / yes | head -n 1", "y\n");
    prints(here, "{ \"$B\" --ro-bind / / head -c 2; cat; } <<'END'\nabcd\nEND\n", "abcd\n");
}

fn help_and_version_are_bwraps_own(here: &Here) {
    same(here, "exec \"$B\" --version");
    let rest = |path: &Path| {
        let help = Process::new(path).arg("--help").output().unwrap();
        // the first line names the program as it was called
        String::from_utf8(help.stdout).unwrap().split_once('\n').unwrap().1.to_owned()
    };
    assert_eq!(rest(here.bwrap.path()), rest(&real(here)));
}

fn errors_of_usage_are_bwraps_own(here: &Here) {
    for line in
        ["--no-such-option", "--ro-bind /", "--args 77 true", "--args x true", "--seccomp -1 true", "--uid"]
    {
        let ran = same(here, &format!("exec \"$B\" {line}"));
        assert_eq!(ran.status.code(), Some(1), "{line}");
    }
}

fn the_real_one_is_found(here: &Here) {
    // beside it is the one of all other cases
    for (places, wanted) in [
        ("BWRAP_DOCTOR_BWRAP=$PWD/named/bwrap", "named"),
        // its own directory is passed over, and what is relative
        ("PATH=next:$PWD/own:$PWD/next:$PATH", "next"),
    ] {
        let ran = stood_in(
            here,
            &format!(
                "mkdir own named next; cp \"$B\" own/bwrap; for name in named next; do \
                 printf '#!/bin/sh\\necho %s\\n' $name >$name/bwrap; chmod +x $name/bwrap; done; \
                 export {places}; exec $PWD/own/bwrap --version"
            ),
        );
        assert_eq!((ran.out.trim_end(), ran.err.as_str()), (wanted, ""));
    }
}

fn it_never_calls_itself(here: &Here) {
    let script = "mkdir a b; cp \"$B\" a/bwrap; printf '#!/bin/sh\\nexec %s/a/bwrap \"$@\"\\n' $PWD >b/bwrap; \
                  chmod +x b/bwrap; export PATH=$PWD/b:$PATH";
    for line in [
        "--ro-bind / / true",
        "--version",
        "--no-such-option",
        "--ro-bind / / --json-status-fd 8 --block-fd 9 true",
    ] {
        let ran = stood_in(here, &format!("{script}; a/bwrap {line} 8>status 9</dev/null"));
        assert_eq!(ran.status.code(), Some(1), "{line}: {}", ran.err);
        assert!(ran.err.contains("leads back to a stand-in"), "{line}: {}", ran.err);
    }
    // nor where no /proc tells which file is its own
    let script = "mkdir bin; cp -L \"$B\" bin/bwrap; exec \"$B\" --ro-bind / / --tmpfs /proc --setenv PATH $PWD/bin:$PATH \
                  timeout 20 bwrap --version";
    let ran = stood_in(here, script);
    assert!(ran.status.success() && ran.out.starts_with("bubblewrap "), "{} {}", ran.out, ran.err);
    let ran = stood_in(here, "BWRAP_DOCTOR_BWRAP=$B exec \"$B\" --version");
    assert_eq!(ran.status.code(), Some(127), "{}", ran.err);
}
