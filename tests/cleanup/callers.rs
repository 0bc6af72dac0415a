//! Callers of every kind, and those that are killed.
#![allow(unsafe_code, reason = "fork(2) has no safe function")]

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, Read, Write};
use std::process::{Child as Process, Command as StdCommand, Stdio as ProcessStdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bwrap_launch::{Bwrap, Capability, Ending, ExitStatus, Namespaces, Pool, Sandbox, Stdio, Stop};
use nix::sched::CloneFlags;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::ForkResult;

use crate::cases;
use crate::common::{Case, Here, asleep, host, skip};
use crate::inventory::{Inventory, sandboxes, unchanged};
use crate::support::{Kind, Numbers, SETTLE, eventually, judge, released_or_killed, share};
use crate::thief::{beside_a_fork_and_a_thief, load};

pub(crate) const CASES: &[Case] = cases![
    a_caller_that_ignores_sigchld,
    a_subreaper,
    process_one,
    process_one_of_a_fork_and_of_its_parent,
    below_a_process_one_that_does_not_reap,
    a_caller_that_sees_the_processes_of_another_namespace,
    many_threads_launch_at_once,
    thousands_of_launches_beside_a_fork_and_a_thief,
    a_fork_of_a_caller_that_exits,
    a_fork_of_a_caller_that_launches,
    a_killed_caller,
    a_killed_caller_before_the_start,
];

type Launch = fn(&Sandbox, &Bwrap);

/// Launches that end in every way.
const LAUNCHES: [(&str, Launch); 5] = [
    ("success", |sandbox, bwrap| {
        let mut command = sandbox.command("sh");
        assert_eq!(judge(command.args(["-c", "exit 3"]).bwrap(bwrap)), Kind::Ran(3));
    }),
    ("failed set-up", |sandbox, bwrap| {
        let broken = sandbox.clone().ro_bind("/nonexistent", "/mnt");
        assert_eq!(judge(broken.command("true").bwrap(bwrap)), Kind::SetupFailed);
    }),
    ("killed at once", |sandbox, bwrap| {
        let mut child = sandbox.command("sleep").arg("60").bwrap(bwrap).spawn().unwrap();
        child.kill().unwrap();
        assert!(!matches!(Kind::of(&child.wait()), Kind::Ran(0)));
    }),
    ("dropped", |sandbox, bwrap| drop(sandbox.command("true").bwrap(bwrap).spawn().unwrap())),
    ("stuck", |sandbox, bwrap| {
        let stuck = sandbox.clone().join_user_after_setup(fs::File::open("/proc/self/ns/user").unwrap());
        assert_eq!(judge(stuck.command("true").bwrap(bwrap)), Kind::Refused);
    }),
];

/// Launches of every kind, several at a time.
fn launches(bwrap: &Bwrap, threads: usize, each: usize) {
    let sandboxes = &sandboxes();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for run in 0..each {
                    let sandbox = &sandboxes[(thread + run) % sandboxes.len()];
                    LAUNCHES[(thread + run / sandboxes.len()) % LAUNCHES.len()].1(sandbox, bwrap);
                }
            });
        }
    });
}

fn many_threads_launch_at_once(here: &Here) {
    unchanged("no token", "many launches", || launches(&here.bwrap, 8, 25));
}

fn thousands_of_launches_beside_a_fork_and_a_thief(here: &Here) {
    unchanged("no token", "thousands of launches", || {
        beside_a_fork_and_a_thief(|| launches(&here.bwrap, 32, load()));
    });
}

/// A fork has what other threads held at that moment, and nobody who would let go of it.
fn a_fork_of_a_caller_that_exits(here: &Here) {
    let mut caller = StdCommand::new(std::env::current_exe().unwrap());
    let status = caller.args(["--helper", "forker"]).arg(here.bwrap.path()).status().unwrap();
    assert!(status.success(), "{status}");
}

fn a_fork_of_a_caller_that_launches(here: &Here) {
    let mut caller = StdCommand::new(std::env::current_exe().unwrap());
    let status = caller.args(["--helper", "launching-forker"]).arg(here.bwrap.path()).status().unwrap();
    assert!(status.success(), "{status}");
}

/// A helper: its forks launch while its threads launch, in every way that has threads, locks or processes of its own.
pub(crate) fn launching_forker(arguments: &[String]) {
    let path = arguments[0].clone();
    let launch = move |crash_safe: bool| {
        let mut command = host().unshare(Namespaces::PID).die_with_parent().command("true");
        command.bwrap(&Bwrap::at(&path).unwrap()).die_with_caller(crash_safe);
        command.status().unwrap().success()
    };
    let over = Arc::new(AtomicBool::new(false));
    let threads = [false, false, true].map(|crash_safe| {
        let (launch, over) = (launch.clone(), Arc::clone(&over));
        std::thread::spawn(move || while !over.load(Ordering::Relaxed) && launch(crash_safe) {})
    });
    for number in 0..30 / share() {
        // SAFETY: what a fork of several threads may do is what this is about.
        let Ok(ForkResult::Parent { child: fork }) = (unsafe { nix::unistd::fork() }) else {
            // the sandboxes of a thread of its own, too
            let other = launch.clone();
            let fine = launch(number % 2 == 0) && std::thread::spawn(move || other(false)).join().unwrap();
            unsafe { libc::exit(i32::from(!fine)) }
        };
        let mut status = WaitStatus::StillAlive;
        let ended = || {
            status = waitpid(fork, Some(WaitPidFlag::WNOHANG)).unwrap();
            status != WaitStatus::StillAlive
        };
        if !eventually(ended) {
            let _ = nix::sys::signal::kill(fork, nix::sys::signal::Signal::SIGKILL);
            panic!("fork {number} hangs");
        }
        assert_eq!(status, WaitStatus::Exited(fork, 0), "fork {number}");
    }
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    std::process::exit(0);
}

/// A helper: its forks exit as any program does, while its threads are ending sandboxes.
pub(crate) fn forker(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let mut child = host().command("sleep").arg("60").bwrap(&bwrap).spawn().unwrap();
    child.wait_ready().unwrap();
    for _ in 0..4 {
        let killer = child.killer();
        std::thread::spawn(move || {
            loop {
                let _ = killer.terminate(Duration::from_secs(3600));
            }
        });
    }
    for _ in 0..100 {
        // SAFETY: the fork does nothing but exit, whose handlers are what this is about.
        let Ok(ForkResult::Parent { child: fork }) = (unsafe { nix::unistd::fork() }) else {
            unsafe { libc::exit(0) }
        };
        let ended = || waitpid(fork, Some(WaitPidFlag::WNOHANG)).unwrap() != WaitStatus::StillAlive;
        if !eventually(ended) {
            let _ = nix::sys::signal::kill(fork, nix::sys::signal::Signal::SIGKILL);
            panic!("a fork hangs in exit(3)");
        }
    }
    child.kill().unwrap();
    let _ = child.wait();
    std::process::exit(0);
}

/// Orphans of its descendants become its children: each is to be reaped.
fn a_subreaper(here: &Here) {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let mut left = Vec::new();
    for (name, launch) in LAUNCHES {
        for sandbox in sandboxes() {
            let before = Inventory::take("no token");
            (0..8).for_each(|_| launch(&sandbox, &here.bwrap));
            let zombies = || Inventory::take("no token").new_children(&before);
            if !eventually(|| zombies() == 0) {
                left.push(format!("{name}: {} of 8, {sandbox}", zombies()));
            }
        }
    }
    let forest = "for i in 1 2 3; do sh -c 'sleep 60 & sleep 60 & wait' & done; echo up; wait";
    for sandbox in sandboxes() {
        let before = Inventory::take("no token");
        let mut child = here.shell(&sandbox, forest).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        child.kill().unwrap();
        let _ = child.wait();
        let zombies = || Inventory::take("no token").new_children(&before);
        if !eventually(|| zombies() == 0) {
            left.push(format!("kill: {}, {sandbox}", zombies()));
        }
    }
    assert!(left.is_empty(), "zombies are left:\n{}", left.join("\n"));
    unchanged("no token", "many launches of a subreaper", || launches(&here.bwrap, 8, 25));
}

/// A helper: launches in every way and looks what is left.
pub(crate) fn everything(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    unchanged("no token", "launches", || {
        for sandbox in sandboxes() {
            for script in ["exit 0", "exit 1", "kill -9 $$"] {
                judge(sandbox.command("sh").args(["-c", script]).bwrap(&bwrap));
            }
            judge(sandbox.command("no-such-program").bwrap(&bwrap));
            judge(sandbox.clone().ro_bind("/nonexistent", "/mnt").command("true").bwrap(&bwrap));
            drop(sandbox.command("true").bwrap(&bwrap).spawn());
            drop(sandbox.command("true").bwrap(&bwrap).prepare());
            let mut command = sandbox.command("sleep");
            let mut child = command.arg("60").bwrap(&bwrap).spawn().unwrap();
            child.kill().unwrap();
            let _ = child.wait();
        }
    });
}

fn a_caller_that_ignores_sigchld(here: &Here) {
    let mut process = StdCommand::new("env");
    process.arg("--ignore-signal=SIGCHLD");
    process.arg(std::env::current_exe().unwrap()).args(["--helper", "everything"]).arg(here.bwrap.path());
    let output = process.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A helper, process 1 of a PID namespace: launches, and then is alone.
pub(crate) fn alone(arguments: &[String]) {
    assert_eq!(std::process::id(), 1);
    everything(arguments);
    launches(&Bwrap::at(&arguments[0]).unwrap(), 4, 15);
    let others = || {
        let entries = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            (pid != 1).then(|| stat.chars().take(40).collect::<String>())
        });
        entries.collect::<Vec<_>>()
    };
    assert!(eventually(|| others().is_empty()), "{:?}", others());
}

fn process_one(here: &Here) {
    let outer = host().proc("/proc").unshare(Namespaces::PID).as_pid_1();
    let output = here.helper(&outer, "alone").arg(here.bwrap.path()).output().unwrap();
    assert!(output.status.success(), "{} {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// A helper, process 1 of a PID namespace, whose fork is process 1 of another one: both have the same number.
pub(crate) fn namesakes(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let timed = |program: &str, limit| {
        let mut command = host().command(program);
        command.arg("60").bwrap(&bwrap).timeout(limit).status()
    };
    // the threads are there by now
    assert!(timed("true", Duration::from_secs(60)).unwrap().success());
    let held = host().unshare(Namespaces::PID).command("true").bwrap(&bwrap).prepare().unwrap();
    let mut pooled = host().unshare(Namespaces::PID).command("true");
    pooled.bwrap(&bwrap);
    let pool = Pool::new(pooled, 1).unwrap();
    pool.fill().unwrap();
    nix::sched::unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS).unwrap();
    // SAFETY: what a fork of several threads may do is what this is about.
    let Ok(ForkResult::Parent { child: fork }) = (unsafe { nix::unistd::fork() }) else {
        assert_eq!(std::process::id(), 1);
        let mounted = StdCommand::new("mount").args(["-t", "proc", "proc", "/proc"]).status().unwrap();
        assert!(mounted.success());
        let stopped = Ending::of(&timed("sleep", Duration::from_millis(50)));
        // a fork has nothing of the pool, and waits for none of its threads
        let taken = pool.take().unwrap().start().unwrap().wait();
        let alone = pool.ready() == 0 && pool.fill().is_err() && taken.is_ok_and(ExitStatus::success);
        // what is its parent's
        drop((held, pool));
        unsafe { libc::exit(i32::from(!alone || stopped != Ending::Stopped(Stop::Timeout))) }
    };
    let mut status = WaitStatus::StillAlive;
    let ended = || {
        status = waitpid(fork, Some(WaitPidFlag::WNOHANG)).unwrap();
        status != WaitStatus::StillAlive
    };
    assert!(eventually(ended), "the fork's time limit never comes");
    assert_eq!(status, WaitStatus::Exited(fork, 0));
    assert!(held.start().unwrap().wait().unwrap().success(), "the fork has ended its parent's sandbox");
    pool.fill().unwrap();
    assert!(pool.take().unwrap().start().unwrap().wait().unwrap().success(), "nor the pool's");
}

fn process_one_of_a_fork_and_of_its_parent(here: &Here) {
    let outer = host().proc("/proc").unshare(Namespaces::USER | Namespaces::PID).as_pid_1();
    let outer = outer.uid(0).gid(0).cap_add(Capability::CAP_SYS_ADMIN);
    let output = here.helper(&outer, "namesakes").arg(here.bwrap.path()).output().unwrap();
    assert!(output.status.success(), "{} {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// A helper in a PID namespace of its own, below the `/proc` of another: to that, the numbers that it knows are those of others.
pub(crate) fn misled(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    for sandbox in [host(), host().unshare(Namespaces::PID)] {
        let mut command = sandbox.command("sleep");
        command.arg("60").bwrap(&bwrap);
        // bwrap itself looks there for what it has made, and finds somebody now and then
        let ready = (0..100).find_map(|_| {
            let mut child = command.spawn().unwrap();
            child.wait_ready().is_ok().then_some(child)
        });
        let Some(mut child) = ready else {
            println!("skip: bwrap never started");
            return;
        };
        let killer = child.killer();
        for (what, outcome) in [
            ("processes", killer.processes().map(drop)),
            ("suspend", killer.suspend()),
            ("signal", killer.send_signal(18)),
        ] {
            let error = outcome.expect_err(what);
            assert!(error.to_string().contains("/proc is not that of this PID namespace"), "{what}: {error}");
        }
        killer.kill().unwrap();
        assert!(matches!(bwrap_launch::Ending::of(&child.wait()), bwrap_launch::Ending::Stopped(_)));
        let error = command.die_with_caller(true).status().unwrap_err();
        assert!(error.to_string().contains("/proc is not that of this PID namespace"), "{error}");
    }
    println!("done");
}

fn a_caller_that_sees_the_processes_of_another_namespace(here: &Here) {
    let outer = host().unshare(Namespaces::PID).as_pid_1();
    let output = here.helper(&outer, "misled").arg(here.bwrap.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    if let Some((_, why)) = said.split_once("skip: ") {
        skip(why.trim());
    }
    assert_eq!(
        (output.status.code(), said.as_str()),
        (Some(0), "done\n"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn below_a_process_one_that_does_not_reap(here: &Here) {
    let outer = host().proc("/proc").unshare(Namespaces::PID).as_pid_1();
    let output = here.helper(&outer, "barren").arg(here.bwrap.path()).output().unwrap();
    assert!(output.status.success(), "{} {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// A helper, process 1 of a PID namespace, that waits for its own child only.
pub(crate) fn barren(arguments: &[String]) {
    assert_eq!(std::process::id(), 1);
    for wish in ["adopt", "leave"] {
        let mut process = StdCommand::new(std::env::current_exe().unwrap());
        process.args(["--helper", "launcher"]).args(arguments).arg(wish);
        assert!(process.status().unwrap().success(), "{wish}");
    }
}

/// A helper: launches, and counts the zombies.
pub(crate) fn launcher(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let adopts = arguments[1] == "adopt";
    if adopts {
        bwrap_launch::adopt_orphans().unwrap();
    }
    let sandbox = host().unshare(Namespaces::PID);
    for (_, launch) in LAUNCHES {
        (0..4).for_each(|_| launch(&sandbox, &bwrap));
    }
    let zombies = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        stats.filter(|stat| stat.contains(") Z ")).collect::<Vec<_>>()
    };
    if adopts {
        assert!(eventually(|| zombies().is_empty()), "{:?}", zombies());
    } else {
        // otherwise nobody would see whether adopting makes a difference
        assert!(eventually(|| zombies().len() >= 4), "{:?}", zombies());
    }
}

/// A helper to be killed: launches with its own standard output, once it is told to.
pub(crate) fn victim(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let sandbox = host().unshare(Namespaces::PID).die_with_parent();
    let mut command = sandbox.command("sh");
    command.args(["-c", "echo up; exec sleep 60"]).env("PATH", "/usr/bin:/bin");
    command.bwrap(&bwrap).stdin(Stdio::null()).stderr(Stdio::null());
    println!("ready");
    std::io::stdin().read_exact(&mut [0]).unwrap();
    if arguments[1] == "held" {
        let _prepared = command.prepare().unwrap();
        return std::thread::sleep(Duration::from_secs(60));
    }
    let mut child = command.spawn().unwrap();
    child.wait_ready().unwrap();
    // bwrap's process 1 ties itself to its parent beside the command, and then sleeps
    asleep(child.sandbox_pid().unwrap());
    println!("up");
    std::thread::sleep(Duration::from_secs(60));
}

/// Starts a victim that waits for its word.
fn start_victim(here: &Here, way: &str) -> (Process, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut process = StdCommand::new(std::env::current_exe().unwrap());
    process.args(["--helper", "victim"]).arg(here.bwrap.path()).arg(way);
    process.stdin(ProcessStdio::piped()).stdout(writer).stderr(ProcessStdio::null());
    let child = process.spawn().unwrap();
    drop(process);
    let mut line = String::new();
    BufReader::new(reader.try_clone().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, reader)
}

/// Kills a caller after this. Says whether anything of its sandbox is left, and what that wrote.
fn kill_caller(here: &Here, way: &str, before: impl FnOnce(&PipeReader)) -> (bool, Vec<u8>) {
    let (mut caller, mut holders) = start_victim(here, way);
    caller.stdin.take().unwrap().write_all(b"x").unwrap();
    before(&holders);
    caller.kill().unwrap();
    caller.wait().unwrap();
    let left = !released_or_killed(&holders, SETTLE);
    let mut written = Vec::new();
    holders.read_to_end(&mut written).unwrap();
    (left, written)
}

/// Once everything runs, the caller's end is the sandbox's. (Before that, bwrap has moments in which nobody tells it: 10
/// of 50 callers that were killed within 10 ms left something behind.)
fn a_killed_caller(here: &Here) {
    let up = |mut holders: &PipeReader| {
        // from the command and from its caller
        holders.read_exact(&mut [0; 6]).unwrap();
    };
    for _ in 0..8 {
        let (left, _) = kill_caller(here, "plain", up);
        assert!(!left, "it outlives its caller");
    }
}

/// While the gate is closed the command never runs. (A bwrap that dies in the middle of its set-up may leave a
/// process that waits for ever: 1 of 200.)
fn a_killed_caller_before_the_start(here: &Here) {
    let mut numbers = Numbers::new(11);
    for _ in 0..50 {
        let (_, written) = kill_caller(here, "held", |_| numbers.pause(10_000));
        assert_eq!(written, b"", "it ran");
    }
}
