//! What all subcommands share: help, colours, pipes; and what packagers need.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;

use crate::{FULL, ROOT, ask, doctor, golden, needs, said};

const SUBCOMMANDS: &[&str] =
    &["check", "run", "explain", "host", "pod", "install", "uninstall", "completions", "man"];

#[test]
fn help_fits_a_terminal_and_has_examples() {
    for subcommand in [&[][..]].into_iter().chain(SUBCOMMANDS.chunks(1)) {
        let said = ask(&[subcommand, &["--help"]].concat());
        assert_eq!((said.status, said.err.as_str()), (0, ""));
        assert!(said.out.contains("Example"), "{}", said.out);
        assert!(said.out.lines().all(|line| line.chars().count() <= 120), "{}", said.out);
    }
    assert!(ask(&["--version"]).out.starts_with("bwrap-doctor "));
}

/// In `tests/data/words`, where a change of them shows.
#[test]
fn help_and_man_pages_are_as_written() {
    let mut made = BTreeMap::new();
    for name in [""].iter().chain(SUBCOMMANDS) {
        let subcommand: &[&str] = if name.is_empty() { &[] } else { &[name] };
        let file = if name.is_empty() { "bwrap-doctor".to_owned() } else { format!("bwrap-doctor-{name}") };
        made.insert(format!("{file}.help"), ask(&[subcommand, &["--help"]].concat()).out);
        made.insert(format!("{file}.1"), ask(&[&["man"], subcommand].concat()).out);
    }
    golden::check("doctor", &made, "cargo test --all-features --test doctor as_written");
}

#[test]
fn wrong_usage_is_status_2() {
    for args in [
        &[][..],
        &["nonsense"],
        &["check", "--nonsense"],
        &["check", "--format", "xml"],
        &["explain", "PR01", "--here"],
        &["explain", "--message", "x", "--here", "--host", "x"],
        &["completions", "csh"],
        &["man", "nonsense"],
    ] {
        let said = ask(args);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{args:?}");
        assert!(!said.err.is_empty());
    }
}

#[test]
fn words_that_are_no_text_are_no_panic() {
    needs!(ROOT);
    let word = OsStr::from_bytes(b"\xff\xfa");
    let end = |args: &[&str]| said(doctor(args).arg(word).output().unwrap()).status;
    assert_eq!((end(&[]), end(&["check"]), end(&["explain"]), end(&["run"])), (2, 2, 2, 125));
    assert_eq!((end(&["explain", "--message"]), end(&["explain", "--args"])), (0, 2));
    assert_eq!((end(&["check", "--bwrap"]), end(&["run", "--", "--ro-bind", "/", "/"])), (1, 127));
    let failed = said(
        doctor(&["run", "--format", "json", "--", "--ro-bind"])
            .args([word, word, "true".as_ref()])
            .output()
            .unwrap(),
    );
    assert_eq!((failed.status, &failed.last_line()["outcome"]), (125, &"setup-failed".into()));
}

#[test]
fn completions_and_man_pages_are_there() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = ask(&["completions", shell]);
        assert_eq!((said.status, said.err.as_str()), (0, ""));
        assert!(SUBCOMMANDS.iter().all(|name| said.out.contains(name)), "{shell}");
    }
    let page = ask(&["man"]);
    assert!(page.status == 0 && page.out.contains(".TH bwrap-doctor 1"), "{}", page.out);
    for name in SUBCOMMANDS {
        let page = ask(&["man", name]);
        assert!(page.status == 0 && page.out.contains(&format!(".TH bwrap-doctor-{name} 1")), "{}", page.out);
    }
}

#[test]
fn colours_are_for_terminals_and_who_asks() {
    let coloured = |args: &[&str], variables: &[(&str, &str)]| {
        let said = said(doctor(args).envs(variables.iter().copied()).output().unwrap());
        said.out.contains('\x1b') || said.err.contains('\x1b')
    };
    let cases: &[&[&str]] = &[
        &["check"],
        &["explain", "--message", "bwrap: setting up uid map: Permission denied"],
        &["run", "--", "--ro-bind", "/nonexistent", "/", "true"],
        &["--help"],
    ];
    for args in cases {
        assert!(!coloured(args, &[]), "{args:?}");
        assert!(coloured(args, &[("CLICOLOR_FORCE", "1")]), "{args:?}");
        assert!(!coloured(args, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), "{args:?}");
    }
    assert!(!coloured(&["check", "--format", "json"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    needs!(FULL);
    let cases: &[&[&str]] = &[
        &["check"],
        &["explain"],
        &["explain", "PR01"],
        &["host"],
        &["host", "--format", "json"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ];
    for args in cases {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = said(doctor(args).stdout(writer).output().unwrap());
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn output_that_is_lost_is_an_error() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let said = said(doctor(&["explain"]).stdout(full).output().unwrap());
    assert_eq!((said.status, said.err.lines().count()), (2, 1), "{}", said.err);
}
