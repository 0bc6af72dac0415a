//! A coding agent, or the commands that it runs: it works on a project, and what it does stays there until somebody looks.
//!
//! ```
//! use bwrap_launch::profile::agent;
//! let project = tempfile::tempdir()?;
//! std::fs::create_dir_all(project.path().join(".git/hooks"))?;
//! std::fs::write(project.path().join(".env"), "TOKEN=hunter2\n")?;
//! let sandbox = agent::in_project(project.path())?;
//! let script = "echo edited > main.c && cat .env && ! touch .git/hooks/pre-commit 2>/dev/null";
//! let output = sandbox.command("sh").args(["-c", script]).output()?;
//! assert!(output.status.success() && output.stdout.is_empty());
//! assert_eq!(std::fs::read_to_string(project.path().join("main.c"))?, "edited\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Threat model
//!
//! The agent means well and may be talked into anything by what it reads.
//!
//! 1. It changes the project, and there nothing that acts by itself outside: the repository's metadata (hooks, configuration)
//!    and the settings of editors and agents that are there ([`PROTECTED`]) are read-only.
//! 2. It reads no secrets: no home directory, no variable or descriptor of the caller's, and files of the project that are
//!    named as secrets are ([`is_secret`]) are empty.
//! 3. It talks to nobody: no network but a loopback device, no socket of the host's services, no process, no terminal.
//! 4. It gains nothing: no capability, no setuid program, no user namespace to find faults of the kernel from.
//! 5. Nothing of it outlives the caller, or its command.
//!
//! Not covered: what is run from the project later, its makefiles and scripts, and repositories or settings that it makes where
//! none were, below directories of the project (look at the changes before you run `git` or anything else there); secrets under
//! other names, or in the repository itself; files of the host that everybody may read; memory, processors and disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::base::{confined, host, of_its_own};
use crate::sandbox::{BindData, Feature, Sandbox};
use crate::visible;

/// What of a project is read-only, if it is there, besides `.git`: settings from which editors and agents start programs.
pub const PROTECTED: &[&str] = &[
    ".claude",
    ".codex",
    ".cursor",
    ".devcontainer",
    ".envrc",
    ".gitmodules",
    ".husky",
    ".idea",
    ".mcp.json",
    ".vscode",
];

/// Whether a file of this name is taken for a secret: `.env` and its like but for examples, private keys, credentials of
/// package registries and of programs that fetch.
///
/// ```
/// use bwrap_launch::profile::agent::is_secret;
/// assert!([".env", ".env.production", "server.key", "id_ed25519", ".netrc"].map(is_secret).iter().all(|is| *is));
/// assert!([".env.example", "env", "id_ed25519.pub", "keys.rs"].map(is_secret).iter().all(|is| !*is));
/// ```
#[must_use]
pub fn is_secret(name: impl AsRef<Path>) -> bool {
    let name = name.as_ref().to_string_lossy();
    let example = ["example", "sample", "template", "dist"].iter().any(|end| name.ends_with(end));
    let environment = name == ".env" || name.starts_with(".env.") && !example;
    let known = [
        ".git-credentials",
        ".netrc",
        ".npmrc",
        ".pgpass",
        ".pypirc",
        "credentials.json",
        "id_dsa",
        "id_ecdsa",
        "id_ed25519",
        "id_rsa",
    ];
    let key = [".key", ".p12", ".pem", ".pfx"].iter().any(|end| name.ends_with(end));
    environment || key || known.contains(&name.as_ref())
}

/// The host's root, readable but for homes and `/run`; `project` is writable, under its own path, and where the command starts.
/// Without a network: [`Sandbox::share_net`] gives it the host's, services on its loopback address included.
///
/// The project is looked through for secrets, links are not followed; a file that appears later is not covered. Toolchains in
/// the home directory are to be added, as in `.ro_bind(&cargo, &cargo)`; so is what else is to be hidden, as in
/// `.tmpfs(project.join("deploy"))`.
///
/// # Errors
///
/// If `project` cannot be read or is no directory; if it has no `.git` (an agent that makes it decides which hooks you run:
/// `git init` first); or if the home directory or another that is hidden is in it, or it is below `/proc`, `/dev` or `/sys`.
pub fn in_project(project: impl AsRef<Path>) -> io::Result<Sandbox> {
    let project = of_its_own(project.as_ref())?;
    let git = project.join(".git");
    let metadata = git.symlink_metadata().map_err(|error| {
        let what = format!("{}: {error}; type `git init` there first", visible::path(&git));
        io::Error::new(error.kind(), what)
    })?;
    if metadata.is_symlink() {
        let what = format!("{}: a link, of which nobody knows what is behind it", visible::path(&git));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut sandbox = host().bind(&project, &project).ro_bind(&git, &git);
    if metadata.is_file() {
        for directory in elsewhere(&git)? {
            sandbox = sandbox.ro_bind(&directory, &directory);
        }
    }
    for path in PROTECTED.iter().map(|name| project.join(name)) {
        // a link would be followed, and what it leads to may be anything
        if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_symlink()) {
            sandbox = sandbox.ro_bind(&path, &path);
        }
    }
    for file in secrets(&project)? {
        sandbox = sandbox.add(BindData::read_only("", file));
    }
    let sandbox = confined(sandbox.current_dir(project));
    Ok(sandbox.disable_userns().optional(Feature::DisableUserns))
}

/// The repository of a linked worktree: what its `.git` file names, and where that has what all worktrees share.
fn elsewhere(git: &Path) -> io::Result<Vec<PathBuf>> {
    let text = fs::read_to_string(git)?;
    let Some(named) = text.trim_end().strip_prefix("gitdir: ") else { return Ok(Vec::new()) };
    let above = git.parent().unwrap_or(git);
    let own = above.join(named).canonicalize()?;
    let common = match fs::read_to_string(own.join("commondir")) {
        Ok(common) => own.join(common.trim_end()).canonicalize()?,
        Err(_) => own.clone(),
    };
    // whoever wrote that file must not have anything shown that is no repository
    let is_repository = own.join("HEAD").is_file() && common.join("objects").is_dir();
    Ok(if is_repository { vec![common, own] } else { Vec::new() })
}

/// The secrets of a project.
fn secrets(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(directory) = left.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            // nobody inside can read it either
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && entry.file_name() != ".git" {
                left.push(path);
            } else if kind.is_file() && is_secret(entry.file_name()) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
