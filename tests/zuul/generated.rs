//! Configurations that nobody thought of: the same in every run.

use crate::common::Here;
use crate::kit::{Both, Configuration};
use crate::support::Numbers;

const COUNT: usize = 8;

/// Names with what shells, Python, the kernel's tables and people stumble over. The last of them mean something to
/// `str.format`.
const NAMES: &[&str] = &[
    "plain",
    "with space",
    "quote'\"",
    "line\nfeed",
    "back\\slash",
    "\u{fc}n\u{ef}code",
    "star*",
    "-dash",
    "a=b",
    "$HOME",
    "tab\t",
    "colon:comma,",
    "%s",
    "#hash",
    ".hidden",
    "trailing ",
    "...",
    "{{b}}",
    "{uid}",
    "{b}",
];
const BRACES: usize = 3;

struct Tree<'a> {
    numbers: &'a mut Numbers,
    directories: Vec<String>,
    files: Vec<String>,
}

impl Tree<'_> {
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.numbers.below(limit as u64)).unwrap()
    }

    fn grow(&mut self, names: &[&str]) {
        for _ in 0..8 {
            let (above, name) = (self.below(self.directories.len()), self.below(names.len()));
            let path = format!("{}/{}", self.directories[above], names[name]);
            if self.directories.contains(&path) || self.files.contains(&path) {
                continue;
            }
            if self.below(3) == 0 { self.files.push(path) } else { self.directories.push(path) }
        }
    }

    fn any(&mut self) -> String {
        let index = self.below(self.directories.len() + self.files.len());
        self.directories.iter().chain(&self.files).nth(index).unwrap().clone()
    }
}

/// A configuration with paths in a tree of its own, nested and repeated, and what the job must have for it.
fn generate(both: &mut Both, numbers: &mut Numbers) -> Configuration {
    let mut tree = Tree { numbers, directories: vec!["tree".to_owned()], files: Vec::new() };
    // braces in some only: most launches are to lead somewhere
    let names = if tree.below(3) == 0 { NAMES } else { &NAMES[..NAMES.len() - BRACES] };
    tree.grow(names);
    let mut configuration = Configuration::default();
    for _ in 0..tree.below(5) {
        configuration.ro.push(both.job.path(&tree.any()));
    }
    for _ in 0..tree.below(4) {
        configuration.rw.push(both.job.path(&tree.any()));
    }
    for _ in 0..tree.below(4) {
        let directory = tree.below(tree.directories.len());
        let mut directory = tree.directories[directory].clone();
        if tree.below(4) == 0 {
            directory.push_str("/new/deep");
        }
        let sizes = [0, 1, 26, 4096, 65_536, 65_537, 1 << 20];
        let size = sizes[tree.below(sizes.len())];
        let text: String = "s\u{e9}cret: {x}\n".chars().cycle().take(size).collect();
        let name = names[tree.below(names.len())];
        configuration.secrets.push((both.job.path(&format!("{directory}/{name}.yaml")), text));
    }
    // a dictionary has no key twice
    let mut known = Vec::new();
    configuration.secrets.retain(|(path, _)| {
        !known.contains(path) && {
            known.push(path.clone());
            true
        }
    });
    configuration.share_net = [None, Some(true), Some(false)][tree.below(3)];
    configuration.agent = tree.below(2) == 0;
    both.job.extra =
        tree.directories.iter().map(|path| format!("{path}/")).chain(tree.files.clone()).collect();
    configuration
}

pub(crate) fn generated_configurations(here: &Here) {
    let mut both = Both::new(here);
    let mut numbers = Numbers::new(1430);
    let mut started = 0;
    for _ in 0..COUNT {
        let configuration = generate(&mut both, &mut numbers);
        started += usize::from(both.compare(&configuration).returned == Ok(0));
    }
    assert!(started * 2 >= COUNT, "only {started} of {COUNT} start at all: they compare nothing");
}
