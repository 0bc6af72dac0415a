//! AppArmor profiles: for a container, and for a bwrap on a machine.

use std::path::Path;

use super::super::case::Case;
use super::super::remedy::{Action, AppArmorProfile, PodPatch, Profile, Remedy};
use super::engine::options;
use super::host::{sysctl, unit_of};
use super::{Setting, commands, manual};
use crate::host::Platform;

/// Where profiles are kept.
pub(super) const DIRECTORY: &str = "/etc/apparmor.d";

/// The profile for containers.
const CONTAINER: &str = "bwrap-nested";

const RESTRICTION: &str = "kernel.apparmor_restrict_unprivileged_userns";

/// A profile under which a container can run bwrap, in place of the engine's default.
pub(in super::super) fn confine_container(case: &Case<'_>) -> Vec<Remedy> {
    let profile = container_profile(mediates_user_namespaces(case));
    let setting = Setting::of(case);
    let under = |action| {
        let remedy = Remedy::new(
            format!("Run it under the AppArmor profile {CONTAINER} instead of the default"),
            action,
            "what runs there may mount, inside namespaces of its own; its root could mount /proc and /sys where the \
             profile's rules do not look, so run it as a user",
        );
        with_parser(remedy, case).file(&profile.path, &*profile.text)
    };
    // without a profile, the restriction for unconfined programs would be next
    let restricted = case.host.sysctl(RESTRICTION).is("1");
    let unconfined = |action| {
        let remedy = Remedy::new(
            "Run it without an AppArmor profile",
            action,
            "all that the default profile denies: mounting anywhere, writing to the kernel's settings below /proc and /sys",
        );
        (!restricted).then(|| remedy.requires(format!("a machine where {RESTRICTION} is 0 or missing")))
    };
    match setting {
        Setting::Kubernetes { .. } => {
            let pod = |apparmor| Action::Pod(PodPatch { apparmor: Some(apparmor), ..PodPatch::default() });
            let version = format!(
                "Kubernetes 1.30 or later; before, the annotation container.apparmor.security.beta.kubernetes.io/CONTAINER: \
                 localhost/{CONTAINER}"
            );
            let mut remedies = vec![
                under(pod(Profile::Localhost(CONTAINER.to_owned())))
                    .requires(version)
                    .requires("the profile on every node that runs the pod, loaded at boot, too"),
            ];
            remedies.extend(unconfined(pod(Profile::Unconfined)).map(|remedy| {
                remedy.requires("Pod Security Standards: privileged; baseline and restricted forbid it")
            }));
            remedies
        }
        Setting::Container(engine) => {
            let option = |name: &str| options(engine, &[&format!("--security-opt=apparmor={name}")], &[]);
            let mut remedies =
                vec![under(option(CONTAINER)).requires("root on the machine that runs the container")];
            remedies.extend(unconfined(option("unconfined")));
            remedies
        }
        Setting::OtherContainer => {
            let text = format!(
                "Start the container with `--security-opt=apparmor={CONTAINER}` (nerdctl), `--apparmor-profile={CONTAINER}` \
                 (ctr), or `process.apparmorProfile` in an OCI configuration."
            );
            vec![under(Action::Manual(text)).requires("root on the machine that runs the container")]
        }
        Setting::Lxc => vec![
            manual(
                "Allow nesting in the container's configuration",
                "# Incus:\nincus config set CONTAINER security.nesting=true && incus restart CONTAINER\n\
                 # LXD:\nlxc config set CONTAINER security.nesting=true && lxc restart CONTAINER\n\
                 # Proxmox:\npct set ID --features nesting=1 && pct reboot ID\n\
                 # LXC: copy /etc/apparmor.d/lxc/lxc-default-with-nesting under another name, add these rules, load it, and \
                 name it in lxc.apparmor.profile of the container's configuration:\n  \
                 pivot_root oldroot=/tmp/oldroot/ /tmp/,\n  pivot_root /newroot/,",
                "the container may mount inside namespaces of its own; in an unprivileged container its root still is nobody \
                 outside",
            )
            .requires("root on the machine that runs the container"),
        ],
        Setting::Unit => vec![under(unit_of(case, &[("AppArmorProfile", CONTAINER)]))],
        Setting::Nspawn | Setting::Machine => {
            let label = case.host.security.apparmor().filter(|name| *name != "unconfined");
            let name = label.unwrap_or("NAME");
            let rules = rules(mediates_user_namespaces(case));
            let mut remedies = vec![with_parser(
                manual(
                    &format!("Permit in the AppArmor profile {name} what bwrap does"),
                    &format!(
                        "# find its file: grep -rl {} {DIRECTORY}\n# add these rules to it (or to its file below \
                         {DIRECTORY}/local, if it includes one), and then load it again with apparmor_parser -r FILE:\n{}",
                        super::instructions::word(name),
                        rules
                    ),
                    "whatever runs under this profile may mount inside namespaces of its own",
                ),
                case,
            )];
            if mediates_user_namespaces(case) {
                remedies.extend(beside(case));
            }
            remedies
        }
    }
}

/// A profile of bwrap's own beside the one that confines us, for a profile that lets it change to that.
pub(in super::super) fn beside(case: &Case<'_>) -> Vec<Remedy> {
    let own = permit_bwrap(case).into_iter().filter(|remedy| matches!(remedy.action, Action::AppArmor(_)));
    let profile = case.host.security.apparmor().unwrap_or("NAME");
    let change = format!(
        "the profile {profile} lets programs change to a profile of their own (pix or Px in a rule for files)"
    );
    own.map(|remedy| remedy.requires(change.clone())).collect()
}

/// A profile on the machine that lets this bwrap, by its path, make user namespaces that work.
pub(in super::super) fn permit_bwrap(case: &Case<'_>) -> Vec<Remedy> {
    let setting = Setting::of(case);
    let mut remedies = Vec::new();
    if setting.is_container() {
        // the restriction is on unconfined programs: another profile than none lifts it for this container alone
        remedies.extend(confine_container(case).into_iter().filter(|remedy| !remedy.files.is_empty()));
    }
    let bwrap = case.host.bwrap.present().map_or(Path::new(BWRAP), |bwrap| bwrap.path.as_path());
    let profile = bwrap_profile(bwrap);
    remedies.push(
        Remedy::new(
            format!("Permit user namespaces to {} on {}", bwrap.display(), setting.machine()),
            Action::AppArmor(profile),
            "any user can have any program run in a user namespace, through bwrap",
        )
        .requires("AppArmor 4.0 or later, which every system with this restriction has"),
    );
    if bwrap == Path::new(BWRAP) && case.host.distribution.present().is_some_and(|it| it.id == "ubuntu") {
        let lines = [
            "apt-get install -y apparmor-profiles",
            "ln -sf /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/",
            "apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict",
        ];
        remedies.push(
            commands(
                "Load Ubuntu's own profile for bwrap",
                &lines,
                "bwrap may make user namespaces, and takes their rights from what it starts; some programs that make \
                 namespaces themselves do not work inside",
            )
            .requires("Ubuntu 24.04; from 25.04 on it is loaded already"),
        );
    }
    if case.on(Platform::GitHubActions) && !setting.is_container() {
        for remedy in &mut remedies {
            remedy.requires.push("root: in a job, give these commands to `sudo bash`".to_owned());
        }
    }
    let everyone =
        "every program of every user may make user namespaces again, which reaches more of the kernel";
    remedies.extend(sysctl(case, RESTRICTION, "0", everyone));
    remedies
}

const BWRAP: &str = "/usr/bin/bwrap";

/// Names for a profile the parser that can read it.
fn with_parser(remedy: Remedy, case: &Case<'_>) -> Remedy {
    remedy.requires(if mediates_user_namespaces(case) {
        "AppArmor 4.0 or later there (apparmor_parser --version); for 3.x name abi/3.0 and delete the lines `userns,` and \
         `mqueue,`"
    } else {
        "AppArmor 3.0 or later there (apparmor_parser --version)"
    })
}

/// Whether the kernel asks AppArmor about user namespaces: since 6.7, and Ubuntu's before that.
fn mediates_user_namespaces(case: &Case<'_>) -> bool {
    let release = case.host.kernel.release.present().map(String::as_str).unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok);
    let version = (next(), next());
    case.host.sysctl(RESTRICTION).present().is_some() || version >= (Some(6), Some(7))
}

/// The rules for what bwrap needs beyond files, one a line.
fn rules(userns: bool) -> String {
    let new: &[&str] = if userns { &["userns", "mqueue"] } else { &[] };
    let rules = ["capability", "network", "unix", "mount", "remount", "umount", "pivot_root"];
    format!("  {},", [new, &rules].concat().join(",\n  "))
}

fn container_profile(userns: bool) -> AppArmorProfile {
    let abi = if userns { "4.0" } else { "3.0" };
    let rules = rules(userns);
    let text = format!(
        "# A container in which bwrap works: it may make namespaces and mount in them.
# What is dangerous below /proc and /sys stays closed.
abi <abi/{abi}>,

include <tunables/global>

profile {CONTAINER} flags=(attach_disconnected,mediate_deleted) {{
  include <abstractions/base>

  file,
{rules}

  signal (receive),
  signal (send) peer={CONTAINER},
  ptrace (read, trace, readby, tracedby) peer={CONTAINER},

  # the kernel's settings; user/ counts for the container's own user namespace only
  deny @{{PROC}}/sys/[^u]** wklx,
  deny @{{PROC}}/* w,
  deny @{{PROC}}/{{acpi,asound,bus,driver,fs,irq,scsi,tty}}/** wklx,

  # what tells about the machine, or resets it
  deny @{{PROC}}/{{kcore,keys,latency_stats,sched_debug,sysrq-trigger,timer_list,timer_stats}} rwklx,

  # devices and the kernel's own objects, but not control groups
  deny /sys/{{block,bus,class,dev,devices,firmware,hypervisor,kernel,module,power}}/** wklx,
  deny /sys/fs/[^c]** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/kernel/security/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
}}
"
    );
    AppArmorProfile {
        name: CONTAINER.to_owned(),
        program: None,
        path: Path::new(DIRECTORY).join(CONTAINER),
        text,
    }
}

/// A profile that confines nothing: to be named in the kernel's eyes is all that bwrap needs.
fn bwrap_profile(bwrap: &Path) -> AppArmorProfile {
    let path = bwrap.to_string_lossy();
    let name = if path == BWRAP {
        "bwrap".to_owned()
    } else {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        path.trim_matches('/').replace('/', ".").chars().map(safe).collect()
    };
    let mut attachment = String::new();
    for c in path.chars() {
        if "*?[]{}^\"\\,".contains(c) {
            attachment.push('\\');
        }
        attachment.push(c);
    }
    let text = format!(
        "# Lets bwrap make user namespaces in which it has rights; it denies nothing.
abi <abi/4.0>,

include <tunables/global>

profile {name} \"{attachment}\" flags=(unconfined) {{
  userns,

  include if exists <local/{name}>
}}
"
    );
    AppArmorProfile { path: Path::new(DIRECTORY).join(&name), program: Some(bwrap.to_owned()), name, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::{docker, machine, pod};
    use crate::host::{Distribution, Fact, Host, Program, Sighting};

    fn confine(host: &Host) -> Vec<Remedy> {
        confine_container(&Case::new(None, host, None))
    }

    fn permit(host: &Host) -> Vec<Remedy> {
        permit_bwrap(&Case::new(None, host, None))
    }

    fn ubuntu(mut host: Host) -> Host {
        host.sysctls.insert(RESTRICTION.into(), Fact::Present("1".into()));
        host.distribution = Fact::Present(Distribution { id: "ubuntu".into(), version: "24.04".into() });
        host
    }

    #[test]
    fn a_container_gets_a_profile_of_its_own() {
        let found = confine(&docker());
        let text = found[0].instructions();
        assert!(
            text.starts_with("mkdir -p /etc/apparmor.d\ncat > /etc/apparmor.d/bwrap-nested <<'EOF'\n"),
            "{text}"
        );
        assert!(text.ends_with(
            "apparmor_parser -r /etc/apparmor.d/bwrap-nested\n\
             docker run --security-opt=apparmor=bwrap-nested IMAGE\n"
        ));
        assert!(found[1].instructions().contains("apparmor=unconfined"));
        let pod = confine(&pod())[0].instructions();
        assert!(pod.contains("type: Localhost") && pod.contains("localhostProfile: \"bwrap-nested\""));
        assert!(pod.starts_with("# on every node"));
    }

    #[test]
    fn no_profile_is_no_way_out_of_the_restriction() {
        let found = confine(&ubuntu(docker()));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn user_namespaces_are_permitted_where_they_are_asked_about() {
        let mut host = docker();
        assert!(confine(&host)[0].instructions().contains("abi <abi/4.0>,"));
        assert!(confine(&host)[0].instructions().contains("  userns,\n"));
        host.kernel.release = Fact::Present("6.1.0-25-amd64".into());
        let old = confine(&host)[0].instructions();
        assert!(
            old.contains("abi <abi/3.0>,") && !old.contains("userns,\n") && old.contains("  pivot_root,\n")
        );
        assert!(confine(&ubuntu(host))[0].instructions().contains("  userns,\n"));
        let mut unknown = docker();
        unknown.kernel.release = Fact::Unknown;
        assert!(confine(&unknown)[0].instructions().contains("abi <abi/3.0>,"));
    }

    #[test]
    fn machines_and_units_change_what_confines_them() {
        let mut host = machine();
        host.security.apparmor_label = Fact::Present("my-service (enforce)".into());
        let text = confine(&host)[0].instructions();
        assert!(text.contains("grep -rl my-service") && text.contains("  mount,\n"));
        host.platforms = vec![Sighting::new(Platform::SystemdUnit, "test")];
        assert!(confine(&host)[0].instructions().contains("AppArmorProfile=bwrap-nested"));
        host.platforms = vec![Sighting::new(Platform::Lxc, "test")];
        assert!(confine(&host)[0].instructions().contains("pivot_root oldroot=/tmp/oldroot/ /tmp/,"));
    }

    #[test]
    fn the_machines_bwrap_is_permitted_by_its_path() {
        let found = permit(&ubuntu(machine()));
        let Action::AppArmor(profile) = &found[0].action else { panic!() };
        assert_eq!(
            (profile.name.as_str(), profile.path.as_path()),
            ("bwrap", Path::new("/etc/apparmor.d/bwrap"))
        );
        assert!(profile.text.contains("profile bwrap \"/usr/bin/bwrap\" flags=(unconfined) {\n  userns,\n"));
        assert!(found[1].instructions().contains("bwrap-userns-restrict"));
        let last = found.last().unwrap().instructions();
        assert!(last.contains("sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"), "{last}");
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn another_bwrap_gets_another_profile() {
        let mut host = ubuntu(machine());
        host.bwrap = Fact::Present(Program::new("/opt/my tools{1}/bwrap", "0.11.0"));
        let found = permit(&host);
        let Action::AppArmor(profile) = &found[0].action else { panic!() };
        assert_eq!(profile.name, "opt.my-tools-1-.bwrap");
        assert!(profile.text.contains(r#""/opt/my tools\{1\}/bwrap""#), "{}", profile.text);
        assert!(!found[1].instructions().contains("bwrap-userns-restrict"));
    }

    #[test]
    fn containers_are_confined_before_the_machine_is_opened() {
        for host in [ubuntu(docker()), ubuntu(pod())] {
            let found = permit(&host);
            assert!(found[0].instructions().contains("bwrap-nested"), "{found:?}");
            assert!(matches!(found[1].action, Action::AppArmor(_)));
            assert!(found[1].summary.contains("the machine that") || found[1].summary.contains("every node"));
        }
    }

    #[test]
    fn jobs_of_github_use_sudo() {
        let mut host = ubuntu(machine());
        host.platforms = vec![Sighting::new(Platform::GitHubActions, "test")];
        let found = permit(&host);
        assert!(found.last().unwrap().instructions().starts_with("sudo sysctl -w "));
        assert!(found[0].requires.iter().any(|text| text.contains("sudo")));
    }
}
