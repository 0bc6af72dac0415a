//! What the kubelet or the runtime of a node does not start.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Refusal, ignored, refusal};
use crate::bwrap::Version;
use crate::diagnosis::{Cause, PodPatch};
use crate::kubernetes::change::Field;
use crate::kubernetes::facts::{
    apparmor, apparmor_asked, context, is, kernel_maps_tmpfs, own, privileged, user, user_namespace,
    volume_of,
};
use crate::kubernetes::{Cluster, Runtime, Workload};
use crate::sandbox::Capability;

/// The kubelet gives a pod with a user namespace of its own ids below this.
const IDS: u64 = 65_536;

/// The one without the other is refused.
const BOTH: &[Field] = &[Field::HostUsers, Field::ProcMount];

pub(super) fn refuses(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let mut found = Vec::new();
    if user_namespace(cluster, workload) {
        found.extend(without_namespaces(cluster));
        found.extend(old_kernel(cluster, workload));
        found.extend(ids_without_mapping(cluster, workload, container));
        found.extend(volumes_without_mapping(workload, container));
    }
    let (uid, _) = user(cluster, workload, container);
    if uid == 0 && is(context(workload, container, "runAsNonRoot"), true) {
        let text = "the kubelet starts no root where the pod says runAsNonRoot: true";
        let mut refused = refusal(None, text, "set runAsUser to another id than 0");
        refused.patch = Some(PodPatch { run_as_user: Some(1000), ..PodPatch::default() }.into());
        found.push(refused);
    }
    // each but Unconfined is looked for
    let asked = apparmor_asked(cluster, workload, container).filter(|name| name != "Unconfined");
    if asked.is_some() && apparmor(cluster) == Some(false) && cluster.runtime != Runtime::GVisor {
        let text = "the kubelet says: Cannot enforce AppArmor: AppArmor is not enabled on the host";
        let remedy = "leave appArmorProfile and its annotation out for these nodes";
        found.push(refusal(Some(Cause::AppArmorProfileNotLoaded), text, remedy));
    }
    // crun has other rules
    if let (Runtime::Containerd, Some(point)) = (cluster.runtime, inside_proc(workload, container)) {
        let point = crate::visible::line(point);
        let text = format!("runc mounts no volume inside /proc, where {point} is");
        found.push(refusal(None, text, "mount the volume elsewhere"));
    }
    found.extend(misnamed_capability(cluster, container));
    // a node that is a container itself may lack some
    let lacks =
        cluster.node.process.bounding.present().and_then(|bounding| {
            Capability::ALL.iter().find(|one| one.number() <= 37 && !bounding.has(**one))
        });
    if let (Runtime::CriO, true, Some(lacks)) = (cluster.runtime, privileged(container), lacks) {
        let text = format!("CRI-O cannot give {lacks} to a privileged container: the node itself lacks it");
        found.push(refusal(None, text, "leave privileged out, or give the node that capability"));
    }
    found
}

/// containerd puts `CAP_` before whatever is there, and passes over what comes of it.
fn misnamed_capability(cluster: &Cluster, container: &Value) -> Option<Refusal> {
    let capabilities = own(container, "capabilities")?;
    let listed = |list: &str| capabilities.get(list).and_then(Value::as_array).into_iter().flatten();
    let mut all = listed("add").chain(listed("drop")).filter_map(Value::as_str);
    let prefixed = |name: &&str| name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("CAP_"));
    let name = all.find(prefixed).filter(|_| cluster.runtime == Runtime::Containerd)?;
    let name = crate::visible::line(name);
    let short = name.get(4..).unwrap_or_default();
    let text = format!("containerd passes over the capability {name}: Kubernetes' names are without CAP_");
    Some(ignored(None, text, format!("name it {short}")))
}

/// Nodes that make no user namespaces for pods.
fn without_namespaces(cluster: &Cluster) -> Vec<Refusal> {
    let mut found = Vec::new();
    if cluster.node.sysctl("user.max_user_namespaces").is("0") {
        let text = "the node allows no user namespaces: user.max_user_namespaces is 0";
        let remedy = "have the node's administrator set user.max_user_namespaces";
        found.push(refusal(Some(Cause::NodeWithoutUserNamespaces), text, remedy));
    }
    let old = cluster.runtime_version.filter(|version| match cluster.runtime {
        Runtime::Containerd => *version < Version::new(2, 0, 0),
        Runtime::CriO => *version < Version::new(1, 25, 0),
        Runtime::GVisor => false,
    });
    match (cluster.runtime, old) {
        (Runtime::GVisor, _) => {
            let mut refused = refusal(
                Some(Cause::RuntimeWithoutUserNamespaces),
                "the kubelet starts no pod with hostUsers: false where the runtime does not offer it, as gVisor's does not",
                "leave hostUsers out: in gVisor the kernel is the pod's own",
            );
            refused.patch = Some(BOTH.into());
            found.push(refused);
        }
        (runtime, Some(version)) => found.push(refusal(
            Some(Cause::RuntimeWithoutUserNamespaces),
            format!("{runtime} {version} does not support user namespaces of pods"),
            "update the runtime: containerd 2.0 or CRI-O 1.25 or later",
        )),
        _ => {}
    }
    found
}

/// The token of the service account is on a tmpfs, and each pod has one unless it says no.
fn old_kernel(cluster: &Cluster, workload: &Workload) -> Option<Refusal> {
    let release = cluster.node.kernel.release.present()?;
    let token = !is(workload.spec().get("automountServiceAccountToken"), false);
    if cluster.runtime == Runtime::GVisor || !token || kernel_maps_tmpfs(cluster) != Some(false) {
        return None;
    }
    let text = format!(
        "hostUsers: false needs Linux 6.3 or later, for the service account's token is on a tmpfs; the node has {}",
        crate::visible::line(release)
    );
    let remedy = "use nodes with Linux 6.3 or later, or leave hostUsers and procMount out and bind the outer /proc in the sandbox";
    Some(refusal(Some(Cause::VolumeWithoutIdMapping), text, remedy))
}

fn ids_without_mapping(cluster: &Cluster, workload: &Workload, container: &Value) -> Vec<Refusal> {
    let named = |field| context(workload, container, field).and_then(Value::as_u64);
    let pods = |field| workload.spec().get("securityContext").and_then(|pods| pods.get(field));
    let groups = pods("supplementalGroups").and_then(Value::as_array).into_iter().flatten();
    let (uid, _) = user(cluster, workload, container);
    let ids = [
        ("user", Some(u64::from(uid))),
        ("runAsGroup", named("runAsGroup")),
        ("fsGroup", pods("fsGroup").and_then(Value::as_u64)),
        ("supplementalGroups", groups.filter_map(Value::as_u64).max()),
    ];
    let above = ids.into_iter().filter_map(|(what, id)| Some((what, id.filter(|id| *id >= IDS)?)));
    let refused = above.map(|(what, id)| {
        let text = format!(
            "the pod's user namespace has the ids below {IDS}, and so not the {what} {id}: runc does not start it"
        );
        let remedy = "name an id below 65536, or leave hostUsers and procMount out and bind the outer /proc in the sandbox";
        let mut refused = refusal(None, text, remedy);
        if what == "user" {
            refused.patch = Some(PodPatch { run_as_user: Some(1000), ..PodPatch::default() }.into());
        }
        refused
    });
    refused.collect()
}

/// NFS cannot show files under other ids.
fn volumes_without_mapping(workload: &Workload, container: &Value) -> Option<Refusal> {
    let mounts = container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten();
    let mut volumes = mounts.filter_map(|mount| volume_of(workload, mount));
    let nfs = volumes.find(|volume| volume.get("nfs").is_some_and(|nfs| !nfs.is_null()))?;
    let name = crate::visible::line(nfs.get("name").and_then(Value::as_str).unwrap_or_default());
    let text = format!(
        "the volume {name} is NFS, which cannot be mounted with the ids of a pod that has hostUsers: false (MOUNT_ATTR_IDMAP: invalid argument)"
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

fn inside_proc<'a>(workload: &Workload, container: &'a Value) -> Option<&'a str> {
    let mounts = container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten();
    mounts.filter_map(|mount| Some((mount, mount.get("mountPath")?.as_str()?))).find_map(|(mount, point)| {
        let clean: PathBuf = Path::new(point).components().collect();
        let inner = clean.strip_prefix("/proc").ok()?.to_str()?;
        // a procfs may be there, which the node's is
        let path = || volume_of(workload, mount)?.pointer("/hostPath/path")?.as_str();
        let procfs = inner.is_empty() && path() == Some("/proc");
        (!procfs && !COVERED.contains(&inner)).then_some(point)
    })
}
