//! What a line gives a container, in whatever form it stands there: options of a command, lists in files of tools, fields of a manifest in
//! YAML or JSON, a sentence that says so.

use super::mood::{self, Mood};
use super::words::sentences;

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
    pub(super) const ALL: Self = Self { unfiltered: true, unconfined: true, unmasked: true };
    pub(super) const FILTER: Self = Self { unfiltered: true, unconfined: false, unmasked: false };
    pub(super) const PROFILE: Self = Self { unfiltered: false, unconfined: true, unmasked: false };
    pub(super) const PROC: Self = Self { unfiltered: false, unconfined: false, unmasked: true };

    /// Whether it was given everything, as a privileged container is.
    pub(super) fn is_all(self) -> bool {
        self == Self::ALL
    }

    pub(super) fn both(self, other: Self) -> Self {
        Self {
            unfiltered: self.unfiltered || other.unfiltered,
            unconfined: self.unconfined || other.unconfined,
            unmasked: self.unmasked || other.unmasked,
        }
    }

    pub(super) fn common(self, other: Self) -> Self {
        Self {
            unfiltered: self.unfiltered && other.unfiltered,
            unconfined: self.unconfined && other.unconfined,
            unmasked: self.unmasked && other.unmasked,
        }
    }
}

/// What options give, wherever they are: in a command, a file of Docker Compose's, a list of JSON.
const OPTIONS: &[(&str, Given)] = &[
    ("seccomp=unconfined", Given::FILTER),
    ("seccomp:unconfined", Given::FILTER),
    ("apparmor=unconfined", Given::PROFILE),
    ("apparmor:unconfined", Given::PROFILE),
    ("systempaths=unconfined", Given::PROC),
    ("systempaths:unconfined", Given::PROC),
    ("unmask=all", Given::PROC),
    ("--privileged", Given::ALL),
];

/// What fields of a manifest give, without what YAML, JSON and sentences have between the words.
const FIELDS: &[(&str, Given)] = &[
    ("seccompprofile type unconfined", Given::FILTER),
    ("apparmorprofile type unconfined", Given::PROFILE),
    ("seccompprofile unconfined", Given::FILTER),
    ("apparmorprofile unconfined", Given::PROFILE),
    ("procmount unmasked", Given::PROC),
    ("privileged true", Given::ALL),
];

/// What runs a container.
pub(super) const RUNS: &[&str] =
    &["docker run", "docker create", "podman run", "podman create", "nerdctl run"];

/// A line without the time before it, as logs have it.
pub(super) fn bare(line: &str) -> &str {
    let line = line.trim();
    let timed = line.strip_prefix('[').unwrap_or(line);
    let end = timed.find([' ', ']']).unwrap_or(timed.len());
    let (time, rest) = timed.split_at_checked(end).unwrap_or((timed, ""));
    let digits = time.bytes().filter(u8::is_ascii_digit).count();
    let of_time = |byte: u8| byte.is_ascii_digit() || b"-:.+tz".contains(&byte);
    let is = digits >= 6 && time.contains(':') && time.bytes().all(of_time);
    if is { rest.trim_start_matches(']').trim_start() } else { line }
}

/// What the options in a text in small letters give.
pub(super) fn options(text: &str) -> Given {
    let apart = |c: char| c.is_whitespace() || "\"'`,[]()".contains(c);
    let words = text.split(apart).map(|word| word.trim_end_matches(['.', ':', ';']));
    let given = words.filter_map(|word| {
        let word = word.strip_prefix("--security-opt=").unwrap_or(word);
        OPTIONS.iter().find(|(words, _)| word == *words).map(|(_, given)| *given)
    });
    given.fold(Given::default(), Given::both)
}

/// What the fields in a text in small letters give, where name and value stand in one line.
pub(super) fn fields(text: &str) -> Given {
    let apart = |c: char| c.is_whitespace() || "{}[]\"'`,:=".contains(c);
    let words: Vec<&str> = text.split(apart).filter(|word| !word.is_empty()).collect();
    let text = format!(" {} ", words.join(" "));
    let given = FIELDS.iter().filter(|(field, _)| text.contains(&format!(" {field} ")));
    given.fold(Given::default(), |all, (_, one)| all.both(*one))
}

/// Whether a line is of JSON, or of YAML in braces, and has several fields: `{"runArgs": [..], "remoteUser": ..}`.
pub(super) fn is_data(line: &str) -> bool {
    let line = line.trim_start_matches(['-', ' ']);
    let key = line.split(':').next().filter(|_| line.contains(':')).unwrap_or(" ");
    let name = key.trim_matches(['"', '\'']);
    let named =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    line.starts_with(['{', '[']) || line.starts_with('"') && named || named && line.contains(": {")
}

/// Lists of options, in files of tools.
pub(super) const LISTS: &[&str] =
    &["\"runargs\"", "\"securityopt\"", "security_opt", "hostconfig.securityopt"];

/// What says that something was done, or is so.
const DONE: &[&str] = &[
    "already",
    "still",
    "i ran",
    "i run",
    "we run",
    "i set",
    "we set",
    "i've set",
    "i have set",
    "we've set",
    "we have set",
    "i start",
    "we start",
    "i use",
    "we use",
    "i tried",
    "i've tried",
    "we tried",
    "tried with",
    "even with",
    "despite",
    "although",
    "started with",
    "running with",
    "run with",
    "runs with",
    "launched with",
    "created with",
    "pod has",
    "container has",
    "pod with",
    "container with",
];

/// What says that it did not help.
const IN_VAIN: &[&str] = &[
    "doesn't work",
    "does not work",
    "didn't work",
    "did not work",
    "don't work",
    "won't work",
    "not working",
    "doesn't help",
    "does not help",
    "didn't help",
    "did not help",
    "no luck",
    "no effect",
    "no difference",
    "nothing changed",
    "tried",
];

/// What says that it helps, would help, or is somebody's advice; and of what `mood::of` has, what stands in commands as well.
const OTHERWISE: &[&str] = &[
    "work",
    "help",
    "fix",
    "solv",
    "resolv",
    "recommend",
    "suggest",
    "propos",
    "want",
    "could",
    "can ",
    "may ",
    "might",
    "will ",
    "allow",
    "please",
    "see ",
    "note",
    "only ",
    "not ",
    "no ",
    " or ",
    " is ",
    " are ",
    "last resort",
    "avoid",
    "have to",
    "use `",
    "use -",
    "run it ",
    // somebody else's
    "colleague",
    " his ",
    " her ",
    " their ",
    "another",
    " ci ",
];

/// What somebody tells others to do begins with this.
const COMMANDS: &[&str] = &["use ", "run ", "start ", "set ", "pass ", "see ", "or ", "with "];

/// What a sentence says to have been given, and whether that is in a command: `we already run it with seccomp=unconfined, still:`.
pub(super) fn said(line: &str) -> Given {
    // whose stops end no sentence
    if ["e.g.", "i.e."].iter().any(|words| line.contains(words)) {
        return Given::default();
    }
    let vain = |text: &str| IN_VAIN.iter().any(|words| text.contains(words));
    let done = vain(line) || DONE.iter().any(|words| line.contains(words));
    // a heading, a line of a list of what could be done
    let told = |sentence: &&str| {
        let prose = prose(sentence);
        let runs = RUNS.iter().any(|run| sentence.contains(run));
        let without = IN_VAIN.iter().fold(prose, |text, words| text.replace(words, " "));
        let begins = without.trim_start_matches(['-', '*', '`', ' ']);
        let begins = format!("{begins} ");
        let begins = COMMANDS.iter().any(|words| begins.starts_with(words));
        // in which the first and the last are whole words, too
        let words = format!(" {} ", without.replace("run it with", "run with"));
        let mood = mood::of(&words) - Mood::POINTS_AWAY;
        (runs || done) && !begins && mood.is_empty() && !OTHERWISE.iter().any(|word| words.contains(word))
    };
    let told = sentences(line).into_iter().filter(told);
    told.fold(Given::default(), |all, sentence| all.both(options(sentence)).both(fields(sentence)))
}

/// A sentence without commands and what belongs to them: options, paths, what stands in backticks.
fn prose(sentence: &str) -> String {
    let quoted = |(index, part): (usize, &str)| {
        let command = RUNS.iter().any(|run| part.contains(run)) || options(part) != Given::default();
        (index % 2 == 0 || !command).then(|| part.to_owned())
    };
    let text: String = sentence.split('`').enumerate().filter_map(quoted).collect::<Vec<_>>().join(" ");
    let text = RUNS.iter().fold(text, |text, run| text.replace(run, " "));
    let word = |word: &&str| !word.starts_with('-') && !word.contains(['=', '/']);
    text.split_whitespace().filter(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sentence_says_to_be_given_is_read() {
        for (line, given) in [
            (
                "on debian 10 i start it with docker run --privileged -u 1000 img bwrap --ro-bind / / true and get",
                Given::ALL,
            ),
            ("debian 10 host: docker run --privileged -u 1000 img bwrap", Given::ALL),
            ("i ran `docker run --security-opt seccomp=unconfined --add-host x img` and got", Given::FILTER),
            ("we already run the docker container with seccomp=unconfined, still:", Given::FILTER),
            ("our kubernetes pod has seccompprofile type unconfined, but", Given::FILTER),
            ("i already set systempaths=unconfined in compose and still:", Given::PROC),
            ("i've tried --privileged and apparmor=unconfined, no luck:", Given::ALL),
            ("it does not work even with --privileged", Given::ALL),
            (
                "we set procmount: unmasked and hostusers: false in the pod spec on aks but it still fails:",
                Given::PROC,
            ),
            ("the pod has hostusers: false and procmount: unmasked, kubectl apply accepted it.", Given::PROC),
            ("in our aks pod with seccompprofile unconfined and runasuser 1000", Given::FILTER),
            ("pod with privileged: true, runasuser: 1000 on gke", Given::ALL),
        ] {
            assert_eq!(said(line), given, "{line}");
        }
        for line in [
            "it works with --privileged",
            "it works in a docker container (docker run --privileged x) but fails on my laptop",
            "use docker run --privileged",
            "i run it with the default, should i use docker run --privileged?",
            "if i run docker run --privileged it starts",
            "docker run --privileged is what the docs say",
            "workaround: docker run --privileged x",
            "we already know that --privileged would be too much",
            "i still want to avoid --privileged",
            "i can't use --privileged, still:",
            "we run without --privileged",
            "i removed --privileged already",
            "it needs --privileged or seccomp=unconfined, still",
            "e.g. docker run --privileged x",
            "a privileged container is needed already",
            "the ci container has --privileged, the dev container has not",
            "my colleague started his container with seccomp=unconfined and has the same error.",
            "another container has seccomp=unconfined",
        ] {
            assert_eq!(said(line), Given::default(), "{line}");
        }
    }

    #[test]
    fn fields_are_read_in_every_form() {
        for (line, given) in [
            ("seccompprofile: {type: unconfined}", Given::FILTER),
            ("securitycontext: { runasuser: 1000, seccompprofile: { type: unconfined } }", Given::FILTER),
            (
                r#"{"securitycontext":{"seccompprofile":{"type":"unconfined"},"procmount":"unmasked"}}"#,
                Given::FILTER.both(Given::PROC),
            ),
            ("privileged: true", Given::ALL),
            ("seccompprofile: {type: runtimedefault}", Given::default()),
            ("privileged: false", Given::default()),
            ("unprivileged: true", Given::default()),
        ] {
            assert_eq!(fields(line), given, "{line}");
        }
        assert_eq!(options(r#""runargs": ["--security-opt", "seccomp=unconfined"],"#), Given::FILTER);
        assert_eq!(options(r#""runargs": ["--security-opt=seccomp=unconfined"]"#), Given::FILTER);
        assert_eq!(options("seccomp=unconfined.json"), Given::default());
    }

    #[test]
    fn a_time_is_left_out() {
        assert_eq!(bare("2026-07-20t10:11:12.1234567z docker run x"), "docker run x");
        assert_eq!(bare("[2025-01-01t00:00:00.000z] + docker run x"), "+ docker run x");
        assert_eq!(bare("10:11:12 docker run x"), "docker run x");
        assert_eq!(bare("user: \"1000\""), "user: \"1000\"");
    }
}
