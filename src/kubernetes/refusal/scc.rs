//! What the security context constraint that a pod asks for does not admit.

use serde_json::Value;

use super::{Refusal, refusal};
use crate::diagnosis::{Cause, PodPatch};
use crate::kubernetes::Workload;
use crate::kubernetes::facts::{
    Constraint, Filters, Ids, NESTED, constraint, is, own, privileged, profile, required_scc, unmasked,
};
use crate::kubernetes::standards::kinds_of_volumes;

const HOST_USERS: &str = "a pod without hostUsers: false";

/// Each of its fields in a line, of those constraints that come with OpenShift.
pub(super) fn refuses(workload: &Workload) -> Vec<Refusal> {
    let Some(scc) = required_scc(workload).and_then(constraint) else { return Vec::new() };
    let nested = constraint(NESTED).map(|nested| minded(workload, nested)).unwrap_or_default();
    let refused = minded(workload, scc).into_iter().map(|what| {
        let text = format!("openshift.io/required-scc is {}, which does not admit: {what}", scc.name);
        let with = |remedy: &str, patch: Option<PodPatch>| {
            let refused = refusal(Some(Cause::AdmissionRefuses), text.clone(), remedy);
            Refusal { patch: patch.map(Into::into), ..refused }
        };
        let apart = PodPatch { host_users: Some(false), ..PodPatch::default() };
        if what == HOST_USERS {
            return with("set hostUsers: false", Some(apart));
        }
        if nested.contains(&what) {
            return with(ELSEWHERE, None);
        }
        let nested = PodPatch { required_scc: Some(NESTED.to_owned()), ..apart };
        with(if what == ANY_FILTER { UNNAMED } else { ASK_FOR_NESTED }, Some(nested))
    });
    refused.collect()
}

const ELSEWHERE: &str = "leave it out, or let the pod's account use a constraint that admits it: oc adm policy scc-subject-review -f FILE";
const UNNAMED: &str = "leave seccompProfile out, or ask for restricted-v2 or nonroot-v2, which give RuntimeDefault to the pod, or for \
                       nested-container with hostUsers: false, which admits any";
const ASK_FOR_NESTED: &str = "ask for nested-container (OpenShift 4.20 or later), with hostUsers: false, or leave it out and bind the outer \
                              /proc in the sandbox";

const ANY_FILTER: &str = "a seccompProfile, be it RuntimeDefault";

/// The ids of a field, where there are some that are not admitted.
fn ids(places: &[&Value], field: &str, admitted: Ids) -> Option<String> {
    let of = |place: &&Value| match own(place, field) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_u64).collect::<Vec<_>>(),
        one => one.and_then(Value::as_u64).into_iter().collect(),
    };
    // a namespace's range begins at a billion
    let (fits, which): (fn(u64, Ids) -> bool, String) = match admitted {
        Ids::Any => return None,
        Ids::OfNamespace => (|id, _| id >= 1_000_000_000, "the namespace's range".to_owned()),
        Ids::NotRoot => (|id, _| id != 0, "those but root's".to_owned()),
        Ids::Between(first, last) => (
            |id, of| matches!(of, Ids::Between(first, last) if (first..=last).contains(&id)),
            format!("{first} to {last}"),
        ),
    };
    let id = places.iter().flat_map(of).find(|id| !fits(*id, admitted))?;
    Some(format!("{field} {id}, which is none of {which}"))
}

fn minded(workload: &Workload, scc: &Constraint) -> Vec<String> {
    let containers: Vec<&Value> = workload.listed().map(|(one, _)| one).collect();
    let spec = workload.spec();
    let places: Vec<&Value> = containers.iter().copied().chain([spec]).collect();
    let any = |test: &dyn Fn(&Value) -> bool| containers.iter().any(|one| test(one));
    let apart = is(spec.get("hostUsers"), false);
    let rows = [
        (is(spec.get("hostNetwork"), true), "hostNetwork: true"),
        (is(spec.get("hostPID"), true), "hostPID: true"),
        (is(spec.get("hostIPC"), true), "hostIPC: true"),
        (any(&has_host_port), "a hostPort"),
        (any(&privileged), "privileged: true"),
        (
            !scc.escalates && any(&|one| is(own(one, "allowPrivilegeEscalation"), true)),
            "allowPrivilegeEscalation: true",
        ),
        (!scc.unmasked && any(&unmasked), "procMount: Unmasked"),
        (scc.apart && !apart, HOST_USERS),
    ];
    let mut found: Vec<String> =
        rows.into_iter().filter(|(there, _)| *there).map(|(_, what)| what.to_owned()).collect();
    found.extend(ids(&places, "runAsUser", scc.users));
    found.extend(ids(&[spec], "fsGroup", scc.fs_groups));
    found.extend(ids(&[spec], "supplementalGroups", scc.groups));
    let profiles: Vec<String> =
        places.iter().filter_map(|one| own(one, "seccompProfile").and_then(profile)).collect();
    found.extend(filter(&profiles, scc.filters));
    found.extend(containers.iter().find_map(|one| capability(one, scc)));
    found.extend(places.iter().find_map(|one| domain(one, scc)));
    let volumes = spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let kinds = volumes.flat_map(kinds_of_volumes);
    found.extend(
        kinds.into_iter().next().map(|kind| format!("a volume of the kind {}", crate::visible::line(kind))),
    );
    found
}

fn filter(profiles: &[String], admitted: Filters) -> Option<String> {
    match admitted {
        Filters::Any => None,
        Filters::Unnamed => (!profiles.is_empty()).then(|| ANY_FILTER.to_owned()),
        Filters::Default => {
            let other = profiles.iter().any(|name| name != "RuntimeDefault");
            other.then(|| "another seccompProfile than RuntimeDefault".to_owned())
        }
    }
}

fn capability(container: &Value, scc: &Constraint) -> Option<String> {
    let added = own(container, "capabilities")?.get("add")?.as_array()?;
    let mut names = added.iter().filter_map(Value::as_str);
    let name = names.find(|name| !scc.capabilities.contains(name))?;
    Some(format!("the capability {}", crate::visible::line(name)))
}

fn domain(place: &Value, scc: &Constraint) -> Option<String> {
    let named = own(place, "seLinuxOptions")?.get("type")?.as_str().filter(|name| !name.is_empty())?;
    (Some(named) != scc.selinux_type).then(|| format!("seLinuxOptions.type {}", crate::visible::line(named)))
}

fn has_host_port(container: &Value) -> bool {
    let ports = container.get("ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(|port| port.get("hostPort")?.as_u64()).any(|port| port != 0)
}
