//! A terminal of the sandbox's own: our end of it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{SpecialCodeIndex, Winsize, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetwinsize};

use super::descriptors::above_streams;

/// How large a terminal is, in characters (`ioctl_tty(2)`, `TIOCGWINSZ`): no more fields will come.
///
/// ```
/// use bwrap_launch::WindowSize;
/// assert_eq!(WindowSize { rows: 24, columns: 80 }, WindowSize::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl Default for WindowSize {
    /// 24 lines of 80 characters.
    fn default() -> Self {
        Self { rows: 24, columns: 80 }
    }
}

impl WindowSize {
    fn kernel(self) -> Winsize {
        Winsize { ws_row: self.rows, ws_col: self.columns, ws_xpixel: 0, ws_ypixel: 0 }
    }
}

/// Our end of a sandbox's own terminal (`pty(7)`), from [`Command::terminal`](super::Command::terminal): what is read was written by the
/// command, what is written is what a person would type.
///
/// Reading ends once nobody inside has the terminal open any more; what was written before can still be read after the command's
/// end. A terminal holds a few thousand bytes: a command whose output nobody reads is blocked, and so is who writes what nobody
/// inside reads. It begins with the usual settings: input is echoed and comes in lines, `\n` is read as `\r\n`; `tcsetattr(3)` on
/// this end changes them.
///
/// **Dropping it hangs up**, as closing a terminal's window: bwrap and the command get SIGHUP, and with that the launch most often ends
/// as [`Undecided`](crate::Error::Undecided). Keep it until [`Child::wait`](super::Child::wait) has returned.
///
/// ```
/// use std::io::{Read, Write};
/// use bwrap_launch::{Sandbox, WindowSize};
/// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
/// let mut command = sandbox.command("sh");
/// command.args(["-c", "stty size; read word; echo got $word"]).terminal(WindowSize { rows: 30, columns: 100 });
/// let mut child = command.spawn()?;
/// let mut terminal = child.terminal.take().unwrap();
/// terminal.write_all(b"hello\n").unwrap();
/// let mut text = String::new();
/// terminal.read_to_string(&mut text).unwrap();
/// assert!(text.contains("30 100\r\n") && text.ends_with("got hello\r\n"), "{text}");
/// assert!(child.wait()?.success());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug)]
pub struct Terminal {
    ours: OwnedFd,
}

impl Terminal {
    /// A new terminal: our end and the command's.
    pub(super) fn open(size: WindowSize) -> io::Result<(Self, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = above_streams(openpt(flags)?)?;
        unlockpt(&ours)?;
        // by descriptor: /dev/pts here may belong to another instance
        let theirs = above_streams(ioctl_tiocgptpeer(&ours, flags)?)?;
        tcsetwinsize(&ours, size.kernel())?;
        Ok((Self { ours }, theirs))
    }

    /// How large it is.
    ///
    /// # Errors
    ///
    /// If the system denies it.
    pub fn size(&self) -> io::Result<WindowSize> {
        let size = tcgetwinsize(&self.ours)?;
        Ok(WindowSize { rows: size.ws_row, columns: size.ws_col })
    }

    /// Makes it larger or smaller. What runs in its foreground gets SIGWINCH.
    ///
    /// # Errors
    ///
    /// If the system denies it.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, WindowSize};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("true");
    /// let mut child = command.terminal(WindowSize::default()).spawn()?;
    /// let terminal = child.terminal.as_ref().unwrap();
    /// terminal.resize(WindowSize { rows: 50, columns: 120 }).unwrap();
    /// assert_eq!(terminal.size().unwrap().columns, 120);
    /// assert!(child.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        Ok(tcsetwinsize(&self.ours, size.kernel())?)
    }

    /// The process group in its foreground (`tcgetpgrp(3)`), as seen from here: bwrap's own, which the command is born into, or
    /// that of a shell's job. `None` if there is none, as with [`new_session`](crate::Sandbox::new_session).
    ///
    /// # Errors
    ///
    /// If the system denies it.
    pub fn foreground(&self) -> io::Result<Option<u32>> {
        match tcgetpgrp(&self.ours) {
            Ok(group) => Ok(Some(group.as_raw_pid().unsigned_abs())),
            // rustix's word for the group 0
            Err(Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Types the end of file (`VEOF`, most often ctrl-D): at the beginning of a line, whoever reads input in lines gets an end of
    /// file. What has taken the terminal into raw mode gets the character itself.
    ///
    /// # Errors
    ///
    /// If the system denies it.
    ///
    /// ```
    /// use bwrap_launch::{Sandbox, WindowSize};
    /// let mut command = Sandbox::new().ro_bind("/", "/").command("cat");
    /// let mut child = command.terminal(WindowSize::default()).spawn()?;
    /// child.terminal.as_mut().unwrap().send_eof().unwrap();
    /// assert!(child.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn send_eof(&mut self) -> io::Result<()> {
        let code = self.eof()?;
        self.write_all(&[code])
    }

    /// The character that is the end of file.
    pub(super) fn eof(&self) -> io::Result<u8> {
        Ok(tcgetattr(&self.ours)?.special_codes[SpecialCodeIndex::VEOF])
    }
}

impl Read for Terminal {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

/// One thread may read while another one writes.
impl Read for &Terminal {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = || rustix::io::read(&self.ours, &mut *buffer);
        // nobody has the other end open any more; the kernel looks for bytes first and for that afterwards, and who writes and
        // closes in between is read by asking once more
        match read().or_else(|error| if error == Errno::IO { read() } else { Err(error) }) {
            Err(Errno::IO) => Ok(0),
            count => Ok(count?),
        }
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.ours, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}

impl AsRawFd for Terminal {
    fn as_raw_fd(&self) -> RawFd {
        self.ours.as_raw_fd()
    }
}

impl From<Terminal> for OwnedFd {
    /// Gives up the terminal's end, for example to an asynchronous runtime. Reading it fails with `EIO` at its end, which counts if it
    /// does so twice: the last bytes may come after the first one.
    fn from(terminal: Terminal) -> Self {
        terminal.ours
    }
}
