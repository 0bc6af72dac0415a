//! What people met where they ran bwrap, and what turned out to be true there: each message with what is known of the place,
//! the cause that it had, and what helped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use super::fixtures::{docker, machine, mounts, on, pod};
use super::{Symptom, diagnose};
use crate::Sandbox;
use crate::host::{CapabilitySet, Fact, FileKind, Host, Mount, Platform, Program};

/// A report a line: its name, the place, the message, the line of bwrap (`-` where nobody knows it), the code of the cause, and
/// words of the first remedy.
const REPORTS: &str = include_str!("../../tests/data/field-reports.tsv");

const PLATFORMS: &[Platform] = &[
    Platform::Bubblewrap,
    Platform::Chroot,
    Platform::CloudRun,
    Platform::Containerd,
    Platform::CriO,
    Platform::Docker,
    Platform::Fargate,
    Platform::Flatpak,
    Platform::GVisor,
    Platform::GitHubActions,
    Platform::GitLabCi,
    Platform::Kubernetes,
    Platform::Lxc,
    Platform::OpenShift,
    Platform::Podman,
    Platform::SystemdUnit,
    Platform::Wsl2,
];

/// One more mount of a host, on what is there.
fn mount(host: &mut Host, point: &str, filesystem: &str, options: &str) {
    let Fact::Present(all) = &mut host.mounts else { panic!("{point}: no mounts") };
    let above = |mount: &&Mount| point.starts_with(mount.point.to_str().unwrap());
    let parent = all.iter().filter(above).max_by_key(|mount| mount.point.as_os_str().len()).unwrap().id;
    let id = all.iter().map(|mount| mount.id).max().unwrap() + 1;
    // of /proc a part is mounted over itself
    let root = point.strip_prefix("/proc").filter(|_| filesystem == "proc").unwrap_or("/");
    let line = format!("{id} {parent} 0:{id} {root} {point} {options} - {filesystem} {filesystem} rw");
    all.extend(mounts(&[&line]));
}

/// A place, in words: one of the fixtures or nothing, and what is otherwise there.
fn place(words: &str) -> Host {
    let mut words = words.split(' ');
    let mut host = match words.next().unwrap() {
        "machine" => machine(),
        "docker" => docker(),
        "pod" => pod(),
        "-" => Host::default(),
        other => panic!("no such place: {other}"),
    };
    for word in words {
        let (key, value) = word.split_once(':').unwrap();
        let pair = || value.split_once('=').unwrap();
        let set = || Fact::Present(CapabilitySet(u64::from_str_radix(value, 16).unwrap()));
        let process = &mut host.process;
        match key {
            "on" => {
                let known = PLATFORMS.iter().find(|platform| format!("{platform:?}") == value);
                host = on(host, *known.unwrap_or_else(|| panic!("no such platform: {value}")));
            }
            "uid" => {
                for id in [&mut process.uid, &mut process.real_uid, &mut process.gid, &mut process.real_gid] {
                    *id = Fact::Present(value.parse().unwrap());
                }
            }
            "caps" => (process.effective, process.permitted) = (set(), set()),
            "bounds" => process.bounding = set(),
            "ambient" => process.ambient = set(),
            "seccomp" => process.seccomp = value.parse().map_or(Fact::Absent, Fact::Present),
            "label" => {
                host.security.label = Fact::Present(value.replace('+', " "));
                host.security.apparmor_enabled = Fact::Present(!value.contains(":s0"));
                let selinux = Fact::Present(value.contains(":s0"));
                (host.security.selinux_filesystem, host.security.selinux_enforcing) =
                    (selinux.clone(), selinux);
            }
            "lsm" => host.security.modules = Fact::Present(vec!["capability".into(), value.into()]),
            "release" => host.kernel.release = Fact::Present(value.into()),
            "sysctl" => {
                let (name, value) = pair();
                let value = match value {
                    "absent" => Fact::Absent,
                    "denied" => Fact::Unreadable("Permission denied".into()),
                    value => Fact::Present(value.into()),
                };
                host.sysctls.insert(name.into(), value);
            }
            "mount" => mount(&mut host, pair().0, pair().1, "rw,nosuid,relatime"),
            "root" => {
                let Fact::Present(mounts) = &mut host.mounts else { panic!() };
                mounts[0].filesystem = value.into();
            }
            "proc" => {
                let Fact::Present(mounts) = &mut host.mounts else { panic!() };
                mounts.truncate(2);
                mounts[1].super_options.extend(value.strip_prefix("with-").map(str::to_owned));
            }
            "file" => {
                let kind = match pair().1 {
                    "absent" => Fact::Absent,
                    "directory" => Fact::Present(FileKind::Directory),
                    _ => Fact::Present(FileKind::Other),
                };
                host.files.insert(pair().0.into(), kind);
            }
            "bwrap" => {
                let (path, version) = value.split_once('@').unwrap();
                let mut program = Program::new(path, version.trim_end_matches(",setuid"));
                program.setuid = version.ends_with(",setuid");
                host.bwrap = Fact::Present(program);
            }
            "group" => host.cgroup.paths = Fact::Present(vec![value.into()]),
            other => panic!("no such fact: {other}"),
        }
    }
    host
}

#[test]
fn reports_from_the_field() {
    let mut wrong = String::new();
    let mut count = 0;
    for row in REPORTS.lines().filter(|line| !line.starts_with('#')) {
        count += 1;
        let [name, known, said, line, code, helps] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let sandbox = (line != "-").then(|| Sandbox::from_args(line.split(' ')).unwrap());
        let symptom = Symptom::from_text(said.replace('⏎', "\n").as_bytes());
        let diagnosis = diagnose(&symptom, &place(known), sandbox.as_ref());
        let remedy =
            diagnosis.remedy().map(|remedy| format!("{}\n{}", remedy.summary, remedy.instructions()));
        let first = diagnosis.causes[0].cause.code();
        if first != code || !remedy.is_some_and(|remedy| remedy.contains(helps)) {
            wrong.extend([name, ": ", code, ", ", helps, "\n", &diagnosis.brief(), "\n"]);
        }
    }
    assert!(wrong.is_empty() && count > 40, "{count} reports\n{wrong}");
}
