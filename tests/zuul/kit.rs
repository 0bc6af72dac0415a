//! A job, launched by Zuul's driver and by the profile, and what there is to compare.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, ExitCode, Stdio};

use bwrap_launch::profile::zuul::{Driver, Fixes, Launcher, returncode};
use bwrap_launch::{Bwrap, Output};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Here, skip};

/// Where `scripts/test-tools` puts Zuul, and what of it is needed.
const PACKAGES: &str = "target/test-tools/zuul-14.3.0";
const NEEDED: &[&str] = &[
    "psutil",
    "zuul/__init__.py",
    "zuul/driver/__init__.py",
    "zuul/driver/bubblewrap",
    "zuul/execution_context",
];

/// Names the published packages to cases.
const PUBLISHED: &str = "BWRAP_LAUNCH_TEST_ZUUL";

/// The Python that is there inside, too.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Copies Zuul's driver to where every user can read it.
pub(crate) fn publish() -> Option<TempDir> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(PACKAGES);
    if !from.exists() {
        return None;
    }
    let to = tempfile::Builder::new().prefix("bwrap-launch-zuul.").tempdir().unwrap();
    fs::set_permissions(to.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in NEEDED.iter().filter(|name| from.join(name).exists()) {
        fs::create_dir_all(to.path().join(name).parent().unwrap()).unwrap();
        let copied = Process::new("cp").arg("-r").arg(from.join(name)).arg(to.path().join(name)).status();
        assert!(copied.unwrap().success());
    }
    let opened = Process::new("chmod").args(["-R", "a+rX"]).arg(to.path()).status().unwrap();
    assert!(opened.success());
    Some(to)
}

/// Whether that was done already.
pub(crate) fn are_published() -> bool {
    std::env::var_os(PUBLISHED).is_some()
}

/// Runs this program once more, told where they are.
pub(crate) fn with_packages(packages: &Path) -> ExitCode {
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(std::env::args_os().skip(1)).env(PUBLISHED, packages);
    let code = process.status().unwrap().code();
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Where Zuul's packages are; the case is skipped without.
pub(crate) fn packages() -> PathBuf {
    let Some(packages) = std::env::var_os(PUBLISHED) else {
        skip("Zuul's driver is not there; `scripts/test-tools` fetches it");
    };
    if !Path::new(PYTHON).exists() {
        skip("there is no /usr/bin/python3, which runs Zuul's driver and looks around inside");
    }
    packages.into()
}

/// What is to be launched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    pub(crate) ro: Vec<PathBuf>,
    pub(crate) rw: Vec<PathBuf>,
    pub(crate) secrets: Vec<(PathBuf, String)>,
    pub(crate) share_net: Option<bool>,
    pub(crate) agent: bool,
    pub(crate) home: Option<&'static str>,
    /// Instead of the probe.
    pub(crate) words: Option<Vec<String>>,
    /// The caller's variables, instead of those that the executor sets.
    pub(crate) inherits: bool,
}

/// A build's directory, as the executor makes it.
pub(crate) struct Job {
    pub(crate) top: PathBuf,
    /// More directories and files than there always are; what ends in `/` is one of the former.
    pub(crate) extra: Vec<String>,
    socket: PathBuf,
    /// On which Zuul finds its bwrap.
    search: String,
}

impl Job {
    fn new(here: &Here) -> Self {
        let socket = here.scratch.join("agent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let mut request = [0; 5];
                let _ = client.read_exact(&mut request).and_then(|()| client.write_all(&[0, 0, 0, 5, 12]));
            }
        });
        Self { top: here.scratch.join("job"), extra: Vec::new(), socket, search: path(&here.bwrap) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.top.join(name)
    }

    /// Makes it anew.
    fn build(&self) {
        let _ = fs::remove_dir_all(&self.top);
        for directory in [
            "home/.ssh",
            "utility-home",
            "work/src",
            "work/logs",
            "work/tmp",
            "ansible/playbook_0/group_vars",
            "ansible/playbook_1/group_vars",
            "trusted",
            "untrusted",
            "kube",
            ".ansible/cp",
            ".ansible/fact-cache",
            "extra-ro",
            "extra-rw",
        ] {
            fs::create_dir_all(self.path(directory)).unwrap();
        }
        let files = [
            ("site-vars.yaml", "site: 1\n"),
            ("extra-ro/a", "ro\n"),
            ("extra-rw/b", "rw\n"),
            ("work/probe.py", include_str!("probe.py")),
        ];
        for (file, text) in files {
            fs::write(self.path(file), text).unwrap();
        }
        for name in &self.extra {
            match name.strip_suffix('/') {
                Some(directory) => fs::create_dir_all(self.path(directory)).unwrap(),
                None => fs::write(self.path(name), name).unwrap(),
            }
        }
    }

    /// All that is there: kind, mode and content, by name.
    fn inventory(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut left = vec![self.top.clone()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(&directory).unwrap() {
                let (path, metadata) = (entry.as_ref().unwrap().path(), entry.unwrap().metadata().unwrap());
                let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
                if metadata.is_dir() {
                    left.push(path.clone());
                }
                found.insert(path, (metadata.permissions().mode(), content));
            }
        }
        found
    }

    fn words(&self, configuration: &Configuration) -> Vec<String> {
        if let Some(words) = &configuration.words {
            return words.clone();
        }
        let own = |name: &str| fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts", "time"];
        let namespaces: BTreeMap<_, _> = kinds.into_iter().map(|name| (name, own(name))).collect();
        let asked = json!([self.top, configuration.agent.then_some(&self.socket), namespaces]).to_string();
        let probe = self.path("work/probe.py").into_os_string().into_string().unwrap();
        [PYTHON, "-I", "-S", &probe, &asked].map(str::to_owned).to_vec()
    }

    /// What the executor sets.
    fn environment(&self) -> BTreeMap<&'static str, PathBuf> {
        BTreeMap::from([
            ("PATH", self.search.clone().into()),
            ("LANG", "C.UTF-8".into()),
            ("HOME", self.path("home")),
            ("TMP", self.path("work/tmp")),
            ("ZUUL_JOBDIR", self.top.clone()),
        ])
    }

    fn home(&self, configuration: &Configuration) -> PathBuf {
        self.path(configuration.home.unwrap_or("home"))
    }

    /// The profile's launcher of a configuration.
    pub(crate) fn launcher(&self, driver: &Driver, configuration: &Configuration) -> Launcher {
        let mut context = driver.context();
        for path in &configuration.ro {
            context = context.ro_path(path);
        }
        for path in &configuration.rw {
            context = context.rw_path(path);
        }
        for (path, text) in &configuration.secrets {
            context = context.secret(path, text.as_bytes());
        }
        let mut launcher = context.launcher(self.path("work"), self.home(configuration));
        if let Some(shared) = configuration.share_net {
            launcher = launcher.share_net(shared);
        }
        if configuration.agent {
            launcher = launcher.ssh_auth_sock(&self.socket);
        }
        launcher
    }
}

/// What became of a launch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    /// The number that the executor gets, or what Python raises.
    pub(crate) returned: Result<i32, String>,
    pub(crate) stdout: String,
    /// Of the command; bwrap's words are no part of it.
    pub(crate) stderr: String,
    /// What is on the host afterwards that was not before.
    pub(crate) left: BTreeMap<PathBuf, (u32, Vec<u8>)>,
}

impl Seen {
    /// What the probe saw.
    pub(crate) fn probed(&self) -> Value {
        assert_eq!(self.returned, Ok(0), "{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// Both launchers.
pub(crate) struct Both {
    zuul: Zuul,
    driver: Driver,
    pub(crate) job: Job,
}

impl Both {
    pub(crate) fn new(here: &Here) -> Self {
        let mut zuul = Zuul::start(&here.bwrap);
        let driver = Driver::new(&here.bwrap).unwrap();
        // it reads its score first
        assert_eq!(zuul.ask(&json!({"check": false})), json!({"checked": false}));
        // what is launched has its caller's, and the executor's own stays as it is in Zuul's hands
        fs::write("/proc/self/oom_score_adj", driver.oom_score_adj().unwrap().to_string()).unwrap();
        Self { zuul, driver, job: Job::new(here) }
    }

    /// Zuul's driver, on a job made anew.
    pub(crate) fn zuul(&mut self, configuration: &Configuration) -> Seen {
        let job = &self.job;
        job.build();
        let before = job.inventory();
        let mut popen = json!({"work_dir": job.path("work"), "home_dir": job.home(configuration)});
        if let Some(shared) = configuration.share_net {
            popen["share_net"] = shared.into();
        }
        if configuration.agent {
            popen["ssh_auth_sock"] = json!(job.socket);
        }
        let answer = self.zuul.ask(&json!({
            "ro": configuration.ro,
            "rw": configuration.rw,
            // (pairs, as their order counts)
            "secrets": configuration.secrets,
            "popen": popen,
            "args": job.words(configuration),
            "cwd": job.path("work"),
            "env": (!configuration.inherits).then(|| job.environment()),
        }));
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let returned = match answer["returncode"].as_i64() {
            Some(code) => Ok(i32::try_from(code).unwrap()),
            None => Err(text("raised")),
        };
        let left = job.inventory().into_iter().filter(|(path, is)| before.get(path) != Some(is)).collect();
        Seen { returned, stdout: text("stdout"), stderr: without_bwraps(&text("stderr")), left }
    }

    /// The profile, on a job made anew.
    pub(crate) fn ours(&self, configuration: &Configuration, fixes: Fixes) -> Seen {
        let job = &self.job;
        job.build();
        let before = job.inventory();
        let launcher = job.launcher(&self.driver.clone().fixes(fixes), configuration);
        let leftovers = launcher.leftovers();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let returned = match launcher.command(job.words(configuration)) {
            Err(error) => Err(error.to_string()),
            Ok(mut command) => {
                if !configuration.inherits {
                    command.env_clear().envs(job.environment());
                }
                let outcome = command.output();
                if let Ok(Output { stdout: out, stderr: err, .. }) = &outcome {
                    stdout = String::from_utf8_lossy(out).into_owned();
                    stderr = without_bwraps(&String::from_utf8_lossy(err));
                }
                Ok(returncode(&outcome.map(|output| output.status)))
            }
        };
        drop(leftovers);
        let left = job.inventory().into_iter().filter(|(path, is)| before.get(path) != Some(is)).collect();
        Seen { returned, stdout, stderr, left }
    }

    /// As Zuul without any fix, down to the last byte; and with all of them, but for what they are about. Says
    /// what became of Zuul's.
    pub(crate) fn compare(&mut self, configuration: &Configuration) -> Seen {
        let (zuul, plain) = (self.zuul(configuration), self.ours(configuration, Fixes::empty()));
        let fixed = self.ours(configuration, Fixes::all());
        assert_eq!(plain.left, zuul.left, "left on the host: {configuration:#?}");
        assert!(fixed.left.is_empty(), "left on the host: {:#?}\n{configuration:#?}", fixed.left.keys());
        match (&zuul.returned, &plain.returned) {
            (Ok(0), Ok(0)) if configuration.words.is_none() => {
                same(&zuul.probed(), &plain.probed(), configuration);
                same(&without_fixes(zuul.probed()), &without_fixes(fixed.probed()), configuration);
            }
            (Err(raised), Err(_)) => {
                // it is the braces that are wrong, and they are no longer
                assert!(raised.starts_with("KeyError") || raised.starts_with("ValueError"), "{raised}");
                fixed.probed();
            }
            _ => {
                let came_back =
                    |seen: &Seen| (seen.returned.clone(), seen.stdout.clone(), seen.stderr.clone());
                assert_eq!(came_back(&plain), came_back(&zuul), "{configuration:#?}");
                let braces = zuul.returned == Ok(1) && format!("{configuration:?}").contains('{');
                assert!(braces || came_back(&fixed) == came_back(&zuul), "{fixed:#?}\n{zuul:#?}");
            }
        }
        zuul
    }
}

/// Without the messages of bwrap, which are not for the command's errors in our case.
fn without_bwraps(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("bwrap: ")).collect::<Vec<_>>().join("\n")
}

/// Compares part by part, so that a difference can be read.
#[track_caller]
fn same(zuul: &Value, ours: &Value, configuration: &Configuration) {
    let mut differences = Vec::new();
    differ("", zuul, ours, &mut differences);
    assert!(differences.is_empty(), "zuul | ours:\n{}\n{configuration:#?}", differences.join("\n"));
}

fn differ(place: &str, zuul: &Value, ours: &Value, differences: &mut Vec<String>) {
    match (zuul, ours) {
        _ if zuul == ours => {}
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differ(&format!("{place} / {key}"), &of(a), &of(b), differences);
            }
        }
        // glibc's posix_spawn(3) ignores its own two signals in what it spawns
        (Value::String(a), Value::String(b)) if place.ends_with("SigIgn") => {
            let mask = |text: &str| u64::from_str_radix(text, 16).unwrap() & !(3 << 31);
            if mask(a) != mask(b) {
                differences.push(format!("{place}: {a} | {b}"));
            }
        }
        _ => differences.push(format!("{place}: {zuul} | {ours}")),
    }
}

/// Without what two fixes change: the line in `/etc/group`, and release files.
fn without_fixes(mut seen: Value) -> Value {
    let is_release = |path: &str| path.starts_with("/etc/") && path.ends_with("-release");
    seen["group"] = Value::Null;
    let files = seen["files"].as_object_mut().unwrap();
    files.retain(|path, _| !is_release(path) && path != "/etc/group");
    let mounts = seen["mounts"].as_array_mut().unwrap();
    // their order among themselves stays
    mounts.retain(|mount| !is_release(mount["point"].as_str().unwrap()));
    seen
}

/// Zuul's driver, in a Python that lives as long as this.
struct Zuul {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Zuul {
    fn start(bwrap: &Bwrap) -> Self {
        let mut process = Process::new(PYTHON);
        process.args(["-S", "-c", include_str!("driver.py")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        process.env("PATH", path(bwrap)).env("PYTHONDONTWRITEBYTECODE", "1");
        let mut process = process.spawn().unwrap();
        let (stdin, stdout) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        let mut zuul = Self { process, stdin, stdout };
        let mut environment: BTreeMap<_, _> = std::env::vars().collect();
        environment.insert("PATH".to_owned(), path(bwrap));
        zuul.tell(&json!({"zuul": packages(), "env": environment}));
        zuul
    }

    fn tell(&mut self, request: &Value) {
        writeln!(self.stdin.as_ref().unwrap(), "{request}").unwrap();
    }

    fn ask(&mut self, request: &Value) -> Value {
        self.tell(request);
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?} to {request}"))
    }
}

impl Drop for Zuul {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}

/// A `PATH` on which this bwrap comes first.
pub(crate) fn path(bwrap: &Bwrap) -> String {
    assert_eq!(bwrap.path().file_name().unwrap().as_bytes(), b"bwrap");
    format!("{}:/usr/bin:/bin", bwrap.path().parent().unwrap().display())
}

/// What Zuul's driver says to a start-up check, and only that.
pub(crate) fn zuuls_check(bwrap: &Bwrap) -> Value {
    Zuul::start(bwrap).ask(&json!({"check": true}))
}
