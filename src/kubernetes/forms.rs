//! The change of a cure in the forms that others take: JSON Patch (RFC 6902), and an entry of a kustomization.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::change::{Nulls, merge};
use super::cure::Cure;
use super::yaml;

/// What tells a member of a list from its neighbours.
const NAMES: &[&str] = &["name", "mountPath"];

impl Cure {
    /// The change as a JSON Patch, for `kubectl patch --type json`: an array, one operation a line. Paths begin at the object, also
    /// of one that stands in a `List`.
    ///
    /// It can be applied twice. RFC 6902 knows places by their number and has no "if it is not there": containers are tested for
    /// their names before they are changed, and lists that grow or shrink and parents that the manifest lacks are set whole, so that
    /// it is a change of the manifest that was read, and what an object in the cluster has there besides is lost.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::kubernetes::{Cluster, Cure, Runtime, read};
    /// let text = "{ kind: Pod, spec: { containers: [{ name: c, securityContext: { runAsUser: 7 } }] } }";
    /// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
    /// let cure = Cure::of(&[Cluster::new(Runtime::Containerd)], &read(text)?[0], "c", &sandbox)?;
    /// assert_eq!(cure.json_patch(), r#"[
    ///   {"op":"test","path":"/spec/containers/0/name","value":"c"},
    ///   {"op":"add","path":"/spec/containers/0/securityContext/procMount","value":"Unmasked"},
    ///   {"op":"add","path":"/spec/hostUsers","value":false}
    /// ]
    /// "#);
    /// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
    /// ```
    #[must_use]
    pub fn json_patch(&self) -> String {
        let mut operations = Vec::new();
        differences(&self.before, &self.changed.object, "", &mut operations);
        let lines: Vec<String> = operations.iter().map(|operation| format!("\n  {operation}")).collect();
        format!("[{}\n]\n", lines.join(","))
    }

    /// The change as an entry of `patches` in a `kustomization.yaml`: a strategic merge patch, and the object that it is for. Of a
    /// [custom resource](super::Workload::is_custom) it is a JSON Patch.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::kubernetes::{Cluster, Cure, Runtime, read};
    /// let text = "{ apiVersion: v1, kind: Pod, metadata: { name: p }, spec: { containers: [{ name: c }] } }";
    /// let sandbox = Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all();
    /// let cure = Cure::of(&[Cluster::new(Runtime::Containerd)], &read(text)?[0], "c", &sandbox)?;
    /// assert!(cure.kustomize().starts_with("- target:\n    version: v1\n    kind: Pod\n    name: p\n  patch: |-\n"));
    /// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
    /// ```
    #[must_use]
    pub fn kustomize(&self) -> String {
        let object = &self.before;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let version = text("/apiVersion").unwrap_or_default();
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let target = [
            ("group", group),
            ("version", version),
            ("kind", self.changed.kind()),
            ("name", text("/metadata/name").unwrap_or_default()),
            ("namespace", text("/metadata/namespace").unwrap_or_default()),
        ];
        let mut entry = "- target:\n".to_owned();
        for (name, value) in target.into_iter().filter(|(_, value)| !value.is_empty()) {
            let _ = writeln!(entry, "    {name}: {}", yaml::word(&Value::from(value)));
        }
        let lines = if self.changed.is_custom() { self.json_patch() } else { self.named_patch() };
        entry.push_str("  patch: |-\n");
        for line in lines.lines() {
            let _ = writeln!(entry, "    {line}");
        }
        entry
    }

    /// The strategic merge patch with the names that kustomize wants there; its target says which object is meant.
    fn named_patch(&self) -> String {
        let name = self.before.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("any");
        let mut patch = json!({ "kind": self.changed.kind(), "metadata": { "name": name } });
        if let (Some(version), Some(patch)) = (self.before.get("apiVersion"), patch.as_object_mut()) {
            patch.insert("apiVersion".into(), version.clone());
        }
        merge(&mut patch, &self.wrapped(), Nulls::Stay);
        let mut text = String::new();
        yaml::written(&patch, 0, &mut text);
        text
    }
}

/// The operations that make one value of another, at a place.
fn differences(before: &Value, after: &Value, place: &str, into: &mut Vec<Value>) {
    match (before, after) {
        (Value::Object(before), Value::Object(map)) if before.keys().all(|name| map.contains_key(name)) => {
            for (name, value) in map {
                let place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
                match before.get(name) {
                    Some(old) => differences(old, value, &place, into),
                    None => into.push(json!({ "op": "add", "path": place, "value": value })),
                }
            }
        }
        (Value::Array(before), Value::Array(list)) if before.len() == list.len() => {
            for (index, (old, value)) in before.iter().zip(list).enumerate().filter(|(_, (a, b))| a != b) {
                let place = format!("{place}/{index}");
                if let Some((name, value)) =
                    NAMES.iter().find_map(|name| old.get(name).map(|value| (name, value)))
                {
                    into.push(json!({ "op": "test", "path": format!("{place}/{name}"), "value": value }));
                }
                differences(old, value, &place, into);
            }
        }
        _ if before == after => {}
        _ => into.push(json!({ "op": "replace", "path": place, "value": after })),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

    use super::*;
    use crate::kubernetes::{Answer, Cluster, Runtime, Workload, read};
    use crate::sandbox::Sandbox;

    const PODS: &str = include_str!("../../tests/data/kubernetes/pods.yaml");

    /// Kinds, and where each has its pod.
    const KINDS: &[(&str, &str)] = &[
        ("Pod", ""),
        ("PodTemplate", "/template"),
        ("Deployment", "/spec/template"),
        ("CronJob", "/spec/jobTemplate/spec/template"),
        ("AutoscalingRunnerSet", "/spec/template"),
    ];

    fn sandbox() -> Sandbox {
        Sandbox::new().ro_bind("/usr", "/usr").proc("/proc").unshare_all()
    }

    /// The pods of the clusters as each kind has them, in lists; and some that have what is rare.
    fn workloads() -> Vec<Workload> {
        let rare = [
            json!({ "hostUsers": true, "containers": [{ "name": "side" }, { "name": "test", "securityContext": {
                "runAsUser": 0, "capabilities": { "drop": ["NET_RAW", "SETFCAP"] },
                "appArmorProfile": { "type": "Localhost", "localhostProfile": "narrow" } } }] }),
            json!({ "containers": [{ "name": "test", "securityContext": null }], "securityContext": {
                "seccompProfile": { "type": "RuntimeDefault" } } }),
            json!({ "containers": [{ "name": "side" }], "initContainers": [{ "name": "test" }] }),
        ];
        let pods = read(PODS).unwrap().into_iter().map(|pod| pod.object["spec"].clone());
        let mut found = Vec::new();
        for (number, spec) in pods.chain(rare).enumerate() {
            for (kind, way) in KINDS {
                let pod = json!({ "spec": spec });
                let object = way
                    .rsplit('/')
                    .filter(|part| !part.is_empty())
                    .fold(pod, |inner, part| json!({ part: inner }));
                let mut object = object.as_object().unwrap().clone();
                object.insert("kind".into(), json!(kind));
                object.insert("metadata".into(), json!({ "name": format!("w{number}") }));
                let list = json!({ "kind": "List", "items": [{ "kind": "Service" }, object] });
                found.extend(read(&list.to_string()).unwrap());
            }
        }
        found
    }

    /// By the crate that others trust with RFC 6902; the result is the change, and twice is as once.
    #[test]
    fn json_patches_are_the_same_change_and_can_be_applied_twice() {
        let mut operations = 0;
        for workload in workloads() {
            for runtime in [Runtime::Containerd, Runtime::CriO] {
                let cluster = Cluster::new(runtime);
                let cure = Cure::of(std::slice::from_ref(&cluster), &workload, "test", &sandbox()).unwrap();
                let text = cure.json_patch();
                let patch: json_patch::Patch = serde_json::from_str(&text).expect(&text);
                operations += patch.0.len();
                let mut object = Value::clone(&workload.object);
                for _ in 0..2 {
                    json_patch::patch(&mut object, &patch).expect(&text);
                    assert_eq!(object, *cure.changed.object, "{text}");
                }
                let again = read(&object.to_string()).unwrap();
                let answer = cluster.foretell(&again[0], "test", &sandbox()).unwrap().answer;
                assert!(matches!(answer, Answer::Starts | Answer::DependsOnNode), "{answer:?} {text}");
            }
        }
        assert!(operations > 200, "{operations}");
    }

    /// A patch that was made for one container does not get at another one.
    #[test]
    fn a_json_patch_is_for_the_container_that_it_names() {
        let text = |names: [&str; 2]| {
            let containers = names.map(|name| json!({ "name": name }));
            json!({ "kind": "Pod", "spec": { "containers": containers } })
        };
        let pod = &read(&text(["side", "test"]).to_string()).unwrap()[0];
        let cure = Cure::of(&[Cluster::new(Runtime::Containerd)], pod, "test", &sandbox()).unwrap();
        let patch: json_patch::Patch = serde_json::from_str(&cure.json_patch()).unwrap();
        let mut other = text(["test", "side"]);
        assert!(json_patch::patch(&mut other, &patch).is_err());
        assert_eq!(other, text(["test", "side"]));
    }

    /// Else a name of the node's profile would stay beside `type: Unconfined`, which the API server refuses.
    #[test]
    fn what_a_patch_removes_it_still_removes_beside_others() {
        let mut patch = json!({});
        merge(&mut patch, &json!({ "p": { "type": "Unconfined", "localhostProfile": null } }), Nulls::Stay);
        merge(&mut patch, &json!({ "q": 1 }), Nulls::Stay);
        assert_eq!(patch, json!({ "p": { "type": "Unconfined", "localhostProfile": null }, "q": 1 }));
        let mut object = json!({ "p": { "type": "Localhost", "localhostProfile": "x" } });
        merge(&mut object, &patch, Nulls::Remove);
        assert_eq!(object, json!({ "p": { "type": "Unconfined" }, "q": 1 }));
    }

    #[test]
    fn differences_are_told_as_they_are() {
        let told = |before: Value, after: Value| {
            let mut operations = Vec::new();
            differences(&before, &after, "", &mut operations);
            operations
        };
        assert_eq!(told(json!({ "a": [1] }), json!({ "a": [1] })), Vec::<Value>::new());
        assert_eq!(
            told(json!({}), json!({ "a/b~": 1 })),
            [json!({ "op": "add", "path": "/a~1b~0", "value": 1 })]
        );
        // what loses a field is set whole: it could be removed once only
        let gone = told(json!({ "p": { "t": 1, "l": 2 } }), json!({ "p": { "t": 3 } }));
        assert_eq!(gone, [json!({ "op": "replace", "path": "/p", "value": { "t": 3 } })]);
        // and what grows: it would be added twice
        let more = told(json!({ "l": ["a"] }), json!({ "l": ["a", "b"] }));
        assert_eq!(more, [json!({ "op": "replace", "path": "/l", "value": ["a", "b"] })]);
    }
}
