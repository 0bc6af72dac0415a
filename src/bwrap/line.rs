//! A sandbox as a line for people: fit to be pasted into dash, bash or busybox sh, without its secrets.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsRawFd, RawFd};

use rustix::fs::OFlags;

use super::arguments::{Arguments, Slot, Source, Word};
use crate::sandbox::{ContentKind, Descriptor, Sandbox};
use crate::shell;

/// Writes a command line that can be pasted into a shell of POSIX's: what is secret is left out, and what belongs to
/// descriptors, with those that the command is `given`, comes as redirections and through pipes.
pub(crate) fn write_line<'a>(
    f: &mut fmt::Formatter<'_>,
    arguments: &'a Arguments,
    command: &[&OsStr],
    given: &'a [(RawFd, Descriptor)],
) -> fmt::Result {
    let command = command.iter().map(|word| shell::word(word).into());
    let separator = (command.len() != 0).then_some(Cow::Borrowed("--"));
    let words = arguments.words.iter().map(shown).chain(separator).chain(command);
    let mut line = words.fold("bwrap".to_owned(), |line, word| line + " " + &word);
    let sources = arguments.slots.iter().filter_map(|slot| Some((slot.number, feed(slot)?)));
    let given = given.iter().map(|(number, descriptor)| (*number, opened(*number, descriptor)));
    let feeds: Vec<(RawFd, Feed)> = sources.chain(given).collect();
    for (_, feed) in &feeds {
        if let Feed::Redirection(redirection) = feed {
            line.extend([" ", redirection]);
        }
    }
    let pipes = feeds.iter().filter_map(|(number, feed)| match feed {
        Feed::Pipe(command) => Some((*number, command.as_str())),
        _ => None,
    });
    let pipes: Vec<(RawFd, &str)> = pipes.collect();
    let within_reach =
        feeds.iter().all(|(number, feed)| *number <= MAX_DIGIT || matches!(feed, Feed::Inherited));
    let spare = (3..=MAX_DIGIT).rev().find(|spare| feeds.iter().all(|(number, _)| number != spare));
    match spare {
        _ if within_reach && pipes.is_empty() => f.write_str(&line),
        Some(spare) if within_reach => write_pipes(f, &line, &pipes, spare),
        _ => {
            let substitution =
                |line: String, (number, command): &(RawFd, &str)| format!("{line} {number}< <({command})");
            write!(f, "bash -c {}", shell::word(pipes.iter().fold(line, substitution)))
        }
    }
}

/// The largest number that every shell takes before a redirection; more digits are a word to dash.
const MAX_DIGIT: RawFd = 9;

/// Wraps the line in its pipes. Each is standard input first and gets its number then; the spare number keeps the
/// caller's standard input meanwhile: `{ printf 'text' | bwrap --file 3 /f 3<&0 <&9 9<&-; } 9<&0`.
fn write_pipes(f: &mut fmt::Formatter<'_>, line: &str, pipes: &[(RawFd, &str)], spare: RawFd) -> fmt::Result {
    for (_, command) in pipes {
        write!(f, "{{ {command} | ")?;
    }
    f.write_str(line)?;
    for (index, (number, _)) in pipes.iter().rev().enumerate() {
        write!(f, " {number}<&0")?;
        if index == 0 {
            write!(f, " <&{spare} {spare}<&-")?;
        }
        f.write_str("; }")?;
    }
    write!(f, " {spare}<&0")
}

fn shown(word: &Word) -> Cow<'_, str> {
    match word {
        Word::Text(text) => shell::word(text).into(),
        Word::Secret(_) => "'[secret]'".into(),
        Word::Shell(text) => text.into(),
    }
}

/// The options of one operation, as they stand in the whole line.
pub(crate) fn operation_options(sandbox: &Sandbox, operation: usize) -> Option<String> {
    let found = sandbox.operations.get(operation)?;
    let words = Arguments::of_operation(found).unwrap_or_else(|| {
        let mut so_far = Sandbox { current_dir: None, ..sandbox.clone() };
        so_far.operations.truncate(operation);
        let before = Arguments::shown(&so_far, None, None).words.len();
        so_far.operations.push(found.clone());
        Arguments::shown(&so_far, None, None).words.split_off(before)
    });
    Some(words.iter().map(shown).collect::<Vec<_>>().join(" "))
}

/// How much of a file's content is shown.
const SHOWN_BYTES: usize = 4096;

/// How a descriptor number comes to what bwrap finds there.
enum Feed {
    /// From a command's output.
    Pipe(String),
    Redirection(String),
    /// The shell has it open itself.
    Inherited,
}

/// `None` if the launcher makes it, for itself.
fn feed(slot: &Slot) -> Option<Feed> {
    let content = match &slot.source {
        Source::Content(content) | Source::Filter { program: content, .. } => content,
        Source::Descriptor(descriptor) => return Some(opened(slot.number, descriptor)),
        Source::Launcher(_) => return None,
    };
    Some(match &content.0 {
        ContentKind::Bytes { bytes, secret: true } => {
            Feed::Pipe(format!(": '[secret, {} bytes]'", bytes.len()))
        }
        ContentKind::Bytes { bytes, .. } if bytes.len() > SHOWN_BYTES => {
            Feed::Pipe(format!(": '[{} bytes]'", bytes.len()))
        }
        ContentKind::Bytes { bytes, .. } => Feed::Pipe(format!("printf '{}'", shell::printf(bytes))),
        ContentKind::Descriptor(descriptor) => opened(slot.number, descriptor),
    })
}

/// The number of a caller's open file has no meaning in a shell; its link shows what it is, for as long as the caller
/// lives.
fn opened(number: RawFd, descriptor: &Descriptor) -> Feed {
    let Some(owned) = descriptor.owned() else { return Feed::Inherited };
    let access = rustix::fs::fcntl_getfl(owned).map(|flags| flags & OFlags::RWMODE);
    let operator = match access {
        Ok(access) if access == OFlags::WRONLY => ">",
        Ok(access) if access == OFlags::RDWR => "<>",
        _ => "<",
    };
    Feed::Redirection(format!("{number}{operator}/proc/{}/fd/{}", std::process::id(), owned.as_raw_fd()))
}

/// What no option says: a comment for the shell.
pub(crate) fn write_id_maps(f: &mut fmt::Formatter<'_>, sandbox: &Sandbox) -> fmt::Result {
    let identity = &sandbox.identity;
    if !identity.mapped() {
        return Ok(());
    }
    f.write_str(" #")?;
    for (name, ranges) in [("uid_map", &identity.uid_map), ("gid_map", &identity.gid_map)] {
        write!(f, " {name}:")?;
        for range in ranges {
            write!(f, " {} {} {};", range.inside, range.outside, range.count)?;
        }
    }
    Ok(())
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, &Arguments::shown(self, None, None), &[], &[])?;
        write_id_maps(f, self)
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Content;

    #[test]
    fn an_operation_has_the_options_that_it_has_in_the_line() {
        let sandbox = Sandbox::new()
            .file("x", "/a")
            .add(crate::sandbox::Tmpfs::new("/tmp").mode(0o700))
            .file("y", "/b c")
            .current_dir("/tmp");
        let line = sandbox.to_string();
        let options = |operation| operation_options(&sandbox, operation);
        assert_eq!(options(1).unwrap(), "--perms 0700 --tmpfs /tmp");
        for operation in 0..3 {
            assert!(line.contains(&options(operation).unwrap()), "{line}");
        }
        assert_eq!(options(3), None);
    }

    #[test]
    fn a_line_can_be_pasted_and_holds_no_secret() {
        let sandbox = Sandbox::new()
            .env("GREETING", "it's")
            .env_secret("TOKEN", "hunter2")
            .inherit_env_only(["PATH"])
            .file("50 %\n'\0", "/f")
            .file(Content::secret("hunter2"), "/s");
        let line = sandbox.to_string();
        assert!(!line.contains("hunter2") && !format!("{sandbox:?}").contains("hunter2"));
        assert!(line.contains(" ${PATH+--setenv PATH \"$PATH\"} "), "{line}");
        assert!(line.starts_with(r"{ printf '50 %%\n\047\000' | { : '[secret, 7 bytes]' | bwrap "), "{line}");
        assert!(line.ends_with(" --file 4 /s 4<&0 <&9 9<&-; } 3<&0; } 9<&0"), "{line}");
        let many = (0..7).fold(Sandbox::new(), |sandbox, _| sandbox.file("it's", "/f")).to_string();
        assert!(many.starts_with("bash -c '") && many.contains(r"3< <(printf '\''it\047s'\'')"), "{many}");
    }
}
