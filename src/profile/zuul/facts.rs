//! What the driver reads once: who we are, and what the host has.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::unistd::{Gid, Group, Uid, User};

use super::error::Error;
use super::fixes::Fixes;
use super::format::python_list;

/// Bound where they are there.
const OPTIONAL: &[&str] = &[
    "/lib64",
    "/etc/nsswitch.conf",
    "/etc/lsb-release.d",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/subuid",
    "/etc/containers",
];

#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    user: Option<User>,
    group: Option<Group>,
    /// `--unshare-user --disable-userns` is asked for.
    pub(super) locks_userns: bool,
    /// Which of the optional paths are there.
    pub(super) optional: Vec<PathBuf>,
    /// What in `/etc` ends like a release file.
    releases: Vec<PathBuf>,
}

impl Facts {
    pub(super) fn read(disables_userns: bool) -> Result<Self, Error> {
        let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
        let read = |what| move |error: nix::Error| Error::Database { what, source: Arc::new(error.into()) };
        Ok(Self {
            uid,
            gid,
            user: User::from_uid(uid).map_err(read("user"))?,
            group: Group::from_gid(gid).map_err(read("group"))?,
            locks_userns: disables_userns && userns_is_enabled(),
            optional: OPTIONAL.iter().map(PathBuf::from).filter(|path| path.exists()).collect(),
            releases: releases(Path::new("/etc")),
        })
    }

    /// The line in `/etc/passwd`, with the build's home directory.
    pub(super) fn passwd(&self, home: &Path, fixes: Fixes) -> Result<Vec<u8>, Error> {
        let (uid, gid) = (self.uid, self.gid);
        let (name, before_home, shell) = match &self.user {
            Some(user) => {
                let text = |field: &std::ffi::CStr| String::from_utf8_lossy(field.to_bytes()).into_owned();
                let ids = format!("{}:{}:{}:{}", text(&user.passwd), user.uid, user.gid, text(&user.gecos));
                (user.name.clone(), ids, user.shell.as_os_str().as_encoded_bytes().to_vec())
            }
            None if fixes.contains(Fixes::ABSENT) => {
                (format!("user{uid}"), format!("x:{uid}:{gid}:"), b"/bin/sh".to_vec())
            }
            None => return Err(Error::Unknown { what: "user", id: uid.as_raw() }),
        };
        let mut line = format!("{name}:{before_home}:").into_bytes();
        line.extend(home.as_os_str().as_encoded_bytes());
        line.push(b':');
        line.extend(shell);
        line.push(b'\n');
        Ok(line)
    }

    /// The line in `/etc/group`.
    pub(super) fn group(&self, fixes: Fixes) -> Result<Vec<u8>, Error> {
        let gid = self.gid;
        let line = match &self.group {
            Some(group) => {
                let members = if fixes.contains(Fixes::GROUP_LINE) {
                    group.mem.join(",")
                } else {
                    python_list(&group.mem)
                };
                let passwd = String::from_utf8_lossy(group.passwd.to_bytes());
                format!("{}:{passwd}:{gid}:{members}\n", group.name)
            }
            None if fixes.contains(Fixes::ABSENT) => format!("group{gid}:x:{gid}:\n"),
            None => return Err(Error::Unknown { what: "group", id: gid.as_raw() }),
        };
        Ok(line.into_bytes())
    }

    /// The release files to bind: those that are meant, or those that Zuul's pattern finds.
    pub(super) fn releases(&self, fixes: Fixes) -> impl Iterator<Item = &Path> {
        let meant = fixes.contains(Fixes::RELEASE_FILES);
        let found = |path: &Path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let before = name.strip_suffix("-release").unwrap_or_default();
            !before.is_empty() && before.chars().all(|char| !(char.is_alphanumeric() || char == '_'))
        };
        self.releases.iter().map(PathBuf::as_path).filter(move |path| meant || found(path))
    }
}

/// The files of a directory whose names end like those of releases, sorted.
fn releases(directory: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = names
        .filter(|entry| entry.file_name().as_encoded_bytes().ends_with(b"-release"))
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths
}

/// As Zuul asks, who has it from bwrap.
fn userns_is_enabled() -> bool {
    if !Path::new("/proc/self/ns/user").exists() {
        return false;
    }
    // RHEL 7 alone has a switch
    let switched_off = fs::read("/sys/module/user_namespace/parameters/enable")
        .is_ok_and(|text| text.first() != Some(&b'Y'));
    let none = fs::read_to_string("/proc/sys/user/max_user_namespaces")
        .is_ok_and(|text| text.trim().parse::<i64>().is_ok_and(|number| number < 1));
    !switched_off && !none
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(members: &[&str]) -> Facts {
        let mut facts = Facts::read(true).unwrap();
        facts.group = Some(Group {
            name: "zuul".to_owned(),
            passwd: c"x".to_owned(),
            gid: facts.gid,
            mem: members.iter().map(|&name| name.to_owned()).collect(),
        });
        facts
    }

    #[test]
    fn members_are_names_or_a_list_of_pythons() {
        let gid = nix::unistd::getgid();
        let facts = facts(&["a", "b"]);
        assert_eq!(facts.group(Fixes::all()).unwrap(), format!("zuul:x:{gid}:a,b\n").into_bytes());
        assert_eq!(facts.group(Fixes::empty()).unwrap(), format!("zuul:x:{gid}:['a', 'b']\n").into_bytes());
    }

    #[test]
    fn who_is_in_no_database_gets_a_plain_line() {
        let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
        let mut facts = facts(&[]);
        (facts.user, facts.group) = (None, None);
        let line = facts.passwd(Path::new("/home/build"), Fixes::ABSENT).unwrap();
        assert_eq!(line, format!("user{uid}:x:{uid}:{gid}::/home/build:/bin/sh\n").into_bytes());
        assert_eq!(facts.group(Fixes::ABSENT).unwrap(), format!("group{gid}:x:{gid}:\n").into_bytes());
        let error = facts.passwd(Path::new("/"), Fixes::all() - Fixes::ABSENT).unwrap_err();
        assert!(matches!(error, Error::Unknown { what: "user", .. }), "{error}");
        assert!(facts.group(Fixes::empty()).is_err());
    }

    #[test]
    fn zuuls_pattern_finds_what_nobody_has() {
        let mut facts = facts(&[]);
        facts.releases = ["/etc/+-release", "/etc/os-release"].map(PathBuf::from).to_vec();
        assert_eq!(facts.releases(Fixes::empty()).collect::<Vec<_>>(), [Path::new("/etc/+-release")]);
        assert_eq!(facts.releases(Fixes::RELEASE_FILES).count(), 2);
    }

    #[test]
    fn release_files_are_files() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["os-release", "-release", "release", "system-release-cpe"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        fs::create_dir(directory.path().join("a-release")).unwrap();
        let found = releases(directory.path());
        assert_eq!(found, ["-release", "os-release"].map(|name| directory.path().join(name)));
    }
}
