//! How a child is waited for, with and without its output.

use std::time::{Duration, Instant};

use super::capture::{Cuts, Kept, Stream};
use super::child::Child;
use super::error::{Error, Result, Step};
use super::handshake::Phase;
use super::launched::given_up;
use super::output::{ExitStatus, Output};
use super::reading::{Next, Reading};
use super::wait::{Ward, deadline, left};

/// # Waiting for its end
impl Child {
    /// Waits until the sandbox is set up and the command is about to be executed.
    ///
    /// # Errors
    ///
    /// If the sandbox could not be set up.
    ///
    /// ```
    /// use bwrap_launch::{Error, Sandbox};
    /// let mut child = Sandbox::new().ro_bind("/nonexistent", "/").command("true").spawn()?;
    /// assert!(matches!(child.wait_ready(), Err(Error::SetupFailed(_))));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_ready_until(None).map(|_| ())
    }

    /// As [`wait_ready`](Self::wait_ready), but not longer than `limit`. Says whether the sandbox is set up; if it is not, it goes
    /// on being set up.
    ///
    /// # Errors
    ///
    /// As [`wait_ready`](Self::wait_ready).
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::Sandbox;
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("true").spawn()?;
    /// assert!(child.wait_ready_timeout(Duration::from_secs(10))?);
    /// child.wait()?;
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_ready_timeout(&mut self, limit: Duration) -> Result<bool> {
        self.wait_ready_until(deadline(limit))
    }

    pub(super) fn wait_ready_until(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let Some(running) = &mut self.launch.running else { return self.outcome().map(|_| true) };
        let waited = running.wait_ready(deadline).map_err(Error::system(Step::WaitForBwrap));
        let ready = self.or_destroyed(waited)?;
        if self.launch.running.as_ref().is_some_and(|running| running.handshake().phase() == Phase::Ended) {
            self.launch.conclude(left(deadline));
            return self.outcome().map(|_| true);
        }
        self.launch.listen();
        Ok(ready)
    }

    /// A launch that cannot be watched any more is ended.
    fn or_destroyed<T>(&mut self, waited: Result<T>) -> Result<T> {
        if waited.is_err() {
            self.destroy();
        }
        waited
    }

    /// Waits for the command's end, after closing its standard input. Asked again, it says the same.
    ///
    /// With a PID namespace nothing of it is there any more when this returns; what does not die although it is killed (a
    /// process in an uninterruptible wait) is left behind after 2 s. Without one, processes that the command has started may
    /// run on. A bwrap that somebody holds (`ptrace(2)`) and that does not notice its command's end is killed 10 s after that. If the
    /// launch failed, what the host says is read, as the calling thread sees it ([`Explain`](crate::Explain)).
    ///
    /// # Errors
    ///
    /// If the command did not run, or it cannot be known whether it did ([`Error::failure`]).
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("false").spawn()?;
    /// assert_eq!(child.wait()?.code(), Some(1));
    /// assert_eq!(child.wait()?.code(), Some(1));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        self.wait_over(None)?;
        self.outcome()
    }

    /// As [`wait`](Self::wait), but not longer than `limit`: `None` if the command still runs then. It runs on, its standard
    /// input closed.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut child = sandbox.command("sleep").arg("60").spawn()?;
    /// assert_eq!(child.wait_timeout(Duration::from_millis(50))?, None);
    /// child.kill()?;
    /// // killed before the command could run, it is `Error::Stopped`
    /// assert!(!matches!(child.wait_timeout(Duration::from_secs(10)), Ok(None)));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_timeout(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        drop(self.stdin.take());
        if self.wait_over(deadline(limit))? { self.outcome().map(Some) } else { Ok(None) }
    }

    fn wait_over(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let Some(running) = &mut self.launch.running else { return Ok(true) };
        let over = running.wait_over(deadline).map_err(Error::system(Step::WaitForBwrap))?;
        self.launch.conclude(left(deadline));
        Ok(over)
    }

    /// As [`wait_timeout`](Self::wait_timeout), but when the time has passed, or it cannot be waited for, nothing is left of it.
    pub(crate) fn wait_until(&mut self, deadline: Option<Instant>) -> Result<Option<ExitStatus>> {
        drop(self.stdin.take());
        match self.wait_over(deadline) {
            Ok(true) => self.outcome().map(Some),
            unfinished => {
                self.destroy();
                unfinished.map(|_| None)
            }
        }
    }

    /// Says how the command ended, or `None` while it runs.
    ///
    /// It does not wait for the command. Once bwrap has ended, it sees the rest of its PID namespace off, which takes a tenth of a
    /// millisecond, and, as [`wait`](Self::wait), 2 s at most for what does not die. It never asks bwrap again.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let mut child = Sandbox::new().ro_bind("/", "/").command("cat").stdin(Stdio::piped()).spawn()?;
    /// assert_eq!(child.try_wait()?, None);
    /// drop(child.stdin.take());
    /// child.wait()?;
    /// assert!(child.try_wait()?.unwrap().success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let Some(running) = &mut self.launch.running else { return self.outcome().map(Some) };
        let wait = Error::system(Step::WaitForBwrap);
        if !running.turn().map_err(wait)? {
            if running.handshake().phase() != Phase::Ended {
                return Ok(None);
            }
            running.wait_over(None).map_err(Error::system(Step::WaitForBwrap))?;
        }
        self.launch.conclude(Duration::ZERO);
        self.outcome().map(Some)
    }

    /// Waits for the command's end and collects what it writes to piped streams, after closing its standard
    /// input. How much of it is kept, and who else gets it, is the [command's](super::Command::capture) to say.
    ///
    /// As in `std`, it waits until nobody can write any more. With a PID namespace that is the command's end; without one, a process
    /// that the command left behind may hold the streams open for as long as it lives, unless output is to
    /// [end with the command](super::Command::output_ends_with_command).
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and if its output cannot be read, or not be [passed on](super::Command::tee): then the sandbox is
    /// ended, and nothing is left of it.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("echo");
    /// let child = command.arg("hello").stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(child.wait_with_output()?.stdout, b"hello\n");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_with_output(mut self) -> Result<Output> {
        // without a deadline it comes to the end
        self.output_until(None)?.ok_or_else(given_up)
    }

    /// As [`wait_with_output`](Self::wait_with_output), but not longer than `limit`: `None` if it takes longer, and then nothing is left of
    /// the sandbox, nor of what was written so far.
    ///
    /// # Errors
    ///
    /// As [`wait_with_output`](Self::wait_with_output).
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
    /// let child = sandbox.command("sleep").arg("60").stdout(Stdio::piped()).spawn()?;
    /// assert!(child.wait_with_output_timeout(Duration::from_millis(50))?.is_none());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_with_output_timeout(mut self, limit: Duration) -> Result<Option<Output>> {
        self.output_until(deadline(limit))
    }

    /// As [`wait_with_output`](Self::wait_with_output), but when the deadline has passed nothing is left of it.
    pub(super) fn output_until(&mut self, deadline: Option<Instant>) -> Result<Option<Output>> {
        let output = self.collect(deadline);
        if !matches!(output, Ok(Some(_))) {
            self.destroy();
        }
        output
    }

    /// The output, unless the deadline passes before its end.
    fn collect(&mut self, deadline: Option<Instant>) -> Result<Option<Output>> {
        drop(self.stdin.take());
        let mut reading = self.take_reading();
        let [mut stdout, mut stderr] = [Kept::new(self.handling.capture), Kept::new(self.handling.capture)];
        loop {
            match reading
                .next(self.launch.running.as_mut(), deadline)
                .map_err(Error::system(Step::ReadOutput))?
            {
                Next::Bytes(stream, bytes, before) => {
                    let kept = if stream == Stream::Stdout { &mut stdout } else { &mut stderr };
                    kept.push(bytes);
                    let passed = self.handling.pass_on(stream, bytes, before);
                    passed.map_err(Error::system(Step::PassOutputOn))?;
                    // a command that writes on and on leaves no moment without something to read
                    if left(deadline).is_zero() {
                        return Ok(None);
                    }
                }
                Next::End => break,
                Next::Late => return Ok(None),
            }
        }
        drop(reading);
        if !self.wait_over(deadline)? {
            return Ok(None);
        }
        let status = self.outcome()?;
        let ((stdout, stdout_cut), (stderr, stderr_cut)) = (stdout.finish(), stderr.finish());
        let (warnings, dropped) = (self.warnings(), self.take_dropped());
        let cuts = Cuts::of(stdout_cut, stderr_cut);
        Ok(Some(Output { status, stdout, stderr, cuts, warnings, dropped }))
    }

    /// Both streams, to be read.
    pub(super) fn take_reading(&mut self) -> Reading {
        Reading::new(self.stdout.take(), self.stderr.take(), self.handling.ends_with_command)
    }
}
