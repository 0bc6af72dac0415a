//! AppArmor profiles: for a container, and for a bwrap on a machine.

use crate::diagnosis::remedy::told;
use std::path::{Path, PathBuf};

use super::{PRIVILEGED_STANDARD, ROOT_OUTSIDE, Wish, allow_nesting, elsewhere, everywhere, pod, unit};
use crate::diagnosis::case::Case;
use crate::diagnosis::remedy::{
    Action, CONTAINER, Engine, Profile, Remedy, bwrap_profile, container_profile, rules,
};
use crate::diagnosis::setting::Setting;
use crate::host::{Fact, PACKAGED, PROFILES, Platform, Program, UBUNTUS_PROFILE, profile_files};
use crate::shell::{path_word, word};
use crate::visible::{is_hidden, path as shown};

const RESTRICTION: &str = "kernel.apparmor_restrict_unprivileged_userns";

/// Start us under the profile for containers, where whoever starts us can name one.
fn under_container_profile(case: &Case<'_>) -> Option<Remedy> {
    let (action, requires) = match Setting::of(case) {
        Setting::Kubernetes { .. } => (
            pod(|pod| pod.apparmor = Some(Profile::Localhost(CONTAINER.to_owned()))),
            vec![
                format!(
                    "Kubernetes 1.30 or later; before, the annotation \
                     container.apparmor.security.beta.kubernetes.io/CONTAINER: localhost/{CONTAINER}"
                ),
                "the profile on every node that runs the pod, loaded at boot, too".to_owned(),
            ],
        ),
        Setting::Container(engine) => (security_option(engine, CONTAINER), vec![ROOT_OUTSIDE.to_owned()]),
        Setting::OtherContainer => (
            Action::Manual(format!(
                "Start the container with `--security-opt=apparmor={CONTAINER}` (nerdctl), `--apparmor-profile={CONTAINER}` \
                 (ctr), or `process.apparmorProfile` in an OCI configuration."
            )),
            vec![ROOT_OUTSIDE.to_owned()],
        ),
        Setting::Unit => (unit(case, &[("AppArmorProfile", CONTAINER)]), Vec::new()),
        Setting::Lxc | Setting::Nspawn | Setting::Managed(_) | Setting::Machine | Setting::Unknown => {
            return None;
        }
    };
    let profile = container_profile(mediates_user_namespaces(case));
    let remedy = Remedy::new(
        format!("Run it under the AppArmor profile {CONTAINER} instead of the default"),
        action,
        "what runs there may mount, inside namespaces of its own; its root could mount /proc and /sys where the \
         profile's rules do not look, so run it as a user",
    );
    let remedy = with_parser(remedy, case).profile(&profile);
    Some(requires.into_iter().fold(remedy, Remedy::needs))
}

fn security_option(engine: Engine, profile: &str) -> Action {
    Action::options(engine, &[&format!("--security-opt=apparmor={profile}")], &[])
}

/// Start us without a profile, where an engine can; the restriction for unconfined programs would be next.
fn without_profile(case: &Case<'_>) -> Option<Remedy> {
    let (action, requires) = match Setting::of(case) {
        _ if case.host.sysctl(RESTRICTION).is("1") => return None,
        Setting::Kubernetes { .. } => {
            (pod(|pod| pod.apparmor = Some(Profile::Unconfined)), Some(PRIVILEGED_STANDARD))
        }
        Setting::Container(engine) => (security_option(engine, "unconfined"), None),
        _ => return None,
    };
    let remedy = Remedy::new(
        "Run it without an AppArmor profile",
        action,
        "all that the default profile denies: mounting anywhere, writing to the kernel's settings below /proc and /sys",
    )
    .needs(format!("a machine where {RESTRICTION} is 0 or missing"));
    Some(requires.into_iter().fold(remedy, Remedy::needs))
}

/// A profile under which bwrap can run, in place of the one that denies.
pub(in super::super) fn confine_container(case: &Case<'_>) -> Vec<Remedy> {
    // without its name, nobody can say whose profile it is
    if Setting::of(case) == Setting::Unknown && case.host.security.apparmor().is_none() {
        return everywhere(case, confine_container);
    }
    if let Some(under) = under_container_profile(case) {
        return std::iter::once(under).chain(without_profile(case)).collect();
    }
    match Setting::of(case) {
        Setting::Lxc => return allow_nesting(case),
        Setting::Managed(platform) => return elsewhere(case, platform),
        _ => {}
    }
    // rules more in that profile would lift the restriction for every program
    if case.host.security.is_restriction() {
        return leave_restriction(case);
    }
    let name = profile_name(case);
    let rules = rules(mediates_user_namespaces(case));
    let mut remedies =
        vec![with_parser(told!("rules-in-profile", name, name2 = word(name), path = PROFILES, rules), case)];
    if mediates_user_namespaces(case) {
        remedies.extend(beside(case));
    }
    remedies
}

/// One rule more in the profile that confines us, or another profile.
pub(super) fn permit_rule(case: &Case<'_>, setting: Setting, rule: &str, opens: &str) -> Vec<Remedy> {
    match setting {
        Setting::Unit | Setting::Machine | Setting::Unknown => vec![Remedy::manual(
            format!("Add a rule to the AppArmor profile {}", profile_name(case)),
            format!(
                "the line `{rule}` in its file below {PROFILES}, in place of one that denies it, then `apparmor_parser -r FILE`"
            ),
            opens,
        )],
        Setting::Lxc => {
            let newer = format!("a release of Incus or LXD whose profile for nesting has `{rule}`");
            allow_nesting(case).into_iter().map(|remedy| remedy.needs(newer.clone())).collect()
        }
        Setting::Kubernetes { .. }
        | Setting::Container(_)
        | Setting::OtherContainer
        | Setting::Nspawn
        | Setting::Managed(_) => confine_container(case),
    }
}

/// A profile of bwrap's own beside the one that confines us, for a profile that lets it change to that.
pub(in super::super) fn beside(case: &Case<'_>) -> Option<Remedy> {
    let profile = profile_name(case);
    Some(profile_for_bwrap(case)?.needs(format!(
        "the profile {profile} lets programs change to a profile of their own (pix or Px in a rule for files)"
    )))
}

/// The profile that confines us, as remedies write it: not a text of more than one line.
pub(in super::super) fn profile_name<'a>(case: &Case<'a>) -> &'a str {
    let name = case.host.security.apparmor().filter(|name| *name != "unconfined");
    name.filter(|name| !name.contains(is_hidden)).unwrap_or("NAME")
}

/// A profile on the machine for this bwrap, by its path, which has to fit on a line of it.
fn profile_for_bwrap(case: &Case<'_>) -> Option<Remedy> {
    let bwrap = bwrap_path(case);
    if bwrap.to_str()?.contains(is_hidden) {
        return None;
    }
    let remedy = Remedy::new(
        format!("Permit user namespaces to {} on {}", shown(bwrap), Setting::of(case).machine()),
        Action::AppArmor(bwrap_profile(bwrap)),
        "any user can have any program run in a user namespace, through bwrap",
    );
    Some(remedy.needs("AppArmor 4.0 or later, which every system with this restriction has"))
}

/// Let this bwrap, by its path, make user namespaces that work.
pub(in super::super) fn permit_bwrap(case: &Case<'_>) -> Vec<Remedy> {
    if let Setting::Managed(platform) = Setting::of(case) {
        return elsewhere(case, platform);
    }
    let ours = !Setting::of(case).is_container();
    let mut remedies = Vec::new();
    if !ours {
        // the restriction is on unconfined programs: another profile than none lifts it for this container alone
        remedies.extend(under_container_profile(case));
    }
    let present = present_profile(case);
    remedies.extend(present.as_deref().map(load));
    remedies.extend(profile_for_bwrap(case));
    if present.as_deref() != Some(Path::new(UBUNTUS_PROFILE)) {
        remedies.extend(ubuntus_profile(case));
    }
    if ours && case.on(Platform::GitHubActions) {
        for remedy in &mut remedies {
            remedy.needs.push("root: in a job, give these commands to `sudo bash`".into());
        }
    }
    let everyone =
        "every program of every user may make user namespaces again, which reaches more of the kernel";
    remedies.extend(Wish::Sysctl(RESTRICTION, "0", everyone).grant(case));
    remedies
}

/// The path by which AppArmor knows bwrap; one that was not looked at counts as the packaged one.
pub(in super::super) fn bwrap_path<'a>(case: &Case<'a>) -> &'a Path {
    case.host.bwrap.present().map_or(Path::new(PACKAGED), Program::resolved)
}

/// The file of a profile for this bwrap, if one is there. In a container that is the host's business, and not visible.
pub(in super::super) fn present_profile(case: &Case<'_>) -> Option<PathBuf> {
    let there = |file: &PathBuf| case.host.files.get(file).and_then(Fact::present).is_some();
    let ours = !Setting::of(case).is_container();
    profile_files(bwrap_path(case)).into_iter().find(|file| ours && there(file))
}

/// For a file that is there while bwrap behaves as if it were not.
fn load(file: &Path) -> Remedy {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let command = format!("apparmor_parser -r {}", path_word(file));
    Remedy::commands(
        format!("Load the profile {} that is there for bwrap", shown(file)),
        [command],
        "what the profile permits to bwrap",
    )
    .needs(format!(
        "no link {PROFILES}/disable/{name}: with it whoever keeps this machine has switched the profile off, and \
         apparmor_parser passes the file over"
    ))
}

/// Ubuntu has a profile for the packaged bwrap: since 24.04 among those to choose from, since 25.04 in place.
fn ubuntus_profile(case: &Case<'_>) -> Option<Remedy> {
    let distribution = case.host.distribution.present().filter(|it| it.id == "ubuntu")?;
    // a container's distribution is not the machine's
    if Setting::of(case).is_container() || bwrap_path(case) != Path::new(PACKAGED) {
        return None;
    }
    let mut numbers = distribution.version.split('.').map(str::parse::<u32>);
    let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let remedy = |lines: &[&str]| {
        Remedy::commands(
            "Load Ubuntu's own profile for bwrap",
            lines.iter().copied(),
            "bwrap may make user namespaces, and takes their rights from what it starts; some programs that make namespaces \
             themselves do not work inside",
        )
    };
    let loading = format!("apparmor_parser -r {UBUNTUS_PROFILE}");
    if version >= (25, 4) {
        let gone = case.host.files.get(Path::new(UBUNTUS_PROFILE)).is_some_and(Fact::is_absent);
        return (!gone).then(|| remedy(&[&loading]));
    }
    // a link that is there already stays as it is
    (version >= (24, 4)).then(|| {
        remedy(&[
            "apt-get install -y apparmor-profiles",
            "ln -s /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/",
            &loading,
        ])
    })
}

/// For whoever is in a namespace whose capabilities the restriction has taken.
pub(in super::super) fn leave_restriction(case: &Case<'_>) -> Vec<Remedy> {
    let profile = profile_name(case);
    let outside = told!("outside-of-namespace", profile);
    std::iter::once(outside).chain(permit_bwrap(case)).collect()
}

/// For whoever runs under our profile for containers, which permits what was denied.
pub(in super::super) fn reload_container_profile(case: &Case<'_>) -> Vec<Remedy> {
    let profile = container_profile(mediates_user_namespaces(case));
    let remedy = Remedy::new(
        format!("Load the profile {CONTAINER} anew on {}", Setting::of(case).machine()),
        Action::AppArmor(profile),
        "nothing, if the profile was meant to be this one",
    );
    vec![with_parser(remedy, case)]
}

/// Names for a profile the parser that can read it.
fn with_parser(remedy: Remedy, case: &Case<'_>) -> Remedy {
    remedy.needs(if mediates_user_namespaces(case) {
        "AppArmor 4.0 or later there (apparmor_parser --version); for 3.x name abi/3.0 and delete the lines `userns,` and \
         `mqueue,`"
    } else {
        "AppArmor 3.0 or later there (apparmor_parser --version)"
    })
}

/// Whether the kernel asks AppArmor about user namespaces: since 6.7, and Ubuntu's before that.
fn mediates_user_namespaces(case: &Case<'_>) -> bool {
    case.host.sysctl(RESTRICTION).present().is_some() || case.kernel() >= Some((6, 7))
}

#[cfg(test)]
mod tests;
