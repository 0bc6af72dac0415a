//! Commands that trace process 1, which without Yama takes no privilege: its end has to wait for theirs.

use std::io::{PipeReader, Read};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use bwrap_launch::{Child, Command, Ending, Namespaces, Stdio, Stop};

use crate::cases;
use crate::common::{Case, Here, SETTLE, host, released, skip, watch};

pub(crate) const CASES: &[Case] = cases![
    a_tracer_of_process_1_is_stopped_in_every_way,
    a_tracer_of_process_1_is_killed_while_another_thread_waits,
    a_tracer_of_process_1_in_the_background,
    a_fork_of_the_caller_neither_holds_nor_ends_a_sandbox,
];

/// Launches a tracer in a PID namespace, in the background if there is a word more. Returns what all of its processes hold.
fn tracer(here: &Here, words: &[&str]) -> (Child, PipeReader) {
    tracer_with(here, words, |_| {}).unwrap()
}

/// The same, if it gets so far before it is stopped.
fn tracer_with(here: &Here, words: &[&str], set: impl FnOnce(&mut Command)) -> Option<(Child, PipeReader)> {
    let program = here.compiled("traced", include_str!("traced.c"));
    let mut command = here.command(&host().unshare(Namespaces::PID).proc("/proc"), program.to_str().unwrap());
    command.args(["x"]).args(words).stdin(Stdio::null()).stdout(Stdio::piped());
    set(&mut command);
    let holders = watch(&mut command);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut said = [0];
    if child.stdout.as_mut().unwrap().read_exact(&mut said).is_err() {
        let _ = child.wait();
        return None;
    }
    if said != *b"y" {
        child.kill().unwrap();
        child.wait().unwrap();
        skip("tracing process 1 is denied here (kernel.yama.ptrace_scope, a filter)");
    }
    Some((child, holders))
}

fn a_tracer_of_process_1_is_stopped_in_every_way(here: &Here) {
    for way in ["kill", "terminate"] {
        let (mut child, holders) = tracer(here, &[]);
        match way {
            "kill" => child.kill().unwrap(),
            _ => child.killer().terminate(Duration::from_millis(50)).unwrap(),
        }
        assert_eq!(Ending::of(&child.wait()), Ending::Stopped(Stop::Cancel), "{way}");
        assert!(released(&holders, SETTLE), "{way}");
    }
    // its time begins with the launch
    let in_time = [200, 2_000, 20_000].into_iter().find_map(|limit| {
        tracer_with(here, &[], |command| {
            command.timeout(Duration::from_millis(limit));
        })
    });
    let (mut child, holders) = in_time.unwrap();
    assert_eq!(Ending::of(&child.wait()), Ending::Stopped(Stop::Timeout));
    assert!(released(&holders, SETTLE), "timeout");
    let dropped = tracer_with(here, &[], |command| {
        command.kill_on_drop(true);
    });
    let (child, holders) = dropped.unwrap();
    drop(child);
    assert!(released(&holders, SETTLE), "drop");
    // nobody waits for it
    let (child, holders) = tracer(here, &[]);
    child.killer().kill().unwrap();
    assert!(released(&holders, SETTLE), "killed and not waited for");
}

fn a_tracer_of_process_1_is_killed_while_another_thread_waits(here: &Here) {
    let (mut child, holders) = tracer(here, &[]);
    let killer = child.killer();
    let waiting = std::thread::spawn(move || Ending::of(&child.wait()));
    std::thread::sleep(Duration::from_millis(100));
    killer.kill().unwrap();
    assert_eq!(waiting.join().unwrap(), Ending::Stopped(Stop::Cancel));
    assert!(released(&holders, SETTLE));
}

fn a_tracer_of_process_1_in_the_background(here: &Here) {
    let (mut child, holders) = tracer(here, &["background"]);
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(released(&holders, SETTLE), "nothing of a PID namespace is left after that");
}

/// A helper: prepares a sandbox, forks a worker that lives on without an exec and one that drops what it has copies of, and starts the
/// sandbox.
pub(crate) fn forker(arguments: &[String]) {
    let bwrap = bwrap_launch::Bwrap::at(&arguments[0]).unwrap();
    let prepared = host().command("true").bwrap(&bwrap).prepare().unwrap();
    let mut other = host().command("sleep");
    let mut other = other.arg("60").kill_on_drop(true).bwrap(&bwrap).spawn().unwrap();
    let (alive, end) = std::io::pipe().unwrap();
    let mut end_of = [0_u8];
    #[allow(unsafe_code, reason = "a caller that forks")]
    // SAFETY: one thread, and the child calls nothing but functions that are safe after a fork.
    unsafe {
        if libc::fork() == 0 {
            libc::alarm(20);
            libc::close(end.as_raw_fd());
            libc::read(alive.as_raw_fd(), end_of.as_mut_ptr().cast(), 1);
            libc::_exit(0);
        }
    }
    #[allow(unsafe_code, reason = "a caller that forks")]
    // SAFETY: one thread.
    unsafe {
        match libc::fork() {
            0 => {
                drop((prepared, other));
                libc::_exit(0);
            }
            dropping => assert_eq!(libc::waitpid(dropping, std::ptr::null_mut(), 0), dropping),
        }
    }
    assert!(other.try_wait().unwrap().is_none(), "it runs on");
    other.kill().unwrap();
    let _ = other.wait();
    let begin = Instant::now();
    let status = prepared.start().unwrap().wait().unwrap();
    println!("{status}, {}", begin.elapsed() < Duration::from_secs(10));
}

fn a_fork_of_the_caller_neither_holds_nor_ends_a_sandbox(here: &Here) {
    let mut caller = std::process::Command::new(std::env::current_exe().unwrap());
    caller.args(["--helper", "forker"]).arg(here.bwrap.path());
    let mut caller = caller.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stdout = std::io::BufReader::new(caller.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut said).unwrap();
    assert_eq!(said, "exit status: 0, true\n");
    caller.wait().unwrap();
}
