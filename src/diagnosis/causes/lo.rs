//! Setting the loopback device of a new network namespace up.
//!
//! What bwrap prints after `Failed RTM_NEWADDR` is the error of an earlier call, so only the facts tell these apart.

use super::ns::limits::{LEAST, USER};
use super::prelude::*;

const REFUSED: &[&str] =
    &["loopback: Failed RTM_NEWADDR", "loopback: Failed RTM_NEWLINK", "Can't create loopback device"];

rules! {
    AppArmorStripsNetAdmin, Anytime if |plan| plan.new_net, [in REFUSED] => apparmor_strips, lift_restriction;

    NetAdminMissing, Anytime if |plan| plan.new_net, [in REFUSED],
        unless "the same sandbox fails alike with a user namespace of its own (--unshare-user)"
        => net_admin_missing, |case| {
            // a namespace takes no privilege from anywhere, but where the host allows none it is not to be had
            let none = number(case, USER) == Some(0) && case.is_planned(|plan| plan.user_namespace);
            let own = if none { raise(case, USER, LEAST, OPENS) } else { vec![Remedy::change(SandboxChange::UnshareUser)] };
            own.or(Wish::Capability(Capability::CAP_NET_ADMIN).grant(case))
        };

    GvisorLoopback, Anytime if |plan| plan.new_net, [in REFUSED],
        unless "the same sandbox fails alike under runc"
        => gvisor, |_| vec![told!(LO03, "newer-gvisor"), Remedy::change(SandboxChange::ShareNet)];

    NetlinkDenied, Failed, [
        "loopback: Failed to create NETLINK_ROUTE socket", "loopback: Failed to bind NETLINK_ROUTE socket"
    ],
        unless "`ip link` works where bwrap is started" => netlink_denied, permit_netlink;

    SelinuxDeniesNetAdmin, Failed, [in REFUSED] => selinux_denies_net_admin,
        |case| Wish::Selinux(&[NET_ADMIN]).grant(case).or([told!(LO05, "virt-sandbox-use-all-caps")]);
}

fn apparmor_strips(case: &Case<'_>) -> Option<Judgement> {
    let found = strips_capabilities(case)?.summary(
        "AppArmor takes the rights of the new user namespace away, so bwrap may not set the loopback device up",
    );
    let none = case.on(Platform::GVisor).then_some("gVisor has no AppArmor");
    // root with that capability makes no user namespace, unless it is told to
    let keeps = case.hinted(Hint::SysAdmin) && user_namespace(case) != Some(true);
    let found = if left_over(case) || keeps { found.confidence(Low) } else { found };
    Some(found.seen_against(&case.host.platforms, none))
}

/// Of a message alone the number tells as much: in gVisor an earlier call ends in this one, and where AppArmor denies, it is EPERM.
fn left_over(case: &Case<'_>) -> bool {
    let errno = case.message().and_then(Message::stale_errno).and_then(Errno::code);
    errno == Some(libc::ENOENT) && case.platforms.is_unknown()
}

/// Without a user namespace of its own the new network namespace belongs to the one that we are in.
fn net_admin_missing(case: &Case<'_>) -> Option<Judgement> {
    let net_admin = case.has(Capability::CAP_NET_ADMIN);
    // who is root there, and what it asks for, is told then
    let adds = case.hinted(Hint::SysAdmin);
    let own = if adds { user_namespace(case) } else { case.user_namespace() };
    rule_out(own == Some(true) || net_admin == Some(true))?;
    let lacks = "root makes a network namespace without a user namespace, and lacks CAP_NET_ADMIN for it";
    let found = |confidence| weigh(confidence).summary(lacks);
    if own == Some(false) && net_admin == Some(false) {
        // without CAP_SYS_ADMIN it ends before
        let gets_there = case.failed() || case.has(Capability::CAP_SYS_ADMIN) == Some(true);
        let found = found(High).pro(evidence::capability(case, Capability::CAP_NET_ADMIN).otherwise());
        return gets_there.then(|| found.pro(evidence::own_namespace(case).otherwise()));
    }
    // where there is no restriction by AppArmor, little else is left
    let unrestricted = net_admin.is_none() && case.host.sysctl(RESTRICTION).is_absent();
    let likely =
        net_admin == Some(false) && case.root() == Some(true) || unrestricted && case.told().is_some();
    let added =
        adds.then_some("the container was given CAP_SYS_ADMIN, with which root makes no user namespace");
    let unknown = "whether bwrap makes a user namespace, and CAP_NET_ADMIN: CapEff in /proc/self/status";
    let found = |confidence| found(confidence).pro(evidence::told(case, added)).unknown(unknown);
    case.failed().then(|| found(if likely || adds { Medium } else { Low }))
}

fn gvisor(case: &Case<'_>) -> Option<Judgement> {
    if left_over(case) {
        let unknown = "whether the kernel is gVisor's: `uname -rv` where bwrap is started";
        return weigh(Medium).heard(case, "what gVisor answers ends in these words").unknown(unknown).into();
    }
    let (failed, sighting) = (case.failed(), case.sighting(Platform::GVisor)?);
    let left = "whether this runsc leaves the loopback device to bwrap";
    let found = weigh(if failed { High } else { Medium }).pro(evidence::sighted(sighting));
    Some(found.unknown((!failed).then_some(left)))
}

fn netlink_denied(case: &Case<'_>) -> Option<Judgement> {
    // that is seldom what filters answer
    let module = case.errno() == Some(libc::EACCES) && (case.is_confined() || case.filtered() != Some(true));
    let call = calls::failed(case).map_or("socket", |call| call.name);
    let found = weigh(if case.filtered() == Some(true) && !module { High } else { Medium })
        .summary("bwrap may make no netlink socket, which setting the loopback device up takes");
    let found = found.heard(case, format!("the answer to {call}(2) of AF_NETLINK was no"));
    Some(if module {
        found.unknown("whether a security module denies it: the kernel log")
    } else {
        found.if_so(evidence::filter(case))
    })
}

fn permit_netlink(case: &Case<'_>) -> Vec<Remedy> {
    let permitted = match case.selinux().domain() {
        Some(_) if case.errno() == Some(libc::EACCES) => Wish::Selinux(&[NETLINK]).grant(case),
        _ => Wish::Calls(Calls::Netlink).grant(case),
    };
    permitted.or([Remedy::change(SandboxChange::ShareNet)])
}

/// A user namespace of its own has the capability, if no module objects.
fn selinux_denies_net_admin(case: &Case<'_>) -> Option<Judgement> {
    let found = selinux_denies(case, &NET_ADMIN)?;
    let confidence = if case.selinux().domain().is_some() { Medium } else { Low };
    let unknown = "virt_sandbox_use_all_caps, which allows it to containers: `getsebool`, on the host";
    (case.user_namespace() != Some(false)).then(|| found.confidence(confidence).unknown(unknown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Action;
    use crate::diagnosis::Cause;
    use crate::diagnosis::fixtures::*;
    use crate::host::{CapabilitySet, Host};

    /// The number is that of a call that succeeded or does not matter.
    const STALE: &str = "loopback: Failed RTM_NEWADDR: No child processes";

    fn labelled(label: &str) -> Host {
        let mut host = machine();
        host.security.label = Fact::Present(label.into());
        host.security.apparmor_label = Fact::Present(label.into());
        host.security.apparmor_enabled = Fact::Present(true);
        host
    }

    /// A user namespace that the host does not allow is not to be asked for.
    #[test]
    fn what_the_host_allows_none_of_is_raised_first() {
        let mut host = docker();
        host.process.effective = Fact::Present(CapabilitySet(1 << 21));
        let first = |host: &Host| {
            let found = explain("loopback: Failed RTM_NEWADDR: Operation not permitted", host, &whole());
            let cause = found.causes.iter().find(|found| found.cause == Cause::NetAdminMissing)?;
            Some(format!("{:?}", cause.remedies[0].action))
        };
        host.sysctls.insert("user.max_user_namespaces".into(), Fact::Present("0".into()));
        let told = first(&host).unwrap_or_default();
        assert!(!told.contains("UnshareUser"), "{told}");
        host.sysctls.insert("user.max_user_namespaces".into(), Fact::Present("60000".into()));
        assert!(first(&host).is_none_or(|told| told.contains("UnshareUser")));
    }

    #[test]
    fn gvisor_is_known_by_its_words_alone() {
        let said = "loopback: Failed RTM_NEWADDR: No such file or directory";
        let found = explain(said, &Host::default(), &whole());
        assert_eq!((found.cause(), found.causes[0].confidence), (Some(Cause::GvisorLoopback), Medium));
        let found = explain(said, &machine(), &whole());
        assert!(found.causes.iter().all(|found| found.cause != Cause::GvisorLoopback));
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
