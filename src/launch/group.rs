//! Sandboxes that are stopped and waited for as one.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::child::Child;
use super::ending::Stop;
use super::error::{Error, Result, Step};
use super::reach::GRACE;
use super::stop;
use super::wait::{Ward, deadline, wait};

/// How often a report is looked for, which no descriptor announces.
const PAUSE: Duration = Duration::from_millis(2);

/// A set of launched commands that are waited for and killed as one, by one thread in one `poll(2)`.
///
/// What has ended leaves the group as the [`Child`] that it was; [`Child::wait`] then says how, at once. Waiting closes the standard
/// input of all, as `wait` does; piped output is for others to read. A group that is dropped drops its children: they run on.
///
/// ```
/// use bwrap_launch::{Group, Sandbox};
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all().die_with_parent();
/// let mut group = Group::new();
/// let quick = group.push(sandbox.command("true").spawn()?);
/// group.push(sandbox.command("sleep").arg("60").spawn()?);
/// group.push(sandbox.command("sleep").arg("60").spawn()?);
/// let (key, mut child) = group.wait_any()?.unwrap();
/// assert_eq!((key, child.wait()?.success()), (quick, true));
/// group.kill()?;
/// assert_eq!(group.wait_all()?.len(), 2);
/// assert!(group.is_empty());
/// # Ok::<(), bwrap_launch::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Group {
    members: Vec<Member>,
    next: usize,
}

#[derive(Debug)]
struct Member {
    key: usize,
    child: Child,
    /// Something may have happened to it.
    due: bool,
}

impl Group {
    /// A group of nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a child. Returns its key, which no other has in this group.
    pub fn push(&mut self, child: Child) -> usize {
        let key = self.next;
        self.next += 1;
        self.members.push(Member { key, child, due: true });
        key
    }

    /// How many are in the group.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is in the group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The child of this key, as long as it is in the group.
    pub fn get_mut(&mut self, key: usize) -> Option<&mut Child> {
        let member = self.members.iter_mut().find(|member| member.key == key)?;
        // whatever is done to it
        member.due = true;
        Some(&mut member.child)
    }

    /// Waits until one of them has ended, and takes it out. `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the system denies what waiting needs. The group is as it was.
    pub fn wait_any(&mut self) -> Result<Option<(usize, Child)>> {
        self.wait_any_until(None)
    }

    /// As [`wait_any`](Self::wait_any), but not longer than `limit`: `None`, too, if none has ended by then.
    ///
    /// # Errors
    ///
    /// As [`wait_any`](Self::wait_any).
    pub fn wait_any_timeout(&mut self, limit: Duration) -> Result<Option<(usize, Child)>> {
        self.wait_any_until(deadline(limit))
    }

    /// Waits until all have ended, and takes them out in the order of their ends.
    ///
    /// # Errors
    ///
    /// As [`wait_any`](Self::wait_any).
    pub fn wait_all(&mut self) -> Result<Vec<(usize, Child)>> {
        self.wait_all_until(None)
    }

    /// As [`wait_all`](Self::wait_all), but not longer than `limit`: what has not ended by then stays in the group.
    ///
    /// # Errors
    ///
    /// As [`wait_all`](Self::wait_all).
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Group, Sandbox};
    /// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all();
    /// let mut group = Group::new();
    /// group.push(sandbox.command("sleep").arg("60").spawn()?);
    /// assert!(group.wait_all_timeout(Duration::from_millis(50))?.is_empty());
    /// group.kill()?;
    /// assert_eq!(group.wait_all_timeout(Duration::from_secs(10))?.len(), 1);
    /// # Ok::<(), bwrap_launch::Error>(())
    /// ```
    pub fn wait_all_timeout(&mut self, limit: Duration) -> Result<Vec<(usize, Child)>> {
        self.wait_all_until(deadline(limit))
    }

    fn wait_all_until(&mut self, deadline: Option<Instant>) -> Result<Vec<(usize, Child)>> {
        let mut ended = Vec::with_capacity(self.members.len());
        loop {
            match self.wait_any_until(deadline) {
                Ok(Some(one)) => ended.push(one),
                Ok(None) => return Ok(ended),
                Err(error) => {
                    // nobody has seen them yet
                    let ended = ended.into_iter().map(|(key, child)| Member { key, child, due: true });
                    self.members.splice(0..0, ended);
                    return Err(error);
                }
            }
        }
    }

    fn wait_any_until(&mut self, deadline: Option<Instant>) -> Result<Option<(usize, Child)>> {
        loop {
            if let Some(index) = self.find_ended()? {
                let Member { key, child, .. } = self.members.remove(index);
                return Ok(Some((key, child)));
            }
            if self.is_empty() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            let wards = self.members.iter().filter_map(|member| Some(member.child.ward()? as &dyn Ward));
            let woken = wait(wards, &[], deadline).map_err(Error::system(Step::WaitForBwrap))?;
            // whoever is over has been taken out: each is a ward
            self.members.iter_mut().zip(woken.due).for_each(|(member, due)| member.due |= due);
        }
    }

    /// Turns those to whom something may have happened, up to one that is over.
    fn find_ended(&mut self) -> Result<Option<usize>> {
        for (index, member) in self.members.iter_mut().enumerate().filter(|(_, member)| member.due) {
            drop(member.child.stdin.take());
            let Some(running) = member.child.running() else { return Ok(Some(index)) };
            if running.turn().map_err(Error::system(Step::WaitForBwrap))? {
                return Ok(Some(index));
            }
            member.due = false;
        }
        Ok(None)
    }

    /// Kills all of them, as [`Child::kill`] does. Their ends are still to be waited for. Those that have not yet reported what they
    /// made are given half a second for that, together.
    ///
    /// # Errors
    ///
    /// The first one, if the system denies it for some: those run on, the others are killed.
    pub fn kill(&mut self) -> Result<()> {
        let deadline = Instant::now() + GRACE;
        let (mut left, mut denied): (Vec<_>, _) = (self.members.iter_mut().collect(), Ok(()));
        loop {
            left.retain_mut(|member| {
                let Some(running) = member.child.running() else { return false };
                if !running.has_reported() && Instant::now() < deadline {
                    return true;
                }
                member.due = true;
                if let Err(error) = stop::kill(running.reach(), Stop::Cancel)
                    && denied.is_ok()
                {
                    denied = Err(Error::system(Step::Kill)(error));
                }
                false
            });
            if left.is_empty() {
                return denied;
            }
            sleep(PAUSE);
        }
    }
}

impl Extend<Child> for Group {
    fn extend<T: IntoIterator<Item = Child>>(&mut self, children: T) {
        for child in children {
            self.push(child);
        }
    }
}
