//! What a text of Kubernetes' is about: a pod or something else, a failure or a warning, and whether the pod has started since.

use crate::diagnosis::Cause;
use crate::diagnosis::cause::section;
use crate::diagnosis::evidence::is_said;

/// Kinds whose objects are pods, or make some.
const OF_PODS: &[&str] = &[
    "pod",
    "job",
    "cronjob",
    "deployment",
    "statefulset",
    "daemonset",
    "replicaset",
    "replicationcontroller",
    "podtemplate",
];

/// What speaks of pods where no object is named.
const SPEAKS_OF_PODS: &[&str] = &[
    "pod",
    "container",
    "securitycontext",
    "security context",
    "privileg",
    "hostpath",
    "hostnetwork",
    "hostpid",
    "hostipc",
    "hostusers",
    "procmount",
    "capabilit",
    "seccomp",
    "apparmor",
    "selinux",
    "sysctl",
    "runas",
    "image",
    "warden",
    "workload",
    "deployment",
    "statefulset",
    "daemonset",
    "replicaset",
    "job",
];

/// What speaks of something else there.
const SPEAKS_OF_OTHERS: &[&str] = &[
    "ingress",
    "issuer",
    "cert-manager",
    "certificate",
    "namespace must",
    "configmap",
    "secret",
    "networkpolic",
    "network policy",
    "loadbalancer",
    "gateway",
    "nodeport",
    "persistentvolume",
];

/// By what is said of anything.
const OF_ANYTHING: &[&str] =
    &["admission webhook", "denied the request", "failed calling webhook", "error when creating"];

/// What is said of pods only, whatever object they come from.
const TEMPLATES: &[&str] =
    &["podsecurity", "spec/template/spec/", "spec.template.spec.", "service account", "spec/containers/"];

/// What the API server, `kubectl` and Helm say of what they made although they warned.
const MADE: &[&str] = &[
    " created",
    " configured",
    " unchanged",
    " patched",
    " replaced",
    " serverside-applied",
    "status: deployed",
];

/// What Pod Security and Kyverno say where they only warn.
const WARNED: &[&str] = &["would violate podsecurity", "warning: policy "];

/// So much of a line stands before what decides, or else the line begins later.
const LEAD: usize = 100;

/// Of a text that names a cause the line that does, and of a long one the part from its clause on: reporters say other things before.
pub(super) fn decisive(cause: Cause, text: &str) -> String {
    let begin = |line: &str| {
        let lower = line.to_ascii_lowercase();
        section(cause.text(), "said").lines().find_map(|words| {
            let first = words.split(" ... ").next()?;
            is_said(&lower, words).then(|| lower.find(first)).flatten()
        })
    };
    // some go over several
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let found = text.lines().chain([joined.as_str()]).find_map(|line| Some((line, begin(line)?)));
    let Some((line, at)) = found else { return text.trim().to_owned() };
    let start = line.get(..at).and_then(|head| Some(head.rfind(": ")? + 2)).unwrap_or(at);
    let rest = line.get(start..).filter(|_| start > LEAD);
    rest.map_or_else(|| line.trim().to_owned(), |rest| format!("... {}", rest.trim()))
}

/// Whether a text in small letters, on one line, is about objects that are no pods and make none.
pub(super) fn is_about_others(text: &str) -> bool {
    let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if has(TEMPLATES) {
        return false;
    }
    let mut kinds = kinds(text).peekable();
    if kinds.peek().is_some() {
        return !kinds.any(is_of_pods);
    }
    has(OF_ANYTHING) && has(SPEAKS_OF_OTHERS) && !has(SPEAKS_OF_PODS)
}

/// `deployments.apps`, `pod`, `pods`.
fn is_of_pods(kind: &str) -> bool {
    let name = kind.split('.').next().unwrap_or(kind);
    OF_PODS.iter().any(|of| name == *of || name.strip_suffix('s') == Some(of))
}

/// The kinds of the objects that a text says something about, as the API server and Kyverno name them.
fn kinds(text: &str) -> impl Iterator<Item = &str> {
    // a name, quoted, comes between
    let named = ["\" is invalid", "\" is forbidden"].into_iter().flat_map(|mark| heads(text, mark));
    let named = named.filter_map(|head| Some(head.get(..head.rfind('"')?)?.trim_end()));
    let alone = [" is forbidden: user", " in version \""].into_iter().flat_map(|mark| heads(text, mark));
    // and `ValidationError(Service.spec): ...`
    let marked = text
        .match_indices("validationerror(")
        .filter_map(|(at, mark)| text.get(at + mark.len()..)?.split(['.', ')']).next());
    let blocked = heads(text, " was blocked").filter_map(|head| {
        let object = head.get(head.rfind(' ')? + 1..)?;
        let (kind, name) = object.split_once('/')?;
        name.contains('/').then_some(kind)
    });
    // `(ci/executor; apps/v1, Kind=StatefulSet)`, of a server-side apply
    let applied = text
        .match_indices(", kind=")
        .filter_map(|(at, mark)| text.get(at + mark.len()..)?.split([')', ',', ' ']).next());
    let marked = marked.chain(applied);
    named.chain(alone).map(last_word).chain(blocked).chain(marked).filter(|kind| !kind.is_empty())
}

/// What comes before each mark.
fn heads<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(mark).filter_map(|(at, _)| text.get(..at))
}

fn last_word(text: &str) -> &str {
    let of_word = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    text.get(text.trim_end_matches(of_word).len()..).unwrap_or_default()
}

/// Whether it is a warning of the API server's, and no failure: what it is about was made.
pub(super) fn is_warning(text: &str) -> bool {
    // what a policy finds wrong is no failure of the request
    let text = text.to_lowercase().replace("validation error: ", "");
    let warns = text.contains("warning: ") || text.contains("warnings.go:");
    let fails = [
        "error from server",
        "is forbidden",
        "is invalid",
        "error when",
        "failed to ",
        "failed for ",
        "failed calling ",
        "error: ",
    ];
    warns
        && !fails.iter().any(|words| text.contains(words))
        && (WARNED.iter().any(|words| text.contains(words)) || MADE.iter().any(|words| text.contains(words)))
}

/// Whether events tell of a container that was started after the last of their warnings.
pub(super) fn has_started_since(text: &str) -> bool {
    let containers =
        |text: &str| text.matches("Started container ").count() <= 1 && !text.contains("containers{");
    let age = |words| text.lines().filter(|line| line.contains(words)).filter_map(age).min();
    let (started, warned) = (age(" Started "), age("Warning "));
    // of several containers one may be there, and another not; what a container failed by is no volume's
    let one = containers(text) && !text.contains("to create containerd task") && !text.contains("Error: ");
    started.zip(warned).is_some_and(|(started, warned)| one && started < warned)
}

/// How many seconds ago an event was seen last, in the columns of `kubectl describe` and `kubectl get events`: `3m20s`.
fn age(line: &str) -> Option<u64> {
    line.split_whitespace().find_map(|word| {
        let (mut seconds, mut rest) = (0_u64, word);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let unit = rest.get(digits..=digits)?;
            let unit =
                [("s", 1), ("m", 60), ("h", 3600), ("d", 86400)].iter().find(|(name, _)| *name == unit)?.1;
            let count: u64 = rest.get(..digits)?.parse().ok()?;
            seconds = seconds.checked_add(count.checked_mul(unit)?)?;
            rest = rest.get(digits + 1..)?;
        }
        Some(seconds)
    })
}

/// Whether words are an argument in somebody's source code: `contains(x, "failed to create pod sandbox")`.
pub(super) fn is_in_code(text: &str, words: &str) -> bool {
    let argument = |open: &str| text.contains(&format!("{open}\"{words}\")"));
    argument("(") || argument(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_is_about() {
        for (others, text) in [
            (true, r#"error from server (forbidden): services "x" is forbidden: exceeded quota: q"#),
            (true, r#"the service "s" is invalid: spec.ports[0]"#),
            (true, r#"service in version "v1" cannot be handled as a service"#),
            (true, "resource service/default/s was blocked due to the following policies"),
            (true, r#"configmaps is forbidden: user "u" cannot create resource"#),
            (true, r#"ingresses.networking.k8s.io "x" is forbidden: x"#),
            (
                true,
                r#"error when creating "i.yaml": admission webhook "validate.nginx.ingress" denied the request: host "a""#,
            ),
            (true, r#"error when creating "a pod of mine.yaml": runners "x" is forbidden: x"#),
            (false, r#"pods "x" is forbidden: exceeded quota: q"#),
            (false, r#"deployments.apps "x" is forbidden: x"#),
            (false, r#"the cronjob "x" is invalid: x"#),
            (false, "resource pod/default/s was blocked due to the following policies"),
            (false, r#"admission webhook "x" denied the request: container c must not run as root"#),
            (false, "failed to create pod sandbox: x"),
            (false, r#"error when creating "p.yaml": namespaces "ci" not found"#),
            (false, r#"error when creating "p.yaml": failed calling webhook "validate.kyverno.svc-fail": x"#),
            // one of both
            (false, r#"services "x" is forbidden: y pods "x" is forbidden: z"#),
        ] {
            assert_eq!(is_about_others(text), others, "{text}");
        }
    }

    #[test]
    fn ages() {
        assert_eq!(age("  Warning  Failed  3m20s (x3 over 5m)  kubelet  x"), Some(200));
        assert_eq!(age("12d   Normal"), Some(12 * 86400));
        assert_eq!(age("  Warning  Failed  kubelet  x 3x"), None);
        assert_eq!(age("99999999999999999999s 18446744073709551615d"), None);
    }
}
