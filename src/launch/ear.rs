//! The reading end of a pipe into which bwrap speaks before the command does: the beginning of what is read is remembered, and
//! what waits can be looked at without taking it out.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// How much of the beginning is remembered.
const HEARD_BYTES: usize = 64 << 10;

/// How long whoever reads may take to remember what he has read.
const MOMENT: Duration = Duration::from_millis(2);

/// A pipe's reading end.
#[derive(Debug)]
pub(super) struct ReadEnd {
    pub(super) pipe: Arc<OwnedFd>,
    /// `None` if bwrap does not speak here.
    ear: Option<Ear>,
    /// What was read and put back, to be read again first.
    unread: Vec<u8>,
}

#[derive(Debug, Default)]
struct Ear {
    heard: Arc<Mutex<Vec<u8>>>,
    reader: Arc<Reader>,
}

/// What whoever reads the pipe is about.
#[derive(Debug, Default)]
struct Reader {
    /// It may have taken something out that is not yet remembered.
    busy: AtomicBool,
    /// It came to the end.
    done: AtomicBool,
}

impl ReadEnd {
    /// A pipe of the command's alone.
    pub(super) fn deaf(pipe: OwnedFd) -> Self {
        Self { pipe: Arc::new(pipe), ear: None, unread: Vec::new() }
    }

    /// A pipe into which bwrap speaks, too.
    pub(super) fn listening(pipe: OwnedFd) -> Self {
        Self { ear: Some(Ear::default()), ..Self::deaf(pipe) }
    }

    /// A listener that does not keep the pipe open. `None` if there is nothing of bwrap's to be heard.
    pub(super) fn listener(&self) -> Option<Listener> {
        self.ear.as_ref().map(|ear| Listener {
            pipe: Arc::downgrade(&self.pipe),
            heard: Arc::clone(&ear.heard),
            reader: Arc::clone(&ear.reader),
        })
    }

    /// What is read first, and the pipe itself does not have any more.
    pub(super) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Has these bytes read again first.
    pub(super) fn put_back(&mut self, mut bytes: Vec<u8>) {
        bytes.append(&mut self.unread);
        self.unread = bytes;
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.unread.is_empty() {
            let count = self.unread.as_slice().read(buffer)?;
            self.unread.drain(..count);
            return Ok(count);
        }
        match &self.ear {
            Some(ear) => ear.read(&self.pipe, buffer),
            None => Ok(rustix::io::read(&self.pipe, buffer)?),
        }
    }
}

impl Ear {
    fn read(&self, pipe: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
        // what was taken out of the pipe and is not yet remembered is nowhere
        self.reader.busy.store(true, Ordering::SeqCst);
        let count = rustix::io::read(pipe, &mut *buffer);
        let mut heard = lock(&self.heard);
        let room = HEARD_BYTES.saturating_sub(heard.len());
        heard.extend(buffer.iter().take(count.map_or(0, |count| count.min(room))));
        if count == Ok(0) && !buffer.is_empty() {
            self.reader.done.store(true, Ordering::SeqCst);
        }
        self.reader.busy.store(false, Ordering::SeqCst);
        Ok(count?)
    }
}

/// Knows what has been read from a pipe into which bwrap speaks, and what waits there.
#[derive(Debug)]
pub(crate) struct Listener {
    pipe: Weak<OwnedFd>,
    heard: Arc<Mutex<Vec<u8>>>,
    reader: Arc<Reader>,
}

impl Listener {
    /// Whether [`words`](Self::words) has all that was written at the beginning: nobody else reads the pipe.
    pub(crate) fn knows_all(&self) -> bool {
        let done = self.reader.done.load(Ordering::SeqCst);
        // a pipe that was given away is read by others
        let ours = done || self.pipe.upgrade().is_some_and(|pipe| Arc::strong_count(&pipe) == 2);
        ours && !self.reader.busy.load(Ordering::SeqCst) && lock(&self.heard).len() < HEARD_BYTES
    }

    /// Everything that was written, once nobody writes any more. What nobody has read stays to be read.
    pub(crate) fn words(&self) -> io::Result<Vec<u8>> {
        // what somebody has just taken out of the pipe is remembered in a moment; or he waits for more
        let until = Instant::now() + MOMENT;
        while self.reader.busy.load(Ordering::SeqCst) && Instant::now() < until {
            thread::sleep(MOMENT / 40);
        }
        let waiting = match self.pipe.upgrade() {
            Some(pipe) => peek(&pipe)?,
            None => Vec::new(),
        };
        let mut words = lock(&self.heard).clone();
        words.extend(waiting);
        Ok(words)
    }
}

/// Copies what waits in a pipe without taking it out.
fn peek(pipe: &OwnedFd) -> io::Result<Vec<u8>> {
    let (copy, sink) = super::descriptors::pipe()?;
    let flags = rustix::pipe::SpliceFlags::NONBLOCK;
    let mut bytes = match rustix::pipe::tee(pipe, &sink, HEARD_BYTES, flags) {
        Ok(count) => vec![0; count],
        Err(rustix::io::Errno::AGAIN) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    drop(sink);
    File::from(copy).read_exact(&mut bytes)?;
    Ok(bytes)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
