//! Callers that are killed at any moment of their launches, and whose sandboxes are to end with them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child as Process, Command as StdCommand, Stdio as ProcessStdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use bwrap_launch::{Bwrap, Command, Namespaces, Pool, Sandbox, Stdio};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cases;
use crate::common::{Case, Here, SETTLE, described, host, processes, skip, within};
use crate::support::{Numbers, eventually, released_or_killed, share};

pub(crate) const CASES: &[Case] = cases![
    callers_killed_at_any_moment,
    callers_killed_beside_two_busy_loops,
    a_caller_that_ends_by_itself,
    what_waits_at_the_gate_ends_without_a_word,
    callers_that_leave_while_they_end_sandboxes,
    a_tree_without_a_pid_namespace,
    what_takes_the_watchdog_long,
    a_tree_that_never_stands_still_keeps_nobody,
    who_traces_process_1,
    what_is_not_asked_to_end_is_seen,
    the_watchdog,
];

/// Each is a child of the one before. Shells let a function call itself a thousand times at most.
const CHAIN: &str = r#"n=${1:-1100}; [ "$n" -gt 0 ] || { echo up; exec sleep 60; }
sh -c "$CHAIN" "$0" $((n - 1)); :"#;

/// It has so many page tables to copy (`PR_SET_THP_DISABLE`) that a fork(2) takes a moment.
const FORKS: &str = "import ctypes, os, time
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
memory = bytearray(b'x') * (8 << 20)
for _ in range(20):
    if os.fork() == 0: time.sleep(60)
os.write(1, b'up\\n')
while os.fork() != 0: time.sleep(0.001)
time.sleep(60)";

/// It traces process 1, whose end has to wait for its own then.
const TRACES: &str = "import ctypes, os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b'up\\n' if ctypes.CDLL(None).ptrace(0x4206, 1, 0, 0x40) == 0 else b'no\\n')
time.sleep(60)";

/// How long what is to end with its caller may take for that beside all that makes machines busy here. Commands sleep longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a caller launches.
const WAYS: [&str; 6] = ["spawn", "output", "start", "pool", "dropped", "tokio"];

/// How many callers a case kills.
fn kills() -> u64 {
    let number = std::env::var("BWRAP_LAUNCH_CRASHES").ok();
    let number = number.map(|number| number.parse().expect("BWRAP_LAUNCH_CRASHES: a number"));
    number.unwrap_or_else(|| (30 / share() as u64).max(1))
}

/// A helper to be killed: launches in this way, once it is told to. What it launches has the mark in its command line.
pub(crate) fn crasher(arguments: &[String]) {
    let [bwrap, way, mark] = arguments else { panic!("{arguments:?}") };
    let mut sandbox = match way.as_str() {
        "tree" | "chain" | "fork" => host(),
        _ => host().unshare(Namespaces::PID | Namespaces::NET | Namespaces::IPC),
    };
    // what is asked for twice must not be worse
    if ["output", "pool"].contains(&way.as_str()) {
        sandbox = sandbox.die_with_parent();
    }
    let script = match way.as_str() {
        "tree" => "sh -c 'sleep 61 & sleep 62 & echo up; wait' & wait",
        "chain" => CHAIN,
        "fork" => FORKS,
        "traced" => TRACES,
        _ => "echo up; exec sleep 60",
    };
    let bwrap = Bwrap::at(bwrap).unwrap();
    let python = ["fork", "traced"].contains(&way.as_str());
    let mut command = sandbox.command(if python { "python3" } else { "sh" });
    command.args(["-c", script, mark]).env("CHAIN", CHAIN).bwrap(&bwrap);
    command.stderr(Stdio::null()).die_with_caller(way != "unasked");
    println!("ready");
    std::io::stdin().read_exact(&mut [0]).unwrap();
    launch(way, command);
    sleep(Duration::from_secs(60));
}

fn launch(way: &str, mut command: Command) {
    match way {
        "output" => drop(command.output()),
        "start" => std::mem::forget(command.prepare().unwrap().start().unwrap()),
        "dropped" => drop(command.spawn().unwrap()),
        // beside one that has nothing to do with it
        "chain" | "fork" => {
            let mut other = host().unshare(Namespaces::PID).command("sleep");
            let mut other = other.arg("60").die_with_caller(true).spawn().unwrap();
            other.wait_ready().unwrap();
            std::mem::forget((other, command.spawn().unwrap()));
        }
        "pool" => {
            let pool = Pool::new(command, 2).unwrap();
            std::mem::forget(pool.take().unwrap().start().unwrap());
            std::mem::forget(pool);
        }
        "exit" => {
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
            std::process::exit(0);
        }
        #[cfg(feature = "tokio")]
        "tokio" => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let launched = runtime.block_on(bwrap_launch::tokio::Command::from(command).spawn());
            std::mem::forget(launched.unwrap());
        }
        _ => std::mem::forget(command.spawn().unwrap()),
    }
}

/// Starts a caller that waits for its word.
fn start(here: &Here, way: &str, mark: &str) -> Process {
    let mut process = StdCommand::new(std::env::current_exe().unwrap());
    process.args(["--helper", "crasher"]).arg(here.bwrap.path()).args([way, mark]);
    process.stdin(ProcessStdio::piped()).stdout(ProcessStdio::piped()).stderr(ProcessStdio::piped());
    let mut child = process.spawn().unwrap();
    let mut line = String::new();
    // whose buffer is empty after that line
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    if line != "ready\n" {
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        panic!("it has said {line:?}, and {said}");
    }
    child
}

/// The processes whose command line has this mark.
fn marked(mark: &str) -> Vec<u32> {
    let has_it = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == mark.as_bytes())
    };
    processes().filter(has_it).collect()
}

/// Kills a caller after this time. Says what is left of its sandboxes, which is then killed, too.
fn crash(here: &Here, way: &str, mark: &str, after: impl FnOnce(&mut Process)) -> Vec<String> {
    kill_caller(here, way, mark, after);
    clear(mark, PATIENCE)
}

fn kill_caller(here: &Here, way: &str, mark: &str, after: impl FnOnce(&mut Process)) {
    let mut caller = start(here, way, mark);
    caller.stdin.take().unwrap().write_all(b"x").unwrap();
    after(&mut caller);
    caller.kill().unwrap();
    caller.wait().unwrap();
}

/// Says what does not end of what has this mark, and ends it.
fn clear(mark: &str, patience: Duration) -> Vec<String> {
    if within(patience, || marked(mark).is_empty()) {
        return Vec::new();
    }
    let left = marked(mark);
    let states = left.iter().map(|pid| described(&[*pid])).collect();
    for pid in left {
        let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
    }
    states
}

/// Kills callers in every phase. Most are killed during their launch, which takes some milliseconds.
fn crashes(here: &Here, seed: u64) {
    let extra = std::env::var("BWRAP_LAUNCH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let mut numbers = Numbers::new(seed + extra);
    let mut left = Vec::new();
    for (number, way) in (0..kills()).zip(WAYS.into_iter().cycle()) {
        let mark = format!("{}-{number}", here.scratch.display());
        let limit = numbers.below(60_000) + 1;
        let states = crash(here, way, &mark, |_| numbers.pause(limit));
        if !states.is_empty() {
            left.push(format!("{way}: {states:?}"));
        }
    }
    println!("{} of {} callers left something", left.len(), kills());
    assert!(left.is_empty(), "{} of {}:\n{}", left.len(), kills(), left.join("\n"));
}

fn callers_killed_at_any_moment(here: &Here) {
    crashes(here, 1);
}

fn callers_killed_beside_two_busy_loops(here: &Here) {
    let over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let done = std::panic::catch_unwind(|| crashes(here, 2));
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    });
}

fn a_caller_that_ends_by_itself(here: &Here) {
    let mark = format!("{}-exit", here.scratch.display());
    let left = crash(here, "exit", &mark, |caller| assert!(caller.wait().unwrap().success()));
    assert!(left.is_empty(), "{left:?}");
}

/// A helper that has a sandbox ended, with nothing asked for that outlives the helper, and leaves at some moment of that.
pub(crate) fn leaver(arguments: &[String]) {
    let [bwrap, way, mark, pause] = arguments else { panic!("{arguments:?}") };
    let mut sandbox = host();
    if way != "tree" {
        sandbox = sandbox.unshare(Namespaces::PID);
    }
    let mut command = sandbox.command("sh");
    command.bwrap(&Bwrap::at(bwrap).unwrap()).stderr(Stdio::null());
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do sleep 61 & done; echo up; wait";
    command.args(["-c", script, mark]);
    match way.as_str() {
        "pool" => {
            let pool = Pool::new(command, 4).unwrap();
            pool.fill().unwrap();
        }
        "taken" => drop(Pool::new(command, 2).unwrap().take().unwrap()),
        "dropped" => drop(command.kill_on_drop(true).spawn().unwrap()),
        _ => {
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
            std::thread::spawn(move || child.kill());
        }
    }
    sleep(Duration::from_micros(pause.parse().unwrap()));
}

/// A helper that exits while sandboxes wait at their gates, whose standard error is its own.
pub(crate) fn gatherer(arguments: &[String]) {
    let [bwrap, guarded] = arguments else { panic!("{arguments:?}") };
    for namespaces in [Namespaces::PID, Namespaces::empty()] {
        let mut command = host().unshare(namespaces).command("true");
        command.bwrap(&Bwrap::at(bwrap).unwrap()).die_with_caller(guarded == "guarded");
        std::mem::forget(command.prepare().unwrap());
        let pool = Pool::new(command, 2).unwrap();
        pool.fill().unwrap();
        std::mem::forget(pool);
    }
    std::process::exit(0);
}

/// bwrap would say of a gate that nobody opens that it has no filter.
fn what_waits_at_the_gate_ends_without_a_word(here: &Here) {
    for guarded in ["guarded", "alone"] {
        let mut caller = StdCommand::new(std::env::current_exe().unwrap());
        caller.args(["--helper", "gatherer"]).arg(here.bwrap.path()).arg(guarded);
        let mut caller = caller.stdin(ProcessStdio::null()).stderr(ProcessStdio::piped()).spawn().unwrap();
        let mut said = String::new();
        // to its end, which is that of all who hold it
        caller.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(caller.wait().unwrap().success(), "{said}");
        assert_eq!(said, "", "{guarded}");
    }
}

/// An exit ends other threads anywhere: those whom they have stopped to kill them would stay so.
fn callers_that_leave_while_they_end_sandboxes(here: &Here) {
    let mut numbers = Numbers::new(3);
    let mut left = Vec::new();
    for (number, way) in (0..2 * kills()).zip(["pool", "taken", "dropped", "tree"].into_iter().cycle()) {
        let mark = format!("{}-leaver-{number}", here.scratch.display());
        let pause = (numbers.below(6_000)).to_string();
        let mut process = StdCommand::new(std::env::current_exe().unwrap());
        process.args(["--helper", "leaver"]).arg(here.bwrap.path()).args([way, &mark, &pause]);
        process.stdin(ProcessStdio::null()).stdout(ProcessStdio::null()).stderr(ProcessStdio::null());
        assert!(process.status().unwrap().success(), "{way}");
        let mut states = clear(&mark, if way == "tree" { SETTLE } else { PATIENCE });
        if way == "tree" {
            // of a thread that has not begun to kill it
            states.retain(|state| state.contains("State: T"));
        }
        if !states.is_empty() {
            left.push(format!("{way} after {pause} µs: {states:?}"));
        }
    }
    println!("{} of {} callers left something", left.len(), 2 * kills());
    assert!(left.is_empty(), "{} of {}:\n{}", left.len(), 2 * kills(), left.join("\n"));
}

/// Who lost the parent between is found, too: it is stopped before its children are looked for.
fn a_tree_without_a_pid_namespace(here: &Here) {
    let mark = format!("{}-tree", here.scratch.display());
    let mut caller = start(here, "tree", &mark);
    let mut holders = into_pipe(caller.stdout.take().unwrap());
    caller.stdin.take().unwrap().write_all(b"x").unwrap();
    holders.read_exact(&mut [0; 3]).unwrap();
    caller.kill().unwrap();
    caller.wait().unwrap();
    assert!(released_or_killed(&holders, PATIENCE));
}

/// The more there is to look for, the longer somebody has to make more, or to break off the search.
fn what_takes_the_watchdog_long(here: &Here) {
    let mut numbers = Numbers::new(6);
    for (way, rounds) in [("chain", 1), ("fork", (20 / share()).max(3))] {
        for round in 0..rounds {
            let mark = format!("{}-{way}{round}", here.scratch.display());
            let mut caller = start(here, way, &mark);
            let mut holders = into_pipe(caller.stdout.take().unwrap());
            caller.stdin.take().unwrap().write_all(b"x").unwrap();
            holders.read_exact(&mut [0; 3]).unwrap();
            numbers.pause(5_000);
            caller.kill().unwrap();
            caller.wait().unwrap();
            // a shell looks through a thousand of them, on a busy machine, too
            assert!(released_or_killed(&holders, Duration::from_secs(45)), "{way} {round}");
        }
    }
}

fn who_traces_process_1(here: &Here) {
    let mark = format!("{}-traced", here.scratch.display());
    let mut caller = start(here, "traced", &mark);
    let mut holders = into_pipe(caller.stdout.take().unwrap());
    caller.stdin.take().unwrap().write_all(b"x").unwrap();
    let mut said = [0; 3];
    holders.read_exact(&mut said).unwrap();
    caller.kill().unwrap();
    caller.wait().unwrap();
    let all = released_or_killed(&holders, PATIENCE);
    if said != *b"up\n" {
        skip("tracing process 1 is denied here (kernel.yama.ptrace_scope, a filter)");
    }
    assert!(all);
}

/// The other sandboxes of a caller end although one escapes the watchdog for a while.
fn a_tree_that_never_stands_still_keeps_nobody(here: &Here) {
    let program = here.compiled("chain", include_str!("chain.c"));
    let mark = format!("{}-beside", here.scratch.display());
    let mut caller = StdCommand::new(std::env::current_exe().unwrap());
    caller.args(["--helper", "beside"]).arg(here.bwrap.path()).arg(&program).arg(&mark);
    let mut caller = caller.stdout(ProcessStdio::piped()).spawn().unwrap();
    caller.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    caller.kill().unwrap();
    caller.wait().unwrap();
    let victims = || others().into_iter().filter(|(_, words)| words.contains(&mark)).collect::<Vec<_>>();
    // sooner than the chain ends, or than what never stops is given up
    assert!(within(Duration::from_secs(9), || victims().is_empty()), "kept waiting: {:?}", victims());
    let chain = || others().into_iter().any(|(_, words)| words.contains(program.to_str().unwrap()));
    // the helper that is nobody's child ends by itself
    while chain() {
        sleep(Duration::from_millis(50));
    }
}

/// When the chain ends by itself.
const CHAIN_ENDS: Duration = Duration::from_secs(10);

/// A helper: launches the chain, and a sandbox that sleeps on each side of it.
pub(crate) fn beside(arguments: &[String]) {
    let [bwrap, chain, mark] = arguments else { panic!("{arguments:?}") };
    let bwrap = Bwrap::at(bwrap).unwrap();
    let launch = |program: &str, words: &[&str]| {
        let mut command = host().command(program);
        command.args(words).bwrap(&bwrap).die_with_caller(true).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        std::mem::forget(child);
    };
    let victim = ["-c", "echo up; sleep 60; :", mark];
    launch("sh", &victim);
    launch(chain, &[&CHAIN_ENDS.as_secs().to_string()]);
    launch("sh", &victim);
    println!("up");
    sleep(Duration::from_secs(60));
}

fn into_pipe(stdout: std::process::ChildStdout) -> std::io::PipeReader {
    std::os::fd::OwnedFd::from(stdout).into()
}

/// Otherwise nothing of the above could fail.
fn what_is_not_asked_to_end_is_seen(here: &Here) {
    let mark = format!("{}-unasked", here.scratch.display());
    let up = |caller: &mut Process| caller.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
    kill_caller(here, "unasked", &mark, up);
    assert!(!clear(&mark, SETTLE).is_empty());
}

/// The other processes that are seen here, and their words.
fn others() -> Vec<(i32, String)> {
    let others = processes().filter(|pid| ![1, std::process::id()].contains(pid));
    let words = |pid: u32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid.cast_signed(), words.replace('\0', " ")))
    };
    others.filter_map(words).collect()
}

fn watchdogs() -> Vec<i32> {
    let all = others().into_iter().filter(|(_, words)| words.contains(" bwrap-watchdog "));
    all.map(|(pid, _)| pid).collect()
}

/// In a PID namespace of its own, so that there are no other watchdogs.
fn the_watchdog(here: &Here) {
    let outer = host().proc("/proc").unshare(Namespaces::PID);
    let output = here.helper(&outer, "kennel").arg(here.bwrap.path()).output().unwrap();
    assert!(output.status.success(), "{} {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// A helper: kills a caller whose watchdog was killed, and looks what is left.
pub(crate) fn kennel(arguments: &[String]) {
    let mut process = StdCommand::new(std::env::current_exe().unwrap());
    process.args(["--helper", "keeper"]).args(arguments).stdout(ProcessStdio::piped());
    let mut caller = process.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(caller.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "done\n");
    let sandboxes = others().into_iter().filter(|(_, words)| words.ends_with("sleep 60 ")).count();
    assert!(sandboxes >= 4, "{:?}", others());
    caller.kill().unwrap();
    caller.wait().unwrap();
    assert!(eventually(|| others().is_empty()), "{:?}", others());
}

/// A helper: has a watchdog, loses it, has another.
pub(crate) fn keeper(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let launch = |sandbox: Sandbox| {
        let child = sandbox.command("sleep").arg("60").bwrap(&bwrap).die_with_caller(true).spawn().unwrap();
        std::mem::forget(child);
    };
    let watchdog = || match watchdogs()[..] {
        [pid] => Pid::from_raw(pid),
        _ => panic!("{:?}", others()),
    };
    let with_pids = host().unshare(Namespaces::PID);
    launch(with_pids.clone());
    assert!(eventually(|| watchdogs().len() == 1), "its shell is gone at once: {:?}", others());
    let first = watchdog();
    let children = fs::read_to_string("/proc/thread-self/children").unwrap();
    let is_child = children.split_whitespace().any(|child| child == first.to_string());
    assert!(!is_child, "whoever waits for all children would wait for it");
    assert_eq!(
        fs::read_link(format!("/proc/{first}/cwd")).unwrap().to_str(),
        Some("/proc"),
        "it keeps another directory"
    );
    for request in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(first, request).unwrap();
    }
    launch(with_pids.clone());
    assert_eq!(watchdog(), first, "one for all, and it ends with the caller only");
    kill(first, Signal::SIGKILL).unwrap();
    assert!(eventually(|| watchdogs().is_empty()));
    launch(with_pids);
    assert_ne!(watchdog(), first);
    // without one that knew it, it is known to the second
    launch(host());
    println!("done");
    sleep(Duration::from_secs(60));
}
