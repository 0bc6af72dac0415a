//! What a launch costs, from spawn to exit, against the same bwrap started in other ways.
//!
//! All ways take turns in one run, so that a noisy machine disturbs each alike; the ratios count, not the times.
//! Once with little memory resident in the caller and once with 4 GiB: whoever forks, copies page tables.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "../tests/common/readme.rs"]
mod readme;

use std::ffi::CString;
use std::hint::black_box;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use bwrap_launch::{Bwrap, Error, Explain, Sandbox, Stdio};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::wait::waitpid;
use readme::readme_sandbox;

/// A way to start bwrap and wait for its end.
type Way<'a> = (String, Box<dyn Fn() + 'a>);

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
    for (name, sandbox) in
        [("one bind", &small), ("the README's sandbox", &usual), ("the same, die_with_parent", &guarded)]
    {
        compare(name, &bwrap, sandbox);
    }
    failures(&bwrap, &usual);
    listing(&bwrap, &usual);
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
    let ways: Vec<Way<'_>> = vec![(
        "processes(), 5 of them".to_owned(),
        Box::new(|| assert_eq!(child.processes().unwrap().len(), 5)),
    )];
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
    let mut ways: Vec<Way<'_>> = vec![("succeeds, is dropped".to_owned(), Box::new(held))];
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
            ways.push((format!("fails, {name}, {what}"), Box::new(fails)));
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
    let command = std::cell::RefCell::new(command);
    let mut tied = sandbox.command("/usr/bin/true");
    tied.bwrap(bwrap).die_with_caller(true);
    let tied = std::cell::RefCell::new(tied);
    let ways: Vec<Way<'_>> = vec![
        ("raw posix_spawn".to_owned(), Box::new(|| raw(&path, &words))),
        ("bwrap-launch".to_owned(), Box::new(|| assert!(command.borrow_mut().status().unwrap().success()))),
        (
            "the same, die_with_caller".to_owned(),
            Box::new(|| assert!(tied.borrow_mut().status().unwrap().success())),
        ),
        ("std::process".to_owned(), Box::new(|| assert!(standard(bwrap, &line).status().unwrap().success()))),
        (
            "std, no-op pre_exec".to_owned(),
            Box::new(|| assert!(forked(bwrap, &line).status().unwrap().success())),
        ),
    ];
    for (resident, rounds) in [(10 << 20, 300), (4 << 30, 60)] {
        let ballast = black_box(vec![1_u8; resident]);
        let times = take_turns(&ways, rounds);
        println!("\n{name}, {} MiB resident, {rounds} rounds", ballast.len() >> 20);
        show(&ways, &times);
    }
}

/// Times every way once a round, beginning with another one each time.
fn take_turns(ways: &[Way<'_>], rounds: usize) -> Vec<Vec<Duration>> {
    let mut times = vec![Vec::with_capacity(rounds); ways.len()];
    for (_, run) in ways {
        run();
    }
    for round in 0..rounds {
        for turn in 0..ways.len() {
            let index = (round + turn) % ways.len();
            let start = Instant::now();
            ways[index].1();
            times[index].push(start.elapsed());
        }
    }
    times
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
