//! Standard streams: what they are connected to, and our ends of pipes.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process;
use std::sync::Arc;

use super::ear::{Listener, ReadEnd};

/// What a standard stream of the command is connected to, as [`std::process::Stdio`].
///
/// ```
/// use bwrap_launch::{Sandbox, Stdio};
/// let (reader, writer) = std::io::pipe().unwrap();
/// let mut command = Sandbox::new().ro_bind("/", "/").command("echo");
/// command.arg("hello").stdin(Stdio::null()).stdout(writer).stderr(Stdio::inherit());
/// assert!(command.status()?.success());
/// drop(command); // it owns our copy of the writing end
/// assert_eq!(std::io::read_to_string(reader).unwrap(), "hello\n");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stdio(pub(crate) StdioKind);

#[derive(Debug, Clone)]
pub(crate) enum StdioKind {
    Inherit,
    /// Another stream of the caller's own.
    Own(OwnStream),
    Null,
    Piped,
    /// Where the other one of standard output and standard error goes.
    Merged,
    Descriptor(Arc<OwnedFd>),
}

/// One of the caller's streams that can be written to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OwnStream {
    Stdout,
    Stderr,
}

impl AsFd for OwnStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdout => rustix::stdio::stdout(),
            Self::Stderr => rustix::stdio::stderr(),
        }
    }
}

impl Stdio {
    /// The caller's own stream.
    #[must_use]
    pub fn inherit() -> Self {
        Self(StdioKind::Inherit)
    }

    /// `/dev/null`.
    #[must_use]
    pub fn null() -> Self {
        Self(StdioKind::Null)
    }

    /// A new pipe, whose other end is in the [`Child`](super::Child).
    #[must_use]
    pub fn piped() -> Self {
        Self(StdioKind::Piped)
    }

    /// For standard error: wherever standard output goes, as `2>&1` in a shell. With a pipe, [`Child::stdout`](super::Child::stdout)
    /// then has what was written to either, in the order in which it was written. (For standard output: wherever standard error
    /// goes. Not for both, and not for standard input: that is an error of the launch.)
    ///
    /// bwrap itself speaks on standard error. In a pipe its words are told from the command's as far as that can be:
    ///
    /// * **The command did not run** (which is known without words): all that was written is bwrap's. The error quotes it, as it
    ///   does where standard error has a pipe of its own.
    /// * **The command ran:** what bwrap had to warn of stands at the very beginning, before anything of the command's, and is in
    ///   [`Output::warnings`](crate::Output::warnings) and [`Child::warnings`](super::Child::warnings). It is recognised by how bwrap words it, so a command that
    ///   writes such lines first can forge them. After [`Command::prepare`](crate::Command::prepare) what waits in the pipe is
    ///   bwrap's for sure: the command has not started.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("sh");
    /// command.args(["-c", "echo 1; echo 2 >&2; echo 3"]).stderr(Stdio::merged());
    /// let output = command.output()?;
    /// assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"1\n2\n3\n"[..], &b""[..]));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn merged() -> Self {
        Self(StdioKind::Merged)
    }
}

impl From<OwnedFd> for Stdio {
    fn from(descriptor: OwnedFd) -> Self {
        Self(StdioKind::Descriptor(Arc::new(descriptor)))
    }
}

/// The caller's standard output, as [`std::process::Stdio`] takes it, for standard error too.
///
/// ```
/// use bwrap_launch::Sandbox;
/// let mut command = Sandbox::new().ro_bind("/", "/").command("make");
/// command.stdout(std::io::stderr()); // whoever reads this program's output is to read nothing of the build's
/// ```
impl From<io::Stdout> for Stdio {
    fn from(_: io::Stdout) -> Self {
        Self(StdioKind::Own(OwnStream::Stdout))
    }
}

/// The caller's standard error, for standard output too.
impl From<io::Stderr> for Stdio {
    fn from(_: io::Stderr) -> Self {
        Self(StdioKind::Own(OwnStream::Stderr))
    }
}

macro_rules! from_std {
    ($($name:ty)+) => { $(
        impl From<$name> for Stdio {
            fn from(descriptor: $name) -> Self {
                OwnedFd::from(descriptor).into()
            }
        }
    )+ };
}
from_std! { File PipeReader PipeWriter process::ChildStdin process::ChildStdout process::ChildStderr }

macro_rules! pipe_end {
    ($($name:ident $($field:ident).+;)+) => { $(
        impl From<$name> for Stdio {
            fn from(end: $name) -> Self {
                Self(StdioKind::Descriptor(end.$($field).+))
            }
        }

        impl From<$name> for OwnedFd {
            /// Gives up the pipe's end, for example to an asynchronous runtime.
            fn from(end: $name) -> Self {
                let mut pipe = end.$($field).+;
                loop {
                    match Arc::try_unwrap(pipe) {
                        Ok(descriptor) => return descriptor,
                        // a thread that waits for the child looks into the pipe at this moment
                        Err(shared) => pipe = shared,
                    }
                    std::thread::yield_now();
                }
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.$($field).+.as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.$($field).+.as_raw_fd()
            }
        }
    )+ };
}
pipe_end! { ChildStdin pipe; ChildStdout source.pipe; ChildStderr source.pipe; }

/// The writing end of the command's standard input, as [`std::process::ChildStdin`]. Dropping it is the end
/// of file.
///
/// ```
/// use std::io::Write;
/// use bwrap_launch::{Sandbox, Stdio};
/// let sandbox = Sandbox::new().ro_bind("/", "/");
/// let mut child = sandbox.command("wc").arg("-l").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let mut stdin = child.stdin.take().unwrap();
/// stdin.write_all(b"one\ntwo\n").unwrap();
/// drop(stdin);
/// let output = child.wait_with_output()?;
/// assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2");
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug)]
pub struct ChildStdin {
    pipe: Arc<OwnedFd>,
}

impl ChildStdin {
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Arc::new(pipe) }
    }
}

impl Write for ChildStdin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &ChildStdin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.pipe, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The reading end of the command's standard output, as [`std::process::ChildStdout`].
///
/// It can become the standard input of another command.
///
/// ```
/// use bwrap_launch::{Sandbox, Stdio};
/// let sandbox = Sandbox::new().ro_bind("/", "/");
/// let mut first = sandbox.command("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
/// let stdout = first.stdout.take().unwrap();
/// let output = sandbox.command("tr").args(["a-z", "A-Z"]).stdin(stdout).output()?;
/// assert_eq!(output.stdout, b"HELLO\n");
/// assert!(first.wait()?.success());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug)]
pub struct ChildStdout {
    source: ReadEnd,
}

impl ChildStdout {
    pub(super) fn new(source: ReadEnd) -> Self {
        Self { source }
    }

    /// Hears bwrap, if that speaks here, too.
    pub(super) fn listener(&self) -> Option<Listener> {
        self.source.listener()
    }

    /// What [`Lines`](crate::Lines) that were dropped early have read ahead, as [`BufReader::buffer`](std::io::BufReader::buffer). Reading
    /// gives it first; whoever is given the pipe alone, by [`Stdio::from`] or [`OwnedFd::from`], does not get it.
    ///
    /// ```
    /// use std::io::Read;
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("printf");
    /// let mut child = command.arg("one\\ntwo\\n").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    /// assert_eq!(child.lines(100).next().unwrap()?.text(), "one");
    /// let mut rest = child.stdout.take().unwrap();
    /// assert!(b"two\n".starts_with(rest.buffer()));
    /// let mut text = String::new();
    /// rest.read_to_string(&mut text).unwrap();
    /// assert_eq!(text, "two\n");
    /// # child.wait()?;
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn buffer(&self) -> &[u8] {
        self.source.unread()
    }

    /// Has these bytes read again first.
    pub(super) fn put_back(&mut self, bytes: Vec<u8>) {
        self.source.put_back(bytes);
    }
}

impl Read for ChildStdout {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer)
    }
}

/// The reading end of the command's standard error, as [`std::process::ChildStderr`].
///
/// bwrap writes there too until the command is executed. What is read at the beginning is remembered, so that
/// a failure can quote it.
///
/// ```
/// use bwrap_launch::{Sandbox, Stdio};
/// let sandbox = Sandbox::new().ro_bind("/", "/");
/// let mut child = sandbox.command("sh").args(["-c", "echo oops >&2"]).stderr(Stdio::piped()).spawn()?;
/// let stderr = child.stderr.take().unwrap();
/// assert_eq!(std::io::read_to_string(stderr).unwrap(), "oops\n");
/// assert!(child.wait()?.success());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug)]
pub struct ChildStderr {
    source: ReadEnd,
}

impl ChildStderr {
    pub(super) fn new(pipe: OwnedFd) -> Self {
        Self { source: ReadEnd::listening(pipe) }
    }

    /// Hears bwrap.
    pub(super) fn listener(&self) -> Option<Listener> {
        self.source.listener()
    }

    /// As [`ChildStdout::buffer`].
    #[must_use]
    pub fn buffer(&self) -> &[u8] {
        self.source.unread()
    }

    /// Has these bytes read again first.
    pub(super) fn put_back(&mut self, bytes: Vec<u8>) {
        self.source.put_back(bytes);
    }
}

impl Read for ChildStderr {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer)
    }
}
