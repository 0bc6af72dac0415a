use super::super::{Cause, Symptom, diagnose};
use super::*;

mod answers;
mod servers;
mod systems;

fn told(text: &str) -> Told {
    *Told::read(text.as_bytes()).unwrap_or_default()
}

fn on(text: &str) -> Vec<Platform> {
    let platforms = told(text).host.platforms;
    platforms.present().into_iter().flatten().map(|sighting| sighting.platform).collect()
}

#[test]
fn launchers_platforms_and_machines() {
    for (text, launcher) in [
        ("$ flatpak run org.x.Y", Launcher::Flatpak),
        ("pressure-vessel-wrap[1]: E: bwrap: x", Launcher::Steam),
        ("# command ~/.opam/opam-init/hooks/sandbox.sh build", Launcher::Opam),
        // one is started by the other
        ("$ flatpak run com.valvesoftware.Steam\nsteam.sh[3]: Error", Launcher::Steam),
        ("Claude Code v2.1", Launcher::ClaudeCode),
        ("codex-cli 0.100.0", Launcher::Codex),
    ] {
        assert_eq!(told(text).launcher, Some(launcher), "{text}");
    }
    assert!(told("$ flatpak run org.x.Y").host.platforms.is_absent());
    assert!(told("codex-cli 0.100.0").host.platforms.is_unknown());
    assert_eq!(on("$ docker run --rm x\n$ flatpak run org.x.Y"), [Platform::Docker]);
    assert_eq!(on("Linux penguin 5.4.40 #1 SMP"), [Platform::Crostini]);
    for text in [
        "Defaulted container \"test\" out of: test, istio-proxy",
        "command terminated with exit code 1",
        "ci 12s Warning Unhealthy pod/executor-0 Readiness probe failed: bwrap: x",
        "2m Warning BackOff pod/x Back-off restarting failed container x in pod x_ci(1)",
        "$ k exec -it executor-0 -- bwrap true",
        "root@executor-7c9d8f6b5-x2k4p:/# bwrap true",
        "time=\"2026-03-02T10:00:00.000Z\" level=info msg=\"capturing logs\" argo=true",
        "Runner name: 'arc-runner-set-x7k2p-runner-8zq4n'",
        "$ tkn pr logs r -f",
    ] {
        assert_eq!(on(text), [Platform::Kubernetes], "{text}");
    }
    assert_eq!(on("$ oc rsh dc/executor"), [Platform::OpenShift]);
    for text in [
        "$ docker exec -it executor bwrap true\ncommand failed with exit code 1",
        "$ docker run x\nroot@3f2a9c1b7d44:/# bwrap true",
        "$ docker run x # health probe failed, back-off",
    ] {
        assert_eq!(on(text), [Platform::Docker], "{text}");
    }
    for (text, platform) in [
        ("I run it inside a Podman container.", Platform::Podman),
        ("neither available to standard k8s containers", Platform::Kubernetes),
        ("29.6.1, default seccomp + docker-default", Platform::Docker),
        ("in an AI-enabled Codespace", Platform::Docker),
        ("On a stock Ubuntu 24.04 Docker host", Platform::Docker),
        ("I tried to build steam-snap", Platform::Snap),
        ("bubblewrap in nspawn", Platform::Nspawn),
    ] {
        assert_eq!(on(text), [platform], "{text}");
    }
    // what fails beside it, in the same container
    let failed = "systemd-nspawn: EPERM\n# docker run x\ndocker: Error response from daemon: runc create failed\nbwrap: x";
    assert_eq!(on(failed), [Platform::Nspawn]);
    let alone =
        "# docker run x\ndocker: Error response from daemon: no such profile\n# docker run y\nbwrap: x";
    assert_eq!(on(alone), [Platform::Docker]);
    assert_eq!(on("systemd-nspawn -D x\n# docker run x\nbwrap: x"), [Platform::Docker, Platform::Nspawn]);
    let again = "systemd-nspawn -D x\ndocker: Error response from daemon: runc create failed\n$ docker exec -it x bwrap true";
    assert_eq!(on(again), [Platform::Docker, Platform::Nspawn]);
    assert_eq!(on("Env (Kubernetes, EKS, containerd)"), [Platform::Kubernetes]);
    assert_eq!(on("Host (Proxmox, LXC, unprivileged)"), [Platform::Lxc]);
    assert_eq!(on("No idea how to fix that in docker, which is where I run it"), [Platform::Docker]);
    assert_eq!(on("not sure how to make it work in docker"), [Platform::Docker]);
    // a few words more say where it is
    assert_eq!(on("in a container (Proxmox LXC, unprivileged, Debian 12)"), [Platform::Lxc]);
    assert_eq!(on("it runs in kubernetes, and I'm not sure how to mend it"), [Platform::Kubernetes]);
    assert_eq!(on("kernel: 4.4.0-22621-Microsoft"), [Platform::Wsl1]);
    assert_eq!(on("ProtectKernelTunables=true"), [Platform::SystemdUnit]);
    for nothing in [
        "",
        "npm ERR! code ELIFECYCLE",
        // bwrap's own words tell of paths
        "bwrap: Can't find source path /snap/chroot/lxc: No such file or directory",
        "/var/lib/lxcfs and cap_sys_chroot, not in docker",
        "not sure how that is working in kubernetes :)",
        "no idea if it works with lxd",
        "nested containers won't work (docker, lxd, systemd-nspawn, bubblewrap, unshare)",
    ] {
        assert_eq!(told(nothing), Told::default(), "{nothing}");
    }
    for beside in [
        "   docker-default",
        "apparmor=\"DENIED\" operation=\"signal\" profile=\"docker-default\" pid=77",
        "There's a codespace for contributors.",
        "codespace not used, all is local",
        "We have podman containers for postgres.",
        "Package: fedora-toolbox-39",
        "we deploy to k8s pods via ArgoCD",
        "My nspawn container is unaffected",
        "Docker Host: ssh://box",
        "I removed steam-snap",
        "See https://github.com/canonical/steam-snap/issues/99",
        "Passes on the GitHub runner",
    ] {
        assert!(told(beside).host.platforms.present().is_none(), "{beside}");
    }
}

#[test]
fn daemons_directories_and_examples_are_no_places() {
    for beside in [
        "works in k8s, fails on my laptop",
        "see docs/k8s/README.md",
        "image: registry.k8s.io/pause",
        // what starts containers on a machine
        "$ sudo systemctl start lxd",
        "\u{25cf} lxd.service - LXD Container Hypervisor loaded active running",
        "Ubuntu 24.04 server running lxd and docker",
        "lxd 5.21 29351 5.21/stable canonical",
        "$ sudo systemctl start incus",
        "I use it with lxd",
        // examples and lists
        "restricted environments such as LXC, OpenVZ or gVisor",
        "hosts such as WSL1 or Android",
        "for example in gVisor or Docker",
        "Affected: Docker, Podman, Kubernetes, LXC",
        "(Docker, LXC, Kubernetes etc.)",
        "common on ChromeOS, Crostini and Proxmox LXC",
    ] {
        assert!(told(beside).host.platforms.present().is_none(), "{beside}");
    }
    for (text, platform) in [
        ("Running in our k8s cluster", Platform::Kubernetes),
        ("Environment: k8s (containerd)", Platform::Kubernetes),
        ("k8s version 1.29", Platform::Kubernetes),
        ("$ lxc exec u1 bash", Platform::Lxc),
        ("I run it in LXD on Ubuntu", Platform::Lxc),
        ("We are running LXD containers on an Ubuntu host", Platform::Lxc),
        ("an environment such as my LXC container on Proxmox", Platform::Lxc),
    ] {
        assert_eq!(on(text), [platform], "{text}");
    }
}

#[test]
fn kernels_and_their_parameters() {
    let release = |text: &str| told(text).host.kernel.release.present().cloned();
    assert_eq!(release("Linux host 6.8.0-45-generic #45-Ubuntu SMP").as_deref(), Some("6.8.0-45-generic"));
    assert_eq!(release("Arch, 5.1.16.a-1-hardened.").as_deref(), Some("5.1.16.a-1-hardened"));
    assert_eq!(release("Kernel: 6.6.30").as_deref(), Some("6.6.30"));
    assert_eq!(release("With kernel-3.10.0-693.el7.x86_64").as_deref(), Some("3.10.0-693.el7.x86_64"));
    for other in ["bubblewrap 0.4.1-1", "glibc 2.39-6", "python 3.12.3", "node v22.1.0-linux"] {
        assert_eq!(release(other), None, "{other}");
    }
    let value = |text: &str| {
        let host = told(text).host;
        host.sysctls.get("user.max_user_namespaces").and_then(|fact| fact.present().cloned())
    };
    for text in [
        "user.max_user_namespaces = 0",
        "> user.max_user_namespaces=0",
        "I have user.max_user_namespaces = 0 there",
        "$ cat /proc/sys/user/max_user_namespaces\n0",
    ] {
        assert_eq!(value(text).as_deref(), Some("0"), "{text}");
    }
    // what somebody is told to do is not how it is
    for text in [
        "sudo sysctl -w user.max_user_namespaces=0",
        "$ sudo sysctl -w user.max_user_namespaces=0\nuser.max_user_namespaces = 0",
        "try user.max_user_namespaces=0 then",
        "#user.max_user_namespaces=0",
        "echo 'user.max_user_namespaces = 0' | sudo tee /etc/sysctl.d/20.conf",
        "The hardening guide says: user.max_user_namespaces = 0",
        // before and after
        "user.max_user_namespaces = 0\nuser.max_user_namespaces = 1",
    ] {
        assert_eq!(value(text), None, "{text}");
    }
}

/// Where several are spoken of, nobody knows which of them it was.
#[test]
fn what_is_spoken_of_is_not_told() {
    let host = |text: &str| Told::read(text.as_bytes()).map(|told| told.host).unwrap_or_default();
    let modules = |text: &str| {
        let security = host(text).security;
        (security.selinux_filesystem.is_unknown(), security.apparmor_enabled.is_unknown())
    };
    assert_eq!(modules("Ubuntu 24.04"), (false, true));
    for text in [
        "Fedora 40 works, Ubuntu 24.04 fails",
        "Remotes: fedora, flathub\nOS: Ubuntu 24.04",
        "Linux a 6.8.5-301.fc40.x86_64\nLinux b 6.8.0-45-generic",
    ] {
        assert_eq!(modules(text), (true, true), "{text}");
    }
    let is = |text: &str, platform: Platform| host(text).sighting(platform).is_some();
    assert!(
        is("bwrap no longer works in docker", Platform::Docker)
            && is("it does not start in docker", Platform::Docker)
    );
    assert!(is("Using Docker executor with image debian", Platform::Docker));
    assert!(is("runs-on: ubuntu-latest\n    container:\n      image: debian:12", Platform::Docker));
    for (text, platform) in [
        ("I am not running in docker, plain Debian", Platform::Docker),
        ("It works fine in docker, but on my host:", Platform::Docker),
        ("- [ ] Docker run", Platform::Docker),
        ("Are you running in Docker? No", Platform::Docker),
        ("(i.e. chroot, a jail)", Platform::Chroot),
        ("PATH=/usr/bin:/snap/bin", Platform::Snap),
        ("We support WSL 2; WSL 1 lacks namespaces.", Platform::Wsl1),
        ("ProtectKernelTunables=no", Platform::SystemdUnit),
        ("I removed RestrictNamespaces=yes from it", Platform::SystemdUnit),
        ("# RestrictNamespaces=yes", Platform::SystemdUnit),
        ("RestrictNamespaces=user mnt pid", Platform::SystemdUnit),
        ("SystemCallFilter=@system-service @mount", Platform::SystemdUnit),
        ("SystemCallFilter=mount", Platform::SystemdUnit),
        ("\u{2717} RestrictNamespaces=~user  Service may create user namespaces", Platform::SystemdUnit),
    ] {
        assert!(!is(text, platform), "{text}");
    }
    for setting in
        ["RestrictNamespaces=~user", "RestrictNamespaces=user mnt", "SystemCallFilter=@system-service"]
    {
        assert!(is(setting, Platform::SystemdUnit), "{setting}");
    }
}

#[test]
fn what_is_known_is_not_told() {
    let text = b"kernel.unprivileged_userns_clone = 0\nbwrap: No permissions to create a new namespace";
    let symptom = Symptom::from_text(text);
    let of = |host: &Host| {
        let found = diagnose(&symptom, host, None).causes.into_iter();
        found
            .filter(|found| found.cause == Cause::UserNamespacesSwitchedOff)
            .flat_map(|found| found.evidence)
            .next()
    };
    let told = of(&Host::default()).map(|evidence| evidence.text).unwrap_or_default();
    assert!(told.starts_with("the text tells it: kernel.unprivileged_userns_clone is 0"), "{told}");
    let mut host = Host::default();
    let name = "kernel.unprivileged_userns_clone";
    host.sysctls.insert(name.into(), Fact::Present("0".into()));
    let seen = of(&host).map(|evidence| evidence.text).unwrap_or_default();
    assert!(seen.starts_with("kernel.unprivileged_userns_clone is 0"), "{seen}");
    host.sysctls.insert(name.into(), Fact::Present("1".into()));
    assert_eq!(of(&host), None);
}

/// Who says that it is none has said where it is; who says so of one of them only has not.
#[test]
fn a_machine_is_told_by_what_it_is_not() {
    let machine = |text: &str| told(text).host.platforms.is_absent();
    for text in [
        "This is not a container, it is bare metal Debian 10.",
        "No docker, no podman, no kubernetes involved, just my laptop.",
        "Je ne suis pas dans un conteneur (pas de docker).",
        "Kein Docker, keine VM, nur ein Debian 10 auf Blech.",
        "I run it without any container.",
        "Qubes OS 4.2, an AppVM",
    ] {
        assert!(machine(text), "{text}");
    }
    for text in [
        "No docker here, but a podman container.",
        "We don't use Kubernetes any more",
        "On bare metal it works, in our image it does not",
        "It works outside of Docker. Inside it prints:",
        "This does not happen outside of the container:",
        "I can not reproduce it outside docker.",
        "without docker everything works",
        "No problem on my laptop, but on the CI runner:",
        "I ssh from my laptop to the build server, there:",
        "Runs fine on bare metal, not in the cluster:",
        "bare metal k3s",
        "Es geht nicht in Docker:",
        "It works in docker, and not here",
        "This is no chroot.",
        "see https://github.com/containers/bubblewrap",
    ] {
        assert!(!machine(text), "{text}");
    }
    assert_eq!(on("No docker on my laptop\nbut: $ podman run x"), [Platform::Podman]);
}

#[test]
fn what_a_text_denies_is_not_where_it_ran() {
    for text in [
        "This does not happen in a chroot, and not in Docker.",
        "I don't see this in docker",
        "In docker it works",
        "We don't use Kubernetes any more",
        "\"chroot /work/postinst final\" returned non-zero exit code 1.",
        "We migrated from Kubernetes last year",
        "$ kubectl get pods\n$ flatpak run org.gimp.GIMP",
    ] {
        assert_eq!(on(text), [], "{text}");
    }
    for (text, platform) in [
        ("It does not work in docker", Platform::Docker),
        ("Es geht nicht in Docker:", Platform::Docker),
        ("codex doesn't work in docker anymore", Platform::Docker),
        ("I moved away from docker to podman run", Platform::Podman),
        ("Why does it not fail loudly in docker?", Platform::Docker),
        ("In docker it works only as root", Platform::Docker),
        ("I am not using podman, this is in docker", Platform::Docker),
        ("$ kubectl exec p -- flatpak run x", Platform::Kubernetes),
        ("$ kubectl get pods", Platform::Kubernetes),
        ("Changing root with nested chroot command", Platform::Chroot),
        ("inside of chroot using an unprivileged user", Platform::Chroot),
        ("powered by rootless Podman Engine", Platform::Podman),
        ("I am on ChromeOS 96.0", Platform::Crostini),
        ("Active: failed; RestrictNamespaces=true is set in the unit", Platform::SystemdUnit),
        ("RestrictNamespaces = true;", Platform::SystemdUnit),
        ("### RestrictNamespaces=true", Platform::SystemdUnit),
    ] {
        assert_eq!(on(text), [platform], "{text}");
    }
    for text in [
        "I removed RestrictNamespaces=true, it is set in the unit no more",
        "if RestrictNamespaces=true is set in the unit, it fails",
        "# RestrictNamespaces=true",
        "RestrictNamespaces = false;",
        "RestrictNamespaces = lib.mkForce false;",
        "after an hour I removed RestrictNamespaces=true, bwrap errors no more",
        "`ProtectKernelTunables` binds nothing of yours",
        "if `ProtectKernelTunables` covers /proc/sys, remove it",
        // of others' units, or of none
        "Under Debian 10, not systemd. A colleague's unit has RestrictNamespaces=true set.",
        "## RestrictNamespaces=true is a good idea?",
        "//serviceConfig.RestrictNamespaces = true;",
        "Our linter breaks on RestrictNamespaces=true in unit files, unrelated.",
        "running with RestrictNamespaces=true works, without bwrap.",
        "Other services under RestrictNamespaces=true are fine. I start mine from a shell:",
        "ProtectKernelTunables, when on, makes /proc/sys read-only. It is off in my unit.",
        "We suspected that ProtectKernelTunables masks /proc but the unit has it off",
        "systemd's ProtectKernelTunables masks /proc entries.",
    ] {
        assert_eq!(on(text), [], "{text}");
    }
}

#[test]
fn launchers_in_passing_are_none() {
    for text in
        ["I also have flatpak.", "flatpak is installed", "a file like flatpak", "--file 7 /.flatpak-info"]
    {
        assert_eq!(told(text).launcher, None, "{text}");
    }
    for text in ["I use flatpak 1.12", "$ flatpak run x", "we have it with flatpak"] {
        assert_eq!(told(text).launcher, Some(Launcher::Flatpak), "{text}");
    }
}

/// A long log may be between what people say and what they add.
#[test]
fn what_stands_at_the_end_is_read() {
    let log =
        |lines: usize| (0..lines).fold(String::new(), |log, line| log + &"x".repeat(line % 97) + " ok\n");
    let text = format!("{}Docker executor\n", log(9_000));
    assert_eq!(on(&text), [Platform::Docker]);
    let around = format!("{}$ docker run x\nbwrap: x: y\n{}", log(5_000), log(5_000));
    assert_eq!(on(&around), [Platform::Docker]);
}

#[test]
fn roots_systems_and_files_are_shown() {
    for text in
        ["/ rootfs private rw", "/      rootfs rootfs rw,size=8102252k", "rootfs on / type rootfs (rw)"]
    {
        assert!(told(text).rootfs, "{text}");
    }
    assert!(!told("/ /dev/sda1 ext4 rw").rootfs && !told("the rootfs is /").rootfs);
    for text in ["a dedede on shimboot", "Errors in ChromeOS dev mode"] {
        assert!(told(text).chromium_os.is_some() && told(text).host.platforms.is_unknown(), "{text}");
    }
    assert!(told("Ubuntu in crouton").chromium_os.is_some());
    assert_eq!(on("Ubuntu in crouton"), [Platform::Chroot]);
    let listed = told("-rwxr-xr-x 1 root root 224 Feb 1 23:05 /usr/lib/x/helper").files;
    assert!(listed.contains(std::path::Path::new("/usr/lib/x/helper")));
    assert!(told("-rw-r--r-- 1 root root 224 Feb 1 23:05 /etc/x").files.is_empty());
}

/// Options and fields say what was asked for: that is no look at what there is, and no reason to know of no cause at all.
#[test]
fn what_was_asked_for_is_not_what_was_seen() {
    let found = |text: &str| diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None);
    let pivot = "bwrap: pivot_root: Operation not permitted";
    let shown = found(&format!("securityContext:\n  privileged: true\n{pivot}"));
    assert_eq!(shown.cause(), Some(Cause::SeccompDeniesPivotRoot));
    assert!(!shown.to_string().contains("(Seccomp: 0"), "{shown}");
    // where somebody looked, no filter can be it
    let looked = found(&format!("$ docker run --privileged x\nSeccomp:\t0\n{pivot}"));
    assert_eq!(looked.cause(), Some(Cause::Unexplained));
    let said = "bwrap: No permissions to create a new namespace";
    let shown = found(&format!("$ docker run --privileged x\n{said}"));
    assert!(!shown.to_string().contains("unconfined (/proc/self/attr/current)"), "{shown}");
    // what was done by hand refutes what forbids it to everybody
    let by_hand = found(&format!("`unshare -U true` works\n$ docker run x\n{said}"));
    assert!(by_hand.causes.iter().all(|it| it.confidence < crate::diagnosis::Confidence::High), "{by_hand}");
    assert!(!by_hand.causes.iter().any(|it| it.cause == Cause::UserNamespacesSwitchedOff), "{by_hand}");
    assert!(by_hand.to_string().contains("can be made there by hand"), "{by_hand}");
}

/// Services that start containers for others are named in passing as often as not.
#[test]
fn services_are_places_where_something_fails() {
    let message = "bwrap: Can't mount proc on /newroot/proc: Operation not permitted";
    for (text, platform) in [
        ("It fails on CircleCI", Platform::CircleCi),
        ("In our ECS task:", Platform::Ecs),
        ("in a Bitbucket pipeline:", Platform::Bitbucket),
        ("It fails in AWS CodeBuild", Platform::CodeBuild),
        ("on Heroku:", Platform::Heroku),
    ] {
        assert_eq!(on(&format!("{text}\n{message}")), [platform], "{text}");
    }
    for text in [
        "CircleCI build passes, it fails on my laptop",
        "on CircleCI machine executor",
        "u@dyno:~$ bwrap --proc /proc true",
        "README.md bitbucket-pipelines.yml src",
        "We deploy on heroku but the failure is on my Arch laptop",
        "[![circle ci](https://img.shields.io/circleci/build/github/a/b)](x)",
    ] {
        assert_eq!(on(&format!("{text}\n{message}")), [] as [Platform; 0], "{text}");
    }
    let typed =
        format!("on CircleCI:\n$ docker run -it cimg/base:2024.01 bwrap --proc /proc true\n{message}");
    assert_eq!(on(&typed), [Platform::Docker]);
}
