//! Rules of SELinux.

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
        let mut types = vec![self.domain.as_str()];
        let mut classes: Vec<(&str, Vec<&str>)> = Vec::new();
        for rule in &self.rules {
            if rule.target != "self" && !types.contains(&rule.target) {
                types.push(rule.target);
            }
            let known = classes.iter().position(|(class, _)| *class == rule.class);
            let known = known.and_then(|index| classes.get_mut(index));
            match known {
                Some((_, permissions)) => {
                    for permission in rule.permissions {
                        if !permissions.contains(permission) {
                            permissions.push(permission);
                        }
                    }
                }
                None => classes.push((rule.class, rule.permissions.to_vec())),
            }
        }
        let mut text = format!("module {} 1.0;\n\nrequire {{\n", self.name);
        for name in types {
            let _ = writeln!(text, "    type {name};");
        }
        for (class, permissions) in classes {
            let _ = writeln!(text, "    class {class} {{ {} }};", permissions.join(" "));
        }
        text.push_str("}\n\n");
        for rule in &self.rules {
            let permissions = rule.permissions.join(" ");
            let _ =
                writeln!(text, "allow {} {}:{} {{ {permissions} }};", self.domain, rule.target, rule.class);
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
        self.rules.iter().fold(String::new(), |mut text, rule| {
            let permissions = rule.permissions.join(" ");
            let _ =
                writeln!(text, "(allow {} {} ({} ({permissions})))", self.domain, rule.target, rule.class);
            text
        })
    }
}
