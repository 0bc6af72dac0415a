//! What a text shows to have been done already, before it failed: options of a container's engine, fields of a pod's manifest.

use super::meant::starts_service;
use super::mood::{self, Mood};
use super::options::{self, Given, LISTS, RUNS};

/// The containers that were started, one after another: a text that shows several has one of them fail, and nobody knows which.
#[derive(Debug, Default)]
pub(super) struct Runs {
    all: Vec<Given>,
    /// How many images, or names in a list, there are: of several containers one fails, and nobody knows which.
    images: usize,
    names: usize,
    /// Something else was given in another place of a manifest.
    mixed: bool,
    /// A line has just said that it works so, or would.
    works: bool,
    /// A list of options is open, or a command that goes on.
    open: bool,
    /// The field of a manifest whose type comes next.
    field: Option<Given>,
}

/// What says that it works with what comes next, or would.
const WORKS: &[&str] =
    &["works", "workaround", "does the trick", "would be", "# ok", "it starts", "starts with:", "succeeds"];

/// What makes it doubtful whether a command is one that was typed.
const SPOKEN: &[&str] = &[" would ", " could ", " should ", " is ", "?"];

impl Runs {
    /// A line in small letters.
    pub(super) fn read(&mut self, line: &str) {
        let whole = options::bare(line);
        if whole.is_empty() {
            // and a list or a field goes on
            return;
        }
        self.images += usize::from(whole.trim_start_matches(['-', ' ']).starts_with("image:"));
        self.names += usize::from(whole.starts_with("- name:"));
        let (works, open) = (self.works, self.open);
        self.works = WORKS.iter().any(|words| whole.contains(words));
        self.open = whole == "security_opt:"
            || LISTS.iter().any(|list| whole.contains(list))
                && !whole.trim_end_matches([',', ' ']).ends_with(']')
            || whole.ends_with('\\')
            || open && whole.starts_with(['-', '[', '"']);
        let line = whole.trim_start_matches(['$', '#', '+', ' ']);
        let line = line.strip_prefix("sudo ").unwrap_or(line);
        // in a container that has an engine of its own
        let inner =
            line.starts_with("docker exec ").then(|| RUNS.iter().find_map(|run| line.find(run))).flatten();
        let line = inner.and_then(|at| line.get(at..)).unwrap_or(line);
        if RUNS.iter().any(|run| line.contains(run)) && starts_service(line) {
            return;
        }
        if RUNS.iter().any(|run| line.starts_with(run)) {
            let spoken = SPOKEN.iter().any(|word| line.contains(word));
            let given = options::options(line);
            self.all.push(if works || self.works || spoken { Given::default() } else { given });
        } else if line.starts_with('-') && !options::is_data(line) || open && line.starts_with('"') {
            // a command goes on, or a list
            self.add(if open && !works { options::options(line) } else { Given::default() });
        } else {
            // with what marks a comment
            let field = self.field(whole);
            self.add(field);
            let said = !works && !self.works && !whole.starts_with(['#', '>', '/']);
            let listed = LISTS.iter().any(|list| whole.contains(list)) && options::is_data(whole);
            self.add(match said {
                true if listed => options::options(whole),
                true => options::said(whole),
                false => Given::default(),
            });
        }
    }

    fn add(&mut self, given: Given) {
        if given == Given::default() {
            return;
        }
        match self.all.last_mut() {
            Some(last) => *last = last.both(given),
            None => self.all.push(given),
        }
    }

    /// What a field of a manifest gives.
    fn field(&mut self, line: &str) -> Given {
        let before = self.field.take();
        let line = line.trim_end_matches([',', ' ']);
        match (line, before) {
            ("seccompprofile:", _) => self.field = Some(Given::FILTER),
            ("apparmorprofile:", _) => self.field = Some(Given::PROFILE),
            ("type: unconfined", Some(given)) => return given,
            ("privileged: false", _) => self.mixed = true,
            (other, Some(_)) if other.starts_with("type:") => self.mixed = true,
            _ if has_several(line) => self.mixed = true,
            _ if options::is_data(line) || is_field(line) || is_run_together(line) => {
                return options::fields(line);
            }
            _ => {}
        }
        Given::default()
    }

    /// What was given to each, if anything was started.
    pub(super) fn given(&self) -> Option<Given> {
        if self.images.max(self.names) > 1 || self.mixed {
            return Some(Given::default());
        }
        self.all.iter().copied().reduce(Given::common)
    }
}

/// Whether a manifest in one line is of several containers.
fn has_several(line: &str) -> bool {
    let line = line.replace('"', "");
    let count = |text: &str, field: &str| text.matches(field).count();
    let named = line.split_once("containers:").map_or(0, |(_, rest)| count(rest, "{name:"));
    options::is_data(&line) && count(&line, "image:").max(named) > 1
}

/// Fields by which a manifest is known.
const FIELDS: &[&str] = &[
    "securitycontext:",
    "spec:",
    "privileged:",
    "procmount:",
    "seccompprofile:",
    "apparmorprofile:",
    "hostusers:",
    "runasuser:",
    "capabilities:",
];

/// Whether the lines of a manifest have run together in one, behind other words: `in our pod: spec: hostusers: false containers: ..`.
fn is_run_together(line: &str) -> bool {
    let keys = line.split_whitespace().filter(|word| word.ends_with(':')).collect::<Vec<_>>();
    let known = keys.iter().filter(|key| FIELDS.contains(key)).count();
    let otherwise = Mood::ADVISES | Mood::ASKS | Mood::SUPPOSES | Mood::DENIES;
    keys.len() >= 3 && known >= 2 && !mood::of(line).intersects(otherwise) && !line.starts_with('#')
}

/// Whether a line is a field of YAML's and its value, and no more; or several that have run together: `procmount: unmasked`.
fn is_field(line: &str) -> bool {
    let words: Vec<&str> = line.trim_start_matches(['-', ' ']).split_whitespace().collect();
    let key = |word: &&&str| word.ends_with(':');
    let known = words.first().is_some_and(|first| FIELDS.contains(first));
    known && (words.len() == 2 || words.iter().filter(key).count() * 2 >= words.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Given {
        let mut runs = Runs::default();
        for line in text.lines() {
            runs.read(&line.to_ascii_lowercase());
        }
        runs.given().unwrap_or_default()
    }

    #[test]
    fn what_a_container_was_given_is_read() {
        let (filter, proc) =
            (Given { unfiltered: true, ..Given::default() }, Given { unmasked: true, ..Given::default() });
        for (text, all) in [
            ("docker run --security-opt seccomp=unconfined --rm -it node:22 bash", filter),
            ("$ sudo docker run --security-opt=seccomp=unconfined x", filter),
            ("docker run \\\n  --security-opt seccomp=unconfined \\\n  x", filter),
            ("security_opt:\n  - seccomp:unconfined", filter),
            ("docker run --security-opt systempaths=unconfined x", proc),
            ("docker run --privileged x", Given::ALL),
            ("securityContext:\n  privileged: true", Given::ALL),
            ("securityContext:\n  seccompProfile:\n    type: Unconfined", filter),
            ("  procMount: Unmasked", proc),
            ("2026-07-20t10:11:12.123z docker run --privileged x", Given::ALL),
            ("[2025-01-01T00:00:00.000Z] + docker run --privileged x", Given::ALL),
            ("\"runArgs\": [\"--security-opt\", \"seccomp=unconfined\"],", filter),
            ("{ \"runArgs\": [\"--security-opt=seccomp=unconfined\"], \"remoteUser\": \"vscode\" }", filter),
            ("\"securityOpt\": [\"seccomp=unconfined\"],", filter),
            ("$ docker inspect a | jq '.[0].HostConfig.SecurityOpt'\n[\n  \"seccomp=unconfined\"\n]", filter),
            ("securityContext: { runAsUser: 1000, seccompProfile: { type: Unconfined } }", filter),
            ("securityContext: seccompProfile: type: Unconfined runAsUser: 1000", filter),
            ("seccompProfile:\n\n  type: Unconfined", filter),
            ("We already run it with seccomp=unconfined, still:", filter),
            ("docker run --privileged x\n$ docker run -d redis:7", Given::ALL),
            ("docker run --privileged --rm tonistiigi/binfmt --install all", Given::default()),
            // another one was given nothing, and what is only spoken of is not done
            ("docker run --privileged x\ndocker run x", Given::default()),
            (
                "docker run --privileged -d docker:dind\n+ docker exec dind docker run img bwrap",
                Given::default(),
            ),
            ("services: {proxy: {image: nginx, privileged: true}, agent: {image: img}}", Given::default()),
            (
                "{\"containers\":[{\"name\":\"csi\",\"securityContext\":{\"privileged\":true}},{\"name\":\"agent\"}]}",
                Given::default(),
            ),
            (
                "Our pod: procMount: Unmasked needs hostUsers: false, we have only procMount: Default",
                Given::default(),
            ),
            ("It works with --privileged", Given::default()),
            ("Should I use docker run --security-opt seccomp=unconfined?", Given::default()),
            ("seccompProfile:\n  type: RuntimeDefault", Given::default()),
            ("docker run --security-opt seccomp=mine.json x", Given::default()),
            ("It works with:\n\n  docker run --privileged x\n\nWithout it:", Given::default()),
            ("# docker run --privileged would be the last resort", Given::default()),
            ("> docker run --privileged x", Given::default()),
            ("# privileged: true", Given::default()),
            ("# \"runArgs\": [\"--privileged\"]", Given::default()),
            ("// \"runArgs\": [\"--privileged\"]", Given::default()),
            ("Set privileged: true", Given::default()),
            ("A pod needs\n[ \"--privileged\" ]", Given::default()),
            ("Add one of\n- --privileged\n- seccomp=unconfined", Given::default()),
            ("Workaround:\n--security-opt seccomp=unconfined", Given::default()),
            ("- name: a\n  securityContext:\n    privileged: true\n- name: b", Given::default()),
            (
                "seccompProfile:\n  type: Unconfined\nseccompProfile:\n  type: RuntimeDefault",
                Given::default(),
            ),
            ("- image: a\n  securityContext:\n    privileged: true\n- image: b", Given::default()),
        ] {
            assert_eq!(given(text), all, "{text}");
        }
    }
}
