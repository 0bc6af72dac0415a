//! `bwrap-doctor pod`: will a bwrap line start in the pods of a manifest?

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

use bwrap_launch::Sandbox;
use bwrap_launch::Version;
use bwrap_launch::kubernetes::{
    Answer, Cluster, Cure, Forecast, Runtime, Standard, Workload, probe, read, standard,
};
use serde::Serialize;

use crate::Result;
use crate::cli::{Format, Pod};
use crate::output::{self, BAD, Envelope, GOOD, styled};
use crate::{explain, line};

/// It will not start with one of the runtimes.
const NO: u8 = 1;
/// What is not known of the nodes decides.
const UNKNOWN: u8 = 3;

/// Manifests are no longer; what is, is something else.
const LONGEST: u64 = 16 << 20;

/// What is judged where no line is given: all namespaces, a /proc and a /dev of its own.
const LINE: &str = "--ro-bind /lib /lib --ro-bind /usr /usr --symlink /usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp \
                    --unshare-all --new-session ps afx";

#[derive(Serialize)]
struct Judged {
    workload: String,
    container: String,
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

pub(crate) fn run(task: &Pod, format: Format) -> Result {
    let words = line_words(task);
    let sandbox = sandbox(task, &words)?;
    let clusters = clusters(task)?;
    let mut workloads = Vec::new();
    for path in &task.files {
        let shown = path.display();
        let text = text(path).map_err(|what| format!("{shown}: {what}"))?;
        workloads.extend(read(&text).map_err(|error| format!("{shown}: {error}"))?);
    }
    let wanted = |name: &str| task.container.as_deref().is_none_or(|container| container == name);
    if !workloads.iter().flat_map(Workload::containers).any(wanted) {
        return Err(format!("no container is called {}", task.container.as_deref().unwrap_or_default()));
    }
    if task.probe {
        let mut text = String::new();
        for (workload, container) in pairs(&workloads, &wanted) {
            let job = probe(workload, container, &words).map_err(|error| error.to_string())?;
            let _ = write!(text, "---\n# kubectl create -f FILE, then: kubectl logs -f job/NAME\n{job}");
        }
        output::print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    if task.patch {
        return patch(task, &clusters, &workloads, &sandbox, &wanted);
    }
    let mut judged = Vec::new();
    for (workload, container) in pairs(&workloads, &wanted) {
        let forecasts = clusters.iter().map(|cluster| cluster.foretell(workload, container, &sandbox));
        let forecasts = forecasts.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let standard = clusters.first().map_or(Standard::Privileged, |cluster| standard(workload, cluster).0);
        judged.push(Judged {
            workload: workload.title(),
            container: container.to_owned(),
            standard,
            forecasts,
        });
    }
    let answer = whole(judged.iter().flat_map(|one| &one.forecasts));
    if format == Format::Json {
        output::print_json(&Envelope::new("pod", Report { answer, containers: judged }))?;
    } else {
        output::print(&told(&judged, answer))?;
    }
    Ok(status(answer))
}

fn pairs<'a>(
    workloads: &'a [Workload],
    wanted: &impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&'a Workload, &'a str)> {
    let all = workloads.iter().flat_map(|workload| workload.containers().map(move |name| (workload, name)));
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

fn told(judged: &[Judged], answer: Answer) -> String {
    let mut text = String::new();
    for one in judged {
        let _ =
            writeln!(text, "{}, container {} (Pod Security: {})", one.workload, one.container, one.standard);
        for forecast in &one.forecasts {
            tell(&mut text, forecast);
        }
        text.push('\n');
    }
    text.push_str(match answer {
        Answer::Starts => "",
        Answer::DependsOnNode => {
            "What the nodes say: `bwrap-doctor host --format json >node.json` on one, outside of containers, then the same with\n\
             --node node.json. Or ask the cluster itself: --probe prints a job that tries.\n"
        }
        _ => "What to change, as one patch: the same with --patch. All about a cause: bwrap-doctor explain CODE\n",
    });
    text
}

fn tell(text: &mut String, forecast: &Forecast) {
    let runtime = forecast.runtime.to_string();
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
            if let Some(remedy) = finding.remedies.first() {
                say(&format!("    {}", remedy.summary));
            }
            then = "then: ";
        }
    }
    for question in &forecast.ask {
        say(&format!("  not known: {question}"));
    }
}

/// One change a workload, with what it costs and needs.
fn patch(
    task: &Pod,
    clusters: &[Cluster],
    workloads: &[Workload],
    sandbox: &Sandbox,
    wanted: &impl Fn(&str) -> bool,
) -> Result {
    let mut text = String::new();
    let mut remedies = Vec::new();
    let mut forecasts = Vec::new();
    for workload in workloads {
        let Some(container) = meant(workload, wanted)? else { continue };
        let cure = Cure::of(clusters, workload, container, sandbox).map_err(|error| error.to_string())?;
        let _ = writeln!(text, "---\n# {}, container {container}", workload.title());
        if cure.is_empty() {
            text.push_str("# nothing in it is to be changed\n");
        } else {
            comments(&mut text, workload, &cure, clusters);
        }
        for finding in &cure.left {
            let _ =
                writeln!(text, "# no field of the pod helps: {} [{}]", finding.summary, finding.cause.code());
            if let Some(remedy) = finding.remedies.first() {
                let _ = writeln!(text, "#   {}", remedy.summary);
                remedies.push(remedy.clone());
            }
        }
        let mut asked = Vec::new();
        for cluster in clusters {
            let forecast = cluster.foretell(&cure.changed, container, sandbox);
            let forecast = forecast.map_err(|error| error.to_string())?;
            for refused in &forecast.refused {
                let _ = writeln!(text, "# {}: {}; {}", forecast.runtime, refused.text, refused.remedy);
            }
            for question in &forecast.ask {
                if !asked.contains(question) {
                    asked.push(question.clone());
                }
            }
            forecasts.push(forecast);
        }
        for question in &asked {
            let _ = writeln!(text, "# not known: {question}");
        }
        text.push_str(&cure.patch());
        remedies.extend(cure.remedies);
    }
    if task.write.is_none() && remedies.iter().any(|remedy| !remedy.files.is_empty()) {
        text.push_str("# --write DIR writes the files that the nodes must have\n");
    }
    let written = output::write_remedies(remedies.iter(), task.write.as_deref())?;
    for line in written.lines().filter(|line| !line.is_empty()) {
        let _ = writeln!(text, "# {line}");
    }
    output::print(&text)?;
    Ok(status(whole(forecasts.iter())))
}

/// The container that runs bwrap: the one that was named, or the only one that stays.
fn meant<'a>(workload: &'a Workload, wanted: &impl Fn(&str) -> bool) -> Result<Option<&'a str>> {
    let all: Vec<&str> = workload.containers().filter(|name| wanted(name)).collect();
    let mut stay = all.iter().filter(|name| !workload.starts_up(name));
    match (all.as_slice(), stay.next(), stay.next()) {
        ([], ..) => Ok(None),
        ([only], ..) | (_, Some(only), None) => Ok(Some(only)),
        (all, ..) => Err(format!(
            "{} has several containers, {}: say by --container which of them runs bwrap",
            workload.title(),
            all.join(", ")
        )),
    }
}

fn comments(text: &mut String, workload: &Workload, cure: &Cure, clusters: &[Cluster]) {
    let how = if workload.kind() == "Pod" {
        "kubectl patch --local -f FILE --type strategic --patch-file PATCH -o yaml >NEW; kubectl replace --force -f NEW"
            .to_owned()
    } else {
        format!("kubectl patch {} --type strategic --patch-file PATCH", workload.title())
    };
    let _ = writeln!(text, "# {how}");
    for remedy in &cure.remedies {
        let _ = writeln!(text, "# {}\n#   price: {}", remedy.summary, remedy.opens);
        for needs in &remedy.requires {
            let _ = writeln!(text, "#   needs: {needs}");
        }
    }
    if let Some((level, why)) = clusters.first().map(|cluster| standard(&cure.changed, cluster)) {
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(", ")) };
        let _ = writeln!(text, "# Pod Security that lets it in: {level}{why}");
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

fn clusters(task: &Pod) -> Result<Vec<Cluster>> {
    let node = task.node.as_deref().map(explain::read_host).transpose()?;
    let kubernetes = task.kubernetes.as_deref().map(kubernetes).transpose()?;
    let named = if task.runtime.is_empty() {
        // gVisor refuses what the others need: no one change is for all
        let wanted = |runtime: &&Runtime| !task.patch || **runtime != Runtime::GVisor;
        Runtime::ALL.iter().filter(wanted).map(|runtime| (*runtime, None)).collect()
    } else {
        task.runtime.iter().map(|text| runtime(text)).collect::<Result<Vec<_>>>()?
    };
    let cluster = |(runtime, version)| {
        let mut cluster = Cluster::new(runtime);
        cluster.runtime_version = version;
        cluster.kubernetes = kubernetes;
        cluster.image_user = task.image_user;
        if let Some(node) = &node {
            cluster.node.clone_from(node);
        }
        cluster
    };
    Ok(named.into_iter().map(cluster).collect())
}

/// `cri-o`, or `cri-o=1.33.1`.
fn runtime(text: &str) -> Result<(Runtime, Option<Version>)> {
    let (name, version) = text.split_once('=').map_or((text, None), |(name, version)| (name, Some(version)));
    let runtime = name.parse().map_err(|error: bwrap_launch::kubernetes::ManifestError| error.to_string())?;
    let parsed = version.map(|version| match numbers(version)[..] {
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

fn numbers(version: &str) -> Vec<Option<u32>> {
    version.trim_start_matches('v').split('.').map(|number| number.parse().ok()).collect()
}

fn text(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().take(LONGEST + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
    };
    let length = read.map_err(|error| error.to_string())?;
    if length as u64 > LONGEST {
        return Err(format!("longer than {} MiB", LONGEST >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "no text: not UTF-8".to_owned())
}
