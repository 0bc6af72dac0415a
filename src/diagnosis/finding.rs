//! What a diagnosis consists of: causes, each with its confidence, evidence and remedies.

use super::named::named;
use super::{Cause, Remedy, Verdict};
use crate::bwrap::Stage;
use crate::bwrap::message::Spoken;

/// How sure a diagnosis is of a cause. These three are all there are, so a `match` needs no other arm.
///
/// ```
/// use bwrap_launch::diagnosis::Confidence;
/// assert!(Confidence::High > Confidence::Medium && Confidence::Medium > Confidence::Low);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Confidence {
    /// It is possible; nothing speaks for it in particular.
    Low,
    /// Something speaks for it, but something else could explain the same.
    Medium,
    /// The facts allow hardly anything else.
    High,
}

named! { Confidence { Low "low", Medium "medium", High "high" } }

/// Which way a piece of evidence points. These are all there are, so a `match` needs no other arm.
///
/// ```
/// use bwrap_launch::diagnosis::Bearing;
/// assert_ne!(Bearing::For, Bearing::Against);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Bearing {
    /// It speaks for the cause.
    For,
    /// It speaks against it.
    Against,
    /// It could not be seen, and would decide.
    Unknown,
}

/// A fact that a diagnosis rests on.
///
/// ```
/// use bwrap_launch::diagnosis::{Symptom, diagnose};
/// use bwrap_launch::host::{CapabilitySet, Fact, Host};
/// let mut host = Host::default();
/// host.process.uid = Fact::Present(0);
/// host.process.effective = Fact::Present(CapabilitySet(0));
/// let symptom = Symptom::from_text(b"bwrap: setting up uid map: Operation not permitted");
/// let diagnosis = diagnose(&symptom, &host, None);
/// assert!(diagnosis.causes[0].evidence.iter().any(|e| e.text.contains("CAP_SETFCAP")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Evidence {
    /// Which way it points.
    pub bearing: Bearing,
    /// What was seen, and where: `CAP_SETFCAP is not among the effective capabilities (CapEff in /proc/self/status)`.
    pub text: String,
}

/// A cause that was found, or foreseen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// How sure that is.
    pub confidence: Confidence,
    /// What it is here: names, paths, numbers. A line.
    pub summary: String,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// What would prove it wrong: something to look at or to try.
    pub refuted_by: Vec<String>,
    /// What to change, the least privilege first. Each of them alone is enough against this cause.
    pub remedies: Vec<Remedy>,
    /// The operation of the sandbox that it is about ([`Sandbox::operations`](crate::Sandbox::operations)).
    pub operation: Option<usize>,
}

/// A message beside the one that is explained.
///
/// ```
/// use bwrap_launch::diagnosis::{Cause, Symptom, diagnose};
/// use bwrap_launch::host::Host;
/// let log = b"bwrap: setting up uid map: Permission denied\nbwrap: execvp mak: No such file or directory\n";
/// let diagnosis = diagnose(&Symptom::from_text(log), &Host::default(), None);
/// assert_eq!(diagnosis.message.as_deref(), Some("bwrap: setting up uid map: Permission denied"));
/// assert_eq!(diagnosis.also[0].message, "bwrap: execvp mak: No such file or directory");
/// assert_eq!(diagnosis.also[0].cause, Some(Cause::ProgramMissing));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlsoSaid {
    /// The message, with `bwrap: ` in front; or the line of a shell or a launcher that could not start bwrap.
    pub message: String,
    /// Its likeliest cause; `None` for a warning, and where nothing is known to explain it.
    pub cause: Option<Cause>,
}

/// Why a sandbox did not start.
///
/// `Display` is the whole report, for a log; [`brief`](Self::brief) is what fits on one screen.
///
/// ```
/// use bwrap_launch::diagnosis::{Cause, Symptom, diagnose};
/// use bwrap_launch::host::Host;
/// let symptom = Symptom::from_text(b"bwrap: Can't find source path /opt/tools: No such file or directory\n");
/// let diagnosis = diagnose(&symptom, &Host::snapshot(), None);
/// assert_eq!(diagnosis.cause(), Some(Cause::SourceMissing));
/// assert!(diagnosis.to_string().contains("/opt/tools"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnosis {
    /// How far the launch got.
    pub verdict: Verdict,
    /// The stage that bwrap was in.
    pub stage: Option<Stage>,
    /// The message that ended bwrap, in its own words, with `bwrap: ` in front; if it said nothing, what somebody else said.
    pub message: Option<String>,
    /// What of the message or the sandbox is not what it seems, where they come from somewhere ([`diagnose_pasted`](super::diagnose_pasted)).
    pub notes: Vec<String>,
    /// What else was said by bwrap, or of a bwrap that could not be started: several failures may be in one text, or what one led to.
    pub also: Vec<AlsoSaid>,
    /// What explains it, the likeliest first.
    pub causes: Vec<Finding>,
    /// What will stop the same sandbox next, once the first cause is gone.
    pub foreseen: Vec<Finding>,
    /// Where several causes stand in line, what takes the first one and all that is foreseen out of the way at once: one remedy for
    /// each place where something is changed, merged of one of each cause, the least privilege that goes together. Empty where the
    /// cause stands alone.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// use bwrap_launch::diagnosis::{Symptom, diagnose};
    /// use bwrap_launch::host::{CapabilitySet, Fact, Host, Mount, Platform, Sighting};
    /// let mut host = Host::default();
    /// host.platforms = Fact::Present(vec![Sighting::new(Platform::Docker, "/.dockerenv")]);
    /// host.process.uid = Fact::Present(0);
    /// host.process.effective = Fact::Present(CapabilitySet(0));
    /// let mounts = ["2 1 0:2 / /proc rw,relatime - proc proc rw", "3 2 0:3 /null /proc/kcore ro - tmpfs t ro"];
    /// host.mounts = Fact::Present(mounts.into_iter().filter_map(Mount::parse).collect());
    /// let symptom = Symptom::from_text(b"bwrap: setting up uid map: Operation not permitted");
    /// let sandbox = Sandbox::new().ro_bind("/", "/").proc("/proc").unshare_all();
    /// let diagnosis = diagnose(&symptom, &host, Some(&sandbox));
    /// let all = diagnosis.at_once[0].instructions();
    /// assert_eq!(all, "docker run --user=1000 --security-opt=systempaths=unconfined IMAGE\n");
    /// ```
    pub at_once: Vec<Remedy>,
    /// How the text that the message was found in speaks of it.
    pub(super) spoken: Spoken,
}

impl Diagnosis {
    /// The likeliest cause.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.causes.first().map(|finding| finding.cause)
    }

    /// The first remedy of the likeliest cause.
    #[must_use]
    pub fn remedy(&self) -> Option<&Remedy> {
        self.causes.first()?.remedies.first()
    }
}

/// Whether a sandbox will start, as far as a snapshot tells.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::diagnosis::{Outlook, predict};
/// use bwrap_launch::host::Host;
/// let prediction = predict(&Host::snapshot(), &Sandbox::new().ro_bind("/", "/").proc("/proc"));
/// if prediction.outlook == Outlook::Fails {
///     println!("{}", prediction.obstacles[0].summary);
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prediction {
    /// Whether it will start.
    pub outlook: Outlook,
    /// What stands in the way, in the order in which bwrap will meet it.
    pub obstacles: Vec<Finding>,
    /// What takes all of them out of the way at once, as [`Diagnosis::at_once`].
    pub at_once: Vec<Remedy>,
}

/// What a prediction comes to. These three are all there are, so a `match` needs no other arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Outlook {
    /// Nothing that can be seen stands in the way.
    Starts,
    /// Something may stand in the way, or nothing is known of the host: only trying tells
    /// ([`probe`](crate::doctor::probe)).
    Uncertain,
    /// Something stands in the way.
    Fails,
}

named! { Outlook { Starts "starts", Uncertain "uncertain", Fails "fails" } }
impl Finding {
    /// Says of evidence that was not seen without what a text tells where it is from.
    pub(super) fn mark_told(&mut self, seen: &[Evidence]) {
        let told = self.evidence.iter_mut().filter(|it| it.bearing != Bearing::Unknown && !seen.contains(it));
        told.for_each(|evidence| evidence.text.insert_str(0, "the text tells it: "));
    }
}
