use crate::diagnosis::case::Case;
use crate::diagnosis::fixtures::{docker, machine, on, whole};
use crate::diagnosis::weigh::{ANY, KILLED, LAUNCH};
use crate::diagnosis::{Action, Cause, Finding, Symptom};
use std::collections::HashSet;
use std::process::Command;

use super::*;
use crate::host::{Fact, Host, PidsLimit, Platform, Program};

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

/// Each host on each platform, and on none.
fn places(hosts: &[Host]) -> impl Iterator<Item = Host> + '_ {
    let platforms = || PLATFORMS.iter().map(|platform| vec![*platform]).chain([Vec::new()]);
    hosts
        .iter()
        .flat_map(move |host| platforms().map(|platforms| platforms.into_iter().fold(host.clone(), on)))
}

/// What is found on each of these hosts, for every message and before a launch.
fn each_finding(hosts: impl Iterator<Item = Host>, mut look: impl FnMut(&Finding)) {
    let symptoms: Vec<Symptom> = MESSAGES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').next())
        .map(|text| Symptom::from_text(format!("bwrap: {}\n", text.trim_start_matches("bwrap: ")).as_bytes()))
        .collect();
    assert!(symptoms.len() > 280);
    let (sandbox, nowhere) = (whole(), Host::default());
    let rules = |symptom| {
        let case = Case::new(Some(symptom), &nowhere, None);
        all().filter(|rule| rule.explains(&case)).collect::<Vec<_>>()
    };
    let heard: Vec<(&Symptom, Vec<&Rule>)> =
        symptoms.iter().map(|symptom| (symptom, rules(symptom))).collect();
    for host in hosts {
        crate::diagnosis::predict(&host, &sandbox).obstacles.iter().for_each(&mut look);
        for (symptom, rules) in &heard {
            let case = Case::new(Some(symptom), &host, Some(&sandbox));
            rules.iter().filter_map(|rule| rule.find(&case)).for_each(|finding| look(&finding));
        }
    }
}

/// Remedies are made of other remedies, by platform: one that leads back to itself would end the process.
#[test]
fn every_message_is_answered_on_every_platform() {
    each_finding(places(&hosts()), |finding| {
        for remedy in &finding.remedies {
            let whole =
                ![&remedy.summary, &remedy.opens, &remedy.instructions()].iter().any(|text| text.is_empty());
            assert!(whole, "{}: {remedy:?}", finding.cause);
        }
    });
}

/// Names and paths come from elsewhere, and what is made of them is meant for root's shell.
#[test]
fn nothing_of_the_host_runs_in_a_shell() {
    const MARK: &str = "this was run";
    let evil = |line: &str| {
        let path = format!("/opt/a b'$(hit)\"`hit`;hit;*{line}/bwrap");
        let mut host = machine();
        let mut program = Program::new(&path, "0.8.0");
        (program.setuid, program.file_capabilities, program.unreadable) = (true, true, true);
        host.bwrap = Fact::Present(program);
        host.cgroup.paths = Fact::Present(vec![format!("/system.slice/a b'$(hit){line};hit;.service")]);
        let directory = format!("/sys/fs/cgroup/a b'$(hit){line};hit;.slice");
        host.cgroup.pids = Fact::Present(PidsLimit::new(directory, 1, 1));
        host.mounts.clone_from(&docker().mounts);
        let Fact::Present(mounts) = &mut host.mounts else { unreachable!() };
        for mount in mounts.iter_mut().skip(2) {
            mount.point = format!("{}/a b'$(hit){line};hit;", mount.point.display()).into();
        }
        host
    };
    let labels = |host: Host| {
        ["unconfined", "a b$(hit)'\nhit\n;hit; (enforce)", "u:r:x;hit;$(hit):s0", "u:r:x\nhit\n:s0"].map(
            |label| {
                let mut host = host.clone();
                host.security.label = Fact::Present(label.into());
                host.security.apparmor_enabled = Fact::Present(true);
                host.security.selinux_enforcing = Fact::Present(true);
                host.sysctls
                    .insert("kernel.apparmor_restrict_unprivileged_userns".into(), Fact::Present("1".into()));
                host
            },
        )
    };
    let hosts: Vec<Host> = ["", "\nEOF\nhit\n"].into_iter().flat_map(|line| labels(evil(line))).collect();
    let (mut commands, mut prose) = (HashSet::new(), HashSet::new());
    each_finding(places(&hosts), |finding| {
        for remedy in &finding.remedies {
            let text = remedy.instructions();
            match &remedy.action {
                Action::Container(options) if options.service.is_some() => prose.insert(text),
                Action::Manual(_) | Action::Pod(_) | Action::Sandbox(_) => prose.insert(text),
                _ => commands.insert(text),
            };
        }
    });
    for text in prose {
        assert!(!text.lines().any(|line| line == "hit"), "{text}");
    }
    assert!(commands.len() > 20, "{}", commands.len());
    for text in commands {
        // restricted, and without a path: it reads the words, and can run none
        let script = format!("hit() {{ echo {MARK}; }}\n{text}");
        let shell = Command::new("/bin/bash")
            .args(["-r", "-c", &script])
            .env("PATH", "/nonexistent")
            .output()
            .unwrap();
        let said = [shell.stdout, shell.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        for wrong in [MARK, "syntax error", "unexpected EOF", "end-of-file"] {
            assert!(!said.contains(wrong), "{text}\n{said}");
        }
    }
}
/// Causes without a rule, and what finds them.
const ELSEWHERE: &[(Cause, &str)] = &[
    (Cause::SeccompDeniesCall, "the table of calls: what no rule names"),
    (Cause::Unexplained, "what is left when no rule has anything to say"),
];

#[test]
fn each_cause_has_one_rule() {
    let ruled: Vec<Cause> = all().map(|rule| rule.cause).collect();
    for &cause in Cause::ALL {
        let count = ruled.iter().filter(|ruled| **ruled == cause).count();
        let elsewhere = usize::from(ELSEWHERE.iter().any(|(other, _)| *other == cause));
        assert_eq!(count + elsewhere, 1, "{cause:?} has {count} rules");
    }
}

#[test]
fn families_are_named_as_their_codes() {
    for (letters, rules) in FAMILIES {
        for rule in rules.iter().copied().flatten() {
            assert!(rule.cause.code().starts_with(letters), "{:?} is not in {letters}", rule.cause);
        }
    }
}

/// One that is misspelt would never be asked.
#[test]
fn rules_name_messages_that_there_are() {
    let texts: HashSet<&str> = crate::bwrap::message::texts().collect();
    for rule in all() {
        for pattern in rule.messages.iter().flat_map(|(patterns, _)| *patterns) {
            assert!(
                [ANY, LAUNCH, KILLED].contains(pattern) || texts.contains(pattern),
                "{:?}: {pattern}",
                rule.cause
            );
        }
    }
}

/// First remedies that would not have helped where they were read.
#[test]
fn first_remedies_work_where_they_are_read() {
    use crate::Sandbox;
    use crate::diagnosis::fixtures::{explain, mounts};
    let first = |said: &str, host: &Host, sandbox: &Sandbox| {
        let diagnosis = explain(said, host, sandbox);
        let remedy = diagnosis.remedy().unwrap();
        format!("{}\n{}", remedy.summary, remedy.instructions())
    };
    let missing = |path: &str| {
        let said = format!("Can't find source path {path}: No such file or directory");
        first(&said, &machine(), &Sandbox::new().ro_bind(path, path))
    };
    // a directory would be in the way of the service, and of whoever reads the file
    assert!(
        missing("/run/containerd/containerd.sock")
            .starts_with("Start the service that listens at /run/containerd")
    );
    assert!(missing("/etc/app/settings.json").contains("mkdir -p /etc/app\ntouch /etc/app/settings.json\n"));
    assert!(missing("/srv/data").contains("mkdir -p /srv/data\n"));
    // permissions of others say nothing to FUSE
    let mut host = machine();
    host.mounts = Fact::Present(mounts(&[
        "1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw",
        "3 1 0:5 / /mnt rw,nosuid,nodev - fuse.sshfs x rw,user_id=0,group_id=0",
    ]));
    let denied = "Can't find source path /mnt: Permission denied";
    assert!(first(denied, &host, &Sandbox::new().ro_bind("/mnt", "/mnt")).contains("allow_other"));
    // no kernel takes a filter that it does not have
    let mut host = machine();
    host.process.seccomp = Fact::Absent;
    let filter = "prctl(PR_SET_SECCOMP): Invalid argument";
    assert!(first(filter, &host, &whole()).contains("CONFIG_SECCOMP_FILTER"));
    let words = "Exceeded maximum number of arguments 9000";
    assert!(first(words, &machine(), &whole()).starts_with("Bind the directories above"));
    // what an outer sandbox has mounted read-only stays so
    let mut host = machine();
    host.user_namespace.uid_map =
        Fact::Present(vec![crate::host::IdMapping { inside: 1000, outside: 1000, count: 1 }]);
    let written = "setting up uid map: Read-only file system";
    assert!(first(written, &host, &whole()).starts_with("Make /proc writable in the outer sandbox"));
}
