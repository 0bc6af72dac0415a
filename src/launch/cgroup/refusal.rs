//! Why a control group, or a limit on it, cannot be had, and what to change.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

/// Why there is no group.
#[derive(Debug)]
pub(in super::super) struct Refusal {
    pub(super) source: io::Error,
    pub(super) remedy: Option<Arc<str>>,
}

impl Refusal {
    pub(in super::super) fn into_parts(self) -> (io::Error, Option<Arc<str>>) {
        (self.source, self.remedy)
    }

    pub(super) fn not_mounted() -> Self {
        let remedy = "mount them: `mount -t cgroup2 none /sys/fs/cgroup`";
        Self { source: unsupported("no control groups are mounted"), remedy: Some(Arc::from(remedy)) }
    }

    /// Of a controller that the group `base`, below which one was made, has not.
    pub(super) fn without_controller(controller: &str, base: Option<&Path>) -> Self {
        let base = base.unwrap_or(Path::new("/sys/fs/cgroup")).display();
        let source =
            io::Error::new(ErrorKind::Unsupported, format!("{base} has not the {controller} controller"));
        let remedy = format!(
            "with systemd, set `Delegate=yes` in the unit, or name {controller} in its `Delegate=`; without, enable it in each group above, from the top \
             down: `echo +{controller} > GROUP/cgroup.subtree_control`"
        );
        Self { source, remedy: Some(remedy.into()) }
    }

    /// Of what the system said to a value in a file of a group that is there.
    pub(super) fn of_setting(error: io::Error, path: &Path) -> Self {
        let file = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let remedy = match Errno::from_io_error(&error) {
            Some(Errno::NOENT) if file.contains("swap") || file.contains("memsw") => Some(
                "this kernel does not count swap: boot it with `swapaccount=1`, or without swap leave this limit out",
            ),
            Some(Errno::NOENT) => {
                Some("this kernel has no such file: leave this limit out, or make it optional")
            }
            Some(Errno::NODEV | Errno::NXIO) => {
                Some("name a whole disk by the MAJ:MIN that `lsblk -d` shows")
            }
            _ => None,
        };
        Self { source: error, remedy: remedy.map(Arc::from) }
    }

    /// Of what the system said about a file or directory of the hierarchy.
    pub(super) fn of(source: io::Error, path: &Path, unified: bool) -> Self {
        let remedy = remedy_for(&source, path, unified).map(Arc::from);
        let source = match source.raw_os_error() {
            Some(_) => io::Error::new(source.kind(), format!("{}: {source}", path.display())),
            None => source,
        };
        Self { source, remedy }
    }
}

/// What to change so that a group can be made.
fn remedy_for(error: &io::Error, path: &Path, unified: bool) -> Option<String> {
    let other = "or name a group that is this user's with Limits::below";
    Some(match Errno::from_io_error(error)? {
        Errno::ROFS => {
            "the container sees its control groups read-only: Docker 28 has `--security-opt writable-cgroups=true`; in Kubernetes, use a runtime class whose \
             containerd (2.1) has `cgroup_writable = true`, or with CRI-O the annotation `io.kubernetes.cri-o.cgroup2-mount-hierarchy-rw: \"true\"`"
                .to_owned()
        }
        Errno::ACCESS | Errno::PERM if unified => format!(
            "the group is not delegated to this user: in the systemd unit set `Delegate=yes` and `DelegateSubgroup=main` (systemd 254), or start it by `systemd-run --user -p \
             Delegate=yes -p DelegateSubgroup=main`, {other}"
        ),
        Errno::ACCESS | Errno::PERM => {
            format!("version 1 of control groups can be given to a user by an administrator only (`cgcreate -a`), {other}")
        }
        Errno::BUSY => format!(
            "version 2 gives limits below a group only if it has no processes of its own: with `DelegateSubgroup=main` (systemd 254) beside `Delegate=yes` the caller runs one level \
             lower; without, move its processes to a group below {} first, {other}",
            path.parent().unwrap_or(path).display()
        ),
        Errno::NOENT => other.strip_prefix("or ")?.to_owned(),
        _ => return None,
    })
}

pub(super) fn unsupported(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::Unsupported, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_changed_is_said() {
        let base = Path::new("/sys/fs/cgroup/a/cgroup.subtree_control");
        for (errno, said) in [
            (libc::EROFS, "writable-cgroups=true"),
            (libc::EACCES, "Delegate=yes"),
            (libc::EBUSY, "below /sys/fs/cgroup/a first"),
            (libc::ENOENT, "name a group"),
        ] {
            let remedy = remedy_for(&io::Error::from_raw_os_error(errno), base, true).unwrap();
            assert!(remedy.contains(said), "{remedy}");
        }
    }
}
