//! Killing at every moment, and callers that take the statuses of their children away. A file that the command makes
//! when it begins, and another at its end, are the witnesses.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bwrap_launch::{Bwrap, Child, Sandbox, Undecided};
use nix::sys::signal::{Signal, kill};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::cases;
use crate::common::{Case, Here, host};
use crate::support::{Kind, Mark, Numbers, SETTLE, both, both_writable, released, share, watch};

pub(crate) const CASES: &[Case] = cases![
    bwrap_is_killed_at_any_moment,
    the_child_is_killed_at_any_moment,
    the_sandbox_is_killed_at_any_moment,
    a_caller_that_ignores_sigchld,
    a_caller_that_waits_for_any_child,
];

/// How often, for each sandbox of [`both`] and each bwrap and user; see [`share`].
const RUNS: usize = 60;

/// Kills launches, and compares what the verdict says with what the command did. The verdict of a command that
/// was itself killed says nothing about its marks.
fn kills(here: &Here, start: u64, spare_command: bool, killer: impl Fn(&mut Child, &mut Numbers, u64)) {
    let mut numbers = Numbers::new(start);
    let longest = launch_time(here);
    let mut denied = Vec::new();
    let mut kinds = std::collections::BTreeMap::<String, u32>::new();
    for (which, sandbox) in both_writable(here).iter().enumerate() {
        for run in 0..(RUNS / share()).max(1) {
            let mark = Mark::new(here, format!("{which}-{run}"));
            let mut command = here.shell(sandbox, &mark.script("sleep 0.00$(( $$ % 4 ))"));
            let holders = watch(&mut command);
            let mut child = command.spawn().unwrap();
            drop(command);
            killer(&mut child, &mut numbers, longest);
            let kind = Kind::of(&child.wait());
            *kinds.entry(format!("{kind:?}")).or_default() += 1;
            match kind {
                Kind::Ran(0) => assert!(mark.began() && mark.ended(), "run {run}"),
                // stopped: bwrap had no time to say how what we killed ended; and so it ends, too, with a command that has hidden
                // that it was executed
                Kind::Ran(137)
                | Kind::Stopped { began: true }
                | Kind::Undecided(Undecided::BwrapEndedEarly { status: 137 })
                    if !spare_command => {}
                Kind::Undecided(Undecided::BwrapKilled { signal: 9 | 15 }) => {}
                _ => assert!(kind.denies(), "run {run}: {kind:?}"),
            }
            assert!(released(&holders, SETTLE), "run {run}: {kind:?}");
            if kind.denies() {
                assert!(!mark.began(), "run {run}: {kind:?}");
                denied.push((kind, mark));
            }
        }
    }
    std::thread::sleep(Duration::from_millis(50));
    for (kind, mark) in denied {
        assert!(!mark.began(), "{kind:?}, and it ran later");
    }
    println!("{kinds:?}");
    assert!(kinds.len() > 1, "every kill came at the same moment: {kinds:?}");
}

/// How long a launch takes here from start to end, in microseconds, and half as long again: an emulated machine takes twenty
/// times as long as others.
fn launch_time(here: &Here) -> u64 {
    let sandbox = &both_writable(here)[0];
    let mut times: Vec<u128> = (0..3)
        .map(|_| {
            let began = Instant::now();
            assert!(here.shell(sandbox, "sleep 0.002").status().unwrap().success());
            began.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    u64::try_from(times[1] * 3 / 2).unwrap()
}

fn pid(number: u32) -> i32 {
    i32::try_from(number).unwrap()
}

fn bwrap_is_killed_at_any_moment(here: &Here) {
    kills(here, 1, true, |child, numbers, longest| {
        let signal = if numbers.below(2) == 0 { Signal::SIGKILL } else { Signal::SIGTERM };
        numbers.pause(longest);
        // nobody has waited for it, so the number is still its own
        kill(nix::unistd::Pid::from_raw(pid(child.id())), signal).unwrap();
    });
}

/// The reported process, unless bwrap has ended before it could be had.
fn reported(child: &mut Child) -> Option<OwnedFd> {
    let own = format!("/proc/{}/stat", child.id());
    loop {
        if let Some(number) = child.sandbox_pid() {
            return pidfd_open(Pid::from_raw(pid(number))?, PidfdFlags::empty()).ok();
        }
        if std::fs::read_to_string(&own).unwrap().contains(") Z ") {
            return None;
        }
    }
}

fn the_child_is_killed_at_any_moment(here: &Here) {
    kills(here, 2, false, |child, numbers, longest| {
        let Some(process) = reported(child) else { return };
        numbers.pause(longest / 2);
        let _ = pidfd_send_signal(process, rustix::process::Signal::KILL);
    });
}

fn the_sandbox_is_killed_at_any_moment(here: &Here) {
    kills(here, 3, false, |child, numbers, longest| {
        numbers.pause(longest);
        child.kill().unwrap();
    });
}

/// How often [`all_kinds`] is launched; see [`share`].
const ROUNDS: usize = 5;

/// One launch of every kind, judged by a caller whose children's statuses may be lost.
fn all_kinds(bwrap: &Bwrap) {
    let lost = Kind::Undecided(Undecided::StatusLost);
    let judged = |sandbox: &Sandbox, program: &str, script: &str| {
        let mut command = sandbox.command(program);
        let outcome = command.args(["-c", script]).bwrap(bwrap).output().map(|output| output.status);
        let kind = Kind::of(&outcome);
        assert_ne!(kind, Kind::System, "{outcome:?}");
        kind
    };
    for sandbox in both() {
        for status in [0, 1, 42, 255] {
            assert_eq!(judged(&sandbox, "sh", &format!("exit {status}")), Kind::Ran(status));
        }
        assert_eq!(judged(&sandbox, "sh", "kill -9 $$"), Kind::Ran(137));
        let kind = judged(&sandbox, "no-such-program", "");
        assert!([lost, Kind::NotExecuted].contains(&kind), "{kind:?}");
        let broken = sandbox.clone().ro_bind("/nonexistent", "/mnt");
        assert_eq!(judged(&broken, "sh", ""), Kind::SetupFailed);
        let refused = sandbox.join_user_after_setup(std::fs::File::open("/proc/self/ns/user").unwrap());
        assert_eq!(judged(&refused, "sh", ""), Kind::Refused);
    }
    let kind = judged(&host(), "sh", "kill -9 $PPID; sleep 60");
    assert!([lost, Kind::Undecided(Undecided::BwrapKilled { signal: 9 })].contains(&kind), "{kind:?}");
}

/// A helper: launches while SIGCHLD is ignored.
pub(crate) fn ignoring(arguments: &[String]) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    assert_ne!(ignored & 1 << (libc::SIGCHLD - 1), 0, "SIGCHLD is not ignored");
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    for _ in 0..(ROUNDS / share()).max(1) {
        all_kinds(&bwrap);
    }
}

fn a_caller_that_ignores_sigchld(here: &Here) {
    // an ignored signal stays so across execve
    let mut process = std::process::Command::new("env");
    process.arg("--ignore-signal=SIGCHLD");
    process.arg(std::env::current_exe().unwrap()).args(["--helper", "ignoring"]).arg(here.bwrap.path());
    let output = process.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn a_caller_that_waits_for_any_child(here: &Here) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if nix::sys::wait::wait().is_err() {
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
        });
        let judged = std::panic::catch_unwind(|| {
            (0..(ROUNDS / share()).max(1)).for_each(|_| all_kinds(&here.bwrap));
        });
        stop.store(true, Ordering::Relaxed);
        judged.unwrap();
    });
}
