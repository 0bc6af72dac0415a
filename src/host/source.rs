//! Where facts come from: the machine itself, or a directory that looks like one in tests.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Fact;

/// Files that say one thing are not longer, but for a hostile one.
const LIMIT: u64 = 4 << 20;

/// Opens a file to read it, and nothing but a regular file: whoever owns the root may have put a FIFO there, which would
/// keep us waiting for ever, or a device. Those of `/proc` and `/sys` are regular as well.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

pub(super) struct Source {
    root: PathBuf,
    environment: fn(&str) -> Option<OsString>,
}

impl Source {
    pub(super) fn machine() -> Self {
        Self { root: PathBuf::from("/"), environment: |name| std::env::var_os(name) }
    }

    #[cfg(test)]
    pub(super) fn directory(root: &Path, environment: fn(&str) -> Option<OsString>) -> Self {
        Self { root: root.to_owned(), environment }
    }

    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn bytes(&self, path: impl AsRef<Path>) -> Fact<Vec<u8>> {
        self.bytes_up_to(path, LIMIT)
    }

    /// A file that may be as long as `limit`. Half of one would say something else than the whole.
    pub(super) fn bytes_up_to(&self, path: impl AsRef<Path>, limit: u64) -> Fact<Vec<u8>> {
        let read = |file: File| {
            let mut bytes = Vec::with_capacity(4096);
            let read = file.take(limit + 1).read_to_end(&mut bytes)?;
            if read as u64 > limit {
                return Err(io::Error::other(format!("longer than {} MiB", limit >> 20)));
            }
            Ok(bytes)
        };
        open_regular(&self.path(path)).and_then(read).into()
    }

    /// A file's text without surrounding white space and NULs.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Fact<String> {
        self.bytes(path).map(|bytes| {
            String::from_utf8_lossy(&bytes).trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned()
        })
    }

    pub(super) fn exists(&self, path: impl AsRef<Path>) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    pub(super) fn metadata(&self, path: impl AsRef<Path>) -> io::Result<fs::Metadata> {
        fs::metadata(self.path(path))
    }

    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).map(|value| value.to_string_lossy().into_owned())
    }
}
