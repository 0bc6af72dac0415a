//! The examples that other runners start: called as cargo, GitLab Runner and Buildbot call them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "runners/buildbot.rs"]
mod buildbot;
#[allow(dead_code, reason = "its main is called otherwise here")]
#[path = "../examples/buildbot_step.rs"]
mod buildbot_step;
#[allow(dead_code, reason = "its main is called otherwise here")]
#[path = "../examples/cargo_runner.rs"]
mod cargo_runner;
mod common;
#[allow(dead_code, reason = "its main is called otherwise here")]
#[path = "../examples/gitlab_executor.rs"]
mod gitlab_executor;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode, Stdio, exit};

use buildbot::buildbot_is_told_whose_failure_it_is;
use common::{Here, SETTLE, skip, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn main() -> ExitCode {
    common::main_in_turn(
        cases![
            buildbot_is_told_whose_failure_it_is,
            cargo_is_told_whose_failure_it_is,
            cargos_tests_leave_nothing,
            what_a_test_writes_is_gone,
            pytests_tests_leave_nothing,
            gitlabs_job_goes_through_its_stages,
            gitlab_is_told_whose_failure_it_is,
            gitlab_cancels_a_job,
        ],
        &[
            ("buildbot-step", |words| exit(buildbot_step::run_with(words.iter().map(Into::into)).into())),
            ("cargo-runner", |words| exit(cargo_runner::run_with(words.iter().map(Into::into)).into())),
            ("gitlab-executor", |words| exit(gitlab_executor::run_with(words.iter().map(Into::into)).into())),
        ],
    )
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
}

fn ran(mut process: Process) -> Ran {
    let output = process.stdin(Stdio::null()).output().unwrap();
    let out = [output.stdout, output.stderr].concat();
    Ran { code: output.status.code(), out: String::from_utf8_lossy(&out).into_owned() }
}

/// Cargo's own tests of a small package, run by the example.
fn cargo_test(here: &Here, arguments: &[&str]) -> Process {
    let works =
        |program| Process::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !works("cargo") || !works("cc") {
        skip("there is no cargo or no cc, or not for this user");
    }
    let package = here.scratch.join("package");
    for (name, text) in [
        ("Cargo.toml", "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n"),
        ("src/lib.rs", "#[test]\nfn of_the_library() {}\n"),
        ("tests/writes.rs", WRITES),
    ] {
        let path = package.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let variable = format!("CARGO_TARGET_{}_RUNNER", host_triple().to_uppercase().replace('-', "_"));
    let runner = format!("{} --helper cargo-runner", std::env::current_exe().unwrap().display());
    let mut process = Process::new("cargo");
    process.args(["test", "--offline"]).args(arguments).current_dir(package);
    process.env(variable, runner).env("BWRAP", here.bwrap.path()).env("NAME", marker());
    process.env("CARGO_TARGET_DIR", here.scratch.join("target"));
    if here.bwrap.accepts("--tmp-overlay") {
        process.env("OVERLAY", "1");
    }
    process
}

const WRITES: &str = r#"
use std::fs;
#[test]
fn writes() {
    let name = std::env::var("NAME").unwrap();
    fs::write(format!("/tmp/{name}"), "x").unwrap();
    if std::env::var_os("OVERLAY").is_some() {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/left"), "x").unwrap();
        fs::remove_file(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
        fs::write(format!("{}/{name}", env!("CARGO_TARGET_TMPDIR")), "x").unwrap();
        if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
            fs::write(format!("/etc/{name}"), "x").unwrap();
        }
    }
}
#[test]
fn sees_its_package() {
    assert!(fs::read_to_string("Cargo.toml").unwrap().contains("small"));
    std::net::TcpListener::bind("127.0.0.1:0").unwrap();
}
#[test]
#[ignore]
fn fails() {
    panic!("on purpose");
}
#[test]
#[ignore]
fn crashes() {
    std::process::abort();
}
"#;

fn host_triple() -> String {
    let version = Process::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(version.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn marker() -> String {
    format!("bwrap-launch-runner-{}", std::process::id())
}

fn cargos_tests_leave_nothing(here: &Here) {
    let done = ran(cargo_test(here, &[]));
    assert_eq!(done.code, Some(0), "{}", done.out);
    for test in ["of_the_library", "writes", "sees_its_package"] {
        assert!(done.out.contains(&format!("test {test} ... ok")), "{}", done.out);
    }
    let package = here.scratch.join("package");
    let tmp = here.scratch.join("target/tmp");
    for place in [Path::new("/tmp"), Path::new("/etc"), tmp.as_path()] {
        assert!(!place.join(marker()).exists(), "{}", place.display());
    }
    assert!(!package.join("left").exists() && package.join("src/lib.rs").exists());
}

fn cargo_is_told_whose_failure_it_is(here: &Here) {
    let done = ran(cargo_test(here, &["--test", "writes", "--", "--ignored", "fails"]));
    assert!(done.code == Some(101) && done.out.contains("on purpose"), "{done:?}");
    let done = ran(cargo_test(here, &["--test", "writes", "--", "--ignored", "crashes"]));
    assert!(done.out.contains("exit status: 134"), "{done:?}");
    let mut process = cargo_test(here, &["--test", "writes"]);
    process.env("BWRAP", "/nonexistent/bwrap");
    let done = ran(process);
    assert!(done.out.contains("exit status: 125") && done.out.contains("/nonexistent/bwrap"), "{done:?}");
}

/// As cargo starts it, for users without cargo, too.
fn what_a_test_writes_is_gone(here: &Here) {
    let (package, built) = (here.scratch.join("package"), here.scratch.join("target/debug/deps"));
    let test = built.join("test");
    for directory in [&package, &built] {
        fs::create_dir_all(directory).unwrap();
    }
    let run = |script: &str| {
        fs::write(&test, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&test, fs::Permissions::from_mode(0o755)).unwrap();
        let mut process = Process::new(std::env::current_exe().unwrap());
        process.args(["--helper", "cargo-runner"]).arg(&test).arg("two words").current_dir(&package);
        process.env("BWRAP", here.bwrap.path()).env("NAME", marker());
        ran(process)
    };
    let done = run("echo x >/tmp/$NAME && cat /tmp/$NAME && echo \"$1 in $PWD\"; exit 3");
    assert!(done.code == Some(3) && done.out.contains("x\ntwo words in "), "{done:?}");
    assert!(done.out.contains(package.to_str().unwrap()), "{done:?}");
    if here.bwrap.accepts("--tmp-overlay") {
        let done = run("echo x >left && mkdir ../target/new && cat left && rm \"$0\" && ls -a");
        assert!(done.code == Some(0) && done.out.contains("left"), "{done:?}");
    }
    assert!(!Path::new("/tmp").join(marker()).exists() && !here.scratch.join("target/new").exists());
    assert!(test.exists() && fs::read_dir(&package).unwrap().count() == 0);
}

const PYTHON_TESTS: &str = "
import os, pathlib, pytest

@pytest.fixture
def left():
    path = pathlib.Path('/tmp') / os.environ['NAME']
    path.write_text('x')
    return path

def test_writes(left):
    assert left.read_text() == 'x'

def test_sees_nothing_of_it():
    assert not (pathlib.Path('/tmp') / os.environ['NAME']).exists()

@pytest.mark.parametrize('n', [1, 2])
def test_many(n):
    assert n < 2

def test_crashes():
    os.abort()

def test_is_skipped():
    pytest.skip('not today')
";

/// Each test of Python's in a sandbox of its own.
fn pytests_tests_leave_nothing(here: &Here) {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/pytest-8.4.2");
    if fs::read_dir(&packages).is_err() || !Path::new("/usr/bin/python3").exists() {
        skip("pytest is not there, or not for this user; `scripts/test-tools` fetches it");
    }
    let package = here.scratch.join("package");
    let plugin = here.scratch.join("plugin");
    for (directory, name, text) in [
        (&package, "test_it.py", PYTHON_TESTS),
        (&plugin, "pytest_overlay.py", include_str!("../examples/pytest_overlay.py")),
    ] {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join(name), text).unwrap();
    }
    // where root reads it, it is not hidden by a /tmp of the sandbox's own
    let published = package.join("packages");
    assert!(Process::new("cp").arg("-r").arg(&packages).arg(&published).status().unwrap().success());
    fs::rename(plugin.join("pytest_overlay.py"), published.join("pytest_overlay.py")).unwrap();
    let run = |bwrap: &Path| {
        let mut process = Process::new("/usr/bin/python3");
        process.args(["-m", "pytest", "-p", "pytest_overlay", "-p", "no:cacheprovider", "-ra", "test_it.py"]);
        process.current_dir(&package).env("PYTHONPATH", &published).env("PYTHONDONTWRITEBYTECODE", "1");
        let runner = format!("{} --helper cargo-runner", std::env::current_exe().unwrap().display());
        process.env("OVERLAY_RUNNER", runner).env("BWRAP", bwrap).env("NAME", marker());
        ran(process)
    };
    let done = run(here.bwrap.path());
    assert!(done.code == Some(1) && done.out.contains("2 failed, 3 passed, 1 skipped"), "{}", done.out);
    assert!(done.out.contains("exit status 134"), "{}", done.out);
    assert!(!Path::new("/tmp").join(marker()).exists());
    let done = run(Path::new("/nonexistent/bwrap"));
    assert!(done.code == Some(1) && done.out.contains("6 errors"), "{}", done.out);
}

/// What the runner gives every call.
fn gitlab(here: &Here, words: &[&str]) -> Process {
    let jobs = here.scratch.join("jobs");
    fs::create_dir_all(&jobs).unwrap();
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(["--helper", "gitlab-executor"]).args(words).env("BWRAP", here.bwrap.path());
    process.env("BWRAP_LAUNCH_GITLAB_DIR", jobs).env("CUSTOM_ENV_CI_JOB_ID", "17");
    process.env("BUILD_FAILURE_EXIT_CODE", "101").env("SYSTEM_FAILURE_EXIT_CODE", "102");
    process
}

/// A script, where the runner puts them: in a directory of its own.
fn script(here: &Here, text: &str) -> PathBuf {
    let path = here.scratch.join("script");
    fs::write(&path, format!("set -e\n{text}\n")).unwrap();
    path
}

fn gitlab_runs(here: &Here, stage: &str, text: &str) -> Process {
    gitlab(here, &["run", script(here, text).to_str().unwrap(), stage])
}

fn gitlabs_job_goes_through_its_stages(here: &Here) {
    let config = ran(gitlab(here, &["config"]));
    assert_eq!(config.code, Some(0), "{config:?}");
    let config: serde_json::Value = serde_json::from_str(&config.out).unwrap();
    let builds = config["builds_dir"].as_str().unwrap().to_owned();
    let prepared = ran(gitlab(here, &["prepare"]));
    assert_eq!(prepared.code, Some(0), "{prepared:?}");
    let devices = "cat /proc/net/dev | grep -c :";
    for (stage, text, out) in [
        ("prepare_script", "echo on $(hostname)".to_owned(), "on "),
        (
            "get_sources",
            format!("mkdir -p {builds}/project; echo 'echo built' >{builds}/project/make.sh"),
            "",
        ),
        (
            "build_script",
            format!("cd {builds}/project; sh make.sh | tee made; ! touch /usr/x 2>/dev/null"),
            "built\n",
        ),
        ("after_script", format!("cat {builds}/project/made; {devices}"), "built\n1\n"),
    ] {
        let done = ran(gitlab_runs(here, stage, &text));
        assert!(done.code == Some(0) && done.out.starts_with(out), "{stage}: {done:?}");
    }
    // the secrets of the runner's host are not inside
    let done = ran(gitlab_runs(here, "build_script", "env; ls -A /home /run"));
    assert!(!done.out.contains("CUSTOM_ENV") && !done.out.contains("EXIT_CODE"), "{done:?}");
    assert_eq!(ran(gitlab(here, &["cleanup"])).code, Some(0));
    assert_eq!(fs::read_dir(here.scratch.join("jobs")).unwrap().count(), 0);
    assert_eq!(ran(gitlab(here, &["cleanup"])).code, Some(0));
}

fn gitlab_is_told_whose_failure_it_is(here: &Here) {
    assert_eq!(ran(gitlab(here, &["prepare"])).code, Some(0));
    let told = here.scratch.join("exit-code");
    let mut process = gitlab_runs(here, "build_script", "echo 'bwrap: no permissions'; exit 3");
    process.env("BUILD_EXIT_CODE_FILE", &told);
    let done = ran(process);
    assert_eq!(fs::read_to_string(told).unwrap(), "3");
    assert!(done.code == Some(101) && done.out.contains("exit status: 3"), "{done:?}");
    let done = ran(gitlab_runs(here, "build_script", "kill -SEGV $$"));
    assert!(done.code == Some(101) && done.out.contains("signal: 11"), "{done:?}");
    for words in [vec!["prepare"], vec!["run", "SCRIPT", "build_script"]] {
        let path = script(here, "echo ran");
        let words: Vec<_> =
            words.iter().map(|word| if *word == "SCRIPT" { path.to_str().unwrap() } else { word }).collect();
        let mut process = gitlab(here, &words);
        process.env("BWRAP_LAUNCH_GITLAB_RO_PATHS", "/opt/nonexistent/tools");
        let done = ran(process);
        assert!(done.code == Some(102) && done.out.contains("BD01"), "{done:?}");
        assert!(!done.out.contains("ran\n"), "{done:?}");
    }
    for wrong in [&["run"][..], &["elsewhere"]] {
        assert_eq!(ran(gitlab(here, wrong)).code, Some(102));
    }
    let mut process = gitlab(here, &["cleanup"]);
    process.env("CUSTOM_ENV_CI_JOB_ID", "../17");
    assert_eq!(ran(process).code, Some(102));
    assert!(here.scratch.join("jobs/17").exists());
}

fn gitlab_cancels_a_job(here: &Here) {
    assert_eq!(ran(gitlab(here, &["prepare"])).code, Some(0));
    let text = "trap 'echo saved; exit 0' TERM; echo up; sleep 600 & wait";
    let mut process = gitlab_runs(here, "build_script", text);
    let mut child = process.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "up");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(lines.next().unwrap(), "saved");
    child.wait().unwrap();
    // killed itself, it leaves nothing
    let mut process = gitlab_runs(here, "build_script", "echo up; setsid sleep 600 & sleep 600");
    let mut child = process.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "up");
    child.kill().unwrap();
    child.wait().unwrap();
    // whoever is left holds the pipe
    let ended = std::thread::spawn(move || lines.next());
    assert!(within(SETTLE, || ended.is_finished()));
}
