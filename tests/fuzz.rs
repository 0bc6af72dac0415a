//! Random input for everything that reads what others wrote: lines, messages, snapshots, mounts, shell words. Nothing panics, nothing
//! takes for ever, and what goes there and back is the same.
//!
//! `BWRAP_LAUNCH_FUZZ` multiplies the number of cases, `BWRAP_LAUNCH_SEED` changes them: see `make fuzz`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod seeded;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, Instant};

use bwrap_launch::diagnosis::{Symptom, diagnose, predict};
use bwrap_launch::host::{Host, Mount};
use bwrap_launch::{Circumstances, Message, Sandbox};
use seeded::{Numbers, factor};
use serde_json::Value;

/// How long one case may take; it is a matter of microseconds, and machines do other things.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs so many cases, each within [`PATIENCE`]; what fails says which one it was.
fn cases(own: u64, count: usize, case: impl Fn(&mut Numbers)) {
    let mut numbers = Numbers::seeded(own);
    let mut slowest = Duration::ZERO;
    for number in 0..count * factor() {
        let began = Instant::now();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&mut numbers)));
        let took = began.elapsed();
        slowest = slowest.max(took);
        if let Err(panic) = done {
            println!("case {number} of generator {own}");
            std::panic::resume_unwind(panic);
        }
        assert!(took < PATIENCE, "case {number} of generator {own} took {took:?}");
    }
    println!("{} cases of generator {own}, the slowest took {slowest:?}", count * factor());
}

const BITS: &[&[u8]] = &[
    b"/",
    b"..",
    b"/proc",
    b"/dev",
    b"",
    b"-",
    b"--",
    b"0",
    b"1",
    b"-1",
    b"4294967296",
    b"18446744073709551616",
    b"\n",
    b"\0",
    b"\x1b[2J",
    b"\xff\xfe",
    b"'",
    b"\"",
    b"\\",
    b"$(x)",
    b"`",
    b" ",
    b": ",
    b"on",
    b"No such file or directory",
    b"bwrap: ",
    b"<3>",
    "\u{202e}".as_bytes(),
    b"a/b",
    b"/a/",
    b"0755",
    b"+x",
    b"CAP_SYS_ADMIN",
    b"ALL",
    b"x=y",
    b"/oldroot/",
    b"/newroot/",
    b"=",
    b"%s",
];

fn options() -> Vec<String> {
    let help = std::process::Command::new("bwrap").arg("--help").output().expect("bwrap is installed");
    let text = String::from_utf8(help.stdout).unwrap();
    text.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned).collect()
}

fn noise(numbers: &mut Numbers, longest: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..numbers.below(longest) {
        match numbers.below(3) {
            0 => bytes.push(u8::try_from(numbers.below(256)).unwrap()),
            _ => bytes.extend(numbers.pick(BITS)),
        }
    }
    bytes
}

#[test]
fn lines_of_arguments() {
    let options = options();
    cases(1, 2000, |numbers| {
        let mut line: Vec<OsString> = Vec::new();
        for _ in 0..numbers.below(24) {
            let word = if numbers.below(2) == 0 {
                options[numbers.index(options.len())].clone().into()
            } else {
                OsString::from_vec(noise(numbers, 4))
            };
            line.push(word);
        }
        let Ok(sandbox) = Sandbox::from_args(line) else { return };
        let _ = (sandbox.check(), sandbox.to_string());
        let mut root = Circumstances::default();
        (root.root, root.terminal) = (true, true);
        let _ = sandbox.lint(&root);
    });
}

#[test]
fn messages() {
    let table: Vec<&str> = include_str!("data/bwrap-messages.tsv").lines().collect();
    cases(2, 2000, |numbers| {
        let mut text = Vec::new();
        for _ in 0..numbers.below(4) {
            let row = table[numbers.index(table.len())].split('\t').next().unwrap();
            let mut line = format!("bwrap: {row}\n").into_bytes();
            for _ in 0..numbers.below(5) {
                let at = numbers.index(line.len());
                match numbers.below(3) {
                    0 => line[at] = u8::try_from(numbers.below(256)).unwrap(),
                    1 => drop(line.splice(at..at, numbers.pick(BITS).iter().copied())),
                    _ => line.truncate(at.max(1)),
                }
            }
            text.extend(line);
        }
        let heard = Message::parse_all(&text);
        assert!(heard.len() <= text.len());
        let _ = diagnose(&Symptom::from_text(&text), &Host::default(), None).to_string();
    });
}

/// Every leaf of a snapshot, by its pointer.
fn leaves(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            leaves(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
        }),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| leaves(value, format!("{at}/{index}"), all));
        }
        _ => all.push(at),
    }
}

#[test]
fn snapshots_of_hosts() {
    let base = serde_json::to_value(Host::snapshot()).unwrap();
    let text = base.to_string();
    let mut all = Vec::new();
    leaves(&base, String::new(), &mut all);
    let sandbox = Sandbox::new().ro_bind("/", "/").proc("/proc").dev("/dev").tmpfs("/tmp").unshare_all();
    cases(3, 200, |numbers| {
        let read = if numbers.below(3) == 0 {
            let mut bytes = text.clone().into_bytes();
            for _ in 0..=numbers.below(8) {
                let at = numbers.index(bytes.len());
                bytes[at] = u8::try_from(numbers.below(256)).unwrap();
            }
            serde_json::from_slice::<Host>(&bytes)
        } else {
            let mut value = base.clone();
            for _ in 0..=numbers.below(12) {
                let new = match numbers.below(7) {
                    0 => 0.into(),
                    1 => u64::MAX.into(),
                    2 => (-1).into(),
                    3 => u32::MAX.into(),
                    4 => Value::Null,
                    5 => true.into(),
                    _ => String::from_utf8_lossy(numbers.pick(BITS)).into_owned().into(),
                };
                *value.pointer_mut(&all[numbers.index(all.len())]).unwrap() = new;
            }
            serde_json::from_value::<Host>(value)
        };
        let Ok(host) = read else { return };
        let symptom =
            Symptom::from_text(b"bwrap: Can't mount proc on /newroot/proc: Operation not permitted\n");
        let diagnosis = diagnose(&symptom, &host, Some(&sandbox));
        let _ = (diagnosis.to_string(), serde_json::to_string(&diagnosis).unwrap());
        let _ = predict(&host, &sandbox).to_string();
        let again: Host = serde_json::from_str(&serde_json::to_string(&host).unwrap()).unwrap();
        assert_eq!(again, host);
    });
}

#[test]
fn lines_of_mountinfo() {
    let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
    cases(4, 10_000, |numbers| {
        let mut bytes = line.as_bytes().to_vec();
        for _ in 0..numbers.below(6) {
            let at = numbers.index(bytes.len());
            match numbers.below(3) {
                0 => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
                1 => drop(bytes.splice(at..at, numbers.pick(BITS).iter().copied())),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let _ = Mount::parse(&String::from_utf8_lossy(&bytes));
    });
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
