//! Both streams of a command, read side by side while its launch goes on: one future of the caller's task.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Instant;

use super::super::capture::{Before, Handling, Stream};
use super::super::error::{Error, Result, Step};
use super::super::reading::CHUNK;
use super::super::running::Running;
use super::super::wait::Ward;
use super::elsewhere::Task;
use super::stdio::{ChildStderr, ChildStdout, Source};
use super::watch::Watch;

/// Writes to whoever else gets the output, on a thread where that may take its time.
pub(super) type Passing = Task<io::Result<()>>;

/// Both streams, as far as they are piped and not given away.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    /// Which came to their ends, or were never there.
    ended: [bool; 2],
    handling: Handling,
    buffer: Vec<u8>,
    /// Which is asked first: the one that was not read last, so that neither waits for as long as the other writes.
    first: Stream,
    /// Passes on what was read last.
    pub(super) passing: Option<Passing>,
    /// Why that was not passed on.
    failed: Option<io::Error>,
}

/// What came next.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Bytes(Stream, &'a [u8]),
    /// Nothing more is to come.
    End,
    /// The deadline has passed.
    Late,
}

/// What a wait came to.
enum Woken {
    Read(Stream, usize, Before),
    Otherwise,
}

impl Reading {
    pub(super) fn new(
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        handling: Handling,
        passing: Option<Passing>,
    ) -> Self {
        let ended = [stdout.is_none(), stderr.is_none()];
        let (buffer, first) = (vec![0; CHUNK], Stream::Stdout);
        Self { stdout, stderr, ended, handling, buffer, first, passing, failed: None }
    }

    /// Whether a stream came to its end.
    pub(super) fn has_ended(&self, stream: Stream) -> bool {
        let [stdout, stderr] = self.ended;
        if stream == Stream::Stdout { stdout } else { stderr }
    }

    /// Reads from one of them, waiting for that as long as there is time; what is there already is read although there is none. Turns the
    /// launch meanwhile. Given up, it has lost nothing: what was read is returned at once, and the next call waits for whoever it is
    /// passed on to.
    pub(super) async fn next(
        &mut self,
        mut running: Option<&mut Running>,
        deadline: Option<Instant>,
    ) -> Result<Next<'_>> {
        loop {
            self.passed().await?;
            if self.ended == [true; 2] {
                return Ok(Next::End);
            }
            let mut watched = running.as_deref_mut().filter(|running| running.outcome().is_none());
            let over = match &mut watched {
                Some(running) => running.turn().map_err(Error::system(Step::ReadOutput))?,
                None => true,
            };
            let last = over && self.handling.ends_with_command;
            if last || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                // the runtime need not know yet what was written by now
                match self.read(|source, buffer| source.take_now(buffer)) {
                    Poll::Ready(Ok(Woken::Read(stream, count, before))) => {
                        return Ok(self.give(stream, count, before));
                    }
                    Poll::Ready(Ok(Woken::Otherwise)) => continue,
                    Poll::Ready(Err(error)) => return Err(Error::system(Step::ReadOutput)(error)),
                    Poll::Pending => return Ok(if last { Next::End } else { Next::Late }),
                }
            }
            let watched = watched.filter(|_| !over);
            let watch = Watch::on(watched.as_deref(), deadline);
            let mut watch = watch.map_err(Error::system(Step::ReadOutput))?;
            let woken = poll_fn(|context| {
                let read = self.read(|source, buffer| source.poll_take(context, buffer));
                if read.is_ready() { read } else { watch.poll(context).map(|()| Ok(Woken::Otherwise)) }
            });
            if let Woken::Read(stream, count, before) =
                woken.await.map_err(Error::system(Step::ReadOutput))?
            {
                return Ok(self.give(stream, count, before));
            }
        }
    }

    /// Waits until what was read last has been passed on.
    async fn passed(&mut self) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(Error::system(Step::PassOutputOn)(error));
        }
        let Some(task) = &mut self.passing else { return Ok(()) };
        let done = task.await;
        self.passing = None;
        done.and_then(|passed| passed).map_err(Error::system(Step::PassOutputOn))
    }

    /// Has what was read passed on, and returns it.
    fn give(&mut self, stream: Stream, count: usize, before: Before) -> Next<'_> {
        self.first = stream.other();
        let bytes = self.buffer.get(..count).unwrap_or_default();
        if self.handling.is_shared(stream, before) {
            let (handling, bytes) = (self.handling.clone(), bytes.to_vec());
            match Task::start(move || handling.pass_on(stream, &bytes, before)) {
                Ok(task) => self.passing = Some(task),
                // what was read is not lost for that
                Err((error, _)) => self.failed = Some(error),
            }
        }
        Next::Bytes(stream, bytes)
    }

    /// Reads from the first that can be read in this way. An end is something, too.
    fn read(
        &mut self,
        mut take: impl FnMut(&mut dyn Source, &mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<Woken>> {
        let [no_stdout, no_stderr] = &mut self.ended;
        let mut sources: [(Stream, &mut bool, Option<&mut dyn Source>); 2] = [
            (Stream::Stdout, no_stdout, self.stdout.as_mut().map(|source| source as _)),
            (Stream::Stderr, no_stderr, self.stderr.as_mut().map(|source| source as _)),
        ];
        sources.sort_by_key(|(stream, ..)| *stream != self.first);
        let mut woken = Poll::Pending;
        for (stream, ended, source) in sources {
            let Some(source) = source.filter(|_| !*ended) else { continue };
            let before = Before::of(source.has_unread());
            match take(source, &mut self.buffer) {
                Poll::Ready(Ok(0)) => (*ended, woken) = (true, Poll::Ready(Ok(Woken::Otherwise))),
                Poll::Ready(count) => {
                    return Poll::Ready(count.map(|count| Woken::Read(stream, count, before)));
                }
                Poll::Pending => {}
            }
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::super::descriptors::pipe;
    use super::super::super::ear::ReadEnd;
    use super::super::super::stdio;
    use super::*;

    #[test]
    fn neither_waits_for_as_long_as_the_other_writes() {
        let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let [stdout, stderr] = [pipe().unwrap(), pipe().unwrap()];
            let stdout = ChildStdout::new(stdio::ChildStdout::new(ReadEnd::deaf(stdout.0))).unwrap();
            let stderr = ChildStderr::new(stdio::ChildStderr::new(stderr.0)).unwrap();
            let mut reading = Reading::new(Some(stdout), Some(stderr), Handling::default(), None);
            let mut read = Vec::new();
            while read.len() < 4 {
                // there is always something in both
                let Poll::Ready(Ok(Woken::Read(stream, count, before))) =
                    reading.read(|_, _| Poll::Ready(Ok(1)))
                else {
                    panic!("nothing was read")
                };
                assert!(matches!(reading.give(stream, count, before), Next::Bytes(..)));
                read.push(stream);
            }
            assert_eq!(read, [Stream::Stdout, Stream::Stderr, Stream::Stdout, Stream::Stderr]);
        });
    }
}
