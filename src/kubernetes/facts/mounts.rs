//! What is mounted in a container: its /proc, its volumes, and what its runtime covers of the first.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::{is, mounts_of, own, privileged, unmasked};
use crate::bwrap::Version;
use crate::host::{Fact, Mount};
use crate::kubernetes::{Cluster, Runtime, Workload};

/// What kubelets have hidden: first what other files cover, then what is read-only. Of paths that are not there on every machine
/// none is named.
const MASKED: &[&str] = &["acpi", "interrupts", "kcore", "keys", "timer_list"];
const READ_ONLY: &[&str] = &["bus", "fs", "irq", "sys", "sysrq-trigger"];

pub(super) fn mounts(
    cluster: &Cluster,
    workload: &Workload,
    container: &Value,
    userns: bool,
) -> Fact<Vec<Mount>> {
    // nobody has seen what gVisor shows of these
    if cluster.runtime == Runtime::GVisor {
        return Fact::Unknown;
    }
    let root = if is(own(container, "readOnlyRootFilesystem"), true) { "ro" } else { "rw" };
    let options = "rw,nosuid,nodev,noexec,relatime";
    let lines = [
        format!("1 0 0:1 / / {root},relatime - overlay overlay rw"),
        format!("2 1 0:2 / /proc {options} - proc proc rw"),
        "3 1 0:3 / /dev rw,nosuid - tmpfs tmpfs rw".to_owned(),
        format!("4 1 0:4 / /sys {} - sysfs sysfs rw", options.replacen("rw", "ro", 1)),
    ];
    let mut found: Vec<Mount> = lines.iter().filter_map(|line| Mount::parse(line)).collect();
    volumes(cluster, workload, container, userns, &mut found);
    cover(cluster, container, userns, &mut found);
    Fact::Present(found)
}

/// Covers what is mounted on /proc by then, whatever that is.
fn cover(cluster: &Cluster, container: &Value, userns: bool, mounts: &mut Vec<Mount>) {
    let asked = unmasked(container) && userns;
    // 1.33.0 and 1.33.1 add their own to what they are told
    let faulty = cluster.runtime == Runtime::CriO
        && cluster
            .runtime_version
            .is_some_and(|version| version >= Version::new(1, 33, 0) && version < Version::new(1, 33, 2));
    let mut on_proc = |path: &str, line: &str| {
        let Some(mut mount) = Mount::parse(line) else { return };
        mount.point = Path::new("/proc").join(path);
        mounts.push(placed(mount, mounts));
    };
    if privileged(container) {
        return;
    }
    if !asked || faulty {
        for path in MASKED {
            on_proc(path, "0 0 0:5 /null /x rw,nosuid - tmpfs tmpfs rw");
        }
    }
    if !asked {
        for path in READ_ONLY {
            on_proc(path, &format!("0 0 0:2 /{path} /x ro,nosuid,nodev,noexec,relatime - proc proc rw"));
        }
    }
}

/// A mount with a number of its own, on what is there where it comes to.
fn placed(mut mount: Mount, mounts: &[Mount]) -> Mount {
    let below = mounts.iter().filter(|other| other.rest(&mount.point).is_some());
    mount.parent = below.max_by_key(|other| other.point.as_os_str().len()).map_or(1, |other| other.id);
    mount.id = i32::try_from(mounts.len() + 1).unwrap_or(i32::MAX);
    mount
}

/// Volumes are mounted on the root, or on one another, those further below later; of what they are made nothing is known, but of a
/// directory in memory, and of a path of the node that has a procfs.
fn volumes(cluster: &Cluster, workload: &Workload, container: &Value, userns: bool, mounts: &mut Vec<Mount>) {
    let all = workload.volumes();
    let points = mounts_of(container).take(1000).filter_map(|volume| Some((point_of(volume)?, volume)));
    let mut points: Vec<_> = points.filter(|(point, _)| point.parent().is_some()).collect();
    points.sort_by_key(|(point, _)| point.components().count());
    for (point, volume) in points {
        let mode = if is(volume.get("readOnly"), true) { "ro" } else { "rw" };
        let whole = Mount::parse(&format!("0 0 0:9 / /x {mode},relatime - ext4 volume rw"));
        let Some(mut whole) = whole else { continue };
        if is_in_memory(volume, &all) {
            "tmpfs".clone_into(&mut whole.filesystem);
        }
        let source = volume.get("name").and_then(|name| all.get(name)).map(|source| workload.source(source));
        // with other ids nobody is shown a procfs of the node's
        let of_node = source.filter(|_| !userns).map(|source| procfs_of_node(cluster, volume, source));
        let of_node = of_node.unwrap_or_default();
        if !of_node.iter().any(|mount| mount.point.as_os_str().is_empty()) {
            whole.point.clone_from(&point);
            mounts.push(placed(whole, mounts));
        }
        for mut mount in of_node {
            // to join an empty path would end it with a slash
            mount.point =
                if mount.point.as_os_str().is_empty() { point.clone() } else { point.join(&mount.point) };
            mounts.push(placed(mount, mounts));
        }
    }
}

/// What is below a path of the node that a container sees, of its procfs and what is mounted on that; each `point` is relative.
///
/// Runtimes bind such a path with all that is below it, and `readOnly` counts for what is mounted there itself: of `/` the procfs
/// below stays writable, and so whole to the kernel. `recursiveReadOnly` reaches that as well. A `subPath` is bound without what is
/// below.
fn procfs_of_node(cluster: &Cluster, mount: &Value, volume: &Value) -> Vec<Mount> {
    let Some(path) = volume.pointer("/hostPath/path").and_then(Value::as_str) else { return Vec::new() };
    let below = ["subPath", "subPathExpr"].iter().find_map(|field| mount.get(*field)?.as_str());
    let below = below.filter(|below| !below.is_empty());
    let path = normal(&Path::new(path).join(below.unwrap_or_default()));
    let usual = Mount::parse("2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw");
    let usual: Vec<Mount> = usual.into_iter().collect();
    let node = cluster.node.mounts.present().unwrap_or(&usual);
    let whole = |one: &&Mount| one.filesystem == "proc" && one.root.as_os_str() == "/";
    let procfs: Vec<i32> = node.iter().filter(whole).map(|one| one.id).collect();
    let seen = node.iter().filter(|one| procfs.contains(&one.id) || procfs.contains(&one.parent));
    let seen = seen.filter_map(|one| Some((one.point.strip_prefix(&path).ok()?, one)));
    let seen = seen.filter(|(rest, _)| below.is_none() || rest.as_os_str().is_empty());
    let read_only = is(mount.get("readOnly"), true);
    let all_of_it = read_only && is_recursive(cluster, mount);
    let copies = seen.map(|(rest, one)| {
        let mut copy = Mount { point: rest.to_owned(), ..one.clone() };
        if all_of_it || read_only && rest.as_os_str().is_empty() {
            copy.options.remove("rw");
            copy.options.insert("ro".to_owned());
        }
        copy
    });
    copies.collect()
}

/// Whether what is below is read-only as well: where it is asked for if it can be had, it is, but with a release that cannot.
fn is_recursive(cluster: &Cluster, mount: &Value) -> bool {
    let asked = mount.get("recursiveReadOnly").and_then(Value::as_str);
    let old = cluster.lacks((2, 0), (1, 30));
    // a gate was off before, and the field dropped
    let dropped = cluster.kubernetes.is_some_and(|version| version < (1, 31));
    !dropped && (asked == Some("Enabled") || asked == Some("IfPossible") && !old)
}

/// Where a volume is mounted, as runtimes take it: from the root on, and `..` is the directory above.
pub(in crate::kubernetes) fn point_of(mount: &Value) -> Option<PathBuf> {
    Some(normal(Path::new(mount.get("mountPath")?.as_str()?)))
}

fn normal(path: &Path) -> PathBuf {
    let mut point = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => point.push(name),
            Component::ParentDir => _ = point.pop(),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    point
}

/// Whether it is a directory in memory.
fn is_in_memory(mount: &Value, all: &HashMap<&Value, &Value>) -> bool {
    let volume = mount.get("name").and_then(|name| all.get(name));
    volume.and_then(|volume| volume.pointer("/emptyDir/medium")?.as_str()) == Some("Memory")
}
