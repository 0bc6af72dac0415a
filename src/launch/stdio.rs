//! Standard streams: what they are connected to, and our ends of pipes.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

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
#[derive(Debug)]
pub struct Stdio(pub(crate) StdioKind);

#[derive(Debug, Clone)]
pub(crate) enum StdioKind {
    Inherit,
    Null,
    Piped,
    Descriptor(Arc<OwnedFd>),
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
}

impl From<OwnedFd> for Stdio {
    fn from(descriptor: OwnedFd) -> Self {
        Self(StdioKind::Descriptor(Arc::new(descriptor)))
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
    ($($name:ident)+) => { $(
        impl From<$name> for Stdio {
            fn from(end: $name) -> Self {
                Self(StdioKind::Descriptor(end.pipe))
            }
        }

        impl From<$name> for OwnedFd {
            /// Gives up the pipe's end, for example to an asynchronous runtime.
            fn from(end: $name) -> Self {
                let mut pipe = end.pipe;
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
                self.pipe.as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.pipe.as_raw_fd()
            }
        }
    )+ };
}
pipe_end! { ChildStdin ChildStdout ChildStderr }

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
    pipe: Arc<OwnedFd>,
}

impl ChildStdout {
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Arc::new(pipe) }
    }
}

impl Read for ChildStdout {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.pipe, buffer)?)
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
    pipe: Arc<OwnedFd>,
    heard: Arc<Mutex<Vec<u8>>>,
    reader: Arc<Reader>,
}

/// What whoever reads a piped standard error is about.
#[derive(Debug, Default)]
struct Reader {
    /// It may have taken something out that is not yet remembered.
    busy: AtomicBool,
    /// It came to the end.
    done: AtomicBool,
}

/// How much of the beginning is remembered.
const HEARD_BYTES: usize = 64 << 10;

impl ChildStderr {
    pub(crate) fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Arc::new(pipe), heard: Arc::default(), reader: Arc::default() }
    }

    /// A listener that does not keep the pipe open.
    pub(crate) fn listener(&self) -> Listener {
        Listener {
            pipe: Arc::downgrade(&self.pipe),
            heard: Arc::clone(&self.heard),
            reader: Arc::clone(&self.reader),
        }
    }
}

impl Read for ChildStderr {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // what was taken out of the pipe and is not yet remembered is nowhere
        self.reader.busy.store(true, Ordering::SeqCst);
        let count = rustix::io::read(&self.pipe, &mut *buffer);
        let mut heard = lock(&self.heard);
        let room = HEARD_BYTES.saturating_sub(heard.len());
        heard.extend(buffer.iter().take(count.map_or(0, |count| count.min(room))));
        if count == Ok(0) && !buffer.is_empty() {
            self.reader.done.store(true, Ordering::SeqCst);
        }
        self.reader.busy.store(false, Ordering::SeqCst);
        Ok(count?)
    }
}

/// Knows what has been read from a piped standard error, and what waits there.
#[derive(Debug)]
pub(crate) struct Listener {
    pipe: Weak<OwnedFd>,
    heard: Arc<Mutex<Vec<u8>>>,
    reader: Arc<Reader>,
}

impl Listener {
    /// Whether [`words`](Self::words) has all that was written at the beginning: nobody else reads the pipe.
    pub(crate) fn knows_all(&self) -> bool {
        let done = self.reader.done.load(Ordering::SeqCst);
        // a pipe that was given away is read by others
        let ours = done || self.pipe.upgrade().is_some_and(|pipe| Arc::strong_count(&pipe) == 2);
        ours && !self.reader.busy.load(Ordering::SeqCst) && lock(&self.heard).len() < HEARD_BYTES
    }

    /// Everything that was written, once nobody writes any more. What nobody has read stays to be read.
    pub(crate) fn words(&self) -> io::Result<Vec<u8>> {
        let waiting = match self.pipe.upgrade() {
            Some(pipe) => peek(&pipe)?,
            None => Vec::new(),
        };
        let mut words = lock(&self.heard).clone();
        words.extend(waiting);
        Ok(words)
    }
}

/// Copies what waits in a pipe without taking it out.
fn peek(pipe: &OwnedFd) -> io::Result<Vec<u8>> {
    let (copy, sink) = super::descriptors::pipe()?;
    let flags = rustix::pipe::SpliceFlags::NONBLOCK;
    let mut bytes = match rustix::pipe::tee(pipe, &sink, HEARD_BYTES, flags) {
        Ok(count) => vec![0; count],
        Err(rustix::io::Errno::AGAIN) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    drop(sink);
    File::from(copy).read_exact(&mut bytes)?;
    Ok(bytes)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
