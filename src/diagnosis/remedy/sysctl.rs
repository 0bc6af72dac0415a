//! Kernel parameters.

use std::path::PathBuf;

use crate::shell::{path_word, word};

/// A kernel parameter. [`conf`](Self::conf) is the line that keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Sysctl {
    /// `user.max_user_namespaces`.
    pub name: String,
    /// The value that it needs.
    pub value: String,
    /// Where it is kept over a reboot.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub file: PathBuf,
}

impl Sysctl {
    /// The line that sets it at every boot, for [`file`](Self::file) (`sysctl.d(5)`).
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Action, Symptom, diagnose};
    /// use bwrap_launch::host::{Fact, Host};
    /// let mut host = Host::default();
    /// host.sysctls.insert("kernel.unprivileged_userns_clone".into(), Fact::Present("0".into()));
    /// let symptom = Symptom::from_text(b"bwrap: No permissions to create a new namespace");
    /// for remedy in &diagnose(&symptom, &host, None).causes[0].remedies {
    ///     if let Action::Sysctl(sysctl) = &remedy.action {
    ///         assert_eq!(sysctl.conf(), "kernel.unprivileged_userns_clone = 1\n");
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn conf(&self) -> String {
        format!("{} = {}\n", self.name, self.value)
    }

    /// Set now, and kept.
    pub(super) fn typed(&self) -> String {
        format!(
            "sysctl -w {}={}\necho {} >> {}\n",
            self.name,
            word(&self.value),
            word(self.conf().trim_end()),
            path_word(&self.file)
        )
    }
}
