//! How much of what a command writes is kept, and where it also goes.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Which of its two streams a command wrote to. What is [merged](super::Stdio::merged) into standard output is `Stdout`. These two are all there are, so a `match` needs no other arm.
///
/// ```
/// use bwrap_launch::Stream;
/// assert_eq!(Stream::Stderr.to_string(), "stderr");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

#[cfg(feature = "tokio")]
impl Stream {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Stdout => Self::Stderr,
            Self::Stderr => Self::Stdout,
        }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// How much of each stream is kept when output is [collected](super::Command::output). Whatever is not kept is read all the same, so
/// that the command is never blocked.
///
/// ```
/// use bwrap_launch::{Capture, Sandbox};
/// let mut command = Sandbox::new().ro_bind("/", "/").command("seq");
/// command.arg("1000000").capture(Capture::ends(4, 8));
/// let output = command.output()?;
/// assert_eq!(output.stdout, b"1\n2\n1000000\n");
/// let cut = output.stdout_cut().unwrap();
/// assert_eq!((cut.at, cut.missing), (4, 6_888_884));
/// assert_eq!(output.stdout_marked(), &b"1\n2\n[6888884 bytes are left out here]\n1000000\n"[..]);
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capture {
    head: usize,
    tail: usize,
}

impl Capture {
    /// Everything, however much that is: a command can fill the caller's memory. This is the default.
    #[must_use]
    pub const fn all() -> Self {
        Self { head: usize::MAX, tail: 0 }
    }

    /// The first `head` and the last `tail` bytes of each stream. Not more than twice as much memory is used, whatever the
    /// command writes.
    #[must_use]
    pub const fn ends(head: usize, tail: usize) -> Self {
        Self { head, tail }
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self::all()
    }
}

/// Where something of a captured stream is missing, and how much.
///
/// ```
/// use bwrap_launch::{Capture, Sandbox};
/// let mut command = Sandbox::new().ro_bind("/", "/").command("echo");
/// let output = command.arg("hello").capture(Capture::ends(2, 2)).output()?;
/// assert_eq!(output.stdout, b"heo\n");
/// assert_eq!(output.stdout_cut().unwrap().to_string(), "2 bytes are left out after the first 2");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Cut {
    /// How many bytes were kept from the beginning: the rest of what was kept is from the end.
    pub at: usize,
    /// How many bytes are missing there.
    pub missing: u64,
}

impl Cut {
    /// What was kept, with a line where something is missing.
    pub(super) fn mark(self, kept: &[u8]) -> Vec<u8> {
        let (head, tail) = kept.split_at_checked(self.at).unwrap_or((kept, &[]));
        let line_end: &[u8] = if head.is_empty() || head.ends_with(b"\n") { b"" } else { b"\n" };
        let mark = format!("[{} bytes are left out here]\n", self.missing);
        [head, line_end, mark.as_bytes(), tail].concat()
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes are left out after the first {}", self.missing, self.at)
    }
}

/// Where something is missing in either stream. Most often nothing is, and it takes no room in what is passed around.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cuts(Option<Box<(Option<Cut>, Option<Cut>)>>);

impl Cuts {
    pub(super) fn of(stdout: Option<Cut>, stderr: Option<Cut>) -> Self {
        Self((stdout.is_some() || stderr.is_some()).then(|| Box::new((stdout, stderr))))
    }

    pub(super) fn stdout(&self) -> Option<Cut> {
        self.0.as_ref()?.0
    }

    pub(super) fn stderr(&self) -> Option<Cut> {
        self.0.as_ref()?.1
    }
}

/// Keeps of a stream what is to be kept.
#[derive(Debug)]
pub(crate) struct Kept {
    capture: Capture,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    missing: u64,
}

impl Kept {
    pub(crate) fn new(capture: Capture) -> Self {
        Self { capture, head: Vec::new(), tail: VecDeque::new(), missing: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = self.capture.head.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.head.extend_from_slice(first);
        let superfluous = (self.tail.len() + rest.len()).saturating_sub(self.capture.tail);
        self.missing += u64::try_from(superfluous).unwrap_or(u64::MAX);
        let of_tail = superfluous.min(self.tail.len());
        self.tail.drain(..of_tail);
        self.tail.extend(rest.iter().skip(superfluous - of_tail));
    }

    pub(crate) fn finish(self) -> (Vec<u8>, Option<Cut>) {
        let Self { head: mut kept, tail, missing, .. } = self;
        let cut = (missing > 0).then_some(Cut { at: kept.len(), missing });
        kept.extend(tail);
        (kept, cut)
    }
}

/// What happened before to bytes that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    /// They were read and put back: whoever else gets the output has them.
    PutBack,
}

impl Before {
    pub(crate) fn of(put_back: bool) -> Self {
        if put_back { Self::PutBack } else { Self::Nothing }
    }
}

/// Somebody else who gets what a stream yields.
#[derive(Clone)]
struct Tee {
    stream: Stream,
    writer: Arc<Mutex<dyn Write + Send>>,
}

/// What is done with a command's output.
#[derive(Clone, Default)]
pub(crate) struct Handling {
    pub(crate) capture: Capture,
    /// Reading ends with the command, although something may hold its streams open.
    pub(crate) ends_with_command: bool,
    tees: Vec<Tee>,
}

impl Handling {
    pub(crate) fn tee(&mut self, stream: Stream, writer: impl Write + Send + 'static) {
        self.tees.push(Tee { stream, writer: Arc::new(Mutex::new(writer)) });
    }

    /// Whether there is anybody to pass it on to.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_shared(&self, stream: Stream, before: Before) -> bool {
        before == Before::Nothing && self.tees.iter().any(|tee| tee.stream == stream)
    }

    /// Passes on what a stream has yielded, once.
    pub(crate) fn pass_on(&self, stream: Stream, bytes: &[u8], before: Before) -> io::Result<()> {
        if before == Before::PutBack {
            return Ok(());
        }
        for tee in self.tees.iter().filter(|tee| tee.stream == stream) {
            let mut writer = tee.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.write_all(bytes)?;
            writer.flush()?;
        }
        Ok(())
    }
}

impl fmt::Debug for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handling").field("capture", &self.capture).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_ends_are_kept_and_the_rest_is_counted(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..20),
            head in 0..40_usize,
            tail in 0..40_usize,
        ) {
            let all = chunks.concat();
            let mut kept = Kept::new(Capture::ends(head, tail));
            for chunk in &chunks {
                kept.push(chunk);
            }
            prop_assert!(kept.tail.len() <= tail);
            let (bytes, cut) = kept.finish();
            if all.len() <= head + tail {
                prop_assert_eq!((bytes, cut), (all, None));
            } else {
                let missing = u64::try_from(all.len() - head - tail).unwrap();
                prop_assert_eq!(cut, Some(Cut { at: head, missing }));
                prop_assert_eq!(bytes, [&all[..head], &all[all.len() - tail..]].concat());
            }
        }
    }

    #[test]
    fn the_mark_is_a_line_of_its_own() {
        let cut = |at| Cut { at, missing: 7 };
        assert_eq!(cut(2).mark(b"abc"), b"ab\n[7 bytes are left out here]\nc");
        assert_eq!(cut(2).mark(b"a\nb\n"), b"a\n[7 bytes are left out here]\nb\n");
        assert_eq!(cut(0).mark(b""), b"[7 bytes are left out here]\n");
    }
}
