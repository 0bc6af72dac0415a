//! `bwrap-doctor install` and `uninstall`: this program under the name bwrap. A copy, not a link: some programs (Codex, say) follow
//! links and call what they lead to, by a name that would tell us nothing.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Result;
use crate::cli::Place;
use crate::output::{self, note};
use crate::standin;

/// Where programs of the machine's own go.
const MACHINE: &str = "/usr/local/bin";

/// What stands where the copy is to be.
enum Found {
    Nothing,
    /// A copy of this program, of whatever version.
    Ours,
    Foreign,
}

fn place(place: &Place) -> Result<(PathBuf, Found)> {
    let directory = if let Some(directory) = &place.directory {
        std::path::absolute(directory).map_err(|error| format!("{}: {error}", directory.display()))?
    } else if place.machine {
        PathBuf::from(MACHINE)
    } else {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        home.ok_or("HOME is not set: name a directory")?.join(".local/bin")
    };
    if !directory.is_dir() {
        return Err(format!("{} is no directory; make it, and put it on the PATH", directory.display()));
    }
    let path = directory.join("bwrap");
    let found = match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() && standin::is_stand_in(&path) => Found::Ours,
        Ok(_) => Found::Foreign,
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Nothing,
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    Ok((path, found))
}

fn foreign(path: &Path) -> String {
    format!("{} is none of ours: it is left as it is", path.display())
}

pub(crate) fn install(task: &Place) -> Result {
    let (path, found) = place(task)?;
    let done = match found {
        Found::Foreign => return Err(foreign(&path)),
        Found::Ours => "renewed",
        Found::Nothing => "made",
    };
    copy_to(&path, matches!(found, Found::Ours))
        .map_err(|error| format!("cannot make {}: {error}", path.display()))?;
    output::print(&format!("{done} {}, a copy of bwrap-doctor\n", path.display()))?;
    match standin::real() {
        Ok(real) => {
            output::print(&format!("it runs {}, and explains what does not start\n", real.display()))?;
        }
        Err(trouble) => note(&trouble),
    }
    note_order(&path);
    Ok(ExitCode::SUCCESS)
}

/// In one step: nobody calls half of it, and nothing that has come meanwhile is overwritten.
fn copy_to(path: &Path, renew: bool) -> std::io::Result<()> {
    let new = path.with_file_name(format!(".bwrap.{}", std::process::id()));
    let made = fs::copy("/proc/self/exe", &new)
        .and_then(|_| fs::set_permissions(&new, fs::Permissions::from_mode(0o755)))
        .and_then(|()| if renew { fs::rename(&new, path) } else { fs::hard_link(&new, path) });
    if !renew || made.is_err() {
        let _ = fs::remove_file(&new);
    }
    made
}

/// Says if another bwrap is found first.
fn note_order(own: &Path) {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let first =
        std::env::split_paths(&search).map(|directory| directory.join("bwrap")).find(|path| path.exists());
    let file = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    match first {
        // under another name for the directory, too
        Some(first) if file(&first) == file(own) => {}
        Some(first) => note(&format!(
            "your PATH leads to {} first; programs that call bwrap by its name do not come here",
            first.display()
        )),
        None => note("its directory is not on your PATH"),
    }
}

pub(crate) fn uninstall(task: &Place) -> Result {
    let (path, found) = place(task)?;
    match found {
        Found::Foreign => return Err(foreign(&path)),
        Found::Nothing => output::print(&format!("{} is not there\n", path.display()))?,
        Found::Ours => {
            fs::remove_file(&path).map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
            output::print(&format!("removed {}\n", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
