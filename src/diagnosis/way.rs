//! The causes in line, taken out of the way at once: their remedies merged into one change for each place where something is changed.

use super::Finding;
use super::finding::Confidence;
use super::remedy::{Action, ContainerOptions, PodPatch, Remedy, UnitSettings, told};
use super::wish::uncapitalized;

/// So many remedies of a cause are tried beside those of the others.
const CHOICES: usize = 3;

/// What takes all of these out of the way at once, least privilege each; nothing where that is one cause's own remedy, or where
/// what helps against one is contrary to all that helps against another, and nothing for a mere guess.
pub(super) fn at_once<'a>(line: impl Iterator<Item = &'a Finding>) -> Vec<Remedy> {
    let line: Vec<&Finding> = line.collect();
    if line.len() < 2 || line.iter().any(|finding| finding.confidence == Confidence::Low) {
        return Vec::new();
    }
    let mut found = chosen(Vec::new(), &line).unwrap_or_default();
    for (remedy, several) in &mut found {
        if *several {
            *remedy = together(remedy);
        }
    }
    found.into_iter().map(|(remedy, _)| remedy).collect()
}

/// Two steps as one remedy, if both are taken in the same place and do not contradict one another.
pub(super) fn both(one: &Remedy, more: &Remedy) -> Option<Remedy> {
    let [(both, _)] = <[Merged; 1]>::try_from(with(&[(one.clone(), false)], more)?).ok()?;
    let needs = [one.needs.as_slice(), more.needs.as_slice()].concat();
    let summary = format!("{}, and {}", one.summary, uncapitalized(&more.summary));
    Some(Remedy { summary, needs, ..both })
}

/// A remedy, and whether it is made of several.
type Merged = (Remedy, bool);

/// For each cause the first remedy that goes with those of the causes before it.
fn chosen(so_far: Vec<Merged>, line: &[&Finding]) -> Option<Vec<Merged>> {
    let Some((first, rest)) = line.split_first() else { return Some(so_far) };
    let able = first.remedies.iter().enumerate().filter(|(index, remedy)| *index == 0 || !remedy.last);
    able.take(CHOICES).find_map(|(_, remedy)| chosen(with(&so_far, remedy)?, rest))
}

/// `None` if they contradict one another.
fn with(so_far: &[Merged], remedy: &Remedy) -> Option<Vec<Merged>> {
    let mut all = so_far.to_vec();
    for (other, several) in &mut all {
        let joined = match (&other.action, &remedy.action) {
            (one, action) if one == action => one.clone(),
            (Action::Container(one), Action::Container(more)) => Action::Container(one.with(more)?),
            (Action::Pod(one), Action::Pod(more)) => Action::Pod(one.with(more)?),
            (Action::Unit(one), Action::Unit(more)) => Action::Unit(one.with(more)?),
            _ => continue,
        };
        *several |= other.action != remedy.action;
        other.action = joined;
        match (is_free(other), is_free(remedy)) {
            (_, true) => {}
            (true, false) => other.opens.clone_from(&remedy.opens),
            _ if other.opens.contains(&remedy.opens) => {}
            _ => other.opens = format!("{}; {}", other.opens, remedy.opens),
        }
        let needs = remedy.requires.iter().filter(|need| !other.requires.contains(need));
        let needs: Vec<String> = needs.cloned().collect();
        other.requires.extend(needs);
        let files = remedy.files.iter().filter(|file| !other.files.contains(file));
        let files: Vec<_> = files.cloned().collect();
        other.files.extend(files);
        return Some(all);
    }
    all.push((remedy.clone(), false));
    Some(all)
}

/// Whether it costs nothing.
fn is_free(remedy: &Remedy) -> bool {
    remedy.opens.starts_with("nothing")
}

fn together(remedy: &Remedy) -> Remedy {
    let (action, opens) = (remedy.action.clone(), &remedy.opens);
    let told = match &action {
        Action::Pod(_) => told!("all-of-pod" => action, opens),
        Action::Unit(_) => told!("all-of-unit" => action, opens),
        _ => told!("all-of-container" => action, opens),
    };
    Remedy { requires: remedy.requires.clone(), files: remedy.files.clone(), ..told }
}

/// Either, or both where they are the same; an error where they are not.
fn either<T: PartialEq>(one: Option<T>, more: Option<T>) -> Result<Option<T>, ()> {
    match (one, more) {
        (Some(one), Some(more)) if one != more => Err(()),
        (one, more) => Ok(one.or(more)),
    }
}

fn add<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !list.contains(one) {
            list.push(one.clone());
        }
    }
}

impl ContainerOptions {
    /// Options that may be given several times with different values.
    const LISTS: &[&str] = &["--cap-add", "--tmpfs", "--security-opt=label"];

    fn with(&self, more: &Self) -> Option<Self> {
        let mut all = self.clone();
        add(&mut all.remove, &more.remove);
        for option in &more.add {
            if all.add.contains(option) {
                continue;
            }
            let (name, _) = option.rsplit_once('=')?;
            let same_name = |other: &&mut String| other.rsplit_once('=').is_some_and(|(own, _)| own == name);
            match all.add.iter_mut().find(same_name) {
                Some(other) if name.ends_with("=unmask") => *other = format!("{name}=ALL"),
                Some(_) if !Self::LISTS.contains(&name) => return None,
                _ => all.add.push(option.clone()),
            }
        }
        let adds = |begin: &str| all.add.iter().any(|option| option.starts_with(begin));
        // what is added does not reach another user than root, or makes bwrap refuse
        let lost = adds("--user=") || all.remove.iter().any(|option| option == "--cap-add");
        (self.engine == more.engine && !(lost && adds("--cap-add="))).then_some(all)
    }
}

impl PodPatch {
    fn with(&self, more: &Self) -> Option<Self> {
        let (one, more) = (self.clone(), more.clone());
        let mut add_capabilities = one.add_capabilities;
        add(&mut add_capabilities, &more.add_capabilities);
        let all = Self {
            host_users: either(one.host_users, more.host_users).ok()?,
            unmasked_proc: one.unmasked_proc || more.unmasked_proc,
            run_as_user: either(one.run_as_user, more.run_as_user).ok()?,
            add_capabilities,
            seccomp: either(one.seccomp, more.seccomp).ok()?,
            apparmor: either(one.apparmor, more.apparmor).ok()?,
            selinux_type: either(one.selinux_type, more.selinux_type).ok()?,
            empty_dir: either(one.empty_dir, more.empty_dir).ok()?,
            required_scc: either(one.required_scc, more.required_scc).ok()?,
        };
        // no user but root has what is added
        let lost = all.run_as_user.is_some_and(|user| user != 0) && !all.add_capabilities.is_empty();
        (!lost).then_some(all)
    }
}

impl UnitSettings {
    fn with(&self, more: &Self) -> Option<Self> {
        let mut all = self.clone();
        add(&mut all.settings, &more.settings);
        let sets = |wanted: &str| all.settings.iter().any(|(name, _)| name == wanted);
        // no user but root has what the set bounds
        (!(sets("User") && sets("CapabilityBoundingSet"))).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::diagnosis::fixtures::{docker, explain, machine, mounts, on, only_on, pod, whole};
    use crate::diagnosis::predict;
    use crate::host::{CapabilitySet, Fact, Host, Platform};

    const UID_MAP: &str = "setting up uid map: Operation not permitted";

    /// Root that may not map itself, below a filter and masks.
    fn bare(mut host: Host) -> Host {
        host.process.effective = Fact::Present(CapabilitySet(0));
        host.process.bounding = Fact::Present(CapabilitySet(0));
        host
    }

    fn instructions(host: &Host) -> Vec<String> {
        let found = explain(UID_MAP, host, &whole()).at_once;
        found.iter().map(|remedy| remedy.parts().0).collect()
    }

    #[test]
    fn one_command_line() {
        let told = instructions(&bare(docker()));
        assert_eq!(told, ["docker run --user=1000 --security-opt=systempaths=unconfined IMAGE\n"]);
        let told = instructions(&bare(only_on(docker(), Platform::Podman)));
        assert_eq!(
            told,
            ["# without: --cap-add\npodman run --user=1000 '--security-opt=unmask=/proc/*' IMAGE\n"]
        );
        let all = predict(&bare(docker()), &whole()).at_once;
        let text = all[0].instructions();
        assert!(text.ends_with(
            "EOF\ndocker run --security-opt=seccomp=bwrap.json --user=1000 --security-opt=systempaths=unconfined IMAGE\n"
        ), "{text}");
        assert_eq!((all.len(), all[0].files.len(), text.matches("docker run").count()), (1, 1, 1));
        // a runner's file has each list once
        let runner = instructions(&bare(on(docker(), Platform::GitLabCi)));
        assert_eq!(runner[0].matches("[runners.docker]").count(), 1, "{runner:?}");
    }

    #[test]
    fn one_patch() {
        let mut host = bare(pod());
        host.process.effective = Fact::Present(CapabilitySet(0));
        let told = instructions(&host);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].matches("spec:").count(), 1);
        for field in ["hostUsers: false", "procMount: Unmasked", "runAsUser: 1000"] {
            assert!(told[0].contains(field), "{told:?}");
        }
    }

    #[test]
    fn one_drop_in() {
        let mut host = bare(only_on(machine(), Platform::SystemdUnit));
        host.process.uid = Fact::Present(0);
        host.mounts = Fact::Present(mounts(&[
            "2 1 0:2 / /proc rw,relatime - proc proc rw",
            "3 2 0:2 /sys /proc/sys ro,relatime - proc proc rw",
        ]));
        let told = instructions(&host);
        assert!(
            told.len() == 1 && told[0].contains("[Service]\nUser=1000\nProtectKernelTunables=no\n"),
            "{told:?}"
        );
    }

    #[test]
    fn one_cause_has_its_own_remedy() {
        assert!(explain(UID_MAP, &machine(), &whole()).at_once.is_empty());
        // a guess is no reason to change several things
        assert!(explain("a message of 2030", &docker(), &whole()).at_once.is_empty());
    }

    fn container(add: &[&str]) -> ContainerOptions {
        let Action::Container(options) = Action::options(crate::diagnosis::Engine::Podman, add, &[]) else {
            panic!()
        };
        options
    }

    #[test]
    fn what_is_contrary_is_not_merged() {
        let with = |one: &[&str], more: &[&str]| container(one).with(&container(more)).map(|all| all.add);
        assert_eq!(with(&["--user=1000"], &["--cap-add=SETFCAP"]), None);
        assert_eq!(with(&["--security-opt=seccomp=a"], &["--security-opt=seccomp=b"]), None);
        assert_eq!(with(&["--cap-add=A"], &["--cap-add=B"]).unwrap(), ["--cap-add=A", "--cap-add=B"]);
        let unmask = with(&["--security-opt=unmask=/proc/*"], &["--security-opt=unmask=ALL"]);
        assert_eq!(unmask.unwrap(), ["--security-opt=unmask=ALL"]);
        let pod = |user, capability| PodPatch {
            run_as_user: user,
            add_capabilities: capability,
            ..PodPatch::default()
        };
        let setfcap = || vec![crate::sandbox::Capability::CAP_SETFCAP];
        assert_eq!(pod(Some(1000), vec![]).with(&pod(None, setfcap())), None);
        assert_eq!(pod(Some(0), vec![]).with(&pod(None, setfcap())), Some(pod(Some(0), setfcap())));
    }

    /// Of a cause whose first remedy does not go with another's, the next one is taken.
    #[test]
    fn another_remedy_is_taken_where_two_are_contrary() {
        let told = |action| Remedy::new("Do it", action, "something");
        let options = |add: &str| told(Action::Container(container(&[add])));
        let finding = |remedies| {
            let mut finding = explain(UID_MAP, &bare(docker()), &whole()).causes.remove(0);
            finding.remedies = remedies;
            finding
        };
        let user = finding(vec![options("--user=1000"), options("--cap-add=SETFCAP")]);
        let admin = finding(vec![options("--cap-add=NET_ADMIN")]);
        let all = at_once([&user, &admin].into_iter());
        assert_eq!(all[0].instructions(), "podman run --cap-add=SETFCAP --cap-add=NET_ADMIN IMAGE\n");
    }
}
