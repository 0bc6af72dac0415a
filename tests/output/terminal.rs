//! A terminal of the sandbox's own.

use std::io::{Read, Write};

use bwrap_launch::{Child, Error, Namespaces, Sandbox, Stdio, Terminal, WindowSize};

use crate::common::{Case, Here, SETTLE, host, released, watch};

pub(crate) const CASES: &[Case] = crate::cases![
    it_is_a_terminal,
    streams_that_were_named_go_elsewhere,
    what_it_has_written_is_read_after_its_end,
    a_new_size_is_signalled,
    an_interrupt_reaches_the_job_only,
    an_interrupt_of_bwraps_own_group_ends_it,
    a_new_session_has_colour_but_no_interrupts,
    an_end_of_file_can_be_typed,
    dropping_it_hangs_up,
    nothing_is_left,
    a_held_sandbox_has_one,
];

const SIZE: WindowSize = WindowSize { rows: 33, columns: 99 };

fn sandbox() -> Sandbox {
    host().proc("/proc").unshare(Namespaces::PID)
}

fn in_terminal(here: &Here, sandbox: &Sandbox, script: &str) -> (Child, Terminal) {
    let mut child = here.shell(sandbox, script).terminal(SIZE).spawn().unwrap();
    let terminal = child.terminal.take().unwrap();
    (child, terminal)
}

fn rest(terminal: &mut Terminal) -> String {
    let mut text = String::new();
    terminal.read_to_string(&mut text).unwrap();
    text
}

/// Reads to the end, which must be this.
fn ends_with(terminal: &mut Terminal, wanted: &str) {
    let text = rest(terminal);
    assert!(text.ends_with(wanted), "{text:?}");
}

/// Reads until this is there.
fn until(terminal: &mut Terminal, wanted: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(wanted.as_bytes()) {
        assert_eq!(terminal.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.extend(byte);
    }
    String::from_utf8(text).unwrap()
}

fn it_is_a_terminal(here: &Here) {
    for sandbox in [host().proc("/proc"), sandbox()] {
        let script = "test -t 0 && test -t 1 && test -t 2 && stty size && echo controls >/dev/tty";
        let (mut child, mut terminal) = in_terminal(here, &sandbox, script);
        assert_eq!(rest(&mut terminal), "33 99\r\ncontrols\r\n");
        assert!(child.wait().unwrap().success());
    }
}

fn streams_that_were_named_go_elsewhere(here: &Here) {
    let mut command = here.shell(&sandbox(), "test -t 0 && test -t 1 && echo terminal; echo pipe >&2");
    let child = command.terminal(SIZE).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b""[..], &b"pipe\n"[..]));
    assert!(output.status.success());
    // and what is wrong with bwrap is heard there
    let mut command = here.shell(&sandbox().ro_bind("/nonexistent", "/mnt"), "true");
    let error = command.terminal(SIZE).stderr(Stdio::piped()).spawn().unwrap().wait().unwrap_err();
    assert!(error.to_string().contains("/nonexistent"), "{error}");
}

fn what_it_has_written_is_read_after_its_end(here: &Here) {
    let (mut child, mut terminal) = in_terminal(here, &sandbox(), "echo hello; exit 3");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(rest(&mut terminal), "hello\r\n");
    assert_eq!(rest(&mut terminal), "");
}

fn a_new_size_is_signalled(here: &Here) {
    let script = "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.05; done";
    let (mut child, mut terminal) = in_terminal(here, &sandbox(), script);
    until(&mut terminal, "ready\r\n");
    assert_eq!(terminal.size().unwrap(), SIZE);
    terminal.resize(WindowSize { rows: 50, columns: 120 }).unwrap();
    assert_eq!(until(&mut terminal, "\n"), "50 120\r\n");
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

fn an_interrupt_reaches_the_job_only(here: &Here) {
    // the recipe of the documentation
    let mut command = here.command(&sandbox().die_with_parent(), "bash");
    command.args([
        "-c",
        "set -m; \"$@\"; exit $?",
        "bash",
        "sh",
        "-c",
        "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.05; done",
    ]);
    let mut child = command.terminal(SIZE).spawn().unwrap();
    let mut terminal = child.terminal.take().unwrap();
    until(&mut terminal, "ready\r\n");
    assert_ne!(terminal.foreground().unwrap(), Some(child.id()), "bwrap is in the background");
    terminal.write_all(b"\x03").unwrap();
    assert_eq!(until(&mut terminal, "caught\r\n"), "^Ccaught\r\n");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    // what does not catch it is ended by it, and that is known
    let script = "exec bash -c \"set -m; sh -c 'echo ready; exec sleep 60'; exit \\$?\"";
    let (mut child, mut terminal) = in_terminal(here, &sandbox(), script);
    until(&mut terminal, "ready\r\n");
    terminal.write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}

fn an_interrupt_of_bwraps_own_group_ends_it(here: &Here) {
    let mut command = here.shell(&sandbox().die_with_parent(), "trap : INT; echo ready; sleep 60; sleep 60");
    let held = watch(&mut command);
    let mut child = command.terminal(SIZE).spawn().unwrap();
    drop(command);
    let mut terminal = child.terminal.take().unwrap();
    until(&mut terminal, "ready\r\n");
    assert_eq!(terminal.foreground().unwrap(), Some(child.id()));
    terminal.write_all(b"\x03").unwrap();
    assert!(matches!(child.wait(), Err(Error::Undecided(_))));
    assert!(released(&held, SETTLE));
}

fn a_new_session_has_colour_but_no_interrupts(here: &Here) {
    let script = "test -t 1 && stty size; (: </dev/tty) 2>&- || echo uncontrolled; read word; echo got $word";
    let (mut child, mut terminal) = in_terminal(here, &sandbox().new_session(), script);
    until(&mut terminal, "uncontrolled\r\n");
    assert_eq!(terminal.foreground().unwrap(), None);
    terminal.write_all(b"\x03hello\n").unwrap();
    ends_with(&mut terminal, "got hello\r\n");
    assert!(child.wait().unwrap().success());
}

fn an_end_of_file_can_be_typed(here: &Here) {
    let (mut child, mut terminal) = in_terminal(here, &sandbox(), "cat; echo end");
    terminal.write_all(b"hello\n").unwrap();
    assert_eq!(until(&mut terminal, "hello\r\nhello\r\n"), "hello\r\nhello\r\n", "echoed, then written");
    terminal.send_eof().unwrap();
    ends_with(&mut terminal, "end\r\n");
    assert!(child.wait().unwrap().success());
}

fn dropping_it_hangs_up(here: &Here) {
    for sandbox in [sandbox(), sandbox().die_with_parent()] {
        let mut command = here.shell(&sandbox, "echo ready; exec sleep 60");
        let held = watch(&mut command);
        let mut child = command.terminal(SIZE).spawn().unwrap();
        drop(command);
        let mut terminal = child.terminal.take().unwrap();
        until(&mut terminal, "ready\r\n");
        drop(terminal);
        assert!(matches!(child.wait(), Err(Error::Undecided(_))));
        assert!(released(&held, SETTLE));
    }
}

fn nothing_is_left(here: &Here) {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let run = || {
        let (mut child, mut terminal) = in_terminal(here, &sandbox(), "ls /proc/self/fd | wc -l");
        assert_eq!(rest(&mut terminal), "4\r\n", "0, 1, 2 and the directory");
        assert!(child.wait().unwrap().success());
    };
    run();
    let before = open();
    (0..20).for_each(|_| run());
    assert_eq!(open(), before);
}

fn a_held_sandbox_has_one(here: &Here) {
    let mut command = here.shell(&sandbox(), "stty size");
    let mut child = command.terminal(SIZE).prepare().unwrap().start().unwrap();
    let mut terminal = child.terminal.take().unwrap();
    assert_eq!(rest(&mut terminal), "33 99\r\n");
    assert!(child.wait().unwrap().success());
}
