//! Bytes that become files inside, and descriptors, owned until launch.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a file inside the sandbox holds.
///
/// Bytes travel in a sealed memory file, so neither their size nor a slow reader matters. A descriptor is
/// read to its end by bwrap, once.
///
/// ```
/// use bwrap_launch::Content;
/// let visible = Content::from("root:x:0:0::/root:/bin/sh\n");
/// assert_eq!(format!("{visible:?}"), "Content(26 bytes)");
/// let hidden = Content::secret("hunter2");
/// assert_eq!(format!("{hidden:?}"), "Content(secret, 7 bytes)");
/// ```
#[derive(Clone)]
pub struct Content(pub(crate) ContentKind);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum ContentKind {
    Bytes { bytes: Arc<Vec<u8>>, secret: bool },
    Descriptor(Descriptor),
}

impl Content {
    /// Bytes that no `Debug`, `Display` or log line of this crate ever shows.
    ///
    /// Inside, the file is an ordinary one: give it a mode.
    ///
    /// ```
    /// use bwrap_launch::{Content, Sandbox};
    /// use bwrap_launch::op::File;
    /// let token = File::new(Content::secret("hunter2"), "/tmp/token").mode(0o400);
    /// let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").add(token);
    /// assert!(!sandbox.to_string().contains("hunter2"));
    /// assert_eq!(sandbox.command("cat").arg("/tmp/token").output()?.stdout, b"hunter2");
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn secret(bytes: impl Into<Vec<u8>>) -> Self {
        Self(ContentKind::Bytes { bytes: Arc::new(bytes.into()), secret: true })
    }

    fn bytes(bytes: Vec<u8>) -> Self {
        Self(ContentKind::Bytes { bytes: Arc::new(bytes), secret: false })
    }

    /// The bytes, secret ones included; `None` if they come from a descriptor.
    ///
    /// ```
    /// use bwrap_launch::{Content, Descriptor};
    /// let token = Content::secret("hunter2");
    /// assert_eq!((token.as_bytes(), token.is_secret()), (Some(&b"hunter2"[..]), true));
    /// assert_eq!(Content::from(Descriptor::number(5)).as_bytes(), None);
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            ContentKind::Bytes { bytes, .. } => Some(bytes),
            ContentKind::Descriptor(_) => None,
        }
    }

    /// Whether it was made by [`secret`](Self::secret).
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self.0, ContentKind::Bytes { secret: true, .. })
    }

    /// The descriptor from which bwrap reads it, if it comes from one.
    #[must_use]
    pub fn descriptor(&self) -> Option<&Descriptor> {
        match &self.0 {
            ContentKind::Descriptor(descriptor) => Some(descriptor),
            ContentKind::Bytes { .. } => None,
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::bytes(bytes)
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self::bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Content {
    fn from(bytes: [u8; N]) -> Self {
        Self::bytes(bytes.into())
    }
}

impl<const N: usize> From<&[u8; N]> for Content {
    fn from(bytes: &[u8; N]) -> Self {
        Self::bytes(bytes.to_vec())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::bytes(text.into_bytes())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::bytes(text.as_bytes().to_vec())
    }
}

impl From<Descriptor> for Content {
    fn from(descriptor: Descriptor) -> Self {
        Self(ContentKind::Descriptor(descriptor))
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Content {}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ContentKind::Bytes { bytes, secret: true } => {
                write!(f, "Content(secret, {} bytes)", bytes.len())
            }
            ContentKind::Bytes { bytes, secret: false } => write!(f, "Content({} bytes)", bytes.len()),
            ContentKind::Descriptor(descriptor) => write!(f, "Content({descriptor:?})"),
        }
    }
}

/// An open descriptor that a sandbox uses: owned (and closed with the last clone), or the number of one that
/// this process has open when the sandbox is launched.
///
/// ```
/// use bwrap_launch::{Descriptor, Sandbox};
/// let owned = Descriptor::from(std::fs::File::open("/dev/null")?);
/// assert_eq!(owned, owned.clone());
/// let inherited = Descriptor::number(7);
/// let sandbox = Sandbox::new().file(inherited, "/etc/passwd");
/// assert_eq!(sandbox.to_string(), "bwrap --clearenv --file 7 /etc/passwd");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Descriptor(DescriptorKind);

#[derive(Clone)]
enum DescriptorKind {
    Owned(Arc<Owned>),
    Number(RawFd),
}

struct Owned {
    descriptor: OwnedFd,
    /// Set once bwrap has been given it to read: what it held is gone.
    spent: AtomicBool,
}

impl Descriptor {
    /// The descriptor of this number in the process that launches the sandbox, as bwrap's own options take it: for
    /// lines of arguments, and for descriptors that were inherited. It is no more than a name. The launch duplicates
    /// whatever is open under it at that moment, and fails if nothing is.
    #[must_use]
    pub fn number(number: RawFd) -> Self {
        Self(DescriptorKind::Number(number))
    }

    /// The owned descriptor, if it is one.
    ///
    /// ```
    /// use bwrap_launch::Descriptor;
    /// let owned = Descriptor::from(std::fs::File::open("/dev/null")?);
    /// assert!(owned.owned().is_some() && owned.given_number().is_none());
    /// let named = Descriptor::number(7);
    /// assert!(named.owned().is_none() && named.given_number() == Some(7));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn owned(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            DescriptorKind::Owned(owned) => Some(owned.descriptor.as_fd()),
            DescriptorKind::Number(_) => None,
        }
    }

    /// The number, if it was given by [`number`](Self::number).
    #[must_use]
    pub fn given_number(&self) -> Option<RawFd> {
        match self.0 {
            DescriptorKind::Number(number) => Some(number),
            DescriptorKind::Owned(_) => None,
        }
    }

    /// Its number in this process, now.
    pub(crate) fn current_number(&self) -> RawFd {
        match &self.0 {
            DescriptorKind::Owned(owned) => owned.descriptor.as_raw_fd(),
            DescriptorKind::Number(number) => *number,
        }
    }

    /// Marks the content as read. Says whether it had been read before.
    pub(crate) fn spend(&self) -> bool {
        match &self.0 {
            DescriptorKind::Owned(owned) => owned.spent.swap(true, Ordering::AcqRel),
            DescriptorKind::Number(_) => false,
        }
    }

    /// Takes [`spend`](Self::spend) back: nothing was launched after all.
    pub(crate) fn unspend(&self) {
        if let DescriptorKind::Owned(owned) = &self.0 {
            owned.spent.store(false, Ordering::Release);
        }
    }
}

impl From<OwnedFd> for Descriptor {
    fn from(descriptor: OwnedFd) -> Self {
        Self(DescriptorKind::Owned(Arc::new(Owned { descriptor, spent: AtomicBool::new(false) })))
    }
}

impl From<OwnedFd> for Content {
    fn from(descriptor: OwnedFd) -> Self {
        Descriptor::from(descriptor).into()
    }
}

/// Owners of descriptors that std has. Those of other crates become an [`OwnedFd`] first.
macro_rules! owners {
    ($target:ty: $($owner:ty),+ $(,)?) => { $(
        impl From<$owner> for $target {
            fn from(owner: $owner) -> Self {
                OwnedFd::from(owner).into()
            }
        }
    )+ };
}
owners! {
    Descriptor: std::fs::File, std::io::PipeReader, std::io::PipeWriter, std::net::TcpListener, std::net::TcpStream,
    std::net::UdpSocket, std::os::unix::net::UnixDatagram, std::os::unix::net::UnixListener,
    std::os::unix::net::UnixStream, std::process::ChildStderr, std::process::ChildStdin, std::process::ChildStdout,
}
// those among them that bwrap can read to their end
owners! {
    Content: std::fs::File, std::io::PipeReader, std::net::TcpStream, std::os::unix::net::UnixStream,
    std::process::ChildStderr, std::process::ChildStdout,
}

impl PartialEq for Descriptor {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (DescriptorKind::Owned(a), DescriptorKind::Owned(b)) => Arc::ptr_eq(a, b),
            (DescriptorKind::Number(a), DescriptorKind::Number(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Descriptor {}

impl fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            DescriptorKind::Owned(owned) => owned.descriptor.fmt(f),
            DescriptorKind::Number(number) => write!(f, "Descriptor({number})"),
        }
    }
}
