//! The change of a cure in the text that it was read from, of which all else stays as it is written.

use std::str::FromStr;

use serde_json::{Map, Value};
use yaml_edit::{Mapping, ScalarValue, Sequence, YamlFile, YamlNode, YamlValue};

use super::cure::Cure;
use super::{ManifestError, yaml};

type Result<T = (), E = String> = std::result::Result<T, E>;

/// A text with the changes of these cures, whose workloads were [read](super::read) from it: comments, order, quotes and blank lines
/// stay. A text without anything to change comes back as it is.
///
/// What is added is written as what stands around it, in blocks or braces; in braces (JSON, too) it stands in the line of the field
/// before.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::kubernetes::{Cluster, Cure, Runtime, edited, read};
/// let text = "kind: Pod # ours\nspec:\n  containers:\n  - name: \"c\" # runs bwrap\n";
/// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
/// let cure = Cure::of(&[Cluster::new(Runtime::Containerd)], &read(text)?[0], "c", &sandbox)?;
/// assert_eq!(edited(text, &[cure])?, "\
/// kind: Pod # ours
/// spec:
///   containers:
///   - name: \"c\" # runs bwrap
///     securityContext:
///       procMount: Unmasked
///   hostUsers: false
/// ");
/// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
/// ```
///
/// # Errors
///
/// If the text is no manifest, if a workload is not in it (any more), and if the place cannot be changed alone: what an alias stands
/// for, or what others are aliases of. The text is read again in the end: it says what the cures say, and nothing else, or this
/// is an error.
pub fn edited(text: &str, cures: &[Cure]) -> Result<String, ManifestError> {
    let before = yaml::documents(text)?;
    let mut wanted = before.clone();
    for cure in cures {
        let pairs = before.iter().zip(&mut wanted);
        let object = pairs.into_iter().find_map(|(document, wanted)| find(document, wanted, &cure.before));
        // of an object with several pods each cure has its own
        let pod = object.and_then(|object| cure.changed.way().of_mut(object));
        let Some(pod) = pod else {
            return Err(ManifestError(format!("{} is not in it as it was read", cure.changed.title())));
        };
        pod.clone_from(cure.changed.pod());
    }
    if before == wanted {
        return Ok(text.to_owned());
    }
    let shared = |what: &str| {
        let anchors = if text.contains('&') || text.contains('*') {
            "; an alias (*) or its anchor (&) may stand there: write it out in full first"
        } else {
            ""
        };
        ManifestError(format!("cannot be edited without changing more of it: {what}{anchors}"))
    };
    let new = rewritten(text, &before, &wanted).map_err(|what| shared(&what))?;
    match yaml::documents(&new) {
        Ok(documents) if documents == wanted => Ok(new),
        _ => Err(shared("the text would say something else")),
    }
}

/// Lists of objects: Kubernetes', and OpenShift's templates.
const LISTS: &[&str] = &["items", "objects"];

/// What is to become of a workload in a document, or in the lists of one.
fn find<'a>(before: &Value, wanted: &'a mut Value, workload: &Value) -> Option<&'a mut Value> {
    if before == workload {
        return Some(wanted);
    }
    let list = LISTS.iter().find(|list| before.get(**list).is_some_and(Value::is_array))?;
    let (before, wanted) = (before.get(list)?.as_array()?, wanted.get_mut(list)?.as_array_mut()?);
    before.iter().zip(wanted).find_map(|(before, wanted)| find(before, wanted, workload))
}

fn rewritten(text: &str, before: &[Value], wanted: &[Value]) -> Result<String> {
    let file = YamlFile::from_str(text).map_err(|error| error.to_string())?;
    // documents without anything in them count for nothing, as when they are read
    let documents: Vec<Mapping> = file.documents().filter_map(|document| document.as_mapping()).collect();
    if documents.len() != before.len() {
        return Err("it has documents that are no mappings".to_owned());
    }
    for ((document, old), new) in documents.iter().zip(before).zip(wanted) {
        if let (Value::Object(old), Value::Object(new)) = (old, new) {
            change(document, old, new)?;
        }
    }
    Ok(file.to_string())
}

/// Changes what differs in a mapping.
fn change(mapping: &Mapping, old: &Map<String, Value>, new: &Map<String, Value>) -> Result {
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        mapping.remove(name.as_str()).ok_or_else(|| format!("{name} does not stand there"))?;
    }
    for (name, value) in new {
        match old.get(name) {
            Some(old) if old == value => {}
            Some(old) if !old.is_null() => match mapping.get(name.as_str()) {
                Some(node) if inside(&node, old, value)? => {}
                Some(YamlNode::Alias(_)) | None => return Err(format!("{name} does not stand there")),
                Some(_) => mapping.set(name.as_str(), of(value)),
            },
            _ => mapping.set(name.as_str(), of(value)),
        }
    }
    Ok(())
}

/// Changes what differs inside a mapping or a list; false if that is neither, and to be replaced.
fn inside(node: &YamlNode, old: &Value, new: &Value) -> Result<bool> {
    match (node, old, new) {
        (YamlNode::Mapping(mapping), Value::Object(old), Value::Object(new)) => change(mapping, old, new)?,
        (YamlNode::Sequence(list), Value::Array(old), Value::Array(new)) => change_list(list, old, new)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The same of a list: its mappings keep their places, words come and go.
fn change_list(list: &Sequence, old: &[Value], new: &[Value]) -> Result {
    let mut kept: Vec<&Value> = old.iter().collect();
    for (index, value) in old.iter().enumerate().rev() {
        if value.is_string() && !new.contains(value) {
            list.remove(index);
            kept.remove(index);
        }
    }
    for (index, (old, value)) in kept.iter().zip(new).enumerate().filter(|(_, (old, new))| **old != *new) {
        let node = list.get(index).ok_or("a list is shorter than it was read")?;
        if !inside(&node, old, value)? {
            return Err(format!("{old} in a list"));
        }
    }
    for value in new.iter().skip(kept.len()) {
        list.push(of(value));
    }
    Ok(())
}

fn of(value: &Value) -> YamlValue {
    match value {
        Value::Object(map) => {
            YamlValue::Mapping(map.iter().map(|(name, value)| (name.clone(), of(value))).collect())
        }
        Value::Array(list) => YamlValue::Sequence(list.iter().map(of).collect()),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Null => ScalarValue::null().into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The text after its values became those of another one.
    fn becomes(old: &str, new: &str) -> Result<String> {
        rewritten(old, &yaml::documents(old).unwrap(), &yaml::documents(new).unwrap())
    }

    #[test]
    fn words_of_lists_and_fields_come_and_go_alone() {
        let old = "a:\n- NET_RAW # not this\n- SETFCAP # this\n- MKNOD # nor this\nb: [x]\n";
        assert_eq!(
            becomes(old, "a: [NET_RAW, MKNOD, KILL]\nb: [z]\n").unwrap(),
            "a:\n- NET_RAW # not this\n- MKNOD # nor this\n- KILL\nb: [z]\n"
        );
        let old = "p: {type: Localhost, localhostProfile: a} # p\nv:\n- name: a # a\n";
        assert_eq!(
            becomes(old, "p: {type: Unconfined}\nv: [{name: a}, {name: b, emptyDir: {}}]\n").unwrap(),
            "p: {type: Unconfined} # p\nv:\n- name: a # a\n- emptyDir: {}\n  name: b\n"
        );
    }

    #[test]
    fn what_stands_elsewhere_is_not_changed() {
        assert!(becomes("x: &x {a: 1}\ny: *x\n", "x: {a: 1}\ny: {a: 2}\n").is_err());
        assert!(becomes("x: &x {a: 1}\ny: {<<: *x}\n", "x: {a: 1}\ny: {a: 2}\n").is_err());
        assert!(becomes("x: &x {a: 1}\ny: {<<: *x}\n", "x: {a: 1}\ny: {}\n").is_err());
    }
}
