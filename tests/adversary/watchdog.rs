//! A command that goes for the watchdog, which its caller's other sandboxes rely on.

use std::io::{BufRead, BufReader};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use bwrap_launch::{Bwrap, Namespaces, adopt_orphans};

use crate::common::{Here, SETTLE, host, released};
use crate::support::{eventually, kill_holders};

/// A helper to be killed: its first command goes for the watchdog, its second holds standard error.
pub(crate) fn guarded(arguments: &[String]) {
    let [bwrap, deed] = arguments else { panic!("BWRAP DEED") };
    let bwrap = Bwrap::at(bwrap).unwrap();
    // so that the watchdog is found among our children
    adopt_orphans().unwrap();
    let launch = |sandbox: &bwrap_launch::Sandbox, script: &str| {
        let mut command = sandbox.command("sh");
        command.args(["-c", script]).bwrap(&bwrap).die_with_caller(true).stdout(bwrap_launch::Stdio::null());
        command.spawn().unwrap()
    };
    launch(&host(), "true").wait().unwrap();
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    let is_watchdog = |pid: &&str| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|words| words.contains("bwrap-watchdog"))
    };
    let watchdog = children.split_whitespace().find(is_watchdog).expect("a watchdog");
    let mut earlier = launch(&host().unshare(Namespaces::PID), "exec sleep 60");
    earlier.wait_ready().unwrap();
    assert!(launch(&host(), &format!("{deed} {watchdog}")).wait().unwrap().success());
    let state = || {
        std::fs::read_to_string(format!("/proc/{watchdog}/stat"))
            .map_or('Z', |stat| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap())
    };
    // without descriptors it ends when it is to read the next line
    assert!(deed.starts_with("prlimit") || eventually(|| ['T', 'Z'].contains(&state())), "{}", state());
    let mut later = launch(&host().unshare(Namespaces::PID), "exec sleep 60");
    later.wait_ready().unwrap();
    println!("ready");
    std::thread::sleep(Duration::from_secs(60));
}

/// The next launch sees to another watchdog, which knows the sandboxes of before, too.
pub(crate) fn a_command_goes_for_the_watchdog(here: &Here) {
    for deed in ["kill -KILL", "kill -STOP", "prlimit --nofile=0:0 --pid"] {
        let (holders, held) = std::io::pipe().unwrap();
        let mut caller = Process::new(std::env::current_exe().unwrap());
        caller.args(["--helper", "guarded"]).arg(here.bwrap.path()).arg(deed);
        let started = caller.stdout(Stdio::piped()).stderr(held).spawn();
        // it holds standard error, too
        drop(caller);
        let mut caller = started.unwrap();
        let mut line = String::new();
        BufReader::new(caller.stdout.take().unwrap()).read_line(&mut line).unwrap();
        caller.kill().unwrap();
        caller.wait().unwrap();
        if line != "ready\n" {
            kill_holders(&holders);
            panic!("{deed}: {}", std::io::read_to_string(holders).unwrap());
        }
        let over = released(&holders, SETTLE);
        assert!(over, "{deed}: {} processes outlive their caller", kill_holders(&holders));
    }
}
