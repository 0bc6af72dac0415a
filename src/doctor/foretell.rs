//! What the files that a sandbox names say of it, before it is launched: sources, layers, the working directory, lock files, the
//! program and its loader.
//!
//! What is found is put as bwrap would put it, so that the rules which explain failures say what it means and what helps.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::destinations::{self, Look};
use crate::bwrap::Bwrap;
use crate::diagnosis::{Bearing, Cause, Evidence, Finding, Symptom, Verdict, diagnose};
use crate::host::Host;
use crate::host::inside::{self, Attempt, Sought};
use crate::launch::broken_link;
use crate::sandbox::{Operation, OverlayKind, Sandbox};
use crate::visible;

/// So many missing files are told.
const MOST: usize = 8;

/// What stands in the way, as far as files tell, in the order in which bwrap will meet it.
pub(super) fn obstacles(
    host: &Host,
    bwrap: &Bwrap,
    sandbox: &Sandbox,
    program: Option<&OsStr>,
) -> Vec<Finding> {
    let mut found: Vec<Finding> = sources(host, sandbox).take(MOST).collect();
    found.extend(submounts(host, sandbox));
    found.extend(upper_and_work(host, sandbox));
    found.extend(destination(host, bwrap, sandbox));
    found.extend(working_directory(host, sandbox));
    if let Some(program) = program {
        found.extend(executable(host, sandbox, program));
    }
    found.extend(lock_files(host, sandbox));
    found
}

/// What the rules say of a message that bwrap has not said yet, with what was seen instead of its words.
pub(super) fn foresee(host: &Host, sandbox: &Sandbox, message: &str, seen: String) -> Option<Finding> {
    let mut symptom = Symptom::from_text(format!("bwrap: {message}").as_bytes());
    symptom.broken_link = symptom.message().and_then(|message| broken_link(sandbox, message));
    let mut finding = diagnose(&symptom, host, Some(sandbox)).causes.into_iter().next()?;
    finding.evidence = vec![Evidence { bearing: Bearing::For, text: seen }];
    Some(finding)
}

/// What `strerror` says of it.
fn text(code: i32) -> String {
    let text = io::Error::from_raw_os_error(code).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Sources that cannot be found. What is optional may be missing, but nothing else.
fn sources(host: &Host, sandbox: &Sandbox) -> impl Iterator<Item = Finding> {
    let named = sandbox.operations.iter().enumerate().flat_map(|(index, operation)| {
        let (paths, optional): (Vec<&PathBuf>, bool) = match operation {
            Operation::Bind(bind) => (vec![&bind.source], bind.optional),
            Operation::Overlay(overlay) => {
                let mut paths: Vec<&PathBuf> = overlay.layers.iter().collect();
                if let OverlayKind::Writable { upper, work } = &overlay.kind {
                    paths.extend([upper, work]);
                }
                (paths, false)
            }
            _ => (Vec::new(), false),
        };
        paths.into_iter().map(move |path| (index, path, optional))
    });
    named.filter_map(|(index, path, optional)| {
        // descriptors of ours are none of bwrap's
        if ["/proc/self", "/proc/thread-self", "/dev/fd"].iter().any(|own| path.starts_with(own)) {
            return None;
        }
        let code = match fs::canonicalize(path) {
            Ok(found) => unreachable_inside(host, sandbox, &found)?,
            Err(error) => error.raw_os_error()?,
        };
        if optional && code == libc::ENOENT {
            return None;
        }
        let (name, error) = (path.display(), text(code));
        let seen = format!("looked for on this machine: {}: {error}", visible::path(path));
        let finding = foresee(host, sandbox, &format!("Can't find source path {name}: {error}"), seen)?;
        Some(Finding { operation: Some(index), ..finding })
    })
}

/// Root in a user namespace of its own may search others' directories no longer, and looks for sources there.
fn unreachable_inside(host: &Host, sandbox: &Sandbox, source: &Path) -> Option<i32> {
    let root = host.process.uid.present() == Some(&0);
    if !root || !sandbox.namespaces.any_user() || !host.user_namespaces_seem_possible() {
        return None;
    }
    // what the command may is another matter
    let mut bare = Sandbox::new().ro_bind("/", "/");
    bare.namespaces = sandbox.namespaces.clone();
    let denied = inside::enter(&bare, source.parent()?).err()?;
    (denied == libc::EACCES).then_some(denied)
}

/// Layers below which something is mounted: in a user namespace the kernel does not let it be uncovered.
fn submounts(host: &Host, sandbox: &Sandbox) -> Option<Finding> {
    let root = host.process.uid.present() == Some(&0);
    if root && !sandbox.namespaces.any_user() {
        return None;
    }
    let mounts = host.mounts.present()?;
    sandbox.operations.iter().enumerate().find_map(|(index, operation)| {
        let Operation::Overlay(overlay) = operation else { return None };
        let (layer, mount) = overlay.layers.iter().find_map(|layer| {
            let layer = fs::canonicalize(layer).ok()?;
            let mount = mounts.iter().find(|mount| mount.point != layer && mount.point.starts_with(&layer))?;
            Some((layer, mount))
        })?;
        let destination = overlay.destination.display();
        let message = format!(
            "Can't make overlay mount on /newroot{destination} with options lowerdir=/oldroot{}: Invalid argument",
            layer.display()
        );
        let seen = format!(
            "{} is mounted below the layer {} (/proc/self/mountinfo)",
            visible::path(&mount.point),
            visible::path(&layer)
        );
        let finding = foresee(host, sandbox, &message, seen)?;
        Some(Finding { operation: Some(index), ..finding })
    })
}

/// A writable overlay whose two directories are none, on two file systems, or one within the other.
fn upper_and_work(host: &Host, sandbox: &Sandbox) -> Option<Finding> {
    sandbox.operations.iter().enumerate().find_map(|(index, operation)| {
        let Operation::Overlay(overlay) = operation else { return None };
        let OverlayKind::Writable { upper, work } = &overlay.kind else { return None };
        let [upper, work] = [upper, work].map(|path| fs::canonicalize(path).ok());
        let (upper, work) = (upper?, work?);
        let (above, beside) = (fs::metadata(&upper).ok()?, fs::metadata(&work).ok()?);
        let (one, other) = (visible::path(&upper), visible::path(&work));
        let (seen, error) = match () {
            () if !above.is_dir() => (format!("{one} is no directory"), libc::ENOTDIR),
            () if !beside.is_dir() => (format!("{other} is no directory"), libc::ENOTDIR),
            () if above.dev() != beside.dev() => {
                (format!("{one} and {other} are on two file systems, and must be on one"), libc::EINVAL)
            }
            () if upper.starts_with(&work) || work.starts_with(&upper) => {
                (format!("{one} and {other} lie one within the other"), libc::EINVAL)
            }
            () => return None,
        };
        let destination = overlay.destination.display();
        let message = format!(
            "Can't make overlay mount on /newroot{destination} with options upperdir=/oldroot{},workdir=/oldroot{}: {}",
            upper.display(),
            work.display(),
            text(error)
        );
        let summary = format!("{} on {}: {seen}", operation.name(), visible::path(&overlay.destination));
        let finding = foresee(host, sandbox, &message, format!("looked at on this machine: {seen}"))?;
        Some(Finding { operation: Some(index), summary, ..finding })
    })
}

/// The first destination that cannot be made, or is of another kind.
fn destination(host: &Host, bwrap: &Bwrap, sandbox: &Sandbox) -> Option<Finding> {
    let mounts = host.mounts.present().map(Vec::as_slice)?;
    let (index, message) = destinations::refusal(sandbox, Look::of(bwrap, mounts))?;
    let at = sandbox.operations.get(index)?.destination();
    let seen = format!("looked for through the sandbox's operations: {}", visible::path(at));
    let finding = foresee(host, sandbox, &message, seen)?;
    Some(Finding { operation: Some(index), ..finding })
}

fn working_directory(host: &Host, sandbox: &Sandbox) -> Option<Finding> {
    let directory = sandbox.current_dir.as_deref()?;
    let code = inside::enter(sandbox, directory).err()?;
    let (name, error) = (directory.display(), text(code));
    let seen = format!("looked for through the sandbox's operations: {}: {error}", visible::path(directory));
    foresee(host, sandbox, &format!("Can't chdir to {name}: {error}"), seen)
}

/// What is wrong with the program, its interpreter or its loader.
fn executable(host: &Host, sandbox: &Sandbox, program: &OsStr) -> Option<Finding> {
    let environment = &sandbox.environment;
    let inherited = environment.inherited(std::env::vars_os);
    let sought = Sought {
        program,
        path: environment.value("PATH", &inherited),
        home: environment.value("HOME", &inherited),
        attempt: Attempt::None,
    };
    let problem = inside::find(sandbox, sought)?;
    let secret = environment.is_secret("PATH") || environment.is_secret("HOME");
    if secret {
        return None;
    }
    let symptom = Symptom { verdict: Verdict::NotExecuted, program: Some(problem), ..Symptom::default() };
    let found = diagnose(&symptom, host, Some(sandbox)).causes.into_iter().next()?;
    (found.cause != Cause::Unexplained).then_some(found)
}

/// Lock files that are not there inside: bwrap's process 1 opens them, beside the command.
fn lock_files(host: &Host, sandbox: &Sandbox) -> Option<Finding> {
    let files = &sandbox.lifetime.lock_files;
    let inherited = sandbox.environment.inherited(std::env::vars_os);
    let home = sandbox.environment.value("HOME", &inherited);
    let (path, code) =
        files.iter().find_map(|path| Some((path, inside::read(sandbox, home, path).err()?)))?;
    let seen = format!("looked for through the sandbox's operations: {}", visible::path(path));
    let message = format!("Unable to open lock file {}: {}", path.display(), text(code));
    foresee(host, sandbox, &message, seen)
}
