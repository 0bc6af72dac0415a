//! How a container is started.

use std::fmt::Write as _;

use super::super::named::named;
use crate::shell::word;

/// Options with which a container engine starts a container.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ContainerOptions {
    /// The engine.
    pub engine: Engine,
    /// What to add to `docker run` or `podman run`.
    pub add: Vec<String>,
    /// What to take away from it.
    pub remove: Vec<String>,
    /// The CI service that starts the container for its jobs, and keeps options in a file of its own.
    pub service: Option<CiService>,
}

/// A CI service whose jobs run in containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum CiService {
    /// GitLab CI: `config.toml` of the runner.
    GitLab,
    /// GitHub Actions: the workflow.
    GitHub,
}

/// A container engine with a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Engine {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

named! { Engine { Docker "Docker", Podman "Podman" } }

impl ContainerOptions {
    /// The engine's command line, as far as it is known, after the commands that write what it names.
    pub(super) fn typed(&self, files: &str) -> String {
        let mut text = files.to_owned();
        if !self.remove.is_empty() {
            let _ = writeln!(text, "# without: {}", self.remove.join(" "));
        }
        let options: String = self.add.iter().map(|option| word(option) + " ").collect();
        text + &format!("{} run {options}IMAGE\n", self.engine.to_string().to_lowercase())
    }
}
