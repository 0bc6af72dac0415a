//! How long a call may take, and what is still there when it has returned.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use bwrap_launch::{Error, ExitStatus, Explain, IdRange, Namespaces, Stdio, Verdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cases;
use crate::common::{Case, Here, host};
use crate::support::{HANGS, Kind, share, stand_in, watch};

pub(crate) const CASES: &[Case] = cases![
    nothing_writes_on_after_the_end,
    a_bwrap_that_hangs_is_given_up_in_time,
    a_source_that_does_not_answer_is_given_up_in_time,
    waiting_with_a_limit_leaves_it_running,
    a_killed_command_that_bwrap_does_not_wait_for,
    a_stopped_bwrap_is_continued,
    a_stopped_parent_of_the_command_is_continued,
    a_verdict_needs_no_second_bwrap,
    asking_again_keeps_the_limit,
    the_handle_is_readable_at_the_end,
    id_maps_of_a_bwrap_that_hangs,
];

/// What a call may take beyond its limit: on a loaded machine a thread waits for its turn. With two seconds more it is less than the ten after
/// which a launch gives up by itself.
const SLACK: Duration = Duration::from_secs(7);

/// Six writers in the background, as a careless build leaves them.
const WRITERS: &str =
    "for i in 1 2 3 4 5 6; do (while :; do echo x >> f; done) & done; sleep .0$(( $$ % 5 ))";

/// Process 1 of a PID namespace takes all others with it, a moment after bwrap has ended.
fn nothing_writes_on_after_the_end(here: &Here) {
    let runs = (40 / share()).max(4);
    for run in 0..runs {
        let directory = here.scratch.join(format!("w{run}"));
        fs::create_dir(&directory).unwrap();
        let sandbox = host().bind(&directory, &directory).unshare(Namespaces::PID).current_dir(&directory);
        let mut command = here.shell(&sandbox, WRITERS);
        let holders = watch(&mut command);
        assert!(command.status().unwrap().success());
        drop(command);
        // nobody has it open any more: not soon, but now
        let mut byte = [0];
        rustix::io::ioctl_fionbio(&holders, true).unwrap();
        assert_eq!(rustix::io::read(&holders, &mut byte), Ok(0), "something is left in run {run}");
        fs::remove_dir_all(&directory).unwrap();
    }
    println!("counted: {runs} runs with six writers in the background, nothing left after any");
}

fn a_bwrap_that_hangs_is_given_up_in_time(here: &Here) {
    let hanging = stand_in(here, "hanging", HANGS);
    let limit = Duration::from_millis(500);
    let mut longest = Duration::ZERO;
    let mut returned = |start: Instant, what: &str, explain| {
        let took = start.elapsed();
        longest = longest.max(took);
        assert!(took < limit + SLACK, "{what}, {explain:?}: {took:?}");
    };
    for explain in [Explain::Nothing, Explain::Facts, Explain::AskAgain] {
        let mut command = here.command(&host(), "true");
        command.bwrap(&hanging).explain(explain);
        let start = Instant::now();
        assert!(command.prepare_timeout(limit).unwrap().is_none());
        returned(start, "prepare", explain);
        let start = Instant::now();
        assert!(command.output_timeout(limit).unwrap().is_none());
        returned(start, "output", explain);
        let start = Instant::now();
        assert!(command.status_timeout(limit).unwrap().is_none());
        returned(start, "status", explain);
        let mut child = command.spawn().unwrap();
        let start = Instant::now();
        assert!(!child.wait_ready_timeout(limit).unwrap());
        assert_eq!(child.wait_timeout(Duration::ZERO).unwrap(), None);
        assert_eq!(child.try_wait().unwrap(), None);
        returned(start, "wait_ready", explain);
        child.kill().unwrap();
        assert_eq!(Kind::of(&child.wait()), Kind::Stopped { began: false });
        // half a second for what it might report, and the time to end
        assert!(start.elapsed() < 2 * limit + SLACK, "{explain:?}: {:?}", start.elapsed());
    }
    println!("counted: given up after {longest:?} at most, with a limit of {limit:?}");
}

/// bwrap itself waits: for content from a pipe that nobody writes.
fn a_source_that_does_not_answer_is_given_up_in_time(here: &Here) {
    let (reader, writer) = std::io::pipe().unwrap();
    let sandbox = host().tmpfs("/mnt").file(reader, "/mnt/late");
    let start = Instant::now();
    let limit = Duration::from_millis(300);
    assert!(here.command(&sandbox, "true").prepare_timeout(limit).unwrap().is_none());
    assert!(start.elapsed() < limit + SLACK, "{:?}", start.elapsed());
    drop(writer);
}

fn waiting_with_a_limit_leaves_it_running(here: &Here) {
    for sandbox in [host(), host().unshare(Namespaces::PID)] {
        let mut child = here.shell(&sandbox, "read x; exit 3").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        assert_eq!(child.wait_timeout(Duration::from_millis(20)).unwrap(), None);
        assert!(child.wait_ready_timeout(Duration::from_secs(60)).unwrap());
        assert_eq!(child.wait_timeout(Duration::from_millis(20)).unwrap(), None);
        drop(stdin);
        assert_eq!(child.wait_timeout(Duration::from_secs(60)).unwrap().unwrap().code(), Some(3));
        assert_eq!(child.wait_timeout(Duration::ZERO).unwrap().unwrap().code(), Some(3), "it is known");
    }
}

/// In a PID namespace that was made before, bwrap's monitor is not the parent of what is killed.
fn a_killed_command_that_bwrap_does_not_wait_for(here: &Here) {
    let mut holder = here.command(&host().unshare(Namespaces::PID), "sleep").arg("60").spawn().unwrap();
    holder.wait_ready().unwrap();
    let namespace = File::open(format!("/proc/{}/ns/pid", holder.sandbox_pid().unwrap()));
    if let Ok(namespace) = namespace {
        for sandbox in [host(), host().unshare(Namespaces::PID)] {
            let sandbox = sandbox.join_pid(namespace.try_clone().unwrap());
            let mut child =
                here.shell(&sandbox, "echo; exec sleep 60").stdout(Stdio::piped()).spawn().unwrap();
            if child.stdout.as_mut().unwrap().read_exact(&mut [0]).is_err() {
                // not every user may join one
                assert!(child.wait().is_err());
                continue;
            }
            let start = Instant::now();
            child.kill().unwrap();
            let kind = Kind::of(&child.wait());
            assert!(!kind.denies(), "it ran: {kind:?}");
            assert!(start.elapsed() < Duration::from_secs(2) + SLACK, "{kind:?} after {:?}", start.elapsed());
        }
    }
    holder.kill().unwrap();
    let _ = holder.wait();
}

/// A command can stop a bwrap that it can see, and a debugger anyone.
/// The process that is between bwrap and the command for a descriptor's sake.
fn a_stopped_parent_of_the_command_is_continued(here: &Here) {
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut child = here.shell(&host().sync_fd(writer), "kill -STOP $PPID; exit 7").spawn().unwrap();
    let status = child.wait_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(status.and_then(ExitStatus::code), Some(7));
}

fn a_stopped_bwrap_is_continued(here: &Here) {
    for sandbox in [host(), host().unshare(Namespaces::PID)] {
        for killed in [false, true] {
            let mut command = here.shell(&sandbox, "echo; read x; exit 4");
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGSTOP).unwrap();
            let start = Instant::now();
            if killed {
                child.kill().unwrap();
            }
            let status = child.wait().unwrap();
            assert_eq!(status.raw(), if killed { 137 } else { 4 });
            assert!(start.elapsed() < Duration::from_secs(1) + SLACK, "{:?}", start.elapsed());
        }
    }
}

/// A bwrap that counts how often it is started: a verdict takes one, in every call.
fn a_verdict_needs_no_second_bwrap(here: &Here) {
    let sandbox = host().ro_bind("/nonexistent", "/mnt");
    let log = here.scratch.join("starts");
    let counting = stand_in(
        here,
        "counting",
        &format!("echo >> '{}'; exec '{}' \"$@\"", log.display(), here.bwrap.path().display()),
    );
    let starts = || fs::read_to_string(&log).unwrap_or_default().lines().count();
    let count = |explain: Option<Explain>, launch: &dyn Fn(&mut bwrap_launch::Command) -> Error| {
        fs::write(&log, "").unwrap();
        let mut command = here.command(&sandbox, "true");
        command.bwrap(&counting).stderr(Stdio::null());
        if let Some(explain) = explain {
            command.explain(explain);
        }
        let error = launch(&mut command);
        assert_eq!(error.failure().unwrap().verdict(), Verdict::SetupFailed);
        let _ = (error.diagnosis(), error.report(), error.to_string());
        starts()
    };
    assert_eq!(count(None, &|command| command.spawn().unwrap().wait().unwrap_err()), 1);
    assert_eq!(count(None, &|command| command.spawn().unwrap().wait_ready().unwrap_err()), 1);
    assert_eq!(count(None, &|command| command.prepare().unwrap_err()), 1);
    let tried = |command: &mut bwrap_launch::Command| {
        let mut child = command.spawn().unwrap();
        loop {
            match child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Ok(Some(status)) => panic!("{status}"),
                Err(error) => return error,
            }
        }
    };
    assert_eq!(count(None, &tried), 1);
    assert_eq!(count(Some(Explain::AskAgain), &tried), 1, "try_wait never asks");
    let status = |command: &mut bwrap_launch::Command| command.status().unwrap_err();
    assert_eq!(count(None, &status), 2);
    assert_eq!(count(Some(Explain::Facts), &status), 1);
    assert_eq!(count(Some(Explain::Nothing), &status), 1);
    assert_eq!(count(Some(Explain::AskAgain), &|c| c.spawn().unwrap().wait().unwrap_err()), 2);
}

/// A bwrap that fails once and then hangs: whoever asks again has no more time than the caller.
fn asking_again_keeps_the_limit(here: &Here) {
    let sandbox = host().ro_bind("/nonexistent", "/mnt");
    let first = here.scratch.join("first");
    let body =
        format!("if mkdir '{}' 2>/dev/null; then exec $real \"$@\"; fi; exec sleep 60", first.display());
    let moody = stand_in(here, "moody", &body);
    let mut command = here.command(&sandbox, "true");
    command.bwrap(&moody).stderr(Stdio::null());
    // as much as one launch takes on a slow machine, and less than is taken for asking where nobody has a limit
    let kept = [1, 2, 3].map(Duration::from_secs).into_iter().any(|limit| {
        let _ = fs::remove_dir(&first);
        let start = Instant::now();
        let Err(error) = command.status_timeout(limit) else { return false };
        assert_eq!(error.failure().unwrap().verdict(), Verdict::SetupFailed);
        first.exists() && start.elapsed() < Duration::from_millis(4500)
    });
    assert!(kept);
}

fn the_handle_is_readable_at_the_end(here: &Here) {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut child = here.shell(&host(), "read x").stdin(Stdio::piped()).spawn().unwrap();
    let readable = |child: &bwrap_launch::Child| {
        let none = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN)], Some(&none)).unwrap() == 1
    };
    child.wait_ready().unwrap();
    assert!(!readable(&child));
    drop(child.stdin.take());
    poll(&mut [PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN)], None).unwrap();
    assert!(child.try_wait().unwrap().is_some() && readable(&child));
}

/// The maps are waited for by a launch that nobody has given a deadline, too.
fn id_maps_of_a_bwrap_that_hangs(here: &Here) {
    let hanging = stand_in(here, "hanging-maps", HANGS);
    let own = |outside: u32| [IdRange::new(0, outside, 1)];
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let sandbox = host().unshare(Namespaces::USER).map_uids(own(uid)).map_gids(own(gid));
    let mut command = here.command(&sandbox, "true");
    command.bwrap(&hanging);
    let start = Instant::now();
    assert!(command.prepare_timeout(Duration::from_millis(300)).unwrap().is_none());
    assert!(start.elapsed() < Duration::from_millis(300) + SLACK, "{:?}", start.elapsed());
}
