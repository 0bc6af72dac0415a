//! Profiles of AppArmor, and their texts.

use std::path::{Path, PathBuf};

use crate::host::{OUR_PROFILE, PROFILES, profile_name};

/// An AppArmor profile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AppArmorProfile {
    /// Its name.
    pub name: String,
    /// The program that it attaches to; `None` for one that a container names.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::host::lossy::option"))]
    pub program: Option<PathBuf>,
    /// Where it is kept.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub path: PathBuf,
    /// Its text, for `apparmor_parser(8)`.
    pub text: String,
}

/// The rules for what bwrap needs beyond files, one a line.
pub(in super::super) fn rules(userns: bool) -> String {
    let new: &[&str] = if userns { &["userns", "mqueue"] } else { &[] };
    let rules = ["capability", "network", "unix", "mount", "remount", "umount", "pivot_root"];
    format!("  {},", [new, &rules].concat().join(",\n  "))
}

pub(in super::super) fn container_profile(userns: bool) -> AppArmorProfile {
    let abi = if userns { "4.0" } else { "3.0" };
    let rules = rules(userns);
    let text =
        format!(include_str!("files/bwrap-nested.apparmor"), abi = abi, name = OUR_PROFILE, rules = rules);
    AppArmorProfile {
        name: OUR_PROFILE.to_owned(),
        program: None,
        path: Path::new(PROFILES).join(OUR_PROFILE),
        text,
    }
}

/// Where Nix has its bwraps: a profile for one of them would be gone with the next update.
pub(in super::super) const OF_NIX: &str = "/nix/store/*-bubblewrap-*/bin/bwrap";

/// For each bwrap of Nix's.
pub(in super::super) fn nix_profile() -> AppArmorProfile {
    let name = "nix-bwrap".to_owned();
    let text = format!(include_str!("files/bwrap.apparmor"), name = name, attachment = OF_NIX);
    AppArmorProfile { path: Path::new(PROFILES).join(&name), program: Some(OF_NIX.into()), name, text }
}

/// A profile that confines nothing: to be named in the kernel's eyes is all that bwrap needs. `bwrap` is its resolved path.
pub(in super::super) fn bwrap_profile(bwrap: &Path) -> AppArmorProfile {
    let name = profile_name(bwrap);
    let escaped = |c: char| if "*?[]{}^\"\\,".contains(c) { format!("\\{c}") } else { c.to_string() };
    let attachment: String = bwrap.to_string_lossy().chars().map(escaped).collect();
    let text = format!(include_str!("files/bwrap.apparmor"), name = name, attachment = attachment);
    AppArmorProfile { path: Path::new(PROFILES).join(&name), program: Some(bwrap.to_owned()), name, text }
}
