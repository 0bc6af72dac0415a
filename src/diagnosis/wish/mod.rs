//! What is wanted, in whatever place: a capability, a whole /proc, these system calls. One matrix of wishes and
//! [settings](Setting), so that no cause forgets one of them; the compiler asks each wish for each setting.
//!
//! A remedy that is the same everywhere stands beside the judge of its cause. What differs by setting is a wish.

mod apparmor;
mod calls;
mod launcher;
mod limits;

mod prelude;
mod proc;
mod rights;
mod selinux;
mod sysctl;

pub(super) use apparmor::{
    RESTRICTION, beside, bwrap_path, confine_container, leave_restriction, permit_bwrap, present_profile,
    reload_container_profile,
};
pub(super) use calls::{Calls, permit_calls, permit_to_unit};
pub(super) use launcher::is_in_home_of_steam;
pub(super) use limits::Limit;

pub(super) use proc::{Covers, RUNTIME, allow_nesting};
pub(super) use sysctl::raise;

use std::path::Path;

use super::case::Case;
use super::hint::Hint;
use super::launcher::Launcher;
use super::need::{Need, Stand};
use super::remedy::{Action, CiService, Engine, PodPatch, Remedies, Remedy, SelinuxRule, UnitSettings, told};
use super::setting::{Setting, ci_service, own_unit};
use crate::bwrap::Stage;
use crate::host::{Fact, Platform, Sighting};
use crate::sandbox::Capability;
use crate::visible;

/// Something that bwrap wants and the host denies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish<'a> {
    /// Root that may be mapped into a user namespace, or another user, who always may.
    MappedRoot,
    /// Another user than root.
    User,
    Capability(Capability),
    /// Nothing that bwrap would keep through its own start.
    NoAmbientCapabilities,
    /// A /proc of which nothing is covered.
    WholeProc,
    /// A /proc without what covers parts of it.
    Uncovered(Covers<'a>),
    /// A /proc that is not mounted read-only.
    WritableProc,
    /// Kernel settings in /proc that are not mounted read-only: the mount.
    WritableSettings(&'a Path),
    /// A /proc with the usual way of noting when files were read.
    Relatime,
    /// A /proc at all, with the kernel's settings.
    AnyProc,
    /// A directory /tmp.
    Tmp,
    /// The device nodes that are missing, with their numbers.
    Devices(&'a [(&'static str, &'static str)]),
    Calls(Calls),
    Selinux(&'a [SelinuxRule]),
    /// A rule in the AppArmor profile that confines us, and what that opens up.
    AppArmorRule(&'a str, &'a str),
    /// A kernel parameter: its name, the value, and what that opens up.
    Sysctl(&'a str, &'a str, &'a str),
    More(Limit),
}

impl Wish<'_> {
    /// What grants it here, least privilege first; where nothing tells what started this process, the first way in each of the
    /// likeliest settings.
    pub(super) fn grant(self, case: &Case<'_>) -> Vec<Remedy> {
        match Setting::of(case) {
            Setting::Unknown => everywhere(case, |case| self.grant(case)),
            setting => self.cells(case, setting),
        }
    }

    fn cells(self, case: &Case<'_>, setting: Setting) -> Vec<Remedy> {
        match self {
            Self::MappedRoot => {
                rights::user(case, setting).or(rights::capability(case, setting, Capability::CAP_SETFCAP))
            }
            Self::User => rights::user(case, setting),
            Self::Capability(capability) => rights::capability(case, setting, capability),
            Self::NoAmbientCapabilities => rights::no_ambient_capabilities(case, setting),
            Self::WholeProc => proc::whole(case, setting),
            Self::Uncovered(covers) => proc::uncover(case, setting, covers),
            Self::WritableProc => proc::writable(case, setting),
            Self::WritableSettings(mount) => proc::writable_settings(case, setting, mount),
            Self::Relatime => proc::relatime(case, setting),
            Self::AnyProc => proc::any(case, setting),
            Self::Tmp => proc::tmp(setting),
            Self::Devices(missing) => proc::devices(case, setting, missing),
            Self::Calls(calls) => calls::permit(case, setting, calls),
            Self::Selinux(rules) => selinux::permit(case, setting, rules),
            Self::AppArmorRule(rule, opens) => apparmor::permit_rule(case, setting, rule, opens),
            Self::Sysctl(name, value, opens) => sysctl::set(case, setting, name, value, opens),
            Self::More(Limit::Pids) => limits::cgroup_limit(case, setting),
            Self::More(Limit::Processes) => limits::resource_limit(case, setting, &limits::PROCESSES),
            Self::More(Limit::Files) => limits::resource_limit(case, setting, &limits::FILES),
        }
    }
}

/// Where nothing tells what started this process: the first remedy in each of the likeliest settings, which its summary
/// names.
fn everywhere(case: &Case<'_>, remedies: impl Fn(&Case<'_>) -> Vec<Remedy>) -> Vec<Remedy> {
    let likely = [
        ("Docker", Some(Platform::Docker)),
        ("Podman", Some(Platform::Podman)),
        ("Kubernetes", Some(Platform::Kubernetes)),
        ("a machine", None),
    ];
    let mut found: Vec<(Vec<&str>, Remedy)> = Vec::new();
    let mut shown = Vec::new();
    for (name, platform) in likely {
        let assumed = |platform| Fact::Present(vec![Sighting::new(platform, "assumed")]);
        let there = case.elsewhere(platform.map_or(Fact::Absent, assumed));
        let Some(mut remedy) = fit_there(&there, remedies(&there)).into_iter().next() else { continue };
        // a long file once is enough
        for file in std::mem::take(&mut remedy.files) {
            if shown.contains(&file.content) {
                let path = visible::path(&file.path);
                remedy.requires.push(format!("the file {path}, with the same content as the file above"));
            } else {
                shown.push(file.content.clone());
                remedy.files.push(file);
            }
        }
        match found.last_mut() {
            // what is done on the machine is the same for several
            Some((names, last)) if *last == remedy => names.push(name),
            _ => found.push((vec![name], remedy)),
        }
    }
    let all = likely.len();
    let named = found.into_iter().map(|(names, mut remedy)| {
        let place = match names.split_last() {
            _ if names.len() == all => return remedy,
            Some((&"a machine", [])) => "On a machine".to_owned(),
            Some((last, [])) => format!("In {last}"),
            Some((last, others)) => format!("In {} and {last}", others.join(", ")),
            None => return remedy,
        };
        remedy.summary = format!("{place}: {}", uncapitalized(&remedy.summary));
        remedy
    });
    named.collect()
}

pub(super) fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// The same for whoever is to apply them here: a CI service types no command line, the machine wants root, an operation is known
/// by its options, and what is needed is held against what is known.
pub(super) fn fit(case: &Case<'_>, remedies: Vec<Remedy>) -> Vec<Remedy> {
    let mut remedies: Vec<Remedy> = remedies.into_iter().map(|remedy| fit_one(case, remedy)).collect();
    leave_to_launcher(case, &mut remedies);
    if is_within_sandbox(case) {
        remedies.insert(0, told!(NS06, "outside"));
    }
    weigh(case, &mut remedies);
    remedies
}

/// Whether it is told that another sandbox is around, of nobody's that is known, and the answer is one that this gives: the machine's
/// settings are none of it.
fn is_within_sandbox(case: &Case<'_>) -> bool {
    let stages = [Some(Stage::IdMap), Some(Stage::Loopback)];
    Setting::of(case) == Setting::Unknown
        && case.hinted(Hint::WithinSandbox)
        && stages.contains(&case.stage())
}

/// The same for a place that is assumed.
fn fit_there(case: &Case<'_>, remedies: Vec<Remedy>) -> Vec<Remedy> {
    let mut remedies: Vec<Remedy> = remedies.into_iter().map(|remedy| fit_one(case, remedy)).collect();
    weigh(case, &mut remedies);
    remedies
}

/// The needs of each in words, without those that are met; the remedies that cannot work here last.
fn weigh(case: &Case<'_>, remedies: &mut [Remedy]) {
    for remedy in &mut *remedies {
        for need in std::mem::take(&mut remedy.needs) {
            match need.stand(case) {
                Stand::Met => {}
                // somebody else's root was asked for already
                Stand::Open(_)
                    if matches!(need, Need::Root | Need::Mounter)
                        && remedy.requires.iter().any(|what| what.starts_with("root")) => {}
                Stand::Open(text) => remedy.requires.push(text),
                Stand::Unmet(text) => {
                    remedy.last = true;
                    remedy.requires.push(text);
                }
            }
        }
    }
    remedies.sort_by_key(|remedy| remedy.last);
}

/// Whoever runs a launcher cannot edit its line: what such a person can do comes before the changes of the sandbox, and what helps
/// against just this message before all.
fn leave_to_launcher(case: &Case<'_>, remedies: &mut Vec<Remedy>) {
    let Some(launcher) = Launcher::of(case) else { return };
    let about_line = |remedy: &Remedy| match &remedy.action {
        Action::Sandbox(_) => true,
        Action::Manual(text) => text.starts_with("bwrap: "),
        _ => false,
    };
    let agent = matches!(launcher, Launcher::ClaudeCode | Launcher::Codex);
    // where they are started has nothing to do with what they show of the system
    let lacking = agent && case.stage() == Some(Stage::Exec);
    let general = || if lacking { told!("agent-update") } else { launcher.remedy() };
    let theirs = (remedies.iter().any(about_line) || is_container_action(case)).then(general);
    // what an emulated kernel lacks no other setting of the application brings
    let emulated = case.emulated().is_some();
    for remedy in remedies.iter_mut().filter(|remedy| !emulated && about_line(remedy)) {
        remedy.last = true;
        remedy.needs.push("the rights to change the program that wrote this line".into());
    }
    // its makers tell people so in containers, where bwrap cannot work; Ubuntu's restriction is a machine's
    let restricted = case.stage() == Some(Stage::Loopback) || case.errno() == Some(libc::EACCES);
    let elsewhere =
        !matches!(Setting::of(case), Setting::Lxc | Setting::Machine) || case.on(Platform::Chroot);
    let container = !restricted && elsewhere;
    let opam = launcher == Launcher::Opam && container;
    let (first, after) =
        if opam { (Some(launcher.remedy()), None) } else { (launcher.remedy_of(case), theirs) };
    remedies.splice(0..0, first);
    remedies.extend(after);
}

/// Where who runs a service's jobs in pods says what these are.
fn pod_of_jobs(service: CiService) -> &'static str {
    match service {
        CiService::GitLab => {
            "where GitLab's runner makes the pod, its config.toml: what stands below spec is `patch` of [[runners.kubernetes.pod_spec]], with \
             the container build and FF_USE_ADVANCED_POD_SPEC_CONFIGURATION=true"
        }
        CiService::GitHub => {
            "where Actions Runner Controller makes the pod, `template` of its runner set, which these fields belong in"
        }
    }
}

/// Whether it is an action of GitHub's that is itself a container.
fn is_container_action(case: &Case<'_>) -> bool {
    ci_service(case) == Some(CiService::GitHub) && case.hinted(Hint::ContainerAction)
}

fn fit_one(case: &Case<'_>, mut remedy: Remedy) -> Remedy {
    let ours = matches!(Setting::of(case), Setting::Unit | Setting::Machine);
    match (&mut remedy.action, case.sandbox) {
        (Action::Container(options), _) => {
            options.service = ci_service(case);
            if is_container_action(case) {
                remedy.last = true;
                return remedy.needs(
                    "a job with a `container:` of its own, or an engine of your own: actions that are containers take no options",
                );
            }
            if options.service == Some(CiService::GitHub) && !remedy.files.is_empty() {
                remedy.last = true;
                return remedy.needs(
                    "a runner of your own: on GitHub's nothing can be there before the job's container starts, and actions that \
                     are containers take no options",
                );
            }
        }
        (Action::Pod(_), _) if matches!(Setting::of(case), Setting::Kubernetes { .. }) => {
            let place = ci_service(case).map(pod_of_jobs);
            return place.into_iter().fold(remedy, Remedy::needs);
        }
        (Action::Sandbox(_), Some(sandbox)) => return remedy.worded(sandbox),
        (Action::Unit(unit), _) if unit.user => {
            return remedy.needs("no root: type it as the user whose unit it is");
        }
        (Action::Sysctl(_) | Action::Selinux(_) | Action::AppArmor(_) | Action::Unit(_), _) if ours => {
            return remedy.for_root();
        }
        _ => {}
    }
    remedy
}

/// Where nobody can set it: what the platform offers instead, after whatever the sandbox itself can do without.
fn elsewhere(case: &Case<'_>, platform: Platform) -> Vec<Remedy> {
    let mut remedy = match platform {
        Platform::Fargate => told!("fargate"),
        Platform::Lambda => told!("lambda"),
        Platform::CloudRun if case.on(Platform::GVisor) => told!("cloud-run-gvisor"),
        Platform::CloudRun => told!("cloud-run"),
        Platform::ContainerApps => told!("container-apps"),
        Platform::Ecs => told!("ecs"),
        Platform::Heroku => told!("heroku"),
        Platform::CircleCi => told!("circleci"),
        Platform::Bitbucket => told!("bitbucket"),
        Platform::CodeBuild => told!("codebuild"),
        _ => told!("managed", platform),
    };
    remedy.last = true;
    vec![remedy]
}

/// Settings of the unit that we are in.
pub(super) fn unit(case: &Case<'_>, settings: &[(&str, &str)]) -> Action {
    let (unit, user) = own_unit(case).map_or((None, false), |(name, user)| (Some(name.to_owned()), user));
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Action::Unit(UnitSettings { unit, user, settings })
}

/// An option of the command that starts the container.
fn option(engine: Engine, option: &str) -> Action {
    Action::options(engine, &[option], &[])
}

/// A field of the pod.
fn pod(patch: impl FnOnce(&mut PodPatch)) -> Action {
    let mut pod = PodPatch::default();
    patch(&mut pod);
    Action::Pod(pod)
}

const ROOT_OUTSIDE: &str = "root on the machine that runs the container";
const NESTED_CONTAINER: &str =
    "the SCC for the pod's service account: oc adm policy add-scc-to-user nested-container -z ACCOUNT";
const NESTED_CONTAINER_SINCE: &str = "OpenShift 4.20 or later (4.19 as a technology preview)";
const PRIVILEGED_STANDARD: &str = "Pod Security Standards: privileged; baseline and restricted forbid it";
#[cfg(test)]
mod tests {
    use super::super::Symptom;
    use super::super::fixtures::{docker, explain, machine, on};
    use super::*;
    use crate::host::Host;

    fn summaries(remedies: &[Remedy]) -> Vec<&str> {
        remedies.iter().map(|remedy| remedy.summary.as_str()).collect()
    }

    /// Who starts jobs in pods has the fields of these in a file of its own.
    #[test]
    fn pods_of_jobs_are_said_by_their_runner() {
        use crate::host::Platform;
        let needs = |platforms: &[Platform]| {
            let host = platforms.iter().fold(machine(), |host, platform| on(host, *platform));
            let case = Case::new(None, &host, None);
            let all = fit(&case, Wish::WholeProc.grant(&case));
            all.into_iter().flat_map(|remedy| remedy.requires).collect::<Vec<_>>().join("\n")
        };
        let gitlab = needs(&[Platform::Kubernetes, Platform::GitLabCi]);
        assert_eq!(gitlab.matches("[[runners.kubernetes.pod_spec]]").count(), 1, "{gitlab}");
        let github = needs(&[Platform::Kubernetes, Platform::GitHubActions]);
        assert!(github.contains("template` of its runner set") && !github.contains("pod_spec"), "{github}");
        for others in
            [&[Platform::Kubernetes][..], &[Platform::Docker, Platform::GitLabCi], &[Platform::GitLabCi]]
        {
            let text = needs(others);
            assert!(!text.contains("makes the pod"), "{text}");
        }
    }

    #[test]
    fn a_message_alone_is_answered_for_each_environment() {
        let host = Host::default();
        let case = Case::new(None, &host, None);
        assert_eq!(Setting::of(&case), Setting::Unknown);
        assert_eq!(
            summaries(&Wish::WholeProc.grant(&case)),
            [
                "In Docker: start the container with an unmasked /proc",
                "In Podman: start the container with an unmasked /proc",
                "In Kubernetes: give the pod a user namespace of its own, and its container an unmasked /proc",
                "On a machine: mount a second, whole /proc beside the covered one",
            ]
        );
        // a machine's setting is the same for both engines
        let set = Wish::Sysctl("kernel.unprivileged_userns_clone", "1", "x").grant(&case);
        assert!(set[0].summary.starts_with("In Docker and Podman: set kernel."), "{:?}", summaries(&set));
        assert!(set[2].summary.starts_with("On a machine: set kernel."));
        assert!(set[2].requires.iter().any(|what| what.starts_with("root: ")));
        for wish in [Wish::MappedRoot, Wish::NoAmbientCapabilities] {
            let found = wish.grant(&case);
            assert!(summaries(&found)[0].starts_with("In Docker: "), "{found:?}");
            assert!(found.last().is_some_and(|last| last.summary.starts_with("On a machine: ")), "{found:?}");
        }
        let calls = Wish::Calls(Calls::Sandboxing).grant(&case);
        assert_eq!(calls.len(), 4);
        assert_eq!(calls.iter().map(|remedy| remedy.files.len()).sum::<usize>(), 1);
        assert!(
            calls[2].requires.iter().any(|what| what.contains("seccomp/profiles/bwrap.json, with the same"))
        );
        assert!(
            !Wish::Selinux(&[]).grant(&case).is_empty() && Wish::More(Limit::Pids).grant(&case).len() == 4
        );
    }

    #[test]
    fn root_is_asked_for_where_we_are_not() {
        let wants = |host: &Host| {
            let case = Case::new(None, host, None);
            let remedies = fit(&case, Wish::Sysctl("a.b", "1", "x").grant(&case));
            remedies[0].requires.iter().any(|what| what.contains("sudo sh"))
        };
        let mut host = machine();
        assert!(wants(&host));
        host.process.uid = Fact::Present(0);
        assert!(!wants(&host));
    }

    fn texts(host: &Host, wish: Wish<'_>) -> Vec<String> {
        let case = Case::new(None, host, None);
        fit(&case, wish.grant(&case)).iter().map(Remedy::instructions).collect()
    }

    #[test]
    fn a_runner_of_gitlab_has_a_file_for_options() {
        let host = on(docker(), Platform::GitLabCi);
        let user = texts(&host, Wish::MappedRoot);
        assert!(user[0].ends_with("[runners.docker]\n  user = \"1000\"\n"), "{}", user[0]);
        assert!(
            user[1].contains("  cap_add = [\"SETFCAP\"]\n") && user[1].contains("delete cap_drop"),
            "{}",
            user[1]
        );
        let calls = texts(&host, Wish::Calls(Calls::Sandboxing));
        assert!(
            calls[0].starts_with("# on the machine of the runner") && calls[0].contains("cat > bwrap.json")
        );
        assert!(
            calls[0].contains("  security_opt = [\"seccomp=bwrap.json\"]\n  # the whole path"),
            "{}",
            calls[0]
        );
        assert!(calls[1].ends_with("  security_opt = [\"seccomp=unconfined\"]\n"), "{}", calls[1]);
        let unmasked = texts(&host, Wish::WholeProc);
        assert_eq!(unmasked.len(), 1);
        assert!(
            unmasked[0].ends_with("[runners.docker]\n  security_opt = [\"unmask=/proc/*\"]\n"),
            "{unmasked:?}"
        );
    }

    #[test]
    fn a_workflow_of_github_has_options_for_its_container() {
        let host = on(docker(), Platform::GitHubActions);
        let text = &texts(&host, Wish::MappedRoot)[0];
        assert_eq!(
            text,
            "# in the workflow:\njobs:\n  JOB:\n    container:\n      options: \"--user=1000\"\n"
        );
        // without a service there is a command line
        assert_eq!(texts(&docker(), Wish::MappedRoot)[0], "docker run --user=1000 IMAGE\n");
    }

    #[test]
    fn where_nothing_can_be_set_the_sandbox_changes_first() {
        let told = |platforms: &[Platform]| {
            let mut host = docker();
            host.platforms = Fact::Absent;
            let host = platforms.iter().fold(host, |host, platform| on(host, *platform));
            let said = "Can't mount proc on /newroot/proc: Operation not permitted";
            let found = explain(said, &host, &crate::diagnosis::fixtures::whole());
            found.causes[0].remedies.iter().map(|remedy| remedy.summary.clone()).collect::<Vec<_>>()
        };
        let bind = "Bind the outer /proc read-only instead of mounting a new one";
        for (platforms, offer) in [
            (&[Platform::Fargate][..], "Start one task for each job"),
            (&[Platform::Lambda], "Run the job elsewhere"),
            (&[Platform::ContainerApps], "Run the job in a dynamic session"),
            (&[Platform::RunPod], "Run it where the options"),
            (&[Platform::Ecs], "Let the task definition permit"),
            (&[Platform::Heroku], "Start a one-off dyno for each job"),
            (&[Platform::Docker, Platform::CircleCi], "Run the job on CircleCI's machine executor"),
            (&[Platform::Docker, Platform::Bitbucket], "Run the step on a runner of your own"),
            (&[Platform::CodeBuild], "Turn on privileged mode"),
            // which Container Apps are made of
            (&[Platform::Kubernetes, Platform::ContainerApps], "Run the job in a dynamic session"),
        ] {
            let told = told(platforms);
            assert_eq!(told[0], bind, "{told:?}");
            assert!(told[1].starts_with(offer) && told.len() == 2, "{told:?}");
        }
        let calls = |host: Host| texts(&host, Wish::Calls(Calls::Sandboxing)).concat();
        assert!(calls(on(on(machine(), Platform::CloudRun), Platform::GVisor)).contains("environment=gen2"));
        assert!(calls(on(machine(), Platform::CloudRun)).contains("--concurrency=1"));
        // an image is theirs, and limits of their own processes
        assert!(texts(&on(docker(), Platform::Lambda), Wish::User).concat().contains("USER 1000"));
        assert!(
            texts(&on(machine(), Platform::Lambda), Wish::More(Limit::Files)).concat().contains("ulimit")
        );
    }

    #[test]
    fn who_only_runs_a_launcher_is_told_what_to_do() {
        let host = machine();
        let symptom = Symptom::from_text(b"bwrap: Can't create file at /w/.codex: Read-only file system");
        let sandbox = crate::Sandbox::new().ro_bind("/", "/").ro_bind("/opt/codex-resources/x", "/w/.codex");
        let diagnosis = crate::diagnosis::diagnose(&symptom, &host, Some(&sandbox));
        let remedies = &diagnosis.causes[0].remedies;
        let codex = remedies.iter().position(|remedy| remedy.summary.contains("Codex")).unwrap();
        let change = |remedy: &Remedy| matches!(remedy.action, Action::Sandbox(_));
        assert!(remedies[..codex].iter().all(|remedy| !change(remedy)), "{remedies:?}");
        assert!(
            remedies[codex + 1..].iter().all(|remedy| remedy
                .requires
                .last()
                .unwrap()
                .contains("wrote this line"))
        );
    }

    #[test]
    fn what_cannot_work_comes_last() {
        let host = machine();
        let remedy = |summary: &str, need: Need| Remedy::told(summary, &[]).needs(need);
        let mut remedies = [
            remedy("a", Need::Linux("", (7, 9))),
            remedy("b", Need::Linux("", (5, 1))),
            remedy("c", "luck".into()),
        ];
        weigh(&Case::new(None, &host, None), &mut remedies);
        let told: Vec<(&str, Vec<String>)> =
            remedies.iter().map(|remedy| (&*remedy.summary, remedy.requires.clone())).collect();
        let unmet = "Linux 7.9 or later; this is 6.12.0-1-amd64".to_owned();
        assert_eq!(told, [("b", vec![]), ("c", vec!["luck".to_owned()]), ("a", vec![unmet])]);
    }
}
