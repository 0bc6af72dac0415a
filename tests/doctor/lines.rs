//! Lines as people have them: in scripts, with redirections, and with words that only a shell knows.

use crate::explain::file;
use crate::{ask, needs};

/// What is foretold of a line that stands in a file, and what was said.
fn outlook(line: &str) -> (String, String) {
    let (_directory, path) = file(line.as_bytes());
    let json = ask(&["explain", "--here", "--args", &path, "--format", "json"]).json();
    let human = ask(&["explain", "--here", "--args", &path]);
    (json["prediction"]["outlook"].as_str().unwrap().to_owned(), human.out + &human.err)
}

#[test]
fn a_line_in_a_script_is_foretold_by_its_own_words() {
    needs!(crate::ROOT);
    for line in [
        "bwrap --ro-bind / / true; echo done",
        "if bwrap --ro-bind / / true; then echo ok; fi",
        "bwrap --ro-bind / / true&",
        "bwrap --ro-bind / / true|cat",
        "bwrap --ro-bind / / true>/dev/null",
        "bwrap --ro-bind / / 2>/dev/null true",
        "bwrap --ro-bind / / --ro-bind-data 9 /etc/hostname 9</etc/passwd true",
        "(bwrap --ro-bind / / true)",
        "bwrap --ro-bind / / sh -c 'echo \"$HOME\" *; x'",
        "bwrap --ro-bind / / --block-fd 12 true",
    ] {
        let (outlook, said) = outlook(line);
        assert_ne!(outlook, "fails", "{line}: {said}");
        assert!(!said.contains("not known") && !said.contains("EX02"), "{line}: {said}");
    }
}

#[test]
fn what_depends_on_unknown_words_is_not_foretold() {
    needs!(crate::ROOT);
    for (line, word) in [
        ("bwrap --ro-bind / / --ro-bind ~/ /mnt true", "~/"),
        ("bwrap --ro-bind / / --chdir ~ true", "~"),
        ("bwrap --ro-bind / / --ro-bind /us* /mnt true", "/us*"),
        ("bwrap --ro-bind / / --ro-bind {/usr,/mnt} true", "{/usr,/mnt}"),
        ("bwrap \"${args[@]}\" true", "${args[@]}"),
        ("bwrap --args 12 true", "--args 12"),
    ] {
        let (outlook, said) = outlook(line);
        assert_eq!(outlook, "uncertain", "{line}: {said}");
        assert!(said.contains(&format!("is not known: {word} stands for")), "{line}: {said}");
        assert!(!said.contains("confidence"), "{line}: {said}");
    }
}

/// Whatever they stand for.
#[test]
fn what_is_wrong_all_the_same_is_foretold() {
    needs!(crate::ROOT);
    for (line, cause) in [
        ("bwrap --ro-bind /nope /x --ro-bind $x /y true", "BD01"),
        ("bwrap --ro-bind /nope /x --args 12 true", "BD01"),
        ("bwrap --ro-bind / / --ro-bind '~' /mnt true", "BD01"),
        ("bwrap --ro-bind / / --ro-bind '/us*' /mnt true", "BD01"),
        ("bwrap --ro-bind / / --ro-bind /a~ /mnt true", "BD01"),
        ("bwrap --ro-bind / / nope *.txt", "EX02"),
        ("bwrap --ro-bind / / --block-fd 12 nope", "EX02"),
    ] {
        let (outlook, said) = outlook(line);
        assert_eq!(outlook, "fails", "{line}: {said}");
        assert!(said.contains(cause), "{line}: {said}");
    }
    // nothing is expanded where no shell has written it
    let (outlook, said) = outlook("[\"bwrap\", \"--ro-bind\", \"~/\", \"/mnt\", \"true\"]");
    assert_eq!(outlook, "fails", "{said}");
}

#[test]
fn a_nul_in_an_array_is_no_mark_of_a_shells() {
    let (_directory, path) = file(b"[\"bwrap\", \"--ro-bind\", \"/et\\u0000c\", \"/mnt\", \"true\"]");
    let said = ask(&["explain", "--here", "--args", &path]);
    assert!(said.out.contains("its\n    source contains a NUL byte"), "{}{}", said.out, said.err);
    assert!(!said.out.contains("is taken as it stands"), "{}", said.out);
}
