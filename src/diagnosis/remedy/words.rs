//! Remedies that are nothing but words, each as people read it: one that helps against a single cause in the text of that cause,
//! below a line `== NAME`, others in a file of `words/`:
//!
//! ```text
//! Let everybody read bwrap's program
//! Price: nothing: the program is the same everywhere
//! Needs: root
//!
//! $ chmod a+r {path}
//! ```
//!
//! What it does, its price, what it needs (`root`: of this system), and after an empty line how it is done: lines with `$` are
//! typed, lines with `|` stay as they are, others are one text. Names in braces are filled in; a brace is written twice. What a
//! program can apply has no such lines: that is given beside the file.

use super::{Action, Remedy};
use crate::diagnosis::cause::{Cause, remedies};
use crate::diagnosis::need::Need;
use crate::visible::line;

/// The remedy of a file, with what is filled in: `told!("unmount", place, point = word(&mount.point))`; one of a cause's own from the
/// cause's text: `told!(EX03, "finish-writing", host)`; and with an action that a program can apply:
/// `told!("user-of-unit" => unit(case, &[("User", "1000")]), id)`.
macro_rules! told {
    (@text $text:expr, => $action:expr $(, $key:ident $(= $value:expr)?)*) => {
        $crate::diagnosis::remedy::Remedy { action: $action, ..told!(@text $text, $(, $key $(= $value)?)*) }
    };
    (@text $text:expr, $(, $key:ident $(= $value:expr)?)*) => {
        $crate::diagnosis::remedy::Remedy::told(
            $text, &[$((stringify!($key), &told!(@value $key $($value)?))),*],
        )
    };
    (@value $key:ident) => { $key.to_string() };
    (@value $key:ident $value:expr) => { $value.to_string() };
    (@file $($file:expr),+) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/diagnosis/", $($file,)+ ".txt"))
    };
    ($code:ident, $name:literal $($rest:tt)*) => {
        told!(@text $crate::diagnosis::cause::section(
            told!(@file "explanations/", stringify!($code)), $name,
        ), $($rest)*)
    };
    ($name:literal $($rest:tt)*) => { told!(@text told!(@file "remedy/words/", $name), $($rest)*) };
}
pub(in super::super) use told;

impl Remedy {
    /// Use [`told`], which finds the file when it is compiled.
    pub(in super::super) fn told(text: &str, values: &[(&str, &str)]) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut head = head.lines();
        let mut remedy = Self::new(fill(head.next().unwrap_or_default(), values), how(body, values), "");
        for text in head {
            match text.split_once(": ") {
                Some(("Price", price)) => remedy.opens = line(&fill(price, values)).into_owned(),
                Some(("Needs", "root")) => remedy = remedy.for_root(),
                Some(("Needs", "root who may mount")) => remedy = remedy.needs(Need::Mounter),
                Some((_, need)) => remedy = remedy.needs(fill(need, values)),
                None => {}
            }
        }
        remedy
    }

    /// Those of a cause's own, where they need nothing filled in.
    pub(in super::super) fn of(cause: Cause) -> Vec<Self> {
        remedies(cause.text()).map(|(_, text)| Self::told(text, &[])).collect()
    }
}

fn how(body: &str, values: &[(&str, &str)]) -> Action {
    let marked = |mark: &str| {
        let line = |line: &str| {
            line.strip_prefix(mark).map(|line| fill(line.strip_prefix(' ').unwrap_or(line), values))
        };
        body.lines().map(line).collect::<Option<Vec<_>>>()
    };
    if let Some(lines) = marked("$") {
        return Action::Commands(lines);
    }
    let listed = marked("|").map(|lines| lines.join("\n"));
    Action::Manual(listed.unwrap_or_else(|| fill(&body.lines().collect::<Vec<_>>().join(" "), values)))
}

/// In one pass: what is filled in is not looked at again.
pub(in super::super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(['{', '}']) {
        filled.push_str(before);
        let brace = if rest.get(before.len()..).is_some_and(|at| at.starts_with('{')) { '{' } else { '}' };
        if let Some(after) = after.strip_prefix(brace) {
            filled.push(brace);
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(values.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value));
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    /// What is filled into a text.
    fn names(text: &str) -> BTreeSet<String> {
        let text = text.replace("{{", "").replace("}}", "");
        text.split('{').skip(1).map(|part| part.split('}').next().unwrap().to_owned()).collect()
    }

    /// All source files below a directory.
    fn sources(directory: &Path, found: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("words.rs") {
                found.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn each_file_is_whole_and_used_with_all_its_names() {
        let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diagnosis");
        let mut source = String::new();
        sources(&room, &mut source);
        let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for part in source.split("told!(").skip(1) {
            let end = part.char_indices().scan(1, |depth, (at, c)| {
                *depth += match c {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                Some((*depth, at))
            });
            let end = end.into_iter().find(|(depth, _)| *depth == 0).unwrap().1;
            let mut words = part[..end].split('"');
            let code = words.next().unwrap().trim();
            let name = format!("{code}{}", words.next().unwrap());
            uses.entry(name).or_default().push(part[..end].to_owned());
        }
        let mut texts = Vec::new();
        for entry in std::fs::read_dir(room.join("remedy/words")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            texts.push((name, std::fs::read_to_string(&path).unwrap()));
        }
        let mut unnamed = 0;
        for &cause in Cause::ALL {
            let own: Vec<_> = remedies(cause.text())
                .map(|(name, text)| (format!("{},{name}", cause.code()), text))
                .collect();
            // all of them, where the row names none: nothing can be filled in
            if own.iter().all(|(name, text)| !uses.contains_key(name) && names(text).is_empty()) {
                unnamed += own.len();
                for (name, _) in &own {
                    uses.insert(name.clone(), vec![format!("\"{name}\"")]);
                }
            }
            texts.extend(own.into_iter().map(|(name, text)| (name, text.to_owned())));
        }
        assert!(unnamed > 10, "{unnamed}");
        let mut files = 0;
        for (name, text) in &texts {
            let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
            let mut head = head.lines();
            assert!(head.next().unwrap().starts_with(|c: char| c.is_uppercase() || c == '{'), "{name}");
            assert!(head.next().unwrap().starts_with("Price: "), "{name}");
            assert!(head.all(|line| line.starts_with("Needs: ")), "{name}");
            let uses = uses.get(name).unwrap_or_else(|| panic!("nothing uses {name}"));
            let literal = format!("\"{}\" =>", name.split_once(',').map_or(name.as_str(), |(_, name)| name));
            let applied = |part: &String| part.contains(&literal);
            assert!(uses.iter().all(|part| applied(part) == body.trim().is_empty()), "{name}");
            for part in uses {
                let given = |wanted: &String| {
                    part.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == wanted)
                };
                assert!(names(text).iter().all(given), "{name}: {part}");
            }
            files += 1;
        }
        assert_eq!(files, uses.len());
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        assert_eq!(fill("a {x} {{b}} {y}", &[("x", "{y}"), ("y", "1")]), "a {y} {b} 1");
        let text = "Do {x}\nPrice: all\nNeeds: root\nNeeds: luck\n\n$ do {x}\n$ again\n";
        let remedy = Remedy::told(text, &[("x", "it")]);
        assert_eq!((&*remedy.summary, &*remedy.opens, remedy.needs.len()), ("Do it", "all", 2));
        assert_eq!(remedy.instructions(), "do it\nagain\n");
        let of = |body: &str| Remedy::told(&format!("Do\nPrice: all\n\n{body}"), &[]).instructions();
        assert_eq!((of("one\ntext\n"), of("| a\n|\n|  b\n")), ("one text\n".into(), "a\n\n b\n".into()));
    }
}
