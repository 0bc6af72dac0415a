//! Descriptors: what is made of them, and the numbers that things have in the child.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

/// The largest number that a descriptor of the command may have: everything below is closed one by one.
pub(crate) const MAX_NUMBER: RawFd = 1023;

/// Something to do with descriptors in the child, before bwrap starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// As `dup2(2)`; the same number on both sides clears `FD_CLOEXEC`.
    Duplicate { from: RawFd, to: RawFd },
    /// As `close(2)`; a closed number is fine.
    Close(RawFd),
    /// Closes this number and all above.
    CloseFrom(RawFd),
    /// Starts a new session and opens the terminal once more, at this spare number: so it controls the session.
    Control { terminal: RawFd, spare: RawFd },
}

/// Has a terminal control a session of the child's own. To be done before they are.
pub(crate) fn control(terminal: RawFd, moves: &[(RawFd, RawFd)]) -> Action {
    let is_free = |number: &RawFd| *number != terminal && moves.iter().all(|(from, _)| from != number);
    Action::Control { terminal, spare: (3..RawFd::MAX).find(is_free).unwrap_or(RawFd::MAX) }
}

/// Works out how each descriptor gets from its number here to its number in the child, so that none is overwritten
/// before it is in place and nothing else is left open. What is `inherited` stays open at its number by itself.
pub(crate) fn layout(moves: &[(RawFd, RawFd)], inherited: &[RawFd]) -> Vec<Action> {
    let last = moves.iter().map(|(_, to)| *to).max().unwrap_or(-1);
    let mut actions = Vec::with_capacity(moves.len() + 1);
    let stays = |(from, to): &(RawFd, RawFd)| from == to && inherited.contains(from);
    let mut pending: Vec<(RawFd, RawFd)> = moves.iter().filter(|one| !stays(one)).copied().collect();
    // the lowest that are neither goal nor start: a limit may allow no more than the highest goal
    let mut spares = (3..).filter(|number| moves.iter().all(|(from, to)| from != number && to != number));
    while let Some((_, first)) = pending.first().copied() {
        let is_free = |to: RawFd| pending.iter().all(|(other, goal)| *other != to || goal == other);
        if let Some(next) = pending.iter().position(|(_, to)| is_free(*to)) {
            let (from, to) = pending.remove(next);
            actions.push(Action::Duplicate { from, to });
        } else if let Some(spare) = spares.next() {
            // they wait for each other in a circle
            actions.push(Action::Duplicate { from: first, to: spare });
            pending.iter_mut().filter(|(from, _)| *from == first).for_each(|(from, _)| *from = spare);
        }
    }
    let gaps = (0..last).filter(|number| moves.iter().all(|(_, to)| to != number));
    actions.extend(gaps.map(Action::Close));
    actions.push(Action::CloseFrom(last + 1));
    actions
}

/// A new descriptor, above the standard streams. A caller may have closed those, and what took their numbers would be
/// inherited in their place.
pub(crate) fn above_streams(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > 2 {
        return Ok(descriptor);
    }
    fcntl_dupfd_cloexec(descriptor, 3).map_err(|error| none_above(error.into()))
}

/// What it means that no descriptor from a number on could be had: where the limit allows none, the kernel finds fault with the number.
pub(super) fn none_above(error: io::Error) -> io::Error {
    let none = error.raw_os_error() == Some(libc::EINVAL);
    if none { io::Error::from_raw_os_error(libc::EMFILE) } else { error }
}

/// What is in a file from an offset on, `limit` bytes at most, without moving its offset.
pub(crate) fn read_from(file: impl AsFd, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    while bytes.len() < limit {
        let at = offset + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match rustix::io::pread(&file, &mut buffer, at) {
            Ok(count) => {
                bytes.extend(buffer.iter().take(count));
                // regular files give less than asked for at their end only
                if count < buffer.len() {
                    break;
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(limit);
    Ok(bytes)
}

/// Two connected stream sockets, ours and bwrap's.
pub(crate) fn sockets() -> io::Result<(OwnedFd, OwnedFd)> {
    both_above(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// A pipe: what is read, what is written.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    both_above(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

fn both_above((one, other): (OwnedFd, OwnedFd)) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok((above_streams(one)?, above_streams(other)?))
}

/// An event, with the count that it begins with.
pub(crate) fn event(count: u32) -> io::Result<OwnedFd> {
    above_streams(eventfd(count, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Sends all of it, and never a SIGPIPE to ourselves.
pub(crate) fn send_all(socket: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match send(socket, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What a child sees after the actions, if each number `n` refers to file `n` here.
    fn carried_out(actions: &[Action], open: impl Iterator<Item = RawFd>) -> BTreeMap<RawFd, RawFd> {
        let mut table: BTreeMap<RawFd, RawFd> = open.map(|number| (number, number)).collect();
        for action in actions {
            match *action {
                Action::Duplicate { from, to } => {
                    let file = table[&from];
                    table.insert(to, file);
                }
                Action::Close(number) => {
                    table.remove(&number);
                }
                Action::CloseFrom(number) => table.retain(|open, _| *open < number),
                Action::Control { .. } => unreachable!("no part of a layout"),
            }
        }
        table
    }

    proptest! {
        #[test]
        fn every_descriptor_arrives_and_nothing_else(
            from in proptest::collection::vec(0..24_i32, 1..12),
            to in Just((0..20_i32).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let moves: Vec<(RawFd, RawFd)> = from.into_iter().zip(to).collect();
            let seen = carried_out(&layout(&moves, &[]), 0..40);
            let wanted: BTreeMap<_, _> = moves.iter().map(|(from, to)| (*to, *from)).collect();
            prop_assert_eq!(seen, wanted);
        }
    }

    #[test]
    fn nothing_is_done_twice_and_what_stays_needs_nothing() {
        let duplicates = |moves: &[(RawFd, RawFd)], inherited: &[RawFd]| {
            let actions = layout(moves, inherited);
            actions.iter().filter(|action| matches!(action, Action::Duplicate { .. })).count()
        };
        // one after another, from the end of the row that is free
        assert_eq!(duplicates(&[(4, 3), (5, 4), (7, 5)], &[]), 3);
        assert_eq!(duplicates(&[(3, 4), (4, 5), (5, 6)], &[]), 3);
        assert_eq!(duplicates(&[(3, 4), (4, 3)], &[]), 3);
        assert_eq!(duplicates(&[(0, 0), (1, 1), (2, 2), (5, 3)], &[]), 4);
        assert_eq!(duplicates(&[(0, 0), (1, 1), (2, 2), (5, 3)], &[0, 1, 2]), 1);
        // to both streams
        assert_eq!(duplicates(&[(0, 0), (1, 1), (1, 2)], &[0, 1, 2]), 1);
    }
}
