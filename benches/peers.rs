//! A launch by this crate beside the same one by others: bwrap itself, Zuul's driver, hakoniwa. Same sandbox (the one of Zuul's
//! executor), same payload (`true`), output read to its end, time from its description to its end.
//!
//! All take turns in one run, so that a noisy machine disturbs each alike. Each has the same amount of memory resident: once little,
//! once 4 GiB. What cannot be had is named and left out: `make setup` fetches Zuul's driver; hakoniwa is fetched and built here.
//! hakoniwa makes the same mounts without bwrap, and does not lock user namespaces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "common/turns.rs"]
mod turns;

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio as ProcessStdio};
use std::time::{Duration, Instant};

use bwrap_launch::op::{Access, Operation};
use bwrap_launch::profile::zuul::{Driver, Launcher};
use bwrap_launch::{Bwrap, Command, Pool, Stdio};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde_json::json;
use tempfile::TempDir;

const PAYLOAD: &str = "/usr/bin/true";

/// A name, and what launches once and says how long it took.
type Peer<'a> = (String, Box<dyn FnMut() -> Duration + 'a>);

fn main() {
    // so that resident memory is made of pages, as in a process that has run for a while; children inherit it
    nix::sys::prctl::set_thp_disable(true).expect("4 KiB pages");
    let bwrap = Bwrap::find().expect("bwrap is installed");
    let job = Job::new(&bwrap);
    println!(
        "bubblewrap {}, {}; the sandbox of Zuul's executor",
        bwrap.version_text(),
        bwrap.path().display()
    );
    println!("median and 90th percentile of description to end of `true`; median of ratios to bwrap itself");
    let hakoniwa = build_hakoniwa();
    for (resident, rounds) in [(0, 200), (4_usize << 30, 40)] {
        let ballast = black_box(vec![1_u8; resident]);
        let mut peers = job.ours(&bwrap);
        peers.extend(job.zuuls(resident));
        if let Some(program) = &hakoniwa {
            peers.push(job.hakoniwas(program, resident));
        }
        let times = take_turns(&mut peers, rounds);
        println!("\n{} MiB resident, {rounds} rounds", ballast.len() >> 20);
        show(&peers, &times);
    }
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
        let pool = Pool::new(self.command(), 4).unwrap();
        pool.fill().unwrap();
        let raw = self.raw(bwrap);
        vec![
            ("bwrap, by std::process".to_owned(), raw),
            (
                "this crate, cold".to_owned(),
                Box::new(|| timed(|| assert!(self.command().output().unwrap().status.success()))),
            ),
            (
                "the same, die_with_caller".to_owned(),
                Box::new(|| {
                    timed(|| {
                        let mut command = self.command();
                        assert!(command.die_with_caller(true).output().unwrap().status.success());
                    })
                }),
            ),
            (
                "prepared, from start()".to_owned(),
                Box::new(|| {
                    let prepared = self.command().prepare().unwrap();
                    timed(|| {
                        let output = prepared.start().unwrap().wait_with_output().unwrap();
                        assert!(output.status.success());
                    })
                }),
            ),
            (
                "from a Pool that is full".to_owned(),
                Box::new(move || {
                    let took = timed(|| {
                        let child = pool.take().unwrap().start().unwrap();
                        assert!(child.wait_with_output().unwrap().status.success());
                    });
                    // so that the next one has the machine to itself
                    pool.fill().unwrap();
                    took
                }),
            ),
        ]
    }

    /// The line that the crate stands for, started without it.
    fn raw(&self, bwrap: &Bwrap) -> Box<dyn FnMut() -> Duration> {
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
            timed(|| {
                for file in &mut files {
                    file.seek(SeekFrom::Start(0)).unwrap();
                }
                let mut process = Process::new(&bwrap);
                process.args(&words).args(["--", PAYLOAD]).env_clear().stdin(ProcessStdio::null());
                assert!(process.output().unwrap().status.success());
            })
        })
    }

    fn zuuls(&self, resident: usize) -> Option<Peer<'_>> {
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/zuul-14.3.0");
        if !packages.exists() {
            println!("left out: Zuul's driver is not there; `make setup` fetches it");
            return None;
        }
        let mut process = Process::new("/usr/bin/python3");
        process.args(["-c", include_str!("peers/zuul.py")]).env("PYTHONDONTWRITEBYTECODE", "1");
        let told = json!({"zuul": packages, "resident": resident, "work": self.work, "home": self.home});
        let mut other = Other::start(process, &format!("{told}\n"));
        Some(("Zuul's driver (Python, warm)".to_owned(), Box::new(move || other.launch())))
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
        let mut other = Other::start(Process::new(program), &format!("{resident}\n{told}\n"));
        ("hakoniwa 1.8.0".to_owned(), Box::new(move || other.launch()))
    }
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

    fn launch(&mut self) -> Duration {
        self.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        Duration::from_secs_f64(self.line().trim().parse().expect("it says why on standard error"))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}

/// Builds the program that launches with hakoniwa, outside of this package.
fn build_hakoniwa() -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/hakoniwa");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let mut process = Process::new("cargo");
    process
        .args(["build", "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(package.join("Cargo.toml"));
    let built = process.env("CARGO_TARGET_DIR", &target).status();
    if built.is_ok_and(|status| status.success()) {
        return Some(target.join("release/peer-hakoniwa"));
    }
    println!("left out: hakoniwa 1.8.0 could not be built");
    None
}

/// Has every peer launch once a round, with time for what the one before has left to be cleared away.
fn take_turns(peers: &mut [Peer<'_>], rounds: usize) -> Vec<Vec<Duration>> {
    turns::take_turns(peers.len(), rounds, |peer| {
        std::thread::sleep(Duration::from_millis(5));
        peers[peer].1()
    })
}

/// Median, 90th percentile, and the median of the ratios to the first, of pairs of the same round.
fn show(peers: &[Peer<'_>], times: &[Vec<Duration>]) {
    for ((name, _), own) in peers.iter().zip(times) {
        let ratios = own.iter().zip(&times[0]).map(|(own, base)| own.as_secs_f64() / base.as_secs_f64());
        let ratio = part(ratios.collect(), 0.5);
        let seconds: Vec<f64> = own.iter().map(Duration::as_secs_f64).collect();
        let (median, ninth) = (part(seconds.clone(), 0.5), part(seconds, 0.9));
        println!("  {name:<30} {:8.2} ms {:8.2} ms   {ratio:6.2} x", median * 1e3, ninth * 1e3);
    }
}

fn part(mut values: Vec<f64>, quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    let index = (values.len() as f64 * quantile) as usize;
    values[index.min(values.len() - 1)]
}
