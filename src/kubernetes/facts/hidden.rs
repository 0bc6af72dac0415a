//! Volumes that lie on what the image has for bwrap.

use std::path::Path;

use serde_json::Value;

use super::volumes_of;
use crate::kubernetes::Workload;

/// Where bwrap lies in an image, and the libraries that it is linked to: what is mounted on one of these hides them.
const NEEDED: &[&str] = &[
    "/usr/bin",
    "/bin",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/lib64",
];

/// Whether bwrap is there all the same.
pub(super) fn question(workload: &Workload, container: &Value) -> Option<String> {
    let mut volumes = volumes_of(workload, container);
    let (volume, point) = volumes.find_map(|(mount, volume)| {
        let point = mount.get("mountPath")?.as_str()?;
        let absolute = point.starts_with('/');
        let covers = absolute && NEEDED.iter().any(|place| Path::new(place).starts_with(point));
        covers.then_some((volume, point))
    })?;
    let name = crate::visible::line(volume.get("name")?.as_str()?);
    let empty = if volume.get("emptyDir").is_some() {
        ", and an emptyDir has nothing but what the pod's containers put there"
    } else {
        ""
    };
    Some(format!(
        "whether bwrap and its libraries are there: the volume {name} covers {} of the image{empty}",
        crate::visible::line(point)
    ))
}
