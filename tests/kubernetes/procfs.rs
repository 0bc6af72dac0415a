//! A path of the node brings its procfs along, and a whole one is enough for the kernel, wherever it is.

use bwrap_launch::Version;
use bwrap_launch::host::{Fact, Mount};
use bwrap_launch::kubernetes::{Answer, Cluster, Workload};

use crate::refused::{on_kubernetes, pod, starts, with};
use crate::{containerd, foretell};

/// A pod with a path of the node's at another.
fn bound(spec: &str, path: &str, mount: &str) -> Workload {
    pod(
        &format!(
            "{spec} volumes: [{{ name: p, hostPath: {{ path: {path} }} }}, {{ name: e, emptyDir: {{}} }}],"
        ),
        &format!(
            "securityContext: {{ runAsUser: 1000 }}, volumeMounts: [{{ name: p, mountPath: /host{mount}]"
        ),
    )
}

#[track_caller]
fn masked(cluster: &Cluster, pod: &Workload) {
    let forecast = foretell(cluster, pod);
    assert_eq!(forecast.answer, Answer::Fails, "{forecast:#?}");
    assert_eq!(forecast.obstacles[0].cause.code(), "PR01");
}

#[test]
fn a_procfs_of_the_nodes_is_whole_where_it_can_be_written_to() {
    for (path, mount) in [
        ("/", " }"),
        ("/", ", readOnly: true }"),
        ("//", ", readOnly: true }"),
        ("/", ", readOnly: true, recursiveReadOnly: Disabled }"),
        ("/", ", subPath: proc }"),
        ("/proc", " }"),
        ("/proc/", " }"),
    ] {
        starts(&containerd(), &bound("", path, mount));
    }
    starts(&containerd(), &bound("hostPID: true, hostNetwork: true,", "/", " }"));
    for (path, mount) in [
        ("/proc", ", readOnly: true }"),
        ("/", ", readOnly: true, subPath: proc }"),
        ("/", ", readOnly: true, recursiveReadOnly: Enabled }"),
        ("/", ", readOnly: true, recursiveReadOnly: IfPossible }"),
        // bound without what is below
        ("/", ", subPath: . }"),
        ("/", ", subPath: etc }"),
        ("/proc/sys", " }"),
        ("/etc", " }"),
        ("/processes", " }"),
        // and what is covered
        ("/", " }, { name: e, mountPath: /host/proc }"),
        ("/", " }, { name: e, mountPath: /host/proc/sys }"),
    ] {
        masked(&containerd(), &bound("", path, mount));
    }
    // below whatever is mounted first
    let text = bound("", "/", " }, { name: e, mountPath: /host/etc }");
    starts(&containerd(), &text);
}

#[test]
fn what_is_read_only_below_as_well_depends_on_the_release() {
    let asks = |wanted: &str| bound("", "/", &format!(", readOnly: true, recursiveReadOnly: {wanted} }}"));
    let old = with(|cluster| cluster.runtime_version = Some(Version::new(1, 7, 20)));
    starts(&old, &asks("IfPossible"));
    masked(&old, &asks("Enabled"));
    starts(&on_kubernetes(30), &asks("Enabled"));
}

/// On the container's own /proc it is covered as that would be.
#[test]
fn a_procfs_in_the_place_of_the_containers_is_masked() {
    let here = pod(
        "volumes: [{ name: p, hostPath: { path: /proc } }],",
        "securityContext: { runAsUser: 1000 }, volumeMounts: [{ name: p, mountPath: /proc }]",
    );
    masked(&containerd(), &here);
}

/// A pod with other ids is shown none of the node's procfs.
#[test]
fn other_ids_see_no_procfs_of_the_nodes() {
    let forecast = foretell(&containerd(), &bound("hostUsers: false,", "/", " }"));
    assert_eq!(forecast.obstacles[0].cause.code(), "PR01", "{forecast:#?}");
}

#[test]
fn a_node_says_itself_where_it_has_a_procfs() {
    let on = |lines: &[&str]| {
        let mounts = lines.iter().filter_map(|line| Mount::parse(line)).collect();
        with(|cluster| cluster.node.mounts = Fact::Present(mounts))
    };
    let root = "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw";
    let proc = "2 1 0:2 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw";
    let trigger = "3 2 0:3 / /proc/sys/fs/binfmt_misc rw,relatime - autofs systemd-1 rw";
    starts(&on(&[root, proc, trigger]), &bound("", "/", " }"));
    starts(&on(&[root, "2 1 0:2 / /srv/x/proc rw,relatime - proc proc rw"]), &bound("", "/srv", " }"));
    masked(&on(&[root, proc, "3 2 0:3 / /proc/sys ro,relatime - proc proc rw"]), &bound("", "/", " }"));
    masked(&on(&[root]), &bound("", "/", " }"));
}
