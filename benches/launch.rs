//! What a launch costs, from spawn to exit, against the same bwrap started in other ways.
//!
//! All ways take turns in one run, so that a noisy machine disturbs each alike; the ratios count, not the times.
//! Once with little memory resident in the caller and once with 4 GiB: whoever forks, copies page tables.
//!
//! Parts of it by their names, as in `cargo bench --bench launch -- pool limits`: see [`main`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "../tests/common/readme.rs"]
mod readme;
#[path = "common/turns.rs"]
mod turns;

use std::cell::RefCell;
use std::ffi::CString;
use std::hint::black_box;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use bwrap_launch::{Bwrap, Error, Explain, Limit, Limits, Pool, Resource, Sandbox, Stdio};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::wait::waitpid;
use readme::readme_sandbox;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// A way to start bwrap and wait for its end, and how long it took.
type Way<'a> = (String, Box<dyn Fn() -> Duration + 'a>);

fn way<'a>(name: impl Into<String>, run: impl Fn() + 'a) -> Way<'a> {
    (name.into(), Box::new(move || timed(&run)))
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn main() {
    // so that resident memory is made of pages, as in a process that has run for a while
    nix::sys::prctl::set_thp_disable(true).expect("4 KiB pages");
    let bwrap = Bwrap::find().expect("bwrap is installed");
    println!(
        "bubblewrap {}, {} (median of spawn to exit of `true`)",
        bwrap.version_text(),
        bwrap.path().display()
    );
    let small = Sandbox::new().ro_bind("/", "/");
    let usual = readme_sandbox();
    let guarded = usual.clone().die_with_parent();
    let of_ways = || {
        compare("one bind", &bwrap, &small);
        compare("the README's sandbox", &bwrap, &usual);
        compare("the same, die_with_parent", &bwrap, &guarded);
    };
    let parts: [(&str, &dyn Fn()); 8] = [
        ("ways", &of_ways),
        ("ending", &|| ending(&bwrap, &usual)),
        ("failures", &|| failures(&bwrap, &usual)),
        ("listing", &|| listing(&bwrap, &usual)),
        ("pool", &|| pool(&bwrap, &usual)),
        ("limits", &|| limits(&bwrap, &usual)),
        ("many", &|| many(&bwrap, &usual)),
        ("killing", &|| killing(&bwrap, &usual)),
    ];
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (_, run) in
        parts.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|word| word == name))
    {
        run();
    }
}

/// What `wait` waits for beyond bwrap's end: that of process 1 of the PID namespace, with which everything in it is gone. The kernel unmounts
/// what the sandbox had mounted within that time.
fn ending(bwrap: &Bwrap, usual: &Sandbox) {
    let small = Sandbox::new().ro_bind("/", "/").unshare_all();
    println!("\nfrom bwrap's end to that of process 1, 300 rounds");
    for (name, sandbox) in [("one bind, unshare_all", &small), ("the README's sandbox", usual)] {
        println!("  {name:<28} {:8.3} ms (median)", median(later(bwrap, sandbox)) * 1e3);
    }
}

/// How much later than bwrap process 1 ends.
fn later(bwrap: &Bwrap, sandbox: &Sandbox) -> Vec<f64> {
    let mut command = sandbox.command("/usr/bin/true");
    command.bwrap(bwrap);
    let open = |pid: u32| {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        pidfd_open(pid, PidfdFlags::empty()).unwrap()
    };
    let measure = |_| {
        let prepared = command.prepare().unwrap();
        let (monitor, process_1) = (open(prepared.id()), open(prepared.sandbox_pid().unwrap()));
        let mut child = prepared.start().unwrap();
        wait_until_gone(&monitor);
        let later = timed(|| wait_until_gone(&process_1)).as_secs_f64();
        assert!(child.wait().unwrap().success());
        later
    };
    (0..300).map(measure).collect()
}

fn wait_until_gone(process: &OwnedFd) {
    let mut polled = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    while poll(&mut polled, None).unwrap() == 0 {}
}

/// What is left to be done of a launch if the sandbox is there already.
fn pool(bwrap: &Bwrap, sandbox: &Sandbox) {
    let mut command = sandbox.command("/usr/bin/true");
    command.bwrap(bwrap);
    let mut cold = sandbox.command("/usr/bin/true");
    cold.bwrap(bwrap);
    let cold = RefCell::new(cold);
    let pool = Pool::new(command, 4).unwrap();
    pool.fill().unwrap();
    let ways: Vec<Way<'_>> = vec![
        way("cold", || assert!(cold.borrow_mut().status().unwrap().success())),
        (
            "from a pool that is full".to_owned(),
            Box::new(|| {
                let took = timed(|| assert!(pool.take().unwrap().start().unwrap().wait().unwrap().success()));
                // so that the next one has the machine to itself
                pool.fill().unwrap();
                took
            }),
        ),
        (
            "prepared, from start()".to_owned(),
            Box::new(|| {
                let prepared = cold.borrow_mut().prepare().unwrap();
                timed(|| assert!(prepared.start().unwrap().wait().unwrap().success()))
            }),
        ),
    ];
    println!("\nthe README's sandbox, cold and warm, 300 rounds");
    show(&ways, &take_turns(&ways, 300));
}

/// What limits cost on top of a launch.
fn limits(bwrap: &Bwrap, sandbox: &Sandbox) {
    let five = Limits::new()
        .rlimit(Resource::OpenFiles, 100, 200)
        .rlimit(Resource::Core, 0, 0)
        .nice(5)
        .oom_score_adj(500)
        .affinity([0]);
    let group = five.clone().require(Limit::PidsMax(100)).require(Limit::MemoryMax(1 << 30));
    let launch = |limits: &Limits| {
        let mut command = sandbox.command("/usr/bin/true");
        command.bwrap(bwrap).limits(limits);
        assert!(command.status().unwrap().success());
    };
    let with = |name: &str, limits: Limits| way(name, move || launch(&limits));
    let mut ways: Vec<Way<'_>> = vec![with("without", Limits::new()), with("five kinds of limits", five)];
    let mut tried = sandbox.command("/usr/bin/true");
    if tried.bwrap(bwrap).limits(&group).status().is_ok() {
        ways.push(with("and a control group", group));
    } else {
        println!("\nleft out: limits of a control group cannot be set here");
    }
    println!("\nthe README's sandbox with limits, 300 rounds");
    let times = take_turns(&ways, 300);
    show(&ways, &times);
    for ((name, _), own) in ways.iter().zip(&times).skip(1) {
        let more = own.iter().zip(&times[0]).map(|(own, base)| own.as_secs_f64() - base.as_secs_f64());
        println!("  {name}: {:+.3} ms (median of differences)", median(more.collect()) * 1e3);
    }
}

/// Launches a second, from many threads.
fn many(bwrap: &Bwrap, sandbox: &Sandbox) {
    const THREADS: u32 = 32;
    const EACH: u32 = 10;
    let mut command = sandbox.command("/usr/bin/true");
    let line = command.bwrap(bwrap).to_string();
    let words: Vec<CString> = line.split(' ').map(|word| CString::new(word).unwrap()).collect();
    let path = CString::new(bwrap.path().to_str().unwrap()).unwrap();
    let all = |launch: &(dyn Fn() + Sync)| {
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..EACH).for_each(|_| launch()));
            }
        });
    };
    let ours = |tied: bool| {
        let mut command = sandbox.command("/usr/bin/true");
        assert!(command.bwrap(bwrap).die_with_caller(tied).status().unwrap().success());
    };
    let ways: Vec<Way<'_>> = vec![
        way("raw posix_spawn", || all(&|| raw(&path, &words))),
        way("bwrap-launch", || all(&|| ours(false))),
        way("the same, die_with_caller", || all(&|| ours(true))),
    ];
    println!("\n{} launches by {THREADS} threads, 9 rounds", THREADS * EACH);
    let times = take_turns(&ways, 9);
    show(&ways, &times);
    for ((name, _), own) in ways.iter().zip(&times) {
        let (ratios, rates): (Vec<f64>, Vec<f64>) = own
            .iter()
            .zip(&times[0])
            .map(|(own, base)| {
                (base.as_secs_f64() / own.as_secs_f64(), f64::from(THREADS * EACH) / own.as_secs_f64())
            })
            .unzip();
        println!("  {name}: {:.0} launches a second, {:.3} of the first", median(rates), median(ratios));
    }
}

/// From killing a sandbox with many processes until the last of them is gone.
fn killing(bwrap: &Bwrap, sandbox: &Sandbox) {
    let launch = || {
        let mut command = sandbox.command("sh");
        let script = "i=0; while [ $i -lt 1000 ]; do sleep 600 & i=$((i + 1)); done; echo; wait";
        let mut child = command.args(["-c", script]).bwrap(bwrap).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let pid = Pid::from_raw(i32::try_from(child.sandbox_pid().unwrap()).unwrap()).unwrap();
        let process_1 = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        (child, pid, process_1)
    };
    // process 1 of a PID namespace is gone when all the others are
    let ways: Vec<Way<'_>> = vec![
        (
            "SIGKILL to process 1".to_owned(),
            Box::new(|| {
                let (mut child, pid, process_1) = launch();
                let took = timed(|| {
                    kill_process(pid, Signal::KILL).unwrap();
                    wait_until_gone(&process_1);
                });
                let _ = child.wait();
                took
            }),
        ),
        (
            "kill()".to_owned(),
            Box::new(|| {
                let (mut child, _, process_1) = launch();
                let took = timed(|| {
                    child.kill().unwrap();
                    wait_until_gone(&process_1);
                });
                let _ = child.wait();
                took
            }),
        ),
        (
            "kill() and wait()".to_owned(),
            Box::new(|| {
                let (mut child, ..) = launch();
                timed(|| {
                    child.kill().unwrap();
                    let _ = child.wait();
                })
            }),
        ),
    ];
    println!("\na sandbox with 1,000 processes, to the last one gone, 15 rounds");
    show(&ways, &take_turns(&ways, 15));
}

/// What it costs to list the processes of a sandbox on a machine that has many others.
fn listing(bwrap: &Bwrap, sandbox: &Sandbox) {
    let sleepers = |_| Process::new("sleep").arg("600").spawn().unwrap();
    let mut others: Vec<_> = (0..2000).map(sleepers).collect();
    let mut command = sandbox.command("sh");
    command.args(["-c", "sleep 600 & (sleep 600 & sleep 600 & wait) & echo; wait"]).bwrap(bwrap);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    while child.processes().unwrap().len() < 5 {}
    let ways: Vec<Way<'_>> =
        vec![way("processes(), 5 of them", || assert_eq!(child.processes().unwrap().len(), 5))];
    println!("\nbeside 2,000 foreign processes, 300 rounds");
    show(&ways, &take_turns(&ways, 300));
    drop(ways);
    child.kill().unwrap();
    let _ = child.wait();
    for other in &mut others {
        other.kill().unwrap();
        other.wait().unwrap();
    }
}

/// What a launch costs that fails while the sandbox is set up, against one that comes as far, and how much of that is for
/// saying why.
fn failures(bwrap: &Bwrap, sandbox: &Sandbox) {
    let failing = sandbox.clone().ro_bind("/nonexistent", "/mnt");
    let log = tempfile::tempfile().unwrap();
    let streams: [(&str, &dyn Fn() -> Stdio); 3] = [
        ("null", &Stdio::null),
        ("piped", &Stdio::piped),
        ("a file", &|| Stdio::from(log.try_clone().unwrap())),
    ];
    // complete, held, and destroyed: it came as far, and a little farther
    let held = || drop(sandbox.command("true").bwrap(bwrap).prepare().unwrap());
    let mut ways: Vec<Way<'_>> = vec![way("succeeds, is dropped", held)];
    for (name, stderr) in streams {
        for (what, explain) in [
            ("verdict only", Explain::Nothing),
            ("and facts", Explain::Facts),
            ("and words", Explain::AskAgain),
        ] {
            let failing = &failing;
            let fails = move || {
                let mut command = failing.command("true");
                let error = command.bwrap(bwrap).stderr(stderr()).explain(explain).status().unwrap_err();
                assert!(matches!(error, Error::SetupFailed(_)));
            };
            ways.push(way(format!("fails, {name}, {what}"), fails));
        }
    }
    println!("\na source that is missing, the README's sandbox, 300 rounds");
    show(&ways, &take_turns(&ways, 300));
}

/// The median of each way, and of its ratios to the first.
fn show(ways: &[Way<'_>], times: &[Vec<Duration>]) {
    for ((way, _), own) in ways.iter().zip(times) {
        // pairs of the same round, so that drift of the machine cancels out
        let ratios = own.iter().zip(&times[0]).map(|(own, base)| own.as_secs_f64() / base.as_secs_f64());
        let ratio = median(ratios.collect());
        let time = median(own.iter().map(Duration::as_secs_f64).collect());
        println!("  {way:<28} {:8.3} ms   {ratio:6.3} x", time * 1e3);
    }
}

fn compare(name: &str, bwrap: &Bwrap, sandbox: &Sandbox) {
    let mut command = sandbox.command("/usr/bin/true");
    command.bwrap(bwrap);
    // the very line that the crate stands for; `Display` quotes nothing in it
    let line: Vec<String> = command.to_string().split(' ').map(str::to_owned).collect();
    let words: Vec<CString> = line.iter().map(|word| CString::new(word.as_str()).unwrap()).collect();
    let path = CString::new(bwrap.path().to_str().unwrap()).unwrap();
    let command = RefCell::new(command);
    let mut tied = sandbox.command("/usr/bin/true");
    tied.bwrap(bwrap).die_with_caller(true);
    let tied = RefCell::new(tied);
    let ways: Vec<Way<'_>> = vec![
        way("raw posix_spawn", || raw(&path, &words)),
        way("bwrap-launch", || assert!(command.borrow_mut().status().unwrap().success())),
        way("the same, die_with_caller", || assert!(tied.borrow_mut().status().unwrap().success())),
        way("std::process", || assert!(standard(bwrap, &line).status().unwrap().success())),
        way("std, no-op pre_exec", || assert!(forked(bwrap, &line).status().unwrap().success())),
    ];
    for (resident, rounds) in [(10 << 20, 300), (4 << 30, 60)] {
        let ballast = black_box(vec![1_u8; resident]);
        let times = take_turns(&ways, rounds);
        println!("\n{name}, {} MiB resident, {rounds} rounds", ballast.len() >> 20);
        show(&ways, &times);
    }
}

/// Times every way once a round.
fn take_turns(ways: &[Way<'_>], rounds: usize) -> Vec<Vec<Duration>> {
    turns::take_turns(ways.len(), rounds, |way| ways[way].1())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn raw(path: &CString, words: &[CString]) {
    let (actions, attributes) = (PosixSpawnFileActions::init().unwrap(), PosixSpawnAttr::init().unwrap());
    let none: &[CString] = &[];
    let pid = posix_spawn(path.as_c_str(), &actions, &attributes, words, none).unwrap();
    waitpid(pid, None).unwrap();
}

fn standard(bwrap: &Bwrap, line: &[String]) -> Process {
    let mut process = Process::new(bwrap.path());
    process.args(&line[1..]).env_clear();
    process
}

#[allow(unsafe_code, reason = "shows what the hook costs")]
fn forked(bwrap: &Bwrap, line: &[String]) -> Process {
    let mut process = standard(bwrap, line);
    // SAFETY: the hook does nothing
    unsafe { process.pre_exec(|| Ok(())) };
    process
}
