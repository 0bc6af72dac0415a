//! System calls of a launch that fail once each, by strace(1), with each plausible error: the launch ends soon, with an outcome
//! that agrees with what the command did, and leaves nothing.

use std::fs;
use std::io::Read as _;
use std::process::{Command as Process, Output};
use std::time::{Duration, Instant};

use bwrap_launch::{Bwrap, Child, Error, ExitStatus, Namespaces, Sandbox, Stdio};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::common::{Here, host, skip};
use crate::seeded::{Numbers, factor};
use crate::support::{Kind, Mark, eventually};

/// The calls of a launch, and how each may fail.
const CALLS: &[(&str, &[&str])] = &[
    ("memfd_create", &["EMFILE", "ENFILE", "ENOMEM"]),
    ("socketpair", &["EMFILE", "ENFILE", "ENOBUFS"]),
    ("pidfd_open", &["EMFILE", "ENOMEM", "ENOSYS"]),
    ("pidfd_open,eventfd2", &["EMFILE", "ENOMEM"]),
    ("clone3", &["EAGAIN", "ENOMEM", "ENOSYS"]),
    ("clone", &["EAGAIN", "ENOMEM"]),
    ("eventfd2", &["EMFILE", "ENOMEM"]),
    ("pipe2", &["EMFILE", "ENFILE"]),
    ("poll", &["EINTR", "ENOMEM", "EINVAL"]),
    ("ppoll", &["EINTR", "ENOMEM"]),
    ("waitid", &["EINTR", "ECHILD", "EINVAL"]),
    ("recvfrom", &["EINTR", "ENOMEM", "EPERM"]),
    ("sendto", &["EINTR", "ENOBUFS"]),
    ("pread64", &["EINTR", "EIO"]),
    ("pwrite64", &["EINTR", "ENOSPC", "EIO"]),
    ("fcntl", &["EMFILE", "EPERM"]),
    ("pidfd_send_signal", &["EPERM", "ENOSYS", "EINVAL"]),
    ("fstat", &["EIO"]),
    ("openat", &["EMFILE", "ENFILE", "EACCES"]),
    ("getdents64", &["ENOMEM"]),
    ("prctl", &["EPERM"]),
    ("capget", &["EPERM"]),
    ("mmap", &["ENOMEM"]),
    ("prlimit64", &["EPERM"]),
    ("read", &["EINTR", "EIO"]),
    ("statx", &["EIO"]),
];

/// What has gone wrong before, and is tried in every run.
const ALWAYS: &[(&str, &str, &str, u64)] = &[
    ("kill running", "pidfd_send_signal", "EPERM", 1),
    ("kill running", "pidfd_send_signal", "ENOSYS", 1),
    ("prepare", "recvfrom", "EPERM", 1),
    ("prepare", "recvfrom", "ENOMEM", 2),
    ("output", "pread64", "EIO", 1),
    // said of a child that is there: bwrap while it is asked what it can do, and in its launch
    ("status", "waitid", "ECHILD", 1),
    ("prepare", "waitid", "ECHILD", 6),
    // no handle on a bwrap that was just spawned: in each sandbox, what it has made by then ends with it
    ("kill running", "pidfd_open,eventfd2", "EMFILE", 1),
    ("kill running", "pidfd_open,eventfd2", "EMFILE", 1),
    ("kill running", "pidfd_open,eventfd2", "EMFILE", 1),
];

const MODES: [&str; 5] = ["output", "status", "prepare", "kill", "kill running"];

fn shapes() -> [Sandbox; 3] {
    [host(), host().unshare_all(), host().unshare(Namespaces::PID).die_with_parent()]
}

/// A helper: one launch, on the thread that strace looks at.
pub(crate) fn launch(arguments: &[String]) {
    let [bwrap, mode, shape, scratch, script] = arguments else { panic!("BWRAP MODE SHAPE SCRATCH SCRIPT") };
    println!("BEGAN");
    let outcome = Bwrap::at(bwrap).map_err(bwrap_launch::Error::from).and_then(|bwrap| {
        let sandbox = shapes()[shape.parse::<usize>().unwrap()].clone().bind(scratch, scratch);
        let mut command = sandbox.command("sh");
        command.args(["-c", script]).bwrap(&bwrap);
        match mode.as_str() {
            "output" => command.output().map(|output| output.status),
            "status" => command.stderr(Stdio::null()).status(),
            "prepare" => command.prepare()?.start()?.wait(),
            "kill" => killed(command.spawn()?),
            "kill running" => {
                let mut child = command.stdout(Stdio::piped()).spawn()?;
                let _ = child.stdout.take().map(|mut stdout| stdout.read(&mut [0]));
                killed(child)
            }
            other => panic!("{other}"),
        }
    });
    // what was dropped is reaped by a thread
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let none = eventually(|| waitid(Id::All, flags).is_err());
    println!("VERDICT {:?} left={}", Kind::of(&outcome), !none);
}

/// What was not killed runs on, as the error says; the next attempt ends it.
fn killed(mut child: Child) -> Result<ExitStatus, Error> {
    if let Err(error) = child.kill() {
        child.kill()?;
        let _ = child.wait();
        return Err(error);
    }
    child.wait()
}

/// What is still running of a launch: everything that names its mark.
fn running(mark: &str) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if words.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            found.push(Pid::from_raw(pid));
        }
    }
    found
}

/// Runs a launch in which a call fails once. What is wrong with the outcome, and whether the call was met at all.
fn injected(
    here: &Here,
    mode: &str,
    shape: usize,
    call: &str,
    error: &str,
    when: u64,
) -> (Option<String>, bool) {
    let name = format!("{}-{shape}-{call}-{error}-{when}.", mode.replace(' ', "-"));
    let mark = Mark::new(here, &name);
    mark.clear();
    // one process: without a PID namespace a kill ends only that
    let between = if mode.starts_with("kill") { "echo up; exec sleep 60" } else { "exit 3" };
    let log = here.scratch.join(format!("{name}log"));
    let began = Instant::now();
    let output = Process::new("timeout")
        .args(["--signal=KILL", "60", "strace", "-o"])
        .arg(&log)
        .args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:error={error}:when={when}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--helper", "launch"])
        .arg(here.bwrap.path())
        .args([mode, &shape.to_string()])
        .arg(&here.scratch)
        .arg(mark.script(between))
        .output()
        .unwrap();
    let took = began.elapsed();
    let text = fs::read_to_string(&log).unwrap_or_default();
    let left = !eventually(|| running(&name).is_empty());
    for pid in running(&name) {
        let _ = kill(pid, Signal::SIGKILL);
    }
    let met = text.contains("INJECTED");
    (if met { wrong(mode, &output, &mark, left, took) } else { None }, met)
}

fn wrong(mode: &str, output: &Output, mark: &Mark, left: bool, took: Duration) -> Option<String> {
    let said = String::from_utf8_lossy(&output.stdout);
    // the loader, or the test program itself
    if !said.contains("BEGAN") {
        return None;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let verdict = said.lines().find_map(|line| line.strip_prefix("VERDICT "));
    let Some(verdict) = verdict else { return Some(format!("no verdict after {took:?}: {errors}")) };
    let denies = ["Refused", "SetupFailed", "NotExecuted"].iter().any(|kind| verdict.starts_with(kind));
    if denies && mark.began() {
        return Some(format!("{verdict}, and it ran"));
    }
    if verdict.starts_with("Ran(") && !mode.starts_with("kill") && !verdict.starts_with("Ran(3)") {
        return Some(format!("{verdict}, and it was 3"));
    }
    if verdict.contains("left=true") || left {
        return Some(format!("{verdict}, and something is left"));
    }
    (errors.contains("panicked") || took > Duration::from_secs(30))
        .then(|| format!("{verdict} after {took:?}: {errors}"))
}

pub(crate) fn single_system_calls_fail(here: &Here) {
    if Process::new("strace").arg("-V").output().is_err() {
        skip("no strace");
    }
    let mut numbers = Numbers::seeded(u64::from(here.root) + 11);
    let mut wrong = Vec::new();
    let (mut met, mut tried) = (0, 0);
    let mut attempt = |mode: &str, shape: usize, call: &str, error: &str, when: u64| {
        let (fault, hit) = injected(here, mode, shape, call, error, when);
        tried += 1;
        met += usize::from(hit);
        if let Some(fault) = fault {
            wrong.push(format!(
                "{mode}, sandbox {shape}: {call} fails with {error} the {when}. time: {fault}"
            ));
        }
    };
    for (index, (mode, call, error, when)) in ALWAYS.iter().enumerate() {
        attempt(mode, index % 3, call, error, *when);
    }
    for _ in 0..60 * factor() {
        let (call, errors) = CALLS[numbers.index(CALLS.len())];
        let mode = MODES[numbers.index(MODES.len())];
        let (error, shape) = (errors[numbers.index(errors.len())], numbers.index(3));
        attempt(mode, shape, call, error, 1 + numbers.below(6));
    }
    println!("{met} of {tried} calls failed");
    if met == 0 {
        skip("strace may not trace here");
    }
    assert!(met > 20, "only {met} of {tried} calls were met");
    assert!(wrong.is_empty(), "{} of {met}:\n{}", wrong.len(), wrong.join("\n"));
}
