//! What belongs to this process, as thread-local values belong to a thread.
//!
//! A fork gets a copy of all memory, but none of the threads: what a static says of threads, children and descriptors is the other
//! process's, and a lock that a thread held at that moment stays held in the fork for ever. So each process has a value and a lock
//! of its own here.

use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// How many forks lie between this process and that of the first launch.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// What a fork does first (`pthread_atfork(3)`).
pub(crate) extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Which process somebody is in. The number alone does not say: process 1 of a container and its fork that is process 1 of a PID
/// namespace below have the same, and calls that fork without the C library do not tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    number: u32,
    forks: u32,
}

impl Process {
    pub(crate) fn own() -> Self {
        Self { number: std::process::id(), forks: FORKS.load(Ordering::Relaxed) }
    }

    pub(crate) fn is_own(self) -> bool {
        self == Self::own()
    }
}

/// A value for each process, behind a lock.
pub(crate) struct ProcessLocal<T: 'static> {
    first: OnceLock<Box<Slot<T>>>,
    inherit: fn(&mut T) -> T,
}

/// The values of a line of forks, the youngest last: only that one is this process's.
struct Slot<T> {
    process: Process,
    value: Mutex<T>,
    next: OnceLock<Box<Slot<T>>>,
}

impl<T: Default> ProcessLocal<T> {
    /// A fork begins with nothing. What it has got is neither used nor dropped there.
    pub(crate) const fn new() -> Self {
        Self::inheriting(|_| T::default())
    }

    /// A fork goes on with what it has got: what is true of every process.
    pub(crate) const fn shared() -> Self {
        Self::inheriting(mem::take)
    }

    /// A fork makes its value of what it has got, or begins with nothing if a thread had that locked.
    pub(crate) const fn inheriting(inherit: fn(&mut T) -> T) -> Self {
        Self { first: OnceLock::new(), inherit }
    }

    /// Waits for the lock. What a thread has left half done when it panicked is taken as it is.
    pub(crate) fn lock(&'static self) -> MutexGuard<'static, T> {
        self.value().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same without waiting: `None` if a thread has it locked.
    pub(crate) fn try_lock(&'static self) -> Option<MutexGuard<'static, T>> {
        match self.value().try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn value(&'static self) -> &'static Mutex<T> {
        &self.slot_of(Process::own()).value
    }

    fn slot_of(&self, process: Process) -> &Slot<T> {
        let new = |value| Box::new(Slot { process, value: Mutex::new(value), next: OnceLock::new() });
        let mut slot = self.first.get_or_init(|| new(T::default()));
        loop {
            // a number may come again among descendants
            slot = match slot.next.get() {
                Some(next) => next,
                None if slot.process == process => return slot,
                None => slot.next.get_or_init(|| {
                    let inherited = slot.value.try_lock();
                    new(inherited.map(|mut value| (self.inherit)(&mut value)).unwrap_or_default())
                }),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(number: u32) -> Process {
        Process { number, forks: 0 }
    }

    #[test]
    fn a_fork_has_a_value_and_a_lock_of_its_own() {
        let local = ProcessLocal::<u32>::new();
        *local.slot_of(process(7)).value.lock().unwrap() = 1;
        let held = local.slot_of(process(7)).value.lock().unwrap();
        *local.slot_of(process(8)).value.lock().unwrap() += 10;
        drop(held);
        // a number that has been before
        assert_eq!(*local.slot_of(process(7)).value.lock().unwrap(), 0);
        // and that of the parent, in a namespace of its own
        let last = Process { number: 7, forks: 1 };
        *local.slot_of(last).value.lock().unwrap() = 2;
        assert!(std::ptr::eq(local.slot_of(last), local.slot_of(last)));
    }

    #[test]
    fn what_is_true_of_every_process_is_taken_along() {
        let local = ProcessLocal::<Vec<u32>>::shared();
        local.slot_of(process(7)).value.lock().unwrap().push(1);
        assert_eq!(*local.slot_of(process(8)).value.lock().unwrap(), [1]);
        let held = local.slot_of(process(8)).value.lock().unwrap();
        assert!(local.slot_of(process(9)).value.lock().unwrap().is_empty(), "nobody would let go of that");
        drop(held);
    }
}
