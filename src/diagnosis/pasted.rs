//! Diagnoses of what people hand on: a text and a line need not belong together, and a path may stand for another.

use std::ffi::OsStr;
use std::path::Path;

use super::finding::Diagnosis;
use super::line::missing;
use super::symptom::Symptom;
use super::{Remedy, diagnose};
use crate::bwrap::Message;
use crate::bwrap::message::{Errno, Spoken};
use crate::host::Host;
use crate::sandbox::Sandbox;
use crate::visible::line;

/// As [`diagnose`], of a message and a sandbox that come from somewhere. A sandbox that cannot have led to the message is left aside,
/// and [`Diagnosis::notes`] says so; also where what stands for a path was pasted in its place, where the
/// text says that it is over or only speaks of it, and by which words of the text it is known where bwrap ran.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::diagnosis::{Symptom, diagnose_pasted};
/// use bwrap_launch::host::Host;
/// let symptom = Symptom::from_text(b"bwrap: Can't find source path /opt/tools: No such file or directory");
/// let other = Sandbox::new().ro_bind("/usr", "/usr");
/// let diagnosis = diagnose_pasted(&symptom, &Host::default(), Some(&other));
/// assert!(diagnosis.notes[0].contains("/opt/tools"));
/// ```
#[must_use]
pub fn diagnose_pasted(symptom: &Symptom, host: &Host, sandbox: Option<&Sandbox>) -> Diagnosis {
    let message = symptom.message();
    let other = message.zip(sandbox).and_then(|(message, sandbox)| missing(message, sandbox));
    let mut diagnosis = diagnose(symptom, host, sandbox.filter(|_| other.is_none()));
    let aside = |what| {
        format!(
            "the message names {what}, and the line does not: another line failed, so this one is left aside"
        )
    };
    diagnosis.notes.extend(other.map(aside));
    diagnosis.notes.extend(spoken_of(diagnosis.spoken).map(str::to_owned));
    let places = symptom.told.as_ref().filter(|_| host.platforms.is_unknown()).map(|told| told.places());
    if let Some(places) = places.filter(|places| !places.is_empty()) {
        let places = line(&places.join(", ")).into_owned();
        diagnosis.notes.push(format!(
            "where it ran is taken from words of the text: {places}; without them it is not known"
        ));
    }
    if let Some(text) = message.and_then(stand_in) {
        let shown = line(&text);
        // that one was looked up, and refused: it was shortened by whoever pastes it
        let looked_up = message.and_then(Message::errno).and_then(Errno::code) == Some(libc::EACCES);
        diagnosis.notes.push(if is_expanded(&text) && !looked_up {
            format!("{shown} is what a shell expands: bwrap does not, and fails so if it was given that as it stands")
        } else {
            format!("{shown} stands for a path: whether the real one is there is not known")
        });
        let remedies = diagnosis.causes.iter_mut().flat_map(|finding| &mut finding.remedies);
        remedies.chain(&mut diagnosis.at_once).for_each(|remedy| want_real(remedy, &shown));
    }
    diagnosis
}

/// Where it need not be a failure of today.
fn spoken_of(spoken: Spoken) -> Option<&'static str> {
    match spoken {
        Spoken::Supposed => Some(
            "a test, code or a guide speaks of it here, and nothing says that it fails now: what follows holds where it does",
        ),
        Spoken::Over => Some(
            "the text says that it is over: what follows is what it meant, and holds should it come back",
        ),
        Spoken::Asked => Some(
            "bwrap prints this for want of a command, and when it is asked to (--help), which is no failure",
        ),
        Spoken::Plain | Spoken::Now => None,
    }
}

/// What is typed as it stands would be about a path of that name.
fn want_real(remedy: &mut Remedy, shown: &str) {
    if remedy.instructions().contains(shown) || remedy.summary.contains(shown) {
        remedy.requires.push(format!("the real path in the place of {shown}"));
    }
}

/// The path of a message that is none, but stands for one.
fn stand_in(message: &Message) -> Option<String> {
    let paths = [message.path(), message.source(), message.failing_path()].into_iter().flatten();
    let named = paths.map(Path::as_os_str).chain(message.subject());
    named.map(OsStr::to_string_lossy).find(|text| is_expanded(text) || is_example(text)).map(Into::into)
}

/// `~/x`, `$HOME/x`.
fn is_expanded(text: &str) -> bool {
    text == "~" || text.starts_with("~/") || text.contains('$')
}

/// `<path>`, `{dir}`, `/path/to/x`, `/home/.../x`.
fn is_example(text: &str) -> bool {
    let between =
        |open, close| text.find(open).zip(text.rfind(close)).is_some_and(|(open, close)| open < close);
    let parts = ["...", "\u{2026}", "YOUR_USER", "your-user", "USERNAME"];
    between('<', '>')
        || between('{', '}')
        || text.starts_with("/path/to")
        || text.starts_with("/some/path")
        || text.split('/').any(|part| parts.contains(&part))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::*;

    fn notes(text: &str, sandbox: Option<&Sandbox>) -> Vec<String> {
        let symptom = Symptom::from_text(format!("bwrap: {text}").as_bytes());
        let diagnosis = diagnose_pasted(&symptom, &Host::default(), sandbox);
        for note in &diagnosis.notes {
            let said = format!("Note: {note}");
            let flat = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                flat(diagnosis.brief()).contains(&said) && flat(diagnosis.to_string()).contains(&said),
                "{diagnosis}"
            );
        }
        diagnosis.notes
    }

    #[test]
    fn what_stands_for_a_path_is_none() {
        for path in [
            "<path>",
            "/path/to/dir",
            "{dir}",
            "/home/<user>/x",
            "/home/.../x",
            "${DIR}/x",
            "$HOME/.ssh",
            "~/.ssh",
        ] {
            for text in [
                format!("Can't find source path {path}: No such file or directory"),
                format!("execvp {path}: No such file or directory"),
                format!("Can't mkdir {path}/x: Read-only file system"),
            ] {
                assert_eq!(notes(&text, None).len(), 1, "{text}");
            }
        }
        let symptom = Symptom::from_text(b"bwrap: Can't find source path <path>: No such file or directory");
        let diagnosis = diagnose_pasted(&symptom, &Host::default(), None);
        assert_eq!(
            diagnosis.causes[0].remedies[0].requires.last().unwrap(),
            "the real path in the place of <path>"
        );
        for path in ["/opt/a>b", "/srv/pathto", "/a...b", "/home/user/x", "/x/{", "/a~b"] {
            let text = format!("Can't find source path {path}: No such file or directory");
            assert!(notes(&text, None).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_line_that_cannot_have_failed_so_is_left_aside() {
        let line = Sandbox::new().ro_bind("/usr", "/usr").dev("/dev").tmpfs("/tmp").dir("/tmp/a/b");
        for (text, named) in [
            ("Can't find source path /opt/x: No such file or directory", "/opt/x"),
            ("Can't mount proc on /newroot/proc: Operation not permitted", "--proc"),
            ("Can't mkdir /home/me: Read-only file system", "/home/me"),
            (
                "Can't bind mount /oldroot/etc on /newroot/etc: Unable to mount source on destination: Permission denied",
                "/etc",
            ),
            ("Can't make overlay mount on /newroot/usr with options x: Invalid argument", "--overlay"),
            ("loopback: Failed RTM_NEWADDR: Operation not permitted", "--unshare-net"),
        ] {
            let notes = notes(text, Some(&line));
            assert!(
                notes.len() == 1 && notes[0].starts_with(&format!("the message names {named}, ")),
                "{text}: {notes:?}"
            );
        }
        for text in [
            "Can't find source path /usr: No such file or directory",
            "Can't mkdir /tmp/a: Permission denied",
            "Can't mkdir parents for /tmp/a/b: Permission denied",
            "Can't mount tmpfs on /newroot/dev: Permission denied",
            "Can't mount devpts on /newroot/dev/pts: Permission denied",
            "Can't bind mount /oldroot/dev/null on /newroot/dev/null: Unable to mount source on destination: Permission denied",
            "Can't bind mount /oldroot/usr on /newroot/usr: Unable to apply mount flags: remount \"/newroot/usr/x\": Permission denied",
            "setting up uid map: Permission denied",
            "execvp make: No such file or directory",
        ] {
            assert!(notes(text, Some(&line)).is_empty(), "{text}");
        }
    }
}
