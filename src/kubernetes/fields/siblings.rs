//! The other fields of a pod by their names alone: one that is written otherwise, or in another's place, is dropped where nobody refuses
//! it, and the pod is another than its manifest says.

use serde_json::Value;

/// A pod's lists of containers.
const LISTS: &[&str] = &["initContainers", "containers", "ephemeralContainers"];

/// A mapping that is looked at: what it is called where one of its fields stands elsewhere, and all that it may have.
struct Family {
    whose: &'static str,
    names: &'static [&'static str],
}

const SPEC: Family = Family {
    whose: "the spec of the pod",
    names: &[
        "activeDeadlineSeconds",
        "affinity",
        "automountServiceAccountToken",
        "containers",
        "dnsConfig",
        "dnsPolicy",
        "enableServiceLinks",
        "ephemeralContainers",
        "hostAliases",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostUsers",
        "hostname",
        "hostnameOverride",
        "imagePullSecrets",
        "initContainers",
        "nodeName",
        "nodeSelector",
        "os",
        "overhead",
        "preemptionPolicy",
        "priority",
        "priorityClassName",
        "readinessGates",
        "resourceClaims",
        "resources",
        "restartPolicy",
        "runtimeClassName",
        "schedulerName",
        "schedulingGates",
        "securityContext",
        "serviceAccount",
        "serviceAccountName",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "subdomain",
        "terminationGracePeriodSeconds",
        "tolerations",
        "topologySpreadConstraints",
        "volumes",
    ],
};

const CONTAINER: Family = Family {
    whose: "a container",
    names: &[
        "args",
        "command",
        "env",
        "envFrom",
        "image",
        "imagePullPolicy",
        "lifecycle",
        "livenessProbe",
        "name",
        "ports",
        "readinessProbe",
        "resizePolicy",
        "resources",
        "restartPolicy",
        "restartPolicyRules",
        "securityContext",
        "startupProbe",
        "stdin",
        "stdinOnce",
        "targetContainerName",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "tty",
        "volumeDevices",
        "volumeMounts",
        "workingDir",
    ],
};

const RESOURCES: Family = Family { whose: "resources", names: &["claims", "limits", "requests"] };

const MOUNT: Family = Family {
    whose: "volumeMounts",
    names: &[
        "mountPath",
        "mountPropagation",
        "name",
        "readOnly",
        "recursiveReadOnly",
        "subPath",
        "subPathExpr",
    ],
};

const VOLUME: Family = Family {
    whose: "volumes",
    names: &[
        "awsElasticBlockStore",
        "azureDisk",
        "azureFile",
        "cephfs",
        "cinder",
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "fc",
        "flexVolume",
        "flocker",
        "gcePersistentDisk",
        "gitRepo",
        "glusterfs",
        "hostPath",
        "image",
        "iscsi",
        "name",
        "nfs",
        "persistentVolumeClaim",
        "photonPersistentDisk",
        "portworxVolume",
        "projected",
        "quobyte",
        "rbd",
        "scaleIO",
        "secret",
        "storageos",
        "vsphereVolume",
    ],
};

/// What of a container's stands in the spec of a pod, of the pod's in a container, and of the pod's around it, by mistake. Names that
/// both have, and that what is around it may have, are none.
const OF_CONTAINERS: &[&str] =
    &["args", "command", "env", "envFrom", "image", "imagePullPolicy", "ports", "volumeMounts", "workingDir"];
const OF_SPECS: &[&str] = &[
    "affinity",
    "containers",
    "dnsPolicy",
    "hostAliases",
    "imagePullSecrets",
    "initContainers",
    "nodeName",
    "nodeSelector",
    "priorityClassName",
    "schedulerName",
    "serviceAccountName",
    "shareProcessNamespace",
    "tolerations",
    "volumes",
];
const OF_JOBS: &[&str] = &["backoffLimit", "completions", "parallelism", "ttlSecondsAfterFinished"];

/// What the specification of each kind has not, though its pods' has it.
const AROUND: &[&str] = &["restartPolicy", "volumes", "nodeSelector", "tolerations", "imagePullSecrets"];

/// Where a name belongs that stands in the wrong place.
type Strays = (&'static [&'static str], &'static str);

/// What is wrong with the names of a pod's fields, and of what stands around it.
pub(in crate::kubernetes) fn check(
    kind: &str,
    here: bool,
    object: &Value,
    place: &str,
    spec: &Value,
) -> Result<(), String> {
    around(kind, here, object)?;
    astray(place, spec, &[(OF_CONTAINERS, CONTAINER.whose), (OF_JOBS, "the spec of the Job")])?;
    misspelt(place, spec, &SPEC)?;
    each(place, spec, "volumes", |shown, one| misspelt(shown, one, &VOLUME))?;
    for list in LISTS {
        each(place, spec, list, |shown, one| {
            astray(shown, one, &[(OF_SPECS, SPEC.whose)])?;
            misspelt(shown, one, &CONTAINER)?;
            one.get("resources")
                .map_or(Ok(()), |all| misspelt(&format!("{shown}.resources"), all, &RESOURCES))?;
            each(shown, one, "volumeMounts", |shown, mount| misspelt(shown, mount, &MOUNT))
        })?;
    }
    Ok(())
}

fn around(kind: &str, here: bool, object: &Value) -> Result<(), String> {
    astray(kind, object, &[(&["annotations", "labels"], "metadata")])?;
    if here {
        return Ok(());
    }
    // which has a template, and nothing around it
    if kind != "PodTemplate" {
        astray(kind, object, &[(&["replicas", "selector", "template"], "spec")])?;
    }
    let spec = object.get("spec").unwrap_or(&Value::Null);
    astray(&format!("{kind}.spec"), spec, &[(AROUND, SPEC.whose)])?;
    let job = spec.pointer("/jobTemplate/spec").unwrap_or(&Value::Null);
    astray(&format!("{kind}.spec.jobTemplate.spec"), job, &[(AROUND, SPEC.whose)])
}

fn each(
    place: &str,
    object: &Value,
    field: &str,
    then: impl Fn(&str, &Value) -> Result<(), String>,
) -> Result<(), String> {
    let all = object.get(field).and_then(Value::as_array).into_iter().flatten();
    all.enumerate().try_for_each(|(number, one)| then(&format!("{place}.{field}[{number}]"), one))
}

fn names(object: &Value) -> impl Iterator<Item = &str> {
    let all = object.as_object().into_iter().flatten();
    all.filter(|(_, value)| !value.is_null()).map(|(name, _)| name.as_str())
}

fn astray(place: &str, object: &Value, strays: &[Strays]) -> Result<(), String> {
    let found = names(object).find_map(|name| {
        let (_, home) = strays.iter().find(|(others, _)| others.contains(&name))?;
        Some((name, home))
    });
    found.map_or(Ok(()), |(name, home)| Err(format!("{place} has no field {name}: it belongs in {home}")))
}

fn misspelt(place: &str, object: &Value, family: &Family) -> Result<(), String> {
    let unknown = names(object).filter(|name| !family.names.contains(name));
    let mut meant = unknown.filter_map(|name| {
        let letters = letters(name);
        Some((name, family.names.iter().find(|known| self::letters(known) == letters)?))
    });
    meant.next().map_or(Ok(()), |(name, known)| {
        Err(format!("{place} has no field {}: {known} is meant", crate::visible::line(name)))
    })
}

/// What is left of a name without capitals, `_` and `-`, and without the `s` of more than one: a new field that only resembles another
/// has other letters.
fn letters(name: &str) -> String {
    let letters = name.chars().filter(|letter| !"_-".contains(*letter));
    let letters = letters.map(|letter| letter.to_ascii_lowercase()).collect::<String>();
    letters.strip_suffix('s').map_or_else(|| letters.clone(), str::to_owned)
}
