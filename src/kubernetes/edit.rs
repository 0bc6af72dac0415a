//! The change of a cure in the text that it was read from, of which all else stays as it is written.

use std::collections::HashMap;
use std::str::FromStr;

use serde_json::{Map, Value};
use yaml_edit::{Mapping, ScalarValue, Sequence, YamlFile, YamlNode, YamlValue};

use super::cure::Cure;
use super::manifest::{Way, item_of};
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
    let mut taken: Vec<Found> = Vec::new();
    for cure in cures {
        let way = cure.changed.way();
        let place = find(&before, cure, &taken);
        // of an object with several pods each cure has its own
        let object = place.as_deref().and_then(|place| at_mut(&mut wanted, place));
        let (Some(pod), Some(place)) = (object.and_then(|object| way.of_mut(object)), &place) else {
            return Err(ManifestError(format!("{} is not in it as it was read", cure.changed.title())));
        };
        pod.clone_from(cure.changed.pod());
        // what a list says of all its objects stands in none of them
        let read = at(&before, place);
        if let Some(object) = at_mut(&mut wanted, place).and_then(Value::as_object_mut) {
            for name in ["apiVersion", "kind"]
                .into_iter()
                .filter(|name| read.is_none_or(|read| read.get(name).is_none()))
            {
                object.remove(name);
            }
        }
        taken.push((place.clone(), way.clone()));
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
    let slots = [Slot::Last, Slot::First].into_iter();
    let written = slots.map(|slot| {
        let new = each_rewritten(text, &before, &wanted, slot)?;
        let same = yaml::documents(&new).is_ok_and(|documents| documents == wanted);
        if same { Ok(new) } else { Err("the text would say something else".to_owned()) }
    });
    first_of(written).map_err(|what| shared(&what))
}

/// The first that is one, or why the first is none.
fn first_of(all: impl Iterator<Item = Result<String>>) -> Result<String> {
    let mut why = None;
    for one in all {
        match one {
            Ok(one) => return Ok(one),
            Err(what) => why = why.or(Some(what)),
        }
    }
    Err(why.unwrap_or_default())
}

/// Where a workload was found: the places of its object in the lists of a document, and of its pod in the object.
type Found = (Vec<usize>, Way);

/// The places of the first object that is this one, and whose pod no other cure has: two of a file may be the same.
fn find(documents: &[Value], cure: &Cure, taken: &[Found]) -> Option<Vec<usize>> {
    let way = cure.changed.way();
    let free = |at: &[usize]| !taken.iter().any(|(other, its)| other == at && its == way);
    documents
        .iter()
        .enumerate()
        .find_map(|(number, document)| search(document, &cure.before, &mut vec![number], &free))
}

fn search(
    at: &Value,
    object: &Value,
    place: &mut Vec<usize>,
    free: &dyn Fn(&[usize]) -> bool,
) -> Option<Vec<usize>> {
    if at == object && free(place) {
        return Some(place.clone());
    }
    for (number, item) in items(at)?.iter().enumerate() {
        place.push(number);
        // as it was read: of a PodList each is a Pod
        let found = search(&item_of(at, item), object, place, free);
        place.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

fn at<'a>(documents: &'a [Value], place: &[usize]) -> Option<&'a Value> {
    let (first, rest) = place.split_first()?;
    rest.iter().try_fold(documents.get(*first)?, |at, number| items(at)?.get(*number))
}

/// What is to become of an object.
fn at_mut<'a>(documents: &'a mut [Value], place: &[usize]) -> Option<&'a mut Value> {
    let (first, rest) = place.split_first()?;
    rest.iter().try_fold(documents.get_mut(*first)?, |at, number| {
        let list = LISTS.iter().find(|list| at.get(**list).is_some_and(Value::is_array))?;
        at.get_mut(list)?.get_mut(*number)
    })
}

/// Lists of objects: Kubernetes', and OpenShift's templates.
const LISTS: &[&str] = &["items", "objects"];

fn items(document: &Value) -> Option<&Vec<Value>> {
    LISTS.iter().find_map(|list| document.get(*list)?.as_array())
}

/// Where a new field of a mapping in braces is written. Behind the last one it is part of a comment, if one stands there.
#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Last,
    First,
}

/// Several values of JSON each by itself, with the blanks between them.
fn each_rewritten(text: &str, before: &[Value], wanted: &[Value], slot: Slot) -> Result<String> {
    let Some(pieces) = yaml::pieces(text) else { return rewritten(text, before, wanted, slot) };
    let mut all = String::new();
    for (piece, (old, new)) in pieces.iter().zip(before.iter().zip(wanted)) {
        let start = piece.len() - piece.trim_start().len();
        let (gap, value) = piece.split_at_checked(start).unwrap_or(("", piece));
        all.push_str(gap);
        if old == new {
            all.push_str(value);
        } else {
            all.push_str(&rewritten(value, std::slice::from_ref(old), std::slice::from_ref(new), slot)?);
        }
    }
    let rest = text.len() - text.trim_end().len();
    all.push_str(text.get(text.len() - rest..).unwrap_or_default());
    Ok(all)
}

fn rewritten(text: &str, before: &[Value], wanted: &[Value], slot: Slot) -> Result<String> {
    let file = YamlFile::from_str(text).map_err(|error| error.to_string())?;
    // documents without anything in them count for nothing, as when they are read
    let documents: Vec<Mapping> = file.documents().filter_map(|document| document.as_mapping()).collect();
    if documents.len() != before.len() {
        return Err("it has documents that are no mappings".to_owned());
    }
    let mut edit = Edit { slot, removed: 0 };
    for ((document, old), new) in documents.iter().zip(before).zip(wanted) {
        if let (Value::Object(old), Value::Object(new)) = (old, new) {
            edit.change(document, old, new)?;
        }
    }
    let new = file.to_string();
    // what is taken out takes its own comment along
    let lost = lost_comments(text, &new);
    if lost.len() > edit.removed {
        return Err(format!(
            "the comment {} would be lost",
            crate::visible::line(lost.first().unwrap_or(&""))
        ));
    }
    Ok(new)
}

/// Comments that are not there any more.
fn lost_comments<'a>(old: &'a str, new: &'a str) -> Vec<&'a str> {
    let mut kept: HashMap<&str, usize> = HashMap::new();
    for comment in new.lines().filter_map(comment) {
        *kept.entry(comment).or_default() += 1;
    }
    let mut lost = Vec::new();
    for comment in old.lines().filter_map(comment) {
        match kept.get_mut(comment).filter(|count| **count > 0) {
            Some(count) => *count -= 1,
            None => lost.push(comment),
        }
    }
    lost
}

/// What begins with `#` at the end of a line, be it a comment or a text.
fn comment(line: &str) -> Option<&str> {
    let mut starts = line.match_indices('#').map(|(at, _)| at);
    let start = starts.find(|at| {
        line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
    })?;
    line.get(start..).map(str::trim_end)
}

struct Edit {
    slot: Slot,
    /// So many values were taken out.
    removed: usize,
}

impl Edit {
    /// Changes what differs in a mapping.
    fn change(&mut self, mapping: &Mapping, old: &Map<String, Value>, new: &Map<String, Value>) -> Result {
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            mapping.remove(name.as_str()).ok_or_else(|| format!("{name} does not stand there"))?;
            self.removed += 1;
        }
        for (name, value) in new {
            match old.get(name) {
                Some(old) if old == value => {}
                Some(old) if !old.is_null() => match mapping.get(name.as_str()) {
                    Some(node) if self.inside(&node, old, value)? => {}
                    Some(YamlNode::Alias(_)) | None => return Err(format!("{name} does not stand there")),
                    // all that is in it would be written anew
                    Some(_) if old.is_object() || old.is_array() => return Err(format!("what {name} is")),
                    Some(_) => mapping.set(name.as_str(), of(value)),
                },
                None if self.slot == Slot::First && mapping.is_flow_style() => {
                    mapping.insert_at_index(0, name.as_str(), of(value));
                }
                _ => mapping.set(name.as_str(), of(value)),
            }
        }
        Ok(())
    }

    /// Changes what differs inside a mapping or a list; false if that is neither, and to be replaced.
    fn inside(&mut self, node: &YamlNode, old: &Value, new: &Value) -> Result<bool> {
        // a tag says what they are, and stays
        let (mapping, list) = match node {
            YamlNode::Mapping(mapping) => (Some(mapping.clone()), None),
            YamlNode::Sequence(list) => (None, Some(list.clone())),
            YamlNode::TaggedNode(tagged) => (tagged.as_mapping(), tagged.as_sequence()),
            _ => (None, None),
        };
        match (mapping, list, old, new) {
            (Some(mapping), _, Value::Object(old), Value::Object(new)) => self.change(&mapping, old, new)?,
            (_, Some(list), Value::Array(old), Value::Array(new)) => self.change_list(&list, old, new)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The same of a list: its mappings keep their places, words come and go.
    fn change_list(&mut self, list: &Sequence, old: &[Value], new: &[Value]) -> Result {
        let mut kept: Vec<&Value> = old.iter().collect();
        for (index, value) in old.iter().enumerate().rev() {
            if value.is_string() && !new.contains(value) {
                list.remove(index);
                kept.remove(index);
                self.removed += 1;
            }
        }
        for (index, (old, value)) in kept.iter().zip(new).enumerate().filter(|(_, (old, new))| **old != *new)
        {
            let node = list.get(index).ok_or("a list is shorter than it was read")?;
            if !self.inside(&node, old, value)? {
                return Err(format!("{old} in a list"));
            }
        }
        for value in new.iter().skip(kept.len()) {
            list.push(of(value));
        }
        Ok(())
    }
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
        rewritten(old, &yaml::documents(old).unwrap(), &yaml::documents(new).unwrap(), Slot::Last)
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
