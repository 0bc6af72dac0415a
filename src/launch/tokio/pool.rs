//! Sandboxes of one description, kept prepared, for a runtime.

use std::time::{Duration, Instant};

use super::super::command;
use super::super::error::{Error, Result, Step};
use super::super::pool;
use super::super::wait::{deadline, left};
use super::child::{Child, Held};
use super::command::Command;
use super::prepared::Prepared;
use super::watch::{rest, runtime};

/// How often a pool that is being filled is looked at.
const PAUSE: Duration = Duration::from_millis(2);

/// Sandboxes of one command, complete and held: the crate's [`Pool`](crate::Pool), whose one thread refills it.
///
/// ```
/// use bwrap_launch::{Sandbox, Stdio, tokio::{Command, Pool}};
/// use tokio::io::AsyncWriteExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut command = Command::new(&Sandbox::new().ro_bind("/", "/").unshare_all(), "sh");
/// command.stdin(Stdio::piped()).stdout(Stdio::piped());
/// let pool = Pool::new(command, 2)?;
/// pool.fill().await?;
/// let mut child = pool.take().await?.start().await?;
/// child.stdin.take().unwrap().write_all(b"echo $((6 * 7))").await.unwrap();
/// assert_eq!(child.wait_with_output().await?.stdout, b"42\n");
/// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Pool {
    pool: pool::Pool,
}

impl Pool {
    /// Keeps `size` sandboxes of this command prepared. Returns at once; [`fill`](Self::fill) waits for them.
    ///
    /// # Errors
    ///
    /// If the description cannot work or cannot be held, or there can be no thread.
    pub fn new(command: Command, size: usize) -> Result<Self> {
        Ok(Self { pool: pool::Pool::new(command.into_std(), size)? })
    }

    /// The command that its sandboxes are for.
    #[must_use]
    pub fn command(&self) -> &command::Command {
        self.pool.command()
    }

    /// How many it keeps prepared.
    #[must_use]
    pub fn size(&self) -> usize {
        self.pool.size()
    }

    /// How many are prepared now.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.pool.ready()
    }

    /// Takes a sandbox that is prepared; if there is none, prepares one now, as [`Command::prepare`] does. Dropped before it is
    /// done, it leaves nothing.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn take(&self) -> Result<Prepared> {
        match self.take_ready()? {
            Some(prepared) => Ok(prepared),
            None => Command::from(self.pool.command().clone()).prepare().await,
        }
    }

    /// As [`take`](Self::take), but not longer than `limit`: `None` if it takes longer.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    ///
    /// ```
    /// use std::time::Duration;
    /// use bwrap_launch::{Sandbox, tokio::{Command, Pool}};
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let pool = Pool::new(Command::new(&Sandbox::new().ro_bind("/", "/"), "true"), 1)?;
    /// let prepared = pool.take_timeout(Duration::from_secs(10)).await?.unwrap();
    /// assert!(prepared.start().await?.wait().await?.success());
    /// # Ok::<(), bwrap_launch::Error>(()) }).unwrap();
    /// ```
    pub async fn take_timeout(&self, limit: Duration) -> Result<Option<Prepared>> {
        match self.take_ready()? {
            Some(prepared) => Ok(Some(prepared)),
            None => Command::from(self.pool.command().clone()).prepare_timeout(limit).await,
        }
    }

    fn take_ready(&self) -> Result<Option<Prepared>> {
        runtime().map_err(Error::system(Step::EnterRuntime))?;
        let Some(prepared) = self.pool.take_ready() else { return Ok(None) };
        let (child, gate) = prepared.into_parts();
        Ok(Some(Prepared::new(Child::new(Held { child })?, gate)))
    }

    /// Waits until it is full.
    ///
    /// # Errors
    ///
    /// If a sandbox could not be prepared, and in a fork, as [`Pool::fill`](crate::Pool::fill).
    pub async fn fill(&self) -> Result<()> {
        self.fill_until(None).await.map(|_| ())
    }

    /// As [`fill`](Self::fill), but not longer than `limit`. Says whether it is full; if it is not, it goes on being filled.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    pub async fn fill_timeout(&self, limit: Duration) -> Result<bool> {
        self.fill_until(deadline(limit)).await
    }

    async fn fill_until(&self, deadline: Option<Instant>) -> Result<bool> {
        let before = self.pool.begin_to_fill()?;
        loop {
            if let Some(filled) = self.pool.filled(before) {
                return filled.map(|()| true);
            }
            if left(deadline).is_zero() {
                return Ok(false);
            }
            rest(PAUSE.min(left(deadline))).await.map_err(Error::system(Step::EnterRuntime))?;
        }
    }
}
