//! Launches that the system denies something.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use bwrap_launch::{Command, Error, Stdio, Stop};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cases;
use crate::common::{Case, Here, host};
use crate::inventory::{few_sandboxes, leaves_nothing, marked, sandboxes, token, unchanged};
use crate::support::{Kind, Numbers, SETTLE, judge, released, stand_in, watch};

pub(crate) const CASES: &[Case] = cases![
    descriptors_run_out,
    dropped_children_are_remembered,
    a_kill_needs_no_descriptors,
    a_kill_that_would_miss_the_command_is_refused,
    more_processes_than_descriptors,
    too_long_a_command,
    a_bwrap_that_is_gone,
];

/// The ways to launch, each with needs of its own.
const WAYS: [fn(&mut Command) -> Kind; 4] = [
    judge,
    |command| Kind::of(&command.stderr(Stdio::null()).status()),
    |command| Kind::of(&command.prepare().and_then(|prepared| prepared.start()?.wait())),
    |command| {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        // no sandbox, or one that runs on without us
        child.map_or(Kind::System, |_| Kind::Other)
    },
];

/// Every single allocation of a launch fails once.
fn descriptors_run_out(here: &Here) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let used = u64::try_from(std::fs::read_dir("/proc/self/fd").unwrap().count()).unwrap();
    let limit = |number| setrlimit(Resource::RLIMIT_NOFILE, number, hard).unwrap();
    unchanged(&token(here), "too few descriptors", || {
        for sandbox in few_sandboxes() {
            for (way, launch) in WAYS.iter().enumerate() {
                let mut last = Kind::Other;
                for more in 0..24 {
                    let start = Instant::now();
                    let what = format!("way {way} with {more} descriptors in {sandbox}");
                    let mut command = marked(here, &sandbox, "exit 0");
                    let holders = watch(&mut command);
                    limit(used + 2 + more);
                    last = launch(&mut command);
                    limit(soft);
                    drop(command);
                    assert!(start.elapsed() < Duration::from_secs(9), "{what} took {:?}", start.elapsed());
                    assert!(released(&holders, SETTLE), "{what}: {last:?}");
                    assert!(!matches!(last, Kind::Undecided(_) | Kind::Invalid), "{what}: {last:?}");
                }
                assert!(matches!(last, Kind::Ran(0) | Kind::Other), "enough at last: {last:?} in {sandbox}");
            }
        }
    });
}

/// Takes every descriptor that this process may have, and gives so many back.
fn starve(left: usize) -> Vec<File> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len() - left);
    taken
}

/// A caller that cannot open anything more can still kill, whether it has waited for the sandbox before or not.
fn a_kill_needs_no_descriptors(here: &Here) {
    let mut numbers = Numbers::new(5);
    for sandbox in sandboxes() {
        for left in 0..4 {
            let running = leaves_nothing(here, &sandbox, "echo; exec sleep 60", |command| {
                let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
                child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
                let taken = starve(left);
                child.kill().unwrap();
                let kind = Kind::of(&child.wait());
                drop(taken);
                kind
            });
            assert_eq!(running, Kind::Ran(137), "{left} left, {sandbox}");
            let early = leaves_nothing(here, &sandbox, "exec sleep 60", |command| {
                let mut child = command.spawn().unwrap();
                let taken = starve(left);
                numbers.pause(3000);
                child.kill().unwrap();
                let kind = Kind::of(&child.wait());
                drop(taken);
                kind
            });
            assert!(early.killed(), "{early:?}, {left} left, {sandbox}");
        }
    }
}

/// Where bwrap keeps a process between itself and a command without a PID namespace, the command cannot be found without
/// descriptors. Then nothing is killed, and the caller is told.
fn a_kill_that_would_miss_the_command_is_refused(here: &Here) {
    let (_reader, writer) = std::io::pipe().unwrap();
    let sandbox = host().sync_fd(writer);
    for left in 0..3 {
        let kind = leaves_nothing(here, &sandbox, "echo; exec sleep 60", |command| {
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
            let taken = starve(left);
            let error = child.kill().unwrap_err();
            assert!(matches!(error, Error::System { .. }), "{error}");
            drop(taken);
            assert_eq!(child.try_wait().unwrap(), None, "it runs on");
            child.kill().unwrap();
            Kind::of(&child.wait())
        });
        assert_eq!(kind, Kind::Ran(137), "{left} left");
    }
}

/// A command that has more children than its caller may open files escapes nobody.
fn more_processes_than_descriptors(here: &Here) {
    let script = "n=0; while [ $n -lt 150 ]; do sleep 60 & n=$((n + 1)); done; echo; wait";
    let (_reader, writer) = std::io::pipe().unwrap();
    for sandbox in [host(), host().sync_fd(writer)] {
        for asked in [false, true] {
            let kind = leaves_nothing(here, &sandbox, script, |command| {
                let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
                child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
                let taken = starve(20);
                if asked {
                    child.killer().terminate(Duration::from_secs(60)).unwrap();
                } else {
                    child.kill().unwrap();
                }
                assert_eq!(child.killer().stopped(), Some(Stop::Cancel));
                let kind = Kind::of(&child.wait());
                drop(taken);
                kind
            });
            assert_eq!(kind, Kind::Ran(if asked { 143 } else { 137 }), "{sandbox}");
        }
    }
}

/// A child that is dropped while no thread can be started is reaped all the same.
fn dropped_children_are_remembered(here: &Here) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    for (sandbox, later) in sandboxes().into_iter().zip([false, true].into_iter().cycle()) {
        leaves_nothing(here, &sandbox, "exit 0", |command| {
            let child = command.spawn().unwrap();
            let taken = starve(0);
            drop(child);
            drop(taken);
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            // whether anything is launched later or not
            if later { judge(&mut here.command(&host(), "true")) } else { Kind::Ran(0) }
        });
    }
}

fn too_long_a_command(here: &Here) {
    for sandbox in few_sandboxes() {
        // more in all than the kernel hands on (RLIMIT_STACK, execve(2))
        let many = || vec!["x".repeat(100_000); 80];
        let kind = leaves_nothing(here, &sandbox, "exit 0", |command| judge(command.args(many())));
        assert_eq!(kind, Kind::System);
        let kind = leaves_nothing(here, &sandbox, "exit 0", |command| {
            Kind::of(&command.args(many()).prepare().and_then(|prepared| prepared.start()?.wait()))
        });
        assert_eq!(kind, Kind::System);
        let kind =
            leaves_nothing(here, &sandbox, "exit 0", |command| judge(command.arg("x".repeat(200_000))));
        assert_eq!(kind, Kind::Invalid);
        let kind = leaves_nothing(here, &sandbox, "exit 0", |command| judge(command.args(vec![""; 9100])));
        assert_eq!(kind, Kind::Invalid);
    }
}

fn a_bwrap_that_is_gone(here: &Here) {
    let bwrap = stand_in(here, "gone", "exec \"$real\" \"$@\"");
    let kind = |launch: &mut dyn FnMut(&mut Command) -> Result<(), Error>| {
        for sandbox in few_sandboxes() {
            leaves_nothing(here, &sandbox, "exit 0", |command| {
                let error = launch(command.bwrap(&bwrap)).unwrap_err();
                assert!(matches!(error, Error::System { .. }), "{error}");
                Kind::System
            });
        }
    };
    std::fs::remove_file(bwrap.path()).unwrap();
    kind(&mut |command| command.status().map(drop));
    kind(&mut |command| command.prepare().map(drop));
    std::fs::write(bwrap.path(), "not executable").unwrap();
    kind(&mut |command| command.output().map(drop));
}
