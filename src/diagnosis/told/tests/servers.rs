//! What was given to a container, and where it is, in the words in which people report from servers, CI and clusters.

use super::super::super::{Symptom, diagnose_pasted};
use super::super::Platform;
use super::on;
use crate::host::Host;

const NO_PERMISSIONS: &str = "bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged \
                              user namespaces.";
const PROC: &str = "bwrap: Can't mount proc on /newroot/proc: Operation not permitted";
const SLAVE: &str = "bwrap: Failed to make / slave: Permission denied";
const UID_MAP: &str = "bwrap: setting up uid map: Permission denied";
const LOOPBACK: &str = "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted";
const NO_KERNEL: &str = "bwrap: Creating new namespace failed, likely because the kernel does not support user namespaces.  \
                         bwrap must be installed setuid on such systems.";

/// What stands before the message and after it, the cause and words of the first remedy.
fn holds(said: &str, rows: &[(&str, &str, &str, &str)]) {
    let mut wrong = String::new();
    for (before, after, code, helps) in rows {
        let text = format!("{before}\n{said}\n{after}\n");
        let diagnosis = diagnose_pasted(&Symptom::from_text(text.as_bytes()), &Host::default(), None);
        let first = diagnosis.causes.first().map_or("", |found| found.cause.code());
        let remedy =
            diagnosis.remedy().map(|remedy| format!("{}\n{}", remedy.summary, remedy.instructions()));
        if first != *code || !remedy.is_some_and(|remedy| remedy.contains(helps)) {
            wrong.extend([text.as_str(), code, ", ", helps, "\n", &diagnosis.brief(), "\n"]);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_was_given_is_not_asked_for_again() {
    let machine = "on the machine that runs the container";
    holds(
        NO_PERMISSIONS,
        &[
            (
                "On Debian 10 I start it with docker run --privileged -u 1000 img bwrap --ro-bind / / true and get",
                "",
                "NS02",
                machine,
            ),
            (
                "Debian 10 host: docker run --privileged -u 1000 img bwrap --ro-bind / / true",
                "",
                "NS02",
                machine,
            ),
            ("We already run the Docker container with seccomp=unconfined, still:", "", "NS02", machine),
            (
                "devcontainer.json:\n  \"runArgs\": [\"--security-opt\", \"seccomp=unconfined\"],",
                "",
                "NS02",
                machine,
            ),
            ("services:\n  agent:\n    privileged: true\n    user: \"1000\"", "", "NS02", machine),
            ("docker exec agent grep Seccomp /proc/1/status\nSeccomp:\t0", "", "NS02", machine),
            (
                "{\"spec\":{\"containers\":[{\"securityContext\":{\"seccompProfile\":{\"type\":\"Unconfined\"}}}]}}",
                "",
                "NS02",
                "every node",
            ),
            (
                "",
                "\n$ sudo docker run --rm --security-opt seccomp=unconfined -u 1000 img bwrap --ro-bind / / true",
                "NS02",
                machine,
            ),
            ("Our Kubernetes pod has seccompProfile type Unconfined, but", "", "NS02", "every node"),
            (
                "chroot /srv in docker run --security-opt seccomp=unconfined x",
                "",
                "NS03",
                "instead of chroot",
            ),
            // what is advised, thought of, or helps
            (
                "In Docker:",
                "Runs fine like this: docker run --security-opt seccomp=unconfined img",
                "NS01",
                "filter",
            ),
            ("In Docker:", "The only way around this for me:\ndocker run --privileged img", "NS01", "filter"),
            (
                "In Docker:",
                "For comparison, OK:\n$ docker run --rm --security-opt seccomp=unconfined img bwrap --ro-bind / / echo hi",
                "NS01",
                "filter",
            ),
            (
                "In Docker:",
                "The CI container has --privileged, the dev container has not; CI is green.",
                "NS01",
                "filter",
            ),
            ("docker run x", "It works with --privileged.", "NS01", "filter"),
            ("docker run x", "\nWorkaround:\n```\ndocker run --privileged x\n```", "NS01", "filter"),
            (
                "In our docker container:",
                "\nWith this it starts:\ndocker run --security-opt seccomp=unconfined x",
                "NS01",
                "filter",
            ),
            (
                "In our docker container:",
                "\nWe don't want to use --privileged or seccomp=unconfined.",
                "NS01",
                "filter",
            ),
            (
                "In our docker container:",
                "\nI saw people run docker run --privileged, is that safe?",
                "NS01",
                "filter",
            ),
            (
                "In our docker container, which the docs start with docker run --privileged:",
                "",
                "NS01",
                "filter",
            ),
            ("I run it in docker compose. Adding privileged: true makes it go away.", "", "NS01", "filter"),
            (
                "In a docker container:",
                "Proposed fix: set `security_opt: [seccomp=unconfined]`",
                "NS01",
                "filter",
            ),
            ("docker run x", "\nAfter I start it with docker run --privileged it is gone", "NS01", "filter"),
            ("$ docker run --privileged x\n$ docker run y", "", "NS01", "filter"),
            ("> I use docker run --privileged\n\nI do not, plain docker run x:", "", "NS01", "filter"),
        ],
    );
    holds(
        PROC,
        &[
            (
                "I ran `docker run --security-opt systempaths=unconfined img bwrap --proc /proc true` and got",
                "",
                "PR02",
                "",
            ),
            ("I already set systempaths=unconfined in compose and still:", "docker compose up", "PR02", ""),
            ("Docker container with systempaths=unconfined works, without:", "", "PR01", "unmasked /proc"),
        ],
    );
    holds(
        SLAVE,
        &[
            (
                "Docker container with apparmor=unconfined and seccomp=unconfined already, Fedora host, still",
                "",
                "MT16",
                "",
            ),
            (
                "I've tried --privileged and apparmor=unconfined, no luck:\ndocker exec -it agent bwrap true",
                "",
                "MT16",
                "",
            ),
            ("docker exec -it agent bwrap true", "Would apparmor=unconfined help?", "MT01", ""),
        ],
    );
}

#[test]
fn fields_that_a_cluster_drops_are_not_the_remedy() {
    let both = "spec:\n  hostUsers: false\n  containers:\n  - name: a\n    securityContext:\n      procMount: Unmasked";
    let row = |head: &str| format!("{head}\n{both}");
    holds(
        PROC,
        &[
            (&row("EKS 1.31, containerd 1.7"), "", "K803", "ProcMountType"),
            (&row("GKE 1.31 (containerd 2.0)"), "", "K803", "ProcMountType"),
            (&row("k3s v1.29.4+k3s1"), "", "K803", "ProcMountType"),
            (&row("OpenShift 4.18"), "", "K803", "OpenShift 4.20"),
            (&row("OpenShift 4.19 / CRI-O 1.32"), "", "PR11", "CRI-O"),
            (&row("kubectl logs a"), "", "PR11", "CRI-O"),
            (
                "",
                "\nThe pod has hostUsers: false and procMount: Unmasked. Kubernetes 1.29, containerd 1.6.",
                "K803",
                "",
            ),
            (
                "pod with hostUsers: false and procMount: Unmasked\n         0          0 4294967295",
                "",
                "K803",
                "",
            ),
            (
                "Kubernetes pod",
                "\nShould we set procMount: Unmasked and hostUsers: false?",
                "PR01",
                "hostUsers",
            ),
            ("Kubernetes 1.29 pod", "\nThe docs recommend procMount: Unmasked", "PR01", "hostUsers"),
            ("Kubernetes 1.29 pod on containerd", "", "PR01", "hostUsers"),
        ],
    );
}

#[test]
fn the_same_in_another_form_tells_the_same() {
    let before = "agent started with:\ndocker run --privileged -u 1000 img \"bwrap\"";
    let quoted = |text: &str| format!("> {}", text.trim_end().replace('\n', "\n> "));
    let time = "2026-07-20T10:11:12.1234567Z ";
    let timed = |text: &str| format!("{time}{}", text.trim_end().replace('\n', &format!("\n{time}")));
    let json = |text: &str| {
        let body = text.replace('"', "\\\"").replace('\n', "\\n");
        format!("{{\"title\":\"x\",\"body\":\"{body}\"}}")
    };
    let text = format!("{before}\n{NO_PERMISSIONS}\n");
    let turned = format!("{NO_PERMISSIONS}\n\n{before}\n");
    let all: [String; 5] = [quoted(&text), timed(&text), json(&text), turned, text.replace('\n', "\n\n")];
    for text in all {
        let diagnosis = diagnose_pasted(&Symptom::from_text(text.as_bytes()), &Host::default(), None);
        let first = diagnosis.causes.first().map_or("", |found| found.cause.code());
        assert_eq!(first, "NS02", "{text}\n{diagnosis}");
    }
}

#[test]
fn what_confines_a_node_or_a_program_is_told() {
    holds(
        UID_MAP,
        &[
            (
                "Our agent runs in a Landlock domain (landlock_restrict_self). Inside it:",
                "",
                "UM04",
                "Landlock",
            ),
            ("", "gitmoot's own Landlock domain via internal/sandbox.Exec", "UM04", "Landlock"),
            ("", "Ubuntu 24.04. Codex logs: \"falling back to landlock sandbox\"", "UM02", ""),
            ("Ubuntu 24.04. I switched from the legacy Landlock sandbox to bubblewrap:", "", "UM02", ""),
            (
                "I set kernel.apparmor_restrict_unprivileged_userns=0 back to 1 and it still fails",
                "",
                "UM02",
                "",
            ),
            ("Nix: bottlerocket crate (Rust library) build on Ubuntu 24.04", "", "UM02", ""),
            (
                "Desktop PC, Ubuntu 24.04. Our product for EKS, GKE and AKS is developed here",
                "",
                "UM02",
                "this machine",
            ),
            (
                "I maintain k3s packages. My notebook, Ubuntu 24.04:",
                "",
                "UM02",
                "Permit user namespaces to /usr/bin/bwrap",
            ),
            (
                "Codex on laptop, Ubuntu 24.04. \"Please add hostUsers: false to the chart\"",
                "",
                "UM02",
                "Permit user namespaces to /usr/bin/bwrap",
            ),
            (
                "Claude Code on my Ubuntu 24.04 laptop:\n\u{25cf} Bash(docker inspect pg)",
                "",
                "UM02",
                "Permit user namespaces to /usr/bin/bwrap",
            ),
            (
                "Driver = \"docker\" in my molecule file is for tests. Failing on the laptop itself:",
                "",
                "UM02",
                "Permit user namespaces to /usr/bin/bwrap",
            ),
            ("I use Landlock elsewhere. Ubuntu 24.04:", "", "UM02", ""),
            ("Codex: legacy Landlock works, bwrap does not.", "", "UM02", ""),
            ("Does it need a Landlock domain?", "", "UM02", ""),
        ],
    );
    holds(
        SLAVE,
        &[
            ("OpenShift 4.16, restricted-v2", "", "MT16", ""),
            ("Bottlerocket nodes, kubectl exec agent -- bwrap true", "", "MT16", ""),
            ("Ubuntu nodes, kubectl exec agent -- bwrap true", "", "MT01", ""),
        ],
    );
    holds(
        LOOPBACK,
        &[
            (
                "docker run --cap-add SYS_ADMIN debian bash\nroot@3f2a:/# bwrap --unshare-net --ro-bind / / true",
                "",
                "LO02",
                "",
            ),
            ("docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN x", "", "LO01", ""),
            ("docker run -u 1000 --cap-add SYS_ADMIN x", "", "LO01", ""),
            ("docker run --cap-add=SYS_ADMIN img\nas user 1000 inside:", "", "LO01", ""),
            ("USER node in the Dockerfile; docker run --cap-add=SYS_ADMIN img", "", "LO01", ""),
            (
                "docker run --cap-add SYS_ADMIN debian bash\nOn the new one:\n$ docker run debian bwrap --unshare-net true",
                "",
                "LO01",
                "",
            ),
            ("Should I use --cap-add SYS_ADMIN in docker?", "", "LO01", ""),
        ],
    );
    holds(
        NO_KERNEL,
        &[
            ("docker run --platform linux/arm64 img bwrap --unshare-user true", "", "NS20", ""),
            ("docker build --platform linux/arm64 was used for the image", "", "NS11", ""),
            ("docker run --platform linux/amd64 x works on my other machine", "", "NS11", ""),
            (
                "uname -m: x86_64\ndocker run --platform linux/amd64 img bwrap --ro-bind / / true",
                "",
                "NS11",
                "",
            ),
            ("CentOS 7", "", "NS11", ""),
        ],
    );
}

#[test]
fn places_of_servers_are_known() {
    for (text, platform) in [
        ("ARC pods (actions-runner-controller) on k3s", Platform::Kubernetes),
        ("{app=\"agent\", namespace=\"ci\", pod=\"agent-5d9\"} level=error", Platform::Kubernetes),
        ("GKE 1.30 Ubuntu nodes", Platform::Kubernetes),
        ("It works on my laptop, on GKE it does not", Platform::Kubernetes),
        ("I use kubectl exec from my laptop, our EKS nodes are Ubuntu", Platform::Kubernetes),
        ("Ubuntu laptop with minikube\n$ kubectl exec -it agent -- bash", Platform::Kubernetes),
        ("securityContext:\n  runAsUser: 1000", Platform::Kubernetes),
        ("#9 [6/8] RUN gtk-update-icon-cache x", Platform::Docker),
        ("#12 [stage-1 5/9] RUN opam init -y", Platform::Docker),
        ("docker service create --user 1000 img", Platform::Docker),
        ("STEP 5/9: RUN flatpak install -y x", Platform::Podman),
        ("cannot create user namespaces on `ubuntu-latest` runners", Platform::GitHubActions),
        ("Cloud Run service gen1", Platform::GVisor),
        ("$ nix-user-chroot .nix bash", Platform::Chroot),
    ] {
        assert!(on(text).contains(&platform), "{text}: {:?}", on(text));
    }
    for text in [
        "$ docker run -d --name redis redis:7",
        "docker run --rm --privileged multiarch/qemu-user-static --reset -p yes",
        "I run `docker compose up -d` for the database",
        "My laptop is Ubuntu 24.04, I deploy with kubectl apply.",
        "Step 3/5: run make",
        "PeaPod: {\"pod\":\"ios\"} cocoapods config",
        "level=info namespace=\"ui\" pod=\"left\" msg=\"tab opened\"",
        "VS Code extensions: ms-kubernetes-tools, \"runArgs\": support.",
        "nix-user-chroot is in my package list: bubblewrap nix-user-chroot proot",
        "# outside, the app runs. Inside the Flatpak of VS Code? No, I use the native package.",
        "No `inside the flatpak` option. I use the deb.",
        "On my desktop (Arch). Someone with the GKE nodes had it too.",
        "  \"securityContext:\" is not set as we do without. Ubuntu 24.04 laptop",
        "step 5/x: y",
        "# [5/9] run make",
        "#1 [a/b] RUN make",
    ] {
        assert_eq!(on(text), [], "{text}");
    }
}
