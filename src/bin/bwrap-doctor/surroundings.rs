//! What bwrap is not given here, and another program would leave it: with that it may behave in another way than it does here.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bwrap_launch::{Bwrap, Version};
use signal_hook::consts::SIGCHLD;

use crate::output::note;
use crate::standin;

/// Whether whoever started us has SIGCHLD ignored.
static IGNORES_CHILDREN: AtomicBool = AtomicBool::new(false);

/// Where whoever started us has SIGCHLD ignored, the kernel keeps no status of children. A handler that does nothing ends that.
pub(crate) fn heed_children() {
    let ignored = standin::ignored_signals().map(|mask| mask & 1 << (SIGCHLD - 1) != 0);
    IGNORES_CHILDREN.store(ignored == Some(true), Ordering::Relaxed);
    if ignored != Some(false) {
        let _ = signal_hook::flag::register(SIGCHLD, Arc::new(AtomicBool::new(false)));
    }
}

/// From here on bwrap takes SIGCHLD back itself; 0.11 does not.
const HEEDS_CHILDREN: Version = Version::new(0, 12, 0);

/// What a dynamic loader is told by.
const LOADER: [&str; 2] = ["LD_LIBRARY_PATH", "LD_PRELOAD"];

/// Notes what is different for a bwrap that is started in this place by others.
pub(crate) fn tell(bwrap: &Bwrap) {
    let old = bwrap.version().is_none_or(|version| version < HEEDS_CHILDREN);
    if IGNORES_CHILDREN.load(Ordering::Relaxed) && old {
        note(&format!(
            "SIGCHLD is ignored here. bwrap {} never ends if it is started so; it is given the signal back here, and a program of \
             yours has to do so, too: signal(SIGCHLD, SIG_DFL) before it starts bwrap",
            bwrap.version_text()
        ));
    }
    let set: Vec<&str> = LOADER.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
    if let Some(complaint) = complaint(bwrap).filter(|_| !set.is_empty()) {
        note(&format!(
            "{} set here, and bwrap is started without that here. With it bwrap does not start: {complaint}. A program of yours \
             has to leave it out, too: env -u {} PROGRAM",
            if let [one] = set[..] { format!("{one} is") } else { format!("{} are", set.join(" and ")) },
            set.join(" -u ")
        ));
    }
}

/// What the loader says if bwrap is started with all of our environment, and does not come as far as to say its version.
fn complaint(bwrap: &Bwrap) -> Option<String> {
    if LOADER.iter().all(|name| std::env::var_os(name).is_none()) {
        return None;
    }
    let mut command = Command::new(bwrap.path());
    let answer = command.arg("--version").stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&answer.stderr);
    let line = said.lines().next().filter(|_| !answer.status.success())?;
    Some(crate::visible::line(line).into_owned())
}
