//! `bwrap-doctor install` and `uninstall`: a link named bwrap that leads to this program.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Result;
use crate::cli::Place;
use crate::output::{self, note};
use crate::standin;

/// Where programs of the machine's own go.
const MACHINE: &str = "/usr/local/bin";

/// Where the link goes.
fn directory(place: &Place) -> Result<PathBuf> {
    if let Some(directory) = &place.directory {
        return std::path::absolute(directory).map_err(|error| format!("{}: {error}", directory.display()));
    }
    if place.machine {
        return Ok(PathBuf::from(MACHINE));
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    home.map(|home| home.join(".local/bin")).ok_or_else(|| "HOME is not set: name a directory".to_owned())
}

/// What stands where the link is to be.
enum Found {
    Nothing,
    /// A link to this program.
    Ours,
    /// Something else, and what.
    Foreign(String),
}

fn look(link: &Path, own: &Path) -> Result<Found> {
    let meta = match fs::symlink_metadata(link) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(format!("{}: {error}", link.display())),
    };
    if !meta.is_symlink() {
        return Ok(Found::Foreign("is no link".to_owned()));
    }
    let target = fs::read_link(link).map_err(|error| format!("{}: {error}", link.display()))?;
    Ok(if target == own { Found::Ours } else { Found::Foreign(format!("leads to {}", target.display())) })
}

fn own() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(|error| format!("cannot tell where this program is: {error}"))?;
    // Linux says so of a file that was replaced while it runs
    if own.exists() { Ok(own) } else { Err(format!("{} is not there any more", own.display())) }
}

pub(crate) fn install(place: &Place) -> Result {
    let (own, directory) = (own()?, directory(place)?);
    let link = directory.join("bwrap");
    if !directory.is_dir() {
        return Err(format!("{} is no directory; make it, and put it on the PATH", directory.display()));
    }
    if place.machine && fs::metadata(&own).is_ok_and(|meta| meta.uid() != 0) {
        return Err(format!("{} is not root's, and every user would run it: install it for root first", own.display()));
    }
    match look(&link, &own)? {
        Found::Ours => output::print(&format!("{} leads to {} already\n", link.display(), own.display()))?,
        Found::Foreign(what) => {
            return Err(format!("{} is there and {what}: it is left as it is", link.display()));
        }
        Found::Nothing => {
            // fails if something has come meanwhile
            symlink(&own, &link).map_err(|error| format!("cannot make {}: {error}", link.display()))?;
            output::print(&format!("made {}, a link to {}\n", link.display(), own.display()))?;
        }
    }
    match standin::real() {
        Ok(real) => output::print(&format!("it runs {} and explains what does not start\n", real.display()))?,
        Err(trouble) => note(&trouble),
    }
    note_order(&link);
    Ok(ExitCode::SUCCESS)
}

/// Says if another bwrap is found first.
fn note_order(link: &Path) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).map(|directory| directory.join("bwrap")).find(|path| path.exists());
    match first {
        Some(first) if first == link => {}
        Some(first) => note(&format!(
            "your PATH leads to {} first; programs that call bwrap by its name do not come here",
            first.display()
        )),
        None => note("your PATH leads to no bwrap: its directory is not on it"),
    }
}

pub(crate) fn uninstall(place: &Place) -> Result {
    let (own, directory) = (own()?, directory(place)?);
    let link = directory.join("bwrap");
    match look(&link, &own)? {
        Found::Ours => {
            fs::remove_file(&link).map_err(|error| format!("cannot remove {}: {error}", link.display()))?;
            output::print(&format!("removed {}\n", link.display()))?;
        }
        Found::Foreign(what) => {
            return Err(format!("{} {what}, not to {}: it is left as it is", link.display(), own.display()));
        }
        Found::Nothing => output::print(&format!("{} is not there\n", link.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}
