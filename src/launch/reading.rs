//! Both streams of a command, read side by side while its launch goes on: one poll loop of the caller's thread.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::capture::{Before, Stream};
use super::running::Running;
use super::stdio::{ChildStderr, ChildStdout};
use super::wait::{self, Ward};

/// How much is read at once.
pub(super) const CHUNK: usize = 64 << 10;

/// Both streams, as far as they are piped and not given away.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    states: [State; 2],
    /// Ends with the launch, although something may hold the streams open.
    ends_with_launch: bool,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Readable,
    Ended,
}

/// What came next.
#[derive(Debug)]
pub(super) enum Next<'a> {
    Bytes(Stream, &'a [u8], Before),
    /// Nothing more is to come.
    End,
    /// The deadline has passed.
    Late,
}

impl Reading {
    pub(super) fn new(
        stdout: Option<ChildStdout>,
        stderr: Option<ChildStderr>,
        ends_with_launch: bool,
    ) -> Self {
        let state = |there: bool| if there { State::Waiting } else { State::Ended };
        let states = [state(stdout.is_some()), state(stderr.is_some())];
        Self { stdout, stderr, states, ends_with_launch, buffer: vec![0; CHUNK] }
    }

    /// Whether a stream came to its end.
    pub(super) fn has_ended(&self, stream: Stream) -> bool {
        let [stdout, stderr] = self.states;
        State::Ended == if stream == Stream::Stdout { stdout } else { stderr }
    }

    /// Reads from one of them, waiting for that as long as there is time; what is there already is read although there is none. Turns the launch meanwhile: its end may come first, if the
    /// command leaves processes behind that hold the streams open, and those of a PID namespace are ended with it.
    pub(super) fn next(
        &mut self,
        mut running: Option<&mut Running>,
        deadline: Option<Instant>,
    ) -> io::Result<Next<'_>> {
        loop {
            if let Some((stream, count, before)) = self.read()? {
                return Ok(Next::Bytes(stream, self.buffer.get(..count).unwrap_or_default(), before));
            }
            if self.states == [State::Ended; 2] {
                return Ok(Next::End);
            }
            let mut watched = running.as_deref_mut().filter(|running| running.outcome().is_none());
            let over = match &mut watched {
                Some(running) => running.turn()?,
                None => true,
            };
            let watched = watched.filter(|_| !over).map(|running| &*running as &dyn Ward);
            // what was written before the end is there by now
            let last = over && self.ends_with_launch;
            let until = if last { Some(Instant::now()) } else { deadline };
            if self.look(watched, until)? {
                continue;
            }
            if last {
                return Ok(Next::End);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(Next::Late);
            }
        }
    }

    /// Waits until one of them can be read, the launch is to be turned, or the deadline has passed. Says whether one can be read.
    fn look(&mut self, watched: Option<&dyn Ward>, deadline: Option<Instant>) -> io::Result<bool> {
        let put_back = self.put_back();
        let readable = if put_back.contains(&true) {
            put_back
        } else {
            let [first, second] = self.states;
            let stdout = self.stdout.as_ref().filter(|_| first != State::Ended).map(AsFd::as_fd);
            let stderr = self.stderr.as_ref().filter(|_| second != State::Ended).map(AsFd::as_fd);
            let descriptors: Vec<BorrowedFd<'_>> = [stdout, stderr].into_iter().flatten().collect();
            let mut readable = wait::wait(watched, &descriptors, deadline)?.readable.into_iter();
            [stdout, stderr].map(|source| source.is_some() && readable.next().unwrap_or(false))
        };
        for (state, readable) in self.states.iter_mut().zip(readable) {
            if readable {
                *state = State::Readable;
            }
        }
        Ok(readable.contains(&true))
    }

    /// Which of them begin with what was put back.
    fn put_back(&self) -> [bool; 2] {
        [
            self.stdout.as_ref().is_some_and(|end| !end.buffer().is_empty()),
            self.stderr.as_ref().is_some_and(|end| !end.buffer().is_empty()),
        ]
    }

    /// Reads from the first that can be read.
    fn read(&mut self) -> io::Result<Option<(Stream, usize, Before)>> {
        let before = self.put_back().map(Before::of);
        let [stdout, stderr] = &mut self.states;
        let sources: [(Stream, &mut State, Option<&mut dyn Read>); 2] = [
            (Stream::Stdout, stdout, self.stdout.as_mut().map(|source| source as _)),
            (Stream::Stderr, stderr, self.stderr.as_mut().map(|source| source as _)),
        ];
        for ((stream, state, source), before) in sources.into_iter().zip(before) {
            let Some(source) = source.filter(|_| *state == State::Readable) else { continue };
            match source.read(&mut self.buffer) {
                Ok(0) => *state = State::Ended,
                Ok(count) => {
                    *state = State::Waiting;
                    return Ok(Some((stream, count, before)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => *state = State::Waiting,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
