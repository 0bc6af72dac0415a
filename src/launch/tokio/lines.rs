//! What a command writes, line by line as it comes, for a runtime.

use std::fmt;
use std::time::{Duration, Instant};

use super::super::error::{Error, Result, Step};
use super::super::lines::{Line, NextLine, Splitters};
use super::super::stop::Killer;
use super::super::usage::Usage;
use super::super::wait::{deadline, left};
use super::child::Child;
use super::reading::{Next, Reading};

/// The lines of a command as they come ([`Child::lines`]): the crate's [`Lines`](crate::Lines), which says in what order they come
/// and when they end.
///
/// Every call can be given up, by dropping its future, and made again: no line is lost. Dropped early, it gives the streams back to
/// the child, and what it has read but not given out is read again from there.
///
/// ```
/// use std::time::Duration;
/// use bwrap_launch::{Ending, NextLine, Sandbox, Stdio, Stop, tokio::Command};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut command = Command::new(&Sandbox::new().ro_bind("/", "/").unshare_all(), "sh");
/// command.args(["-c", "echo compiling; sleep 60"]).stdout(Stdio::piped()).stderr(Stdio::merged());
/// let mut child = command.spawn().await?;
/// let mut lines = child.lines(64 << 10);
/// assert_eq!(lines.next().await.unwrap()?.text(), "compiling");
/// assert_eq!(lines.next_timeout(Duration::from_millis(50)).await?, NextLine::TimedOut);
/// lines.kill().await?;
/// // what it has written until then is still to come
/// while let Some(line) = lines.next().await {
///     println!("{}", line?.text());
/// }
/// drop(lines);
/// assert_eq!(Ending::of(&child.wait().await), Ending::Stopped(Stop::Cancel));
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
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
    /// What the command writes to piped streams, line by line as it comes, as [`Child::lines`](crate::Child::lines): a line longer
    /// than `limit` bytes comes in pieces. Its end is still to be waited for.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio, tokio::Command};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let mut command = Command::new(&Sandbox::new().ro_bind("/", "/"), "sh");
    /// command.args(["-c", "echo one; echo two >&2"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    /// let mut child = command.spawn().await?;
    /// let mut lines = child.lines(64 << 10);
    /// while let Some(line) = lines.next().await {
    ///     let line = line?;
    ///     println!("{}: {}", line.stream, line.text());
    /// }
    /// drop(lines);
    /// assert!(child.wait().await?.success());
    /// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
    /// ```
    pub fn lines(&mut self, limit: usize) -> Lines<'_> {
        let reading = self.take_reading();
        Lines { child: self, reading, splitters: Splitters::new(limit), ended: false }
    }
}

impl Lines<'_> {
    /// The next line, or `None` if there are no more.
    ///
    /// # Errors
    ///
    /// If the system denies what reading and waiting need, or a [tee](super::Command::tee) cannot be written to.
    pub async fn next(&mut self) -> Option<Result<Line>> {
        match self.next_until(None).await {
            Ok(NextLine::Line(line)) => Some(Ok(line)),
            Ok(NextLine::End | NextLine::TimedOut) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// The next line, if there is one before this much time has passed. Without any time, one that is there already.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn next_timeout(&mut self, limit: Duration) -> Result<NextLine> {
        self.next_until(deadline(limit)).await
    }

    /// Kills the sandbox, as [`Child::kill`]. What it has written is still to come.
    ///
    /// # Errors
    ///
    /// As [`Child::kill`].
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await
    }

    /// A handle that stops the sandbox from any thread or task, as [`Child::killer`].
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.child.killer()
    }

    /// What the sandbox has used so far, as [`Child::usage`].
    #[must_use]
    pub fn usage(&mut self) -> Usage {
        self.child.usage()
    }

    async fn next_until(&mut self, deadline: Option<Instant>) -> Result<NextLine> {
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
            match self.reading.next(self.child.running(), deadline).await {
                Ok(Next::Bytes(stream, bytes)) => self.splitters.push(stream, bytes),
                Ok(Next::End) => self.ended = true,
                Ok(Next::Late) => return Ok(NextLine::TimedOut),
                Err(error) => {
                    // what could not be passed on was read, and more may follow
                    self.ended = !matches!(error, Error::System { step: Step::PassOutputOn, .. });
                    return Err(error);
                }
            }
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
        self.child.passing = self.reading.passing.take();
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
