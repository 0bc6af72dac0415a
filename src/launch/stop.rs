//! Stopping a sandbox: by hand from any thread, at its time limit, when it is dropped.
//!
//! What is to happen later is an appointment with the keeper, which needs nobody who waits for the sandbox.

use std::fmt;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::ending::Stop;
use super::error::{Error, Result, Step};
use super::keeper;
use super::leave::UnderWay;
use super::reach::{GRACE, Reach};
use super::record::Record;
use super::wait::{Sources, Ward};

/// How a command is to be stopped if nobody does it by hand.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terms {
    pub(super) timeout: Option<Duration>,
    /// Between being asked to end and being killed.
    pub(super) grace: Duration,
    pub(super) kill_on_drop: bool,
}

/// Stops a sandbox from any thread, while another one waits for it ([`Child::killer`](crate::Child::killer)).
///
/// It can be cloned and sent around, outlives the [`Child`](crate::Child), keeps nothing of the sandbox open, and does nothing once that is
/// over: processes are held by handles (`pidfd_open(2)`), so nobody else is ever hit. Where that call is denied or lacking, as in gVisor, they are
/// known by their number and the time at which they began, looked at just before: another process would have to get the number in that moment.
///
/// Who is reached:
///
/// * With a PID namespace ([`Namespaces::PID`](crate::Namespaces::PID)), every process in it. Killing is complete, whatever they do; signals
///   spare bwrap's own process 1. A command that is process 1 itself ([`Sandbox::as_pid_1`](crate::Sandbox::as_pid_1)) gets only signals
///   that it handles (`pid_namespaces(7)`), and SIGKILL and SIGSTOP.
/// * Without one, the command and all that descends from it, as far as `/proc/PID/task/TID/children` tells: not what has lost
///   its parent and was taken in by somebody else, unless there is a control group, whose processes are killed in any case.
///   Everything is suspended first, so that nothing escapes meanwhile. What was asked to end and is still there when the
///   command has ended is killed; what they start after they were asked may live on.
///
/// Signals, but for killing, go to who is there when they are sent; what is started in that moment may miss them. They take a few descriptors,
/// however many processes there are.
///
/// ```
/// use std::thread;
/// use std::time::Duration;
/// use bwrap_launch::{Ending, Sandbox, Stop};
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
/// let mut build = sandbox.command("sleep").arg("60").spawn()?;
/// let killer = build.killer();
/// // a user presses "cancel", on another thread
/// let cancel = thread::spawn(move || {
///     thread::sleep(Duration::from_millis(100));
///     killer.terminate(Duration::from_secs(2))
/// });
/// assert_eq!(Ending::of(&build.wait()), Ending::Stopped(Stop::Cancel));
/// cancel.join().unwrap()?;
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Clone)]
pub struct Killer {
    reach: Weak<Reach>,
    record: Arc<Record>,
    why: Stop,
}

impl Killer {
    /// `None` for a launch that is over.
    pub(super) fn new(reach: Option<&Arc<Reach>>, record: &Arc<Record>) -> Self {
        let reach = reach.map_or_else(Weak::new, Arc::downgrade);
        Self { reach, record: Arc::clone(record), why: Stop::Cancel }
    }

    /// Kills the sandbox (SIGKILL). Its end is still to be waited for. Does nothing if it is over.
    ///
    /// A bwrap that has not reported yet what it made is given half a second for that; it takes about a millisecond.
    ///
    /// # Errors
    ///
    /// If the system denies it: then it runs on.
    ///
    /// ```
    /// use bwrap_launch::{Ending, Sandbox, Stop};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut child = sandbox.command("sleep").arg("60").spawn()?;
    /// let killer = child.killer();
    /// killer.kill()?;
    /// // perhaps before the command began: then there is no status
    /// assert_eq!(Ending::of(&child.wait()), Ending::Stopped(Stop::Cancel));
    /// killer.kill()?; // still fine
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn kill(&self) -> Result<()> {
        let Some(reach) = self.reach.upgrade() else { return Ok(()) };
        reach.await_child();
        kill(&reach, self.why).map_err(Error::system(Step::Kill))
    }

    /// Asks the command and its descendants to end (SIGTERM, then SIGCONT in case they are suspended), and kills the sandbox if it is not
    /// over after `grace`. Returns once they are asked, which without a PID namespace takes about a tenth of a millisecond for each; a thread of
    /// this crate sees to the rest, whether somebody waits or not.
    ///
    /// A command that ends by itself in the moment when it is asked counts as stopped.
    ///
    /// What the command leaves behind when it ends is killed then, as always, before the time is over. A sandbox
    /// whose command has not begun is killed at once. Asked twice, the earlier end counts.
    ///
    /// # Errors
    ///
    /// If the system denies it: then nothing was asked, or not everybody, and it runs on.
    ///
    /// ```
    /// use std::io::Read;
    /// use std::time::Duration;
    /// use bwrap_launch::{Sandbox, Stdio, Stop};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
    /// let script = "trap 'echo saved; exit 0' TERM; echo; sleep 60 & wait";
    /// let mut child = sandbox.command("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
    /// child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap(); // it runs
    /// child.killer().terminate(Duration::from_secs(10))?;
    /// let output = child.wait_with_output()?;
    /// assert_eq!(output.stdout, b"saved\n");
    /// assert_eq!((output.status.code(), output.status.stopped()), (Some(0), Some(Stop::Cancel)));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn terminate(&self, grace: Duration) -> Result<()> {
        let Some(reach) = self.reach.upgrade() else { return Ok(()) };
        terminate(&reach, self.why, grace).map_err(Error::system(Step::Kill))
    }

    /// Sends a signal to the command and its descendants, as the unstable `std::os::unix::process::ChildExt`. Does nothing if the command has
    /// not begun or is over.
    ///
    /// This is not a way to stop it: how it ends after a signal counts as its own doing.
    ///
    /// # Errors
    ///
    /// If it is none of the named signals (`signal(7)`; those for real time have only numbers), or the system denies it.
    ///
    /// ```
    /// use std::io::Read;
    /// use bwrap_launch::{Ending, Sandbox, Stdio};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
    /// let script = "trap 'exit 4' HUP; echo; sleep 60 & wait";
    /// let mut child = sandbox.command("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
    /// child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap(); // it runs
    /// child.killer().send_signal(1)?;
    /// assert_eq!(child.wait()?.ending(), Ending::Exited(4));
    /// assert!(child.killer().send_signal(0).is_err());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn send_signal(&self, signal: i32) -> Result<()> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("no named signal: {signal}"));
        let signal = Signal::from_named_raw(signal).ok_or_else(invalid);
        let signal = signal.map_err(Error::system(Step::Signal))?;
        let Some(reach) = self.reach.upgrade() else { return Ok(()) };
        reach.signal(&[signal]).map(drop).map_err(Error::system(Step::Signal))
    }

    /// The process ids, outside, of what runs in the sandbox: the command and its descendants, without what is bwrap's own, in ascending order.
    /// Empty before the command begins and once it is over.
    ///
    /// It is read from process 1 down (`/proc/PID/task/TID/children`), not searched for among all processes of the machine: with a PID
    /// namespace that is everybody. Without one, what has lost its parent and was taken in by somebody else is found only with a
    /// control group ([`Limit::Accounting`](crate::Limit::Accounting)). Who begins or ends meanwhile may be missing or still be there, and a number can
    /// be another's as soon as its process has ended: to end somebody, `pidfd_open(2)` it and ask again whether it is listed.
    ///
    /// # Errors
    ///
    /// If the system denies it, or the kernel does not tell children (`CONFIG_PROC_CHILDREN`).
    ///
    /// ```
    /// use std::io::Read;
    /// use bwrap_launch::{Sandbox, Stdio};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").dev("/dev").unshare_all();
    /// let mut command = sandbox.command("sh");
    /// let mut child = command.args(["-c", "sleep 60 & echo; wait"]).stdout(Stdio::piped()).spawn()?;
    /// child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap(); // it runs
    /// assert_eq!(child.processes()?.len(), 2);
    /// # child.kill()?;
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn processes(&self) -> Result<Vec<u32>> {
        let Some(reach) = self.reach.upgrade() else { return Ok(Vec::new()) };
        let found = reach.processes().map_err(Error::system(Step::ListProcesses))?;
        Ok(found.into_iter().map(i32::unsigned_abs).collect())
    }

    /// Stops the command and its descendants (SIGSTOP) until [`resume`](Self::resume). Its time limit goes on. Does nothing if the
    /// command has not begun or is over.
    ///
    /// When this returns, none of them runs that was found. Somebody inside may resume others: in a sandbox that is not to be trusted,
    /// it can wake up again.
    ///
    /// # Errors
    ///
    /// If the system denies it, not all of them can be found, or they do not stand still within five seconds, for somebody inside makes or
    /// resumes them faster: then some may be suspended.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut child = sandbox.command("sleep").arg("0.1").spawn()?;
    /// child.wait_ready()?;
    /// let killer = child.killer();
    /// killer.suspend()?;
    /// // ... the machine is needed for something else ...
    /// killer.resume()?;
    /// assert!(child.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn suspend(&self) -> Result<()> {
        let Some(reach) = self.reach.upgrade() else { return Ok(()) };
        reach.suspend().map_err(Error::system(Step::Signal))
    }

    /// Lets a suspended sandbox go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// If the system denies it, or not all of them can be found.
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut child = sandbox.command("true").spawn()?;
    /// let killer = child.killer();
    /// killer.suspend()?;
    /// // the place for what must not change meanwhile
    /// killer.resume()?;
    /// assert!(child.wait()?.success());
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn resume(&self) -> Result<()> {
        let Some(reach) = self.reach.upgrade() else { return Ok(()) };
        reach.signal(&[Signal::CONT]).map(drop).map_err(Error::system(Step::Signal))
    }

    /// The same handle, which stops for another reason than [`Stop::Cancel`].
    ///
    /// ```
    /// use bwrap_launch::{Ending, Sandbox, Stop};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut child = sandbox.command("sleep").arg("60").spawn()?;
    /// // whoever watches the disk
    /// let quota = child.killer().because(Stop::Limit);
    /// quota.kill()?;
    /// assert_eq!(Ending::of(&child.wait()), Ending::Stopped(Stop::Limit));
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    #[must_use]
    pub fn because(&self, why: Stop) -> Self {
        Self { why, ..self.clone() }
    }

    /// Why the sandbox was stopped, or is being stopped, if it is, by whichever handle.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        self.record.stop()
    }
}

impl fmt::Debug for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stopped = self.stopped();
        f.debug_struct("Killer").field("why", &self.why).field("stopped", &stopped).finish_non_exhaustive()
    }
}

/// Kills a sandbox, and has the keeper see that it ends.
pub(super) fn kill(reach: &Arc<Reach>, why: Stop) -> io::Result<()> {
    reach.kill(why)?;
    // most often that is all, and takes no thread
    if !reach.ends_inside(AT_ONCE) {
        // nobody who could insist is no reason to say that it was not killed
        let _ = keep(reach, Appointment::new(reach, why, Some(INSISTING), Due::Insist));
    }
    Ok(())
}

/// Asks, and has it killed if it is not over after this time.
fn terminate(reach: &Arc<Reach>, why: Stop, grace: Duration) -> io::Result<()> {
    let appointment = if reach.ask(why)? {
        Appointment::new(reach, why, Some(grace), Due::Kill)
    } else {
        Appointment::new(reach, why, Some(Duration::ZERO), Due::Kill)
    };
    // where nobody would come to kill it later, that is done now
    keep(reach, appointment).or_else(|_| reach.kill(why))
}

/// Has a sandbox stopped when its time is over, counted from now.
pub(super) fn limit(reach: &Arc<Reach>, terms: Terms) -> io::Result<()> {
    let Some(timeout) = terms.timeout else { return Ok(()) };
    keep(reach, Appointment::new(reach, Stop::Timeout, Some(timeout), Due::Ask { grace: terms.grace }))
}

/// Stops a sandbox whose owner has dropped it. Does not wait.
pub(super) fn on_drop(reach: &Arc<Reach>, terms: Terms) {
    let due = Due::Ask { grace: terms.grace };
    let mut appointment = Appointment::new(reach, Stop::Drop, Some(Duration::ZERO), due);
    appointment.under_way = Some(UnderWay::begin());
    // with a PID namespace it is most often all done here
    if (reach.is_tree() || !appointment.turn().unwrap_or(true)) && keep(reach, appointment).is_err() {
        // nobody would come to kill it later
        let _ = reach.kill(Stop::Drop);
    }
}

fn keep(reach: &Arc<Reach>, appointment: Appointment) -> io::Result<()> {
    reach.await_end();
    keeper::attend_to(Box::new(appointment)).map_err(|(error, _)| error)
}

/// How long what was killed takes to end, unless there is much to end or something holds it up.
const AT_ONCE: Duration = Duration::from_millis(2);

/// How often is looked after that whether it has ended.
const INSISTING: Duration = Duration::from_millis(50);

/// What is to be done with a sandbox at some time, unless it is over by then.
struct Appointment {
    reach: Weak<Reach>,
    why: Stop,
    /// `None` if that is too far away to be told.
    at: Option<Instant>,
    due: Due,
    /// When bwrap, which has not reported what it made, is killed all the same.
    patience: Option<Instant>,
    /// How long until it is tried again.
    pause: Duration,
    /// An exit of this process waits until it is done, or the sandbox is asked to end.
    under_way: Option<UnderWay>,
}

#[derive(Clone, Copy)]
enum Due {
    Ask {
        grace: Duration,
    },
    Kill,
    /// It was killed.
    Insist,
}

impl Appointment {
    fn new(reach: &Arc<Reach>, why: Stop, delay: Option<Duration>, due: Due) -> Self {
        let at = delay.and_then(|delay| Instant::now().checked_add(delay));
        let (reach, pause) = (Arc::downgrade(reach), Duration::from_millis(1));
        Self { reach, why, at, due, patience: None, pause, under_way: None }
    }

    /// Once more, a little later.
    fn again(&mut self, now: Instant) -> bool {
        self.at = Some(now + self.pause);
        self.pause = self.pause.saturating_mul(2).min(Duration::from_secs(1));
        false
    }
}

impl Ward for Appointment {
    fn wants(&self) -> Sources<'_> {
        Sources { descriptors: Vec::new(), until: self.at }
    }

    fn takes_long(&mut self) -> bool {
        let now = Instant::now();
        let reach = self.reach.upgrade().filter(|_| self.at.is_some_and(|at| now >= at));
        reach.is_some_and(|reach| match self.due {
            // whoever traces process 1 may have many below it
            Due::Insist => !reach.ends_inside(Duration::ZERO),
            Due::Ask { .. } | Due::Kill => {
                let late = self.patience.is_some_and(|patience| now >= patience);
                reach.is_tree() && (late || reach.is_reported())
            }
        })
    }

    fn turn(&mut self) -> io::Result<bool> {
        let now = Instant::now();
        if self.reach.strong_count() == 0 {
            return Ok(true);
        }
        if self.at.is_none_or(|at| now < at) {
            return Ok(false);
        }
        let Some(reach) = self.reach.upgrade() else { return Ok(true) };
        if matches!(self.due, Due::Insist) {
            self.at = Some(now + INSISTING);
            return Ok(reach.insist());
        }
        if let Due::Ask { grace } = self.due {
            self.due = Due::Kill;
            // whom nobody can ask is killed
            if !grace.is_zero() && reach.ask(self.why).unwrap_or(false) {
                self.at = now.checked_add(grace);
                self.under_way = None;
                return Ok(false);
            }
        }
        let patience = *self.patience.get_or_insert(now + GRACE);
        if now < patience && !reach.is_reported() {
            self.pause = self.pause.min(Duration::from_millis(16));
            return Ok(self.again(now));
        }
        match reach.kill(self.why) {
            Ok(()) => {
                (self.due, self.at, self.under_way) = (Due::Insist, Some(now + INSISTING), None);
                Ok(reach.ends_inside(Duration::ZERO))
            }
            // for lack of descriptors, say: it must not run on for that
            Err(_) => Ok(self.again(now)),
        }
    }
}
