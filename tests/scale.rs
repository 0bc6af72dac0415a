//! What hosts and sandboxes of unusual size cost: no more than in proportion. Prints what it took (`--nocapture`); the figures
//! that count are those of `cargo test --release --test scale`.
#![allow(clippy::unwrap_used)]

#[path = "common/busy.rs"]
mod busy;

use std::time::Duration;

use busy::busy;
use bwrap_launch::Sandbox;
use bwrap_launch::diagnosis::{Symptom, diagnose, predict};
use bwrap_launch::host::{Fact, Host, Mount, Platform, Sighting};

/// As many as a namespace may have (`fs.mount-max`); unoptimised code takes some ten times as long.
const MOUNTS: usize = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

const ALLOWED: Duration = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 200 });

fn host(line: impl Fn(usize) -> String) -> Host {
    let mut host = Host::snapshot();
    let root = Mount::parse("1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw").unwrap();
    // not whole, so that the others count
    let proc = Mount::parse("2 1 0:2 / /proc ro,nosuid,relatime - proc proc rw").unwrap();
    let many = (3..MOUNTS).map(|number| Mount::parse(&line(number)).unwrap());
    host.mounts = Fact::Present([root, proc].into_iter().chain(many).collect());
    host
}

/// The line of mountinfo for a number.
type Line = fn(usize) -> String;

/// Mount tables as a hostile or merely busy host has them.
fn hosts() -> Vec<(&'static str, Host)> {
    let shapes: [(&str, Line); 6] = [
        ("mounts beside each other", |n| format!("{n} 1 0:{n} / /mnt/{n} rw,relatime - tmpfs tmpfs rw")),
        ("mounts that cover /proc", |n| match n {
            3 => "3 1 0:2 / /proc rw,relatime - proc proc rw".to_owned(),
            _ => format!("{n} 3 0:{n} / /proc/{n} rw,relatime - tmpfs tmpfs rw"),
        }),
        ("read-only procfs", |n| format!("{n} 1 0:2 / /mnt/{n} ro,relatime - proc proc rw")),
        ("covered procfs", |n| match n % 2 {
            1 => format!("{n} 1 0:2 / /mnt/{n} rw,relatime - proc proc rw"),
            _ => format!("{n} {} 0:9 / /mnt/{}/sys rw,relatime - tmpfs tmpfs rw", n - 1, n - 1),
        }),
        ("mounts on top of each other", |n| {
            format!("{n} {} 0:{n} / /proc rw,relatime - proc proc rw", n - 1)
        }),
        ("mounts in circles", |n| {
            format!("{n} {} 0:{n} / / rw,relatime - proc proc rw", (n * 7919) % MOUNTS)
        }),
    ];
    shapes.into_iter().map(|(name, line)| (name, host(line))).collect()
}

#[test]
fn mountinfo_is_read_in_proportion() {
    let line = |n: usize| {
        format!("{n} 1 0:{n} / /mnt/{n} rw,nosuid,nodev,relatime - overlay overlay rw,lowerdir=/a:/b")
    };
    let lines: Vec<String> = (0..MOUNTS).map(line).collect();
    let (took, mounts) = fastest(|| lines.iter().filter_map(|line| Mount::parse(line)).count());
    println!("{mounts} lines of mountinfo parsed in {took:?}");
    assert!(mounts == MOUNTS && took < 2 * ALLOWED, "{mounts} in {took:?}");
}

#[test]
fn mounts_cost_in_proportion() {
    let sandbox = Sandbox::new().ro_bind("/", "/").proc("/proc").dev("/dev").unshare_all();
    let symptoms = [
        "Can't mount proc on /newroot/proc: Operation not permitted",
        "setting up uid map: Permission denied",
        "pivot_root: Invalid argument",
    ];
    for (name, mut host) in hosts() {
        for platforms in
            [Fact::Unknown, Fact::Absent, Fact::Present(vec![Sighting::new(Platform::Docker, "x")])]
        {
            host.platforms = platforms;
            let (predicted, report) = fastest(|| predict(&host, &sandbox).to_string());
            assert!(report.len() < 20_000, "{name}: a report of {} bytes", report.len());
            let mut slowest = Duration::ZERO;
            for symptom in symptoms {
                let symptom = Symptom::from_text(format!("bwrap: {symptom}\n").as_bytes());
                for sandbox in [None, Some(&sandbox)] {
                    let (diagnosed, report) = fastest(|| diagnose(&symptom, &host, sandbox).to_string());
                    assert!(report.len() < 40_000, "{name}: a report of {} bytes", report.len());
                    slowest = slowest.max(diagnosed);
                }
            }
            println!("{MOUNTS} {name}: predicted in {predicted:?}, diagnosed in {slowest:?} at most");
            assert!(predicted < ALLOWED && slowest < ALLOWED, "{name}: {predicted:?}, {slowest:?}");
        }
    }
}

/// The best of three: the machine does other things, too.
fn fastest<T>(work: impl Fn() -> T) -> (Duration, T) {
    let time = || {
        let began = busy();
        let done = work();
        (busy().saturating_sub(began), done)
    };
    let (first, done) = time();
    ([first, time().0, time().0].into_iter().min().unwrap(), done)
}
