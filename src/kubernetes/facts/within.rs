//! Volumes inside /proc, where runc mounts none.

use std::path::Path;

use serde_json::Value;

use super::{point_of, volumes_of};
use crate::kubernetes::Workload;

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

/// A volume of the container inside /proc, as it is shown.
pub(in crate::kubernetes) fn inside_proc(workload: &Workload, container: &Value) -> Option<String> {
    let points =
        volumes_of(workload, container).filter_map(|(mount, volume)| Some((volume, point_of(mount)?)));
    let mut inside = points.filter(|(volume, point)| {
        let Some(inner) = point.strip_prefix("/proc").ok().and_then(Path::to_str) else { return false };
        // a procfs may be there, which the node's is
        let path = volume.pointer("/hostPath/path").and_then(Value::as_str);
        let procfs = inner.is_empty() && path.is_some_and(|path| Path::new(path) == Path::new("/proc"));
        !procfs && !COVERED.contains(&inner)
    });
    inside.next().map(|(_, point)| crate::visible::line(&point.to_string_lossy()).into_owned())
}
