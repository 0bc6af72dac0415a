//! Which field holds what. A row each, where it is found by its way.

use Kind::{Form, Range};

use crate::kubernetes::refusal::names::{self, LABEL, LABEL_VALUE, PORT_NAME, SUBDOMAIN, SYSCTL};

/// What a field holds, as the API server names it.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number(&'static str),
    Truth,
    List(&'static str),
    Mapping(&'static str),
    Word(&'static [&'static str]),
    Quantity,
    /// A number within bounds.
    Range(Bounds),
    /// A text that is a name, if it is one at all: whether it is a text another row says.
    Form(&'static names::Form),
}

/// From where to where, what the API server calls it and says of others, and what to do.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) of: &'static str,
    pub(super) least: i64,
    pub(super) most: i64,
    pub(super) says: &'static str,
    pub(super) how: &'static str,
}

/// Where it is, `*` for each of a list or mapping and `@` for each container; what the API server calls it; what it holds.
pub(super) type Row = (&'static str, &'static str, Kind);

const TEXTS: Kind = Kind::Mapping("map[string]string");
const INT32: Kind = Kind::Number("int32");
const INT64: Kind = Kind::Number("int64");

/// So many of something.
const COUNT: Kind = Range(Bounds {
    of: "int32",
    least: 0,
    most: i64::MAX,
    says: "must be greater than or equal to 0",
    how: "say 0 or more",
});
/// A pod that ends by itself has a second at least.
const DEADLINE: Kind = Range(Bounds {
    of: "int64",
    least: 1,
    most: 2_147_483_647,
    says: "must be between 1 and 2147483647, inclusive",
    how: "say 1 or more, or leave it out",
});
/// Permissions of files: JSON has no octal numbers, and 755 without a nought is decimal in YAML.
const MODE: Kind = Range(Bounds {
    of: "int32",
    least: 0,
    most: 0o777,
    says: "must be a number between 0 and 0777 (octal), both inclusive",
    how: "write it with a nought, as 0755, which is 493 in JSON",
});
/// Of a container that is to live, or has begun: it does after one success.
const ONCE: Kind = Range(Bounds { of: "int32", least: 0, most: 1, says: "must be 1", how: "leave it out" });

/// Of what makes pods.
pub(super) const OBJECT: &[Row] = &[
    ("metadata/annotations", "ObjectMeta.metadata.annotations", TEXTS),
    ("metadata/annotations/*", "ObjectMeta.metadata.annotations", Kind::Text),
    ("metadata/labels", "ObjectMeta.metadata.labels", TEXTS),
    ("metadata/labels/*", "ObjectMeta.metadata.labels", Kind::Text),
    ("metadata/labels/*", "", Form(&LABEL_VALUE)),
    ("spec/backoffLimit", "JobSpec.backoffLimit", COUNT),
    ("spec/completions", "JobSpec.completions", COUNT),
    ("spec/minReadySeconds", "spec.minReadySeconds", COUNT),
    ("spec/parallelism", "JobSpec.parallelism", COUNT),
    ("spec/paused", "DeploymentSpec.paused", Kind::Truth),
    ("spec/replicas", "spec.replicas", COUNT),
    ("spec/revisionHistoryLimit", "spec.revisionHistoryLimit", COUNT),
    ("spec/selector/matchLabels/*", "LabelSelector.matchLabels", Kind::Text),
    ("spec/suspend", "spec.suspend", Kind::Truth),
    ("spec/ttlSecondsAfterFinished", "JobSpec.ttlSecondsAfterFinished", COUNT),
];

/// Of all that have a namespace.
pub(super) const NAMESPACED: &[Row] = &[("metadata/namespace", "", Form(&LABEL))];

/// Of one kind that makes pods; a word that is left empty is filled in.
pub(super) const BY_KIND: &[(&str, &[Row])] = &[
    (
        "CronJob",
        &[
            ("spec/concurrencyPolicy", "", Kind::Word(&["Allow", "Forbid", "Replace", ""])),
            ("spec/failedJobsHistoryLimit", "CronJobSpec.failedJobsHistoryLimit", COUNT),
            ("spec/startingDeadlineSeconds", "CronJobSpec.startingDeadlineSeconds", INT64),
            ("spec/successfulJobsHistoryLimit", "CronJobSpec.successfulJobsHistoryLimit", COUNT),
        ],
    ),
    ("DaemonSet", &[("spec/updateStrategy/type", "", Kind::Word(&["OnDelete", "RollingUpdate", ""]))]),
    (
        "Deployment",
        &[
            ("spec/progressDeadlineSeconds", "DeploymentSpec.progressDeadlineSeconds", COUNT),
            ("spec/strategy/type", "", Kind::Word(&["Recreate", "RollingUpdate", ""])),
        ],
    ),
    ("Job", JOB),
    (
        "StatefulSet",
        &[
            ("spec/podManagementPolicy", "", Kind::Word(&["OrderedReady", "Parallel", ""])),
            ("spec/updateStrategy/type", "", Kind::Word(&["OnDelete", "RollingUpdate", ""])),
        ],
    ),
];

/// Of a Job, that of a `CronJob` as well.
pub(super) const JOB: &[Row] = &[
    ("spec/activeDeadlineSeconds", "JobSpec.activeDeadlineSeconds", INT64),
    ("spec/completionMode", "", Kind::Word(&["Indexed", "NonIndexed", ""])),
];

/// Of a pod.
pub(super) const POD: &[Row] = &[
    ("metadata/annotations", "ObjectMeta.annotations", TEXTS),
    ("metadata/annotations/*", "ObjectMeta.annotations", Kind::Text),
    ("metadata/labels", "ObjectMeta.labels", TEXTS),
    ("metadata/labels/*", "ObjectMeta.labels", Kind::Text),
    ("metadata/labels/*", "", Form(&LABEL_VALUE)),
    ("spec/activeDeadlineSeconds", "PodSpec.activeDeadlineSeconds", DEADLINE),
    ("spec/dnsPolicy", "", Kind::Word(&["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None", ""])),
    ("spec/enableServiceLinks", "PodSpec.enableServiceLinks", Kind::Truth),
    ("spec/hostAliases", "PodSpec.hostAliases", Kind::List("[]v1.HostAlias")),
    ("spec/hostname", "PodSpec.hostname", Kind::Text),
    ("spec/imagePullSecrets", "PodSpec.imagePullSecrets", Kind::List("[]v1.LocalObjectReference")),
    ("spec/initContainers", "PodSpec.initContainers", Kind::List("[]v1.Container")),
    ("spec/nodeName", "PodSpec.nodeName", Kind::Text),
    ("spec/nodeSelector", "PodSpec.nodeSelector", TEXTS),
    ("spec/nodeSelector/*", "PodSpec.nodeSelector", Kind::Text),
    ("spec/nodeSelector/*", "", Form(&LABEL_VALUE)),
    ("spec/os/name", "", Kind::Word(&["linux", "windows", ""])),
    ("spec/preemptionPolicy", "", Kind::Word(&["Never", "PreemptLowerPriority", ""])),
    ("spec/priority", "PodSpec.priority", INT32),
    ("spec/priorityClassName", "PodSpec.priorityClassName", Kind::Text),
    ("spec/runtimeClassName", "", Form(&SUBDOMAIN)),
    ("spec/schedulerName", "PodSpec.schedulerName", Kind::Text),
    ("spec/securityContext/sysctls", "PodSecurityContext.sysctls", Kind::List("[]v1.Sysctl")),
    ("spec/securityContext/sysctls/*/name", "Sysctl.name", Kind::Text),
    ("spec/securityContext/sysctls/*/name", "", Form(&SYSCTL)),
    ("spec/securityContext/sysctls/*/value", "Sysctl.value", Kind::Text),
    ("spec/serviceAccountName", "PodSpec.serviceAccountName", Kind::Text),
    ("spec/serviceAccountName", "", Form(&SUBDOMAIN)),
    ("spec/setHostnameAsFQDN", "PodSpec.setHostnameAsFQDN", Kind::Truth),
    ("spec/shareProcessNamespace", "PodSpec.shareProcessNamespace", Kind::Truth),
    ("spec/subdomain", "", Form(&LABEL)),
    ("spec/terminationGracePeriodSeconds", "PodSpec.terminationGracePeriodSeconds", INT64),
    ("spec/tolerations", "PodSpec.tolerations", Kind::List("[]v1.Toleration")),
    ("spec/tolerations/*/effect", "", Kind::Word(&["NoSchedule", "PreferNoSchedule", "NoExecute", ""])),
    ("spec/tolerations/*/key", "Toleration.key", Kind::Text),
    ("spec/tolerations/*/operator", "", Kind::Word(&["Equal", "Exists", "Gt", "Lt", ""])),
    ("spec/tolerations/*/tolerationSeconds", "Toleration.tolerationSeconds", INT64),
    ("spec/tolerations/*/value", "Toleration.value", Kind::Text),
    ("spec/resources/limits/*", "", Kind::Quantity),
    ("spec/resources/requests/*", "", Kind::Quantity),
    ("spec/volumes", "PodSpec.volumes", Kind::List("[]v1.Volume")),
    ("spec/volumes/*/configMap", "Volume.configMap", Kind::Mapping("v1.ConfigMapVolumeSource")),
    ("spec/volumes/*/configMap/defaultMode", "ConfigMapVolumeSource.defaultMode", MODE),
    ("spec/volumes/*/configMap/items/*/mode", "KeyToPath.mode", MODE),
    ("spec/volumes/*/configMap/name", "ConfigMapVolumeSource.name", Kind::Text),
    ("spec/volumes/*/downwardAPI/defaultMode", "DownwardAPIVolumeSource.defaultMode", MODE),
    ("spec/volumes/*/emptyDir", "Volume.emptyDir", Kind::Mapping("v1.EmptyDirVolumeSource")),
    ("spec/volumes/*/emptyDir/sizeLimit", "", Kind::Quantity),
    ("spec/volumes/*/hostPath", "Volume.hostPath", Kind::Mapping("v1.HostPathVolumeSource")),
    ("spec/volumes/*/hostPath/path", "HostPathVolumeSource.path", Kind::Text),
    ("spec/volumes/*/hostPath/type", "", Kind::Word(HOST_PATHS)),
    ("spec/volumes/*/name", "", Form(&LABEL)),
    ("spec/volumes/*/projected/defaultMode", "ProjectedVolumeSource.defaultMode", MODE),
    ("spec/volumes/*/secret", "Volume.secret", Kind::Mapping("v1.SecretVolumeSource")),
    ("spec/volumes/*/secret/defaultMode", "SecretVolumeSource.defaultMode", MODE),
    ("spec/volumes/*/secret/items/*/mode", "KeyToPath.mode", MODE),
    ("spec/volumes/*/secret/secretName", "SecretVolumeSource.secretName", Kind::Text),
    ("spec/@/args", "Container.args", Kind::List("[]string")),
    ("spec/@/command", "Container.command", Kind::List("[]string")),
    ("spec/@/env", "Container.env", Kind::List("[]v1.EnvVar")),
    ("spec/@/env/*/name", "EnvVar.name", Kind::Text),
    ("spec/@/envFrom", "Container.envFrom", Kind::List("[]v1.EnvFromSource")),
    ("spec/@/image", "Container.image", Kind::Text),
    ("spec/@/imagePullPolicy", "", Kind::Word(&["Always", "IfNotPresent", "Never", ""])),
    ("spec/@/livenessProbe/successThreshold", "Probe.successThreshold", ONCE),
    ("spec/@/ports", "Container.ports", Kind::List("[]v1.ContainerPort")),
    ("spec/@/ports/*/containerPort", "ContainerPort.containerPort", INT32),
    ("spec/@/ports/*/hostPort", "ContainerPort.hostPort", INT32),
    ("spec/@/ports/*/name", "ContainerPort.name", Kind::Text),
    ("spec/@/ports/*/name", "", Form(&PORT_NAME)),
    ("spec/@/ports/*/protocol", "", Kind::Word(&["SCTP", "TCP", "UDP", ""])),
    ("spec/@/livenessProbe/failureThreshold", "Probe.failureThreshold", COUNT),
    ("spec/@/livenessProbe/initialDelaySeconds", "Probe.initialDelaySeconds", COUNT),
    ("spec/@/livenessProbe/periodSeconds", "Probe.periodSeconds", COUNT),
    ("spec/@/livenessProbe/timeoutSeconds", "Probe.timeoutSeconds", COUNT),
    ("spec/@/readinessProbe/failureThreshold", "Probe.failureThreshold", COUNT),
    ("spec/@/readinessProbe/initialDelaySeconds", "Probe.initialDelaySeconds", COUNT),
    ("spec/@/readinessProbe/periodSeconds", "Probe.periodSeconds", COUNT),
    ("spec/@/readinessProbe/timeoutSeconds", "Probe.timeoutSeconds", COUNT),
    ("spec/@/startupProbe/failureThreshold", "Probe.failureThreshold", COUNT),
    ("spec/@/startupProbe/initialDelaySeconds", "Probe.initialDelaySeconds", COUNT),
    ("spec/@/startupProbe/periodSeconds", "Probe.periodSeconds", COUNT),
    ("spec/@/startupProbe/timeoutSeconds", "Probe.timeoutSeconds", COUNT),
    ("spec/@/startupProbe/successThreshold", "Probe.successThreshold", ONCE),
    ("spec/@/stdinOnce", "Container.stdinOnce", Kind::Truth),
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

/// What a path of the node's may have to be.
const HOST_PATHS: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
