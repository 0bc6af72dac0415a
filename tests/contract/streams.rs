//! The contract for what a command writes: lines as they come, who else gets them, when they end, and terminals.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bwrap_launch::{Capture, Error, Line, LineEnd, Namespaces, NextLine, Stdio, Step, Stream, WindowSize};

use crate::common::{Case, Here, host};
use crate::front::{Front, Std, Tokio};
use crate::inventory::{few_sandboxes, marked};
use crate::support::{SETTLE, released, watch};
use crate::table::{contract, keep};

pub(crate) const CASES: &[Case] = contract![
    keep lines_are_all_of_it,
    keep a_long_line_comes_in_pieces,
    keep a_deadline_loses_no_line,
    keep what_is_there_needs_no_time,
    keep what_no_line_gave_out_is_read_again,
    keep after_a_kill_the_rest_comes,
    keep others_get_the_output_too,
    keep output_that_cannot_be_passed_on_ends_it,
    keep output_ends_with_the_command,
    keep a_terminal_of_its_own,
    keep a_terminal_that_nobody_reads,
    keep a_line_without_an_end_takes_no_longer,
];

/// The command would be blocked sooner or later.
fn a_terminal_that_nobody_reads<F: Front>(front: &F, here: &Here) {
    let size = WindowSize { rows: 24, columns: 80 };
    let command = || {
        let mut command = here.command(&host(), "true");
        command.stdin(Stdio::null()).stdout(Stdio::null()).terminal(size);
        command
    };
    let refused = |error: Error| assert!(matches!(error, Error::Invalid(_)), "{error}");
    refused(front.status(command()).unwrap_err());
    refused(front.output(command()).unwrap_err());
    refused(front.output_timeout(command(), Duration::from_secs(60)).unwrap_err());
    let mut all = command();
    all.stderr(Stdio::null());
    assert!(front.status(all).unwrap().success());
}

fn a_line_without_an_end_takes_no_longer<F: Front>(front: &F, here: &Here) {
    let mut command = marked(here, &host(), "exec cat /dev/zero");
    command.stdout(Stdio::piped());
    let mut child = front.spawn(command).unwrap();
    let line = front.next_line(&mut child, usize::MAX, Duration::from_millis(20)).unwrap();
    assert_eq!(line, NextLine::TimedOut);
    front.kill(&mut child).unwrap();
    let _ = front.wait(&mut child);
}

fn text(lines: &[Line], stream: Stream) -> Vec<String> {
    lines.iter().filter(|line| line.stream == stream).map(|line| line.text().into_owned()).collect()
}

fn lines_are_all_of_it<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let mut command = marked(here, &sandbox, "seq 50000; printf x; seq 50000 >&2; exit 3");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = front.spawn(command).unwrap();
        let lines = front.lines(&mut child, 100, usize::MAX).unwrap();
        let counted: Vec<String> = (1..=50_000).map(|n| n.to_string()).collect();
        let (mut out, err) = (text(&lines, Stream::Stdout), text(&lines, Stream::Stderr));
        assert_eq!(out.pop().as_deref(), Some("x"));
        assert!(out == counted && err == counted, "{} and {} lines", out.len(), err.len());
        let unended: Vec<_> = lines.iter().filter(|line| line.end != LineEnd::Newline).collect();
        assert_eq!((unended.len(), unended[0].end), (1, LineEnd::End));
        assert_eq!(front.lines(&mut child, 100, usize::MAX).unwrap(), []);
        assert_eq!(front.wait(&mut child).unwrap().code(), Some(3));
    }
    // what failed has said so
    let mut command = here.command(&host().ro_bind("/nonexistent", "/mnt"), "true");
    command.stderr(Stdio::piped());
    let mut child = front.spawn(command).unwrap();
    let lines = front.lines(&mut child, 1 << 10, usize::MAX).unwrap();
    assert!(lines.iter().any(|line| line.text().contains("/nonexistent")), "{lines:?}");
    let error = front.wait(&mut child).unwrap_err();
    assert!(error.failure().unwrap().message().is_some(), "{error}");
}

fn a_long_line_comes_in_pieces<F: Front>(front: &F, here: &Here) {
    let mut command = marked(here, &host(), "head -c 1M /dev/zero | tr '\\0' x; echo; echo short");
    command.stdout(Stdio::piped());
    let mut child = front.spawn(command).unwrap();
    let lines = front.lines(&mut child, 300_000, usize::MAX).unwrap();
    let lengths: Vec<usize> = lines.iter().map(|line| line.bytes.len()).collect();
    assert_eq!(lengths, [300_000, 300_000, 300_000, 148_576, 5]);
    front.wait(&mut child).unwrap();
}

fn a_deadline_loses_no_line<F: Front>(front: &F, here: &Here) {
    let mut command = marked(here, &host(), "for i in 1 2 3 4 5; do printf $i; sleep 0.1; echo; done");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = front.spawn(command).unwrap();
    let (mut seen, mut late) = (Vec::new(), 0);
    loop {
        match front.next_line(&mut child, 100, Duration::from_millis(15)).unwrap() {
            NextLine::Line(line) => seen.push(line.text().into_owned()),
            NextLine::TimedOut => late += 1,
            NextLine::End => break,
        }
    }
    assert_eq!(seen, ["1", "2", "3", "4", "5"]);
    assert!(late > 0);
    front.wait(&mut child).unwrap();
}

fn what_is_there_needs_no_time<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let mut command = marked(here, &sandbox, "echo one; echo two");
        command.stdout(Stdio::piped());
        let mut child = front.spawn(command).unwrap();
        let (begin, mut seen) = (Instant::now(), Vec::new());
        loop {
            match front.next_line(&mut child, 100, Duration::ZERO).unwrap() {
                NextLine::Line(line) => seen.push(line.text().into_owned()),
                NextLine::End => break,
                NextLine::TimedOut => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(begin.elapsed() < Duration::from_secs(20));
        }
        assert_eq!(seen, ["one", "two"]);
        front.wait(&mut child).unwrap();
    }
}

fn what_no_line_gave_out_is_read_again<F: Front>(front: &F, here: &Here) {
    let mut command = marked(here, &host(), "echo ready; echo a; echo b; echo c; echo e >&2");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = front.spawn(command).unwrap();
    assert_eq!(text(&front.lines(&mut child, 100, 1).unwrap(), Stream::Stdout), ["ready"]);
    assert_eq!(front.read(&mut child, 1).unwrap(), b"a");
    assert_eq!(text(&front.lines(&mut child, 100, 1).unwrap(), Stream::Stdout), [""]);
    let output = front.wait_with_output(child).unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"b\nc\n"[..], &b"e\n"[..]));
}

fn after_a_kill_the_rest_comes<F: Front>(front: &F, here: &Here) {
    let sandbox = host().unshare(Namespaces::PID);
    let mut command = marked(here, &sandbox, "echo one; printf two; echo ready >&2; sleep 60 & wait");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = front.spawn(command).unwrap();
    // it is on its way when this has come
    let mut lines = Vec::new();
    while text(&lines, Stream::Stderr).is_empty() {
        lines.extend(front.lines(&mut child, 100, 1).unwrap());
    }
    front.kill(&mut child).unwrap();
    lines.extend(front.lines(&mut child, 100, usize::MAX).unwrap());
    assert_eq!(text(&lines, Stream::Stdout), ["one", "two"]);
    assert_eq!(lines.last().unwrap().end, LineEnd::End);
    assert_eq!(front.wait(&mut child).unwrap().signal(), Some(9));
}

/// Keeps what is written, and may take its time or fail.
#[derive(Clone, Default)]
struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    pause: Duration,
    room: Option<usize>,
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::thread::sleep(self.pause);
        let mut written = self.written.lock().unwrap();
        if self.room.is_some_and(|room| written.len() >= room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }
}

fn others_get_the_output_too<F: Front>(front: &F, here: &Here) {
    let counted: String = (1..=100_000).map(|n| n.to_string() + "\n").collect();
    for sandbox in few_sandboxes() {
        let [out, slow, err] = [Duration::ZERO, Duration::from_millis(1), Duration::ZERO]
            .map(|pause| Log { pause, ..Log::default() });
        let command = |script: &str| {
            let mut command = marked(here, &sandbox, script);
            command.tee(Stream::Stdout, out.clone()).tee(Stream::Stdout, slow.clone());
            command.tee(Stream::Stderr, err.clone()).capture(Capture::ends(0, 0));
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let output = front.output(command("seq 100000; echo no >&2")).unwrap();
        assert!(output.stdout.is_empty() && output.stdout_cut().is_some());
        assert!(out.text() == counted && slow.text() == counted && err.text() == "no\n");
        // line by line, by lines that are dropped in between
        let mut child = front.spawn(command("seq 100001 100003; echo more >&2")).unwrap();
        let mut lines = Vec::new();
        loop {
            match front.lines(&mut child, 100, 1).unwrap() {
                one if one.is_empty() => break,
                one => lines.extend(one),
            }
        }
        assert_eq!(text(&lines, Stream::Stdout), ["100001", "100002", "100003"]);
        front.wait(&mut child).unwrap();
        assert!(out.text() == counted.clone() + "100001\n100002\n100003\n" && slow.text() == out.text());
        assert_eq!(err.text(), "no\nmore\n");
    }
}

fn output_that_cannot_be_passed_on_ends_it<F: Front>(front: &F, here: &Here) {
    for sandbox in few_sandboxes() {
        let log = Log { room: Some(100), ..Log::default() };
        let command = || {
            let mut command = marked(here, &sandbox, "while :; do echo hello; done");
            command.tee(Stream::Stdout, log.clone()).stdout(Stdio::piped());
            let holders = watch(&mut command);
            (command, holders)
        };
        let (failing, holders) = command();
        let error = front.output(failing).unwrap_err();
        assert!(matches!(error, Error::System { step: Step::PassOutputOn, .. }), "{error:?}");
        assert!(released(&holders, SETTLE), "something is left in {sandbox}");
        let (failing, _) = command();
        let mut child = front.spawn(failing).unwrap();
        let error = front.lines(&mut child, 100, usize::MAX).unwrap_err();
        assert!(matches!(error, Error::System { step: Step::PassOutputOn, .. }), "{error:?}");
        // what was read comes all the same
        assert_eq!(front.lines(&mut child, 100, 1).unwrap().len(), 1);
        front.kill(&mut child).unwrap();
        let _ = front.wait(&mut child);
    }
}

fn output_ends_with_the_command<F: Front>(front: &F, here: &Here) {
    // what holds the stream ends with the pipe
    let (reader, writer) = io::pipe().unwrap();
    let held = || {
        let mut command = marked(here, &host(), "read x <&7 & seq 100000");
        command.fd(7, reader.try_clone().unwrap()).output_ends_with_command(true);
        command
    };
    let counted: Vec<String> = (1..=100_000).map(|n| n.to_string()).collect();
    let output = front.output(held()).unwrap();
    assert_eq!(output.stdout, (counted.join("\n") + "\n").as_bytes());
    let mut command = held();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = front.spawn(command).unwrap();
    assert!(text(&front.lines(&mut child, 100, usize::MAX).unwrap(), Stream::Stdout) == counted);
    assert!(front.wait(&mut child).unwrap().success());
    drop((child, writer));
}

fn a_terminal_of_its_own<F: Front>(front: &F, here: &Here) {
    for sandbox in [host().proc("/proc"), host().proc("/proc").unshare(Namespaces::PID)] {
        let script = "test -t 0 && test -t 2 && read x && stty size && cat >/dev/null; echo got $x $?";
        let mut command = marked(here, &sandbox, script);
        command.terminal(WindowSize { rows: 33, columns: 99 });
        let mut child = front.spawn(command).unwrap();
        let size = WindowSize { rows: 40, columns: 120 };
        assert_eq!(front.resize(&mut child, size).unwrap(), size);
        front.type_in(&mut child, b"hello\n").unwrap();
        front.type_end(&mut child).unwrap();
        let screen = front.screen(&mut child).unwrap();
        assert!(screen.ends_with("40 120\r\ngot hello 0\r\n"), "{screen:?}");
        assert!(front.wait(&mut child).unwrap().success());
    }
}
