//! What is to be built: a file in JSON.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Duration;

use serde::Deserialize;

use super::Failed;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    pub(crate) name: String,
    /// A directory that phases can read, named by `PROJECT`. A relative path is one from the file's directory.
    #[serde(default)]
    project: Option<PathBuf>,
    /// More of the host that they can read.
    #[serde(default)]
    pub(crate) ro_paths: Vec<PathBuf>,
    /// What it needs of the host besides `/usr`.
    #[serde(default)]
    tools: Vec<Tool>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Files in the directory that `SECRETS` names.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) network: bool,
    /// Seconds that each phase may take.
    #[serde(default = "an_hour")]
    timeout: f64,
    #[serde(default)]
    pub(crate) limits: Maxima,
    #[serde(default)]
    pub(crate) pre: Vec<String>,
    #[serde(default)]
    pub(crate) run: Vec<String>,
    #[serde(default)]
    pub(crate) post: Vec<String>,
    /// Files below the work directory of which the report tells the contents.
    #[serde(default)]
    pub(crate) results: Vec<PathBuf>,
}

/// What the processes of a phase may use. Memory and their number are limited where a control group can be had.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Maxima {
    pub(crate) memory: Option<u64>,
    pub(crate) processes: Option<u64>,
    pub(crate) open_files: Option<u64>,
    pub(crate) file_size: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tool {
    Rust,
    Ansible,
}

fn an_hour() -> f64 {
    3600.0
}

impl Build {
    /// All builds that the file describes.
    pub(crate) fn read(file: &Path) -> Result<Vec<Self>, Failed> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = fs::read_to_string(file).map_err(|error| named(&error))?;
        let mut builds: Vec<Self> = serde_json::from_str(&text).map_err(|error| named(&error))?;
        let mut seen = HashSet::new();
        for build in &mut builds {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let ours = build.secrets.keys().chain([&build.name]);
            if let Some(name) = ours.into_iter().find(|name| name.is_empty() || !name.chars().all(plain)) {
                return Err(named(&format!("'{name}' cannot be a file's name")).into());
            }
            if !seen.insert(build.name.clone()) {
                return Err(named(&format!("two builds are called '{}'", build.name)).into());
            }
            Duration::try_from_secs_f64(build.timeout).map_err(|error| named(&error))?;
            if let Some(project) = &mut build.project {
                let directory = file.parent().unwrap_or(Path::new("")).join(&project);
                *project = directory.canonicalize().map_err(|error| named(&error))?;
            }
            for tool in build.tools.clone() {
                tool.give(build)?;
            }
        }
        Ok(builds)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.timeout).unwrap_or(Duration::MAX)
    }

    pub(crate) fn project(&self) -> Option<&Path> {
        self.project.as_deref()
    }

    /// Puts programs first on the search path.
    fn search(&mut self, directory: &Path) {
        let path = self.env.entry("PATH".to_owned()).or_insert_with(|| "/usr/bin:/bin".to_owned());
        *path = format!("{}:{path}", directory.display());
    }
}

impl Tool {
    /// Lets a build see the tool.
    fn give(self, build: &mut Build) -> Result<(), Failed> {
        match self {
            Self::Rust => {
                let asked = Process::new("rustc").args(["--print", "sysroot"]).output();
                let asked = asked.map_err(|error| format!("{}: rustc: {error}", build.name))?;
                let toolchain = PathBuf::from(String::from_utf8(asked.stdout)?.trim());
                build.search(&toolchain.join("bin"));
                build.ro_paths.push(toolchain);
            }
            Self::Ansible => {
                let packages = std::env::var_os("EXECUTOR_ANSIBLE").ok_or_else(|| {
                    format!("{}: EXECUTOR_ANSIBLE does not say where ansible-core is", build.name)
                })?;
                let packages = PathBuf::from(packages);
                build.search(&packages.join("bin"));
                build.env.insert("PYTHONPATH".to_owned(), packages.display().to_string());
                build.ro_paths.push(packages);
            }
        }
        Ok(())
    }
}
