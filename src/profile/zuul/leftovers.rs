//! Directories that bwrap makes on the host, to have something to mount on.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that a launch makes on the host because something is mounted on them: those that were not there when
/// [`Launcher::leftovers`](super::Launcher::leftovers) was called. Dropping it removes them again, if they are empty.
///
/// Keep it until nothing uses the work directory any more: what is removed under a running sandbox is gone for that, too.
///
/// ```
/// use bwrap_launch::Bwrap;
/// use bwrap_launch::profile::zuul::Driver;
/// let work = tempfile::tempdir()?;
/// let launcher = Driver::new(&Bwrap::find()?)?.context().launcher(work.path(), work.path());
/// let leftovers = launcher.leftovers();
/// assert!(launcher.command(["true"])?.status()?.success());
/// assert!(work.path().join("tmp").is_dir()); // bwrap made it, to mount a tmpfs on it
/// drop(leftovers);
/// assert!(!work.path().join("tmp").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "what is left is removed when it is dropped: keep it until the sandbox has ended"]
pub struct Leftovers {
    /// The deepest first.
    directories: Vec<PathBuf>,
}

impl Leftovers {
    /// Those of these mount points, and of the directories above them, that are not there.
    pub(super) fn of<'a>(mount_points: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut directories: Vec<PathBuf> = mount_points
            .into_iter()
            .flat_map(|path| path.ancestors().take_while(|path| fs::symlink_metadata(path).is_err()))
            .filter(|path| !path.as_os_str().is_empty())
            .map(Path::to_owned)
            .collect();
        directories.sort_by(|a, b| b.cmp(a));
        directories.dedup();
        Self { directories }
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        for directory in &self.directories {
            // one that is not there was not made, one that is not empty is somebody's
            let _ = fs::remove_dir(directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_there_and_is_empty() {
        let top = tempfile::tempdir().unwrap();
        let path = |name: &str| top.path().join(name);
        fs::create_dir(path("before")).unwrap();
        let points = ["before", "a/b/c", "a/d", "never"].map(path);
        let leftovers = Leftovers::of(points.iter().map(PathBuf::as_path));
        for made in ["a/b/c", "a/d"] {
            fs::create_dir_all(path(made)).unwrap();
        }
        fs::write(path("a/d/kept"), "").unwrap();
        drop(leftovers);
        assert!(path("before").is_dir() && path("a/d/kept").is_file());
        assert!(!path("a/b").exists());
    }
}
