//! A terminal of the sandbox's own: our end of it, for a runtime.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::tokio::io::unix::AsyncFd;
use ::tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::super::pty::{self, WindowSize};
use super::stdio::{poll_read_from, poll_write_to};
use super::watch::register;

/// Our end of a sandbox's own terminal, from [`Command::terminal`](super::Command::terminal): the crate's
/// [`Terminal`](crate::Terminal), which says what is read and written, and that dropping it hangs up.
///
/// ```
/// use bwrap_launch::{Sandbox, WindowSize, tokio::Command};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
/// let mut command = Command::new(&sandbox, "sh");
/// command.args(["-c", "stty size; read word; echo got $word"]).terminal(WindowSize { rows: 30, columns: 100 });
/// let mut child = command.spawn().await?;
/// let mut terminal = child.terminal.take().unwrap();
/// terminal.write_all(b"hello\n").await.unwrap();
/// let mut text = String::new();
/// terminal.read_to_string(&mut text).await.unwrap();
/// assert!(text.contains("30 100\r\n") && text.ends_with("got hello\r\n"), "{text}");
/// assert!(child.wait().await?.success());
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Terminal(AsyncFd<pty::Terminal>);

impl Terminal {
    /// To be called within a runtime.
    pub(super) fn new(terminal: pty::Terminal) -> io::Result<Self> {
        let flags = fcntl_getfl(&terminal)?;
        fcntl_setfl(&terminal, flags | OFlags::NONBLOCK)?;
        Ok(Self(register(terminal, Interest::READABLE | Interest::WRITABLE)?))
    }

    /// How large it is.
    ///
    /// # Errors
    ///
    /// If the system denies it.
    pub fn size(&self) -> io::Result<WindowSize> {
        self.0.get_ref().size()
    }

    /// Makes it larger or smaller. What runs in its foreground gets SIGWINCH.
    ///
    /// # Errors
    ///
    /// If the system denies it.
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        self.0.get_ref().resize(size)
    }

    /// The process group in its foreground ([`Terminal::foreground`](crate::Terminal::foreground)).
    ///
    /// # Errors
    ///
    /// If the system denies it.
    pub fn foreground(&self) -> io::Result<Option<u32>> {
        self.0.get_ref().foreground()
    }

    /// Types the end of file ([`Terminal::send_eof`](crate::Terminal::send_eof)).
    ///
    /// # Errors
    ///
    /// If the system denies it.
    pub async fn send_eof(&mut self) -> io::Result<()> {
        let code = self.0.get_ref().eof()?;
        // of one byte all or nothing is taken
        poll_fn(|context| Pin::new(&mut *self).poll_write(context, &[code])).await.map(drop)
    }
}

impl AsyncRead for Terminal {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = ready!(poll_read_from(&mut self.get_mut().0, context, buffer.initialize_unfilled()))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Terminal {
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

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_ref().as_fd()
    }
}

impl TryFrom<Terminal> for OwnedFd {
    type Error = io::Error;

    /// Gives up the terminal's end, which blocks from then on.
    fn try_from(terminal: Terminal) -> io::Result<Self> {
        let terminal = terminal.0.into_inner();
        let flags = fcntl_getfl(&terminal)?;
        fcntl_setfl(&terminal, flags - OFlags::NONBLOCK)?;
        Ok(terminal.into())
    }
}
