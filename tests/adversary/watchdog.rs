//! A command that goes for the watchdog, which its caller's other sandboxes rely on.
#![allow(unsafe_code, reason = "unshare(2) has no safe function")]

use std::io::{BufRead, BufReader};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use bwrap_launch::{Bwrap, Namespaces, adopt_orphans};

use crate::common::{Here, SETTLE, host, released, skip};
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

/// A helper: a thread whose children see other times launches first, and what it starts knows no process again by when that began.
pub(crate) fn astray(arguments: &[String]) {
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    bwrap_launch::adopt_orphans().unwrap();
    let launch = || {
        let sandbox = host().unshare(Namespaces::PID);
        sandbox
            .command("true")
            .bwrap(&bwrap)
            .die_with_caller(true)
            .status()
            .map(bwrap_launch::ExitStatus::success)
    };
    let elsewhere = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: takes a number, and is about later children only.
            if unsafe { libc::unshare(libc::CLONE_NEWTIME) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
            let offsets = format!("/proc/{}/timens_offsets", rustix::thread::gettid().as_raw_nonzero());
            std::fs::write(offsets, "boottime 100000 0").map(|()| launch())
        });
        thread.join().unwrap()
    });
    match elsewhere {
        Err(error) => println!("skip: no time namespace: {error}"),
        Ok(refused) => {
            let error = refused.expect_err("it would never be killed");
            assert!(error.to_string().contains("watchdog"), "{error}");
            // it was started, and has become ours
            let children = || std::fs::read_to_string("/proc/thread-self/children").unwrap();
            assert!(eventually(|| children().is_empty()), "{}", children());
            assert!(launch().unwrap(), "another thread starts its own");
            println!("done");
        }
    }
}

/// One that cannot do its work is worse than none: nobody would know.
pub(crate) fn a_watchdog_that_sees_otherwise(here: &Here) {
    let mut caller = Process::new(std::env::current_exe().unwrap());
    let output = caller.args(["--helper", "astray"]).arg(here.bwrap.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    if let Some((_, why)) = said.split_once("skip: ") {
        skip(why.trim());
    }
    assert!(
        output.status.success() && said == "done\n",
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
