//! The launch itself: open everything, spawn bwrap, close what is bwrap's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::child::Child;
use super::command::Command;
use super::descriptors::{self, layout};
use super::filter::caveats;
use super::handshake::{Caveats, Handshake};
use super::prepared::Gate;
use super::running::{Cloned, Running};
use super::spawn::{self, Plan};
use super::stdio::{ChildStderr, ChildStdin, ChildStdout, Stdio, StdioKind};
use super::table::{Ours, Spent, Table, duplicate};
use super::words::Words;
use super::{idmap, keeper};
use crate::bwrap::Bwrap;
use crate::bwrap::arguments::{Arguments, Audience, MAX_WORDS, Role, Source, before_command, count_words};
use crate::error::{Error, Result};
use crate::sandbox::{Content, ContentKind, Invalid, MAX_FILTER, Place, Problem, check_filter_size};

impl Command {
    /// Launches. Held, the sandbox waits at the gate that is returned.
    pub(super) fn launch(&self, default: &StdioKind, hold: bool) -> Result<(Child, Option<Gate>)> {
        self.check()?;
        let bwrap = match &self.bwrap {
            Some(bwrap) => bwrap.clone(),
            None => Bwrap::find()?,
        };
        let recipe = &self.recipe;
        let mapped = recipe.sandbox.identity.mapped();
        let roles = [
            Some(Role::Arguments),
            Some(Role::Status),
            Some(Role::Ready),
            hold.then_some(Role::Gate),
            mapped.then_some(Role::IdMapInfo),
            mapped.then_some(Role::IdMapDone),
        ];
        let roles: Vec<Role> = roles.into_iter().flatten().collect();
        let taken: Vec<RawFd> = self.descriptors.iter().map(|(number, _)| *number).collect();
        let inherited = recipe.sandbox.environment.inherited(std::env::vars_os);
        let audience =
            Audience::Launch { bwrap: &bwrap, inherited: &inherited, taken: &taken, roles: &roles };
        let arguments = Arguments::of(&recipe.sandbox, recipe.arg0.as_deref(), audience)?;
        let count = count_words(&arguments, 1 + recipe.arguments.len());
        if count > MAX_WORDS {
            let problem = Problem::TooManyWords { count, limit: MAX_WORDS };
            return Err(Invalid { place: Place::CommandLine, problem }.into());
        }
        if log::log_enabled!(log::Level::Debug) {
            log::debug!("launching {self}");
        }
        keeper::catch_up();
        let mut spent = Spent::default();
        spent.spend(&recipe.sandbox)?;
        let mut table = Table::default();
        let filters = self.recipe.sandbox.privileges.filters.iter().enumerate();
        let programs: Vec<Vec<u8>> =
            filters.map(|(index, filter)| program_of(index, &filter.program)).collect::<Result<_>>()?;
        let (child, gate) = self.start(&bwrap, &arguments, default, &programs, &mut table)?;
        spent.keep();
        Ok((child, gate.map(|socket| Gate::new(socket, programs.into_iter().next()))))
    }

    /// Opens everything, spawns bwrap, and closes what is bwrap's.
    fn start(
        &self,
        bwrap: &Bwrap,
        arguments: &Arguments,
        default: &StdioKind,
        programs: &[Vec<u8>],
        table: &mut Table,
    ) -> Result<(Child, Option<OwnedFd>)> {
        let recipe = &self.recipe;
        let identity = &recipe.sandbox.identity;
        let stdin = table.reads(0, stdio(self.stdin.as_ref(), default, true))?;
        let stdout = table.writes(1, stdio(self.stdout.as_ref(), default, false))?;
        let stderr_kind = stdio(self.stderr.as_ref(), default, false);
        let stderr = table.writes(2, stderr_kind)?.map(ChildStderr::new);
        let words = Words::of(stderr_kind, stderr.as_ref());
        for (number, descriptor) in &self.descriptors {
            table.place(descriptor, *number)?;
        }
        let (mut ours, mut arguments_number) = (Ours::default(), 0);
        for slot in &arguments.slots {
            match &slot.source {
                Source::Content(Content(ContentKind::Bytes { bytes, .. })) => {
                    let file = descriptors::sealed(bytes).map_err(Error::system("make a file's content"))?;
                    table.hold(file, slot.number);
                }
                Source::Filter { index, .. } => {
                    let program = programs.get(*index).map(Vec::as_slice).unwrap_or_default();
                    let file = descriptors::sealed(program).map_err(Error::system("write a filter"))?;
                    table.hold(file, slot.number);
                }
                Source::Content(Content(ContentKind::Descriptor(descriptor)))
                | Source::Descriptor(descriptor) => table.place(descriptor, slot.number)?,
                Source::Launcher(Role::Arguments) => {
                    arguments_number = slot.number;
                    let file = descriptors::sealed(&arguments.to_nul_separated());
                    table.hold(file.map_err(Error::system("write bwrap's arguments"))?, slot.number);
                }
                Source::Launcher(role) => ours
                    .make(*role, slot.number, table)
                    .map_err(Error::system("make the descriptors that watch bwrap"))?,
            }
        }
        if !identity.mapped() {
            ours.announce().map_err(Error::system("make the ready socket"))?;
        }
        let plan = self.plan(bwrap, arguments_number, table).map_err(Error::system("start bwrap"))?;
        let start = |error| Error::system("start bwrap")(table.explain(error));
        let (pid, lease) = if recipe.sandbox.lifetime.die_with_parent {
            match keeper::run(move || spawn::spawn(&plan)) {
                Ok((pid, lease)) => (pid.map_err(start)?, Some(lease)),
                Err(error) => return Err(Error::system("start the keeper thread")(error)),
            }
        } else {
            (spawn::spawn(&plan).map_err(start)?, None)
        };
        table.release();
        let lock_file = !recipe.sandbox.lifetime.lock_files.is_empty();
        let caveats = Caveats { lock_file, ..caveats(programs, recipe.sandbox.keeps_bwrap_inside()) };
        let (witnesses, gate, info) = ours
            .into_parts()
            .ok_or_else(|| Error::system("watch bwrap")(io::Error::other("a descriptor was not made")))?;
        let cloned = match &recipe.sandbox {
            sandbox if sandbox.namespaces.new_pid() => Cloned::Init,
            sandbox if sandbox.lifetime.sync_fd.is_some() => Cloned::Parent,
            _ => Cloned::Command,
        };
        let mut running = Running::new(pid, witnesses, Handshake::new(caveats), cloned, lease)
            .map_err(Error::system("watch bwrap"))?;
        if let Some(info) = info {
            self.map_ids(&mut running, info)?;
        }
        let dropped = arguments.dropped.clone();
        let mut child = Child::new(running, words, Arc::clone(recipe), bwrap.clone(), dropped);
        child.stdin = stdin.map(ChildStdin::new);
        child.stdout = stdout.map(ChildStdout::new);
        child.stderr = stderr;
        Ok((child, gate))
    }

    fn plan(&self, bwrap: &Bwrap, arguments: RawFd, table: &Table) -> io::Result<Plan> {
        let own = before_command(arguments);
        let words = own.iter().map(String::as_bytes).chain([self.recipe.program.as_bytes()]);
        let words = words.chain(self.recipe.arguments.iter().map(|word| word.as_bytes()));
        Ok(Plan {
            path: spawn::c_string(bwrap.path().as_os_str().as_bytes())?,
            arguments: words.map(spawn::c_string).collect::<io::Result<_>>()?,
            actions: layout(&table.moves),
        })
    }

    /// Writes the id maps that bwrap waits for, and lets it go on. If bwrap fails before that, its end tells.
    fn map_ids(&self, running: &mut Running, info: OwnedFd) -> Result<()> {
        let Ok((pid, report)) = idmap::read_info(info) else { return Ok(()) };
        let sandbox = &self.recipe.sandbox;
        let mapped = match &sandbox.lifetime.info_fd {
            Some(descriptor) => duplicate(descriptor).and_then(|copy| File::from(copy).write_all(&report)),
            None => Ok(()),
        };
        let mapped = mapped.and_then(|()| idmap::write_maps(pid, &sandbox.identity));
        // one byte for the map, one for the ready socket
        mapped.and_then(|()| running.announce(b"mr")).map_err(|error| {
            running.destroy();
            Error::system("map the sandbox's ids")(error)
        })
    }
}

/// A filter's bytes. They are looked at here in any case, and bwrap is given what was looked at.
fn program_of(index: usize, program: &Content) -> Result<Vec<u8>> {
    let descriptor = match &program.0 {
        ContentKind::Bytes { bytes, .. } => return Ok(bytes.to_vec()),
        ContentKind::Descriptor(descriptor) => descriptor,
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILTER).unwrap_or(u64::MAX).saturating_add(1);
    duplicate(descriptor)
        .and_then(|file| File::from(file).take(limit).read_to_end(&mut bytes))
        .map_err(Error::system("read a seccomp filter"))?;
    check_filter_size(bytes.len()).map_err(|problem| Invalid { place: Place::Filter(index), problem })?;
    Ok(bytes)
}

fn stdio<'a>(stdio: Option<&'a Stdio>, default: &'a StdioKind, input: bool) -> &'a StdioKind {
    match (stdio, default) {
        (Some(stdio), _) => &stdio.0,
        // nobody is there to write to it
        (None, StdioKind::Piped) if input => &StdioKind::Null,
        (None, default) => default,
    }
}
