//! Sandboxes that are stopped and waited for as one, by a runtime.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::super::ending::Stop;
use super::super::error::{Error, Result, Step};
use super::super::reach::GRACE;
use super::super::running::Running;
use super::super::stop;
use super::super::wait::{Ward, deadline};
use super::child::Child;
use super::elsewhere::apart;
use super::watch::{Watch, rest};

/// How often a report is looked for, which no descriptor announces.
const PAUSE: Duration = Duration::from_millis(2);

/// A set of launched commands that are waited for and killed as one, as the crate's [`Group`](crate::Group), in one task.
///
/// What has ended leaves the group as the [`Child`] that it was; [`Child::wait`] then says how. Every method can be given up and called
/// again; nobody leaves the group unseen.
///
/// ```
/// use bwrap_launch::{Sandbox, tokio::{Command, Group}};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let sandbox = Sandbox::new().ro_bind("/", "/").unshare_all().die_with_parent();
/// let mut group = Group::new();
/// let quick = group.push(Command::new(&sandbox, "true").spawn().await?);
/// group.push(Command::new(&sandbox, "sleep").arg("60").spawn().await?);
/// let (key, mut child) = group.wait_any().await?.unwrap();
/// assert_eq!((key, child.wait().await?.success()), (quick, true));
/// group.kill().await?;
/// assert_eq!(group.wait_all().await?.len(), 1);
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
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
    pub async fn wait_any(&mut self) -> Result<Option<(usize, Child)>> {
        self.wait_any_until(None).await
    }

    /// As [`wait_any`](Self::wait_any), but not longer than `limit`: `None`, too, if none has ended by then.
    ///
    /// # Errors
    ///
    /// As [`wait_any`](Self::wait_any).
    pub async fn wait_any_timeout(&mut self, limit: Duration) -> Result<Option<(usize, Child)>> {
        self.wait_any_until(deadline(limit)).await
    }

    /// Waits until all have ended, and takes them out in the order of their ends.
    ///
    /// # Errors
    ///
    /// As [`wait_any`](Self::wait_any).
    pub async fn wait_all(&mut self) -> Result<Vec<(usize, Child)>> {
        self.wait_all_until(None).await
    }

    /// As [`wait_all`](Self::wait_all), but not longer than `limit`: what has not ended by then stays in the group.
    ///
    /// # Errors
    ///
    /// As [`wait_all`](Self::wait_all).
    pub async fn wait_all_timeout(&mut self, limit: Duration) -> Result<Vec<(usize, Child)>> {
        self.wait_all_until(deadline(limit)).await
    }

    async fn wait_all_until(&mut self, deadline: Option<Instant>) -> Result<Vec<(usize, Child)>> {
        let mut gathering = Gathering { ended: Vec::with_capacity(self.members.len()), group: self };
        while let Some(one) = gathering.group.wait_any_until(deadline).await? {
            gathering.ended.push(one);
        }
        Ok(std::mem::take(&mut gathering.ended))
    }

    async fn wait_any_until(&mut self, deadline: Option<Instant>) -> Result<Option<(usize, Child)>> {
        loop {
            if let Some(index) = self.find_ended()? {
                let Member { key, child, .. } = self.members.remove(index);
                return Ok(Some((key, child)));
            }
            if self.is_empty() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            let watched = self.members.iter().map(|member| Watch::on(member.child.ward(), None));
            let mut watched: Vec<Watch<'_>> =
                watched.collect::<std::io::Result<_>>().map_err(Error::system(Step::WaitForBwrap))?;
            let time = Watch::on(None::<&Running>, deadline);
            let mut time = time.map_err(Error::system(Step::WaitForBwrap))?;
            let due = poll_fn(|context| {
                let due: Vec<bool> = watched.iter_mut().map(|one| one.poll(context).is_ready()).collect();
                let woken = time.poll(context).is_ready() | due.contains(&true);
                if woken { Poll::Ready(due) } else { Poll::Pending }
            })
            .await;
            drop(watched);
            self.members.iter_mut().zip(due).for_each(|(member, due)| member.due |= due);
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
    pub async fn kill(&mut self) -> Result<()> {
        let deadline = Instant::now() + GRACE;
        let (mut left, mut denied): (Vec<_>, _) = (self.members.iter_mut().collect(), Ok(()));
        loop {
            let mut reported = Vec::new();
            left.retain_mut(|member| {
                let Some(running) = member.child.running() else { return false };
                if !running.has_reported() && Instant::now() < deadline {
                    return true;
                }
                reported.push(Arc::clone(running.reach()));
                member.due = true;
                false
            });
            if !reported.is_empty() {
                // each may take a moment, and longer where processes have to be looked for
                let kill = move || {
                    let killed = reported.iter().map(|reach| stop::kill(reach, Stop::Cancel));
                    // all of them, whatever is denied for some
                    killed.fold(Ok(()), io::Result::and)
                };
                let killed = apart(kill).await.and_then(|killed| killed).map_err(Error::system(Step::Kill));
                denied = denied.and(killed);
            }
            if left.is_empty() {
                return denied;
            }
            rest(PAUSE).await.map_err(Error::system(Step::Kill))?;
        }
    }
}

/// Those that have ended while all are waited for: they are back in the group if that comes to nothing.
struct Gathering<'a> {
    group: &'a mut Group,
    ended: Vec<(usize, Child)>,
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        let ended = self.ended.drain(..).map(|(key, child)| Member { key, child, due: true });
        self.group.members.splice(0..0, ended);
    }
}

impl Extend<Child> for Group {
    fn extend<T: IntoIterator<Item = Child>>(&mut self, children: T) {
        for child in children {
            self.push(child);
        }
    }
}
