//! Volumes that lie on what the image has for bwrap, and the runtime for its sandboxes.

use std::path::Path;

use serde_json::Value;

use super::{point_of, volumes_of};
use crate::kubernetes::Workload;
use crate::sandbox::{Operation, Sandbox};

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

/// Where the devices are that `--dev` binds.
const DEVICES: &str = "/dev";

/// Whether what is wanted of the image, or of the runtime, is there all the same.
pub(super) fn question(workload: &Workload, container: &Value, sandbox: &Sandbox) -> Option<String> {
    let binds = sandbox.operations().iter().any(|one| matches!(one, Operation::Dev(_)));
    let needed = |volume: &Value| {
        let of_node = volume
            .pointer("/hostPath/path")
            .is_some_and(|path| path.as_str().is_some_and(|path| Path::new(path) == Path::new(DEVICES)));
        let devices =
            (binds && !of_node).then_some((DEVICES, "the devices that --dev binds", "of the runtime"));
        NEEDED.iter().map(|place| (*place, "bwrap and its libraries", "of the image")).chain(devices)
    };
    let mut volumes = volumes_of(workload, container);
    let (volume, point, what, whose) = volumes.find_map(|(mount, volume)| {
        let point = point_of(mount)?;
        let (_, what, whose) = needed(volume).find(|(place, ..)| Path::new(place).starts_with(&point))?;
        Some((volume, point, what, whose))
    })?;
    let name = crate::visible::line(volume.get("name")?.as_str()?);
    let empty = if volume.get("emptyDir").is_some() {
        ", and an emptyDir has nothing but what the pod's containers put there"
    } else {
        ""
    };
    Some(format!(
        "whether {what} are there: the volume {name} covers {} {whose}{empty}",
        crate::visible::line(&point.to_string_lossy())
    ))
}
