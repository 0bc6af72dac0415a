//! Volumes that a runtime does not mount.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Refusal, refusal};
use crate::diagnosis::Cause;
use crate::kubernetes::facts::{MAPS_HUGE_PAGES, kernel_since, volumes_of};
use crate::kubernetes::{Cluster, Runtime, Workload};

pub(super) fn refuses(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
    userns: bool,
) -> Vec<Refusal> {
    let mut found = Vec::new();
    if userns {
        found.extend(without_mapping(cluster, workload, container));
    }
    // crun has other rules
    if let (Runtime::Containerd, Some(point)) = (cluster.runtime, inside_proc(workload, container)) {
        let point = crate::visible::line(point);
        let text = format!("runc mounts no volume inside /proc, where {point} is");
        found.push(refusal(Some(Cause::PodFieldsRefused), text, "mount the volume elsewhere"));
    }
    found
}

/// Where a node has what is the kernel's own, and what it is; what else is mounted below is so, too.
const KERNELS: &[(&str, &str)] = &[("/proc", "procfs"), ("/sys", "sysfs"), ("/dev", "devtmpfs")];

/// What lies there, and elsewhere in truth.
const ELSEWHERE: &[&str] = &["/dev/hugepages", "/dev/log", "/dev/shm"];

/// The filesystem of a volume, if no kernel shows its files under other ids.
fn unmapped(cluster: &Cluster, volume: &Value) -> Option<&'static str> {
    let medium = volume.pointer("/emptyDir/medium").and_then(Value::as_str);
    if medium.is_some_and(|medium| medium.starts_with("HugePages")) {
        return (kernel_since(cluster, MAPS_HUGE_PAGES) == Some(false)).then_some("hugetlbfs");
    }
    if volume.get("nfs").is_some_and(|nfs| !nfs.is_null()) {
        return Some("NFS");
    }
    let path = Path::new(volume.pointer("/hostPath/path")?.as_str()?);
    if ELSEWHERE.iter().any(|other| path.starts_with(other)) {
        return None;
    }
    KERNELS.iter().find(|(place, _)| path.starts_with(place)).map(|(_, kind)| *kind)
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

/// Files of /proc that runc lets be covered: those of lxcfs, and two settings.
const COVERED: &[&str] = &[
    "cpuinfo",
    "diskstats",
    "loadavg",
    "meminfo",
    "net/dev",
    "slabinfo",
    "stat",
    "swaps",
    "sys/crypto/fips_enabled",
    "sys/kernel/ns_last_pid",
    "uptime",
];

fn inside_proc<'a>(workload: &'a Workload, container: &'a Value) -> Option<&'a str> {
    let points = volumes_of(workload, container)
        .filter_map(|(mount, volume)| Some((volume, mount.get("mountPath")?.as_str()?)));
    let mut inside = points.filter(|(volume, point)| {
        let clean: PathBuf = Path::new(point).components().collect();
        let Some(inner) = clean.strip_prefix("/proc").ok().and_then(Path::to_str) else { return false };
        // a procfs may be there, which the node's is
        let path = volume.pointer("/hostPath/path").and_then(Value::as_str);
        let procfs = inner.is_empty() && path == Some("/proc");
        !procfs && !COVERED.contains(&inner)
    });
    inside.next().map(|(_, point)| point)
}
