//! A sandbox as a line for people: fit to be pasted into a shell, without its secrets.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::OFlags;
use shell_quote::Bash;

use super::arguments::{Arguments, Source, Word};
use crate::sandbox::{ContentKind, Descriptor, Sandbox};

/// Writes a command line that can be pasted into a shell: what belongs to descriptors follows as
/// redirections, and what is secret is left out.
pub(crate) fn write_line(
    f: &mut fmt::Formatter<'_>,
    arguments: &Arguments,
    command: &[&OsStr],
) -> fmt::Result {
    f.write_str("bwrap")?;
    for word in &arguments.words {
        write!(f, " {}", shown(word))?;
    }
    if !command.is_empty() {
        f.write_str(" --")?;
    }
    for word in command {
        write!(f, " {}", quoted(word.as_bytes()))?;
    }
    for slot in &arguments.slots {
        match &slot.source {
            Source::Content(content) | Source::Filter { program: content, .. } => match &content.0 {
                ContentKind::Bytes { bytes, secret } => write_redirection(f, slot.number, bytes, *secret)?,
                ContentKind::Descriptor(descriptor) => write_open(f, slot.number, descriptor)?,
            },
            Source::Descriptor(descriptor) => write_open(f, slot.number, descriptor)?,
            Source::Launcher(_) => {}
        }
    }
    Ok(())
}

fn shown(word: &Word) -> Cow<'_, str> {
    match word {
        Word::Text(text) => quoted(text.as_bytes()).into(),
        Word::Secret(_) => "'[secret]'".into(),
        Word::Shell(text) => text.into(),
    }
}

/// The options of one operation, as they stand in the whole line.
pub(crate) fn operation_options(sandbox: &Sandbox, operation: usize) -> Option<String> {
    let found = sandbox.operations.get(operation)?;
    let mut so_far = Sandbox { current_dir: None, ..sandbox.clone() };
    so_far.operations.truncate(operation);
    let before = Arguments::shown(&so_far, None, None).words.len();
    so_far.operations.push(found.clone());
    let words = Arguments::shown(&so_far, None, None).words;
    Some(words.iter().skip(before).map(shown).collect::<Vec<_>>().join(" "))
}

/// How much of a file's content is shown.
const SHOWN_BYTES: usize = 4096;

fn write_redirection(f: &mut fmt::Formatter<'_>, number: RawFd, bytes: &[u8], secret: bool) -> fmt::Result {
    if secret {
        return write!(f, " {number}< <(: '[secret, {} bytes]')", bytes.len());
    }
    if bytes.len() > SHOWN_BYTES {
        return write!(f, " {number}< <(: '[{} bytes]')", bytes.len());
    }
    // printf's own escapes are exact for every byte, NUL included
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'%' => text.push_str("%%"),
            b'\n' => text.push_str("\\n"),
            b'\'' => text.push_str("\\047"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\{byte:03o}")?,
        }
    }
    write!(f, " {number}< <(printf -- '{text}')")
}

/// The descriptor of a caller's open file has no meaning in a shell; its link shows what it is, for as long as the
/// caller lives.
pub(crate) fn write_open(f: &mut fmt::Formatter<'_>, number: RawFd, descriptor: &Descriptor) -> fmt::Result {
    let Some(owned) = descriptor.owned() else { return Ok(()) };
    let access = rustix::fs::fcntl_getfl(owned).map(|flags| flags & OFlags::RWMODE);
    let operator = match access {
        Ok(access) if access == OFlags::WRONLY => ">",
        Ok(access) if access == OFlags::RDWR => "<>",
        _ => "<",
    };
    write!(f, " {number}{operator}/proc/{}/fd/{}", std::process::id(), owned.as_raw_fd())
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

pub(crate) fn quoted(word: &[u8]) -> String {
    String::from_utf8_lossy(&Bash::quote_vec(word)).into_owned()
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_line(f, &Arguments::shown(self, None, None), &[])?;
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
        assert!(line.ends_with("3< <(printf -- '50 %%\\n\\047\\000') 4< <(: '[secret, 7 bytes]')"), "{line}");
    }
}
