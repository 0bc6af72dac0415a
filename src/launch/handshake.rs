//! Which phase is a launch in, and what is the verdict: a state machine without I/O.
//!
//! Three witnesses speak: the status file (`--json-status-fd`), the ready socket (`--block-fd`, with one byte sent
//! in advance) and bwrap's exit status. What bwrap or the command prints is never asked.

use super::ExitStatus;
use crate::bwrap::status::Status;

/// How the ready socket ended on our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Somebody still holds the other end.
    Open,
    /// Closed with our byte read: everything is set up.
    Read,
    /// Closed with our byte unread (`ECONNRESET`): bwrap did not get that far.
    Unread,
}

/// How bwrap itself ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Exited(i32),
    Signaled(i32),
    /// Somebody else took the status: the caller ignores SIGCHLD, or waits for any child.
    Unknown,
}

/// What could make the witnesses lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent doubts")]
pub(crate) struct Caveats {
    /// A filter might keep bwrap from reporting that it executes the command.
    pub(crate) hides_start: bool,
    /// A filter might kill the command-to-be after that report.
    pub(crate) stops_exec: bool,
    /// A filter might end bwrap's own process 1, whose end then passes for the command's.
    pub(crate) fells_init: bool,
    /// A lock file that cannot be locked ends bwrap as if the command had ended with status 1.
    pub(crate) lock_file: bool,
    /// The command may get at the descriptors of a process of bwrap's, if only for a moment, and so keep it from telling that the
    /// command was executed.
    pub(crate) in_reach: bool,
}

/// What happened, once bwrap has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// bwrap made no sandbox: arguments, privileges, namespaces.
    Refused { signal: Option<i32> },
    /// The sandbox could not be completed: ids, network, mounts.
    SetupFailed { signal: Option<i32> },
    /// The sandbox was complete, the command was not executed.
    NotExecuted { signal: Option<i32> },
    /// The command ran and ended.
    Ended(ExitStatus),
    /// The witnesses leave two stories.
    Undecided(Undecided),
}

/// Why it cannot be known whether the command ran, or how it ended.
///
/// `Display` says what can be done so that it can be known the next time.
///
/// ```
/// use bwrap_launch::{Error, Namespaces, Sandbox, Undecided};
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare(Namespaces::PID).die_with_parent();
/// let mut child = sandbox.command("sleep").arg("60").spawn()?;
/// child.wait_ready()?;
/// // somebody kills bwrap, and the command with it
/// std::process::Command::new("sh").arg("-c").arg(format!("kill -9 {}", child.id())).status().unwrap();
/// let error = child.wait().unwrap_err();
/// let why = error.failure().unwrap().undecided();
/// assert_eq!(why, Some(Undecided::BwrapKilled { signal: 9 }));
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undecided {
    /// bwrap was killed after the sandbox was complete: the command may have run, and how it ended is lost.
    BwrapKilled {
        /// The signal that killed it.
        signal: i32,
    },
    /// bwrap's exit status was taken by somebody else and it reported none of the command: the caller ignores
    /// SIGCHLD, or waits for any child.
    StatusLost,
    /// A system call filter may have kept bwrap from reporting that it executed the command.
    FilterMayHideIt {
        /// bwrap's exit status, which is the command's own if that ran.
        status: i32,
    },
    /// bwrap ends with status 1 if it cannot lock a file, and reports that as the command's.
    LockFileMayHaveFailed,
    /// bwrap ended as if the command had not been executed, but a process of the sandbox outlived it, or its limits had been changed,
    /// or it failed to watch over the command, or it said nothing, or nothing that can be read back, and nothing else tells why the
    /// command could not be executed: a command that gets hold of bwrap or of its descriptors can bring that about. What was left of
    /// the sandbox was killed, as far as it could be found. Standard error that is a pipe has bwrap's words.
    BwrapEndedEarly {
        /// bwrap's exit status.
        status: i32,
    },
    /// bwrap reported what it never should: the command, or who else could get at bwrap, made it do so.
    Contradiction {
        /// bwrap's exit status, or the number that it reported as the command's.
        status: i32,
    },
}

/// What the witnesses have said so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handshake {
    caveats: Caveats,
    status: Status,
    ready: Ready,
    end: Option<End>,
    suspect: bool,
}

/// How far a launch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// bwrap has not reported a process yet.
    Starting,
    /// The process inside exists and is being set up.
    SettingUp,
    /// Everything is set up; the command is being or has been executed.
    Ready,
    /// bwrap has ended.
    Ended,
}

impl Handshake {
    pub(crate) fn new(caveats: Caveats) -> Self {
        Self { caveats, status: Status::default(), ready: Ready::Open, end: None, suspect: false }
    }

    pub(crate) fn on_status(&mut self, status: Status) {
        self.status = status;
    }

    /// The first end of the socket counts: a reset is reported once, a clean end ever after.
    pub(crate) fn on_ready(&mut self, ready: Ready) {
        if self.ready == Ready::Open {
            self.ready = ready;
        }
    }

    /// bwrap has ended. Its end is `suspect` if the process that it made was still there, or somebody had changed its limits.
    pub(crate) fn on_end(&mut self, end: End, suspect: bool) {
        if self.end.is_none() {
            (self.end, self.suspect) = (Some(end), suspect);
        }
    }

    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    pub(crate) fn ready(&self) -> Ready {
        self.ready
    }

    pub(crate) fn phase(&self) -> Phase {
        match (self.end, self.ready, self.status.child_pid) {
            (Some(_), _, _) => Phase::Ended,
            (None, Ready::Read, _) => Phase::Ready,
            (None, _, Some(_)) => Phase::SettingUp,
            (None, _, None) => Phase::Starting,
        }
    }

    /// The verdict, once bwrap has ended.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let end = self.end?;
        let signal = match end {
            End::Signaled(signal) => Some(signal),
            End::Exited(status) => killed_by(status),
            End::Unknown => None,
        };
        Some(match (self.status.exit_code, self.status.child_pid, self.ready) {
            (Some(code), child, _) => match u8::try_from(code) {
                Ok(1) if self.caveats.lock_file => Outcome::Undecided(Undecided::LockFileMayHaveFailed),
                Ok(code) if self.may_be_forged(code) => {
                    Outcome::Undecided(Undecided::FilterMayHideIt { status: code.into() })
                }
                // bwrap reports its process before anything can end
                Ok(code) if child.is_some() => Outcome::Ended(ExitStatus::from_bwrap(code)),
                _ => {
                    let status = i32::try_from(code).unwrap_or(if code < 0 { i32::MIN } else { i32::MAX });
                    Outcome::Undecided(Undecided::Contradiction { status })
                }
            },
            // whoever writes there may have taken something away as well
            (None, Some(_), _) if self.status.foreign => {
                let status = match end {
                    End::Exited(status) => status,
                    End::Signaled(_) | End::Unknown => -1,
                };
                Outcome::Undecided(Undecided::Contradiction { status })
            }
            (None, Some(_), Ready::Read) => self.after_setup(end),
            (None, Some(_), Ready::Unread | Ready::Open) => Outcome::SetupFailed { signal },
            // bwrap reports its process before it lets it go on
            (None, None, Ready::Unread | Ready::Open) => Outcome::Refused { signal },
            (None, None, Ready::Read) => match end {
                End::Exited(status) => Outcome::Undecided(Undecided::Contradiction { status }),
                End::Signaled(signal) => Outcome::Undecided(Undecided::BwrapKilled { signal }),
                End::Unknown => Outcome::Undecided(Undecided::StatusLost),
            },
        })
    }

    /// Whether an exit code that bwrap reports may be another's than the command's.
    fn may_be_forged(&self, code: u8) -> bool {
        let killed = ExitStatus::from_bwrap(code).signal();
        self.caveats.fells_init && (code == 1 || killed.is_some())
            || self.caveats.stops_exec && killed == Some(libc::SIGSYS)
    }

    /// Everything was set up, and no exit code was reported.
    fn after_setup(&self, end: End) -> Outcome {
        let status = match end {
            End::Signaled(signal) => return Outcome::Undecided(Undecided::BwrapKilled { signal }),
            End::Unknown => return Outcome::Undecided(Undecided::StatusLost),
            End::Exited(status) => status,
        };
        let killed = killed_by(status);
        let filtered = self.caveats.hides_start || self.caveats.fells_init;
        match (status, killed) {
            // a process that never reported, but could have run
            (1, _) | (_, Some(_)) if filtered => Outcome::Undecided(Undecided::FilterMayHideIt { status }),
            // it did not end because that process did
            (1, _) | (_, Some(_)) if self.suspect => {
                Outcome::Undecided(Undecided::BwrapEndedEarly { status })
            }
            // a command that has hidden that it was executed is killed as one that was not
            (_, Some(signal)) if self.caveats.in_reach && signal != libc::SIGPIPE => {
                Outcome::Undecided(Undecided::BwrapEndedEarly { status })
            }
            (1, _) => Outcome::NotExecuted { signal: None },
            (_, Some(signal)) => Outcome::NotExecuted { signal: Some(signal) },
            // bwrap's own failures are 1: this is the command's
            (_, None) => match u8::try_from(status) {
                Ok(code) if filtered => Outcome::Ended(ExitStatus::from_bwrap(code)),
                _ => Outcome::Undecided(Undecided::Contradiction { status }),
            },
        }
    }
}

/// The signal that killed the process inside, as bwrap passes it on in its own status.
fn killed_by(status: i32) -> Option<i32> {
    u8::try_from(status).ok().and_then(|code| ExitStatus::from_bwrap(code).signal())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(json: &str, ready: Ready, end: End, caveats: Caveats) -> Outcome {
        let mut handshake = Handshake::new(caveats);
        handshake.on_status(Status::parse(json.as_bytes()));
        handshake.on_ready(ready);
        assert_eq!(handshake.outcome(), None);
        handshake.on_end(end, false);
        handshake.outcome().unwrap()
    }

    const CHILD: &str = "{\"child-pid\": 9}";
    const NONE: Caveats = Caveats {
        hides_start: false,
        stops_exec: false,
        fells_init: false,
        lock_file: false,
        in_reach: false,
    };
    const FILTER: Caveats = Caveats { hides_start: true, ..NONE };

    #[test]
    fn the_table() {
        let ended = |code: &str| format!("{CHILD}\n{{\"exit-code\": {code}}}");
        for (json, ready, end, expected) in [
            (String::new(), Ready::Unread, End::Exited(1), Outcome::Refused { signal: None }),
            (String::new(), Ready::Unread, End::Exited(127), Outcome::Refused { signal: None }),
            (String::new(), Ready::Unread, End::Signaled(9), Outcome::Refused { signal: Some(9) }),
            (CHILD.into(), Ready::Unread, End::Exited(1), Outcome::SetupFailed { signal: None }),
            (CHILD.into(), Ready::Unread, End::Signaled(15), Outcome::SetupFailed { signal: Some(15) }),
            (CHILD.into(), Ready::Unread, End::Exited(137), Outcome::SetupFailed { signal: Some(9) }),
            (CHILD.into(), Ready::Unread, End::Unknown, Outcome::SetupFailed { signal: None }),
            (CHILD.into(), Ready::Read, End::Exited(1), Outcome::NotExecuted { signal: None }),
            (CHILD.into(), Ready::Read, End::Exited(137), Outcome::NotExecuted { signal: Some(9) }),
            (ended("0"), Ready::Read, End::Exited(0), Outcome::Ended(ExitStatus::from_bwrap(0))),
            (ended("1"), Ready::Read, End::Exited(1), Outcome::Ended(ExitStatus::from_bwrap(1))),
            (ended("7"), Ready::Read, End::Unknown, Outcome::Ended(ExitStatus::from_bwrap(7))),
            // the exit code counts even if bwrap was killed right after it wrote it
            (ended("7"), Ready::Read, End::Signaled(9), Outcome::Ended(ExitStatus::from_bwrap(7))),
        ] {
            assert_eq!(verdict(&json, ready, end, NONE), expected, "{json} {ready:?} {end:?}");
        }
    }

    #[test]
    fn what_cannot_be_known_is_said() {
        use Undecided::{BwrapKilled, Contradiction, FilterMayHideIt, LockFileMayHaveFailed, StatusLost};
        let lock = Caveats { lock_file: true, ..NONE };
        let (exec, init) = (Caveats { stops_exec: true, ..NONE }, Caveats { fells_init: true, ..NONE });
        let sigsys = "{\"child-pid\": 9}\n{\"exit-code\": 159}";
        let one = "{\"child-pid\": 9}\n{\"exit-code\": 1}";
        for (json, end, caveats, expected) in [
            (CHILD, End::Signaled(9), NONE, BwrapKilled { signal: 9 }),
            (CHILD, End::Unknown, NONE, StatusLost),
            (CHILD, End::Exited(1), FILTER, FilterMayHideIt { status: 1 }),
            (CHILD, End::Exited(159), FILTER, FilterMayHideIt { status: 159 }),
            (CHILD, End::Exited(4), NONE, Contradiction { status: 4 }),
            ("", End::Exited(0), NONE, Contradiction { status: 0 }),
            (one, End::Exited(1), lock, LockFileMayHaveFailed),
            (one, End::Exited(1), init, FilterMayHideIt { status: 1 }),
            (sigsys, End::Exited(159), init, FilterMayHideIt { status: 159 }),
            (sigsys, End::Exited(159), exec, FilterMayHideIt { status: 159 }),
        ] {
            assert_eq!(
                verdict(json, Ready::Read, end, caveats),
                Outcome::Undecided(expected),
                "{json} {end:?}"
            );
        }
        let exited = Outcome::Ended(ExitStatus::from_bwrap(1));
        assert_eq!(verdict(one, Ready::Read, End::Exited(1), exec), exited, "killed is not exited");
        // a filter that denies write(2) cannot hide a status that bwrap itself never has
        let status = ExitStatus::from_bwrap(4);
        assert_eq!(verdict(CHILD, Ready::Read, End::Exited(4), FILTER), Outcome::Ended(status));
    }

    #[test]
    fn an_exit_code_proves_that_the_command_ran() {
        for code in -2_i64..600 {
            let json = format!("{CHILD}\n{{\"exit-code\": {code}}}");
            for (ready, end) in [
                (Ready::Read, End::Exited(1)),
                (Ready::Unread, End::Unknown),
                (Ready::Open, End::Signaled(9)),
            ] {
                match verdict(&json, ready, end, NONE) {
                    Outcome::Ended(status) => assert_eq!(i64::from(status.raw()), code),
                    Outcome::Undecided(Undecided::Contradiction { status }) => {
                        assert_eq!((i64::from(status), (0..256).contains(&code)), (code, false));
                    }
                    other => panic!("{code} {ready:?} {end:?}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn an_end_that_is_not_of_its_child_decides_nothing() {
        let mut handshake = Handshake::new(NONE);
        handshake.on_status(Status::parse(CHILD.as_bytes()));
        handshake.on_ready(Ready::Read);
        handshake.on_end(End::Exited(1), true);
        let early = Undecided::BwrapEndedEarly { status: 1 };
        assert_eq!(handshake.outcome(), Some(Outcome::Undecided(early)));
    }

    #[test]
    fn a_signal_is_no_proof_where_bwrap_can_be_reached() {
        let in_reach = Caveats { in_reach: true, ..NONE };
        for (end, expected) in [
            (End::Exited(137), Outcome::Undecided(Undecided::BwrapEndedEarly { status: 137 })),
            // bwrap's own words end with these two
            (End::Exited(141), Outcome::NotExecuted { signal: Some(libc::SIGPIPE) }),
            (End::Exited(1), Outcome::NotExecuted { signal: None }),
        ] {
            assert_eq!(verdict(CHILD, Ready::Read, end, in_reach), expected, "{end:?}");
            let unread = verdict(CHILD, Ready::Unread, end, in_reach);
            assert!(
                matches!(unread, Outcome::SetupFailed { .. }),
                "{end:?}: nothing of the command's was there"
            );
        }
    }

    #[test]
    fn phases_follow_one_another() {
        let mut handshake = Handshake::new(NONE);
        assert_eq!(handshake.phase(), Phase::Starting);
        handshake.on_status(Status::parse(CHILD.as_bytes()));
        assert_eq!(handshake.phase(), Phase::SettingUp);
        handshake.on_ready(Ready::Read);
        assert_eq!(handshake.phase(), Phase::Ready);
        handshake.on_ready(Ready::Unread);
        assert_eq!(handshake.ready(), Ready::Read, "the first end counts");
        handshake.on_end(End::Exited(0), false);
        assert_eq!(handshake.phase(), Phase::Ended);
    }
}
