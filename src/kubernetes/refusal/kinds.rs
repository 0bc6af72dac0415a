//! What the fields of a pod hold, and of what makes it: a value of another kind the API server does not take, nor another word.

use serde_json::Value;

use super::{Refusal, refusal};
use crate::diagnosis::Cause;
use crate::kubernetes::Workload;
use crate::kubernetes::quantity;

/// What a field holds, as the API server names it.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number(&'static str),
    Truth,
    List(&'static str),
    Mapping(&'static str),
    Word(&'static [&'static str]),
    Quantity,
}

/// Where it is, `*` for each of a list or mapping and `@` for each container; what the API server calls it; what it holds.
type Row = (&'static str, &'static str, Kind);

const TEXTS: Kind = Kind::Mapping("map[string]string");
const INT32: Kind = Kind::Number("int32");
const INT64: Kind = Kind::Number("int64");

/// Of what makes pods.
const OBJECT: &[Row] = &[
    ("metadata/annotations", "ObjectMeta.metadata.annotations", TEXTS),
    ("metadata/annotations/*", "ObjectMeta.metadata.annotations", Kind::Text),
    ("metadata/labels", "ObjectMeta.metadata.labels", TEXTS),
    ("metadata/labels/*", "ObjectMeta.metadata.labels", Kind::Text),
    ("spec/backoffLimit", "JobSpec.backoffLimit", INT32),
    ("spec/completions", "JobSpec.completions", INT32),
    ("spec/parallelism", "JobSpec.parallelism", INT32),
    ("spec/replicas", "spec.replicas", INT32),
    ("spec/selector/matchLabels/*", "LabelSelector.matchLabels", Kind::Text),
    ("spec/suspend", "spec.suspend", Kind::Truth),
];

/// Of a pod.
const POD: &[Row] = &[
    ("metadata/annotations", "ObjectMeta.annotations", TEXTS),
    ("metadata/annotations/*", "ObjectMeta.annotations", Kind::Text),
    ("metadata/labels", "ObjectMeta.labels", TEXTS),
    ("metadata/labels/*", "ObjectMeta.labels", Kind::Text),
    ("spec/activeDeadlineSeconds", "PodSpec.activeDeadlineSeconds", INT64),
    ("spec/dnsPolicy", "", Kind::Word(&["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None", ""])),
    ("spec/enableServiceLinks", "PodSpec.enableServiceLinks", Kind::Truth),
    ("spec/hostAliases", "PodSpec.hostAliases", Kind::List("[]v1.HostAlias")),
    ("spec/hostname", "PodSpec.hostname", Kind::Text),
    ("spec/imagePullSecrets", "PodSpec.imagePullSecrets", Kind::List("[]v1.LocalObjectReference")),
    ("spec/initContainers", "PodSpec.initContainers", Kind::List("[]v1.Container")),
    ("spec/nodeName", "PodSpec.nodeName", Kind::Text),
    ("spec/nodeSelector", "PodSpec.nodeSelector", TEXTS),
    ("spec/nodeSelector/*", "PodSpec.nodeSelector", Kind::Text),
    ("spec/priority", "PodSpec.priority", INT32),
    ("spec/priorityClassName", "PodSpec.priorityClassName", Kind::Text),
    ("spec/schedulerName", "PodSpec.schedulerName", Kind::Text),
    ("spec/securityContext/sysctls", "PodSecurityContext.sysctls", Kind::List("[]v1.Sysctl")),
    ("spec/securityContext/sysctls/*/name", "Sysctl.name", Kind::Text),
    ("spec/securityContext/sysctls/*/value", "Sysctl.value", Kind::Text),
    ("spec/serviceAccountName", "PodSpec.serviceAccountName", Kind::Text),
    ("spec/shareProcessNamespace", "PodSpec.shareProcessNamespace", Kind::Truth),
    ("spec/terminationGracePeriodSeconds", "PodSpec.terminationGracePeriodSeconds", INT64),
    ("spec/tolerations", "PodSpec.tolerations", Kind::List("[]v1.Toleration")),
    ("spec/tolerations/*/effect", "", Kind::Word(&["NoSchedule", "PreferNoSchedule", "NoExecute", ""])),
    ("spec/tolerations/*/key", "Toleration.key", Kind::Text),
    ("spec/tolerations/*/tolerationSeconds", "Toleration.tolerationSeconds", INT64),
    ("spec/tolerations/*/value", "Toleration.value", Kind::Text),
    ("spec/volumes", "PodSpec.volumes", Kind::List("[]v1.Volume")),
    ("spec/volumes/*/configMap", "Volume.configMap", Kind::Mapping("v1.ConfigMapVolumeSource")),
    ("spec/volumes/*/configMap/name", "ConfigMapVolumeSource.name", Kind::Text),
    ("spec/volumes/*/emptyDir", "Volume.emptyDir", Kind::Mapping("v1.EmptyDirVolumeSource")),
    ("spec/volumes/*/emptyDir/sizeLimit", "", Kind::Quantity),
    ("spec/volumes/*/hostPath", "Volume.hostPath", Kind::Mapping("v1.HostPathVolumeSource")),
    ("spec/volumes/*/hostPath/path", "HostPathVolumeSource.path", Kind::Text),
    ("spec/volumes/*/secret", "Volume.secret", Kind::Mapping("v1.SecretVolumeSource")),
    ("spec/volumes/*/secret/secretName", "SecretVolumeSource.secretName", Kind::Text),
    ("spec/@/args", "Container.args", Kind::List("[]string")),
    ("spec/@/command", "Container.command", Kind::List("[]string")),
    ("spec/@/env", "Container.env", Kind::List("[]v1.EnvVar")),
    ("spec/@/env/*/name", "EnvVar.name", Kind::Text),
    ("spec/@/envFrom", "Container.envFrom", Kind::List("[]v1.EnvFromSource")),
    ("spec/@/image", "Container.image", Kind::Text),
    ("spec/@/imagePullPolicy", "", Kind::Word(&["Always", "IfNotPresent", "Never", ""])),
    ("spec/@/ports", "Container.ports", Kind::List("[]v1.ContainerPort")),
    ("spec/@/ports/*/containerPort", "ContainerPort.containerPort", INT32),
    ("spec/@/ports/*/hostPort", "ContainerPort.hostPort", INT32),
    ("spec/@/ports/*/name", "ContainerPort.name", Kind::Text),
    ("spec/@/ports/*/protocol", "", Kind::Word(&["SCTP", "TCP", "UDP", ""])),
    ("spec/@/resources", "Container.resources", Kind::Mapping("v1.ResourceRequirements")),
    ("spec/@/resources/limits", "ResourceRequirements.limits", Kind::Mapping("v1.ResourceList")),
    ("spec/@/resources/limits/*", "", Kind::Quantity),
    ("spec/@/resources/requests", "ResourceRequirements.requests", Kind::Mapping("v1.ResourceList")),
    ("spec/@/resources/requests/*", "", Kind::Quantity),
    ("spec/@/stdin", "Container.stdin", Kind::Truth),
    ("spec/@/terminationMessagePolicy", "", Kind::Word(&["FallbackToLogsOnError", "File", ""])),
    ("spec/@/tty", "Container.tty", Kind::Truth),
    ("spec/@/volumeMounts", "Container.volumeMounts", Kind::List("[]v1.VolumeMount")),
    ("spec/@/volumeMounts/*/mountPath", "VolumeMount.mountPath", Kind::Text),
    ("spec/@/volumeMounts/*/mountPropagation", "", Kind::Word(&["Bidirectional", "HostToContainer", "None"])),
    ("spec/@/volumeMounts/*/name", "VolumeMount.name", Kind::Text),
    ("spec/@/volumeMounts/*/readOnly", "VolumeMount.readOnly", Kind::Truth),
    ("spec/@/volumeMounts/*/recursiveReadOnly", "", Kind::Word(&["Disabled", "Enabled", "IfPossible"])),
    ("spec/@/volumeMounts/*/subPath", "VolumeMount.subPath", Kind::Text),
    ("spec/@/workingDir", "Container.workingDir", Kind::Text),
];

/// Whether pods begin anew when they end: what each kind lets them say. An empty word is as good as none, where that is.
const RESTARTS: &[(&[&str], &[&str])] = &[
    (&["DaemonSet", "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"], &["Always", ""]),
    (&["CronJob", "Job"], &["OnFailure", "Never"]),
    (&["Pod", "PodTemplate"], &["Always", "Never", "OnFailure", ""]),
];

/// Of those that the API server takes itself: a controller of somebody else's, or a program that has a pod in its configuration, may
/// make something else of them.
pub(super) fn refuses(workload: &Workload) -> Vec<Refusal> {
    if workload.is_custom() || workload.is_part() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if !workload.way().is_here() {
        check(OBJECT, &workload.object, "", &mut found);
    }
    let place = workload.way().to_string();
    check(POD, workload.pod(), &place, &mut found);
    let restarts = RESTARTS.iter().find(|(kinds, _)| kinds.contains(&workload.kind()));
    if let Some((_, words)) = restarts {
        check(&[("spec/restartPolicy", "", Kind::Word(words))], workload.pod(), &place, &mut found);
    }
    found
}

fn check(rows: &[Row], object: &Value, place: &str, found: &mut Vec<Refusal>) {
    for (way, field, kind) in rows {
        look(object, Some(way), &mut Vec::new(), &mut |at, value| {
            let said = (!is_variable(value)).then(|| holds(value, field, *kind)).flatten();
            found.extend(said.map(|said| said.refused(&shown(place, at))));
        });
    }
}

/// What is filled in before the API server sees it, whatever that will be.
fn is_variable(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains('$') || text.contains("{{"))
}

/// A pod's lists of containers.
const CONTAINERS: &[&str] = &["initContainers", "containers", "ephemeralContainers"];

/// A step on the way to a value.
#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Number(usize),
}

/// As people write it: `spec.containers[0].image`.
fn shown(place: &str, steps: &[Step<'_>]) -> String {
    steps.iter().fold(place.to_owned(), |way, step| match step {
        Step::Number(number) => format!("{way}[{number}]"),
        Step::Name(name) if way.is_empty() => crate::visible::line(name).into_owned(),
        Step::Name(name) => format!("{way}.{}", crate::visible::line(name)),
    })
}

/// Goes to all that a way leads to.
fn look<'a>(
    at: &'a Value,
    way: Option<&str>,
    steps: &mut Vec<Step<'a>>,
    each: &mut impl FnMut(&[Step<'_>], &Value),
) {
    let Some(way) = way else {
        if !at.is_null() {
            each(steps, at);
        }
        return;
    };
    let (part, rest) = way.split_once('/').map_or((way, None), |(part, rest)| (part, Some(rest)));
    let mut into = |step: Step<'a>, value: &'a Value, rest: Option<&str>| {
        steps.push(step);
        look(value, rest, steps, each);
        steps.pop();
    };
    match (part, at) {
        ("*", Value::Array(list)) => {
            list.iter().enumerate().for_each(|(number, value)| into(Step::Number(number), value, rest));
        }
        ("*", Value::Object(map)) => map.iter().for_each(|(name, value)| into(Step::Name(name), value, rest)),
        ("@", Value::Object(map)) => {
            let lists = CONTAINERS.iter().filter_map(|list| map.get_key_value(*list));
            for (list, all) in lists {
                for (number, one) in all.as_array().into_iter().flatten().enumerate() {
                    steps.extend([Step::Name(list), Step::Number(number)]);
                    look(one, rest, steps, each);
                    steps.truncate(steps.len().saturating_sub(2));
                }
            }
        }
        (_, Value::Object(map)) => {
            map.get_key_value(part).into_iter().for_each(|(name, value)| into(Step::Name(name), value, rest));
        }
        _ => {}
    }
}

/// What it calls a value that was to be another.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) | Value::Null => "string",
    }
}

/// What it says, with `PLACE` where the place belongs, and what to do there.
struct Said {
    text: String,
    how: String,
}

impl Said {
    fn refused(self, place: &str) -> Refusal {
        let text = self.text.replacen("PLACE", place, 1);
        refusal(Some(Cause::PodFieldsRefused), text, format!("{}, in {place}", self.how))
    }
}

fn holds(value: &Value, field: &str, kind: Kind) -> Option<Said> {
    let (fits, of, how) = match kind {
        Kind::Text => (value.is_string(), "string", "write it in quotes"),
        Kind::Number(of) => (value.is_i64(), of, "write it as a number, without quotes"),
        Kind::Truth => (value.is_boolean(), "bool", "say true or false, without quotes"),
        Kind::List(of) => (value.is_array(), of, "make it a list, each of which begins with `- `"),
        Kind::Mapping(of) => (value.is_object(), of, "make it a mapping"),
        Kind::Word(words) => return word(value, words),
        Kind::Quantity => return quantity(value),
    };
    if fits {
        return None;
    }
    let text = format!(
        "the API server says: cannot unmarshal {} into Go struct field {field} of type {of}",
        kind_of(value)
    );
    Some(Said { text, how: how.to_owned() })
}

fn word(value: &Value, words: &[&str]) -> Option<Said> {
    let said = value.as_str()?;
    if words.contains(&said) {
        return None;
    }
    let known: Vec<String> =
        words.iter().filter(|word| !word.is_empty()).map(|word| format!("\"{word}\"")).collect();
    let text = format!(
        "the API server says: PLACE: Unsupported value: \"{}\": supported values: {}",
        crate::visible::line(said),
        known.join(", ")
    );
    let meant = words.iter().find(|word| word.eq_ignore_ascii_case(said)).or(words.first())?;
    Some(Said { text, how: format!("say {meant}") })
}

fn quantity(value: &Value) -> Option<Said> {
    let text = match value {
        Value::String(text) if quantity::is_one(text) => return None,
        Value::Number(_) => return None,
        other => other,
    };
    let shown = crate::visible::line(&text.to_string()).into_owned();
    let text = format!(
        "the API server says: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$', of PLACE, which is {shown}"
    );
    Some(Said { text, how: "write it as 512Mi, 1Gi, 500m or 2".to_owned() })
}
