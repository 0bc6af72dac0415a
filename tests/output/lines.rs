//! Output as it comes, line by line.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use bwrap_launch::{Capture, Child, Command, Line, LineEnd, Namespaces, NextLine, Stdio, Stream};

use crate::common::{Case, Here, host};

pub(crate) const CASES: &[Case] = crate::cases![
    both_streams_come,
    lines_come_when_they_are_written,
    a_long_line_comes_in_pieces,
    a_long_line_takes_little_memory,
    a_deadline_loses_nothing,
    what_is_there_needs_no_time,
    after_a_kill_the_rest_comes,
    what_was_not_given_out_is_read_again,
    a_command_can_be_talked_to,
    no_stream_no_lines,
    no_thread_is_made,
    binary_lines_are_untouched,
];

fn piped(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn text(lines: &[Line], stream: Stream) -> Vec<String> {
    lines.iter().filter(|line| line.stream == stream).map(|line| line.text().into_owned()).collect()
}

fn both_streams_come(here: &Here) {
    let mut child = piped(&mut here.shell(&host(), "seq 50000; printf x; seq 50000 >&2; exit 3"));
    let lines: Vec<Line> = child.lines(100).collect::<Result<_, _>>().unwrap();
    let counted: Vec<String> = (1..=50_000).map(|n| n.to_string()).collect();
    let (mut out, err) = (text(&lines, Stream::Stdout), text(&lines, Stream::Stderr));
    assert_eq!(out.pop().as_deref(), Some("x"));
    assert!(out == counted && err == counted);
    let unended: Vec<_> = lines.iter().filter(|line| line.end != LineEnd::Newline).collect();
    assert_eq!((unended.len(), unended[0].end), (1, LineEnd::End));
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

fn lines_come_when_they_are_written(here: &Here) {
    let (answer, mut writer) = std::io::pipe().unwrap();
    let mut command = here.shell(&host(), "echo one; read answer; echo two");
    let mut child = piped(command.stdin(Stdio::from(answer)));
    let mut lines = child.lines(100);
    assert_eq!(lines.next().unwrap().unwrap().text(), "one");
    writer.write_all(b"\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap().text(), "two");
    assert!(lines.next().is_none() && lines.next().is_none());
}

const LONG: &str = "head -c 10M /dev/zero | tr '\\0' x; echo; echo short";

fn a_long_line_comes_in_pieces(here: &Here) {
    let mut child = piped(&mut here.shell(&host(), LONG));
    let lines: Vec<Line> = child.lines(1_000_000).collect::<Result<_, _>>().unwrap();
    let lengths: Vec<usize> = lines.iter().map(|line| line.bytes.len()).collect();
    assert_eq!(lengths, [[1_000_000; 10].as_slice(), &[485_760, 5]].concat());
    assert!(lines[..10].iter().all(|line| line.end == LineEnd::Limit));
    assert!(lines[10..].iter().all(|line| line.end == LineEnd::Newline));
    // a limit that it fits in
    let mut child = piped(&mut here.shell(&host(), LONG));
    let lines: Vec<Line> = child.lines(10 << 20).collect::<Result<_, _>>().unwrap();
    assert_eq!((lines.len(), lines[0].bytes.len(), lines[0].end), (2, 10 << 20, LineEnd::Newline));
}

fn a_long_line_takes_little_memory(here: &Here) {
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    assert!(here.command(&host(), "true").output().unwrap().status.success());
    let before = peak();
    let mut child = piped(&mut here.shell(&host(), LONG));
    let all: usize = child.lines(64 << 10).map(|line| line.unwrap().bytes.len()).sum();
    assert_eq!(all, (10 << 20) + 5);
    assert!(peak() - before < 2 << 10, "{} KiB", peak() - before);
}

fn a_deadline_loses_nothing(here: &Here) {
    let script = "for i in 1 2 3 4 5; do printf $i; sleep 0.1; echo; done";
    let mut child = piped(&mut here.shell(&host(), script));
    let mut lines = child.lines(100);
    let (mut seen, mut late) = (Vec::new(), 0);
    loop {
        match lines.next_timeout(Duration::from_millis(15)).unwrap() {
            NextLine::Line(line) => seen.push(line.text().into_owned()),
            NextLine::TimedOut => late += 1,
            NextLine::End => break,
        }
    }
    assert_eq!(seen, ["1", "2", "3", "4", "5"]);
    assert!(late > 0);
    assert_eq!(lines.next_timeout(Duration::ZERO).unwrap(), NextLine::End);
}

fn what_is_there_needs_no_time(here: &Here) {
    let mut child = piped(&mut here.shell(&host().unshare(Namespaces::PID), "echo one; echo two"));
    let mut lines = child.lines(100);
    let (begin, mut seen) = (Instant::now(), Vec::new());
    loop {
        match lines.next_timeout(Duration::ZERO).unwrap() {
            NextLine::Line(line) => seen.push(line.text().into_owned()),
            NextLine::End => break,
            NextLine::TimedOut => std::thread::sleep(Duration::from_millis(5)),
        }
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(seen, ["one", "two"]);
}

fn after_a_kill_the_rest_comes(here: &Here) {
    let script = "echo one; echo two; printf three; sleep 60 & wait";
    let mut child = piped(&mut here.shell(&host().unshare(Namespaces::PID), script));
    let mut lines = child.lines(100);
    assert_eq!(lines.next().unwrap().unwrap().text(), "one");
    while lines.next_timeout(Duration::from_millis(300)).unwrap() != NextLine::TimedOut {}
    lines.kill().unwrap();
    let last = lines.next().unwrap().unwrap();
    assert_eq!((last.text().as_ref(), last.end), ("three", LineEnd::End));
    assert!(lines.next().is_none());
    drop(lines);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

fn what_was_not_given_out_is_read_again(here: &Here) {
    let mut child = piped(&mut here.shell(&host(), "echo ready; echo a; echo b; echo c; echo e >&2"));
    assert_eq!(child.lines(100).next().unwrap().unwrap().text(), "ready");
    let mut byte = [0];
    child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
    assert_eq!(byte, [b'a']);
    assert_eq!(child.lines(100).next().unwrap().unwrap().text(), "");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"b\nc\n"[..], &b"e\n"[..]));
}

fn a_command_can_be_talked_to(here: &Here) {
    let mut command = here.command(&host(), "cat");
    let mut child = piped(command.stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = child.lines(100);
    for word in ["one", "two", "three"] {
        stdin.write_all(format!("{word}\n").as_bytes()).unwrap();
        assert_eq!(lines.next().unwrap().unwrap().text(), word);
    }
    drop(stdin);
    assert!(lines.next().is_none());
}

fn no_stream_no_lines(here: &Here) {
    let mut child = here.command(&host(), "true").spawn().unwrap();
    assert!(child.lines(100).next().is_none());
    assert!(child.wait().unwrap().success());
    // nor when they were given away
    let mut child = piped(&mut here.command(&host(), "echo"));
    drop((child.stdout.take(), child.stderr.take()));
    assert!(child.lines(100).next().is_none());
    child.wait().unwrap();
}

fn no_thread_is_made(here: &Here) {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    let mut children: Vec<Child> = (0..20)
        .map(|_| piped(&mut here.shell(&host().unshare(Namespaces::PID), "echo a; sleep 60")))
        .collect();
    for child in &mut children {
        let mut lines = child.lines(100);
        assert_eq!(lines.next().unwrap().unwrap().text(), "a");
        assert_eq!(lines.next_timeout(Duration::from_millis(1)).unwrap(), NextLine::TimedOut);
    }
    assert_eq!(threads(), before);
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn binary_lines_are_untouched(here: &Here) {
    let wanted = here.helper(&host(), "binary").capture(Capture::all()).output().unwrap().stdout;
    let mut child = piped(&mut here.helper(&host(), "binary"));
    let mut seen = Vec::new();
    for line in child.lines(77) {
        let line = line.unwrap();
        if line.stream == Stream::Stdout {
            seen.extend(&line.bytes);
            seen.extend((line.end == LineEnd::Newline).then_some(b'\n'));
        }
    }
    assert!(seen == wanted);
}
