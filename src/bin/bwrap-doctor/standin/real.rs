//! Which file is the real bwrap: never this program.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

/// Names the real bwrap.
pub(super) const OVERRIDE: &str = "BWRAP_DOCTOR_BWRAP";

/// What `dpkg-divert` calls a program that makes room for another one.
const DIVERTED: &str = "bwrap.distrib";

/// Where bwrap is looked for at last, as by a shell without a PATH.
const USUAL: [&str; 2] = ["/usr/bin", "/bin"];

pub(crate) fn find() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(OVERRIDE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if !path.is_absolute() {
            Err(format!("{OVERRIDE} is to be an absolute path: {}", path.display()))
        } else if is_stand_in(&path) {
            Err(format!("{OVERRIDE} names a stand-in for bwrap: {}", path.display()))
        } else {
            Ok(path)
        };
    }
    others().next().ok_or_else(|| format!("no bwrap besides this one is on the PATH; {OVERRIDE} can name it"))
}

/// Every bwrap that is no stand-in: one that was diverted beside this one; those on the PATH, in its order, but for relative
/// directories; and those in the usual places.
fn others() -> impl Iterator<Item = PathBuf> {
    let own = Path::new(OsStr::from_bytes(rustix::param::linux_execfn().to_bytes()));
    let diverted = (own.is_absolute() && own.ends_with("bwrap")).then(|| own.with_file_name(DIVERTED));
    // processes are named as the file that they execute
    let diverted = diverted.and_then(|path| fs::canonicalize(path).ok());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).filter(|path| path.is_absolute()).collect();
    let searched = directories.into_iter().chain(USUAL.map(PathBuf::from)).map(|path| path.join("bwrap"));
    diverted.into_iter().chain(searched).filter(|path| is_executable(path) && !is_stand_in(path))
}

fn is_executable(path: &Path) -> bool {
    let may = rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok();
    may && fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

/// What every copy of this program holds.
const SIGNATURE: &[u8] = b"bwrap-doctor, which becomes bwrap where it is called so\n";

/// No bwrap is larger: one that is linked statically has half of that.
const LARGEST: u64 = 1 << 20;

/// Whether a file is this program, under whatever name, or a copy of it.
pub(crate) fn is_stand_in(path: &Path) -> bool {
    let meta = |path: &Path| fs::metadata(path).ok();
    let Some(other) = meta(path) else { return false };
    // without a /proc what is told at the end is known all the same
    let own = meta(Path::new("/proc/self/exe"));
    let same = own.is_some_and(|own| (own.dev(), own.ino()) == (other.dev(), other.ino()));
    same || other.len() > LARGEST && fs::read(path).is_ok_and(|bytes| holds_signature(&bytes))
}

fn holds_signature(bytes: &[u8]) -> bool {
    let Some(first) = SIGNATURE.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(SIGNATURE) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}
