//! A kubectl that works without a cluster: the one that `tests/cluster` has built, or one that is installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Nothing of whoever runs the tests: no cluster, no cache.
pub(crate) fn kubectl(home: &Path) -> Option<Command> {
    let command = |program: &Path| {
        let mut command = Command::new(program);
        command.env("HOME", home).env("KUBECONFIG", "/dev/null").stdin(Stdio::null());
        command
    };
    let works = |program: &PathBuf| {
        let asked = command(program).args(["version", "--client"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    let builds = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cluster"));
    let builds = builds.into_iter().flatten().flatten().map(|entry| entry.path());
    let built = builds.filter(|path| path.join("complete").exists()).map(|path| path.join("kubectl"));
    built.chain([PathBuf::from("kubectl")]).find(works).map(|program| command(&program))
}
