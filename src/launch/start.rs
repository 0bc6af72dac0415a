//! The launch itself: from an order to what was started. Opens everything, spawns bwrap, closes what is bwrap's.

use std::borrow::Cow;
use std::ffi::CString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::conduct::Cloned;
use super::descriptors::{control, layout};
use super::ear::ReadEnd;
use super::ending::Stop;
use super::error::{Error, Result, Step};
use super::filter::caveats;
use super::gate::Gate;
use super::handshake::Caveats;
use super::idmap::Mapping;
use super::order::{Line, Order};
use super::processes::ticks;
use super::pty::Terminal;
use super::running::{Running, Witnesses};
use super::spawn::{self, Plan};
use super::stdio::{ChildStderr, ChildStdin, ChildStdout, StdioKind};
use super::table::{Ours, Spent, Table, duplicate};
use super::wait::no_later;
use super::words::Words;
use super::{keeper, leave, memory};
use crate::bwrap::arguments::{Arguments, Audience, MAX_WORDS, Role, Source, before_command, count_words};
use crate::sandbox::{
    Content, ContentKind, Feature, Invalid, MAX_FILTER, Place, Problem, Sandbox, check_filter_size,
};

/// How long id maps may take, if nobody says: helpers may ask directory services.
const MAPPING: Duration = Duration::from_secs(10);

/// How long a filter may take to come through a pipe.
const FILTER: Duration = Duration::from_secs(10);

const SILENT: &str = "it did not come to its end in 10 seconds: whoever writes it must close it, and so must whoever else has it open for \
                      writing";

/// Why id maps took too long, as far as can be said.
const LATE: &str = "neither bwrap, which names the process to map, nor newuidmap and newgidmap were done in time; see whether \
                    a directory service hangs (`getent passwd`), and whether the sandbox's sources answer";

/// A bwrap that was started, and our ends of what it was given.
pub(super) struct Started {
    pub(super) running: Running,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    /// Our end of a terminal that streams were connected to.
    pub(super) terminal: Option<Terminal>,
    /// Where bwrap's words go.
    pub(super) words: Words,
    /// What a held sandbox waits for.
    pub(super) gate: Option<Gate>,
    /// What this bwrap lacks and the sandbox can do without.
    pub(super) dropped: Vec<Feature>,
}

/// Starts bwrap, and waits for its id maps, if there are any.
pub(super) fn start(order: &Order<'_>) -> Result<Started> {
    let mut started = begin(order)?;
    if let Err(error) = wait_mapped(&mut started.running, order.deadline) {
        started.running.destroy();
        return Err(error);
    }
    Ok(started)
}

/// Waits until bwrap has its id maps, if there are any, which it has to have by the deadline.
pub(super) fn wait_mapped(running: &mut Running, deadline: Option<Instant>) -> Result<()> {
    if running.is_mapped() {
        return Ok(());
    }
    in_time(running.wait_mapped(deadline.unwrap_or_else(mapping_deadline)))
}

/// When id maps have taken too long, if nobody says.
pub(super) fn mapping_deadline() -> Instant {
    Instant::now() + MAPPING
}

/// Whether there are id maps by now, as the error that it is if there are none.
pub(super) fn in_time(mapped: io::Result<bool>) -> Result<()> {
    mapped
        .and_then(|done| if done { Ok(()) } else { Err(io::Error::new(io::ErrorKind::TimedOut, LATE)) })
        .map_err(Error::system(Step::MapIds))
}

/// Whether it is because of this deadline that a launch failed: by what is read or written for it, or has to be started.
pub(super) fn is_late(error: &Error, deadline: Option<Instant>) -> bool {
    matches!(error, Error::System { step: Step::MapIds | Step::ReadFilter | Step::StartWatchdog, source, .. }
        if source.kind() == io::ErrorKind::TimedOut)
        && deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

/// What bwrap is to be told, once everything is checked that can be before anything is opened.
pub(super) fn arguments(order: &Order<'_>) -> Result<Arguments> {
    let recipe = order.recipe;
    recipe.check(order.descriptors)?;
    if order.hold {
        recipe.check_gate("prepare")?;
    }
    let mapped = recipe.sandbox.identity.mapped();
    let roles = [
        Some(Role::Arguments),
        Some(Role::Status),
        Some(Role::Ready),
        order.hold.then_some(Role::Gate),
        mapped.then_some(Role::IdMapInfo),
        mapped.then_some(Role::IdMapDone),
    ];
    let roles: Vec<Role> = roles.into_iter().flatten().collect();
    let taken: Vec<RawFd> = order.descriptors.iter().map(|(number, _)| *number).collect();
    let inherited = recipe.sandbox.environment.inherited(std::env::vars_os);
    let audience =
        Audience::Launch { bwrap: order.bwrap, inherited: &inherited, taken: &taken, roles: &roles };
    let mut told = Cow::Borrowed(&recipe.sandbox);
    if order.dies_with_caller && told.lifetime.die_with_parent {
        // a bwrap that is killed too early leaves a process 1 that waits for ever, and nobody would know of it
        told.to_mut().lifetime.die_with_parent = false;
    }
    let arguments = Arguments::of(&told, recipe.arg0.as_deref(), audience)?;
    let count = count_words(&arguments, 1 + recipe.arguments.len());
    if count > MAX_WORDS {
        let problem = Problem::TooManyWords { count, limit: MAX_WORDS };
        return Err(Invalid { place: Place::CommandLine, problem }.into());
    }
    Ok(arguments)
}

/// Starts bwrap, which may then wait for its id maps.
pub(super) fn begin(order: &Order<'_>) -> Result<Started> {
    let recipe = order.recipe;
    let arguments = arguments(order)?;
    if log::log_enabled!(log::Level::Debug) {
        let line = Line { recipe, descriptors: order.descriptors, bwrap: None };
        log::debug!("launching {line}");
    }
    keeper::catch_up();
    let mut spent = Spent::default();
    spent.spend(&recipe.sandbox)?;
    let filters = recipe.sandbox.privileges.filters.iter().enumerate();
    let programs: Vec<Vec<u8>> = filters
        .map(|(index, filter)| program_of(index, &filter.program, order.deadline))
        .collect::<Result<_>>()?;
    let started = spawn_order(order, &arguments, programs)?;
    spent.keep();
    Ok(started)
}

/// Opens everything, spawns bwrap, and closes what is bwrap's.
fn spawn_order(order: &Order<'_>, arguments: &Arguments, programs: Vec<Vec<u8>>) -> Result<Started> {
    let sandbox = &order.recipe.sandbox;
    let mut table = Table::default();
    let stdin = table.reads(0, order.stdin)?;
    let (stdout, stderr, words) = outputs(order, &mut table)?;
    for (number, descriptor) in order.descriptors {
        table.place(descriptor, *number)?;
    }
    let (mut ours, arguments_number) = open(arguments, &programs, &mut table)?;
    if !sandbox.identity.mapped() {
        ours.announce().map_err(Error::system(Step::MakeReadySocket))?;
    }
    let (witnesses, gate, info) = ours
        .into_parts()
        .ok_or_else(|| Error::system(Step::MakeWitnesses)(io::Error::other("a descriptor was not made")))?;
    let mapping = info.map(|info| mapping(info, sandbox)).transpose();
    let mapping = mapping.map_err(Error::system(Step::MakeWitnesses))?;
    let watched = (doubts(sandbox, &programs), cloned(sandbox), spares(sandbox));
    let running = spawn(order, arguments_number, &mut table, witnesses, watched, mapping)?;
    let reach = Arc::downgrade(running.reach());
    let give_up = move || {
        if let Some(reach) = reach.upgrade() {
            let _ = reach.kill(Stop::Drop);
        }
    };
    let gate = gate.map(|socket| Gate::new(socket, programs.into_iter().next(), give_up));
    Ok(Started {
        running,
        stdin: stdin.map(ChildStdin::new),
        stdout,
        stderr,
        terminal: None,
        words,
        gate,
        dropped: arguments.dropped.clone(),
    })
}

/// Connects standard output and standard error: the ends that are ours, and where bwrap's words go.
fn outputs(
    order: &Order<'_>,
    table: &mut Table,
) -> Result<(Option<ChildStdout>, Option<ChildStderr>, Words)> {
    let own = rustix::stdio::stderr();
    Ok(match (order.stdout, order.stderr) {
        (kind, StdioKind::Merged) => {
            let stdout = table.writes(1, kind)?.map(|pipe| ChildStdout::new(ReadEnd::listening(pipe)));
            table.merge(2, 1);
            let listener = stdout.as_ref().and_then(ChildStdout::listener);
            (stdout, None, Words::of(kind, rustix::stdio::stdout(), listener))
        }
        (StdioKind::Merged, kind) => {
            let stderr = table.writes(2, kind)?.map(ChildStderr::new);
            table.merge(1, 2);
            let listener = stderr.as_ref().and_then(ChildStderr::listener);
            (None, stderr, Words::of(kind, own, listener))
        }
        (one, other) => {
            let stdout = table.writes(1, one)?.map(|pipe| ChildStdout::new(ReadEnd::deaf(pipe)));
            let stderr = table.writes(2, other)?.map(ChildStderr::new);
            let listener = stderr.as_ref().and_then(ChildStderr::listener);
            (stdout, stderr, Words::of(other, own, listener))
        }
    })
}

/// Makes what the slots of the arguments stand for. Returns our ends, and the number of the arguments themselves.
fn open(arguments: &Arguments, programs: &[Vec<u8>], table: &mut Table) -> Result<(Ours, RawFd)> {
    let (mut ours, mut arguments_number) = (Ours::default(), 0);
    for slot in &arguments.slots {
        match &slot.source {
            Source::Content(Content(ContentKind::Bytes { bytes, .. })) => {
                let file = memory::sealed(bytes).map_err(Error::system(Step::MakeContent))?;
                table.hold(file, slot.number);
            }
            Source::Filter { index, .. } => {
                let program = programs.get(*index).map(Vec::as_slice).unwrap_or_default();
                let file = memory::sealed(program).map_err(Error::system(Step::WriteFilter))?;
                table.hold(file, slot.number);
            }
            Source::Content(Content(ContentKind::Descriptor(descriptor)))
            | Source::Descriptor(descriptor) => table.place(descriptor, slot.number)?,
            Source::Launcher(Role::Arguments) => {
                arguments_number = slot.number;
                let file = memory::sealed(&arguments.to_nul_separated());
                table.hold(file.map_err(Error::system(Step::WriteArguments))?, slot.number);
            }
            Source::Launcher(role) => {
                ours.make(*role, slot.number, table).map_err(Error::system(Step::MakeWitnesses))?;
            }
        }
    }
    Ok((ours, arguments_number))
}

fn mapping(info: OwnedFd, sandbox: &Sandbox) -> io::Result<Mapping> {
    let copy = sandbox.lifetime.info_fd.as_ref().map(duplicate).transpose()?;
    Mapping::new(info, sandbox.identity.clone(), copy)
}

/// What could make the witnesses lie.
fn doubts(sandbox: &Sandbox, programs: &[Vec<u8>]) -> Caveats {
    let lock_file = !sandbox.lifetime.lock_files.is_empty();
    Caveats { lock_file, in_reach: in_reach(sandbox), ..caveats(programs, sandbox.keeps_bwrap_inside()) }
}

/// Whether the command may get at the descriptors of a process of bwrap's: one inside has them all until it has closed what it does
/// not need; one outside can be traced where no user namespace is between.
pub(super) fn in_reach(sandbox: &Sandbox) -> bool {
    let apart = sandbox.namespaces.new_user() || sandbox.namespaces.join_user.is_some();
    sandbox.keeps_bwrap_inside() || !apart && rustix::process::geteuid().is_root()
}

fn cloned(sandbox: &Sandbox) -> Cloned {
    match sandbox {
        sandbox if sandbox.namespaces.new_pid() => Cloned::Init,
        sandbox if !sandbox.lifetime.sync_fds.is_empty() => Cloned::Parent,
        _ => Cloned::Command,
    }
}

/// Whether the process that bwrap clones is not the command.
fn spares(sandbox: &Sandbox) -> bool {
    cloned(sandbox) != Cloned::Command && !sandbox.lifetime.as_pid_1
}

fn spawn(
    order: &Order<'_>,
    arguments: RawFd,
    table: &mut Table,
    mut witnesses: Witnesses,
    watched: (Caveats, Cloned, bool),
    mapping: Option<Mapping>,
) -> Result<Running> {
    let plan = plan(order, arguments, table).map_err(Error::system(Step::StartBwrap))?;
    witnesses.lost.words = plan.arguments.iter().flat_map(CString::as_bytes_with_nul).copied().collect();
    witnesses.lost.since = ticks();
    let start = |error| Error::system(Step::StartBwrap)(table.explain(error));
    leave::prepare();
    let (pid, lease) = if order.recipe.sandbox.lifetime.die_with_parent && !order.dies_with_caller {
        match keeper::run(move || spawn::spawn(&plan)) {
            Ok((pid, lease)) => (pid.map_err(start)?, lease),
            Err(error) => return Err(Error::system(Step::StartKeeper)(error)),
        }
    } else {
        (spawn::spawn(&plan).map_err(start)?, None)
    };
    // bwrap has its own by now; and what is to come needs descriptors, too
    table.release();
    Running::new(pid, witnesses, watched, mapping, lease).map_err(Error::system(Step::WatchBwrap))
}

fn plan(order: &Order<'_>, arguments: RawFd, table: &Table) -> io::Result<Plan> {
    let own = before_command(arguments);
    let words = own.iter().map(String::as_bytes).chain([order.recipe.program.as_bytes()]);
    let words = words.chain(order.recipe.arguments.iter().map(|word| word.as_bytes()));
    Ok(Plan {
        path: spawn::c_string(order.bwrap.path().as_os_str().as_bytes())?,
        arguments: words.map(spawn::c_string).collect::<io::Result<_>>()?,
        actions: order
            .terminal
            .map(|terminal| control(terminal, &table.moves))
            .into_iter()
            .chain(layout(&table.moves, &table.inherited))
            .collect(),
        keeps_ignored_signals: order.keeps_ignored_signals,
        family: order.family,
    })
}

/// A filter's bytes. They are looked at here in any case, and bwrap is given what was looked at.
fn program_of(index: usize, program: &Content, deadline: Option<Instant>) -> Result<Vec<u8>> {
    let descriptor = match &program.0 {
        ContentKind::Bytes { bytes, .. } => return Ok(bytes.to_vec()),
        ContentKind::Descriptor(descriptor) => descriptor,
    };
    let bytes = duplicate(descriptor).and_then(|file| read_filter(&file, deadline));
    let bytes = bytes.map_err(Error::system(Step::ReadFilter))?;
    check_filter_size(bytes.len()).map_err(|problem| Invalid { place: Place::Filter(index), problem })?;
    Ok(bytes)
}

/// What there is to its end, but no more than makes a filter too long. A pipe that nobody fills or closes holds nobody up for ever.
fn read_filter(file: &OwnedFd, deadline: Option<Instant>) -> io::Result<Vec<u8>> {
    let deadline = no_later(deadline, FILTER);
    let mut bytes = vec![0; MAX_FILTER + 1];
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, SILENT));
        }
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Timespec::try_from(left).ok().as_ref()) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match rustix::io::read(file, room) {
            Ok(0) => break,
            Ok(count) => length += count,
            // another reader may have been faster
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_is_what_a_deadline_has_ended() {
        let failed = |step, kind: io::ErrorKind| Error::system(step)(kind.into());
        let passed = Some(Instant::now());
        for step in [Step::ReadFilter, Step::MapIds, Step::StartWatchdog] {
            let late = failed(step, io::ErrorKind::TimedOut);
            assert!(is_late(&late, passed) && !is_late(&late, None), "{step}");
            assert!(!is_late(&late, Some(Instant::now() + FILTER)), "{step}: by our own patience");
            assert!(!is_late(&failed(step, io::ErrorKind::NotFound), passed), "{step}");
        }
        assert!(!is_late(&failed(Step::WaitForBwrap, io::ErrorKind::TimedOut), passed));
    }
}
