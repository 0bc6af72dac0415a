//! What a text shows of a unit of systemd's.

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

/// Settings of a unit.
pub(super) fn unit_settings(line: &str) -> impl Iterator<Item = String> {
    let words =
        line.split(|c: char| c.is_whitespace() || "`\"',;|>".contains(c)).filter(|word| !word.is_empty());
    // alone on a line, as in a file or of systemctl(1), an argument of systemd-run(1), or said to be set: others only speak of them
    let all = line.contains("systemd-run") || says_set(&line.to_ascii_lowercase());
    let setting = |word: &&str| word.split_once('=').is_some_and(|(name, _)| UNIT.contains(&name));
    let few = words.take(if all { usize::MAX } else { 1 }).filter(setting).map(str::to_owned);
    list(line).map_or_else(|| few.collect(), |list| vec![list]).into_iter()
}

/// A setting whose value is a list of words, alone on its line: `RestrictNamespaces=user mnt`.
fn list(line: &str) -> Option<String> {
    let line = line.trim();
    let (name, value) = line.split_once('=')?;
    let listed = ["RestrictNamespaces", "SystemCallFilter"].contains(&name);
    let word = |word: &str| word.chars().all(|c| c.is_ascii_lowercase() || "@~_0123456789-".contains(c));
    (listed && value.contains(' ') && value.split_whitespace().all(word)).then(|| line.to_owned())
}

/// Whether a line, in small letters, says of a setting that a unit has it, and not that somebody changes it.
fn says_set(line: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let set = has(&[
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
    ]);
    let changes = has(&[
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
    ]);
    set && !changes
}

/// Whether a setting of a unit takes something away that bwrap needs. Lists say what is left, unless they begin with a tilde.
pub(super) fn is_on(setting: &str) -> bool {
    let lacks = |list: &str, needed: &[&str]| {
        let words: Vec<&str> = list.split_whitespace().collect();
        !words.is_empty() && !needed.iter().any(|need| words.contains(need))
    };
    match setting.split_once('=') {
        Some(("RestrictNamespaces", "yes" | "true" | "on" | "1")) => true,
        Some(("RestrictNamespaces" | "SystemCallFilter", value)) if value.starts_with('~') => true,
        None | Some(("RestrictNamespaces", "no" | "false" | "off" | "0")) => false,
        // most callers want one of these beside the two that bwrap cannot do without
        Some(("RestrictNamespaces", value)) => lacks(value, &["pid"]),
        Some(("SystemCallFilter", value)) => {
            value.starts_with('@') && lacks(value, &["@mount", "mount", "@default"])
        }
        Some((_, value)) => !["", "no", "false", "off", "0", "all", "default"].contains(&value),
    }
}
