//! The program that containers and virtual machines run: it predicts, launches and diagnoses a sandbox where it is, and says
//! what came of it as JSON. And the other side: what was said, and following the remedies until the sandbox starts.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bwrap_launch::diagnosis::{self, Outlook, SandboxChange};
use bwrap_launch::host::Host;
use bwrap_launch::{Bwrap, BwrapError, Command, Error, Stdio};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    let outcome =
        bwrap.map_err(Error::from).and_then(|bwrap| command.bwrap(&bwrap).stdin(Stdio::inherit()).output());
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

    /// A remedy of the likeliest cause.
    fn remedy(&self, index: usize) -> &Value {
        &self.diagnosis["causes"][0]["remedies"][index]
    }
}

/// A place where a sandbox is tried, and where remedies can be applied.
pub(crate) trait World {
    /// Tries the sandbox, changed so.
    fn attempt(&mut self, changes: &[Value]) -> Result<Tried, String>;

    /// Applies a remedy that is no change of the sandbox.
    fn apply(&mut self, remedy: &Value) -> Result<(), String>;
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
    pub(crate) remedy: String,
}

/// Follows the first remedy of the first cause, again and again, until the sandbox starts; says which causes were met. At the
/// first step it may be another remedy: `choice`.
pub(crate) fn follow(world: &mut impl World, choice: usize) -> Result<(Vec<Step>, Tried), String> {
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
        let remedy = tried.remedy(if steps.is_empty() { choice } else { 0 });
        let step = Step {
            cause: tried.cause().to_owned(),
            verdict: tried.verdict.clone(),
            message: tried.message().to_owned(),
            error: tried.error.clone(),
            outlook: tried.outlook,
            obstacles: tried.obstacles.clone(),
            foreseen: tried.foreseen().into_iter().map(str::to_owned).collect(),
            remedy: remedy["summary"].as_str().unwrap_or("none").to_owned(),
        };
        if steps.iter().any(|earlier| earlier.cause == step.cause) || steps.len() > 5 {
            return Err(format!("the remedies lead nowhere: {}", so_far(&tried)));
        }
        if let Some(change) = remedy["action"].get("sandbox") {
            changes.push(change.clone());
        } else {
            world.apply(remedy).map_err(|error| format!("{error}: {}", so_far(&tried)))?;
        }
        steps.push(step);
    }
}
