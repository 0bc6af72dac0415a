//! How long the sandbox lives and whom it tells.

use std::os::fd::RawFd;
use std::path::PathBuf;

use super::layout::{Layout, Places};
use super::{Content, Descriptor, Operation, OverlayKind, Sandbox};

/// All that a sandbox says about its processes' lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lifetime {
    pub(crate) die_with_parent: bool,
    pub(crate) as_pid_1: bool,
    pub(crate) lock_files: Vec<PathBuf>,
    pub(crate) sync_fds: Vec<Descriptor>,
    pub(crate) info_fd: Option<Descriptor>,
}

impl Sandbox {
    /// The numbers of the caller's descriptors that it uses: those that are given by number ([`Descriptor::number`]), as
    /// bwrap's own options take them.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::from_args(["--file", "5", "/etc/passwd", "--setenv", "LEVEL", "7", "--sync-fd", "9"])?;
    /// assert_eq!(sandbox.descriptor_numbers(), [5, 9]);
    /// # Ok::<(), bwrap_launch::ParseError>(())
    /// ```
    #[must_use]
    pub fn descriptor_numbers(&self) -> Vec<RawFd> {
        let reads = self.readers().filter_map(|(_, content)| content.descriptor());
        let binds = self.operations.iter().filter_map(|operation| match operation {
            Operation::BindFd(bind) => Some(&bind.descriptor),
            _ => None,
        });
        let kept = self.lifetime.sync_fds.iter().chain(&self.lifetime.info_fd);
        let all = reads.chain(binds).chain(self.namespaces.joined()).chain(kept);
        let mut numbers: Vec<RawFd> = all.filter_map(Descriptor::given_number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The same without descriptors that others wait to be closed or that can be read only once: content that is read
    /// from one becomes empty. `None` if there are none.
    pub(crate) fn without_descriptors(&self) -> Option<Self> {
        if !self.reads_descriptors() && self.lifetime.sync_fds.is_empty() && self.lifetime.info_fd.is_none() {
            return None;
        }
        let mut copy = self.with_contents(|_| None);
        // that there are filters explains failures: of those from descriptors it is all that is kept
        copy.privileges.filters.clone_from(&self.privileges.filters);
        for filter in &mut copy.privileges.filters {
            if filter.program.descriptor().is_some() {
                filter.program = Content::secret([]);
            }
        }
        Some(copy)
    }

    /// The same with what its descriptors hold, as far as that can be read, so that it can be set up once more. Otherwise content is
    /// empty, and a filter left out.
    pub(crate) fn with_contents(&self, read: impl Fn(&Descriptor) -> Option<Vec<u8>>) -> Self {
        let mut copy = self.clone();
        copy.lifetime.sync_fds.clear();
        copy.lifetime.info_fd = None;
        for operation in &mut copy.operations {
            let content = match operation {
                Operation::File(file) => &mut file.content,
                Operation::BindData(data) => &mut data.content,
                _ => continue,
            };
            if let Some(descriptor) = content.descriptor() {
                *content = Content::secret(read(descriptor).unwrap_or_default());
            }
        }
        copy.privileges.filters.retain_mut(|filter| {
            let Some(descriptor) = filter.program.descriptor() else { return true };
            let program = read(descriptor).map(Content::secret);
            program.is_some_and(|program| {
                filter.program = program;
                true
            })
        });
        copy
    }

    /// Whether bwrap reads from descriptors of the caller's, which can be done once.
    pub(crate) fn reads_descriptors(&self) -> bool {
        self.readers().any(|(_, content)| content.descriptor().is_some())
    }

    /// Whether it can be set up a second time without touching anything of the host's: files are not written twice,
    /// descriptors are not read again.
    pub(crate) fn is_repeatable(&self) -> bool {
        let places = Places::of(&self.operations);
        let mut layout = Layout::new(&self.operations, &places);
        let writes = |(index, operation): (usize, &Operation)| {
            let writes = match operation {
                Operation::Overlay(overlay) => matches!(overlay.kind, OverlayKind::Writable { .. }),
                Operation::File(_) | Operation::Chmod(_) | Operation::Dir(_) | Operation::Symlink(_) => {
                    layout.writable_above(index).is_some()
                }
                _ => false,
            };
            layout.add(index);
            writes
        };
        !self.reads_descriptors()
            && self.privileges.filters.len() <= 1
            && !self.operations.iter().enumerate().any(writes)
    }

    /// Whether bwrap stays inside as a process of its own, the command's parent.
    pub(crate) fn keeps_bwrap_inside(&self) -> bool {
        let lifetime = &self.lifetime;
        self.namespaces.new_pid() && !lifetime.as_pid_1
            || !lifetime.sync_fds.is_empty()
            || !lifetime.lock_files.is_empty()
            || self.closed_namespace_descriptors(false) > 0
    }
}
