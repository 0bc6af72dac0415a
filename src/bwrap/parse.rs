//! The way back: bwrap's arguments become a sandbox.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use super::options;
use crate::sandbox::{
    Access, Bind, BindData, BindFd, Capability, Chmod, Content, Descriptor, Dev, Dir, Feature, File, Filter,
    Inherit, Mqueue, Namespaces, Overlay, Proc, RemountRo, Sandbox, Symlink, Tmpfs,
};

/// Arguments that are no sandbox.
///
/// ```
/// use bwrap_launch::{ParseError, Sandbox};
/// let parse = |line: &str| Sandbox::from_args(line.split(' ')).unwrap_err();
/// assert_eq!(parse("--tmpsf /tmp"), ParseError::UnknownOption("--tmpsf".into()));
/// // bwrap would ignore this silently
/// assert_eq!(parse("--tmpfs /tmp --perms 1777"), ParseError::Dangling { modifier: "--perms" });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// An option that no bwrap has.
    #[error("no bwrap knows the option {:?}", .0.as_os_str())]
    UnknownOption(OsString),
    /// The line ends where an option still wants arguments.
    #[error("{option} takes {needed} argument(s) and the line ends before that")]
    #[non_exhaustive]
    MissingArgument {
        /// The option.
        option: &'static str,
        /// How many it takes.
        needed: usize,
    },
    /// An argument that is no number, or none that bwrap takes. bwrap wraps some around silently.
    #[error("{option} {:?} is not {expected}", value.as_os_str())]
    #[non_exhaustive]
    InvalidValue {
        /// The option.
        option: &'static str,
        /// Its argument.
        value: OsString,
        /// What it should be.
        expected: &'static str,
    },
    /// A modifier before something that it does not modify; before the command bwrap ignores it silently.
    #[error("{modifier} must stand directly before an option that uses it")]
    Dangling {
        /// The modifier, such as `--perms`.
        modifier: &'static str,
    },
    /// An option twice that may stand there once.
    #[error("{option} is given twice")]
    Repeated {
        /// The option.
        option: &'static str,
    },
    /// Two options that exclude each other.
    #[error("{0} and {1} exclude each other")]
    Conflict(&'static str, &'static str),
    /// An option that the launcher uses itself, or that runs nothing.
    #[error("{option} has no place in a sandbox: {instead}")]
    #[non_exhaustive]
    LaunchersOwn {
        /// The option.
        option: &'static str,
        /// What there is instead.
        instead: &'static str,
    },
    /// A sandbox was asked for, and the line has a command too.
    #[error("the line goes on with a command, {:?}; read it with Command::from_args", .0.as_os_str())]
    UnexpectedCommand(OsString),
    /// A command was asked for, and the line has none.
    #[error("the line has no command; read it with Sandbox::from_args")]
    NoCommand,
}

/// A line in its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parsed {
    pub(crate) sandbox: Sandbox,
    pub(crate) arg0: Option<OsString>,
    pub(crate) command: Vec<OsString>,
}

impl Sandbox {
    /// Reads bwrap's arguments, those that follow the program's name, as [`std::env::args_os`] gives them
    /// after `skip(1)`. They may not hold a command; [`Command::from_args`](crate::Command::from_args) reads
    /// both.
    ///
    /// The sandbox means what the line means to bwrap: it inherits the environment unless `--clearenv` is
    /// there, `--size 010` is 8 bytes, and the last of several `--uid` counts. Descriptors become
    /// [`Descriptor::number`]s.
    ///
    /// # Errors
    ///
    /// If bwrap would refuse an option, or silently ignore a part of the line. How options go together is the business
    /// of [`check`](Self::check).
    ///
    /// ```
    /// use bwrap_launch::Sandbox;
    /// let sandbox = Sandbox::from_args(["--clearenv", "--ro-bind", "/usr", "/usr", "--unshare-all"])?;
    /// assert_eq!(sandbox, Sandbox::new().ro_bind("/usr", "/usr").unshare_all());
    /// # Ok::<(), bwrap_launch::ParseError>(())
    /// ```
    pub fn from_args<I>(args: I) -> Result<Self, ParseError>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let mut parsed = parse(args)?;
        match parsed.command.drain(..).next() {
            Some(command) => Err(ParseError::UnexpectedCommand(command)),
            None if parsed.arg0.is_some() => Err(ParseError::NoCommand),
            None => Ok(parsed.sandbox),
        }
    }
}

/// Reads a whole line.
pub(crate) fn parse<I>(args: I) -> Result<Parsed, ParseError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let mut sandbox = Sandbox::default();
    sandbox.environment.inherit = Inherit::Everything;
    parse_after(sandbox, args)
}

/// Reads the rest of a line that began with what is in a sandbox.
pub(crate) fn parse_after<I>(sandbox: Sandbox, args: I) -> Result<Parsed, ParseError>
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let parsed = Parsed { sandbox, ..Parsed::default() };
    let mut reader = Reader { parsed, ..Reader::default() };
    let mut args = args.into_iter().map(Into::into);
    while let Some(word) = args.next() {
        let is_end = word == "--";
        if is_end || !word.as_bytes().starts_with(b"-") {
            reader.finish()?;
            reader.parsed.command.extend((!is_end).then_some(word));
            reader.parsed.command.extend(args);
            return Ok(reader.parsed);
        }
        reader.option(&word, &mut args)?;
    }
    reader.finish()?;
    Ok(reader.parsed)
}

/// What has been read, and the modifiers that wait for the next option.
#[derive(Default)]
struct Reader {
    parsed: Parsed,
    mode: Option<u32>,
    size: Option<u64>,
    layers: Vec<PathBuf>,
    mount_options: Vec<OsString>,
    /// Which of the two filter options the line uses.
    filter_option: Option<&'static str>,
}

type Read = Result<(), ParseError>;

impl Reader {
    fn option(&mut self, word: &OsStr, rest: &mut dyn Iterator<Item = OsString>) -> Read {
        let unknown = || ParseError::UnknownOption(word.to_owned());
        let key = word.as_bytes().strip_prefix(b"--debug-opt=").map(OsStr::from_bytes);
        let name = match key {
            Some(_) => "--debug-opt",
            None => word.to_str().ok_or_else(unknown)?,
        };
        let option = options::find(name).ok_or_else(unknown)?;
        let mut arguments = Arguments { option: option.name, words: Vec::new().into_iter() };
        let words: Vec<_> = rest.take(option.arguments).collect();
        if words.len() < option.arguments {
            return Err(ParseError::MissingArgument { option: option.name, needed: option.arguments });
        }
        arguments.words = words.into_iter();
        self.modifiers_fit(option.name)?;
        if let Some(key) = key {
            self.edit(|sandbox| sandbox.debug_option(key));
            return Ok(());
        }
        self.apply(option.name, &mut arguments)
    }

    /// Modifiers count for the very next option only.
    fn modifiers_fit(&self, next: &str) -> Read {
        let overlay = matches!(next, "--overlay" | "--tmp-overlay" | "--ro-overlay");
        if !self.layers.is_empty() && !overlay && !matches!(next, "--overlay-src" | "--overlay-opt") {
            return Err(ParseError::Dangling { modifier: "--overlay-src" });
        }
        if !self.mount_options.is_empty() && !overlay && !matches!(next, "--overlay-src" | "--overlay-opt") {
            return Err(ParseError::Dangling { modifier: "--overlay-opt" });
        }
        let creates = matches!(next, "--tmpfs" | "--dir" | "--file" | "--bind-data" | "--ro-bind-data");
        if self.mode.is_some() && !creates && !matches!(next, "--size" | "--perms") {
            return Err(ParseError::Dangling { modifier: "--perms" });
        }
        if self.size.is_some() && !matches!(next, "--tmpfs" | "--perms" | "--size") {
            return Err(ParseError::Dangling { modifier: "--size" });
        }
        Ok(())
    }

    fn finish(&self) -> Read {
        self.modifiers_fit("--")
    }

    fn edit(&mut self, change: impl FnOnce(Sandbox) -> Sandbox) {
        let sandbox = std::mem::take(&mut self.parsed.sandbox);
        self.parsed.sandbox = change(sandbox);
    }

    fn unshare(&mut self, namespaces: Namespaces) {
        self.edit(|sandbox| sandbox.unshare(namespaces));
    }

    fn apply(&mut self, name: &'static str, a: &mut Arguments) -> Read {
        match name {
            "--unshare-all"
            | "--unshare-user"
            | "--unshare-user-try"
            | "--unshare-ipc"
            | "--unshare-pid"
            | "--unshare-net"
            | "--unshare-uts"
            | "--unshare-cgroup"
            | "--unshare-cgroup-try"
            | "--share-net"
            | "--userns"
            | "--userns2"
            | "--pidns"
            | "--disable-userns"
            | "--assert-userns-disabled" => self.namespaces(name, a),
            "--uid"
            | "--gid"
            | "--hostname"
            | "--new-session"
            | "--cap-add"
            | "--cap-drop"
            | "--seccomp"
            | "--add-seccomp-fd"
            | "--exec-label"
            | "--file-label"
            | "--not-a-security-boundary" => self.privileges(name, a),
            "--clearenv" | "--setenv" | "--unsetenv" | "--chdir" | "--argv0" | "--die-with-parent"
            | "--as-pid-1" | "--lock-file" | "--sync-fd" | "--info-fd" | "--level-prefix" => {
                self.process(name, a)
            }
            "--perms" | "--size" | "--overlay-src" | "--overlay-opt" => self.modifier(name, a),
            _ => self.operation(name, a),
        }
    }

    fn namespaces(&mut self, name: &'static str, a: &mut Arguments) -> Read {
        let namespaces = &mut self.parsed.sandbox.namespaces;
        match name {
            "--unshare-all" => {
                namespaces.share_net = false;
                self.unshare(Namespaces::ALL);
            }
            "--unshare-user" => self.unshare(Namespaces::USER),
            "--unshare-user-try" => self.unshare(Namespaces::USER_TRY),
            "--unshare-ipc" => self.unshare(Namespaces::IPC),
            "--unshare-pid" => self.unshare(Namespaces::PID),
            "--unshare-net" => {
                namespaces.share_net = false;
                self.unshare(Namespaces::NET);
            }
            "--unshare-uts" => self.unshare(Namespaces::UTS),
            "--unshare-cgroup" => self.unshare(Namespaces::CGROUP),
            "--unshare-cgroup-try" => self.unshare(Namespaces::CGROUP_TRY),
            // --share-net takes back the --unshare-net before it, and nothing that follows
            "--share-net" => {
                namespaces.unshare.remove(Namespaces::NET);
                namespaces.share_net = namespaces.unshare.contains(Namespaces::ALL);
            }
            "--userns" => namespaces.join_user = Some(a.descriptor()?),
            "--userns2" => namespaces.join_user2 = Some(a.descriptor()?),
            "--pidns" => namespaces.join_pid = Some(a.descriptor()?),
            "--disable-userns" => self.edit(Sandbox::disable_userns),
            _ => self.edit(Sandbox::assert_userns_disabled),
        }
        Ok(())
    }

    fn privileges(&mut self, name: &'static str, a: &mut Arguments) -> Read {
        match name {
            "--uid" => self.parsed.sandbox.identity.uid = Some(a.id()?),
            "--gid" => self.parsed.sandbox.identity.gid = Some(a.id()?),
            "--hostname" => self.parsed.sandbox.identity.hostname = Some(a.word()),
            "--new-session" => self.edit(Sandbox::new_session),
            "--cap-add" => match a.capability()? {
                Some(capability) => self.edit(|sandbox| sandbox.cap_add(capability)),
                None => self.edit(Sandbox::cap_add_all),
            },
            "--cap-drop" => match a.capability()? {
                Some(capability) => self.edit(|sandbox| sandbox.cap_drop(capability)),
                None => self.edit(Sandbox::cap_drop_all),
            },
            "--seccomp" | "--add-seccomp-fd" => return self.filter(name, a),
            "--exec-label" => self.parsed.sandbox.privileges.exec_label = Some(a.word()),
            "--file-label" => self.parsed.sandbox.privileges.file_label = Some(a.word()),
            _ => self.edit(Sandbox::not_a_security_boundary),
        }
        Ok(())
    }

    /// `--seccomp` is single and the last counts; `--add-seccomp-fd` stacks; bwrap refuses both together. One
    /// of the latter means the same as one of the former.
    fn filter(&mut self, name: &'static str, a: &mut Arguments) -> Read {
        let filter = Filter::new(Content::from(a.descriptor()?));
        let filters = &mut self.parsed.sandbox.privileges.filters;
        if self.filter_option.replace(name).is_some_and(|other| other != name) {
            return Err(ParseError::Conflict("--seccomp", "--add-seccomp-fd"));
        }
        if name == "--seccomp" {
            filters.clear();
        }
        filters.push(filter);
        Ok(())
    }

    fn process(&mut self, name: &'static str, a: &mut Arguments) -> Read {
        let lifetime = &mut self.parsed.sandbox.lifetime;
        match name {
            "--clearenv" => self.edit(Sandbox::env_clear),
            "--setenv" => {
                let (name, value) = (a.word(), a.word());
                self.edit(|sandbox| sandbox.env(name, value));
            }
            "--unsetenv" => {
                let name = a.word();
                self.edit(|sandbox| sandbox.env_remove(name));
            }
            "--chdir" => {
                let directory = a.path();
                self.edit(|sandbox| sandbox.current_dir(directory));
            }
            "--argv0" => {
                if self.parsed.arg0.replace(a.word()).is_some() {
                    return Err(ParseError::Repeated { option: name });
                }
            }
            "--die-with-parent" => lifetime.die_with_parent = true,
            "--as-pid-1" => lifetime.as_pid_1 = true,
            "--lock-file" => lifetime.lock_files.push(a.path()),
            "--sync-fd" => {
                let descriptor = a.descriptor()?;
                // a bwrap that keeps only the last one starts such a line, too
                let several = !lifetime.sync_fds.is_empty();
                lifetime.sync_fds.push(descriptor);
                if several {
                    self.edit(|sandbox| sandbox.optional(Feature::SyncFds));
                }
            }
            "--info-fd" => lifetime.info_fd = Some(a.descriptor()?),
            _ => self.edit(Sandbox::level_prefix),
        }
        Ok(())
    }

    fn modifier(&mut self, name: &'static str, a: &mut Arguments) -> Read {
        let repeated = match name {
            "--perms" => self.mode.replace(a.mode()?).is_some(),
            "--size" => self.size.replace(a.size()?).is_some(),
            "--overlay-src" => {
                self.layers.push(a.path());
                false
            }
            _ => {
                self.mount_options.push(a.word());
                false
            }
        };
        if repeated { Err(ParseError::Repeated { option: name }) } else { Ok(()) }
    }

    fn operation(&mut self, name: &'static str, a: &mut Arguments) -> Read {
        let own = |instead| Err(ParseError::LaunchersOwn { option: name, instead });
        let mode = self.mode.take();
        let sandbox = std::mem::take(&mut self.parsed.sandbox);
        self.parsed.sandbox = match name {
            "--bind" => sandbox.add(a.bind(Access::ReadWrite)),
            "--bind-try" => sandbox.add(a.bind(Access::ReadWrite).optional()),
            "--ro-bind" => sandbox.add(a.bind(Access::ReadOnly)),
            "--ro-bind-try" => sandbox.add(a.bind(Access::ReadOnly).optional()),
            "--dev-bind" => sandbox.add(a.bind(Access::Device)),
            "--dev-bind-try" => sandbox.add(a.bind(Access::Device).optional()),
            "--bind-fd" => sandbox.add(BindFd::read_write(a.descriptor()?, a.path())),
            "--ro-bind-fd" => sandbox.add(BindFd::read_only(a.descriptor()?, a.path())),
            "--remount-ro" => sandbox.add(RemountRo::new(a.path())),
            "--overlay" => {
                let (upper, work) = (a.path(), a.path());
                sandbox.add(self.layered(Overlay::writable(upper, work, a.path())))
            }
            "--tmp-overlay" => sandbox.add(self.layered(Overlay::temporary(a.path()))),
            "--ro-overlay" => sandbox.add(self.layered(Overlay::read_only(a.path()))),
            "--proc" => sandbox.add(Proc::new(a.path())),
            "--dev" => sandbox.add(Dev::new(a.path())),
            "--mqueue" => sandbox.add(Mqueue::new(a.path())),
            "--tmpfs" => sandbox.add(Tmpfs { destination: a.path(), mode, size: self.size.take() }),
            "--dir" => sandbox.add(Dir { destination: a.path(), mode }),
            "--file" => {
                let file = File::new(a.descriptor()?, a.path());
                sandbox.add(File { mode, ..file })
            }
            "--bind-data" => {
                let data = BindData::read_write(a.descriptor()?, a.path());
                sandbox.add(BindData { mode, ..data })
            }
            "--ro-bind-data" => {
                let data = BindData::read_only(a.descriptor()?, a.path());
                sandbox.add(BindData { mode, ..data })
            }
            "--symlink" => sandbox.add(Symlink::new(a.path(), a.path())),
            "--chmod" => sandbox.add(Chmod::new(a.mode()?, a.path())),
            "--args" => return own("its words belong into the line itself"),
            "--block-fd" => return own("Command::prepare holds a sandbox until it is told to start"),
            "--userns-block-fd" => return own("Sandbox::map_uids and map_gids map the ids"),
            "--json-status-fd" => return own("a Child knows what bwrap reports there"),
            "--debug-opt" => return own("a debug option has a key, as in --debug-opt=KEY"),
            _ => return own("it makes bwrap print something and end"),
        };
        Ok(())
    }

    fn layered(&mut self, overlay: Overlay) -> Overlay {
        Overlay {
            layers: std::mem::take(&mut self.layers),
            options: std::mem::take(&mut self.mount_options),
            ..overlay
        }
    }
}

/// The words that follow an option. Their number has been checked.
struct Arguments {
    option: &'static str,
    words: std::vec::IntoIter<OsString>,
}

impl Arguments {
    fn word(&mut self) -> OsString {
        self.words.next().unwrap_or_default()
    }

    fn path(&mut self) -> PathBuf {
        self.word().into()
    }

    fn bind(&mut self, access: Access) -> Bind {
        Bind::new(self.path(), self.path(), access)
    }

    fn value<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ParseError> {
        let word = self.word();
        match word.to_str().and_then(read) {
            Some(value) => Ok(value),
            None => Err(ParseError::InvalidValue { option: self.option, value: word, expected }),
        }
    }

    fn descriptor(&mut self) -> Result<Descriptor, ParseError> {
        let read = |text: &str| text.parse::<RawFd>().ok().filter(|number| *number >= 0);
        self.value("a descriptor number", read).map(Descriptor::number)
    }

    fn id(&mut self) -> Result<u32, ParseError> {
        let read = |text: &str| text.parse::<u32>().ok().filter(|id| i32::try_from(*id).is_ok());
        self.value("a number from 0 to 2147483647", read)
    }

    fn mode(&mut self) -> Result<u32, ParseError> {
        let read = |text: &str| u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
        self.value("an octal number from 0 to 7777", read)
    }

    /// Sizes are read as C reads numbers: 0x for hexadecimal, a leading 0 for octal.
    fn size(&mut self) -> Result<u64, ParseError> {
        let read = |text: &str| {
            if !text.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            let (digits, radix) = match text.strip_prefix('0') {
                Some(rest) if rest.starts_with(['x', 'X']) => (rest.get(1..)?, 16),
                Some(rest) if !rest.is_empty() => (rest, 8),
                _ => (text, 10),
            };
            // from_str_radix takes a sign, bwrap does not
            let digit = |c: char| c.is_digit(radix);
            let size = u64::from_str_radix(digits, radix).ok().filter(|_| digits.chars().all(digit))?;
            (size != 0 && size <= u64::try_from(usize::MAX / 2).ok()?).then_some(size)
        };
        self.value("a number of bytes, 1 or more", read)
    }

    /// `None` is `ALL`.
    fn capability(&mut self) -> Result<Option<Capability>, ParseError> {
        self.value("a capability, such as CAP_KILL, or ALL", |text| {
            if text.eq_ignore_ascii_case("ALL") {
                return Some(None);
            }
            let named = Capability::from_str(text).ok();
            named.or_else(|| Capability::from_number(text.parse().ok()?)).map(Some)
        })
    }
}
