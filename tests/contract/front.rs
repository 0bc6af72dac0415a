//! The fronts, with the same calls for all.

use std::future::Future;
use std::io::{Read, Write};
use std::time::Duration;

use bwrap_launch::{
    Child, Command, ExitStatus, Killer, Line, NextLine, Output, Prepared, Result, WindowSize, tokio as front,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

/// What every front can do.
pub(crate) trait Front {
    type Child;
    type Prepared;

    fn status(&self, command: Command) -> Result<ExitStatus>;
    fn output(&self, command: Command) -> Result<Output>;
    fn status_timeout(&self, command: Command, limit: Duration) -> Result<Option<ExitStatus>>;
    fn output_timeout(&self, command: Command, limit: Duration) -> Result<Option<Output>>;
    fn spawn(&self, command: Command) -> Result<Self::Child>;
    fn prepare(&self, command: Command) -> Result<Self::Prepared>;
    fn prepare_timeout(&self, command: Command, limit: Duration) -> Result<Option<Self::Prepared>>;
    fn start(&self, prepared: Self::Prepared) -> Result<Self::Child>;
    /// The numbers of bwrap and of the first process inside.
    fn held_pids(&self, prepared: &Self::Prepared) -> (u32, Option<u32>);
    fn held_killer(&self, prepared: &Self::Prepared) -> Killer;
    fn pids(&self, child: &mut Self::Child) -> (u32, Option<u32>);
    fn wait_ready(&self, child: &mut Self::Child) -> Result<()>;
    fn wait_ready_timeout(&self, child: &mut Self::Child, limit: Duration) -> Result<bool>;
    fn wait(&self, child: &mut Self::Child) -> Result<ExitStatus>;
    fn wait_timeout(&self, child: &mut Self::Child, limit: Duration) -> Result<Option<ExitStatus>>;
    fn try_wait(&self, child: &mut Self::Child) -> Result<Option<ExitStatus>>;
    fn kill(&self, child: &mut Self::Child) -> Result<()>;
    fn wait_with_output(&self, child: Self::Child) -> Result<Output>;
    /// Writes all of it to the piped standard input.
    fn write(&self, child: &mut Self::Child, bytes: &[u8]) -> std::io::Result<()>;
    fn close(&self, child: &mut Self::Child);
    /// Reads so much from the piped standard output.
    fn read(&self, child: &mut Self::Child, count: usize) -> std::io::Result<Vec<u8>>;
    /// The next line within this time, by lines that are dropped then.
    fn next_line(&self, child: &mut Self::Child, limit: usize, time: Duration) -> Result<NextLine>;
    /// So many lines at most, one after the other by the same.
    fn lines(&self, child: &mut Self::Child, limit: usize, count: usize) -> Result<Vec<Line>>;
    /// Types this into its own terminal.
    fn type_in(&self, child: &mut Self::Child, bytes: &[u8]) -> std::io::Result<()>;
    fn type_end(&self, child: &mut Self::Child) -> std::io::Result<()>;
    fn resize(&self, child: &mut Self::Child, size: WindowSize) -> std::io::Result<WindowSize>;
    /// Reads its own terminal to the end.
    fn screen(&self, child: &mut Self::Child) -> std::io::Result<String>;
}

/// The front that blocks.
pub(crate) struct Std;

impl Front for Std {
    type Child = Child;
    type Prepared = Prepared;

    fn status(&self, mut command: Command) -> Result<ExitStatus> {
        command.status()
    }

    fn output(&self, mut command: Command) -> Result<Output> {
        command.output()
    }

    fn status_timeout(&self, mut command: Command, limit: Duration) -> Result<Option<ExitStatus>> {
        command.status_timeout(limit)
    }

    fn output_timeout(&self, mut command: Command, limit: Duration) -> Result<Option<Output>> {
        command.output_timeout(limit)
    }

    fn spawn(&self, mut command: Command) -> Result<Child> {
        command.spawn()
    }

    fn prepare(&self, mut command: Command) -> Result<Prepared> {
        command.prepare()
    }

    fn prepare_timeout(&self, mut command: Command, limit: Duration) -> Result<Option<Prepared>> {
        command.prepare_timeout(limit)
    }

    fn start(&self, prepared: Prepared) -> Result<Child> {
        prepared.start()
    }

    fn held_pids(&self, prepared: &Prepared) -> (u32, Option<u32>) {
        (prepared.id(), prepared.sandbox_pid())
    }

    fn held_killer(&self, prepared: &Prepared) -> Killer {
        prepared.killer()
    }

    fn pids(&self, child: &mut Child) -> (u32, Option<u32>) {
        (child.id(), child.sandbox_pid())
    }

    fn wait_ready(&self, child: &mut Child) -> Result<()> {
        child.wait_ready()
    }

    fn wait_ready_timeout(&self, child: &mut Child, limit: Duration) -> Result<bool> {
        child.wait_ready_timeout(limit)
    }

    fn wait(&self, child: &mut Child) -> Result<ExitStatus> {
        child.wait()
    }

    fn wait_timeout(&self, child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
        child.wait_timeout(limit)
    }

    fn try_wait(&self, child: &mut Child) -> Result<Option<ExitStatus>> {
        child.try_wait()
    }

    fn kill(&self, child: &mut Child) -> Result<()> {
        child.kill()
    }

    fn wait_with_output(&self, child: Child) -> Result<Output> {
        child.wait_with_output()
    }

    fn write(&self, child: &mut Child, bytes: &[u8]) -> std::io::Result<()> {
        child.stdin.as_mut().unwrap().write_all(bytes)
    }

    fn close(&self, child: &mut Child) {
        drop(child.stdin.take());
    }

    fn read(&self, child: &mut Child, count: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        child.stdout.as_mut().unwrap().read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn next_line(&self, child: &mut Child, limit: usize, time: Duration) -> Result<NextLine> {
        child.lines(limit).next_timeout(time)
    }

    fn lines(&self, child: &mut Child, limit: usize, count: usize) -> Result<Vec<Line>> {
        child.lines(limit).take(count).collect()
    }

    fn type_in(&self, child: &mut Child, bytes: &[u8]) -> std::io::Result<()> {
        child.terminal.as_mut().unwrap().write_all(bytes)
    }

    fn type_end(&self, child: &mut Child) -> std::io::Result<()> {
        child.terminal.as_mut().unwrap().send_eof()
    }

    fn resize(&self, child: &mut Child, size: WindowSize) -> std::io::Result<WindowSize> {
        let terminal = child.terminal.as_ref().unwrap();
        terminal.resize(size)?;
        terminal.size()
    }

    fn screen(&self, child: &mut Child) -> std::io::Result<String> {
        let mut text = String::new();
        child.terminal.as_mut().unwrap().read_to_string(&mut text)?;
        Ok(text)
    }
}

/// The front for Tokio.
pub(crate) struct Tokio(pub(crate) Runtime);

impl Tokio {
    pub(crate) fn one_thread() -> Self {
        Self::of(&mut Builder::new_current_thread())
    }

    pub(crate) fn threads() -> Self {
        Self::of(Builder::new_multi_thread().worker_threads(3))
    }

    /// Threads that did what blocks are gone soon, so that they can be counted.
    fn of(builder: &mut Builder) -> Self {
        Self(builder.enable_all().thread_keep_alive(Duration::from_millis(1)).build().unwrap())
    }

    /// Where there are several threads, on one of them and not on this one.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.0.block_on(async { tokio::spawn(work).await.unwrap() })
    }
}

impl Front for Tokio {
    type Child = front::Child;
    type Prepared = front::Prepared;

    fn status(&self, command: Command) -> Result<ExitStatus> {
        self.run(async { front::Command::from(command).status().await })
    }

    fn output(&self, command: Command) -> Result<Output> {
        self.run(async { front::Command::from(command).output().await })
    }

    fn status_timeout(&self, command: Command, limit: Duration) -> Result<Option<ExitStatus>> {
        self.run(async move { front::Command::from(command).status_timeout(limit).await })
    }

    fn output_timeout(&self, command: Command, limit: Duration) -> Result<Option<Output>> {
        self.run(async move { front::Command::from(command).output_timeout(limit).await })
    }

    fn spawn(&self, command: Command) -> Result<front::Child> {
        self.run(async { front::Command::from(command).spawn().await })
    }

    fn prepare(&self, command: Command) -> Result<front::Prepared> {
        self.run(async { front::Command::from(command).prepare().await })
    }

    fn prepare_timeout(&self, command: Command, limit: Duration) -> Result<Option<front::Prepared>> {
        self.run(async move { front::Command::from(command).prepare_timeout(limit).await })
    }

    fn start(&self, prepared: front::Prepared) -> Result<front::Child> {
        self.run(prepared.start())
    }

    fn held_pids(&self, prepared: &front::Prepared) -> (u32, Option<u32>) {
        (prepared.id(), prepared.sandbox_pid())
    }

    fn held_killer(&self, prepared: &front::Prepared) -> Killer {
        prepared.killer()
    }

    fn pids(&self, child: &mut front::Child) -> (u32, Option<u32>) {
        (child.id(), child.sandbox_pid())
    }

    fn wait_ready(&self, child: &mut front::Child) -> Result<()> {
        self.0.block_on(child.wait_ready())
    }

    fn wait_ready_timeout(&self, child: &mut front::Child, limit: Duration) -> Result<bool> {
        self.0.block_on(child.wait_ready_timeout(limit))
    }

    fn wait(&self, child: &mut front::Child) -> Result<ExitStatus> {
        self.0.block_on(child.wait())
    }

    fn wait_timeout(&self, child: &mut front::Child, limit: Duration) -> Result<Option<ExitStatus>> {
        self.0.block_on(child.wait_timeout(limit))
    }

    fn try_wait(&self, child: &mut front::Child) -> Result<Option<ExitStatus>> {
        self.0.block_on(async { child.try_wait() })
    }

    fn kill(&self, child: &mut front::Child) -> Result<()> {
        self.0.block_on(child.kill())
    }

    fn wait_with_output(&self, child: front::Child) -> Result<Output> {
        self.run(child.wait_with_output())
    }

    fn write(&self, child: &mut front::Child, bytes: &[u8]) -> std::io::Result<()> {
        self.0.block_on(child.stdin.as_mut().unwrap().write_all(bytes))
    }

    fn close(&self, child: &mut front::Child) {
        drop(child.stdin.take());
    }

    fn read(&self, child: &mut front::Child, count: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.block_on(child.stdout.as_mut().unwrap().read_exact(&mut bytes))?;
        Ok(bytes)
    }
    fn next_line(&self, child: &mut front::Child, limit: usize, time: Duration) -> Result<NextLine> {
        self.0.block_on(async { child.lines(limit).next_timeout(time).await })
    }

    fn lines(&self, child: &mut front::Child, limit: usize, count: usize) -> Result<Vec<Line>> {
        self.0.block_on(async {
            let (mut lines, mut all) = (child.lines(limit), Vec::new());
            while all.len() < count
                && let Some(line) = lines.next().await
            {
                all.push(line?);
            }
            Ok(all)
        })
    }

    fn type_in(&self, child: &mut front::Child, bytes: &[u8]) -> std::io::Result<()> {
        self.0.block_on(child.terminal.as_mut().unwrap().write_all(bytes))
    }

    fn type_end(&self, child: &mut front::Child) -> std::io::Result<()> {
        self.0.block_on(child.terminal.as_mut().unwrap().send_eof())
    }

    fn resize(&self, child: &mut front::Child, size: WindowSize) -> std::io::Result<WindowSize> {
        let terminal = child.terminal.as_ref().unwrap();
        terminal.resize(size)?;
        terminal.size()
    }

    fn screen(&self, child: &mut front::Child) -> std::io::Result<String> {
        let mut text = String::new();
        self.0.block_on(child.terminal.as_mut().unwrap().read_to_string(&mut text))?;
        Ok(text)
    }
}
