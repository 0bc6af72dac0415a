//! What this process has, and what is on the system because of it.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bwrap_launch::{Command, Sandbox};

use crate::common::{Here, host};
use crate::support::{Kind, SETTLE, eventually, released, watch};

/// What must be the same afterwards.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    descriptors: Vec<String>,
    /// By name.
    threads: Vec<String>,
    children: Vec<String>,
    /// Processes whose command line has the token.
    marked: Vec<String>,
}

/// What is in a directory of `/proc`; a process may be gone meanwhile.
fn names(directory: impl AsRef<Path>) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

impl Inventory {
    pub(crate) fn take(token: &str) -> Self {
        let link = |number: &String| fs::read_link(format!("/proc/self/fd/{number}"));
        // one is there to list the others, and is gone by now
        let descriptors = names("/proc/self/fd")
            .iter()
            .filter_map(|number| Some(format!("{number} {}", link(number).ok()?.display())))
            .collect();
        let tasks = names("/proc/self/task");
        let children = tasks.iter().flat_map(|task| {
            let children = fs::read_to_string(format!("/proc/self/task/{task}/children"));
            children.unwrap_or_default().split_whitespace().map(described).collect::<Vec<_>>()
        });
        let own = std::process::id().to_string();
        let holds = |pid: &String| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.windows(token.len()).any(|window| window == token.as_bytes())
        };
        let numeric = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
        let processes = names("/proc").into_iter().filter(|name| numeric(name) && *name != own);
        let mut inventory = Self {
            descriptors,
            children: children.collect(),
            marked: processes.filter(holds).map(|pid| described(&pid)).collect(),
            threads: tasks.iter().filter_map(thread_name).collect(),
        };
        inventory.descriptors.sort();
        inventory.threads.sort();
        inventory
    }

    /// Whether it is all as it was; a runtime replaces threads of its own, and names them when they run.
    fn has_nothing_else_than(&self, before: &Self) -> bool {
        self.threads.len() <= before.threads.len()
            && (&self.descriptors, &self.children, &self.marked)
                == (&before.descriptors, &before.children, &before.marked)
    }

    /// How many children there are now that were not there before.
    pub(crate) fn new_children(&self, before: &Self) -> usize {
        self.children.len().saturating_sub(before.children.len())
    }
}

fn thread_name(task: &String) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/self/task/{task}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// A process, with its state.
fn described(pid: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or_else(|_| format!("{pid} (gone)"), |stat| stat.chars().take(60).collect())
}

/// Waits for the keeper's thread, which stays for a moment after what it was needed for: it must not count as what was there before.
fn rest() {
    let is_keeper = |task: &String| {
        fs::read_to_string(format!("/proc/self/task/{task}/comm"))
            .is_ok_and(|name| name.trim() == "bwrap-keeper")
    };
    let deadline = Instant::now() + Duration::from_secs(3);
    while names("/proc/self/task").iter().any(is_keeper) && Instant::now() < deadline {
        sleep(Duration::from_millis(10));
    }
}

/// Does something, and sees that everything is then as it was. What is killed takes its time.
pub(crate) fn unchanged<T>(token: &str, what: &str, action: impl FnOnce() -> T) -> T {
    rest();
    let before = Inventory::take(token);
    let result = action();
    let mut after = Inventory::take(token);
    eventually(|| {
        after = Inventory::take(token);
        after.has_nothing_else_than(&before)
    });
    assert!(after.has_nothing_else_than(&before), "{what}\nafter: {after:?}\nbefore: {before:?}");
    result
}

/// What marks this case's processes.
pub(crate) fn token(here: &Here) -> String {
    format!("token={}", here.scratch.display())
}

/// A command that carries the token: a script that can be found.
pub(crate) fn marked(here: &Here, sandbox: &Sandbox, script: &str) -> Command {
    let mut command = here.shell(sandbox, script);
    command.arg(token(here));
    command
}

/// Launches a script in this way and sees that nothing is left, of the sandbox or here.
pub(crate) fn leaves_nothing(
    here: &Here,
    sandbox: &Sandbox,
    script: &str,
    launch: impl FnOnce(&mut Command) -> Kind,
) -> Kind {
    let what = format!("{script} in {sandbox}");
    unchanged(&token(here), &what, || {
        let mut command = marked(here, sandbox, script);
        let holders = watch(&mut command);
        let kind = launch(&mut command);
        drop(command);
        assert!(released(&holders, SETTLE), "{kind:?}: {what}");
        kind
    })
}

/// The kinds of sandboxes whose processes differ.
pub(crate) fn sandboxes() -> Vec<Sandbox> {
    use bwrap_launch::Namespaces;
    let with_pids = host().unshare(Namespaces::PID);
    vec![
        host(),
        with_pids.clone(),
        with_pids.clone().as_pid_1(),
        host().die_with_parent(),
        host().unshare_all().die_with_parent(),
    ]
}

/// Without one that has no process of its own inside and a parent to die with: the keeper's thread stays for a moment
/// after each such launch, which takes its time.
pub(crate) fn few_sandboxes() -> Vec<Sandbox> {
    let mut all = sandboxes();
    drop(all.remove(3));
    all
}
