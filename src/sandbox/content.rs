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
    /// use bwrap_launch::{Content, File, Sandbox};
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

    pub(crate) fn descriptor(&self) -> Option<&Descriptor> {
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

impl From<OwnedFd> for Content {
    fn from(descriptor: OwnedFd) -> Self {
        Descriptor::from(descriptor).into()
    }
}

impl From<std::fs::File> for Content {
    fn from(file: std::fs::File) -> Self {
        OwnedFd::from(file).into()
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
    /// The descriptor of this number in the process that launches the sandbox, as bwrap's own options take
    /// it. It is duplicated for bwrap at the launch; whether it is open is only known then.
    #[must_use]
    pub fn number(number: RawFd) -> Self {
        Self(DescriptorKind::Number(number))
    }

    /// The owned descriptor, if it is one.
    pub(crate) fn owned(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            DescriptorKind::Owned(owned) => Some(owned.descriptor.as_fd()),
            DescriptorKind::Number(_) => None,
        }
    }

    /// The number, if it is given by number.
    pub(crate) fn given_number(&self) -> Option<RawFd> {
        match self.0 {
            DescriptorKind::Number(number) => Some(number),
            DescriptorKind::Owned(_) => None,
        }
    }

    /// Whether both are one open descriptor of this process.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let number = |descriptor: &Self| {
            descriptor.given_number().or_else(|| descriptor.owned().map(|owned| owned.as_raw_fd()))
        };
        number(self) == number(other)
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

impl<T: Into<OwnedFd>> From<T> for Descriptor {
    fn from(descriptor: T) -> Self {
        Self(DescriptorKind::Owned(Arc::new(Owned {
            descriptor: descriptor.into(),
            spent: AtomicBool::new(false),
        })))
    }
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
