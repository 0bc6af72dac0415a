//! Whether a text denies what it names: `not in docker`, `- [ ] Docker`, `it works in docker`, `kein Docker`; and where it says by that
//! that bwrap ran on the machine itself.

use super::words::{clause, stands};

/// Whether a line, in small letters, has one of these words, none of them a part of a longer one or denied.
pub(super) fn holds(line: &str, words: &[&str]) -> bool {
    stands(line, words, |before, after| !is_denied(before, after))
}

/// What denies the very next word, in some languages.
const BEFORE: &[&str] = &[
    "not ",
    "not a ",
    "not an ",
    "not in a ",
    "not in any ",
    "not inside a ",
    "not inside ",
    "not on ",
    "n't ",
    "n't a ",
    "n't in a ",
    "no ",
    "nor ",
    "nor in ",
    "neither ",
    "without ",
    "without a ",
    "without any ",
    "instead of ",
    "rather than ",
    "outside ",
    "outside a ",
    "outside the ",
    "outside of ",
    "outside of a ",
    "outside of the ",
    "kein ",
    "keine ",
    "keinen ",
    "keinem ",
    "ohne ",
    // and not `es geht nicht in Docker`
    "ist nicht ",
    "sind nicht ",
    "bin nicht ",
    "und nicht ",
    ", nicht ",
    "ist nicht in ",
    "ist nicht im ",
    "ist nicht in einem ",
    "sind nicht in ",
    "bin nicht in ",
    "bin nicht in einem ",
    "pas de ",
    "pas dans ",
    "pas dans un ",
    "aucun ",
    "sin ",
    "ning\u{fa}n ",
    "no en un ",
    "no estoy en un ",
    "senza ",
    "nessun ",
    "sem ",
    "zonder ",
    "geen ",
    "bez ",
    "\u{431}\u{435}\u{437} ",
    "\u{43d}\u{435} \u{432} ",
];

/// What denies a word that stands soon after it.
const NEAR: &[&str] = &[
    "not running ",
    "not using ",
    "not in ",
    "[ ] ",
    "not use ",
    "n't use ",
    "n't using ",
    "no longer use ",
    "no longer using ",
    "stopped using ",
    "used to run ",
    "used to use ",
    "away from ",
    "migrated from ",
];

/// What says of a failure that it does not happen in what is named after it.
const UNSEEN: &[&str] = &[
    "not happen",
    "n't happen",
    "never happen",
    "not occur",
    "n't occur",
    "never occur",
    "not reproduc",
    "cannot reproduc",
    "n't reproduc",
    "not fail",
    "n't fail",
    "never fail",
    "not see this",
    "n't see this",
    "not see it ",
    "n't see it ",
];

/// What says so behind it.
const BEHIND: &[&str] = &[
    "? no",
    ": no",
    ": false",
    " works",
    " it works",
    ", it works",
    " all works",
    " everything works",
    ", everything works",
    ", this works",
    " this works",
    " it is fine",
    " \u{6ca1}\u{6709}",
    " it's fine",
    " is not used",
    " isn't used",
    " is not involved",
    " isn't involved",
    " not involved",
];

/// Words of a line that compares places: what it says of one is not where this failed.
const COMPARES: &[&str] = &[
    "works",
    "worked",
    "work ",
    "fine",
    "no problem",
    "no issue",
    "reproduc",
    "happen",
    "succeed",
    "ssh ",
    "from my",
    "while ",
    "whereas",
    "unlike",
    "k3s",
    "k0s",
    "microk8s",
    "minikube",
    "eks",
    "gke",
    "aks",
    "cluster",
    "runner",
];

/// What is not done any more: `we don't use Docker any more`, and not `it fails in Docker since then`.
const GIVEN_UP: &[&str] = &["use ", "using ", "run in ", "running in ", "run on ", "running on "];

/// Whether what stands between these, in small letters, is said not to be so here.
pub(super) fn is_denied(before: &str, after: &str) -> bool {
    let last = |count: usize| {
        before.char_indices().rev().nth(count).map_or(before, |(at, _)| before.get(at..).unwrap_or(before))
    };
    let has = |text: &str, words: &[&str]| words.iter().any(|word| text.contains(word));
    let near = last(24);
    let clause = clause(near, "").concat();
    let works = has(&clause, &["works ", "worked "])
        && !has(near, &["not ", "n't ", "no longer ", "never ", "only ", "stopped "]);
    // what a sentence says of a failure is not said of the next one's
    let sentence = last(80).rsplit(['.', '!', '?', ';']).next().unwrap_or_default();
    let sentence = sentence.rsplit(" but ").next().unwrap_or_default();
    let unseen = has(sentence, UNSEEN) && !has(sentence, &["why "]);
    let given_up =
        [" any more", " anymore"].iter().any(|words| after.starts_with(words)) && has(near, GIVEN_UP);
    let near_by = NEAR.iter().any(|no| {
        // `away from docker to podman`, `we can't use docker`
        near.rsplit_once(no).is_some_and(|(head, rest)| !rest.contains("to ") && !head.ends_with("ca"))
    });
    let unquoted = after.trim_start_matches(['`', '"', '\'', '*']);
    let behind = BEHIND.iter().filter_map(|words| unquoted.strip_prefix(words));
    // `in docker works only as root`, and not `workspace`
    let behind =
        behind.map(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()) && !rest.starts_with(" only"));
    is_refused(before) || works || near_by || given_up || unseen || behind.into_iter().any(|denied| denied)
}

/// Whether the very words before deny it.
fn is_refused(before: &str) -> bool {
    BEFORE.iter().any(|no| {
        let head = before.strip_suffix(no);
        head.is_some_and(|head| no.starts_with("n't") || !head.ends_with(char::is_alphanumeric))
    })
}

/// What makes of a program's name a mention of it.
const MENTIONED: &[&str] = &[
    "also have ",
    "also have a ",
    "i have ",
    "we have ",
    "also use ",
    "also using ",
    "also installed ",
    "like ",
    "unlike ",
    "as in ",
    "as with ",
    "similar to ",
    "besides ",
    "other than ",
    "such as ",
    "e.g. ",
    "used by ",
];

/// The same behind it; the last is a file that others make for what looks for it.
const MENTIONED_BEHIND: &[&str] = &[
    " is installed",
    " installed",
    " is also",
    " as well",
    " too.",
    " too,",
    " is there",
    " is fine",
    " uses ",
    "-info",
];

/// Whether a program whose name stands between these is only mentioned.
pub(super) fn is_in_passing(before: &str, after: &str) -> bool {
    let head = before.trim_end_matches(['`', '"', '\'', '*']);
    let rest = after.trim_start_matches(['`', '"', '\'', '*']);
    MENTIONED.iter().any(|words| head.ends_with(words))
        || MENTIONED_BEHIND.iter().any(|words| rest.starts_with(words))
}

/// Words of what a process may be in.
pub(super) const CONTAINERS: &[&str] = &[
    "container",
    "containers",
    "containerized",
    "devcontainer",
    "docker",
    "dockerfile",
    "podman",
    "kubernetes",
    "k8s",
    "pod",
    "pods",
    "lxc",
    "lxd",
    "incus",
    "conteneur",
    "contenedor",
    "contenitore",
    "\u{43a}\u{43e}\u{43d}\u{442}\u{435}\u{439}\u{43d}\u{435}\u{440}",
    "\u{43a}\u{43e}\u{43d}\u{442}\u{435}\u{439}\u{43d}\u{435}\u{440}\u{435}",
];

/// Words of a machine that is none of these.
const MACHINES: &[&str] = &[
    "bare metal",
    "bare-metal",
    "baremetal",
    "my laptop",
    "my desktop",
    "physical machine",
    "real hardware",
    "auf blech",
];

/// Whether a line speaks of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// It may be in one.
    Perhaps,
    /// It is said to be in none.
    No,
}

/// What a line in small letters says of containers, if anything.
pub(super) fn inside(line: &str) -> Option<Inside> {
    let mut said = None;
    let compares = COMPARES.iter().any(|words| line.contains(words));
    for (start, word) in words(line) {
        let (before, after) =
            (line.get(..start).unwrap_or_default(), line.get(start + word.len()..).unwrap_or_default());
        // https://github.com/containers/bubblewrap
        if !CONTAINERS.contains(&word) || after.starts_with('/') || before.ends_with('/') {
            continue;
        }
        if is_refused(before) {
            said = (!compares).then_some(Inside::No);
        } else if !is_denied(before, after) {
            return Some(Inside::Perhaps);
        }
    }
    let machine = MACHINES.iter().any(|words| {
        line.match_indices(words).any(|(at, _)| {
            let (before, after) =
                (line.get(..at).unwrap_or_default(), line.get(at + words.len()..).unwrap_or_default());
            !is_denied(before, after)
        })
    });
    said.or((machine && !compares).then_some(Inside::No))
}

/// The words of a line, and where each begins.
pub(super) fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
    let start = move |word: &str| word.as_ptr().addr().saturating_sub(line.as_ptr().addr());
    words.filter(|word| !word.is_empty()).map(move |word| (start(word), word))
}
