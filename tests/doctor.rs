//! The program `bwrap-doctor`, as its users run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "doctor/check.rs"]
mod check;
#[path = "doctor/explain.rs"]
mod explain;
#[path = "common/golden.rs"]
mod golden;
#[allow(dead_code, reason = "the cases of other suites")]
#[path = "common/gvisor.rs"]
mod gvisor;
#[path = "doctor/host.rs"]
mod host;
#[path = "doctor/interface.rs"]
mod interface;
#[path = "common/kubectl.rs"]
mod kubectl;
#[path = "doctor/lines.rs"]
mod lines;
#[path = "doctor/pod.rs"]
mod pod;
#[path = "doctor/pod_change.rs"]
mod pod_change;
#[path = "doctor/pod_left.rs"]
mod pod_left;
#[path = "doctor/pod_node.rs"]
mod pod_node;
#[path = "doctor/run.rs"]
mod run;
#[path = "doctor/schema.rs"]
mod schema;

use std::io::Write;
use std::process::{Command, Output, Stdio};

const DOCTOR: &str = env!("CARGO_BIN_EXE_bwrap-doctor");

/// Enough for most commands, whoever runs it.
const ROOT: &[&str] = &["--ro-bind", "/", "/"];

/// All that `check` asks for.
const FULL: &[&str] =
    &["--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];

/// No sandbox at all, but a bwrap.
const INSTALLED: &[&str] = &["--version"];

/// Says why bwrap itself, without anything of ours, cannot do this here.
fn lacking(options: &[&str]) -> Option<String> {
    let name = std::env::var_os("BWRAP").filter(|name| !name.is_empty()).unwrap_or_else(|| "bwrap".into());
    match Command::new(name).args(options).arg("true").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Ends the test where bwrap itself cannot do this. libtest knows no test that is skipped at run time, so a line says it.
#[macro_export]
macro_rules! needs {
    ($options:expr) => {
        if let Some(why) = $crate::lacking($options) {
            $crate::skipped(&format!("bwrap {} does not work here: {why}", $options.join(" ")));
            return;
        }
    };
}

/// Written past libtest, which hides what a test prints.
fn skipped(why: &str) {
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "SKIPPED {}: {why}", thread.name().unwrap_or("a test"));
}

fn doctor(args: &[&str]) -> Command {
    let mut command = Command::new(DOCTOR);
    command.args(args).stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

/// What it says, and how it ends.
struct Said {
    status: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The report on standard error.
    fn last_line(&self) -> serde_json::Value {
        let line = self.err.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}", self.err))
    }
}

fn said(output: Output) -> Said {
    let status = output.status.code().unwrap_or_else(|| panic!("killed: {}", output.status));
    // bwrap writes paths as they are
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(!err.contains("panicked"), "{err}");
    Said { status, out, err }
}

fn ask(args: &[&str]) -> Said {
    said(doctor(args).output().unwrap())
}

fn ask_with_input(args: &[&str], input: &[u8]) -> Said {
    let mut command = doctor(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    match child.stdin.take().unwrap().write_all(input) {
        // it may be done without having read it
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    said(child.wait_with_output().unwrap())
}

/// `run` with the host's root, and what follows.
fn line<'a>(options: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["run"];
    words.extend(options);
    words.push("--");
    words.extend(ROOT);
    words.extend(rest);
    words
}
