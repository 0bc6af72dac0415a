//! What a command writes, line by line as it comes.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

use super::capture::Stream;
use super::child::Child;
use super::error::{Error, Result, Step};
use super::reading::{Next, Reading};
use super::stop::Killer;
use super::usage::Usage;
use super::wait::{deadline, left};

/// A line that a command wrote, or a piece of one that is longer than the limit.
///
/// ```
/// use bwrap_launch::{LineEnd, Sandbox, Stdio, Stream};
/// let mut command = Sandbox::new().ro_bind("/", "/").command("sh");
/// command.args(["-c", "echo hello; printf abc"]).stdout(Stdio::piped());
/// let mut child = command.spawn()?;
/// let lines = child.lines(1024).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!((lines[0].stream, lines[0].text().as_ref(), lines[0].end), (Stream::Stdout, "hello", LineEnd::Newline));
/// assert_eq!((lines[1].bytes.as_slice(), lines[1].end), (&b"abc"[..], LineEnd::End));
/// assert!(child.wait()?.success());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Line {
    /// Where it was written to.
    pub stream: Stream,
    /// What was written, without the newline.
    pub bytes: Vec<u8>,
    /// How it ends.
    pub end: LineEnd,
}

impl Line {
    /// The line as text. What is no UTF-8 is replaced (`U+FFFD`).
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// How a [`Line`] ends. These three are all there are, so a `match` needs no other arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineEnd {
    /// With a newline.
    Newline,
    /// At the limit: the same line goes on in the next one of its stream.
    Limit,
    /// Without a newline: nothing more was written.
    End,
}

/// What [`Lines::next_timeout`] came to. These three are all there are, so a `match` needs no other arm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextLine {
    /// A line.
    Line(Line),
    /// There are no more lines.
    End,
    /// The time has passed. Nothing is lost: the next call goes on from there.
    TimedOut,
}

/// The lines of a command as they come ([`Child::lines`]): an iterator, and, with [`next_timeout`](Self::next_timeout), one that does
/// not wait for ever.
///
/// Lines of one stream come in their order and none is lost; a line of the one stream may overtake one of the other. If the order
/// between them matters, let them share a pipe ([`Stdio::merged`](super::Stdio::merged)). It takes no thread: the caller's own looks after both streams
/// and the sandbox.
///
/// It ends when nobody can write any more. With a PID namespace that is the command's end. Without one, a process that the command
/// left behind may hold the streams open for as long as it lives: [`Command::output_ends_with_command`](super::Command::output_ends_with_command) ends the lines with
/// the command then.
///
/// Dropped early, it gives the streams back to the child, and what it has read but not given out is read again from there
/// ([`ChildStdout::buffer`](super::ChildStdout::buffer)).
///
/// ```
/// use std::time::{Duration, Instant};
/// use bwrap_launch::{Ending, NextLine, Sandbox, Stdio, Stop};
/// let mut command = Sandbox::new().ro_bind("/", "/").unshare_all().command("sh");
/// command.args(["-c", "echo compiling; sleep 60"]).stdout(Stdio::piped()).stderr(Stdio::merged());
/// let mut child = command.spawn()?;
/// let mut lines = child.lines(64 << 10);
/// let deadline = Instant::now() + Duration::from_millis(500);
/// let in_time = loop {
///     match lines.next_timeout(deadline.saturating_duration_since(Instant::now()))? {
///         NextLine::Line(line) => println!("{}", line.text()),
///         NextLine::End => break true,
///         NextLine::TimedOut => break false,
///     }
/// };
/// if !in_time {
///     lines.kill()?;
///     // what it has written until then is still to come
///     for line in lines.by_ref() {
///         println!("{}", line?.text());
///     }
/// }
/// drop(lines);
/// assert_eq!(Ending::of(&child.wait()), Ending::Stopped(Stop::Cancel));
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[must_use = "it reads only when it is asked for lines"]
pub struct Lines<'c> {
    child: &'c mut Child,
    reading: Reading,
    splitters: Splitters,
    /// Nothing more is read.
    ended: bool,
}

impl Child {
    /// What the command writes to piped streams, line by line as it comes. A line longer than `limit` bytes comes in pieces of
    /// that length, so that not more than `limit` and 64 KiB of each stream are held here. Its end is still to be waited for.
    ///
    /// Standard input stays open: if it is piped and the command reads to its end, drop [`stdin`](Self::stdin) first. If the launch
    /// fails, what bwrap said comes as lines, too.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("sh");
    /// command.args(["-c", "echo one; echo two >&2"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    /// let mut child = command.spawn()?;
    /// for line in child.lines(64 << 10) {
    ///     let line = line?;
    ///     println!("{}: {}", line.stream, line.text());
    /// }
    /// assert!(child.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn lines(&mut self, limit: usize) -> Lines<'_> {
        Lines::new(self, limit)
    }
}

impl<'c> Lines<'c> {
    fn new(child: &'c mut Child, limit: usize) -> Self {
        let reading = child.take_reading();
        Self { child, reading, splitters: Splitters::new(limit), ended: false }
    }

    /// The next line, if there is one before this much time has passed. Without any time, one that is there already.
    ///
    /// # Errors
    ///
    /// If the system denies what reading and waiting need, or a [tee](super::Command::tee) cannot be written to.
    pub fn next_timeout(&mut self, limit: Duration) -> Result<NextLine> {
        self.next_until(deadline(limit))
    }

    /// Kills the sandbox, as [`Child::kill`]. What it has written is still to come.
    ///
    /// # Errors
    ///
    /// As [`Child::kill`].
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()
    }

    /// A handle that stops the sandbox from any thread, as [`Child::killer`].
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.child.killer()
    }

    /// What the sandbox has used so far, as [`Child::usage`].
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("sh");
    /// let mut child = command.args(["-c", "echo one; echo two"]).stdout(Stdio::piped()).spawn()?;
    /// let mut lines = child.lines(1024);
    /// while let Some(line) = lines.next() {
    ///     println!("{} after {:?}", line?.text(), lines.usage().user);
    /// }
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn usage(&mut self) -> Usage {
        self.child.usage()
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Result<NextLine> {
        let mut read = false;
        loop {
            let (all, reading) = (self.ended, &self.reading);
            if let Some(line) = self.splitters.take_line(|stream| all || reading.has_ended(stream)) {
                return Ok(NextLine::Line(line));
            }
            if self.ended {
                return Ok(NextLine::End);
            }
            // a command that writes on and on, and no end of a line, leaves no moment without something to read
            if read && left(deadline).is_zero() {
                return Ok(NextLine::TimedOut);
            }
            read = true;
            match self.reading.next(self.child.running(), deadline) {
                Ok(Next::Bytes(stream, bytes, before)) => {
                    self.splitters.push(stream, bytes);
                    self.child
                        .handling
                        .pass_on(stream, bytes, before)
                        .map_err(Error::system(Step::PassOutputOn))?;
                }
                Ok(Next::End) => self.ended = true,
                Ok(Next::Late) => return Ok(NextLine::TimedOut),
                Err(error) => {
                    self.ended = true;
                    return Err(Error::system(Step::ReadOutput)(error));
                }
            }
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_until(None) {
            Ok(NextLine::Line(line)) => Some(Ok(line)),
            Ok(NextLine::End | NextLine::TimedOut) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        let (mut stdout, mut stderr) = (self.reading.stdout.take(), self.reading.stderr.take());
        let [of_stdout, of_stderr] = self.splitters.rest();
        if let Some(stdout) = &mut stdout {
            stdout.put_back(of_stdout);
        }
        if let Some(stderr) = &mut stderr {
            stderr.put_back(of_stderr);
        }
        (self.child.stdout, self.child.stderr) = (stdout, stderr);
    }
}

impl fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines")
            .field("child", &self.child)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// Takes both streams apart into lines.
#[derive(Debug)]
pub(super) struct Splitters {
    stdout: Splitter,
    stderr: Splitter,
}

impl Splitters {
    pub(super) fn new(limit: usize) -> Self {
        Self { stdout: Splitter::new(limit), stderr: Splitter::new(limit) }
    }

    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Stdout { self.stdout.push(bytes) } else { self.stderr.push(bytes) }
    }

    /// A line that was read to its end, which may be that of its stream.
    pub(super) fn take_line(&mut self, has_ended: impl Fn(Stream) -> bool) -> Option<Line> {
        for (stream, splitter) in [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)] {
            if let Some((bytes, end)) = splitter.next(has_ended(stream)) {
                return Some(Line { stream, bytes, end });
            }
        }
        None
    }

    /// What of each was not given out.
    pub(super) fn rest(&mut self) -> [Vec<u8>; 2] {
        [self.stdout.rest(), self.stderr.rest()]
    }
}

/// Takes a stream apart into lines, or pieces of them.
#[derive(Debug)]
struct Splitter {
    limit: usize,
    held: Vec<u8>,
    /// What of it was given out.
    given: usize,
    /// How much of what follows has no newline.
    searched: usize,
}

impl Splitter {
    fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), held: Vec::new(), given: 0, searched: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.given);
        self.given = 0;
        self.held.extend_from_slice(bytes);
    }

    fn next(&mut self, ended: bool) -> Option<(Vec<u8>, LineEnd)> {
        let rest = self.held.get(self.given..).unwrap_or_default();
        // a newline right after the limit still belongs to the line
        let newline = rest
            .iter()
            .take(self.limit.saturating_add(1))
            .skip(self.searched)
            .position(|byte| *byte == b'\n');
        let (length, end) = match newline {
            Some(at) => (self.searched + at, LineEnd::Newline),
            None if rest.len() > self.limit => (self.limit, LineEnd::Limit),
            None if ended && !rest.is_empty() => (rest.len(), LineEnd::End),
            None => {
                self.searched = rest.len();
                return None;
            }
        };
        let line = rest.get(..length).unwrap_or_default().to_vec();
        self.given += length + usize::from(end == LineEnd::Newline);
        self.searched = 0;
        Some((line, end))
    }

    /// What was not given out.
    fn rest(&mut self) -> Vec<u8> {
        let rest = self.held.split_off(self.given.min(self.held.len()));
        self.held.clear();
        (self.given, self.searched) = (0, 0);
        rest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_put_together_are_what_was_written(
            chunks in proptest::collection::vec(proptest::collection::vec(0..4_u8, 0..12), 0..12),
            limit in 0..9_usize,
        ) {
            // newlines are frequent
            let chunks: Vec<Vec<u8>> = chunks.iter().map(|chunk| chunk.iter().map(|byte| byte + 8).collect()).collect();
            let mut splitter = Splitter::new(limit);
            let mut lines = Vec::new();
            for chunk in &chunks {
                splitter.push(chunk);
                lines.extend(std::iter::from_fn(|| splitter.next(false)));
                prop_assert!(splitter.held.len() - splitter.given <= limit.max(1));
            }
            lines.extend(std::iter::from_fn(|| splitter.next(true)));
            let mut all = Vec::new();
            for (bytes, end) in &lines {
                prop_assert!(bytes.len() <= limit.max(1) && !bytes.contains(&b'\n'));
                prop_assert!(*end != LineEnd::Limit || bytes.len() == limit.max(1));
                all.extend(bytes);
                all.extend((*end == LineEnd::Newline).then_some(b'\n'));
            }
            prop_assert_eq!(all, chunks.concat());
            let last = lines.len().saturating_sub(1);
            prop_assert!(lines.iter().take(last).all(|(_, end)| *end != LineEnd::End));
        }
    }

    #[test]
    fn a_line_as_long_as_the_limit_is_whole() {
        let mut splitter = Splitter::new(3);
        splitter.push(b"abc\nabcd\n\n");
        let lines: Vec<_> = std::iter::from_fn(|| splitter.next(true)).collect();
        let wanted = [
            ("abc", LineEnd::Newline),
            ("abc", LineEnd::Limit),
            ("d", LineEnd::Newline),
            ("", LineEnd::Newline),
        ];
        assert_eq!(lines, wanted.map(|(text, end)| (text.as_bytes().to_vec(), end)));
    }
}
