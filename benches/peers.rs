//! A launch by this crate beside the same one by others: bwrap itself, Zuul's driver, hakoniwa. Same sandbox (the one of Zuul's
//! executor), same payload (`true`), output read to its end, time from its description to its end. sandbox-runtime and Codex have sandboxes
//! of their own, with the host's root to read and no network; Codex has a program for it, which each launch starts.
//!
//! All take turns in one run, so that a noisy machine disturbs each alike. Each has the same amount of memory resident: once little,
//! once 4 GiB. Then each launches from eight threads while another thread of the same process ticks. What cannot be had is named and left
//! out: `make setup` fetches most; hakoniwa is fetched and built here. hakoniwa makes the same mounts without bwrap, and does not lock
//! user namespaces.
//!
//! What is measured goes into `docs/peers.md`, with a chart, for which nothing else may run on the machine, with 20 GiB of memory. With
//! `BWRAP_LAUNCH_BENCH_ROUNDS=3`, say, it is but tried: with few rounds and less memory, into `target/peers`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "common/many.rs"]
mod many;
#[path = "peers/told.rs"]
mod told;
#[path = "common/turns.rs"]
mod turns;

use std::cell::RefCell;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio as ProcessStdio};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bwrap_launch::op::{Access, Operation};
use bwrap_launch::profile::zuul::{Driver, Launcher};
use bwrap_launch::{Bwrap, Command, Pool, Prepared, Stdio};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde_json::json;
use tempfile::TempDir;

const PAYLOAD: &str = "/usr/bin/true";

/// What launches once and says how long it took.
type Once<'a> = Box<dyn FnMut() -> Duration + 'a>;
/// What launches so many times each from many threads, and says how long it took, and how long another thread was held up.
type Many<'a> = Box<dyn FnMut(usize) -> (Duration, Duration) + 'a>;

struct Peer<'a> {
    name: String,
    once: Once<'a>,
    many: Many<'a>,
}

fn main() {
    // so that resident memory is made of pages, as in a process that has run for a while; children inherit it
    nix::sys::prctl::set_thp_disable(true).expect("4 KiB pages");
    let tried =
        std::env::var("BWRAP_LAUNCH_BENCH_ROUNDS").ok().map(|rounds| rounds.parse().expect("a number"));
    let bwrap = Bwrap::find().expect("bwrap is installed");
    let job = Job::new(&bwrap);
    let hakoniwa = built("hakoniwa", "peer-hakoniwa");
    let (few, large) = (tried.unwrap_or(usize::MAX), if tried.is_some() { 256 << 20 } else { 4_usize << 30 });
    let mut told = Vec::new();
    for (resident, rounds, each) in [(0, 200, 25), (large, 40, 5)] {
        let (rounds, each) = (few.min(rounds), few.min(each));
        let ballast = black_box(vec![1_u8; resident]);
        let mut peers = job.ours(&bwrap);
        peers.extend(job.zuuls(resident));
        peers.extend(hakoniwa.as_ref().map(|program| job.hakoniwas(program, resident)));
        peers.extend(job.sandbox_runtimes(resident));
        peers.extend(job.codex());
        let times = take_turns(&mut peers, rounds);
        let mut rows = Vec::new();
        for (peer, times) in peers.iter_mut().zip(&times) {
            let (took, longest) = (peer.many)(each);
            let all = u32::try_from(each * many::THREADS).unwrap();
            rows.push(told::Row {
                name: peer.name.clone(),
                times: times.clone(),
                rate: f64::from(all) / took.as_secs_f64(),
                longest,
            });
        }
        let memory =
            if ballast.is_empty() { "10 MiB".to_owned() } else { format!("{} MiB", ballast.len() >> 20) };
        told.push(told::Table { resident: memory.replace("4096 MiB", "4 GiB"), rounds, rows });
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = root.join(if tried.is_some() { "target/peers" } else { "docs" });
    let page = told::page(&bwrap, &told);
    print!("{page}");
    std::fs::write(directory.join("peers.md"), page).unwrap();
    if let Some(program) = built("chart", "peer-chart") {
        told::draw(&program, &directory.join("peers.svg"), &told);
    }
    println!("Written to {}", directory.join("peers.md").display());
}

/// What is launched by all.
struct Job {
    _directory: TempDir,
    work: PathBuf,
    home: PathBuf,
    launcher: Launcher,
}

impl Job {
    fn new(bwrap: &Bwrap) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [work, home] = ["work", "home"].map(|name| directory.path().join(name));
        std::fs::create_dir_all(work.join("tmp")).unwrap();
        std::fs::create_dir_all(&home).unwrap();
        let launcher = Driver::new(bwrap).unwrap().context().launcher(&work, &home);
        Self { _directory: directory, work, home, launcher }
    }

    fn command(&self) -> Command {
        let mut command = self.launcher.command([PAYLOAD]).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::merged());
        command
    }

    fn ours(&self, bwrap: &Bwrap) -> Vec<Peer<'_>> {
        let pool = Rc::new(Pool::new(self.command(), 4).unwrap());
        pool.fill().unwrap();
        let again = Rc::clone(&pool);
        let mut raw = self.raw(bwrap);
        // each thread has files of its own
        let raws: Vec<_> = (0..many::THREADS).map(|_| Mutex::new(self.raw(bwrap))).collect();
        let cold = || assert!(self.command().output().unwrap().status.success());
        let tied = || {
            let mut command = self.command();
            assert!(command.die_with_caller(true).output().unwrap().status.success());
        };
        vec![
            Peer {
                name: "bwrap, by std::process".to_owned(),
                once: Box::new(move || timed(&mut raw)),
                many: Box::new(move |each| many::many(each, &|thread| raws[thread].lock().unwrap()())),
            },
            Peer {
                name: "this crate, cold".to_owned(),
                once: Box::new(move || timed(cold)),
                many: Box::new(move |each| many::many(each, &|_| cold())),
            },
            Peer {
                name: "the same, die_with_caller".to_owned(),
                once: Box::new(move || timed(tied)),
                many: Box::new(move |each| many::many(each, &|_| tied())),
            },
            Peer {
                name: "prepared, from start()".to_owned(),
                once: Box::new(|| {
                    let prepared = self.command().prepare().unwrap();
                    timed(|| started(prepared))
                }),
                many: Box::new(|each| many::many(each, &|_| started(self.command().prepare().unwrap()))),
            },
            Peer {
                name: "from a Pool that is full".to_owned(),
                once: Box::new(move || {
                    let took = timed(|| started(pool.take().unwrap()));
                    // so that the next one has the machine to itself
                    pool.fill().unwrap();
                    took
                }),
                // of which only the first are prepared then
                many: Box::new(move |each| {
                    let pool: &Pool = &again;
                    many::many(each, &|_| started(pool.take().unwrap()))
                }),
            },
        ]
    }

    /// The line that the crate stands for, started without it.
    fn raw(&self, bwrap: &Bwrap) -> Box<dyn FnMut() + Send> {
        let line = self.command().to_string();
        let (_, options) = line.split_once("| bwrap ").unwrap();
        let (options, _) = options.split_once(&format!(" -- {PAYLOAD}")).unwrap();
        // its two files come from descriptors, which this process lets be inherited
        let mut files: Vec<File> = Vec::new();
        let mut words: Vec<String> = Vec::new();
        for word in options.split(' ') {
            if words.last().is_some_and(|last| last == "--file") {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(b"root:x:0:\n").unwrap();
                fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
                words.push(file.as_raw_fd().to_string());
                files.push(file);
            } else {
                words.push(word.to_owned());
            }
        }
        let bwrap = bwrap.path().to_owned();
        Box::new(move || {
            for file in &mut files {
                file.seek(SeekFrom::Start(0)).unwrap();
            }
            let mut process = Process::new(&bwrap);
            process.args(&words).args(["--", PAYLOAD]).env_clear().stdin(ProcessStdio::null());
            assert!(process.output().unwrap().status.success());
        })
    }

    fn zuuls(&self, resident: usize) -> Option<Peer<'_>> {
        let packages = tool("zuul-14.3.0")?;
        let mut process = Process::new("/usr/bin/python3");
        process.args(["-c", include_str!("peers/zuul.py")]).env("PYTHONDONTWRITEBYTECODE", "1");
        let told = json!({"zuul": packages, "resident": resident, "work": self.work, "home": self.home});
        Some(Other::start(process, &format!("{told}\n")).peer("Zuul's driver (Python, warm)"))
    }

    fn sandbox_runtimes(&self, resident: usize) -> Option<Peer<'_>> {
        let packages = tool("sandbox-runtime-0.0.83")?.join("node_modules/@anthropic-ai/sandbox-runtime");
        let mut process = Process::new("node");
        process.args(["--input-type=module", "--eval", include_str!("peers/srt.mjs")]);
        let told = json!({"srt": packages, "resident": resident, "work": self.work});
        Some(Other::start(process, &format!("{told}\n")).peer("sandbox-runtime (Node.js, warm)"))
    }

    /// It has no library: what launches is this process.
    fn codex(&self) -> Option<Peer<'_>> {
        let program = tool("codex-0.171.0")?.join("codex");
        let launch = move |number: usize| {
            // two at a time get no links to the program into one
            let own = self.home.join(format!("codex-{number}"));
            std::fs::create_dir_all(own.join("tmp")).unwrap();
            let mut process = Process::new(&program);
            process.args(["sandbox", "--", PAYLOAD]).env_clear().env("PATH", "/usr/bin:/bin");
            process.env("HOME", &own).env("CODEX_HOME", &own).env("TMPDIR", own.join("tmp"));
            let output = process.current_dir(&self.work).stdin(ProcessStdio::null()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let again = launch.clone();
        Some(Peer {
            name: "Codex's sandbox (a program)".to_owned(),
            once: Box::new(move || timed(|| launch(0))),
            many: Box::new(move |each| many::many(each, &again)),
        })
    }

    fn hakoniwas(&self, program: &Path, resident: usize) -> Peer<'_> {
        let sandbox = self.launcher.sandbox().unwrap();
        let mounts = sandbox.operations().iter().map(|operation| {
            let place = operation.destination().display();
            match operation {
                Operation::Bind(bind) if bind.access() == Access::ReadOnly => {
                    format!("ro {} {place}\n", bind.source().display())
                }
                Operation::Bind(bind) => format!("rw {} {place}\n", bind.source().display()),
                Operation::Tmpfs(_) => format!("tmpfs {place}\n"),
                Operation::Dir(_) => format!("dir {place}\n"),
                Operation::Dev(_) => format!("dev {place}\n"),
                Operation::File(_) => format!("file {place} root:x:0:\n"),
                _ => String::new(),
            }
        });
        let told = mounts.collect::<Vec<_>>().concat();
        Other::start(Process::new(program), &format!("{resident}\n{told}\n")).peer("hakoniwa")
    }
}

/// What `make setup` fetches.
fn tool(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools").join(name);
    if !path.exists() {
        println!("left out: {name} is not there; `make setup` fetches it");
        return None;
    }
    Some(path)
}

fn started(prepared: Prepared) {
    assert!(prepared.start().unwrap().wait_with_output().unwrap().status.success());
}

fn timed(launch: impl FnOnce()) -> Duration {
    let start = Instant::now();
    launch();
    start.elapsed()
}

/// Another program, which launches on demand and tells the time itself.
struct Other {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Other {
    fn start(mut process: Process, told: &str) -> Self {
        let mut process = process.stdin(ProcessStdio::piped()).stdout(ProcessStdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        let mut other = Self { process, stdin, stdout };
        other.stdin.as_mut().unwrap().write_all(told.as_bytes()).unwrap();
        assert!(other.line().starts_with("ready"));
        other
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    fn asked(&mut self, question: &str) -> Vec<Duration> {
        self.stdin.as_mut().unwrap().write_all(question.as_bytes()).unwrap();
        let line = self.line();
        let seconds =
            line.split_whitespace().map(|word| word.parse().expect("it says why on standard error"));
        seconds.map(Duration::from_secs_f64).collect()
    }

    fn peer<'a>(self, name: &str) -> Peer<'a> {
        let other = Rc::new(RefCell::new(self));
        let again = Rc::clone(&other);
        Peer {
            name: name.to_owned(),
            once: Box::new(move || other.borrow_mut().asked("\n")[0]),
            many: Box::new(move |each| {
                let told = again.borrow_mut().asked(&format!("{} {each}\n", many::THREADS));
                (told[0], told[1])
            }),
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}

/// Builds a program that has a package of its own.
fn built(directory: &str, program: &str) -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(directory);
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let mut process = Process::new("cargo");
    process
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(package.join("Cargo.toml"));
    let built = process.env("CARGO_TARGET_DIR", &target).status();
    if built.is_ok_and(|status| status.success()) {
        return Some(target.join("release").join(program));
    }
    println!("left out: {program} could not be built");
    None
}

/// Has every peer launch once a round, with time for what the one before has left to be cleared away.
fn take_turns(peers: &mut [Peer<'_>], rounds: usize) -> Vec<Vec<Duration>> {
    turns::take_turns(peers.len(), rounds, |peer| {
        std::thread::sleep(Duration::from_millis(5));
        (peers[peer].once)()
    })
}
