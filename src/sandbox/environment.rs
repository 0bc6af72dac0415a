//! The command's environment: nothing, unless asked.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// The environment variables that the command sees, besides `PWD`, which bwrap always sets.
///
/// It is built, not inherited: without further ado the command sees no variable of the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Environment {
    pub(crate) inherit: Inherit,
    pub(crate) changes: Vec<EnvironmentChange>,
}

/// What of the caller's environment the command sees: see [`Sandbox::get_inherit_env`](super::Sandbox::get_inherit_env).
///
/// ```
/// use bwrap_launch::{Inherit, Sandbox};
/// assert_eq!(*Sandbox::new().get_inherit_env(), Inherit::Nothing);
/// assert_eq!(*Sandbox::new().inherit_env().get_inherit_env(), Inherit::Everything);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Inherit {
    /// No variable.
    #[default]
    Nothing,
    /// All of them, as they are at the launch.
    Everything,
    /// Those of these names that are set at the launch.
    Only(Vec<OsString>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EnvironmentChange {
    Set { name: OsString, value: Value },
    Unset { name: OsString },
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) text: OsString,
    pub(crate) secret: bool,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret { f.write_str("(secret)") } else { self.text.fmt(f) }
    }
}

impl EnvironmentChange {
    pub(crate) fn name(&self) -> &OsStr {
        match self {
            Self::Set { name, .. } | Self::Unset { name } => name,
        }
    }
}

impl Environment {
    pub(crate) fn set(&mut self, name: OsString, text: OsString, secret: bool) {
        self.changes.push(EnvironmentChange::Set { name, value: Value { text, secret } });
    }

    pub(crate) fn unset(&mut self, name: OsString) {
        self.changes.push(EnvironmentChange::Unset { name });
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn inherit_only(&mut self, names: impl IntoIterator<Item = OsString>) {
        match &mut self.inherit {
            Inherit::Only(list) => list.extend(names),
            _ => self.inherit = Inherit::Only(names.into_iter().collect()),
        }
    }

    /// What is inherited of the caller's variables, in their order.
    pub(crate) fn inherited<I: Iterator<Item = (OsString, OsString)>>(
        &self,
        caller: impl FnOnce() -> I,
    ) -> Vec<(OsString, OsString)> {
        match &self.inherit {
            Inherit::Nothing => Vec::new(),
            // bwrap always sets PWD itself
            Inherit::Everything => caller().filter(|(name, _)| name != "PWD" && valid_name(name)).collect(),
            Inherit::Only(names) => caller().filter(|(name, _)| names.contains(name)).collect(),
        }
    }

    /// Whether nobody may see the value that `name` has inside.
    pub(crate) fn is_secret(&self, name: impl AsRef<OsStr>) -> bool {
        let name = name.as_ref();
        let last = self.changes.iter().rev().find_map(|change| match change {
            EnvironmentChange::Set { name: set, value } if set == name => Some(value.secret),
            EnvironmentChange::Unset { name: unset } if unset == name => Some(false),
            _ => None,
        });
        last.unwrap_or(false)
    }

    /// The value that `name` has inside, given what is inherited.
    pub(crate) fn value<'a>(
        &'a self,
        name: &str,
        inherited: &'a [(OsString, OsString)],
    ) -> Option<&'a OsStr> {
        for change in self.changes.iter().rev() {
            match change {
                EnvironmentChange::Set { name: set, value } if set == name => return Some(&value.text),
                EnvironmentChange::Unset { name: unset } if unset == name => return None,
                _ => {}
            }
        }
        inherited.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }
}

/// Whether bwrap's `setenv(3)` accepts the name.
pub(crate) fn valid_name(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    !bytes.is_empty() && !bytes.contains(&b'=') && !bytes.contains(&0)
}
