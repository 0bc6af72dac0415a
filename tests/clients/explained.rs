//! What the stand-in adds where the sandbox does not start: after bwrap's own words, and rightly.

use std::fs;

use crate::cases;
use crate::common::{Case, Here};
use crate::kit::{Ran, real, run, shell, stood_in};

pub(crate) const CASES: &[Case] = cases![
    a_source_that_is_missing,
    a_command_that_is_missing,
    a_directory_that_is_missing,
    a_reason_that_cannot_be_seen,
    a_line_in_a_list,
    with_data_and_a_filter,
    with_pipes_that_were_read,
    a_report_of_the_callers,
    a_gate_of_the_callers,
    a_caller_who_knows_all_is_told_nothing,
    id_maps_of_the_callers,
    a_filter_that_denies,
    a_masked_proc,
    what_is_refused_without_bwrap,
    what_was_read_from_a_list_already,
    into_a_file,
    a_file_that_nobody_reads,
    once_a_day,
    nobody_waits_for_it,
];

/// What comes after bwrap's own words, and those.
fn added(here: &Here, script: &str) -> (String, Ran) {
    let plain = run(shell(here, &real(here), script));
    let stood_in = stood_in(here, script);
    assert_eq!((plain.status, &plain.out), (stood_in.status, &stood_in.out), "{script}\n{}", stood_in.err);
    let added = stood_in.err.strip_prefix(&plain.err);
    let added = added.unwrap_or_else(|| panic!("{}\nbecame\n{}", plain.err, stood_in.err)).to_owned();
    (added, plain)
}

/// That a line fails with 1 and is explained by this cause.
fn explains(here: &Here, script: &str, code: &str) {
    let (added, plain) = added(here, script);
    assert_eq!(plain.status.code(), Some(1), "{script}\n{added}");
    assert!(plain.err.starts_with("bwrap: ") && plain.err.lines().count() == 1, "{}", plain.err);
    let cause = added.lines().find(|line| line.starts_with("Cause: ")).unwrap_or_default();
    assert!(cause.contains(&format!("[{code}")), "{script}\n{}{added}", plain.err);
}

fn a_source_that_is_missing(here: &Here) {
    for options in ["", "--unshare-pid", "--unshare-user --unshare-pid --die-with-parent"] {
        explains(
            here,
            &format!("exec \"$B\" --ro-bind / / {options} --ro-bind /nonexistent /tmp true"),
            "BD01",
        );
    }
}

fn a_command_that_is_missing(here: &Here) {
    for options in ["", "--unshare-pid", "--unshare-pid --as-pid-1"] {
        explains(here, &format!("exec \"$B\" --ro-bind / / {options} no-such-command"), "EX02");
    }
}

fn a_directory_that_is_missing(here: &Here) {
    explains(here, "exec \"$B\" --ro-bind / / --chdir /nonexistent true", "EX08");
}

/// The stream is the caller's, and no file shows what a filter denies: what is known, and what to type.
fn a_reason_that_cannot_be_seen(here: &Here) {
    let call = u32::try_from(libc::SYS_execve).unwrap();
    let deny = libc::SECCOMP_RET_ERRNO | libc::EACCES.unsigned_abs();
    let program = [(0x20_u16, 0, 0), (0x15, 1, call), (0x06, 0, deny), (0x06, 0, libc::SECCOMP_RET_ALLOW)];
    let bytes = program.map(|(code, otherwise, k): (u16, u8, u32)| {
        [&code.to_ne_bytes()[..], &[0, otherwise], &k.to_ne_bytes()].concat()
    });
    let filter = here.scratch.join("filter");
    fs::write(&filter, bytes.concat()).unwrap();
    let (added, plain) =
        added(here, &format!("exec \"$B\" --ro-bind / / --seccomp 5 true 5<{}", filter.display()));
    assert_eq!(plain.status.code(), Some(1), "{added}");
    assert!(plain.err.starts_with("bwrap: execvp true: "), "{}", plain.err);
    assert!(!added.contains("Cause: ") && added.contains("A line of bwrap's above says why"), "{added}");
    assert!(added.contains("bwrap-doctor explain --here --message 'bwrap: ...'"), "{added}");
}

/// What no bwrap takes, or this one does not know, is told without asking it once more.
fn what_is_refused_without_bwrap(here: &Here) {
    let (added, plain) = added(here, "exec \"$B\" --ro-bind / / --setenv '' x true");
    assert_eq!(plain.status.code(), Some(1), "{added}");
    assert!(added.contains("a name is neither empty nor contains '='"), "{added}");
}

/// It begins where its descriptor stands, for the explanation, too.
fn what_was_read_from_a_list_already(here: &Here) {
    let list = "printf '%s\\0' junk --ro-bind / / --ro-bind /nonexistent /tmp >list; exec 5<list; \
                dd bs=1 count=5 status=none <&5 >/dev/null";
    explains(here, &format!("{list}; exec \"$B\" --args 5 true"), "BD01");
}

fn a_file_that_nobody_reads(here: &Here) {
    let ran = stood_in(
        here,
        "mkfifo log; BWRAP_DOCTOR_LOG=$PWD/log exec timeout 20 \"$B\" --ro-bind /nonexistent / true",
    );
    assert_eq!(ran.status.code(), Some(1), "{}", ran.err);
    assert!(ran.err.contains("cannot write to") && ran.err.contains("[BD01"), "{}", ran.err);
}

fn a_line_in_a_list(here: &Here) {
    let words = "printf '%s\\0' --ro-bind / / --ro-bind /nonexistent /tmp";
    explains(here, &format!("{words} >list; exec \"$B\" --args 5 true 5<list"), "BD01");
    explains(here, &format!("{words} | \"$B\" --args 0 true"), "BD01");
}

fn with_data_and_a_filter(here: &Here) {
    let allow = here.scratch.join("allow");
    fs::write(&allow, [6, 0, 0, 0, 0, 0, 0xff, 0x7f]).unwrap();
    let line = format!(
        "echo x >data; exec \"$B\" --ro-bind / / --tmpfs /tmp --ro-bind-data 5 /tmp/x --seccomp 6 --ro-bind /nonexistent /tmp/y \
         true 5<data 6<{}",
        allow.display()
    );
    explains(here, &line, "BD01");
}

fn with_pipes_that_were_read(here: &Here) {
    let line = "echo x | \"$B\" --ro-bind / / --tmpfs /tmp --ro-bind-data 0 /tmp/x --ro-bind /nonexistent /tmp/y true";
    explains(here, line, "BD01");
}

fn a_report_of_the_callers(here: &Here) {
    let line = "exec \"$B\" --json-status-fd 5 --ro-bind / / --ro-bind /nonexistent /tmp true 5>status";
    explains(here, line, "BD01");
}

fn a_gate_of_the_callers(here: &Here) {
    let line = |rest: &str| format!("exec \"$B\" --block-fd 5 --ro-bind / / {rest} 5</dev/null");
    explains(here, &line("--ro-bind /nonexistent /tmp true"), "BD01");
    explains(here, &line("no-such-command"), "EX02");
}

fn a_caller_who_knows_all_is_told_nothing(here: &Here) {
    let line = "exec \"$B\" --json-status-fd 6 --block-fd 5 --ro-bind / / --ro-bind /nonexistent /tmp true 5</dev/null 6>status";
    assert_eq!(added(here, line).0, "");
}

fn id_maps_of_the_callers(here: &Here) {
    // the gate ends, and nobody has written any maps
    let line =
        "exec \"$B\" --ro-bind / / --unshare-user --info-fd 5 --userns-block-fd 6 true 5>info 6</dev/null";
    let (added, _) = added(here, line);
    assert!(added.contains("bwrap-doctor: ") && added.contains("its caller writes the id maps"), "{added}");
    assert!(!added.contains("Cause: "), "{added}");
}

/// Denies `clone` with `CLONE_NEWNS`: `EPERM`.
#[cfg(target_arch = "x86_64")]
fn denying() -> Vec<u8> {
    let program: [(u16, u8, u8, u32); 6] = [
        (0x20, 0, 0, 0),
        (0x15, 0, 3, 56),
        (0x20, 0, 0, 16),
        (0x45, 0, 1, 0x0002_0000),
        (0x06, 0, 0, 0x0005_0001),
        (0x06, 0, 0, 0x7fff_0000),
    ];
    let bytes = program.iter().flat_map(|(code, yes, no, k)| {
        let mut bytes = code.to_ne_bytes().to_vec();
        bytes.extend([*yes, *no]);
        bytes.extend(k.to_ne_bytes());
        bytes
    });
    bytes.collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn denying() -> Vec<u8> {
    crate::common::skip("the filter is written for x86-64");
}

fn a_filter_that_denies(here: &Here) {
    let filter = here.scratch.join("filter");
    fs::write(&filter, denying()).unwrap();
    let outer = format!("{} --dev-bind / / --seccomp 5", real(here).display());
    explains(here, &format!("exec {outer} \"$B\" --ro-bind / / true 5<{}", filter.display()), "NS");
}

fn a_masked_proc(here: &Here) {
    let outer = format!("{} --unshare-user --dev-bind / / --tmpfs /proc/sys", real(here).display());
    explains(
        here,
        &format!("exec {outer} \"$B\" --unshare-user --unshare-pid --ro-bind / / --proc /proc true"),
        "PR",
    );
}

const BROKEN: &str = "\"$B\" --ro-bind / / --ro-bind /nonexistent /tmp true";

fn into_a_file(here: &Here) {
    // it may be written after bwrap's end
    let wait = "until grep -q '^The command line' log 2>/dev/null; do sleep 0.01; done";
    let ran = stood_in(here, &format!("BWRAP_DOCTOR_LOG=$PWD/log {BROKEN}; {wait}; stat -c %a log; cat log"));
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(ran.out.starts_with("600\n") && ran.out.contains("Z, process "), "{}", ran.out);
    assert!(ran.out.contains("\nCause: "), "{}", ran.out);
    // what cannot be written there is said where it can
    let lost = stood_in(here, &format!("BWRAP_DOCTOR_LOG=/nonexistent/log {BROKEN}"));
    assert!(
        lost.err.contains("cannot write to /nonexistent/log") && lost.err.contains("Cause: "),
        "{}",
        lost.err
    );
}

fn once_a_day(here: &Here) {
    let ran = stood_in(
        here,
        &format!(
            "export BWRAP_DOCTOR_ONCE=$PWD/marks; {BROKEN} 2>first; until grep -q '^The command line' first; do sleep 0.01; done; \
             {BROKEN} 2>&1 | cat; touch -d '2 days ago' marks/BD01; {BROKEN} 2>&1 | cat >third; grep -c Cause: third"
        ),
    );
    let lines: Vec<&str> = ran.out.lines().filter(|line| !line.is_empty()).collect();
    assert!(
        lines[1].starts_with("bwrap-doctor: again: ") && lines[1].ends_with("explain BD01"),
        "{}",
        ran.out
    );
    assert_eq!(lines[2..], ["1"], "{}", ran.out);
}

/// The watcher holds standard error, and nothing else that anybody waits for.
fn nobody_waits_for_it(here: &Here) {
    let script = format!("mkfifo sync; cat sync >/dev/null & {BROKEN} 5>sync 2>err; wait; echo over");
    assert_eq!(stood_in(here, &script).out, "over\n");
    let script = format!("{BROKEN} 2>err | cat; echo over");
    assert_eq!(stood_in(here, &script).out, "over\n");
}
