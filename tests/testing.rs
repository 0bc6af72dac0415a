//! The stand-in for bwrap beside the real ones: what the launcher makes of both, and what they write, are the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command as Process, ExitCode, Stdio as ProcessStdio};
use std::time::{Duration, Instant};

use bwrap_launch::diagnosis::Cause;
use bwrap_launch::testing::{At, Outcome, StandIn, causes};
use bwrap_launch::{
    Bwrap, Command, Ending, Error, ExitStatus, Namespaces, Result, Sandbox, Stdio, Stop, Version,
};
use common::{Here, SETTLE, host, within};

fn main() -> ExitCode {
    common::main_in_turn(
        cases![
            options_are_those_of_the_version,
            commands_end_alike,
            failures_are_told_alike,
            reports_are_written_alike,
            words_are_written_alike,
            held_sandboxes_are_let_go_alike,
            kills_end_alike,
            hangs_and_deaths_end_alike,
            what_was_asked_is_recorded,
            nothing_is_left_of_it,
            causes_are_found,
        ],
        &[],
    )
}

/// A stand-in for the version at hand.
fn stand_in(here: &Here, outcome: &Outcome) -> StandIn {
    StandIn::new(here.bwrap.version().unwrap(), outcome).unwrap()
}

/// All that can be told of a launch apart from what differs between hosts.
fn told(outcome: &Result<ExitStatus>) -> String {
    match outcome {
        Ok(status) => format!("{status}"),
        Err(error) => {
            let kind = match error {
                Error::Refused(_) => "refused",
                Error::SetupFailed(_) => "set-up failed",
                Error::NotExecuted(_) => "not executed",
                Error::Undecided(_) => "undecided",
                _ => panic!("{error}"),
            };
            let failure = error.failure().unwrap();
            let (stderr, messages) = (String::from_utf8_lossy(failure.stderr()), failure.messages());
            format!(
                "{kind} {:?} {:?} {:?} {stderr:?} {messages:?}",
                failure.signal(),
                failure.undecided(),
                failure.heard()
            )
        }
    }
}

fn everything() -> Sandbox {
    host().unshare_all().new_session().die_with_parent()
}

/// Has both the real one and its stand-in launch it, with all kinds of standard error.
fn alike(here: &Here, command: &mut Command, stand_in: &StandIn) {
    for stderr in [Stdio::piped(), Stdio::null()] {
        let quiet = |command: &mut Command, bwrap: &Bwrap| {
            let kind = if format!("{stderr:?}") == format!("{:?}", Stdio::null()) {
                Stdio::null()
            } else {
                Stdio::piped()
            };
            let output = command.bwrap(bwrap).stdin(Stdio::null()).stderr(kind).output();
            let text = output.as_ref().map(|output| (output.stdout.clone(), output.stderr.clone())).ok();
            (told(&output.map(|output| output.status)), text)
        };
        let real = quiet(command, &here.bwrap);
        assert_eq!(quiet(command, stand_in.bwrap()), real, "{command}");
    }
}

fn options_are_those_of_the_version(here: &Here) {
    let stand_in = stand_in(here, &Outcome::exits(0));
    assert_eq!(stand_in.bwrap().version(), here.bwrap.version());
    assert_eq!(stand_in.bwrap().version_text(), here.bwrap.version_text());
    // distributions add to it
    let added: Vec<&str> = here.bwrap.options().filter(|option| !stand_in.bwrap().accepts(option)).collect();
    assert!(added.iter().all(|option| ["--bind-fd", "--ro-bind-fd"].contains(option)), "{added:?}");
    assert!(stand_in.bwrap().options().all(|option| here.bwrap.accepts(option)));
}

fn commands_end_alike(here: &Here) {
    let stand_in = stand_in(here, &Outcome::exits(0));
    for sandbox in [host(), everything()] {
        for (script, outcome) in [
            ("exit 0", Outcome::exits(0)),
            ("echo out; echo err >&2; exit 1", Outcome::exits(1).stdout("out\n").stderr("err\n")),
            ("exit 127", Outcome::exits(127)),
            ("exit 255", Outcome::exits(255)),
            ("kill -9 $$", Outcome::killed(9)),
            ("kill -2 $$", Outcome::killed(2)),
            (
                "printf 'bwrap: Can'\\''t mount proc' >&2; exit 1",
                Outcome::exits(1).stderr("bwrap: Can't mount proc"),
            ),
        ] {
            stand_in.next(&outcome).unwrap();
            alike(here, &mut here.shell(&sandbox, script), &stand_in);
        }
    }
}

/// What the real one says, without the signature.
fn words(outcome: &Result<ExitStatus>) -> String {
    outcome.as_ref().unwrap_err().failure().unwrap().message().unwrap().text().to_string_lossy().into_owned()
}

fn failures_are_told_alike(here: &Here) {
    let stand_in = stand_in(here, &Outcome::exits(0));
    let broken = everything().ro_bind("/no/such/source", "/mnt");
    let mut command = here.command(&broken, "true");
    let real = command.output().map(|output| output.status);
    assert!(matches!(real, Err(Error::SetupFailed(_))));
    stand_in.next(&Outcome::set_up_fails(words(&real))).unwrap();
    alike(here, &mut here.command(&broken, "true"), &stand_in);

    let mut command = here.command(&everything(), "no-such-program");
    let real = command.output().map(|output| output.status);
    assert!(matches!(real, Err(Error::NotExecuted(_))));
    stand_in.next(&Outcome::not_executed(words(&real))).unwrap();
    alike(here, &mut here.command(&everything(), "no-such-program"), &stand_in);

    // a descriptor that is no namespace
    let refused = |bwrap: &Bwrap| {
        let sandbox = host().join_user(fs::File::open("/dev/null").unwrap());
        here.command(&sandbox, "true").bwrap(bwrap).output().map(|output| output.status)
    };
    let real = refused(&here.bwrap);
    assert!(matches!(real, Err(Error::Refused(_))), "{real:?}");
    stand_in.next(&Outcome::refuses(words(&real))).unwrap();
    assert_eq!(told(&refused(stand_in.bwrap())), told(&real));
}

/// What is written to standard error, to a descriptor, and what it exits with.
fn raw(here: &Here, bwrap: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let file = here.scratch.join("report");
    let report = fs::File::create(&file).unwrap();
    let number = rustix::io::fcntl_dupfd_cloexec(report.as_fd(), 100).unwrap();
    rustix::io::fcntl_setfd(&number, rustix::io::FdFlags::empty()).unwrap();
    let name = std::os::fd::AsRawFd::as_raw_fd(&number).to_string();
    let words = words.iter().map(|&word| if word == "FD" { name.as_str() } else { word });
    let output = Process::new(bwrap).args(words).stdin(ProcessStdio::null()).output().unwrap();
    let text = fs::read_to_string(file).unwrap();
    // numbers are the kernel's
    let mut shape = String::new();
    for char in text.chars() {
        if !char.is_ascii_digit() {
            shape.push(char);
        } else if !shape.ends_with('N') {
            shape.push('N');
        }
    }
    (output.status.code(), shape, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn reports_are_written_alike(here: &Here) {
    let stand_in = stand_in(here, &Outcome::exits(3));
    for option in ["--json-status-fd", "--info-fd"] {
        for asked in [
            &["--unshare-all"][..],
            &["--unshare-all", "--share-net"],
            &["--unshare-pid", "--unshare-cgroup-try"],
            &["--unshare-uts", "--unshare-ipc", "--unshare-net", "--unshare-user-try"],
            &[],
        ] {
            let line =
                [&["--ro-bind", "/", "/", option, "FD"][..], asked, &["--", "sh", "-c", "exit 3"]].concat();
            let real = raw(here, here.bwrap.path(), &line);
            assert_eq!((real.0, real.1.is_empty()), (Some(3), false), "{}", real.2);
            assert_eq!(raw(here, stand_in.bwrap().path(), &line), real, "{line:?}");
        }
    }
}

fn words_are_written_alike(here: &Here) {
    let stand_in = stand_in(here, &Outcome::exits(0));
    for line in [&["--no-such-option"][..], &["--bind", "/", "/", "--nor-this", "true"]] {
        assert_eq!(raw(here, stand_in.bwrap().path(), line), raw(here, here.bwrap.path(), line));
    }
    // no command: its help
    let (real, ours) = (
        raw(here, here.bwrap.path(), &["--bind", "/", "/"]),
        raw(here, stand_in.bwrap().path(), &["--bind", "/", "/"]),
    );
    assert_eq!(ours.0, real.0);
    assert!(ours.2.starts_with("usage: ") && real.2.starts_with("usage: "));
    if here.bwrap.accepts("--level-prefix") {
        stand_in
            .next(&Outcome::set_up_fails("Can't find source path /no/such: No such file or directory"))
            .unwrap();
        let line = ["--level-prefix", "--ro-bind", "/no/such", "/", "true"];
        assert_eq!(raw(here, stand_in.bwrap().path(), &line), raw(here, here.bwrap.path(), &line));
    }
}

fn held_sandboxes_are_let_go_alike(here: &Here) {
    let stand_in = stand_in(here, &Outcome::exits(4));
    for bwrap in [&here.bwrap, stand_in.bwrap()] {
        let mut command = here.shell(&everything(), "exit 4");
        command.bwrap(bwrap).stderr(Stdio::null());
        let prepared = command.prepare().unwrap();
        assert!(prepared.sandbox_pid().is_some());
        let ids = prepared.namespaces().unwrap();
        assert!(ids.mnt.is_some() && ids.net.is_some() && ids.pid.is_some());
        assert_eq!(prepared.start().unwrap().wait().unwrap().code(), Some(4));
        drop(command.prepare().unwrap());
    }
    stand_in
        .next(&Outcome::set_up_fails("Can't mount proc on /newroot/proc: Operation not permitted"))
        .unwrap();
    let mut command = here.shell(&everything(), "exit 4");
    assert!(matches!(command.bwrap(stand_in.bwrap()).prepare().map(drop), Err(Error::SetupFailed(_))));
}

fn kills_end_alike(here: &Here) {
    let stand_in = stand_in(here, &Outcome::exits(0).takes(Duration::from_secs(60)));
    for sandbox in [host().unshare(Namespaces::PID), everything()] {
        for bwrap in [&here.bwrap, stand_in.bwrap()] {
            let mut command = here.command(&sandbox, "sleep");
            let mut child = command.arg("60").bwrap(bwrap).stderr(Stdio::piped()).spawn().unwrap();
            child.wait_ready().unwrap();
            assert_eq!(child.try_wait().unwrap(), None);
            child.kill().unwrap();
            let mut words = String::new();
            child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
            assert_eq!(words, "", "{}", bwrap.path().display());
            // (it is ready a moment before the command runs)
            let ending = Ending::of(&child.wait());
            assert_eq!(ending, Ending::Stopped(Stop::Cancel), "{}", bwrap.path().display());
        }
    }
}

fn hangs_and_deaths_end_alike(here: &Here) {
    let stand_in = stand_in(here, &Outcome::hangs(At::Start));
    let spawn = |outcome: &Outcome| {
        stand_in.next(outcome).unwrap();
        here.command(&everything(), "true").bwrap(stand_in.bwrap()).stderr(Stdio::null()).spawn().unwrap()
    };
    for at in [At::Start, At::SetUp] {
        let mut child = spawn(&Outcome::hangs(at));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        let error = child.wait().unwrap_err();
        assert!(matches!(error, Error::Stopped { why: Stop::Cancel, .. }), "{at:?}: {error}");
    }
    // one that is killed while it runs cannot say how its command ended
    let mut real = here.command(&everything(), "sleep");
    let mut real = real.arg("60").stderr(Stdio::null()).spawn().unwrap();
    real.wait_ready().unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(real.id().try_into().unwrap()),
        nix::sys::signal::SIGKILL,
    )
    .unwrap();
    let real = told(&real.wait());
    assert_eq!(told(&spawn(&Outcome::dies(At::Run, 9)).wait()), real);
    assert!(told(&spawn(&Outcome::dies(At::Start, 9)).wait()).starts_with("refused Some(9)"));
    assert!(told(&spawn(&Outcome::dies(At::SetUp, 15)).wait()).starts_with("set-up failed Some(15)"));
    let slow = Instant::now();
    assert_eq!(spawn(&Outcome::exits(2).takes(Duration::from_millis(300))).wait().unwrap().code(), Some(2));
    assert!(slow.elapsed() >= Duration::from_millis(300));
}

fn what_was_asked_is_recorded(here: &Here) {
    let stand_in = stand_in(here, &Outcome::exits(0));
    let sandbox = everything().setting("a b", "line\nfeed");
    let mut command = sandbox.command("pro gram");
    command.args(["--json-status-fd", "7", "\n", ""]).bwrap(stand_in.bwrap());
    assert!(command.status().unwrap().success());
    command.arg("last").status().unwrap();
    let launches = stand_in.launches().unwrap();
    assert_eq!(launches.len(), 2);
    for (launch, count) in launches.iter().zip([4, 5]) {
        assert_eq!(launch.get_program(), "pro gram");
        assert_eq!(launch.get_args().count(), count);
        assert!(launch.get_args().eq(command.get_args().take(count)));
        assert_eq!(launch.get_sandbox().to_string(), sandbox.to_string());
    }
}

trait Setting {
    fn setting(self, name: &str, value: &str) -> Sandbox;
}

impl Setting for Sandbox {
    fn setting(self, name: &str, value: &str) -> Sandbox {
        self.env(name, value).env("NAME", "--block-fd")
    }
}

fn nothing_is_left_of_it(here: &Here) {
    let stand_in = stand_in(here, &Outcome::hangs(At::Run));
    let path = stand_in.bwrap().path().to_owned();
    let directory = path.parent().unwrap().to_owned();
    let runs = || {
        let lines = fs::read_dir("/proc").unwrap().flatten();
        let mut lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| {
            line.windows(directory.as_os_str().len())
                .any(|part| part == directory.as_os_str().as_encoded_bytes())
        })
    };
    let mut command = here.command(&everything(), "true");
    let mut child = command.bwrap(stand_in.bwrap()).stderr(Stdio::null()).spawn().unwrap();
    child.wait_ready().unwrap();
    assert!(runs());
    child.kill().unwrap();
    drop(child);
    assert!(within(SETTLE, || !runs()));
    // its caller is gone
    let mut caller = Process::new("sh");
    caller.args(["-c", "\"$0\" --ro-bind / / true & sleep 0.5; kill -9 $$"]).arg(&path);
    assert!(!caller.status().unwrap().success());
    assert!(within(SETTLE, || !runs()));
    drop(stand_in);
    assert!(!directory.exists());
}

/// Each cause that a stand-in knows is the one that is diagnosed.
fn causes_are_found(here: &Here) {
    let mut wrong = Vec::new();
    let versions = [here.bwrap.version().unwrap(), Version::new(0, 12, 0)];
    for (version, cause) in
        versions.into_iter().flat_map(|version| causes().map(move |cause| (version, cause)))
    {
        let stand_in = StandIn::fails_for(version, cause).unwrap();
        let mut sandbox = everything().proc("/proc").tmpfs("/tmp").unshare(Namespaces::USER).disable_userns();
        sandbox = match cause {
            Cause::SourceMissing => sandbox.ro_bind("/no/such/directory", "/mnt"),
            Cause::DestinationReadOnly => sandbox.tmpfs("/usr/new"),
            Cause::WorkingDirectoryMissing => sandbox.current_dir("/no/such/directory"),
            _ => sandbox,
        };
        match here.command(&sandbox, "true").bwrap(stand_in.bwrap()).output() {
            Err(error) => {
                let found = error.diagnosis().and_then(bwrap_launch::diagnosis::Diagnosis::cause);
                if found != Some(cause) {
                    wrong.push(format!("{version} {cause}: {found:?}: {error}"));
                }
            }
            Ok(output) => wrong.push(format!("{cause}: {}", output.status)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(StandIn::fails_for(here.bwrap.version().unwrap(), Cause::Unexplained).is_err());
    // of an option that came later
    assert!(StandIn::fails_for(Version::new(0, 7, 0), Cause::UserNamespacesStillAllowed).is_err());
}
