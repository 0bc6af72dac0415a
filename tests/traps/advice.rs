//! Advice: what is legal but unwise.

use std::fs::File;
use std::os::fd::OwnedFd;

use bwrap_launch::op::{Bind, BindFd, Mqueue, Tmpfs};
use bwrap_launch::{Capability, Circumstances, Lint, Namespaces, Sandbox};

use crate::common::{Here, host};
use crate::support::{lints, lints_for, prints};

/// A sandbox that nobody finds fault with.
fn wise() -> Sandbox {
    Sandbox::new()
        .ro_bind("/usr", "/usr")
        .dev("/dev")
        .unshare_all()
        .die_with_parent()
        .new_session()
        .cap_drop_all()
}

/// No advice is given without a reason.
pub(crate) fn a_wise_sandbox_is_left_alone(_: &Here) {
    let said = lints_for(&wise(), |c| (c.root, c.terminal) = (true, true));
    assert_eq!(said, []);
}

/// Sections 1 and 7: binds cost more the more there are.
pub(crate) fn many_binds_are_linted(_: &Here) {
    let binds = |count: usize| {
        (0..count).fold(wise(), |sandbox, index| {
            let to = format!("/b/{index}");
            if index % 2 == 0 {
                sandbox.add(Bind::read_only("/etc", to))
            } else {
                sandbox.add(BindFd::read_only(OwnedFd::from(File::open("/etc").unwrap()), to))
            }
        })
    };
    assert_eq!(lints(&binds(49)), []);
    assert_eq!(lints(&binds(50)), [Lint::ManyBinds(51)]);
}

/// Whoever talks to a container engine is root on the host.
pub(crate) fn engine_sockets_are_linted(_: &Here) {
    for path in ["/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock"] {
        for access in [bwrap_launch::op::Access::ReadOnly, bwrap_launch::op::Access::ReadWrite] {
            let said = lints(&wise().add(Bind::new(path, "/x", access).optional()));
            assert!(said.contains(&Lint::EngineSocket(path.into())), "{path}: {said:?}");
        }
    }
    assert_eq!(lints(&wise().ro_bind("/run/other.sock", "/x")), []);
}

/// A bind that contains the socket is as good as one of the socket, even a read-only one.
pub(crate) fn brought_engine_sockets_are_linted(_: &Here) {
    let says = |sandbox: &Sandbox| {
        let said = lints_for(sandbox, |c| c.engine_sockets = vec!["/run/docker.sock".into()]);
        said.contains(&Lint::EngineSocket("/run/docker.sock".into()))
    };
    for sandbox in [
        wise().ro_bind("/", "/"),
        wise().ro_bind("/", "/host"),
        wise().ro_bind("/run", "/run"),
        wise().bind("/var/run", "/var/run"),
        wise().tmpfs("/run").ro_bind("/", "/"),
        wise().ro_bind("/", "/").tmpfs("/run/user"),
    ] {
        assert!(says(&sandbox), "{sandbox}");
        assert!(!lints(&sandbox).iter().any(|lint| matches!(lint, Lint::EngineSocket(_))), "there is none");
    }
    for sandbox in [
        wise().ro_bind("/", "/").tmpfs("/run"),
        wise().ro_bind("/", "/").tmpfs("/var/run"),
        wise().ro_bind("/run", "/run").ro_bind("/dev/null", "/run/docker.sock"),
        wise().ro_bind("/run/user", "/run/user"),
        wise().ro_bind("/var", "/var"),
    ] {
        assert!(!says(&sandbox), "{sandbox}");
    }
}

/// Capabilities count in their order, and those that nobody named are worth a word.
pub(crate) fn capabilities_that_nobody_named_are_linted(_: &Here) {
    let base = || Sandbox::new().unshare_all().die_with_parent();
    let says = |sandbox: &Sandbox, root: bool| lints_for(sandbox, |c| c.root = root);
    let one = Capability::CAP_SYS_ADMIN;
    let (keeps, adds) = ([Lint::RootKeepsCapabilities], [Lint::AddsAllCapabilities]);
    let all = Capability::ALL.iter().copied().fold(base(), Sandbox::cap_drop);
    let none: [Lint; 0] = [];
    for (sandbox, as_root, as_user) in [
        (base(), &keeps[..], &none[..]),
        (base().cap_drop(one), &keeps, &none),
        (base().cap_drop_all(), &none, &none),
        (base().cap_drop_all().cap_add(one), &none, &none),
        (base().cap_drop_all().cap_add_all(), &adds, &adds),
        (base().cap_add_all().cap_drop(one), &adds, &adds),
        (base().cap_add_all().cap_drop_all(), &none, &none),
        (all, &none, &none),
    ] {
        assert_eq!(says(&sandbox, true), as_root, "{sandbox}");
        assert_eq!(says(&sandbox, false), as_user, "{sandbox}");
    }
}

/// The host's processes are seen through its `/proc`.
pub(crate) fn the_hosts_proc_is_linted(here: &Here) {
    let base = || Sandbox::new().ro_bind("/usr", "/usr").die_with_parent();
    let says = |sandbox: &Sandbox| lints(sandbox).contains(&Lint::HostProc);
    assert!(says(&base().proc("/proc")));
    assert!(!says(&base().unshare(Namespaces::PID).proc("/proc")));
    assert!(!says(&base().unshare_all().proc("/proc")));
    // and so it is: this very process is visible
    let own = std::process::id();
    let script = format!("test -e /proc/{own}/stat && echo visible || echo hidden");
    prints(here, &host().proc("/proc"), &script, &["visible"]);
    prints(here, &host().proc("/proc").unshare(Namespaces::PID).tmpfs("/mnt"), &script, &["hidden"]);
}

/// A bind of the host's `/proc`, or of all that is above it, shows the host's processes in any PID namespace.
pub(crate) fn a_bound_proc_is_linted(here: &Here) {
    let at = |path: &str| Some(Lint::BoundProc(path.into()));
    for (sandbox, expected) in [
        (wise().ro_bind("/proc", "/proc"), at("/proc")),
        (wise().bind("proc/", "p"), at("/p")),
        (wise().dev_bind("/", "/host"), at("/host/proc")),
        (wise().ro_bind("/", "/").proc("/proc").ro_bind("/proc", "/proc"), at("/proc")),
        (wise().proc("/proc").ro_bind("/", "/"), at("/proc")),
        (wise().ro_bind("/", "/").dir("/proc"), at("/proc")),
        (wise().ro_bind("/", "/").proc("/proc"), None),
        (wise().ro_bind("/", "/host").tmpfs("/host"), None),
        (wise().ro_bind("/proc/sys", "/proc/sys"), None),
        (wise().proc("/proc"), None),
    ] {
        let said = lints(&sandbox).into_iter().find(|lint| matches!(lint, Lint::BoundProc(_)));
        assert_eq!(said, expected, "{sandbox}");
        assert!(!lints(&sandbox).contains(&Lint::HostProc), "it has a PID namespace: {sandbox}");
    }
    let own = std::process::id();
    let script = format!("test -e /proc/{own}/stat && echo visible || echo hidden");
    prints(here, &host().unshare_all(), &script, &["visible"]);
    prints(here, &host().unshare_all().proc("/proc"), &script, &["hidden"]);
}

/// The whole root, writable.
pub(crate) fn a_writable_root_is_linted(_: &Here) {
    for sandbox in [wise().bind("/", "/"), wise().dev_bind("/", "/"), wise().bind("//", ".")] {
        assert!(lints(&sandbox).contains(&Lint::WritableRoot), "{sandbox}");
    }
    assert!(!lints(&wise().ro_bind("/", "/")).contains(&Lint::WritableRoot));
    assert!(!lints(&wise().bind("/", "/host")).contains(&Lint::WritableRoot));
}

/// A tmpfs may fill half of the memory, each.
pub(crate) fn unlimited_memory_is_linted(_: &Here) {
    assert_eq!(lints(&wise().tmpfs("/tmp")), [Lint::UnlimitedTmpfs]);
    assert_eq!(lints(&wise().add(Tmpfs::new("/tmp").size(1 << 20))), []);
}

/// Message queues want their namespace.
pub(crate) fn message_queues_want_a_namespace(here: &Here) {
    let queue = || Mqueue::new("/mnt");
    assert!(lints(&host().add(queue())).contains(&Lint::MqueueNeedsIpc));
    assert!(!lints(&host().unshare(Namespaces::IPC).add(queue())).contains(&Lint::MqueueNeedsIpc));
    if std::path::Path::new("/proc/sys/fs/mqueue").exists() {
        prints(here, &host().unshare(Namespaces::IPC).add(queue()), "stat -f -c %T /mnt", &["mqueue"]);
    }
}

/// What says of itself that it protects nothing, and a bwrap with root's rights.
pub(crate) fn weak_boundaries_are_linted(_: &Here) {
    assert_eq!(lints(&wise().not_a_security_boundary()), [Lint::NotASecurityBoundary]);
    assert_eq!(lints_for(&wise(), |c| c.setuid = true), [Lint::SetuidBwrap]);
}

/// A command looks at its own circumstances.
pub(crate) fn commands_know_their_circumstances(here: &Here) {
    let said: Vec<Lint> =
        here.command(&host(), "true").lint().into_iter().map(|advice| advice.lint).collect();
    assert_eq!(said.contains(&Lint::RootKeepsCapabilities), here.root);
    let terminal = rustix::termios::isatty(rustix::stdio::stdin());
    assert_eq!(said.contains(&Lint::TerminalInjection), terminal, "streams of the harness: {said:?}");
    assert!(!said.contains(&Lint::SetuidBwrap));
    // each piece of advice is words, with its place
    for advice in host().tmpfs("/tmp").lint(&Circumstances::default()) {
        assert_eq!(advice.to_string().starts_with("operation "), advice.operation.is_some(), "{advice}");
    }
}

/// With a terminal for a stream, the advice comes.
pub(crate) fn terminals_are_recognised(here: &Here) {
    let Ok(terminal) = File::options().read(true).write(true).open("/dev/ptmx") else {
        crate::common::skip("no pseudo terminals here");
    };
    let says = |sandbox: &Sandbox, terminal: File| {
        let mut command = here.command(sandbox, "true");
        command.stdin(terminal).stdout(bwrap_launch::Stdio::null()).stderr(bwrap_launch::Stdio::null());
        command.lint().iter().any(|advice| advice.lint == Lint::TerminalInjection)
    };
    assert!(says(&host(), terminal.try_clone().unwrap()));
    assert!(!says(&host().new_session(), terminal));
}
