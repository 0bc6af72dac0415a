//! The way there: a sandbox becomes bwrap's arguments and a table of descriptors.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Bwrap;
use super::options::{self, BwrapOption, MissingOption};
use crate::sandbox::{
    Access, CapabilityChange, Content, Descriptor, EnvironmentChange, Feature, Inherit, Namespaces,
    Operation, Overlay, OverlayKind, Sandbox, Value,
};

/// How many words bwrap reads in all, the command's own included.
pub(crate) const MAX_WORDS: usize = 9000;

/// A word of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Text(OsString),
    /// Never shown.
    Secret(OsString),
    /// Shown as it is, for the shell to expand; never launched.
    Shell(String),
}

/// What bwrap finds under a descriptor number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Content(Content),
    /// The program of a filter, which the launcher reads itself.
    Filter {
        index: usize,
        program: Content,
    },
    Descriptor(Descriptor),
    /// A descriptor that the launcher makes for itself.
    Launcher(Role),
}

/// What the launcher talks to bwrap about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// `--args`: the arguments themselves. The option stands on the command line, before them.
    Arguments,
    /// `--json-status-fd`: how far it got, and how the command ended.
    Status,
    /// `--block-fd`: read once everything is set up.
    Ready,
    /// `--seccomp`, as a gate: the filter comes when the command may start.
    Gate,
    /// `--info-fd`: whose ids are to be mapped.
    IdMapInfo,
    /// `--userns-block-fd`: the ids are mapped. It is the ready socket too, which bwrap reads again later and
    /// then closes; a descriptor of its own would stay open in the command.
    IdMapDone,
}

/// A descriptor number and what is to be found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) number: RawFd,
    pub(crate) source: Source,
}

/// bwrap's arguments without the command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Arguments {
    pub(crate) words: Vec<Word>,
    pub(crate) slots: Vec<Slot>,
    /// Features that this bwrap lacks and the caller can do without.
    pub(crate) dropped: Vec<Feature>,
}

/// For whom the arguments are written.
#[derive(Clone, Copy)]
pub(crate) enum Audience<'a> {
    /// For a reader: descriptor numbers as the caller gave them, and every option, or those that this bwrap accepts.
    Reader {
        bwrap: Option<&'a Bwrap>,
        /// As for a launch.
        taken: &'a [RawFd],
    },
    /// For this bwrap, now.
    Launch {
        bwrap: &'a Bwrap,
        /// What the command inherits of the caller's environment.
        inherited: &'a [(OsString, OsString)],
        /// Descriptor numbers that the command's own descriptors take.
        taken: &'a [RawFd],
        /// The launcher's own descriptors.
        roles: &'a [Role],
    },
}

impl Arguments {
    /// Writes the arguments of a sandbox and the name that its command goes by.
    pub(crate) fn of(
        sandbox: &Sandbox,
        arg0: Option<&OsStr>,
        audience: Audience<'_>,
    ) -> Result<Self, MissingOption> {
        let mut writer = Writer::new(sandbox, audience);
        writer.launcher()?;
        writer.environment()?;
        writer.namespaces()?;
        writer.identity()?;
        writer.privileges()?;
        writer.lifetime()?;
        for operation in &sandbox.operations {
            writer.operation(operation)?;
        }
        if let Some(directory) = &sandbox.current_dir {
            writer.option("--chdir", [directory.as_os_str()])?;
        }
        if let Some(arg0) = arg0 {
            writer.option("--argv0", [arg0])?;
        }
        Ok(writer.out)
    }

    /// As [`of`](Self::of), for a reader.
    pub(crate) fn shown(sandbox: &Sandbox, arg0: Option<&OsStr>, bwrap: Option<&Bwrap>) -> Self {
        Self::shown_beside(&[], sandbox, arg0, bwrap)
    }

    /// As [`shown`](Self::shown), beside descriptors of the command's own that have these numbers.
    pub(crate) fn shown_beside(
        taken: &[RawFd],
        sandbox: &Sandbox,
        arg0: Option<&OsStr>,
        bwrap: Option<&Bwrap>,
    ) -> Self {
        // an Audience::Reader is never told that an option is missing
        Self::of(sandbox, arg0, Audience::Reader { bwrap, taken }).unwrap_or_default()
    }

    /// Those of one operation, where it takes no descriptors: their numbers hang on all that comes before.
    pub(crate) fn of_operation(operation: &Operation) -> Option<Vec<Word>> {
        let (bare, audience) = (Sandbox::new(), Audience::Reader { bwrap: None, taken: &[] });
        let mut writer = Writer::new(&bare, audience);
        writer.operation(operation).ok()?;
        Some(writer.out.words).filter(|_| writer.out.slots.is_empty())
    }

    /// The arguments as a file for `--args`.
    pub(crate) fn to_nul_separated(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.words.len() * 16);
        for word in &self.words {
            match word {
                Word::Text(text) | Word::Secret(text) => bytes.extend(text.as_bytes()),
                Word::Shell(text) => bytes.extend(text.as_bytes()),
            }
            bytes.push(0);
        }
        bytes
    }
}

/// What stands on bwrap's own command line before the command: the file under this number holds all the rest.
pub(crate) fn before_command(number: RawFd) -> [String; 4] {
    ["bwrap".to_owned(), "--args".to_owned(), number.to_string(), "--".to_owned()]
}

/// How many words bwrap counts in all: its own name is none.
pub(crate) fn count_words(arguments: &Arguments, command: usize) -> usize {
    arguments.words.len() + before_command(0).len() - 1 + command
}

struct Writer<'a> {
    sandbox: &'a Sandbox,
    audience: Audience<'a>,
    /// Descriptor numbers that are not free.
    taken: BTreeSet<RawFd>,
    next: RawFd,
    out: Arguments,
}

type Written = Result<(), MissingOption>;

impl<'a> Writer<'a> {
    fn new(sandbox: &'a Sandbox, audience: Audience<'a>) -> Self {
        let taken = match audience {
            Audience::Launch { taken, .. } => taken.iter().copied().collect(),
            Audience::Reader { taken, .. } => {
                taken.iter().copied().chain(sandbox.descriptor_numbers()).collect()
            }
        };
        Self { sandbox, audience, taken, next: 3, out: Arguments::default() }
    }

    /// Whether the option can be written: an error or a dropped feature otherwise.
    fn admits(&mut self, name: &'static str) -> Result<bool, MissingOption> {
        let option = options::find(name).copied().unwrap_or(BwrapOption {
            name,
            arguments: 0,
            since: None,
            feature: None,
        });
        self.admits_if(&option, |bwrap| bwrap.accepts(name))
    }

    fn admits_if(
        &mut self,
        option: &BwrapOption,
        has: impl Fn(&Bwrap) -> bool,
    ) -> Result<bool, MissingOption> {
        let bwrap = match self.audience {
            Audience::Launch { bwrap, .. } => bwrap,
            Audience::Reader { bwrap, .. } => return Ok(bwrap.is_none_or(has)),
        };
        if has(bwrap) {
            return Ok(true);
        }
        match option.feature.filter(|feature| self.sandbox.optional.contains(feature)) {
            Some(feature) => {
                if !self.out.dropped.contains(&feature) {
                    self.out.dropped.push(feature);
                }
                Ok(false)
            }
            None => Err(bwrap.missing(option)),
        }
    }

    fn text(&mut self, text: impl AsRef<OsStr>) {
        self.out.words.push(Word::Text(text.as_ref().to_owned()));
    }

    fn option<const N: usize>(&mut self, name: &'static str, arguments: [&OsStr; N]) -> Written {
        if self.admits(name)? {
            self.text(name);
            for argument in arguments {
                self.text(argument);
            }
        }
        Ok(())
    }

    fn switch(&mut self, on: bool, name: &'static str) -> Written {
        if on { self.option(name, []) } else { Ok(()) }
    }

    /// Writes an option whose first argument is a descriptor number.
    fn with_descriptor<const N: usize>(
        &mut self,
        name: &'static str,
        source: Source,
        arguments: [&OsStr; N],
    ) -> Written {
        if self.admits(name)? {
            let number = self.number(source);
            self.text(name);
            self.text(number.to_string());
            for argument in arguments {
                self.text(argument);
            }
        }
        Ok(())
    }

    /// A number of its own for each use: bwrap closes what it has read, and a number used twice is silently
    /// empty the second time.
    fn number(&mut self, source: Source) -> RawFd {
        let given = match &source {
            Source::Content(content) | Source::Filter { program: content, .. } => content.descriptor(),
            Source::Descriptor(descriptor) => Some(descriptor),
            Source::Launcher(_) => None,
        };
        let given = given.and_then(Descriptor::given_number);
        let number = match (self.audience, given) {
            (Audience::Reader { .. }, Some(number)) => number,
            _ => self.free_number(),
        };
        self.out.slots.push(Slot { number, source });
        number
    }

    fn free_number(&mut self) -> RawFd {
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
        self.next += 1;
        self.next - 1
    }

    fn launcher(&mut self) -> Written {
        let Audience::Launch { roles, .. } = self.audience else { return Ok(()) };
        for role in roles {
            let name = match role {
                Role::Arguments => {
                    self.number(Source::Launcher(*role));
                    continue;
                }
                Role::IdMapDone => {
                    let ready = Source::Launcher(Role::Ready);
                    if let Some(slot) = self.out.slots.iter().find(|slot| slot.source == ready) {
                        let number = slot.number.to_string();
                        self.option("--userns-block-fd", [OsStr::new(&number)])?;
                    }
                    continue;
                }
                Role::Status => "--json-status-fd",
                Role::Ready => "--block-fd",
                Role::Gate => "--seccomp",
                Role::IdMapInfo => "--info-fd",
            };
            self.with_descriptor(name, Source::Launcher(*role), [])?;
        }
        Ok(())
    }

    fn has_role(&self, role: Role) -> bool {
        matches!(self.audience, Audience::Launch { roles, .. } if roles.contains(&role))
    }

    fn environment(&mut self) -> Written {
        let environment = &self.sandbox.environment;
        match self.audience {
            // bwrap itself is started with an empty environment, so that there is nothing to clear
            Audience::Launch { inherited, .. } => {
                for (name, value) in inherited {
                    self.option("--setenv", [name, value])?;
                }
            }
            Audience::Reader { .. } => match &environment.inherit {
                Inherit::Everything => {}
                Inherit::Nothing => self.option("--clearenv", [])?,
                Inherit::Only(names) => {
                    self.option("--clearenv", [])?;
                    for name in names {
                        self.inherited_variable(name)?;
                    }
                }
            },
        }
        for change in &environment.changes {
            match change {
                EnvironmentChange::Set { name, value: Value { text, secret: false } } => {
                    self.option("--setenv", [name, text])?;
                }
                EnvironmentChange::Set { name, value: Value { text, secret: true } } => {
                    self.option("--setenv", [name])?;
                    self.out.words.push(Word::Secret(text.clone()));
                }
                EnvironmentChange::Unset { name } => self.option("--unsetenv", [name])?,
            }
        }
        Ok(())
    }

    /// For a reader: set inside if it is set outside.
    fn inherited_variable(&mut self, name: &OsStr) -> Written {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let plain =
            |name: &&str| name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
        if let Some(name) = name.to_str().filter(plain) {
            self.out.words.push(Word::Shell(format!("${{{name}+--setenv {name} \"${name}\"}}")));
            return Ok(());
        }
        // no shell can expand a variable of such a name
        self.option("--setenv", [name])?;
        self.out.words.push(Word::Shell("'[inherited]'".to_owned()));
        Ok(())
    }

    fn namespaces(&mut self) -> Written {
        const SWITCHES: [(Namespaces, &str); 9] = [
            (Namespaces::ALL, "--unshare-all"),
            (Namespaces::USER, "--unshare-user"),
            (Namespaces::USER_TRY, "--unshare-user-try"),
            (Namespaces::IPC, "--unshare-ipc"),
            (Namespaces::PID, "--unshare-pid"),
            (Namespaces::NET, "--unshare-net"),
            (Namespaces::UTS, "--unshare-uts"),
            (Namespaces::CGROUP, "--unshare-cgroup"),
            (Namespaces::CGROUP_TRY, "--unshare-cgroup-try"),
        ];
        let namespaces = &self.sandbox.namespaces;
        for (namespace, name) in SWITCHES {
            self.switch(namespaces.unshare.contains(namespace), name)?;
        }
        // --share-net comes after --unshare-all: bwrap ignores it before
        self.switch(namespaces.share_net && namespaces.unshare.contains(Namespaces::ALL), "--share-net")?;
        let joins = [
            ("--userns", &namespaces.join_user),
            ("--userns2", &namespaces.join_user2),
            ("--pidns", &namespaces.join_pid),
        ];
        let mut closes = match self.audience {
            Audience::Launch { bwrap, .. } => {
                self.sandbox.closed_namespace_descriptors(bwrap.keeps_every_sync_fd())
            }
            Audience::Reader { .. } => 0,
        };
        for (name, descriptor) in joins {
            let Some(descriptor) = descriptor else { continue };
            self.with_descriptor(name, Source::Descriptor(descriptor.clone()), [])?;
            // bwrap leaves a joined namespace's descriptor open in the command, but closes --sync-fd
            if closes > 0
                && let Some(number) = self.out.slots.last().map(|slot| slot.number.to_string())
            {
                self.option("--sync-fd", [OsStr::new(&number)])?;
                closes -= 1;
            }
        }
        self.switch(self.sandbox.privileges.disable_userns, "--disable-userns")?;
        self.switch(self.sandbox.privileges.assert_userns_disabled, "--assert-userns-disabled")
    }

    fn identity(&mut self) -> Written {
        let identity = &self.sandbox.identity;
        for (name, id) in [("--uid", identity.uid), ("--gid", identity.gid)] {
            if let Some(id) = id {
                self.option(name, [OsStr::new(&id.to_string())])?;
            }
        }
        if let Some(hostname) = &identity.hostname {
            self.option("--hostname", [hostname])?;
        }
        Ok(())
    }

    fn privileges(&mut self) -> Written {
        let privileges = &self.sandbox.privileges;
        self.switch(privileges.new_session, "--new-session")?;
        for change in &privileges.capabilities {
            let (name, capability) = match change {
                CapabilityChange::Add(capability) => ("--cap-add", capability.to_string()),
                CapabilityChange::Drop(capability) => ("--cap-drop", capability.to_string()),
                CapabilityChange::AddAll => ("--cap-add", "ALL".to_owned()),
                CapabilityChange::DropAll => ("--cap-drop", "ALL".to_owned()),
            };
            self.option(name, [OsStr::new(&capability)])?;
        }
        // behind a gate, the launcher writes the one filter into it
        if !self.has_role(Role::Gate) {
            let name = if privileges.filters.len() > 1 { "--add-seccomp-fd" } else { "--seccomp" };
            for (index, filter) in privileges.filters.iter().enumerate() {
                let source = Source::Filter { index, program: filter.program.clone() };
                self.with_descriptor(name, source, [])?;
            }
        }
        for (name, label) in
            [("--exec-label", &privileges.exec_label), ("--file-label", &privileges.file_label)]
        {
            if let Some(label) = label {
                self.option(name, [label])?;
            }
        }
        self.switch(privileges.not_a_security_boundary, "--not-a-security-boundary")?;
        for key in &self.sandbox.debug_options {
            if self.admits("--debug-opt")? {
                let mut word = OsString::from("--debug-opt=");
                word.push(key);
                self.text(word);
            }
        }
        Ok(())
    }

    fn lifetime(&mut self) -> Written {
        let lifetime = &self.sandbox.lifetime;
        self.switch(lifetime.die_with_parent, "--die-with-parent")?;
        self.switch(lifetime.as_pid_1, "--as-pid-1")?;
        for path in &lifetime.lock_files {
            self.option("--lock-file", [path.as_os_str()])?;
        }
        let mut descriptors = lifetime.sync_fds.as_slice();
        if descriptors.len() > 1 && !self.admits_if(&options::SECOND_SYNC_FD, Bwrap::keeps_every_sync_fd)? {
            // as such a bwrap itself would
            descriptors = descriptors.last().map(std::slice::from_ref).unwrap_or_default();
        }
        for descriptor in descriptors {
            self.with_descriptor("--sync-fd", Source::Descriptor(descriptor.clone()), [])?;
        }
        // to map ids, the launcher reads --info-fd itself and passes the report on
        if let Some(descriptor) = &lifetime.info_fd
            && !self.has_role(Role::IdMapInfo)
        {
            self.with_descriptor("--info-fd", Source::Descriptor(descriptor.clone()), [])?;
        }
        self.switch(self.sandbox.level_prefix, "--level-prefix")
    }

    fn operation(&mut self, operation: &Operation) -> Written {
        let destination = operation.destination().as_os_str();
        match operation {
            Operation::Bind(bind) => {
                let name = match (bind.access, bind.optional) {
                    (Access::ReadWrite, false) => "--bind",
                    (Access::ReadWrite, true) => "--bind-try",
                    (Access::ReadOnly, false) => "--ro-bind",
                    (Access::ReadOnly, true) => "--ro-bind-try",
                    (Access::Device, false) => "--dev-bind",
                    (Access::Device, true) => "--dev-bind-try",
                };
                self.option(name, [bind.source.as_os_str(), destination])
            }
            Operation::BindFd(bind) => {
                let name = if bind.read_only { "--ro-bind-fd" } else { "--bind-fd" };
                self.with_descriptor(name, Source::Descriptor(bind.descriptor.clone()), [destination])
            }
            Operation::RemountRo(_) => self.option("--remount-ro", [destination]),
            Operation::Overlay(overlay) => self.overlay(overlay),
            Operation::Proc(_) => self.option("--proc", [destination]),
            Operation::Dev(_) => self.option("--dev", [destination]),
            Operation::Mqueue(_) => self.option("--mqueue", [destination]),
            Operation::Tmpfs(tmpfs) => {
                self.mode(tmpfs.mode)?;
                if let Some(size) = tmpfs.size {
                    self.option("--size", [OsStr::new(&size.to_string())])?;
                }
                self.option("--tmpfs", [destination])
            }
            Operation::Dir(dir) => {
                self.mode(dir.mode)?;
                self.option("--dir", [destination])
            }
            Operation::File(file) => {
                self.mode(file.mode)?;
                self.with_descriptor("--file", Source::Content(file.content.clone()), [destination])
            }
            Operation::BindData(data) => {
                self.mode(data.mode)?;
                let name = if data.read_only { "--ro-bind-data" } else { "--bind-data" };
                self.with_descriptor(name, Source::Content(data.content.clone()), [destination])
            }
            Operation::Symlink(link) => self.option("--symlink", [link.target.as_os_str(), destination]),
            Operation::Chmod(chmod) => {
                self.option("--chmod", [OsStr::new(&format!("{:04o}", chmod.mode)), destination])
            }
        }
    }

    fn mode(&mut self, mode: Option<u32>) -> Written {
        match mode {
            Some(mode) => self.option("--perms", [OsStr::new(&format!("{mode:04o}"))]),
            None => Ok(()),
        }
    }

    fn overlay(&mut self, overlay: &Overlay) -> Written {
        let path = Path::as_os_str;
        let name = match overlay.kind {
            OverlayKind::Writable { .. } => "--overlay",
            OverlayKind::Temporary => "--tmp-overlay",
            OverlayKind::ReadOnly => "--ro-overlay",
        };
        // an overlay without one of its options would be another: write all of it or nothing
        if !self.admits(name)? {
            return Ok(());
        }
        for layer in &overlay.layers {
            self.option("--overlay-src", [path(layer)])?;
        }
        for option in &overlay.options {
            self.option("--overlay-opt", [option])?;
        }
        match &overlay.kind {
            OverlayKind::Writable { upper, work } => {
                self.option(name, [path(upper), path(work), path(&overlay.destination)])
            }
            _ => self.option(name, [path(&overlay.destination)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{BindData, Capability, Chmod, Filter, IdRange, Setting};

    /// A sandbox that uses everything.
    fn everything() -> Sandbox {
        let n = Descriptor::number;
        let filter = || Filter::new(vec![6, 0, 0, 0, 0, 0, 255, 127]);
        let mut sandbox = Sandbox::new()
            .unshare(Namespaces::all())
            .share_net()
            .join_user(n(20))
            .join_user_after_setup(n(21))
            .join_pid(n(22))
            .disable_userns()
            .assert_userns_disabled()
            .uid(1)
            .gid(2)
            .map_uids([IdRange::new(0, 0, 1)])
            .hostname("h")
            .new_session()
            .cap_add(Capability::CAP_KILL)
            .cap_drop(Capability::CAP_KILL)
            .seccomp(filter())
            .exec_label("l")
            .file_label("l")
            .not_a_security_boundary()
            .env("A", "1")
            .env_remove("B")
            .current_dir("/")
            .die_with_parent()
            .as_pid_1()
            .lock_file("/l")
            .sync_fd(n(23))
            .info_fd(n(24))
            .level_prefix()
            .debug_option("x")
            .add(crate::sandbox::BindFd::read_only(n(25), "/a"))
            .add(crate::sandbox::BindFd::read_write(n(25), "/a"))
            .add(crate::sandbox::RemountRo::new("/a"))
            .add(Overlay::writable("/u", "/w", "/o").layer("/l").option("x"))
            .add(Overlay::temporary("/o").layer("/l"))
            .add(Overlay::read_only("/o").layer("/l").layer("/m"))
            .proc("/proc")
            .dev("/dev")
            .add(crate::sandbox::Tmpfs::new("/t").mode(0o1777).size(8))
            .add(crate::sandbox::Mqueue::new("/q"))
            .dir("/d")
            .file("x", "/f")
            .add(BindData::read_only("x", "/f"))
            .add(BindData::read_write("x", "/f"))
            .symlink("a", "/b")
            .add(Chmod::new(0o7, "/d"));
        for access in [Access::ReadOnly, Access::ReadWrite, Access::Device] {
            let bind = crate::sandbox::Bind::new("/s", "/d", access);
            sandbox = sandbox.add(bind.clone()).add(bind.optional());
        }
        sandbox
    }

    #[test]
    fn every_option_in_the_table_can_be_written_and_nothing_else() {
        let mut written: Vec<String> = Vec::new();
        let mut collect = |arguments: Arguments| {
            for word in arguments.words {
                if let Word::Text(text) = word
                    && let Some(name) = text.to_str().filter(|text| text.starts_with("--"))
                {
                    written.push(name.split('=').next().unwrap_or(name).to_owned());
                }
            }
        };
        collect(Arguments::shown(&everything(), Some(OsStr::new("x")), None));
        collect(Arguments::shown(&everything().seccomp(vec![0; 8]), None, None));
        for name in &written {
            assert!(options::find(name).is_some(), "{name} is not in the table");
        }
        // these belong to the launcher, or stop bwrap at once
        let own = ["--args", "--block-fd", "--json-status-fd", "--userns-block-fd", "--help", "--version"];
        for option in options::OPTIONS {
            assert!(
                own.contains(&option.name) || written.iter().any(|name| name == option.name),
                "{} has no typed form",
                option.name
            );
        }
    }

    #[test]
    fn whatever_was_set_can_be_taken_back() {
        let everything = everything().optional(Feature::Argv0);
        for setting in Setting::ALL.iter().copied() {
            assert!(everything.is_set(setting), "{setting:?}");
            let without = everything.clone().unset(setting);
            assert!(!without.is_set(setting) && without != everything, "{setting:?}");
        }
        let bare = Setting::ALL.iter().copied().fold(everything, Sandbox::unset);
        let bare = bare.env_clear().share(Namespaces::ALL).retain_operations(|_| false);
        assert_eq!(bare, Sandbox::new());
    }

    #[test]
    fn each_use_of_a_descriptor_has_a_number_of_its_own() {
        let sandbox = Sandbox::new().file("a", "/a").file("b", "/b").sync_fd(Descriptor::number(4));
        let shown = Arguments::shown(&sandbox, None, None);
        let numbers: Vec<_> = shown.slots.iter().map(|slot| slot.number).collect();
        assert_eq!(numbers, [4, 3, 5]);
    }
}
