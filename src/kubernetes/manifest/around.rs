//! What else of a manifest has a say in the pods of it: their namespace, who runs them, and what their claims are bound to.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// By their names.
#[derive(Debug, PartialEq, Default)]
pub(in crate::kubernetes) struct Around {
    /// The labels of namespaces.
    labels: HashMap<String, Map<String, Value>>,
    /// The handlers of runtime classes.
    handlers: HashMap<String, String>,
    /// The specifications of persistent volumes.
    volumes: HashMap<String, Value>,
    /// The volumes of claims, by namespace and name.
    claims: HashMap<(String, String), String>,
    /// The storage classes of claims.
    wanted: HashMap<(String, String), String>,
    /// What storage classes make, as the specification of a volume.
    classes: HashMap<String, Value>,
}

impl Around {
    /// Takes up an object that makes no pods.
    pub(super) fn add(&mut self, kind: &str, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let Some(name) = text("/metadata/name") else { return };
        let space = |named: Option<String>| named.unwrap_or_else(|| "default".to_owned());
        match kind {
            "Namespace" => {
                let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
                self.labels.extend(labels.map(|labels| (name, labels.clone())));
            }
            "RuntimeClass" => self.handlers.extend(text("/handler").map(|handler| (name, handler))),
            "PersistentVolume" => {
                if let Some(claim) = text("/spec/claimRef/name") {
                    self.claims.insert((space(text("/spec/claimRef/namespace")), claim), name.clone());
                }
                self.volumes.extend(object.get("spec").map(|spec| (name, spec.clone())));
            }
            "PersistentVolumeClaim" => {
                let claim = (space(text("/metadata/namespace")), name);
                let class = text("/spec/storageClassName").map(|class| (claim.clone(), class));
                self.wanted.extend(class);
                self.claims.extend(text("/spec/volumeName").map(|volume| (claim, volume)));
            }
            "StorageClass" => {
                let volume = text("/provisioner").map(|driver| json!({ "csi": { "driver": driver } }));
                self.classes.extend(volume.map(|volume| (name, volume)));
            }
            _ => {}
        }
    }

    pub(in crate::kubernetes) fn label(&self, namespace: &str, name: &str) -> Option<&str> {
        self.labels.get(namespace)?.get(name)?.as_str()
    }

    pub(in crate::kubernetes) fn handler(&self, class: &str) -> Option<&str> {
        self.handlers.get(class).map(String::as_str)
    }

    /// What a claim is bound to, or will be by its storage class: the specification of its volume.
    pub(in crate::kubernetes) fn volume(&self, namespace: &str, claim: &str) -> Option<&Value> {
        let claim = (namespace.to_owned(), claim.to_owned());
        let bound = self.claims.get(&claim).and_then(|volume| self.volumes.get(volume));
        bound.or_else(|| self.classes.get(self.wanted.get(&claim)?))
    }
}
