//! Files of words that users read: written from a run with `BWRAP_LAUNCH_WRITE_DOCS=1`, compared by every other run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Set, a run writes what it made instead of comparing it.
const WRITE: &str = "BWRAP_LAUNCH_WRITE_DOCS";

/// Compares the files of a folder of `tests/data/words` with what was made, by name, or writes them. No other file may be
/// there. `command` makes them anew.
pub(crate) fn check(folder: &str, made: &BTreeMap<String, String>, command: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/words").join(folder);
    let written = names(&folder);
    if env::var_os(WRITE).is_some() {
        fs::create_dir_all(&folder).unwrap();
        for name in written.iter().filter(|name| !made.contains_key(*name)) {
            fs::remove_file(folder.join(name)).unwrap();
        }
        for (name, text) in made {
            fs::write(folder.join(name), text).unwrap();
        }
        return;
    }
    let known = |name: &String| fs::read_to_string(folder.join(name)).unwrap_or_default();
    let mut faults: Vec<String> = made
        .iter()
        .filter(|(name, text)| known(name) != **text)
        .map(|(name, text)| difference(name, &known(name), text))
        .collect();
    faults.extend(
        written
            .iter()
            .filter(|name| !made.contains_key(*name))
            .map(|name| format!("{name}: nothing makes this file")),
    );
    let folder = folder.display();
    assert!(
        faults.is_empty(),
        "words have changed in {} of the files in {folder}. If that is meant, write them anew, and say why in the commit:\n\n    \
         {WRITE}=1 {command}\n\n{}",
        faults.len(),
        faults.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n")
    );
}

/// Compares a part of a page, between two lines, with what was made, or writes it.
#[allow(dead_code, reason = "not every test that compares words has such a page")]
pub(crate) fn check_block(page: &str, after: &str, before: &str, made: &str, command: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(after).unwrap_or_else(|| panic!("{page} has no {after:?}"));
    let (block, tail) =
        rest.split_once(before).unwrap_or_else(|| panic!("{page} has no {before:?} after {after:?}"));
    if env::var_os(WRITE).is_some() {
        fs::write(&path, [head, after, made, before, tail].concat()).unwrap();
    } else {
        assert!(block == made, "{}\n{WRITE}=1 {command}\nwrites it", difference(page, block, made));
    }
}

fn names(folder: &PathBuf) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    entries.into_iter().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The first lines that differ.
fn difference(name: &str, old: &str, new: &str) -> String {
    let same = old.lines().zip(new.lines()).take_while(|(old, new)| old == new).count();
    let from = |text: &str, mark: &str| {
        let lines = text.lines().skip(same).take(3).map(|line| format!("    {mark} {line}\n"));
        lines.collect::<String>()
    };
    format!("{name}, line {}:\n{}{}", same + 1, from(old, "-"), from(new, "+"))
}
