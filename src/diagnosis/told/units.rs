//! What a text shows of a unit of systemd's.

use super::words::sentences;

/// Settings of units that concern bwrap.
const UNIT: &[&str] = &[
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "DynamicUser",
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateUsers",
    "ProcSubset",
    "ProtectKernelLogs",
    "ProtectKernelTunables",
    "ProtectProc",
    "RestrictNamespaces",
    "RestrictSUIDSGID",
    "SystemCallFilter",
];

/// What covers parts of /proc for a unit.
const COVERING: &[&str] = &["ProtectKernelTunables", "ProcSubset"];

/// Settings of a unit.
pub(super) fn unit_settings(line: &str) -> Vec<String> {
    if let Some(list) = list(line) {
        return vec![list];
    }
    // as Nix writes it
    let line =
        line.replace("lib.mkForce ", "").replace("mkForce ", "").replace(" = ", "=").replace("=\"", "=");
    // alone on a line, as in a file, of systemctl(1) or in a heading; one mark makes it a comment
    let line = if line.starts_with("##") { line.trim_start_matches('#').trim_start() } else { line.as_str() };
    let mut all: Vec<String> = words(line).take(1).filter_map(setting).collect();
    // an argument of systemd-run(1), or said to be set: others only speak of them
    let runs = line.contains("systemd-run");
    let told =
        sentences(line).into_iter().flat_map(|sentence| if runs { vec![sentence] } else { set_in(sentence) });
    all.extend(told.flat_map(words).filter_map(setting));
    all.extend(sentences(line).into_iter().filter_map(said_to_cover).map(str::to_owned));
    all.sort_unstable();
    all.dedup();
    all
}

/// The parts of a sentence that say of a setting that a unit has it: all of it, or clauses of one that supposes nothing.
fn set_in(sentence: &str) -> Vec<&str> {
    let lower = sentence.to_ascii_lowercase();
    if says_set(&lower) {
        return vec![sentence];
    }
    let supposed = ["if ", "?", "should", "remov", "would"].iter().any(|word| lower.contains(word));
    let clauses = sentence.split(", ").flat_map(|part| part.split(" \u{2014} "));
    clauses.filter(|clause| !supposed && says_set(&clause.to_ascii_lowercase())).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || "`\"',;|>".contains(c)).filter(|word| !word.is_empty())
}

/// A word that is a setting with its value, without what Nix puts before its name.
fn setting(word: &str) -> Option<String> {
    let (path, value) = word.split_once('=')?;
    let name = path.rsplit('.').next().filter(|name| UNIT.contains(name))?;
    Some(format!("{name}={value}"))
}

/// The setting of which a sentence says, by its name alone, what it does to /proc: `ProtectKernelTunables binds /proc/sys`.
fn said_to_cover(sentence: &str) -> Option<&'static str> {
    let lower = sentence.to_ascii_lowercase();
    let (name, after) = COVERING
        .iter()
        .find_map(|name| Some((*name, sentence.split_once(name)?.1)))
        .filter(|(_, after)| !after.starts_with('='))?;
    let does = ["binds ", "mounts ", "covers ", "hides ", "masks ", "makes "];
    let covers = after.contains("/proc") && does.iter().any(|verb| after.contains(verb));
    (covers && !says_changed(&lower)).then_some(name)
}

/// A setting whose value is a list of words, alone on its line: `RestrictNamespaces=user mnt`.
fn list(line: &str) -> Option<String> {
    let line = line.trim();
    let (name, value) = line.split_once('=')?;
    let listed = ["RestrictNamespaces", "SystemCallFilter"].contains(&name);
    let word = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || "@~_0123456789-".contains(c));
    (listed && value.contains(' ') && value.split_whitespace().all(word)).then(|| line.to_owned())
}

/// Whether a sentence, in small letters, says of a setting that a unit has it, or that it was to blame, and not that somebody
/// changes it.
fn says_set(sentence: &str) -> bool {
    let set = [
        " is set",
        " are set",
        " set in the unit",
        " in the unit",
        " in my unit",
        " in its unit",
        "unit has ",
        "unit sets ",
        "service has ",
        "service sets ",
        "runs with ",
        "running with ",
        "started with ",
        "hardened with ",
        "under ",
        " blocked ",
        " blocks ",
        " forbids ",
        " breaks ",
        " prevents ",
    ];
    set.iter().any(|words| sentence.contains(words)) && !says_changed(sentence)
}

/// Whether a sentence, in small letters, says that somebody changes something, or might.
fn says_changed(sentence: &str) -> bool {
    let changes = [
        "remov",
        "without",
        "not ",
        "n't ",
        "no longer",
        "drop",
        "delet",
        "try",
        "should",
        "if ",
        "after ",
        "before ",
        "add",
        "?",
        "instead",
        "chang",
        "comment",
        "until",
        "unset",
        "disabl",
    ];
    changes.iter().any(|words| sentence.contains(words))
}

/// Whether a setting of a unit takes something away that bwrap needs. Lists say what is left, unless they begin with a tilde.
pub(super) fn is_on(setting: &str) -> bool {
    let lacks = |list: &str, needed: &[&str]| {
        let words: Vec<&str> = list.split_whitespace().collect();
        !words.is_empty() && !needed.iter().any(|need| words.contains(need))
    };
    match setting.split_once('=') {
        // said to do what it does
        None | Some(("RestrictNamespaces", "yes" | "true" | "on" | "1")) => true,
        Some(("RestrictNamespaces" | "SystemCallFilter", value)) if value.starts_with('~') => true,
        Some(("RestrictNamespaces", "no" | "false" | "off" | "0")) => false,
        // most callers want one of these beside the two that bwrap cannot do without
        Some(("RestrictNamespaces", value)) => lacks(value, &["pid"]),
        Some(("SystemCallFilter", value)) => {
            value.starts_with('@') && lacks(value, &["@mount", "mount", "@default"])
        }
        Some((_, value)) => !["", "no", "false", "off", "0", "all", "default"].contains(&value),
    }
}
