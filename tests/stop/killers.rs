//! The handle: while another thread waits, before the sandbox is set up, after its end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use bwrap_launch::{Child, Ending, Error, Killer, Namespaces, Sandbox, Stdio, Stop};

use crate::cases;
use crate::common::{Case, Here, SETTLE, host, released, watch, within};
use crate::support::{HANGS, Numbers, both, share, stand_in};

pub(crate) const CASES: &[Case] = cases![
    eight_threads_stop_while_one_waits,
    a_kill_after_the_end,
    a_kill_before_it_is_set_up,
    a_kill_at_any_moment_says_that_it_was_one,
    a_bwrap_that_hangs,
    a_held_sandbox,
    terminate_obeyed,
    terminate_ignored,
    terminate_before_it_is_set_up,
    terminate_wakes_what_is_suspended,
    twice_terminated_the_earlier_end_counts,
    a_signal_spares_process_1,
    a_command_that_is_process_1,
    suspend_and_resume,
    descendants_without_a_pid_namespace,
    a_child_that_is_being_made,
    dropped_to_be_killed,
    what_runs_is_listed,
    what_stays_is_listed_beside_what_comes_and_goes,
    who_is_named_for_the_end,
];

/// A command that runs for sure.
fn running(here: &Here, sandbox: &Sandbox, script: &str) -> Child {
    let mut command = here.shell(sandbox, script);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    child
}

fn eight_threads_stop_while_one_waits(here: &Here) {
    for sandbox in both() {
        for round in 0..(20 / share()).max(2) {
            let mut child = running(here, &sandbox, "echo; exec sleep 60");
            let killer = child.killer();
            let barrier = Barrier::new(9);
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let (killer, barrier) = (killer.clone(), &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        match (thread + round) % 4 {
                            0 | 1 => killer.kill(),
                            2 => killer.terminate(Duration::from_secs(60)),
                            _ => killer.send_signal(libc::SIGWINCH),
                        }
                        .unwrap();
                    });
                }
                barrier.wait();
                let status = child.wait().unwrap();
                assert_eq!(status.ending(), Ending::Stopped(Stop::Cancel));
                assert!([Some(9), Some(15)].contains(&status.signal()), "{status}");
            });
            killer.kill().unwrap();
        }
    }
}

type Does = fn(&Killer) -> Result<(), Error>;

fn a_kill_after_the_end(here: &Here) {
    for sandbox in both() {
        let mut child = here.shell(&sandbox, "exit 3").spawn().unwrap();
        let killer = child.killer();
        assert_eq!(child.wait().unwrap().code(), Some(3));
        let all: [Does; 5] = [
            Killer::kill,
            |killer| killer.terminate(Duration::ZERO),
            |killer| killer.send_signal(libc::SIGTERM),
            Killer::suspend,
            Killer::resume,
        ];
        for killer in [killer, child.killer()] {
            for does in all {
                does(&killer).unwrap();
            }
            assert_eq!(killer.stopped(), None, "nothing was stopped");
        }
        assert_eq!(child.wait().unwrap().ending(), Ending::Exited(3));

        // it has ended, and nobody has waited for it yet
        let mut child = here.shell(&sandbox, "exit 4").spawn().unwrap();
        let holders = child.id();
        let zombie = || fs::read_to_string(format!("/proc/{holders}/stat")).unwrap().contains(") Z ");
        assert!(within(SETTLE, zombie));
        child.killer().kill().unwrap();
        child.killer().terminate(Duration::ZERO).unwrap();
        assert_eq!(child.wait().unwrap().ending(), Ending::Exited(4));
    }
}

/// All processes of the machine that are in this PID namespace, but for its process 1.
fn in_namespace(number: u64, first: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let link = format!("pid:[{number}]");
    let is_in = |pid: &u32| {
        *pid != first && fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|to| to.as_os_str() == &*link)
    };
    let mut all: Vec<u32> = pids.filter(is_in).collect();
    all.sort_unstable();
    all
}

fn what_runs_is_listed(here: &Here) {
    // children, grandchildren, and those whose parents are gone
    let script = "sleep 60 & (sleep 60 & sleep 60 & wait) & (setsid sleep 60 &); (sh -c 'sleep 60 & sleep 60 & wait' &); echo; wait";
    let sandbox = host().unshare(Namespaces::PID);
    let held = here.shell(&sandbox, script).prepare().unwrap();
    assert_eq!(held.killer().processes().unwrap(), [0; 0], "it has not begun");
    drop(held);
    let mut child = running(here, &sandbox, script);
    let (first, namespace) = (child.sandbox_pid().unwrap(), child.namespaces().unwrap().pid.unwrap());
    // the last ones may only be coming
    let sleeps =
        |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.starts_with(b"sleep"));
    assert!(within(SETTLE, || in_namespace(namespace, first).iter().filter(|pid| sleeps(pid)).count() == 6));
    let listed = child.processes().unwrap();
    assert_eq!(listed, in_namespace(namespace, first));
    assert_eq!(listed.len(), 9, "with the shells");
    assert_eq!(child.killer().processes().unwrap(), listed);
    let killer = child.killer();
    child.kill().unwrap();
    let _ = child.wait();
    assert_eq!((child.processes().unwrap(), killer.processes().unwrap()), (vec![], vec![]), "it is over");

    // without, who has a parent there
    let mut child = running(here, &host(), "(sleep 60 & wait) & echo; wait");
    let command = child.sandbox_pid().unwrap();
    assert!(within(SETTLE, || child.processes().unwrap().len() == 3), "{:?}", child.processes());
    assert!(child.processes().unwrap().contains(&command));
    child.kill().unwrap();
    let _ = child.wait();
}

/// Whoever loses its parent while the list is made is not missed.
fn what_stays_is_listed_beside_what_comes_and_goes(here: &Here) {
    let script = "(sleep 60 & sleep 60 &); while :; do (sleep .01 & sleep .01 &); done & echo; wait";
    let mut child = running(here, &host().unshare(Namespaces::PID), script);
    let killer = child.killer();
    let sleeps =
        |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words == b"sleep\x0060\0");
    let staying = || killer.processes().unwrap().into_iter().filter(sleeps).collect::<Vec<_>>();
    assert!(within(SETTLE, || staying().len() == 2));
    let both = staying();
    for _ in 0..(60 / share()).max(2) {
        assert_eq!(staying(), both);
    }
    child.kill().unwrap();
    let _ = child.wait();
}

fn a_kill_before_it_is_set_up(here: &Here) {
    for sandbox in both() {
        for _ in 0..(20 / share()).max(2) {
            let mut command = here.shell(&sandbox, "exec sleep 60");
            let holders = watch(&mut command);
            let mut child = command.spawn().unwrap();
            drop(command);
            let killer = child.killer();
            killer.kill().unwrap();
            assert_eq!(Ending::of(&child.wait()), Ending::Stopped(Stop::Cancel));
            assert!(released(&holders, SETTLE));
        }
    }
}

/// Whether the command ran or not: the reason is the same, and is never taken for a failure of the sandbox.
fn a_kill_at_any_moment_says_that_it_was_one(here: &Here) {
    let mut numbers = Numbers::new(21);
    let (mut early, mut late) = (0, 0);
    for round in 0..(120 / share()).max(12) {
        let sandbox = &both()[round % 2];
        let mut child = here.shell(sandbox, "exec sleep 60").spawn().unwrap();
        let killer = child.killer().because(Stop::Limit);
        let pause = numbers.below(12_000);
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(pause));
                if round % 3 == 0 { killer.terminate(Duration::from_millis(20)) } else { killer.kill() }
                    .unwrap();
            });
            child.wait()
        });
        assert_eq!(Ending::of(&result), Ending::Stopped(Stop::Limit), "{result:?} after {pause} us");
        match result {
            Ok(_) => late += 1,
            Err(error) => {
                assert!(error.to_string().starts_with("it was stopped"), "{error}");
                early += 1;
            }
        }
    }
    println!("{early} before the command ran, {late} after");
}

fn a_bwrap_that_hangs(here: &Here) {
    let hanging = stand_in(here, "hanging", HANGS);
    let mut child = here.command(&host(), "true").bwrap(&hanging).spawn().unwrap();
    let killer = child.killer();
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| killer.kill().unwrap());
        assert_eq!(Ending::of(&child.wait()), Ending::Stopped(Stop::Cancel));
    });
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

fn a_held_sandbox(here: &Here) {
    for sandbox in both() {
        for early in [true, false] {
            let prepared = here.shell(&sandbox, "exec sleep 60").prepare().unwrap();
            let killer = prepared.killer();
            if early {
                killer.kill().unwrap();
                // the gate may be opened before bwrap's end is known
                let result = prepared.start().and_then(|mut child| child.wait());
                assert_eq!(Ending::of(&result), Ending::Stopped(Stop::Cancel), "{result:?}");
            } else {
                let mut child = prepared.start().unwrap();
                killer.terminate(Duration::from_millis(10)).unwrap();
                assert_eq!(Ending::of(&child.wait()), Ending::Stopped(Stop::Cancel));
            }
        }
    }
}

/// A command with 20 processes that do this when they are asked to end, and say that they are there.
fn twenty(trap: &str) -> String {
    format!(
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do (trap '{trap}' TERM; echo $i; while :; do sleep 1; done) & \
         done; trap '{trap}' TERM; echo 20; while :; do sleep 1; done"
    )
}

fn stopped_after(here: &Here, sandbox: &Sandbox, script: &str) -> (Duration, Ending) {
    let mut command = here.shell(sandbox, script);
    let holders = watch(&mut command);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(command);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(20).map_while(Result::ok).count(), 20, "all are there");
    let start = Instant::now();
    child.killer().terminate(Duration::from_millis(200)).unwrap();
    let status = child.wait().unwrap();
    let took = start.elapsed();
    assert!(released(&holders, SETTLE), "a process is left of {script} in {sandbox}");
    (took, status.ending())
}

fn terminate_obeyed(here: &Here) {
    for sandbox in both() {
        for script in [twenty("exit 0"), twenty("trap - TERM; kill \\$\\$")] {
            let (took, ending) = stopped_after(here, &sandbox, &script);
            assert_eq!(ending, Ending::Stopped(Stop::Cancel));
            println!("obeyed: {took:?}");
        }
        // the command obeys, and its child does not
        let script =
            "(trap '' TERM; echo; while :; do sleep 0.1; done) & read x; trap 'exit 7' TERM; echo; wait";
        let mut command = here.shell(&sandbox, script);
        let holders = watch(&mut command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        drop(command);
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 2]).unwrap();
        child.killer().terminate(Duration::from_secs(60)).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7));
        assert!(released(&holders, SETTLE));
        // one that ends in its own way says so
        let mut child = running(here, &sandbox, "trap 'exit 7' TERM; echo; sleep 60 & wait");
        child.killer().terminate(Duration::from_secs(60)).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.stopped()), (Some(7), Some(Stop::Cancel)));
    }
}

fn terminate_ignored(here: &Here) {
    for sandbox in both() {
        let (took, ending) = stopped_after(here, &sandbox, &twenty(""));
        assert_eq!(ending, Ending::Stopped(Stop::Cancel));
        assert!(took >= Duration::from_millis(200), "{took:?}");
        println!("ignored: {took:?}");
    }
}

fn terminate_before_it_is_set_up(here: &Here) {
    for sandbox in both() {
        // bwrap itself waits, for content that nobody writes
        let (reader, writer) = std::io::pipe().unwrap();
        let sandbox = sandbox.tmpfs("/mnt").file(reader, "/mnt/late");
        let mut child = here.command(&sandbox, "true").spawn().unwrap();
        let start = Instant::now();
        assert!(within(SETTLE, || child.sandbox_pid().is_some()));
        child.killer().terminate(Duration::from_secs(60)).unwrap();
        let result = child.wait();
        assert_eq!(Ending::of(&result), Ending::Stopped(Stop::Cancel), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(30), "nobody is there to be asked");
        drop(writer);
    }
}

fn terminate_wakes_what_is_suspended(here: &Here) {
    for sandbox in both() {
        let mut child = running(here, &sandbox, "trap 'exit 7' TERM; echo; while :; do sleep 0.1; done");
        child.killer().suspend().unwrap();
        child.killer().terminate(Duration::from_secs(60)).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(7));
        let mut child = running(here, &sandbox, "echo; exec sleep 60");
        child.killer().suspend().unwrap();
        child.killer().kill().unwrap();
        assert_eq!(child.wait().unwrap().ending(), Ending::Stopped(Stop::Cancel));
    }
}

fn twice_terminated_the_earlier_end_counts(here: &Here) {
    for sandbox in both() {
        let mut child = running(here, &sandbox, "trap '' TERM; echo; sleep 60");
        let start = Instant::now();
        child.killer().terminate(Duration::from_secs(60)).unwrap();
        child.killer().because(Stop::Limit).terminate(Duration::from_millis(50)).unwrap();
        assert_eq!(child.wait().unwrap().stopped(), Some(Stop::Cancel), "the first reason");
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}

fn a_signal_spares_process_1(here: &Here) {
    for sandbox in both() {
        let script = "trap 'echo got; got=1' USR1; echo up; until [ \"$got\" ]; do sleep 0.05; done; exit 5";
        let mut command = here.shell(&sandbox, script);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "up");
        child.killer().send_signal(libc::SIGUSR1).unwrap();
        // the shell's sleep is killed by it, the shell itself goes on, and so does whoever waits for it
        assert_eq!(lines.next().unwrap().unwrap(), "got");
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.stopped()), (Some(5), None));

        let mut child = running(here, &sandbox, "echo; exec sleep 60");
        for none in [0, -1, 1000] {
            assert!(child.killer().send_signal(none).is_err());
        }
        child.killer().send_signal(libc::SIGKILL).unwrap();
        // whoever sends it is answerable for it
        assert!(is_killed(child.wait().unwrap().ending()));
    }
}

fn a_command_that_is_process_1(here: &Here) {
    let sandbox = host().unshare(Namespaces::PID).as_pid_1();
    let mut child = running(here, &sandbox, "trap 'exit 7' TERM; echo; while :; do sleep 0.1; done");
    child.killer().terminate(Duration::from_secs(60)).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    // without a handler, it does not hear of it
    let mut child = running(here, &sandbox, "echo; exec sleep 60");
    child.killer().terminate(Duration::from_millis(50)).unwrap();
    let status = child.wait().unwrap();
    assert_eq!((status.signal(), status.stopped()), (Some(9), Some(Stop::Cancel)));
}

fn suspend_and_resume(here: &Here) {
    for sandbox in both() {
        let count = here.scratch.join("count");
        fs::write(&count, "").unwrap();
        let script = format!(
            "for i in 1 2 3; do (while :; do echo >> {0}; sleep 0.002; done) & done; echo; wait",
            count.display()
        );
        let sandbox = sandbox.bind(&here.scratch, &here.scratch);
        let mut child = running(here, &sandbox, &script);
        let killer = child.killer();
        let size = || fs::metadata(&count).unwrap().len();
        for _ in 0..3 {
            let before = size();
            assert!(within(SETTLE, || size() > before), "it goes on");
            killer.suspend().unwrap();
            let still = size();
            std::thread::sleep(Duration::from_millis(50));
            assert_eq!(size(), still, "somebody goes on writing");
            assert_eq!(child.try_wait().unwrap(), None);
            killer.resume().unwrap();
        }
        let before = size();
        assert!(within(SETTLE, || size() > before), "it goes on");
        killer.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Not only children: theirs, too.
fn descendants_without_a_pid_namespace(here: &Here) {
    for _ in 0..(10 / share()).max(2) {
        let script = "(sh -c '(sleep 60; :) & sleep 60; :' & sleep 60; :) & sleep 0.2; echo; sleep 60; :";
        let mut command = here.shell(&host(), script);
        let holders = watch(&mut command);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        drop(command);
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child.killer().kill().unwrap();
        assert_eq!(child.wait().unwrap().ending(), Ending::Stopped(Stop::Cancel));
        drop(child);
        assert!(released(&holders, SETTLE), "a descendant lives on");
    }
}

/// The kernel makes it though its parent was stopped meanwhile.
fn a_child_that_is_being_made(here: &Here) {
    // (PR_SET_THP_DISABLE: so many page tables to copy that fork(2) takes a moment)
    let forks = "import ctypes, os, time
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
memory = bytearray(b'x') * (8 << 20)
os.write(1, b'x')
for _ in range(300):
    if os.fork() == 0: break
time.sleep(60)";
    let mut numbers = Numbers::new(5);
    for round in 0..(40 / share()).max(10) {
        let mut command = here.command(&host(), "python3");
        let holders = watch(command.args(["-c", forks]));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        drop(command);
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        numbers.pause(5_000);
        child.killer().kill().unwrap();
        let _ = child.wait();
        drop(child);
        assert!(released(&holders, SETTLE), "round {round}: a child lives on");
    }
}

fn dropped_to_be_killed(here: &Here) {
    let mut numbers = Numbers::new(4);
    for round in 0..(30 / share()).max(6) {
        let sandbox = &both()[round % 2];
        let mut command = here.shell(sandbox, "exec sleep 60");
        let holders = watch(&mut command);
        command.kill_on_drop(true);
        if round % 3 == 0 {
            command.grace(Duration::from_millis(100));
        }
        let child = command.spawn().unwrap();
        let killer = child.killer();
        drop(command);
        numbers.pause(8_000);
        drop(child);
        assert!(released(&holders, SETTLE));
        assert_eq!(killer.stopped(), Some(Stop::Drop));
    }
    // as in std, if nobody wants that
    let mut command = here.shell(&host(), "echo; sleep 0.3; echo end");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    drop(child);
    let mut said = String::new();
    stdout.read_to_string(&mut said).unwrap();
    assert_eq!(said, "\nend\n");
}

/// By signal 9, which is told from the kernel's where nothing else on the machine was short of memory meanwhile.
fn is_killed(ending: Ending) -> bool {
    let known = Ending::SignaledOrExited { signal: 9, code: 137 };
    [known, Ending::MaybeOutOfMemory { code: 137 }].contains(&ending)
}

/// What is ours is told from what is not.
fn who_is_named_for_the_end(here: &Here) {
    let sandbox = host().unshare(Namespaces::PID);
    let ending = |script: &str| Ending::of(&here.shell(&sandbox, script).status());
    assert_eq!(ending("exit 3"), Ending::Exited(3));
    assert_eq!(ending("kill -TERM $$"), Ending::SignaledOrExited { signal: 15, code: 143 });
    assert!(is_killed(ending("kill -9 $$")));
    assert_eq!(Ending::of(&here.command(&sandbox, "no-such-program").status()), Ending::NotRun);
    let broken = sandbox.clone().ro_bind("/nonexistent", "/mnt");
    assert_eq!(Ending::of(&here.command(&broken, "true").status()), Ending::NotRun);
    // somebody else kills bwrap, or process 1
    let kill = |pid: u32| {
        let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    };
    let mut child = running(here, &sandbox, "echo; exec sleep 60");
    kill(child.id());
    assert_eq!(Ending::of(&child.wait()), Ending::BwrapKilled { signal: 9 });
    let mut child = running(here, &sandbox, "echo; exec sleep 60");
    kill(child.sandbox_pid().unwrap());
    assert!(is_killed(Ending::of(&child.wait())));
    // the launch failed by itself, and is killed before anybody has looked
    let mut child = here.command(&broken, "true").spawn().unwrap();
    let zombie = || fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().contains(") Z ");
    assert!(within(SETTLE, zombie));
    child.killer().kill().unwrap();
    assert_eq!(Ending::of(&child.wait()), Ending::NotRun);
}
