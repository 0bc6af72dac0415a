//! `install` and `uninstall`.

use std::path::Path;

use crate::cases;
use crate::common::{Case, Here};
use crate::kit::{Ran, doctor, real, run, shell};

pub(crate) const CASES: &[Case] = cases![what_is_installed_is_taken_back, nothing_foreign_is_touched];

fn script(here: &Here, text: &str) -> Ran {
    let mut process = shell(here, &doctor(here), text);
    let home = process.get_current_dir().unwrap().to_owned();
    process.env("HOME", home).env("REAL", real(here));
    run(process)
}

fn what_is_installed_is_taken_back(here: &Here) {
    let ran = script(
        here,
        "mkdir -p .local/bin; \"$B\" install; ls -A .local/bin; .local/bin/bwrap --ro-bind / / echo runs; \
         \"$B\" install; \"$B\" uninstall; ls -A .local/bin; \"$B\" uninstall; echo $?",
    );
    let own = "/.local/bin/bwrap";
    let lines: Vec<&str> = ran.out.lines().collect();
    let shape = [
        ("made ", ", a copy of bwrap-doctor"),
        ("it runs ", ", and explains what does not start"),
        ("bwrap", ""),
        ("runs", ""),
        ("renewed ", ", a copy of bwrap-doctor"),
        ("it runs ", ", and explains what does not start"),
        ("removed ", own),
        ("", "is not there"),
        ("0", ""),
    ];
    assert_eq!(lines.len(), shape.len(), "{}{}", ran.out, ran.err);
    for (line, (begin, end)) in lines.iter().zip(shape) {
        assert!(line.starts_with(begin) && line.ends_with(end), "{line}");
    }
    assert!(
        ran.err.contains("your PATH leads to ") || ran.err.contains("is not on your PATH"),
        "{}",
        ran.err
    );
    // another place; found first, there is nothing to note
    let ran = script(
        here,
        "mkdir d; PATH=$PWD/d:$PATH \"$B\" install --directory d; \"$B\" uninstall --directory d; ls -A d",
    );
    assert!(ran.err.is_empty() && ran.out.lines().count() == 3, "{}{}", ran.out, ran.err);
    // whom it runs, another copy knows
    let ran = script(
        here,
        "mkdir a b; \"$B\" install --directory a >/dev/null 2>&1; \"$B\" install --directory b >/dev/null 2>&1; \
         ln -s \"$REAL\" bwrap; PATH=$PWD/a:$PWD/b:$PWD:$PATH bwrap --ro-bind / / echo runs",
    );
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("runs\n", ""));
}

fn nothing_foreign_is_touched(here: &Here) {
    for there in ["echo mine >d/bwrap", "ln -s /nonexistent d/bwrap", "ln -s \"$B\" d/bwrap", "mkdir d/bwrap"]
    {
        for task in ["install", "uninstall"] {
            let ran = script(
                here,
                &format!(
                    "mkdir d; {there}; ls -l d >before; \"$B\" {task} --directory d; echo $?; \
                ls -l d | cmp - before && echo unchanged"
                ),
            );
            assert_eq!(ran.out, "2\nunchanged\n", "{there}: {}", ran.err);
            assert!(ran.err.contains("left as it is"), "{}", ran.err);
        }
    }
    let ran = script(here, "\"$B\" install");
    assert_eq!(
        (ran.status.code(), ran.err.contains(" is no directory; make it")),
        (Some(2), true),
        "{}",
        ran.err
    );
    assert!(!Path::new("/usr/local/bin/bwrap").exists(), "a test has put it there");
}
