//! What decides, and is in no manifest.

use std::borrow::Cow;

use serde_json::Value;

use super::{
    MAPS_HUGE_PAGES, MAPS_TMPFS, Nodes, apparmor_asked, confinement, gpu, hidden, inside_proc, kernel_since,
    nodes, other_class, privileged, seccomp_asked, unmasked, user, user_namespace, words,
};
use crate::diagnosis;
use crate::kubernetes::quantity::memory_limits;
use crate::kubernetes::{Cluster, Runtime, Workload, sysctls};
use crate::sandbox::Sandbox;

/// What decides, and only the node knows.
pub(in crate::kubernetes) fn questions(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
    sandbox: &Sandbox,
) -> Vec<String> {
    let mut ask = Vec::new();
    if cluster.runtime == Runtime::GVisor {
        ask.push(
            "what the nodes' runsc does: only trying tells, with `bwrap-doctor check` in the pod".to_owned(),
        );
        return ask;
    }
    let elsewhere = match nodes(workload) {
        Some(Nodes::Fargate) => Some("AWS Fargate"),
        Some(Nodes::Virtual) => Some("the service behind the virtual node"),
        Some(Nodes::Autopilot) | None => None,
    };
    if let Some(whose) = elsewhere {
        ask.push(format!(
            "what {whose} lets a container do: it is nobody's to set up, and only trying tells, with `bwrap-doctor check` in the pod"
        ));
        return ask;
    }
    ask.extend(net_admin(workload));
    ask.extend(hidden::question(workload, container, sandbox));
    ask.extend(other_class(cluster, workload).map(|class| {
        format!(
            "what runs the RuntimeClass {class}: `kubectl get runtimeclass {class} -o jsonpath={{.handler}}`; this is of {}",
            cluster.runtime
        )
    }));
    let node = &cluster.node;
    let privileged = privileged(container);
    if confinement::labels_unknown(cluster) && !privileged {
        ask.push("whether containerd labels containers: `containerd config dump | grep enable_selinux` on the node".to_owned());
    }
    let userns = user_namespace(cluster, workload);
    if userns && kernel_since(cluster, MAPS_TMPFS) != Some(true) {
        ask.push(match node.kernel.release.present() {
            None => "the nodes' kernel: `uname -r`, 6.3 or later for hostUsers: false".to_owned(),
            Some(release) => format!(
                "whether the node's kernel, {}, can show volumes under other ids, as Linux 6.3 and later do for hostUsers: false",
                crate::visible::line(release)
            ),
        });
    }
    ask.extend(gpu::questions(workload, container, sandbox, userns));
    if userns {
        // one that is not mounted keeps the others from being ready
        ask.extend(workload.mounted().into_iter().filter_map(|volume| {
            let kind = seldom_mapped(cluster, workload.source(volume))?;
            let name = crate::visible::line(volume.get("name")?.as_str()?);
            Some(format!("whether the node's kernel can show the {kind} volume {name} under other ids, as hostUsers: false needs"))
        }));
    }
    let unsafe_ones = sysctls::asked(workload).filter(|name| !sysctls::is_safe(cluster, name));
    ask.extend(unsafe_ones.map(|name| {
        let name = crate::visible::line(&name);
        format!("whether the kubelet lets pods set {name}, which is none of the safe sysctls: its --allowed-unsafe-sysctls")
    }));
    if let Some(limit) =
        memory_limits(cluster, workload, container).into_iter().find(|limit| limit.bytes < LITTLE_MEMORY)
    {
        let limit = crate::visible::line(&limit.written).into_owned();
        ask.push(format!("whether a container starts in {limit} of memory: runc needs some 6 MiB, and CRI-O asks for 12 MiB"));
    }
    let root = user(cluster, workload, container).0 == 0;
    if sandbox.namespaces.any_user() || !root {
        if node.sysctl("user.max_user_namespaces").is_unknown() {
            ask.push("whether the nodes allow user namespaces: `sysctl user.max_user_namespaces`".to_owned());
        }
        if node.sysctl("kernel.apparmor_restrict_unprivileged_userns").is_unknown() {
            let text = "whether AppArmor restricts them, as on Ubuntu: `sysctl kernel.apparmor_restrict_unprivileged_userns`";
            ask.push(text.to_owned());
        }
    }
    let asked = apparmor_asked(cluster, workload, container).unwrap_or_else(|| "RuntimeDefault".to_owned());
    let on = confinement::is_of_apparmor(cluster, workload, container);
    if on.is_none() && asked != "Unconfined" && !confinement::free(cluster, container, &asked) {
        let text = "whether AppArmor is on, whose profile for containers denies mounting: /sys/module/apparmor/parameters/enabled";
        ask.push(text.to_owned());
    }
    if confinement::selinux(cluster).is_none() && !privileged && on != Some(true) {
        ask.push("whether SELinux enforces its policy: `getenforce`".to_owned());
    }
    if cluster.runtime == Runtime::CriO && cluster.runtime_version.is_none() && userns && unmasked(container)
    {
        let text = "CRI-O's version: `crio --version`; 1.33.0 and 1.33.1 mask /proc all the same";
        ask.push(text.to_owned());
    }
    ask.extend(filters(cluster, workload, container));
    ask.extend(filters_of_those_before(cluster, workload, container));
    if let (Runtime::CriO, Some(point)) = (cluster.runtime, inside_proc(workload, container)) {
        ask.push(format!(
            "whether CRI-O has runc or crun: `crio config | grep default_runtime` on the node; runc mounts no volume inside /proc, where {point} is"
        ));
    }
    ask
}

/// What GKE Autopilot lets be added where the cluster was made so.
fn net_admin(workload: &Workload) -> Option<String> {
    let adds = || workload.listed().any(|(one, _)| words(one, "add").contains(&"NET_ADMIN"));
    let asked = nodes(workload) == Some(Nodes::Autopilot) && adds();
    asked.then(|| {
        "whether the cluster of GKE Autopilot lets NET_ADMIN be added, as with --workload-policies=allow-net-admin".to_owned()
    })
}

/// What a filter permits that is a file of the nodes, or comes from a registry.
fn filters(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<String> {
    let shown = crate::visible::line;
    let file = seccomp_asked(cluster, workload, container);
    let file = file.filter(|name| of_nodes(name) && !super::privileged(container));
    let file = file.map(|name| format!("what the filter {} on the nodes permits", shown(&name)));
    let fetched = confinement::seccomp_from_registry(cluster, workload, container).map(|name| {
        format!(
            "what the filter {} permits, which CRI-O takes from a registry where its allowed_annotations have the pod's: \
             `crio config | grep -A3 allowed_annotations` on the node",
            shown(name)
        )
    });
    file.into_iter().chain(fetched).collect()
}

/// Whether a filter of this name is a file of the nodes that nobody here knows.
fn of_nodes(name: &str) -> bool {
    !["Unconfined", "RuntimeDefault", diagnosis::FILTER_FOR_BWRAP].contains(&name)
}

/// Of those that start the pod up: without its file such a container does not end, and the pod waits for it.
fn filters_of_those_before(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<String> {
    let before = workload.listed().take_while(|(one, _)| !std::ptr::eq(*one, container));
    let before = before.filter(|(one, list)| *list == "initContainers" && !super::privileged(one));
    let named = before.filter_map(|(one, _)| {
        let filter = seccomp_asked(cluster, workload, one).filter(|name| of_nodes(name))?;
        Some((crate::visible::line(one.get("name")?.as_str()?), filter))
    });
    let asked = named.map(|(name, filter)| {
        let filter = crate::visible::line(&filter);
        format!(
            "whether the filter {filter} is on the nodes, for which container {name} asks, and the pod waits for that: \
             `ls /var/lib/kubelet/seccomp/` on the node"
        )
    });
    asked.collect()
}

/// So much is enough for each runtime.
const LITTLE_MEMORY: f64 = 12.0 * 1_048_576.0;

/// Volumes on filesystems that newer kernels, or none, show under other ids.
const SELDOM_MAPPED: &[&str] = &["azureFile", "cephfs", "glusterfs"];

/// What drivers of such filesystems have in their names.
const SELDOM_MAPPED_BY: &[&str] = &[
    "alluxio",
    "blob.csi",
    "cephfs",
    "cifs",
    "cvmfs",
    "efs.csi",
    "file.csi",
    "filestore",
    "fuse",
    "gcs.csi",
    "glusterfs",
    "juicefs",
    "lustre",
    "mountpoint-s3",
    "nfs",
    "rclone",
    "s3.csi",
    "seaweedfs",
    "smb",
    "sshfs",
];

/// The kind of a volume, or its driver, if few kernels show its files under other ids.
fn seldom_mapped<'a>(cluster: &Cluster, volume: &'a Value) -> Option<Cow<'a, str>> {
    let medium = volume.pointer("/emptyDir/medium").and_then(Value::as_str);
    if let Some(pages) = medium.filter(|medium| medium.starts_with("HugePages")) {
        let unsure = kernel_since(cluster, MAPS_HUGE_PAGES) != Some(true);
        return unsure.then(|| crate::visible::line(pages));
    }
    if let Some(kind) = SELDOM_MAPPED.iter().find(|kind| volume.get(**kind).is_some()) {
        return Some((*kind).into());
    }
    let drivers = ["/csi/driver", "/flexVolume/driver"].into_iter();
    let mut drivers = drivers.filter_map(|pointer| volume.pointer(pointer)?.as_str());
    let driver = drivers.find(|driver| SELDOM_MAPPED_BY.iter().any(|part| driver.contains(part)))?;
    Some(crate::visible::line(driver))
}
