//! What both adversary suites need: outcomes that can be compared, stand-ins for bwrap, marks and holders.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::io::PipeReader;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bwrap_launch::{Bwrap, Command, Error, ExitStatus, Namespaces, Sandbox, Undecided, Verdict};

use crate::common::{Here, holders, host, within};
#[allow(unused_imports, reason = "as above")]
pub(crate) use crate::common::{SETTLE, released, watch};

/// An outcome, without its explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Refused,
    SetupFailed,
    NotExecuted,
    /// The command ran, and bwrap says it ended with this number.
    Ran(u8),
    Undecided(Undecided),
    /// It was stopped by us, and never began, or perhaps it did.
    Stopped {
        began: bool,
    },
    Invalid,
    System,
    Other,
}

impl Kind {
    pub(crate) fn of(outcome: &Result<ExitStatus, Error>) -> Self {
        match outcome {
            Ok(status) => Self::Ran(status.raw()),
            Err(Error::Refused(_)) => Self::Refused,
            Err(Error::SetupFailed(_)) => Self::SetupFailed,
            Err(Error::NotExecuted(_)) => Self::NotExecuted,
            Err(Error::Undecided(failure)) => Self::Undecided(failure.undecided().unwrap()),
            Err(Error::Stopped { verdict, .. }) => Self::Stopped { began: *verdict == Verdict::Unknown },
            Err(Error::Invalid(_)) => Self::Invalid,
            Err(Error::System { .. }) => Self::System,
            Err(_) => Self::Other,
        }
    }

    /// What our own kill may end as, at whatever moment it comes: before the command, after it began, and with a bwrap that had
    /// no time to say which.
    #[allow(dead_code, reason = "not every suite kills")]
    pub(crate) fn killed(self) -> bool {
        self.denies()
            || matches!(
                self,
                Self::Ran(137)
                    | Self::Stopped { .. }
                    | Self::Undecided(
                        Undecided::BwrapEndedEarly { status: 137 } | Undecided::BwrapKilled { signal: 9 }
                    )
            )
    }

    /// It says that the command never began.
    pub(crate) fn denies(self) -> bool {
        matches!(self, Self::Refused | Self::SetupFailed | Self::NotExecuted | Self::Stopped { began: false })
    }
}

/// Runs a command and classifies what became of it.
pub(crate) fn judge(command: &mut Command) -> Kind {
    Kind::of(&command.output().map(|output| output.status))
}

/// The plain sandbox and one with a PID namespace: bwrap has a process of its own inside only in the second.
pub(crate) fn both() -> [Sandbox; 2] {
    [host(), host().unshare(Namespaces::PID)]
}

/// As [`both`], with the case's scratch directory writable.
pub(crate) fn both_writable(here: &Here) -> [Sandbox; 2] {
    both().map(|sandbox| sandbox.bind(&here.scratch, &here.scratch))
}

/// What repetitions are divided by, at least one being left: `BWRAP_LAUNCH_TEST_SHARE`, for machines that are slow. No case is
/// left out.
pub(crate) fn share() -> usize {
    let Some(share) = std::env::var_os("BWRAP_LAUNCH_TEST_SHARE") else { return 1 };
    let number = share.to_str().and_then(|share| share.parse().ok()).filter(|share| *share > 0);
    number.unwrap_or_else(|| panic!("BWRAP_LAUNCH_TEST_SHARE={}: a number from 1 on", share.display()))
}

/// What of a list is tried in turn for each case: all, or with a [`share`] one of so many, another one each time.
pub(crate) fn in_turn<T, const N: usize>(all: [T; N]) -> impl Iterator<Item = T> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let first = TURN.fetch_add(1, Ordering::Relaxed) % share().min(N);
    all.into_iter().skip(first).step_by(share())
}

/// A small generator of numbers (xorshift64): the same in every run.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(start: u64) -> Self {
        Self(start.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Waits up to so many microseconds.
    pub(crate) fn pause(&mut self, micros: u64) {
        std::thread::sleep(Duration::from_micros(self.below(micros)));
    }
}

/// Asks again until it is so, or what was killed should have disappeared.
pub(crate) fn eventually(is_so: impl FnMut() -> bool) -> bool {
    within(SETTLE, is_so)
}

/// Whether nobody holds the other end of a pipe any more, or soon; else it is killed.
pub(crate) fn released_or_killed(reader: &PipeReader, patience: Duration) -> bool {
    let all = released(reader, patience);
    if !all {
        kill_holders(reader);
    }
    all
}

/// Kills every process but this one that holds the other end of a pipe, and says how many there were.
pub(crate) fn kill_holders(reader: &PipeReader) -> usize {
    let holders = holders(reader);
    for pid in &holders {
        let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    holders.len()
}

/// A file that a command makes when it runs, and another when it comes to its end.
pub(crate) struct Mark(PathBuf);

impl Mark {
    pub(crate) fn new(here: &Here, name: impl std::fmt::Display) -> Self {
        Self(here.scratch.join(format!("mark-{name}")))
    }

    /// A script that leaves the mark, does something, and leaves the second one.
    pub(crate) fn script(&self, between: &str) -> String {
        let path = self.0.display();
        format!(": > {path}\n{between}\n: > {path}.end")
    }

    pub(crate) fn clear(&self) {
        let _ = fs::remove_file(&self.0);
    }

    pub(crate) fn began(&self) -> bool {
        self.0.exists()
    }

    pub(crate) fn ended(&self) -> bool {
        Path::new(&format!("{}.end", self.0.display())).exists()
    }
}

/// A script that stands in for bwrap. It answers `--help` and `--version` as the real one, whose path is `$real`,
/// and can be told what else to do.
pub(crate) fn stand_in(here: &Here, name: &str, body: &str) -> Bwrap {
    let path = here.scratch.join(name);
    let real = here.bwrap.path().display();
    let script = format!(
        "#!/bin/bash\nreal={real}\ncase \"$1\" in --help|--version) exec \"$real\" \"$@\";; esac\n{body}\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Bwrap::at(path).unwrap()
}

/// A stand-in's body: it neither reports anything nor ends, and answers questions about itself.
pub(crate) const HANGS: &str = "exec sleep 60";

/// Finds, in a stand-in, the number that follows an option in the arguments file.
pub(crate) const NUMBER_OF: &str = r#"number_of() { tr '\0' '\n' < /proc/self/fd/"$args" | grep -A1 -x -e "$1" | tail -n 1; }
export PATH=/usr/bin:/bin
args="$2""#;
