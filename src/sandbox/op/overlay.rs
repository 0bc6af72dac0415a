//! Overlay file systems.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where an overlay keeps what is written to it.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Overlay;
/// let shown = |overlay| Sandbox::new().add(overlay).to_string();
/// assert!(shown(Overlay::writable("/up", "/work", "/d")).ends_with("--overlay /up /work /d"));
/// assert!(shown(Overlay::temporary("/d")).ends_with("--tmp-overlay /d"));
/// assert!(shown(Overlay::read_only("/d")).ends_with("--ro-overlay /d"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OverlayKind {
    /// In a host directory (`--overlay`): `upper` receives the changes, `work` is an empty directory on the
    /// same file system.
    Writable {
        /// The host directory that receives the changes.
        upper: PathBuf,
        /// An empty host directory on the same file system, for the kernel's use.
        work: PathBuf,
    },
    /// In memory, lost at the end (`--tmp-overlay`).
    Temporary,
    /// Nowhere: it cannot be written (`--ro-overlay`).
    ReadOnly,
}

/// An overlay file system with its layers: `--overlay-src` with `--overlay`, `--tmp-overlay` or
/// `--ro-overlay` (bwrap 0.11; unprivileged overlays need Linux 5.11).
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::op::Overlay;
/// let sandbox = Sandbox::new().add(Overlay::temporary("/usr").layer("/usr").layer("/srv/extra"));
/// assert_eq!(
///     sandbox.to_string(),
///     "bwrap --clearenv --overlay-src /usr --overlay-src /srv/extra --tmp-overlay /usr"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) options: Vec<OsString>,
    pub(crate) kind: OverlayKind,
    pub(crate) destination: PathBuf,
}

impl Overlay {
    /// `--overlay`: changes go to the host directory `upper`; `work` is an empty directory beside it.
    pub fn writable(
        upper: impl Into<PathBuf>,
        work: impl Into<PathBuf>,
        destination: impl Into<PathBuf>,
    ) -> Self {
        Self::with(OverlayKind::Writable { upper: upper.into(), work: work.into() }, destination)
    }

    /// `--tmp-overlay`: changes go to memory and are lost at the end.
    pub fn temporary(destination: impl Into<PathBuf>) -> Self {
        Self::with(OverlayKind::Temporary, destination)
    }

    /// `--ro-overlay`: read-only; needs two layers at least.
    pub fn read_only(destination: impl Into<PathBuf>) -> Self {
        Self::with(OverlayKind::ReadOnly, destination)
    }

    fn with(kind: OverlayKind, destination: impl Into<PathBuf>) -> Self {
        Self { layers: Vec::new(), options: Vec::new(), kind, destination: destination.into() }
    }

    /// Adds a host directory on top of the layers so far (`--overlay-src`); the first is the bottom.
    ///
    /// ```
    /// use bwrap_launch::{Problem, Sandbox};
    /// use bwrap_launch::op::Overlay;
    /// let overlay = Overlay::read_only("/usr").layer("/usr");
    /// let error = Sandbox::new().add(overlay.clone()).check().unwrap_err();
    /// assert!(matches!(error.problem, Problem::TooFewLayers { given: 1, needed: 2, .. }));
    /// assert!(Sandbox::new().add(overlay.layer("/srv/patch")).check().is_ok());
    /// ```
    #[must_use]
    pub fn layer(mut self, source: impl Into<PathBuf>) -> Self {
        self.layers.push(source.into());
        self
    }

    /// Adds an overlayfs mount option (`--overlay-opt`, newer than bwrap 0.12).
    ///
    /// The kernel's documentation of overlayfs lists them.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::op::Overlay;
    /// let sandbox = Sandbox::new().add(Overlay::temporary("/usr").layer("/usr").option("userxattr"));
    /// assert!(sandbox.to_string().contains("--overlay-opt userxattr"));
    /// ```
    #[must_use]
    pub fn option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Its layers, the bottom first.
    #[must_use]
    pub fn layers(&self) -> &[PathBuf] {
        &self.layers
    }

    /// Its mount options.
    #[must_use]
    pub fn options(&self) -> &[OsString] {
        &self.options
    }

    /// The host directory that receives the changes, if the overlay is [`writable`](Self::writable).
    #[must_use]
    pub fn upper(&self) -> Option<&Path> {
        match &self.kind {
            OverlayKind::Writable { upper, .. } => Some(upper),
            OverlayKind::Temporary | OverlayKind::ReadOnly => None,
        }
    }

    /// The work directory beside [`upper`](Self::upper).
    #[must_use]
    pub fn work(&self) -> Option<&Path> {
        match &self.kind {
            OverlayKind::Writable { work, .. } => Some(work),
            OverlayKind::Temporary | OverlayKind::ReadOnly => None,
        }
    }

    /// Whether the command may only read it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.kind == OverlayKind::ReadOnly
    }
}
