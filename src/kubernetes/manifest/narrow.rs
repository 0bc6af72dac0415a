//! A pod of more containers than anybody has, with fewer.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{LISTS, Workload};

/// So many containers of a pod are looked at for each of them. What is wrong with others is said where they are judged.
const LOOKED_AT: usize = 32;

impl Workload {
    /// The same workload, or with the first containers only, and this one: what looks at all for each of them stays quick.
    pub(in crate::kubernetes) fn narrowed(&self, container: &str) -> Cow<'_, Self> {
        if self.listed().nth(LOOKED_AT).is_none() {
            return Cow::Borrowed(self);
        }
        let (Some(pod), Some(spec)) = (self.pod().as_object(), self.spec().as_object()) else {
            return Cow::Borrowed(self);
        };
        let mut gone = BTreeSet::new();
        let mut looked = 0;
        let mut less = without(spec, LISTS);
        for list in LISTS {
            let Some(all) = spec.get(*list).and_then(Value::as_array) else { continue };
            let kept = all.iter().filter(|one| {
                looked += 1;
                let name = one.get("name").and_then(Value::as_str).unwrap_or_default();
                let kept = looked <= LOOKED_AT || name == container;
                if !kept {
                    gone.insert(name);
                }
                kept
            });
            less.insert((*list).to_owned(), Value::Array(kept.cloned().collect()));
        }
        let mut narrow = without(pod, &["spec", "metadata"]);
        narrow.insert("spec".into(), Value::Object(less));
        narrow.extend(
            pod.get("metadata").map(|metadata| ("metadata".into(), without_those_of(metadata, &gone))),
        );
        let object = self.way.replaced(&self.object, &Value::Object(narrow));
        Cow::Owned(Self { object: object.into(), ..self.clone() })
    }
}

fn without(map: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let kept = map.iter().filter(|(name, _)| !names.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Without the annotations of containers that are gone: they would be of none.
fn without_those_of(metadata: &Value, gone: &BTreeSet<&str>) -> Value {
    let mut metadata = metadata.clone();
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|name, _| !name.rsplit_once('/').is_some_and(|(_, of)| gone.contains(of)));
    }
    metadata
}
