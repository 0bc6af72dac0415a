//! bwrap's version numbers.

use std::fmt;

/// A version number of bubblewrap.
///
/// ```
/// use bwrap_launch::Version;
/// let debian = Version::new(0, 8, 0);
/// assert_eq!(debian.to_string(), "0.8.0");
/// assert!(debian < Version::new(0, 11, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

impl Version {
    /// The version `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `bubblewrap 0.8.0`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split_whitespace().last()?.split('.').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self::new(next()?, next()?, next().unwrap_or(0)))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(Version::parse("bubblewrap 0.8.0"), Some(Version::new(0, 8, 0)));
        assert_eq!(Version::parse("0.13"), Some(Version::new(0, 13, 0)));
        assert_eq!(Version::parse("unknown"), None);
    }
}
