//! `bwrap-doctor check`.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use crate::schema::assert_valid;
use crate::{DOCTOR, FULL, INSTALLED, ROOT, ask, doctor, lacking, line, needs, said, skipped};

#[test]
fn a_machine_that_works_is_one_line() {
    needs!(FULL);
    let said = ask(&["check"]);
    assert_eq!((said.status, said.err.as_str(), said.out.lines().count()), (0, "", 1), "{}", said.out);
    assert!(said.out.starts_with("ok: bwrap "), "{}", said.out);
    assert_eq!(ask(&["check", "--no-network"]).status, 0);
}

#[test]
fn json_tells_every_trial() {
    needs!(FULL);
    let said = ask(&["check", "--format", "json"]);
    let report = said.json();
    assert_valid(&report);
    assert_eq!((said.status, &report["works"]), (0, &true.into()));
    let trials = report["trials"].as_array().unwrap();
    assert!(trials.iter().all(|trial| trial["outcome"] == "works"));
    assert!([true, false].iter().all(|network| trials.iter().any(|trial| trial["network"] == *network)));
    assert!(report["prediction"]["outlook"].is_string());
}

#[test]
fn without_a_bwrap_there_are_no_sandboxes() {
    for (args, path) in
        [(&["check", "--bwrap", "/nonexistent/bwrap"][..], "/usr/bin"), (&["check"][..], "/nonexistent")]
    {
        let run = |json: &[&str]| {
            let mut command = doctor(&[args, json].concat());
            said(command.env_remove("BWRAP").env("PATH", path).output().unwrap())
        };
        let human = run(&[]);
        assert_eq!((human.status, human.err.as_str()), (1, ""));
        assert!(human.out.starts_with("no sandboxes: "), "{}", human.out);
        let json = run(&["--format", "json"]);
        assert_eq!((json.status, &json.json()["works"]), (1, &false.into()));
        assert_valid(&json.json());
    }
}

/// A stand-in for bwrap, whose sandboxes fail as `script` says. `$BWRAP` is the real one.
fn stand_in(directory: &tempfile::TempDir, script: &str) -> String {
    let bwrap = bwrap_launch::Bwrap::find().unwrap();
    let bwrap = bwrap.path().display();
    write_script(
        directory,
        &format!("BWRAP='{bwrap}'\ncase $1 in --help|--version) exec $BWRAP \"$@\";; *) {script};; esac"),
    )
}

pub(crate) fn write_script(directory: &tempfile::TempDir, script: &str) -> String {
    let path = directory.path().join("bwrap");
    put_script(&path, &format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n"));
    path.to_str().unwrap().to_owned()
}

pub(crate) fn put_script(path: &std::path::Path, script: &str) {
    // written by a shell: a file that this process had open for writing could not be executed while a test forks
    let status = std::process::Command::new("sh")
        .args(["-c", "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .arg(script)
        .status();
    assert!(status.unwrap().success());
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn what_fails_is_told_with_its_cause() {
    needs!(INSTALLED);
    let directory = tempfile::tempdir().unwrap();
    let path = stand_in(&directory, "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1");
    let human = ask(&["check", "--bwrap", &path]);
    assert_eq!((human.status, human.err.as_str()), (1, ""), "{}", human.out);
    assert!(human.out.contains("FAILS") && human.out.contains("Cause: "), "{}", human.out);
    let json = ask(&["check", "--format", "json", "--bwrap", &path]);
    assert_valid(&json.json());
    let report = json.json();
    assert_eq!(
        (json.status, &report["works"], &report["trials"][0]["outcome"]),
        (1, &false.into(), &"failed".into())
    );
    assert!(report["trials"][0]["diagnosis"]["causes"][0]["code"].is_string());
}

#[test]
fn a_bwrap_that_does_not_even_start_is_diagnosed() {
    let directory = tempfile::tempdir().unwrap();
    let script = "echo 'bwrap: Unexpected capabilities but not setuid, old file caps config?' >&2; exit 1";
    let path = write_script(&directory, script);
    let human = ask(&["check", "--bwrap", &path]);
    assert_eq!((human.status, human.err.as_str()), (1, ""), "{}", human.out);
    for words in ["no sandboxes: ", "Unexpected capabilities", "Cause: ", "What to do"] {
        assert!(human.out.contains(words), "{words}: {}", human.out);
    }
    let json = ask(&["check", "--format", "json", "--bwrap", &path]);
    let report = json.json();
    assert_valid(&report);
    assert_eq!((json.status, &report["trials"]), (1, &serde_json::json!([])));
    let code = &report["diagnosis"]["causes"][0]["code"];
    assert!(code.is_string() && report["error"].is_string(), "{report}");
    // and so it is in a launch
    let human = ask(&line(&["--bwrap", &path], &["true"]));
    assert_eq!(human.status, 125);
    assert!(human.err.contains("Cause: ") && human.err.contains("What to do"), "{}", human.err);
    let json = ask(&line(&["--format", "json", "--bwrap", &path], &["true"]));
    let report = json.last_line();
    assert_valid(&report);
    assert_eq!((json.status, &report["outcome"]), (125, &"not-launched".into()));
    assert_eq!(&report["diagnosis"]["causes"][0]["code"], code);
}

#[test]
fn a_bwrap_that_hangs_is_given_up() {
    needs!(INSTALLED);
    let directory = tempfile::tempdir().unwrap();
    let path = stand_in(&directory, "sleep 60");
    let began = std::time::Instant::now();
    let json = ask(&["check", "--format", "json", "--bwrap", &path]);
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "{:?}", began.elapsed());
    let report = json.json();
    assert_valid(&report);
    assert_eq!((json.status, &report["works"]), (1, &false.into()));
    // what was not tried is not reported
    assert_eq!(report["works_without_network_namespace"], false);
    assert!(report["works_with_network_namespace"].is_null());
    let trials = report["trials"].as_array().unwrap();
    assert_eq!((trials.len(), &trials[0]["outcome"]), (1, &"timed-out".into()), "{report}");
}

#[test]
fn where_it_works_without_a_user_namespace_it_works() {
    needs!(INSTALLED);
    let bare = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--tmpfs", "/tmp"];
    let bare = [ROOT, &["--proc", "/proc", "--dev", "/dev"], &bare].concat();
    if let Some(why) =
        lacking(&bare).or((!rustix::process::getuid().is_root()).then(|| "not root".to_owned()))
    {
        return skipped(&format!("sandboxes without a user namespace do not work here: {why}"));
    }
    let directory = tempfile::tempdir().unwrap();
    // as where a container's /proc is masked: in a user namespace there can be no new one
    let path = stand_in(
        &directory,
        "if tr '\\0' '\\n' </proc/self/fd/$2 | grep -qx -e --unshare-user-try && tr '\\0' '\\n' </proc/self/fd/$2 \
         | grep -qx -e --proc; then echo \"bwrap: Can't mount proc on /newroot/proc: Operation not permitted\" >&2; \
         exit 1; fi; exec $BWRAP \"$@\"",
    );
    let human = ask(&["check", "--bwrap", &path]);
    assert_eq!((human.status, human.out.lines().count()), (0, 1), "{}", human.out);
    assert!(human.out.contains("only without a user namespace"), "{}", human.out);
    let report = ask(&["check", "--format", "json", "--bwrap", &path]).json();
    assert_valid(&report);
    assert_eq!(
        (&report["works"], &report["works_only_without_user_namespace"]),
        (&true.into(), &true.into())
    );
    let trials = report["trials"].as_array().unwrap();
    let proc: Vec<_> = trials.iter().filter(|trial| trial["trial"] == "proc").collect();
    assert_eq!((&proc[0]["user_namespace"], &proc[0]["outcome"]), (&true.into(), &"failed".into()));
    assert_eq!((&proc[1]["user_namespace"], &proc[1]["outcome"]), (&false.into(), &"works".into()));
}

#[test]
fn the_callers_own_line_is_tried_and_not_run() {
    needs!(ROOT);
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("mark");
    let mark = mark.to_str().unwrap();
    let check =
        |format: &[&str], rest: &[&str]| ask(&[&["check"], format, &["--", "bwrap"], ROOT, rest].concat());
    for command in
        [&["touch", mark][..], &["--bind", directory.path().to_str().unwrap(), "/mnt", "touch", mark], &[]]
    {
        let human = check(&[], command);
        assert_eq!(
            (human.status, human.err.as_str(), human.out.lines().count()),
            (0, "", 1),
            "{}",
            human.out
        );
        assert!(human.out.starts_with("ok: bwrap "), "{}", human.out);
    }
    assert!(!std::path::Path::new(mark).exists());
    let failing = ["--ro-bind", "/nonexistent", "/mnt", "true"];
    let human = check(&[], &failing);
    assert_eq!((human.status, human.err.as_str()), (1, ""));
    for words in ["no sandbox: ", "/nonexistent", "BD01", "What to do"] {
        assert!(human.out.contains(words), "{words}: {}", human.out);
    }
    let json = check(&["--format", "json"], &failing);
    let report = json.json();
    assert_valid(&report);
    assert_eq!((json.status, &report["works"]), (1, &false.into()));
    assert_eq!(report["trials"][0]["diagnosis"]["causes"][0]["code"], "BD01");
    assert!(report["trials"][0]["trial"].is_null() && report["works_with_network_namespace"].is_null());
    assert!(report["prediction"]["outlook"].is_string());
    assert_valid(&check(&["--format", "json"], &["true"]).json());
    // wrong usage
    for words in [&["check", "--", "--nonsense"][..], &["check", "--no-network", "--", "--ro-bind", "/", "/"]]
    {
        assert_eq!(ask(words).status, 2, "{words:?}");
    }
}

#[test]
fn what_fails_just_before_the_command_fails_here_too() {
    needs!(ROOT);
    // a filter of one instruction that bwrap passes on and the kernel refuses
    let mut filter = tempfile::NamedTempFile::new().unwrap();
    filter.write_all(&[0xff; 8]).unwrap();
    let filter = format!("--seccomp 9 9<{}", filter.path().display());
    for (options, code) in [("--chdir /nonexistent", Some("EX08")), ("--sync-fd 9", None), (&filter, None)] {
        let script = format!("\"$0\" \"$@\" -- --ro-bind / / {options}");
        let ask = |words: &[&str]| {
            let mut shell = std::process::Command::new("sh");
            said(
                shell
                    .args(["-c", &script, DOCTOR])
                    .args(words)
                    .stdin(std::process::Stdio::null())
                    .output()
                    .unwrap(),
            )
        };
        let human = ask(&["check"]);
        assert_eq!((human.status, human.err.as_str()), (1, ""), "{options}: {}", human.out);
        let json = ask(&["check", "--format", "json"]);
        let report = json.json();
        assert_valid(&report);
        assert_eq!((json.status, &report["works"]), (1, &false.into()), "{options}: {report}");
        let found = &report["trials"][0]["diagnosis"]["causes"][0]["code"];
        assert!(code.is_none_or(|code| found == code), "{options}: {report}");
    }
    // and so it does in `run`
    let said = ask(&line(&[], &["--sync-fd", "9", "true"]));
    assert_eq!((said.status, said.err.lines().count()), (125, 1));
    assert!(said.err.contains("descriptor 9"), "{}", said.err);
}

/// bwrap's trial ends before these: their files say it, and not by chance.
#[test]
fn what_fails_after_the_trial_is_looked_at() {
    needs!(&[ROOT, &["--unshare-pid"]].concat());
    let lock = |path| [&["check", "--"][..], ROOT, &["--unshare-pid", "--lock-file", path, "true"]].concat();
    let command = [&["check", "--"][..], ROOT, &["no-such-program"]].concat();
    for _ in 0..5 {
        let missing = lock("/nonexistent/lock");
        for (args, words) in [(&missing, "lock file /nonexistent/lock"), (&command, "[EX02; ")] {
            let human = ask(args);
            assert_eq!((human.status, human.err.as_str()), (1, ""), "{args:?}: {}", human.out);
            assert!(human.out.contains(words), "{words}: {}", human.out);
        }
    }
    assert_eq!(ask(&lock("/etc/passwd")).status, 0);
    // where the command starts
    assert_eq!((ask(&lock("Cargo.toml")).status, ask(&lock("etc/passwd")).status), (0, 1));
}

/// An option of the command's that this bwrap does not have stops the line as one of the sandbox's does.
#[test]
fn an_option_of_the_commands_counts() {
    needs!(ROOT);
    let has = bwrap_launch::Bwrap::find().unwrap().accepts("--argv0");
    let check = |words: &[&str]| ask(&[&["check", "--"], ROOT, words].concat());
    let said = check(&["--argv0", "foo", "true"]);
    let refused = said.status == 1 && said.out.contains("has no --argv0");
    assert!(if has { said.status == 0 } else { refused }, "{}{}", said.out, said.err);
    // as another's argument it is none
    for words in [&["true", "--argv0", "foo"][..], &["--setenv", "X", "--argv0", "true"], &["true"]] {
        assert_eq!(check(words).status, 0, "{words:?}");
    }
    let none = check(&[]);
    assert!(none.status == 0 && none.out.contains("names no command"), "{}", none.out);
}

/// What `run` refuses `check` refuses, and the prediction tells: of the command's own words, too.
#[test]
fn all_checks_of_a_launch_are_made() {
    needs!(FULL);
    let many: Vec<String> = (0..9_200).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = "a".repeat(80);
    for rest in [
        &["--as-pid-1", "true"][..],
        &["--unshare-uts", "--hostname", &long, "true"],
        &["--unshare-pid", "--disable-userns", "true"],
        &[&["true"][..], &many].concat(),
    ] {
        let line = [&["--ro-bind", "/", "/"][..], rest].concat();
        for task in ["check", "run"] {
            let said = ask(&[&[task, "--"][..], &line].concat());
            assert_ne!(said.status, 0, "{task}: {:?}", &rest[..1]);
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(line.join(" ").as_bytes()).unwrap();
        let said = ask(&["explain", "--here", "--args", file.path().to_str().unwrap()]);
        assert!(said.out.starts_with("This sandbox will not start"), "{:?}: {}", &rest[..1], said.out);
    }
}

/// A line may name a descriptor by its path.
#[test]
fn a_line_is_tried_with_the_descriptors_that_it_is_given() {
    needs!(FULL);
    let doctor = format!("exec {DOCTOR} check -- --ro-bind / / --ro-bind /proc/self/fd/9 /mnt true 9</usr");
    let said = said(std::process::Command::new("sh").args(["-c", &doctor]).output().unwrap());
    assert_eq!(said.status, 0, "{}", said.out);
}
