//! What Pod Security does not admit, where the manifest itself has the namespace.

use super::{Refusal, refusal};
use crate::diagnosis::Cause;
use crate::kubernetes::change::{Change, of_pod, with};
use crate::kubernetes::facts::unmasked;
use crate::kubernetes::standards::{Standard, standard};
use crate::kubernetes::{Cluster, Workload};

const LABEL: &str = "pod-security.kubernetes.io/enforce";

pub(super) fn refuses(cluster: &Cluster, workload: &Workload) -> Option<Refusal> {
    let level = workload.around().label(workload.namespace(), LABEL)?;
    let enforced =
        [Standard::Restricted, Standard::Baseline].into_iter().find(|one| one.to_string() == level)?;
    let mut cluster = cluster.clone();
    // rules of another release may be asked for
    let release =
        workload.around().label(workload.namespace(), &format!("{LABEL}-version")).and_then(release);
    cluster.kubernetes = release.or(cluster.kubernetes);
    let (needed, why) = standard(workload, &cluster);
    if needed <= enforced {
        return None;
    }
    let namespace = workload.namespace();
    let cause = if workload.listed().any(|(one, _)| unmasked(one)) {
        Cause::PodSecurityForbidsUnmasked
    } else {
        Cause::AdmissionRefuses
    };
    let text =
        format!("Namespace/{namespace} in this file enforces {enforced}, which does not admit the pod");
    let why = if why.is_empty() { String::new() } else { format!(", which has: {}", why.join(", ")) };
    // where the names alone are wrong, nothing else is to be opened
    let rename = Change { rename: true, ..Change::default() };
    let renamed = with(workload, &of_pod(&cluster, workload, "", &rename)?);
    if standard(&renamed, &cluster).0 <= enforced {
        let remedy =
            format!("name capabilities as Kubernetes does, without CAP_ and in capitals, in the pod{why}");
        let mut refused = refusal(Some(cause), text, remedy);
        refused.patch = Some(rename);
        return Some(refused);
    }
    let remedy = format!(
        "change the pod{why}; or, last, for all pods of the namespace: `kubectl label --overwrite namespace {namespace} \
         {LABEL}={needed}`, and the label in this file"
    );
    Some(refusal(Some(cause), text, remedy))
}

/// `v1.34`; `latest` is the cluster's own.
fn release(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.strip_prefix('v')?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
