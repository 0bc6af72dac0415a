//! Setting the loopback device of a new network namespace up.
//!
//! What bwrap prints after `Failed RTM_NEWADDR` is the error of an earlier call, so only the facts tell these apart.

use crate::diagnosis::case::Case;
use crate::diagnosis::confinement::{Selinux, selinux_denies};
use crate::diagnosis::finding::Confidence::{High, Low, Medium};
use crate::diagnosis::remedy::told;
use crate::diagnosis::restriction::{lift_restriction, strips_capabilities};
use crate::diagnosis::weigh::{Judgement, rules, weigh};
use crate::diagnosis::wish::{Calls, Wish};
use crate::diagnosis::{Remedy, SandboxChange, SelinuxRule, evidence};
use crate::host::Platform;
use crate::sandbox::Capability;

const REFUSED: &[(&str, &[i32])] = &[
    ("loopback: Failed RTM_NEWADDR", &[]),
    ("loopback: Failed RTM_NEWLINK", &[]),
    ("Can't create loopback device", &[]),
];

rules! {
    AppArmorStripsNetAdmin, Anytime, REFUSED
        => apparmor_strips, lift_restriction;

    NetAdminMissing, Anytime, REFUSED
        => net_admin_missing, |case| {
            // a namespace takes no privilege from anywhere
            let own = Remedy::change(SandboxChange::UnshareUser);
            [vec![own], Wish::Capability(Capability::CAP_NET_ADMIN).grant(case)].concat()
        };

    GvisorLoopback, Anytime, REFUSED,
        unless "the same sandbox fails alike under runc"
        => gvisor, |_| vec![newer_gvisor(), Remedy::change(SandboxChange::ShareNet)];

    NetlinkDenied, Failed, [
        "loopback: Failed to create NETLINK_ROUTE socket", "loopback: Failed to bind NETLINK_ROUTE socket",
    ],
        unless "`ip link` works where bwrap is started"
        => netlink_denied, permit_netlink;

    SelinuxDeniesNetAdmin, Anytime, REFUSED
        => selinux_denies_net_admin, |case| {
            let mut remedies = Wish::Selinux(&[NET_ADMIN]).grant(case);
            remedies.push(told!("virt-sandbox-use-all-caps"));
            remedies
        };
}

const NET_ADMIN: SelinuxRule =
    SelinuxRule { target: "self", class: "cap_userns", permissions: &["net_admin"] };

fn apparmor_strips(case: &Case<'_>) -> Option<Judgement> {
    if !case.failed() && !case.plans(|plan| plan.new_net) {
        return None;
    }
    let found = strips_capabilities(case)?.summary(
        "AppArmor takes the rights of the new user namespace away, so bwrap may not set the loopback device up",
    );
    Some(if case.on(Platform::GVisor) {
        found.contra(evidence::seen(&case.host.platforms, "gVisor has no AppArmor"))
    } else {
        found
    })
}

/// Without a user namespace of its own the new network namespace belongs to the one that we are in.
fn net_admin_missing(case: &Case<'_>) -> Option<Judgement> {
    let net_admin = case.has(Capability::CAP_NET_ADMIN);
    let own = case.user_namespace();
    if own == Some(true) || net_admin == Some(true) {
        return None;
    }
    let found = |confidence| {
        let refuted = "the same sandbox fails alike with a user namespace of its own (--unshare-user)";
        weigh(confidence).refuted_by(refuted).summary(
            "root makes a network namespace without a user namespace, and lacks CAP_NET_ADMIN for it",
        )
    };
    let seen = |judgement: Judgement| {
        judgement
            .pro(evidence::capability(case, Capability::CAP_NET_ADMIN).otherwise())
            .pro(evidence::own_namespace(case).otherwise())
    };
    match (own, net_admin) {
        (Some(false), Some(false)) if case.failed() => Some(seen(found(High))),
        // without CAP_SYS_ADMIN it ends before
        (Some(false), Some(false)) => {
            let gets_there =
                case.plans(|plan| plan.new_net) && case.has(Capability::CAP_SYS_ADMIN) == Some(true);
            gets_there.then(|| seen(found(High)))
        }
        _ if !case.failed() => None,
        (_, known) => {
            let found = found(if known == Some(false) && case.root() == Some(true) { Medium } else { Low });
            Some(found.unknown(
                "whether bwrap makes a user namespace, and CAP_NET_ADMIN: CapEff in /proc/self/status",
            ))
        }
    }
}

fn gvisor(case: &Case<'_>) -> Option<Judgement> {
    let sighting = case.sighting(Platform::GVisor)?;
    if !case.failed() && !case.plans(|plan| plan.new_net) {
        return None;
    }
    let found = weigh(if case.failed() { High } else { Medium }).pro(evidence::sighted(sighting));
    Some(if case.failed() {
        found
    } else {
        found.unknown("whether this runsc leaves the loopback device to bwrap")
    })
}

fn newer_gvisor() -> Remedy {
    told!("newer-gvisor")
}

fn netlink_denied(case: &Case<'_>) -> Option<Judgement> {
    // that is not what filters answer
    let module = case.errno() == Some(libc::EACCES);
    let found = weigh(if case.filtered() == Some(true) && !module { High } else { Medium })
        .summary("bwrap may make no netlink socket, which setting the loopback device up takes");
    Some(if module {
        found.unknown("whether a security module denies it: the kernel log")
    } else {
        found.if_so(evidence::filter(case))
    })
}

fn permit_netlink(case: &Case<'_>) -> Vec<Remedy> {
    let mut remedies = match Selinux::of(case).domain() {
        Some(_) if case.errno() == Some(libc::EACCES) => Wish::Selinux(&[NETLINK]).grant(case),
        _ => Wish::Calls(Calls::Netlink).grant(case),
    };
    remedies.push(Remedy::change(SandboxChange::ShareNet));
    remedies
}

const NETLINK: SelinuxRule = SelinuxRule {
    target: "self",
    class: "netlink_route_socket",
    permissions: &["create", "bind", "getattr", "read", "write", "nlmsg_read", "nlmsg_write"],
};

fn selinux_denies_net_admin(case: &Case<'_>) -> Option<Judgement> {
    // a user namespace of its own has the capability, if no module objects
    if !case.failed() || case.user_namespace() == Some(false) {
        return None;
    }
    let mut found = selinux_denies(case, "self:cap_userns net_admin")?;
    found.confidence = if Selinux::of(case).domain().is_some() { Medium } else { Low };
    Some(found.unknown("virt_sandbox_use_all_caps, which allows it to containers: `getsebool`, on the host"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Action;
    use crate::diagnosis::Cause;
    use crate::diagnosis::fixtures::*;
    use crate::host::{CapabilitySet, Fact, Host};

    /// The number is that of a call that succeeded or does not matter.
    const STALE: &str = "loopback: Failed RTM_NEWADDR: No child processes";

    fn labelled(label: &str) -> Host {
        let mut host = machine();
        host.security.label = Fact::Present(label.into());
        host.security.apparmor_label = Fact::Present(label.into());
        host.security.apparmor_enabled = Fact::Present(true);
        host
    }

    #[test]
    fn ubuntu_shows_here_with_a_network_namespace() {
        let mut host = labelled("unconfined");
        host.sysctls.insert("kernel.apparmor_restrict_unprivileged_userns".into(), Fact::Present("1".into()));
        let cause = Cause::AppArmorStripsNetAdmin;
        let found = explain("loopback: Failed RTM_NEWADDR: Operation not permitted", &host, &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
        assert_eq!(foreseen(&host, &whole(), cause), Some(Medium));
        for name in ["bwrap", "bwrap-userns-restrict"] {
            host.files.insert(format!("/etc/apparmor.d/{name}").into(), Fact::Absent);
        }
        assert_eq!(foreseen(&host, &whole(), cause), Some(High));
        assert_eq!(foreseen(&host, &whole().share_net(), cause), None);
        // in a container the host's profiles cannot be seen
        host = only_on(host, Platform::Docker);
        assert_eq!(foreseen(&host, &whole(), cause), Some(Medium));
        // root that may anything is exempt
        host.process.effective = Fact::Present(CapabilitySet(u64::MAX));
        assert_eq!(foreseen(&host, &whole(), cause), None);
    }

    #[test]
    fn the_restrictions_own_profile_shows_here() {
        let cause = Cause::AppArmorStripsNetAdmin;
        for label in ["unprivileged_userns (enforce)", "bwrap//&unpriv_bwrap (enforce)"] {
            let host = labelled(label);
            assert_eq!(foreseen(&host, &whole(), cause), Some(High));
            assert_eq!(foreseen(&host, &whole().share_net(), cause), None);
            let found = explain(STALE, &host, &whole());
            assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), High));
        }
        let host = labelled("vscode (unconfined)");
        assert_eq!(foreseen(&host, &whole(), cause), None);
        assert_eq!(explain(STALE, &host, &whole()).causes[0].confidence, Low);
    }

    #[test]
    fn other_profiles_strip_capabilities_as_well() {
        let host = labelled("no-net-admin (enforce)");
        let found = explain(STALE, &host, &whole());
        assert_eq!(found.cause(), Some(Cause::AppArmorStripsNetAdmin));
        assert!(found.causes[0].evidence.iter().any(|evidence| evidence.text.contains("no-net-admin")));
        assert_eq!(foreseen(&host, &whole(), Cause::AppArmorStripsNetAdmin), None);
        assert!(explain(STALE, &machine(), &whole()).causes.iter().all(|found| found.confidence == Low));
    }

    #[test]
    fn root_without_a_user_namespace_needs_net_admin() {
        let cause = Cause::NetAdminMissing;
        let mut host = pod();
        host.process.effective = Fact::Present(CapabilitySet(DOCKER_CAPABILITIES | 1 << 21));
        let sandbox = without_user(&whole());
        assert_eq!(foreseen(&host, &sandbox, cause), Some(High));
        let found = explain(STALE, &host, &sandbox);
        assert_eq!((found.cause(), found.causes.len()), (Some(cause), 1));
        assert_eq!(found.remedy().unwrap().action, Action::Sandbox(SandboxChange::UnshareUser));
        assert_eq!(foreseen(&host, &whole(), cause), None);
        assert_eq!(foreseen(&pod(), &sandbox, cause), None);
        host.process.effective = Fact::Present(CapabilitySet(u64::MAX));
        assert_eq!(foreseen(&host, &sandbox, cause), None);
    }

    #[test]
    fn gvisor_has_the_address_already() {
        let mut host = machine();
        host = only_on(host, Platform::GVisor);
        let found = explain(STALE, &host, &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::GvisorLoopback), High));
        assert_eq!(foreseen(&host, &whole(), Cause::GvisorLoopback), Some(Medium));
        assert_eq!(foreseen(&host, &whole().share_net(), Cause::GvisorLoopback), None);
    }

    #[test]
    fn sockets_are_denied_by_filters() {
        let said =
            "loopback: Failed to create NETLINK_ROUTE socket: Address family not supported by protocol";
        let mut host = machine();
        assert_eq!(explain(said, &host, &whole()).causes[0].confidence, Medium);
        host.process.seccomp = Fact::Present(2);
        let found = explain(said, &host, &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::NetlinkDenied), High));
        assert_eq!(foreseen(&host, &whole(), Cause::NetlinkDenied), None);
        assert_ne!(explain(STALE, &host, &whole()).cause(), Some(Cause::NetlinkDenied));
    }

    #[test]
    fn selinux_may_keep_the_capability_back() {
        let cause = Cause::SelinuxDeniesNetAdmin;
        let mut host = machine();
        host.security.label = Fact::Present("system_u:system_r:container_t:s0:c1,c2".into());
        host.security.selinux_filesystem = Fact::Present(true);
        let found = explain(STALE, &host, &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(cause), Medium));
        assert_eq!(foreseen(&host, &whole(), cause), None);
        host.security.selinux_enforcing = Fact::Present(false);
        assert_ne!(explain(STALE, &host, &whole()).cause(), Some(cause));
    }
}
