//! Launches one after the other that end in every way there is: whatever they were, nothing of them accumulates.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use bwrap_launch::{Ending, Limit, Limits, Resource, Sandbox, Stdio, Stop, Stream};

use crate::common::{Case, Here};
use crate::front::{Front, Std, Tokio};
use crate::inventory::{few_sandboxes, marked};
use crate::support::{Kind, eventually};
use crate::table::{contract, keep};

pub(crate) const CASES: &[Case] = contract![keep nothing_accumulates];

/// How many there are, each front: `make fuzz` makes 10,000.
fn row() -> usize {
    let asked = std::env::var("BWRAP_LAUNCH_ROW").ok().and_then(|number| number.parse().ok());
    asked.unwrap_or(2 * WAYS)
}

const WAYS: usize = 12;

/// How much more may be resident at the end than after the first quarter. Of ten thousand launches that are 400 bytes each.
const ROOM: u64 = 4 << 20;

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

/// Control groups that this process has made, in every hierarchy.
fn groups() -> Vec<String> {
    fn below(directory: &Path, own: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name().into_string().unwrap_or_default();
                if name.starts_with("bwrap-launch-") && name.contains(own) {
                    found.push(name);
                } else {
                    below(&entry.path(), own, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    below(Path::new("/sys/fs/cgroup"), &format!("-{}-", std::process::id()), &mut found);
    found
}

/// A launch that ends in this way.
fn launch<F: Front>(front: &F, here: &Here, sandbox: &Sandbox, way: usize) {
    let command = |script: &str| marked(here, sandbox, script);
    let piped = |script: &str| {
        let mut command = command(script);
        command.stdout(Stdio::piped());
        command
    };
    match way {
        0 => assert_eq!(Kind::of(&front.status(command("exit 0"))), Kind::Ran(0)),
        1 => assert_eq!(Kind::of(&front.status(command("exit 3"))), Kind::Ran(3)),
        2 => assert_eq!(front.output(command("echo hello; echo no >&2")).unwrap().stdout, b"hello\n"),
        3 => assert_eq!(Kind::of(&front.status(command("sh -c 'kill -9 $$'; exit $?"))), Kind::Ran(137)),
        4 => {
            let mut child = front.spawn(piped("echo; sleep 60")).unwrap();
            front.read(&mut child, 1).unwrap();
            front.kill(&mut child).unwrap();
            assert_eq!(Ending::of(&front.wait(&mut child)), Ending::Stopped(Stop::Cancel));
        }
        5 => {
            let mut command = command("sleep 60");
            command.timeout(Duration::from_millis(20)).grace(Duration::ZERO);
            assert_eq!(Ending::of(&front.status(command)), Ending::Stopped(Stop::Timeout));
        }
        6 => {
            let broken = sandbox.clone().ro_bind("/nonexistent", "/mnt");
            assert_eq!(Kind::of(&front.status(marked(here, &broken, "true"))), Kind::SetupFailed);
        }
        7 => {
            let command = here.command(sandbox, "no-such-program");
            assert_eq!(Kind::of(&front.status(command)), Kind::NotExecuted);
        }
        8 => drop(front.prepare(command("exit 0")).unwrap()),
        9 => {
            let limits = Limits::new().rlimit(Resource::OpenFiles, 100, 200).nice(5);
            let mut command = command("ulimit -n");
            command.limits(&limits.optional(Limit::Accounting).optional(Limit::PidsMax(100)));
            assert_eq!(front.output(command).unwrap().stdout, b"100\n");
        }
        10 => drop(front.spawn(command("exit 5")).unwrap()),
        _ => {
            let mut command = piped("echo one; echo two; sleep 60");
            command.tee(Stream::Stdout, std::io::sink());
            let mut child = front.spawn(command).unwrap();
            assert_eq!(front.lines(&mut child, 100, 1).unwrap()[0].text(), "one");
            front.kill(&mut child).unwrap();
            assert_eq!(Ending::of(&front.wait(&mut child)), Ending::Stopped(Stop::Cancel));
        }
    }
}

fn nothing_accumulates<F: Front>(front: &F, here: &Here) {
    let sandboxes: Vec<Sandbox> = few_sandboxes();
    let (row, began) = (row(), Instant::now());
    let mut before = 0;
    for number in 0..row {
        launch(front, here, &sandboxes[number / WAYS % sandboxes.len()], number % WAYS);
        if number == row / 4 {
            before = resident();
        }
    }
    let gone = || groups().is_empty();
    assert!(eventually(gone), "control groups are left: {:?}", groups());
    let after = resident();
    println!(
        "counted: {row} launches in {:.0?}, {before} bytes resident after a quarter, {after} at the end",
        began.elapsed()
    );
    assert!(after <= before + ROOM, "{before} bytes after a quarter of {row} launches, {after} at the end");
}
