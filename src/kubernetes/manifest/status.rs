//! What a pod that was read from a cluster says of where it runs.

use serde_json::Value;

use super::Workload;
use crate::kubernetes::Runtime;

/// The lists of a pod's status that have an id of each container that was made.
const STATUSES: &[&str] = &["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];

impl Workload {
    /// The runtime that has made the containers of a pod, as the ids in its `status` begin; [`None`] where it has none yet, or
    /// another than is known. Of a `RuntimeClass` of gVisor's it is containerd all the same.
    ///
    /// ```
    /// use bwrap_launch::kubernetes::{Runtime, read};
    /// let text = "{ kind: Pod, spec: { containers: [{ name: c }] }, status: { containerStatuses: [{ name: c, containerID: 'cri-o://7a' }] } }";
    /// assert_eq!(read(text)?[0].runtime(), Some(Runtime::CriO));
    /// # Ok::<(), bwrap_launch::kubernetes::ManifestError>(())
    /// ```
    #[must_use]
    pub fn runtime(&self) -> Option<Runtime> {
        let status = self.object.get("status").filter(|_| self.way.is_here())?;
        let all = STATUSES.iter().filter_map(|list| status.get(*list)?.as_array()).flatten();
        let mut ids = all.filter_map(|one| one.get("containerID").and_then(Value::as_str)?.split_once("://"));
        ids.find_map(|(runtime, _)| runtime.parse().ok())
    }
}
