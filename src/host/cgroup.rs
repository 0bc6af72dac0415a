//! How many processes our control group may have.

use std::path::{Path, PathBuf};

use super::source::Source;
use super::{Fact, Mount};

/// The control group of this process (`cgroups(7)`).
///
/// ```
/// use bwrap_launch::host::Host;
/// if let Some(pids) = Host::snapshot().cgroup.pids.present() {
///     println!("{} of {} processes, limited by {}", pids.current, pids.max, pids.directory.display());
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Cgroup {
    /// The paths in `/proc/self/cgroup`, without those that repeat.
    pub paths: Fact<Vec<String>>,
    /// The tightest limit on processes from here up to the root, as far as that is visible.
    pub pids: Fact<PidsLimit>,
}

/// A limit of the `pids` controller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PidsLimit {
    /// The directory of the control group.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub directory: PathBuf,
    /// Most processes and threads (`pids.max`).
    pub max: u64,
    /// How many there are (`pids.current`).
    pub current: u64,
}

impl PidsLimit {
    /// A limit, for a snapshot made by hand.
    ///
    /// ```
    /// use bwrap_launch::host::PidsLimit;
    /// assert_eq!(PidsLimit::new("/sys/fs/cgroup", 10, 8).left(), 2);
    /// ```
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, max: u64, current: u64) -> Self {
        Self { directory: directory.into(), max, current }
    }

    /// How many more there may be.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.max.saturating_sub(self.current)
    }
}

pub(super) fn read(source: &Source, mounts: &Fact<Vec<Mount>>) -> Cgroup {
    // ID:CONTROLLERS:PATH
    let lines = source.text("/proc/thread-self/cgroup").map(|text| {
        let parts = text.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
        });
        parts.collect::<Vec<_>>()
    });
    let paths = lines.clone().map(|lines| {
        let mut paths: Vec<String> = Vec::new();
        for (_, path) in lines {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    });
    let mounts = mounts.present().map(Vec::as_slice).unwrap_or_default();
    let pids = lines.and_then(|lines| {
        let limits = lines.iter().filter_map(|(controllers, path)| {
            let (unified, pids) = (controllers.is_empty(), controllers.split(',').any(|name| name == "pids"));
            let mount = mounts.iter().find(|mount| {
                unified && mount.filesystem == "cgroup2"
                    || pids && mount.filesystem == "cgroup" && mount.super_options.contains("pids")
            })?;
            tightest(source, mount, path)
        });
        limits.min_by_key(PidsLimit::left).map_or(Fact::Absent, Fact::Present)
    });
    Cgroup { paths, pids }
}

/// The limit that leaves least room, on the way from a group up to where its hierarchy is mounted.
fn tightest(source: &Source, mount: &Mount, path: &str) -> Option<PidsLimit> {
    // a container sees its own group as the root, or the host's path without its directories
    let below = Path::new(path).strip_prefix(&mount.root).unwrap_or(Path::new(""));
    let group = mount.point.join(below);
    let levels = group.ancestors().take_while(|level| level.starts_with(&mount.point));
    let limits = levels.filter_map(|directory| {
        let number = |name: &str| source.text(directory.join(name)).present()?.parse().ok();
        Some(PidsLimit {
            directory: directory.to_owned(),
            max: number("pids.max")?,
            current: number("pids.current")?,
        })
    });
    limits.min_by_key(PidsLimit::left)
}
