//! What must be there, and what of several there must be one of: nobody fills these in. Of an image, which somebody may, nothing is said.

use serde_json::{Map, Value};

use super::Refusal;
use super::kinds::{is_variable, look, shown};
use super::shapes::{Said, refused, text};
use crate::kubernetes::{Cluster, Workload};

/// What must stand in each mapping that a way leads to.
const NEEDED: &[(&str, &str)] = &[
    ("spec/@/env/*", "name"),
    ("spec/@/env/*/valueFrom/configMapKeyRef", "key"),
    ("spec/@/env/*/valueFrom/fieldRef", "fieldPath"),
    ("spec/@/env/*/valueFrom/resourceFieldRef", "resource"),
    ("spec/@/env/*/valueFrom/secretKeyRef", "key"),
    ("spec/@/lifecycle/postStart/exec", "command"),
    ("spec/@/lifecycle/postStart/httpGet", "port"),
    ("spec/@/lifecycle/preStop/exec", "command"),
    ("spec/@/lifecycle/preStop/httpGet", "port"),
    ("spec/@/livenessProbe/exec", "command"),
    ("spec/@/livenessProbe/grpc", "port"),
    ("spec/@/livenessProbe/httpGet", "port"),
    ("spec/@/livenessProbe/tcpSocket", "port"),
    ("spec/@/ports/*", "containerPort"),
    ("spec/@/readinessProbe/exec", "command"),
    ("spec/@/readinessProbe/grpc", "port"),
    ("spec/@/readinessProbe/httpGet", "port"),
    ("spec/@/readinessProbe/tcpSocket", "port"),
    ("spec/@/startupProbe/exec", "command"),
    ("spec/@/startupProbe/grpc", "port"),
    ("spec/@/startupProbe/httpGet", "port"),
    ("spec/@/startupProbe/tcpSocket", "port"),
    ("spec/@/volumeMounts/*", "name"),
    ("spec/volumes/*", "name"),
];

/// Where one of several must stand, and no more.
struct Choice {
    way: &'static str,
    of: &'static [&'static str],
    /// What may stand beside it.
    beside: &'static [&'static str],
    /// What the API server says where none is there, and where more than one is.
    none: &'static str,
    several: &'static str,
}

const NO_HANDLER: &str = "Required value: must specify a handler type";
const HANDLERS: &str = "Forbidden: may not specify more than 1 handler type";

const fn probe(way: &'static str) -> Choice {
    Choice {
        way,
        of: &["exec", "grpc", "httpGet", "tcpSocket"],
        beside: &[
            "failureThreshold",
            "initialDelaySeconds",
            "periodSeconds",
            "successThreshold",
            "terminationGracePeriodSeconds",
            "timeoutSeconds",
        ],
        none: NO_HANDLER,
        several: HANDLERS,
    }
}

const fn hook(way: &'static str) -> Choice {
    Choice {
        way,
        of: &["exec", "httpGet", "sleep", "tcpSocket"],
        beside: &["stopSignal"],
        none: NO_HANDLER,
        several: HANDLERS,
    }
}

const CHOICES: &[Choice] = &[
    Choice {
        way: "spec/@/env/*/valueFrom",
        of: &["configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"],
        beside: &[],
        none: "Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        several: "Invalid value: \"\": may not have more than one field specified at a time",
    },
    Choice {
        way: "spec/@/envFrom/*",
        of: &["configMapRef", "secretRef"],
        beside: &["prefix"],
        none: "Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
        several: "Invalid value: \"\": may not have more than one field specified at a time",
    },
    hook("spec/@/lifecycle/postStart"),
    hook("spec/@/lifecycle/preStop"),
    probe("spec/@/livenessProbe"),
    probe("spec/@/readinessProbe"),
    probe("spec/@/startupProbe"),
];

pub(super) fn refuses(cluster: &Cluster, workload: &Workload) -> Vec<Refusal> {
    let mut found: Vec<Said> = Vec::new();
    let place = workload.way().to_string();
    for (way, field) in NEEDED {
        each(workload, way, |at, map| {
            found.extend(missing(map, field).then(|| needed(&shown(&place, at), field)));
        });
    }
    for choice in CHOICES {
        each(workload, choice.way, |at, map| found.extend(chosen(&shown(&place, at), choice, map)));
    }
    each(workload, "spec/@/env/*", |at, map| {
        let there = |field: &str| map.get(field).is_some_and(|value| !value.is_null() && value != "");
        let text = "valueFrom: Invalid value: \"\": may not be specified when `value` is not empty";
        let said = || (format!("{}.{text}", shown(&place, at)), "leave value or valueFrom out".to_owned());
        found.extend((there("value") && there("valueFrom")).then(said));
    });
    found.extend(restarts(workload));
    found.extend(schedule(cluster, workload));
    found.into_iter().map(refused).collect()
}

/// Each mapping of the pod that a way leads to, but those that are for whoever merges: `$patch: delete`.
fn each<'a>(
    workload: &'a Workload,
    way: &str,
    mut then: impl FnMut(&[super::kinds::Step<'_>], &'a Map<String, Value>),
) {
    look(workload.pod(), Some(way), &mut Vec::new(), &mut |at, value| {
        if let Some(map) = value.as_object().filter(|map| !map.keys().any(|name| name.starts_with('$'))) {
            then(at, map);
        }
    });
}

fn missing(map: &Map<String, Value>, field: &str) -> bool {
    map.get(field).is_none_or(|value| value.is_null() || value == "" || value == 0)
}

fn needed(place: &str, field: &str) -> Said {
    (format!("{place}.{field}: Required value"), format!("say {field} in {place}"))
}

fn chosen(place: &str, choice: &Choice, map: &Map<String, Value>) -> Option<Said> {
    let there = |field: &&&str| map.get(**field).is_some_and(|value| !value.is_null());
    let mut known = choice.of.iter().filter(there);
    let others = choice.of.join(", ");
    match (known.next(), known.next()) {
        (Some(first), Some(second)) => Some((
            format!("{place}: {}", choice.several),
            format!("leave {first} or {second} out, in {place}"),
        )),
        (Some(_), None) => None,
        // an empty probe is a place for one; what nobody here knows may be a new one
        (None, _) => {
            let empty = map.is_empty() && choice.none == NO_HANDLER && choice.of.contains(&"grpc");
            let plain = map.keys().all(|name| choice.beside.contains(&name.as_str()));
            (plain && !empty)
                .then(|| (format!("{place}: {}", choice.none), format!("say one of {others} in {place}")))
        }
    }
}

/// Whether each container has its image, and a `CronJob` its schedule, as in what is no fragment that somebody fills in.
fn is_whole(workload: &Workload) -> bool {
    let schedule = workload.object.pointer("/spec/schedule").is_some_and(|value| !value.is_null());
    (schedule || workload.kind() != "CronJob")
        && workload.listed().all(|(one, _)| !text(one, "image").trim().is_empty())
}

/// Jobs end: what is filled in for them is what they may not have.
fn restarts(workload: &Workload) -> Option<Said> {
    let ends = ["CronJob", "Job"].contains(&workload.kind()) && is_whole(workload);
    let said = workload.spec().get("restartPolicy").is_some_and(|value| !value.is_null());
    let place = workload.place();
    (ends && !said).then(|| {
        let text = format!("{place}.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"");
        (text, format!("say restartPolicy: Never, in {place}"))
    })
}

/// What a schedule may be instead of five fields.
const NICKNAMES: &[&str] =
    &["@annually", "@daily", "@every ", "@hourly", "@midnight", "@monthly", "@weekly", "@yearly"];

/// The release that takes no zone there.
const WITHOUT_ZONES: (u32, u32) = (1, 29);

fn schedule(cluster: &Cluster, workload: &Workload) -> Option<Said> {
    if workload.kind() != "CronJob" || !is_whole(workload) {
        return None;
    }
    let value = workload.object.pointer("/spec/schedule")?;
    if value == "" {
        return Some(needed("spec", "schedule"));
    }
    let written = value.as_str().filter(|_| !is_variable(value))?;
    let quoted = format!("spec.schedule: Invalid value: \"{}\"", crate::visible::line(written));
    let zone = ["TZ=", "CRON_TZ="].iter().any(|start| written.starts_with(start));
    if zone {
        let refused = cluster.kubernetes.is_none_or(|version| version >= WITHOUT_ZONES);
        let text = format!("{quoted}: cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
        return refused.then(|| (text, "say timeZone beside schedule".to_owned()));
    }
    let fields = written.split_whitespace().count();
    let nickname = NICKNAMES.iter().any(|name| written.starts_with(name));
    let text = format!("{quoted}: expected exactly 5 fields, found {fields}");
    (!nickname && fields != 5)
        .then(|| (text, "say minute, hour, day, month and day of the week, as in '0 3 * * *'".to_owned()))
}
