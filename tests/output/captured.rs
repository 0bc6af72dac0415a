//! Output that is kept within a limit, passed on, and read to where it ends.

use std::io::{Read, Seek, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bwrap_launch::{Capture, Error, Namespaces, Stdio, Step, Stream};

use crate::common::{Case, Here, SETTLE, host, released, watch};

pub(crate) const CASES: &[Case] = crate::cases![
    much_is_kept_in_little_memory,
    each_stream_has_its_cut,
    what_fits_is_not_cut,
    binary_data_is_untouched,
    a_tee_gets_all_of_it,
    a_tee_gets_it_as_it_comes,
    a_tee_that_fails_is_an_error,
    a_stream_that_is_closed_early_is_no_end,
    a_holder_is_waited_for_unless_said_otherwise,
    a_holder_does_not_stop_a_deadline,
    a_flood_does_not_stop_a_deadline,
    all_that_was_written_before_the_end_is_there,
];

/// A helper that writes every byte, many times.
pub(crate) fn binary(_: &[String]) {
    std::io::stdout().write_all(&every_byte()).unwrap();
    std::io::stderr().write_all(&every_byte()).unwrap();
}

fn every_byte() -> Vec<u8> {
    (0..=255_u8).cycle().take(300_000).collect()
}

/// The most memory that this process has had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn much_is_kept_in_little_memory(here: &Here) {
    let warm = here.command(&host(), "true").output().unwrap();
    assert!(warm.status.success());
    let before = peak();
    let script = "echo begin; head -c 100M /dev/zero; echo end";
    let mut command = here.shell(&host(), script);
    let output = command.capture(Capture::ends(512 << 10, 512 << 10)).output().unwrap();
    assert!(output.status.success(), "never blocked");
    assert_eq!(output.stdout.len(), 1 << 20);
    assert!(output.stdout.starts_with(b"begin\n\0") && output.stdout.ends_with(b"\0end\n"));
    let cut = output.stdout_cut().unwrap();
    assert_eq!((cut.at, cut.missing), (512 << 10, (100 << 20) + 10 - (1 << 20)));
    assert_eq!(output.stderr_cut(), None);
    let grown = peak() - before;
    assert!(grown < 6 << 10, "{grown} KiB for 1 MiB");
}

fn each_stream_has_its_cut(here: &Here) {
    let mut command = here.shell(&host(), "seq 100000; seq 200000 >&2");
    let output = command.capture(Capture::ends(10, 10)).output().unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (20, 20));
    assert_eq!(output.stdout_cut().unwrap().missing, 588_895 - 20);
    assert_eq!(output.stderr_cut().unwrap().missing, 1_288_895 - 20);
    let shown = String::from_utf8(output.stderr_marked().into_owned()).unwrap();
    assert_eq!(shown, "1\n2\n3\n4\n5\n[1288875 bytes are left out here]\n99\n200000\n");
    // one after the other in one pipe
    let output = command.stderr(Stdio::merged()).output().unwrap();
    assert_eq!(output.stdout_cut().unwrap().missing, 588_895 + 1_288_895 - 20);
}

fn what_fits_is_not_cut(here: &Here) {
    let mut command = here.shell(&host(), "printf 12345678; printf 123456789 >&2");
    let output = command.capture(Capture::ends(4, 4)).output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stdout_cut()), (&b"12345678"[..], None));
    assert_eq!((output.stderr.as_slice(), output.stderr_cut().unwrap().missing), (&b"12346789"[..], 1));
}

fn binary_data_is_untouched(here: &Here) {
    let output = here.helper(&host(), "binary").output().unwrap();
    assert!(output.stdout == every_byte() && output.stderr == every_byte());
    let output = here.helper(&host(), "binary").capture(Capture::ends(100_000, 200_000)).output().unwrap();
    assert!(output.stdout == every_byte() && output.stdout_cut().is_none());
}

fn a_tee_gets_all_of_it(here: &Here) {
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let mut command = here.helper(&host(), "binary");
    command.tee(Stream::Stdout, out.try_clone().unwrap()).tee(Stream::Stderr, err.try_clone().unwrap());
    let output = command.capture(Capture::ends(0, 3)).output().unwrap();
    assert_eq!(output.stdout, every_byte()[every_byte().len() - 3..]);
    for file in [&mut out, &mut err] {
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert!(bytes == every_byte());
    }
}

/// Notes what is written, and answers the first of it.
#[derive(Clone)]
struct Notes(Arc<Mutex<Vec<Vec<u8>>>>, Arc<std::io::PipeWriter>);

impl Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut notes = self.0.lock().unwrap();
        notes.push(bytes.to_vec());
        if notes.len() == 1 {
            (&*self.1).write_all(b"\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn a_tee_gets_it_as_it_comes(here: &Here) {
    // whoever keeps it to the end waits for ever
    let (answer, writer) = std::io::pipe().unwrap();
    let notes = Notes(Arc::default(), Arc::new(writer));
    let mut command = here.shell(&host().unshare(Namespaces::PID), "echo one; read answer; echo two");
    command.stdin(Stdio::from(answer)).tee(Stream::Stdout, notes.clone());
    // with a deadline, too
    let output = command.output_timeout(Duration::from_secs(60)).unwrap().unwrap();
    assert_eq!(output.stdout, b"one\ntwo\n");
    let notes = notes.0.lock().unwrap();
    assert_eq!(*notes, [b"one\n", b"two\n"]);
}

fn a_tee_that_fails_is_an_error(here: &Here) {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = here.shell(&host().unshare(Namespaces::PID), "echo hello; exec sleep 60");
    let held = watch(&mut command);
    command.tee(Stream::Stdout, full);
    let error = command.output().unwrap_err();
    assert!(matches!(error, Error::System { step: Step::PassOutputOn, .. }), "{error}");
    drop(command); // it has the other end, too
    assert!(released(&held, SETTLE), "nobody could wait for it any more");
    // who reads lines still has the child
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = here.shell(&host(), "echo one; echo two; exit 5");
    let mut child = command.tee(Stream::Stdout, full).stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<_> = child.lines(100).collect();
    assert!(matches!(lines[0], Err(Error::System { step: Step::PassOutputOn, .. })));
    assert_eq!(lines.iter().filter(|line| line.is_ok()).count(), 2);
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

fn a_stream_that_is_closed_early_is_no_end(here: &Here) {
    let mut command = here.shell(&host(), "exec >&-; sleep 0.3; echo late >&2; exec 2>&-; sleep 0.3; exit 7");
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(7), &b"late\n"[..]));
}

/// A sandbox without a PID namespace leaves `sleep` behind.
const LEAVING: &str = "sleep 30 & echo hello; echo there >&2";
/// Nobody waited for that.
const LONG: Duration = Duration::from_secs(28);

fn a_holder_is_waited_for_unless_said_otherwise(here: &Here) {
    let begin = Instant::now();
    let output = here.shell(&host(), LEAVING).output_ends_with_command(true).output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"hello\n"[..], &b"there\n"[..]));
    assert!(begin.elapsed() < LONG);
    let mut command = here.shell(&host(), LEAVING);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).output_ends_with_command(true).spawn().unwrap();
    assert_eq!(child.lines(100).map(|line| line.unwrap().bytes).collect::<Vec<_>>(), [b"hello"]);
    assert!(child.wait().unwrap().success() && begin.elapsed() < LONG);
    // with a PID namespace nothing is left to be waited for
    let output = here.shell(&host().unshare(Namespaces::PID), LEAVING).output().unwrap();
    assert_eq!(output.stdout, b"hello\n");
    assert!(begin.elapsed() < LONG);
    let begin = Instant::now();
    assert_eq!(here.shell(&host(), "sleep 3 & echo hello").output().unwrap().stdout, b"hello\n");
    assert!(begin.elapsed() > Duration::from_secs(2), "as in std");
}

fn a_holder_does_not_stop_a_deadline(here: &Here) {
    let begin = Instant::now();
    let output =
        here.shell(&host(), "sleep 30 & echo hello").output_timeout(Duration::from_millis(500)).unwrap();
    assert!(output.is_none() && begin.elapsed() < Duration::from_secs(15));
}

fn a_flood_does_not_stop_a_deadline(here: &Here) {
    let begin = Instant::now();
    let mut command = here.command(&host().unshare(Namespaces::PID), "cat");
    command.arg("/dev/zero").capture(Capture::ends(10, 10));
    let output = command.output_timeout(Duration::from_millis(300)).unwrap();
    assert!(output.is_none() && begin.elapsed() < Duration::from_secs(15));
}

fn all_that_was_written_before_the_end_is_there(here: &Here) {
    // as much as a pipe takes, and an end right after it
    for _ in 0..20 {
        let mut command = here.shell(&host(), "sleep 3 & head -c 65536 /dev/zero; kill -9 $$");
        let output = command.output_ends_with_command(true).output().unwrap();
        assert_eq!((output.stdout.len(), output.status.signal()), (65_536, Some(9)));
    }
}
