//! Volumes that a runtime does not mount.

use std::path::Path;

use serde_json::Value;

use super::{Refusal, refusal};
use crate::diagnosis::Cause;
use crate::kubernetes::facts::{MAPS_HUGE_PAGES, inside_proc, kernel_since, mounts_of, point_of, volumes_of};
use crate::kubernetes::{Cluster, Runtime, Workload};

pub(super) fn refuses(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
    userns: bool,
) -> Vec<Refusal> {
    let mut found = Vec::new();
    if mounts_of(container).next().is_none() {
        return found;
    }
    if userns {
        found.extend(without_mapping(cluster, workload, container));
    }
    found.extend(of_git(cluster, workload, container));
    found.extend(without_plugin(cluster, workload, container));
    found.extend(other_medium(workload, container));
    found.extend(of_no_image(cluster, workload, container));
    let root = |mount: &Value| point_of(mount).is_some_and(|point| point.parent().is_none());
    if volumes_of(workload, container).any(|(mount, _)| root(mount)) {
        let text = format!("{} mounts no volume on the root of a container", cluster.runtime);
        found.push(refusal(Some(Cause::PodFieldsRefused), text, "mount the volume elsewhere"));
    }
    // crun, which CRI-O may have, has other rules
    if let (Runtime::Containerd, Some(point)) = (cluster.runtime, inside_proc(workload, container)) {
        let text = format!("runc mounts no volume inside /proc, where {point} is");
        found.push(refusal(Some(Cause::PodFieldsRefused), text, "mount the volume elsewhere"));
    }
    found
}

/// A repository that the kubelet would clone, of which it has the plugin switched off since 1.33.
fn of_git(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<Refusal> {
    let off = cluster.kubernetes.is_none_or(|version| version >= (1, 33));
    let cloned = |volume: &Value| volume.get("gitRepo").is_some_and(|repository| !repository.is_null());
    let text = "the kubelet says: git-repo volume plugin has been disabled";
    let remedy = "clone it in an init container, into an emptyDir that the others mount";
    let there = off && volumes_of(workload, container).any(|(_, volume)| cloned(volume));
    there.then(|| refusal(Some(Cause::PodFieldsRefused), text, remedy))
}

/// Kinds of volumes, each with the release that has them no more.
const GONE: &[(&str, (u32, u32))] = &[("glusterfs", (1, 26)), ("rbd", (1, 31))];

fn without_plugin(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<Refusal> {
    let gone = GONE.iter().filter(|(_, since)| cluster.kubernetes.is_none_or(|version| version >= *since));
    let mut there = gone.filter(|(kind, _)| {
        volumes_of(workload, container).any(|(_, volume)| volume.get(*kind).is_some_and(|it| !it.is_null()))
    });
    let (kind, (major, minor)) = there.next()?;
    let text = format!(
        "the kubelet says: no volume plugin matched, for {kind}, which Kubernetes {major}.{minor} has no more"
    );
    Some(refusal(
        Some(Cause::PodFieldsRefused),
        text,
        "have a CSI driver mount it: csi, or a persistentVolumeClaim",
    ))
}

/// What an emptyDir may be on; huge pages are there by size.
const MEDIA: &[&str] = &["", "HugePages", "Memory"];

fn other_medium(workload: &Workload, container: &Value) -> Option<Refusal> {
    let mut media = volumes_of(workload, container)
        .filter_map(|(_, volume)| volume.pointer("/emptyDir/medium").and_then(Value::as_str));
    let known =
        |medium: &str| MEDIA.contains(&medium) || medium.starts_with("HugePages-") || medium.contains('$');
    let medium = crate::visible::line(media.find(|medium| !known(medium))?);
    let text = format!("the kubelet says: MountVolume.SetUp failed: unknown storage medium \"{medium}\"");
    let remedy = "say medium: Memory, with a capital, or leave it out";
    Some(refusal(Some(Cause::PodFieldsRefused), text, remedy))
}

/// Images as volumes, which older runtimes do not mount.
fn of_no_image(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<Refusal> {
    let version = cluster.runtime_version?;
    let of_image = |volume: &Value| volume.get("image").is_some_and(|image| !image.is_null());
    let there = || volumes_of(workload, container).any(|(_, volume)| of_image(volume));
    if !cluster.lacks((2, 1), (1, 31)) || !there() {
        return None;
    }
    let text = format!(
        "the kubelet says: failed to mount image volume, for {} {version} mounts no images",
        cluster.runtime
    );
    let remedy = "update the runtime: containerd 2.1 or CRI-O 1.31 or later";
    Some(refusal(Some(Cause::PodFieldsRefused), text, remedy))
}

/// Where a node has what is the kernel's own, and what it is; what else is mounted below is so, too.
const KERNELS: &[(&str, &str)] =
    &[("/proc", "procfs"), ("/sys/fs/cgroup", "cgroup2"), ("/sys", "sysfs"), ("/dev", "devtmpfs")];

/// What lies there, and elsewhere in truth.
const ELSEWHERE: &[&str] = &["/dev/hugepages", "/dev/log", "/dev/shm"];

/// Filesystems that no kernel shows under other ids, as mountinfo names them; overlayfs maps its layers, and not itself.
const UNMAPPED: &[&str] = &[
    "9p",
    "bpf",
    "cgroup",
    "cgroup2",
    "debugfs",
    "devpts",
    "devtmpfs",
    "mqueue",
    "nfs",
    "nfs4",
    "overlay",
    "proc",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// The filesystem of a volume, if no kernel shows its files under other ids.
fn unmapped(cluster: &Cluster, volume: &Value) -> Option<String> {
    let there = |kind: &str| volume.get(kind).is_some_and(|value| !value.is_null());
    let medium = volume.pointer("/emptyDir/medium").and_then(Value::as_str);
    if medium.is_some_and(|medium| medium.starts_with("HugePages")) {
        return (kernel_since(cluster, MAPS_HUGE_PAGES) == Some(false)).then(|| "hugetlbfs".to_owned());
    }
    if there("nfs") {
        return Some("NFS".to_owned());
    }
    if there("image") && cluster.runtime == Runtime::CriO {
        return Some("an overlay that CRI-O makes of an image".to_owned());
    }
    of_node(cluster, Path::new(volume.pointer("/hostPath/path")?.as_str()?))
}

/// The same of a path of the node: what it has there, else what is there on nearly every node.
fn of_node(cluster: &Cluster, path: &Path) -> Option<String> {
    if let Some(mounts) = cluster.node.mounts.present() {
        let below = mounts.iter().filter(|mount| mount.rest(path).is_some());
        let filesystem = &below.max_by_key(|mount| mount.point.as_os_str().len())?.filesystem;
        return UNMAPPED.contains(&filesystem.as_str()).then(|| filesystem.clone());
    }
    if ELSEWHERE.iter().any(|other| path.starts_with(other)) {
        return None;
    }
    KERNELS.iter().find(|(place, _)| path.starts_with(place)).map(|(_, kind)| (*kind).to_owned())
}

fn without_mapping(cluster: &Cluster, workload: &Workload, container: &Value) -> Option<Refusal> {
    let mut volumes = volumes_of(workload, container);
    let (volume, kind) =
        volumes.find_map(|(_, volume)| Some((volume, unmapped(cluster, workload.source(volume))?)))?;
    let name = crate::visible::line(volume.get("name").and_then(Value::as_str).unwrap_or_default());
    let text = format!(
        "the volume {name} is {kind}, which cannot be mounted with the ids of a pod that has hostUsers: false (MOUNT_ATTR_IDMAP: invalid argument)"
    );
    let remedy = "use another kind of volume, or leave hostUsers and procMount out and bind the outer /proc in the sandbox";
    Some(refusal(Some(Cause::VolumeWithoutIdMapping), text, remedy))
}
