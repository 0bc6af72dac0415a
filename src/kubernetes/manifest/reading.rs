//! Documents, one after the other: those that make pods, and what else stands beside them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::form::{CUSTOM, Form, NATIVE, group_of};
use super::{Around, Result, Way, Workload};
use crate::kubernetes::{ManifestError, fields, strangers};

/// More containers than that are in no file that anybody means.
const CONTAINERS: usize = 1000;

/// Every workload of these documents; what is none, a Service say, is passed over.
pub(in crate::kubernetes) fn workloads(
    documents: Vec<Value>,
    lines: impl Fn() -> Vec<usize>,
) -> Result<Vec<Workload>> {
    let several = documents.len() > 1;
    let line = |number: usize| lines().get(number).map(|line| format!("line {line}"));
    let mut reading = Reading::default();
    let documents = documents.into_iter().enumerate().rev();
    let mut rest: Vec<(usize, bool, Value)> = documents.map(|(number, one)| (number, false, one)).collect();
    while let Some((number, template, mut document)) = rest.pop() {
        let Some(kind) = kind_of(&document) else {
            let line = line(number).map_or_else(String::new, |line| format!(" ({line})"));
            return Err(strangers::without_kind(&document, &format!("document {}{line}", number + 1)));
        };
        if let Some(wrong) = Form::misspelt(&kind, &document) {
            return Err(ManifestError(wrong));
        }
        if let Some(items) = items_of(&kind, &mut document) {
            let template = template || kind == TEMPLATE;
            rest.extend(items.into_iter().rev().map(|item| (number, template, item)));
            continue;
        }
        if let Err(ManifestError(mut what)) = reading.take(&kind, document) {
            // its variables are its parameters
            if template {
                what = what.replace(fields::ENVSUBST, fields::OC_PROCESS);
            }
            let line = line(number).map_or_else(String::new, |line| format!(", {line}"));
            let place = if several { format!(" (document {}{line})", number + 1) } else { String::new() };
            return Err(ManifestError(format!("{what}{place}")));
        }
    }
    reading.finish()
}

#[derive(Default)]
struct Reading {
    found: Vec<Workload>,
    containers: usize,
    around: Around,
    /// Kinds that were passed over, and what is known of them.
    others: Vec<String>,
    hints: Vec<String>,
}

impl Reading {
    fn take(&mut self, kind: &str, object: Value) -> Result<()> {
        let name = ["name", "generateName"]
            .iter()
            .find_map(|key| object.pointer(&format!("/metadata/{key}"))?.as_str());
        let name = name.unwrap_or("(no name)").to_owned();
        let unnamed =
            object.pointer("/metadata/name").filter(|name| !name.is_string() && !name.is_null()).cloned();
        let (ways, custom) = self.pods_of(kind, &object);
        if ways.is_empty() && !self.others.iter().any(|other| other == kind) {
            self.others.push(kind.to_owned());
        }
        let object = Arc::new(object);
        let several = ways.len() > 1;
        for way in ways {
            let (kind, name, object) = (kind.to_owned(), name.clone(), Arc::clone(&object));
            let workload = Workload { kind, name, object, way, custom, several, around: Arc::default() };
            self.containers += workload.listed().count();
            if self.containers > CONTAINERS {
                return Err(ManifestError(format!(
                    "more than {CONTAINERS} containers: judge fewer at a time, as by `kubectl get pod -n NAMESPACE -o yaml | bwrap-doctor pod -`"
                )));
            }
            workload.check()?;
            if let Some(unnamed) = unnamed.as_ref() {
                return Err(ManifestError(format!(
                    "{}: metadata.name must be a text, and is {}: write it in quotes (y, yes, no, on and off are truths in YAML, 1 is a number)",
                    workload.title(),
                    crate::visible::line(&unnamed.to_string())
                )));
            }
            self.found.push(workload);
        }
        Ok(())
    }

    /// Where an object has its pods, and whether that is a custom resource.
    fn pods_of(&mut self, kind: &str, object: &Value) -> (Vec<Way>, bool) {
        if let Some((form, custom)) = Form::of(kind, object) {
            // the template of Actions Runner Controller's hooks is called so, and is a pod
            let hooks = form.kind == "PodTemplate" && object.pointer("/spec/containers").is_some();
            let way = Way::new(if hooks { &[] } else { form.way });
            // an Argo Rollout may have its pod in the Deployment that it names
            let elsewhere = custom && way.of(object).is_none_or(Value::is_null);
            if elsewhere && object.pointer("/spec/workloadRef").is_some() {
                self.hints
                    .push(format!("{kind}: its pod is that of the Deployment that spec.workloadRef names"));
            }
            return (if elsewhere { Vec::new() } else { vec![way] }, custom);
        }
        self.around.add(kind, object);
        let (group, _) = group_of(object).unwrap_or_default();
        if let Some(hint) = strangers::kind(kind, group, object) {
            self.hints.push(format!("{kind}: {hint}"));
            return (Vec::new(), true);
        }
        (Way::to_templates(object), true)
    }

    fn finish(self) -> Result<Vec<Workload>> {
        let Self { mut found, around, others, hints, .. } = self;
        if !found.is_empty() {
            let around = Arc::new(around);
            for workload in &mut found {
                workload.around = Arc::clone(&around);
            }
            return Ok(found);
        }
        if others.is_empty() {
            return Err(ManifestError("there is nothing in it".to_owned()));
        }
        if let Some(hint) = hints.first().filter(|hint| hint.ends_with(strangers::NO_POD)) {
            return Err(ManifestError(format!("no pod in it, but {hint}")));
        }
        if let Some(hint) = hints.first() {
            return Err(ManifestError(format!(
                "no pod in it, but {hint}; or judge the pod that comes of it: kubectl get pod NAME -o yaml | bwrap-doctor pod -"
            )));
        }
        let mut kinds: Vec<&str> = NATIVE.iter().chain(CUSTOM).map(|form| form.kind).collect();
        let mut seen = BTreeSet::new();
        kinds.retain(|kind| seen.insert(*kind));
        let shown: Vec<_> = others.iter().take(4).map(|kind| crate::visible::line(kind)).collect();
        Err(ManifestError(format!(
            "no pod in it, but {}; looked for: {}, List, and what has a pod's template in its spec; if something makes pods of it, judge one: kubectl \
             get pod NAME -o yaml | bwrap-doctor pod -",
            shown.join(", "),
            kinds.join(", ")
        )))
    }
}

fn kind_of(document: &Value) -> Option<String> {
    match document.get("kind") {
        Some(Value::String(kind)) => Some(kind.clone()),
        // as Jenkins and the hooks of Actions Runner Controller have pods
        None if document.pointer("/spec/containers").is_some_and(Value::is_array) => Some("Pod".to_owned()),
        _ => None,
    }
}

/// The objects in a list of Kubernetes', or in a template of OpenShift's.
fn items_of(kind: &str, document: &mut Value) -> Option<Vec<Value>> {
    let template = kind == TEMPLATE && group_of(document).is_none_or(|(group, _)| group == OPENSHIFT);
    let (of, field) = match kind.strip_suffix("List") {
        Some(of) if Form::of(kind, document).is_none() => (of, "items"),
        _ if template => ("", "objects"),
        _ => return None,
    };
    let version = document.get("apiVersion").cloned();
    let items = document.get_mut(field).and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    Some(items.into_iter().map(|item| of_list(item, of, version.as_ref())).collect())
}

/// An object of a list, as it is read.
pub(in crate::kubernetes) fn item_of(list: &Value, item: &Value) -> Value {
    let kind = list.get("kind").and_then(Value::as_str).and_then(|kind| kind.strip_suffix("List"));
    of_list(item.clone(), kind.unwrap_or_default(), list.get("apiVersion"))
}

/// OpenShift's list of objects with parameters.
const TEMPLATE: &str = "Template";
const OPENSHIFT: &str = "template.openshift.io";

/// An object of a `PodList`, which client libraries leave without what its list says of all.
fn of_list(mut item: Value, kind: &str, version: Option<&Value>) -> Value {
    if let (Some(item), false) = (item.as_object_mut(), kind.is_empty())
        && !item.contains_key("kind")
    {
        item.insert("kind".into(), kind.into());
        if let Some(version) = version {
            item.entry("apiVersion").or_insert_with(|| version.clone());
        }
    }
    item
}
