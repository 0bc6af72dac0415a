//! Lives: what a sandbox's processes end with, and what is known of them.

use std::io::Read;
use std::time::Duration;

use bwrap_launch::{Bwrap, Error, Lint, Namespaces, Place, Problem, Sandbox, Stdio, Undecided};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cases;
use crate::common::{Case, Here, asleep, host, skip};
use crate::support::{SETTLE, lints, outside, prints, refused, released, watch};

pub(crate) const CASES: &[Case] = cases![
    status_1_has_one_meaning,
    statuses_are_the_commands_own,
    a_reported_child_is_no_success,
    reported_namespaces_are_the_new_ones,
    background_processes_end_with_their_namespace,
    a_killed_bwrap_leaves_nothing,
    process_1_is_ended_by_kill_only,
    a_command_in_another_namespace_is_killed,
    the_launching_thread_may_end,
    a_sandbox_has_what_its_thread_has,
    the_sandbox_ends_with_the_process,
    outliving_the_caller_is_linted,
    a_tie_without_a_pid_namespace_is_linted,
    process_1_has_rules,
    lock_files_have_rules,
    a_lock_is_held,
    the_sync_descriptor_tells_the_end,
];

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap())
}

/// Trap 4: bwrap ends with 1 for all its failures; here each is told from a command that ends so.
fn status_1_has_one_meaning(here: &Here) {
    let forged = "echo 'bwrap: execvp true: No such file or directory' >&2; exit 1";
    for namespaces in [Namespaces::empty(), Namespaces::PID] {
        let base = || host().unshare(namespaces);
        assert_eq!(here.shell(&base(), forged).output().unwrap().status.code(), Some(1));
        let setup = here.command(&base().ro_bind("/nonexistent", "/mnt"), "true").output();
        assert!(matches!(setup, Err(Error::SetupFailed(_))), "{setup:?}");
        let exec = here.command(&base(), "no-such-program").output();
        assert!(matches!(exec, Err(Error::NotExecuted(_))), "{exec:?}");
        let directory = here.command(&base().current_dir("/nonexistent"), "true").output();
        assert!(matches!(directory, Err(Error::NotExecuted(_))), "{directory:?}");
        let joined = base().join_user_after_setup(std::fs::File::open("/proc/self/ns/user").unwrap());
        let refused = here.command(&joined, "true").output();
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    }
    // with a prefix before its words, bwrap is understood too
    if here.bwrap.accepts("--level-prefix") {
        let error = here
            .command(&host().level_prefix().ro_bind("/nonexistent", "/mnt"), "true")
            .output()
            .unwrap_err();
        let failure = error.failure().unwrap();
        assert_eq!(failure.message().unwrap().path(), Some("/nonexistent".as_ref()), "{failure:?}");
    }
}

/// Section 2: 128 + n is a signal or a status, and both are told; 255 and others are statuses.
fn statuses_are_the_commands_own(here: &Here) {
    for (script, code, signal) in [
        ("exit 255", Some(255), None),
        ("exit 127", Some(127), None),
        ("exit 126", Some(126), None),
        ("kill -KILL $$", None, Some(9)),
        ("kill -TERM $$", None, Some(15)),
    ] {
        for sandbox in [host(), host().unshare(Namespaces::PID)] {
            let status = here.shell(&sandbox, script).output().unwrap().status;
            assert_eq!((status.code(), status.signal()), (code, signal), "{script}");
        }
    }
}

/// Trap 20: bwrap reports a child before it has mounted anything; that is no success.
fn a_reported_child_is_no_success(here: &Here) {
    let sandbox = host().unshare(Namespaces::PID).ro_bind("/nonexistent", "/mnt");
    let mut child = here.command(&sandbox, "true").stderr(Stdio::piped()).spawn().unwrap();
    let error = child.wait_ready().unwrap_err();
    assert!(child.sandbox_pid().is_some() && child.namespaces().is_some(), "both were reported");
    assert!(matches!(error, Error::SetupFailed(_)), "{error:?}");
    assert!(child.wait().is_err());
}

/// Section 3: namespaces are reported where they are new; a user namespace never is.
fn reported_namespaces_are_the_new_ones(here: &Here) {
    let ids = |sandbox: Sandbox| {
        let mut child = here.command(&sandbox, "true").spawn().unwrap();
        child.wait_ready().unwrap();
        let ids = child.namespaces().unwrap();
        child.wait().unwrap();
        ids
    };
    let none = ids(host());
    assert!(none.mnt.is_some() && none.pid.is_none() && none.net.is_none() && none.uts.is_none(), "{none:?}");
    let all = ids(host().unshare_all().share_net());
    assert!(all.pid.is_some() && all.ipc.is_some() && all.uts.is_some() && all.net.is_none(), "{all:?}");
}

/// Trap 2: bwrap returns before background processes end; with a PID namespace they end with the command.
fn background_processes_end_with_their_namespace(here: &Here) {
    let mark = here.scratch.join("mark");
    let script = format!("(sleep 30; : > {}) & exit 5", mark.display());
    for sandbox in [
        host().unshare(Namespaces::PID),
        host().unshare_all().die_with_parent(),
        host().unshare(Namespaces::PID).as_pid_1(),
    ] {
        let sandbox = sandbox.bind(&here.scratch, &here.scratch);
        let mut command = here.shell(&sandbox, &script);
        let holders = watch(&mut command);
        assert_eq!(command.status().unwrap().code(), Some(5));
        drop(command);
        assert!(released(&holders, SETTLE), "{sandbox}");
        assert!(!mark.exists(), "{sandbox}: it came to its end");
    }
}

/// Trap 2: bwrap forwards no signal: what kills it leaves the command behind. Here nothing is left, and the caller
/// is told that nobody knows how the command ended.
fn a_killed_bwrap_leaves_nothing(here: &Here) {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
        for sandbox in [host(), host().unshare(Namespaces::PID), host().unshare(Namespaces::PID).as_pid_1()] {
            let mut command = here.shell(&sandbox, "trap '' TERM INT; echo ready; sleep 60; exit 3");
            let holders = watch(&mut command);
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            drop(command);
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
            kill(pid(child.id()), signal).unwrap();
            let error = child.wait().unwrap_err();
            let Error::Undecided(failure) = &error else { panic!("{error:?}") };
            let expected = Undecided::BwrapKilled { signal: signal as i32 };
            assert_eq!(failure.undecided(), Some(expected), "{failure:?}");
            assert!(released(&holders, SETTLE), "{signal}: {sandbox}");
        }
    }
}

/// Section 2: process 1 of a namespace ignores SIGTERM; SIGKILL ends the whole namespace, and `kill` sends that.
fn process_1_is_ended_by_kill_only(here: &Here) {
    let mut command = here.shell(&host().unshare(Namespaces::PID), "echo ready; sleep 60 & sleep 60");
    let holders = watch(&mut command);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(command);
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let sandbox = child.sandbox_pid().unwrap();
    kill(pid(sandbox), Signal::SIGTERM).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(released(&holders, SETTLE));
}

/// A command that goes to a mount namespace of its own is killed nevertheless.
fn a_command_in_another_namespace_is_killed(here: &Here) {
    let mut command = here.shell(&host(), "exec unshare -Um sh -c 'echo ready; exec sleep 10'");
    let holders = watch(&mut command);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(command);
    let mut said = String::new();
    child.stdout.as_mut().unwrap().take(6).read_to_string(&mut said).unwrap();
    if said.is_empty() {
        skip("no user namespace can be made inside");
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(released(&holders, SETTLE));
}

/// Trap 1: the tie to the parent is one to the thread that launched; here the thread does not matter.
fn the_launching_thread_may_end(here: &Here) {
    let sandbox = host().unshare_all().die_with_parent();
    let mut command = here.shell(&sandbox, "sleep 0.3; exit 6");
    let mut child = std::thread::spawn(move || command.spawn().unwrap()).join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(6));
}

/// Gives the calling thread something of its own.
type Change = fn();

const CHANGES: [(&str, Change); 5] = [
    ("nothing", || {}),
    ("niceness", || rustix::process::setpriority_process(None, 7).unwrap()),
    ("directory", || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).unwrap();
        std::env::set_current_dir("/usr").unwrap();
    }),
    ("processors", || {
        let all = rustix::thread::sched_getaffinity(None).unwrap();
        let mut one = rustix::thread::CpuSet::new();
        one.set((0..rustix::thread::CpuSet::MAX_CPU).find(|number| all.is_set(*number)).unwrap());
        rustix::thread::sched_setaffinity(None, &one).unwrap();
    }),
    ("filter", || {
        let allow = seccompiler::sock_filter { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 };
        seccompiler::apply_filter(&[allow]).unwrap();
    }),
];

/// Trap 1: another thread launches, but the sandbox gets what the calling one has.
fn a_sandbox_has_what_its_thread_has(here: &Here) {
    // what comes with a filter must not be what tells
    rustix::thread::set_no_new_privs(true).unwrap();
    let sees = |sandbox: &Sandbox| {
        let script =
            "pwd; cut -d' ' -f19 /proc/self/stat; grep -e ^Seccomp: -e ^Cpus_allowed: /proc/self/status";
        here.prints(sandbox, script)
    };
    let tied = || host().die_with_parent();
    // the thread that launches is there before
    let mut other = here.command(&tied(), "sleep").arg("60").spawn().unwrap();
    let told: Vec<String> = CHANGES
        .iter()
        .map(|(what, change)| {
            let thread = || {
                change();
                let text = sees(&tied());
                assert_eq!(text, sees(&host()), "a thread with another {what}");
                text
            };
            std::thread::scope(|scope| scope.spawn(thread).join().unwrap())
        })
        .collect();
    assert!(told[0] != told[1] && told[0] != told[2], "the changes are to be seen: {told:?}");
    // a directory that changes for all threads changes for that one as well
    std::env::set_current_dir("/usr/bin").unwrap();
    assert_eq!(sees(&tied()), sees(&host()));
    other.kill().unwrap();
    assert_eq!(other.wait().unwrap().signal(), Some(9));
}

/// Trap 1: the caller's end is the sandbox's, at whatever moment it comes once the sandbox runs.
fn the_sandbox_ends_with_the_process(here: &Here) {
    for delay in [0, 100] {
        let mut caller = outside(here, "leaving").stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut stdout = caller.stdout.take().unwrap();
        stdout.read_exact(&mut [0; 8]).unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        caller.kill().unwrap();
        caller.wait().unwrap();
        let reader = std::io::PipeReader::from(std::os::fd::OwnedFd::from(stdout));
        assert!(released(&reader, SETTLE), "a sandbox outlives its caller, killed after {delay} ms");
    }
}

/// A helper: launches what would live for a while.
pub(crate) fn leaving(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let sandbox = host().unshare_all().die_with_parent();
    let mut command = sandbox.command("sleep");
    command.arg("60").bwrap(&bwrap);
    let mut child = command.spawn().unwrap();
    child.wait_ready().unwrap();
    // sooner, bwrap has moments in which nobody tells it (see Sandbox::die_with_parent)
    asleep(child.sandbox_pid().unwrap());
    println!("running");
    std::thread::sleep(Duration::from_secs(60));
    drop(child);
}

/// Trap 1: without the tie the sandbox goes on; that is linted.
fn outliving_the_caller_is_linted(_: &Here) {
    assert!(lints(&host().unshare_all()).contains(&Lint::OutlivesCaller));
    assert!(!lints(&host().unshare_all().die_with_parent()).contains(&Lint::OutlivesCaller));
}

/// Trap 1: without a PID namespace the tie ends the command but not its children; that is linted as well.
fn a_tie_without_a_pid_namespace_is_linted(_: &Here) {
    let with = Sandbox::new().unshare(Namespaces::PID).die_with_parent();
    let without = Sandbox::new().die_with_parent();
    assert_eq!(lints(&with), []);
    assert_ne!(lints(&without), [], "grandchildren outlive the caller");
}

/// `--as-pid-1` wants a PID namespace, and no reaper to hold locks.
fn process_1_has_rules(here: &Here) {
    let needs = || Problem::NeedsPidNamespace("as_pid_1");
    refused(here, &host().as_pid_1(), Place::Lifetime, needs());
    refused(here, &host().as_pid_1().unshare(Namespaces::NET), Place::Lifetime, needs());
    let locking = host().unshare(Namespaces::PID).as_pid_1().lock_file("/tmp/x");
    refused(here, &locking, Place::Lifetime, Problem::Conflict("as_pid_1", "lock_file"));
    prints(here, &host().unshare(Namespaces::PID), "echo $$", &["2"]);
    prints(here, &host().unshare(Namespaces::PID).as_pid_1(), "echo $$", &["1"]);
    prints(here, &host().unshare_all().as_pid_1(), "echo $$", &["1"]);
}

/// Trap 15: without a PID namespace a lock that fails looks like a command that ended with 1, and it runs on.
fn lock_files_have_rules(here: &Here) {
    let lock = here.scratch.join("lock");
    std::fs::write(&lock, "").unwrap();
    let base = || host().bind(&here.scratch, &here.scratch);
    let needs = Problem::NeedsPidNamespace("lock_file");
    refused(here, &base().lock_file(&lock), Place::Lifetime, needs);
    let sandbox = base().unshare(Namespaces::PID).lock_file(&lock);
    prints(here, &sandbox, "echo ran", &["ran"]);
    // where it cannot be locked, which bwrap finds out while it executes the command, nobody claims that this ended
    let broken = base().unshare(Namespaces::PID).lock_file(here.scratch.join("missing"));
    for run in 0..10 {
        let mark = here.scratch.join(format!("mark{run}"));
        let mut command = here.shell(&broken, &format!(": > {}; sleep 60", mark.display()));
        let holders = watch(&mut command);
        let error = command.output().unwrap_err();
        drop(command);
        match &error {
            Error::Undecided(failure) => {
                assert_eq!(failure.undecided(), Some(Undecided::LockFileMayHaveFailed), "{failure:?}");
            }
            _ => assert!(matches!(error, Error::NotExecuted(_)) && !mark.exists(), "{error:?}"),
        }
        assert!(released(&holders, SETTLE), "the command runs on");
    }
    // a status that bwrap never ends with is the command's
    assert_eq!(here.shell(&sandbox, "exit 7").status().unwrap().code(), Some(7));
}

/// Section 3: the lock is really held while the sandbox lives.
fn a_lock_is_held(here: &Here) {
    let lock = here.scratch.join("lock");
    std::fs::write(&lock, "").unwrap();
    let sandbox = host().bind(&here.scratch, &here.scratch).unshare(Namespaces::PID).lock_file(&lock);
    let mut child = here.command(&sandbox, "cat").stdin(Stdio::piped()).spawn().unwrap();
    child.wait_ready().unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&lock).unwrap();
    // asking takes nothing: bwrap itself does not wait for a lock that is held for a moment
    let held = || {
        let wanted = rustix::process::Flock::from(rustix::process::FlockType::WriteLock);
        rustix::process::fcntl_getlk(&file, &wanted).unwrap().is_some()
    };
    let becomes = |wanted: bool| {
        let deadline = std::time::Instant::now() + SETTLE;
        while held() != wanted && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        held() == wanted
    };
    // it is taken a moment after the command began, by bwrap's process 1, which ends a moment after the command
    assert!(becomes(true), "nobody holds the lock: {:?}", child.try_wait());
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(becomes(false), "the lock outlives the sandbox");
}

/// Section 3: with a PID namespace, the kept descriptor's other end sees the end of everything.
fn the_sync_descriptor_tells_the_end(here: &Here) {
    let (reader, writer) = std::io::pipe().unwrap();
    let sandbox = host().unshare(Namespaces::PID).sync_fd(writer);
    let mut command = here.command(&sandbox, "cat");
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    drop((command, sandbox));
    child.wait_ready().unwrap();
    assert!(!released(&reader, Duration::from_millis(100)), "it is kept while the command runs");
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(released(&reader, SETTLE));
}
