//! What the cases share.

use std::fs;
use std::path::{Path, PathBuf};

use bwrap_launch::{Error, Failure, Namespaces, Sandbox, Stdio, Version};

use crate::common::Here;

/// The `PATH` of commands.
const PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";

/// What bubblewrap's own cases start from: the host's root, and a `/tmp` of the sandbox's own.
pub(crate) fn base() -> Sandbox {
    Sandbox::new().bind("/", "/").tmpfs("/tmp").env("PATH", PATH)
}

/// A root of its own, with the system's programs and room for more in `/mnt`.
pub(crate) fn fresh() -> Sandbox {
    let sandbox = Sandbox::new().ro_bind("/usr", "/usr").env("PATH", PATH);
    let links = ["/bin", "/sbin", "/lib", "/lib64"];
    links.into_iter().fold(sandbox, |sandbox, link| match fs::read_link(link) {
        Ok(target) => sandbox.symlink(target, link),
        Err(_) if Path::new(link).exists() => sandbox.ro_bind(link, link),
        Err(_) => sandbox,
    })
}

/// Where the test program, the bwraps and the scratch directories are.
pub(crate) fn stage(here: &Here) -> PathBuf {
    here.scratch.ancestors().nth(2).unwrap().to_owned()
}

/// The four ways in which bubblewrap runs many of its cases.
pub(crate) fn variants(sandbox: &Sandbox) -> [Sandbox; 4] {
    let (user, pid) = (Namespaces::USER_TRY, Namespaces::PID);
    [Namespaces::empty(), user, pid, user | pid].map(|namespaces| sandbox.clone().unshare(namespaces))
}

/// Whether bwrap is that new.
pub(crate) fn since(here: &Here, minor: u32) -> bool {
    here.bwrap.version() >= Some(Version::new(0, minor, 0))
}

/// The error of a command that cannot run in the sandbox.
pub(crate) fn error(here: &Here, sandbox: &Sandbox) -> Error {
    match here.command(sandbox, "true").stderr(Stdio::piped()).status() {
        Ok(status) => panic!("{status}, an error was expected\n{sandbox}"),
        Err(error) => error,
    }
}

/// The failure of a sandbox that cannot be set up.
pub(crate) fn setup_failure(here: &Here, sandbox: &Sandbox) -> Failure {
    match error(here, sandbox) {
        Error::SetupFailed(failure) => Failure::clone(&failure),
        error => panic!("{error:?}\n{sandbox}"),
    }
}

/// Checks what bwrap's fatal message is about: its text begins so, at this path inside, with this error number.
pub(crate) fn is_about(failure: &Failure, text: &str, path: impl AsRef<Path>, errno: Option<i32>) {
    let message = failure.message().unwrap_or_else(|| panic!("{failure:?}"));
    assert!(message.pattern().unwrap_or_default().starts_with(text), "{failure:?}");
    assert_eq!(message.path(), Some(path.as_ref()), "{failure:?}");
    assert_eq!(message.errno().and_then(bwrap_launch::Errno::code), errno, "{failure:?}");
}

/// A line of `/proc/self/mountinfo`.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) target: String,
    pub(crate) options: Vec<String>,
    pub(crate) kind: String,
    pub(crate) super_options: Vec<String>,
}

impl Mount {
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|other| other == option)
    }
}

/// Every mount inside, in the order of mounting.
pub(crate) fn mounts(here: &Here, sandbox: &Sandbox) -> Vec<Mount> {
    let text = here.prints(sandbox, "cat /proc/self/mountinfo");
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    text.lines()
        .map(|line| {
            let (mount, file_system) = line.split_once(" - ").unwrap();
            let (mount, file_system): (Vec<_>, Vec<_>) =
                (mount.split(' ').collect(), file_system.split(' ').collect());
            Mount {
                target: mount[4].to_owned(),
                options: list(mount[5]),
                kind: file_system[0].to_owned(),
                super_options: list(file_system[2]),
            }
        })
        .collect()
}

/// What is mounted on a path inside.
pub(crate) fn mount_on(here: &Here, sandbox: &Sandbox, path: &str) -> Mount {
    let found = mounts(here, sandbox).into_iter().rev().find(|mount| mount.target == path);
    found.unwrap_or_else(|| panic!("nothing is mounted on {path}\n{sandbox}"))
}

/// The permissions of paths inside, in octal.
pub(crate) fn modes(here: &Here, sandbox: &Sandbox, paths: &[&str]) -> Vec<String> {
    let text = here.prints(sandbox, &format!("stat -c %a {}", paths.join(" ")));
    text.lines().map(str::to_owned).collect()
}

/// Makes a directory in the scratch directory, with one file in it.
pub(crate) fn directory(here: &Here, name: &str, file: &str, text: &str) -> PathBuf {
    let path = here.scratch.join(name);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join(file), text).unwrap();
    path
}
