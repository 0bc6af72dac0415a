//! What the API server does not take, in its words where they are known, or drops.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Refusal, ignored, kinds, pairs, refusal, required, shapes, twice, values};
use crate::diagnosis::{Cause, PodPatch};
use crate::kubernetes::facts::{
    APPARMOR, HAS_USER_NAMESPACES, annotated_apparmor, context, demanded, drops_user_namespaces,
    has_apparmor_field, is, mounts_of, own, privileged, profile, unmasked,
};
use crate::kubernetes::manifest::starts_up;
use crate::kubernetes::{Cluster, Workload};

pub(super) fn refuses(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let mut found = Vec::new();
    found.extend(other_system(workload));
    found.extend(user_namespace(cluster, workload));
    found.extend(unknown_profile(cluster, workload, container));
    found.extend(unknown_sidecars(cluster, workload, container));
    let volumes_there = volume_names(workload);
    for (one, _) in workload.listed() {
        found.extend(of_container(cluster, workload, one, &volumes_there, std::ptr::eq(one, container)));
    }
    // a controller of somebody else's, or a program that has a pod in its configuration, may make something else of what it reads
    if !workload.is_custom() && !workload.is_part() {
        found.extend(kinds::refuses(cluster, workload));
        found.extend(required::refuses(cluster, workload));
        found.extend(shapes::refuses(cluster, workload));
        found.extend(pairs::refuses(cluster, workload));
    }
    found.extend(shared_twice(workload));
    found.extend(volumes(workload));
    found.extend(annotations(workload));
    found
}

/// Pods that run no Linux, or say two things about it.
fn other_system(workload: &Workload) -> Option<Refusal> {
    let spec = workload.spec();
    let said = spec.pointer("/os/name").and_then(Value::as_str);
    let node =
        ["kubernetes.io/os", "beta.kubernetes.io/os"].into_iter().find_map(|label| demanded(workload, label));
    if let (Some(said), Some(node)) = (said, node)
        && said != node
    {
        let (said, node) = (crate::visible::line(said), crate::visible::line(node));
        let text = format!(
            "the pod asks for nodes with {node}, whose kubelet does not admit it, for its os.name is {said} (PodOSNotSupported)"
        );
        let remedy = "let os.name and the selector of nodes say the same: linux, where bwrap is to run";
        return Some(refusal(Some(Cause::PodFieldsRefused), text, remedy));
    }
    let system = said.or(node);
    let options = has_windows_options(workload);
    if system == Some("windows") || system.is_none() && options {
        let text = "the pod is for Windows, where there is no bwrap";
        return Some(refusal(None, text, "run what needs bwrap in a pod for Linux"));
    }
    let text = "the API server says: windows options cannot be set for a linux pod";
    let refused = || refusal(Some(Cause::PodFieldsRefused), text, "leave windowsOptions out");
    (said == Some("linux") && options).then(refused)
}

/// Whether it is a pod for Windows.
pub(in crate::kubernetes) fn is_for_windows(workload: &Workload) -> bool {
    other_system(workload).is_some_and(|refused| refused.cause.is_none())
}

fn has_windows_options(workload: &Workload) -> bool {
    let options = |place: &Value| {
        own(place, "windowsOptions").and_then(Value::as_object).is_some_and(|options| !options.is_empty())
    };
    options(workload.spec()) || workload.listed().any(|(one, _)| options(one))
}

/// A field of AppArmor's that this release has not.
fn unknown_profile(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<Refusal> {
    let (major, minor) = cluster.kubernetes.filter(|_| !has_apparmor_field(cluster))?;
    context(workload, container, "appArmorProfile")?;
    let name = crate::visible::line(container.get("name")?.as_str()?);
    let text = format!(
        "Kubernetes {major}.{minor} has no field appArmorProfile: kubectl refuses it as unknown, and others drop it"
    );
    let remedy = format!("name the profile in the annotation {APPARMOR}/{name}");
    Some(ignored(Some(Cause::PodFieldsIgnored), text, remedy))
}

/// The release that has sidecars switched on.
const HAS_SIDECARS: (u32, u32) = (1, 29);

/// Init containers that are to stay, where the field is dropped that says so: what comes behind them waits for their end.
fn unknown_sidecars(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<Refusal> {
    let (major, minor) = cluster.kubernetes.filter(|version| *version < HAS_SIDECARS)?;
    let before = workload.listed().take_while(|(one, _)| !std::ptr::eq(*one, container));
    let mut stay = before.filter(|(one, list)| *list == "initContainers" && !starts_up(one, list));
    let name = crate::visible::line(stay.next()?.0.get("name")?.as_str()?).into_owned();
    let text = format!(
        "Kubernetes {major}.{minor} drops restartPolicy of the init container {name}, and the pod waits for its end"
    );
    let remedy = "use Kubernetes 1.29 or later, or name it among the containers";
    Some(refusal(Some(Cause::PodFieldsRefused), text, remedy))
}

/// Processes shared within the pod, and with the node.
fn shared_twice(workload: &Workload) -> Option<Refusal> {
    let both =
        ["shareProcessNamespace", "hostPID"].into_iter().all(|field| is(workload.spec().get(field), true));
    let text = "the API server says: ShareProcessNamespace and HostPID cannot both be enabled";
    both.then(|| refusal(Some(Cause::PodFieldsRefused), text, "leave one of the two out"))
}

fn user_namespace(cluster: &Cluster, workload: &Workload) -> Vec<Refusal> {
    let spec = workload.spec();
    let asks = is(spec.get("hostUsers"), false);
    let unmasked = workload.listed().any(|(one, _)| unmasked(one));
    let mut found = Vec::new();
    if let (Some((major, minor)), true) = (drops_user_namespaces(cluster), asks || unmasked) {
        let text = format!(
            "Kubernetes {major}.{minor} drops hostUsers and procMount without a word, unless its feature gates are switched on"
        );
        let (major, minor) = HAS_USER_NAMESPACES;
        let remedy =
            format!("use Kubernetes {major}.{minor} or later, or bind the outer /proc in the sandbox");
        return vec![ignored(Some(Cause::PodFieldsIgnored), text, remedy)];
    }
    if unmasked && !asks {
        let text = "the API server allows procMount: Unmasked only with hostUsers: false";
        let mut refused = refusal(Some(Cause::UnmaskedNeedsUserNamespace), text, "set hostUsers: false");
        refused.patch = Some(PodPatch { host_users: Some(false), ..PodPatch::default() }.into());
        found.push(refused);
    }
    if asks {
        let shared =
            ["hostNetwork", "hostPID", "hostIPC"].into_iter().find(|field| is(spec.get(*field), true));
        if let Some(field) = shared {
            let text = format!("the API server allows no hostUsers: false together with {field}: true");
            found.push(refusal(Some(Cause::PodFieldsRefused), text, "leave one of the two out"));
        }
        let devices = |one: &Value| {
            one.get("volumeDevices").and_then(Value::as_array).is_some_and(|all| !all.is_empty())
        };
        if workload.listed().any(|(one, _)| devices(one)) {
            let text = "the API server allows no hostUsers: false where a container has volumeDevices";
            found.push(refusal(Some(Cause::PodFieldsRefused), text, "leave one of the two out"));
        }
    }
    found
}

/// What of one container's fields does not go together; `meant` is the one that runs bwrap.
fn of_container(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
    there: &BTreeSet<&str>,
    meant: bool,
) -> Vec<Refusal> {
    let name = crate::visible::line(container.get("name").and_then(Value::as_str).unwrap_or_default());
    let whose = if meant { String::new() } else { format!("container {name}: ") };
    let mut found = values::refuses(workload, container, &whose);
    if is(own(container, "allowPrivilegeEscalation"), false) {
        let added = own(container, "capabilities").and_then(|both| both.get("add")?.as_array());
        // it looks for this name only
        let admin = added.into_iter().flatten().any(|name| name == "CAP_SYS_ADMIN");
        let other = match (privileged(container), admin) {
            (true, _) => Some("`privileged` to true"),
            (_, true) => Some("`capabilities.Add` CAP_SYS_ADMIN"),
            _ => None,
        };
        if let Some(other) = other {
            let text = format!(
                "{whose}the API server says: cannot set `allowPrivilegeEscalation` to false and {other}"
            );
            found.push(refusal(Some(Cause::PodFieldsRefused), text, "leave one of the two out"));
        }
    }
    let field = context(workload, container, "appArmorProfile").and_then(profile);
    let annotation = annotated_apparmor(workload, container);
    let known = has_apparmor_field(cluster);
    if known && field.is_some() && annotation.is_some() && field != annotation {
        let text = format!("{whose}the API server says: apparmor type in annotation and field must match");
        let remedy = format!("leave the annotation {APPARMOR}/{name} out");
        found.push(refusal(Some(Cause::PodFieldsRefused), text, remedy));
    }
    let both = |mount: &Value| mount.get("mountPropagation").is_some_and(|kind| kind == "Bidirectional");
    if mounts_of(container).any(both) && !privileged(container) {
        let text = format!(
            "{whose}the API server says: Bidirectional mount propagation is available only to privileged containers"
        );
        found.push(refusal(
            Some(Cause::PodFieldsRefused),
            text,
            "leave mountPropagation out, or say HostToContainer",
        ));
    }
    if let Some(path) = twice(mounts_of(container).filter_map(|mount| mount.get("mountPath")?.as_str())) {
        let path = crate::visible::line(path);
        let text = format!("{whose}the API server takes no two volumeMounts with the mountPath {path}");
        found.push(refusal(Some(Cause::PodFieldsRefused), text, "leave one of the two out"));
    }
    if let Some(volume) = mount_without_volume(workload, container, there) {
        let volume = crate::visible::line(volume);
        let text = format!("{whose}the API server finds no volume {volume}, which volumeMounts names");
        found.push(refusal(Some(Cause::PodFieldsRefused), text, "add it to volumes, or leave the mount out"));
    }
    found
}

/// Volumes that are called alike.
fn volumes(workload: &Workload) -> Option<Refusal> {
    let all = workload.spec().get("volumes").and_then(Value::as_array).into_iter().flatten();
    let name = crate::visible::line(twice(all.filter_map(|volume| volume.get("name")?.as_str()))?);
    let text = format!("the API server takes no two volumes with the name {name}");
    Some(refusal(Some(Cause::PodFieldsRefused), text, "give one of the two another name"))
}

/// What volumes may be called, those that a StatefulSet makes of claims among them.
fn volume_names(workload: &Workload) -> BTreeSet<&str> {
    let claims = workload.object.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
    let claims = claims.into_iter().flatten().filter_map(|claim| claim.pointer("/metadata/name")?.as_str());
    workload.volumes().into_keys().filter_map(Value::as_str).chain(claims).collect()
}

fn mount_without_volume<'a>(
    workload: &Workload,
    container: &'a Value,
    there: &BTreeSet<&str>,
) -> Option<&'a str> {
    // whose controllers may add some
    if workload.is_custom() {
        return None;
    }
    let mut names = mounts_of(container).filter_map(|mount| mount.get("name")?.as_str());
    names.find(|name| !there.contains(name))
}

/// Of profiles for containers that are not there.
fn annotations(workload: &Workload) -> Option<Refusal> {
    let all = workload.pod().pointer("/metadata/annotations")?.as_object()?;
    let named = all.keys().filter_map(|key| key.strip_prefix(APPARMOR)?.strip_prefix('/'));
    let there: BTreeSet<&str> = workload.containers().collect();
    let gone = named.into_iter().find(|name| !there.contains(name))?;
    let gone = crate::visible::line(gone);
    let text = format!("the API server says: container not found, of the annotation {APPARMOR}/{gone}");
    Some(refusal(Some(Cause::PodFieldsRefused), text, "leave the annotation out"))
}
