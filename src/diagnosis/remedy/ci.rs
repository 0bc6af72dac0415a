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

/// What a runner of GitLab's has a field for: the option, the field, and how values are written.
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
    let mut tables = String::new();
    let mut given: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in pairs(&options.add) {
        match given.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => given.push((name, vec![value])),
        }
    }
    for (name, values) in given {
        let known = FIELDS.iter().find(|(option, ..)| *option == name);
        let listed = || values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", ");
        let _ = match known {
            Some((_, field, Kind::Text)) => writeln!(text, "  {field} = {}", listed()),
            Some((_, field, Kind::List)) => writeln!(text, "  {field} = [{}]", listed()),
            Some((_, field, Kind::Table)) => {
                let row = |value: &&str| {
                    let (key, value) = value.split_once('=').unwrap_or((value, "rw"));
                    format!("    {} = {}\n", quoted(key), quoted(value))
                };
                write!(tables, "  [runners.docker.{field}]\n{}", values.iter().map(row).collect::<String>())
            }
            None => {
                let otherwise = "give it to the engine's service as a default";
                writeln!(text, "  # no field for {name}={}: {otherwise}", values.join(" "))
            }
        };
        if values.iter().filter_map(|value| value.strip_prefix("seccomp=")).any(|file| file != "unconfined") {
            text.push_str("  # the whole path of the file; an older runner wants the profile itself there, on one line\n");
        }
    }
    text.push_str(&tables);
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
            ["--tmpfs", "/tmp", "--ulimit=nproc=4:4", "--user=1000", "--pids-limit=9", "--ulimit=nofile=5:5"];
        let add: Vec<String> =
            add.into_iter().chain(["--security-opt=a=b", "--security-opt=c=d"]).map(str::to_owned).collect();
        let engine = Engine::Docker;
        let options = ContainerOptions { engine, add, remove: Vec::new(), service: None };
        let text = job(CiService::GitLab, &options, "");
        let expected = "[runners.docker]\n  user = \"1000\"\n  # no field for --pids-limit=9: give it to the engine's service as \
                        a default\n  security_opt = [\"a=b\", \"c=d\"]\n  [runners.docker.tmpfs]\n    \"/tmp\" = \"rw\"\n  [runners.docker.ulimit]\n    \"nproc\" = \
                        \"4:4\"\n    \"nofile\" = \"5:5\"\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
