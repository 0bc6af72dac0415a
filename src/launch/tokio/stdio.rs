//! Our ends of pipes, for a runtime.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::tokio::io::unix::AsyncFd;
use ::tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::super::stdio::{self, Stdio};
use super::watch::register;

/// The writing end of the command's standard input, as [`tokio::process::ChildStdin`]. Dropping it is the end of file;
/// shutting it down does nothing, as there.
///
/// [`tokio::process::ChildStdin`]: https://docs.rs/tokio/latest/tokio/process/struct.ChildStdin.html
///
/// ```
/// use bwrap_launch::{Sandbox, Stdio, tokio::Command};
/// use tokio::io::AsyncWriteExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut command = Command::new(&Sandbox::new().ro_bind("/", "/"), "wc");
/// let mut child = command.arg("-l").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().await?;
/// let mut stdin = child.stdin.take().unwrap();
/// stdin.write_all(b"one\ntwo\n").await.unwrap();
/// drop(stdin);
/// assert_eq!(child.wait_with_output().await?.stdout, b"2\n");
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct ChildStdin(AsyncFd<stdio::ChildStdin>);

/// The reading end of the command's standard output, as [`tokio::process::ChildStdout`].
///
/// [`tokio::process::ChildStdout`]: https://docs.rs/tokio/latest/tokio/process/struct.ChildStdout.html
///
/// ```
/// use bwrap_launch::{Sandbox, Stdio, tokio::Command};
/// use tokio::io::AsyncReadExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut command = Command::new(&Sandbox::new().ro_bind("/", "/"), "echo");
/// let mut child = command.arg("hello").stdout(Stdio::piped()).spawn().await?;
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
/// assert_eq!((text.as_str(), child.wait().await?.success()), ("hello\n", true));
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct ChildStdout(AsyncFd<stdio::ChildStdout>);

/// The reading end of the command's standard error, as [`tokio::process::ChildStderr`].
///
/// bwrap writes there too until the command is executed. What is read at the beginning is remembered, so that a failure can
/// quote it.
///
/// [`tokio::process::ChildStderr`]: https://docs.rs/tokio/latest/tokio/process/struct.ChildStderr.html
///
/// ```
/// use bwrap_launch::{Sandbox, Stdio, tokio::Command};
/// use tokio::io::AsyncReadExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut command = Command::new(&Sandbox::new().ro_bind("/", "/"), "sh");
/// let mut child = command.args(["-c", "echo oops >&2"]).stderr(Stdio::piped()).spawn().await?;
/// let mut text = String::new();
/// child.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
/// assert_eq!((text.as_str(), child.wait().await?.success()), ("oops\n", true));
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct ChildStderr(AsyncFd<stdio::ChildStderr>);

macro_rules! pipe_end {
    ($($name:ident $interest:ident)+) => { $(
        impl $name {
            /// To be called within a runtime.
            pub(super) fn new(end: stdio::$name) -> io::Result<Self> {
                let flags = fcntl_getfl(&end)?;
                fcntl_setfl(&end, flags | OFlags::NONBLOCK)?;
                Ok(Self(register(end, Interest::$interest)?))
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.get_ref().as_fd()
            }
        }

        impl TryFrom<$name> for OwnedFd {
            type Error = io::Error;

            /// Gives up the pipe's end, which blocks from then on.
            fn try_from(end: $name) -> io::Result<Self> {
                let end = end.0.into_inner();
                let flags = fcntl_getfl(&end)?;
                fcntl_setfl(&end, flags - OFlags::NONBLOCK)?;
                Ok(end.into())
            }
        }

        impl TryFrom<$name> for Stdio {
            type Error = io::Error;

            /// Connects another command to it.
            fn try_from(end: $name) -> io::Result<Self> {
                Ok(OwnedFd::try_from(end)?.into())
            }
        }
    )+ };
}
pipe_end! { ChildStdin WRITABLE ChildStdout READABLE ChildStderr READABLE }

/// Something that is read without waiting.
pub(super) trait Source: Send {
    /// Whether it begins with what was put back.
    fn has_unread(&self) -> bool;

    /// Reads what is there, whatever the runtime knows of it by now. Nobody is woken when there is more.
    fn take_now(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Reads what is there.
    fn poll_take(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// Reads from an end once the runtime says that it can be read.
pub(super) fn poll_read_from<T: Read + AsRawFd>(
    end: &mut AsyncFd<T>,
    context: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    loop {
        let mut ready = ready!(end.poll_read_ready_mut(context))?;
        match ready.try_io(|end| end.get_mut().read(buffer)) {
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(count) => return Poll::Ready(count),
            Err(_) => {}
        }
    }
}

/// Writes to an end once the runtime says that it can be written to.
pub(super) fn poll_write_to<T: Write + AsRawFd>(
    end: &mut AsyncFd<T>,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        let mut ready = ready!(end.poll_write_ready_mut(context))?;
        match ready.try_io(|end| end.get_mut().write(bytes)) {
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(count) => return Poll::Ready(count),
            Err(_) => {}
        }
    }
}

macro_rules! reads {
    ($($name:ident)+) => { $(
        impl $name {
            /// Has these bytes read again first.
            pub(super) fn put_back(&mut self, bytes: Vec<u8>) {
                self.0.get_mut().put_back(bytes);
            }
        }

        impl Source for $name {
            fn has_unread(&self) -> bool {
                !self.0.get_ref().buffer().is_empty()
            }

            fn take_now(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                match self.0.get_mut().read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
                    count => Poll::Ready(count),
                }
            }

            fn poll_take(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
                if self.has_unread() {
                    return self.take_now(buffer);
                }
                poll_read_from(&mut self.0, context, buffer)
            }
        }

        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let count = ready!(self.get_mut().poll_take(context, buffer.initialize_unfilled()))?;
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
        }
    )+ };
}
reads! { ChildStdout ChildStderr }

impl AsyncWrite for ChildStdin {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        poll_write_to(&mut self.get_mut().0, context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
