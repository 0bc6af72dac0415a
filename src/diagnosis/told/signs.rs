//! What a word or two tell.

use super::denied::{Inside, holds, inside};
use super::here::{self, IN_CONTAINER};
use super::launchers;
use super::systems::{self, COMPOSITORS, FUSE, NODES, QUBES};

/// What is told by a word or two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sign {
    DeniesRoot,
    Compositor,
    NixBwrap,
    Qubes,
    Fuse,
    /// A job of GitHub's runs in a container.
    JobContainer,
    /// It is said to be in no container.
    NoContainer,
    /// A container is spoken of.
    Container,
    /// The root is the file system of the initramfs.
    Rootfs,
    /// It is said to run in a container, of whatever engine.
    InContainer,
    /// It is a machine of somebody's.
    Machine,
    NixOs,
    Android,
    Wsl,
    Sudo,
    Typed,
    Landlock,
    /// The node's system has SELinux, whatever the container's own is.
    SelinuxNode,
    /// Somebody sits at it.
    Desk,
    /// The process in the container is another than root's.
    OtherRoot,
}

/// What a line tells so, as it stands and in small letters.
pub(super) fn of(line: &str, lower: &str) -> impl Iterator<Item = Sign> {
    let spoken = inside(lower);
    let signs = [
        (Sign::DeniesRoot, systems::denies_root(line)),
        (Sign::NixBwrap, systems::is_nix_bwrap(lower)),
        (Sign::Compositor, holds(lower, COMPOSITORS)),
        (Sign::Qubes, holds(lower, QUBES)),
        (Sign::Fuse, holds(lower, FUSE)),
        (Sign::NoContainer, spoken == Some(Inside::No)),
        (Sign::Container, spoken == Some(Inside::Perhaps)),
        (Sign::Rootfs, systems::shows_rootfs(lower)),
        (Sign::InContainer, holds(lower, IN_CONTAINER)),
        (Sign::Machine, here::tells_machine(lower)),
        (Sign::NixOs, here::tells_nixos(lower)),
        (Sign::Android, systems::shows_android(lower)),
        (Sign::Wsl, systems::shows_wsl(lower)),
        (Sign::Sudo, launchers::starts_as_root(lower)),
        (Sign::Typed, lower.trim_start().starts_with("$ ")),
        (Sign::Landlock, holds(lower, &["landlock"])),
        (
            Sign::SelinuxNode,
            holds(lower, NODES)
                && ![" crate", " library", " is not "].iter().any(|words| lower.contains(words)),
        ),
        (Sign::Desk, here::tells_desk(lower)),
        (Sign::OtherRoot, systems::tells_user(lower)),
        (Sign::JobContainer, lower.trim_start().starts_with("container:")),
    ];
    signs.into_iter().filter(|(_, there)| *there).map(|(sign, _)| sign)
}
