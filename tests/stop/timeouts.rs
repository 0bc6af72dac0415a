//! The time limit, in every front.

use std::fs;
use std::io::{BufRead, BufReader};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bwrap_launch::{Bwrap, Command, Ending, Namespaces, Sandbox, Stdio, Stop};

use crate::cases;
use crate::common::{Case, Here, SETTLE, host, released, watch};
use crate::support::{HANGS, both, stand_in};

pub(crate) const CASES: &[Case] = cases![
    every_front,
    nobody_waits,
    grace_is_given_and_taken,
    the_time_of_a_held_sandbox_counts_from_its_start,
    what_is_set_up_too_slowly,
    what_is_in_time_is_left_alone,
    many_limits_take_one_thread,
    what_is_resumed_all_the_time,
    the_time_of_what_is_launched_on_the_way_out,
    a_runtime,
    a_runtime_whose_threads_are_busy,
    a_failure_that_is_looked_at_outside_of_a_runtime,
];

const LIMIT: Duration = Duration::from_millis(300);

/// It is over well before the command's own end.
const SLACK: Duration = Duration::from_secs(20);

fn timed_out(what: &str, start: Instant, ending: Ending) {
    assert_eq!(ending, Ending::Stopped(Stop::Timeout), "{what}");
    let took = start.elapsed();
    assert!(took >= LIMIT && took < SLACK, "{what}: {took:?}");
}

/// The time counts from the launch, which may take long on a busy machine: tried with more and more of it, until what takes
/// `false` for an answer had enough.
fn patiently(test: impl Fn(Duration) -> bool) {
    let enough = [1, 8, 40].into_iter().any(|times| test(LIMIT * times));
    assert!(enough, "nothing came of it in {:?}", LIMIT * 40);
}

fn every_front(here: &Here) {
    for sandbox in both() {
        let command = |limit| {
            let mut command = here.shell(&sandbox, "echo half; sleep 60");
            command.timeout(limit);
            command
        };
        let start = Instant::now();
        timed_out("status", start, Ending::of(&command(LIMIT).stdout(Stdio::null()).status()));
        patiently(|limit| {
            let start = Instant::now();
            let Ok(output) = command(limit).output() else { return false };
            timed_out("output", start, output.status.ending());
            // what was written is kept
            output.stdout == b"half\n"
        });
        let start = Instant::now();
        timed_out("spawn", start, Ending::of(&command(LIMIT).stdout(Stdio::null()).spawn().unwrap().wait()));
        patiently(|limit| {
            let start = Instant::now();
            let status = command(limit).stdout(Stdio::null()).status_timeout(Duration::from_secs(60));
            let Ok(status) = status else { return false };
            timed_out("status_timeout", start, status.unwrap().ending());
            true
        });
        let start = Instant::now();
        let status =
            command(Duration::from_secs(3600)).stdout(Stdio::null()).status_timeout(LIMIT / 3).unwrap();
        assert!(status.is_none() && start.elapsed() < SLACK, "the caller's own patience ends first");
    }
}

/// The caller reads, as for a log, and does not wait.
fn nobody_waits(here: &Here) {
    for sandbox in both() {
        patiently(|limit| {
            let start = Instant::now();
            let mut command = here.shell(&sandbox, "echo one; echo two; exec sleep 60");
            let mut child = command.timeout(limit).stdout(Stdio::piped()).spawn().unwrap();
            let lines: Vec<String> =
                BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap).collect();
            timed_out("reading", start, Ending::of(&child.wait()));
            lines == ["one", "two"]
        });
        // nor is anybody there any more
        let mut command = here.shell(&sandbox, "exec sleep 60");
        let holders = watch(&mut command);
        drop(command.timeout(LIMIT).spawn().unwrap());
        drop(command);
        assert!(released(&holders, SLACK));
    }
}

fn grace_is_given_and_taken(here: &Here) {
    let ended = |sandbox: &Sandbox, script, limit, grace| {
        let status = here.shell(sandbox, script).timeout(limit).grace(grace).status().ok()?;
        assert_eq!(status.stopped(), Some(Stop::Timeout), "{script}");
        Some(status)
    };
    for sandbox in both() {
        // (TERM may come before the shell has set its trap)
        patiently(|limit| {
            let script = "trap 'exit 7' TERM; sleep 60 & wait";
            ended(&sandbox, script, limit, Duration::from_secs(60))
                .is_some_and(|status| status.code() == Some(7))
        });
        patiently(|limit| {
            let start = Instant::now();
            let status = ended(&sandbox, "trap '' TERM; sleep 60 & wait", limit, LIMIT);
            let asked = start.elapsed() >= limit + LIMIT;
            assert!(start.elapsed() < SLACK);
            asked && status.is_some_and(|status| status.signal() == Some(9))
        });
    }
}

fn the_time_of_a_held_sandbox_counts_from_its_start(here: &Here) {
    for sandbox in both() {
        let mut command = here.shell(&sandbox, "exec sleep 60");
        let prepared = command.timeout(LIMIT).prepare().unwrap();
        std::thread::sleep(2 * LIMIT);
        let start = Instant::now();
        let mut child = prepared.start().unwrap();
        timed_out("prepared", start, Ending::of(&child.wait()));
    }
}

fn what_is_set_up_too_slowly(here: &Here) {
    let hanging = stand_in(here, "hanging", HANGS);
    let start = Instant::now();
    let mut command = here.command(&host(), "true");
    timed_out("a bwrap that hangs", start, Ending::of(&command.bwrap(&hanging).timeout(LIMIT).status()));
    let (reader, writer) = std::io::pipe().unwrap();
    let sandbox = host().tmpfs("/mnt").file(reader, "/mnt/late");
    let start = Instant::now();
    let result = here.command(&sandbox, "true").timeout(LIMIT).status();
    timed_out("a source that does not answer", start, Ending::of(&result));
    drop(writer);
}

fn what_is_in_time_is_left_alone(here: &Here) {
    for sandbox in both() {
        let in_time = |limit| {
            let status = here.shell(&sandbox, "exit 3").timeout(limit).status().unwrap();
            assert_eq!(status.ending(), Ending::Exited(3));
        };
        in_time(Duration::from_secs(60));
        in_time(Duration::MAX);
    }
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Processes that one beside them resumes as fast as it can, and that come and go, never stand still: neither they nor others of the same caller
/// live longer for that.
fn what_is_resumed_all_the_time(here: &Here) {
    let program = here.compiled("restless", include_str!("restless.c"));
    let mut restless = here.command(&host(), program.to_str().unwrap());
    restless.stdin(Stdio::null()).timeout(LIMIT).grace(LIMIT);
    let mut others = here.shell(&host().unshare(Namespaces::PID), "sleep 10");
    let mut restless = restless.spawn().unwrap();
    let mut other = others.stdin(Stdio::null()).timeout(LIMIT * 2).spawn().unwrap();
    assert_eq!(Ending::of(&other.wait()), Ending::Stopped(Stop::Timeout), "the other");
    assert_eq!(Ending::of(&restless.wait()), Ending::Stopped(Stop::Timeout));
}

/// A helper: what it leaves to do until its exit, it does after this crate has done its own.
pub(crate) fn late(arguments: &[String]) {
    static BWRAP: OnceLock<Bwrap> = OnceLock::new();
    extern "C" fn at_exit() {
        for grace in [Duration::ZERO, LIMIT] {
            let mut command = host().unshare(Namespaces::PID).command("sleep");
            command.arg("60").bwrap(BWRAP.get().unwrap()).timeout(LIMIT).grace(grace);
            println!("{}", Ending::of(&command.status()));
        }
    }
    let bwrap = BWRAP.get_or_init(|| Bwrap::at(&arguments[0]).unwrap());
    #[allow(unsafe_code, reason = "a handler of somebody else's")]
    // SAFETY: the function is there as long as the process.
    unsafe {
        libc::atexit(at_exit);
    }
    // what waits at a gate is seen to at the exit
    let prepared = host().command("true").bwrap(bwrap).prepare().unwrap();
    assert!(prepared.start().unwrap().wait().unwrap().success());
}

fn the_time_of_what_is_launched_on_the_way_out(here: &Here) {
    let mut caller = std::process::Command::new(std::env::current_exe().unwrap());
    let output = caller.args(["--helper", "late"]).arg(here.bwrap.path()).output().unwrap();
    let stopped = Ending::Stopped(Stop::Timeout).to_string();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{stopped}\n{stopped}\n"));
}

/// And when nobody has a limit any more, none.
fn many_limits_take_one_thread(here: &Here) {
    let before = threads();
    let spawn = |_| {
        let mut command: Command = here.shell(&host(), "read x");
        command.timeout(Duration::from_secs(3600)).grace(LIMIT).stdin(Stdio::piped()).spawn().unwrap()
    };
    let mut children: Vec<_> = (0..20).map(spawn).collect();
    assert_eq!(threads(), before + 1);
    for child in &mut children {
        child.wait().unwrap();
    }
    assert!(crate::common::within(SETTLE, || threads() == before), "it stays for what is over");
}

#[cfg(feature = "tokio")]
/// Whoever keeps all of a runtime's threads for blocking work holds up no launch, and no failure's explanation.
fn a_runtime_whose_threads_are_busy(here: &Here) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap();
    let (done, busy) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || busy.recv());
    runtime.block_on(async {
        let sandbox = host().unshare(Namespaces::PID);
        let mut fails =
            bwrap_launch::tokio::Command::new(&sandbox.clone().ro_bind("/nonexistent", "/mnt"), "true");
        let failed = fails.bwrap(&here.bwrap).status().await.unwrap_err();
        assert!(failed.diagnosis().is_some(), "{failed}");
        let mut ties = bwrap_launch::tokio::Command::new(&sandbox, "true");
        assert!(ties.bwrap(&here.bwrap).die_with_caller(true).status().await.unwrap().success());
    });
    drop(done);
}

/// A verdict is not lost where there is no runtime.
fn a_failure_that_is_looked_at_outside_of_a_runtime(here: &Here) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut child = runtime.block_on(async {
        let mut fails = bwrap_launch::tokio::Command::new(&host().ro_bind("/nonexistent", "/mnt"), "true");
        fails.bwrap(&here.bwrap).stderr(Stdio::null()).spawn().await.unwrap()
    });
    let outcome = loop {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Ok(Some(status)) => panic!("{status}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(outcome, bwrap_launch::Error::SetupFailed(_)), "{outcome}");
    let again = runtime.block_on(child.wait()).unwrap_err();
    assert!(matches!(again, bwrap_launch::Error::SetupFailed(_)), "{again}");
}

fn a_runtime(here: &Here) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for sandbox in both() {
            let command = || {
                let mut command = bwrap_launch::tokio::Command::new(&sandbox, "sleep");
                command.arg("60").bwrap(&here.bwrap).timeout(LIMIT);
                command
            };
            let start = Instant::now();
            timed_out("status", start, Ending::of(&command().status().await));
            let prepared = command().prepare().await.unwrap();
            let start = Instant::now();
            let mut child = prepared.start().await.unwrap();
            timed_out("prepared", start, Ending::of(&child.wait().await));
            // by hand, from another thread
            let mut child = command().timeout(Duration::from_secs(60)).spawn().await.unwrap();
            child.wait_ready().await.unwrap();
            let killer = child.killer();
            let terminated = std::thread::spawn(move || killer.terminate(LIMIT));
            assert_eq!(Ending::of(&child.wait().await), Ending::Stopped(Stop::Cancel));
            terminated.join().unwrap().unwrap();
        }
    });
}

#[cfg(not(feature = "tokio"))]
fn a_runtime(_: &Here) {
    crate::common::skip("built without the feature tokio");
}
