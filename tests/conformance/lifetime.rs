//! What ends with whom.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio as ProcessStdio};
use std::time::{Duration, Instant};

use bwrap_launch::{Bwrap, Error, Feature, Namespaces, Problem, Sandbox, Setting, Stdio, Version};
use rustix::fs::FlockOperation;
use rustix::process::{Flock, FlockType, Pid, Signal, fcntl_getlk, kill_process};

use crate::cases;
use crate::common::{Case, Here, asleep, host, released, within};
use crate::support::{base, error};

pub(crate) const CASES: &[Case] = cases![
    the_sandbox_dies_with_its_launcher,
    the_command_dies_with_its_launcher,
    without_that_it_outlives_its_launcher,
    lock_files_want_a_pid_namespace,
    processes_left_behind_end_with_the_command,
    several_descriptors_are_kept,
    reports_end_while_the_child_is_held,
];

/// Outside, as the process that is to be killed: launches a sandbox that holds a lock, and says its process id.
pub(crate) fn launch(arguments: &[String]) {
    let [bwrap, how, lock] = arguments else { panic!("three arguments") };
    let sandbox = host().bind(Path::new(lock).parent().unwrap(), Path::new(lock).parent().unwrap());
    let sandbox = match how.as_str() {
        "command" => sandbox.die_with_parent(),
        "sandbox" => sandbox.die_with_parent().unshare(Namespaces::PID).lock_file(lock),
        _ => sandbox.unshare(Namespaces::PID).lock_file(lock),
    };
    // without a PID namespace it is the command itself that holds the lock
    let mut command = sandbox.command(if how == "command" { "flock" } else { "sleep" });
    if how == "command" {
        command.args(["--shared", "--no-fork", lock, "sleep"]);
    }
    let mut child = command.arg("60").bwrap(&Bwrap::at(bwrap).unwrap()).spawn().unwrap();
    child.wait_ready().unwrap();
    println!("{}", child.sandbox_pid().unwrap());
    let _ = child.wait();
}

/// The launcher, the process of its sandbox, and the file that is locked.
struct Launched {
    launcher: Child,
    sandbox: Pid,
    lock: File,
    how: &'static str,
}

fn launched(here: &Here, how: &'static str) -> Launched {
    let path = here.scratch.join("lock");
    let lock = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(["--helper", "launch"]).arg(here.bwrap.path()).arg(how).arg(&path);
    let mut launcher = process.stdout(ProcessStdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(launcher.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let sandbox = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
    let started = Launched { launcher, sandbox, lock, how };
    assert!(started.becomes(true, Duration::from_secs(10)), "the lock was never taken");
    asleep(started.sandbox.as_raw_nonzero().get().unsigned_abs());
    started
}

impl Launched {
    fn is_locked(&self) -> bool {
        // flock(1) waits for a lock that is tried; bwrap does not, and takes one of another kind, which can be asked for
        if self.how != "command" {
            let wanted = Flock::from(FlockType::WriteLock);
            return fcntl_getlk(&self.lock, &wanted).unwrap().is_some();
        }
        let lock = |operation| rustix::fs::flock(&self.lock, operation);
        if lock(FlockOperation::NonBlockingLockExclusive).is_err() {
            return true;
        }
        lock(FlockOperation::Unlock).unwrap();
        false
    }

    fn becomes(&self, locked: bool, patience: Duration) -> bool {
        within(patience, || self.is_locked() == locked)
    }

    fn kill_launcher(&mut self) {
        self.launcher.kill().unwrap();
        self.launcher.wait().unwrap();
    }
}

fn dies_with_its_launcher(here: &Here, how: &'static str) {
    let mut launched = launched(here, how);
    launched.kill_launcher();
    let released = launched.becomes(false, Duration::from_secs(10));
    if !released {
        let _ = kill_process(launched.sandbox, Signal::KILL);
    }
    assert!(released, "it goes on without its launcher");
}

fn the_sandbox_dies_with_its_launcher(here: &Here) {
    dies_with_its_launcher(here, "sandbox");
}

fn the_command_dies_with_its_launcher(here: &Here) {
    dies_with_its_launcher(here, "command");
}

fn without_that_it_outlives_its_launcher(here: &Here) {
    let mut launched = launched(here, "untied");
    launched.kill_launcher();
    let released = launched.becomes(false, Duration::from_millis(300));
    let killed = kill_process(launched.sandbox, Signal::KILL);
    assert!(!released);
    killed.unwrap();
    assert!(launched.becomes(false, Duration::from_secs(10)));
}

/// bwrap would report the failure to lock as the command's status, and leave the command running.
fn lock_files_want_a_pid_namespace(here: &Here) {
    let Error::Invalid(invalid) = error(here, &base().lock_file("/tmp/lock")) else { panic!("launched") };
    assert_eq!(invalid.problem, Problem::NeedsPidNamespace("lock_file"));
    let first = base().unshare(Namespaces::PID).as_pid_1().lock_file("/tmp/lock");
    let Error::Invalid(invalid) = error(here, &first) else { panic!("launched") };
    assert_eq!(invalid.problem, Problem::Conflict("as_pid_1", "lock_file"));
}

/// bwrap itself ends with the command and leaves them running.
fn processes_left_behind_end_with_the_command(here: &Here) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let sandbox = host().unshare(Namespaces::PID).sync_fd(writer);
    let start = Instant::now();
    let status = here.shell(&sandbox, "sleep 60 & exit 3").status().unwrap();
    assert_eq!(status.code(), Some(3));
    drop(sandbox);
    // end of file: nothing of it is left
    assert_eq!(std::io::Read::read(&mut reader, &mut [0]).unwrap(), 0);
    assert!(start.elapsed() < Duration::from_secs(30));
}

/// 0.13.1 and newer keep all of them; for others a second one is an error, or the last one of a line.
fn several_descriptors_are_kept(here: &Here) {
    let every = here.bwrap.version() >= Some(Version::new(0, 13, 1));
    let pipes = [(); 3].map(|()| std::io::pipe().unwrap());
    let sandbox = host().unshare(Namespaces::PID);
    let sandbox =
        pipes.iter().fold(sandbox, |sandbox, (_, writer)| sandbox.sync_fd(writer.try_clone().unwrap()));
    let mut readers = pipes.map(|(reader, _)| reader);
    assert_eq!(sandbox.get_sync_fds().len(), 3);
    if !every {
        let Error::MissingOption(missing) = error(here, &sandbox) else { panic!("launched") };
        assert_eq!((missing.option, missing.since), ("second --sync-fd", Some("0.13.1")));
    }
    let sandbox = sandbox.optional(Feature::SyncFds);
    let output = here.helper(&sandbox, "descriptors").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[0, 1, 2]\n", "the command has none of them");
    assert_eq!(output.dropped.is_empty(), every);
    let mut child = here.command(&sandbox, "cat").stdin(Stdio::piped()).spawn().unwrap();
    child.wait_ready().unwrap();
    drop(sandbox);
    let kept = |reader: &std::io::PipeReader| !released(reader, Duration::ZERO);
    assert_eq!(readers.iter().map(kept).collect::<Vec<_>>(), [every, every, true]);
    drop(child.stdin.take());
    child.wait().unwrap();
    for reader in &mut readers {
        assert_eq!(std::io::Read::read(reader, &mut [0]).unwrap(), 0);
    }
    // and a line of other programs'
    let line = Sandbox::from_args(["--sync-fd", "7", "--sync-fd", "8"]).unwrap();
    assert_eq!(line.descriptor_numbers(), [7, 8]);
    assert!(line.is_set(Setting::Optional));
}

/// Whoever reads to the end must not wait for ever because the `Child` is still at hand.
fn reports_end_while_the_child_is_held(here: &Here) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let with_sync = |writer| host().unshare(Namespaces::PID).sync_fd(writer);
    let with_info = |writer| host().unshare(Namespaces::PID).info_fd(writer);
    let which: [(&str, &dyn Fn(std::io::PipeWriter) -> bwrap_launch::Sandbox); 2] =
        [("sync_fd", &with_sync), ("info_fd", &with_info)];
    for (name, sandbox) in which {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut child = here.command(&sandbox(writer), "true").spawn().unwrap();
        assert!(child.wait().unwrap().success());
        let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
        let mut read = [0; 4096];
        let mut ended = false;
        while !ended {
            let ready = poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&patience)).unwrap();
            assert_eq!(ready, 1, "{name}: the end never comes, for somebody still has the other end open");
            ended = std::io::Read::read(&mut reader, &mut read).unwrap() == 0;
        }
        drop(child);
    }
}
