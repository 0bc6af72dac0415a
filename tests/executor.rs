//! The example executor, run for real, with threads and with tasks: what it says of builds that are good, that fail, whose sandbox
//! fails, that take too long, that are cancelled; and that nothing runs on when it is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[allow(dead_code, reason = "its main is called otherwise here")]
#[path = "../examples/executor/main.rs"]
mod executor;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, ExitCode, Stdio, exit};
use std::time::Duration;

use common::{Here, SETTLE, processes, processes_of, skip, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

fn main() -> ExitCode {
    common::main_in_turn(
        cases![
            a_c_project_is_built,
            a_rust_project_is_built,
            a_playbook_is_run,
            faults_are_told_apart,
            secrets_are_inside_only,
            an_agent_can_be_talked_to,
            limits_hold_and_usage_is_told,
            results_are_not_followed,
            cancelling_ends_all,
            killed_it_leaves_nothing,
            one_executor_a_directory,
        ],
        &[("executor", the_executor)],
    )
}

fn the_executor(words: &[String]) {
    exit(executor::run_with(words.iter().map(Into::into)).into())
}

/// With threads, and with tasks.
const FRONTS: [&[&str]; 2] = [&[], &["--tokio"]];

struct Ran {
    code: Option<i32>,
    out: String,
    report: Value,
}

impl Ran {
    fn of<'r>(&'r self, build: &str) -> &'r Value {
        let builds = self.report.as_array().unwrap_or_else(|| panic!("no report\n{}", self.out));
        builds.iter().find(|report| report["build"] == build).unwrap()
    }

    #[track_caller]
    fn is(&self, build: &str, outcome: &str) {
        assert_eq!(self.of(build)["outcome"], outcome, "{:#}\n{}", self.report, self.out);
    }
}

/// The executor with these builds.
fn process(here: &Here, front: &[&str], builds: &Value) -> Process {
    let file = here.scratch.join("builds.json");
    fs::write(&file, builds.to_string()).unwrap();
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(["--helper", "executor", "--state"]).arg(here.scratch.join("state")).args(front);
    process.arg("--report").arg(here.scratch.join("report")).arg(file);
    process.env("BWRAP", here.bwrap.path()).env_remove("SSH_AUTH_SOCK");
    process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process
}

fn ran(here: &Here, mut process: Process) -> Ran {
    let _ = fs::remove_file(here.scratch.join("report"));
    let output = process.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let report = fs::read_to_string(here.scratch.join("report")).unwrap_or_default();
    let report = serde_json::from_str(&report).unwrap_or_default();
    Ran { code: output.status.code(), out: text(&output.stdout) + &text(&output.stderr), report }
}

/// Runs it with both fronts, which must say the same.
fn runs(here: &Here, builds: &Value) -> Ran {
    runs_with(here, builds, &[])
}

fn runs_with(here: &Here, builds: &Value, env: &[(&str, &Path)]) -> Ran {
    let [threads, tasks] = FRONTS.map(|front| {
        let mut process = process(here, front, builds);
        process.envs(env.iter().copied());
        ran(here, process)
    });
    assert_eq!(threads.code, tasks.code, "{}\n{}", threads.out, tasks.out);
    assert_eq!(alike(&threads.report), alike(&tasks.report), "{}\n{}", threads.out, tasks.out);
    assert_eq!(fs::read_dir(here.scratch.join("state/jobs")).unwrap().count(), 0);
    threads
}

/// Without what differs from run to run.
fn alike(report: &Value) -> Value {
    let mut report = report.clone();
    for build in report.as_array_mut().unwrap_or(&mut Vec::new()) {
        for phase in build["phases"].as_array_mut().unwrap() {
            for figure in ["seconds", "cpu_seconds", "peak_memory", "exact"] {
                phase[figure] = Value::Null;
            }
        }
    }
    report
}

/// Writes the files of a project, which not every user could read where they are.
fn project(here: &Here, files: &[(&str, &str)]) -> PathBuf {
    let directory = here.scratch.join("project");
    for (name, text) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

/// One of the builds that come with the example.
fn shipped(name: &str, project: &Path) -> Value {
    let all: Value = serde_json::from_str(include_str!("../examples/executor/builds.json")).unwrap();
    let mut build = all.as_array().unwrap().iter().find(|build| build["name"] == name).unwrap().clone();
    build["project"] = json!(project);
    build
}

fn needs(program: &str) {
    if !Process::new(program).arg("--version").output().is_ok_and(|output| output.status.success()) {
        skip(&format!("there is no {program}, or not for this user"));
    }
}

fn a_c_project_is_built(here: &Here) {
    needs("cc");
    needs("make");
    let files = [
        ("Makefile", include_str!("../examples/executor/projects/c/Makefile")),
        ("roman.c", include_str!("../examples/executor/projects/c/roman.c")),
    ];
    let ran = runs(here, &json!([shipped("c", &project(here, &files))]));
    ran.is("c", "success");
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.of("c")["results"]["result"], "MMXXVI\n");
    assert!(ran.out.contains("c | run | all checks passed\n"), "{}", ran.out);
    // it is the project's own fault if it does not build
    let files = [("Makefile", files[0].1), ("roman.c", "int main(void) { return x; }\n")];
    let ran = runs(here, &json!([shipped("c", &project(here, &files))]));
    ran.is("c", "job failed");
    assert_eq!((ran.code, &ran.of("c")["phase"]), (Some(1), &json!("run")));
}

fn a_rust_project_is_built(here: &Here) {
    needs("cargo");
    needs("cc");
    let files = [
        ("manifest.toml", include_str!("../examples/executor/projects/rust/manifest.toml")),
        ("src/lib.rs", include_str!("../examples/executor/projects/rust/src/lib.rs")),
    ];
    let ran = runs(here, &json!([shipped("rust", &project(here, &files))]));
    ran.is("rust", "success");
    assert!(ran.out.contains("test tests::reads_numbers ... ok"), "{}", ran.out);
}

/// A real playbook, by the real Ansible.
fn a_playbook_is_run(here: &Here) {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/ansible-core-2.17.14");
    if fs::read_dir(&packages).is_err() {
        skip("ansible-core is not there, or not for this user; `scripts/test-tools` fetches it");
    }
    needs("/usr/bin/python3");
    let playbook = include_str!("../examples/executor/projects/ansible/playbook.yaml");
    let directory = project(here, &[("playbook.yaml", playbook)]);
    let build = json!({
        "name": "playbook", "project": directory, "tools": ["ansible"], "timeout": 100,
        "secrets": {"password": "hunter2"}, "env": {"ANSIBLE_NOCOLOR": "1"},
        "run": ["ansible-playbook", directory.join("playbook.yaml")], "results": ["result"],
    });
    let mut bad = build.clone();
    (bad["name"], bad["secrets"]) = (json!("bad"), json!({}));
    let ran = runs_with(here, &json!([build, bad]), &[("EXECUTOR_ANSIBLE", &packages)]);
    ran.is("playbook", "success");
    assert_eq!(ran.of("playbook")["results"]["result"], "the password has 7 bytes\n");
    assert!(ran.out.contains("failed=0"), "{}", ran.out);
    // the playbook's own failure is the status that Ansible has for it
    ran.is("bad", "job failed");
    assert_eq!(ran.of("bad")["why"], "exit status: 2");
}

fn faults_are_told_apart(here: &Here) {
    let stays = "trap 'echo saved; exit 0' TERM; echo waiting; sleep 600 & wait";
    let builds = json!([
        {"name": "good", "pre": ["true"], "run": ["sh", "-c", "echo hello; echo there >&2"], "post": ["true"]},
        {"name": "fails", "run": ["sh", "-c", "echo 'bwrap: Creating new namespace failed'; exit 1"],
         "post": ["echo", "post of fails"]},
        {"name": "fails-before", "pre": ["false"], "run": ["echo", "never"], "post": ["echo", "post of fails-before"]},
        {"name": "fails-after", "run": ["true"], "post": ["sh", "-c", "exit 7"]},
        {"name": "crashes", "run": ["sh", "-c", "kill -SEGV $$"]},
        {"name": "misspelt", "run": ["no-such-program"]},
        {"name": "too-long", "timeout": 4, "run": ["sh", "-c", stays], "post": ["echo", "post of too-long"]},
        {"name": "no-source", "ro_paths": ["/nonexistent/tools"], "run": ["echo", "never"], "post": ["echo", "never"]},
        {"name": "nothing"},
    ]);
    let ran = runs(here, &builds);
    assert_eq!(ran.code, Some(2));
    for (build, outcome, phase, why) in [
        ("good", "success", "", ""),
        ("fails", "job failed", "run", "exit status: 1"),
        ("fails-before", "job failed", "pre", "exit status: 1"),
        ("fails-after", "job failed", "post", "exit status: 7"),
        ("crashes", "job failed", "run", "signal: 11"),
        ("misspelt", "job failed", "run", "no-such-program"),
        ("too-long", "timed out", "run", ""),
        ("no-source", "sandbox failed", "run", "/nonexistent/tools"),
        ("nothing", "success", "", ""),
    ] {
        ran.is(build, outcome);
        let report = ran.of(build);
        assert_eq!(report["phase"].as_str().unwrap_or_default(), phase, "{report:#}");
        assert!(report["why"].as_str().unwrap_or_default().contains(why), "{report:#}");
    }
    let failed = ran.of("no-source");
    assert_eq!(failed["cause"], "BD01", "{failed:#}");
    assert!(!failed["remedy"].as_str().unwrap().is_empty());
    for line in [
        "good | run | hello",
        "good | run | there",
        "too-long | run | saved",
        "too-long | post | post of too-long",
    ] {
        assert!(ran.out.lines().any(|shown| shown == line), "{line}\n{}", ran.out);
    }
    for post in ["fails | post | post of fails", "fails-before | post | post of fails-before"] {
        assert!(ran.out.contains(post), "{}", ran.out);
    }
    assert!(!ran.out.contains("| never"), "{}", ran.out);
    // nothing was said for a while
    assert!(ran.out.contains("too-long | run : "), "{}", ran.out);
    assert_eq!(left(here), Vec::<String>::new());
}

fn secrets_are_inside_only(here: &Here) {
    let secret = format!("hunter-{}-2", std::process::id());
    let show = "cat $SECRETS/key; for line in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$line; done; env";
    let wait = "echo $(stat -f -c %T $SECRETS); read x";
    let builds = json!([
        {"name": "shows", "secrets": {"key": secret}, "run": ["sh", "-c", format!("{show}; {wait} </dev/null; true")]},
        {"name": "stays", "secrets": {"key": secret}, "run": ["sh", "-c", "cat $SECRETS/key >/dev/null; echo up; sleep 600"]},
    ]);
    for front in FRONTS {
        let mut child = process(here, front, &builds).args(["--at-a-time", "2"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut shown = Vec::new();
        let both = ["stays | run | up", "shows | run | tmpfs"].map(str::to_owned);
        while !both.iter().all(|line| shown.contains(line)) {
            shown.push(lines.next().unwrap_or_else(|| panic!("{shown:#?}")));
        }
        // on the host it is in no argument and in no file while it is there
        for process in processes() {
            for file in ["cmdline", "environ"] {
                let words = fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
                let found = String::from_utf8_lossy(&words).contains(&secret);
                assert!(!found, "{file} of {process}");
            }
        }
        let found =
            Process::new("grep").args(["-r", "-l", "--", &secret]).arg(here.scratch.join("state")).output();
        assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
        kill(pid(&child), Signal::SIGTERM).unwrap();
        shown.extend(lines);
        child.wait().unwrap();
        let mine: Vec<_> = shown.iter().filter(|line| line.contains(&secret)).collect();
        assert_eq!(mine.len(), 1, "{shown:#?}");
        assert!(mine[0].starts_with(&format!("shows | run | {secret}")), "{mine:?}");
    }
}

/// Only its socket is inside, and it answers.
fn an_agent_can_be_talked_to(here: &Here) {
    needs("/usr/bin/python3");
    let socket = here.scratch.join("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut asked = [0; 3];
            let _ = client.read_exact(&mut asked).and_then(|()| client.write_all(b"yes"));
        }
    });
    let talk = "import os, socket; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['SSH_AUTH_SOCK']); \
                s.send(b'one'); print('agent says', s.recv(9).decode())";
    let builds = json!([{"name": "talks", "run": ["python3", "-c", talk]}]);
    let ran = runs_with(here, &builds, &[("SSH_AUTH_SOCK", &socket)]);
    ran.is("talks", "success");
    assert!(ran.out.contains("talks | run | agent says yes\n"), "{}", ran.out);
}

fn limits_hold_and_usage_is_told(here: &Here) {
    let burn = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; ulimit -n; ulimit -c; cat /proc/self/oom_score_adj";
    let limits = json!({"open_files": 77, "processes": 50, "memory": 200 << 20, "file_size": 1 << 20});
    let builds = json!([
        {"name": "burns", "limits": limits, "run": ["sh", "-c", burn]},
        {"name": "writes", "limits": limits, "run": ["sh", "-c", "head -c 9000000 /dev/zero > large"]},
    ]);
    let ran = runs(here, &builds);
    ran.is("burns", "success");
    ran.is("writes", "job failed");
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    for value in ["77", "0", &(own + 200).min(1000).to_string()] {
        assert!(ran.out.contains(&format!("burns | run | {value}\n")), "{value}\n{}", ran.out);
    }
    let phase = &ran.of("burns")["phases"][0];
    assert!(phase["cpu_seconds"].as_f64().unwrap() > 0.0, "{phase:#}");
    // where a control group could be had, the kernel has counted all of it
    let group = phase["limits_not_set"].as_array().unwrap().is_empty();
    assert_eq!(phase["exact"].as_bool().unwrap(), group, "{phase:#}");
}

fn results_are_not_followed(here: &Here) {
    let builds =
        json!([{"name": "traps", "run": ["ln", "-s", "/etc/passwd", "result"], "results": ["result"]}]);
    let ran = runs(here, &builds);
    ran.is("traps", "job failed");
    assert!(!ran.report.to_string().contains("root:"), "{:#}", ran.report);
}

fn cancelling_ends_all(here: &Here) {
    let polite = "trap 'echo saved; exit 0' TERM; echo up; sleep 600 & wait";
    let builds = json!([
        {"name": "polite", "run": ["sh", "-c", polite], "post": ["echo", "never"]},
        {"name": "stubborn", "run": ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]},
        {"name": "waits", "run": ["echo", "never"]},
    ]);
    for front in FRONTS {
        let mut child = process(here, front, &builds).args(["--at-a-time", "2"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut shown = Vec::new();
        while shown.iter().filter(|line: &&String| line.ends_with("| up")).count() < 2 {
            shown.push(lines.next().unwrap_or_else(|| panic!("{shown:#?}")));
        }
        kill(pid(&child), Signal::SIGINT).unwrap();
        while !shown.iter().any(|line| line == "polite | run | saved") {
            shown.push(lines.next().unwrap_or_else(|| panic!("{shown:#?}")));
        }
        // asked once more, it does not wait for who does not obey
        kill(pid(&child), Signal::SIGTERM).unwrap();
        shown.extend(lines);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{shown:#?}");
        let report: Value = serde_json::from_slice(&fs::read(here.scratch.join("report")).unwrap()).unwrap();
        for build in report.as_array().unwrap() {
            assert_eq!(build["outcome"], "cancelled", "{report:#}");
        }
        assert!(!shown.iter().any(|line| line.ends_with("| never")), "{shown:#?}");
        assert_eq!(left(here), Vec::<String>::new());
    }
}

/// Whatever it does at that moment. (What it does is much the same with every bwrap: see `tests/cleanup` for thousands of moments.)
fn killed_it_leaves_nothing(here: &Here) {
    let forks = "(setsid sleep 600 &); sleep 600 & echo up; wait";
    let build = |number| json!({"name": format!("b{number}"), "pre": ["true"], "run": ["sh", "-c", forks]});
    let builds: Value = (0..4).map(build).collect();
    let mut moments = 0x2545_f491_4f6c_dd1d_u64 ^ u64::from(std::process::id());
    for round in 0..20 {
        // (xorshift)
        moments ^= moments << 13;
        moments ^= moments >> 7;
        moments ^= moments << 17;
        let mut process = process(here, FRONTS[round % 2], &builds);
        process.stdout(Stdio::null()).stderr(Stdio::null()).args(["--at-a-time", "4"]);
        let mut child = process.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(moments % 150));
        child.kill().unwrap();
        child.wait().unwrap();
        let gone = within(SETTLE, || left(here).is_empty());
        assert!(gone, "round {round}, after {} ms: {:#?}", moments % 150, left(here));
    }
    println!("counted: 20 executors killed, nothing left");
    // it removes what lies about
    let ran = ran(here, process(here, &[], &json!([{"name": "next", "run": ["true"]}])));
    ran.is("next", "success");
    assert_eq!(fs::read_dir(here.scratch.join("state/jobs")).unwrap().count(), 0);
}

fn one_executor_a_directory(here: &Here) {
    let builds = json!([{"name": "stays", "run": ["sh", "-c", "echo up; sleep 600"]}]);
    let mut child = process(here, &[], &builds).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line == "stays | run | up").unwrap();
    let second = ran(here, process(here, &[], &json!([])));
    kill(pid(&child), Signal::SIGTERM).unwrap();
    lines.by_ref().for_each(drop);
    child.wait().unwrap();
    assert_eq!(second.code, Some(2));
    assert!(second.out.contains("another executor works here"), "{}", second.out);
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// What is left of the executor's, but itself.
fn left(here: &Here) -> Vec<String> {
    processes_of(&here.scratch.join("state"))
}
