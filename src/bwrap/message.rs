//! What bwrap says when it cannot set a sandbox up, in typed form.
//!
//! bwrap ends with status 1 for every reason there is and tells the reason on standard error only.
//! [`Message::parse_all`] takes that text apart: which step failed ([`Stage`]), on behalf of which
//! option, at which path, with which error number.
//!
//! Only what bwrap itself wrote may be fed in. Once COMMAND runs, standard error is COMMAND's, and
//! a message in there (a nested bwrap's, or a loader's) looks the same.
//!
//! # Ambiguous text
//!
//! bwrap prints paths raw, so a message is read from both ends: the known text with the most
//! literal characters in front wins, and a known error text is taken off the end. What stays
//! ambiguous is decided so:
//!
//! * A line of a path that begins like a message (`bwrap: `) starts a new message.
//! * The two paths of a bind mount are parted at the first ` on /newroot` if the first path has
//!   the prefix `/oldroot`, else at the first ` on /`, else at the first ` on `.
//! * bwrap until 0.11 prints paths below `/newroot` and `/oldroot`, its names for the new and the
//!   old root while it sets the sandbox up. They are removed; a directory of that name in a
//!   sandbox of 0.12 or newer loses it.
//! * A file with the name of a device node that `--file` cannot create counts as the node of
//!   `--dev`, and a link named `ptmx` that `--symlink` cannot make as that of `--dev`.

mod errno;
mod finder;
mod folded;
mod log;
mod marks;
mod packages;
mod reading;
mod recognise;
mod retyped;
mod spelling;
mod spoken;
mod stage;
mod status;
mod table;
mod unstarted;
mod wrapped;
/// The message that ended bwrap, among all that were said: the first that is known, unless a text tells that it is over, or has another
/// instead now.
pub(crate) fn decisive(messages: &[Message]) -> Option<&Message> {
    let fatal = messages.iter().filter(|message| message.own && message.severity() == Severity::Fatal);
    let weight = |message: &Message| {
        (message.spoken.stands(), message.pattern().is_some(), message.spoken == Spoken::Now)
    };
    // the first of those that weigh the most; of several that are told of as new the last
    fatal.reduce(|best, next| {
        let newer = weight(next) == weight(best) && next.spoken == Spoken::Now;
        if newer || weight(next) > weight(best) { next } else { best }
    })
}

#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::options;
pub use errno::Errno;
pub(crate) use errno::find;
#[cfg(test)]
pub(crate) use errno::named_in;
pub(crate) use log::{Said, search};
use recognise::{Found, capture, recognise};
pub(crate) use spoken::Spoken;
pub use stage::{Severity, Stage};
use table::{Row, TABLE, Tail};
pub(crate) use unstarted::{Heard, NotStarted, is_program, not_started_in, path_shown};

/// One message of bwrap.
///
/// `Display` is the message without its `bwrap: `.
///
/// ```
/// use std::path::Path;
/// use bwrap_launch::{Message, Severity, Stage};
/// let message = Message::parse(b"bwrap: Can't mount proc on /newroot/proc: Operation not permitted\n");
/// assert_eq!((message.stage(), message.severity()), (Stage::Mounts, Severity::Fatal));
/// assert_eq!(message.operation(), Some("--proc"));
/// assert_eq!(message.path(), Some(Path::new("/proc")));
/// assert_eq!(message.errno().unwrap().code(), Some(1));
/// assert_eq!(message.pattern(), Some("Can't mount proc on %s"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    text: OsString,
    stage: Stage,
    severity: Severity,
    pattern: Option<&'static str>,
    operation: Option<&'static str>,
    reason: Option<&'static str>,
    path: Option<PathBuf>,
    source: Option<PathBuf>,
    failing_path: Option<PathBuf>,
    subject: Option<OsString>,
    errno: Option<Errno>,
    stale: bool,
    /// bwrap ends it with the text of an error number.
    answered: bool,
    own: bool,
    spoken: Spoken,
}

impl Message {
    /// Takes everything bwrap wrote to standard error apart.
    ///
    /// A line that does not begin like a message belongs to the message before it, since paths may
    /// contain newlines; so does the help text to its `usage:` line. What stands behind a message
    /// that ends with its error is somebody else's ([`is_own`](Self::is_own)): a program's that
    /// stands in bwrap's place, say. Empty messages are left out.
    ///
    /// ```
    /// use bwrap_launch::{Message, Severity};
    /// let stderr = b"bwrap: Only the last --chdir option will take effect\nbwrap: Unknown option --prems\n";
    /// let messages = Message::parse_all(stderr);
    /// assert_eq!(messages[0].severity(), Severity::Warning);
    /// assert_eq!(messages[1].severity(), Severity::Fatal);
    /// ```
    #[must_use]
    pub fn parse_all(stderr: &[u8]) -> Vec<Self> {
        let mut messages: Vec<Vec<u8>> = Vec::new();
        for line in stderr.split_inclusive(|&byte| byte == b'\n') {
            match messages.last_mut() {
                Some(message) if !begins_message(line) => message.extend_from_slice(line),
                _ => messages.push(line.to_vec()),
            }
        }
        messages.retain(|message| message != b"\n");
        let both = messages.iter().flat_map(|message| {
            let (own, others) = wrapped::parted(message);
            [Some(Self::parse(own)), others.map(Self::foreign)]
        });
        both.flatten().collect()
    }

    /// Parses one message, with or without the prefixes `<N>` and `bwrap: `.
    ///
    /// ```
    /// use bwrap_launch::{Message, Severity};
    /// // bwrap 0.11 puts a level first if it is asked to (Sandbox::level_prefix)
    /// let message = Message::parse(b"<3>bwrap: something of the year 2030: Permission denied");
    /// assert_eq!((message.pattern(), message.severity()), (None, Severity::Fatal));
    /// assert_eq!(message.errno().unwrap().code(), Some(13));
    /// ```
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let (level, text) = bare(text.strip_suffix(b"\n").unwrap_or(text));
        let message = Self::of(text, recognise(text));
        match level {
            Some(level) => message.of_level(level),
            None => message,
        }
    }

    /// With the level that `--level-prefix` puts in front.
    fn of_level(mut self, level: u8) -> Self {
        self.severity = if level <= 3 { Severity::Fatal } else { Severity::Warning };
        self
    }

    /// A text, and what was recognised in it.
    fn of(text: &[u8], found: Option<Found<'_>>) -> Self {
        let mut message = Self {
            text: OsString::from_vec(text.to_vec()),
            stage: Stage::Unknown,
            severity: Severity::Fatal,
            pattern: None,
            operation: None,
            reason: None,
            path: None,
            source: None,
            failing_path: None,
            subject: None,
            errno: None,
            stale: false,
            answered: false,
            own: true,
            spoken: Spoken::default(),
        };
        if let Some(found) = found {
            message.fill(found);
        } else {
            message.errno = errno::cut_known(text).map(|(_, text)| Errno::read(text));
        }
        message
    }

    /// What somebody else than bwrap said.
    pub(crate) fn foreign(text: &[u8]) -> Self {
        Self { own: false, ..Self::of(text, None) }
    }

    /// How the text that it was found in speaks of it.
    pub(crate) fn spoken(&self) -> Spoken {
        self.spoken
    }

    /// Whether the text of an error number, with which bwrap ends it, is missing: people shorten what they paste.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.answered && self.errno.is_none()
    }

    /// Whether it is bwrap that said it, as far as can be told: in a log there are others' words as well
    /// ([`Symptom::from_text`](crate::diagnosis::Symptom::from_text)).
    ///
    /// ```
    /// use bwrap_launch::diagnosis::Symptom;
    /// let symptom = Symptom::from_text(b"npm ERR! code ELIFECYCLE");
    /// assert!(!symptom.messages[0].is_own());
    /// ```
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own
    }

    fn fill(&mut self, found: Found<'_>) {
        self.stage = found.stage;
        self.severity = found.row.severity;
        self.pattern = Some(found.row.wording.0);
        self.operation = Some(found.row.operation).filter(|option| !option.is_empty());
        self.reason = found.reason.map(|row| row.wording.0);
        self.errno = found.errno.map(Errno::read).or(found.row.implied.map(Errno::implied));
        self.stale = found.row.tail == Tail::Stale;
        let tail = found.reason.map_or(found.row.tail, |reason| reason.tail);
        self.answered = matches!(tail, Tail::Errno | Tail::Result);
        for (kind, value) in found.holes {
            match kind {
                // bwrap 0.12 prints both paths of an overlay here
                'p' if value == b"(null)" => {}
                'p' => self.path = Some(path_below("/newroot", value)),
                'q' => self.source = Some(path_below("/oldroot", value)),
                'b' => {
                    self.path = Some(path_below("/oldroot", value));
                    self.source.clone_from(&self.path);
                }
                'f' => self.failing_path = Some(path_below("/newroot", value)),
                'e' => self.errno = Some(Errno::read(value)),
                'o' => match std::str::from_utf8(value).ok().and_then(options::find) {
                    // bwrap complains about missing arguments only for options that take some
                    Some(option) if option.arguments > 0 => self.operation = Some(option.name),
                    _ => self.subject = Some(OsString::from_vec(value.to_vec())),
                },
                's' => self.subject = Some(OsString::from_vec(value.to_vec())),
                _ => {}
            }
        }
    }

    /// What bwrap was doing.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether bwrap went on. The `<N>` prefix decides if there is one.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The message as bwrap's source spells it, the same for its wordings over the versions.
    /// `None`: a message nobody knows.
    #[must_use]
    pub fn pattern(&self) -> Option<&'static str> {
        self.pattern
    }

    /// The bwrap option concerned, if the message tells. Where options of one family share a
    /// message it is the first of them: `--bind` for every bind mount, `--tmpfs` also for the one
    /// that `--dev` mounts.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.operation
    }

    /// The path the message is about, as seen inside the sandbox. Of a message about a source
    /// alone it is that source, as seen outside.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The path on the other side: the source of a bind mount outside the sandbox, the target that
    /// an existing link already has.
    ///
    /// ```
    /// use std::path::Path;
    /// use bwrap_launch::Message;
    /// let message = Message::parse(b"bwrap: Can't find source path /opt/tools: No such file or directory");
    /// assert_eq!(message.source(), Some(Path::new("/opt/tools")));
    /// ```
    #[must_use]
    pub fn source(&self) -> Option<&Path> {
        self.source.as_deref()
    }

    /// What the message is about if it is no path: an option bwrap does not know, an id, a
    /// capability, a label, a file mode, the command that could not be executed.
    ///
    /// ```
    /// use bwrap_launch::Message;
    /// let message = Message::parse(b"bwrap: execvp pyhton3: No such file or directory");
    /// assert_eq!(message.subject().unwrap(), "pyhton3");
    /// ```
    #[must_use]
    pub fn subject(&self) -> Option<&OsStr> {
        self.subject.as_deref()
    }

    /// Which part of a bind mount or remount failed, as bwrap's source spells it.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// The mount at which that part failed; may be below [`path`](Self::path).
    ///
    /// ```
    /// use std::path::Path;
    /// use bwrap_launch::Message;
    /// let message = Message::parse(
    ///     b"bwrap: Can't bind mount /oldroot/mnt on /newroot/mnt: \
    ///       Unable to apply mount flags: remount \"/newroot/mnt/nfs\": Host is down",
    /// );
    /// assert_eq!(message.path(), Some(Path::new("/mnt")));
    /// assert_eq!(message.reason(), Some("Unable to apply mount flags: remount \"%s\""));
    /// assert_eq!(message.failing_path(), Some(Path::new("/mnt/nfs")));
    /// ```
    #[must_use]
    pub fn failing_path(&self) -> Option<&Path> {
        self.failing_path.as_deref()
    }

    /// The cause, if the message gives one: what `strerror` said, or what the wording implies.
    /// Also of a message nobody knows, if it ends in a known text.
    #[must_use]
    pub fn errno(&self) -> Option<&Errno> {
        self.errno.as_ref().filter(|_| !self.stale)
    }

    /// The error text of those few messages that print the number of an earlier, unrelated call.
    /// It is not the cause.
    ///
    /// ```
    /// use bwrap_launch::Message;
    /// let message = Message::parse(b"bwrap: loopback: Failed RTM_NEWADDR: No child processes");
    /// assert_eq!(message.errno(), None);
    /// assert_eq!(message.stale_errno().unwrap().text(), "No child processes");
    /// ```
    #[must_use]
    pub fn stale_errno(&self) -> Option<&Errno> {
        self.errno.as_ref().filter(|_| self.stale)
    }

    /// The whole message as printed, without `<N>`, `bwrap: ` and the last newline.
    #[must_use]
    pub fn text(&self) -> &OsStr {
        &self.text
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text.display())
    }
}

const PREFIX: &[u8] = b"bwrap: ";
/// A message has two paths at most: what is longer is none, and would take forever to read.
const MOST_BYTES: usize = 10_000;

/// Takes `<N>` off, which `--level-prefix` puts in front.
fn split_level(text: &[u8]) -> (Option<u8>, &[u8]) {
    match text {
        [b'<', digit @ b'0'..=b'7', b'>', rest @ ..] => (Some(digit - b'0'), rest),
        _ => (None, text),
    }
}

fn begins_message(line: &[u8]) -> bool {
    if is_signed(line) {
        return true;
    }
    let (_, line) = split_level(line.strip_suffix(b"\n").unwrap_or(line));
    let bare = || TABLE.iter().flat_map(|(_, rows)| *rows).filter(|row| row.bare);
    bare().flat_map(Row::wordings).any(|(text, holes)| capture(text, holes, line).is_some())
}

/// A message without its prefixes, and the level that was one of them.
fn bare(text: &[u8]) -> (Option<u8>, &[u8]) {
    let (level, text) = split_level(text);
    (level, text.strip_prefix(PREFIX).unwrap_or(text))
}

/// Whether a line begins with bwrap's name, behind a level or not.
pub(crate) fn is_signed(line: &[u8]) -> bool {
    split_level(line).1.starts_with(PREFIX)
}

/// A path without bwrap's name for the root it is below.
fn path_below(root: &str, path: &[u8]) -> PathBuf {
    let path = match path.strip_prefix(root.as_bytes()) {
        Some([]) => b"/",
        Some(below @ [b'/', ..]) => below,
        _ => path,
    };
    PathBuf::from(OsStr::from_bytes(path))
}

/// The texts of the table that messages and reasons are known by.
#[cfg(test)]
pub(crate) fn texts() -> impl Iterator<Item = &'static str> {
    let rows = TABLE.iter().flat_map(|(_, rows)| *rows).chain(table::REASONS);
    rows.map(|row| row.wording.0)
}
