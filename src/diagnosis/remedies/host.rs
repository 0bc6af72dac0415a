//! The machine: kernel parameters, units, commands.

use std::fmt::Write as _;

use super::super::case::Case;
use super::super::remedy::{Action, Remedy, Sysctl, UnitSettings};
use super::Setting;
use crate::host::Platform;

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
    /// A drop-in file of the unit (`systemd.unit(5)`), to be put below `/etc/systemd/system/UNIT.d`.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Action, Symptom, diagnose};
    /// use bwrap_launch::host::{CapabilitySet, Fact, Host, Platform, Sighting};
    /// let mut host = Host::default();
    /// host.platforms = vec![Sighting::new(Platform::SystemdUnit, "the control group /system.slice/build.service")];
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
        _ => vec![set.requires("root on that machine, outside of the container: inside it cannot be set")],
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
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

/// Settings of the systemd unit.
pub(in super::super) fn unit(settings: &[(&str, &str)], opens: &str) -> Vec<Remedy> {
    let names: Vec<&str> = settings.iter().map(|(name, _)| *name).collect();
    let action = Action::Unit(UnitSettings { unit: None, settings: owned(settings) });
    vec![Remedy::new(format!("Change {} of the systemd unit", list(&names)), action, opens)]
}

/// Settings of the unit that we are in.
pub(super) fn unit_of(case: &Case<'_>, settings: &[(&str, &str)]) -> Action {
    let paths = case.host.cgroup.paths.present().into_iter().flatten();
    let unit = paths.filter_map(|path| path.rsplit('/').next()).find(|name| name.ends_with(".service"));
    Action::Unit(UnitSettings { unit: unit.map(str::to_owned), settings: owned(settings) })
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

/// What to do where nothing can be typed.
pub(in super::super) fn manual(summary: &str, what: &str, opens: &str) -> Remedy {
    Remedy::new(summary, Action::Manual(what.to_owned()), opens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, pod};
    use crate::host::{Fact, Host, Sighting};

    fn texts(host: &Host, of: impl Fn(&Case<'_>) -> Vec<Remedy>) -> Vec<String> {
        of(&Case::new(None, host, None)).iter().map(Remedy::instructions).collect()
    }

    fn max(case: &Case<'_>) -> Vec<Remedy> {
        sysctl(case, "user.max_user_namespaces", "15000", "namespaces for all")
    }

    fn on(platform: Platform) -> Host {
        let mut host = machine();
        host.platforms.push(Sighting::new(platform, "test"));
        host
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
        for host in [docker(), pod(), on(Platform::Lxc), on(Platform::Containerd)] {
            let remedies = max(&Case::new(None, &host, None));
            assert!(
                remedies[0].summary.contains("the machine that")
                    || remedies[0].summary.contains("every node")
            );
            assert!(remedies[0].requires[0].contains("outside of"), "{remedies:?}");
        }
        assert!(texts(&pod(), max)[1].contains("\"user.max_user_namespaces\" = \"15000\""));
        let openshift = texts(&on(Platform::OpenShift), max);
        assert!(
            openshift[0].contains("kind: Tuned")
                && openshift[0].contains("      user.max_user_namespaces=15000\n")
        );
        assert!(openshift[0].ends_with("oc apply -f bwrap-tuned.yaml\n"));
    }

    #[test]
    fn jobs_of_github_have_sudo() {
        let mut host = on(Platform::GitHubActions);
        host.platforms.push(Sighting::new(Platform::SystemdUnit, "the runner's service"));
        assert_eq!(texts(&host, max), ["sudo sysctl -w user.max_user_namespaces=15000\n"]);
    }

    #[test]
    fn units_are_named_if_they_are_known() {
        let mut host = on(Platform::SystemdUnit);
        host.cgroup.paths = Fact::Present(vec!["/system.slice/build@1.service".into()]);
        let case = Case::new(None, &host, None);
        let remedy = Remedy::new("Do it", unit_of(&case, &[("User", "1000")]), "nothing");
        assert!(remedy.instructions().starts_with("mkdir -p /etc/systemd/system/build@1.service.d\n"));
        assert!(remedy.instructions().ends_with("systemctl restart build@1.service\n"));
        let remedies = unit(&[("RestrictNamespaces", "no"), ("A", "1"), ("A", "2")], "namespaces");
        assert_eq!(remedies[0].summary, "Change RestrictNamespaces and A of the systemd unit");
        assert!(remedies[0].instructions().contains("[Service]\nRestrictNamespaces=no\nA=1\nA=2\nEOF\n"));
    }
}
