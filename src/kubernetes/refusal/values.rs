//! Values of a container that the API server does not take, whatever stands beside them.

use serde_json::Value;

use super::{Refusal, refusal, twice};
use crate::diagnosis::Cause;
use crate::kubernetes::Workload;
use crate::kubernetes::facts::{annotated_apparmor, apparmor_annotation, mounts_of};
use crate::kubernetes::quantity::more_than_limit;

/// `whose` says which container, where it is not the one that is meant.
pub(super) fn refuses(workload: &Workload, container: &Value, whose: &str) -> Vec<Refusal> {
    let rows = [
        no_text(workload, container),
        less_than_asked(container),
        no_path_below(container),
        port_twice(container),
        no_profile(workload, container),
    ];
    let refused = rows
        .into_iter()
        .flatten()
        .map(|(text, remedy)| refusal(Some(Cause::PodFieldsRefused), format!("{whose}{text}"), remedy));
    refused.collect()
}

type Said = (String, String);

fn list<'a>(container: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    container.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// What it calls a value that was to be a text, in its words.
fn kind_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::Bool(_) => Some("bool"),
        Value::Number(_) => Some("number"),
        Value::Array(_) => Some("array"),
        Value::Object(_) => Some("object"),
        Value::String(_) | Value::Null => None,
    }
}

/// `value: true`, `value: 1`, and `value: y`, which is a truth of old YAML's.
fn no_text(workload: &Workload, container: &Value) -> Option<Said> {
    // whose controllers may take it
    if workload.is_custom() {
        return None;
    }
    let env = list(container, "env").filter_map(|one| {
        let name = crate::visible::line(one.get("name").and_then(Value::as_str).unwrap_or_default());
        Some((format!("env, {name}"), "EnvVar.value", kind_of(one.get("value")?)?))
    });
    let words = [("command", "Container.command"), ("args", "Container.args")];
    let words = words.into_iter().flat_map(|(field, shown)| {
        list(container, field).filter_map(move |word| Some((field.to_owned(), shown, kind_of(word)?)))
    });
    let (place, field, kind) = env.chain(words).next()?;
    let text =
        format!("the API server says: cannot unmarshal {kind} into Go struct field {field} of type string");
    Some((text, format!("write it in quotes, in {place}: \"true\", \"1\"")))
}

fn less_than_asked(container: &Value) -> Option<Said> {
    let (name, wanted, limit) = more_than_limit(container)?;
    let shown = crate::visible::line;
    let name = shown(name);
    let text = format!(
        "the API server says: resources.requests: Invalid value: \"{}\": must be less than or equal to {name} limit of {}",
        shown(&wanted),
        shown(&limit)
    );
    Some((text, format!("let requests.{name} be no more than limits.{name}")))
}

fn no_path_below(container: &Value) -> Option<Said> {
    let paths =
        mounts_of(container).filter_map(|mount| mount.get("subPath").or(mount.get("subPathExpr"))?.as_str());
    let mut paths = paths.filter(|path| path.starts_with('/') || path.split('/').any(|part| part == ".."));
    let path = crate::visible::line(paths.next()?);
    let text = format!("the API server takes no subPath {path}: it must be a relative path without '..'");
    Some((text, "name a path below the volume's root".to_owned()))
}

fn port_twice(container: &Value) -> Option<Said> {
    let names = list(container, "ports").filter_map(|port| port.get("name")?.as_str());
    let names = names.filter(|name| !name.is_empty());
    let name = twice(names)?;
    let text = format!("the API server takes no two ports with the name {}", crate::visible::line(name));
    Some((text, "give one of the two another name".to_owned()))
}

/// Of an annotation for AppArmor.
fn no_profile(workload: &Workload, container: &Value) -> Option<Said> {
    let profile = apparmor_annotation(workload, container)?;
    // the empty one is none
    if profile.is_empty() || annotated_apparmor(workload, container).is_some() {
        return None;
    }
    let text =
        format!("the API server says: invalid AppArmor profile name: \"{}\"", crate::visible::line(profile));
    Some((text, "say runtime/default, unconfined, or localhost/ before the profile's name".to_owned()))
}
