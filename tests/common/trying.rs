//! The program that containers and virtual machines run: it predicts, launches and diagnoses a sandbox where it is, and says
//! what came of it as JSON. And the other side: what was said, following the remedies until the sandbox starts, and judging the
//! way there.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bwrap_launch::diagnosis::{self, Outlook, SandboxChange};
use bwrap_launch::host::Host;
use bwrap_launch::{Bwrap, BwrapError, Command, Error, Stdio};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// CRI-O's own fault.
const UNMASKED_IN_VAIN: &str = "PR11";

/// What begins the line that is meant.
const MARK: &str = "bwrap-launch-tried:";

/// What came of a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tried {
    /// What was foretold.
    pub(crate) outlook: Outlook,
    /// The codes of what stands in the way, as foretold.
    pub(crate) obstacles: Vec<String>,
    /// `started`, or which error it was.
    pub(crate) verdict: String,
    /// The error in a line.
    pub(crate) error: String,
    /// The diagnosis, as JSON.
    pub(crate) diagnosis: Value,
    /// What the host said.
    pub(crate) host: Value,
}

/// Tries a line of bwrap's: `[CHANGES] LINE...`, where CHANGES is a JSON list of changes that are made first.
pub(crate) fn try_line(words: &[String]) {
    let (changes, line) = words.split_first().expect("changes and a line");
    let changes: Vec<SandboxChange> = serde_json::from_str(changes).unwrap();
    let mut command = Command::from_args(line).unwrap();
    if !changes.is_empty() {
        let sandbox =
            changes.iter().fold(command.get_sandbox().clone(), |sandbox, change| change.apply(&sandbox));
        let mut other = sandbox.command(command.get_program());
        other.args(command.get_args());
        command = other;
    }
    let bwrap = Bwrap::find();
    let host = match &bwrap {
        Ok(bwrap) => Host::snapshot_for(bwrap.path(), bwrap.version_text()),
        Err(BwrapError::Unusable { path, .. } | BwrapError::Refuses { path, .. }) => {
            Host::snapshot_for(path, "")
        }
        Err(error) => panic!("{error}"),
    };
    let prediction = diagnosis::predict(&host, command.get_sandbox());
    // where there is no /dev/null, too
    let outcome = bwrap
        .map_err(|error| Error::from(error).explain_here())
        .and_then(|bwrap| command.bwrap(&bwrap).stdin(Stdio::inherit()).output());
    let (verdict, error) = match &outcome {
        Ok(output) if output.status.success() => ("started", String::new()),
        Ok(output) => ("ran", format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))),
        Err(error) => (verdict(error), error.to_string()),
    };
    let diagnosis = outcome.as_ref().err().and_then(Error::diagnosis);
    let tried = Tried {
        outlook: prediction.outlook,
        obstacles: prediction.obstacles.iter().map(|finding| finding.cause.code().to_owned()).collect(),
        verdict: verdict.to_owned(),
        error,
        diagnosis: serde_json::to_value(diagnosis).unwrap(),
        host: serde_json::to_value(&host).unwrap(),
    };
    println!("{MARK}{}", serde_json::to_string(&tried).unwrap());
}

fn verdict(error: &Error) -> &'static str {
    match error {
        Error::Refused(_) => "refused",
        Error::SetupFailed(_) => "setup-failed",
        Error::NotExecuted(_) => "not-executed",
        Error::Undecided(_) => "undecided",
        _ => "error",
    }
}

impl Tried {
    /// Finds what was said in a program's output.
    pub(crate) fn read(stdout: &str) -> Option<Self> {
        let line = stdout.lines().find_map(|line| line.strip_prefix(MARK))?;
        Some(serde_json::from_str(line).unwrap())
    }

    pub(crate) fn started(&self) -> bool {
        self.verdict == "started"
    }

    /// What speaks for the likeliest cause, if it is said to be sure; `None` if it is not.
    fn seen(&self) -> Option<usize> {
        let cause = &self.diagnosis["causes"][0];
        let evidence = cause["evidence"].as_array().into_iter().flatten();
        let seen = evidence.filter(|one| one["bearing"] == "for").count();
        (cause["confidence"] == "high").then_some(seen)
    }

    /// The code of the likeliest cause.
    pub(crate) fn cause(&self) -> &str {
        self.diagnosis["causes"][0]["code"].as_str().unwrap_or("none")
    }

    /// The codes of what is foreseen.
    pub(crate) fn foreseen(&self) -> Vec<&str> {
        let findings = self.diagnosis["foreseen"].as_array().into_iter().flatten();
        findings.filter_map(|finding| finding["code"].as_str()).collect()
    }

    pub(crate) fn message(&self) -> &str {
        self.diagnosis["message"].as_str().unwrap_or_default()
    }

    /// The first remedy of the likeliest cause, or the first one of a kind: `sandbox`, `app-armor`.
    pub(crate) fn remedy(&self, kind: &str) -> &Value {
        let remedies = &self.diagnosis["causes"][0]["remedies"];
        let mut all = remedies.as_array().into_iter().flatten();
        let found = all.find(|remedy| kind.is_empty() || !remedy["action"][kind].is_null());
        found.unwrap_or(&Value::Null)
    }
}

/// A place where a sandbox is tried, and where remedies can be applied.
pub(crate) trait World {
    /// Tries the sandbox, changed so.
    fn attempt(&mut self, changes: &[Value]) -> Result<Tried, String>;

    /// Applies a remedy that is no change of the sandbox; one that nobody applies here is an error.
    fn apply(&mut self, remedy: &Value) -> Result<Applied, String>;

    /// The kind of remedy that is taken here instead of the first one, if that is empty.
    fn instead(&self, _tried: &Tried) -> &'static str {
        ""
    }
}

/// How a remedy was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Applied {
    /// Its commands were run, its values set, its files loaded.
    AsWritten,
    /// It is of words only, and the test did what they say.
    ByHand,
}

/// What a remedy wants of a pod. Whoever applies it must name every field.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pod {
    pub(crate) host_users: Option<bool>,
    pub(crate) unmasked_proc: bool,
    pub(crate) run_as_user: Option<u32>,
    pub(crate) add_capabilities: Vec<String>,
    pub(crate) seccomp: Option<Profile>,
    pub(crate) apparmor: Option<Profile>,
    pub(crate) selinux_type: Option<String>,
    pub(crate) empty_dir: Option<String>,
    pub(crate) required_scc: Option<String>,
}

/// A profile that a pod names.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Profile {
    Unconfined,
    Localhost(String),
}

impl Pod {
    /// The pod of a remedy; `None` if it is about something else.
    pub(crate) fn read(remedy: &Value) -> Result<Option<Self>, String> {
        let pod = &remedy["action"]["pod"];
        if pod.is_null() {
            return Ok(None);
        }
        serde_json::from_value(pod.clone()).map(Some).map_err(|error| format!("{error}: {pod}"))
    }
}

/// The kernel parameter of a remedy, and its value.
pub(crate) fn parameter(remedy: &Value) -> Option<(&str, &str)> {
    let sysctl = &remedy["action"]["sysctl"];
    Some((sysctl["name"].as_str()?, sysctl["value"].as_str()?))
}

/// A step on the way out: what failed and what was done about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) cause: String,
    pub(crate) verdict: String,
    pub(crate) message: String,
    /// The error in a line.
    pub(crate) error: String,
    pub(crate) outlook: Outlook,
    pub(crate) obstacles: Vec<String>,
    pub(crate) foreseen: Vec<String>,
    /// How many facts speak for a cause that is sure.
    pub(crate) seen: Option<usize>,
    pub(crate) remedy: String,
    /// Which kind of remedy was asked for: the first one of all, if it is empty.
    pub(crate) choice: String,
    pub(crate) applied: Applied,
}

/// Follows the first remedy of the first cause, again and again, until the sandbox starts; says which causes were met. At the
/// first step it may be the first one of another kind.
pub(crate) fn follow(world: &mut impl World, choice: &str) -> Result<(Vec<Step>, Tried), String> {
    let (mut steps, mut changes): (Vec<Step>, Vec<Value>) = (Vec::new(), Vec::new());
    loop {
        let tried = world.attempt(&changes)?;
        if tried.started() {
            return Ok((steps, tried));
        }
        let so_far = |tried: &Tried| {
            let remedies = serde_json::to_string_pretty(&tried.diagnosis["causes"]).unwrap();
            let mounts = serde_json::to_string(&tried.host["process"]).unwrap();
            format!("{steps:#?}\nthen {}\n{remedies}\n{mounts}", tried.error)
        };
        let asked = if steps.is_empty() { choice } else { "" };
        let choice = if asked.is_empty() { world.instead(&tried) } else { asked };
        let remedy = tried.remedy(choice);
        let mut step = Step {
            cause: tried.cause().to_owned(),
            verdict: tried.verdict.clone(),
            message: tried.message().to_owned(),
            error: tried.error.clone(),
            outlook: tried.outlook,
            obstacles: tried.obstacles.clone(),
            foreseen: tried.foreseen().into_iter().map(str::to_owned).collect(),
            seen: tried.seen(),
            remedy: remedy["summary"].as_str().unwrap_or("none").to_owned(),
            choice: choice.to_owned(),
            applied: Applied::AsWritten,
        };
        if steps.iter().any(|earlier| earlier.cause == step.cause) || steps.len() > 5 {
            return Err(format!("the remedies lead nowhere: {}", so_far(&tried)));
        }
        if let Some(change) = remedy["action"].get("sandbox") {
            changes.push(change.clone());
        } else {
            step.applied = world.apply(remedy).map_err(|error| format!("{error}: {}", so_far(&tried)))?;
        }
        steps.push(step);
    }
}

/// What a snapshot of the host can tell about a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foretold {
    /// That it fails.
    Surely,
    /// That it may fail.
    Perhaps,
    /// Nothing: that it starts.
    Never,
}

impl Foretold {
    fn outlook(self) -> Outlook {
        match self {
            Self::Surely => Outlook::Fails,
            Self::Perhaps => Outlook::Uncertain,
            Self::Never => Outlook::Starts,
        }
    }
}

/// Whether these causes were met in turn, each as it should be, and foretold so at first; `tried` is the end, where it starts.
pub(crate) fn judge(
    causes: &[&str],
    foretold: Foretold,
    steps: &[Step],
    tried: &Tried,
) -> Result<(), String> {
    let found: Vec<&str> = steps.iter().map(|step| step.cause.as_str()).collect();
    if found != causes {
        return Err(format!("expected {causes:?}, found {found:?}: {steps:#?}"));
    }
    for step in steps {
        let verdicts = verdicts(&step.cause);
        if !verdicts.contains(&step.verdict.as_str()) {
            return Err(format!("one of {verdicts:?} was expected: {steps:#?}"));
        }
        if step.seen == Some(0) {
            return Err(format!("nothing speaks for {}: {steps:#?}", step.cause));
        }
    }
    let first = steps.first();
    let (outlook, obstacles) = match first {
        Some(step) => (step.outlook, &step.obstacles),
        None => (tried.outlook, &tried.obstacles),
    };
    if outlook != foretold.outlook() {
        return Err(format!(
            "expected to be foretold {foretold:?}, not {outlook}: {obstacles:?}\n{steps:#?}"
        ));
    }
    // what comes next was said
    for pair in steps.windows(2) {
        let next = &pair[1].cause;
        // where bwrap cannot even be asked for its version, nobody asks about the sandbox; that a runtime masks what it was asked not
        // to is seen when it was asked
        let told = pair[0].foreseen.contains(next) || pair[0].verdict == "error" || *next == UNMASKED_IN_VAIN;
        if pair[1].outlook == Outlook::Fails && !told {
            return Err(format!("{next} was not foreseen: {steps:#?}"));
        }
    }
    if tried.outlook == Outlook::Fails {
        return Err(format!("in the end it starts, and was foretold to fail: {:?}", tried.obstacles));
    }
    Ok(())
}

/// What a launch that fails for this cause comes to. Where bwrap cannot even print its version, nothing is launched.
fn verdicts(cause: &str) -> &'static [&'static str] {
    match cause {
        "NS16" | "DF01" => &["refused", "error"],
        "SF02" => &["refused", "setup-failed"],
        "CP01" | "CP02" | "CP03" | "CP04" | "CP08" | "EX10" | "PR09" => &["error"],
        "NS17" => &["not-executed"],
        "EX09" => &["refused"],
        _ if cause.starts_with("EX") => &["not-executed"],
        _ if cause.starts_with("NS") => &["refused"],
        _ => &["setup-failed"],
    }
}
