//! A manifest made into the facts that can be read inside of the container.

mod class;
mod confinement;
mod gpu;
mod hidden;
mod mounts;
mod owners;
mod questions;
mod scc;
mod within;

use serde_json::Value;

pub(super) use super::manifest::mounts_of;
use super::{Cluster, Runtime, Workload};
use crate::host::{CapabilitySet, Fact, FileKind, Host, IdMapping, Platform, Sighting};
use crate::sandbox::Capability;

pub(super) use class::{cluster_of, other_class};
pub(super) use confinement::{
    APPARMOR, annotated_apparmor, apparmor, apparmor_annotation, apparmor_asked, has_apparmor_field,
    labels_unknown, needs_apparmor, seccomp_asked,
};
pub(super) use gpu::{NO_USER_NAMESPACES, asks_for_cards};
pub(super) use mounts::point_of;
pub(super) use owners::{Nodes, demanded, nodes};
pub(super) use questions::questions;
pub(super) use scc::{Constraint, Filters, Ids, NESTED, constraint, required as required_scc};
pub(super) use within::inside_proc;

/// What CRI-O leaves to a container's root, and what containerd does beyond that.
const CRI_O: &[Capability] = &[
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FSETID,
    Capability::CAP_FOWNER,
    Capability::CAP_SETGID,
    Capability::CAP_SETUID,
    Capability::CAP_SETPCAP,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_KILL,
];
const CONTAINERD: &[Capability] = &[
    Capability::CAP_NET_RAW,
    Capability::CAP_MKNOD,
    Capability::CAP_AUDIT_WRITE,
    Capability::CAP_SYS_CHROOT,
    Capability::CAP_SETFCAP,
];

/// A container's own field, else the pod's.
pub(super) fn context<'a>(workload: &'a Workload, container: &'a Value, field: &str) -> Option<&'a Value> {
    let of = |value: &'a Value| value.get("securityContext")?.get(field).filter(|value| !value.is_null());
    of(container).or_else(|| of(workload.spec()))
}

/// A field that only a container has.
pub(super) fn own<'a>(container: &'a Value, field: &str) -> Option<&'a Value> {
    container.get("securityContext")?.get(field).filter(|value| !value.is_null())
}

pub(super) fn is(value: Option<&Value>, wanted: bool) -> bool {
    value.and_then(Value::as_bool) == Some(wanted)
}

pub(super) fn privileged(container: &Value) -> bool {
    is(own(container, "privileged"), true)
}

/// Whether the pod gets a user namespace: if it asks, and the cluster has them.
pub(super) fn user_namespace(cluster: &Cluster, workload: &Workload) -> bool {
    is(workload.spec().get("hostUsers"), false) && drops_user_namespaces(cluster).is_none()
}

/// The release of Kubernetes that has hostUsers and procMount switched on.
pub(super) const HAS_USER_NAMESPACES: (u32, u32) = (1, 33);

/// The release, if it is one before.
pub(super) fn drops_user_namespaces(cluster: &Cluster) -> Option<(u32, u32)> {
    cluster.kubernetes.filter(|version| *version < HAS_USER_NAMESPACES)
}

/// The kernels that can show these under other ids, as volumes of pods with a user namespace are.
pub(super) const MAPS_TMPFS: (u32, u32) = (6, 3);
pub(super) const MAPS_HUGE_PAGES: (u32, u32) = (6, 9);

/// Whether the node's kernel is this one or later; `None` where nobody knows, as of kernels that are kept for ten years.
pub(super) fn kernel_since(cluster: &Cluster, wanted: (u32, u32)) -> Option<bool> {
    let release = cluster.node.kernel.release.present()?;
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().ok());
    let version = (numbers.next()??, numbers.next()??);
    (version >= wanted || !release.contains(".el")).then_some(version >= wanted)
}

pub(super) fn unmasked(container: &Value) -> bool {
    own(container, "procMount").and_then(Value::as_str) == Some("Unmasked")
}

/// The user that a container starts as, and whether the manifest says so.
pub(super) fn user(cluster: &Cluster, workload: &Workload, container: &Value) -> (u32, bool) {
    let named = context(workload, container, "runAsUser").and_then(Value::as_u64);
    if let Some(user) = named.and_then(|user| u32::try_from(user).ok()) {
        return (user, true);
    }
    // what the kubelet says of a pod that runs
    if let Some(user) = of_status(workload, container, "uid") {
        return (user, true);
    }
    // any will do: all but root are alike
    let other = is(context(workload, container, "runAsNonRoot"), true) || scc::chooses_user(workload);
    (cluster.image_user.unwrap_or(if other { 1000 } else { 0 }), false)
}

/// An id that a container of a pod in a cluster runs with, as its status tells since Kubernetes 1.31.
fn of_status(workload: &Workload, container: &Value, id: &str) -> Option<u32> {
    let status = workload.object.get("status").filter(|_| workload.way().is_here())?;
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let all = lists.into_iter().filter_map(|list| status.get(list)?.as_array()).flatten();
    let mut own = all.filter(|one| one.get("name").is_some() && one.get("name") == container.get("name"));
    u32::try_from(own.find_map(|one| one.pointer("/user/linux")?.get(id)?.as_u64())?).ok()
}

/// The capabilities of one of its lists, as they are written.
pub(super) fn words<'a>(container: &'a Value, list: &str) -> Vec<&'a str> {
    let list = own(container, "capabilities").and_then(|both| both.get(list)?.as_array());
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The capabilities of a container's root: runtimes add first, and drop then.
pub(super) fn capabilities(cluster: &Cluster, container: &Value) -> CapabilitySet {
    // of "all" a runtime gives what the node has
    let node = cluster.node.process.bounding.present().map_or(u64::MAX, |set| set.0);
    let all = bits(Capability::ALL.iter().copied()) & node;
    if privileged(container) {
        return CapabilitySet(all);
    }
    let base = |set: &[Capability]| bits(set.iter().copied());
    let (add, drop) = (words(container, "add"), words(container, "drop"));
    let every = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case("all"));
    let mut set = match cluster.runtime {
        Runtime::CriO => base(CRI_O),
        Runtime::Containerd | Runtime::GVisor => base(CRI_O) | base(CONTAINERD),
    };
    if every(&add) {
        set = all;
    }
    if every(&drop) {
        set = 0;
    }
    let known = |list: &[&str]| bits(list.iter().filter_map(|name| capability(cluster.runtime, name)));
    CapabilitySet((set | known(&add)) & !known(&drop))
}

fn bits(set: impl Iterator<Item = Capability>) -> u64 {
    set.fold(0, |bits, one| bits | 1 << one.number())
}

/// As Kubernetes names it, without `CAP_`. containerd puts that before whatever is there, and what comes of `CAP_SETFCAP` then is
/// passed over; CRI-O takes either.
pub(super) fn capability(runtime: Runtime, name: &str) -> Option<Capability> {
    let name = name.to_ascii_uppercase();
    let full =
        if runtime == Runtime::CriO && name.starts_with("CAP_") { name } else { format!("CAP_{name}") };
    full.parse().ok()
}

/// What Kubernetes calls a capability that is named otherwise, with `CAP_` or in small letters.
pub(super) fn kubernetes_name(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    let right = upper.strip_prefix("CAP_").unwrap_or(&upper);
    let known = right == "ALL" || format!("CAP_{right}").parse::<Capability>().is_ok();
    (known && right != name).then(|| right.to_owned())
}

/// What a manifest says of a profile: `RuntimeDefault`, `Unconfined`, or the name of the node's own.
pub(super) fn profile(profile: &Value) -> Option<String> {
    match profile.get("type").and_then(Value::as_str)? {
        "Localhost" => {
            Some(profile.get("localhostProfile").and_then(Value::as_str).unwrap_or_default().to_owned())
        }
        kind => Some(kind.to_owned()),
    }
}

/// The facts.
pub(super) fn inside(cluster: &Cluster, workload: &Workload, container: &Value) -> Host {
    let mut host = Host {
        distribution: Fact::Unknown,
        platforms: Fact::Present(platforms(cluster, workload)),
        ..Host::default()
    };
    host.kernel = cluster.node.kernel.clone();
    host.sysctls.clone_from(&cluster.node.sysctls);
    let userns = user_namespace(cluster, workload);
    process(&mut host, cluster, workload, container);
    ids(&mut host, userns);
    host.mounts = mounts::mounts(cluster, workload, container, userns);
    confinement::security(&mut host, cluster, workload, container);
    // every image has one that anybody would build on
    host.files.insert("/tmp".into(), Fact::Present(FileKind::Directory));
    if cluster.runtime == Runtime::GVisor {
        host.kernel.release = Fact::Present("4.19.0-gvisor".to_owned());
        host.kernel.version = Fact::Unknown;
        host.sysctls.clear();
    }
    host
}

fn platforms(cluster: &Cluster, workload: &Workload) -> Vec<Sighting> {
    let runtime: &[Platform] = match cluster.runtime {
        Runtime::Containerd => &[Platform::Containerd],
        Runtime::CriO => &[Platform::CriO],
        Runtime::GVisor => &[Platform::Containerd, Platform::GVisor],
    };
    let kubernetes = Sighting::new(Platform::Kubernetes, "the manifest");
    let runtime = runtime.iter().map(|platform| Sighting::new(*platform, "as was asked for"));
    let openshift = scc::is_openshift(workload).then(|| Sighting::new(Platform::OpenShift, "its annotation"));
    let fargate = (nodes(workload) == Some(Nodes::Fargate))
        .then(|| Sighting::new(Platform::Fargate, "the manifest, which sends the pod there"));
    std::iter::once(kubernetes).chain(openshift).chain(fargate).chain(runtime).collect()
}

fn process(host: &mut Host, cluster: &Cluster, workload: &Workload, container: &Value) {
    let process = &mut host.process;
    let (uid, _) = user(cluster, workload, container);
    (process.uid, process.real_uid) = (Fact::Present(uid), Fact::Present(uid));
    let gid = context(workload, container, "runAsGroup").and_then(Value::as_u64);
    let gid = gid.and_then(|gid| u32::try_from(gid).ok());
    let gid = gid.or_else(|| of_status(workload, container, "gid")).unwrap_or(0);
    (process.gid, process.real_gid) = (Fact::Present(gid), Fact::Present(gid));
    let bounding = capabilities(cluster, container);
    let held = Fact::Present(if uid == 0 { bounding } else { CapabilitySet::default() });
    (process.effective, process.permitted) = (held.clone(), held);
    process.bounding = Fact::Present(bounding);
    process.inheritable = Fact::Present(CapabilitySet::default());
    process.ambient = Fact::Present(CapabilitySet::default());
    let escalates = privileged(container) || bounding.has(Capability::CAP_SYS_ADMIN);
    let forbidden = is(own(container, "allowPrivilegeEscalation"), false);
    process.no_new_privs = Fact::Present(forbidden && !escalates);
    // a sandbox of gVisor's has the system call filter of none but its own programs
    let filter = seccomp_asked(cluster, workload, container)
        .or_else(|| cluster.seccomp_default.then(|| "RuntimeDefault".to_owned()))
        .filter(|name| name != "Unconfined" && !privileged(container) && cluster.runtime != Runtime::GVisor);
    process.seccomp = Fact::Present(if filter.is_some() { 2 } else { 0 });
    // of older releases of CRI-O the default lets new namespaces pass
    let known = cluster.runtime != Runtime::CriO || cluster.runtime_since(1, 33) == Some(true);
    process.in_proc = Fact::Present(true); // a container is given one of its own
    process.seccomp_profile = match filter {
        None => Fact::Absent,
        Some(name) if name == "RuntimeDefault" && !known => Fact::Unknown,
        Some(name) => Fact::Present(name),
    };
}

/// The kubelet gives each pod 65536 ids of the node's.
fn ids(host: &mut Host, userns: bool) {
    let own = IdMapping { inside: 0, outside: 65_536, count: 65_536 };
    let nodes = IdMapping { inside: 0, outside: 0, count: u32::MAX };
    let map = Fact::Present(vec![if userns { own } else { nodes }]);
    let namespace = &mut host.user_namespace;
    (namespace.uid_map, namespace.gid_map) = (map.clone(), map);
    namespace.exists = Fact::Present(true);
    namespace.setgroups = Fact::Present("allow".to_owned());
    namespace.uid_map_writable = Fact::Present(true);
}

/// The volumes that a container mounts, each with its mount.
pub(super) fn volumes_of<'a>(
    workload: &'a Workload,
    container: &'a Value,
) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let all = workload.volumes();
    mounts_of(container).filter_map(move |mount| Some((mount, *all.get(mount.get("name")?)?)))
}
