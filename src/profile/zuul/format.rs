//! Python's `str.format`, as far as paths meet it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::error::Error;

/// What stands for a name in braces.
pub(super) type Fields<'a> = [(&'a str, Option<OsString>)];

/// Fills the fields of a path in. Only plain names are known: an index, an attribute or a format is as wrong as a name that
/// nobody set.
pub(super) fn format(path: &Path, fields: &Fields<'_>) -> Result<PathBuf, Error> {
    let wrong = || Error::Braces { path: path.to_owned() };
    let mut text = Vec::new();
    let mut rest = path.as_os_str().as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'{', [b'{', after @ ..]) | (b'}', [b'}', after @ ..]) => {
                text.push(byte);
                after
            }
            (b'{', after) => {
                let end = after.iter().position(|byte| *byte == b'}').ok_or_else(wrong)?;
                let (name, after) = after.split_at(end);
                let value = fields.iter().find(|(known, _)| known.as_bytes() == name);
                text.extend(value.and_then(|(_, value)| value.as_deref()).ok_or_else(wrong)?.as_bytes());
                after.get(1..).unwrap_or_default()
            }
            (b'}', _) => return Err(wrong()),
            (byte, after) => {
                text.push(byte);
                after
            }
        };
    }
    Ok(PathBuf::from(OsString::from_vec(text)))
}

/// A list of names as Python shows it.
pub(super) fn python_list(names: &[String]) -> String {
    // names of users hold nothing that Python would escape
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(path: &str) -> Option<String> {
        let fields: &Fields<'_> = &[("work_dir", Some("/w".into())), ("share_net", None)];
        let path = format(path.as_ref(), fields).ok()?;
        Some(path.into_os_string().into_string().unwrap())
    }

    #[test]
    fn as_python_does_it() {
        assert_eq!(formatted("/a b\n/c").as_deref(), Some("/a b\n/c"));
        assert_eq!(formatted("/{{b}}").as_deref(), Some("/{b}"));
        assert_eq!(formatted("{work_dir}/x").as_deref(), Some("/w/x"));
        // '{{{work_dir}}}'.format(work_dir='/w') == '{/w}'
        assert_eq!(formatted("{{{work_dir}}}").as_deref(), Some("{/w}"));
        for wrong in ["/{b}", "/{", "/}", "/{}", "/{0}", "{work_dir", "{share_net}", "/a}b", "{ work_dir}"] {
            assert_eq!(formatted(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lists_as_python_does_it() {
        assert_eq!(python_list(&[]), "[]");
        assert_eq!(python_list(&["a".to_owned(), "b".to_owned()]), "['a', 'b']");
    }
}
