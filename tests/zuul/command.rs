//! Our `zuul-bwrap` beside Zuul's.

use std::path::Path;
use std::process::{Command as Process, Output};

use crate::common::Here;
use crate::fixes::on_a_machine_without;
use crate::kit::{PYTHON, packages};

/// Zuul's, which says at length what it launches.
const MAIN: &str = "import logging, sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = 'zuul-bwrap'
from zuul.driver.bubblewrap import main; logging.basicConfig(level=logging.CRITICAL); main()";

/// A helper: the example.
pub(crate) fn zuul_bwrap(words: &[String]) {
    std::process::exit(crate::zuul_bwrap::run_with(words.iter().map(Into::into)).into());
}

fn theirs(words: &[&str]) -> Output {
    let packages = packages();
    Process::new(PYTHON).args(["-S", "-c", MAIN]).arg(packages).args(words).output().unwrap()
}

fn ours(words: &[&str], without: &str) -> Output {
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(["--helper", "zuul-bwrap"]).args(words).env("ZUUL_BWRAP_WITHOUT", without).output().unwrap()
}

fn make_directories() {
    for directory in ["/tmp/work", "/tmp/home", "/tmp/ro/vars", "/tmp/rw"] {
        std::fs::create_dir_all(directory).unwrap();
    }
    std::fs::write("/tmp/ro/file", "text\n").unwrap();
}

pub(crate) fn the_command_takes_the_same_arguments(here: &Here) {
    on_a_machine_without(here, &[], "compare-commands");
}

/// A helper: both print the same, and both refuse the same.
pub(crate) fn compare(_: &[String]) {
    make_directories();
    let all = [
        "/tmp/work /tmp/home pwd",
        "/tmp/work /tmp/home -- sh -c pwd;ls;ls$IFS/tmp",
        "--ro-paths /tmp/ro -- /tmp/work /tmp/home cat /tmp/ro/file",
        "--ro-paths /tmp/ro /tmp/rw --rw /tmp/rw -- /tmp/work /tmp/home touch /tmp/ro/x /tmp/rw/x",
        "/tmp/work /tmp/home cat /tmp/ro/file --ro-paths /tmp/ro",
        "/tmp/work /tmp/home --ro-paths=/tmp/ro cat /tmp/ro/file",
        "/tmp/work --rw-paths /tmp/rw --ro-paths /tmp/ro -- /tmp/home ls /tmp",
        "--ro-paths /tmp/rw --ro-paths /tmp/ro -- /tmp/work /tmp/home ls /tmp",
        "--ro-paths /tmp/ro --secret /tmp/ro/vars/all=a=b /tmp/ro/vars/more= -- /tmp/work /tmp/home -- head /tmp/ro/vars/all /tmp/ro/vars/more",
        "--secret /tmp/s/all=text -- /tmp/work /tmp/home cat /tmp/s/all",
        "/tmp/work /tmp/home echo -1 - -.5 -1.25",
        // what has a blank is an option if its name is one's
        "--secret=/tmp/s/all=two~words -- /tmp/work /tmp/home cat /tmp/s/all",
        "/tmp/work /tmp/home echo -x~y",
        "--help",
        // wrong
        "",
        "/tmp/work /tmp/home",
        "/tmp/work /tmp/home ls -l",
        "--ro-paths -- /tmp/work /tmp/home ls",
        "--ro-paths /tmp/work /tmp/home ls",
        "--r /tmp/ro -- /tmp/work /tmp/home ls",
        "--no-such /tmp/work /tmp/home ls",
        "/tmp/work /tmp/home echo -1e5",
        "/tmp/work /tmp/home echo -inf",
        "--ro-paths=/tmp/no~such -- /tmp/work /tmp/home ls",
        "/tmp/work /tmp/home ls --ro-paths /tmp/ro -- /tmp",
    ];
    for line in all {
        let words: Vec<String> = line.split_whitespace().map(|word| word.replace('~', " ")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (theirs, ours) = (theirs(&words), ours(&words, "STATUS"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = format!("{line}\n{}\n{}", text(&theirs.stderr), text(&ours.stderr));
        assert_eq!(ours.status.code(), theirs.status.code(), "{said}");
        if line != "--help" {
            assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{said}");
        }
        // it leaves one behind
        std::fs::remove_dir("/tmp/tmp").unwrap();
        let _ = std::fs::remove_dir("/tmp/work/tmp");
    }
}

pub(crate) fn the_command_passes_the_status_on(here: &Here) {
    on_a_machine_without(here, &[], "compare-statuses");
}

/// A helper: Zuul's always says 0.
pub(crate) fn compare_statuses(_: &[String]) {
    make_directories();
    let base = ["/tmp/work", "/tmp/home", "--"];
    let cases: [(&[&str], i32); 6] = [
        (&["true"], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["no-such-program"], 127),
        (&["/etc/passwd"], 126),
        (&["false"], 1),
    ];
    for (words, expected) in cases {
        let line = [&base[..], words].concat();
        assert_eq!(theirs(&line).status.code(), Some(0), "{words:?}");
        assert_eq!(ours(&line, "STATUS").status.code(), Some(0), "{words:?}");
        assert_eq!(ours(&line, "").status.code(), Some(expected), "{words:?}");
        assert!(!Path::new("/tmp/work/tmp").exists() || std::fs::remove_dir("/tmp/work/tmp").is_ok());
    }
    // no sandbox, and why
    let output = ours(&["--ro-paths", "/no/such/path", "--", "/tmp/work", "/tmp/home", "true"], "");
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/path"));
}
