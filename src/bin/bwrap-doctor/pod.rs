//! `bwrap-doctor pod`: will a bwrap line start in the pods of a manifest?

mod change;
mod node;

use std::fmt::Write as _;
use std::process::ExitCode;

use bwrap_launch::Sandbox;
use bwrap_launch::Version;
use bwrap_launch::diagnosis::{Finding, Remedy};
use bwrap_launch::host::Platform;
use bwrap_launch::kubernetes::{
    Answer, Cluster, Cure, Forecast, Runtime, Standard, Workload, probe, read, standard,
};
use serde::Serialize;

use crate::Result;
use crate::cli::{Format, Pod};
use crate::output::{self, BAD, Envelope, GOOD, styled};
use crate::{given, line};

/// It will not start with one of the runtimes.
const NO: u8 = 1;
/// What is not known of the nodes decides.
const UNKNOWN: u8 = 3;

/// What is judged where no line is given: all namespaces, a /proc and a /dev of its own.
const LINE: &str = "--ro-bind /lib /lib --ro-bind /usr /usr --symlink /usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp \
                    --unshare-all --new-session ps afx";

#[derive(Serialize)]
struct Judged {
    workload: String,
    container: String,
    /// Whether the answer is about it, too.
    #[serde(skip)]
    counts: bool,
    #[serde(skip)]
    beside: Option<&'static str>,
    /// The Pod Security Standard that lets it in.
    standard: Standard,
    forecasts: Vec<Forecast>,
}

#[derive(Serialize)]
struct Report {
    /// What the exit status says.
    answer: Answer,
    containers: Vec<Judged>,
}

/// What is to start where.
struct Wish<'a> {
    clusters: &'a [Cluster],
    sandbox: &'a Sandbox,
    /// Whether a container of this name is meant.
    wanted: &'a dyn Fn(&str) -> bool,
}

pub(crate) fn run(task: &Pod, format: Format) -> Result {
    if format == Format::Json && (task.patch || task.write || task.probe) {
        return Err("--format json is for the report: --patch, --write and --probe print what is applied as it is (--patch-type \
                    json: as a list of RFC 6902)"
            .to_owned());
    }
    let words = line_words(task);
    let sandbox = sandbox(task, &words)?;
    let mut clusters = clusters(task)?;
    let mut files = Vec::new();
    for path in &task.files {
        let shown = path.display();
        let text = given::text(path).map_err(|what| format!("{shown}: {what}"))?;
        let workloads = read(&text).map_err(|error| format!("{shown}: {error}"))?;
        files.push((path.as_path(), text, workloads));
    }
    let workloads: Vec<&Workload> = files.iter().flat_map(|(.., workloads)| workloads).collect();
    if task.runtime.is_empty() {
        only_there(&mut clusters, &workloads);
    }
    let wanted = |name: &str| task.container.as_deref().is_none_or(|container| container == name);
    if !workloads.iter().flat_map(|workload| workload.containers()).any(wanted) {
        let mut there: Vec<&str> = workloads.iter().flat_map(|workload| workload.containers()).collect();
        there.sort_unstable();
        there.dedup();
        let wanted = task.container.as_deref().unwrap_or_default();
        return Err(format!("no container is called {wanted}, but: {}", there.join(", ")));
    }
    if task.probe {
        let mut text = String::new();
        // one that only starts the pod up is meant where it is named, or there is no other
        let meant = |(workload, container): &(&Workload, &str)| beside(workload, container).is_none();
        let mut all: Vec<_> = pairs(&workloads, &wanted).collect();
        if task.container.is_none() && all.iter().any(meant) {
            all.retain(meant);
        }
        let jobs = all.into_iter().map(|(workload, container)| {
            let title = format!("{}, container {container}", workload.title());
            probe(workload, container, &words).map(|job| (title, job)).map_err(|error| error.to_string())
        });
        let jobs: Vec<_> = jobs.collect();
        if let (false, Some(Err(error))) = (jobs.iter().any(Result::is_ok), jobs.first()) {
            return Err(error.clone());
        }
        for job in jobs {
            let Ok((title, job)) = job.inspect_err(|error| _ = writeln!(text, "# {error}")) else { continue };
            let how = "kubectl create -f FILE, then: kubectl logs -f job/NAME";
            let _ = write!(text, "---\n# {title}\n# {how}\n{job}");
        }
        output::print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    if task.patch || task.write {
        let wish = Wish { clusters: &clusters, sandbox: &sandbox, wanted: &wanted };
        return if task.patch {
            change::patch(task, &wish, &workloads)
        } else {
            change::write(task, &wish, &files)
        };
    }
    let mut judged = Vec::new();
    for workload in &workloads {
        let standard = clusters.first().map_or(Standard::Privileged, |cluster| standard(workload, cluster).0);
        for container in workload.containers().filter(|name| wanted(name)) {
            let forecasts = clusters.iter().map(|cluster| cluster.foretell(workload, container, &sandbox));
            let mut forecasts =
                forecasts.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
            // of a class of gVisor's it is gVisor with each of them
            forecasts.dedup_by_key(|forecast| forecast.runtime);
            judged.push(Judged {
                workload: workload.title(),
                container: container.to_owned(),
                counts: task.container.is_some() || beside(workload, container).is_none(),
                beside: beside(workload, container),
                standard,
                forecasts,
            });
        }
    }
    let answer = whole(judged.iter().filter(|one| one.counts).flat_map(|one| &one.forecasts));
    if format == Format::Json {
        output::print_json(&Envelope::new("pod", Report { answer, containers: judged }))?;
    } else {
        let helps = || {
            let counts = |workload: &Workload, name: &str| {
                task.container.is_some() || beside(workload, name).is_none()
            };
            pairs(&workloads, &wanted).filter(|(workload, name)| counts(workload, name)).any(
                |(workload, container)| {
                    Cure::of(&clusters, workload, container, &sandbox).is_ok_and(|cure| !cure.is_empty())
                },
            )
        };
        output::print(&told(&judged, answer, task.node.is_some(), helps))?;
    }
    Ok(status(answer))
}

/// What a container does beside those that a pod is for; nobody means it unless it is named, and no change is for it.
fn beside(workload: &Workload, container: &str) -> Option<&'static str> {
    match container {
        _ if workload.is_ephemeral(container) => Some("only debugs it"),
        _ if workload.starts_up(container) => Some("only starts it up"),
        _ => None,
    }
}

fn pairs<'a>(
    workloads: &[&'a Workload],
    wanted: &impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&'a Workload, &'a str)> {
    let all = workloads.iter().copied();
    let all = all.flat_map(|workload| workload.containers().map(move |name| (workload, name)));
    all.filter(move |(_, name)| wanted(name))
}

/// The answer for all of them: the worst, and what is not known before what is good.
fn whole<'a>(forecasts: impl Iterator<Item = &'a Forecast>) -> Answer {
    let rank = |answer: &Answer| match answer {
        Answer::Starts => 0,
        Answer::DependsOnNode => 1,
        Answer::Fails => 2,
        _ => 3,
    };
    forecasts.map(|forecast| forecast.answer).max_by_key(rank).unwrap_or(Answer::DependsOnNode)
}

fn status(answer: Answer) -> ExitCode {
    match answer {
        Answer::Starts => ExitCode::SUCCESS,
        Answer::DependsOnNode => ExitCode::from(UNKNOWN),
        _ => ExitCode::from(NO),
    }
}

fn told(judged: &[Judged], answer: Answer, node: bool, helps: impl FnOnce() -> bool) -> String {
    let mut text = String::new();
    for one in judged {
        let role = one.beside.filter(|_| !one.counts);
        let role = role.map_or_else(String::new, |role| {
            format!(", which {role} and is not meant without --container {}", one.container)
        });
        let _ = writeln!(
            text,
            "{}, container {}{role} (Pod Security: {})",
            one.workload, one.container, one.standard
        );
        for forecast in &one.forecasts {
            tell(&mut text, forecast);
        }
        text.push('\n');
    }
    text.push_str(match answer {
        Answer::Starts => "",
        Answer::DependsOnNode if node => {
            "What the cluster itself says: --probe prints a job that tries.\n"
        }
        Answer::DependsOnNode => {
            "What the nodes say: `bwrap-doctor host --format json >node.json` on one, outside of containers, then the same with\n\
             --node node.json. Or ask the cluster itself: --probe prints a job that tries.\n"
        }
        _ if !helps() => {
            "No field of these pods is to be changed by a patch: what helps stands above. All about a cause: bwrap-doctor explain CODE\n"
        }
        _ => "What to change, as one patch: the same with --patch (--write: in the file). All about a cause: bwrap-doctor explain CODE\n",
    });
    text
}

/// What helps first, and what would if it were not for something here.
fn helps(finding: &Finding) -> Vec<String> {
    let undone = |remedy: &Remedy| {
        let why = remedy.requires.iter().find_map(|need| need.strip_prefix(NOT_SO))?;
        Some(format!("not proposed: {} ({why})", uncapitalized(&remedy.summary)))
    };
    let first = finding.remedies.first().filter(|remedy| undone(remedy).is_none());
    let first = first.map(|remedy| remedy.summary.clone());
    first.into_iter().chain(finding.remedies.iter().find_map(undone)).collect()
}

/// How the need of a remedy begins that the room of manifests has put last.
const NOT_SO: &str = "that this is not so: ";

fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn tell(text: &mut String, forecast: &Forecast) {
    let platforms = forecast.host.platforms.present();
    let fargate = platforms.is_some_and(|all| all.iter().any(|one| one.platform == Platform::Fargate));
    let runtime = format!("{}{}", forecast.runtime, if fargate { ", on AWS Fargate" } else { "" });
    let mut say = |what: &str| {
        let _ = writeln!(text, "  {what}");
    };
    match forecast.answer {
        Answer::Starts => say(&format!("{runtime}: {}", styled(GOOD, "starts"))),
        Answer::NotStarted => say(&format!("{runtime}: {}", styled(BAD, "the pod is not started"))),
        Answer::Fails => say(&format!("{runtime}: {}", styled(BAD, "bwrap will not start"))),
        _ => say(&format!("{runtime}: cannot be told without the node")),
    }
    for refused in &forecast.refused {
        let code = refused.cause.map_or_else(String::new, |cause| format!(" [{}]", cause.code()));
        say(&format!("  {}{code}", refused.text));
        say(&format!("    {}", refused.remedy));
    }
    if forecast.answer != Answer::NotStarted {
        let mut then = "";
        for finding in &forecast.obstacles {
            say(&format!("  {then}{} [{}]", finding.summary, finding.cause.code()));
            for line in helps(finding) {
                say(&format!("    {line}"));
            }
            then = "then: ";
        }
    }
    for assumed in &forecast.assumed {
        say(&format!("  taken for granted: {assumed}"));
    }
    for question in &forecast.ask {
        say(&format!("  not known: {question}"));
    }
}

/// The line's words, as they are judged.
fn line_words(task: &Pod) -> Vec<String> {
    if task.line.is_empty() {
        return LINE.split_whitespace().map(str::to_owned).collect();
    }
    task.line.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn sandbox(task: &Pod, words: &[String]) -> Result<Sandbox> {
    if let Some(path) = &task.args {
        return Ok(line::of_file(path)?.sandbox);
    }
    let words = if task.line.is_empty() { words.iter().map(Into::into).collect() } else { task.line.clone() };
    let (_, words) = line::without_name(words);
    let line = line::read(words).map_err(|error| format!("cannot read the bwrap line: {error}"))?;
    Ok(line.sandbox)
}

/// Where each of the pods tells what made its containers, no other runtime is meant.
fn only_there(clusters: &mut Vec<Cluster>, workloads: &[&Workload]) {
    let told: Option<Vec<Runtime>> = workloads.iter().map(|workload| workload.runtime()).collect();
    let Some(told) = told else { return };
    if clusters.iter().any(|cluster| told.contains(&cluster.runtime)) {
        clusters.retain(|cluster| told.contains(&cluster.runtime));
    }
}

fn clusters(task: &Pod) -> Result<Vec<Cluster>> {
    let node = task.node.as_deref().map(node::read).transpose()?;
    let of_node = || node.as_ref().and_then(|node| node.kubernetes);
    let kubernetes = task.kubernetes.as_deref().map(kubernetes).transpose()?.or_else(of_node);
    let told = node.as_ref().and_then(|node| node.runtime);
    let named = if let (true, Some(told)) = (task.runtime.is_empty(), told) {
        vec![told]
    } else if task.runtime.is_empty() {
        // gVisor refuses what the others need: no one change is for all
        let wanted = |runtime: &&Runtime| !(task.patch || task.write) || **runtime != Runtime::GVisor;
        Runtime::ALL.iter().filter(wanted).map(|runtime| (*runtime, None)).collect()
    } else {
        task.runtime.iter().map(|text| runtime(text)).collect::<Result<Vec<_>>>()?
    };
    let cluster = |(runtime, version)| {
        let mut cluster = Cluster::new(runtime);
        cluster.runtime_version = version;
        cluster.kubernetes = kubernetes;
        cluster.image_user = task.image_user;
        cluster.seccomp_default = task.seccomp_default;
        if let Some(node) = &node {
            cluster.node.clone_from(&node.host);
        }
        cluster
    };
    Ok(named.into_iter().map(cluster).collect())
}

/// `cri-o`, or `cri-o=1.33.1`.
fn runtime(text: &str) -> Result<(Runtime, Option<Version>)> {
    // or `containerd://2.1.3`, as `kubectl get node -o wide` prints it
    let both = text.split_once("://").or_else(|| text.split_once('='));
    let (name, version) = both.map_or((text, None), |(name, version)| (name, Some(version)));
    let runtime = name.parse().map_err(|error: bwrap_launch::kubernetes::ManifestError| error.to_string())?;
    // gVisor's are days: `release-20250101.0`
    let version = version.map(|version| version.trim_start_matches("release-"));
    let parsed = version.map(|version| match numbers(version)[..] {
        [Some(major)] => Ok(Version::new(major, 0, 0)),
        [Some(major), Some(minor)] => Ok(Version::new(major, minor, 0)),
        [Some(major), Some(minor), Some(patch), ..] => Ok(Version::new(major, minor, patch)),
        _ => Err(format!("no version of {runtime}: {version}")),
    });
    Ok((runtime, parsed.transpose()?))
}

/// `1.37`, `v1.37.2`.
fn kubernetes(text: &str) -> Result<(u32, u32)> {
    match numbers(text)[..] {
        [Some(major), Some(minor), ..] => Ok((major, minor)),
        _ => Err(format!("no version of Kubernetes: {text}; 1.37 is one")),
    }
}

/// The numbers that a version begins with: `v2.1.0-rc.1`, `1.33+`.
fn numbers(version: &str) -> Vec<Option<u32>> {
    let version = version.trim_start_matches('v');
    let (numbers, _) = version.split_once(['-', '+']).unwrap_or((version, ""));
    numbers.split('.').map(|number| number.parse().ok()).collect()
}
