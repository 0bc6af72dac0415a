//! Nesting, as the managers of system containers call it: mounting inside is allowed, and a second, whole procfs is there.

use super::ROOT_OUTSIDE;
use crate::diagnosis::case::Case;
use crate::diagnosis::remedy::Remedy;
use crate::diagnosis::remedy::told;

/// Allow nesting, in the words of the manager that the container's AppArmor profile gives away, or of each.
pub(in super::super) fn allow_nesting(case: &Case<'_>) -> Vec<Remedy> {
    const OPENS: &str = "the container may mount and change its root in namespaces of its own, and sees all of a second \
                         /proc; in an unprivileged container its root still is nobody outside";
    let set = |manager: &str, tool: &str| {
        let lines = [
            format!("{tool} config set CONTAINER security.nesting=true"),
            format!("{tool} restart CONTAINER"),
        ];
        Remedy::commands(format!("Allow nesting in {manager}"), lines, OPENS)
    };
    let incus = || set("Incus", "incus");
    let lxd = || set("LXD", "lxc");
    let proxmox = || {
        let lines = ["pct set ID --features nesting=1", "pct reboot ID"];
        Remedy::commands("Allow nesting in Proxmox", lines, OPENS)
    };
    let lxc = || told!("allow-nesting-lxc");
    let profile = case.host.security.apparmor().unwrap_or_default();
    let remedies = if profile.starts_with("incus-") {
        vec![incus()]
    } else if profile.starts_with("lxd-") {
        vec![lxd()]
    } else if profile.starts_with("lxc-") {
        vec![proxmox(), lxc()]
    } else {
        vec![incus(), lxd(), proxmox(), lxc()]
    };
    remedies.into_iter().map(|remedy| remedy.needs(ROOT_OUTSIDE)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::fixtures::machine;
    use crate::host::Fact;

    #[test]
    fn the_profile_names_the_manager() {
        let tools = |label: &str| -> Vec<String> {
            let mut host = machine();
            host.security.apparmor_label = Fact::Present(label.into());
            let remedies = allow_nesting(&Case::new(None, &host, None));
            let first = |remedy: &Remedy| remedy.instructions().split(' ').next().map(str::to_owned);
            remedies.iter().filter_map(first).collect()
        };
        assert_eq!(tools("incus-c1_</var/lib/incus> (enforce)"), ["incus"]);
        assert_eq!(tools("lxd-c1_</var/snap/lxd> (enforce)"), ["lxc"]);
        assert_eq!(tools("lxc-container-default-cgns (enforce)"), ["pct", "#"]);
        // inside, the container's own policy may be all that shows
        assert_eq!(tools("unconfined"), ["incus", "lxc", "pct", "#"]);
    }
}
