//! `bwrap-doctor check`: can this machine run sandboxes?

use std::fmt::Write as _;
use std::process::ExitCode;

use bwrap_launch::Bwrap;
use bwrap_launch::diagnosis::{Diagnosis, Outlook, Prediction};
use bwrap_launch::doctor::{self, Probe, Step, Trial, Trying};
use serde::Serialize;

use crate::Result;
use crate::cli::{Check, Format};
use crate::output::{self, BAD, Envelope, GOOD, Tool, styled};

/// The machine does not run sandboxes.
const NO: u8 = 1;

#[derive(Serialize)]
struct Report<'a> {
    /// What the exit status says.
    works: bool,
    works_with_network_namespace: Option<bool>,
    works_without_network_namespace: Option<bool>,
    bwrap: Option<Tool>,
    /// Why nothing could be tried.
    error: Option<String>,
    trials: Vec<Tried<'a>>,
    prediction: Option<&'a Prediction>,
}

#[derive(Serialize)]
struct Tried<'a> {
    step: Step,
    network: bool,
    outcome: &'static str,
    sandbox: String,
    diagnosis: Option<&'a Diagnosis>,
    error: Option<String>,
}

pub(crate) fn run(task: &Check, format: Format) -> Result {
    let tried =
        output::bwrap(task.bwrap.as_deref()).map_err(|error| (None, error.to_string())).and_then(|bwrap| {
            match doctor::probe(&bwrap) {
                Ok(probe) => Ok((bwrap, probe)),
                Err(error) => Err((Some(bwrap), error.to_string())),
            }
        });
    match tried {
        Ok((bwrap, probe)) => tell(task, format, &bwrap, &probe),
        Err((bwrap, error)) => {
            if format == Format::Json {
                let report = Report {
                    works: false,
                    works_with_network_namespace: None,
                    works_without_network_namespace: None,
                    bwrap: bwrap.as_ref().map(Tool::from),
                    error: Some(error),
                    trials: Vec::new(),
                    prediction: None,
                };
                output::print_json(&Envelope::new("check", report))?;
            } else {
                output::print(&format!("{} {error}\n", styled(BAD, "no sandboxes:")))?;
            }
            Ok(ExitCode::from(NO))
        }
    }
}

fn tell(task: &Check, format: Format, bwrap: &Bwrap, probe: &Probe) -> Result {
    let counts = |trial: &&Trial| !task.no_network || !trial.network;
    let failed = probe.trials.iter().filter(counts).find(|trial| !works(trial));
    // the prediction tells most where nothing was said: of a bwrap that hung
    let judged = failed.or_else(|| probe.trials.iter().rfind(counts));
    let predict = || judged.map(|trial| doctor::predict(bwrap, &trial.sandbox));
    if format == Format::Json {
        let prediction = predict();
        let report = Report {
            works: failed.is_none(),
            works_with_network_namespace: Some(probe.trials.iter().filter(|trial| trial.network).all(works)),
            works_without_network_namespace: Some(probe.works_without_network_namespace()),
            bwrap: Some(bwrap.into()),
            error: None,
            trials: probe.trials.iter().map(Tried::from).collect(),
            prediction: prediction.as_ref(),
        };
        output::print_json(&Envelope::new("check", report))?;
    } else if let Some(failed) = failed {
        output::print(&failure(probe, failed, predict))?;
    } else {
        output::print(&success(task, bwrap, probe))?;
    }
    Ok(if failed.is_none() { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

fn works(trial: &Trial) -> bool {
    matches!(trial.outcome, Trying::Works)
}

fn success(task: &Check, bwrap: &Bwrap, probe: &Probe) -> String {
    let network = match (probe.works(), task.no_network) {
        (true, _) => "with and without a network of their own",
        (false, _) => "without a network of their own; with one they fail (see bwrap-doctor check)",
    };
    let (version, path) = (bwrap.version_text(), bwrap.path().display());
    format!("{} bwrap {version} ({path}) makes sandboxes, {network}\n", styled(GOOD, "ok:"))
}

fn failure(probe: &Probe, failed: &Trial, predict: impl FnOnce() -> Option<Prediction>) -> String {
    let mut text = format!("{} this machine\n\n{probe}", styled(BAD, "no sandboxes on"));
    if !matches!(failed.outcome, Trying::Failed(_)) {
        let prediction = predict().filter(|prediction| prediction.outlook != Outlook::Starts);
        if let Some(prediction) = prediction {
            let _ = write!(text, "\n{prediction}");
        }
    }
    if failed.network && probe.works_without_network_namespace() {
        text.push_str(
            "\nSandboxes that share the host's network work: without --unshare-net, or with --share-net after \
             --unshare-all. If that is enough for you: bwrap-doctor check --no-network\n",
        );
    }
    text
}

impl<'a> From<&'a Trial> for Tried<'a> {
    fn from(trial: &'a Trial) -> Self {
        let (outcome, diagnosis, error) = match &trial.outcome {
            Trying::Works => ("works", None, None),
            Trying::Failed(diagnosis) => ("failed", Some(diagnosis.as_ref()), None),
            Trying::TimedOut => ("timed-out", None, None),
            Trying::Impossible(error) => ("impossible", None, Some(error.to_string())),
            // whatever comes: not that it works
            _ => ("failed", None, None),
        };
        Self {
            step: trial.step,
            network: trial.network,
            outcome,
            sandbox: trial.sandbox.to_string(),
            diagnosis,
            error,
        }
    }
}
