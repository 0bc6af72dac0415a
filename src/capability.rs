//! The capabilities of Linux, by name and number.

use std::fmt;
use std::str::FromStr;

/// Declares the capabilities in the order of their numbers, which start at 0 and have no gap.
macro_rules! capabilities {
    ($($name:ident)+) => {
        /// A capability: a part of root's privileges, under its name in `capabilities(7)`.
        ///
        /// `Display` writes that name, `FromStr` reads it in any case, as bwrap does. The order is that of the numbers.
        ///
        /// ```
        /// use bwrap_launch::{Capability, Sandbox};
        /// let sandbox = Sandbox::new().cap_drop(Capability::CAP_SYS_ADMIN);
        /// assert_eq!(sandbox.to_string(), "bwrap --clearenv --cap-drop CAP_SYS_ADMIN");
        /// assert_eq!("cap_sys_admin".parse(), Ok(Capability::CAP_SYS_ADMIN));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(non_camel_case_types, reason = "the names of capabilities(7)")]
        #[non_exhaustive]
        pub enum Capability {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                $name,
            )+
        }

        impl Capability {
            /// All that this version knows, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name, such as `CAP_SYS_ADMIN`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }
        }
    };
}

capabilities! {
    CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP
    CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER
    CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE
    CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP
    CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF
    CAP_CHECKPOINT_RESTORE
}

impl Capability {
    /// Its number in `linux/capability.h`, from 0: bit `1 << number` of the sets in `/proc/PID/status`.
    ///
    /// ```
    /// use bwrap_launch::Capability;
    /// assert_eq!(Capability::CAP_SYS_ADMIN.number(), 21);
    /// assert_eq!(Capability::ALL[21], Capability::CAP_SYS_ADMIN);
    /// ```
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The capability of this number, if this version knows it.
    ///
    /// ```
    /// use bwrap_launch::Capability;
    /// assert_eq!(Capability::from_number(31), Some(Capability::CAP_SETFCAP));
    /// assert_eq!(Capability::from_number(63), None);
    /// ```
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no capability has.
///
/// ```
/// use bwrap_launch::Capability;
/// let error = "CAP_SYS_ADMIM".parse::<Capability>().unwrap_err();
/// assert_eq!(error.to_string(), "no capability is called \"CAP_SYS_ADMIM\"; capabilities(7) lists them");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no capability is called {0:?}; capabilities(7) lists them")]
pub struct UnknownCapability(String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(name: &str) -> Result<Self, UnknownCapability> {
        let is = |one: &&Self| one.name().eq_ignore_ascii_case(name);
        Self::ALL.iter().find(is).copied().ok_or_else(|| UnknownCapability(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_libcap() {
        assert_eq!(Capability::ALL.len(), caps::all().len());
        for theirs in caps::all() {
            let ours: Capability = theirs.to_string().parse().unwrap();
            assert_eq!((ours.number(), ours.to_string()), (theirs.index(), theirs.to_string()));
            assert_eq!(Capability::from_number(theirs.index()), Some(ours));
        }
    }
}
