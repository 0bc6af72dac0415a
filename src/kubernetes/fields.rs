//! The fields that decide, by the place that has them, and what each holds: what the API server does not know there it refuses, or
//! drops with a warning that nobody reads.

mod siblings;

use std::path::{Component, Path};

use serde_json::Value;

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Truth,
    Id,
    Ids,
    Text,
    Texts,
    /// One of these words.
    Word(&'static [&'static str]),
    Object,
    /// A mapping with these fields and no others.
    Fields(&'static [Field]),
    /// The same, of a profile that is a file: what else must be there follows from its type.
    Profile,
    /// The same, of one that the kernel has by its name, which may be a path.
    Loaded,
    Any,
}

type Field = (&'static str, Kind);

/// What is said of variables; of those in a template of OpenShift's.
pub(super) const ENVSUBST: &str = "judge what comes of it, as with `envsubst <FILE | bwrap-doctor pod -`";
pub(super) const OC_PROCESS: &str = "judge what comes of it: `oc process -f FILE | bwrap-doctor pod -`";

/// A mapping with fields that decide.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// What makes pods, a Deployment's say: `spec` and `template`.
    Around,
    Spec,
    Container,
}

/// Of a pod's specification.
const SPEC: &[Field] = &[
    ("hostUsers", Kind::Truth),
    ("hostNetwork", Kind::Truth),
    ("hostPID", Kind::Truth),
    ("hostIPC", Kind::Truth),
    ("securityContext", Kind::Fields(POD_CONTEXT)),
    ("runtimeClassName", Kind::Text),
    ("automountServiceAccountToken", Kind::Truth),
];

/// Of a container, init container and ephemeral container.
const CONTAINER: &[Field] = &[("securityContext", Kind::Fields(CONTAINER_CONTEXT))];

/// All of a pod's security context.
const POD_CONTEXT: &[Field] = &[
    ("appArmorProfile", Kind::Loaded),
    ("fsGroup", Kind::Id),
    ("fsGroupChangePolicy", Kind::Word(&["OnRootMismatch", "Always"])),
    ("runAsGroup", Kind::Id),
    ("runAsNonRoot", Kind::Truth),
    ("runAsUser", Kind::Id),
    ("seLinuxChangePolicy", Kind::Word(&["MountOption", "Recursive"])),
    ("seLinuxOptions", Kind::Fields(SELINUX)),
    ("seccompProfile", Kind::Profile),
    ("supplementalGroups", Kind::Ids),
    ("supplementalGroupsPolicy", Kind::Word(&["Merge", "Strict"])),
    ("sysctls", Kind::Any),
    ("windowsOptions", Kind::Object),
];

/// All of a container's.
const CONTAINER_CONTEXT: &[Field] = &[
    ("allowPrivilegeEscalation", Kind::Truth),
    ("appArmorProfile", Kind::Loaded),
    ("capabilities", Kind::Fields(CAPABILITIES)),
    ("privileged", Kind::Truth),
    ("procMount", Kind::Word(&["Default", "Unmasked"])),
    ("readOnlyRootFilesystem", Kind::Truth),
    ("runAsGroup", Kind::Id),
    ("runAsNonRoot", Kind::Truth),
    ("runAsUser", Kind::Id),
    ("seLinuxOptions", Kind::Fields(SELINUX)),
    ("seccompProfile", Kind::Profile),
    ("windowsOptions", Kind::Object),
];

const CAPABILITIES: &[Field] = &[("add", Kind::Texts), ("drop", Kind::Texts)];
const SELINUX: &[Field] =
    &[("level", Kind::Text), ("role", Kind::Text), ("type", Kind::Text), ("user", Kind::Text)];
const PROFILE: &[Field] =
    &[("type", Kind::Word(&["RuntimeDefault", "Unconfined", "Localhost"])), ("localhostProfile", Kind::Text)];

/// A profile's name is no longer.
const LONGEST: usize = 4095;

/// Where else a field of this name belongs.
fn home(name: &str) -> Option<&'static str> {
    let has = |fields: &[Field]| fields.iter().any(|(field, _)| *field == name);
    match (has(SPEC), has(POD_CONTEXT), has(CONTAINER_CONTEXT)) {
        (true, ..) => Some("the spec of the pod"),
        (_, true, true) => Some("a securityContext"),
        (_, true, false) => Some("the securityContext of the pod"),
        (_, false, true) => Some("the securityContext of a container"),
        (false, false, false) => None,
    }
}

/// What is wrong with the fields of a mapping, if something is; `shown` says where it is.
pub(super) fn check(place: Place, shown: &str, object: &Value) -> Result<(), String> {
    let known = match place {
        Place::Around => &[],
        Place::Spec => SPEC,
        Place::Container => CONTAINER,
    };
    named(shown, object, known, false)
}

/// The same of fields that Kubernetes' own kinds have; what a custom resource has beside them is its own.
pub(super) use siblings::check as check_siblings;

/// With `all`, there are no other fields than these; else others may be meant for one of these all the same, or stand in the wrong
/// place.
fn named(place: &str, object: &Value, known: &[Field], all: bool) -> Result<(), String> {
    let Some(object) = object.as_object() else { return Err(format!("{place} is no mapping")) };
    for (name, value) in object {
        let shown = crate::visible::line(name);
        let found = known.iter().find(|(field, _)| field == name);
        if let Some((_, kind)) = found {
            if !value.is_null() {
                holds(&format!("{place}.{name}"), value, *kind)?;
            }
            continue;
        }
        // a port's, which stand in another place
        let of_others = ["hostIP", "hostPort"].contains(&name.as_str());
        let meant = known.iter().find(|(field, _)| !of_others && nearly(field, name));
        match (meant, home(name)) {
            (Some((field, _)), _) => return Err(format!("{place} has no field {shown}: {field} is meant")),
            (None, Some(other)) => {
                return Err(format!("{place} has no field {shown}: it belongs in {other}"));
            }
            (None, None) if all => return Err(format!("{place} has no field {shown}")),
            (None, None) => {}
        }
    }
    Ok(())
}

/// Whether a name is meant for a field's: but for capitals, `_` and `-`, and a letter that is missing, too many, another or in the
/// place of its neighbour; two of them in a long one.
fn nearly(field: &str, name: &str) -> bool {
    const LONG: usize = 12;
    let letters = |text: &str| {
        let letters = text.chars().filter(|c| !"_-".contains(*c));
        letters.map(|c| c.to_ascii_lowercase()).collect::<Vec<char>>()
    };
    let (field, name) = (letters(field), letters(name));
    let allowed = if field.len() >= LONG { 2 } else { 1 };
    // another field altogether is cheap to tell
    field.len().abs_diff(name.len()) <= allowed && distance(&field, &name) <= allowed
}

/// Damerau's and Levenshtein's, of neighbours that are exchanged once.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    let cell = |rows: &[Vec<usize>], row: usize, column: usize| {
        rows.get(row).and_then(|row| row.get(column)).copied().unwrap_or(usize::MAX / 2)
    };
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let changed = cell(&rows, i, j) + usize::from(a != b);
            let missing = (cell(&rows, i, j + 1) + 1).min(row.get(j).copied().unwrap_or_default() + 1);
            let exchanged = i > 0 && j > 0 && one.get(i - 1) == Some(b) && other.get(j - 1) == Some(a);
            let exchanged = if exchanged { cell(&rows, i - 1, j - 1) + 1 } else { usize::MAX };
            row.push(changed.min(missing).min(exchanged));
        }
        rows.push(row);
    }
    cell(&rows, one.len(), other.len())
}

fn holds(place: &str, value: &Value, kind: Kind) -> Result<(), String> {
    let id = |value: &Value| value.as_i64().is_some_and(|id| (0..=i64::from(i32::MAX)).contains(&id));
    let list = |each: &dyn Fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(each));
    let (fits, what) = match kind {
        Kind::Truth => (value.is_boolean(), "true or false".to_owned()),
        Kind::Id => (id(value), "an id".to_owned()),
        Kind::Ids => (list(&id), "a list of ids".to_owned()),
        Kind::Text => (value.is_string(), "a text".to_owned()),
        Kind::Texts => (list(&Value::is_string), "a list of texts".to_owned()),
        Kind::Word(words) => (words.iter().any(|word| value == word), words.join(" or ")),
        Kind::Object => (value.is_object(), "a mapping".to_owned()),
        Kind::Fields(known) => return named(place, value, known, true),
        Kind::Profile | Kind::Loaded => {
            named(place, value, PROFILE, true)?;
            return profile(place, value, matches!(kind, Kind::Profile));
        }
        Kind::Any => return Ok(()),
    };
    if fits {
        return Ok(());
    }
    let text = value.as_str().unwrap_or_default();
    let hint = if text.starts_with("${{") {
        format!(": {OC_PROCESS}")
    } else if text.starts_with("${") {
        format!(": {ENVSUBST}")
    } else {
        String::new()
    };
    let value: String = crate::visible::line(&value.to_string()).chars().take(40).collect();
    Err(format!("{place} must be {what}, and is {value}{hint}"))
}

/// A name of the nodes' own with `Localhost`, and with nothing else; of a file it is a path below the kubelet's directory.
fn profile(place: &str, value: &Value, file: bool) -> Result<(), String> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    match (text("type"), text("localhostProfile")) {
        (None, _) => Err(format!("{place}.type is not there: RuntimeDefault, Unconfined or Localhost")),
        (Some("Localhost"), None | Some("")) => {
            Err(format!("{place}.localhostProfile must be there where the type is Localhost"))
        }
        (Some("Localhost"), Some(name)) if !file => {
            if name.trim() != name {
                return Err(format!("{place}.localhostProfile must not have blanks around it"));
            }
            if name.len() > LONGEST {
                return Err(format!("{place}.localhostProfile must have {LONGEST} bytes at most"));
            }
            Ok(())
        }
        (Some("Localhost"), Some(name)) => {
            let path = Path::new(name);
            let up = path.components().any(|part| part == Component::ParentDir);
            if path.is_absolute() || up {
                return Err(format!("{place}.localhostProfile must be a relative path without .."));
            }
            Ok(())
        }
        (Some(_), Some(_)) => {
            Err(format!("{place}.localhostProfile must not be there where the type is not Localhost"))
        }
        (Some(_), None) => Ok(()),
    }
}
