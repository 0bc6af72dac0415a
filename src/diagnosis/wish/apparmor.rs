//! AppArmor profiles: for a container, and for a bwrap on a machine.

use super::allow_nesting;
use super::prelude::*;
use crate::diagnosis::facts::rule_out;
use crate::diagnosis::launcher::Launcher;
use crate::diagnosis::remedy::{OF_NIX, bwrap_profile, container_profile, nix_profile, rules};
pub(in super::super) use crate::host::RESTRICTION;
use crate::host::{OUR_PROFILE, PACKAGED, PROFILES, Program, UBUNTUS_PROFILE, profile_files};
use crate::visible::{is_hidden, path as shown};

/// Start us under the profile for containers, where whoever starts us can name one.
fn under_container_profile(case: &Case<'_>) -> Option<Remedy> {
    let setting = Setting::of(case);
    let action = match setting {
        Kubernetes { .. } => pod(|pod| pod.apparmor = Some(Profile::Localhost(OUR_PROFILE.to_owned()))),
        Container(engine) => option(engine, &format!("--security-opt=apparmor={OUR_PROFILE}")),
        OtherContainer => Action::Manual(format!(
            "Start the container with `--security-opt=apparmor={OUR_PROFILE}` (nerdctl), `--apparmor-profile={OUR_PROFILE}` \
             (ctr), or `process.apparmorProfile` in an OCI configuration."
        )),
        Unit => unit(case, &[("AppArmorProfile", OUR_PROFILE)]),
        Lxc | Nspawn | Managed(_) | Machine | Unknown => return None,
    };
    let profile = container_profile(mediates_user_namespaces(case));
    let remedy =
        told!("under-profile" => action, name = OUR_PROFILE, parser = parser(case)).profile(&profile);
    Some(match setting {
        Kubernetes { .. } => remedy
            .needs(format!(
                "Kubernetes 1.30 or later; before, the annotation \
                 container.apparmor.security.beta.kubernetes.io/CONTAINER: localhost/{OUR_PROFILE}"
            ))
            .needs(
                "the profile on every node that runs the pod, loaded at boot, too; a node without AppArmor does not \
                 start it",
            ),
        Unit => remedy,
        _ => remedy.needs(ROOT_OUTSIDE),
    })
}

/// Start us without a profile, where an engine can; the restriction for unconfined programs would be next.
fn without_profile(case: &Case<'_>) -> Option<Remedy> {
    let without = |action| told!("without-profile" => action, switch = RESTRICTION);
    match Setting::of(case) {
        _ if case.host.sysctl(RESTRICTION).is("1") => None,
        Kubernetes { .. } => {
            let unconfined = pod(|pod| pod.apparmor = Some(Profile::Unconfined));
            Some(without(unconfined).needs(PRIVILEGED_STANDARD))
        }
        Container(engine) => Some(without(option(engine, "--security-opt=apparmor=unconfined"))),
        _ => None,
    }
}

/// A profile under which bwrap can run, in place of the one that denies.
pub(in super::super) fn confine_container(case: &Case<'_>) -> Vec<Remedy> {
    let setting = Setting::of(case);
    // without its name, nobody can say whose profile it is
    if setting == Unknown && case.host.security.apparmor().is_none() {
        return everywhere(case, confine_container);
    }
    if let Some(under) = under_container_profile(case) {
        return under.or(without_profile(case));
    }
    match setting {
        Lxc => allow_nesting(case),
        Managed(platform) => elsewhere(case, platform),
        // rules more in that profile would lift the restriction for every program
        _ if case.host.security.is_restriction() => leave_restriction(case),
        _ => {
            let (name, mediates) = (profile_name(case), mediates_user_namespaces(case));
            let (name2, path, rules, parser) = (word(name), PROFILES, rules(mediates), parser(case));
            let beside = beside(case).filter(|_| mediates);
            told!("rules-in-profile", name, name2, path, rules, parser).or(beside)
        }
    }
}

/// One rule more in the profile that confines us, or another profile.
pub(super) fn permit_rule(case: &Case<'_>, setting: Setting, rule: &str, opens: &str) -> Vec<Remedy> {
    match setting {
        Unit | Machine | Unknown => {
            vec![told!("rule-in-profile", profile = profile_name(case), rule, path = PROFILES, opens)]
        }
        Lxc => {
            let newer = format!("a release of Incus or LXD whose profile for nesting has `{rule}`");
            allow_nesting(case).into_iter().map(|remedy| remedy.needs(newer.clone())).collect()
        }
        Kubernetes { .. } | Container(_) | OtherContainer | Nspawn | Managed(_) => confine_container(case),
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

/// Whether bwrap is started from Nix's store, as far as a text tells.
fn is_of_nix(case: &Case<'_>) -> bool {
    let told = case.told().is_some_and(|told| told.nix_bwrap);
    case.host.bwrap.is_unknown() && (told || Launcher::of(case) == Some(Launcher::NixFhs))
}

/// Launchers and Homebrew start one of their own.
const ANOTHER_PATH: &str =
    "that bwrap to be the one that is started (`command -v bwrap` there): else its path in the profile";

/// A profile on the machine for this bwrap, by its path, which has to fit on a line of it.
fn profile_for_bwrap(case: &Case<'_>) -> Option<Remedy> {
    if is_of_nix(case) {
        let (profile, machine) = (Action::AppArmor(nix_profile()), Setting::of(case).machine());
        return Some(told!("profile-for-this-bwrap" => profile, path = OF_NIX, machine));
    }
    let bwrap = bwrap_path(case);
    let (profile, machine) = (Action::AppArmor(bwrap_profile(bwrap)), Setting::of(case).machine());
    let fits = !bwrap.to_str()?.contains(is_hidden);
    let remedy = fits.then(|| told!("profile-for-this-bwrap" => profile, path = shown(bwrap), machine))?;
    let unseen = case.host.bwrap.present().is_none();
    Some(if unseen { remedy.needs(ANOTHER_PATH) } else { remedy })
}

/// Let this bwrap, by its path, make user namespaces that work.
pub(in super::super) fn permit_bwrap(case: &Case<'_>) -> Vec<Remedy> {
    if let Managed(platform) = Setting::of(case) {
        return elsewhere(case, platform);
    }
    let ours = !Setting::of(case).is_container();
    let present = present_profile(case);
    // the restriction is on unconfined programs: another profile than none lifts it for a container alone
    let under = (!ours).then(|| under_container_profile(case)).flatten();
    let ubuntus = ubuntus_profile(case).filter(|_| present.as_deref() != Some(Path::new(UBUNTUS_PROFILE)));
    let profiles = [under, present.as_deref().map(load), profile_for_bwrap(case), ubuntus];
    let mut remedies: Vec<Remedy> = profiles.into_iter().flatten().collect();
    if ours && case.on(Platform::GitHubActions) {
        for remedy in &mut remedies {
            remedy.needs.push("root: in a job, give these commands to `sudo bash`".into());
        }
    }
    let everyone =
        "every program of every user may make user namespaces again, which reaches more of the kernel";
    let switch = Wish::Sysctl(RESTRICTION, "0", everyone).grant(case);
    // a profile for the packaged one changes nothing for one that is mounted elsewhere at each start
    let own = ours && case.hinted(Hint::OwnBwrap) && case.host.bwrap.is_unknown();
    if own { switch.or(remedies) } else { remedies.or(switch) }
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
    told!("load-profile", path = shown(file), profiles = PROFILES, name, file = path_word(file))
}

/// Ubuntu has a profile for the packaged bwrap: since 24.04 among those to choose from, since 25.04 in place.
fn ubuntus_profile(case: &Case<'_>) -> Option<Remedy> {
    let distribution = case.host.distribution.present().filter(|it| it.id == "ubuntu")?;
    // a container's distribution is not the machine's
    rule_out(Setting::of(case).is_container() || bwrap_path(case) != Path::new(PACKAGED))?;
    let mut numbers = distribution.version.split('.').map(str::parse::<u32>);
    let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let file = UBUNTUS_PROFILE;
    if version >= (25, 4) {
        let gone = case.host.files.get(Path::new(file)).is_some_and(Fact::is_absent);
        return (!gone).then(|| told!("load-ubuntus-profile", file));
    }
    // a link that is there already stays as it is
    (version >= (24, 4)).then(|| told!("install-ubuntus-profile", file))
}

/// For whoever is in a namespace whose capabilities the restriction has taken.
pub(in super::super) fn leave_restriction(case: &Case<'_>) -> Vec<Remedy> {
    told!("outside-of-namespace", profile = profile_name(case)).or(permit_bwrap(case))
}

/// For whoever runs under our profile for containers, which permits what was denied.
pub(in super::super) fn reload_container_profile(case: &Case<'_>) -> Vec<Remedy> {
    let profile = Action::AppArmor(container_profile(mediates_user_namespaces(case)));
    let (machine, parser) = (Setting::of(case).machine(), parser(case));
    vec![told!("reload-profile" => profile, name = OUR_PROFILE, machine, parser)]
}

/// The parser that can read our profiles.
fn parser(case: &Case<'_>) -> &'static str {
    if mediates_user_namespaces(case) {
        "AppArmor 4.0 or later there (apparmor_parser --version); for 3.x name abi/3.0 and delete the lines `userns,` and \
         `mqueue,`"
    } else {
        "AppArmor 3.0 or later there (apparmor_parser --version)"
    }
}

/// Whether the kernel asks AppArmor about user namespaces: since 6.7, and Ubuntu's before that.
fn mediates_user_namespaces(case: &Case<'_>) -> bool {
    case.host.sysctl(RESTRICTION).present().is_some() || case.kernel() >= Some((6, 7))
}

#[cfg(test)]
mod tests;
