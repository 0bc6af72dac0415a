//! `bwrap-doctor run`.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::check::write_script;
use crate::schema::assert_valid;
use crate::{DOCTOR, FULL, ROOT, ask, ask_with_input, doctor, line, needs, said, skipped};

/// A shell that starts the doctor with `$0` and sets descriptors up for it.
fn shell(script: &str) -> crate::Said {
    said(Command::new("sh").args(["-c", script, DOCTOR]).stdin(Stdio::null()).output().unwrap())
}

/// A copy where everybody may execute it.
fn copied(directory: &tempfile::TempDir, program: &Path, mode: u32) -> PathBuf {
    let path = directory.path().join(program.file_name().unwrap());
    // by somebody else: what this process had open for writing could not be executed while a test forks
    assert!(Command::new("cp").args([program, &path]).status().unwrap().success());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[test]
fn the_commands_status_is_passed_on() {
    needs!(ROOT);
    for status in [0, 1, 2, 7, 124, 125, 255] {
        let said = ask(&line(&[], &["sh", "-c", &format!("exit {status}")]));
        assert_eq!((said.status, said.err.as_str()), (status, ""));
    }
    let said = ask(&line(&[], &["sh", "-c", "kill -9 $$"]));
    assert_eq!((said.status, said.err.as_str()), (137, ""));
    // nothing is added in JSON either
    let said = ask(&line(&["--format", "json"], &["sh", "-c", "echo out; exit 3"]));
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (3, "out\n", ""));
}

/// What a link leads to is made, bound or named, and not the link.
#[test]
fn a_link_that_leads_nowhere_is_named() {
    needs!(ROOT);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (link, gone) = (path("link"), path("tmp/gone/x"));
    std::os::unix::fs::symlink("tmp/gone/x", &link).unwrap();
    let remedies = |rest: &[&str]| {
        let said = ask(&line(&["--format", "json"], rest));
        let json: serde_json::Value = serde_json::from_str(said.err.lines().last().unwrap()).unwrap();
        let cause = &json["diagnosis"]["causes"][0];
        assert!(cause["summary"].as_str().unwrap().contains(&gone), "{}", said.err);
        cause["remedies"].to_string()
    };
    let below = format!("{link}/below");
    for (rest, made) in [
        (&["--ro-bind", &link, "/mnt", "true"][..], gone.clone()),
        (&["--ro-bind", &below, "/mnt", "true"], format!("{gone}/below")),
        (&["--chdir", &link, "true"], gone.clone()),
    ] {
        assert!(remedies(rest).contains(&format!("mkdir -p {made}\\n")), "{rest:?}: {}", remedies(rest));
    }
    assert!(remedies(&[&link]).contains("ln -sfn TARGET"));
    // a mount goes where the link leads
    std::fs::create_dir(path("tmp")).unwrap();
    std::fs::write(path("file"), "content").unwrap();
    let (tmpfs, file) = (path("tmp"), path("file"));
    let bind = |to| ["--tmpfs", tmpfs.as_str(), "--ro-bind", &file, to, "cat", &link];
    let change = format!(r#""destination":{{"operation":2,"path":"{gone}"}}"#);
    assert!(remedies(&bind(&link)).contains(&change), "{}", remedies(&bind(&link)));
    assert_eq!(ask(&line(&[], &bind(&gone))).out, "content");
}

/// What stands in bwrap's place may speak after it.
#[test]
fn a_wrapper_that_has_the_last_word() {
    needs!(ROOT);
    let directory = tempfile::tempdir().unwrap();
    let bwrap = bwrap_launch::Bwrap::find().unwrap();
    let bwrap = bwrap.path().display();
    let script = format!("'{bwrap}' \"$@\"; it=$?; echo \"wrapper: it ended with $it\" >&2; exit $it");
    let wrapper = write_script(&directory, &script);
    let by = ["--bwrap", wrapper.as_str()];
    let missing = [&by[..], &["--format", "json"]].concat();
    let said = ask(&line(&missing, &["--bind", "/no/such", "/mnt", "true"]));
    assert!(said.status == 125 && said.err.contains(r#""code":"BD01""#), "{}", said.err);
    let said = ask(&line(&missing, &["/no/such"]));
    assert!(said.status == 127 && said.err.contains(r#""code":"EX02""#), "{}", said.err);
    let said = ask(&line(&by, &["sh", "-c", "exit 3"]));
    assert_eq!((said.status, said.err.as_str()), (3, "wrapper: it ended with 3\n"));
}

#[test]
fn streams_and_environment_are_the_commands() {
    needs!(ROOT);
    let said = ask_with_input(&line(&[], &["sh", "-c", "cat; echo err >&2"]), b"in\0put");
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "in\0put", "err\n"));
    let seen = |options: &[&str]| {
        let words = line(&[], &[options, &["/bin/sh", "-c", "echo $GREETING"]].concat());
        crate::said(doctor(&words).env("GREETING", "hello").output().unwrap()).out
    };
    assert_eq!((seen(&[]).as_str(), seen(&["--clearenv"]).as_str()), ("hello\n", "\n"));
    assert_eq!(seen(&["--setenv", "GREETING", "goodbye"]), "goodbye\n");
}

#[test]
fn descriptors_are_the_commands() {
    needs!(&[ROOT, &["--proc", "/proc"]].concat());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"content\n").unwrap();
    let path = file.path().display();
    // one that no option names
    let said = shell(&format!("\"$0\" run -- --ro-bind / / sh -c 'cat <&5' 5<{path}"));
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "content\n", ""));
    let said =
        shell(&format!("\"$0\" run -- --ro-bind / / --tmpfs /tmp --file 5 /tmp/x cat /tmp/x 5<{path}"));
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "content\n", ""));
    // a word that is a number is no descriptor
    let said = shell(&format!(
        "\"$0\" run -- --ro-bind / / --setenv LEVEL 5 sh -c 'cat <&5; echo $LEVEL $1' sh 6 5<{path} 6<{path}"
    ));
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "content\n5 6\n", ""));
    let said = shell(&format!("\"$0\" run -- --ro-bind / / sh -c 'cat <&6' 6 5<{path} 6<{path}"));
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "content\n", ""));
    // the same as with bwrap itself: none of ours
    let open = |start: &str| {
        let said =
            shell(&format!("{start} --ro-bind / / --proc /proc sh -c 'exec ls /proc/self/fd' 8<{path}"));
        assert_eq!((said.status, said.err.as_str()), (0, ""));
        said.out
    };
    assert_eq!(open("\"$0\" run --"), open("bwrap"));
}

/// bwrap takes a standard stream where a line names one, as any other descriptor.
#[test]
fn standard_streams_are_descriptors_too() {
    needs!(&[ROOT, &["--proc", "/proc"]].concat());
    for option in ["--file", "--bind-data", "--ro-bind-data"] {
        let words = line(&[], &["--tmpfs", "/tmp", option, "0", "/tmp/x", "cat", "/tmp/x"]);
        let said = ask_with_input(&words, b"hello\n");
        assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "hello\n", ""), "{option}");
    }
    let filter = [6_u8, 0, 0, 0, 0, 0, 0xff, 0x7f];
    let said = ask_with_input(&line(&[], &["--seccomp", "0", "true"]), &filter);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let said = ask(&line(&[], &["--info-fd", "1", "true"]));
    assert!(said.status == 0 && said.out.contains("\"child-pid\""), "{}{}", said.out, said.err);
    let said = ask(&line(&[], &["--info-fd", "2", "true"]));
    assert!(said.status == 0 && said.err.contains("\"child-pid\""), "{}", said.err);
    // others have to be open
    let said = ask(&line(&[], &["--tmpfs", "/tmp", "--file", "99", "/tmp/x", "true"]));
    assert!(said.status == 125 && said.err.contains("descriptor 99, which is not open"), "{}", said.err);
}

/// A line that can be written to is not set up a second time: what bwrap said stands where its standard error went.
#[test]
fn words_in_a_pipe_are_not_said_to_be_none() {
    needs!(&["--bind", "/", "/"]);
    let said = ask(&["run", "--", "--bind", "/", "/", "--dir", "/proc/no/such", "true"]);
    assert!(said.err.starts_with("bwrap: Can't mkdir parents for /proc/no/such"), "{}", said.err);
    assert!(said.err.contains("[UN01") && !said.err.contains("bwrap said nothing"), "{}", said.err);
    assert!(said.err.contains("bwrap-doctor explain --message"), "{}", said.err);
}

/// A start from here is told from that of a program that leaves bwrap more.
#[test]
fn what_bwrap_is_not_given_is_said() {
    needs!(ROOT);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("libcap.so.2"), "x").unwrap();
    let with = |path: &std::path::Path| {
        crate::said(doctor(&line(&[], &["true"])).env("LD_LIBRARY_PATH", path).output().unwrap())
    };
    let harmless = with(std::path::Path::new("/nonexistent"));
    assert_eq!((harmless.status, harmless.err.as_str()), (0, ""));
    let said = with(directory.path());
    // of a bwrap without that library nothing is to be said
    assert!(
        said.status == 0 && (said.err.is_empty() || said.err.contains("LD_LIBRARY_PATH is set here")),
        "{}",
        said.err
    );
    let ignoring = shell("exec env --ignore-signal=CHLD \"$0\" run -- --ro-bind / / true");
    let old = bwrap_launch::Bwrap::find().unwrap().version().is_some_and(|version| version.minor < 12);
    assert_eq!(
        (ignoring.status, ignoring.err.contains("SIGCHLD is ignored here")),
        (0, old),
        "{}",
        ignoring.err
    );
}

#[test]
fn arguments_are_read_from_descriptors() {
    needs!(ROOT);
    let list = |bytes: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    };
    let run = |bytes: &[u8], line: &str| {
        let file = list(bytes);
        shell(&format!("\"$0\" run -- {line} 6<{}", file.path().display()))
    };
    let said = run(b"--ro-bind\0/\0/\0--\0", "--args 6 echo --args 6");
    assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "--args 6\n", ""));
    let said = run(b"--ro-bind\0/\0/\0", "--setenv X --args --args 6 sh -c 'echo $X'");
    assert_eq!((said.status, said.out.as_str()), (0, "--args\n"), "{}", said.err);
    for (bytes, line) in [
        (&b"--ro-bind\0/\0/\0true\0"[..], "--args 6 true"),
        (b"--args\x006\0", "--args 6 true"),
        (b"", "--args 999 true"),
        (b"", "--args six true"),
        (b"", "--args"),
    ] {
        let said = run(bytes, line);
        assert_eq!((said.status, said.err.lines().count()), (125, 1), "{line}: {}", said.err);
    }
}

#[test]
fn what_did_not_run_has_a_status_of_its_own() {
    needs!(ROOT);
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "").unwrap();
    let plain = plain.to_str().unwrap();
    let cases: &[(i32, &str, &[&str])] = &[
        (125, "setup-failed", &["--ro-bind", "/nonexistent", "/mnt", "true"]),
        (125, "not-launched", &["--prems", "0700", "--dir", "/tmp", "true"]),
        (125, "not-launched", &["--unshare-user"]),
        (125, "not-launched", &["--json-status-fd", "1", "true"]),
        (126, "not-executed", &[plain]),
        (126, "not-executed", &["/usr"]),
        (127, "not-executed", &["no-such-program"]),
        (127, "not-executed", &["/no/such/program"]),
    ];
    for (status, outcome, rest) in cases {
        let human = ask(&line(&[], rest));
        assert_eq!((human.status, human.out.as_str()), (*status, ""), "{rest:?}: {}", human.err);
        assert!(!human.err.is_empty());
        let json = ask(&line(&["--format", "json"], rest));
        let report = json.last_line();
        assert_valid(&report);
        assert_eq!((json.status, &report["outcome"]), (*status, &(*outcome).into()), "{report}");
        assert_eq!(report["exit_status"], *status);
        assert_eq!(report["diagnosis"].is_object(), *outcome != "not-launched", "{report}");
    }
    let said = ask(&line(&["--bwrap", "/nonexistent/bwrap"], &["true"]));
    assert!(
        said.status == 125 && said.err.contains("/nonexistent/bwrap") && said.err.contains("CP07"),
        "{}",
        said.err
    );
    // its usage errors are no command's either
    for words in [&["run"][..], &["run", "true"], &["run", "--"], &["--format", "json", "run", "--nonsense"]]
    {
        assert_eq!(ask(words).status, 125, "{words:?}");
    }
}

#[test]
fn the_report_names_cause_and_remedy() {
    needs!(ROOT);
    let said = ask(&line(&[], &["--ro-bind", "/nonexistent", "/mnt", "true"]));
    for words in ["the command did not run", "/nonexistent", "BD01", "What to do"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
}

/// A pipe's words cannot be read back: the files tell, as far as they do, and else it is said what to type.
#[test]
fn a_pipe_has_the_same_explanation_as_a_file() {
    needs!(ROOT);
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    std::fs::copy("/bin/true", &program).unwrap();
    let path = program.to_str().unwrap();
    let report = directory.path().join("words");
    let words = |to_file: bool| {
        let line = line(&[], &[path]).join(" ");
        let to = report.to_str().unwrap();
        let said = shell(&if to_file {
            format!("{DOCTOR} {line} 2>{to}; cat {to} >&2")
        } else {
            format!("{DOCTOR} {line}")
        });
        said.err
    };
    let writer = std::fs::OpenOptions::new().append(true).open(&program).unwrap();
    for to_file in [true, false] {
        let said = words(to_file);
        assert!(said.contains("[EX03;") && said.contains("is open for writing"), "{said}");
    }
    drop(writer);
    // no file shows what a filter denies
    let mut filter = tempfile::NamedTempFile::new().unwrap();
    let execve = u32::try_from(libc::SYS_execve).unwrap();
    let (deny, allow) = (libc::SECCOMP_RET_ERRNO | libc::EACCES.unsigned_abs(), libc::SECCOMP_RET_ALLOW);
    for (code, more, k) in
        [(0x20_u16, [0, 0], 0), (0x15, [0, 1], execve), (0x06, [0, 0], deny), (0x06, [0, 0], allow)]
    {
        filter.write_all(&[&code.to_ne_bytes()[..], &more, &k.to_ne_bytes()].concat()).unwrap();
    }
    let filter = filter.path().to_str().unwrap();
    let line = line(&[], &["--seccomp", "9", path]).join(" ");
    let said = shell(&format!("exec 9<{filter}; {DOCTOR} {line}"));
    assert_eq!(said.status, 124, "{}", said.err);
    let own = said.err.lines().next().unwrap();
    assert!(
        own.ends_with("Permission denied") && said.err.contains("explain --message 'bwrap: "),
        "{}",
        said.err
    );
    let pasted = ask(&["explain", own]);
    assert!(pasted.status == 0 && pasted.out.contains("Cause: "), "{}", pasted.out);
}

#[test]
fn a_pasted_line_may_begin_with_bwrap() {
    needs!(ROOT);
    let bwrap = bwrap_launch::Bwrap::find().unwrap().path().to_str().unwrap().to_owned();
    for name in ["bwrap", bwrap.as_str()] {
        let said = ask(&[&["run", "--", name], ROOT, &["--", "echo", "bwrap"]].concat());
        assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (0, "bwrap\n", ""));
    }
    // the one that is named is the one that runs
    let said = ask(&[&["run", "--", "/nonexistent/bwrap"], ROOT, &["true"]].concat());
    assert_eq!(said.status, 125);
    assert!(said.err.contains("/nonexistent/bwrap"), "{}", said.err);
}

#[test]
fn nobody_to_tell_is_no_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = doctor(&line(&[], &["no-such-program"])).stderr(writer).status().unwrap();
    assert!(matches!(status.code(), Some(125..=127)), "{status}");
}

#[test]
fn a_descriptor_that_cannot_be_passed_on_is_told() {
    needs!(ROOT);
    // other shells have no such numbers
    let script = "ulimit -Sn 3000 && exec 2000</dev/null || { echo nothing; exit; }\n\"$0\" run -- --ro-bind / / echo ran";
    let Ok(output) = Command::new("bash").args(["-c", script, DOCTOR]).stdin(Stdio::null()).output() else {
        return skipped("there is no bash");
    };
    let said = said(output);
    if said.out == "nothing\n" {
        return skipped("descriptor 2000 cannot be opened here");
    }
    assert_eq!((said.status, said.out.as_str(), said.err.lines().count()), (0, "ran\n", 1), "{}", said.err);
    assert!(said.err.contains("descriptor 2000"), "{}", said.err);
}

/// bwrap's reports look its child up in /proc, by a number that nobody has there.
#[test]
fn a_proc_of_another_namespace_is_told_of() {
    needs!(ROOT);
    if !rustix::process::geteuid().is_root() {
        return skipped("only root makes a PID namespace with the /proc of outside");
    }
    let most: u32 = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap().trim().parse().unwrap();
    let nobodys = |first: &u32| {
        (*first..first + 60).all(|number| !std::path::Path::new(&format!("/proc/{number}")).exists())
    };
    let told = |free: u32| {
        let script =
            format!("echo {free} >/proc/sys/kernel/ns_last_pid; \"$0\" run -- {} true", ROOT.join(" "));
        let namespace = ["--pid", "--fork", "--kill-child", "sh", "-c", &script, DOCTOR];
        let output = Command::new("unshare").args(namespace).stdin(Stdio::null()).output().ok()?;
        Some(said(output))
    };
    // somebody may take the numbers meanwhile
    let mut last = None;
    for free in (0..most.saturating_sub(400)).rev().step_by(60).filter(nobodys).take(3) {
        let Some(said) = told(free) else { return skipped("there is no unshare") };
        if said.status == 125 && said.err.contains("[PR12; confidence: high]") {
            return;
        }
        last = Some(said);
    }
    match last {
        Some(said) => panic!("{}: {}", said.status, said.err),
        None => skipped("every process number is somebody's"),
    }
}

/// And what is printed for it there starts the same sandbox.
#[test]
fn a_user_namespace_in_gvisor_is_told_of() {
    needs!(ROOT);
    let directory = tempfile::tempdir().unwrap();
    let run = |before: &[&str], options: &[&str]| {
        let mut command = crate::gvisor::inside(directory.path())?;
        command.args(before).args([DOCTOR, "run", "--long", "--"]).args(options).args(ROOT).arg("true");
        Ok(said(command.stdin(Stdio::null()).output().unwrap()))
    };
    let failed = match run(&[], &["--unshare-user"]) {
        Ok(failed) => failed,
        Err(why) => return skipped(why),
    };
    assert!(
        failed.status == 125 && failed.err.contains("[MT17, GvisorMountNamespace; confidence: high]"),
        "{}",
        failed.err
    );
    let others = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"];
    let before = ["unshare", "--user", "--map-root-user"];
    for (before, options) in [(&[][..], &others[..]), (&before[..], &[][..])] {
        let words: Vec<&str> = before.iter().chain(options).copied().collect();
        assert!(failed.err.contains(&words.join(" ")), "{words:?}: {}", failed.err);
        let said = run(before, options).unwrap_or_else(|why: &str| panic!("{why}"));
        assert_eq!(said.status, 0, "{words:?}: {}", said.err);
    }
}

/// A service that runs as nobody, with a bwrap that is setuid root.
#[test]
fn an_overflow_id_that_is_mapped_twice_is_told_of() {
    needs!(FULL);
    if !rustix::process::geteuid().is_root() {
        return skipped("only root makes a setuid copy");
    }
    let directory = tempfile::tempdir().unwrap();
    let doctor = copied(&directory, DOCTOR.as_ref(), 0o755);
    let setuid = copied(&directory, bwrap_launch::Bwrap::find().unwrap().path(), 0o4755);
    for (uid, gid, twice) in [(65534, 65534, true), (1234, 65534, true), (1234, 1234, false)] {
        let mut command = Command::new(&doctor);
        command.args(["run", "--bwrap"]).arg(&setuid).arg("--").args(FULL).arg("true");
        let said = said(command.uid(uid).gid(gid).stdin(Stdio::null()).output().unwrap());
        if ["not supported", "Permission denied"].iter().any(|words| said.err.contains(words)) {
            return skipped("this bwrap cannot be setuid, or nobody may go there");
        }
        assert_eq!(said.err.contains("[UM14; confidence: high]"), twice, "{uid}, {gid}: {}", said.err);
        assert_eq!(said.status, if twice { 125 } else { 0 }, "{uid}, {gid}: {}", said.err);
    }
}

#[test]
fn a_refusal_names_the_option_that_is_missing() {
    needs!(ROOT);
    for (words, option) in [
        (&["--hostname", "box", "true"][..], "--unshare-uts"),
        (&["--lock-file", "/etc/passwd", "true"], "--unshare-pid"),
        (&["--disable-userns", "true"], "--unshare-user"),
    ] {
        let said = ask(&line(&[], words));
        assert_eq!((said.status, said.err.lines().count()), (125, 1), "{}", said.err);
        assert!(said.err.contains(&format!("({option})")), "{}", said.err);
    }
}

#[test]
fn a_report_can_be_had_alone() {
    needs!(ROOT);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report");
    let report = path.to_str().unwrap();
    let read = || std::fs::read_to_string(&path).unwrap();
    // bwrap's words and the command's streams are where they always are, and the report nowhere among them
    let said = ask(&line(&["--report", report], &["--ro-bind", "/nonexistent", "/mnt", "true"]));
    assert_eq!((said.status, said.out.as_str()), (125, ""));
    assert!(said.err.lines().all(|line| line.starts_with("bwrap: ")), "{}", said.err);
    assert!(
        read().contains("/nonexistent") && read().contains("Cause: ") && !read().contains('\x1b'),
        "{}",
        read()
    );
    let said =
        ask(&line(&["--format", "json", "--report", report], &["--ro-bind", "/nonexistent", "/mnt", "true"]));
    assert!(!said.err.contains('{'), "{}", said.err);
    let json: serde_json::Value = serde_json::from_str(&read()).unwrap();
    assert_valid(&json);
    assert_eq!((said.status, &json["outcome"]), (125, &"setup-failed".into()));
    // of a command that ran there is none, not even an old one
    let said = ask(&line(&["--report", report], &["sh", "-c", "echo out; echo err >&2; exit 3"]));
    assert_eq!(
        (said.status, said.out.as_str(), said.err.as_str(), read().as_str()),
        (3, "out\n", "err\n", "")
    );
    let said = ask(&line(&["--report", "/nonexistent/report"], &["echo", "ran"]));
    assert_eq!((said.status, said.out.as_str(), said.err.lines().count()), (125, "", 1), "{}", said.err);
}

/// What bwrap can start under such circumstances, the doctor can.
#[test]
fn odd_circumstances_are_no_fault() {
    needs!(FULL);
    let full = FULL.join(" ");
    let odd = [
        ("a descriptor above the limit", "exec 300</dev/null; ulimit -Sn 256"),
        ("SIGCHLD ignored", "trap '' CHLD"),
        ("few descriptors", "ulimit -n 16"),
    ];
    for (name, script) in odd {
        for task in [format!("run -- {full} true"), format!("check -- {full} true")] {
            let script = format!("{script}; exec \"$0\" {task}");
            let said = said(
                Command::new("bash").args(["-c", &script, DOCTOR]).stdin(Stdio::null()).output().unwrap(),
            );
            assert_eq!(said.status, 0, "{name}: {task}: {}{}", said.out, said.err);
        }
    }
}

/// The doctor, and three of a sandbox's. What a trial leaves to be reaped is reaped before the next.
#[test]
fn few_processes_are_no_fault() {
    needs!(FULL);
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can become a user without a process");
    }
    let directory = tempfile::tempdir().unwrap();
    let copy = copied(&directory, DOCTOR.as_ref(), 0o755);
    for (nobody, task) in [(0, "check".to_owned()), (1, format!("run -- {} true", FULL.join(" ")))] {
        let script = format!(
            "u=$((1000000 + $$ * 2 + {nobody})); prlimit --nproc=4 setpriv --reuid $u --regid $u --clear-groups \"$0\" {task}"
        );
        let mut shell = Command::new("sh");
        let said = said(shell.args(["-c", &script]).arg(&copy).stdin(Stdio::null()).output().unwrap());
        assert_eq!(said.status, 0, "{task}: {}{}", said.out, said.err);
    }
}

/// The arguments travel in a file, which bwrap itself does without.
#[test]
fn a_limit_on_files_is_told_of() {
    needs!(ROOT);
    let script = "ulimit -f 0; exec \"$0\" run -- --ro-bind / / true";
    let said = said(Command::new("bash").args(["-c", script, DOCTOR]).stdin(Stdio::null()).output().unwrap());
    assert_eq!(said.status, 125);
    assert!(said.err.contains("RLIMIT_FSIZE"), "{}", said.err);
}

#[test]
fn a_script_in_bwraps_place_that_closes_descriptors_is_told_of() {
    needs!(ROOT);
    let directory = tempfile::tempdir().unwrap();
    let script = "for i in 3 4 5 6 7 8 9; do eval \"exec $i>&-\"; done\nexec bwrap \"$@\"";
    let path = write_script(&directory, script);
    let said = ask(&line(&["--bwrap", &path], &["true"]));
    assert_eq!(said.status, 125);
    for text in ["was closed on the way to it", "Start bwrap itself", "AR01"] {
        assert!(
            said.err.split_whitespace().collect::<Vec<_>>().join(" ").contains(text),
            "{text}: {}",
            said.err
        );
    }
}
