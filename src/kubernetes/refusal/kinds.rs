//! What the fields of a pod hold, and of what makes it: a value of another kind the API server does not take, nor another word.

mod table;

use serde_json::Value;

use super::names::Form;
use super::{Refusal, refusal};
use crate::diagnosis::Cause;
use crate::kubernetes::quantity;
use crate::kubernetes::{Cluster, Workload};
use table::{BY_KIND, Bounds, JOB, Kind, NAMESPACED, OBJECT, POD, Row};

/// Whether pods begin anew when they end: what each kind lets them say. An empty word is as good as none, where that is.
const RESTARTS: &[(&[&str], &[&str])] = &[
    (&["DaemonSet", "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"], &["Always", ""]),
    (&["CronJob", "Job"], &["OnFailure", "Never"]),
    (&["Pod", "PodTemplate"], &["Always", "Never", "OnFailure", ""]),
];

pub(super) fn refuses(cluster: &Cluster, workload: &Workload) -> Vec<Refusal> {
    let mut found = Vec::new();
    check(NAMESPACED, &workload.object, "", &mut found);
    if !workload.way().is_here() {
        check(OBJECT, &workload.object, "", &mut found);
        for (_, rows) in BY_KIND.iter().filter(|(kind, _)| *kind == workload.kind()) {
            check(rows, &workload.object, "", &mut found);
        }
        // a Job that is to be made is one as well
        let job = workload.object.pointer("/spec/jobTemplate").filter(|_| workload.kind() == "CronJob");
        for (rows, job) in [OBJECT, JOB].into_iter().filter_map(|rows| Some((rows, job?))) {
            check(rows, job, "spec.jobTemplate", &mut found);
        }
    }
    let place = workload.way().to_string();
    check(POD, workload.pod(), &place, &mut found);
    let restarts = RESTARTS.iter().find(|(kinds, _)| kinds.contains(&workload.kind()));
    if let Some((_, words)) = restarts {
        check(&[("spec/restartPolicy", "", Kind::Word(words))], workload.pod(), &place, &mut found);
    }
    check(begun_anew(cluster), workload.pod(), &place, &mut found);
    found
}

/// Whether a container begins anew when it ends: until a container had rules of its own for that, init containers alone said so, and
/// one word.
fn begun_anew(cluster: &Cluster) -> &'static [Row] {
    const ANY: Kind = Kind::Word(&["Always", "Never", "OnFailure"]);
    const RULES: &[Row] =
        &[("spec/containers/*/restartPolicy", "", ANY), ("spec/initContainers/*/restartPolicy", "", ANY)];
    const SIDECARS: &[Row] = &[("spec/initContainers/*/restartPolicy", "", Kind::Word(&["Always"]))];
    match cluster.kubernetes {
        Some(version) if version < (1, 29) => &[],
        Some(version) if version < (1, 34) => SIDECARS,
        _ => RULES,
    }
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
pub(super) fn is_variable(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains('$') || text.contains("{{"))
}

/// A pod's lists of containers.
const CONTAINERS: &[&str] = &["initContainers", "containers", "ephemeralContainers"];

/// A step on the way to a value.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    Name(&'a str),
    Number(usize),
}

/// As people write it: `spec.containers[0].image`.
pub(super) fn shown(place: &str, steps: &[Step<'_>]) -> String {
    steps.iter().fold(place.to_owned(), |way, step| match step {
        Step::Number(number) => format!("{way}[{number}]"),
        Step::Name(name) if way.is_empty() => crate::visible::line(name).into_owned(),
        Step::Name(name) => format!("{way}.{}", crate::visible::line(name)),
    })
}

/// Goes to all that a way leads to.
pub(super) fn look<'a>(
    at: &'a Value,
    way: Option<&str>,
    steps: &mut Vec<Step<'a>>,
    each: &mut impl FnMut(&[Step<'_>], &'a Value),
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
        Kind::Range(bounds) => match value.as_i64() {
            Some(number) => return within(number, &bounds),
            None => (false, bounds.of, "write it as a number, without quotes"),
        },
        Kind::Form(form) => return named(value, form),
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

fn within(number: i64, bounds: &Bounds) -> Option<Said> {
    let text = format!("the API server says: PLACE: Invalid value: {number}: {}", bounds.says);
    let fits = (bounds.least..=bounds.most).contains(&number);
    (!fits).then(|| Said { text, how: bounds.how.to_owned() })
}

fn named(value: &Value, form: &Form) -> Option<Said> {
    // what is left empty is filled in, or is missing
    let name = value.as_str().filter(|name| !name.is_empty() && !(form.fits)(name))?;
    let name = crate::visible::line(name);
    let text = format!("the API server says: PLACE: Invalid value: \"{name}\": {}", form.says);
    Some(Said { text, how: form.how.to_owned() })
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
