//! Jobs of CI services: nobody types the command line of their containers.

use std::fmt::Write as _;

use super::container::{CiService, ContainerOptions};
use crate::shell::{quoted, word};

/// The options where the service keeps them; `files`: the commands that write what they name.
pub(super) fn job(service: CiService, options: &ContainerOptions, files: &str) -> String {
    let mut text = String::new();
    if !files.is_empty() {
        let _ = write!(text, "# on the machine of the runner, before the job starts:\n{files}");
    }
    match service {
        CiService::GitLab => gitlab(&mut text, options),
        CiService::GitHub => github(&mut text, options),
    }
    text
}

/// What a runner of GitLab's has a field for: the option, the field, and how values are written. Tables come last: what stands behind
/// one is in it.
const FIELDS: &[(&str, &str, Kind)] = &[
    ("--user", "user", Kind::Text),
    ("--security-opt", "security_opt", Kind::List),
    ("--cap-add", "cap_add", Kind::List),
    ("--ulimit", "ulimit", Kind::Table),
    ("--tmpfs", "tmpfs", Kind::Table),
];

#[derive(Clone, Copy)]
enum Kind {
    Text,
    List,
    /// Of its own: `name=value`, or a name alone.
    Table,
}

fn gitlab(text: &mut String, options: &ContainerOptions) {
    text.push_str("# in the runner's config.toml (/etc/gitlab-runner/config.toml), for .gitlab-ci.yml has no such fields:\n");
    for gone in &options.remove {
        let _ = writeln!(text, "# without {gone}: delete {}", field(gone));
    }
    text.push_str("[runners.docker]\n");
    let pairs = pairs(&options.add);
    for (name, value) in &pairs {
        if FIELDS.iter().all(|(option, ..)| option != name) {
            let otherwise = "give it to the engine's service as a default";
            let _ = writeln!(text, "  # no field for {name}={value}: {otherwise}");
        }
    }
    // TOML has each field once, and those of a table behind it
    for (option, field, kind) in FIELDS {
        let values = pairs.iter().filter(|(name, _)| name == option).map(|(_, value)| *value);
        let values: Vec<&str> = values.collect();
        let Some(last) = values.last() else { continue };
        let _ = match kind {
            Kind::Text => writeln!(text, "  {field} = {}", quoted(last)),
            Kind::List => {
                let all: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                writeln!(text, "  {field} = [{}]", all.join(", "))
            }
            Kind::Table => writeln!(text, "  [runners.docker.{field}]"),
        };
        if let Kind::Table = kind {
            for (key, value) in values.iter().map(|value| value.split_once('=').unwrap_or((value, "rw"))) {
                let _ = writeln!(text, "    {} = {}", quoted(key), quoted(value));
            }
        }
        let file = |value: &&str| value.strip_prefix("seccomp=").is_some_and(|file| file != "unconfined");
        if values.iter().any(file) {
            text.push_str("  # the whole path of the file; an older runner wants the profile itself there, on one line\n");
        }
    }
}

/// The field that an option to leave out comes from: `cap_add` of `--cap-add=X`.
fn field(option: &str) -> String {
    let name = option.split('=').next().unwrap_or(option);
    name.trim_start_matches('-').replace('-', "_")
}

/// Options and their values, which stand in one word or in two.
fn pairs(words: &[String]) -> Vec<(&str, &str)> {
    let mut words = words.iter().map(String::as_str);
    let mut pairs = Vec::new();
    while let Some(word) = words.next() {
        pairs.push(word.split_once('=').unwrap_or_else(|| (word, words.next().unwrap_or_default())));
    }
    pairs
}

fn github(text: &mut String, options: &ContainerOptions) {
    text.push_str("# in the workflow:\n");
    if !options.remove.is_empty() {
        let _ = writeln!(text, "# without: {}", options.remove.join(" "));
    }
    let words: Vec<String> = options.add.iter().map(word).collect();
    let _ = writeln!(text, "jobs:\n  JOB:\n    container:\n      options: {}", quoted(&words.join(" ")));
}

#[cfg(test)]
mod tests {
    use super::super::Engine;
    use super::*;

    #[test]
    fn tables_come_last() {
        let add =
            ["--tmpfs", "/tmp", "--ulimit=nproc=4:4", "--user=1000", "--pids-limit=9"].map(str::to_owned);
        let engine = Engine::Docker;
        let options = ContainerOptions { engine, add: add.into(), remove: Vec::new(), service: None };
        let text = job(CiService::GitLab, &options, "");
        let expected = "[runners.docker]\n  # no field for --pids-limit=9: give it to the engine's service as a default\n  user = \
                        \"1000\"\n  [runners.docker.ulimit]\n    \"nproc\" = \"4:4\"\n  [runners.docker.tmpfs]\n    \"/tmp\" = \
                        \"rw\"\n";
        assert!(text.ends_with(expected), "{text}");
    }

    /// Read as the runner reads it: each option is in its field, however many there are and whatever is in them.
    #[test]
    fn the_runner_reads_the_options() {
        let add = [
            "--security-opt=seccomp=bwrap.json",
            "--cap-add=SYS_ADMIN",
            "--security-opt",
            "apparmor=bwrap-nested",
            "--tmpfs=/tmp:exec",
            "--cap-add=SETFCAP",
            "--tmpfs=/a \"quoted\" C:\\path\u{202e}",
            "--ulimit=nproc=4:4",
            "--user=1000",
            "--pids-limit=9",
        ];
        let engine = Engine::Docker;
        let add = add.map(str::to_owned).into();
        let options = ContainerOptions { engine, add, remove: Vec::new(), service: None };
        let text = job(CiService::GitLab, &options, "");
        let read = toml::from_str(&format!("[[runners]]\n{text}"));
        let read: toml::Value = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
        let fields = toml::toml! {
            user = "1000"
            security_opt = ["seccomp=bwrap.json", "apparmor=bwrap-nested"]
            cap_add = ["SYS_ADMIN", "SETFCAP"]
            ulimit = { nproc = "4:4" }
            tmpfs = { "/tmp:exec" = "rw", "/a \"quoted\" C:\\path\u{202e}" = "rw" }
        };
        assert_eq!(read["runners"][0]["docker"], toml::Value::Table(fields), "{text}");
    }
}
