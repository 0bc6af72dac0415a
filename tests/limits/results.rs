//! Results of a sandbox that sets traps for whoever opens them.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::time::{Duration, Instant};

use bwrap_launch::{Namespaces, Results, ResultsError, ResultsKind, Stdio};

use crate::cases;
use crate::common::{Case, Here, host, skip};

pub(crate) const CASES: &[Case] = cases![
    honest_files_are_opened,
    nothing_leads_away,
    nothing_but_files_is_opened,
    a_lease_makes_nobody_wait,
    directories_that_change_places,
    logs_are_appended_to_in_place,
];

fn results(here: &Here) -> Results {
    match Results::below(&here.scratch) {
        Ok(results) => results,
        Err(ResultsError::Unsupported) => skip("this kernel has no openat2(2)"),
        Err(error) => panic!("{error}"),
    }
}

/// The attacker, who may write the directory.
fn attack(here: &Here, script: &str) {
    let sandbox = host().bind(&here.scratch, &here.scratch).current_dir(&here.scratch);
    let output = here.shell(&sandbox.unshare(Namespaces::PID), script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn honest_files_are_opened(here: &Here) {
    attack(
        here,
        "mkdir -p a/b; echo one > a/b/c; echo two > top; : > a/empty; head -c 4096 /dev/zero > a/full",
    );
    let results = results(here);
    assert_eq!(results.read("a/b/c", 4).unwrap(), b"one\n");
    assert_eq!(results.read("a/../top", 100).unwrap(), b"two\n", "it stays below");
    assert_eq!(results.read("a/empty", 0).unwrap(), b"");
    assert!(matches!(results.read("a/full", 4095), Err(ResultsError::TooLarge { limit: 4095, .. })));
    assert_eq!(results.read("a/full", 4096).unwrap().len(), 4096);
    let below = results.directory("a").unwrap();
    let mut names: Vec<_> =
        below.entries(100).unwrap().into_iter().map(|e| (e.name.into_string().unwrap(), e.kind)).collect();
    names.sort_by(|one, two| one.0.cmp(&two.0));
    let expected = [("b", ResultsKind::Directory), ("empty", ResultsKind::File), ("full", ResultsKind::File)];
    assert_eq!(names, expected.map(|(name, kind)| (name.to_owned(), kind)));
    let mut text = String::new();
    below.open("b/c").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "one\n");
    assert!(below.open("c").unwrap_err().to_string().contains("/a/c: No such file"));
}

fn nothing_leads_away(here: &Here) {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let out = outside.path().display();
    attack(
        here,
        &format!(
            "ln -s '{out}/secret' file; ln -s '{out}' dir; mkdir d; echo x > d/f; ln -s d inside; ln -s d/f inner; ln -s ../../../../../..{out}/secret up
             ln -s /proc/self/fd/0 magic; ln -s self loop; ln -s loop self; ln -s /nonexistent dangling"
        ),
    );
    let results = results(here);
    let up = format!("../../../../../../../..{out}/secret");
    let absolute = format!("{out}/secret");
    let names = [
        "file",
        "dir/secret",
        "inside/f",
        "inner",
        "up",
        "magic",
        "loop",
        "dangling",
        "d/../../x",
        "..",
        &up,
        &absolute,
    ];
    for name in names {
        for error in [
            results.open(name).unwrap_err(),
            results.read(name, 100).unwrap_err(),
            results.append(name).unwrap_err(),
            results.directory(name).unwrap_err(),
        ] {
            assert!(matches!(error, ResultsError::LeadsAway { .. }), "{name}: {error}");
        }
    }
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
    assert!(!here.scratch.parent().unwrap().join("x").exists());
    assert_eq!(names.len() * 4, 48);
}

fn nothing_but_files_is_opened(here: &Here) {
    attack(
        here,
        "mkfifo fifo; mkdir dir; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")' || mkfifo socket",
    );
    let mut special = vec!["fifo", "socket"];
    if here.root {
        let status = std::process::Command::new("mknod")
            .arg(here.scratch.join("device"))
            .args(["c", "1", "5"])
            .status();
        if status.unwrap().success() {
            assert!(fs::metadata(here.scratch.join("device")).unwrap().file_type().is_char_device());
            special.push("device");
        }
    }
    let results = results(here);
    let start = Instant::now();
    for name in special.iter().chain(&["dir"]) {
        for error in [results.open(name).unwrap_err(), results.append(name).unwrap_err()] {
            let ResultsError::Other { wanted, .. } = &error else { panic!("{name}: {error}") };
            assert_eq!(*wanted, "regular file");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(20), "nobody waits for a FIFO");
    assert!(matches!(results.directory("fifo"), Err(ResultsError::Other { found: "FIFO", .. })));
    let kinds = results.entries(100).unwrap();
    assert_eq!(kinds.iter().filter(|entry| entry.kind == ResultsKind::Special).count(), special.len());
    assert_eq!(kinds.iter().filter(|entry| entry.kind == ResultsKind::Directory).count(), 1);
}

/// Who owns a file may hold a lease on it, and whoever opens it waits, by default for 45 s.
fn a_lease_makes_nobody_wait(here: &Here) {
    let script = "import fcntl, sys\nf = open('leased', 'w')\nfcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_WRLCK)\nimport signal\nsignal.signal(signal.SIGIO, signal.SIG_IGN)\nprint('', flush=True)\nsys.stdin.read()";
    let sandbox = host().bind(&here.scratch, &here.scratch).current_dir(&here.scratch);
    let mut command = here.command(&sandbox, "python3");
    let mut child =
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    if child.stdout.as_mut().unwrap().read_exact(&mut [0]).is_err() {
        skip("no lease can be had here");
    }
    let start = Instant::now();
    let error = results(here).open("leased").unwrap_err();
    let ResultsError::System { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), ErrorKind::WouldBlock);
    assert!(start.elapsed() < Duration::from_secs(20));
    let _ = child.wait();
    assert_eq!(results(here).read("leased", 0).unwrap(), b"", "the lease is gone");
}

/// A directory and a link to elsewhere take each other's name all the time.
fn directories_that_change_places(here: &Here) {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("f"), "secret").unwrap();
    fs::create_dir(here.scratch.join("d")).unwrap();
    fs::write(here.scratch.join("d/f"), "own").unwrap();
    symlink(outside.path(), here.scratch.join("l")).unwrap();
    let script = "import os, ctypes
libc = ctypes.CDLL(None)
print('', flush=True)
while True: libc.renameat2(-100, b'd', -100, b'l', 2)";
    let sandbox =
        host().bind(&here.scratch, &here.scratch).current_dir(&here.scratch).unshare(Namespaces::PID);
    // the attacker is another user where it could be
    let mut command = here.command(&sandbox, "python3");
    let mut child = command.args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    if child.stdout.as_mut().unwrap().read_exact(&mut [0]).is_err() {
        skip("no python");
    }
    let results = results(here);
    let (mut own, mut refused) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(20);
    while (own < 500 || refused < 500) && Instant::now() < deadline {
        match results.read("d/f", 100) {
            Ok(bytes) => {
                assert_eq!(bytes, b"own", "it was followed");
                own += 1;
            }
            Err(ResultsError::LeadsAway { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        if let Ok(mut file) = results.append("d/log") {
            file.write_all(b"x").unwrap();
        }
    }
    child.kill().unwrap();
    let _ = child.wait();
    assert!(own > 0 && refused > 0, "{own} opened, {refused} refused: there was no race");
    println!("{own} opened, {refused} refused");
    assert!(!outside.path().join("log").exists(), "it was followed");
}

fn logs_are_appended_to_in_place(here: &Here) {
    let results = results(here);
    results.append("log").unwrap().write_all(b"one\n").unwrap();
    attack(here, "printf 'two\\n' >> log; mv log moved; ln moved log");
    let mut file = results.append("log").unwrap();
    file.write_all(b"three\n").unwrap();
    assert_eq!(results.read("moved", 100).unwrap(), b"one\ntwo\nthree\n");
    assert!(matches!(results.append("no/log"), Err(ResultsError::System { .. })));
}
