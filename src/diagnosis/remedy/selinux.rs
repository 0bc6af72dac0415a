//! Rules of SELinux.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::shell::{here_document, word};

/// Rules to add to the SELinux policy. [`te`](Self::te) is text for `checkmodule(8)`, [`cil`](Self::cil) for
/// `semodule(8)` and `secilc(8)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelinuxModule {
    /// The module's name.
    pub name: String,
    /// The domain that gets the permissions.
    pub domain: String,
    /// What it gets.
    pub rules: Vec<SelinuxRule>,
}

/// `allow DOMAIN TARGET:CLASS PERMISSIONS`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SelinuxRule {
    /// The type that it is about; `self` for the domain.
    pub target: &'static str,
    /// The object class.
    pub class: &'static str,
    /// The permissions.
    pub permissions: &'static [&'static str],
}

impl SelinuxModule {
    /// Type enforcement text: `checkmodule -M -m` and `semodule_package` make of it what `semodule -i` installs.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Action, Symptom, diagnose};
    /// use bwrap_launch::host::{Fact, Host};
    /// let mut host = Host::default();
    /// host.security.label = Fact::Present("system_u:system_r:container_t:s0:c1,c2".into());
    /// let symptom = Symptom::from_text(b"bwrap: Can't mount proc on /newroot/proc: Permission denied");
    /// for remedy in &diagnose(&symptom, &host, None).causes[0].remedies {
    ///     if let Action::Selinux(module) = &remedy.action {
    ///         assert!(module.te().starts_with("module bwrap_container_t_proc_devpts 1.0;\n"));
    ///         assert!(module.te().contains("allow container_t proc_t:filesystem { mount };\n"));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn te(&self) -> String {
        let targets = self.rules.iter().map(|rule| rule.target).filter(|target| *target != "self");
        let types = std::iter::once(self.domain.as_str()).chain(targets);
        let mut classes: Vec<(&str, Vec<&str>)> = Vec::new();
        for rule in &self.rules {
            match classes.iter_mut().find(|(class, _)| *class == rule.class) {
                Some((_, permissions)) => permissions.extend(rule.permissions),
                None => classes.push((rule.class, rule.permissions.to_vec())),
            }
        }
        let mut text = format!("module {} 1.0;\n\nrequire {{\n", self.name);
        for name in each_once(types) {
            let _ = writeln!(text, "    type {name};");
        }
        for (class, permissions) in classes {
            let _ = writeln!(text, "    class {class} {{ {} }};", each_once(permissions).join(" "));
        }
        text.push_str("}\n\n");
        for SelinuxRule { target, class, permissions } in &self.rules {
            let _ = writeln!(text, "allow {} {target}:{class} {{ {} }};", self.domain, permissions.join(" "));
        }
        text
    }

    /// Installed, from the language that needs no compiler.
    pub(super) fn typed(&self) -> String {
        let (name, file) = (word(&self.name), word(format!("{}.cil", self.name)));
        let write = here_document(&file, &self.cil());
        format!("{write}semodule -i {file}\n# to undo it: semodule -r {name}\n")
    }

    /// Common Intermediate Language: `semodule -i NAME.cil` installs it as it is. The file's name is the module's.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Action, Symptom, diagnose};
    /// use bwrap_launch::host::{Fact, Host};
    /// let mut host = Host::default();
    /// host.security.label = Fact::Present("system_u:system_r:container_t:s0:c1,c2".into());
    /// let symptom = Symptom::from_text(b"bwrap: Can't mount proc on /newroot/proc: Permission denied");
    /// for remedy in &diagnose(&symptom, &host, None).causes[0].remedies {
    ///     if let Action::Selinux(module) = &remedy.action {
    ///         assert!(module.cil().contains("(allow container_t proc_t (filesystem (mount)))\n"));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn cil(&self) -> String {
        let allowed = self.rules.iter().map(|SelinuxRule { target, class, permissions }| {
            format!("(allow {} {target} ({class} ({})))\n", self.domain, permissions.join(" "))
        });
        allowed.collect::<Vec<_>>().concat()
    }
}

/// The words, each where it comes first.
fn each_once<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut known = HashSet::new();
    words.into_iter().filter(|word| known.insert(*word)).collect()
}
