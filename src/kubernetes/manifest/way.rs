//! The way from an object to its pod.

use std::fmt;

use serde_json::{Map, Value};

/// Names of fields and places in lists, as a JSON pointer has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::kubernetes) struct Way(Vec<String>);

impl Way {
    pub(super) fn new(parts: &[&str]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    /// The ways to all that is a whole template of pods below the specification of a custom resource: what its controller makes of them
    /// are pods like others.
    pub(super) fn to_templates(object: &Value) -> Vec<Self> {
        let mut found = Vec::new();
        if let Some(spec) = object.get("spec") {
            search(spec, &mut vec!["spec".to_owned()], &mut found);
        }
        found
    }

    /// Whether the object is the pod itself.
    pub(in crate::kubernetes) fn is_here(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether lists are on it, of which others may have pods as well.
    pub(super) fn is_numbered(&self) -> bool {
        self.0.iter().any(|part| is_number(part))
    }

    pub(in crate::kubernetes) fn of<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, step)
    }

    pub(in crate::kubernetes) fn of_mut<'a>(&self, object: &'a mut Value) -> Option<&'a mut Value> {
        self.0.iter().try_fold(object, |at, part| match at {
            Value::Array(list) => list.get_mut(part.parse::<usize>().ok()?),
            other => other.get_mut(part),
        })
    }

    /// Each object on it but the last, with the name of the next.
    pub(super) fn steps<'a>(&'a self, object: &'a Value) -> Vec<(&'a str, &'a Value)> {
        let mut at = object;
        let steps = self.0.iter().map(|part| {
            let here = at;
            at = step(at, part).unwrap_or(&Value::Null);
            (part.as_str(), here)
        });
        steps.collect()
    }

    /// The object with another pod there; nothing of the old one is copied for it.
    pub(in crate::kubernetes) fn replaced(&self, object: &Value, pod: &Value) -> Value {
        replaced(object, &self.0, pod)
    }

    /// Fields of the pod, as fields of the object.
    pub(in crate::kubernetes) fn wrapped(&self, pod: Value) -> Value {
        self.0.iter().rev().fold(pod, |inner, part| {
            let mut outer = Map::new();
            outer.insert(part.clone(), inner);
            Value::Object(outer)
        })
    }
}

/// As people write it: `spec.tasks[0].template`.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            match (is_number(part), index) {
                (true, _) => write!(f, "[{part}]")?,
                (false, 0) => f.write_str(part)?,
                (false, _) => write!(f, ".{part}")?,
            }
        }
        Ok(())
    }
}

fn is_number(part: &str) -> bool {
    part.parse::<usize>().is_ok()
}

fn step<'a>(at: &'a Value, part: &String) -> Option<&'a Value> {
    match at {
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    }
}

fn replaced(at: &Value, way: &[String], pod: &Value) -> Value {
    let Some((part, rest)) = way.split_first() else { return pod.clone() };
    let next =
        |name: &str, value: &Value| if name == part { replaced(value, rest, pod) } else { value.clone() };
    match at {
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), next(name, value))).collect(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(index, value)| next(&index.to_string(), value)).collect()
        }
        other => other.clone(),
    }
}

/// How fields are called that have a template.
const TEMPLATES: &[&str] =
    &["leaderTemplate", "podTemplate", "podTemplateSpec", "template", "workerTemplate"];

fn search(at: &Value, way: &mut Vec<String>, found: &mut Vec<Way>) {
    let children: Box<dyn Iterator<Item = (String, &Value)>> = match at {
        Value::Object(map) => Box::new(map.iter().map(|(name, value)| (name.clone(), value))),
        Value::Array(list) => {
            Box::new(list.iter().enumerate().map(|(index, value)| (index.to_string(), value)))
        }
        _ => return,
    };
    for (part, value) in children {
        let template = TEMPLATES.contains(&part.as_str());
        way.push(part);
        if template && value.pointer("/spec/containers").is_some_and(Value::is_array) {
            found.push(Way(way.clone()));
        } else {
            search(value, way, found);
        }
        way.pop();
    }
}
