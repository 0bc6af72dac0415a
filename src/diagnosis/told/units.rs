//! What a text shows of a unit of systemd's.

use super::mood::{self, Mood};
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
    // alone on a line, as in a file, of systemctl(1) or alone in a heading; one mark makes it a comment
    let heading = line.strip_prefix("##").map(|rest| rest.trim_start_matches('#').trim());
    let line = heading.filter(|rest| words(rest).count() == 1).unwrap_or(&line);
    let mut all: Vec<String> = words(line).take(1).filter_map(setting).collect();
    // a set of them on one line
    if let Some((_, set)) = line.split_once("serviceConfig={").filter(|(head, _)| !head.contains('#')) {
        all.extend(words(set).filter_map(setting));
    }
    // an argument of systemd-run(1), or said to be set: others only speak of them
    let runs = line.contains("systemd-run");
    let told =
        sentences(line).into_iter().filter(|sentence| runs || says_set(&sentence.to_ascii_lowercase()));
    all.extend(told.flat_map(words).filter_map(setting));
    all.extend(sentences(line).into_iter().filter_map(said_to_cover).map(str::to_owned));
    all.sort_unstable();
    all.dedup();
    all
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || "`\"',;|>".contains(c)).filter(|word| !word.is_empty())
}

/// A word that is a setting with its value, without what Nix puts before its name.
fn setting(word: &str) -> Option<String> {
    let (path, value) = word.split_once('=')?;
    // and not what makes a comment of it
    let is_path = path.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c));
    let name = path.rsplit('.').next().filter(|name| is_path && UNIT.contains(name))?;
    Some(format!("{name}={value}"))
}

/// The setting of which a sentence says, by its name alone, what it does to /proc: `ProtectKernelTunables` binds /proc/sys. It begins
/// with that, as what somebody found out does; others quote a manual, or compare.
fn said_to_cover(sentence: &str) -> Option<&'static str> {
    let start = sentence.trim_start_matches(|c: char| c.is_whitespace() || "-*`\"'".contains(c));
    let (name, after) = COVERING.iter().find_map(|name| Some((*name, start.strip_prefix(name)?)))?;
    let after = after.trim_start_matches(['`', '"', '\'', '*']).strip_prefix(' ')?;
    let after =
        after.strip_prefix("read-only ").or_else(|| after.strip_prefix("read-only-")).unwrap_or(after);
    let does = ["binds ", "bind-mounts ", "mounts ", "covers ", "hides ", "masks ", "makes "];
    let covers = after.contains("/proc") && does.iter().any(|verb| after.starts_with(verb));
    let general = [
        "not ",
        " in units",
        "services",
        "other units",
        "according to",
        "manual",
        "man page",
        "documentation",
    ];
    let lower = sentence.to_ascii_lowercase();
    let quotes = general.iter().any(|words| lower.contains(words));
    (covers && !quotes && is_plain(&lower)).then_some(name)
}

/// Whether a sentence says what is so now. A unit is often said to be on a server, or to have what it needs or what is usual.
fn is_plain(sentence: &str) -> bool {
    let otherwise = Mood::ASKS | Mood::SUPPOSES | Mood::DENIES | Mood::CHANGES | Mood::REMEMBERS;
    !mood::of(sentence).intersects(otherwise)
}

/// A setting whose value is a list of words, alone on its line: `RestrictNamespaces=user mnt`.
fn list(line: &str) -> Option<String> {
    let line = line.trim();
    let (name, value) = line.split_once('=')?;
    let listed = ["RestrictNamespaces", "SystemCallFilter"].contains(&name);
    let word = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || "@~_0123456789-".contains(c));
    (listed && value.contains(' ') && value.split_whitespace().all(word)).then(|| line.to_owned())
}

/// Whether a sentence, in small letters, says of a setting that a unit has it, and not that somebody changes it.
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
    ];
    // somebody else's unit, or one that nothing fails in
    let others =
        ["not ", "'s unit", "'s service", "linter", " works", "fine", "try ", "e.g.", "other ", "their "];
    let has = |all: &[&str]| all.iter().any(|words| sentence.contains(words));
    has(&set) && !has(&others) && is_plain(sentence)
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
