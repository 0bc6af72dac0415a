//! Nesting, as the managers of system containers call it: mounting inside is allowed, and a second, whole procfs is there.

use crate::diagnosis::case::Case;
use crate::diagnosis::remedy::{Remedy, told};

/// Allow nesting, in the words of the manager that the container's AppArmor profile gives away, or of each.
pub(in super::super) fn allow_nesting(case: &Case<'_>) -> Vec<Remedy> {
    let profile = case.host.security.apparmor().unwrap_or_default();
    let managers = [
        ("incus-", told!("allow-nesting-incus")),
        ("lxd-", told!("allow-nesting-lxd")),
        ("lxc-", told!("allow-nesting-proxmox")),
        ("lxc-", told!("allow-nesting-lxc")),
    ];
    let known = managers.iter().any(|(prefix, _)| profile.starts_with(prefix));
    let likely = managers.into_iter().filter(|(prefix, _)| !known || profile.starts_with(prefix));
    likely.map(|(_, remedy)| remedy).collect()
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
