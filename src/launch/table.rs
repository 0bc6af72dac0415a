//! The table of descriptors that a launch gives to bwrap, and the launcher's ends of those that it keeps.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::{Errno, FdFlags};

use super::descriptors;
use super::error::{Error, Result, Step};
use super::memory;
use super::oom::Kills;
use super::processes::Lost;
use super::running::Witnesses;
use super::spawn;
use super::stdio::StdioKind;
use crate::bwrap::arguments::Role;
use crate::sandbox::{Descriptor, Invalid, Problem, Sandbox};

/// Which descriptor goes where, and those that are ours to close once bwrap has them.
#[derive(Default)]
pub(super) struct Table {
    pub(super) moves: Vec<(RawFd, RawFd)>,
    held: Vec<OwnedFd>,
    /// Streams that stay where they are, and open.
    pub(super) inherited: Vec<RawFd>,
}

impl Table {
    pub(super) fn hold(&mut self, descriptor: OwnedFd, number: RawFd) {
        self.moves.push((descriptor.as_raw_fd(), number));
        self.held.push(descriptor);
    }

    pub(super) fn release(&mut self) {
        self.held.clear();
    }

    /// Says which number is too high, if that is why bwrap could not be started.
    pub(super) fn explain(&self, error: io::Error) -> io::Error {
        let limit = spawn::descriptor_limit();
        let highest = self.moves.iter().map(|(_, number)| *number).max();
        match (highest, limit) {
            (Some(number), Some(limit))
                if Errno::from_io_error(&error) == Some(Errno::BADF)
                    && u64::try_from(number).is_ok_and(|number| number >= limit) =>
            {
                io::Error::other(format!(
                    "there can be no descriptor {number}: the limit of open files (RLIMIT_NOFILE) is {limit}; use a lower \
                     number, or raise the limit (`ulimit -n`)"
                ))
            }
            _ => error,
        }
    }

    pub(super) fn place(&mut self, descriptor: &Descriptor, number: RawFd) -> Result<()> {
        if let Some(owned) = descriptor.owned() {
            // the sandbox or the command keeps it open
            self.moves.push((owned.as_raw_fd(), number));
        } else {
            let copy = duplicate(descriptor);
            self.hold(copy.map_err(Error::system(Step::UseDescriptor))?, number);
        }
        Ok(())
    }

    pub(super) fn reads(&mut self, number: RawFd, kind: &StdioKind) -> Result<Option<OwnedFd>> {
        self.stream(number, kind, rustix::stdio::stdin(), |(read, write)| (read, write))
    }

    pub(super) fn writes(&mut self, number: RawFd, kind: &StdioKind) -> Result<Option<OwnedFd>> {
        let own = if number == 1 { rustix::stdio::stdout() } else { rustix::stdio::stderr() };
        self.stream(number, kind, own, |(read, write)| (write, read))
    }

    /// Connects a standard stream to where another one goes.
    pub(super) fn merge(&mut self, number: RawFd, other: RawFd) {
        let goes = self.moves.iter().find(|(_, to)| *to == other).map(|(from, _)| *from);
        self.moves.extend(goes.map(|from| (from, number)));
    }

    /// Connects a standard stream. Returns our end if it is piped.
    fn stream(
        &mut self,
        number: RawFd,
        kind: &StdioKind,
        own: BorrowedFd<'_>,
        ends: impl FnOnce((OwnedFd, OwnedFd)) -> (OwnedFd, OwnedFd),
    ) -> Result<Option<OwnedFd>> {
        let own = match kind {
            StdioKind::Inherit => Some(own),
            StdioKind::Own(stream) => Some(stream.as_fd()),
            _ => None,
        };
        if let Some((own, flags)) = own.and_then(|own| Some((own, rustix::io::fcntl_getfd(own).ok()?))) {
            let own = own.as_raw_fd();
            self.moves.push((own, number));
            if own == number && !flags.contains(FdFlags::CLOEXEC) {
                self.inherited.push(number);
            }
            return Ok(None);
        }
        match kind {
            StdioKind::Descriptor(descriptor) => self.moves.push((descriptor.as_raw_fd(), number)),
            // our own stream is closed: give /dev/null instead
            StdioKind::Null | StdioKind::Inherit | StdioKind::Own(_) | StdioKind::Merged => {
                let file = std::fs::File::options().read(true).write(true).open("/dev/null");
                let file = file.and_then(|file| descriptors::above_streams(file.into()));
                self.hold(file.map_err(Error::system(Step::OpenNull))?, number);
            }
            StdioKind::Piped => {
                let pipe = descriptors::pipe().map_err(Error::system(Step::MakePipe))?;
                let (theirs, ours) = ends(pipe);
                self.hold(theirs, number);
                return Ok(Some(ours));
            }
        }
        Ok(None)
    }
}

/// The launcher's ends of its own descriptors.
#[derive(Default)]
pub(super) struct Ours {
    status: Option<OwnedFd>,
    ready: Option<OwnedFd>,
    far_end: u64,
    announced: bool,
    gate: Option<OwnedFd>,
    info: Option<OwnedFd>,
}

impl Ours {
    pub(super) fn make(&mut self, role: Role, number: RawFd, table: &mut Table) -> io::Result<()> {
        match role {
            Role::Status => {
                let file = memory::written()?;
                table.moves.push((file.as_raw_fd(), number));
                self.status = Some(file);
            }
            Role::Ready => {
                let (ours, theirs) = descriptors::sockets()?;
                self.far_end = rustix::fs::fstat(&theirs)?.st_ino;
                table.hold(theirs, number);
                self.ready = Some(ours);
            }
            Role::Gate => {
                let (ours, theirs) = descriptors::sockets()?;
                table.hold(theirs, number);
                self.gate = Some(ours);
            }
            Role::IdMapInfo => {
                let (ours, theirs) = descriptors::pipe()?;
                table.hold(theirs, number);
                self.info = Some(ours);
            }
            Role::Arguments | Role::IdMapDone => {}
        }
        Ok(())
    }

    /// Sends the byte that bwrap reads when everything is set up.
    pub(super) fn announce(&mut self) -> io::Result<()> {
        self.announced = true;
        self.ready.as_ref().map_or(Ok(()), |ready| descriptors::send_all(ready, b"r"))
    }

    pub(super) fn into_parts(self) -> Option<(Witnesses, Option<OwnedFd>, Option<OwnedFd>)> {
        let Self { status, ready, far_end, announced, gate, info } = self;
        let lost = Lost { socket: far_end, ..Lost::default() };
        let witnesses = Witnesses { status: status?, ready: ready?, lost, oom: Kills::so_far(), announced };
        Some((witnesses, gate, info))
    }
}

/// Descriptors that this launch reads. They count as unread again if nothing is launched.
#[derive(Default)]
pub(super) struct Spent(Vec<Descriptor>);

impl Spent {
    pub(super) fn spend(&mut self, sandbox: &Sandbox) -> Result<()> {
        for (place, content) in sandbox.readers() {
            let Some(descriptor) = content.descriptor() else { continue };
            if descriptor.spend() {
                return Err(Invalid { place, problem: Problem::DescriptorSpent }.into());
            }
            self.0.push(descriptor.clone());
        }
        Ok(())
    }

    pub(super) fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        self.0.iter().for_each(Descriptor::unspend);
    }
}

/// A descriptor of our own for what a caller gave.
pub(super) fn duplicate(descriptor: &Descriptor) -> io::Result<OwnedFd> {
    match (descriptor.owned(), descriptor.given_number()) {
        (Some(owned), _) => owned.try_clone_to_owned(),
        (None, number) => spawn::duplicate(number.unwrap_or(-1)),
    }
}
