//! What of a pod's fields, each right by itself, the API server does not take: names, what belongs together, and what is there once only.

use serde_json::Value;

use super::names::is_subdomain;
use super::{Refusal, refusal, twice};
use crate::diagnosis::Cause;
use crate::kubernetes::facts::{is, mounts_of};
use crate::kubernetes::manifest::starts_up;
use crate::kubernetes::{Cluster, Workload, sysctls};

/// What it says, after its name, and what to do.
pub(super) type Said = (String, String);

/// What is missing and may still be filled in, as an image, is passed over.
pub(super) fn refuses(cluster: &Cluster, workload: &Workload) -> Vec<Refusal> {
    let mut found: Vec<Option<Said>> = vec![
        gone(cluster, workload),
        other_labels(workload),
        no_name(workload),
        no_hostname(workload),
        sysctl_twice(workload),
    ];
    found.extend(list(workload.spec(), "volumes").map(volume));
    for (container, of) in workload.listed() {
        found.extend([
            blank_image(workload, container),
            port(container),
            claim(workload, container),
            starting_probe(container, of),
        ]);
        found.extend(mounts_of(container).map(mount));
    }
    found.into_iter().flatten().map(refused).collect()
}

pub(super) fn refused((text, remedy): Said) -> Refusal {
    refusal(Some(Cause::PodFieldsRefused), format!("the API server says: {text}"), remedy)
}

pub(super) fn list<'a>(of: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    of.get(field).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn text<'a>(of: &'a Value, field: &str) -> &'a str {
    of.get(field).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    crate::visible::line(text)
}

/// Versions that are gone, with the release that has them no more, and what came in their place.
const GONE: &[(&str, &str, (u32, u32))] = &[
    ("apps/v1beta1", "apps/v1", (1, 16)),
    ("apps/v1beta2", "apps/v1", (1, 16)),
    ("extensions/v1beta1", "apps/v1", (1, 16)),
    ("batch/v2alpha1", "batch/v1", (1, 21)),
    ("batch/v1beta1", "batch/v1", (1, 25)),
];

fn gone(cluster: &Cluster, workload: &Workload) -> Option<Said> {
    let version = text(&workload.object, "apiVersion");
    let (_, right, since) = GONE.iter().find(|(gone, ..)| *gone == version)?;
    let still = cluster.kubernetes.is_some_and(|release| release < *since);
    let text = format!("no matches for kind \"{}\" in version \"{version}\"", shown(workload.kind()));
    (!still).then(|| (text, format!("say apiVersion: {right}")))
}

/// Kinds that know their pods by labels.
const SELECTING: &[&str] = &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"];

fn other_labels(workload: &Workload) -> Option<Said> {
    if !SELECTING.contains(&workload.kind()) {
        return None;
    }
    let wanted = workload.object.pointer("/spec/selector/matchLabels")?.as_object()?;
    let labels = workload.pod().pointer("/metadata/labels");
    let plain = |value: &Value| value.as_str().is_some_and(|text| !text.contains('$'));
    let (name, value) = wanted.iter().find(|(name, value)| {
        let label = labels.and_then(|labels| labels.get(name.as_str()));
        plain(value) && label.is_none_or(plain) && label != Some(*value)
    })?;
    let (name, value) = (shown(name), shown(value.as_str()?).into_owned());
    let text = "`selector` does not match template `labels`".to_owned();
    Some((
        text,
        format!("give the template the label {name}: {value}, or the selector what the template has"),
    ))
}

fn no_name(workload: &Workload) -> Option<Said> {
    let name = workload.object.pointer("/metadata/name").and_then(Value::as_str)?;
    if name.is_empty() || name.contains(['$', '{']) || is_subdomain(name) {
        return None;
    }
    let text = format!(
        "metadata.name: Invalid value: \"{}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
        shown(name)
    );
    Some((
        text,
        "name it with a to z, 0 to 9, - and . alone, beginning and ending with one of the first two"
            .to_owned(),
    ))
}

fn no_hostname(workload: &Workload) -> Option<Said> {
    let name = workload.spec().get("hostname").and_then(Value::as_str)?;
    let right = name.is_empty()
        || name.contains('$')
        || is_subdomain(name) && !name.contains('.') && name.len() <= 63;
    let text = format!(
        "spec.hostname: Invalid value: \"{}\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'",
        shown(name)
    );
    (!right).then(|| (text, "name the host without a domain, which subdomain is for".to_owned()))
}

fn sysctl_twice(workload: &Workload) -> Option<Said> {
    let names: Vec<String> = sysctls::asked(workload).collect();
    let name = shown(twice(names.iter().map(String::as_str))?).into_owned();
    Some((
        format!("spec.securityContext.sysctls: Duplicate value: \"{name}\""),
        "leave one of the two out".to_owned(),
    ))
}

/// What a volume of a kind must have.
const NEEDED: &[(&str, &[&str])] = &[
    ("configMap", &["name"]),
    ("secret", &["secretName"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("hostPath", &["path"]),
    ("csi", &["driver"]),
    ("ephemeral", &["volumeClaimTemplate"]),
];

fn volume(volume: &Value) -> Option<Said> {
    let name = shown(text(volume, "name"));
    let fields = volume.as_object()?.iter();
    // `$patch`, `$retainKeys` and the like are for whoever merges
    let is_kind = |field: &str| field != "name" && !field.starts_with('$');
    let kinds: Vec<_> = fields.filter(|(field, value)| is_kind(field) && !value.is_null()).collect();
    if let [(first, _), (second, _), ..] = kinds.as_slice() {
        return Some((
            format!("spec.volumes: Forbidden: may not specify more than 1 volume type, of {name}"),
            format!("leave {} or {} out of it", shown(first), shown(second)),
        ));
    }
    let (kind, value) = kinds.first()?;
    let (_, needed) = NEEDED.iter().find(|(of, _)| of == kind)?;
    // an empty mapping says which one is meant, and not what of it
    let missing =
        needed.iter().find(|field| value.as_object().is_some_and(|of| !of.contains_key(**field)))?;
    Some((
        format!("spec.volumes.{kind}.{missing}: Required value, of the volume {name}"),
        format!("say {missing} below {kind}"),
    ))
}

/// By which OpenShift knows what it fills in.
const TRIGGERS: &str = "image.openshift.io/triggers";

fn blank_image(workload: &Workload, container: &Value) -> Option<Said> {
    let image = text(container, "image");
    let triggers = || workload.object.pointer("/metadata/annotations").and_then(|all| all.get(TRIGGERS));
    if image == " " && !workload.way().is_here() && triggers().is_some() {
        return None;
    }
    let text =
        format!("image: Invalid value: \"{}\": must not have leading or trailing whitespace", shown(image));
    (image.trim() != image).then(|| (text, "write the image without blanks around it".to_owned()))
}

fn port(container: &Value) -> Option<Said> {
    let fields = ["containerPort", "hostPort"];
    let numbers = list(container, "ports").flat_map(|port| {
        fields.into_iter().filter_map(move |field| Some((field, port.get(field)?.as_i64()?)))
    });
    let mut wrong = numbers.filter(|(_, number)| !(0..=65_535).contains(number));
    let (field, number) = wrong.next()?;
    let text = format!("{field}: Invalid value: {number}: must be between 1 and 65535, inclusive");
    Some((text, format!("say another {field}")))
}

fn claim(workload: &Workload, container: &Value) -> Option<Said> {
    let there = |name: &str| list(workload.spec(), "resourceClaims").any(|one| text(one, "name") == name);
    let mut claims = list(container.get("resources")?, "claims").map(|one| text(one, "name"));
    let name = shown(claims.find(|name| !there(name))?).into_owned();
    Some((
        format!("resources.claims.name: Not found: \"{name}\""),
        format!("name the claim {name} in resourceClaims of the pod"),
    ))
}

/// What waits for something, or looks after it, of a container that ends before the others begin.
const PROBES: &[&str] = &["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];

fn starting_probe(container: &Value, of: &str) -> Option<Said> {
    let there = |field: &&&str| container.get(**field).is_some_and(|value| !value.is_null());
    let field = PROBES.iter().find(there).filter(|_| starts_up(container, of))?;
    let text = format!("{field}: Forbidden: may not be set for init containers without restartPolicy=Always");
    Some((text, format!("leave {field} out, or make it a sidecar: restartPolicy: Always")))
}

fn mount(mount: &Value) -> Option<Said> {
    let name = shown(text(mount, "name")).into_owned();
    let path = mount.get("mountPath").map(|path| path.as_str().unwrap_or("/"));
    if path.is_none_or(str::is_empty) {
        let text = format!("volumeMounts.mountPath: Required value, of the volume {name}");
        return Some((text, "say where it is mounted".to_owned()));
    }
    let recursive = ["Enabled", "IfPossible"].contains(&text(mount, "recursiveReadOnly"));
    let said = "recursiveReadOnly: Forbidden: may only be specified when readOnly is true";
    (recursive && !is(mount.get("readOnly"), true))
        .then(|| (format!("volumeMounts.{said}"), "say readOnly: true beside it".to_owned()))
}
