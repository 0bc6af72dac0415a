//! The machine: kernel parameters, units, commands.

use std::fmt::Write as _;

use super::super::case::Case;
use super::super::remedy::{Action, Remedy, Sysctl, UnitSettings};
use super::{Setting, everywhere};
use crate::host::Platform;
use crate::shell::quoted;

impl Sysctl {
    /// The line that sets it at every boot, for [`file`](Self::file) (`sysctl.d(5)`).
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Action, Symptom, diagnose};
    /// use bwrap_launch::host::{Fact, Host};
    /// let mut host = Host::default();
    /// host.sysctls.insert("kernel.unprivileged_userns_clone".into(), Fact::Present("0".into()));
    /// let symptom = Symptom::from_text(b"bwrap: No permissions to create a new namespace");
    /// for remedy in &diagnose(&symptom, &host, None).causes[0].remedies {
    ///     if let Action::Sysctl(sysctl) = &remedy.action {
    ///         assert_eq!(sysctl.conf(), "kernel.unprivileged_userns_clone = 1\n");
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn conf(&self) -> String {
        format!("{} = {}\n", self.name, self.value)
    }
}

impl UnitSettings {
    /// A drop-in file of the unit (`systemd.unit(5)`), to be put below `/etc/systemd/system/UNIT.d`, or
    /// `~/.config/systemd/user/UNIT.d` if it is a [user](Self::user)'s.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Action, Symptom, diagnose};
    /// use bwrap_launch::host::{CapabilitySet, Fact, Host, Platform, Sighting};
    /// let mut host = Host::default();
    /// host.platforms = Fact::Present(vec![Sighting::new(Platform::SystemdUnit, "the control group /system.slice/build.service")]);
    /// host.process.uid = Fact::Present(0);
    /// host.process.effective = Fact::Present(CapabilitySet(0));
    /// let symptom = Symptom::from_text(b"bwrap: setting up uid map: Operation not permitted");
    /// let diagnosis = diagnose(&symptom, &host, None);
    /// let Action::Unit(unit) = &diagnosis.remedy().unwrap().action else { panic!() };
    /// assert_eq!(unit.drop_in(), "[Service]\nUser=1000\n");
    /// ```
    #[must_use]
    pub fn drop_in(&self) -> String {
        self.settings.iter().fold("[Service]\n".to_owned(), |mut text, (name, value)| {
            let _ = writeln!(text, "{name}={value}");
            text
        })
    }
}

/// Set a kernel parameter on the machine or node, and keep it. `opens`: what that opens up.
pub(in super::super) fn sysctl(case: &Case<'_>, name: &str, value: &str, opens: &str) -> Vec<Remedy> {
    let setting = Setting::of(case);
    let text = format!("{name}={value}");
    let file = "/etc/sysctl.d/99-bwrap.conf".into();
    let action = Action::Sysctl(Sysctl { name: name.to_owned(), value: value.to_owned(), file });
    let set = Remedy::new(format!("Set {text} on {}", setting.machine()), action, opens);
    match setting {
        Setting::Kubernetes { openshift: true } => vec![
            Remedy::new(
                format!("Set {text} on the worker nodes through the Node Tuning Operator"),
                Action::Commands(vec!["oc apply -f bwrap-tuned.yaml".into()]),
                opens,
            )
            .requires("the rights of a cluster administrator")
            .file("bwrap-tuned.yaml", tuned(&text)),
            set.requires("root on the nodes, outside of any pod; a node that is replaced loses it"),
        ],
        Setting::Kubernetes { openshift: false } => {
            let set =
                set.requires("root on the nodes, outside of any pod: from the node's bootstrap script, say");
            if !name.starts_with("user.") {
                return vec![set];
            }
            // the nodes that are delivered with user namespaces switched off
            let bottlerocket = manual(
                &format!("Set {text} in the settings of Bottlerocket nodes"),
                &format!(
                    "# in the user data of the nodes:\n[settings.kernel.sysctl]\n{} = {}",
                    quoted(name),
                    quoted(value)
                ),
                opens,
            );
            vec![
                set.requires(
                    "nodes that let themselves be set up: EKS Auto Mode's do not, move the pod to others",
                ),
                bottlerocket.requires("nodes that run Bottlerocket"),
            ]
        }
        Setting::Unit | Setting::Machine if case.on(Platform::GitHubActions) => {
            vec![
                Remedy::new(
                    format!("Set {text} in a step before"),
                    Action::Commands(vec![format!("sudo sysctl -w {text}")]),
                    format!("{opens}; on a runner of GitHub's own that ends with the job"),
                )
                .requires("sudo without a password, which GitHub's own runners give"),
            ]
        }
        Setting::Unit | Setting::Machine => vec![set],
        Setting::Unknown => everywhere(case, |case| sysctl(case, name, value, opens)),
        _ => vec![set.requires("root on that machine, outside of the container: inside it cannot be set")],
    }
}

/// Raise a limit of the kernel's to twice what it is, and to `least` at the least; nothing where it can go no further.
pub(in super::super) fn raise(case: &Case<'_>, name: &str, least: u64, opens: &str) -> Vec<Remedy> {
    // the others are of the C type int
    let most =
        if name == "fs.file-max" { i64::MAX.unsigned_abs() } else { u64::from(i32::MAX.unsigned_abs()) };
    let now = case.host.sysctl(name).present().and_then(|value| value.trim().parse::<u64>().ok());
    let Some(now) = now else {
        let lower = format!("a lower value there now: `sysctl {name}` prints it");
        let remedies = sysctl(case, name, &least.to_string(), opens).into_iter();
        return remedies.map(|remedy| remedy.requires(lower.clone())).collect();
    };
    let wanted = now.saturating_mul(2).max(least).min(most);
    if wanted > now { sysctl(case, name, &wanted.to_string(), opens) } else { Vec::new() }
}

/// A profile of OpenShift's Node Tuning Operator.
fn tuned(assignment: &str) -> String {
    format!(
        "apiVersion: tuned.openshift.io/v1
kind: Tuned
metadata:
  name: bwrap
  namespace: openshift-cluster-node-tuning-operator
spec:
  profile:
  - name: bwrap
    data: |
      [main]
      summary=What bwrap needs
      include=openshift-node
      [sysctl]
      {assignment}
  recommend:
  - profile: bwrap
    priority: 20
    match:
    - label: node-role.kubernetes.io/worker
"
    )
}

/// Settings of the systemd unit that we are in.
pub(in super::super) fn unit(case: &Case<'_>, settings: &[(&str, &str)], opens: &str) -> Vec<Remedy> {
    let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    vec![Remedy::new(format!("Change {} of the systemd unit", list(&names)), unit_of(case, settings), opens)]
}

/// The unit that we are in, and whether a user's own manager runs it.
pub(in super::super) fn own_unit<'a>(case: &Case<'a>) -> Option<(&'a str, bool)> {
    let mut paths = case.host.cgroup.paths.present().into_iter().flatten();
    paths.find_map(|path| {
        let name = path.rsplit('/').next().filter(|name| name.ends_with(".service"))?;
        // the kernel's own lists have one path a line
        let name = Some(name).filter(|name| !name.contains(char::is_control))?;
        Some((name, is_of_user(path)))
    })
}

/// Whether a control group is below that of a user's own manager.
pub(super) fn is_of_user(path: &str) -> bool {
    path.split_once("/user@").is_some_and(|(_, rest)| rest.contains('/'))
}

/// Settings of the unit that we are in.
pub(super) fn unit_of(case: &Case<'_>, settings: &[(&str, &str)]) -> Action {
    let (unit, user) = own_unit(case).map_or((None, false), |(name, user)| (Some(name.to_owned()), user));
    Action::Unit(UnitSettings { unit, user, settings: owned(settings) })
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// `a, b and c`, each once.
fn list(names: &[&str]) -> String {
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !once.contains(name) {
            once.push(name);
        }
    }
    match once.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "the settings".to_owned(),
    }
}

/// Commands to type.
pub(in super::super) fn commands(summary: &str, lines: &[&str], opens: &str) -> Remedy {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    Remedy::new(summary, Action::Commands(lines), opens)
}

/// What to write, in bwrap's options and in this crate's methods.
pub(in super::super) fn in_both(summary: &str, options: &str, methods: &str, opens: &str) -> Remedy {
    manual(summary, &format!("bwrap: {options}\nRust: {methods}"), opens)
}

/// What to do where nothing can be typed.
pub(in super::super) fn manual(summary: &str, what: &str, opens: &str) -> Remedy {
    Remedy::new(summary, Action::Manual(what.to_owned()), opens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, on, pod};
    use crate::host::{Fact, Host};

    fn texts(host: &Host, of: impl Fn(&Case<'_>) -> Vec<Remedy>) -> Vec<String> {
        of(&Case::new(None, host, None)).iter().map(Remedy::instructions).collect()
    }

    fn max(case: &Case<'_>) -> Vec<Remedy> {
        sysctl(case, "user.max_user_namespaces", "15000", "namespaces for all")
    }

    #[test]
    fn a_parameter_is_set_and_kept_on_a_machine() {
        assert_eq!(
            texts(&machine(), max),
            ["sysctl -w user.max_user_namespaces=15000\n\
             echo 'user.max_user_namespaces = 15000' >> /etc/sysctl.d/99-bwrap.conf\n"]
        );
    }

    #[test]
    fn a_parameter_is_set_outside_of_containers() {
        for host in [docker(), pod(), on(machine(), Platform::Lxc), on(machine(), Platform::Containerd)] {
            let remedies = max(&Case::new(None, &host, None));
            assert!(
                remedies[0].summary.contains("the machine that")
                    || remedies[0].summary.contains("every node")
            );
            assert!(remedies[0].requires[0].contains("outside of"), "{remedies:?}");
        }
        assert!(texts(&pod(), max)[1].contains("\"user.max_user_namespaces\" = \"15000\""));
        let openshift = texts(&on(machine(), Platform::OpenShift), max);
        assert!(
            openshift[0].contains("kind: Tuned")
                && openshift[0].contains("      user.max_user_namespaces=15000\n")
        );
        assert!(openshift[0].ends_with("oc apply -f bwrap-tuned.yaml\n"));
    }

    #[test]
    fn jobs_of_github_have_sudo() {
        let host = on(on(machine(), Platform::GitHubActions), Platform::SystemdUnit);
        assert_eq!(texts(&host, max), ["sudo sysctl -w user.max_user_namespaces=15000\n"]);
    }

    #[test]
    fn units_are_named_if_they_are_known() {
        let mut host = on(machine(), Platform::SystemdUnit);
        host.cgroup.paths = Fact::Present(vec!["/system.slice/build@1.service".into()]);
        let case = Case::new(None, &host, None);
        let remedy = Remedy::new("Do it", unit_of(&case, &[("User", "1000")]), "nothing");
        assert!(remedy.instructions().starts_with("mkdir -p /etc/systemd/system/build@1.service.d\n"));
        assert!(remedy.instructions().ends_with("systemctl restart build@1.service\n"));
        let remedies = unit(&case, &[("RestrictNamespaces", "no"), ("A", "1"), ("A", "2")], "namespaces");
        assert_eq!(remedies[0].summary, "Change RestrictNamespaces and A of the systemd unit");
        assert!(remedies[0].instructions().contains("[Service]\nRestrictNamespaces=no\nA=1\nA=2\nEOF\n"));
    }
    #[test]
    fn units_of_users_are_changed_by_them() {
        let mut host = on(machine(), Platform::SystemdUnit);
        let group = "/user.slice/user-1000.slice/user@1000.service/app.slice/build.service";
        host.cgroup.paths = Fact::Present(vec![group.into()]);
        let case = Case::new(None, &host, None);
        assert_eq!(own_unit(&case), Some(("build.service", true)));
        let remedy = unit(&case, &[("A", "1")], "x").remove(0).told(&case);
        let text = remedy.instructions();
        assert!(text.starts_with("mkdir -p ~/.config/systemd/user/build.service.d\n"), "{text}");
        assert!(
            text.ends_with("systemctl --user daemon-reload\nsystemctl --user restart build.service\n"),
            "{text}"
        );
        assert!(remedy.requires[0].starts_with("no root"));
        // the manager itself is a unit of the system's
        assert!(!is_of_user("/user.slice/user-1000.slice/user@1000.service"));
    }

    #[test]
    fn limits_are_never_lowered() {
        let value = |now: Option<&str>| {
            let mut host = machine();
            let now = now.map_or(Fact::Unknown, |now| Fact::Present(now.into()));
            host.sysctls.insert("user.max_net_namespaces".into(), now);
            let found = raise(&Case::new(None, &host, None), "user.max_net_namespaces", 15_000, "x");
            found.first().map(|remedy| (remedy.summary.clone(), remedy.requires.len()))
        };
        let set = |value: &str| format!("Set user.max_net_namespaces={value} on this machine");
        assert_eq!(value(Some("0")), Some((set("15000"), 0)));
        assert_eq!(value(Some("63000")), Some((set("126000"), 0)));
        assert_eq!(value(Some("2147483647")), None);
        assert_eq!(value(None), Some((set("15000"), 1)));
    }
}
