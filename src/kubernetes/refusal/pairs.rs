//! What of a pod, each right by itself, does not go with what stands beside it.

use std::collections::HashSet;

use serde_json::Value;

use super::shapes::{Said, list, refused, shown, text};
use super::{Refusal, resources};
use crate::kubernetes::facts::{is, mounts_of};
use crate::kubernetes::{Cluster, Workload};

pub(super) fn refuses(cluster: &Cluster, workload: &Workload) -> Vec<Refusal> {
    let mut found: Vec<Said> = Vec::new();
    found.extend(debuggers(workload));
    found.extend(other_port(workload));
    found.extend(port_twice(workload));
    found.extend(list(workload.spec(), "tolerations").find_map(toleration));
    found.extend(no_servers(workload));
    found.extend(deadline(workload));
    found.extend(of_no_sidecar(cluster, workload));
    found.extend(recreated(workload));
    found.extend(indexed(workload));
    for (container, _) in workload.listed() {
        found.extend(mounts_of(container).find_map(two_paths));
        found.extend(resources::of_container(workload, container));
    }
    found.extend(resources::of_pod(cluster, workload));
    found.into_iter().map(refused).collect()
}

fn number(of: &Value, field: &str) -> i64 {
    of.get(field).and_then(Value::as_i64).unwrap_or_default()
}

fn ports(workload: &Workload) -> impl Iterator<Item = &Value> {
    list(workload.spec(), "containers").flat_map(|one| list(one, "ports"))
}

/// In the node's network a port of the container's is the node's.
fn other_port(workload: &Workload) -> Option<Said> {
    if !is(workload.spec().get("hostNetwork"), true) {
        return None;
    }
    let mut both = ports(workload).map(|port| (number(port, "hostPort"), number(port, "containerPort")));
    let (host, own) = both.find(|(host, own)| *host != 0 && *own != 0 && host != own)?;
    Some((
        format!(
            "ports.hostPort: Invalid value: {host}: must match `containerPort` when `hostNetwork` is true"
        ),
        format!("say hostPort: {own}, or leave hostPort out"),
    ))
}

fn port_twice(workload: &Workload) -> Option<Said> {
    let mut seen = HashSet::new();
    let mut taken = ports(workload).filter_map(|port| {
        let protocol = Some(text(port, "protocol")).filter(|name| !name.is_empty()).unwrap_or("TCP");
        let host = number(port, "hostPort");
        (host != 0).then_some((protocol, text(port, "hostIP"), host))
    });
    let (protocol, address, port) = taken.find(|one| !seen.insert(*one))?;
    let (protocol, address) = (shown(protocol), shown(address));
    Some((
        format!("ports.hostPort: Duplicate value: \"{protocol}/{address}/{port}\""),
        "a port of the node is one container's: say another hostPort, or none".to_owned(),
    ))
}

/// Of those that are driven out, or what is filled in later.
fn is_effect(effect: &str) -> bool {
    effect == "NoExecute" || effect.contains('$')
}

/// What an operator of taints minds.
fn toleration(one: &Value) -> Option<Said> {
    let there = |field: &str| one.get(field).is_some_and(|value| !value.is_null() && value != "");
    let operator = text(one, "operator");
    let exists = operator == "Exists";
    let (text, how) = if !there("key") && !exists && !operator.contains('$') {
        (
            format!(
                "operator: Invalid value: \"{}\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
                shown(operator)
            ),
            "say operator: Exists, or the key",
        )
    } else if exists && there("value") {
        (
            "operator: Invalid value: \"Exists\": value must be empty when `operator` is 'Exists'".to_owned(),
            "leave value out",
        )
    } else if there("tolerationSeconds") && !is_effect(text(one, "effect")) {
        (
            "effect: Invalid value: effect must be 'NoExecute' when `tolerationSeconds` is set".to_owned(),
            "say effect: NoExecute, or leave tolerationSeconds out",
        )
    } else {
        return None;
    };
    Some((format!("spec.tolerations.{text}"), how.to_owned()))
}

fn no_servers(workload: &Workload) -> Option<Said> {
    let spec = workload.spec();
    let none = text(spec, "dnsPolicy") == "None" && spec.get("dnsConfig").is_none_or(Value::is_null);
    none.then(|| {
        let text = "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None";
        (text.to_owned(), "name nameservers in dnsConfig, or leave dnsPolicy out".to_owned())
    })
}

/// The releases that know of sidecars, and of no rules for others.
const SIDECARS_ALONE: std::ops::Range<(u32, u32)> = (1, 29)..(1, 34);

fn of_no_sidecar(cluster: &Cluster, workload: &Workload) -> Option<Said> {
    cluster.kubernetes.filter(|version| SIDECARS_ALONE.contains(version))?;
    let there = |one: &Value| one.get("restartPolicy").is_some_and(|value| !value.is_null());
    list(workload.spec(), "containers").any(there).then(|| {
        let text = "spec.containers.restartPolicy: Forbidden: may not be set for non-init containers";
        (text.to_owned(), "say restartPolicy in the spec of the pod, beside containers".to_owned())
    })
}

/// Kinds whose pods are to run for ever.
const FOR_EVER: &[&str] = &["DaemonSet", "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"];

fn deadline(workload: &Workload) -> Option<Said> {
    let there = workload.spec().get("activeDeadlineSeconds").is_some_and(|value| !value.is_null());
    (there && FOR_EVER.contains(&workload.kind())).then(|| {
        let text = format!(
            "{}.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in {} is not Supported",
            workload.place(),
            shown(workload.kind())
        );
        (text, "leave it out: only a Job, or a pod by itself, ends".to_owned())
    })
}

fn recreated(workload: &Workload) -> Option<Said> {
    let strategy = workload.object.pointer("/spec/strategy").filter(|_| workload.kind() == "Deployment")?;
    let rolling = strategy.get("rollingUpdate").is_some_and(|value| !value.is_null());
    (rolling && text(strategy, "type") == "Recreate").then(|| {
        let text =
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'";
        (text.to_owned(), "leave rollingUpdate out".to_owned())
    })
}

fn indexed(workload: &Workload) -> Option<Said> {
    let way = match workload.kind() {
        "Job" => "/spec",
        "CronJob" => "/spec/jobTemplate/spec",
        _ => return None,
    };
    let job = workload.object.pointer(way)?;
    let none = job.get("completions").is_none_or(Value::is_null) && text(job, "completionMode") == "Indexed";
    none.then(|| {
        let text = "spec.completions: Required value: when completion mode is Indexed";
        (text.to_owned(), "say how many completions there are".to_owned())
    })
}

/// What only a pod has, and no template of one.
fn debuggers(workload: &Workload) -> Option<Said> {
    let there = list(workload.spec(), "ephemeralContainers").next().is_some() && !workload.way().is_here();
    let place = workload.place();
    there.then(|| {
        let text = format!(
            "{place}.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"
        );
        (text, "leave them out: kubectl debug adds them to a pod that runs".to_owned())
    })
}

fn two_paths(mount: &Value) -> Option<Said> {
    let path = text(mount, "subPathExpr");
    (!path.is_empty() && !text(mount, "subPath").is_empty()).then(|| {
        let text = format!(
            "volumeMounts.subPathExpr: Invalid value: \"{}\": subPathExpr and subPath are mutually exclusive",
            shown(path)
        );
        (text, "leave subPath or subPathExpr out".to_owned())
    })
}
