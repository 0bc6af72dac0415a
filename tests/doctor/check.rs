//! `bwrap-doctor check`.

use std::os::unix::fs::PermissionsExt;

use crate::schema::assert_valid;
use crate::{ask, doctor, said};

#[test]
fn a_machine_that_works_is_one_line() {
    let said = ask(&["check"]);
    assert_eq!((said.status, said.err.as_str(), said.out.lines().count()), (0, "", 1), "{}", said.out);
    assert!(said.out.starts_with("ok: bwrap "), "{}", said.out);
    assert_eq!(ask(&["check", "--no-network"]).status, 0);
}

#[test]
fn json_tells_every_trial() {
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

/// A stand-in for bwrap, whose sandboxes fail as `script` says.
fn stand_in(directory: &tempfile::TempDir, script: &str) -> String {
    let path = directory.path().join("bwrap");
    let bwrap = bwrap_launch::Bwrap::find().unwrap();
    let bwrap = bwrap.path().display();
    let script =
        format!("#!/bin/sh\ncase $1 in --help|--version) exec '{bwrap}' \"$@\";; *) {script};; esac\n");
    // written by a shell: a file that this process had open for writing could not be executed while a test forks
    let status = std::process::Command::new("sh")
        .args(["-c", "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\""])
        .arg(&path)
        .arg(script)
        .status();
    assert!(status.unwrap().success());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_fails_is_told_with_its_cause() {
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
