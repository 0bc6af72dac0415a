//! One fact, or why it is not known.

use std::io;

use rustix::io::Errno;

/// Something that may be read from the host, or why it could not be.
///
/// ```
/// use bwrap_launch::host::{Fact, Host};
/// let host = Host::snapshot();
/// match &host.sysctls["kernel.unprivileged_userns_clone"] {
///     Fact::Present(value) => println!("Debian's switch is at {value}"),
///     Fact::Absent => println!("this kernel has no such switch"),
///     Fact::Unreadable(why) => println!("nobody may look: {why}"),
///     Fact::Unknown => println!("nobody looked"),
/// }
/// // snapshots leave out what they were not made for, and what takes long to find out and would decide nothing
/// assert!(host.bwrap.is_unknown());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Fact<T> {
    /// It was not looked at, or a snapshot from elsewhere leaves it out.
    #[default]
    Unknown,
    /// It is not there.
    Absent,
    /// It is there, or may be, and could not be read or understood: the reason.
    Unreadable(String),
    /// It was read.
    Present(T),
}

impl<T> Fact<T> {
    /// The value, if it was read.
    ///
    /// ```
    /// use bwrap_launch::host::Fact;
    /// assert_eq!(Fact::Present(3).present(), Some(&3));
    /// assert_eq!(Fact::<i32>::Absent.present(), None);
    /// ```
    #[must_use]
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is known not to be there.
    ///
    /// ```
    /// use bwrap_launch::host::Fact;
    /// assert!(Fact::<()>::Absent.is_absent() && !Fact::<()>::Unknown.is_absent());
    /// ```
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether it was read and has this value.
    ///
    /// ```
    /// use bwrap_launch::host::Fact;
    /// assert!(Fact::Present(0_u32).is(&0) && !Fact::<u32>::Unknown.is(&0));
    /// ```
    #[must_use]
    pub fn is<U: ?Sized>(&self, value: &U) -> bool
    where
        T: PartialEq<U>,
    {
        self.present().is_some_and(|present| present == value)
    }

    /// Whether it was not looked at: by a snapshot that leaves it out, or because it could decide nothing.
    ///
    /// ```
    /// use bwrap_launch::host::Fact;
    /// assert!(Fact::<()>::default().is_unknown());
    /// ```
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Fact<U> {
        self.and_then(|value| Fact::Present(f(value)))
    }

    pub(crate) fn and_then<U>(self, f: impl FnOnce(T) -> Fact<U>) -> Fact<U> {
        match self {
            Self::Unknown => Fact::Unknown,
            Self::Absent => Fact::Absent,
            Self::Unreadable(why) => Fact::Unreadable(why),
            Self::Present(value) => f(value),
        }
    }
}

impl<T> From<io::Result<T>> for Fact<T> {
    fn from(result: io::Result<T>) -> Self {
        match result {
            Ok(value) => Self::Present(value),
            Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NOENT | Errno::NOTDIR) => Self::Absent,
                Some(errno) => Self::Unreadable(reason(errno)),
                None => Self::Unreadable(error.to_string()),
            },
        }
    }
}

/// What `strerror(3)` says, without the number that std adds.
fn reason(errno: Errno) -> String {
    let text = errno.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}
