//! The plan of the house: which room knows which, and that no files know one another in a circle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module as its path below the crate: `["launch", "child"]`.
type Module = Vec<String>;

struct House {
    /// Every module, and its text without tests.
    modules: BTreeMap<Module, String>,
    /// What is used where: the paths as they are written, and whether they are passed on (`pub use`).
    uses: BTreeMap<Module, Vec<(Vec<String>, bool)>>,
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Code without comments, strings of documentation and the test module at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths of a tree such as `a::{b, c::{d, self}}`.
fn expand(tree: &str, prefix: &[String], into: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap().split("::").map(|part| part.trim().to_owned());
        let path = prefix.iter().cloned().chain(path).filter(|part| !part.is_empty() && part != "self");
        into.push(path.collect());
        return;
    };
    let head = head.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
    let prefix: Vec<String> = prefix.iter().cloned().chain(head).collect();
    let inner = &rest[..rest.rfind('}').unwrap()];
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[start..at].trim().is_empty() {
                    expand(&inner[start..at], &prefix, into);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

impl House {
    /// Of a crate: the library, or the program, by the directory of its root.
    fn read(root: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let mut found = Vec::new();
        files(&root, &mut found);
        let mut house = Self { modules: BTreeMap::new(), uses: BTreeMap::new() };
        for path in found {
            let relative = path.strip_prefix(&root).unwrap();
            let mut module: Module =
                relative.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            // another crate, and tests, which may know everything
            let is_test = module.iter().any(|part| ["tests", "fixtures", "golden"].contains(&part.as_str()));
            if module[0] == "bin" || is_test {
                continue;
            }
            if ["mod", "lib", "main"].contains(&module.last().unwrap().as_str()) {
                module.pop();
            }
            house.modules.insert(module, code(&fs::read_to_string(path).unwrap()));
        }
        for (module, text) in &house.modules {
            house.uses.insert(module.clone(), house.uses_in(module, text));
        }
        house
    }

    /// Every path that begins with `crate`, `super`, `self` or a child's name, made absolute.
    fn uses_in(&self, module: &Module, text: &str) -> Vec<(Vec<String>, bool)> {
        let mut paths = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let line = line.trim();
            let Some((before, tree)) = line.split_once("use ") else { continue };
            let public = before.starts_with("pub");
            if !(before.is_empty() || public && before.ends_with(' ')) {
                continue;
            }
            let mut tree = tree.to_owned();
            while !tree.contains(';') {
                tree.push_str(lines.next().unwrap());
            }
            let mut expanded = Vec::new();
            expand(tree.split(';').next().unwrap(), &[], &mut expanded);
            paths.extend(expanded.into_iter().map(|path| (path, public)));
        }
        // paths in the code itself
        for (at, _) in text.match_indices("crate::").chain(text.match_indices("super::")) {
            let preceded =
                text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || ":_$".contains(c));
            if preceded {
                continue;
            }
            let path =
                text[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next().unwrap();
            let path: Vec<String> = path.split("::").filter(|p| !p.is_empty()).map(str::to_owned).collect();
            paths.push((path, false));
        }
        let absolute = |(path, public): (Vec<String>, bool)| {
            let mut base = module.clone();
            let mut rest = path.as_slice();
            match rest.first().map(String::as_str) {
                Some("crate") => {
                    base.clear();
                    rest = &rest[1..];
                }
                Some("super") => {
                    while rest.first().is_some_and(|part| part == "super") {
                        base.pop();
                        rest = &rest[1..];
                    }
                }
                Some(name) => {
                    base.push(name.to_owned());
                    if !self.modules.contains_key(&base) {
                        return None;
                    }
                    base.pop();
                }
                None => return None,
            }
            base.extend(rest.iter().cloned());
            Some((base, public))
        };
        paths.into_iter().filter_map(absolute).collect()
    }

    /// The file in which the item of a path is, through what is passed on.
    fn home(&self, path: &[String], depth: usize) -> Module {
        let length =
            (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length])).unwrap();
        let (module, rest) = path.split_at(length);
        if let Some(name) = rest.first().filter(|_| depth < 8) {
            for (passed, public) in self.uses.get(module).into_iter().flatten() {
                if *public && passed.last() == Some(name) && passed.as_slice() != path {
                    return self.home(passed, depth + 1);
                }
            }
        }
        module.to_vec()
    }

    /// Which file knows which.
    fn arrows(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let mut arrows: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
        for (module, uses) in &self.uses {
            for (path, public) in uses {
                let to = self.home(path, 0);
                // what a room passes on is not what it is made of
                let passes_on = *public && to.starts_with(module);
                if to != *module && !passes_on && !module.is_empty() {
                    arrows.entry(module.clone()).or_default().insert(to);
                }
            }
        }
        arrows
    }
}

/// The files from which one comes back to themselves, each with one way.
fn circles(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let mut found = Vec::new();
    for start in arrows.keys() {
        let mut from: BTreeMap<&Module, &Module> = BTreeMap::new();
        let mut next = vec![start];
        while let Some(at) = next.pop() {
            for to in arrows.get(at).into_iter().flatten() {
                if to == start {
                    let mut way = vec![start.join("::"), at.join("::")];
                    let mut at = at;
                    while let Some(before) = from.get(at).filter(|_| at != start) {
                        at = before;
                        way.push(at.join("::"));
                    }
                    way.reverse();
                    found.push(way.join(" -> "));
                    next.clear();
                    break;
                }
                if !from.contains_key(to) {
                    from.insert(to, at);
                    next.push(to);
                }
            }
        }
    }
    found
}

#[test]
fn no_files_know_one_another_in_a_circle() {
    for (root, expected) in [("src", 300), ("src/bin/bwrap-doctor", 15)] {
        let arrows = House::read(root).arrows();
        let count = arrows.values().map(BTreeSet::len).sum::<usize>();
        assert!(count > expected, "the plan of {root} was not read: {count}");
        let circles = circles(&arrows);
        assert!(circles.is_empty(), "{root}: {}", circles.join("\n"));
    }
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str| vec![name.to_owned()];
    let mut arrows = BTreeMap::new();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")] {
        arrows.entry(module(from)).or_insert_with(BTreeSet::new).insert(module(to));
    }
    assert_eq!(circles(&arrows), ["b -> c -> b", "c -> b -> c"]);
}

/// Which rooms a room may know, beside itself and what stands in the root.
const ROOMS: &[(&str, &[&str])] = &[
    ("sandbox", &["capability"]),
    ("host", &["capability", "process_local", "sandbox"]),
    ("bwrap", &["capability", "process_local", "sandbox", "shell", "visible"]),
    ("diagnosis", &["capability", "sandbox", "bwrap", "host", "shell", "visible"]),
    // a manifest is a host that is not there yet: nothing of it launches
    ("kubernetes", &["capability", "sandbox", "bwrap", "host", "diagnosis", "visible"]),
    ("launch", &["capability", "process_local", "sandbox", "bwrap", "host", "diagnosis", "shell", "visible"]),
    ("profile", &["sandbox", "bwrap", "launch", "visible"]),
    ("testing", &["bwrap", "diagnosis", "host", "launch", "shell"]),
    // these stand on top
    ("doctor", &["sandbox", "bwrap", "host", "diagnosis", "launch", "visible"]),
    ("results", &["visible"]),
    ("shell", &["visible"]),
    ("capability", &[]),
    ("process_local", &[]),
    ("visible", &[]),
];

#[test]
fn rooms_know_only_whom_they_may() {
    let house = House::read("src");
    let mut wrong = Vec::new();
    for (from, known) in house.arrows() {
        let Some((room, may)) = ROOMS.iter().find(|(room, _)| *room == from[0]) else {
            wrong.push(format!("{} is in no room that this test knows", from.join("::")));
            continue;
        };
        for to in
            known.iter().filter(|to| to.first().is_some_and(|to| to != room && !may.contains(&to.as_str())))
        {
            wrong.push(format!("{} knows {}", from.join("::"), to.join("::")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // what is passed on by the root is meant for users: a room that takes it from there hides whom it knows
    let root = |from: &Module, path: &Vec<String>| {
        !from.is_empty() && path.len() == 1 && !house.modules.contains_key(path)
    };
    let hidden: Vec<String> = house
        .uses
        .iter()
        .flat_map(|(from, uses)| {
            uses.iter().filter(|(path, _)| root(from, path)).map(move |(path, _)| (from, path))
        })
        .map(|(from, path)| format!("{} takes {} from the root", from.join("::"), path.join("::")))
        .collect();
    assert!(hidden.is_empty(), "{}", hidden.join("\n"));
}

#[test]
fn the_readme_leads_to_every_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, table) = readme.split_once("| I want to | |\n").unwrap();
    let table: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    for entry in fs::read_dir(root.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.with_extension("").file_name().unwrap().to_str().unwrap().to_owned();
        let named = [format!("`{name}"), format!("/{name}.")];
        let leads = |row: &&str| named.iter().any(|named| row.contains(named));
        assert!(table.iter().any(leads), "README.md does not lead to the example {name}");
    }
}
