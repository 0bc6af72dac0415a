//! The bwraps that `make test` names.

use std::path::PathBuf;

/// How many of them most suites take; the others are for suites that ask for all.
pub(crate) const USUAL: usize = 2;

const LIST: &str = "BWRAP_LAUNCH_TEST_BWRAPS";

/// The list, if there is one. One that names nothing would let every test pass by not running.
pub(crate) fn listed() -> Option<Vec<PathBuf>> {
    let list = std::env::var_os(LIST)?;
    let paths: Vec<PathBuf> = std::env::split_paths(&list).collect();
    if let Some(bad) = paths.iter().find(|path| !path.is_absolute()) {
        panic!(
            "{LIST}='{}': '{}' is no absolute path; unset it, or name bwraps, with colons between them",
            list.display(),
            bad.display()
        );
    }
    Some(paths)
}

/// Whether everything runs on each of them (`BWRAP_LAUNCH_TEST_EACH=1`), not only what their versions matter for.
pub(crate) fn each() -> bool {
    std::env::var_os("BWRAP_LAUNCH_TEST_EACH").is_some_and(|each| each == "1")
}

/// How many cases run at a time, if nobody has said: most of them wait, mostly. On a machine that is slow (`BWRAP_LAUNCH_TEST_SHARE`),
/// no more than usual.
pub(crate) fn at_a_time(told: Option<usize>) -> Option<usize> {
    let slow = std::env::var_os("BWRAP_LAUNCH_TEST_SHARE").is_some();
    let usual = std::thread::available_parallelism().ok().filter(|_| !slow);
    told.or(usual.map(|processors| 2 * processors.get()))
}
