//! Each call that bwrap makes on its way, denied by a real filter in each way that filters know: the verdict is right, the cause
//! names the filter and the call, and where bwrap starts the sandbox, so do we.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command as Process, Stdio as ProcessStdio};
use std::time::{Duration, Instant};

use bwrap_launch::{Bwrap, Error, Namespaces, Sandbox, Stdio};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use seccompiler::SeccompCmpOp::{self, Eq, MaskedEq};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCondition, SeccompFilter, SeccompRule,
};
use serde_json::{Value, json};

use crate::cases;
use crate::common::{Case, Here, SETTLE, released, watch};
use crate::seeded::{Numbers, factor};

pub(crate) const CASES: &[Case] = cases![every_call_denied_in_every_way];

/// What a filter answers.
const ANSWERS: [(&str, i32); 5] = [
    ("EPERM", libc::EPERM),
    ("EACCES", libc::EACCES),
    ("ENOSYS", libc::ENOSYS),
    ("EINVAL", libc::EINVAL),
    ("SIGSYS", KILL),
];

/// Stands for the number of an answer.
const KILL: i32 = 0;

/// A call, as a filter sees it.
struct Call {
    /// As the cause is to name it.
    name: &'static str,
    number: i64,
    /// Which of its uses: any of these arguments has such a value.
    only: &'static [(u8, SeccompCmpOp, u64)],
    /// Options that lead bwrap there.
    line: &'static [&'static str],
}

/// A row: the name, the number, which uses, options.
macro_rules! calls {
    ($($name:literal $number:ident $([$(($index:literal $op:expr, $value:expr)),+])? $($option:literal)*;)+) => {
        const CALLS: &[Call] = &[$(Call {
            name: $name,
            number: libc::$number,
            only: &[$($(($index, $op, $value)),+)?],
            line: &[$($option),*],
        }),+];
    };
}

#[rustfmt::skip]
calls! {
    "capget" SYS_capget;
    "prctl" SYS_prctl [(0 Eq, 38)]; // PR_SET_NO_NEW_PRIVS
    "prctl" SYS_prctl [(0 Eq, 4)]; // PR_SET_DUMPABLE
    "eventfd2" SYS_eventfd2;
    "rt_sigprocmask" SYS_rt_sigprocmask;
    "namespace" SYS_clone [(0 MaskedEq(NEW_USER), NEW_USER), (0 MaskedEq(NEW_PID), NEW_PID), (0 MaskedEq(NEW_NS), NEW_NS)];
    "signalfd4" SYS_signalfd4;
    "socket" SYS_socket [(0 Eq, 16)]; // AF_NETLINK
    "bind" SYS_bind;
    "mount" SYS_mount;
    "mount" SYS_mount [(3 MaskedEq(SLAVE), SLAVE)];
    "mount" SYS_mount [(3 Eq, 6)]; // the tmpfs that it is built on
    "mount" SYS_mount [(3 MaskedEq(BIND), BIND)];
    "mount" SYS_mount [(3 MaskedEq(REMOUNT), REMOUNT)];
    "mount" SYS_mount [(3 Eq, 14)]; // proc
    "mount" SYS_mount [(3 Eq, 10)]; // devpts
    "mount" SYS_mount [(3 MaskedEq(PRIVATE), PRIVATE)];
    "mount_setattr" SYS_mount_setattr;
    "openat2" SYS_openat2;
    "mkdir" SYS_mkdir;
    "mkdirat" SYS_mkdirat;
    "chdir" SYS_chdir;
    "fchdir" SYS_fchdir;
    "symlink" SYS_symlink;
    "symlinkat" SYS_symlinkat;
    "access" SYS_access;
    "faccessat2" SYS_faccessat2;
    "chmod" SYS_chmod "--chmod" "0700" "/tmp";
    "sethostname" SYS_sethostname "--hostname" "box";
    "pivot_root" SYS_pivot_root;
    "umount2" SYS_umount2;
    "unshare" SYS_unshare;
    "unshare" SYS_unshare "--unshare-user" "--uid" "1000";
    "capset" SYS_capset;
    "prctl" SYS_prctl [(0 Eq, 24)]; // PR_CAPBSET_DROP
    "prctl" SYS_prctl [(0 Eq, 47)]; // PR_CAP_AMBIENT
    "prctl" SYS_prctl [(0 Eq, 1)] "--die-with-parent";
    "setsid" SYS_setsid "--new-session";
    // not bwrap's, but the launcher's: old container engines deny calls that are new to them
    "clone3" SYS_clone3;
    "pidfd_open" SYS_pidfd_open;
    "close_range" SYS_close_range;
    "pidfd_send_signal" SYS_pidfd_send_signal;
    "waitid" SYS_waitid [(0 Eq, 3)]; // P_PIDFD
    "memfd_create" SYS_memfd_create;
    "fcntl" SYS_fcntl [(1 Eq, 1033)]; // F_ADD_SEALS
    "statx" SYS_statx;
    "prlimit64" SYS_prlimit64;
    "sched_getaffinity" SYS_sched_getaffinity;
    "rseq" SYS_rseq;
}

const NEW_USER: u64 = 0x1000_0000;
const NEW_PID: u64 = 0x2000_0000;
const NEW_NS: u64 = 0x2_0000;
const SLAVE: u64 = 0x8_0000;
const PRIVATE: u64 = 0x4_0000;
const BIND: u64 = 0x1000;
const REMOUNT: u64 = 0x20;

/// Those that the caller makes before bwrap is there: a filter that kills for them ends the caller.
const KILLS_THE_CALLER: &[&str] = &[
    "access",
    "bind",
    "clone3",
    "close_range",
    "eventfd2",
    "faccessat2",
    "fcntl",
    "memfd_create",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "prlimit64",
    "rseq",
    "rt_sigprocmask",
    "sched_getaffinity",
    "statx",
    "waitid",
];

/// What the launcher cannot do without, though bwrap can.
const NEEDED: &[&str] = &["clone3", "memfd_create", "fcntl"];

/// The launcher's own, which old container engines and emulated kernels lack, each in these ways.
const OURS: &[&str] = &[
    "clone3",
    "close_range",
    "fcntl",
    "memfd_create",
    "pidfd_open",
    "pidfd_send_signal",
    "prlimit64",
    "statx",
    "waitid",
];
const LACKING: [&str; 2] = ["EPERM", "ENOSYS"];

/// What bwrap's process outside needs, while the command may begin inside; and what the one inside does last, when the command may have
/// begun, for all that can be seen of one that was killed.
fn is_unseen(call: &Call, answer: i32) -> bool {
    let last = call.name == "setsid" || call.only.contains(&(0, Eq, 47));
    call.name == "signalfd4" || last && answer == KILL
}

fn install(call: &Call, answer: i32) {
    let condition = |(index, op, value): &(u8, SeccompCmpOp, u64)| {
        let condition = SeccompCondition::new(*index, SeccompCmpArgLen::Dword, op.clone(), *value).unwrap();
        SeccompRule::new(vec![condition]).unwrap()
    };
    let rules = BTreeMap::from([(call.number, call.only.iter().map(condition).collect())]);
    let answer = match answer {
        KILL => SeccompAction::KillProcess,
        number => SeccompAction::Errno(u32::try_from(number).unwrap()),
    };
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, answer, std::env::consts::ARCH.try_into().unwrap());
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

fn line(call: &Call, scratch: &str) -> Vec<String> {
    let words =
        ["--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
    let words = words.iter().chain(call.line).copied().chain(["--bind", scratch, scratch]);
    words.map(str::to_owned).collect()
}

/// Whether bwrap itself starts the sandbox.
fn starts(bwrap: &str, line: &[String], script: &str) -> bool {
    let mut process = Process::new(bwrap);
    // with a user it is forked, without clone3(2)
    process.uid(nix::unistd::getuid().as_raw());
    process.args(line).args(["sh", "-c", script]).process_group(0);
    process.stdin(ProcessStdio::null()).stdout(ProcessStdio::null()).stderr(ProcessStdio::null());
    let Ok(mut child) = process.spawn() else { return false };
    let deadline = Instant::now() + Duration::from_secs(5);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    // some leave a process behind that waits for ever
    let _ = killpg(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL);
    let _ = child.wait();
    status.is_some_and(|status| status.success())
}

fn verdict(error: &Error) -> &'static str {
    match error {
        Error::Refused(_) => "refused",
        Error::SetupFailed(_) => "setup failed",
        Error::NotExecuted(_) => "not executed",
        Error::Undecided(_) => "undecided",
        _ => "not launched",
    }
}

/// Kills sandboxes with a PID namespace and without: which it did not come to, or left something behind.
fn what_survives_a_kill(bwrap: &str, line: &[String]) -> Vec<String> {
    let complete = Sandbox::from_args(line).unwrap();
    let trials = [("with", complete.clone()), ("without", complete.share(Namespaces::PID))];
    let killed = |sandbox: Sandbox| -> Result<bool, Error> {
        let mut command = sandbox.command("sh");
        command.bwrap(&Bwrap::at(bwrap)?);
        command.args(["-c", "sleep 60 & echo; wait"]).stdout(Stdio::piped());
        let holders = watch(&mut command);
        let mut child = command.spawn()?;
        drop(command);
        // both are there
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        child.kill()?;
        let status = child.wait()?;
        Ok(status.signal() == Some(libc::SIGKILL) && released(&holders, SETTLE))
    };
    let tried = trials.into_iter().map(|(name, sandbox)| (name, killed(sandbox)));
    let wrong = tried.filter(|(_, killed)| !matches!(killed, Ok(true)));
    wrong.map(|(name, killed)| format!("{name} a PID namespace: {killed:?}")).collect()
}

/// A helper: one launch by bwrap itself, where it can be made so, and one by us.
pub(crate) fn denied(arguments: &[String]) {
    let [bwrap, scratch, call, answer, alone, rest @ ..] = arguments else {
        panic!("BWRAP SCRATCH CALL ANSWER ALONE")
    };
    let call = &CALLS[call.parse::<usize>().unwrap()];
    if rest.is_empty() {
        install(call, answer.parse().unwrap());
        if call.name == "rseq" {
            // the C library that has had it for its first thread aborts when it is denied to another one
            let mut again = Process::new(std::env::current_exe().unwrap());
            panic!("{}", again.args(["--helper", "denied"]).args(arguments).arg("installed").exec());
        }
    }
    let line = line(call, scratch);
    let script = format!(": >{scratch}/ran");
    if alone == "alone" {
        println!("{}", json!({ "starts": starts(bwrap, &line, &script) }));
        return;
    }
    let mut command = Sandbox::from_args(&line).unwrap().command("sh");
    command.args(["-c", &script]);
    let holders = watch(&mut command);
    let outcome = Bwrap::at(bwrap)
        .map_err(|error| Error::from(error).explain_here())
        .and_then(|bwrap| command.bwrap(&bwrap).output().map(|output| output.status));
    drop(command);
    let left = !released(&holders, SETTLE);
    let stays = if outcome.is_ok() { what_survives_a_kill(bwrap, &line) } else { Vec::new() };
    let error = outcome.as_ref().err();
    let cause = error.and_then(Error::diagnosis).and_then(|diagnosis| diagnosis.causes.first());
    println!(
        "{}",
        json!({
            "left": left,
            "survives": stays,
            "status": outcome.as_ref().ok().map(|status| status.raw()),
            "verdict": error.map(verdict),
            "error": error.map(ToString::to_string),
            "code": cause.map(|cause| cause.cause.code()),
            "confidence": cause.map(|cause| cause.confidence.to_string()),
            "says": cause.map(|cause| {
                let evidence = cause.evidence.iter().map(|evidence| evidence.text.as_str());
                let all = [cause.summary.as_str()].into_iter().chain(evidence);
                all.chain(cause.refuted_by.iter().map(String::as_str)).collect::<Vec<_>>().join("; ")
            }),
        })
    );
}

/// What a helper says; `None` if it was killed.
fn asked(here: &Here, index: usize, answer: i32, alone: &str) -> Option<Value> {
    let mut process = Process::new("timeout");
    process.args(["--signal=KILL", "30"]).arg(std::env::current_exe().unwrap()).args(["--helper", "denied"]);
    process.arg(here.bwrap.path()).arg(&here.scratch);
    let output = process.args([index.to_string(), answer.to_string(), alone.to_owned()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(|line| serde_json::from_str(line).ok())
}

/// What came of a cell of the grid, and what is wrong with it.
fn cell(here: &Here, index: usize, answer: i32) -> Result<&'static str, String> {
    let call = &CALLS[index];
    let mark = here.scratch.join("ran");
    let ran = |mark: &Path| std::fs::remove_file(mark).is_ok();
    let alone = asked(here, index, answer, "alone");
    let healthy = alone.as_ref().is_some_and(|said| said["starts"] == true);
    let _ = ran(&mark);
    let killed = answer == KILL && KILLS_THE_CALLER.contains(&call.name);
    let Some(said) = asked(here, index, answer, "") else {
        return if killed { Ok("kills the caller") } else { Err("no answer".to_owned()) };
    };
    let ran = ran(&mark);
    let error = said["error"].as_str().unwrap_or_default();
    let told = said["says"].as_str().unwrap_or(error);
    let wrong = |what: &str| Err(format!("{what}: {said}"));
    match said["verdict"].as_str() {
        _ if said["left"] == true => wrong("a process is left behind"),
        None if said["survives"] != json!([]) => wrong("it is not killed"),
        None if said["status"] == 0 && ran => Ok(if healthy { "starts" } else { "starts, unlike bwrap" }),
        None => wrong("the command ran, it says"),
        Some("undecided") if is_unseen(call, answer) => Ok("not to be known"),
        Some("undecided") => wrong("nothing is known"),
        Some(_) if ran => wrong("the command ran"),
        Some(_) if healthy && killed => Ok("kills what we start"),
        Some(_) if healthy && NEEDED.contains(&call.name) && error.contains(call.name) => {
            Ok("needed, and told so")
        }
        Some(_) if healthy => wrong("bwrap starts it"),
        Some(_) if !told.contains("filter") => wrong("no filter"),
        Some(_) if said["confidence"] == "low" => wrong("a filter, perhaps"),
        // that it was killed is all that there is to see
        Some(_) if answer == KILL => Ok("the filter named"),
        Some(_) if !told.contains(call.name) => wrong("another call"),
        Some(_) => Ok("filter and call named"),
    }
}

/// One answer to each call, another one in each run with another seed; all with `BWRAP_LAUNCH_FUZZ`. What is lacking to each of our own.
fn every_call_denied_in_every_way(here: &Here) {
    let mut numbers = Numbers::seeded(7);
    let (mut counts, mut wrong) = (BTreeMap::new(), Vec::new());
    // where machines are slow, root and a user try every other one each
    let share = if std::env::var_os("BWRAP_LAUNCH_TEST_SHARE").is_some() { 2 } else { 1 };
    for (index, call) in CALLS.iter().enumerate().skip(usize::from(here.root) % share).step_by(share) {
        let first = numbers.index(ANSWERS.len());
        let ours = OURS.contains(&call.name);
        let mut answers: Vec<_> = ANSWERS.iter().cycle().skip(first).take(ANSWERS.len()).collect();
        if factor() <= 1 {
            let one = answers[0].0;
            answers.retain(|(name, _)| if ours { LACKING.contains(name) } else { *name == one });
        }
        for (name, answer) in answers {
            match cell(here, index, *answer) {
                Ok(kind) => *counts.entry(kind).or_insert(0) += 1,
                Err(what) => wrong.push(format!("{} {:?} {name}: {what}", call.name, call.only)),
            }
        }
    }
    println!("counted: {counts:?}, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{counts:?}, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
