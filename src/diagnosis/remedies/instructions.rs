//! What to type or paste, for every kind of action.

use std::fmt::Write as _;

use super::super::remedy::{Action, ContainerOptions, Remedy, RemedyFile};
use crate::shell::{here_document, path_word, word};

impl Remedy {
    /// What to type or paste, for a terminal: files that are needed first, then what uses them.
    ///
    /// Lines that are no command begin with `#`; manifests follow such a line. Commands are for root unless it
    /// says otherwise in [`requires`](field@Self::requires). Names in capitals stand for what only you know.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Symptom, diagnose};
    /// use bwrap_launch::host::{CapabilitySet, Fact, Host, Platform, Sighting};
    /// let mut host = Host::default();
    /// host.platforms = Fact::Present(vec![Sighting::new(Platform::Docker, "/.dockerenv")]);
    /// host.process.uid = Fact::Present(0);
    /// host.process.effective = Fact::Present(CapabilitySet(0));
    /// let symptom = Symptom::from_text(b"bwrap: setting up uid map: Operation not permitted");
    /// let diagnosis = diagnose(&symptom, &host, None);
    /// let remedy = diagnosis.remedy().unwrap();
    /// assert_eq!(remedy.instructions(), "docker run --user=1000 IMAGE\n");
    /// ```
    #[must_use]
    pub fn instructions(&self) -> String {
        let (typed, told) = self.parts();
        typed + &told
    }

    /// What a shell or a file takes, and after it what only a person understands.
    pub(in super::super) fn parts(&self) -> (String, String) {
        let files: String = self.files.iter().map(write_file).collect();
        let typed = match &self.action {
            Action::Sandbox(change) => {
                let told = self.wording.clone().unwrap_or_else(|| change.to_string());
                return (files, told + "\n");
            }
            Action::Manual(text) => return (files, format!("{text}\n")),
            Action::Pod(patch) => {
                let place = if self.files.is_empty() { "" } else { "# on every node that runs the pod:\n" };
                format!(
                    "{place}{files}# in the pod's manifest (of a Deployment, StatefulSet or Job: below spec.template); CONTAINER \
                     is the one that runs bwrap:\n{}",
                    patch.yaml()
                )
            }
            Action::Container(options) => match options.service {
                Some(service) => super::ci::job(service, options, &files),
                None => files + &run(options),
            },
            Action::Selinux(module) => {
                let (name, file) = (word(&module.name), word(&format!("{}.cil", module.name)));
                let write = here_document(&file, &module.cil());
                format!("{files}{write}semodule -i {file}\n# to undo it: semodule -r {name}\n")
            }
            Action::AppArmor(profile) => {
                let file = RemedyFile { path: profile.path.clone(), content: profile.text.clone() };
                files + &write_file(&file)
            }
            Action::Sysctl(sysctl) => format!(
                "{files}sysctl -w {}={}\necho {} >> {}\n",
                sysctl.name,
                word(&sysctl.value),
                word(sysctl.conf().trim_end()),
                path_word(&sysctl.file)
            ),
            Action::Unit(unit) => {
                let name = unit.unit.as_deref().map_or_else(|| "UNIT".to_owned(), word);
                let (place, manager) = if unit.user {
                    ("~/.config/systemd/user", "systemctl --user")
                } else {
                    ("/etc/systemd/system", "systemctl")
                };
                let directory = format!("{place}/{name}.d");
                // named after what it is about: another remedy for the same unit must not overwrite it
                let about = unit.settings.first().map_or("settings", |(name, _)| name);
                let write = here_document(&format!("{directory}/bwrap-{about}.conf"), &unit.drop_in());
                format!(
                    "{files}mkdir -p {directory}\n{write}{manager} daemon-reload\n{manager} restart {name}\n"
                )
            }
            Action::Commands(lines) => lines.iter().fold(files, |mut text, line| {
                text.push_str(line);
                text.push('\n');
                text
            }),
        };
        (typed, String::new())
    }
}

/// The engine's command line, as far as it is known.
fn run(options: &ContainerOptions) -> String {
    let mut text = String::new();
    if !options.remove.is_empty() {
        let _ = writeln!(text, "# without: {}", options.remove.join(" "));
    }
    let _ = write!(text, "{} run ", options.engine.program());
    for option in &options.add {
        let _ = write!(text, "{} ", word(option));
    }
    text.push_str("IMAGE\n");
    text
}

/// Commands that write a file; an AppArmor profile is loaded at once, or whoever names it would not find it.
fn write_file(file: &RemedyFile) -> String {
    let mut text = String::new();
    if let Some(directory) = file.path.parent().filter(|directory| directory.as_os_str() != "") {
        let _ = writeln!(text, "mkdir -p {}", path_word(directory));
    }
    text.push_str(&here_document(&path_word(&file.path), &file.content));
    if file.path.starts_with(super::apparmor::DIRECTORY) {
        let _ = writeln!(text, "apparmor_parser -r {}", path_word(&file.path));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{commands, manual};
    use super::*;

    #[test]
    fn the_end_of_a_file_is_not_in_it() {
        let remedy = manual("Do it", "See there.", "nothing").file("f", "a\nEOF\nid\n");
        assert_eq!(remedy.instructions(), "cat > f <<'EOFF'\na\nEOF\nid\nEOFF\nSee there.\n");
    }

    #[test]
    fn files_come_first() {
        let remedy = commands("Do it", &["use /etc/a/b"], "nothing").file("/etc/a/b", "content");
        assert_eq!(
            remedy.instructions(),
            "mkdir -p /etc/a\ncat > /etc/a/b <<'EOF'\ncontent\nEOF\nuse /etc/a/b\n"
        );
    }

    #[test]
    fn a_file_beside_needs_no_directory() {
        let remedy = manual("Do it", "See there.", "nothing").file("bwrap.json", "{}\n");
        assert_eq!(remedy.instructions(), "cat > bwrap.json <<'EOF'\n{}\nEOF\nSee there.\n");
    }
}
