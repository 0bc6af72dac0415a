//! What a text shows to have been done already, before it failed: options of a container's engine, fields of a pod's manifest.

/// What a container was given. Nothing of it is asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Given {
    /// No system call filter.
    pub(super) unfiltered: bool,
    /// No AppArmor profile.
    pub(super) unconfined: bool,
    /// A whole /proc.
    pub(super) unmasked: bool,
}

impl Given {
    const ALL: Self = Self { unfiltered: true, unconfined: true, unmasked: true };

    /// Whether it was given everything, as a privileged container is.
    pub(super) fn is_all(self) -> bool {
        self == Self::ALL
    }

    fn both(self, other: Self) -> Self {
        Self {
            unfiltered: self.unfiltered || other.unfiltered,
            unconfined: self.unconfined || other.unconfined,
            unmasked: self.unmasked || other.unmasked,
        }
    }

    fn common(self, other: Self) -> Self {
        Self {
            unfiltered: self.unfiltered && other.unfiltered,
            unconfined: self.unconfined && other.unconfined,
            unmasked: self.unmasked && other.unmasked,
        }
    }
}

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
    field: Option<&'static str>,
}

/// What options and fields give, wherever they are: in a command, a file of Docker Compose's, a manifest.
const OPTIONS: &[(&str, Given)] = &[
    ("seccomp=unconfined", Given { unfiltered: true, unconfined: false, unmasked: false }),
    ("seccomp:unconfined", Given { unfiltered: true, unconfined: false, unmasked: false }),
    ("apparmor=unconfined", Given { unfiltered: false, unconfined: true, unmasked: false }),
    ("apparmor:unconfined", Given { unfiltered: false, unconfined: true, unmasked: false }),
    ("systempaths=unconfined", Given { unfiltered: false, unconfined: false, unmasked: true }),
    ("unmask=all", Given { unfiltered: false, unconfined: false, unmasked: true }),
    ("--privileged", Given::ALL),
];

impl Runs {
    /// A line in small letters.
    pub(super) fn read(&mut self, line: &str) {
        let whole = line.trim();
        self.images += usize::from(whole.trim_start_matches(['-', ' ']).starts_with("image:"));
        self.names += usize::from(whole.starts_with("- name:"));
        let (works, open) = (self.works, self.open);
        let elsewhere = ["works", "workaround", "does the trick", "would be", "# ok"];
        self.works = elsewhere.iter().any(|words| whole.contains(words)) || works && whole.is_empty();
        self.open = whole == "security_opt:" || whole.ends_with('\\') || open && whole.starts_with("- ");
        let line = whole.trim_start_matches(['$', '#', ' ']);
        let line = line.strip_prefix("sudo ").unwrap_or(line);
        let options = OPTIONS.iter().filter(|(words, _)| {
            line.split([' ', '"', '\''])
                .any(|word| word == *words || word.strip_prefix("--security-opt=") == Some(words))
        });
        let options = options.fold(Given::default(), |all, (_, one)| all.both(*one));
        let runs = ["docker run", "docker create", "podman run", "podman create", "nerdctl run"];
        if runs.iter().any(|run| line.starts_with(run)) {
            let spoken =
                [" would ", " could ", " should ", " is ", "?"].iter().any(|word| line.contains(word));
            self.all.push(if works || self.works || spoken { Given::default() } else { options });
        } else if line.starts_with('-') {
            // a command goes on, or a list of Docker Compose's
            self.add(if open && !works { options } else { Given::default() });
        } else {
            // with what marks a comment
            let field = self.field(whole);
            self.add(field);
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
        let filter = Given { unfiltered: true, ..Given::default() };
        let profile = Given { unconfined: true, ..Given::default() };
        let before = self.field.take();
        let line = line.trim_end_matches([',', ' ']);
        match (line, before) {
            ("seccompprofile:", _) => self.field = Some("seccomp"),
            ("apparmorprofile:", _) => self.field = Some("apparmor"),
            ("type: unconfined", Some("seccomp")) => return filter,
            ("type: unconfined", Some("apparmor")) => return profile,
            ("seccompprofile: {type: unconfined}" | "seccompprofile: { type: unconfined }", _) => {
                return filter;
            }
            ("apparmorprofile: {type: unconfined}" | "apparmorprofile: { type: unconfined }", _) => {
                return profile;
            }
            ("privileged: false", _) => self.mixed = true,
            (other, Some(_)) if other.starts_with("type:") => self.mixed = true,
            ("procmount: unmasked", _) => return Given { unmasked: true, ..Given::default() },
            ("privileged: true" | "\"privileged\": true", _) => return Given::ALL,
            _ => {}
        }
        Given::default()
    }

    /// What was given to each.
    pub(super) fn given(&self) -> Given {
        let all = self.all.iter().copied().filter(|_| self.images.max(self.names) <= 1 && !self.mixed);
        all.reduce(Given::common).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Given {
        let mut runs = Runs::default();
        for line in text.lines() {
            runs.read(&line.to_ascii_lowercase());
        }
        runs.given()
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
            // another one was given nothing, and what is only spoken of is not done
            ("docker run --privileged x\ndocker run x", Given::default()),
            ("It works with --privileged", Given::default()),
            ("Should I use docker run --security-opt seccomp=unconfined?", Given::default()),
            ("seccompProfile:\n  type: RuntimeDefault", Given::default()),
            ("docker run --security-opt seccomp=mine.json x", Given::default()),
            ("It works with:\n\n  docker run --privileged x\n\nWithout it:", Given::default()),
            ("# docker run --privileged would be the last resort", Given::default()),
            ("> docker run --privileged x", Given::default()),
            ("# privileged: true", Given::default()),
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
