//! A master and a worker of Buildbot's, on loopback; the worker has our sandboxes, by its plugin.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command as Process, Stdio};

use serde_json::{Value, json};

use crate::common::{Here, SETTLE, processes_of, skip, within};

const MASTER: &str = "
from buildbot.master import BuildMaster
from twisted.application import service
application = service.Application('master')
BuildMaster('.', 'master.cfg').setServiceParent(application)
";

/// As people write it; it is told the port once the master has one.
const WORKER: &str = "
import json, os, sys
import buildbot_sandbox
from buildbot_worker import runprocess
from buildbot_worker.bot import Worker
from twisted.application import service
buildbot_sandbox.install(os.environ['STEP'], '--helper', 'buildbot-step')
application = service.Application('worker')
worker = Worker('127.0.0.1', json.loads(sys.stdin.readline())['port'], 'worker', 'password', os.getcwd(), keepalive=None)
# output is sent on at once, not every five seconds
worker.bot.buffer_timeout = 0
# what was killed may take long to end where much else runs
runprocess.RunProcess.BACKUP_TIMEOUT = 60
worker.setServiceParent(application)
";

/// A process that ends with this one, however that ends.
struct Tied(Child);

impl Drop for Tied {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts Twisted in a directory of its own with these files.
fn twisted(here: &Here, name: &str, builds: &Value, files: &[(&str, &str)]) -> Tied {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/buildbot-4.3.0");
    if fs::read_dir(&packages).is_err() || !Path::new("/usr/bin/python3").exists() {
        skip("buildbot is not there, or not for this user; `scripts/test-tools` fetches it");
    }
    let directory = here.scratch.join(name);
    fs::create_dir(&directory).unwrap();
    for (file, text) in files {
        fs::write(directory.join(file), text).unwrap();
    }
    let search = std::env::join_paths([&packages, &directory]).unwrap();
    let mut process = Process::new("setpriv");
    process.args(["--pdeathsig", "KILL", "--", "/usr/bin/python3", "-c"]);
    process.args(["from twisted.scripts.twistd import run; run()", "-noy", "buildbot.tac", "--pidfile="]);
    process.args(["--logfile", "log"]).current_dir(directory).env("PYTHONPATH", search);
    process.env("PYTHONDONTWRITEBYTECODE", "1").env("HOME", &here.scratch).env("BUILDS", builds.to_string());
    process.env("STEP", std::env::current_exe().unwrap()).env("BWRAP", here.bwrap.path());
    process.stdin(Stdio::piped()).stdout(Stdio::piped());
    Tied(process.spawn().unwrap())
}

fn line(here: &Here, lines: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let log = || fs::read_to_string(here.scratch.join("master/log")).unwrap_or_default();
    assert!(!line.is_empty(), "the master has ended\n{}", log());
    line
}

/// What came of builds: their results, and all that was logged.
fn built(here: &Here, builds: &Value) -> HashMap<String, (String, String)> {
    let master = [("buildbot.tac", MASTER), ("master.cfg", include_str!("master.cfg"))];
    let worker = [
        ("buildbot.tac", WORKER),
        ("buildbot_sandbox.py", include_str!("../../examples/buildbot_sandbox.py")),
    ];
    let mut master = twisted(here, "master", builds, &master);
    let mut worker = twisted(here, "worker", builds, &worker);
    let mut lines = BufReader::new(master.0.stdout.take().unwrap());
    let port = line(here, &mut lines);
    worker.0.stdin.take().unwrap().write_all(port.as_bytes()).unwrap();
    let told: Value = serde_json::from_str(&line(here, &mut lines)).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = told.as_object().unwrap().iter();
    told.map(|(name, build)| (name.clone(), (text(&build["results"]), text(&build["log"])))).collect()
}

pub(crate) fn buildbot_is_told_whose_failure_it_is(here: &Here) {
    let stays = "(setsid sleep 600 &); echo up; sleep 600";
    let builds = json!({
        "good": [
            {"command": ["sh", "-c", "echo made >made; ! touch /usr/x 2>/dev/null; env; grep -c : /proc/net/dev"], "env": {"GREETING": "hello"}},
            {"command": "cat made; pwd"},
        ],
        "fails": [{"command": ["sh", "-c", "echo 'bwrap: no permissions'; exit 3"]}],
        // what the program exits with if there is no sandbox
        "fails-alike": [{"command": "exit 125"}],
        "crashes": [{"command": "kill -SEGV $$"}],
        "misspelt": [{"command": ["no-such-program"]}],
        "no-source": [{"command": "echo never", "env": {"BWRAP_LAUNCH_BUILDBOT_RO_PATHS": "/opt/nonexistent/tools"}}],
        "no-bwrap": [{"command": "echo never", "env": {"BWRAP": "/nonexistent/bwrap"}}],
        "cancelled": [{"command": ["sh", "-c", stays], "cancel": true}],
        "asked-to-end": [{"command": ["sh", "-c", "trap 'echo saved; exit 0' TERM; echo up; sleep 600 & wait"],
                          "cancel": true, "sigtermTime": 60}],
        "too-long": [{"command": ["sh", "-c", stays], "maxTime": 1}],
        "silent": [{"command": ["sh", "-c", stays], "timeout": 1}],
    });
    let built = built(here, &builds);
    for (build, results, said) in [
        ("good", "success", "\nomade\n"),
        ("fails", "failure", "exit code 3"),
        ("fails-alike", "failure", "exit code 125"),
        ("crashes", "failure", "signal: 11"),
        ("misspelt", "failure", "EX02"),
        ("no-source", "exception", "BD01"),
        ("no-bwrap", "exception", "/nonexistent/bwrap"),
        ("cancelled", "cancelled", "killed by signal 9"),
        ("asked-to-end", "cancelled", "\nosaved\n"),
        ("too-long", "failure", "command timed out: 1 seconds elapsed"),
        ("silent", "failure", "command timed out: 1 seconds without output"),
    ] {
        let (found, log) = &built[build];
        assert!(found == results && log.contains(said), "{build}: {found}\n{log}");
        assert_eq!(log.contains("SandboxFailed"), results == "exception", "{build}\n{log}");
        assert!(!log.contains("\nonever"), "{build}\n{log}");
    }
    let log = &built["good"].1;
    for inside in ["GREETING=hello\n", "PATH=/usr/local/bin", "\no1\n", "worker/good/build\n"] {
        assert!(log.contains(inside), "{inside}\n{log}");
    }
    assert!(!log.contains("BUILDS="), "{log}");
    // both daemons are gone, too
    assert!(within(SETTLE, || processes_of(&here.scratch).is_empty()), "{:#?}", processes_of(&here.scratch));
}
