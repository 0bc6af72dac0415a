use super::super::fixtures::{docker, machine, on, whole};
use super::*;
use crate::host::{Fact, Host, Platform};

/// Every message of bwrap's, first on each line.
const MESSAGES: &str = include_str!("../../../tests/data/bwrap-messages.tsv");

const PLATFORMS: &[Platform] = &[
    Platform::Kubernetes,
    Platform::OpenShift,
    Platform::Docker,
    Platform::Podman,
    Platform::Containerd,
    Platform::CriO,
    Platform::Lxc,
    Platform::Nspawn,
    Platform::Flatpak,
    Platform::Snap,
    Platform::Firejail,
    Platform::GVisor,
    Platform::Wsl1,
    Platform::Wsl2,
    Platform::GitHubActions,
    Platform::GitLabCi,
    Platform::SystemdUnit,
    Platform::Chroot,
    Platform::Bubblewrap,
    Platform::Container,
    Platform::Unknown,
];

/// A machine and a container, on a kernel that asks AppArmor about user namespaces and on one that does not, under each
/// kind of security policy.
fn hosts() -> Vec<Host> {
    let mut hosts = Vec::new();
    for of in [machine, docker] {
        for kernel in ["5.15.0-100-generic", "6.8.0-45-generic"] {
            for label in [
                None,
                Some("unconfined"),
                Some("docker-default (enforce)"),
                Some("unprivileged_userns (enforce)"),
                Some("system_u:system_r:container_t:s0:c1,c2"),
            ] {
                let mut host = of();
                host.platforms = Fact::Absent;
                host.kernel.release = Fact::Present(kernel.into());
                if let Some(label) = label {
                    host.security.label = Fact::Present(label.into());
                    host.security.apparmor_enabled = Fact::Present(!label.contains(":s0"));
                    host.security.selinux_enforcing = Fact::Present(label.contains(":s0"));
                    host.sysctls.insert(
                        "kernel.apparmor_restrict_unprivileged_userns".into(),
                        Fact::Present(u8::from(label.starts_with("un")).to_string()),
                    );
                }
                hosts.push(host);
            }
        }
    }
    hosts
}

fn check(finding: &Finding, host: &Host) {
    for remedy in &finding.remedies {
        let whole =
            !remedy.summary.is_empty() && !remedy.opens.is_empty() && !remedy.instructions().is_empty();
        assert!(whole, "{}: {remedy:?} on {:?}", finding.cause, host.platforms);
    }
}

/// Remedies are made of other remedies, by platform: one that leads back to itself would end the process.
#[test]
fn every_message_is_answered_on_every_platform() {
    let symptoms: Vec<Symptom> = MESSAGES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').next())
        .map(|text| Symptom::from_text(format!("bwrap: {}\n", text.trim_start_matches("bwrap: ")).as_bytes()))
        .collect();
    assert!(symptoms.len() > 280);
    let sandbox = whole();
    let nowhere = Host::default();
    let rules = |symptom| {
        let case = Case::new(Some(symptom), &nowhere, None);
        all().filter(|rule| rule.explains(&case)).collect::<Vec<_>>()
    };
    let heard: Vec<(&Symptom, Vec<&Rule>)> =
        symptoms.iter().map(|symptom| (symptom, rules(symptom))).collect();
    for host in hosts() {
        for host in PLATFORMS.iter().map(|platform| on(host.clone(), *platform)).chain([host.clone()]) {
            let found = super::super::predict(&host, &sandbox);
            found.obstacles.iter().for_each(|finding| check(finding, &host));
            for (symptom, rules) in &heard {
                let case = Case::new(Some(symptom), &host, Some(&sandbox));
                rules.iter().filter_map(|rule| rule.find(&case)).for_each(|finding| check(&finding, &host));
            }
        }
    }
}
