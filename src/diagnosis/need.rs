//! What must be there for a remedy to work, held against what is known.

use std::fmt::Display;

use super::case::Case;

use crate::bwrap::Version;
use crate::sandbox::Capability;

/// Something that a remedy needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// Root of this system, to type its lines.
    Root,
    /// Root who may mount in this place, to type its lines.
    Mounter,
    /// A kernel: its version, and whose it is: `nodes with`.
    Linux(&'static str, (u32, u32)),
    /// The bwrap that is started.
    Bwrap(&'static str),
    /// What no fact tells.
    Other(String),
}

impl<T: Into<String>> From<T> for Need {
    fn from(text: T) -> Self {
        Self::Other(text.into())
    }
}

const NO_MOUNTER: &str = "CAP_SYS_ADMIN, which root has not here: type these lines on the machine around it (nsenter -t PID -m, with the \
                          PID of a process in here), or have whoever starts this place give it (--cap-add SYS_ADMIN)";

/// How the facts stand to a need.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stand {
    Met,
    /// What it needs, to be looked at by whoever applies it.
    Open(String),
    /// What it needs, and what is there instead.
    Unmet(String),
}

impl Need {
    pub(super) fn stand(&self, case: &Case<'_>) -> Stand {
        match self {
            // a container's root mostly may not
            Self::Mounter
                if case.root() == Some(true) && case.has(Capability::CAP_SYS_ADMIN) == Some(false) =>
            {
                Stand::Unmet(NO_MOUNTER.to_owned())
            }
            Self::Root | Self::Mounter if case.root() == Some(true) => Stand::Met,
            Self::Root | Self::Mounter => {
                Stand::Open("root: give these lines to a root shell, for example `sudo sh`".to_owned())
            }
            Self::Linux(whose, least) => {
                let (major, minor) = least;
                // whoever keeps a kernel for ten years adds to it, and an emulated one goes by any version
                let release = case.host.kernel.release.present().filter(|release| !release.contains(".el"));
                let there = case.kernel().zip(release).filter(|_| case.emulated().is_none());
                let held = there.map(|(version, release)| (release.clone(), version >= *least));
                hold(format!("{whose}Linux {major}.{minor} or later"), held)
            }
            Self::Bwrap(least) => {
                let there = case.host.bwrap.present().and_then(|program| Version::parse(&program.version));
                let held = there.zip(Version::parse(least)).map(|(there, least)| (there, there >= least));
                hold(format!("bwrap {least} or later"), held)
            }
            Self::Other(text) => Stand::Open(text.clone()),
        }
    }
}

/// What is there, and whether it is enough.
fn hold(need: String, held: Option<(impl Display, bool)>) -> Stand {
    match held {
        Some((_, true)) => Stand::Met,
        Some((there, false)) => Stand::Unmet(format!("{need}; this is {there}")),
        None => Stand::Open(need),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{DOCKER_CAPABILITIES, machine};
    use crate::host::{CapabilitySet, Fact, Host, Program};

    fn stand(need: &Need, host: &Host) -> Stand {
        need.stand(&Case::new(None, host, None))
    }

    #[test]
    fn kernels_are_held_against_the_one_that_is_there() {
        let need = Need::Linux("nodes with ", (6, 3));
        let mut host = machine();
        let on = |host: &mut Host, release: &str| {
            host.kernel.release = Fact::Present(release.into());
            stand(&need, host)
        };
        assert_eq!(on(&mut host, "6.12.0-1-amd64"), Stand::Met);
        let unmet = "nodes with Linux 6.3 or later; this is 5.15.0-100-generic";
        assert_eq!(on(&mut host, "5.15.0-100-generic"), Stand::Unmet(unmet.into()));
        let open = Stand::Open("nodes with Linux 6.3 or later".into());
        assert_eq!(on(&mut host, "5.14.0-427.el9.x86_64"), open);
        host.kernel.release = Fact::Unknown;
        assert_eq!(stand(&need, &host), open);
    }

    #[test]
    fn versions_of_bwrap_and_root_are_known_or_not() {
        let mut host = machine();
        assert_eq!(stand(&Need::Bwrap("0.11"), &host), Stand::Open("bwrap 0.11 or later".into()));
        host.bwrap = Fact::Present(Program::new("/usr/bin/bwrap", "0.9.0"));
        assert_eq!(
            stand(&Need::Bwrap("0.11"), &host),
            Stand::Unmet("bwrap 0.11 or later; this is 0.9.0".into())
        );
        assert_eq!(stand(&Need::Bwrap("0.8"), &host), Stand::Met);
        assert!(matches!(stand(&Need::Root, &host), Stand::Open(text) if text.contains("sudo sh")));
        let of_user = stand(&Need::Root, &host);
        assert_eq!(stand(&Need::Mounter, &host), of_user);
        host.process.uid = Fact::Present(0);
        assert_eq!(stand(&Need::Root, &host), Stand::Met);
        // a container's root may do much, and not mount
        let mut root = |capabilities| {
            host.process.effective = capabilities;
            [Need::Root, Need::Mounter].map(|need| stand(&need, &host))
        };
        let [met, unmet] = root(Fact::Present(CapabilitySet(DOCKER_CAPABILITIES)));
        assert_eq!(met, Stand::Met);
        assert!(matches!(unmet, Stand::Unmet(text) if text.contains("nsenter")));
        assert_eq!(root(Fact::Present(CapabilitySet(u64::MAX))), [Stand::Met, Stand::Met]);
        assert_eq!(root(Fact::Unknown), [Stand::Met, Stand::Met]);
    }
}
