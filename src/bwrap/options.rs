//! What bwrap can be told: every option there is, and which of them a given binary accepts.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::version::Version;
use crate::sandbox::Feature;

/// An option of bwrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BwrapOption {
    pub(crate) name: &'static str,
    /// How many words follow it.
    pub(crate) arguments: usize,
    /// The first upstream release that has it, if one has; distributions add options to older ones.
    pub(crate) since: Option<&'static str>,
    /// What a caller may declare dispensable.
    pub(crate) feature: Option<Feature>,
}

impl BwrapOption {
    /// The first release that has it.
    pub(crate) fn release(&self) -> Option<Version> {
        self.since.and_then(Version::parse)
    }
}

const fn option(name: &'static str, arguments: usize, since: &'static str) -> BwrapOption {
    BwrapOption { name, arguments, since: Some(since), feature: None }
}

const fn feature(name: &'static str, arguments: usize, since: &'static str, feature: Feature) -> BwrapOption {
    BwrapOption { name, arguments, since: Some(since), feature: Some(feature) }
}

/// One that some builds have, and no release yet.
const fn unreleased(name: &'static str, arguments: usize, feature: Feature) -> BwrapOption {
    BwrapOption { name, arguments, since: None, feature: Some(feature) }
}

/// Every option, by name. A new one goes here first.
pub(crate) const OPTIONS: &[BwrapOption] = &[
    option("--add-seccomp-fd", 1, "0.6.0"),
    option("--args", 1, "0.1.0"),
    feature("--argv0", 1, "0.9.0", Feature::Argv0),
    option("--as-pid-1", 0, "0.2.0"),
    feature("--assert-userns-disabled", 0, "0.8.0", Feature::AssertUsernsDisabled),
    option("--bind", 2, "0.1.0"),
    option("--bind-data", 2, "0.1.0"),
    feature("--bind-fd", 2, "0.10.0", Feature::BindFd),
    feature("--bind-try", 2, "0.3.1", Feature::BindTry),
    option("--block-fd", 1, "0.1.2"),
    option("--cap-add", 1, "0.2.0"),
    option("--cap-drop", 1, "0.2.0"),
    option("--chdir", 1, "0.1.0"),
    feature("--chmod", 2, "0.5.0", Feature::Chmod),
    option("--clearenv", 0, "0.5.0"),
    feature("--debug-opt", 0, "0.12.0", Feature::DebugOption),
    option("--dev", 1, "0.1.0"),
    option("--dev-bind", 2, "0.1.0"),
    feature("--dev-bind-try", 2, "0.3.1", Feature::BindTry),
    feature("--die-with-parent", 0, "0.1.8", Feature::DieWithParent),
    option("--dir", 1, "0.1.0"),
    feature("--disable-userns", 0, "0.8.0", Feature::DisableUserns),
    option("--exec-label", 1, "0.1.0"),
    option("--file", 2, "0.1.0"),
    option("--file-label", 1, "0.1.0"),
    option("--gid", 1, "0.1.0"),
    option("--help", 0, "0.1.0"),
    option("--hostname", 1, "0.1.2"),
    option("--info-fd", 1, "0.1.2"),
    option("--json-status-fd", 1, "0.3.2"),
    feature("--level-prefix", 0, "0.11.0", Feature::LevelPrefix),
    option("--lock-file", 1, "0.1.0"),
    option("--mqueue", 1, "0.1.0"),
    feature("--new-session", 0, "0.1.7", Feature::NewSession),
    feature("--not-a-security-boundary", 0, "0.12.0", Feature::NotASecurityBoundary),
    feature("--overlay", 3, "0.11.0", Feature::Overlay),
    unreleased("--overlay-opt", 1, Feature::OverlayOption),
    feature("--overlay-src", 1, "0.11.0", Feature::Overlay),
    feature("--perms", 1, "0.5.0", Feature::Perms),
    option("--pidns", 1, "0.4.0"),
    option("--proc", 1, "0.1.0"),
    option("--remount-ro", 1, "0.1.2"),
    option("--ro-bind", 2, "0.1.0"),
    option("--ro-bind-data", 2, "0.1.2"),
    feature("--ro-bind-fd", 2, "0.10.0", Feature::BindFd),
    feature("--ro-bind-try", 2, "0.3.1", Feature::BindTry),
    feature("--ro-overlay", 1, "0.11.0", Feature::Overlay),
    option("--seccomp", 1, "0.1.0"),
    option("--setenv", 2, "0.1.0"),
    option("--share-net", 0, "0.1.7"),
    feature("--size", 1, "0.7.0", Feature::Size),
    option("--symlink", 2, "0.1.0"),
    option("--sync-fd", 1, "0.1.0"),
    feature("--tmp-overlay", 1, "0.11.0", Feature::Overlay),
    option("--tmpfs", 1, "0.1.0"),
    option("--uid", 1, "0.1.0"),
    option("--unsetenv", 1, "0.1.0"),
    option("--unshare-all", 0, "0.1.7"),
    feature("--unshare-cgroup", 0, "0.1.0", Feature::UnshareCgroup),
    option("--unshare-cgroup-try", 0, "0.1.0"),
    option("--unshare-ipc", 0, "0.1.0"),
    option("--unshare-net", 0, "0.1.0"),
    option("--unshare-pid", 0, "0.1.0"),
    option("--unshare-user", 0, "0.1.0"),
    option("--unshare-user-try", 0, "0.1.0"),
    option("--unshare-uts", 0, "0.1.0"),
    option("--userns", 1, "0.4.0"),
    option("--userns-block-fd", 1, "0.2.0"),
    option("--userns2", 1, "0.4.0"),
    option("--version", 0, "0.1.0"),
];

/// Options that bwrap has but does not list in its help.
const UNLISTED: &[&str] = &["--debug-opt"];

/// A `--sync-fd` after the first: up to 0.13.0 only the last one counts, and the command inherits the others. The help of both is
/// the same.
pub(crate) const SECOND_SYNC_FD: BwrapOption = feature("second --sync-fd", 1, "0.13.1", Feature::SyncFds);

/// The option of this name.
pub(crate) fn find(name: &str) -> Option<&'static BwrapOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// The bwrap at hand does not know an option that the sandbox needs.
///
/// ```
/// use bwrap_launch::{Error, Sandbox};
/// let sandbox = Sandbox::new().ro_bind("/", "/").level_prefix();
/// match sandbox.command("true").status() {
///     Err(Error::MissingOption(missing)) => {
///         assert_eq!((missing.option, missing.since), ("--level-prefix", Some("0.11.0")));
///     }
///     status => assert!(status?.success()),
/// }
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} {} has no {option}; {}, or mark the feature as dispensable with Sandbox::optional",
    crate::visible::path(bwrap),
    crate::visible::line(version),
    self.instead()
)]
#[non_exhaustive]
pub struct MissingOption {
    /// The option, such as `--overlay`.
    pub option: &'static str,
    /// The first upstream release that has it; `None` if there is none yet. Distributions add some to older ones.
    pub since: Option<&'static str>,
    /// The bwrap that was asked.
    pub bwrap: PathBuf,
    /// What it calls its version.
    pub version: String,
}

impl MissingOption {
    fn instead(&self) -> String {
        let Some(since) = self.since else {
            return "no release of bubblewrap has it yet: name a build that has it with the BWRAP variable"
                .to_owned();
        };
        format!(
            "bubblewrap {since} and newer have it: install a newer bubblewrap, name another with the BWRAP variable"
        )
    }
}

/// The options that a binary lists in its help, the one reliable source: distributions add options to old
/// versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted(BTreeSet<String>);

impl Accepted {
    /// Reads what `bwrap --help` prints.
    pub(crate) fn from_help(help: &str) -> Self {
        let names = help.lines().filter_map(|line| line.split_whitespace().next());
        let names = names.map(|word| word.split(['=', ',']).next().unwrap_or(word));
        Self(names.filter(|name| name.starts_with("--")).map(str::to_owned).collect())
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains(name) || (UNLISTED.contains(&name) && self.0.contains("--not-a-security-boundary"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_read_whatever_its_layout() {
        let help = "usage: bwrap [OPTIONS...] [--] COMMAND [ARGS...]\n\n    --help                  Print this help\n\
                    \t--bind SRC DEST  Bind\n    --debug-opt=KEY   x\n    more about --proc\n";
        let accepted = Accepted::from_help(help);
        assert_eq!(accepted.iter().collect::<Vec<_>>(), ["--bind", "--debug-opt", "--help"]);
        assert!(!accepted.contains("--proc"));
    }

    #[test]
    fn the_documentation_says_where_each_option_is() {
        let face = include_str!("../lib.rs");
        for option in OPTIONS {
            let name = option.name;
            assert!(face.contains(&format!("`{name}`")), "{name} is missing in the crate's documentation");
        }
    }

    #[test]
    fn the_table_is_sorted_and_has_no_duplicates() {
        assert!(OPTIONS.is_sorted_by(|a, b| a.name < b.name));
        // 71 in the sources of bwrap, of which "--" is none here
        assert_eq!(OPTIONS.len(), 70);
    }
}
