//! How long something takes, however busy the machine is with other things.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// For how long the calling thread has had a processor.
pub(crate) fn busy() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}
