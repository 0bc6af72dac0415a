//! What was seen to fail.

use super::ProgramProblem;
use super::denial::{self, Denial};
use super::handed_on;
use super::named::named;
use super::told::Told;
use crate::bwrap::message::{Said, search};
use crate::bwrap::{Message, Stage, decisive};
use crate::host::inside::BrokenLink;

/// How far a launch got.
///
/// ```
/// use bwrap_launch::diagnosis::Verdict;
/// assert_eq!(Verdict::SetupFailed.to_string(), "setup-failed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Verdict {
    /// bwrap made no sandbox ([`Error::Refused`](crate::Error::Refused)).
    Refused,
    /// The sandbox could not be set up ([`Error::SetupFailed`](crate::Error::SetupFailed)).
    SetupFailed,
    /// The command could not be executed in it ([`Error::NotExecuted`](crate::Error::NotExecuted)).
    NotExecuted,
    /// Nobody knows: a message from somewhere.
    #[default]
    Unknown,
}

named! { Verdict { Refused "refused", SetupFailed "setup-failed", NotExecuted "not-executed", Unknown "unknown" } }

/// What is to be explained: bwrap's words and what is known beside them.
///
/// A [`Failure`](crate::Failure) has one; a message out of a log makes one.
///
/// ```
/// use bwrap_launch::Stage;
/// use bwrap_launch::diagnosis::Symptom;
/// let symptom = Symptom::from_text(b"bwrap: setting up uid map: Operation not permitted\n");
/// assert_eq!(symptom.stage(), Some(Stage::IdMap));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Symptom {
    /// How far it got.
    pub verdict: Verdict,
    /// What bwrap said.
    pub messages: Vec<Message>,
    /// What was found to be wrong with the program.
    pub program: Option<ProgramProblem>,
    /// The signal that ended bwrap.
    pub signal: Option<i32>,
    /// The error number with which the system refused to start bwrap at all.
    pub errno: Option<i32>,
    /// What stood around all that, and tells of the place.
    pub(crate) told: Option<Box<Told>>,
    /// What the kernel's log says in it of denials.
    pub(crate) denials: Vec<Denial>,
    /// What it says of what would be denied, and was let pass.
    pub(crate) passed: Vec<Denial>,
    /// On the way to what bwrap did not find: seen by the launcher.
    pub(crate) broken_link: Option<BrokenLink>,
    /// bwrap's words went where they could not be read back: that none are known does not mean that it said nothing.
    pub(crate) unheard: bool,
}

impl Symptom {
    /// From text that bwrap's messages are in: what it wrote to standard error, or a log, with all that logs and people put
    /// around a message: that is read for what it tells of the launcher and the place. What is not bwrap's is kept as somebody else's ([`Message::is_own`]); of a shell or a launcher that
    /// could not start bwrap, the error number is taken.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::Symptom;
    /// let log = br#"{"level":"error","msg":"bwrap: Can't mount proc on /newroot/proc: Operation not permitted\n"}"#;
    /// assert_eq!(Symptom::from_text(log).message().unwrap().pattern(), Some("Can't mount proc on %s"));
    /// let shell = Symptom::from_text(b"bash: line 1: bwrap: command not found");
    /// assert_eq!((shell.message(), shell.errno), (None, Some(2)));
    /// ```
    #[must_use]
    pub fn from_text(text: &[u8]) -> Self {
        let text = &*handed_on::plain(text);
        let text = text.trim_ascii_end();
        let foreign = || Some(Message::foreign(text)).filter(|_| !text.is_empty()).into_iter().collect();
        let (messages, errno) = match search(text) {
            Said::Bwrap(messages) => (messages, None),
            Said::NotStarted(error) => (foreign(), error.code()),
            Said::Nothing => (foreign(), None),
        };
        let [denials, passed] = denial::read(text);
        Self { messages, errno, told: Told::read(text), denials, passed, ..Self::default() }
    }

    /// The message that ended bwrap: the first one that is known and no warning. bwrap is several processes, and what
    /// others of them say after that are consequences.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::Symptom;
    /// let symptom = Symptom::from_text(b"bwrap: setting up uid map: Permission denied\n");
    /// assert_eq!(symptom.message().unwrap().errno().unwrap().code(), Some(13));
    /// ```
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        decisive(&self.messages)
    }

    /// The stage that bwrap was in, as far as its words tell.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        self.message().map(Message::stage)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_powershell_wrote_is_read() {
        let said = "bwrap: setting up uid map: Permission denied\r\n";
        for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let text: Vec<u8> = std::iter::once(0xfeff).chain(said.encode_utf16()).flat_map(bytes).collect();
            assert_eq!(Symptom::from_text(&text).message().unwrap().errno().unwrap().code(), Some(13));
        }
        assert!(Symptom::from_text(&[0xff, 0xfe, 0]).message().is_none());
    }
}
