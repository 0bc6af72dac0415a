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
