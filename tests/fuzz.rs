//! Random input for everything that reads what others wrote: lines, messages, snapshots, mounts, manifests, shell words. Nothing panics, nothing
//! takes for ever, and what goes there and back is the same.
//!
//! `BWRAP_LAUNCH_FUZZ` multiplies the number of cases, `BWRAP_LAUNCH_SEED` changes them: see `make fuzz`. The same
//! cases are given to cargo-fuzz by `fuzz/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "common/busy.rs"]
mod busy;
mod seeded;
#[path = "fuzz/targets.rs"]
mod targets;

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use busy::busy;
use bwrap_launch::Sandbox;
use seeded::{Numbers, factor};
use targets::noise;

/// How long one case may take; it is a matter of microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs so many cases, each within [`PATIENCE`]; what fails says which one it was.
fn cases(own: u64, count: usize, case: impl Fn(&mut Numbers)) {
    let mut numbers = Numbers::seeded(own);
    let mut slowest = Duration::ZERO;
    for number in 0..count * factor() {
        let began = busy();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&mut numbers)));
        let took = busy().saturating_sub(began);
        slowest = slowest.max(took);
        if let Err(panic) = done {
            println!("case {number} of generator {own}");
            std::panic::resume_unwind(panic);
        }
        assert!(took < PATIENCE, "case {number} of generator {own} took {took:?}");
    }
    println!("{} cases of generator {own}, the slowest took {slowest:?}", count * factor());
}

#[test]
fn lines_of_arguments() {
    cases(1, 2000, targets::line_of_arguments);
}

#[test]
fn messages() {
    cases(2, 2000, targets::message);
}

#[test]
fn snapshots_of_hosts() {
    cases(3, 200, targets::snapshot_of_a_host);
}

#[test]
fn lines_of_mountinfo() {
    cases(4, 10_000, targets::line_of_mountinfo);
}

#[test]
fn manifests() {
    cases(8, 500, targets::manifest);
}

/// The bytes of a fuzzer are input as good as numbers from a seed.
#[test]
fn bytes_of_a_fuzzer() {
    let mut seeds = Numbers::seeded(9);
    for _ in 0..50 * factor() {
        let bytes: Vec<u8> = (0..seeds.below(200)).map(|_| seeds.byte()).collect();
        for target in [
            targets::line_of_arguments,
            targets::message,
            targets::snapshot_of_a_host,
            targets::line_of_mountinfo,
            targets::manifest,
        ] {
            target(&mut Numbers::of(&bytes));
        }
    }
}

/// What `Display` shows is the same in every shell, and makes the same sandbox again.
#[test]
fn words_for_shells() {
    for (own, shell) in [(5, "bash"), (6, "dash"), (7, "busybox")] {
        let mut numbers = Numbers::seeded(own);
        let mut wanted = Vec::new();
        // each line runs a function that prints the words that it got
        let mut script = String::from("bwrap() { printf '%s\\0' \"$@\"; printf 'END\\0'; }\n");
        for _ in 0..150 * factor() {
            let name = |numbers: &mut Numbers| {
                let bytes: Vec<u8> = noise(numbers, 5).into_iter().filter(|byte| *byte != 0).collect();
                [b"/", bytes.as_slice()].concat()
            };
            let (source, destination) = (name(&mut numbers), name(&mut numbers));
            let sandbox = Sandbox::new().ro_bind(OsStr::from_bytes(&source), OsStr::from_bytes(&destination));
            let line = sandbox.to_string();
            if sandbox.check().is_err() || line.contains('\u{fffd}') {
                continue;
            }
            script.push_str(&line);
            script.push('\n');
            wanted.extend(
                [b"--clearenv", b"--ro-bind".as_slice(), &source, &destination, b"END"].map(<[u8]>::to_vec),
            );
        }
        let mut process = std::process::Command::new(shell);
        if shell == "busybox" {
            process.arg("sh");
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(script.as_bytes()).unwrap();
        let Ok(output) = process.arg(file.path()).env("LC_ALL", "C.UTF-8").output() else {
            println!("{shell} is not here");
            continue;
        };
        let words: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        let lines = script.lines().skip(1).collect::<Vec<_>>();
        for (index, (got, wanted)) in words.chunks(5).zip(wanted.chunks(5)).enumerate() {
            assert!(
                got.iter().zip(wanted).all(|(got, wanted)| got == wanted),
                "{shell}: {}\n{got:?}\n{wanted:?}",
                lines[index]
            );
        }
        assert_eq!(words.len(), wanted.len() + 1, "{shell}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
